/* The answer to DescribeQuorum: the leader knows how far the others are. */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/describe_quorum.h"

/* What the machine says in monotonic time; -1 never. */
static int64_t wall_of(const struct quorum *q, int64_t at_ms)
{
    return at_ms < 0 ? -1 : io_wall_ms(q->io) - (io_now_ms(q->io) - at_ms);
}

static bool fill_replicas(const struct quorum *q, struct arena *arena,
                          struct describe_quorum_response_topics_partitions *partition)
{
    uint32_t max = RAFT_VOTERS_MAX + RAFT_OBSERVERS_MAX;
    struct raft_replica *replicas = calloc(max, sizeof(*replicas));

    ASSERT(replicas != NULL);
    uint32_t count = raft_replicas(q->raft, io_now_ms(q->io), replicas, max), voters = 0;
    struct describe_quorum_response_replica_state *rows = arena_take_array(arena, count, sizeof(*rows));
    for (uint32_t i = 0; rows != NULL && i < count; i++) {
        const struct raft_replica *r = &replicas[i];
        describe_quorum_response_replica_state_init(&rows[i]);
        rows[i].replica_id = r->key.id;
        rows[i].replica_directory_id = r->key.directory_id;
        rows[i].log_end_offset = r->end_offset;
        rows[i].last_fetch_timestamp = wall_of(q, r->fetched_ms);
        rows[i].last_caught_up_timestamp = wall_of(q, r->caught_up_ms);
        voters += r->is_voter;
    }
    free(replicas);
    partition->current_voters = rows;
    partition->current_voters_count = (int32_t)voters;
    partition->observers = rows == NULL ? NULL : rows + voters;
    partition->observers_count = (int32_t)(count - voters);
    return rows != NULL;
}

static struct describe_quorum_response_nodes *describe_nodes(const struct quorum *q,
                                                             struct arena *arena)
{
    struct describe_quorum_response_nodes *nodes =
        arena_take_array(arena, q->voters.count, sizeof(*nodes));

    if (nodes == NULL)
        return NULL;
    for (uint32_t i = 0; i < q->voters.count; i++) {
        const struct raft_voter *v = &q->voters.voters[i];
        describe_quorum_response_nodes_init(&nodes[i]);
        nodes[i].node_id = v->id;
        nodes[i].listeners = arena_take_array(arena, v->endpoint_count, sizeof(*nodes->listeners));
        if (nodes[i].listeners == NULL)
            return NULL;
        nodes[i].listeners_count = (int32_t)v->endpoint_count;
        for (uint32_t j = 0; j < v->endpoint_count; j++) {
            describe_quorum_response_nodes_listeners_init(&nodes[i].listeners[j]);
            nodes[i].listeners[j].name = arena_str(arena, str_of(v->endpoints[j].name));
            nodes[i].listeners[j].host = arena_str(arena, str_of(v->endpoints[j].host));
            nodes[i].listeners[j].port = v->endpoints[j].port;
        }
    }
    return nodes;
}

static void describe(const struct quorum *q, int16_t version, struct arena *arena,
                     struct describe_quorum_response *out)
{
    struct describe_quorum_response_topics *topic = arena_take(arena, sizeof(*topic));
    struct describe_quorum_response_topics_partitions *partition =
        arena_take(arena, sizeof(*partition));

    describe_quorum_response_init(out);
    if (topic == NULL || partition == NULL) {
        out->error_code = KERR_UNKNOWN_SERVER_ERROR;
        return;
    }
    describe_quorum_response_topics_init(topic);
    describe_quorum_response_topics_partitions_init(partition);
    topic->topic_name = STR(METADATA_TOPIC);
    topic->partitions = partition;
    topic->partitions_count = 1;
    out->topics = topic;
    out->topics_count = 1;

    quorum_leader(q, &partition->leader_id, &partition->leader_epoch);
    partition->high_watermark = q->high_watermark;
    if (!q->accepts) {
        partition->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
        return;
    }
    out->nodes = describe_nodes(q, arena);
    if (!fill_replicas(q, arena, partition) || out->nodes == NULL) {
        describe_quorum_response_init(out);
        out->error_code = KERR_UNKNOWN_SERVER_ERROR;
        return;
    }
    out->nodes_count = version >= 2 ? (int32_t)q->voters.count : 0;
}

/* There is one partition that can be asked about. */
static bool asks_for_metadata(const struct describe_quorum_request *m)
{
    return m->topics_count == 1 && str_equal(m->topics[0].topic_name, STR(METADATA_TOPIC)) &&
           m->topics[0].partitions_count == 1 && m->topics[0].partitions[0].partition_index == 0;
}

/* Each partition that was named is refused, as Kafka does it. */
static void refuse(const struct describe_quorum_request *m, struct arena *arena, struct describe_quorum_response *out)
{
    describe_quorum_response_init(out);
    out->topics_count = m->topics_count;
    out->topics = arena_take_array(arena, (size_t)m->topics_count, sizeof(*out->topics));
    for (int32_t t = 0; t < m->topics_count; t++) {
        const struct describe_quorum_request_topics *asked = &m->topics[t];
        struct describe_quorum_response_topics *topic = &out->topics[t];
        describe_quorum_response_topics_init(topic);
        topic->topic_name = asked->topic_name;
        topic->partitions_count = asked->partitions_count;
        topic->partitions = arena_take_array(arena, (size_t)asked->partitions_count, sizeof(*topic->partitions));
        for (int32_t p = 0; p < asked->partitions_count; p++) {
            describe_quorum_response_topics_partitions_init(&topic->partitions[p]);
            topic->partitions[p].partition_index = asked->partitions[p].partition_index;
            topic->partitions[p].error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
}

void quorum_serve_describe(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);

    if (asks_for_metadata(call->request))
        describe(q, call->api_version, call->arena, call->response);
    else
        refuse(call->request, call->arena, call->response);
    quorum_call_answer(call);
}
