#include "protocol/message.h"

#include "protocol/layout.h"

/* Which way a message goes: by functions of its own, or by the tables. Both give the same (P4). */

int message_read(const struct message *message, struct bytes in, int16_t version,
                 struct arena *arena, void *out)
{
    if (message->hot != NULL)
        return message->hot->read(in, version, arena, out);
    return tables_read(message, in, version, arena, out);
}

int64_t message_size(const struct message *message, int16_t version, const void *m)
{
    if (message->hot != NULL)
        return message->hot->size(m, version);
    return tables_size(message, version, m);
}

int message_measure(const struct message *message, int16_t version, const void *m,
                    struct message_extent *out)
{
    if (message->hot == NULL)
        return tables_measure(message, version, m, out);
    if (message->hot->measure != NULL)
        return message->hot->measure(m, version, out);
    int64_t size = message->hot->size(m, version);
    if (size < 0)
        return (int)size;
    *out = (struct message_extent){.total_bytes = size, .head_bytes = size};
    return 0;
}

void message_write(const struct message *message, int16_t version, const void *m, uint8_t *out)
{
    if (message->hot != NULL)
        message->hot->write(m, version, out);
    else
        tables_write(message, version, m, out);
}

void message_write_pieces(const struct message *message, int16_t version, const void *m,
                          uint8_t *head, struct message_cut *cuts)
{
    if (message->hot == NULL)
        tables_write_pieces(message, version, m, head, cuts);
    else if (message->hot->write_pieces != NULL)
        message->hot->write_pieces(m, version, head, cuts);
    else
        message->hot->write(m, version, head); /* without records there is one piece */
}
