/* Who waits for a replica's marks: produce requests for an offset, readers for any move. */
#include "replica/internal.h"

/* Sorted by offset; new ones nearly always belong at the end. */
static void insert_sorted(struct list *waits, struct replica_wait *w)
{
    struct list *at = waits->prev;

    while (at != waits && container_of(at, struct replica_wait, node)->offset > w->offset)
        at = at->prev;
    list_insert_before(at->next, &w->node);
}

static void tell_up_to(struct list *waits, int64_t mark, enum kerr error)
{
    while (!list_empty(waits)) {
        struct replica_wait *w = container_of(waits->next, struct replica_wait, node);
        if (w->offset > mark)
            return;
        list_remove(&w->node);
        w->ready(w, error);
    }
}

/* Who is told may wait or watch anew at once, and is then not told again here. */
static void tell_all(struct list *waits, enum kerr error)
{
    struct list told = LIST_INIT(told);

    list_move_all(&told, waits);
    for (struct list *node; (node = list_take_head(&told)) != NULL;) {
        struct replica_wait *w = container_of(node, struct replica_wait, node);
        w->ready(w, error);
    }
}

static void tell_watches(struct list *watches)
{
    struct list told = LIST_INIT(told);

    list_move_all(&told, watches);
    for (struct list *node; (node = list_take_head(&told)) != NULL;) {
        struct replica_watch *w = container_of(node, struct replica_watch, node);
        w->moved(w);
    }
}

static void tell_of_mark(struct list *watches)
{
    LIST_EACH(it, watches) {
        struct replica_watch *w = container_of(it, struct replica_watch, node);
        w->only_mark = true;
        w->moved(w);
        w->only_mark = false;
    }
}

static void turn_done(struct op *op, int64_t result)
{
    struct replica *r = container_of(op, struct replica, turn);

    bool advanced = r->advanced;

    r->turning = r->advanced = false;
    if (advanced && r->log != NULL)
        waits_advance(r, true);
    tell_all(&r->ready, KERR_NONE);
    tell_all(&r->acknowledged, replication_acknowledge(&r->replication));
    tell_all(&r->refused, KERR_NOT_LEADER_OR_FOLLOWER);
    tell_watches(&r->missed);
    replica_release(r);
}

static void take_a_turn(struct replica *r)
{
    if (r->turning)
        return;
    r->turning = true;
    replica_hold(r);
    op_init(&r->turn, turn_done);
    io_yield(r->set->options.io, &r->turn);
}

/* It is over already, but nothing is told inside the call that asks. `list` is one of those that
 * turn_done tells. */
static void tell_next_turn(struct replica *r, struct list *list, struct list *node)
{
    list_add_tail(list, node);
    take_a_turn(r);
}

void waits_advance_later(struct replica *r)
{
    r->advanced = true;
    take_a_turn(r);
}

void replica_wait_committed(struct replica *r, struct replica_wait *w, int64_t offset)
{
    w->offset = offset;
    if (!replica_leads(r))
        tell_next_turn(r, &r->refused, &w->node);
    else if (r->replication.high_watermark >= offset)
        tell_next_turn(r, &r->acknowledged, &w->node);
    else
        insert_sorted(&r->committed_waits, w);
}

void replica_wait_stable(struct replica *r, struct replica_wait *w, int64_t offset)
{
    w->offset = offset;
    if (!replica_leads(r))
        tell_next_turn(r, &r->refused, &w->node);
    else if (log_stable(r->log) >= offset)
        tell_next_turn(r, &r->ready, &w->node);
    else
        insert_sorted(&r->stable_waits, w);
}

void replica_wait_cancel(struct replica_wait *w)
{
    if (list_linked(&w->node))
        list_remove(&w->node);
}

/* Followers have a mark, too, and consumers that read from them (KIP-392). */
static bool has_readers(const struct replica *r, bool any_role)
{
    return replica_leads(r) || (any_role && r->log != NULL && r->replication.role == REPLICATION_FOLLOWER);
}

void replica_watch(struct replica *r, struct replica_watch *w)
{
    w->only_mark = false;
    if (has_readers(r, w->any_role))
        list_add_tail(w->follower ? &r->follower_watches : &r->watches, &w->node);
    else
        tell_next_turn(r, &r->missed, &w->node);
}

void replica_watch_cancel(struct replica_watch *w)
{
    if (list_linked(&w->node))
        list_remove(&w->node);
}

void waits_advance(struct replica *r, bool high_watermark_moved)
{
    replica_hold(r);
    tell_up_to(&r->stable_waits, log_stable(r->log), KERR_NONE);
    if (high_watermark_moved) {
        tell_up_to(&r->committed_waits, r->replication.high_watermark, replication_acknowledge(&r->replication));
        tell_watches(&r->watches);
        tell_of_mark(&r->follower_watches);
        if (r->led && r->set->options.committed != NULL)
            r->set->options.committed(r->set->options.ctx, r);
    }
    replica_release(r);
}

/* They have had everything since they asked: that counts, whatever comes now. */
void waits_end_moved(struct replica *r, int64_t end_before)
{
    if (list_empty(&r->follower_watches))
        return;
    replica_hold(r);
    LIST_EACH(it, &r->follower_watches) {
        struct replica_watch *w = container_of(it, struct replica_watch, node);
        int64_t heard_ms = *w->heard_ms;
#ifdef MUTANT_REPLICA_QUIET_LAGS
        heard_ms = -1;
#endif
        replication_heard(&r->replication, w->follower_id, end_before, heard_ms);
    }
    tell_watches(&r->follower_watches);
    replica_release(r);
}

void waits_look_again(struct replica *r)
{
    replica_hold(r);
    tell_watches(&r->follower_watches);
    replica_release(r);
}

/* What was appended with acks=1 goes on waiting: it is in the log, whoever leads, and "not here" would be believed.
 * Before a follower's log is cut, all of it is stable (F1). */
void waits_refuse(struct replica *r)
{
    replica_hold(r);
#ifdef MUTANT_REPLICA_REFUSES_APPENDED
    tell_all(&r->stable_waits, KERR_NOT_LEADER_OR_FOLLOWER);
#endif
    tell_all(&r->committed_waits, KERR_NOT_LEADER_OR_FOLLOWER);
    tell_watches(&r->watches);
    tell_watches(&r->follower_watches);
    replica_release(r);
}

void waits_end(struct replica *r)
{
    replica_hold(r);
    tell_all(&r->stable_waits, KERR_REQUEST_TIMED_OUT);
    waits_refuse(r);
    replica_release(r);
}

void waits_fail(struct replica *r)
{
    replica_hold(r);
    tell_all(&r->stable_waits, KERR_KAFKA_STORAGE_ERROR);
    tell_all(&r->committed_waits, KERR_KAFKA_STORAGE_ERROR);
    tell_watches(&r->watches);
    tell_watches(&r->follower_watches);
    replica_release(r);
}
