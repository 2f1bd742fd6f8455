/* Random histories, compacted again and again, against a model that knows each record by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "support.h"

#define BATCHES_MAX 120
#define RECORDS_MAX 6
#define PRODUCERS 4
#define RETENTION_MS 1000

struct model_record {
    int key;   /* -1 none */
    int value; /* -1 none */
    bool lives;
};

struct model_batch {
    int64_t base;
    int32_t count;
    int64_t producer_id; /* 0 none */
    int32_t sequence;
    int marker;
    int transaction;    /* 0 none */
    int64_t horizon_ms; /* -1 none */
    bool there;
    struct model_record records[RECORDS_MAX];
};

struct model {
    struct prng g;
    struct model_batch batches[BATCHES_MAX];
    struct model_batch before[BATCHES_MAX]; /* as they were before the compaction */
    uint32_t count;
    int64_t end;
    int transactions;             /* so far */
    int open[PRODUCERS + 1];      /* the producer's transaction; 0 none */
    int64_t first[PRODUCERS + 1]; /* offset of it */
    int32_t sequence[PRODUCERS + 1];
    int aborted[BATCHES_MAX]; /* transactions */
    uint32_t aborted_count;
    struct text index; /* struct compaction_aborted: what a log's transaction indexes hold */
    int64_t first_dirty;
    int64_t now_ms;
    struct text log;
};

/* ---- growing --------------------------------------------------------------------------------- */

static struct model_batch *grow(struct model *m, int64_t producer_id)
{
    struct model_batch *b = &m->batches[m->count++];

    *b = (struct model_batch){
        .base = m->end, .producer_id = producer_id, .horizon_ms = -1, .there = true};
    return b;
}

static void grow_data(struct model *m)
{
    int64_t producer = (int64_t)prng_below(&m->g, PRODUCERS + 1);
    bool transactional = producer > 2;
    struct model_batch *b = grow(m, producer);
    struct test_record records[RECORDS_MAX];
    char keys[RECORDS_MAX][16], values[RECORDS_MAX][16];

    b->count = 1 + (int32_t)prng_below(&m->g, RECORDS_MAX);
    b->sequence = producer == 0 ? -1 : m->sequence[producer];
    if (transactional && m->open[producer] == 0) {
        m->open[producer] = ++m->transactions;
        m->first[producer] = m->end;
    }
    b->transaction = transactional ? m->open[producer] : 0;
    for (int32_t i = 0; i < b->count; i++) {
        struct model_record *r = &b->records[i];
        *r = (struct model_record){
            .key = (int)prng_below(&m->g, 12), .value = (int)(m->end + i), .lives = true};
        if (prng_below(&m->g, 4) == 0)
            r->value = -1;
        if (prng_below(&m->g, 40) == 0)
            r->key = -1;
        snprintf(keys[i], sizeof(keys[i]), "key-%d", r->key);
        snprintf(values[i], sizeof(values[i]), "%d", r->value);
        records[i] =
            (struct test_record){r->key < 0 ? NULL : keys[i], r->value < 0 ? NULL : values[i]};
    }
    struct test_batch t = {.producer_id = producer,
                           .sequence = b->sequence,
                           .transactional = transactional,
                           .codec = (enum codec)prng_below(&m->g, CODEC_COUNT),
                           .timestamp_ms = m->end * 10,
                           .records = records,
                           .count = b->count};
    m->sequence[producer] += b->count;
    m->end = add_batch(&m->log, m->end, &t);
}

static int64_t first_open(const struct model *m)
{
    int64_t first = INT64_MAX;

    for (int p = 1; p <= PRODUCERS; p++)
        first = m->open[p] != 0 && m->first[p] < first ? m->first[p] : first;
    return first;
}

static void grow_marker(struct model *m)
{
    int64_t producer = 3 + (int64_t)prng_below(&m->g, 2);
    int marker = 1 + (int)prng_below(&m->g, 2);

    if (m->open[producer] == 0)
        return;
    struct model_batch *b = grow(m, producer);
    b->marker = marker;
    b->records[0].lives = true;
    b->count = 1;
    b->sequence = -1;
    b->transaction = m->open[producer];
    m->open[producer] = 0;
    if (marker == 2) {
        int64_t stable = first_open(m);
        struct compaction_aborted entry = {producer, m->first[producer], m->end,
                                           stable == INT64_MAX ? m->end + 1 : stable};
        m->aborted[m->aborted_count++] = b->transaction;
        text_add(&m->index, &entry, sizeof(entry));
    }
    struct test_batch t = {.producer_id = producer, .marker = marker, .timestamp_ms = m->end * 10};
    m->end = add_batch(&m->log, m->end, &t);
}

