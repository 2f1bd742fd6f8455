#include "inspect/stored.h"

#include "log/old_crc.h"

/* Where they are in messages of every magic. */
#define AT_SIZE 8
#define AT_MAGIC 16
#define HEAD_BYTES 17 /* what tells a batch's size and magic */
#define SIZE_MIN 14   /* of magic 0, without key and value */

/* Magic 0 and 1: i64 offset | i32 size | u32 CRC-32 of what follows | i8 magic | i8 attributes |
 * [1: i64 timestamp] | key | value */
#define OLD_AT_CRC 12
#define OLD_AT_ATTRIBUTES 17
#define OLD_AT_TIMESTAMP 18
#define OLD_1_BYTES_MIN 34

void stored_begin(struct stored_scan *s, struct reader *reader, uint64_t end)
{
    *s = (struct stored_scan){.reader = reader, .end = end};
}

static int old_read(struct bytes in, struct stored *out)
{
    const uint8_t *p = in.p;

    if (out->magic == 1 && in.n < OLD_1_BYTES_MIN)
        return ERR_CORRUPT;
    out->batch = (struct batch){
        .bytes = in,
        .base_offset = get_i64(p),
        .last_offset = get_i64(p),
        .max_timestamp_ms = out->magic == 1 ? get_i64(p + OLD_AT_TIMESTAMP) : -1,
        .crc = get_u32(p + OLD_AT_CRC),
        .attributes = p[OLD_AT_ATTRIBUTES],
    };
    out->crc_ok = old_crc(p + AT_MAGIC, (size_t)in.n - AT_MAGIC) == out->batch.crc;
    return 0;
}

/* One message in `in`, by its magic. */
static int message_read_any(struct bytes in, struct stored *out)
{
    out->magic = in.p[AT_MAGIC];
    if (out->magic < BATCH_MAGIC)
        return old_read(in, out);
    int rc = batch_read(in, &out->batch, NULL);
    if (rc < 0)
        return rc;
    out->crc_ok = batch_crc_ok(&out->batch);
    return 0;
}

int stored_next(struct stored_scan *s, struct stored *out)
{
    uint64_t left = s->end - s->position;
    const uint8_t *p;

    if (left == 0)
        return STORED_END;
    if (left < HEAD_BYTES)
        return ERR_SHORT;
    p = reader_at(s->reader, s->position, HEAD_BYTES);
    if (p == NULL)
        return STORED_FILL;
    int64_t total = BATCH_LENGTH_FIELD_END + (int64_t)get_i32(p + AT_SIZE);
    if (total < BATCH_LENGTH_FIELD_END + SIZE_MIN)
        return ERR_CORRUPT;
    if ((uint64_t)total > left)
        return ERR_SHORT;
    if (total > INSPECT_BATCH_BYTES_MAX)
        return ERR_LIMIT;
    p = reader_at(s->reader, s->position, (uint32_t)total);
    if (p == NULL)
        return STORED_FILL;
    TRY(message_read_any((struct bytes){p, (int32_t)total}, out));
    out->position = s->position;
    s->position += (uint64_t)total;
    return STORED_BATCH;
}

#define ZERO_STEP_BYTES (64U << 10)

int stored_rest_is_zero(struct stored_scan *s)
{
    if (s->zeros_to < s->position)
        s->zeros_to = s->position;
    while (s->zeros_to < s->end) {
        uint64_t left = s->end - s->zeros_to;
        uint32_t n = left < ZERO_STEP_BYTES ? (uint32_t)left : ZERO_STEP_BYTES;
        const uint8_t *p = reader_at(s->reader, s->zeros_to, n);
        if (p == NULL)
            return STORED_FILL;
        if (p[0] != 0 || memcmp(p, p + 1, n - 1) != 0)
            return 0;
        s->zeros_to += n;
    }
    return 1;
}
