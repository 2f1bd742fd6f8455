/* write.c - struct to bytes, by tables: one pass counts and checks, the next only writes. */

#include "protocol/layout.h"
#include "protocol/wire.h"

struct sizing {
    int16_t version;
    bool flexible;
    int error;                            /* the first */
    const struct message_field *obstacle; /* where */
    int64_t records_bytes;
    uint32_t cuts;
};

struct writing {
    uint8_t *p;
    uint8_t *head;            /* its first byte */
    struct message_cut *cuts; /* NULL = records are written too */
    int16_t version;
    bool flexible;
};

static int64_t size_struct(struct sizing *s, const struct message_layout *layout, const void *m);
static void write_struct(struct writing *w, const struct message_layout *layout, const void *m);

static int64_t obstacle(struct sizing *s, const struct message_field *f, int error)
{
    if (s->error == 0) {
        s->error = error;
        s->obstacle = f;
    }
    return 0;
}

/* ---- counting ---- */

static int64_t size_plain(struct sizing *s, const struct message_field *f, bool nullable,
                          const void *m)
{
    bool compact = s->flexible && !(f->flags & FIELD_RIGID);

    if (f->kind == FIELD_STRUCT)
        return size_struct(s, f->layout, m);
    if (f->kind < FIELD_STRING)
        return field_wire_bytes[f->kind];

    int32_t n = f->kind == FIELD_STRING ? ((const struct str *)m)->n : ((const struct bytes *)m)->n;
    if (n < 0 && !nullable)
        return obstacle(s, f, -EINVAL);
    if (n < 0)
        n = -1;
    int32_t data = n < 0 ? 0 : n;
    if (f->kind == FIELD_STRING) {
        if (n > STRING_BYTES_MAX)
            return obstacle(s, f, ERR_LIMIT);
        return (compact ? (int64_t)uvarint_size_32((uint32_t)n + 1) : 2) + data;
    }
    if (f->kind == FIELD_RECORDS && data > 0) {
        s->records_bytes += data;
        s->cuts++;
    }
    return (int64_t)length_size(n, compact) + data;
}

static int64_t size_array(struct sizing *s, const struct message_field *f, bool nullable,
                          const void *m)
{
    const char *elements = *(const char *const *)((const char *)m + f->offset);
    int32_t count = *(const int32_t *)((const char *)m + f->count_offset);
    size_t element_bytes = field_element_bytes(f);

    if (count < 0)
        return nullable ? length_size(-1, s->flexible) : obstacle(s, f, -EINVAL);
    int64_t size = length_size(count, s->flexible);
    if (f->kind < FIELD_STRING)
        return size + (int64_t)count * field_wire_bytes[f->kind];
    for (int32_t i = 0; i < count; i++)
        size += size_plain(s, f, false, elements + (size_t)i * element_bytes);
    return size;
}

static int64_t size_field(struct sizing *s, const struct message_field *f, const void *m)
{
    bool nullable = field_nullable(f, s->version);

    if (f->flags & FIELD_ARRAY)
        return size_array(s, f, nullable, m);
    if (!(f->flags & FIELD_POINTER))
        return size_plain(s, f, nullable, (const char *)m + f->offset);

    const void *inner = *(const void *const *)((const char *)m + f->offset);
    if (inner == NULL)
        return nullable ? 1 : obstacle(s, f, -EINVAL);
    return (nullable ? 1 : 0) + size_struct(s, f->layout, inner);
}

/* Known tagged fields that have to be sent, and the raw ones, in the order of their numbers. */
struct tag_merge {
    const struct message_layout *layout;
    const void *m;
    int16_t version;
    int known; /* next to look at */
    struct bytes raw;
};

struct tag_item {
    const struct message_field *field; /* NULL = a raw one */
    struct bytes raw;
};

static bool tag_sent(const struct tag_merge *t, const struct message_field *f)
{
    return field_in_version(f, t->version) && !field_is_default(f, t->layout, t->m);
}

static bool tag_known(const struct tag_merge *t, int64_t tag)
{
    return tag < t->layout->tag_count &&
           field_in_version(&t->layout->fields[t->layout->tags[tag]], t->version);
}

