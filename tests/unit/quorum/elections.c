/* Quorums of several nodes: who leads, what is committed, and what is not. */
#include "cluster.h"

#include <stdio.h>

#include "protocol/fetch.h"
#include "protocol/fetch_snapshot.h"
#include "protocol/vote.h"
#include "quorum/internal.h"

static struct cluster c;

/* Who leads now has said why it asked to. */
static bool was_asked_for(int32_t leader, const char *why)
{
    char line[200] = "";

    if (leader >= 0)
        snprintf(line, sizeof line, "node %d", leader);
    strcat(line, why);
    return cluster_leader(&c)->asked.p != NULL && strstr(cluster_leader(&c)->asked.p, line) != NULL;
}

TEST(quorum_nodes, three_elect_one_and_commit)
{
    cluster_init(&c, 1, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 10);
    CHECK(c.served[API_VOTE] >= 2);
    CHECK(c.served[API_FETCH] >= 2);
    for (int32_t id = 1; id <= 3; id++) {
        int32_t leader, epoch;
        quorum_leader(cluster_member(&c, id)->q, &leader, &epoch);
        CHECK_EQ(leader, cluster_leader(&c)->id);
        CHECK_EQ(epoch, cluster_leader(&c)->epoch);
        struct quorum_state state;
        quorum_state(cluster_member(&c, id)->q, &state);
        CHECK_EQ(state.role, id == leader ? RAFT_LEADER : RAFT_FOLLOWER);
        CHECK(state.is_voter);
        CHECK_EQ(state.epoch, epoch);
        CHECK_EQ(state.leader_id, leader);
        if (id == leader)
            CHECK_EQ(state.voted_id, id);
        CHECK_EQ(state.end, quorum_end(cluster_member(&c, id)->q));
    }
    CHECK(was_asked_for(-1, "nobody who leads epoch "));
    cluster_end(&c);
}

static struct recent_sum recently(const struct recent *r, const struct member *m)
{
    return recent_sum(r, io_now_ms(m->io));
}

/* Of those that lead, and of those that follow; of a leader that is cut off, too. */
TEST(quorum_nodes, count_what_they_do_and_take_its_time)
{
    cluster_init(&c, 4, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 10);
    struct member *leader = cluster_leader(&c);
    for (int32_t id = 1; id <= 3; id++) {
        struct member *m = cluster_member(&c, id);
        const struct quorum_numbers *n = quorum_numbers(m->q);
        bool leads = m == leader;
        /* The records, and that which begins the epoch. */
        CHECK_EQ(recently(leads ? &n->appended : &n->fetched, m).sum, quorum_end(m->q));
        CHECK_EQ(recently(leads ? &n->fetched : &n->appended, m).sum, 0);
        CHECK(leads ? recently(&n->commits_us, m).count >= 2 : recently(&n->commits_us, m).count == 0);
    }
    const struct quorum_numbers *n = quorum_numbers(leader->q);
    CHECK_EQ(recently(&n->elections_us, leader).count, 1);
    CHECK(recently(&n->elections_us, leader).max > 0);
    CHECK(recently(&n->commits_us, leader).max < 1000000);

    /* What it appends while nobody hears of it is not committed, and no time is taken of it. */
    cluster_pass(&c, 2 * RECENT_SAMPLE_MS);
    CHECK_EQ(recently(&n->commits_us, leader).count, 0);
    member_cut_off(leader, true);
    CHECK(member_append(leader));
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL && cluster_leader(&c) != leader);
    member_cut_off(leader, false);
    cluster_commit(&c, 3);
    CHECK_EQ(recently(&n->commits_us, leader).count, 0);
    struct member *next = cluster_leader(&c);
    CHECK(recently(&quorum_numbers(next->q)->commits_us, next).count >= 2);
    CHECK_EQ(recently(&quorum_numbers(next->q)->elections_us, next).count, 1);
    cluster_end(&c);
}

TEST(quorum_nodes, a_power_cut_of_the_leader_costs_an_election_and_no_record)
{
    cluster_init(&c, 2, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 20);
    struct member *old = cluster_leader(&c);
    int32_t epoch = old->epoch;
    member_power_cut(old);
    cluster_commit(&c, 20);
    CHECK(cluster_leader(&c) != old);
    CHECK(cluster_leader(&c)->epoch > epoch);
    CHECK(was_asked_for(old->id, ", which leads epoch "));
    member_start(old);
    cluster_commit(&c, 5);
    cluster_end(&c);
}

