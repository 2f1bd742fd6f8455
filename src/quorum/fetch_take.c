/* What a Fetch has brought: records for the log, where it diverges, or the id of a snapshot. */
#include "quorum/internal.h"

#include "protocol/fetch.h"

/* NULL: it is no answer to what was asked. */
static const struct fetch_response_responses_partitions *answered_partition(const struct fetch_response *m)
{
    if (m->responses_count != 1 || m->responses[0].partitions_count != 1)
        return NULL;
    return &m->responses[0].partitions[0];
}

/* Where the leader is reached: as it is said; or it is who has answered, at an address that was given without an id. A
 * node that knows the leader's id from its last life and has no voters in its log would learn it nowhere else. */
static void take_endpoints(struct quorum *q, const struct fetch_response *m, bool is_the_leader, int32_t leader_id,
                           int32_t epoch)
{
    const struct client_broker *asked = client_broker(q->client, q->fetch.to);

#ifdef MUTANT_QUORUM_LEADER_WITHOUT_ADDRESS
    is_the_leader = false;
#endif
    if (is_the_leader && q->fetch.to < 0 && asked != NULL)
        quorum_nodes_hint(q, leader_id, epoch, asked->host, asked->port);
    for (int32_t i = 0; i < m->node_endpoints_count; i++) {
        if (m->node_endpoints[i].node_id == leader_id)
            quorum_nodes_hint(q, leader_id, epoch, m->node_endpoints[i].host, m->node_endpoints[i].port);
    }
}

/* An answer that is not used is as good as none: the machine's time goes on, and another one is asked for later. */
static void refuse(struct quorum *q, const char *why)
{
    say(q->telemetry, LOG_ERROR, "quorum",
        "node %" PRId32 " answers Fetch of the metadata log at offset %" PRId64 ": %s", q->fetch.to, log_end(q->log),
        why);
    q->fetch.answer.lost = true;
    quorum_fetch_tell(q);
}

/* ---- records ----------------------------------------------------------------------------- */

/* The batches that may be appended: whole, in order, of no later epoch than the leader's, with good checksums. */
static struct bytes good_batches(const struct quorum *q, struct bytes records, struct fail *why)
{
    struct bytes rest = records, good = {records.p, 0};
    int64_t next = log_end(q->log);
    int32_t epoch = q->end_epoch;
    struct batch b;
    int more;

    while ((more = batch_next(&rest, &b)) == 1) {
        if (b.base_offset != next || b.last_offset < b.base_offset || b.leader_epoch < epoch ||
            b.leader_epoch > q->election.epoch) {
            fail_set(why, ERR_CORRUPT, "the batch at offset %" PRId64 " of epoch %" PRId32 " does not follow",
                     b.base_offset, b.leader_epoch);
            return good;
        }
        if (!batch_crc_ok(&b)) {
            fail_set(why, ERR_CORRUPT, "the batch at offset %" PRId64 " fails its checksum", b.base_offset);
            return good;
        }
        next = b.last_offset + 1;
        epoch = b.leader_epoch;
        good.n += b.bytes.n;
    }
    if (more < 0 && more != ERR_SHORT) /* the last one may be cut */
        fail_set(why, more, "no batch at offset %" PRId64 ": %s", next, error_text(more));
    return good;
}

/* Voters are in force from where they stand in the log on. Control batches that cannot be read are not appended, nor
 * what is behind them. */
static struct bytes take_voters(struct quorum *q, struct bytes batches, struct fail *why)
{
    struct bytes rest = batches, good = {batches.p, 0};
    struct raft_voters voters = q->voters;
    struct batch b;

    while (batch_next(&rest, &b) == 1) {
        struct control_seen seen = {0};
        if (batch_is_control(&b) && control_read(&b, &voters, &seen, why) < 0)
            return good;
        if (seen.voters || seen.kraft_version)
            quorum_voters_push(q, &voters, b.last_offset + 1);
        q->end_epoch = b.leader_epoch;
        good.n += b.bytes.n;
    }
    return good;
}

static void take_records(struct quorum *q, const struct fetch_response_responses_partitions *p)
{
    struct bytes records = p->records.n > 0 ? p->records : (struct bytes){NULL, 0};
    struct fail why = {0};
    struct bytes good = good_batches(q, records, &why);

    good = take_voters(q, good, &why);
    if (good.n > 0) {
        int64_t base = log_end(q->log);
        int error = log_append_stamped(q->log, good, io_wall_ms(q->io));
        if (error < 0) {
            quorum_fail(q, error, "append what was fetched");
            quorum_fetch_tell(q);
            return;
        }
        quorum_meter_fetched(q, base);
    }
    if (why.error != 0) {
        refuse(q, why.text);
        return;
    }
    q->fetch.answer.high_watermark = p->high_watermark;
    quorum_fetch_tell(q);
}

/* ---- divergence -------------------------------------------------------------------------- */

static void cut_told(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    quorum_fetch_tell(q);
}

static void cut_begin(struct quorum *q, struct quorum_event *e)
{
    q->told_end = log_end(q->log);
    q->told_stable = log_stable(q->log);
    e->then = cut_told;
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_TRUNCATED,
                                           .now_ms = io_now_ms(q->io),
                                           .stable_offset = q->told_stable,
                                           .end_offset = q->told_end,
                                           .end_epoch = q->end_epoch});
}

