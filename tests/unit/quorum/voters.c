/* Voters that come and go (KIP-853). */
#include "cluster.h"

#include "protocol/add_raft_voter.h"
#include "protocol/describe_quorum.h"
#include "protocol/remove_raft_voter.h"
#include "quorum/internal.h"

static struct cluster c;

/* Ask the leader to add or remove, as an administrator; -> the error. */
static int add_voter(struct member *m)
{
    struct add_raft_voter_request request;
    struct add_raft_voter_request_listeners listener;
    struct asked a;
    int error;

    add_raft_voter_request_init(&request);
    add_raft_voter_request_listeners_init(&listener);
    request.cluster_id = STR(CLUSTER_ID);
    request.timeout_ms = 5000;
    request.voter_id = m->id;
    request.voter_directory_id = m->directory_id;
    request.listeners = &listener;
    request.listeners_count = 1;
    listener.name = STR("CONTROLLER");
    listener.host = str_of(m->endpoint.endpoints[0].host);
    listener.port = m->endpoint.endpoints[0].port;
    member_ask(cluster_leader(&c), &a, API_ADD_RAFT_VOTER, 1, &request);
    CLUSTER_UNTIL(&c, 60000, a.done);
    error = ((struct add_raft_voter_response *)a.call.response)->error_code;
    asked_end(&a);
    return error;
}

static int remove_voter(struct member *m)
{
    struct remove_raft_voter_request request;
    struct asked a;
    int error;

    remove_raft_voter_request_init(&request);
    request.cluster_id = STR(CLUSTER_ID);
    request.voter_id = m->id;
    request.voter_directory_id = m->directory_id;
    member_ask(cluster_leader(&c), &a, API_REMOVE_RAFT_VOTER, 0, &request);
    CLUSTER_UNTIL(&c, 60000, a.done);
    error = ((struct remove_raft_voter_response *)a.call.response)->error_code;
    asked_end(&a);
    return error;
}

/* All that run have these voters in force. */
static bool voters_are(uint32_t count)
{
    for (uint32_t i = 0; i < c.count; i++) {
        if (member_is_well(&c.members[i]) && quorum_voters(c.members[i].q)->count != count)
            return false;
    }
    return true;
}

TEST(quorum_nodes_voters, a_quorum_grows_from_one_to_three_and_shrinks)
{
    cluster_init(&c, 1, NULL, 3, 1, true);
    cluster_start(&c);
    cluster_commit(&c, 10);
    CHECK_EQ(add_voter(cluster_member(&c, 2)), KERR_NONE);
    CHECK_EQ(add_voter(cluster_member(&c, 2)), KERR_DUPLICATE_VOTER);
    cluster_commit(&c, 3);
    CHECK_EQ(add_voter(cluster_member(&c, 3)), KERR_NONE);
    CLUSTER_UNTIL(&c, 10000, voters_are(3));
    cluster_commit(&c, 3);

    member_power_cut(cluster_member(&c, 1)); /* the first one is not needed any more */
    cluster_commit(&c, 10);
    member_start(cluster_member(&c, 1));
    cluster_commit(&c, 1);

    CHECK_EQ(remove_voter(cluster_leader(&c)), KERR_NONE); /* it leads until that is committed */
    CLUSTER_UNTIL(&c, 10000, voters_are(2));
    cluster_commit(&c, 5);
    struct member *other = NULL;
    for (int32_t id = 1; id <= 3; id++) {
        if (raft_voter_find(quorum_voters(cluster_leader(&c)->q), id) == NULL)
            other = cluster_member(&c, id);
    }
    CHECK(other != NULL && other != cluster_leader(&c));
    CHECK_EQ(remove_voter(other), KERR_VOTER_NOT_FOUND);
    cluster_end(&c);
}

TEST(quorum_nodes_voters, who_does_not_answer_or_is_static_is_not_added)
{
    cluster_init(&c, 2, NULL, 2, 1, true);
    member_start(cluster_member(&c, 1));
    cluster_commit(&c, 3);
    CHECK_EQ(add_voter(cluster_member(&c, 2)), KERR_REQUEST_TIMED_OUT); /* nobody is there */
    CHECK_EQ(remove_voter(cluster_member(&c, 1)), KERR_VOTER_NOT_FOUND); /* the only one */
    cluster_end(&c);

    cluster_init(&c, 2, NULL, 2, 1, false);
    cluster_member(&c, 2)->can_vote = false;
    cluster_start(&c);
    cluster_commit(&c, 3);
    CHECK_EQ(add_voter(cluster_member(&c, 2)), KERR_UNSUPPORTED_VERSION);
    cluster_end(&c);
}

