/* Where a partition begins, and whether the log still has what was read.
 *
 *   COMMITTED ─ the group's commit ─► CHECK (its epoch is known) ─► READ
 *       │ there is none                  │ the leader has less         │ another leader epoch
 *       ▼                                ▼                             ▼
 *     RESET ── ListOffsets ──► READ    the point where they part     CHECK
 */
#include "consumer/internal.h"

#include <stdio.h>

static bool is_of_group(const struct consumer *c)
{
    return !str_is_null(c->settings.group_id);
}

static enum query_kind kind_of(const struct part *p)
{
    switch (p->state) {
    case PART_COMMITTED:
        return QUERY_COMMITTED;
    case PART_RESET:
        return QUERY_TIMES;
    default:
        return QUERY_EPOCHS;
    }
}

static bool is_to_be_asked(const struct part *p, enum query_kind kind)
{
    return !p->asked && p->state != PART_READ && p->state != PART_STOPPED && kind_of(p) == kind;
}

/* One query for all of a kind; what comes later gets its own. */
static void ask(struct consumer *c, enum query_kind kind)
{
    uint32_t count = 0;
    struct query *q;

    LIST_EACH(it, &c->part_list)
        count += is_to_be_asked(container_of(it, struct part, node), kind);
    if (count == 0)
        return;
    q = query_new(c, kind, count, NEVER_NS);
    count = 0;
    LIST_EACH(it, &c->part_list) {
        struct part *p = container_of(it, struct part, node);
        if (!is_to_be_asked(p, kind))
            continue;
        p->asked = true;
        p->asking_epoch = p->leader_epoch;
        q->items[count++] = (struct query_item){
            .id = p->id,
            .run = p->run,
            .what = kind == QUERY_TIMES ? p->reset_to : p->fetch_epoch,
            .retry_ns = p->retry_ns,
        };
    }
    query_begin(q);
}

void position_pump(struct consumer *c)
{
    LIST_EACH(it, &c->part_list) {
        struct part *p = container_of(it, struct part, node);
        if (p->state == PART_COMMITTED && !is_of_group(c))
            part_reset(p, "there is no group whose commits could say where to begin");
        /* Without an epoch there is nothing to compare. */
        if (p->state == PART_CHECK && p->fetch_epoch < 0)
            p->state = PART_READ;
    }
    ask(c, QUERY_COMMITTED);
    ask(c, QUERY_TIMES);
    ask(c, QUERY_EPOCHS);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void committed_found(struct part *p, const struct query_item *i)
{
    if (i->offset < 0) {
        part_reset(p, "the group has committed nothing");
        return;
    }
    part_place(p, i->offset, i->epoch);
    p->committed = i->offset;
}

static void time_found(struct part *p, const struct query_item *i)
{
    if (i->offset >= 0) {
        part_place(p, i->offset, -1);
    } else if (p->reset_to != CONSUMER_END) { /* no record is that young */
        part_begin(p, PART_RESET);
        p->reset_to = CONSUMER_END;
    } else {
        p->asked = false;
        part_back_off(p);
    }
}

/* The leader's log parts from what we have read at `end`. */
static void diverged(struct part *p, int64_t end, int32_t epoch)
{
    struct consumer *c = p->consumer;
    struct consumer_error e;
    int64_t position = p->position;

    if (c->settings.auto_offset_reset == CONSUMER_RESET_NONE) {
        part_stop(p, end < 0 ? position : end,
                  error_code(&e, KERR_OFFSET_OUT_OF_RANGE, CONSUMER_SEEK,
                             "%.*s-%d: the log was truncated: read up to %" PRId64
                             ", but the leader's log goes its own way from %" PRId64,
                             STR_ARG(p->id.topic), p->id.partition, position, end));
        return;
    }
    if (end < 0) {
        part_reset(p, "the log was truncated, the leader knows nothing of what was read");
        return;
    }
    say(c->telemetry, LOG_WARN, "consumer", "%.*s-%d: the log was truncated: read up to %" PRId64
        ", goes on at %" PRId64, STR_ARG(p->id.topic), p->id.partition, position, end);
    part_cut(p, end, epoch);
}

static void epoch_found(struct part *p, const struct query_item *i)
{
    bool has_all = i->offset >= p->fetch_from && i->epoch >= 0;

    p->asked = false;
    if (has_all) {
        p->checked_epoch = p->asking_epoch;
#ifndef MUTANT_CONSUMER_CHECKS_ONCE
        if (p->checked_epoch == p->leader_epoch) /* else there is another leader already */
#endif
            p->state = PART_READ;
        consumer_poke(p->consumer);
    } else if (p->fetch_from != p->position) {
        pieces_drop(p); /* what nobody has seen is fetched anew; is what was seen still there? */
        consumer_poke(p->consumer);
    } else {
        diverged(p, i->epoch < 0 ? -1 : i->offset, i->epoch);
    }
}

void position_found(struct query *q, struct query_item *i)
{
    struct part *p = part_of_run(q->consumer, i->id, i->run);

    if (p == NULL || !p->asked || kind_of(p) != q->kind)
        return; /* it was put elsewhere meanwhile */
    if (i->error.code != KERR_NONE || i->error.trouble != 0) {
        p->asked = false;
        part_refused(p, &i->error);
        return;
    }
    switch (q->kind) {
    case QUERY_COMMITTED:
        committed_found(p, i);
        break;
    case QUERY_TIMES:
        time_found(p, i);
        break;
    case QUERY_EPOCHS:
        epoch_found(p, i);
        break;
    }
}

void position_metadata(struct consumer *c)
{
    LIST_EACH(it, &c->part_list)
        part_look(container_of(it, struct part, node));
}
