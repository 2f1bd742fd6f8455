/* The answer to DescribeQuorum. */
#include "quorum/internal.h"

#include "protocol/describe_quorum.h"

static struct describe_quorum_response_replica_state *describe_voters(const struct quorum *q,
                                                                      struct arena *arena)
{
    struct describe_quorum_response_replica_state *rows =
        arena_take_array(arena, q->voters.count, sizeof(*rows));

    if (rows == NULL)
        return NULL;
    for (uint32_t i = 0; i < q->voters.count; i++) {
        const struct raft_voter *v = &q->voters.voters[i];
        describe_quorum_response_replica_state_init(&rows[i]);
        rows[i].replica_id = v->id;
        rows[i].replica_directory_id = v->directory_id;
        /* The leader is its own follower without delay, as a Kafka leader says of itself. */
        rows[i].log_end_offset = log_stable(q->log);
        rows[i].last_fetch_timestamp = io_wall_ms(q->io);
        rows[i].last_caught_up_timestamp = io_wall_ms(q->io);
    }
    return rows;
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

void quorum_describe(const struct quorum *q, int16_t version, struct arena *arena,
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
    if (raft_role(q->raft) != RAFT_LEADER) {
        partition->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
        return;
    }
    partition->current_voters = describe_voters(q, arena);
    out->nodes = describe_nodes(q, arena);
    if (partition->current_voters == NULL || out->nodes == NULL) {
        describe_quorum_response_init(out);
        out->error_code = KERR_UNKNOWN_SERVER_ERROR;
        return;
    }
    partition->current_voters_count = (int32_t)q->voters.count;
    out->nodes_count = version >= 2 ? (int32_t)q->voters.count : 0;
}