/* false at the end. Raw tags that the version knows are passed over: the struct's field counts. */
static bool tag_next(struct tag_merge *t, struct tag_item *out)
{
    struct raw_tag raw = raw_tag_first(t->raw);

    while (raw.tag >= 0 && tag_known(t, raw.tag)) {
        t->raw = raw.rest;
        raw = raw_tag_first(t->raw);
    }
    for (; t->known < t->layout->tag_count; t->known++) {
        const struct message_field *f = &t->layout->fields[t->layout->tags[t->known]];

        if (!tag_sent(t, f))
            continue;
        if (raw.tag >= 0 && raw.tag < t->known)
            break;
        t->known++;
        *out = (struct tag_item){.field = f};
        return true;
    }
    if (raw.tag < 0)
        return false;
    t->raw = raw.rest;
    *out = (struct tag_item){.raw = raw.all};
    return true;
}

/* Raw tags are ours to send only if they can be read again. */
static bool raw_tags_valid(struct bytes raw)
{
    int64_t last = -1;

    for (;;) {
        struct raw_tag first = raw_tag_first(raw);

        if (first.tag < 0)
            return first.tag == -1;
        if (first.tag <= last)
            return false;
        last = first.tag;
        raw = first.rest;
    }
}

static int64_t size_tags(struct sizing *s, const struct message_layout *layout, const void *m)
{
    struct tag_merge merge = {layout, m, s->version, 0, unknown_tags_of(layout, m)};
    struct tag_item item;
    uint32_t count = 0;
    int64_t size = 0;

    if (!raw_tags_valid(merge.raw))
        return obstacle(s, NULL, -EINVAL);
    while (tag_next(&merge, &item)) {
        count++;
        if (item.field == NULL) {
            size += item.raw.n;
            continue;
        }
        int64_t inner = size_field(s, item.field, m);
        size += uvarint_size_32((uint32_t)item.field->tag);
        size += uvarint_size_32((uint32_t)inner) + inner;
    }
    return size + uvarint_size_32(count);
}

static int64_t size_struct(struct sizing *s, const struct message_layout *layout, const void *m)
{
    int64_t size = 0;

    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];

        if (!field_in_version(f, s->version)) {
            if (!(f->flags & FIELD_LOSSY) && !field_is_default(f, layout, m))
                obstacle(s, f, -EINVAL);
        } else if (f->tag < 0) {
            size += size_field(s, f, m);
        }
    }
    if (s->flexible)
        return size + size_tags(s, layout, m);
    if (unknown_tags_of(layout, m).n > 0)
        obstacle(s, NULL, -EINVAL);
    return size;
}

int64_t tags_size(const struct message_layout *layout, int16_t version, const void *m)
{
    struct sizing s = {.version = version, .flexible = true};
    int64_t size = size_tags(&s, layout, m);

    return s.error < 0 ? s.error : size;
}

int tables_measure(const struct message *message, int16_t version, const void *m,
                   struct message_extent *out)
{
    struct sizing s = {.version = version, .flexible = version >= message->flexible};

    if (!message_has_version(message, version))
        return ERR_VERSION;
    int64_t total = size_struct(&s, message->layout, m);
    if (s.error < 0)
        return s.error;
    if (total > INT32_MAX)
        return ERR_LIMIT;
    *out = (struct message_extent){total, total - s.records_bytes, s.cuts};
    return 0;
}

int64_t tables_size(const struct message *message, int16_t version, const void *m)
{
    struct message_extent extent;

    TRY(tables_measure(message, version, m, &extent));
    return extent.total_bytes;
}

const char *message_obstacle(const struct message *message, int16_t version, const void *m)
{
    struct sizing s = {.version = version, .flexible = version >= message->flexible};

    if (!message_has_version(message, version))
        return NULL;
    size_struct(&s, message->layout, m);
    if (s.error == 0)
        return NULL;
    return s.obstacle == NULL ? "tagged fields" : s.obstacle->name;
}

/* ---- writing ---- */

static void scalar_put(uint8_t kind, uint8_t *p, const void *m)
{
    switch ((enum field_kind)kind) {
    case FIELD_BOOL:
        *p = *(const bool *)m;
        return;
    case FIELD_I8:
        *p = *(const uint8_t *)m;
        return;
    case FIELD_I16:
    case FIELD_U16:
        put_u16(p, *(const uint16_t *)m);
        return;
    case FIELD_I32:
    case FIELD_U32:
        put_u32(p, *(const uint32_t *)m);
        return;
    case FIELD_I64:
    case FIELD_F64: {
        uint64_t v;
        memcpy(&v, m, 8);
        put_u64(p, v);
        return;
    }
    case FIELD_UUID:
        memcpy(p, m, 16);
        return;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_RECORDS:
    case FIELD_STRUCT:
        break;
    }
    UNREACHABLE("a scalar of no fixed size");
}

