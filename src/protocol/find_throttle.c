/* find_throttle.c - how long an answer asks its reader to be silent. By tables. */
#include "protocol/layout.h"

int32_t message_throttle_time_ms(const struct message *message, int16_t version, const void *m)
{
    const struct message_layout *layout = message->layout;

    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];
        if (f->kind == FIELD_I32 && field_in_version(f, version) && strcmp(f->name, "throttleTimeMs") == 0)
            return *(const int32_t *)(const void *)((const char *)m + f->offset);
    }
    return 0;
}
