/* Producers and transactions of one log. */
#include "log/producers.h"

#include <stdlib.h>

static uint64_t id_hash(int64_t id)
{
    return (uint64_t)id * 0x9e3779b97f4a7c15U ^ ((uint64_t)id >> 29);
}

static bool id_equal(const struct map_node *node, const void *key)
{
    return container_of(node, struct producer, node)->id == *(const int64_t *)key;
}

void producers_init(struct producers *p, int64_t expiration_ms)
{
    *p = (struct producers){.expiration_ms = expiration_ms};
    map_init(&p->by_id, id_equal);
}

void producers_clear(struct producers *p)
{
    MAP_EACH (node, &p->by_id) {
        map_remove(&p->by_id, node);
        free(container_of(node, struct producer, node));
    }
    p->open.count = 0;
    p->unreplicated.count = 0;
}

void producers_deinit(struct producers *p)
{
    producers_clear(p);
    map_deinit(&p->by_id);
    free(p->open.entries);
    free(p->unreplicated.entries);
    p->open = p->unreplicated = (struct transactions){0};
}

static struct producer *producer_find(const struct producers *p, int64_t id)
{
    struct map_node *node = map_find(&p->by_id, id_hash(id), &id);

    return node == NULL ? NULL : container_of(node, struct producer, node);
}

static struct producer *producer_get(struct producers *p, int64_t id)
{
    struct producer *x = producer_find(p, id);

    if (x != NULL)
        return x;
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->id = id;
    x->last_timestamp_ms = -1;
    x->transaction_start = -1;
    x->coordinator_epoch = -1;
    x->epoch = -1;
    map_add(&p->by_id, &x->node, id_hash(id));
    return x;
}

static int32_t last_sequence(const struct producer *x)
{
    return x->batch_count == 0 ? -1 : x->batches[x->batch_count - 1].last_sequence;
}

/* First sequence of a batch: sequences wrap, so the subtraction does too. */
static int32_t first_sequence(const struct producer_batch *b)
{
    if (b->last_sequence >= b->offset_delta)
        return b->last_sequence - b->offset_delta;
    return INT32_MAX - (b->offset_delta - b->last_sequence) + 1;
}

/* ---- transactions, by first offset --------------------------------------------------------- */

static void transactions_add(struct transactions *t, struct transaction entry)
{
    uint32_t at = t->count;

    if (t->count == t->capacity) {
        t->capacity = t->capacity == 0 ? 4 : t->capacity * 2;
        t->entries = realloc(t->entries, t->capacity * sizeof(*t->entries));
        ASSERT(t->entries != NULL);
    }
    while (at > 0 && t->entries[at - 1].first_offset > entry.first_offset)
        at--;
    memmove(t->entries + at + 1, t->entries + at, (t->count - at) * sizeof(*t->entries));
    t->entries[at] = entry;
    t->count++;
}

static void transactions_remove(struct transactions *t, uint32_t i)
{
    memmove(t->entries + i, t->entries + i + 1, (t->count - i - 1) * sizeof(*t->entries));
    t->count--;
}

static void transaction_close(struct producers *p, struct producer *x, int64_t last_offset,
                              struct txn_completed *done)
{
    for (uint32_t i = 0; i < p->open.count; i++) {
        if (p->open.entries[i].producer_id != x->id)
            continue;
        transactions_remove(&p->open, i);
        break;
    }
    transactions_add(&p->unreplicated,
                     (struct transaction){x->transaction_start, last_offset, x->id});
    done->producer_id = x->id;
    done->first_offset = x->transaction_start;
    done->last_offset = last_offset;
    done->last_stable_offset =
        p->open.count > 0 ? p->open.entries[0].first_offset : last_offset + 1;
    x->transaction_start = -1;
}

int64_t producers_first_unstable(struct producers *p, int64_t high_watermark)
{
    int64_t first = -1;

    for (uint32_t i = p->unreplicated.count; i-- > 0;) {
        if (p->unreplicated.entries[i].last_offset < high_watermark)
            transactions_remove(&p->unreplicated, i);
    }
    if (p->unreplicated.count > 0)
        first = p->unreplicated.entries[0].first_offset;
    if (p->open.count > 0 && (first < 0 || p->open.entries[0].first_offset < first))
        first = p->open.entries[0].first_offset;
    return first;
}