/* ---- the model's compaction ------------------------------------------------------------------ */

static bool is_aborted(const struct model *m, const struct model_batch *b)
{
    for (uint32_t i = 0; i < m->aborted_count; i++) {
        if (b->transaction != 0 && m->aborted[i] == b->transaction)
            return true;
    }
    return false;
}

/* The last batch of data of its producer. */
static bool is_last_of_producer(const struct model *m, const struct model_batch *b)
{
    if (b->producer_id == 0 || b->marker != 0)
        return false;
    for (const struct model_batch *x = b + 1; x < m->batches + m->count; x++) {
        if (x->producer_id == b->producer_id && x->marker == 0)
            return false;
    }
    return true;
}

static bool keep_last(void *ctx, const struct batch *b)
{
    const struct model *m = ctx;

    for (uint32_t i = 0; i < m->count; i++) {
        if (m->batches[i].base == b->base_offset)
            return is_last_of_producer(m, &m->batches[i]);
    }
    check_fail(__FILE__, __LINE__, "no batch begins at %lld", (long long)b->base_offset);
}

/* A later record of the key, below `learned`, that counted when the compaction began. */
static bool is_followed(const struct model *m, const struct model_batch *b, int32_t i,
                        int64_t learned)
{
    uint32_t from = (uint32_t)(b - m->batches);

    for (const struct model_batch *x = m->before + from; x < m->before + m->count; x++) {
        for (int32_t k = x == m->before + from ? i + 1 : 0; x->marker == 0 && k < x->count; k++) {
            if (x->base + k < learned && x->records[k].lives &&
                x->records[k].key == b->records[i].key && !is_aborted(m, x))
                return true;
        }
    }
    return false;
}

static void model_data(struct model *m, struct model_batch *b, int64_t learned, bool keep_empty)
{
    bool passed = b->horizon_ms >= 0 && b->horizon_ms <= m->now_ms, tombstones = false;
    int32_t kept = 0;

    for (int32_t i = 0; i < b->count; i++) {
        struct model_record *r = &b->records[i];
        if (is_aborted(m, b))
            r->lives = false;
        else if (b->base + i < learned)
            r->lives = r->lives && r->key >= 0 && !is_followed(m, b, i, learned) &&
                       (r->value >= 0 || !passed);
        kept += r->lives ? 1 : 0;
        tombstones |= r->lives && r->value < 0;
    }
    if (tombstones && b->horizon_ms < 0)
        b->horizon_ms = m->now_ms + RETENTION_MS;
    if (kept == 0) {
        b->horizon_ms = -1;
        b->there = keep_empty;
    }
}

static void model_marker(struct model *m, struct model_batch *b, bool met, bool keep_empty)
{
    bool lives = b->records[0].lives;

    if (met && lives)
        return;
    if (lives && b->horizon_ms < 0) {
        b->horizon_ms = m->now_ms + RETENTION_MS;
        return;
    }
    if (lives && b->horizon_ms > m->now_ms)
        return;
    b->records[0].lives = false;
    b->horizon_ms = -1;
    b->there = keep_empty;
}

static void model_compact(struct model *m, int64_t learned, int64_t first_uncleanable)
{
    bool met[BATCHES_MAX] = {false};

    memcpy(m->before, m->batches, sizeof(m->batches));
    for (uint32_t i = 0; i < m->count; i++) {
        struct model_batch *b = &m->batches[i];
        bool last = b->base + b->count == first_uncleanable;
        if (b->base >= first_uncleanable || !b->there)
            continue;
        if (b->marker == 0) {
            met[b->transaction] = true; /* of transaction 0 nobody asks */
            model_data(m, b, learned, last || is_last_of_producer(m, b));
        } else {
            model_marker(m, b, met[b->transaction], last);
        }
    }
}

/* ---- the two compared ------------------------------------------------------------------------ */

