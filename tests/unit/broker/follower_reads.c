/* Sessions of followers, and consumers that read from a replica in their rack (KIP-227, KIP-392). */
#include "follow_lab.h"

/* KIP-227 for followers: the mark is told with the next answer, which does not come for its sake. */
TEST(broker_followers, sessions_tell_followers_of_the_mark)
{
    follow_begin(2);
    const struct fetch_response *a =
        client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(ASKS(.id = 2, .session_epoch = 1)));
    int32_t session = a->session_id;
    CHECK(session != 0);
    follow_produce(0, 2);
    lab_pass(&follow_lab, SEC);
    a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION,
                   follow_request(ASKS(.id = 2, .session_id = session, .session_epoch = 1)));
    CHECK_EQ(records_in(fetched(a)->records), 2);
    const struct follow_asks more = {.id = 2, .at = 2, .session_id = session, .session_epoch = 2, .max_wait_ms = 500};
    client_post(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(&more));
    lab_pass(&follow_lab, 100 * MS);
    follow_ask(ASKS(.id = 3, .at = 2));
    follow_check_produced(0);
    lab_pass(&follow_lab, 100 * MS);
    CHECK(!client_has_answer(&followers[2]));
    a = client_answer(&followers[2], API_FETCH, FOLLOW_VERSION, followers[2].correlation);
    CHECK_EQ(fetched(a)->high_watermark, 2);
    /* the session is the follower's alone */
    a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION,
                   follow_request(ASKS(.id = 3, .session_id = session, .session_epoch = 3)));
    CHECK_EQ(a->error_code, KERR_FETCH_SESSION_ID_NOT_FOUND);
    follow_end();
}

TEST(broker_followers, follower_takes_the_slot_of_a_client_but_not_of_another_follower)
{
    static const struct follow_asks first = {.session_epoch = 1};
    struct follow_asks x = first;

    follow_begin(1);
    lab_kill(&follow_lab);
    lab_set(&follow_lab, "max.incremental.fetch.session.cache.slots", "1");
    CHECK_EQ(lab_start(&follow_lab), 0);
    for (int32_t id = 2; id <= 3; id++) {
        client_end(&followers[id]);
        client_open(&follow_lab, &followers[id], 9092);
    }
    client_end(&writer);
    client_open(&follow_lab, &writer, 9092);
    x.id = -1;
    const struct fetch_response *a = client_ask(&writer, API_FETCH, FOLLOW_VERSION, follow_request(&x));
    CHECK(a->session_id != 0);
    x.id = 2;
    a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(&x));
    CHECK(a->session_id != 0);
    x.id = 3;
    a = client_ask(&followers[3], API_FETCH, FOLLOW_VERSION, follow_request(&x));
    CHECK_EQ(a->session_id, 0);
    follow_end();
}

static const struct fetch_response_responses_partitions *read_in(const char *rack, int64_t at)
{
    struct fetch_request *m = follow_request(ASKS(.id = -1, .at = at));

    m->replica_state.replica_epoch = -1;
    m->rack_id = str_of(rack);
    return fetched(client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, m));
}

/* KIP-392 */
TEST(broker_followers, consumers_are_sent_to_a_replica_in_their_rack)
{
    follow_begin_with(2, BY_RACK);
    follow_produce(0, 3);
    lab_pass(&follow_lab, SEC);
    follow_ask(ASKS(.id = 2, .at = 3));
    follow_ask(ASKS(.id = 3, .at = 2));
    lab_pass(&follow_lab, SEC);
    follow_ask(ASKS(.id = 3, .at = 3));
    follow_check_produced(0);
    const struct fetch_response_responses_partitions *a = read_in("west", 0);
    CHECK_EQ(a->preferred_read_replica, 2);
    CHECK_EQ(a->high_watermark, 3);
    CHECK_EQ(records_in(a->records), 0);
    CHECK_EQ(read_in("north", 3)->preferred_read_replica, 3);
    static const char *const here[] = {"east", "south", ""};
    for (int i = 0; i < 3; i++) {
        a = read_in(here[i], 0);
        CHECK_EQ(a->preferred_read_replica, -1);
        CHECK_EQ(records_in(a->records), 3);
    }
    follow_produce(0, 1);
    lab_pass(&follow_lab, SEC);
    CHECK_EQ(read_in("west", 4)->preferred_read_replica, -1); /* 2 has not got that far */
    follow_end();
}

TEST(broker_followers, follower_whose_consumers_wait_is_answered_for_the_mark)
{
    follow_begin_with(2, BY_RACK);
    const struct fetch_response *a =
        client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(ASKS(.id = 2, .session_epoch = 1)));
    struct follow_asks more = {.id = 2, .session_id = a->session_id, .session_epoch = 1, .max_wait_ms = 60000};
    follow_produce(0, 2);
    a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(&more));
    CHECK_EQ(fetched(a)->high_watermark, 0);
    more.at = more.session_epoch = 2;
    client_post(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(&more));
    int64_t began = sim_now_ns(follow_lab.sim);
    follow_ask(ASKS(.id = 3, .at = 2));
    a = client_answer(&followers[2], API_FETCH, FOLLOW_VERSION, followers[2].correlation);
    CHECK_EQ(fetched(a)->high_watermark, 2);
    CHECK(sim_now_ns(follow_lab.sim) - began < SEC);
    follow_check_produced(0);
    follow_end();
}

/* Up to its own mark, which is that of an empty log here: nothing, but no error either. */
TEST(broker_followers, consumers_may_read_from_a_follower)
{
    follow_begin(1);
    topic = follow_topic("other", (int32_t[]){2, 1, 3});
    CHECK_EQ(read_in("east", 0)->error_code, KERR_NONE);
    CHECK_EQ(read_in("east", 1)->error_code, KERR_OFFSET_OUT_OF_RANGE);
    /* one that says no rack has not been sent here, but has old metadata */
    CHECK_EQ(read_in("", 0)->error_code, KERR_NOT_LEADER_OR_FOLLOWER);
    follow_end();
}