TEST(quorum_nodes, a_leader_that_stops_says_so)
{
    cluster_init(&c, 3, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 3);
    struct member *old = cluster_leader(&c);
    int64_t begin_ns = sim_now_ns(c.sim);
    member_stop(old);
    CHECK(c.served[API_END_QUORUM_EPOCH] >= 2);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL);
    CHECK(was_asked_for(old->id, " leads epoch "));
    CHECK(sim_now_ns(c.sim) - begin_ns < INT64_C(1500) * 1000000); /* nobody has waited for the fetch timeout */
    cluster_end(&c);
}

TEST(quorum_nodes, a_minority_commits_nothing_and_what_it_has_is_cut)
{
    cluster_init(&c, 4, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 10);
    struct member *old = cluster_leader(&c);
    uint32_t before = old->count;
    member_cut_off(old, true);
    for (int i = 0; i < 5; i++)
        CHECK(member_append(old));
    int64_t end = quorum_end(old->q);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL && cluster_leader(&c) != old);
    CHECK_EQ(old->count, before);
    CHECK_EQ(quorum_end(old->q), end);
    for (int i = 0; i < 30; i++) {
        CHECK(member_append(cluster_leader(&c)));
        cluster_pass(&c, 5);
    }
    CHECK_EQ(old->count, before);
    CLUSTER_UNTIL(&c, 60000, old->leader == -1); /* it has noticed that nobody follows */
    CHECK(!member_append(old));
    member_cut_off(old, false);
    cluster_commit(&c, 5);
    CHECK(old->count >= before + 35);
    cluster_end(&c);
}

TEST(quorum_nodes, an_observer_follows_and_never_votes)
{
    cluster_init(&c, 5, NULL, 4, 3, false);
    cluster_member(&c, 4)->can_vote = false;
    cluster_member(&c, 4)->endpoint.endpoint_count = 0;
    cluster_start(&c);
    cluster_commit(&c, 10);
    for (int i = 0; i < 3; i++) {
        struct member *old = cluster_leader(&c);
        member_kill(old);
        cluster_commit(&c, 3);
        member_start(old);
        cluster_commit(&c, 1);
    }
    CHECK_EQ(cluster_member(&c, 4)->claimed, -1);
    cluster_end(&c);
}

/* Nodes 1 and 2 of three: all of a new node's log is below where theirs begins. */
static void begin_behind_a_snapshot(uint64_t seed)
{
    cluster_init(&c, seed, NULL, 3, 3, false);
    for (int32_t id = 1; id <= 3; id++) {
        cluster_member(&c, id)->retention_bytes = 1;
        cluster_member(&c, id)->segment_bytes = 2000;
    }
    member_start(cluster_member(&c, 1));
    member_start(cluster_member(&c, 2));
    cluster_commit(&c, 500);
    for (int round = 0; round < 2; round++) {
        for (int32_t id = 1; id <= 2; id++) {
            CHECK(member_snapshot(cluster_member(&c, id)));
            CLUSTER_UNTIL(&c, 10000, !cluster_member(&c, id)->snapshotting);
            CHECK_EQ(cluster_member(&c, id)->snapshot_result, 0);
        }
        cluster_commit(&c, 50);
    }
    CHECK(log_start(cluster_leader(&c)->q->log) > 0);
}

/* As leaders of before KIP-853 answer: not where they are. */
static void tell_no_address(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    if (api_key == API_FETCH)
        ((struct fetch_response *)response)->node_endpoints_count = 0;
}

/* It was killed when it knew who leads, and had no record yet that says where that one is. Nobody else could say it. */
TEST(quorum_nodes, an_observer_that_knows_its_leaders_id_alone_finds_it)
{
    cluster_init(&c, 16, NULL, 2, 1, true);
    c.twist = tell_no_address;
    struct member *m = cluster_member(&c, 2);
    member_start(cluster_member(&c, 1));
    cluster_commit(&c, 3);
    member_start(m);
    CLUSTER_UNTIL(&c, 60000, m->leader > 0);
    member_cut_off(m, true);
    cluster_pass(&c, 100);
    CHECK_EQ(quorum_end(m->q), 0);
    member_kill(m);
    member_cut_off(m, false);
    member_start(m);
    CLUSTER_UNTIL(&c, 10000, m->phase == MEMBER_UP && cluster_agrees(&c, 3));
    c.twist = NULL;
    cluster_end(&c);
}

TEST(quorum_nodes, a_new_node_gets_a_snapshot)
{
    begin_behind_a_snapshot(6);
    member_start(cluster_member(&c, 3));
    cluster_commit(&c, 10);
    CHECK_EQ(cluster_member(&c, 3)->snapshots, 1);
    CHECK(c.served[API_FETCH_SNAPSHOT] >= 2); /* in pieces */
    member_power_cut(cluster_member(&c, 3));
    member_start(cluster_member(&c, 3));
    cluster_commit(&c, 10);
    CHECK_EQ(cluster_member(&c, 3)->snapshots, 2); /* its own one, from its disk */
    cluster_end(&c);
}

