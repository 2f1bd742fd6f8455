/* The two passes. */
#include <stdlib.h>

#include "compaction/key_map.h"
#include "compaction/transactions.h"

struct compaction {
    struct compaction_rules rules;
    struct key_map map;
    struct transactions transactions;
    int64_t learned_end; /* offsets below it are in the map, or need not be */
    bool full;           /* the map was, before pass 1 came to its end */
    struct compaction_counts counts;
    struct batch_builder builder;
};

struct compaction *compaction_new(const struct compaction_rules *rules)
{
    struct compaction *c = calloc(1, sizeof(*c));
    uint64_t offsets = (uint64_t)(rules->first_uncleanable - rules->first_dirty);

    ASSERT(c != NULL);
    ASSERT(rules->first_dirty >= 0 && rules->first_uncleanable > rules->first_dirty);
    c->rules = *rules;
    c->learned_end = rules->first_dirty;
    /* one key an offset is the most that there can be */
    if (key_map_init(&c->map, offsets, rules->map_bytes_max, rules->load_factor, rules->secret) <
        0) {
        free(c);
        return NULL;
    }
    transactions_init(&c->transactions);
    batch_builder_init(&c->builder);
    return c;
}

void compaction_free(struct compaction *c)
{
    if (c == NULL)
        return;
    key_map_deinit(&c->map);
    transactions_deinit(&c->transactions);
    batch_builder_deinit(&c->builder);
    free(c);
}

void compaction_add_aborted(struct compaction *c, const struct compaction_aborted *aborted,
                            uint32_t count)
{
    transactions_add(&c->transactions, aborted, count);
}

int64_t compaction_learned_end(const struct compaction *c)
{
    return c->learned_end;
}

struct compaction_counts compaction_counts(const struct compaction *c)
{
    struct compaction_counts counts = c->counts;

    counts.keys = c->map.count;
    counts.map_used = (double)c->map.count / (double)c->map.count_max;
    return counts;
}

/* ---- pass 1 ---------------------------------------------------------------------------------- */

static int learn_records(struct compaction *c, const struct batch *b)
{
    struct records records;
    struct record record;
    int rc;

    TRY(records_begin(&records, b, COMPACTION_PLAIN_BYTES_MAX));
    while ((rc = records_next(&records, &record)) == 1) {
        if (record.offset < b->base_offset || record.offset > b->last_offset) {
            rc = ERR_CORRUPT; /* a record where another batch is */
            break;
        }
        if (record.offset < c->rules.first_dirty || record.key.n < 0)
            continue;
        if (!key_map_put(&c->map, record.key, record.offset)) {
            c->learned_end = record.offset;
            c->full = true;
            rc = COMPACTION_FULL;
            break;
        }
        c->counts.records_learned++;
    }
    records_end(&records);
    return rc;
}

int compaction_learn(struct compaction *c, const struct batch *b)
{
    if (batch_is_control(b)) {
        (void)transactions_marker(&c->transactions, b, NULL, NULL);
        return 0;
    }
    if (transactions_batch(&c->transactions, b) || b->last_offset < c->rules.first_dirty)
        return 0;
    return learn_records(c, b);
}

void compaction_begin_filter(struct compaction *c)
{
    if (!c->full)
        c->learned_end = c->rules.first_uncleanable; /* also when there is no batch any more */
    transactions_deinit(&c->transactions);
    transactions_init(&c->transactions);
}

/* ---- pass 2 ---------------------------------------------------------------------------------- */

static bool has_horizon(const struct batch *b)
{
    return (b->attributes & BATCH_DELETE_HORIZON) != 0;
}

/* With the bit set, the base timestamp is the horizon. */
static bool horizon_has_passed(const struct compaction *c, const struct batch *b)
{
    return has_horizon(b) && b->base_timestamp_ms <= c->rules.now_ms;
}

static bool record_stays(struct compaction *c, const struct batch *b, const struct record *record)
{
    if (batch_is_control(b) || record->offset >= c->learned_end)
        return true;
    if (record->key.n < 0) {
        c->counts.without_key++;
        return false;
    }
    if (record->offset < key_map_find(&c->map, record->key))
        return false;
#ifdef MUTANT_COMPACTION_TOMBSTONE_AT_ONCE
    return record->value.n >= 0;
#endif
    return record->value.n >= 0 || !horizon_has_passed(c, b);
}

/* What a look at the records of a batch says. */
struct looked {
    int32_t kept;
    bool tombstones; /* among those kept */
};

/* The records that stay go into the builder. */
static int look(struct compaction *c, const struct batch *b, struct looked *out)
{
    struct records records;
    struct record r;
    int32_t last = -1;
    int rc;

    TRY(records_begin(&records, b, COMPACTION_PLAIN_BYTES_MAX));
    while ((rc = records_next(&records, &r)) == 1) {
        if (r.offset_delta <= last || r.offset_delta > b->last_offset_delta) {
            rc = ERR_CORRUPT; /* else it would change its place */
            break;
        }
        last = r.offset_delta;
        if (!record_stays(c, b, &r))
            continue;
        out->kept++;
        out->tombstones |= r.value.n < 0;
        batch_builder_add_at(&c->builder, r.offset_delta, r.timestamp_ms, r.key, r.value, r.headers,
                             r.header_count);
    }
    records_end(&records);
    return rc;
}

