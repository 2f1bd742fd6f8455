/* Other brokers read what they replicate: Fetch with a replica id, ListOffsets as they ask. */
#include "follow_lab.h"

#include "broker/shard.h"
#include "protocol/list_offsets.h"

TEST(broker_followers, what_all_followers_have_asked_beyond_is_committed)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        follow_begin(shards);
        for (int32_t p = 0; p < 2; p++) {
            follow_produce(p, 3);
            lab_pass(&follow_lab, SEC);
            CHECK(!client_has_answer(&writer));
            for (int32_t id = 2; id <= 3; id++) {
                const struct fetch_response_responses_partitions *a = follow_ask(ASKS(.id = id, .partition = p));
                CHECK_EQ(a->error_code, KERR_NONE);
                CHECK_EQ(records_in(a->records), 3); /* up to the end, not the high watermark */
                CHECK_EQ(a->high_watermark, 0);
            }
            follow_ask(ASKS(.id = 2, .partition = p, .at = 3));
            lab_pass(&follow_lab, SEC);
            CHECK(!client_has_answer(&writer));
            CHECK_EQ(follow_ask(ASKS(.id = 3, .partition = p, .at = 3))->high_watermark, 3);
            follow_check_produced(0);
        }
        follow_end();
    }
}

TEST(broker_followers, consumers_see_what_is_committed)
{
    follow_begin(1);
    follow_produce(0, 3);
    lab_pass(&follow_lab, SEC);
    const void *m = fetch_of(&writer.arena, topic, 0, 0, 1, 100);
    CHECK_EQ(records_in(fetched(client_ask(&followers[2], API_FETCH, FETCH_VERSION, m))->records), 0);
    client_post(&followers[2], API_FETCH, FETCH_VERSION, fetch_of(&writer.arena, topic, 0, 0, 1, 60000));
    follow_ask(ASKS(.id = 3, .at = 3));
    lab_pass(&follow_lab, SEC);
    CHECK(!client_has_answer(&followers[2]));
    struct client another;
    client_open(&follow_lab, &another, 9092);
    client_ask(&another, API_FETCH, FOLLOW_VERSION, follow_request(ASKS(.id = 2, .at = 3)));
    const void *a = client_answer(&followers[2], API_FETCH, FETCH_VERSION, followers[2].correlation);
    CHECK_EQ(records_in(fetched(a)->records), 3);
    client_end(&another);
    follow_end();
}

TEST(broker_followers, append_answers_a_fetch_that_waits)
{
    follow_begin(2);
    client_post(&followers[2], API_FETCH, FOLLOW_VERSION, follow_request(ASKS(.id = 2, .max_wait_ms = 60000)));
    lab_pass(&follow_lab, SEC);
    CHECK(!client_has_answer(&followers[2]));
    int64_t began = sim_now_ns(follow_lab.sim);
    follow_produce(0, 2);
    const void *a = client_answer(&followers[2], API_FETCH, FOLLOW_VERSION, followers[2].correlation);
    CHECK_EQ(records_in(fetched(a)->records), 2);
    CHECK(sim_now_ns(follow_lab.sim) - began < SEC);
    follow_end();
}

/* KIP-595: it hears from where on its log is another one, and what it asked for says nothing of what it has. */
TEST(broker_followers, follower_that_diverges_is_told_and_does_not_count)
{
    follow_begin(1);
    follow_produce(0, 3);
    lab_pass(&follow_lab, SEC);
    follow_ask(ASKS(.id = 3, .at = 3));
    const struct fetch_response_responses_partitions *a = follow_ask(ASKS(.id = 2, .at = 5, .last_epoch = 1));
    CHECK_EQ(a->error_code, KERR_NONE);
    CHECK_EQ(a->diverging_epoch.epoch, 0);
    CHECK_EQ(a->diverging_epoch.end_offset, 3);
    CHECK_EQ(records_in(a->records), 0);
    lab_pass(&follow_lab, SEC);
    CHECK(!client_has_answer(&writer));
    a = follow_ask(ASKS(.id = 2, .at = 3, .last_epoch = 1));
    CHECK_EQ(a->diverging_epoch.epoch, -1);
    CHECK_EQ(a->high_watermark, 3);
    follow_check_produced(0);
    follow_end();
}

TEST(broker_followers, fetches_that_cannot_be_followers_are_refused)
{
    static const struct {
        struct follow_asks asks;
        enum kerr error;
    } rows[] = {
        {{.id = 2, .leader_epoch = 1}, KERR_NONE},
        {{.id = 2, .broker_epoch = -1}, KERR_NONE},
        {{.id = 2, .broker_epoch = 1}, KERR_NOT_LEADER_OR_FOLLOWER}, /* of a process before */
        {{.id = 2, .leader_epoch = 2}, KERR_UNKNOWN_LEADER_EPOCH},
        {{.id = 4, .leader_epoch = 1}, KERR_UNKNOWN_LEADER_EPOCH},
        {{.id = 4}, KERR_NOT_LEADER_OR_FOLLOWER},
        {{.id = 1, .leader_epoch = 1, .broker_epoch = -1}, KERR_NOT_LEADER_OR_FOLLOWER},
        {{.id = 2, .at = 1}, KERR_OFFSET_OUT_OF_RANGE},
        {{.id = 2, .at = -1}, KERR_OFFSET_OUT_OF_RANGE},
        {{.id = 2, .last_epoch = 9}, KERR_OFFSET_OUT_OF_RANGE}, /* an epoch that there was never */
    };

    follow_begin(1);
    for (size_t i = 0; i < array_count(rows); i++)
        CHECK_EQ(follow_ask(&rows[i].asks)->error_code, rows[i].error);
    follow_end();
}

