/* A batch that is too large for a broker becomes two (KIP-126), and a flush waits for all that was there before it. */
#include <stdlib.h>

#include "producer/accumulator.h"

/* ---- split ------------------------------------------------------------------------------------------- */

static struct producer_batch *half_new(struct producer_batch *b)
{
    uint32_t bytes = b->plain_bytes + RECORD_OVERHEAD_MAX + (b->has_tags ? (uint32_t)b->count * 8 : 0);
    struct producer_batch *half = accumulator_batch(b->topic, bytes, b->created_ms, true, b->group);

    if (half == NULL)
        return NULL;
    half->part = b->part;
    half->fate.attempts = b->fate.attempts;
    half->fate.producer_id = b->fate.producer_id;
    half->fate.producer_epoch = b->fate.producer_epoch;
    half->fate.base_sequence = b->fate.base_sequence;
    return half;
}

static void copy_record(struct producer_batch *to, const struct record *r, uint64_t tag)
{
    uint8_t *end;

    if (to->count == 0)
        to->base_timestamp_ms = r->timestamp_ms;
    end = record_put_raw(batch_bytes(to) + to->n, to->count, r->timestamp_ms - to->base_timestamp_ms, r->key, r->value,
                         r->headers, r->header_count);
    batch_added(to, end, r->timestamp_ms, tag);
}

static int fill_halves(struct producer_batch *b, struct producer_batch *halves[2])
{
    struct batch view;
    struct records records;
    struct record r;
    int error, more;

    TRY(batch_read((struct bytes){batch_bytes(b), (int32_t)b->n}, &view, NULL));
    error = records_begin(&records, &view, b->plain_bytes);
    if (error < 0)
        return error;
    for (int32_t i = 0; (more = records_next(&records, &r)) == 1; i++)
        copy_record(halves[i < b->count / 2 ? 0 : 1], &r, b->has_tags ? batch_tags_end(b)[-1 - i] : 0);
    records_end(&records);
    return more;
}

int accumulator_split(struct accumulator *a, struct producer_batch *b)
{
    struct producer_batch *halves[2];
    int error = -ENOMEM;

    ASSERT(b->count > 1);
    ASSERT(b->sealed);
    halves[0] = half_new(b);
    halves[1] = half_new(b);
    if (halves[0] != NULL && halves[1] != NULL)
        error = fill_halves(b, halves);
    if (error < 0) {
        for (int i = 0; i < 2; i++) {
            if (halves[i] != NULL)
                accumulator_free(a, halves[i]);
        }
        return error;
    }
#ifndef MUTANT_PRODUCER_HALVES_ALIKE
    if (b->fate.base_sequence >= 0)
        halves[1]->fate.base_sequence = sequence_add(b->fate.base_sequence, halves[0]->count);
#endif
    list_insert_before(&b->node, &halves[0]->node);
    list_insert_before(&b->node, &halves[1]->node);
    list_remove(&b->node);
    accumulator_free(a, b);
    return 0;
}

/* ---- flush ------------------------------------------------------------------------------------------- */

int accumulator_flush(struct accumulator *a, struct op *op)
{
    struct flush_group *newest = LIST_LAST(&a->groups, struct flush_group, node);
    struct flush_group *next = calloc(1, sizeof *next);

    if (next == NULL)
        return -ENOMEM;
    list_init(&next->ops);
    list_add_tail(&a->groups, &next->node);
    list_add_tail(&newest->ops, &op->node);
    return 0;
}

void accumulator_flushed(struct accumulator *a, struct list *done)
{
    for (;;) {
        struct flush_group *oldest = LIST_FIRST(&a->groups, struct flush_group, node);
        if (oldest->batches > 0 || list_empty(&oldest->ops))
            return;
        list_move_all(done, &oldest->ops);
        list_remove(&oldest->node);
        free(oldest);
    }
}
