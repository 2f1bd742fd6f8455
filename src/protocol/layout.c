/* layout.c - compare structs by tables, and find tables. */

#include "protocol/layout.h"

const uint8_t field_wire_bytes[FIELD_STRING] = {
    [FIELD_BOOL] = 1, [FIELD_I8] = 1,  [FIELD_I16] = 2, [FIELD_U16] = 2,   [FIELD_I32] = 4,
    [FIELD_U32] = 4,  [FIELD_I64] = 8, [FIELD_F64] = 8, [FIELD_UUID] = 16,
};

static bool struct_equal(const struct message_layout *layout, const void *a, const void *b);

static bool value_equal(const struct message_field *f, const void *a, const void *b)
{
    if (f->kind == FIELD_STRUCT)
        return struct_equal(f->layout, a, b);
    if (f->kind == FIELD_STRING)
        return str_equal(*(const struct str *)a, *(const struct str *)b);
    if (f->kind == FIELD_BYTES || f->kind == FIELD_RECORDS)
        return bytes_equal(*(const struct bytes *)a, *(const struct bytes *)b);
    return memcmp(a, b, field_wire_bytes[f->kind]) == 0;
}

static bool array_equal(const struct message_field *f, const void *a, const void *b)
{
    const char *p = *(const char *const *)((const char *)a + f->offset);
    const char *q = *(const char *const *)((const char *)b + f->offset);
    int32_t count = *(const int32_t *)((const char *)a + f->count_offset);
    size_t element_bytes = field_element_bytes(f);

    if (count != *(const int32_t *)((const char *)b + f->count_offset))
        return false;
    for (int32_t i = 0; i < count; i++) {
        size_t at = (size_t)i * element_bytes;
        if (!value_equal(f, p + at, q + at))
            return false;
    }
    return true;
}

static bool field_equal(const struct message_field *f, const void *a, const void *b)
{
    if (f->flags & FIELD_ARRAY)
        return array_equal(f, a, b);
    const void *p = (const char *)a + f->offset;
    const void *q = (const char *)b + f->offset;
    if (!(f->flags & FIELD_POINTER))
        return value_equal(f, p, q);
    p = *(const void *const *)p;
    q = *(const void *const *)q;
    if (p == NULL || q == NULL)
        return p == q;
    return struct_equal(f->layout, p, q);
}

struct bytes unknown_tags_of(const struct message_layout *layout, const void *m)
{
    if (layout->unknown_tags_offset == FIELD_NOWHERE)
        return BYTES_NULL;
    return *(const struct bytes *)(const void *)((const char *)m + layout->unknown_tags_offset);
}

static bool unknown_tags_equal(const struct message_layout *layout, const void *a, const void *b)
{
    struct bytes p = unknown_tags_of(layout, a);
    struct bytes q = unknown_tags_of(layout, b);

    return (p.n <= 0 && q.n <= 0) || bytes_equal(p, q);
}

static bool struct_equal(const struct message_layout *layout, const void *a, const void *b)
{
    for (int i = 0; i < layout->field_count; i++) {
        if (!field_equal(&layout->fields[i], a, b))
            return false;
    }
    return unknown_tags_equal(layout, a, b);
}

bool field_is_default(const struct message_field *f, const struct message_layout *layout,
                      const void *m)
{
    return field_equal(f, m, layout->defaults);
}

bool message_equal(const struct message *message, const void *a, const void *b)
{
    return struct_equal(message->layout, a, b);
}

const struct message *message_find(enum message_kind kind, int16_t key)
{
    if (kind >= MESSAGE_KIND_COUNT || key < 0 || (size_t)key >= message_indexes[kind].count)
        return NULL;
    return message_indexes[kind].by_key[key];
}

const struct message *message_find_by_name(struct str name)
{
    for (int i = 0; i < message_count; i++) {
        if (str_equal(name, str_of(message_list[i]->name)))
            return message_list[i];
    }
    return NULL;
}
