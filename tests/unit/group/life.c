/* What happens to answers: they wait for their commit, and for nobody when the coordinator goes. */
#include "rig.h"

TEST(life, answers_wait_until_what_they_say_is_committed)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    r.holds = true;
    CHECK_EQ(rig_commit_offset(&r, "g", id, 1, "orders", 0, 5), KERR_REQUEST_TIMED_OUT);
    struct call *commit = r.calls;
    struct heartbeat_request *q = rig_take(&r, &heartbeat_request_message);
    q->group_id = STR("g");
    q->member_id = id;
    q->generation_id = 1;
    struct call *beat = rig_ask(&r, API_HEARTBEAT, 4, q); /* it saw the commit: it waits as well */
    rig_pass(&r, 1000);
    CHECK(!commit->done && !beat->done);
    rig_commit(&r);
    CHECK(commit->done && beat->done);
    rig_end(&r);
}

TEST(life, an_assignment_is_told_when_it_is_committed)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3000);

    r.holds = true;
    struct call *s = rig_sync(&r, "g", join_of(a)->member_id, 1, NULL);
    rig_pass(&r, 100);
    CHECK(!s->done);
    rig_commit(&r);
    CHECK(s->done);
    CHECK_EQ(sync_of(s)->error_code, KERR_NONE);
    rig_end(&r);
}

TEST(life, a_commit_that_takes_too_long_is_given_up)
{
    struct rig r;
    rig_init(&r);

    r.holds = true;
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 5), KERR_REQUEST_TIMED_OUT);
    struct call *first = r.calls;
    rig_pass(&r, 3000);
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 6), KERR_REQUEST_TIMED_OUT);
    struct call *second = r.calls;
    rig_pass(&r, 1999);
    CHECK(!first->done);
    rig_pass(&r, 1);
    CHECK(first->done && !second->done);
    CHECK_EQ(((struct offset_commit_response *)first->response)->topics[0].partitions[0].error_code,
             KERR_COORDINATOR_NOT_AVAILABLE);
    rig_commit(&r);
    CHECK(second->done);
    CHECK_EQ(
        ((struct offset_commit_response *)second->response)->topics[0].partitions[0].error_code,
        KERR_NONE);
    rig_end(&r);
}

TEST(life, everybody_who_waits_is_told_when_the_coordinator_goes)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3), *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, 6000);
    struct call *sync = rig_sync(&r, "g", join_of(b)->member_id, 1, NULL);
    struct call *join = rig_join(&r, "h", "", 3);
    CHECK(a->done && !sync->done && !join->done);
    r.holds = true;
    CHECK_EQ(rig_commit_offset(&r, "i", STR(""), -1, "orders", 0, 5), KERR_REQUEST_TIMED_OUT);
    struct call *commit = r.calls;

    group_partition_unload(r.p);
    CHECK(sync->done && join->done && commit->done);
    CHECK_EQ(sync_of(sync)->error_code, KERR_NOT_COORDINATOR);
    CHECK_EQ(join_of(join)->error_code, KERR_NOT_COORDINATOR);
    CHECK_EQ(
        ((struct offset_commit_response *)commit->response)->topics[0].partitions[0].error_code,
        KERR_NOT_COORDINATOR);
    rig_end(&r);
}

TEST(life, while_it_loads_only_heartbeats_are_content)
{
    struct rig r;
    rig_init_empty(&r);
    rig_topic(&r, "orders", 1);

    CHECK_EQ(rig_heartbeat(&r, "g", STR("m"), 1), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", STR("m"), 1, "orders", 0, 1),
             KERR_COORDINATOR_LOAD_IN_PROGRESS);
    CHECK_EQ(join_of(rig_join(&r, "g", "", 9))->error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    rig_load(&r);
    CHECK_EQ(rig_heartbeat(&r, "g", STR("m"), 1), KERR_UNKNOWN_MEMBER_ID);
    rig_end(&r);
}

/* Members do not notice that another node coordinates; those who are gone are missed. */
TEST(life, a_group_goes_on_with_another_coordinator)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    rig_reload(&r);
    CHECK_EQ(rig_heartbeat(&r, "g", id, 1), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", id, 1, "orders", 2, 7), KERR_NONE);
    CHECK_TEXT(rig_state(&r, "g"), "Stable range ");
    rig_reload(&r);
    rig_pass(&r, 10000);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3000);
    CHECK_EQ(join_of(a)->generation_id, 3); /* G2: 2 was the empty one */
    rig_end(&r);
}

