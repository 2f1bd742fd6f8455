/* FetchSnapshot: a range of a snapshot's file. */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/fetch_snapshot.h"

struct snapshot_read {
    struct quorum *q;
    struct quorum_call *call;
    struct io_file *file;
    uint8_t *bytes;
    uint32_t n;
    int64_t size, result;
    struct flow flow;
    char path[4096];
};

static const struct fetch_snapshot_request_topics_partitions *asked_partition(const struct quorum_call *call)
{
    const struct fetch_snapshot_request *m = call->request;

    return &m->topics[0].partitions[0];
}

static struct fetch_snapshot_response_topics_partitions *fill(struct quorum *q, struct quorum_call *call,
                                                              enum kerr error)
{
    struct fetch_snapshot_response *m = call->response;
    struct fetch_snapshot_response_topics *topic = arena_take(call->arena, sizeof(*topic));
    struct fetch_snapshot_response_topics_partitions *p = arena_take(call->arena, sizeof(*p));
    struct fetch_snapshot_response_node_endpoints *node = arena_take(call->arena, sizeof(*node));
    const struct raft_endpoint *e;

    if (topic == NULL || p == NULL || node == NULL) {
        quorum_call_refuse(call, KERR_UNKNOWN_SERVER_ERROR);
        return NULL;
    }
    fetch_snapshot_response_topics_init(topic);
    fetch_snapshot_response_topics_partitions_init(p);
    m->topics = topic;
    m->topics_count = 1;
    topic->name = STR(METADATA_TOPIC);
    topic->partitions = p;
    topic->partitions_count = 1;
    p->error_code = (int16_t)error;
    p->snapshot_id.end_offset = asked_partition(call)->snapshot_id.end_offset;
    p->snapshot_id.epoch = asked_partition(call)->snapshot_id.epoch;
    p->unaligned_records = (struct bytes){(const uint8_t *)"", 0};
    quorum_leader(q, &p->current_leader.leader_id, &p->current_leader.leader_epoch);
    e = quorum_call_leader_endpoint(call, p->current_leader.leader_id);
    if (e != NULL && call->api_version >= 1) {
        fetch_snapshot_response_node_endpoints_init(node);
        node->node_id = p->current_leader.leader_id;
        node->host = arena_str(call->arena, str_of(e->host));
        node->port = e->port;
        m->node_endpoints = node;
        m->node_endpoints_count = 1;
    }
    return p;
}

static void answer(struct quorum *q, struct quorum_call *call, enum kerr error)
{
    if (fill(q, call, error) != NULL)
        quorum_call_answer(call);
}

/* ---- the file ---------------------------------------------------------------------------- */

/* One that cannot be opened has just been removed; another trouble is told by whoever needs the file itself. */
static void read_end(struct snapshot_read *r, int64_t result)
{
    struct quorum_call *call = r->call;
    struct fetch_snapshot_response_topics_partitions *p =
        fill(r->q, call, result <= 0 ? KERR_SNAPSHOT_NOT_FOUND : KERR_NONE);

    if (p != NULL && result > 0) {
        p->size = r->size;
        p->position = asked_partition(call)->position;
        p->unaligned_records = (struct bytes){r->bytes, (int32_t)result};
    }
    if (p != NULL)
        quorum_call_answer(call);
    free(r);
}

static void read_run(struct flow *f)
{
    struct snapshot_read *r = container_of(f, struct snapshot_read, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open a snapshot", io_open(r->q->io, r->path, IO_READ, &r->file, &f->op));
    FLOW_WAIT(f, "read a snapshot",
              io_read(r->file, (uint64_t)asked_partition(r->call)->position, r->bytes, r->n, &f->op));
    r->result = f->result;
    FLOW_WAIT(f, "close a snapshot", io_close(r->file, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    read_end(r, r->result);
    return;
failed:
    flow_done(f, 0);
    read_end(r, f->result);
}

static void read_begin(struct quorum *q, struct quorum_call *call, const struct snapshot_file *file)
{
    const struct fetch_snapshot_request *m = call->request;
    struct snapshot_read *r = calloc(1, sizeof(*r));
    int64_t left = (int64_t)file->size_bytes - asked_partition(call)->position;
    char name[64];

    ASSERT(r != NULL);
    if (left > m->max_bytes)
        left = m->max_bytes > 0 ? m->max_bytes : 1;
    r->q = q;
    r->call = call;
    r->n = left > (int64_t)q->snapshot_fetch_bytes_max ? q->snapshot_fetch_bytes_max : (uint32_t)left;
    r->size = (int64_t)file->size_bytes;
    r->bytes = arena_take_raw(call->arena, r->n);
    if (r->bytes == NULL) {
        free(r);
        quorum_call_refuse(call, KERR_UNKNOWN_SERVER_ERROR);
        return;
    }
    metadata_snapshot_name(file->id, name);
    snprintf(r->path, sizeof(r->path), "%s/%s", q->path, name);
    flow_start(&r->flow, read_run, NULL);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void admitted(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct fetch_snapshot_request_topics_partitions *p = asked_partition(call);
    struct raft_snapshot_id id = {p->snapshot_id.end_offset, p->snapshot_id.epoch};
    const struct snapshot_file *file = snapshot_is_bootstrap(id) ? NULL : metadata_snapshot_find(&q->snapshots, id);

    if (out == NULL)
        quorum_call_event_over(q, e);
    else if (out->reply.error != KERR_NONE)
        answer(q, call, out->reply.error);
    else if (!q->accepts)
        answer(q, call, KERR_NOT_LEADER_OR_FOLLOWER);
    else if (file == NULL)
        answer(q, call, KERR_SNAPSHOT_NOT_FOUND);
    else if (p->position < 0 || p->position >= (int64_t)file->size_bytes)
        answer(q, call, KERR_POSITION_OUT_OF_RANGE);
    else
        read_begin(q, call, file);
}

static bool asks_for_metadata(const struct fetch_snapshot_request *m)
{
    return m->topics_count == 1 && str_equal(m->topics[0].name, STR(METADATA_TOPIC)) &&
           m->topics[0].partitions_count == 1 && m->topics[0].partitions[0].partition == 0;
}

void quorum_serve_snapshot(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct fetch_snapshot_request *m = call->request;

    if (!quorum_call_cluster_fits(q, m->cluster_id)) {
        quorum_call_refuse(call, KERR_INCONSISTENT_CLUSTER_ID);
        return;
    }
    if (!asks_for_metadata(m)) {
        quorum_call_refuse(call, KERR_INVALID_REQUEST);
        return;
    }
    struct raft_request request = {.rpc = RAFT_FETCH,
                                   .from = {m->replica_id, asked_partition(call)->replica_directory_id},
                                   .to = {.id = -1},
                                   .epoch = asked_partition(call)->current_leader_epoch};
    e->then = admitted;
    quorum_step(q, e,
                &(struct raft_event){.type = RAFT_EVENT_REQUEST, .now_ms = io_now_ms(q->io), .request = &request});
}
