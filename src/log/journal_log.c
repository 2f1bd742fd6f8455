/* A log and its journal: when small appends go there, what of them, and when the segments follow. */
#include "log/journal_internal.h"

/* What waits in memory for a segment is written when there is this much of it. */
#define DRAIN_BYTES (256U * 1024)

/* ---- where things are ---------------------------------------------------------------------- */

/* Where the next APPEND begins (J1): behind what the journal has, or behind what is durable in segments. Where that is
 * the same, the segment that the journal ended in may be part of another by now. */
static struct log_mark commit_from(const struct log *log)
{
    const struct journal_user *u = &log->user;
    const struct segment *s;

    if (u->done.offset > log->drained)
        return u->done;
    s = log->segments[log_segment_index(log, log->drained)];
    return (struct log_mark){s->base, s->whole_bytes, log->drained};
}

static uint64_t position_in(const struct segment *s, const struct log_mark *from)
{
    return s->base == from->base ? from->position : 0;
}

bool log_is_covered(const struct log *log)
{
    return log->user.done.offset >= log->drained || log->synced >= log->drained;
}

/* Bytes of a commit for everything behind `from`; UINT32_MAX when it is too much for one. */
static uint32_t bytes_behind(const struct log *log, const struct log_mark *from)
{
    uint32_t most = journal_share_bytes(log->user.journal);
    uint64_t need = 0;

    for (uint32_t i = log_segment_index(log, from->base); i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        uint64_t n = s->size_bytes - position_in(s, from);
        need += n == 0 ? 0 : JOURNAL_ENTRY_BYTES + n;
        if (need > most)
            return UINT32_MAX;
    }
    return (uint32_t)need;
}

/* ---- commits ------------------------------------------------------------------------------- */

/* The journal may take all that is not stable yet: it is small, begins where it should, and is brought into a segment
 * that may have a file (L7): what comes after a roll waits until the segment before it is cut. */
static bool is_small(const struct log *log)
{
    struct log_mark from;

    if (!log_is_covered(log) || !log_is_cut(log))
        return false;
    from = commit_from(log);
    return bytes_behind(log, &from) != UINT32_MAX;
}

static bool is_durable(const struct log *log)
{
    return log->settings.durable && log->user.journal != NULL;
}

bool log_uses_journal(struct log *log)
{
    return is_durable(log) && journal_has_room(log->user.journal);
}

uint32_t log_commit_bytes(struct log *log)
{
    struct log_mark from = commit_from(log);

    if (log->failed || log_is_dropped(log) || !log_has_place(log) || !is_durable(log) || !is_small(log))
        return 0;
    if (epochs_are_dirty(&log->epochs) || scan_point_is_unlisted(log))
        return 0;
    return bytes_behind(log, &from);
}

uint8_t *log_commit_put(struct log *log, uint8_t *p, uint64_t sequence, uint32_t *entry_count)
{
    struct journal_user *u = &log->user;
    struct log_mark from = commit_from(log);
    const struct segment *last = log_last_segment(log);

    for (uint32_t i = log_segment_index(log, from.base); i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        struct journal_entry e = {.kind = JOURNAL_APPEND,
                                  .topic_id = log->topic_id,
                                  .partition = log->partition,
                                  .base = s->base,
                                  .position = position_in(s, &from)};
        e.bytes.n = (int32_t)(s->size_bytes - e.position);
        if (e.bytes.n == 0)
            continue;
        p = journal_entry_put(p, &e);
        uint32_t n = tail_copy(&log->tail, s, e.position, (uint32_t)e.bytes.n, p);
        ASSERT(n == (uint32_t)e.bytes.n); /* T1: it is not drained */
        p += n;
        ++*entry_count;
    }
    u->next = (struct log_mark){last->base, last->size_bytes, log->end};
    u->last = sequence;
    if (!list_linked(&u->live)) {
        list_add_tail(&u->journal->live, &u->live);
        u->first = sequence;
    } else if (u->settling && u->first_later == 0) {
        u->first_later = sequence;
    }
    return p;
}

void log_commit_done(struct log *log)
{
    struct journal_user *u = &log->user;

    u->done = u->next;
    if (u->done.offset > log->drained && !list_linked(&u->undrained))
        list_add_tail(&log->memory->undrained, &u->undrained);
    log_memory_shrink(log->memory);
    log_journal_synced(log);
    if (log_is_failed(log))
        return;
    stable_advance(log);
    log_stabilize(log);
}

