/* A follower that lacks what the leader's log begins with: the snapshot, piece by piece, checked whole, then the log
 * behind it.
 *
 *   FetchSnapshot … ─► header to footer ─► .part, sync, rename ─► the log begins anew ─► listener ─► the machine
 */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/fetch_snapshot.h"

struct snapshot_fetch {
    struct quorum *q;
    struct raft_snapshot_id id;
    int32_t to, epoch;
    struct client_call call;
    struct fetch_snapshot_request request;
    struct fetch_snapshot_request_topics topic;
    struct fetch_snapshot_request_topics_partitions partition;
    struct quorum_event event;
    struct raft_answer answer;
    int64_t result;
    int64_t size;          /* of the whole; 0 not known yet */
    bool done;             /* no more is asked for */
    uint32_t failures;     /* in a row */
    struct io_timer timer; /* back-off: then it goes on behind the last piece */
    struct snapshot snapshot;
    struct snapshot_put put;
    struct flow flow;
    uint32_t old;          /* snapshots that were there before */
    char name[64], path[4096];
};

/* ---- its end ----------------------------------------------------------------------------- */

static void fetch_end(struct snapshot_fetch *s)
{
    struct quorum *q = s->q;

    client_call_release(&s->call);
    metadata_snapshot_deinit(&s->snapshot);
    q->fetching = NULL;
    free(s);
    gate_leave(&q->gate);
}

static void over(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    fetch_end(container_of(e, struct snapshot_fetch, event));
}

/* ---- what was fetched becomes the beginning ------------------------------------------------ */

static void install_then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    quorum_log_moved_first(q);
    over(q, e, out);
}

/* The listener begins anew, then the machine hears where the log is. */
static void install_begin(struct quorum *q, struct quorum_event *e)
{
    struct snapshot_fetch *s = container_of(e, struct snapshot_fetch, event);

    q->delivered = s->id.end_offset;
    q->bytes_since_snapshot = 0;
    q->snapshot_taken_ns = io_now_ns(q->io);
    q->end_epoch = s->id.epoch;
    q->told_end = log_end(q->log);
    q->told_stable = log_stable(q->log);
    if (s->snapshot.voters.kraft_version > 0)
        quorum_voters_set(q, &s->snapshot.voters);
    q->listener.snapshot(q->listener.ctx, s->id);
    q->listener.committed(q->listener.ctx, bytes_of_str(text_str(&s->snapshot.content)));
    e->then = install_then;
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_TRUNCATED,
                                           .now_ms = io_now_ms(q->io),
                                           .stable_offset = q->told_stable,
                                           .end_offset = q->told_end,
                                           .end_epoch = q->end_epoch});
}

static void install_end(struct snapshot_fetch *s)
{
    struct quorum *q = s->q;

    q->cutting = false;
    s->event.begin = install_begin;
    s->event.then = over;
    list_add_head(&q->events, &s->event.node);
    quorum_release(q);
}

static const char *old_path(struct snapshot_fetch *s)
{
    metadata_snapshot_name(s->q->snapshots.files[0].id, s->name);
    snprintf(s->path, sizeof(s->path), "%s/%s", s->q->path, s->name);
    metadata_snapshot_files_remove_first(&s->q->snapshots);
    return s->path;
}

