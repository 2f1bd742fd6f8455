/* A topic's partitions become known: records that have waited for that go where they belong. */
#include <stdlib.h>

#include "producer/accumulator.h"

static struct producer_partition *partition_new(struct producer_topic *t, int32_t index)
{
    struct producer_partition *part = calloc(1, sizeof *part);

    if (part == NULL)
        return NULL;
    part->topic = t;
    part->index = index;
    part->leader_epoch = -1;
    list_init(&part->queue);
    producer_lane_init(&part->lane);
    return part;
}

int accumulator_partitions(struct producer_topic *t, int32_t count)
{
    size_t n = (size_t)count;
    void *parts, *loads, *index;

    if (count > t->part_count) {
        parts = realloc(t->parts, n * sizeof *t->parts);
        t->parts = parts != NULL ? parts : t->parts;
        loads = realloc(t->loads, n * sizeof *t->loads);
        t->loads = loads != NULL ? loads : t->loads;
        index = realloc(t->load_index, n * sizeof *t->load_index);
        t->load_index = index != NULL ? index : t->load_index;
        if (parts == NULL || loads == NULL || index == NULL)
            return -ENOMEM;
    }
    while (t->part_count < count) {
        t->parts[t->part_count] = partition_new(t, t->part_count);
        if (t->parts[t->part_count] == NULL)
            return -ENOMEM;
        t->part_count++;
    }
    if (count != t->partition_count)
        t->sticky = NULL;
    t->load_count = 0;
    t->loads_ms = -1;
    t->partition_count = count;
    return 0;
}

/* ---- what has waited --------------------------------------------------------------------------------- */

struct placing {
    struct producer_topic *topic;
    struct producer_batch *batch; /* of those that wait */
    int64_t now_ms;
    struct list *failed;
};

static void activate(struct accumulator *a, struct producer_partition *part)
{
    if (!list_linked(&part->active))
        list_add_tail(&a->active, &part->active);
}

static uint64_t tag_of(struct producer_batch *b, int32_t i)
{
    return b->has_tags ? batch_tags_end(b)[-1 - i] : 0;
}

/* Append the record to `b`. */
static void move_record(struct placing *pl, struct producer_batch *b, const struct record *r, int32_t delta)
{
    uint8_t *end;

    if (b->count == 0)
        b->base_timestamp_ms = r->timestamp_ms;
    end = record_put_raw(batch_bytes(b) + b->n, delta, r->timestamp_ms - b->base_timestamp_ms, r->key, r->value,
                         r->headers, r->header_count);
    batch_added(b, end, r->timestamp_ms, tag_of(pl->batch, pl->batch->placed));
}

/* One block beyond the limit, so that records get moving when those that wait have taken all. */
static bool may_go_beyond(const struct placing *pl)
{
    const struct memory *m = &pl->topic->accumulator->memory;

    return m->used_bytes <= m->limit_bytes;
}

static uint64_t bound_of(const struct record *r)
{
    uint64_t n = RECORD_OVERHEAD_MAX;

    n += r->key.n > 0 ? (uint64_t)r->key.n : 0;
    n += r->value.n > 0 ? (uint64_t)r->value.n : 0;
    return n + (r->headers.n > 0 ? (uint64_t)r->headers.n : 0);
}

/* Where the record belongs; NULL: there is no such partition. What follows others to one that has gone shares their
 * fate, or it would be told of before them. */
static struct producer_partition *partition_of(struct placing *pl, int32_t wanted, struct bytes key)
{
    struct producer_topic *t = pl->topic;

    if (wanted >= t->partition_count && wanted < t->part_count && list_linked(&t->parts[wanted]->active))
        return t->parts[wanted];
    return partitioner_choose(t, wanted, key, pl->now_ms);
}

/* It asked for a partition that the topic does not have: told of alone. */
static bool fail_record(struct placing *pl, const struct record *r, int32_t wanted)
{
    struct producer_batch *b = accumulator_batch(pl->topic, (uint32_t)bound_of(r) + BATCH_HEADER_BYTES, pl->now_ms,
                                                 may_go_beyond(pl), pl->batch->group);

    if (b == NULL)
        return false;
    move_record(pl, b, r, 0);
    b->wanted = wanted;
    b->why = WHY_PARTITION;
    b->fate.done = b->fate.definite = true;
    b->fate.code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    list_add_tail(pl->failed, &b->node);
    return true;
}

/* false: there is no memory for it now. */
static bool place_record(struct placing *pl, const struct record *r)
{
    struct accumulator *a = pl->topic->accumulator;
    int32_t wanted = r->offset_delta;
    struct producer_partition *part = partition_of(pl, wanted, r->key);
    uint64_t bytes = bound_of(r), tag = tag_of(pl->batch, pl->batch->placed);
    struct producer_batch *b;

    if (part == NULL)
        return fail_record(pl, r, wanted);
    b = part->open;
    if (b != NULL && !batch_has_room(b, bytes, tag != 0)) {
        accumulator_close_full(part);
        b = NULL;
    }
    if (b == NULL) {
        b = accumulator_batch(pl->topic, 0, pl->batch->created_ms, may_go_beyond(pl), pl->batch->group);
        if (b == NULL)
            return false;
        b->part = part;
        part->open = b;
        activate(a, part);
    }
    move_record(pl, b, r, b->count);
    partitioner_added(pl->topic, part, bytes, false);
    return true;
}

/* One large record: its batch goes as it is. */
static void place_alone(struct placing *pl, const struct record *r)
{
    struct producer_batch *b = pl->batch;
    struct producer_partition *part = partition_of(pl, b->wanted, r->key);

    list_remove(&b->node);
    if (part == NULL) {
        b->why = WHY_PARTITION;
        b->fate.done = b->fate.definite = true;
        b->fate.code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        list_add_tail(pl->failed, &b->node);
        return;
    }
    accumulator_close_open(part);
    b->part = part;
    list_add_tail(&part->queue, &b->node);
    part->queued++;
    activate(pl->topic->accumulator, part);
    partitioner_added(pl->topic, part, b->n, true);
}

/* true: all of its records have their place, and the batch is gone. */
static bool place_batch(struct placing *pl)
{
    struct producer_batch *b = pl->batch;
    struct batch view = {
        .bytes = {batch_bytes(b), (int32_t)b->n},
        .base_timestamp_ms = b->base_timestamp_ms,
        .max_timestamp_ms = b->max_timestamp_ms,
        .count = b->count,
    };
    struct records records;
    struct record r;
    int32_t at = 0;

    if (records_begin(&records, &view, b->n) < 0)
        UNREACHABLE("records of our own cannot be read");
    while (records_next(&records, &r) == 1) {
        if (b->alone) {
            place_alone(pl, &r);
            records_end(&records);
            return true;
        }
        if (at++ < b->placed)
            continue;
        if (!place_record(pl, &r))
            break;
        b->placed++;
    }
    records_end(&records);
    if (b->placed < b->count)
        return false;
    list_remove(&b->node);
    accumulator_free(pl->topic->accumulator, b);
    return true;
}

void accumulator_place(struct producer_topic *t, int64_t now_ms, struct list *failed)
{
    struct placing pl = {.topic = t, .now_ms = now_ms, .failed = failed};

    if (t->partition_count == 0)
        return;
    while (!list_empty(&t->waiting)) {
        pl.batch = LIST_FIRST(&t->waiting, struct producer_batch, node);
        if (pl.batch->fate.done || !place_batch(&pl))
            return;
    }
    if (list_linked(&t->waits))
        list_remove(&t->waits);
}