static void cut_end(struct quorum *q)
{
    q->cutting = false;
    q->fetch.event.begin = cut_begin;
    list_add_head(&q->events, &q->fetch.event.node);
    quorum_release(q);
}

static void cut_run(struct flow *f)
{
    struct quorum *q = container_of(f, struct quorum, fetch.cut);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "cut the log", log_truncate(q->log, q->fetch.cut_at, &f->op));
    q->end_epoch = quorum_epoch_before(q, q->fetch.cut_at);
    quorum_voters_cut(q, q->fetch.cut_at);
    FLOW_END(f);
    flow_done(f, 0);
    cut_end(q);
    return;
failed:
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, f->result);
    cut_end(q);
}

/* Where both logs are the same: the leader's word, as far as this log knows the epoch. Rule: interop of
 * RaftLog.truncateToEndOffset. */
static int64_t cut_offset(const struct quorum *q, int32_t epoch, int64_t end_offset)
{
    struct epoch_end local = quorum_epoch_end(q, epoch);

    if (epoch == 0)
        local.end_offset = log_end(q->log);
    else if (local.epoch != epoch)
        return local.end_offset;
    return local.end_offset < end_offset ? local.end_offset : end_offset;
}

static void take_divergence(struct quorum *q, const struct fetch_response_responses_partitions *p)
{
    int32_t epoch = p->diverging_epoch.epoch;
    int64_t end_offset = p->diverging_epoch.end_offset, at, kept;

    if (epoch < 0 || end_offset < 0) {
        refuse(q, "a diverging epoch that makes no sense");
        return;
    }
    at = cut_offset(q, epoch, end_offset);
    kept = q->delivered > q->high_watermark ? q->delivered : q->high_watermark;
#ifdef MUTANT_QUORUM_CUTS_DELIVERED
    kept = log_start(q->log);
#endif
    if (at < kept || at < log_start(q->log) || at >= log_end(q->log)) { /* Q5 */
        refuse(q, "it diverges where nothing can be cut: the two have lost a common history");
        return;
    }
    say(q->telemetry, LOG_INFO, "quorum", "the log is cut from offset %" PRId64 " to %" PRId64 ": node %" PRId32
        " leads epoch %" PRId32, log_end(q->log), at, q->fetch.to, q->election.epoch);
    q->fetch.cut_at = at;
    q->cutting = true;
    q->cuts++;
    quorum_hold(q);
    flow_start(&q->fetch.cut, cut_run, NULL);
}

/* ---- the answer -------------------------------------------------------------------------- */

static void take_success(struct quorum *q, const struct fetch_response_responses_partitions *p)
{
    struct raft_snapshot_id id = {p->snapshot_id.end_offset, p->snapshot_id.epoch};

    if (p->diverging_epoch.epoch >= 0 || p->diverging_epoch.end_offset >= 0)
        take_divergence(q, p);
    else if (id.epoch < 0 && id.end_offset < 0)
        take_records(q, p);
    else if (id.epoch < 0 || id.epoch > q->election.epoch || id.end_offset <= q->delivered ||
             id.end_offset < q->high_watermark)
        refuse(q, "a snapshot of what is known, or cannot be");
    else if (quorum_snapshot_fetch_begin(q, id))
        quorum_fetch_tell(q);
    else
        refuse(q, "a snapshot, while one is written");
}

void quorum_fetch_take(struct quorum *q, struct quorum_event *e)
{
    struct fetch_loop *f = &q->fetch;
    const struct fetch_response *m = f->call.response;
    const struct fetch_response_responses_partitions *p;

    f->answer = (struct raft_answer){.rpc = RAFT_FETCH,
                                     .from = f->to,
                                     .sent_epoch = f->epoch,
                                     .leader_id = -1,
                                     .high_watermark = -1};
    if (f->result < 0) {
        f->answer.lost = true;
        f->answer.refused = f->result == -ECONNREFUSED && !f->call.sent;
        quorum_fetch_tell(q);
        return;
    }
    if (m->error_code == KERR_INCONSISTENT_CLUSTER_ID) {
        quorum_stranger_found(q, f->to);
        f->answer.lost = true;
        quorum_fetch_tell(q);
        return;
    }
    if (m->error_code != KERR_NONE) { /* it stops, most of the time; another one is asked for the leader later */
        say(q->telemetry, LOG_INFO, "quorum", "node %" PRId32 " refuses a Fetch of the metadata log: %s%s", f->to,
            kerr_name(m->error_code), m->error_code == KERR_BROKER_NOT_AVAILABLE ? " (it is stopping)" : "");
        f->answer.lost = true;
        quorum_fetch_tell(q);
        return;
    }
    p = answered_partition(m);
    if (p == NULL) {
        refuse(q, "nothing of what was asked for");
        return;
    }
    f->answer.error = (enum kerr)p->error_code;
    f->answer.leader_id = p->current_leader.leader_id;
    f->answer.epoch = p->current_leader.leader_epoch;
    if (p->error_code == KERR_NONE && f->answer.epoch < 0 && f->to >= 0) { /* whoever answers leads what was asked */
        f->answer.leader_id = f->to;
        f->answer.epoch = f->epoch;
    }
    take_endpoints(q, m, p->error_code == KERR_NONE, f->answer.leader_id, f->answer.epoch);
    if (p->error_code == KERR_NONE && quorum_fetch_is_followed(q, f->to, f->epoch) && f->answer.epoch <= f->epoch)
        take_success(q, p);
    else
        quorum_fetch_tell(q);
}
