#include "record/record.h"
#include "record/layout.h"

/* Smallest length of any magic: what follows it in an empty message of magic 0. */
#define LENGTH_MIN_ANY_MAGIC 14

static int64_t add_wrapping(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

int32_t sequence_add(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX);
}

int32_t batch_last_sequence(const struct batch *b)
{
    return b->base_sequence < 0 ? b->base_sequence
                                : sequence_add(b->base_sequence, b->last_offset_delta);
}

static int need(uint32_t *need_bytes, uint32_t n)
{
    if (need_bytes != NULL)
        *need_bytes = n;
    return ERR_SHORT;
}

/* The header's fields from a whole batch. */
static void header_read(struct bytes whole, struct batch *out)
{
    const uint8_t *p = whole.p;
    struct batch b = {.bytes = whole};

    b.base_offset = get_i64(p + AT_BASE_OFFSET);
    b.leader_epoch = get_i32(p + AT_LEADER_EPOCH);
    b.crc = get_u32(p + AT_CRC);
    b.attributes = get_u16(p + AT_ATTRIBUTES);
    b.last_offset_delta = get_i32(p + AT_LAST_OFFSET_DELTA);
    b.base_timestamp_ms = get_i64(p + AT_BASE_TIMESTAMP);
    b.max_timestamp_ms = get_i64(p + AT_MAX_TIMESTAMP);
    b.producer_id = get_i64(p + AT_PRODUCER_ID);
    b.producer_epoch = get_i16(p + AT_PRODUCER_EPOCH);
    b.base_sequence = get_i32(p + AT_BASE_SEQUENCE);
    b.count = get_i32(p + AT_COUNT);
    b.last_offset = add_wrapping(b.base_offset, b.last_offset_delta);
    *out = b;
}

int batch_read(struct bytes in, struct batch *out, uint32_t *need_bytes)
{
    int32_t length, total;

    if (in.n <= AT_MAGIC)
        return need(need_bytes, BATCH_HEADER_BYTES);
    length = get_i32(in.p + AT_LENGTH);
    if (length < LENGTH_MIN_ANY_MAGIC || length > INT32_MAX - BATCH_LENGTH_FIELD_END)
        return ERR_CORRUPT;
    if (in.p[AT_MAGIC] != BATCH_MAGIC)
        return ERR_VERSION;
    total = length + BATCH_LENGTH_FIELD_END;
    if (total < BATCH_HEADER_BYTES)
        return ERR_CORRUPT;
    if (in.n < total)
        return need(need_bytes, (uint32_t)total);
    header_read((struct bytes){in.p, total}, out);
    return total;
}

int batch_next(struct bytes *rest, struct batch *out)
{
    int total;

    if (rest->n <= 0)
        return 0;
    total = batch_read(*rest, out, NULL);
    if (total < 0)
        return total;
    rest->p += total;
    rest->n -= total;
    return 1;
}

bool batch_crc_ok(const struct batch *b)
{
    return batch_crc(b->bytes.p, (size_t)b->bytes.n) == b->crc;
}

void batch_stamp(uint8_t *batch, int64_t base_offset, int32_t leader_epoch)
{
    put_u64(batch + AT_BASE_OFFSET, (uint64_t)base_offset);
    put_u32(batch + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}
