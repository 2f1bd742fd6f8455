/* A leader whose answers make no sense, and requests that make none: refused, nobody ends, nothing is lost. */
#include "cluster.h"

#include "protocol/begin_quorum_epoch.h"
#include "protocol/end_quorum_epoch.h"
#include "protocol/fetch.h"
#include "protocol/fetch_snapshot.h"
#include "protocol/vote.h"
#include "quorum/internal.h"

#include <stdlib.h>

static struct cluster c;
static uint32_t twisted;

static struct fetch_response_responses_partitions *fetched(void *response)
{
    struct fetch_response *m = response;

    return m->responses_count == 1 ? &m->responses[0].partitions[0] : NULL;
}

/* Records that may be changed; NULL: there are none. */
static uint8_t *own_records(struct bytes *records, struct arena *arena)
{
    if (records->n <= 0)
        return NULL;
    *records = arena_bytes(arena, *records);
    return (uint8_t *)(uintptr_t)records->p;
}

/* While `twist` is at work the followers get no further; without it they have everything. */
static void follow_one_that_lies(void (*twist)(struct member *, int16_t, void *, struct arena *))
{
    cluster_init(&c, 1, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 10);
    twisted = 0;
    c.twist = twist;
    for (int i = 0; i < 10; i++) {
        struct member *leader = cluster_leader(&c);
        if (leader != NULL)
            (void)member_append(leader);
        cluster_pass(&c, 300);
    }
    CHECK(twisted > 3);
    c.twist = NULL;
    cluster_commit(&c, 10);
    cluster_end(&c);
}

/* ---- Fetch ------------------------------------------------------------------------------- */

static void diverge_below_all(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    struct fetch_response_responses_partitions *p = api_key == API_FETCH ? fetched(response) : NULL;

    if (p == NULL || p->error_code != 0)
        return;
    twisted++;
    p->diverging_epoch.epoch = 1;
    p->diverging_epoch.end_offset = 3;
}

TEST(quorum_nodes_hostile, what_was_delivered_is_not_cut)
{
    follow_one_that_lies(diverge_below_all);
}

static void flip(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    struct fetch_response_responses_partitions *p = api_key == API_FETCH ? fetched(response) : NULL;
    uint8_t *bytes = p == NULL ? NULL : own_records(&p->records, arena);

    if (bytes == NULL)
        return;
    twisted++;
    bytes[p->records.n - 1] ^= 1;
}

TEST(quorum_nodes_hostile, batches_that_fail_their_checksum_are_not_appended)
{
    follow_one_that_lies(flip);
}

static void move_on(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    struct fetch_response_responses_partitions *p = api_key == API_FETCH ? fetched(response) : NULL;
    uint8_t *bytes = p == NULL ? NULL : own_records(&p->records, arena);

    if (bytes == NULL)
        return;
    if (twisted++ % 2 == 0)
        batch_stamp(bytes, get_i64(bytes) + 5, get_i32(bytes + 12));
    else
        batch_stamp(bytes, get_i64(bytes), get_i32(bytes + 12) + 9);
}

TEST(quorum_nodes_hostile, nor_those_that_leave_a_gap_or_are_of_an_epoch_to_come)
{
    follow_one_that_lies(move_on);
}

static void offer_snapshot(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    static const struct raft_snapshot_id ids[] = {{1000, 99}, {2, 1}, {1000, 1}, {-1, 1}, {1000, -1}};
    struct fetch_response_responses_partitions *p = api_key == API_FETCH ? fetched(response) : NULL;

    if (p == NULL || p->error_code != 0)
        return;
    p->snapshot_id.end_offset = ids[twisted % array_count(ids)].end_offset;
    p->snapshot_id.epoch = ids[twisted % array_count(ids)].epoch;
    twisted++;
}

TEST(quorum_nodes_hostile, snapshots_that_cannot_be_are_not_asked_for)
{
    follow_one_that_lies(offer_snapshot);
}

/* ---- FetchSnapshot ----------------------------------------------------------------------- */

