/* Runs what the machine decides: votes to disk, then control batches to the log, then the world. */
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

/* ---- steps ------------------------------------------------------------------------------- */

static void act_run(struct flow *f);

/* Give the machine an event and carry out what it says. Not while an outcome is being carried out.
 */
static void step(struct quorum *q, const struct raft_event *event)
{
    struct raft_outcome out;

    ASSERT(!q->acting);
    raft_step(q->raft, event, &out);
    if (out.high_watermark_moved) {
        ASSERT(out.high_watermark > q->high_watermark);
        q->high_watermark = out.high_watermark;
    }
    if ((out.persist || out.append_leader_change) && gate_enter(&q->gate)) {
        q->acting = true;
        q->outcome = out;
        flow_start(&q->act, act_run, NULL);
        return;
    }
    quorum_deliver(q);
}

void quorum_stable_moved(void *ctx)
{
    struct quorum *q = ctx;

    /* Before the first step, and while one is carried out, the log's position is read later. */
    if (q->acting || q->raft == NULL || !q->begun || q->failed || gate_is_closing(&q->gate))
        return;
    step(q, &(struct raft_event){.type = RAFT_EVENT_STABLE,
                                 .now_ms = io_now_ms(q->io),
                                 .stable_offset = log_stable(q->log)});
}

static void step_appended(struct quorum *q)
{
    struct raft_outcome out;

    raft_step(q->raft,
              &(struct raft_event){
                  .type = RAFT_EVENT_APPENDED, .now_ms = io_now_ms(q->io), .end_offset = log_end(q->log)},
              &out);
    ASSERT(!out.persist && !out.high_watermark_moved); /* `stable` has not moved yet */
}

/* The first batch of an epoch. */
static int append_leader_change(struct quorum *q)
{
    struct text batch = {0};
    int error =
        control_leader_change(&q->voters, q->node_id, q->outcome.append_voters, log_end(q->log),
                              q->election.epoch, io_wall_ms(q->io), &batch);

    if (error == 0)
        error = log_append_stamped(q->log, bytes_of_str(text_str(&batch)), io_wall_ms(q->io));
    text_deinit(&batch);
    TRY(error);
    q->voters.from_bootstrap = false;
    step_appended(q);
    q->accepts = true;
    return 0;
}

static void act_end(struct quorum *q)
{
    q->acting = false;
    if (!gate_is_closing(&q->gate) && !q->failed)
        q->listener.leader(q->listener.ctx, q->election.leader_id, q->election.epoch);
    quorum_stable_moved(q);
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
        FLOW_TRY(
            f, "write quorum-state",
            file_replace(q->io, q->path, "quorum-state", bytes_of_str(text_str(&q->vote)), &f->op));
    }
    if (q->outcome.append_leader_change) {
        FLOW_TRY(f, "begin an epoch", log_begin_epoch(q->log, q->election.epoch, &f->op));
        f->result = append_leader_change(q);
        if (f->result < 0)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    act_end(q);
    return;
failed:
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, f->result);
    act_end(q);
}

void quorum_begin(struct quorum *q)
{
    q->begun = true;
    step(q, &(struct raft_event){.type = RAFT_EVENT_START,
                                 .now_ms = io_now_ms(q->io),
                                 .stable_offset = log_stable(q->log),
                                 .end_offset = log_end(q->log),
                                 .end_epoch = q->start_epoch});
}

/* ---- append ------------------------------------------------------------------------------ */

int quorum_append(struct quorum *q, int32_t epoch, const struct bytes *framed, uint32_t count,
                  int64_t *last_offset)
{
    struct text batch = {0};

    ASSERT(count > 0);
    if (!q->accepts || epoch != q->election.epoch || gate_is_closing(&q->gate))
        return ERR_FENCED;
    int error = framed_batch(framed, count, log_end(q->log), epoch, io_wall_ms(q->io), &batch);
    if (error == 0 && batch.n > QUORUM_BATCH_BYTES_MAX)
        error = ERR_LIMIT;
    if (error == 0)
        error = log_append_stamped(q->log, bytes_of_str(text_str(&batch)), io_wall_ms(q->io));
    text_deinit(&batch);
    TRY(error);
    step_appended(q);
    *last_offset = log_end(q->log) - 1;
    return 0;
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

const struct raft_voters *quorum_voters(const struct quorum *q)
{
    return &q->voters;
}

bool quorum_leader_endpoint(const struct quorum *q, struct raft_endpoint *out)
{
    for (uint32_t i = 0; i < q->voters.count; i++) {
        const struct raft_voter *v = &q->voters.voters[i];
        if (v->id == q->election.leader_id && v->id != q->node_id && v->endpoint_count > 0) {
            *out = v->endpoints[0];
            return true;
        }
    }
    return false;
}

/* ---- close ------------------------------------------------------------------------------- */

void quorum_free(struct quorum *q)
{
    raft_free(q->raft);
    free(q->snapshots.files);
    text_deinit(&q->vote);
    text_deinit(&q->batches);
    arena_deinit(&q->read_arena);
    free(q->path);
    free(q);
}

static void closed(struct op *op, int64_t result)
{
    struct quorum *q = container_of(op, struct quorum, log_closed);
    struct op *parent = q->close_op;
    bool failed = q->failed;

    q->log = NULL;
    quorum_free(q);
    parent->done(parent, failed && result >= 0 ? ERR_OFFLINE : result);
}

static void nobody_inside(struct gate *gate)
{
    struct quorum *q = container_of(gate, struct quorum, gate);
    struct raft_outcome out;

    raft_step(q->raft, &(struct raft_event){.type = RAFT_EVENT_STOP, .now_ms = io_now_ms(q->io)}, &out);
    ASSERT(!out.persist);
    op_init(&q->log_closed, closed);
    log_close(q->log, &q->log_closed);
}

void quorum_close(struct quorum *q, struct op *op)
{
    q->close_op = op;
    gate_close(&q->gate, nobody_inside);
}