static void install_run(struct flow *f)
{
    struct snapshot_fetch *s = container_of(f, struct snapshot_fetch, flow);
    struct quorum *q = s->q;

    FLOW_BEGIN(f);
    metadata_snapshot_name(s->id, s->name);
    FLOW_TRY(f, "write a fetched snapshot",
             metadata_snapshot_put(&s->put, q->io, q->path, s->name,
                                   bytes_of_str(text_str(&s->snapshot.content)), &f->op));
    s->old = q->snapshots.count;
    metadata_snapshot_files_add(&q->snapshots, (struct snapshot_file){.id = s->id,
                                                                      .size_bytes = s->snapshot.content.n,
                                                                      .modified_ms = io_wall_ms(q->io)});
    FLOW_TRY(f, "begin the log anew", log_restart_at(q->log, s->id.end_offset, &f->op));
    for (; s->old > 0; s->old--) /* nothing leads from them to where the log begins */
        FLOW_TRY(f, "remove a snapshot", io_remove(q->io, old_path(s), &f->op));
    FLOW_TRY(f, "sync the directory", io_sync_dir(q->io, q->path, &f->op));
    FLOW_END(f);
    say(q->telemetry, LOG_INFO, "quorum", "fetched snapshot %s, %zu bytes, from node %" PRId32, s->put.path,
        s->snapshot.content.n, s->to);
    flow_done(f, 0);
    install_end(s);
    return;
failed:
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, f->result);
    install_end(s);
}

static void install(struct snapshot_fetch *s)
{
    struct quorum *q = s->q;
    struct fail why;

    client_call_release(&s->call);
    if (metadata_snapshot_check(&s->snapshot, &why) < 0) {
        say(q->telemetry, LOG_ERROR, "quorum", "node %" PRId32 " gives snapshot %" PRId64 "-%" PRId32 ", and %s", s->to,
            s->id.end_offset, s->id.epoch, why.text);
        quorum_fetch_back_off(q);
        fetch_end(s);
        return;
    }
    q->cutting = true;
    q->cuts++;
    quorum_hold(q);
    flow_start(&s->flow, install_run, NULL);
}

/* ---- pieces ------------------------------------------------------------------------------ */

static void send_next(struct snapshot_fetch *s);

static void wait_over(struct io_timer *t)
{
    struct snapshot_fetch *s = container_of(t, struct snapshot_fetch, timer);

    if (quorum_fetch_is_followed(s->q, s->to, s->epoch))
        send_next(s);
    else
        fetch_end(s);
}

static void told(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct snapshot_fetch *s = container_of(e, struct snapshot_fetch, event);

    client_call_release(&s->call);
    if (out == NULL || !quorum_fetch_is_followed(q, s->to, s->epoch) || s->done) {
        if (out != NULL)
            quorum_fetch_back_off(q);
        fetch_end(s);
    } else if (s->failures > 0) {
        io_timer_set(q->io, &s->timer, io_now_ns(q->io) + quorum_fetch_back_off_ms(q, s->failures - 1) * 1000000,
                     wait_over);
    } else if (s->size > 0 && (int64_t)s->snapshot.content.n == s->size) {
        install(s);
    } else {
        send_next(s);
    }
}

/* It makes no sense: begin anew by Fetch. */
static void refuse(struct snapshot_fetch *s, const char *why)
{
    say(s->q->telemetry, LOG_WARN, "quorum", "node %" PRId32 " answers FetchSnapshot of %" PRId64 "-%" PRId32 ": %s",
        s->to, s->id.end_offset, s->id.epoch, why);
    s->done = true;
}

static void take_piece(struct snapshot_fetch *s, const struct fetch_snapshot_response_topics_partitions *p)
{
    int64_t have = (int64_t)s->snapshot.content.n;
    struct bytes piece = p->unaligned_records;

    if (p->snapshot_id.end_offset != s->id.end_offset || p->snapshot_id.epoch != s->id.epoch || p->position != have) {
        refuse(s, "another one, or another position");
        return;
    }
    if (p->size <= 0 || p->size > SNAPSHOT_BYTES_MAX || (s->size > 0 && p->size != s->size)) {
        refuse(s, "a size that cannot be");
        return;
    }
    if (piece.n <= 0 || piece.n > p->size - have) {
        refuse(s, "nothing, or more than there is");
        return;
    }
    s->size = p->size;
    s->failures = 0;
    text_add(&s->snapshot.content, piece.p, (size_t)piece.n);
    s->answer.leader_id = s->to;
    s->answer.epoch = s->epoch;
}