static void spoil_piece(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    struct fetch_snapshot_response *f = response;
    struct fetch_snapshot_response_topics_partitions *p;
    uint8_t *bytes;

    if (api_key != API_FETCH_SNAPSHOT || f->topics_count != 1)
        return;
    p = &f->topics[0].partitions[0];
    bytes = own_records(&p->unaligned_records, arena);
    if (bytes == NULL)
        return;
    switch (twisted++ % 7) {
    case 0: /* its footer is missing */
        p->size -= 78;
        if (p->unaligned_records.n > 78)
            p->unaligned_records.n -= p->position + p->unaligned_records.n > p->size ? 78 : 0;
        break;
    case 1:
        bytes[p->unaligned_records.n - 1] ^= 1;
        break;
    case 2:
        p->position += 1;
        break;
    case 3:
        p->size = INT64_MAX;
        break;
    case 4:
        p->unaligned_records.n = 0;
        break;
    case 5:
        p->snapshot_id.epoch++;
        break;
    default:
        p->error_code = KERR_POSITION_OUT_OF_RANGE;
        break;
    }
}

TEST(quorum_nodes_hostile, a_snapshot_that_is_not_whole_is_not_taken)
{
    struct member *joiner;

    cluster_init(&c, 2, NULL, 3, 3, false);
    for (int32_t id = 1; id <= 2; id++) {
        cluster_member(&c, id)->retention_bytes = 1;
        cluster_member(&c, id)->segment_bytes = 1000;
        member_start(cluster_member(&c, id));
    }
    for (int round = 0; round < 2; round++) {
        cluster_commit(&c, 40);
        for (int32_t id = 1; id <= 2; id++) {
            CHECK(member_snapshot(cluster_member(&c, id)));
            CLUSTER_UNTIL(&c, 10000, !cluster_member(&c, id)->snapshotting);
        }
    }
    cluster_commit(&c, 1);
    c.twist = spoil_piece;
    twisted = 0;
    joiner = cluster_member(&c, 3);
    member_start(joiner);
    CLUSTER_UNTIL(&c, 120000, twisted > 20);
    CHECK_EQ(joiner->snapshots, 0);
    CHECK_EQ(joiner->count, 0);
    c.twist = NULL;
    cluster_commit(&c, 1);
    CHECK_EQ(joiner->snapshots, 1);
    cluster_end(&c);
}

/* ---- requests ---------------------------------------------------------------------------- */

static int64_t odd(void)
{
    static const int64_t numbers[] = {-2, -1, 0, 1, 2, 3, 5, 100, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};

    return numbers[prng_below(sim_prng(c.sim), array_count(numbers))];
}

/* Epochs that do not end the story: nobody leads an epoch behind the last one. */
static int32_t odd_epoch(void)
{
    return (int32_t)prng_below(sim_prng(c.sim), 12) - 2;
}

static void ask_fetch(struct member *m, struct asked *a, int16_t version)
{
    static struct fetch_request f;
    static struct fetch_request_topics t;
    static struct fetch_request_topics_partitions p;

    fetch_request_init(&f);
    fetch_request_topics_init(&t);
    fetch_request_topics_partitions_init(&p);
    f.topics = &t;
    f.topics_count = 1;
    t.topic = STR(METADATA_TOPIC);
    t.topic_id = METADATA_TOPIC_ID;
    t.partitions = &p;
    t.partitions_count = 1;
    f.replica_id = f.replica_state.replica_id = (int32_t)odd();
    f.max_wait_ms = (int32_t)prng_below(sim_prng(c.sim), 100) - 1;
    f.max_bytes = (int32_t)odd();
    p.fetch_offset = odd();
    p.last_fetched_epoch = odd_epoch();
    p.current_leader_epoch = odd_epoch();
    p.high_watermark = odd();
    member_ask(m, a, API_FETCH, version, &f);
}