TEST(life, a_limit_that_was_lowered_makes_a_rebalance)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3), *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, 6000);
    struct str a_id = join_of(a)->member_id, b_id = join_of(b)->member_id;
    CHECK(rig_sync(&r, "g", a_id, 1, NULL)->done);

    r.settings.size_max = 1;
    rig_reload(&r);
    CHECK_EQ(rig_heartbeat(&r, "g", a_id, 1), KERR_REBALANCE_IN_PROGRESS);
    b = rig_join(&r, "g", rig_text(&r, b_id), 3);
    CHECK(!b->done);
    a = rig_join(&r, "g", rig_text(&r, a_id), 3);
    CHECK(a->done && b->done);
    CHECK_EQ(join_of(a)->error_code, KERR_GROUP_MAX_SIZE_REACHED);
    CHECK_EQ(join_of(b)->members_count, 1);
    rig_end(&r);
}

TEST(life, groups_are_spread_as_kafka_does)
{
    CHECK_EQ(group_partition_of(STR("my-group"), 50), 12);
    CHECK_EQ(group_partition_of(STR("gr\xc3\xbc\xc3\x9f"
                                    "e-\xf0\x9f\x98\x80"),
                                50),
             27);
    CHECK_EQ(group_partition_of(STR("polygenelubricants"), 50), 0); /* its hash is the lowest int */
}

/* Every API in every version: an answer that can be written, before and after the load, to a
 * request that says nothing. */
TEST(life, everything_is_answered_in_every_version)
{
    static const enum api_key keys[] = {API_JOIN_GROUP,   API_SYNC_GROUP,    API_HEARTBEAT,
                                        API_LEAVE_GROUP,  API_OFFSET_COMMIT, API_TXN_OFFSET_COMMIT,
                                        API_OFFSET_FETCH, API_OFFSET_DELETE, API_DESCRIBE_GROUPS,
                                        API_LIST_GROUPS,  API_DELETE_GROUPS};
    struct rig r;
    rig_init_empty(&r);

    for (int loaded = 0; loaded < 2; loaded++) {
        for (size_t i = 0; i < array_count(keys); i++) {
            const struct api *api = api_find((int16_t)keys[i]);
            for (int16_t version = api->low; version <= api->high; version++)
                CHECK(rig_ask(&r, keys[i], version, rig_take(&r, api->request))->done);
        }
        if (loaded == 0)
            rig_load(&r);
    }
    rig_end(&r);
}

TEST(life, errors_before_the_load_name_what_was_asked)
{
    struct rig r;
    rig_init_empty(&r);
    struct describe_groups_request *d = rig_take(&r, &describe_groups_request_message);
    struct delete_groups_request *x = rig_take(&r, &delete_groups_request_message);
    struct offset_fetch_request *f = rig_take(&r, &offset_fetch_request_message);
    struct offset_fetch_request_groups group;
    struct offset_fetch_request_topics topic;
    struct str id = STR("g");
    int32_t partition = 4;

    d->groups = x->groups_names = &id;
    d->groups_count = x->groups_names_count = 1;
    const struct describe_groups_response *described =
        rig_ask(&r, API_DESCRIBE_GROUPS, 6, d)->response;
    CHECK_TEXT(described->groups[0].group_id, "g");
    CHECK_EQ(described->groups[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    const struct delete_groups_response *deleted = rig_ask(&r, API_DELETE_GROUPS, 2, x)->response;
    CHECK_TEXT(deleted->results[0].group_id, "g");
    CHECK_EQ(deleted->results[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    offset_fetch_request_groups_init(&group);
    group.group_id = id;
    f->groups = &group;
    f->groups_count = 1;
    const struct offset_fetch_response *fetched = rig_ask(&r, API_OFFSET_FETCH, 8, f)->response;
    CHECK_TEXT(fetched->groups[0].group_id, "g");
    CHECK_EQ(fetched->groups[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    fetched = rig_ask(&r, API_OFFSET_FETCH, 7, f)->response;
    CHECK_EQ(fetched->error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    offset_fetch_request_topics_init(&topic);
    topic.name = STR("orders");
    topic.partition_indexes = &partition;
    topic.partition_indexes_count = 1;
    f->topics = &topic;
    f->topics_count = 1;
    fetched = rig_ask(&r, API_OFFSET_FETCH, 1, f)->response;
    CHECK_EQ(fetched->topics[0].partitions[0].partition_index, 4);
    CHECK_EQ(fetched->topics[0].partitions[0].committed_offset, -1);
    CHECK_EQ(fetched->topics[0].partitions[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    const struct list_groups_response *listed =
        rig_ask(&r, API_LIST_GROUPS, 5, rig_take(&r, &list_groups_request_message))->response;
    CHECK_EQ(listed->error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    rig_end(&r);
}
