/* One event after the other goes to the machine; what it says of one is carried out before the next one.
 *
 *   events ── begin ──► quorum_step ─► raft_step ─► 1. quorum-state  2. control batches   (the others wait)
 *                                                   3. messages, listener ─► then: the answer
 */
#include "quorum/internal.h"

#define MS_NS 1000000

/* ---- the queue --------------------------------------------------------------------------- */

/* What may be due after any event; each looks for itself. */
static void kick(struct quorum *q)
{
    quorum_serve_parked(q);
    quorum_serve_changes(q);
    quorum_fetch_kick(q);
    quorum_join_kick(q);
    quorum_deliver(q);
}

static void drain(struct quorum *q)
{
    struct list *node;

    if (q->draining)
        return;
    q->draining = true;
    while (!q->held && (node = list_take_head(&q->events)) != NULL) {
        struct quorum_event *e = container_of(node, struct quorum_event, node);
        if (!quorum_is_over(q))
            e->begin(q, e);
        else if (e->then != NULL)
            e->then(q, e, NULL);
    }
    q->draining = false;
    if (!q->held && q->begun && !quorum_is_over(q))
        kick(q);
}

void quorum_post(struct quorum *q, struct quorum_event *e)
{
    list_add_tail(&q->events, &e->node);
    drain(q);
}

void quorum_post_first(struct quorum *q, struct quorum_event *e)
{
    ASSERT(q->draining);
    list_add_head(&q->events, &e->node);
}

void quorum_hold(struct quorum *q)
{
    bool entered = gate_enter(&q->gate);

    ASSERT(entered && !q->held);
    q->held = true;
}

void quorum_release(struct quorum *q)
{
    ASSERT(q->held);
    q->held = false;
    drain(q);
    gate_leave(&q->gate);
}

/* ---- what it says ------------------------------------------------------------------------ */

static void tick_begin(struct quorum *q, struct quorum_event *e)
{
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_TICK, .now_ms = io_now_ms(q->io)});
}

static void tick_fired(struct io_timer *t)
{
    struct quorum *q = container_of(t, struct quorum, tick_timer);

    q->tick.begin = tick_begin;
    if (!list_linked(&q->tick.node))
        quorum_post(q, &q->tick);
}

static void set_tick(struct quorum *q, int64_t deadline_ms)
{
    if (deadline_ms >= INT64_MAX / MS_NS)
        io_timer_clear(&q->tick_timer);
    else
        io_timer_set(q->io, &q->tick_timer, deadline_ms * MS_NS, tick_fired);
}

static void tell_leader(struct quorum *q)
{
    int32_t leader_id, epoch;

    quorum_leader(q, &leader_id, &epoch);
    if (leader_id == q->told_leader && epoch == q->told_epoch)
        return;
    q->leaders += leader_id >= 0;
    if (leader_id >= 0)
        quorum_meter_elected(q);
    q->told_leader = leader_id;
    q->told_epoch = epoch;
    q->fetch.failures = 0;
    quorum_nodes_update(q);
    q->listener.leader(q->listener.ctx, leader_id, epoch);
}

/* It is on disk and in the log: now the others may hear of it. */
static void carried(struct quorum *q, struct quorum_event *e)
{
    struct raft_outcome out = q->outcome; /* `then` may make the next one */

    set_tick(q, out.deadline_ms);
    quorum_sends_go(q, &out);
    tell_leader(q);
    if (e->then != NULL)
        e->then(q, e, quorum_is_over(q) ? NULL : &out);
}

static void act_end(struct quorum *q, struct quorum_event *e)
{
    if (!quorum_is_over(q))
        carried(q, e);
    else if (e->then != NULL)
        e->then(q, e, NULL);
}