static uint32_t pieces, first_pieces;

static void count_pieces(struct member *m, int16_t api_key, void *response, struct arena *arena)
{
    const struct fetch_snapshot_response *f = response;

    if (api_key != API_FETCH_SNAPSHOT)
        return;
    pieces++;
    first_pieces += f->topics[0].partitions[0].position == 0;
}

TEST(quorum_nodes, a_snapshot_goes_on_where_its_connection_broke)
{
    pieces = first_pieces = 0;
    begin_behind_a_snapshot(9);
    c.twist = count_pieces;
    member_start(cluster_member(&c, 3));
    for (uint32_t at = 2; at <= 4; at++) {
        CLUSTER_UNTIL(&c, 10000, pieces >= at);
        CHECK_EQ(cluster_member(&c, 3)->snapshots, 0);
        member_close_connections(cluster_leader(&c)); /* with the last piece on its way */
    }
    CLUSTER_UNTIL(&c, 10000, cluster_member(&c, 3)->snapshots == 1);
    CHECK(pieces > 6);
    CHECK_EQ(first_pieces, 1);
    c.twist = NULL;
    cluster_commit(&c, 10);
    cluster_end(&c);
}

/* ---- votes ------------------------------------------------------------------------------- */

/* Ask `m` for its vote; -> the partition's answer. */
static struct vote_response_topics_partitions ask_vote(struct member *m, int32_t candidate, int32_t epoch)
{
    struct vote_request request;
    struct vote_request_topics topic;
    struct vote_request_topics_partitions partition;
    struct asked a;

    vote_request_init(&request);
    vote_request_topics_init(&topic);
    vote_request_topics_partitions_init(&partition);
    request.cluster_id = STR(CLUSTER_ID);
    request.voter_id = m->id;
    request.topics = &topic;
    request.topics_count = 1;
    topic.topic_name = STR(METADATA_TOPIC);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.replica_id = candidate;
    partition.replica_epoch = epoch;
    partition.last_offset = 100;
    member_ask(m, &a, API_VOTE, 2, &request);
    CLUSTER_UNTIL(&c, 1000, a.done);
    CHECK_EQ(((struct vote_response *)a.call.response)->error_code, KERR_NONE);
    struct vote_response_topics_partitions got = ((struct vote_response *)a.call.response)->topics[0].partitions[0];
    asked_end(&a);
    return got;
}

TEST(quorum_nodes, a_vote_is_given_once_also_over_a_power_cut)
{
    struct member *m;

    cluster_init(&c, 7, NULL, 3, 3, false);
    m = cluster_member(&c, 3);
    member_start(m);
    CLUSTER_UNTIL(&c, 1000, member_is_well(m));
    cluster_pass(&c, 10);
    CHECK(ask_vote(m, 1, 5).vote_granted);
    member_power_cut(m);
    member_start(m);
    CLUSTER_UNTIL(&c, 1000, member_is_well(m));
    cluster_pass(&c, 10);
    CHECK(!ask_vote(m, 2, 5).vote_granted);
    CHECK(ask_vote(m, 1, 5).vote_granted);
    CHECK_EQ(ask_vote(m, 2, 4).error_code, KERR_FENCED_LEADER_EPOCH);
    cluster_end(&c);
}

/* It finds nobody that it may follow, and says why: once of each, not at each try. */
TEST(quorum_nodes, a_node_of_another_cluster_says_both_ids)
{
    struct member *stranger;
    uint32_t lines = 0;

    cluster_init(&c, 9, NULL, 4, 3, true);
    stranger = cluster_member(&c, 4);
    stranger->stranger = true;
    cluster_start(&c);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL);
    CHECK(quorum_obstacle(cluster_leader(&c)->q) == NULL);
    cluster_pass(&c, 20000);
    CHECK_EQ(stranger->opened, 0);
    CHECK_EQ(stranger->leader, -1);
    CHECK(quorum_obstacle(stranger->q) != NULL);
    CHECK(strstr(quorum_obstacle(stranger->q), "belongs to cluster " CLUSTER_ID ", this node to cluster another ") != NULL);
    struct str rest = text_str(&stranger->asked), line;
    while (str_cut(&rest, '\n', &line))
        lines++;
    CHECK_EQ(lines, 3);
    CHECK(strstr(stranger->asked.p, "the node at n2:9093 belongs") != NULL);
    cluster_end(&c);
}
