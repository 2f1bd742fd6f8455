/* record/record.h - record batches of magic 2 (KIP-98): view, build, validate, convert.
 *
 *   0 base_offset i64 | 8 length i32 | 12 leader_epoch i32 | 16 magic i8 | 17 crc u32 |
 *  21 attributes i16 | 23 last_offset_delta i32 | 27 base_timestamp i64 | 35 max_timestamp i64 |
 *  43 producer_id i64 | 51 producer_epoch i16 | 53 base_sequence i32 | 57 count i32 | 61 records
 *
 *   R1  `length` counts what follows it: the whole batch is length + 12 bytes.
 *   R2  The checksum (CRC-32C) covers bytes 21 to the end; base offset and leader epoch may be
 *       stamped without touching it.
 *   R3  A batch that is already in a log is never changed.
 */
#pragma once

#include "base/base.h"
#include "compression/compression.h"
#include "protocol/protocol.h" /* enum kerr */

#define BATCH_HEADER_BYTES 61
#define BATCH_LENGTH_FIELD_END 12 /* bytes before and with `length` */
#define BATCH_MAGIC 2

enum batch_attributes {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

/* The header of one batch, in host order. `bytes` is the whole batch, borrowed. */
struct batch {
    struct bytes bytes;
    int64_t base_offset;
    int64_t last_offset;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id;     /* -1 = none */
    int32_t leader_epoch;
    uint32_t crc;
    int32_t last_offset_delta;
    int32_t base_sequence;   /* -1 = none */
    int32_t count;
    int16_t producer_epoch;  /* -1 = none */
    uint16_t attributes;
};

static inline enum codec batch_codec(const struct batch *b)
{
    return (enum codec)(b->attributes & BATCH_CODEC_MASK);
}
static inline bool batch_is_control(const struct batch *b)
{
    return (b->attributes & BATCH_CONTROL) != 0;
}
static inline bool batch_is_transactional(const struct batch *b)
{
    return (b->attributes & BATCH_TRANSACTIONAL) != 0;
}
static inline bool batch_has_producer(const struct batch *b)
{
    return b->producer_id >= 0;
}
/* Sequence of the last record; sequences wrap from 2^31-1 to 0. */
int32_t batch_last_sequence(const struct batch *b);
int32_t sequence_add(int32_t sequence, int32_t n);

/* Read the header of the first batch in `in` (structure only, not the checksum).
 *   -> bytes of the whole batch
 * Fails  ERR_SHORT    fewer bytes than the header or the batch needs (`*need_bytes`, may be NULL:
 *                     how many would be enough to go on)
 *        ERR_VERSION  magic is not 2
 *        ERR_CORRUPT  a length that no batch can have
 */
MUST int batch_read(struct bytes in, struct batch *out, uint32_t *need_bytes);

/* The next of batches that lie one behind the other; `*rest` starts as all of them and then is what
 * follows. 1 = `out` is the next batch, 0 = no more; else as batch_read, with `*rest` left at the
 * batch that is cut or bad. */
MUST int batch_next(struct bytes *rest, struct batch *out);

/* True when the stored checksum is that of the bytes. */
bool batch_crc_ok(const struct batch *b);

/* Write the base offset and leader epoch into a batch's bytes (R2). */
void batch_stamp(uint8_t *batch, int64_t base_offset, int32_t leader_epoch);

/* ---- records inside a batch ---------------------------------------------------------------- */

struct record {
    int64_t offset;
    int64_t timestamp_ms;
    struct bytes key;     /* null possible */
    struct bytes value;   /* null possible */
    struct bytes headers; /* header_count headers as on the wire */
    int32_t header_count;
    int32_t offset_delta; /* as stored: validation looks at it */
};

struct record_header {
    struct str key;
    struct bytes value; /* null possible */
} __attribute__((may_alias)); /* room library reads the public struct mr_header as this one */

/* Goes through the records of a batch, in order. Zeroed, or after records_end: nothing to free. */
struct records {
    const struct batch *batch;
    const uint8_t *first, *p, *end;
    int32_t left;
    struct text plain; /* the decompressed records, owned */
};

/* Begin; decompresses where needed, up to `limit_bytes`. `batch` must live until records_end.
 *
 * Fails  ERR_CORRUPT  also for an unknown codec and a negative count
 *        ERR_LIMIT    the records are larger
 *        -ENOMEM
 */
MUST int records_begin(struct records *r, const struct batch *batch, size_t limit_bytes);

/* 1 = `out` is the next record (slices live until records_end), 0 = no more; ERR_CORRUPT also
 * when bytes are left behind the last record. What comes out is sound to the last header.
 * A record's time is the batch's max timestamp where the batch has LogAppendTime. */
MUST int records_next(struct records *r, struct record *out);
void records_rewind(struct records *r); /* back to the first record; nothing is done twice */
void records_end(struct records *r);

/* Go through what `of` has begun, from the first record, beside it and whoever else does: also on another thread. `of`
 * and its batch live until records_end, and only records_end may touch `of` meanwhile. */
void records_share(struct records *r, const struct records *of);
/* Which record is next. Whoever goes through the same batch may go on there. */
struct records_place {
    int32_t number, bytes; /* counted from the first one */
};
struct records_place records_place(const struct records *r);
void records_go(struct records *r, struct records_place at);
/* Pass over `count` records, by their lengths alone: 0, or ERR_CORRUPT. */
MUST int records_skip(struct records *r, int32_t count);

/* 1/0 as records_next; `*rest` starts as record.headers. */
MUST int record_header_next(struct bytes *rest, struct record_header *out);

/* ---- building -------------------------------------------------------------------------------- */

/* Collects records, then makes one batch. Any field but `records` and `count` may be set between
 * batch_builder_init and batch_builder_finish:
 *
 *   LogAppendTime    its bit in `attributes`, and max_timestamp_ms after the last record
 *   delete horizon   its bit, and base_timestamp_ms, before the first record (KIP-534)
 *   what the cleaner leaves   last_offset_delta after the last record: a batch keeps its end, even
 *                             one that has lost all its records
 */
struct batch_builder {
    struct text records;
    int64_t base_offset;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id;
    int32_t leader_epoch;
    int32_t base_sequence;
    int32_t count;
    int32_t last_offset_delta;
    int16_t producer_epoch;
    uint16_t attributes; /* codec, transactional, control: set before batch_builder_finish */
    int level;           /* of the codec */
};

/* No producer, base offset 0, leader epoch -1, no timestamps, codec none. Takes no memory. */
void batch_builder_init(struct batch_builder *b);
void batch_builder_deinit(struct batch_builder *b);

/* Append a record with the next offset delta. The first one sets the base timestamp. */
void batch_builder_add(struct batch_builder *b, int64_t timestamp_ms, struct bytes key,
                       struct bytes value, const struct record_header *headers,
                       int32_t header_count);

/* As above but with an offset delta of the caller's (greater than the last): for the cleaner. */
void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                          struct bytes key, struct bytes value, struct bytes headers,
                          int32_t header_count);