void log_stabilize(struct log *log)
{
    log_place_soon(log);
    if (log_uses_journal(log) && log_commit_bytes(log) > 0)
        journal_add(log->user.journal, log);
    else if (log->stable < log->end)
        worker_wake(log);
    if (worker_has_work(log))
        worker_wake(log);
}

/* ---- drains -------------------------------------------------------------------------------- */

uint64_t log_journaled_bytes(const struct log *log, const struct segment *s)
{
    const struct log_mark *done = &log->user.done;

    if (s->base < done->base)
        return s->size_bytes;
    if (s->base > done->base || done->position < s->drained_bytes)
        return s->drained_bytes;
    return done->position;
}

uint64_t log_drain_limit(struct log *log, const struct segment *s, bool *all)
{
    const struct journal_user *u = &log->user;

#ifndef MUTANT_LOG_DRAINS_WHAT_GOES
    if (log_is_going(log)) { /* what the journal holds has its place; what came later may find none, on a full disk */
        *all = false;
        return log_journaled_bytes(log, s);
    }
#endif
    *all = !log_uses_journal(log) || !is_small(log) || !list_empty(&log->jobs) || !list_empty(&log->flush_waiters);
    if (*all)
        return s->size_bytes;
    if (!s->rolled && !u->settling && !u->drain_soon && !scan_point_waits(log) &&
        s->size_bytes - s->drained_bytes < DRAIN_BYTES)
        return s->drained_bytes;
    return log_journaled_bytes(log, s);
}

/* After a drain: memory is free again; what is to be settled can be synced. */
void log_journal_written(struct log *log)
{
    struct journal_user *u = &log->user;

    if (log->drained < u->done.offset)
        return;
    u->drain_soon = false;
    if (list_linked(&u->undrained))
        list_remove(&u->undrained);
}

/* ---- settling ------------------------------------------------------------------------------ */

static void settled(struct log *log, uint64_t first)
{
    struct journal_user *u = &log->user;

    list_remove(&u->live);
    if (first != 0)
        list_add_tail(&u->journal->live, &u->live); /* behind those that are still to be asked */
    u->first = first;
    u->first_later = 0;
    if (u->settling)
        u->journal->settling--;
    u->settling = false;
    journal_look(u->journal);
}

void log_journal_synced(struct log *log)
{
    struct journal_user *u = &log->user;

    if (!list_linked(&u->live))
        return;
    if (u->gone || log->synced >= u->done.offset)
        settled(log, list_linked(&u->committing) ? u->last : 0);
    else if (u->settling && log->synced >= u->settle_to)
        settled(log, u->first_later);
}

void log_settle_sync(struct log *log)
{
    if (!log->user.settling || log->drained < log->user.settle_to || log->job != NULL)
        return;
    log_sync_soon(log);
}

void log_settle(struct log *log)
{
    struct journal_user *u = &log->user;

    u->settling = true;
    u->settle_to = u->done.offset;
    u->first_later = list_linked(&u->committing) ? u->last : 0;
    worker_wake(log);
    if (log->alone && log->job == NULL)
        ops_complete_all(log->io, &log->side_waiters, 0); /* and look again: what they wait for may need a drain */
    log_settle_sync(log); /* the worker may be in a job that waits for the journal */
}

/* ---- the log changes otherwise ------------------------------------------------------------- */

void log_journal_reset(struct log *log)
{
    log->user.done = (struct log_mark){0, 0, -1};
}

void log_journal_gone(struct log *log)
{
#ifndef MUTANT_JOURNAL_KEEPS_DELETED
    log->user.gone = true;
    log_journal_synced(log);
#endif
}

void log_journal_forget(struct log *log, struct op *op)
{
#ifdef MUTANT_JOURNAL_NO_RESET
    io_complete(log->io, op, 0);
    return;
#endif
    if (log->user.journal == NULL)
        io_complete(log->io, op, 0);
    else
        journal_note(log->user.journal, log, JOURNAL_RESET, 0, op);
}

void log_journal_drained(struct log *log, const struct segment *s, struct op *op)
{
    if (log->user.journal == NULL)
        io_complete(log->io, op, 0);
    else
        journal_note(log->user.journal, log, JOURNAL_DRAINED, s->base, op);
}