static void write_bytes(struct writing *w, const struct message_field *f, bool compact,
                        struct bytes b)
{
    w->p = put_length(w->p, b.n, compact);
    if (b.n <= 0)
        return;
    if (f->kind == FIELD_RECORDS && w->cuts != NULL) {
        *w->cuts++ = (struct message_cut){(uint32_t)(w->p - w->head), b};
        return;
    }
    ASSERT(b.p != NULL); /* records by reference need message_write_pieces */
    w->p = put_data(w->p, b.p, b.n);
}

static void write_plain(struct writing *w, const struct message_field *f, const void *m)
{
    bool compact = w->flexible && !(f->flags & FIELD_RIGID);

    if (f->kind == FIELD_STRUCT) {
        write_struct(w, f->layout, m);
    } else if (f->kind == FIELD_STRING) {
        w->p = put_string(w->p, *(const struct str *)m, compact);
    } else if (f->kind == FIELD_BYTES || f->kind == FIELD_RECORDS) {
        write_bytes(w, f, compact, *(const struct bytes *)m);
    } else {
        scalar_put(f->kind, w->p, m);
        w->p += field_wire_bytes[f->kind];
    }
}

static void write_field(struct writing *w, const struct message_field *f, const void *m)
{
    const char *at = (const char *)m + f->offset;

    if (f->flags & FIELD_ARRAY) {
        const char *elements = *(const char *const *)at;
        int32_t count = *(const int32_t *)((const char *)m + f->count_offset);
        size_t element_bytes = field_element_bytes(f);

        w->p = put_length(w->p, count, w->flexible);
        for (int32_t i = 0; i < count; i++)
            write_plain(w, f, elements + (size_t)i * element_bytes);
        return;
    }
    if (!(f->flags & FIELD_POINTER)) {
        write_plain(w, f, at);
        return;
    }
    const void *inner = *(const void *const *)at;
    if (field_nullable(f, w->version)) {
        uint8_t null_lead = f->tag >= 0 ? 0 : 0xff;
        *w->p++ = inner == NULL ? null_lead : 1;
    }
    if (inner != NULL)
        write_struct(w, f->layout, inner);
}

static void write_tags(struct writing *w, const struct message_layout *layout, const void *m)
{
    struct tag_merge merge = {layout, m, w->version, 0, unknown_tags_of(layout, m)};
    struct tag_merge counted = merge;
    struct tag_item item;
    uint32_t count = 0;

    while (tag_next(&counted, &item))
        count++;
    w->p = put_uvarint(w->p, count);
    while (tag_next(&merge, &item)) {
        if (item.field == NULL) {
            w->p = put_data(w->p, item.raw.p, item.raw.n);
            continue;
        }
        struct sizing s = {.version = w->version, .flexible = true};
        w->p = put_uvarint(w->p, (uint32_t)item.field->tag);
        w->p = put_uvarint(w->p, (uint64_t)size_field(&s, item.field, m));
        write_field(w, item.field, m);
    }
}

static void write_struct(struct writing *w, const struct message_layout *layout, const void *m)
{
    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];

        if (f->tag < 0 && field_in_version(f, w->version))
            write_field(w, f, m);
    }
    if (w->flexible)
        write_tags(w, layout, m);
}

uint8_t *tags_write(const struct message_layout *layout, int16_t version, const void *m,
                    uint8_t *out)
{
    struct writing w = {.p = out, .head = out, .version = version, .flexible = true};

    write_tags(&w, layout, m);
    return w.p;
}

void tables_write(const struct message *message, int16_t version, const void *m, uint8_t *out)
{
    struct writing w = {
        .p = out, .head = out, .version = version, .flexible = version >= message->flexible};

    ASSERT(message_has_version(message, version));
    write_struct(&w, message->layout, m);
}

void tables_write_pieces(const struct message *message, int16_t version, const void *m,
                         uint8_t *head, struct message_cut *cuts)
{
    struct message_cut none;
    struct writing w = {
        .p = head,
        .head = head,
        .cuts = cuts == NULL ? &none : cuts, /* without records no cut is written */
        .version = version,
        .flexible = version >= message->flexible,
    };

    ASSERT(message_has_version(message, version));
    write_struct(&w, message->layout, m);
}