/* Append a batch of control records: the voters that it holds are in force with it. */
static int append_control(struct quorum *q, const struct raft_outcome *out)
{
    struct text batch = {0};
    struct raft_voters voters = out->append_voters ? *raft_voters(q->raft) : q->voters;
    int32_t epoch = q->election.epoch;
    int64_t offset = log_end(q->log), wall_ms = io_wall_ms(q->io);
    int error = out->append_leader_change
                    ? control_leader_change(&voters, q->node_id, out->append_voters, offset, epoch, wall_ms, &batch)
                    : control_voters(&voters, offset, epoch, wall_ms, &batch);

    if (error == 0)
        error = log_append_stamped(q->log, bytes_of_str(text_str(&batch)), wall_ms);
    text_deinit(&batch);
    TRY(error);
    q->end_epoch = epoch;
    quorum_meter_appended(q, offset);
    if (out->append_voters) {
        voters.from_bootstrap = false;
        quorum_voters_push(q, &voters, log_end(q->log));
    }
    if (out->append_leader_change) {
        q->epoch_start = offset;
        q->accepts = true;
    }
    return 0;
}

static void act_finished(struct quorum *q)
{
    q->held = false;
    q->draining = true;
    act_end(q, q->carrying);
    q->draining = false;
    drain(q);
    gate_leave(&q->gate);
}

/* The order of effects: election state, log, the rest (Q1). */
static void act_run(struct flow *f)
{
    struct quorum *q = container_of(f, struct quorum, act);

    FLOW_BEGIN(f);
    if (q->outcome.persist) {
        q->election = q->outcome.election;
        text_clear(&q->vote);
        election_print(&q->election, &q->voters, &q->vote);
#ifdef MUTANT_QUORUM_VOTE_UNWRITTEN
        FLOW_WAIT(f, "turn", io_yield(q->io, &f->op));
#else
        FLOW_TRY(
            f, "write quorum-state",
            file_replace(q->io, q->path, "quorum-state", bytes_of_str(text_str(&q->vote)), &f->op));
#endif
    }
    if (q->outcome.append_leader_change) {
        FLOW_TRY(f, "begin an epoch", log_begin_epoch(q->log, q->election.epoch, &f->op));
        f->result = append_control(q, &q->outcome);
        if (f->result < 0)
            goto failed;
        quorum_log_moved_first(q);
    }
    FLOW_END(f);
    flow_done(f, 0);
    act_finished(q);
    return;
failed:
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, f->result);
    act_finished(q);
}

static void say_election(const struct quorum *q)
{
    const struct raft_election *last = &q->election; /* until this is carried out */

    if (last->leader_id < 0)
        say(q->telemetry, LOG_INFO, "quorum", "nobody who leads epoch %" PRId32 " was found: votes are asked for",
            last->epoch);
    else if (last->leader_id == q->node_id)
        say(q->telemetry, LOG_INFO, "quorum", "this node led epoch %" PRId32 ": votes are asked for", last->epoch);
    else if (last->epoch != q->left_epoch)
        say(q->telemetry, LOG_WARN, "quorum",
            "node %" PRId32 ", which leads epoch %" PRId32 ", is not heard of within controller.quorum.fetch.timeout.ms, or"
            " refuses connections: votes are asked for", last->leader_id, last->epoch);
    else
        say(q->telemetry, LOG_INFO, "quorum", "node %" PRId32 " leads epoch %" PRId32
            " no more, as it says: votes are asked for",
            last->leader_id, last->epoch);
}

/* Why this node leads no more, or asks to lead. */
static void say_role(const struct quorum *q, enum raft_role before, const struct raft_event *event)
{
    bool stood = before == RAFT_PROSPECTIVE || before == RAFT_CANDIDATE;
    enum raft_role role = q->outcome.role;

    if (role == before)
        return;
    if (!stood && (role == RAFT_PROSPECTIVE || role == RAFT_CANDIDATE))
        say_election(q);
    else if (before == RAFT_LEADER && event->type == RAFT_EVENT_TICK)
        say(q->telemetry, LOG_WARN, "quorum", "this node leads epoch %" PRId32
            " no more: no majority of the voters has asked for records in time", q->election.epoch);
    else if (before == RAFT_LEADER)
        say(q->telemetry, LOG_INFO, "quorum", "this node leads epoch %" PRId32 " no more; the epoch is %" PRId32 " now",
            q->election.epoch, raft_election(q->raft)->epoch);
}