TEST(quorum_nodes_voters, a_controller_joins_by_itself_and_again_with_a_new_directory)
{
    cluster_init(&c, 3, NULL, 3, 1, true);
    for (int32_t id = 2; id <= 3; id++)
        cluster_member(&c, id)->auto_join = true;
    cluster_start(&c);
    cluster_commit(&c, 3);
    CLUSTER_UNTIL(&c, 60000, voters_are(3));
    cluster_commit(&c, 3);

    struct member *m = cluster_member(&c, 3);
    member_kill(m);
    m->node = sim_node_new(c.sim, "n4"); /* another machine, under the same id */
    CHECK_EQ(sim_disk_mkdir(m->node, "/data"), 0);
    m->directory_id.b[1] = 1;
    m->endpoint.directory_id = m->directory_id;
    strcpy(m->endpoint.endpoints[0].host, sim_node_host(m->node));
    member_start(m);
    CLUSTER_UNTIL(&c, 120000,
                  raft_is_voter(quorum_voters(cluster_member(&c, 1)->q), m->id, m->directory_id) && voters_are(3));
    cluster_commit(&c, 3);
    cluster_end(&c);
}

TEST(quorum_nodes_voters, one_that_has_moved_tells_the_leader)
{
    cluster_init(&c, 4, NULL, 3, 3, true);
    cluster_start(&c);
    cluster_commit(&c, 3);
    struct member *m = cluster_member(&c, 1 + cluster_leader(&c)->id % 3);
    member_stop(m);
    cluster_commit(&c, 3);
    strcpy(m->endpoint.endpoints[0].host, "n2"); /* whatever it is: it is told to all */
    member_start(m);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL &&
                                 strcmp(raft_voter_find(quorum_voters(cluster_leader(&c)->q), m->id)->endpoints[0].host,
                                        "n2") == 0);
    cluster_end(&c);
}

/* A change that a minority has made is cut with its log. */
TEST(quorum_nodes_voters, a_change_that_no_majority_has_is_undone)
{
    cluster_init(&c, 5, NULL, 4, 3, true);
    cluster_start(&c);
    cluster_commit(&c, 5);
    struct member *old = cluster_leader(&c), *victim = cluster_member(&c, 1 + old->id % 3);
    struct remove_raft_voter_request request;
    struct asked a;

    for (int32_t id = 1; id <= 4; id++) {
        if (id != old->id)
            sim_net_cut(old->node, cluster_member(&c, id)->node);
    }
    remove_raft_voter_request_init(&request);
    request.cluster_id = STR(CLUSTER_ID);
    request.voter_id = victim->id;
    request.voter_directory_id = victim->directory_id;
    member_ask(old, &a, API_REMOVE_RAFT_VOTER, 0, &request);
    CLUSTER_UNTIL(&c, 60000, quorum_voters(old->q)->count == 2);
    CLUSTER_UNTIL(&c, 60000, a.done);
    CHECK(((struct remove_raft_voter_response *)a.call.response)->error_code != KERR_NONE);
    asked_end(&a);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL && cluster_leader(&c) != old);
    sim_net_heal_all(c.sim);
    cluster_commit(&c, 5);
    CLUSTER_UNTIL(&c, 60000, voters_are(3));
    cluster_commit(&c, 5);
    cluster_end(&c);
}

/* ---- from a static quorum to a dynamic one ---------------------------------------------------- */

/* What the leader answers to its controller; NOT_CONTROLLER where nobody leads. */
static enum kerr upgrade(bool validate_only)
{
    struct member *leader = cluster_leader(&c);

    return leader == NULL ? KERR_NOT_CONTROLLER : quorum_upgrade(leader->q, leader->epoch, validate_only);
}

static bool all_are_dynamic(void)
{
    for (uint32_t i = 0; i < c.count; i++) {
        if (member_is_well(&c.members[i]) && quorum_voters(c.members[i].q)->kraft_version != 1)
            return false;
    }
    return true;
}