/* ---- what a leader checks ------------------------------------------------------------------ */

/* Coordinator epoch and type of a marker; false for an empty control batch, which is what
 * compaction leaves of a whole transaction, and for control records of another kind. */
static bool marker_read(const struct batch *b, int16_t *type, int32_t *coordinator_epoch)
{
    struct records records;
    struct record record;
    bool found = false;

    if (records_begin(&records, b, BATCH_HEADER_BYTES * 16) < 0)
        return false;
    if (records_next(&records, &record) == 1 && control_type_read(record.key, type) == 0 &&
        (*type == CONTROL_ABORT || *type == CONTROL_COMMIT) && record.value.n >= 6) {
        *coordinator_epoch = get_i32(record.value.p + 2);
        found = true;
    }
    records_end(&records);
    return found;
}

static bool is_expired(const struct producers *p, const struct producer *x, int64_t now_ms)
{
    return x->transaction_start < 0 && now_ms - x->last_timestamp_ms >= p->expiration_ms;
}

static enum kerr check_marker(const struct producer *x, const struct batch *b)
{
    int16_t type;
    int32_t coordinator_epoch;

    if (b->producer_epoch < x->epoch)
        return KERR_INVALID_PRODUCER_EPOCH;
    if (marker_read(b, &type, &coordinator_epoch) && coordinator_epoch < x->coordinator_epoch)
        return KERR_TRANSACTION_COORDINATOR_FENCED;
    return KERR_NONE;
}