/* Bytes that an uncompressed batch of what is there now would take. */
size_t batch_builder_size(const struct batch_builder *b);

/* Write one record at `p`, for who keeps memory of its own and has room for what RECORD_OVERHEAD_MAX says. Headers come
 * from an array, or as on the wire. Returns the first byte behind the record. */
uint8_t *record_put(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key, struct bytes value,
                    const struct record_header *headers, int32_t header_count);
uint8_t *record_put_raw(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key,
                        struct bytes value, struct bytes headers, int32_t header_count);
/* No record takes more than this besides the bytes of its key, value and headers; and no header more than that besides
 * those of its key and value. */
#define RECORD_OVERHEAD_MAX 36
#define RECORD_HEADER_OVERHEAD_MAX 10

/* Write the header of a batch whose records, `h->bytes.n` bytes with the header, stand behind it already; the checksum
 * last. `h->crc` and `h->last_offset` do not count. */
void batch_write(const struct batch *h, uint8_t *bytes);

/* Append the finished batch to `out`. The builder is afterwards as after batch_builder_init, ready
 * for the next batch, but keeps its memory. A batch without records is never compressed.
 *
 * Fails  ERR_LIMIT  a batch of more than 2^31 - 1 bytes; -ENOMEM; then the builder is unchanged
 */
