/* What a leader answers to each kind of Fetch of the metadata log (KIP-595, 630, 1166). */
#include "cluster.h"

#include "protocol/fetch.h"
#include "protocol/fetch_snapshot.h"
#include "quorum/internal.h"

static struct cluster c;

/* A Fetch of replica 9, an observer that nobody knows. */
struct question {
    struct fetch_request m;
    struct fetch_request_topics topic;
    struct fetch_request_topics_partitions p;
    struct asked a;
};

static void question_init(struct question *q)
{
    fetch_request_init(&q->m);
    fetch_request_topics_init(&q->topic);
    fetch_request_topics_partitions_init(&q->p);
    q->m.cluster_id = STR(CLUSTER_ID);
    q->m.replica_state.replica_id = 9;
    q->m.max_bytes = 1 << 20;
    q->m.topics = &q->topic;
    q->m.topics_count = 1;
    q->topic.topic_id = METADATA_TOPIC_ID;
    q->topic.partitions = &q->p;
    q->topic.partitions_count = 1;
    q->p.current_leader_epoch = 1;
    q->p.last_fetched_epoch = 0;
    q->p.high_watermark = -1;
}

static const struct fetch_response *ask(struct question *q, struct member *m)
{
    member_ask(m, &q->a, API_FETCH, 18, &q->m);
    CLUSTER_UNTIL(&c, 10000, q->a.done);
    return q->a.call.response;
}

static enum kerr partition_error(struct question *q, struct member *m)
{
    const struct fetch_response *answer = ask(q, m);
    enum kerr error = (enum kerr)answer->responses[0].partitions[0].error_code;

    CHECK_EQ(answer->error_code, KERR_NONE);
    asked_end(&q->a);
    return error;
}

static enum kerr whole_error(struct question *q, struct member *m)
{
    enum kerr error = (enum kerr)ask(q, m)->error_code;

    asked_end(&q->a);
    return error;
}

/* One voter that leads epoch 1 with ten numbers; the second node never runs. */
static struct member *leader_alone(void)
{
    cluster_init(&c, 1, NULL, 1, 1, false);
    cluster_start(&c);
    cluster_commit(&c, 10);
    return cluster_member(&c, 1);
}

TEST(quorum_fetch, what_cannot_be_is_refused)
{
    struct member *m = leader_alone();
    struct question q;

    question_init(&q);
    CHECK_EQ(m->fetched_by_9, 0);
    CHECK_EQ(partition_error(&q, m), KERR_NONE);
    CHECK_EQ(m->fetched_by_9, 1);
    q.m.cluster_id = STR("another");
    CHECK_EQ(whole_error(&q, m), KERR_INCONSISTENT_CLUSTER_ID);
    question_init(&q);
    q.p.partition = 1;
    CHECK_EQ(whole_error(&q, m), KERR_INVALID_REQUEST);
    question_init(&q);
    q.topic.topic_id.b[0] = 1;
    CHECK_EQ(whole_error(&q, m), KERR_INVALID_REQUEST);
    question_init(&q);
    q.m.max_wait_ms = -1;
    CHECK_EQ(partition_error(&q, m), KERR_INVALID_REQUEST);
    question_init(&q);
    q.p.last_fetched_epoch = 2;
    CHECK_EQ(partition_error(&q, m), KERR_INVALID_REQUEST);
    question_init(&q);
    q.p.current_leader_epoch = 0;
    CHECK_EQ(partition_error(&q, m), KERR_FENCED_LEADER_EPOCH);
    q.p.current_leader_epoch = 2;
    CHECK_EQ(partition_error(&q, m), KERR_UNKNOWN_LEADER_EPOCH);
    CHECK_EQ(m->fetched_by_9, 1);
    cluster_end(&c);
}

TEST(quorum_fetch, records_come_up_to_the_end_with_the_high_watermark)
{
    struct member *m = leader_alone();
    struct question q;

    question_init(&q);
    const struct fetch_response *answer = ask(&q, m);
    const struct fetch_response_responses_partitions *p = &answer->responses[0].partitions[0];
    struct bytes rest = p->records;
    struct batch b;
    int64_t next = 0;
    while (batch_next(&rest, &b) == 1) {
        CHECK_EQ(b.base_offset, next);
        next = b.last_offset + 1;
    }
    CHECK_EQ(next, quorum_end(m->q));
    CHECK_EQ(p->high_watermark, quorum_high_watermark(m->q));
    CHECK_EQ(p->current_leader.leader_id, 1);
    CHECK_EQ(p->current_leader.leader_epoch, 1);
    CHECK_EQ(answer->node_endpoints_count, 1); /* who is told who leads is told where */
    CHECK_EQ(answer->node_endpoints[0].node_id, 1);
    CHECK_TEXT(answer->node_endpoints[0].host, sim_node_host(m->node));
    CHECK_EQ(answer->node_endpoints[0].port, CLUSTER_PORT);
    asked_end(&q.a);
    cluster_end(&c);
}