/* Attributes that mean something; as Kafka, others are not carried on. */
#define FIELDS                                                                        \
    (BATCH_CODEC_MASK | BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL | \
     BATCH_DELETE_HORIZON)

/* All that is not its records is as in `b` (K2). */
static void copy_fields(struct batch_builder *to, const struct batch *b)
{
    to->base_offset = b->base_offset;
    to->leader_epoch = b->leader_epoch;
    to->producer_id = b->producer_id;
    to->producer_epoch = b->producer_epoch;
    to->base_sequence = b->base_sequence;
    to->attributes = b->attributes & FIELDS;
    to->level = codec_level_default(batch_codec(b));
}

/* Before the records are added: their times are told from it. */
static void set_horizon(struct batch_builder *to, int64_t horizon_ms)
{
    to->attributes |= BATCH_DELETE_HORIZON;
    to->base_timestamp_ms = horizon_ms;
}

static int finish(struct compaction *c, const struct batch *b, struct text *out)
{
    if ((b->attributes & BATCH_LOG_APPEND_TIME) != 0)
        c->builder.max_timestamp_ms = b->max_timestamp_ms;
    c->builder.last_offset_delta = b->last_offset_delta;
    return batch_builder_finish(&c->builder, out);
}

/* With `horizon_ms` >= 0 the batch gets it; else it keeps what it has. */
static int build(struct compaction *c, const struct batch *b, int64_t horizon_ms,
                 struct looked *out)
{
    *out = (struct looked){0};
    text_clear(&c->builder.records);
    struct text records = c->builder.records;
    batch_builder_init(&c->builder);
    c->builder.records = records;
    copy_fields(&c->builder, b);
    if (horizon_ms >= 0 || has_horizon(b))
        set_horizon(&c->builder, horizon_ms >= 0 ? horizon_ms : b->base_timestamp_ms);
    return look(c, b, out);
}

/* A batch without records: what it says of times is its largest one, as Kafka's empty header. */
static int empty(struct compaction *c, const struct batch *b, struct text *out)
{
    struct looked ignored = {0};
    struct batch none = *b;

    none.count = 0;
    none.attributes &= (uint16_t) ~(BATCH_CODEC_MASK | BATCH_DELETE_HORIZON);
    none.bytes.n = BATCH_HEADER_BYTES;
    TRY(build(c, &none, -1, &ignored));
    c->builder.max_timestamp_ms = b->max_timestamp_ms;
    TRY(finish(c, b, out));
    return FATE_EMPTIED;
}

/* `may_go`: no batch of the transaction that this marker ended is left. */
static int keep_records(struct compaction *c, const struct batch *b, bool keep_empty, bool may_go,
                        struct text *out, struct looked *seen)
{
    uint64_t without_key = c->counts.without_key;

    TRY(build(c, b, -1, seen));
    if (seen->kept == 0)
        return keep_empty ? empty(c, b, out) : FATE_GONE;
    if ((seen->tombstones || may_go) &&
        !has_horizon(b)) { /* once more, with times told from the horizon */
        c->counts.without_key = without_key;
        TRY(build(c, b, c->rules.now_ms + c->rules.delete_retention_ms, seen));
    } else if (seen->kept == b->count) {
        text_add(out, b->bytes.p, (size_t)b->bytes.n);
        return FATE_AS_IT_IS;
    }
    TRY(finish(c, b, out));
    return FATE_MADE_ANEW;
}

int compaction_filter(struct compaction *c, const struct batch *b, bool keep_empty,
                      struct text *out, struct compaction_aborted *aborted, bool *aborted_is_set)
{
    bool control = batch_is_control(b);
    struct looked seen = {0};
    size_t before = out->n;
    bool may_go;
    int fate;

    if (aborted != NULL)
        *aborted_is_set = false;
    may_go = control ? transactions_marker(&c->transactions, b, aborted, aborted_is_set)
                     : transactions_batch(&c->transactions, b);
    if (may_go && (!control || horizon_has_passed(c, b)))
        fate = keep_empty ? empty(c, b, out) : FATE_GONE;
    else
        fate = keep_records(c, b, keep_empty, control && may_go, out, &seen);
    if (fate < 0)
        return fate;
    c->counts.bytes_read += (uint64_t)b->bytes.n;
    c->counts.bytes_kept += out->n - before;
    c->counts.records_read += control ? 0 : (uint64_t)b->count;
    c->counts.records_kept += control ? 0 : (uint64_t)seen.kept;
    return fate;
}