static void take_answer(struct snapshot_fetch *s)
{
    const struct fetch_snapshot_response *m = s->call.response;
    const struct fetch_snapshot_response_topics_partitions *p;

    if (m->error_code != KERR_NONE || m->topics_count != 1 || m->topics[0].partitions_count != 1) {
        s->answer.lost = true;
        refuse(s, kerr_name(m->error_code));
        return;
    }
    p = &m->topics[0].partitions[0];
    s->answer.error = (enum kerr)p->error_code;
    if (p->error_code == KERR_NONE) {
        take_piece(s, p);
        return;
    }
    s->answer.leader_id = p->current_leader.leader_id;
    s->answer.epoch = p->current_leader.leader_epoch;
    refuse(s, kerr_name(p->error_code));
}

static void begin(struct quorum *q, struct quorum_event *e)
{
    struct snapshot_fetch *s = container_of(e, struct snapshot_fetch, event);

    s->answer = (struct raft_answer){
        .rpc = RAFT_FETCH, .from = s->to, .sent_epoch = s->epoch, .leader_id = -1, .high_watermark = -1};
    if (s->result == 0) {
        take_answer(s);
    } else { /* while this leader is followed, no piece is asked for twice */
        s->answer.lost = true;
        s->failures++;
    }
    e->then = told;
    quorum_step(q, e,
                &(struct raft_event){.type = RAFT_EVENT_ANSWER, .now_ms = io_now_ms(q->io), .answer = &s->answer});
}

static void answered(struct op *op, int64_t result)
{
    struct snapshot_fetch *s = container_of(op, struct snapshot_fetch, call.op);

    s->result = result;
    quorum_post(s->q, &s->event);
}

static void send_next(struct snapshot_fetch *s)
{
    struct quorum *q = s->q;
    struct fetch_snapshot_request_topics_partitions *p = &s->partition;

    fetch_snapshot_request_init(&s->request);
    fetch_snapshot_request_topics_init(&s->topic);
    fetch_snapshot_request_topics_partitions_init(p);
    s->request.cluster_id = str_of(q->cluster_id);
    s->request.replica_id = q->node_id;
    s->request.max_bytes = (int32_t)q->snapshot_fetch_bytes_max;
    s->request.topics = &s->topic;
    s->request.topics_count = 1;
    s->topic.name = STR(METADATA_TOPIC);
    s->topic.partitions = p;
    s->topic.partitions_count = 1;
    p->current_leader_epoch = s->epoch;
    p->snapshot_id.end_offset = s->id.end_offset;
    p->snapshot_id.epoch = s->id.epoch;
    p->position = (int64_t)s->snapshot.content.n;
    p->replica_directory_id = q->directory_id;
    s->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = s->to},
                                   .api_key = API_FETCH_SNAPSHOT,
                                   .request = &s->request};
    op_init(&s->call.op, answered);
    s->event = (struct quorum_event){.begin = begin, .then = over};
    client_send(q->client, &s->call);
}

bool quorum_snapshot_fetch_begin(struct quorum *q, struct raft_snapshot_id id)
{
    struct snapshot_fetch *s;

    if (q->writing != NULL || q->fetching != NULL || !gate_enter(&q->gate))
        return false;
    s = calloc(1, sizeof(*s));
    ASSERT(s != NULL);
    s->q = q;
    s->id = id;
    s->to = q->fetch.to;
    s->epoch = q->fetch.epoch;
    q->fetching = s;
    send_next(s);
    return true;
}

void quorum_snapshot_fetch_kick(struct quorum *q)
{
    if (!quorum_fetch_is_followed(q, q->fetching->to, q->fetching->epoch))
        quorum_snapshot_fetch_cancel(q);
}

void quorum_snapshot_fetch_cancel(struct quorum *q)
{
    struct snapshot_fetch *s = q->fetching;

    if (s == NULL)
        return;
    if (io_timer_is_set(&s->timer)) {
        io_timer_clear(&s->timer);
        fetch_end(s);
    } else {
        client_cancel(&s->call);
    }
}
