/* read.c - bytes to struct, by tables. */

#include "protocol/layout.h"
#include "protocol/wire.h"

struct reading {
    struct reader r; /* first: take_tags gives it back */
    int16_t version;
    int16_t lowest; /* of the message */
    bool flexible;
};

struct tag_context {
    const struct message_layout *layout;
    struct reading *reading;
};

static bool read_struct(struct reading *in, const struct message_layout *layout, void *out);

static void scalar_take(uint8_t kind, const uint8_t *p, void *out)
{
    switch ((enum field_kind)kind) {
    case FIELD_BOOL:
        *(bool *)out = *p != 0;
        return;
    case FIELD_I8:
        *(int8_t *)out = (int8_t)*p;
        return;
    case FIELD_I16:
    case FIELD_U16:
        *(uint16_t *)out = get_u16(p);
        return;
    case FIELD_I32:
    case FIELD_U32:
        *(uint32_t *)out = get_u32(p);
        return;
    case FIELD_I64:
    case FIELD_F64: {
        uint64_t v = get_u64(p);
        memcpy(out, &v, 8);
        return;
    }
    case FIELD_UUID:
        memcpy(out, p, 16);
        return;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_RECORDS:
    case FIELD_STRUCT:
        break;
    }
    UNREACHABLE("a scalar of no fixed size");
}

static bool read_plain(struct reading *in, const struct message_field *f, bool nullable, void *out)
{
    bool compact = in->flexible && !(f->flags & FIELD_RIGID);

    if (f->kind == FIELD_STRUCT)
        return read_struct(in, f->layout, out);
    if (f->kind == FIELD_STRING)
        return take_string(&in->r, compact, nullable, out);
    if (f->kind == FIELD_BYTES || f->kind == FIELD_RECORDS)
        return take_bytes(&in->r, compact, nullable, out);
    if (!take_check(&in->r, field_wire_bytes[f->kind]))
        return false;
    scalar_take(f->kind, in->r.p, out);
    in->r.p += field_wire_bytes[f->kind];
    return true;
}

/* Fewest bytes of one element. */
static uint32_t element_least(const struct reading *in, const struct message_field *f)
{
    if (f->kind == FIELD_STRUCT)
        return f->layout->least[in->version - in->lowest];
    if (f->kind == FIELD_STRING)
        return in->flexible ? 1 : 2;
    if (f->kind == FIELD_BYTES || f->kind == FIELD_RECORDS)
        return in->flexible ? 1 : 4;
    return field_wire_bytes[f->kind];
}

static bool read_array(struct reading *in, const struct message_field *f, bool nullable, void *m)
{
    size_t element_bytes = field_element_bytes(f);
    int32_t count;
    void *elements;

    if (!take_array(&in->r, in->flexible, nullable, element_least(in, f), element_bytes, &count,
                    &elements))
        return false;
    *(void **)((char *)m + f->offset) = elements;
    *(int32_t *)((char *)m + f->count_offset) = count;
    for (int32_t i = 0; i < count; i++) {
        if (!read_plain(in, f, false, (char *)elements + (size_t)i * element_bytes))
            return false;
    }
    return true;
}

/* A struct that may be null: -1 or 1 leads it, in a tagged field 0 or 1. Kafka looks no closer than
 * at the sign. */
static bool read_pointer(struct reading *in, const struct message_field *f, bool nullable, void *m)
{
    void **at = (void **)((char *)m + f->offset);
    bool present = true;

    if (nullable && f->tag >= 0) {
        uint32_t lead;
        if (!take_uvarint(&in->r, &lead))
            return false;
        present = lead != 0;
    } else if (nullable) {
        if (!take_check(&in->r, 1))
            return false;
        present = (int8_t)*in->r.p++ >= 0;
    }
    *at = NULL;
    if (!present)
        return true;
    *at = arena_take(in->r.arena, f->layout->struct_bytes);
    if (*at == NULL)
        return reader_fail(&in->r, ERR_LIMIT);
    return read_struct(in, f->layout, *at);
}

static bool read_field(struct reading *in, const struct message_field *f, void *m)
{
    bool nullable = field_nullable(f, in->version);

    if (f->flags & FIELD_ARRAY)
        return read_array(in, f, nullable, m);
    if (f->flags & FIELD_POINTER)
        return read_pointer(in, f, nullable, m);
    return read_plain(in, f, nullable, (char *)m + f->offset);
}

static int read_tag(struct reader *r, uint32_t tag, const void *context, void *m)
{
    const struct tag_context *c = context;

    if (tag >= c->layout->tag_count)
        return 0;
    const struct message_field *f = &c->layout->fields[c->layout->tags[tag]];
    if (!field_in_version(f, c->reading->version))
        return 0;
    return read_field(container_of(r, struct reading, r), f, m) ? 1 : r->error;
}

static bool read_struct(struct reading *in, const struct message_layout *layout, void *out)
{
    memcpy(out, layout->defaults, layout->struct_bytes);
    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];

        if (f->tag >= 0 || !field_in_version(f, in->version))
            continue;
        if (!read_field(in, f, out))
            return false;
    }
    if (!in->flexible)
        return true;

    struct tag_context context = {layout, in};
    return take_tags(&in->r, read_tag, &context, out,
                     (struct bytes *)(void *)((char *)out + layout->unknown_tags_offset));
}

int tables_read(const struct message *message, struct bytes in, int16_t version,
                struct arena *arena, void *out)
{
    struct reading reading = {
        .r = reader_of(in, arena),
        .version = version,
        .lowest = message->low,
        .flexible = version >= message->flexible,
    };

    if (!message_has_version(message, version)) {
        message_init(message, out);
        return ERR_VERSION;
    }
    if (!read_struct(&reading, message->layout, out)) {
        message_init(message, out);
        return reading.r.error;
    }
    return (int)(reading.r.p - in.p);
}

void message_init(const struct message *message, void *m)
{
    memcpy(m, message->layout->defaults, message->layout->struct_bytes);
}

size_t message_struct_bytes(const struct message *message)
{
    return message->layout->struct_bytes;
}
