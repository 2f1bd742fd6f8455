/* A log's scan point (points.h): how it moves while the log is written to.
 *
 *   behind the point is much ─► what is known of the end is noted (memory) ─► drained up to there
 *     ─► side: sync ─► index entries, synced ─► producers ─► the file says it ─► the old snapshot goes
 */
#include <stdlib.h>

#include "log/points_file.h"
#include "log/state.h"

/* Side by side of a shard: their syncs hold up others. */
#define TAKES_MAX 2U
/* A log is asked for its part of LOG_POINT_BYTES, but for no less than this share of it: a point costs five syncs. */
#define SHARES_MAX 32U
/* With so much behind its point a log does not wait for the takes of others; with more, drains wait for its own. */
#define SHARES_TO_HURRY 2U
#define SHARES_TO_WAIT 3U

static bool has_point(const struct log *log)
{
    return !log->is_metadata && !uuid_is_zero(log->topic_id);
}

static struct point_share *share_of(const struct log *log)
{
    return points_file_share(log->dir->points, log->io);
}

/* ---- what there is ------------------------------------------------------------------------- */

/* All of it is durable, as a clean stop leaves it. */
void scan_point_settle(struct log *log)
{
    const struct segment *s = log_last_segment(log);
    bool has_producers = log->producers.by_id.count > 0;
    struct scan_point *p = &log->point.noted;

    *p = (struct scan_point){
        .topic_id = log->topic_id,
        .partition = log->partition,
        .none = has_producers && log->snapshot_offset != log->end,
        .has_producers = has_producers,
        .base = s->base,
        .position = s->size_bytes,
        .offset = log->end,
        .bytes_since_entry = s->bytes_since_entry,
        .max_timestamp_ms = s->max_timestamp_ms,
        .max_timestamp_offset = s->max_timestamp_offset,
        .last_time_entry_ms = s->last_time_entry_ms,
    };
    for (int side = 0; side < SIDES; side++)
        p->side_bytes[side] = (uint32_t)(s->side[side].written_bytes + s->side[side].pending.n);
}

bool scan_point_is_unlisted(const struct log *log)
{
#ifdef MUTANT_LOG_POINT_UNLISTED
    return false;
#endif
    return has_point(log) && !log->point.listed && log->end > log->drained;
}

static void said(struct op *op, int64_t result)
{
    struct log *log = container_of(op, struct log, point.op);
    struct op *parent = log->point.parent;

    if (result >= 0) {
        log->point.noted = log->point.saying;
        log->point.listed = true;
    }
    parent->done(parent, result);
}

static void say_point(struct log *log, const struct scan_point *point, struct op *op)
{
    log->point.saying = *point;
    log->point.parent = op;
    op_init(&log->point.op, said);
    points_file_set(log->dir->points, log->io, point, &log->point.op);
}

static void take_ended(struct log *log)
{
    log->point.is_taking = false;
    share_of(log)->taking--;
    text_deinit(&log->point.snapshot);
}

void scan_point_list(struct log *log, struct op *op)
{
    say_point(log, &log->point.noted, op);
}

void scan_point_forget(struct log *log, struct op *op)
{
    struct scan_point none = {.topic_id = log->topic_id, .partition = log->partition, .none = true};

    if (log->point.is_taking)
        take_ended(log);
#ifdef MUTANT_LOG_POINT_STAYS
    io_complete(log->io, op, 0);
    return;
#endif
    if (!has_point(log) || (log->point.listed && log->point.noted.none))
        io_complete(log->io, op, 0);
    else
        say_point(log, &none, op);
}

void scan_point_remove(struct log *log, struct op *op)
{
    if (has_point(log))
        points_file_remove(log->dir->points, log->io, log->topic_id, log->partition, op);
    else
        io_complete(log->io, op, 0);
}

/* ---- when ---------------------------------------------------------------------------------- */

/* What a scan from the point on would have to read when all is drained, or now. */
static uint64_t bytes_behind(const struct log *log, bool now)
{
    const struct scan_point *p = &log->point.noted;
    uint64_t n = 0;

    for (uint32_t i = log->segment_count; i-- > 0 && (p->none || log->segments[i]->base >= p->base);) {
        const struct segment *s = log->segments[i];
        n += (now ? s->drained_bytes : s->size_bytes) - (s->base == p->base ? p->position : 0);
    }
    return n;
}

static void count_large(struct log *log, bool is_large)
{
    struct point_share *share = share_of(log);

    if (is_large == log->point.is_large)
        return;
    log->point.is_large = is_large;
    share->large += is_large ? 1 : -1U;
}

static uint64_t shard_bytes(const struct log *log)
{
    return log->dir->point_bytes / io_shard_count(log->io);
}

/* A log's part of them: all logs of a shard together stay below its part of the directory's bytes, as far as no log moves
 * its point more often than its syncs are worth. */
static uint64_t share_bytes(const struct log *log)
{
    uint32_t large = share_of(log)->large;

    if (large == 0)
        large = 1;
    return shard_bytes(log) / (large < SHARES_MAX ? large : SHARES_MAX);
}

static bool is_much(struct log *log)
{
    uint64_t behind = bytes_behind(log, false);

    count_large(log, behind >= shard_bytes(log) / SHARES_MAX / 4);
    if (log->point.noted.none)
        return behind > 0;
    return log->point.is_large && behind >= share_bytes(log);
}

/* More than what comes while a point is taken: the log is written to faster than its points follow. */
static bool is_too_much(const struct log *log, uint32_t shares)
{
    return bytes_behind(log, true) >= shares * share_bytes(log);
}