MUST int batch_builder_finish(struct batch_builder *b, struct text *out);

/* ---- what a leader does with batches from a producer --------------------------------------- */

/* Which batches are looked into though their header gives no reason to. Kafka looks into all. */
enum look {
    LOOK_FOR_CAUSE = 0, /* none: the fast path is the header and one pass of the checksum */
    LOOK_PLAIN,         /* the uncompressed ones */
    LOOK_ALL,           /* and decompresses the others */
};

struct validate_rules {
    int32_t batch_bytes_max;          /* max.message.bytes */
    int64_t now_ms;                   /* wall clock */
    int64_t timestamp_before_max_ms;  /* message.timestamp.before.max.ms */
    int64_t timestamp_after_max_ms;
    size_t plain_bytes_max;           /* a batch decompressed; at most the sum of what
                                         max.decompressed.message.bytes allows each record */
    int codec;                        /* enum codec, or -1: as the producer chose */
    int level;                        /* of `codec` */
    enum look look;                   /* at records, without a reason in the header */
    int16_t produce_version;          /* zstd needs 7 */
    bool log_append_time;             /* message.timestamp.type */
    bool keys_required;               /* cleanup.policy has compact */
};

struct record_error {
    int32_t index; /* of the record in its batch */
    const char *message;
};
#define RECORD_ERRORS_MAX 16

struct validated {
    struct batch batch;        /* what to append: bytes in the request, or in `rebuilt` */
    struct text rebuilt;       /* owned; empty unless the batch had to be made anew */
    int64_t max_timestamp_ms;
    int64_t append_time_ms;    /* with log_append_time; else -1 */
    struct record_error errors[RECORD_ERRORS_MAX];
    int32_t error_count;       /* > 0: which records KERR_INVALID_RECORD or KERR_INVALID_TIMESTAMP
                                  is about (KIP-467); the first RECORD_ERRORS_MAX */
    const char *message;       /* why, in words; static; NULL when KERR_NONE */
};

/* Check one partition's `records` field of a Produce request, as Kafka's LogValidator, and make it
 * ready: exactly one batch of magic 2, checksum, sizes, sequence fields, timestamps, keys, codec.
 * The bytes may be changed in place (max timestamp, LogAppendTime bit, then the checksum anew).
 *
 *   n     <= 0 for a field that is null or empty
 *   out   always written; end it with validated_deinit whatever the answer
 *   -> KERR_NONE, or the error to answer with out->message and out->errors
 * Cost  the header, and one pass of the checksum over the batch. Records are read, and where need
 *       be decompressed, only when a rule wants to see each of them: keys_required, another codec,
 *       rules->look, or a header whose timestamps cannot be true or are outside the limits.
 *       A batch that is changed costs a second pass of the checksum.
 * Rule  KIP-32, KIP-98, KIP-467, KIP-724, KIP-937; the README says what is not noticed
 */
enum kerr records_validate(uint8_t *records, int32_t n, const struct validate_rules *rules,
                           struct validated *out);
void validated_deinit(struct validated *v);

/* Control batches: transaction markers (KIP-98) and KRaft's (KIP-595, 630, 853). */
enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_KRAFT_VOTERS = 6,
};

/* Type of a control record's key; ERR_CORRUPT. Unknown types are returned as they are. */
MUST int control_type_read(struct bytes key, int16_t *out);

/* Add a control record of `type`; the batch must have BATCH_CONTROL set. */
void batch_builder_add_control(struct batch_builder *b, enum control_type type,
                               int64_t timestamp_ms, struct bytes value);