TEST(broker_followers, older_versions_say_the_follower_alone)
{
    follow_begin(1);
    follow_produce(0, 1);
    lab_pass(&follow_lab, SEC);
    for (int32_t id = 2; id <= 3; id++) {
        struct fetch_request *m = follow_request(ASKS(.at = 1));
        fetch_request_replica_state_init(&m->replica_state);
        m->replica_id = id;
        const void *a = client_ask(&followers[id], API_FETCH, 14, m);
        CHECK_EQ(fetched(a)->error_code, KERR_NONE);
    }
    follow_check_produced(0);
    follow_end();
}

static int32_t in_sync(void)
{
    return image_partition_find(follow_lab.broker->shards[0].image, topic, 0)->isr_count;
}

TEST(broker_followers, who_stops_to_fetch_leaves_the_isr_and_comes_back)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        follow_begin(shards);
        follow_produce(0, 3);
        for (int i = 0; i < 15; i++) { /* less than the lag */
            follow_ask(ASKS(.id = 3, .at = 3));
            lab_pass(&follow_lab, SEC);
        }
        CHECK(!client_has_answer(&writer));
        CHECK_EQ(in_sync(), 3);
        for (int i = 0; i < 30 && !client_has_answer(&writer); i++) {
            follow_ask(ASKS(.id = 3, .at = 3));
            lab_pass(&follow_lab, SEC);
        }
        follow_check_produced(0);
        CHECK_EQ(in_sync(), 2);
        follow_ask(ASKS(.id = 2, .at = 2));
        lab_pass(&follow_lab, SEC);
        CHECK_EQ(in_sync(), 2); /* it has not all that is committed */
        follow_ask(ASKS(.id = 2, .at = 3));
        UNTIL(&follow_lab, in_sync() == 3);
        follow_end();
    }
}

/* An older Fetch, of a connection that the follower has given up, comes behind those of its session, which say nothing of a
 * partition that does not move. */
TEST(broker_followers, fetch_that_comes_late_is_not_believed_for_long)
{
    struct client before;

    for (uint32_t shards = 1; shards <= 3; shards++) {
        follow_begin(shards);
        follow_produce(0, 3);
        lab_pass(&follow_lab, SEC);
        client_open(&follow_lab, &before, 9092);
        const struct fetch_response *a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION,
                                                    follow_request(ASKS(.id = 2, .at = 3, .session_epoch = 1)));
        int32_t session = a->session_id;
        follow_ask(ASKS(.id = 3, .at = 3));
        follow_check_produced(0);
        for (int32_t i = 0; i < 40; i++) {
            if (i == 2) /* the session has told of the mark, and rests */
                client_ask(&before, API_FETCH, FOLLOW_VERSION, follow_request(ASKS(.id = 2, .at = 2)));
            struct fetch_request *m =
                follow_request(ASKS(.id = 2, .session_id = session, .session_epoch = 1 + i, .max_wait_ms = 500));
            m->topics_count = 0;
            a = client_ask(&followers[2], API_FETCH, FOLLOW_VERSION, m);
            CHECK_EQ(a->error_code, KERR_NONE);
            follow_ask(ASKS(.id = 3, .at = 3));
            lab_pass(&follow_lab, SEC);
        }
        CHECK_EQ(in_sync(), 3);
        client_end(&before);
        follow_end();
    }
}

static int64_t latest(int32_t replica_id, enum kerr *error)
{
    struct list_offsets_request m;
    struct list_offsets_request_topics t;
    struct list_offsets_request_topics_partitions p;

    list_offsets_request_init(&m);
    list_offsets_request_topics_init(&t);
    list_offsets_request_topics_partitions_init(&p);
    p.timestamp = -1;
    t.name = STR("t");
    t.partitions = &p;
    t.partitions_count = 1;
    m.replica_id = replica_id;
    m.topics = &t;
    m.topics_count = 1;
    const struct list_offsets_response *a = client_ask(&followers[2], API_LIST_OFFSETS, 9, &m);
    *error = (enum kerr)a->topics[0].partitions[0].error_code;
    return a->topics[0].partitions[0].offset;
}

TEST(broker_followers, list_offsets_tells_brokers_the_end_and_consumers_the_mark)
{
    enum kerr error;

    follow_begin(1);
    follow_produce(0, 4);
    lab_pass(&follow_lab, SEC);
    CHECK_EQ(latest(2, &error), 4);
    CHECK_EQ(latest(-1, &error), 0);
    CHECK_EQ(error, KERR_NONE);
    follow_end();
}
