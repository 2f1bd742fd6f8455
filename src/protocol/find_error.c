/* find_error.c - does a message hold a certain error code, anywhere? By tables. */
#include "protocol/layout.h"

static bool struct_has(const struct message_layout *layout, int16_t version, const void *m, int16_t code);

static bool field_has(const struct message_field *f, int16_t version, const void *m, int16_t code)
{
    const char *at = (const char *)m + f->offset;

    if (f->kind == FIELD_I16 && !(f->flags & FIELD_ARRAY))
        return strcmp(f->name, "errorCode") == 0 && *(const int16_t *)(const void *)at == code;
    if (f->kind != FIELD_STRUCT)
        return false;
    if (f->flags & FIELD_POINTER) {
        const void *other = *(const void *const *)(const void *)at;
        return other != NULL && struct_has(f->layout, version, other, code);
    }
    if (!(f->flags & FIELD_ARRAY))
        return struct_has(f->layout, version, at, code);
    const char *elements = *(const char *const *)(const void *)at;
    int32_t count = *(const int32_t *)(const void *)((const char *)m + f->count_offset);
    for (int32_t i = 0; i < count; i++) {
        if (struct_has(f->layout, version, elements + (size_t)i * f->layout->struct_bytes, code))
            return true;
    }
    return false;
}

static bool struct_has(const struct message_layout *layout, int16_t version, const void *m, int16_t code)
{
    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];
        if (field_in_version(f, version) && field_has(f, version, m, code))
            return true;
    }
    return false;
}

bool message_has_error(const struct message *message, int16_t version, const void *m, int16_t code)
{
    return struct_has(message->layout, version, m, code);
}