TEST(quorum_fetch, a_log_that_is_another_diverges)
{
    struct member *m = leader_alone();
    struct question q;

    question_init(&q);
    q.p.fetch_offset = quorum_end(m->q) + 5; /* more than the leader has of its own epoch */
    q.p.last_fetched_epoch = 1;
    const struct fetch_response_responses_partitions *p = &ask(&q, m)->responses[0].partitions[0];
    CHECK_EQ(p->error_code, KERR_NONE);
    CHECK_EQ(p->diverging_epoch.epoch, 1);
    CHECK_EQ(p->diverging_epoch.end_offset, quorum_end(m->q));
    CHECK_EQ(p->records.n, 0);
    asked_end(&q.a);

    question_init(&q);
    q.p.fetch_offset = 3; /* of an epoch that the leader has nothing of */
    p = &ask(&q, m)->responses[0].partitions[0];
    CHECK_EQ(p->diverging_epoch.epoch, 0);
    CHECK_EQ(p->diverging_epoch.end_offset, 0);
    asked_end(&q.a);
    cluster_end(&c);
}

/* Who has everything waits: for records, for the high watermark where it knows of that, or until its time is over. */
TEST(quorum_fetch, who_has_everything_waits)
{
    struct member *m = leader_alone();
    struct question q;
    int64_t begin_ns = sim_now_ns(c.sim);

    question_init(&q);
    q.p.fetch_offset = quorum_end(m->q);
    q.p.last_fetched_epoch = 1;
    q.p.high_watermark = quorum_high_watermark(m->q);
    q.m.max_wait_ms = 500;
    CHECK_EQ(partition_error(&q, m), KERR_NONE);
    CHECK(sim_now_ns(c.sim) - begin_ns >= INT64_C(500) * 1000000);

    begin_ns = sim_now_ns(c.sim);
    q.p.high_watermark = 1; /* it knows of less: told at once */
    CHECK_EQ(partition_error(&q, m), KERR_NONE);
    CHECK(sim_now_ns(c.sim) - begin_ns < INT64_C(100) * 1000000);

    q.p.high_watermark = INT64_MAX; /* a peer that does not ask for it */
    member_ask(m, &q.a, API_FETCH, 18, &q.m);
    cluster_pass(&c, 100);
    CHECK(!q.a.done);
    CHECK(member_append(m));
    CLUSTER_UNTIL(&c, 100, q.a.done);
    CHECK(((struct fetch_response *)q.a.call.response)->responses[0].partitions[0].records.n > 0);
    asked_end(&q.a);
    cluster_end(&c);
}

/* ---- with a snapshot --------------------------------------------------------------------- */

static int64_t asked_for_snapshot(int64_t offset, int32_t epoch)
{
    struct question q;

    question_init(&q);
    q.p.fetch_offset = offset;
    q.p.last_fetched_epoch = epoch;
    int64_t end = ask(&q, cluster_member(&c, 1))->responses[0].partitions[0].snapshot_id.end_offset;
    asked_end(&q.a);
    return end;
}

