#include "producer/accumulator.h"

#include <stdlib.h>

/* ---- life -------------------------------------------------------------------------------------- */

static bool topic_equal(const struct map_node *node, const void *key)
{
    const struct str *name = key;

    return str_equal(container_of(node, struct producer_topic, by_name)->name, *name);
}

/* Memory of a batch of `limit` bytes with room for tags. */
static uint64_t memory_of(uint64_t limit, uint64_t tags_bytes)
{
    uint64_t bytes = sizeof(struct producer_batch) + limit + tags_bytes + 2 * sizeof(uint64_t);

    return bytes / sizeof(uint64_t) * sizeof(uint64_t);
}

/* Of batch.size; with tags one for every 64 bytes of it. */
static uint64_t block_bytes(uint64_t batch_size, bool tagged)
{
    return memory_of(batch_size, tagged ? batch_size / 8 : 0);
}

/* Batches that would not fit into buffer.memory are smaller. */
static uint32_t batch_size_of(const struct producer_settings *s)
{
    uint64_t overhead = block_bytes(0, true);

    if (block_bytes(s->batch_size, true) <= s->buffer_memory)
        return s->batch_size;
    return s->buffer_memory <= overhead ? 0 : (uint32_t)((s->buffer_memory - overhead) / 9 * 8);
}

static struct flush_group *group_new(void)
{
    struct flush_group *g = calloc(1, sizeof *g);

    if (g != NULL)
        list_init(&g->ops);
    return g;
}

/* The settings' text is the caller's. */
static void keep_texts(struct accumulator *a)
{
    a->settings.rack.p = str_dup(a->settings.rack);
    for (uint32_t i = 0; i < a->settings.compression_count; i++)
        a->settings.compressions[i].topic.p = str_dup(a->settings.compressions[i].topic);
}

static void forget_texts(struct accumulator *a)
{
    for (uint32_t i = 0; i < a->settings.compression_count; i++)
        free((char *)a->settings.compressions[i].topic.p);
    free((char *)a->settings.rack.p);
}

int accumulator_init(struct accumulator *a, const struct producer_settings *s, uint64_t seed)
{
    struct flush_group *group = group_new();

    if (group == NULL)
        return -ENOMEM;
    *a = (struct accumulator){.settings = *s, .timer_ms = INT64_MAX};
    keep_texts(a);
    a->settings.batch_size = batch_size_of(s);
    block_init(&a->memory, s->buffer_memory, (uint32_t)block_bytes(a->settings.batch_size, false));
    prng_init(&a->prng, seed);
    map_init(&a->topics_by_name, topic_equal);
    list_init(&a->topics);
    list_init(&a->active);
    list_init(&a->waiting);
    list_init(&a->unwanted);
    list_init(&a->groups);
    list_add_tail(&a->groups, &group->node);
    return 0;
}

static void topic_free(struct producer_topic *t)
{
    for (int32_t i = 0; i < t->part_count; i++)
        free(t->parts[i]);
    free(t->parts);
    free(t->loads);
    free(t->load_index);
    free((char *)t->name.p);
    free(t);
}

void accumulator_deinit(struct accumulator *a)
{
    LIST_EACH(it, &a->topics)
        topic_free(container_of(it, struct producer_topic, node));
    LIST_EACH(it, &a->groups)
        free(container_of(it, struct flush_group, node));
    map_deinit(&a->topics_by_name);
    block_deinit(&a->memory);
    forget_texts(a);
}

struct producer_topic *accumulator_topic(struct accumulator *a, struct str name)
{
    uint64_t hash = str_hash(name);
    struct map_node *found = map_find(&a->topics_by_name, hash, &name);
    struct producer_topic *t;

    if (found != NULL)
        return container_of(found, struct producer_topic, by_name);
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->name = (struct str){str_dup(name), name.n};
    if (t->name.p == NULL) {
        free(t);
        return NULL;
    }
    t->accumulator = a;
    t->loads_ms = -1;
    list_init(&t->waiting);
    producer_settings_codec(&a->settings, name, &t->codec, &t->level);
    map_add(&a->topics_by_name, &t->by_name, hash);
    list_add_tail(&a->topics, &t->node);
    return t;
}

/* ---- batches ------------------------------------------------------------------------------------- */

/* The sender looks again at `at_ms`, or now. */
static void wake_by(struct accumulator *a, int64_t at_ms)
{
    if (a->woken || at_ms >= a->timer_ms)
        return;
    a->woken = true;
    if (a->wake != NULL)
        a->wake(a);
}

/* Likewise, about a batch of the partition. Where its node has as many requests as it may, the sender looks again by
 * itself when one ends, and can do nothing before; but it may have to note how long the node makes it wait. */
