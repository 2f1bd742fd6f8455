/* protocol/message.h - what all messages of the wire protocol have in common.
 *
 * A message is a plain C struct, generated from schema/NAME.wire into protocol/NAME.h. Numbers
 * are in host order. What the struct's fields mean on the wire in which version stands in tables;
 * the functions here walk them, or call what was generated for the busiest messages:
 *
 *     bytes --message_read--> struct --message_size, message_write--> bytes
 *                               |--message_print--> JSON
 *
 *   string   struct str; a slice of the input after reading
 *   bytes    struct bytes, likewise; also `records`
 *   []       pointer and NAME_count; count -1 = null, where the schema allows null
 *   {}       the struct itself; where the schema allows null a pointer, NULL = null
 *   tags     tagged fields that the schema does not know stay raw in `unknown_tags`, and are
 *            written again
 *
 * Memory: reading takes arrays from the caller's arena; all text and bytes point into the input,
 * so the input must outlive the struct. Nothing has to be freed but the arena.
 */
#pragma once

#include "base/base.h"

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_RESPONSE,
    MESSAGE_HEADER,
    MESSAGE_DATA,
    MESSAGE_METADATA,          /* records of the metadata log */
    MESSAGE_TIERED,            /* records of __remote_log_metadata */
    MESSAGE_GROUP_KEY,         /* keys and values of __consumer_offsets */
    MESSAGE_GROUP_VALUE,
    MESSAGE_SHARE_KEY,         /* of __share_group_state */
    MESSAGE_SHARE_VALUE,
    MESSAGE_TRANSACTION_KEY,   /* of __transaction_state */
    MESSAGE_TRANSACTION_VALUE,
    MESSAGE_KIND_COUNT,
};

/* The one `flexible` of a message whose versions never are. */
#define MESSAGE_NEVER_FLEXIBLE INT16_MAX

struct message_layout;
struct message_hot;

struct message {
    const char *name;          /* Kafka's: "ProduceRequest", "OffsetCommitValue" */
    const struct message_layout *layout;
    int16_t kind;              /* enum message_kind */
    int16_t key;               /* API key or record type; -1 = none */
    int16_t low, high;         /* versions */
    int16_t flexible;          /* compact lengths and tagged fields from this version on */
    bool unstable;             /* `high` is not offered by default */
    const struct message_hot *hot; /* functions of its own; NULL = the tables do */
};

/* Read a message of `version` from the front of `in`.
 *
 *   -> bytes used (what follows is the caller's business)
 *   out  the message's struct; set to its defaults when reading fails
 *
 * Fails  ERR_VERSION  the message has no such version
 *        ERR_SHORT    the input ends before the message does
 *        ERR_CORRUPT  a length, null or tag that cannot be
 *        ERR_LIMIT    the arena's limit
 * Cost   an array is taken from the arena only after its count was checked against the bytes
 *        that are left, so the arena holds at most about 27 times the input. */
MUST int message_read(const struct message *message, struct bytes in, int16_t version,
                      struct arena *arena, void *out);

/* Bytes that the message takes in `version`, records by reference included.
 *
 * Fails  ERR_VERSION  the message has no such version
 *        -EINVAL      null where the version does not allow it, or a field is set that the version
 *                     lacks and that may not be lost (message_obstacle names it)
 *        ERR_LIMIT    a string over 32,767 bytes, or more than 2 GiB */
MUST int64_t message_size(const struct message *message, int16_t version, const void *m);

/* Write exactly the bytes that message_size has counted. It must have succeeded before. */
void message_write(const struct message *message, int16_t version, const void *m, uint8_t *out);

/* The field (its name in JSON) for which message_size fails with -EINVAL or ERR_LIMIT; NULL when
 * there is none. For logs. */
const char *message_obstacle(const struct message *message, int16_t version, const void *m);

/* Records that stand between two pieces of a head. */
struct message_cut {
    uint32_t at;               /* they come before this byte of the head */
    struct bytes records;      /* as in the struct; p NULL = n bytes that are elsewhere */
};

struct message_extent {
    int64_t total_bytes;       /* as message_size */
    int64_t head_bytes;        /* without records */
    uint32_t cuts;             /* fields `records` of at least one byte */
};

/* As message_size, and what message_write_pieces needs. */
MUST int message_measure(const struct message *message, int16_t version, const void *m,
                         struct message_extent *out);

/* Write the message without the bytes of its `records`: the head, and in wire order where they
 * belong. `head` has room for head_bytes, `cuts` for extent.cuts. A records field whose p is NULL
 * and n > 0 stands for n bytes that are not in memory (a span of a segment file). */
void message_write_pieces(const struct message *message, int16_t version, const void *m,
                          uint8_t *head, struct message_cut *cuts);

/* Set the schema's defaults. A nullable struct that is not null by default points at a shared
 * constant then: replace the pointer, do not write through it. */
void message_init(const struct message *message, void *m);

/* Bytes of the message's C struct. */
size_t message_struct_bytes(const struct message *message);

/* Append JSON: names in camelCase, bytes and records in base64, uuids in 22 letters; only what the
 * version has, and tagged fields only where they differ from their defaults. */
void message_print(const struct message *message, int16_t version, const void *m, struct text *out);

/* Whether a field errorCode of it, at any depth, holds `code`. For who must know that an answer says "not me" without
 * knowing each API. */
bool message_has_error(const struct message *message, int16_t version, const void *m, int16_t code);

/* The throttle_time_ms of a response; 0 where the message, or the version, has none. What another node has said: it may
 * be negative, or absurd. */
int32_t message_throttle_time_ms(const struct message *message, int16_t version, const void *m);

/* Equal in every field, whatever the version. */
bool message_equal(const struct message *message, const void *a, const void *b);

/* NULL when there is none (unknown, or withdrawn). */
const struct message *message_find(enum message_kind kind, int16_t key);
const struct message *message_find_by_name(struct str name);

/* All messages, for tools and tests. */
extern const struct message *const message_list[];
extern const int message_count;

static inline bool message_has_version(const struct message *message, int16_t version)
{
    return version >= message->low && version <= message->high;
}