static void check_batch(const struct model *m, const struct model_batch *x, const struct batch *b,
                        uint64_t seed)
{
    struct records records;
    struct record r;
    char text[16];

    CHECK_EQ(b->base_offset, x->base);
    CHECK_EQ(b->last_offset, x->base + x->count - 1);
    CHECK_EQ(b->producer_id, x->producer_id == 0 ? -1 : x->producer_id);
    CHECK_EQ(b->base_sequence, x->sequence);
    CHECK_EQ((b->attributes & BATCH_DELETE_HORIZON) != 0, x->horizon_ms >= 0);
    if (x->horizon_ms >= 0)
        CHECK_EQ(b->base_timestamp_ms, x->horizon_ms);
    CHECK_EQ(records_begin(&records, b, 1 << 20), 0);
    for (int32_t i = 0; i < x->count; i++) {
        const struct model_record *e = &x->records[i];
        if (!e->lives)
            continue;
        if (records_next(&records, &r) != 1)
            check_fail(__FILE__, __LINE__, "seed %llu: the record at %lld is missing",
                       (unsigned long long)seed, (long long)(x->base + i));
        CHECK_EQ(r.offset, x->base + i);
        CHECK_EQ(r.timestamp_ms, x->base * 10 + i);
        if (x->marker != 0)
            continue;
        snprintf(text, sizeof(text), "%d", e->value);
        CHECK_TEXT(str_of_bytes(r.value), e->value < 0 ? NULL : text);
        snprintf(text, sizeof(text), "key-%d", e->key);
        CHECK_TEXT(str_of_bytes(r.key), e->key < 0 ? NULL : text);
    }
    CHECK_EQ(records_next(&records, &r), 0);
    records_end(&records);
}

static void check_model(const struct model *m, uint64_t seed)
{
    struct bytes rest = bytes_of_str(text_str(&m->log));
    struct batch b;

    for (uint32_t i = 0; i < m->count; i++) {
        if (!m->batches[i].there)
            continue;
        if (batch_next(&rest, &b) != 1)
            check_fail(__FILE__, __LINE__, "seed %llu: the batch at %lld is missing",
                       (unsigned long long)seed, (long long)m->batches[i].base);
        CHECK(batch_crc_ok(&b));
        check_batch(m, &m->batches[i], &b, seed);
    }
    CHECK_EQ(batch_next(&rest, &b), 0);
}

/* Some batch's base below the first transaction that is open, and not below what was cleaned. */
static int64_t draw_first_uncleanable(struct model *m)
{
    int64_t limit = first_open(m);
    int64_t found = m->first_dirty;

    for (uint32_t i = 0; i < m->count; i++) {
        int64_t next = m->batches[i].base + m->batches[i].count;
        if (next <= limit && next > found && prng_below(&m->g, 8) != 0)
            found = next;
    }
    return found;
}

/* What a log would still hold: the entries that pass 2 gave, and those whose marker was not in the
 * range. */
static void replace_index(struct model *m, struct text *kept, int64_t first_uncleanable)
{
    struct text old = m->index;
    const struct compaction_aborted *entries = (const struct compaction_aborted *)old.p;

    m->index = *kept;
    for (size_t i = 0; i < old.n / sizeof(*entries); i++) {
        if (entries[i].last_offset >= first_uncleanable)
            text_add(&m->index, &entries[i], sizeof(*entries));
    }
    text_deinit(&old);
}

static void compact_both(struct model *m, uint64_t seed)
{
    struct compaction_rules rules = {
        .first_dirty = m->first_dirty,
        .first_uncleanable = draw_first_uncleanable(m),
        .now_ms = m->now_ms,
        .delete_retention_ms = RETENTION_MS,
        .map_bytes_max = prng_below(&m->g, 3) == 0 ? 0 : 1 << 16,
        .load_factor = 0.5, /* of 16 places: fewer than there are keys */
    };
    struct text kept = {0};

    m->now_ms += (int64_t)prng_below(&m->g, 700);
    rules.now_ms = m->now_ms;
    if (rules.first_uncleanable <= m->first_dirty)
        return;
    int64_t learned = compact(&m->log, rules, (const struct compaction_aborted *)m->index.p,
                              (uint32_t)(m->index.n / sizeof(struct compaction_aborted)), keep_last,
                              m, NULL, &kept);
    CHECK(learned > m->first_dirty);
    CHECK(rules.map_bytes_max == 0 || learned == rules.first_uncleanable);
    model_compact(m, learned, rules.first_uncleanable);
    m->first_dirty = learned;
    replace_index(m, &kept, rules.first_uncleanable);
    check_model(m, seed);
}

static void play(uint64_t seed)
{
    struct model *m = calloc(1, sizeof(*m));

    ASSERT(m != NULL);
    prng_init(&m->g, seed);
    m->now_ms = 1000000;
    while (m->count + 2 < BATCHES_MAX) {
        if (prng_below(&m->g, 4) == 0)
            grow_marker(m);
        else
            grow_data(m);
        if (prng_below(&m->g, 6) == 0)
            compact_both(m, seed);
    }
    text_deinit(&m->log);
    text_deinit(&m->index);
    free(m);
}

TEST(compaction_history, is_as_the_model_says)
{
    const char *only = getenv("HISTORY_SEED"); /* one, to look at it */

    for (uint64_t seed = 1; seed <= (only == NULL ? 400 : 1); seed++)
        play(only == NULL ? seed : strtoull(only, NULL, 10));
}
