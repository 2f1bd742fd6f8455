/* One batch in several chunks. */
#include "consumer/split.h"

#include <stdlib.h>

enum split_state { SPLIT_PACKED, SPLIT_BUSY, SPLIT_READY, SPLIT_FAILED };

/* No record is shorter: its length, attributes, two deltas, and the lengths of key, value and headers. */
#define RECORD_BYTES_MIN 7

static bool can_be(const struct batch *b, size_t plain_max)
{
    size_t bytes = batch_codec(b) == CODEC_NONE ? (size_t)b->bytes.n : plain_max;

    return (size_t)b->count <= bytes / RECORD_BYTES_MIN && b->count - 1 <= b->last_offset - b->base_offset;
}

/* Sparse: go to the first record at or behind the position. */
static int find_start(struct split *s, int64_t position)
{
    struct record record;

    TRY(records_begin(&s->records, &s->batch, s->plain_max));
    atomic_store_explicit(&s->state, SPLIT_READY, memory_order_relaxed); /* nobody else knows of it yet */
    records_share(&s->ahead, &s->records);
    do {
        if (records_next(&s->ahead, &record) != 1)
            return ERR_CORRUPT;
    } while (record.offset < position);
    s->number = records_place(&s->ahead).number - 1;
    return 0;
}

struct split *split_new(const struct batch *b, int64_t position, int32_t max, size_t plain_max)
{
    struct split *s;

    if (b->count <= max || !can_be(b, plain_max))
        return NULL;
    s = calloc(1, sizeof *s);
    ASSERT(s != NULL);
    s->refs = 1;
    s->batch = *b;
    s->plain_max = plain_max;
    s->sparse = b->count - 1 != b->last_offset - b->base_offset;
    if (!s->sparse)
        s->number = position > b->base_offset ? (int32_t)(position - b->base_offset) : 0;
    if ((!s->sparse || find_start(s, position) == 0) && b->count - s->number > max)
        return s;
    split_unref(s);
    return NULL;
}

void split_unref(struct split *s)
{
    if (--s->refs > 0)
        return;
    if (atomic_load_explicit(&s->state, memory_order_acquire) == SPLIT_READY)
        records_end(&s->records);
    free(s);
}

/* Sparse: the offset of the record `count` behind; -1 = damaged. */
static int64_t look_ahead(struct split *s, int32_t count)
{
    struct record record;

    if (records_skip(&s->ahead, count - 1) < 0 || records_next(&s->ahead, &record) != 1)
        return -1;
    return record.offset;
}

int64_t split_take(struct split *s, int64_t position, int32_t max, int32_t *count)
{
    int32_t left = s->batch.count - s->number;
    int64_t next;

    *count = left;
    if (left <= max || atomic_load_explicit(&s->state, memory_order_relaxed) == SPLIT_FAILED)
        return s->batch.last_offset + 1;
    next = s->sparse ? look_ahead(s, max) : s->batch.base_offset + s->number + max;
    if (next <= position || next > s->batch.last_offset)
        return s->batch.last_offset + 1;
    *count = max;
    s->number += max;
    return next;
}

/* What it holds is the same, whoever has decompressed it. */
static int unpack(struct split *s, struct records *out)
{
    int state = SPLIT_PACKED, rc;

    if (atomic_compare_exchange_strong_explicit(&s->state, &state, SPLIT_BUSY, memory_order_acquire,
                                                memory_order_acquire)) {
        rc = records_begin(&s->records, &s->batch, s->plain_max);
        state = rc < 0 ? SPLIT_FAILED : SPLIT_READY;
        atomic_store_explicit(&s->state, state, memory_order_release);
        if (rc < 0)
            return rc;
    }
    if (state == SPLIT_READY)
        records_share(out, &s->records);
    else
        TRY(records_begin(out, &s->batch, s->plain_max));
    return 0;
}

int split_open(struct split *s, int32_t number, struct records *out)
{
    uint64_t mark = atomic_load_explicit(&s->mark, memory_order_relaxed);
    struct records_place at = {(int32_t)(mark >> 32), (int32_t)(mark & UINT32_MAX)};
    int rc;

    TRY(unpack(s, out));
    if (at.number <= number)
        records_go(out, at);
    else
        at.number = 0;
    rc = records_skip(out, number - at.number);
    if (rc < 0)
        records_end(out);
    return rc;
}

void split_mark(struct split *s, const struct records *r)
{
    struct records_place at = records_place(r);
    uint64_t mark = (uint64_t)(uint32_t)at.number << 32 | (uint32_t)at.bytes;

    if (mark > atomic_load_explicit(&s->mark, memory_order_relaxed))
        atomic_store_explicit(&s->mark, mark, memory_order_relaxed);
}