static void wake_for(const struct producer_partition *part, int64_t at_ms)
{
    struct accumulator *a = part->topic->accumulator;

    if (part->node != NULL && part->node->calls >= a->settings.max_in_flight && a->settings.availability_timeout_ms == 0)
        return;
    wake_by(a, at_ms);
}

struct producer_batch *accumulator_batch(struct producer_topic *t, uint32_t bytes, int64_t now_ms, bool beyond,
                                         struct flush_group *group)
{
    struct accumulator *a = t->accumulator;
    uint32_t limit = bytes == 0 ? a->settings.batch_size : bytes;
    uint32_t all = bytes == 0 ? a->memory.block_bytes : (uint32_t)memory_of(bytes, 0);
    struct producer_batch *b = block_take(&a->memory, all, beyond);

    if (b == NULL)
        return NULL;
    *b = (struct producer_batch){
        .topic = t,
        .group = group,
        .n = BATCH_HEADER_BYTES,
        .limit = limit,
        .memory_bytes = all,
        .created_ms = now_ms,
        .max_timestamp_ms = -1,
        .codec = t->codec,
        .fate = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .base_offset = -1, .append_time_ms = -1},
    };
    a->batches++;
    t->batches++;
    group->batches++;
    return b;
}

void accumulator_free(struct accumulator *a, struct producer_batch *b)
{
    a->batches--;
    b->topic->batches--;
    b->group->batches--;
    free(b->detail);
    block_give(&a->memory, b, b->memory_bytes);
}

void accumulator_close_full(struct producer_partition *part)
{
    part->open = batch_cut(part->open, &part->topic->accumulator->memory);
    accumulator_close_open(part);
}

void accumulator_close_open(struct producer_partition *part)
{
    if (part->open == NULL)
        return;
    list_add_tail(&part->queue, &part->open->node);
    part->queued++;
    part->open = NULL;
}

bool accumulator_is_due(const struct accumulator *a, const struct producer_batch *b, int64_t now_ms)
{
    struct flush_group *newest = LIST_LAST(&a->groups, struct flush_group, node);

    return now_ms - b->created_ms >= a->settings.linger_ms || b->group != newest || a->full || a->refuses;
}

/* ---- appending ------------------------------------------------------------------------------------- */

/* The most that the record takes, or why it is refused. */
static int64_t record_bound(const struct accumulator *a, const struct producer_record *r)
{
    int64_t n = RECORD_OVERHEAD_MAX;

    n += r->key.n > 0 ? r->key.n : 0;
    n += r->value.n > 0 ? r->value.n : 0;
    for (int32_t i = 0; i < r->header_count; i++) {
        if (str_is_null(r->headers[i].key))
            return -EINVAL;
        n += RECORD_HEADER_OVERHEAD_MAX + r->headers[i].key.n;
        n += r->headers[i].value.n > 0 ? r->headers[i].value.n : 0;
    }
    if (UNLIKELY(r->timestamp_ms < -1))
        return -EINVAL;
    if (UNLIKELY(n + BATCH_HEADER_BYTES > a->settings.max_request_size))
        return ERR_LIMIT;
    return n;
}

static void write_record(struct producer_batch *b, const struct producer_record *r, int32_t delta, int64_t wall_ms)
{
    int64_t timestamp_ms = r->timestamp_ms < 0 ? wall_ms : r->timestamp_ms;
    uint8_t *end;

    if (b->count == 0)
        b->base_timestamp_ms = timestamp_ms;
    end = record_put(batch_bytes(b) + b->n, delta, timestamp_ms - b->base_timestamp_ms, r->key, r->value, r->headers,
                     r->header_count);
    batch_added(b, end, timestamp_ms, r->tag);
}

static void say_full(struct accumulator *a, uint64_t bytes, int64_t now_ms)
{
    a->full = true;
    if (bytes > a->missed_bytes)
        a->missed_bytes = bytes;
    wake_by(a, now_ms);
}

/* A batch for a record of at most `n` bytes; what does not fit into one of batch.size has one of its own. */
static struct producer_batch *batch_for(struct producer_topic *t, int64_t n, int64_t now_ms, int *error)
{
    struct accumulator *a = t->accumulator;
    struct flush_group *group = LIST_LAST(&a->groups, struct flush_group, node);
    uint64_t bytes = (uint64_t)n + BATCH_HEADER_BYTES;
    bool alone = bytes > a->settings.batch_size;
    struct producer_batch *b;

    if (alone && memory_of(bytes, 0) > a->memory.limit_bytes) {
        *error = ERR_LIMIT;
        return NULL;
    }
    b = accumulator_batch(t, alone ? (uint32_t)bytes : 0, now_ms, false, group);
    if (b == NULL) {
        *error = -EAGAIN;
        say_full(a, alone ? memory_of(bytes, 0) : a->memory.block_bytes, now_ms);
        return NULL;
    }
    b->alone = alone;
    return b;
}

