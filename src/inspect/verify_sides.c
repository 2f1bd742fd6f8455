/* The indexes of a segment, held against its batches as they go by. */
#include "inspect/verify.h"

#define INDEX_ENTRY_BYTES 8
#define TIME_ENTRY_BYTES 12
#define TXN_ENTRY_BYTES 34

void sides_deinit(struct verify_log *log)
{
    text_deinit(&log->index.content);
    text_deinit(&log->time.content);
    text_deinit(&log->txn.content);
    text_deinit(&log->expected);
}

static const uint8_t *entry_of(const struct side_check *s, uint64_t i, uint32_t bytes)
{
    return (const uint8_t *)s->content.p + i * bytes;
}

/* ---- files that are whole ------------------------------------------------------------------ */

/* Entries that are in use: zeros behind them are space that was reserved and not cut. */
static void count_entries(struct verify *v, struct side_check *s, const char *what, uint32_t bytes)
{
    uint64_t all = s->content.n / bytes;

    s->at = 0;
    s->entries = all;
    if (s->content.n % bytes != 0)
        verify_unless_killed(v, "%s: %zu bytes are no multiple of %u; it is made again at the next start", what,
                             s->content.n, bytes);
    while (s->entries > 0) {
        const uint8_t *e = entry_of(s, s->entries - 1, bytes);
        if (e[0] != 0 || memcmp(e, e + 1, bytes - 1) != 0)
            break;
        s->entries--;
    }
    if (s->entries < all)
        verify_note(v, "%s: %" PRIu64 " bytes of zeros behind its last entry were reserved and not cut", what,
                    (all - s->entries) * bytes);
}

void sides_begin(struct verify *v)
{
    struct verify_log *log = &v->log;

    text_clear(&log->expected);
    if (log->index.missing)
        verify_unless_killed(v, ".index is missing; it is made again at the next start");
    if (log->time.missing)
        verify_unless_killed(v, ".timeindex is missing; it is made again at the next start");
    count_entries(v, &log->index, ".index", INDEX_ENTRY_BYTES);
    count_entries(v, &log->time, ".timeindex", TIME_ENTRY_BYTES);
    count_entries(v, &log->txn, ".txnindex", TXN_ENTRY_BYTES);
}

/* ---- one batch ----------------------------------------------------------------------------- */

static uint64_t position_of(const struct verify *v, uint64_t i)
{
    return get_u32(entry_of(&v->log.index, i, INDEX_ENTRY_BYTES) + 4);
}

uint64_t sides_next_position(const struct verify *v, uint64_t position)
{
    for (uint64_t i = v->log.index.at; i < v->log.index.entries; i++) {
        if (position_of(v, i) > position)
            return position_of(v, i);
    }
    return 0;
}

#define INDEX_MENDED "reads notice it and go through the segment, and it is made again"

static void index_batch(struct verify *v)
{
    struct side_check *s = &v->log.index;

    for (; s->at < s->entries && position_of(v, s->at) <= v->stored.position; s->at++) {
        const uint8_t *e = entry_of(s, s->at, INDEX_ENTRY_BYTES);
        int64_t offset = v->log.base + get_i32(e);
        if (position_of(v, s->at) < v->stored.position)
            verify_trouble(v, ".index: entry %" PRIu64 " (offset %" PRId64 ", byte %" PRIu64
                           "): no batch begins there; " INDEX_MENDED, s->at, offset, position_of(v, s->at));
        else if (offset != v->stored.batch.last_offset)
            verify_trouble(v, ".index: entry %" PRIu64 " (offset %" PRId64 ", byte %" PRIu64
                           "): the batch there ends at offset %" PRId64 "; " INDEX_MENDED, s->at, offset,
                           position_of(v, s->at), v->stored.batch.last_offset);
    }
}

static void time_batch(struct verify *v)
{
    struct side_check *s = &v->log.time;
    const struct batch *b = &v->stored.batch;

    for (; s->at < s->entries; s->at++) {
        const uint8_t *e = entry_of(s, s->at, TIME_ENTRY_BYTES);
        int64_t offset = v->log.base + get_i32(e + 8);
        if (offset > b->last_offset)
            return;
        if (offset < b->base_offset)
            verify_trouble(v, ".timeindex: entry %" PRIu64 " (timestamp %" PRId64 ", offset %" PRId64
                           "): no batch has that offset; " INDEX_MENDED, s->at, get_i64(e), offset);
        else if (get_i64(e) != b->max_timestamp_ms)
            verify_trouble(v, ".timeindex: entry %" PRIu64 " (timestamp %" PRId64 ", offset %" PRId64
                           "): the largest timestamp of the batch is %" PRId64 "; " INDEX_MENDED, s->at, get_i64(e),
                           offset, b->max_timestamp_ms);
        else if (s->at > 0 && get_i64(e) <= get_i64(e - TIME_ENTRY_BYTES))
            verify_trouble(v, ".timeindex: entry %" PRIu64 " (timestamp %" PRId64
                           ") is not later than the one before; " INDEX_MENDED, s->at, get_i64(e));
    }
}

void sides_batch(struct verify *v)
{
    index_batch(v);
    if (v->stored.magic == BATCH_MAGIC)
        time_batch(v);
}

/* ---- the end of a segment ------------------------------------------------------------------ */

static void rest_of(struct verify *v, const struct side_check *s, const char *what)
{
    if (s->at < s->entries)
        verify_unless_killed(v, "%s: %" PRIu64 " entries speak of what lies behind the last batch; they are not used, "
                             "and dropped when it is made again", what, s->entries - s->at);
}

/* What the batches say must be in it. */
static bool txn_is_same(const struct verify *v, uint64_t i)
{
    const uint8_t *have = entry_of(&v->log.txn, i, TXN_ENTRY_BYTES);
    const uint8_t *want = (const uint8_t *)v->log.expected.p + i * TXN_ENTRY_BYTES;

    return memcmp(have, want, TXN_ENTRY_BYTES) == 0;
}

static void txn_end(struct verify *v)
{
    uint64_t want = v->log.expected.n / TXN_ENTRY_BYTES;

    if (!v->log.producers_known)
        return;
    for (uint64_t i = 0; i < want; i++) {
        const uint8_t *e = (const uint8_t *)v->log.expected.p + i * TXN_ENTRY_BYTES;
        if (i < v->log.txn.entries && txn_is_same(v, i))
            continue;
        verify_trouble(v, ".txnindex: the aborted transaction of producer %" PRId64 ", offsets %" PRId64 " to %" PRId64
                       ", is not its entry %" PRIu64 ": read_committed would show it. Remove this segment's .index, and "
                       "all is made again at the next start", get_i64(e + 2), get_i64(e + 10), get_i64(e + 18), i);
        return;
    }
    if (v->log.txn.entries > want)
        verify_trouble(v, ".txnindex: %" PRIu64 " entries, where the segment ends %" PRIu64
                       " aborted transactions. Remove this segment's .index, and all is made again at the next start",
                       v->log.txn.entries, want);
}

void sides_end(struct verify *v)
{
    rest_of(v, &v->log.index, ".index");
    rest_of(v, &v->log.time, ".timeindex");
    txn_end(v);
}