TEST(quorum_nodes_upgrade, a_static_quorum_becomes_a_dynamic_one)
{
    cluster_init(&c, 7, NULL, 4, 3, false);
    cluster_member(&c, 4)->bootstrap = true;
    member_start(cluster_member(&c, 1));
    member_start(cluster_member(&c, 2));
    cluster_commit(&c, 3);
    cluster_pass(&c, 5000); /* what the two can report they have reported by now */
    CHECK_EQ(upgrade(false), KERR_INVALID_UPDATE_VERSION);
    member_start(cluster_member(&c, 3));
    CLUSTER_UNTIL(&c, 60000, upgrade(true) == KERR_NONE);
    CHECK(!all_are_dynamic());
    struct member *leader = cluster_leader(&c), *other = cluster_member(&c, 1 + leader->id % 3);
    CHECK_EQ(quorum_upgrade(other->q, leader->epoch, false), KERR_NOT_CONTROLLER);
    CHECK_EQ(quorum_upgrade(leader->q, leader->epoch - 1, false), KERR_NOT_CONTROLLER);

    int64_t end = quorum_end(leader->q);
    CHECK_EQ(upgrade(false), KERR_NONE);
    CHECK_EQ(quorum_end(leader->q), end + 2); /* KRaftVersion, Voters */
    CHECK_EQ(upgrade(false), KERR_REQUEST_TIMED_OUT); /* one change at a time */
    CLUSTER_UNTIL(&c, 10000, quorum_high_watermark(leader->q) == end + 2 && all_are_dynamic());
    CHECK_EQ(upgrade(false), KERR_NONE); /* it is so already */
    CHECK_EQ(quorum_end(leader->q), end + 2);
    for (int32_t id = 1; id <= 3; id++)
        CHECK(raft_is_voter(quorum_voters(leader->q), id, cluster_member(&c, id)->directory_id));

    for (int32_t id = 1; id <= 3; id++) { /* the settings still name them, and count no more */
        member_power_cut(cluster_member(&c, id));
        member_start(cluster_member(&c, id));
    }
    cluster_commit(&c, 5);
    CHECK(all_are_dynamic());
    member_start(cluster_member(&c, 4));
    cluster_commit(&c, 3);
    cluster_pass(&c, 1000); /* the leader sees that it has all */
    CHECK_EQ(add_voter(cluster_member(&c, 4)), KERR_NONE);
    CHECK_EQ(remove_voter(cluster_member(&c, 1)), KERR_NONE);
    CLUSTER_UNTIL(&c, 60000, raft_voter_find(quorum_voters(cluster_member(&c, 4)->q), 1) == NULL);
    cluster_commit(&c, 5);
    cluster_end(&c);
}

/* What a minority has raised is cut with its log: static again, until it is raised once more. */
TEST(quorum_nodes_upgrade, one_that_no_majority_has_is_undone)
{
    cluster_init(&c, 8, NULL, 3, 3, false);
    cluster_start(&c);
    cluster_commit(&c, 3);
    CLUSTER_UNTIL(&c, 60000, upgrade(true) == KERR_NONE);
    struct member *old = cluster_leader(&c);

    member_cut_off(old, true);
    CHECK_EQ(upgrade(false), KERR_NONE);
    CHECK_EQ(quorum_voters(old->q)->kraft_version, 1);
    CLUSTER_UNTIL(&c, 60000, cluster_leader(&c) != NULL && cluster_leader(&c) != old);
    CHECK(member_append(cluster_leader(&c)));
    member_cut_off(old, false);
    CLUSTER_UNTIL(&c, 60000, quorum_voters(old->q)->kraft_version == 0);
    cluster_commit(&c, 5);
    CLUSTER_UNTIL(&c, 60000, upgrade(false) == KERR_NONE);
    CLUSTER_UNTIL(&c, 60000, all_are_dynamic());
    cluster_commit(&c, 5);
    cluster_end(&c);
}

/* ---- what the leader says of them --------------------------------------------------------------- */

static struct describe_quorum_request request;
static struct describe_quorum_request_topics topic;
static struct describe_quorum_request_topics_partitions partition;

static const struct describe_quorum_response *describe(struct member *m, struct asked *a)
{
    describe_quorum_request_init(&request);
    describe_quorum_request_topics_init(&topic);
    describe_quorum_request_topics_partitions_init(&partition);
    request.topics = &topic;
    request.topics_count = 1;
    topic.topic_name = STR("__cluster_metadata");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    member_ask(m, a, API_DESCRIBE_QUORUM, 2, &request);
    CLUSTER_UNTIL(&c, 1000, a->done);
    return a->call.response;
}

TEST(quorum_nodes_voters, the_leader_describes_voters_and_observers)
{
    struct asked a;

    cluster_init(&c, 6, NULL, 4, 3, true);
    cluster_start(&c);
    cluster_commit(&c, 5);
    cluster_pass(&c, 1500);
    for (int32_t id = 1; id <= 4; id++) {
        struct member *m = cluster_member(&c, id);
        const struct describe_quorum_response *answer = describe(m, &a);
        const struct describe_quorum_response_topics_partitions *p = &answer->topics[0].partitions[0];
        CHECK_EQ(p->leader_id, cluster_leader(&c)->id);
        CHECK_EQ(p->error_code, m == cluster_leader(&c) ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER);
        if (m == cluster_leader(&c)) {
            CHECK_EQ(p->current_voters_count, 3);
            CHECK_EQ(p->observers_count, 1);
            CHECK_EQ(p->observers[0].replica_id, 4);
            CHECK_EQ(p->observers[0].log_end_offset, quorum_end(m->q));
            CHECK(uuid_equal(p->observers[0].replica_directory_id, cluster_member(&c, 4)->directory_id));
            CHECK_EQ(answer->nodes_count, 3);
        }
        asked_end(&a);
    }
    CHECK_EQ(add_voter(cluster_member(&c, 4)), KERR_NONE);
    const struct describe_quorum_response *answer = describe(cluster_leader(&c), &a);
    CHECK_EQ(answer->topics[0].partitions[0].current_voters_count, 4);
    CHECK_EQ(answer->topics[0].partitions[0].observers_count, 0);
    asked_end(&a);
    cluster_end(&c);
}