/* Before the partitions are known: a batch of those that wait; NULL with `*error`. */
static struct producer_batch *waiting_batch(struct producer_topic *t, const struct producer_record *r, int64_t n,
                                            int64_t now_ms, int *error)
{
    struct accumulator *a = t->accumulator;
    struct producer_batch *b = LIST_LAST(&t->waiting, struct producer_batch, node);

    if (b != NULL && !b->alone && batch_has_room(b, (uint64_t)n, r->tag != 0))
        return b;
    b = batch_for(t, n, now_ms, error);
    if (b == NULL)
        return NULL;
    if (list_empty(&t->waiting))
        list_add_tail(&a->waiting, &t->waits);
    list_add_tail(&t->waiting, &b->node);
    b->wanted = r->partition;
    wake_by(a, now_ms + a->settings.delivery_timeout_ms);
    return b;
}

/* The partition's batch with room for the record; NULL with `*error`. A sticky partition whose batch is full is left
 * for another one. */
static struct producer_batch *open_batch(struct producer_partition **part, const struct producer_record *r, int64_t n,
                                         int64_t now_ms, int *error)
{
    struct producer_topic *t = (*part)->topic;
    struct accumulator *a = t->accumulator;
    struct producer_batch *b;

    if ((*part)->open != NULL) {
        accumulator_close_full(*part);
        wake_for(*part, now_ms);
        if (*part == t->sticky) {
            t->sticky = NULL;
            *part = partitioner_choose(t, r->partition, r->key, now_ms);
            if ((*part)->open != NULL && batch_has_room((*part)->open, (uint64_t)n, r->tag != 0))
                return (*part)->open;
            accumulator_close_open(*part);
        }
    }
    b = batch_for(t, n, now_ms, error);
    if (b == NULL)
        return NULL;
    b->part = *part;
    (*part)->open = b;
    if (!list_linked(&(*part)->active))
        list_add_tail(&a->active, &(*part)->active);
    wake_for(*part, now_ms + a->settings.linger_ms);
    return b;
}

/* The first record with a tag: from now on batches have room for them. */
static void begin_tags(struct accumulator *a)
{
    a->tagged = true;
    block_resize(&a->memory, (uint32_t)block_bytes(a->settings.batch_size, true));
}

static void want(struct producer_topic *t, int64_t now_ms)
{
    if (list_linked(&t->attention))
        return;
    list_add_tail(&t->accumulator->unwanted, &t->attention);
    wake_by(t->accumulator, now_ms);
}

/* One that waits keeps the partition that it asked for as its offset delta. */
static int32_t delta_waiting(const struct producer_batch *b, const struct producer_record *r)
{
    return b->alone ? 0 : r->partition;
}

static int no_partition(struct accumulator *a, int64_t now_ms)
{
    a->doubtful = true;
    wake_by(a, now_ms);
    return -ERANGE;
}

int accumulator_append(struct accumulator *a, const struct producer_record *r, int64_t now_ms, int64_t wall_ms)
{
    struct producer_topic *t = r->topic;
    struct producer_partition *part = NULL;
    struct producer_batch *b;
    int64_t n = record_bound(a, r);
    bool waits = t->partition_count == 0;
    uint32_t before;
    int error = 0;

    if (UNLIKELY(a->refuses))
        return ERR_CLOSED;
    if (UNLIKELY(n < 0))
        return (int)n;
    t->appended_ms = now_ms;
    if (UNLIKELY(r->tag != 0 && !a->tagged))
        begin_tags(a);
    if (UNLIKELY(!t->wanted))
        want(t, now_ms);
#ifndef MUTANT_PRODUCER_OVERTAKES_WAITING
    waits = waits || !list_empty(&t->waiting);
#endif
    if (UNLIKELY(waits)) {
        b = waiting_batch(t, r, n, now_ms, &error);
    } else {
        part = partitioner_choose(t, r->partition, r->key, now_ms);
        if (UNLIKELY(part == NULL))
            return no_partition(a, now_ms);
        b = part->open;
        if (UNLIKELY(b == NULL || !batch_has_room(b, (uint64_t)n, r->tag != 0)))
            b = open_batch(&part, r, n, now_ms, &error);
    }
    if (UNLIKELY(b == NULL))
        return error;
    before = b->n;
    write_record(b, r, LIKELY(part != NULL) ? b->count : delta_waiting(b, r), wall_ms);
    if (UNLIKELY(part == NULL))
        return 0;
    if (UNLIKELY(b->n + RECORD_OVERHEAD_MAX > b->limit)) { /* no other record can fit */
        accumulator_close_open(part);
        wake_for(part, now_ms);
    }
    partitioner_added(t, part, b->n - before, part->open == NULL);
    return 0;
}