static enum kerr check_sequence(const struct producer *x, const struct batch *b)
{
    if (b->producer_epoch != x->epoch) {
        if (b->base_sequence != 0 && x->epoch >= 0)
            return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        return KERR_NONE;
    }
    int32_t last = last_sequence(x);
    if (b->base_sequence == (last < 0 ? 0 : sequence_add(last, 1)))
        return KERR_NONE;
    return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

enum kerr producers_check(const struct producers *p, const struct batch *b,
                          const struct producer_batch **duplicate)
{
    struct producer *x;

    *duplicate = NULL;
    if (b->producer_id < 0)
        return KERR_NONE;
    x = producer_find(p, b->producer_id);
    if (x == NULL)
        return KERR_NONE; /* its state may have expired: any sequence is welcome */
    if (batch_is_control(b))
        return check_marker(x, b);
    if (b->producer_epoch == x->epoch) {
        int32_t last = batch_last_sequence(b);
        for (uint32_t i = 0; i < x->batch_count; i++) {
            if (x->batches[i].last_sequence != last ||
                first_sequence(&x->batches[i]) != b->base_sequence)
                continue;
            *duplicate = &x->batches[i];
            return KERR_NONE;
        }
    }
    if (b->producer_epoch < x->epoch)
        return KERR_INVALID_PRODUCER_EPOCH;
    enum kerr error = check_sequence(x, b);
    if (error != KERR_NONE)
        return error;
    if (x->transaction_start >= 0 && !batch_is_transactional(b))
        return KERR_INVALID_TXN_STATE;
    return KERR_NONE;
}

/* ---- learning ------------------------------------------------------------------------------ */

/* A new epoch begins with new sequences. */
static void set_epoch(struct producer *x, int16_t epoch)
{
    if (x->epoch == epoch)
        return;
    x->epoch = epoch;
    x->batch_count = 0;
}

static void remember(struct producer *x, struct producer_batch b)
{
    if (x->batch_count == PRODUCER_BATCHES) {
        memmove(x->batches, x->batches + 1, sizeof(x->batches) - sizeof(x->batches[0]));
        x->batch_count--;
    }
    x->batches[x->batch_count++] = b;
}

static bool apply_marker(struct producers *p, const struct batch *b, struct txn_completed *done)
{
    int16_t type;
    int32_t coordinator_epoch;
    struct producer *x;

    if (!marker_read(b, &type, &coordinator_epoch))
        return false;
    x = producer_get(p, b->producer_id);
    set_epoch(x, b->producer_epoch);
    x->coordinator_epoch = coordinator_epoch;
    x->last_timestamp_ms = b->max_timestamp_ms;
    if (x->transaction_start < 0)
        return false; /* an empty transaction leaves no trace in the indexes */
    done->aborted = type == CONTROL_ABORT;
    transaction_close(p, x, b->last_offset, done);
    return true;
}

bool producers_apply(struct producers *p, const struct batch *b, struct txn_completed *done)
{
    struct producer *x;

    if (b->producer_id < 0)
        return false;
    if (batch_is_control(b))
        return apply_marker(p, b, done);
    x = producer_get(p, b->producer_id);
    set_epoch(x, b->producer_epoch);
    remember(x, (struct producer_batch){
                    .last_offset = b->last_offset,
                    .timestamp_ms = b->max_timestamp_ms,
                    .last_sequence = batch_last_sequence(b),
                    .offset_delta = b->last_offset_delta,
                });
    x->last_timestamp_ms = b->max_timestamp_ms;
    if (x->transaction_start < 0 && batch_is_transactional(b)) {
        x->transaction_start = b->base_offset;
        transactions_add(&p->open, (struct transaction){b->base_offset, -1, b->producer_id});
    }
    return false;
}

bool producers_last_is(const struct producers *p, const struct batch *b)
{
    const struct producer *x = b->producer_id < 0 ? NULL : producer_find(p, b->producer_id);

    if (x == NULL)
        return false;
    if (x->batch_count == 0)
        return batch_is_control(b) && b->producer_epoch == x->epoch;
    return b->last_offset == x->batches[x->batch_count - 1].last_offset;
}

/* What is left of a producer without its batches from `offset` on. */
static void copy_below(struct producers *to, const struct producer *from, int64_t offset)
{
    struct producer *x = producer_get(to, from->id);
    struct map_node node = x->node;

    *x = *from;
    x->node = node;
    while (x->batch_count > 0 && x->batches[x->batch_count - 1].last_offset >= offset)
        x->batch_count--;
    if (x->transaction_start >= offset)
        x->transaction_start = -1;
    if (x->transaction_start >= 0)
        transactions_add(&to->open, (struct transaction){x->transaction_start, -1, x->id});
}

void producers_copy_below(struct producers *to, const struct producers *from, int64_t offset)
{
    producers_clear(to);
    MAP_EACH (node, &from->by_id) {
        const struct producer *x = container_of(node, struct producer, node);
        bool is_behind = x->batch_count > 0 && x->batches[0].last_offset >= offset;
        if (!is_behind || (x->transaction_start >= 0 && x->transaction_start < offset))
            copy_below(to, x, offset);
    }
}

void producers_expire(struct producers *p, int64_t now_ms)
{
    MAP_EACH (node, &p->by_id) {
        struct producer *x = container_of(node, struct producer, node);
        if (!is_expired(p, x, now_ms))
            continue;
        map_remove(&p->by_id, node);
        free(x);
    }
}

/* ---- snapshots ----------------------------------------------------------------------------- */

/*  0 version i16 = 1 | 2 crc u32 of 6.. | 6 count i32 | 10 entries:
 *     0 id i64 | 8 epoch i16 | 10 last sequence i32 | 14 last offset i64 | 22 offset delta i32 |
 *    26 timestamp i64 | 34 coordinator epoch i32 | 38 first offset of the open transaction i64
 *
 * Kafka writes an entry for each producer, with its newest batch; so after a restart it does not know the four before
 * that one, and takes them twice or refuses them. Here each older batch has an entry of its own, in front of the
 * newest's: of several entries of a producer Kafka's reader keeps the last. */
#define SNAPSHOT_HEAD_BYTES 10
#define SNAPSHOT_ENTRY_BYTES 46

static int compare_ids(const void *a, const void *b)
{
    const struct producer *x = *(const struct producer *const *)a;
    const struct producer *y = *(const struct producer *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* With `b` as its last batch; NULL none. */
static void print_entry(const struct producer *x, const struct producer_batch *b, struct text *out)
{
    uint8_t e[SNAPSHOT_ENTRY_BYTES];
    bool is_newest = b == NULL || b == &x->batches[x->batch_count - 1];

    put_u64(e, (uint64_t)x->id);
    put_u16(e + 8, (uint16_t)x->epoch);
    put_u32(e + 10, b == NULL ? UINT32_MAX : (uint32_t)b->last_sequence);
    put_u64(e + 14, b == NULL ? UINT64_MAX : (uint64_t)b->last_offset);
    put_u32(e + 22, b == NULL ? 0 : (uint32_t)b->offset_delta);
    put_u64(e + 26, (uint64_t)(is_newest ? x->last_timestamp_ms : b->timestamp_ms));
    put_u32(e + 34, (uint32_t)x->coordinator_epoch);
    put_u64(e + 38, (uint64_t)(is_newest ? x->transaction_start : -1));
    text_add(out, e, sizeof(e));
}

static uint32_t print_entries(const struct producer *x, struct text *out)
{
    if (x->batch_count == 0) {
        print_entry(x, NULL, out);
        return 1;
    }
#ifdef MUTANT_LOG_SNAPSHOT_NEWEST
    print_entry(x, &x->batches[x->batch_count - 1], out);
    return 1;
#endif
    for (uint32_t i = 0; i < x->batch_count; i++)
        print_entry(x, &x->batches[i], out);
    return x->batch_count;
}

void producers_print(const struct producers *p, struct text *out)
{
    size_t start = out->n, count = p->by_id.count, i = 0;
    struct producer **sorted = malloc((count + 1) * sizeof(*sorted));
    uint8_t head[SNAPSHOT_HEAD_BYTES];
    uint32_t entries = 0;

    ASSERT(sorted != NULL);
    MAP_EACH (node, &p->by_id) {
        sorted[i++] = container_of(node, struct producer, node);
    }
    qsort(sorted, count, sizeof(*sorted), compare_ids);
    put_u16(head, 1);
    put_u32(head + 2, 0);
    put_u32(head + 6, 0);
    text_add(out, head, sizeof(head));
    for (i = 0; i < count; i++)
        entries += print_entries(sorted[i], out);
    free(sorted);
    put_u32(out->p + start + 6, entries);
    put_u32(out->p + start + 2, crc32c(0, out->p + start + 6, out->n - start - 6));
}

/* Of several entries of a producer the last one counts; the batches of those before it are its older ones. */
static void parse_entry(struct producers *p, const uint8_t *e, int64_t now_ms)
{
    struct producer read = {
        .id = get_i64(e),
        .last_timestamp_ms = get_i64(e + 26),
        .transaction_start = get_i64(e + 38),
    };
    struct producer *x;

    if (read.id < 0 || is_expired(p, &read, now_ms))
        return;
    x = producer_get(p, read.id);
    set_epoch(x, get_i16(e + 8));
    x->last_timestamp_ms = read.last_timestamp_ms;
    x->coordinator_epoch = get_i32(e + 34);
    if (get_i32(e + 10) >= 0)
        remember(x, (struct producer_batch){
                        .last_sequence = get_i32(e + 10),
                        .last_offset = get_i64(e + 14),
                        .offset_delta = get_i32(e + 22),
                        .timestamp_ms = read.last_timestamp_ms,
                    });
    if (read.transaction_start >= 0 && x->transaction_start < 0) {
        x->transaction_start = read.transaction_start;
        transactions_add(&p->open, (struct transaction){x->transaction_start, -1, x->id});
    }
}

int producers_parse(struct producers *p, struct bytes in, int64_t now_ms)
{
    if (in.n < SNAPSHOT_HEAD_BYTES || get_i16(in.p) != 1)
        return ERR_CORRUPT;
    int32_t count = get_i32(in.p + 6);
    if (count < 0 || (int64_t)in.n != SNAPSHOT_HEAD_BYTES + (int64_t)count * SNAPSHOT_ENTRY_BYTES)
        return ERR_CORRUPT;
    if (get_u32(in.p + 2) != crc32c(0, in.p + 6, (size_t)in.n - 6))
        return ERR_CORRUPT;
    producers_clear(p);
    for (int32_t i = 0; i < count; i++)
        parse_entry(p, in.p + SNAPSHOT_HEAD_BYTES + (size_t)i * SNAPSHOT_ENTRY_BYTES, now_ms);
    return 0;
}
