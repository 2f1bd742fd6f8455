#include "compaction/transactions.h"

#include <stdlib.h>

struct open_transaction {
    struct map_node node;
    int64_t producer_id;
    bool met;     /* a batch of it was */
    bool aborted; /* then `entry` says which one it is */
    struct compaction_aborted entry;
};

static bool id_equal(const struct map_node *node, const void *key)
{
    return container_of(node, struct open_transaction, node)->producer_id == *(const int64_t *)key;
}

static uint64_t id_hash(int64_t id)
{
    return ((uint64_t)id * 0x9e3779b97f4a7c15U) ^ ((uint64_t)id >> 29);
}

static struct open_transaction *open_find(const struct transactions *t, int64_t producer_id)
{
    struct map_node *node = map_find(&t->open, id_hash(producer_id), &producer_id);

    return node == NULL ? NULL : container_of(node, struct open_transaction, node);
}

static struct open_transaction *open_get(struct transactions *t, int64_t producer_id)
{
    struct open_transaction *x = open_find(t, producer_id);

    if (x != NULL)
        return x;
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->producer_id = producer_id;
    map_add(&t->open, &x->node, id_hash(producer_id));
    return x;
}

void transactions_init(struct transactions *t)
{
    *t = (struct transactions){0};
    map_init(&t->open, id_equal);
}

void transactions_deinit(struct transactions *t)
{
    MAP_EACH (node, &t->open) {
        map_remove(&t->open, node);
        free(container_of(node, struct open_transaction, node));
    }
    map_deinit(&t->open);
    free(t->aborted);
    *t = (struct transactions){0};
}

static int compare(const void *a, const void *b)
{
    const struct compaction_aborted *x = a, *y = b;

    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

void transactions_add(struct transactions *t, const struct compaction_aborted *aborted,
                      uint32_t count)
{
    uint32_t left = t->count - t->taken;

    if (count == 0)
        return;
    if (left > 0)
        memmove(t->aborted, t->aborted + t->taken, left * sizeof(*t->aborted));
    t->aborted = realloc(t->aborted, ((size_t)left + count) * sizeof(*t->aborted));
    ASSERT(t->aborted != NULL);
    memcpy(t->aborted + left, aborted, count * sizeof(*t->aborted));
    t->count = left + count;
    t->taken = 0;
    qsort(t->aborted, t->count, sizeof(*t->aborted), compare);
}

/* The pass has come to `b`: aborted transactions that began are under way, unless their marker lies
 * below (a pass may begin behind it) or they are already (those that reach over several segments
 * are told of with each). */
static void take_upto(struct transactions *t, const struct batch *b)
{
    while (t->taken < t->count && t->aborted[t->taken].first_offset <= b->last_offset) {
        const struct compaction_aborted *entry = &t->aborted[t->taken++];
        struct open_transaction *x;
        if (entry->last_offset < b->base_offset)
            continue;
        x = open_get(t, entry->producer_id);
        if (x->aborted)
            continue;
        x->aborted = true;
        x->met = false;
        x->entry = *entry;
    }
}

bool transactions_batch(struct transactions *t, const struct batch *b)
{
    struct open_transaction *x;

    take_upto(t, b);
    if (!batch_is_transactional(b))
        return false;
    x = open_get(t, b->producer_id);
    x->met = true;
    return x->aborted;
}

/* The end of a transaction; other control records are left alone. */
static bool is_marker(const struct batch *b)
{
    struct records records;
    struct record record;
    int16_t type = -1;

    if (b->count == 0)
        return true;
    if (records_begin(&records, b, COMPACTION_PLAIN_BYTES_MAX) < 0)
        return false;
    if (records_next(&records, &record) == 1 && control_type_read(record.key, &type) < 0)
        type = -1;
    records_end(&records);
    return type == CONTROL_ABORT || type == CONTROL_COMMIT;
}

bool transactions_marker(struct transactions *t, const struct batch *b,
                         struct compaction_aborted *ended, bool *is_set)
{
    struct open_transaction *x;
    bool is_needed;

    take_upto(t, b);
    if (!is_marker(b))
        return false;
    x = open_find(t, b->producer_id);
    if (x == NULL)
        return true;
    is_needed = x->met && b->count > 0; /* one that was emptied has done its work */
    if (is_needed && x->aborted && ended != NULL) {
        *ended = x->entry;
        *is_set = true;
    }
    map_remove(&t->open, &x->node);
    free(x);
    return !is_needed;
}