static int16_t ask_piece(int64_t end_offset, int32_t epoch, int64_t position, int32_t max_bytes, int64_t *n)
{
    struct fetch_snapshot_request m;
    struct fetch_snapshot_request_topics topic;
    struct fetch_snapshot_request_topics_partitions p;
    struct asked a;

    fetch_snapshot_request_init(&m);
    fetch_snapshot_request_topics_init(&topic);
    fetch_snapshot_request_topics_partitions_init(&p);
    m.max_bytes = max_bytes;
    m.topics = &topic;
    m.topics_count = 1;
    topic.name = STR(METADATA_TOPIC);
    topic.partitions = &p;
    topic.partitions_count = 1;
    p.current_leader_epoch = 1;
    p.snapshot_id.end_offset = end_offset;
    p.snapshot_id.epoch = epoch;
    p.position = position;
    member_ask(cluster_member(&c, 1), &a, API_FETCH_SNAPSHOT, 1, &m);
    CLUSTER_UNTIL(&c, 1000, a.done);
    const struct fetch_snapshot_response *answer = a.call.response;
    CHECK_EQ(answer->error_code, KERR_NONE);
    int16_t error = answer->topics[0].partitions[0].error_code;
    *n = answer->topics[0].partitions[0].unaligned_records.n;
    CHECK_EQ(answer->node_endpoints_count, 1);
    CHECK_EQ(answer->node_endpoints[0].port, CLUSTER_PORT);
    asked_end(&a);
    return error;
}

TEST(quorum_fetch, what_only_a_snapshot_can_bring_is_one)
{
    struct member *m;
    int64_t n;

    cluster_init(&c, 2, NULL, 1, 1, false);
    m = cluster_member(&c, 1);
    m->retention_bytes = 1;
    m->segment_bytes = 500;
    cluster_start(&c);
    for (int i = 0; i < 2; i++) {
        cluster_commit(&c, 20);
        CHECK(member_snapshot(m));
        CLUSTER_UNTIL(&c, 10000, !m->snapshotting);
        CHECK_EQ(m->snapshot_result, 0);
    }
    int64_t start = log_start(m->q->log);
    CHECK(start > 20);
    CHECK_EQ(asked_for_snapshot(0, 0), start);
    CHECK_EQ(asked_for_snapshot(start - 1, 1), start);
    CHECK_EQ(asked_for_snapshot(start, 0), start);
    CHECK_EQ(asked_for_snapshot(start, 1), -1); /* it has it */

    CHECK_EQ(ask_piece(start, 1, 0, 100, &n), KERR_NONE);
    CHECK_EQ(n, 100);
    CHECK_EQ(ask_piece(start, 1, 60, 1 << 20, &n), KERR_NONE);
    CHECK(n > 100);
    CHECK_EQ(ask_piece(start, 1, n + 60, 100, &n), KERR_POSITION_OUT_OF_RANGE);
    CHECK_EQ(ask_piece(start, 1, -1, 100, &n), KERR_POSITION_OUT_OF_RANGE);
    CHECK_EQ(ask_piece(start + 1, 1, 0, 100, &n), KERR_SNAPSHOT_NOT_FOUND);
    CHECK_EQ(ask_piece(0, 0, 0, 100, &n), KERR_SNAPSHOT_NOT_FOUND);
    cluster_end(&c);
}

/* ---- a leader that is none any more -------------------------------------------------------- */

TEST(quorum_fetch, who_waits_hears_of_another_leader)
{
    struct member *old;
    struct question q;

    cluster_init(&c, 3, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 5);
    old = cluster_leader(&c);
    question_init(&q);
    q.p.current_leader_epoch = old->epoch;
    q.p.fetch_offset = quorum_end(old->q);
    q.p.last_fetched_epoch = old->epoch;
    q.p.high_watermark = INT64_MAX;
    q.m.max_wait_ms = 60000;
    member_ask(old, &q.a, API_FETCH, 18, &q.m);
    member_cut_off(old, true);
    CLUSTER_UNTIL(&c, 30000, q.a.done); /* nobody follows it: it resigns */
    const struct fetch_response_responses_partitions *p =
        &((struct fetch_response *)q.a.call.response)->responses[0].partitions[0];
    CHECK_EQ(p->error_code, KERR_NOT_LEADER_OR_FOLLOWER);
    asked_end(&q.a);
    member_cut_off(old, false);
    cluster_commit(&c, 3);

    struct member *follower = cluster_member(&c, 1 + cluster_leader(&c)->id % 3);
    question_init(&q);
    q.p.current_leader_epoch = cluster_leader(&c)->epoch;
    const struct fetch_response *answer = ask(&q, follower);
    CHECK_EQ(answer->responses[0].partitions[0].error_code, KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(answer->responses[0].partitions[0].current_leader.leader_id, cluster_leader(&c)->id);
    CHECK_EQ(answer->node_endpoints_count, 1);
    CHECK_TEXT(answer->node_endpoints[0].host, sim_node_host(cluster_leader(&c)->node));
    asked_end(&q.a);
    cluster_end(&c);
}