static void ask_snapshot(struct member *m, struct asked *a, int16_t version)
{
    static struct fetch_snapshot_request f;
    static struct fetch_snapshot_request_topics t;
    static struct fetch_snapshot_request_topics_partitions p;

    fetch_snapshot_request_init(&f);
    fetch_snapshot_request_topics_init(&t);
    fetch_snapshot_request_topics_partitions_init(&p);
    f.topics = &t;
    f.topics_count = 1;
    t.name = STR(METADATA_TOPIC);
    t.partitions = &p;
    t.partitions_count = 1;
    f.replica_id = (int32_t)odd();
    f.max_bytes = (int32_t)odd();
    p.current_leader_epoch = odd_epoch();
    p.position = odd();
    p.snapshot_id.end_offset = odd();
    p.snapshot_id.epoch = odd_epoch();
    member_ask(m, a, API_FETCH_SNAPSHOT, version, &f);
}

static void ask_vote(struct member *m, struct asked *a, int16_t version)
{
    static struct vote_request v;
    static struct vote_request_topics t;
    static struct vote_request_topics_partitions p;

    vote_request_init(&v);
    vote_request_topics_init(&t);
    vote_request_topics_partitions_init(&p);
    v.topics = &t;
    v.topics_count = 1;
    v.voter_id = (int32_t)odd();
    t.topic_name = STR(METADATA_TOPIC);
    t.partitions = &p;
    t.partitions_count = 1;
    p.replica_epoch = odd_epoch();
    p.replica_id = (int32_t)odd();
    p.last_offset_epoch = odd_epoch();
    p.last_offset = odd();
    p.pre_vote = prng_chance(sim_prng(c.sim), 500000);
    member_ask(m, a, API_VOTE, version, &v);
}

static void ask_end(struct member *m, struct asked *a, int16_t version)
{
    static struct end_quorum_epoch_request e;
    static struct end_quorum_epoch_request_topics t;
    static struct end_quorum_epoch_request_topics_partitions p;
    static int32_t successors[40];

    end_quorum_epoch_request_init(&e);
    end_quorum_epoch_request_topics_init(&t);
    end_quorum_epoch_request_topics_partitions_init(&p);
    e.topics = &t;
    e.topics_count = 1;
    t.topic_name = STR(METADATA_TOPIC);
    t.partitions = &p;
    t.partitions_count = 1;
    p.leader_id = (int32_t)prng_below(sim_prng(c.sim), 5) - 1;
    p.leader_epoch = odd_epoch();
    p.preferred_successors = successors;
    p.preferred_successors_count = (int32_t)prng_below(sim_prng(c.sim), 40);
    for (int32_t i = 0; i < p.preferred_successors_count; i++)
        successors[i] = (int32_t)odd();
    member_ask(m, a, API_END_QUORUM_EPOCH, version, &e);
}

static bool is_leader(const struct member *m)
{
    return m == cluster_leader(&c);
}

/* A JVM follower ends when the partition of its Fetch is answered with INVALID_REQUEST: only what none sends may be. */
static void check_fetch_answer(const struct asked *a)
{
    const struct fetch_request *f = a->call.request;
    const struct fetch_request_topics_partitions *p = &f->topics[0].partitions[0];
    struct fetch_response_responses_partitions *got = fetched(a->call.response);

    CHECK(got != NULL);
    if (got->error_code == KERR_INVALID_REQUEST)
        CHECK(f->max_wait_ms < 0 || p->fetch_offset < 0 || p->last_fetched_epoch < 0 ||
              p->last_fetched_epoch > p->current_leader_epoch);
}

TEST(quorum_nodes_hostile, odd_requests_are_answered_and_harm_nobody)
{
    cluster_init(&c, 3, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 20);
    CHECK(is_leader(cluster_leader(&c)));
    for (int i = 0; i < 3000; i++) {
        struct member *m = cluster_member(&c, 1 + (int32_t)prng_below(sim_prng(c.sim), 3));
        struct asked a;
        uint64_t which = prng_below(sim_prng(c.sim), 100);

        if (which < 60)
            ask_fetch(m, &a, which < 30 ? 12 : 18);
        else if (which < 80)
            ask_snapshot(m, &a, 1);
        else if (which < 98)
            ask_vote(m, &a, 2);
        else
            ask_end(m, &a, 0);
        CLUSTER_UNTIL(&c, 2000, a.done);
        if (which < 60)
            check_fetch_answer(&a);
        asked_end(&a);
    }
    cluster_commit(&c, 10);
    cluster_end(&c);
}
