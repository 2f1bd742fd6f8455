/* What the controller asks: append, positions, who leads; and the end. */
#include "quorum/internal.h"

#include <stdlib.h>

void quorum_fail(struct quorum *q, int error, const char *what)
{
    struct fail why;

    q->failed = true;
    q->accepts = false;
    fail_set(&why, error, "%s: %s: %s", q->path, what, error_text(error));
    log_dir_fail(q->dir, q->io, q->telemetry, &why);
}

/* ---- append ------------------------------------------------------------------------------ */

/* Not inside the append: the machine may have more to say than the controller wants to hear there. */
static void log_moved_soon(struct io_timer *t)
{
    quorum_log_moved(container_of(t, struct quorum, soon));
}

int quorum_append(struct quorum *q, int32_t epoch, const struct bytes *framed, uint32_t count,
                  int64_t *last_offset)
{
    struct text batch = {0};
    int64_t base = log_end(q->log);

    ASSERT(count > 0);
    if (!q->accepts || epoch != q->election.epoch || gate_is_closing(&q->gate))
        return ERR_FENCED;
    int error = framed_batch(framed, count, base, epoch, io_wall_ms(q->io), &batch);
    if (error == 0 && batch.n > QUORUM_BATCH_BYTES_MAX)
        error = ERR_LIMIT;
    if (error == 0)
        error = log_append_stamped(q->log, bytes_of_str(text_str(&batch)), io_wall_ms(q->io));
    text_deinit(&batch);
    TRY(error);
    q->end_epoch = epoch;
    quorum_meter_appended(q, base);
    io_timer_set(q->io, &q->soon, io_now_ns(q->io), log_moved_soon);
    *last_offset = log_end(q->log) - 1;
    return 0;
}

/* ---- kraft.version ------------------------------------------------------------------------ */

struct upgrade {
    struct quorum_event event;
    enum kerr error;
};

static void upgraded(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    container_of(e, struct upgrade, event)->error = out == NULL ? KERR_NOT_CONTROLLER : out->reply.error;
}

/* A leader that accepts has nothing to write but into its log, so the step is over when quorum_step returns. */
enum kerr quorum_upgrade(struct quorum *q, int32_t epoch, bool validate_only)
{
    struct raft_change change = {.kind = RAFT_UPGRADE, .validate_only = validate_only};
    struct upgrade u = {.event.then = upgraded, .error = KERR_REQUEST_TIMED_OUT};

    if (!q->accepts || epoch != q->election.epoch || gate_is_closing(&q->gate))
        return KERR_NOT_CONTROLLER;
    if (q->held || q->draining) /* something is being carried out */
        return u.error;
    q->draining = true;
    quorum_step(q, &u.event,
                &(struct raft_event){.type = RAFT_EVENT_CHANGE, .now_ms = io_now_ms(q->io), .change = &change});
    q->draining = false;
    ASSERT(!q->held);
    io_timer_set(q->io, &q->soon, io_now_ns(q->io), log_moved_soon);
    return u.error;
}

/* ---- ask --------------------------------------------------------------------------------- */

int64_t quorum_high_watermark(const struct quorum *q)
{
    return q->high_watermark;
}

int64_t quorum_end(const struct quorum *q)
{
    return log_end(q->log);
}

void quorum_leader(const struct quorum *q, int32_t *leader_id, int32_t *epoch)
{
    bool known = q->election.leader_id != q->node_id || q->accepts;

    *leader_id = known ? q->election.leader_id : -1;
    *epoch = q->election.epoch;
}

void quorum_state(const struct quorum *q, struct quorum_state *out)
{
    enum raft_role role = raft_role(q->raft);
    bool for_itself = role == RAFT_LEADER || role == RAFT_CANDIDATE; /* also where the file does not say so any more */

    *out = (struct quorum_state){
        .role = role,
        .is_voter = q->can_vote && raft_is_voter(&q->voters, q->node_id, q->directory_id),
        .epoch = q->election.epoch,
        .leader_id = q->election.leader_id,
        .voted_id = for_itself ? q->node_id : q->election.voted_id,
        .high_watermark = q->high_watermark,
        .end = log_end(q->log),
        .end_epoch = q->end_epoch,
        .observers = raft_observers(q->raft, io_now_ms(q->io)),
        .voters_are_changing = q->probe != NULL || !list_empty(&q->changes),
        .leaders = q->leaders,
    };
}

const struct raft_voters *quorum_voters(const struct quorum *q)
{
    return &q->voters;
}

/* ---- close ------------------------------------------------------------------------------- */

void quorum_free(struct quorum *q)
{
    raft_free(q->raft);
    quorum_fetch_free(q);
    free(q->history);
    free(q->snapshots.files);
    text_deinit(&q->vote);
    text_deinit(&q->batches);
    arena_deinit(&q->read_arena);
    free(q->path);
    free(q);
}

/* The machine's last words: the others need not wait until they miss this leader. */
static void resign(struct quorum *q)
{
    struct raft_outcome out;

    if (q->failed || !q->begun)
        return;
    raft_step(q->raft, &(struct raft_event){.type = RAFT_EVENT_STOP, .now_ms = io_now_ms(q->io)}, &out);
    ASSERT(!out.persist);
    quorum_sends_go(q, &out);
}

/* The others are told, each within the time of a request; then nothing is left that could be told. */
static void close_run(struct flow *f)
{
    struct quorum *q = container_of(f, struct quorum, close);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(q->io, &f->op));
    resign(q);
    if (!list_empty(&q->sends))
        FLOW_WAIT(f, "tell the others", q->sends_over = &f->op);
    FLOW_WAIT(f, "close its connections", client_close(q->client, &f->op));
    FLOW_WAIT(f, "close the log", log_close(q->log, &f->op));
    FLOW_END(f);
    q->log = NULL;
    struct op *parent = q->close_op;
    int64_t result = q->failed && f->result >= 0 ? ERR_OFFLINE : f->result;
    quorum_free(q);
    parent->done(parent, result);
}

static void nobody_inside(struct gate *gate)
{
    struct quorum *q = container_of(gate, struct quorum, gate);

    flow_start(&q->close, close_run, NULL);
}

void quorum_close(struct quorum *q, struct op *op)
{
    q->close_op = op;
    q->accepts = false;
    io_timer_clear(&q->tick_timer);
    io_timer_clear(&q->soon);
    quorum_sends_cancel(q);
    quorum_fetch_cancel(q);
    quorum_snapshot_fetch_cancel(q);
    quorum_join_cancel(q);
    quorum_stranger_cancel(q);
    quorum_probe_cancel(q);
    quorum_serve_over(q);
    gate_close(&q->gate, nobody_inside);
}
