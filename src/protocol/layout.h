/* protocol/layout.h - the tables behind the messages: private to this room and its tests. */
#pragma once

#include "protocol/message.h"

enum field_kind {
    FIELD_BOOL,
    FIELD_I8,
    FIELD_I16,
    FIELD_U16,
    FIELD_I32,
    FIELD_U32,
    FIELD_I64,
    FIELD_F64,
    FIELD_UUID,
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_RECORDS,
    FIELD_STRUCT,
};

#define FIELD_ARRAY 1    /* pointer, and a count at count_offset */
#define FIELD_POINTER 2  /* one struct, NULL = null */
#define FIELD_LOSSY 4    /* may be dropped where the version lacks it */
#define FIELD_RIGID 8    /* never compact */
#define FIELD_NOWHERE UINT16_MAX

/* One field of one struct. Fields of a layout stand in wire order, tagged ones included. */
struct message_field {
    const char *name;                    /* in JSON */
    const struct message_layout *layout; /* FIELD_STRUCT: of the struct or the elements */
    uint16_t offset;                     /* in the C struct */
    uint16_t count_offset;               /* FIELD_ARRAY */
    uint8_t kind;                        /* enum field_kind */
    uint8_t flags;
    uint8_t low, high;                   /* versions that have it */
    uint8_t null_low, null_high;         /* versions that allow null; 1, 0 = none */
    int8_t tag;                          /* -1 = not tagged */
};

struct message_layout {
    const struct message_field *fields;
    const void *defaults;                /* one C struct that holds them */
    const uint8_t *tags;                 /* tag number -> index in fields */
    const uint8_t *least;                /* fewest wire bytes, by version from the message's lowest;
                                            capped at 255 */
    uint16_t struct_bytes;
    uint16_t unknown_tags_offset;        /* FIELD_NOWHERE = the struct is never flexible */
    uint8_t field_count;
    uint8_t tag_count;
    bool may_have_tags;
};

struct message_index {
    const struct message *const *by_key;
    size_t count;
};

extern const struct message_index message_indexes[MESSAGE_KIND_COUNT];

/* Bytes on the wire of the kinds before FIELD_STRING. */
extern const uint8_t field_wire_bytes[FIELD_STRING];

static inline bool field_in_version(const struct message_field *f, int16_t version)
{
    return version >= f->low && version <= f->high;
}

static inline bool field_nullable(const struct message_field *f, int16_t version)
{
    return version >= f->null_low && version <= f->null_high;
}

/* Bytes of the C object that holds one value (one element of an array). */
static inline size_t field_element_bytes(const struct message_field *f)
{
    if (f->kind == FIELD_STRUCT)
        return f->layout->struct_bytes;
    if (f->kind == FIELD_STRING)
        return sizeof(struct str);
    if (f->kind == FIELD_BYTES || f->kind == FIELD_RECORDS)
        return sizeof(struct bytes);
    return field_wire_bytes[f->kind];
}

/* The field of struct `m` has the schema's default. */
bool field_is_default(const struct message_field *f, const struct message_layout *layout,
                      const void *m);

/* Null where the struct can have none. */
struct bytes unknown_tags_of(const struct message_layout *layout, const void *m);

/* The tagged fields at the end of struct `m` in a flexible version, their count included: bytes
 * (or what message_size fails with), and write them; returns the first byte behind. */
MUST int64_t tags_size(const struct message_layout *layout, int16_t version, const void *m);
uint8_t *tags_write(const struct message_layout *layout, int16_t version, const void *m,
                    uint8_t *out);

/* What message_read and its kin (message.h) do for a message without functions of its own: the one
 * interpreter of the tables. */
MUST int tables_read(const struct message *message, struct bytes in, int16_t version,
                     struct arena *arena, void *out);
MUST int64_t tables_size(const struct message *message, int16_t version, const void *m);
MUST int tables_measure(const struct message *message, int16_t version, const void *m,
                        struct message_extent *out);
void tables_write(const struct message *message, int16_t version, const void *m, uint8_t *out);
void tables_write_pieces(const struct message *message, int16_t version, const void *m,
                         uint8_t *head, struct message_cut *cuts);

/* The functions of a message that has its own, which do what the tables do (P4). */
struct message_hot {
    const struct message *message;
    int (*read)(struct bytes in, int16_t version, struct arena *arena, void *out);
    int64_t (*size)(const void *m, int16_t version);
    void (*write)(const void *m, int16_t version, uint8_t *out);
    int (*measure)(const void *m, int16_t version, struct message_extent *out); /* with records */
    void (*write_pieces)(const void *m, int16_t version, uint8_t *head, struct message_cut *cuts);
};

extern const struct message_hot message_hot[];
extern const int message_hot_count;
