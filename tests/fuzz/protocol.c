/* Fuzz every decoder of the protocol: the first three bytes choose the message, the version and
 * the way, the rest is the input.
 *
 * What can be read can be written, and reads again as the same; the specialised functions agree
 * with the tables; the tables of internal logs and headers take anything. */
#include <stdlib.h>

#include "protocol/layout.h"
#include "protocol/protocol.h"

#define ARENA_LIMIT_BYTES (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *struct_of(const struct message *message, struct arena *arena)
{
    void *m = arena_take(arena, message_struct_bytes(message));

    ASSERT(m != NULL);
    return m;
}

static void read_and_write(const struct message *message, int16_t version, struct bytes in,
                           struct arena *arena)
{
    void *m = struct_of(message, arena);
    void *back = struct_of(message, arena);
    int used = message_read(message, in, version, arena, m);
    struct text text = {0};

    if (used < 0)
        return;
    ASSERT(used <= in.n);
    message_print(message, version, m, &text);
    text_deinit(&text);

    int64_t size = message_size(message, version, m);
    ASSERT(size >= 0);
    uint8_t *out = malloc((size_t)size + 1);
    ASSERT(out != NULL);
    message_write(message, version, m, out);
    ASSERT(message_read(message, (struct bytes){out, (int32_t)size}, version, arena, back) == size);
    ASSERT(message_equal(message, m, back));
    free(out);
}

static void compare_with_tables(const struct message_hot *hot, int16_t version, struct bytes in,
                                struct arena *arena)
{
    void *a = struct_of(hot->message, arena);
    void *b = struct_of(hot->message, arena);
    int used = hot->read(in, version, arena, a);

    ASSERT(used == tables_read(hot->message, in, version, arena, b));
    ASSERT(message_equal(hot->message, a, b));
    if (used < 0)
        return;
    int64_t size = hot->size(a, version);
    ASSERT(size == tables_size(hot->message, version, b));
    uint8_t *p = malloc((size_t)size + 1), *q = malloc((size_t)size + 1);
    ASSERT(p != NULL && q != NULL);
    hot->write(a, version, p);
    tables_write(hot->message, version, b, q);
    ASSERT(memcmp(p, q, (size_t)size) == 0);
    free(p);
    free(q);
}

static void read_framed(struct bytes in, uint8_t way, struct arena *arena)
{
    struct message_framed framed;
    struct request_header header;
    int32_t id;

    if (request_header_read(in, &header) >= 0)
        ASSERT(header.client_id.n < in.n);
    (void)!response_header_read(in, way % API_KEY_COUNT, 5, &id);
    (void)!message_metadata_read(in, MESSAGE_METADATA, arena, &framed);
    (void)!message_metadata_read(in, MESSAGE_TIERED, arena, &framed);
    (void)!message_key_read(in, MESSAGE_GROUP_KEY, arena, &framed);
    (void)!message_value_read(in, MESSAGE_GROUP_VALUE, way % 24, arena, &framed);
    (void)!message_value_read(in, MESSAGE_TRANSACTION_VALUE, 0, arena, &framed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;

    if (size < 3)
        return 0;
    arena_init(&arena, ARENA_LIMIT_BYTES);
    struct bytes in = {data + 3, (int32_t)size - 3};
    const struct message *message = message_list[(data[0] | data[2] >> 7 << 8) % message_count];
    int16_t version = (int16_t)(message->low + data[1] % (message->high - message->low + 1));
    if ((data[2] & 3) == 0) {
        read_framed(in, data[1], &arena);
    } else if ((data[2] & 3) == 1) {
        const struct message_hot *hot = &message_hot[data[0] % message_hot_count];
        version =
            (int16_t)(hot->message->low + data[1] % (hot->message->high - hot->message->low + 1));
        compare_with_tables(hot, version, in, &arena);
    } else {
        read_and_write(message, version, in, &arena);
    }
    arena_deinit(&arena);
    return 0;
}