void quorum_step(struct quorum *q, struct quorum_event *e, const struct raft_event *event)
{
    struct raft_outcome *out = &q->outcome;
    enum raft_role before = raft_role(q->raft);

    ASSERT(!q->held && !quorum_is_over(q));
    raft_step(q->raft, event, out);
    if (event->type == RAFT_EVENT_REQUEST && event->request->rpc == RAFT_END && out->reply.error == KERR_NONE)
        q->left_epoch = event->request->epoch;
    say_role(q, before, event);
    if (out->high_watermark_moved) {
        ASSERT(out->high_watermark > q->high_watermark);
        q->high_watermark = out->high_watermark;
        quorum_meter_committed(q);
    }
    quorum_meter_role(q, out->role);
    if (out->role != RAFT_LEADER)
        q->accepts = false;
    if (out->persist || out->append_leader_change) {
        quorum_hold(q);
        q->carrying = e;
        flow_start(&q->act, act_run, NULL);
        return;
    }
    if (out->append_voters) {
        int error = append_control(q, out);
        if (error < 0)
            quorum_fail(q, error, "append the voters");
        else
            quorum_log_moved_first(q);
    }
    act_end(q, e);
}

/* ---- the log ----------------------------------------------------------------------------- */

static void log_moved_begin(struct quorum *q, struct quorum_event *e);

static void log_moved_then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    if (out != NULL)
        quorum_log_moved_first(q);
}

/* One thing after the other, until the machine knows all: what there is before what is stable. */
static void log_moved_begin(struct quorum *q, struct quorum_event *e)
{
    struct raft_event event = {.now_ms = io_now_ms(q->io)};

    if (q->told_end < log_end(q->log)) {
        event.type = RAFT_EVENT_APPENDED;
        event.end_offset = q->told_end = log_end(q->log);
        event.end_epoch = q->end_epoch;
    } else if (q->voters_changed) {
        event.type = RAFT_EVENT_VOTERS;
        event.voters = &q->voters;
        event.voters_end = q->history[q->history_count - 1].end;
        q->voters_changed = false;
    } else if (q->told_stable < log_stable(q->log)) {
        event.type = RAFT_EVENT_STABLE;
        event.stable_offset = q->told_stable = log_stable(q->log);
    } else {
        return;
    }
    quorum_step(q, e, &event);
}

static bool log_moved_waits(struct quorum *q)
{
    q->log_moved.begin = log_moved_begin;
    q->log_moved.then = log_moved_then;
    return list_linked(&q->log_moved.node);
}

void quorum_log_moved(struct quorum *q)
{
    if (!q->begun)
        return;
    if (!log_moved_waits(q))
        list_add_tail(&q->events, &q->log_moved.node);
    drain(q);
}

void quorum_log_moved_first(struct quorum *q)
{
    if (log_moved_waits(q))
        list_remove(&q->log_moved.node);
    list_add_head(&q->events, &q->log_moved.node);
}

void quorum_stable_moved(void *ctx)
{
    struct quorum *q = ctx;

    /* Before the first step the log's position is read by it. */
    if (q->begun && !quorum_is_over(q))
        quorum_log_moved(q);
}

/* ---- the first step ----------------------------------------------------------------------- */

static void start_begin(struct quorum *q, struct quorum_event *e)
{
    q->told_end = log_end(q->log);
    q->told_stable = log_stable(q->log);
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_START,
                                           .now_ms = io_now_ms(q->io),
                                           .stable_offset = q->told_stable,
                                           .end_offset = q->told_end,
                                           .end_epoch = q->end_epoch});
}

void quorum_begin(struct quorum *q)
{
    q->begun = true;
    q->start.begin = start_begin;
    quorum_post(q, &q->start);
}