static void note_end(struct log *log)
{
    struct point_user *u = &log->point;
    struct scan_point noted = u->noted;

    scan_point_settle(log);
    u->next = u->noted;
    u->next.none = false;
    u->noted = noted;
    text_clear(&u->snapshot);
    if (u->next.has_producers)
        producers_print(&log->producers, &u->snapshot);
    u->is_taking = true;
    share_of(log)->taking++;
}

/* The segment has been rolled meanwhile, or the log was cut: the next point is elsewhere. */
static bool is_outdated(const struct log *log)
{
    const struct segment *last = log_last_segment(log);

    return last->base != log->point.next.base || last->size_bytes < log->point.next.position || last->index_doubted;
}

/* Of segments before the last one a scan from the point believes everything. */
static bool older_are_closed(const struct log *log)
{
    return log->segment_count < 2 || log->segments[log->segment_count - 2]->closed;
}

bool scan_point_waits(const struct log *log)
{
    return log->point.is_taking && log->drained < log->point.next.offset;
}

/* What moves it is under way, and does not wait for drains itself: neither for what lies below the next point, nor by way
 * of a journal that is full, which waits for logs that have something in it. */
bool scan_point_lags(const struct log *log)
{
#ifdef MUTANT_LOG_POINT_OUTRUN
    return false;
#endif
    return log->siding && has_point(log) && log->point.listed && !scan_point_waits(log) &&
           !list_linked(&log->user.live) && is_too_much(log, SHARES_TO_WAIT);
}

bool scan_point_is_due(struct log *log)
{
    struct point_user *u = &log->point;

    if (!log->opened || log->closing || !u->listed || log->alone || !has_point(log))
        return false;
    if (u->is_taking && is_outdated(log))
        take_ended(log);
    if (!u->is_taking) {
        if (log_last_segment(log)->index_doubted || !is_much(log))
            return false;
        if (share_of(log)->taking >= TAKES_MAX && !is_too_much(log, SHARES_TO_HURRY))
            return false;
        note_end(log);
        if (log->drained < log->end)
            worker_wake(log);
    }
    return !scan_point_waits(log) && older_are_closed(log);
}

void scan_point_leave(struct log *log)
{
    if (log->point.is_taking)
        take_ended(log);
    if (log->dir->points != NULL && log->opened)
        count_large(log, false);
}

/* ---- how ----------------------------------------------------------------------------------- */

struct taking {
    struct flow flow;
    struct log *log;
    struct segment_save *save;
    int64_t old; /* offset of a snapshot that nothing needs any more; -1 none */
    char name[40];
    char path[LOG_PATH_BYTES];
};

static void taking_end(struct taking *t, int64_t result)
{
    if (t->log->point.is_taking)
        take_ended(t->log);
    flow_done(&t->flow, result);
    free(t);
}

/* One that a point has left, not a segment. */
static int64_t old_snapshot(const struct log *log)
{
    const struct scan_point *p = &log->point.noted;

    if (p->none || !p->has_producers || p->offset == log->point.next.offset)
        return -1;
    return log->segments[log_segment_index(log, p->offset)]->base == p->offset ? -1 : p->offset;
}

/* Also the names of the side files are durable then. */
static void save_producers(struct taking *t, struct op *op)
{
    struct log *log = t->log;

    if (!log->point.next.has_producers) {
        io_sync_dir(log->io, log->path, op);
        return;
    }
    snapshot_name(log->point.next.offset, t->name);
    file_replace(log->io, log->path, t->name, bytes_of_str(text_str(&log->point.snapshot)), op);
}

/* S2: what is told is durable. */
static void take_run(struct flow *f)
{
    struct taking *t = container_of(f, struct taking, flow);
    struct log *log = t->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
#ifndef MUTANT_LOG_POINT_UNSYNCED
    FLOW_TRY(f, "sync it", log_sync(log, &f->op));
#endif
    FLOW_WAIT(f, "save index entries", t->save = segment_save_start(log->side_segment, SAVE_SYNCED, &f->op));
    segment_save_free(t->save);
    if (f->result < 0)
        goto failed;
    FLOW_TRY(f, "save producers", save_producers(t, &f->op));
    if (log->point.next.has_producers && log->point.next.offset > log->snapshot_offset)
        log->snapshot_offset = log->point.next.offset;
    t->old = old_snapshot(log);
    FLOW_TRY(f, "say its scan point", say_point(log, &log->point.next, &f->op));
    is_much(log); /* it is not, any more */
    if (t->old >= 0) {
        log_file_path(log, t->old, ".snapshot", t->path);
        FLOW_WAIT(f, "remove a producer snapshot", io_remove(log->io, t->path, &f->op));
        if (f->result < 0 && f->result != -ENOENT)
            goto failed;
    }
    FLOW_END(f);
    taking_end(t, 0);
    return;
failed:
    taking_end(t, f->result);
}

void scan_point_take(struct log *log, struct op *op)
{
    struct taking *t = calloc(1, sizeof(*t));

    ASSERT(t != NULL);
    t->log = log;
    log->side_segment = log_last_segment(log);
    flow_start(&t->flow, take_run, op);
}

/* The segment before `next` is closed: all of its files are durable, and so is a snapshot of where `next` begins. */
void scan_point_pass(struct log *log, const struct segment *next, struct op *op)
{
    struct scan_point p = {.topic_id = log->topic_id,
                           .partition = log->partition,
                           .has_producers = true,
                           .base = next->base,
                           .offset = next->base,
                           .max_timestamp_ms = -1,
                           .max_timestamp_offset = -1,
                           .last_time_entry_ms = -1};

    if (has_point(log) && log->point.listed)
        say_point(log, &p, op);
    else
        io_complete(log->io, op, 0);
}
