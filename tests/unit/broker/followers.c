/* Other brokers read what they replicate: Fetch with a replica id, ListOffsets and OffsetForLeaderEpoch as they ask. */
#include "lab.h"

#include "broker/shard.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/produce.h"

static struct lab lab;
static struct client writer, followers[4]; /* by broker id: 2 and 3 */
static int64_t epochs[4];
static struct uuid topic;

/* ---- a cluster whose other brokers are these tests -------------------------------------------- */

struct control {
    struct controller_call call;
    bool done;
};

static void control_ready(struct controller_call *call, enum kerr error)
{
    CHECK_EQ(error, KERR_NONE);
    container_of(call, struct control, call)->done = true;
}

static void control(int16_t api_key, int16_t version, const void *request, void *response)
{
    struct control c = {.call = {
        .api_key = api_key,
        .api_version = version,
        .request = request,
        .response = response,
        .arena = &writer.arena,
        .principal = &principal_anonymous,
        .authorizer = lab.broker->shards[0].authorizer,
        .now_ms = io_now_ms(lab.doors[0]),
        .wall_ms = io_wall_ms(lab.doors[0]),
        .ready = control_ready,
    }};

    node_forward(lab.broker->node, &c.call);
    UNTIL(&lab, c.done);
}

static void join(int32_t id)
{
    struct uuid directory = {{(uint8_t)id, 77}};
    struct broker_registration_request m;
    struct broker_registration_response a;
    struct broker_registration_request_listeners at;
    struct broker_registration_request_features ranges[16];
    struct broker_heartbeat_request beat;
    struct broker_heartbeat_response heard;

    broker_registration_request_init(&m);
    broker_registration_response_init(&a);
    broker_registration_request_listeners_init(&at);
    at.name = STR("PLAINTEXT");
    at.host = STR("elsewhere");
    at.port = 9092;
    m.broker_id = id;
    m.cluster_id = str_of(lab.broker->cluster_id);
    m.incarnation_id = (struct uuid){{(uint8_t)id, 99}};
    m.listeners = &at;
    m.listeners_count = 1;
    m.features = ranges;
    m.features_count = (int32_t)node_feature_count();
    m.rack = STR_NULL;
    m.log_dirs = &directory;
    m.log_dirs_count = 1;
    for (uint32_t i = 0; i < node_feature_count(); i++) {
        struct image_feature f = node_feature_at(i);
        broker_registration_request_features_init(&ranges[i]);
        ranges[i].name = f.name;
        ranges[i].min_supported_version = f.min;
        ranges[i].max_supported_version = f.max;
    }
    control(API_BROKER_REGISTRATION, 4, &m, &a);
    CHECK_EQ(a.error_code, KERR_NONE);
    epochs[id] = a.broker_epoch;
    broker_heartbeat_request_init(&beat);
    broker_heartbeat_response_init(&heard);
    beat.broker_id = id;
    beat.broker_epoch = a.broker_epoch;
    beat.current_metadata_offset = INT32_MAX;
    control(API_BROKER_HEARTBEAT, 1, &beat, &heard);
    CHECK(!heard.is_fenced);
}

/* A topic of two partitions that broker 1 leads, 2 and 3 follow. */
static struct uuid replicated(const char *name)
{
    static int32_t ids[] = {1, 2, 3};
    struct create_topics_request m;
    struct create_topics_request_topics t;
    struct create_topics_request_topics_assignments at[2];

    create_topics_request_init(&m);
    create_topics_request_topics_init(&t);
    for (int32_t i = 0; i < 2; i++) {
        create_topics_request_topics_assignments_init(&at[i]);
        at[i].partition_index = i;
        at[i].broker_ids = ids;
        at[i].broker_ids_count = 3;
    }
    t.name = str_of(name);
    t.num_partitions = -1;
    t.replication_factor = -1;
    t.assignments = at;
    t.assignments_count = 2;
    m.topics = &t;
    m.topics_count = 1;
    const struct create_topics_response *a = client_ask(&writer, API_CREATE_TOPICS, 7, &m);
    CHECK_EQ(a->topics[0].error_code, KERR_NONE);
    return a->topics[0].topic_id;
}

static void begin(uint32_t shards)
{
    lab_init(&lab, shards, NULL, shards);
    lab_set(&lab, "broker.session.timeout.ms", "3600000");
    lab_set(&lab, "replica.lag.time.max.ms", "20000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &writer, 9092);
    for (int32_t id = 2; id <= 3; id++) {
        client_open(&lab, &followers[id], 9092);
        join(id);
    }
    topic = replicated("t");
}

static void end(void)
{
    lab_kill(&lab); /* a stop would wait for the other brokers */
    for (int32_t id = 2; id <= 3; id++)
        client_end(&followers[id]);
    client_end(&writer);
    lab_deinit(&lab);
}

/* ---- what a follower asks --------------------------------------------------------------------- */

struct asks {
    int32_t id, partition;
    int64_t at;
    int32_t leader_epoch, last_epoch; /* + 1: 0 is not said */
    int32_t max_wait_ms, session_id, session_epoch;
    int64_t broker_epoch;             /* 0: the right one */
};

#define VERSION 17

static struct fetch_request *request_of(const struct asks *x)
{
    struct arena *arena = &followers[2].arena;
    const void *plain = fetch_of(arena, topic, x->partition, x->at, 1, x->max_wait_ms);
    struct fetch_request *m = (struct fetch_request *)(uintptr_t)plain;

    m->replica_state.replica_id = x->id;
    m->replica_state.replica_epoch = x->broker_epoch != 0 ? x->broker_epoch : epochs[x->id & 3];
    m->session_id = x->session_id;
    m->session_epoch = x->session_id == 0 ? x->session_epoch - 1 : x->session_epoch;
    m->topics->partitions->current_leader_epoch = x->leader_epoch - 1;
    m->topics->partitions->last_fetched_epoch = x->last_epoch - 1;
    m->topics->partitions->log_start_offset = 0;
    return m;
}

static const struct fetch_response_responses_partitions *ask(const struct asks *x)
{
    return fetched(client_ask(&followers[2 + (x->id & 1)], API_FETCH, VERSION, request_of(x)));
}

/* acks=all; not waited for. */
static void produce_later(int32_t partition, int32_t count)
{
    client_post(&writer, API_PRODUCE, PRODUCE_VERSION,
                produce_of(&writer.arena, topic, partition, -1, batch_of(&writer.arena, count)));
}

static void check_produced(int64_t base_offset)
{
    const struct produce_response *a = client_answer(&writer, API_PRODUCE, PRODUCE_VERSION, writer.correlation);

    CHECK_EQ(a->responses[0].partition_responses[0].error_code, KERR_NONE);
    CHECK_EQ(a->responses[0].partition_responses[0].base_offset, base_offset);
}

TEST(broker_followers, what_all_followers_have_asked_beyond_is_committed)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        begin(shards);
        for (int32_t p = 0; p < 2; p++) {
            produce_later(p, 3);
            lab_pass(&lab, SEC);
            CHECK(!client_has_answer(&writer));
            for (int32_t id = 2; id <= 3; id++) {
                const struct fetch_response_responses_partitions *a = ask(&(struct asks){.id = id, .partition = p});
                CHECK_EQ(a->error_code, KERR_NONE);
                CHECK_EQ(records_in(a->records), 3); /* up to the end, not the high watermark */
                CHECK_EQ(a->high_watermark, 0);
            }
            ask(&(struct asks){.id = 2, .partition = p, .at = 3});
            lab_pass(&lab, SEC);
            CHECK(!client_has_answer(&writer));
            CHECK_EQ(ask(&(struct asks){.id = 3, .partition = p, .at = 3})->high_watermark, 3);
            check_produced(0);
        }
        end();
    }
}

TEST(broker_followers, consumers_see_what_is_committed)
{
    begin(1);
    produce_later(0, 3);
    lab_pass(&lab, SEC);
    const void *m = fetch_of(&writer.arena, topic, 0, 0, 1, 100);
    CHECK_EQ(records_in(fetched(client_ask(&followers[2], API_FETCH, FETCH_VERSION, m))->records), 0);
    client_post(&followers[2], API_FETCH, FETCH_VERSION, fetch_of(&writer.arena, topic, 0, 0, 1, 60000));
    ask(&(struct asks){.id = 3, .at = 3});
    lab_pass(&lab, SEC);
    CHECK(!client_has_answer(&followers[2]));
    struct client another;
    client_open(&lab, &another, 9092);
    client_ask(&another, API_FETCH, VERSION, request_of(&(struct asks){.id = 2, .at = 3}));
    const void *a = client_answer(&followers[2], API_FETCH, FETCH_VERSION, followers[2].correlation);
    CHECK_EQ(records_in(fetched(a)->records), 3);
    client_end(&another);
    end();
}

TEST(broker_followers, append_answers_a_fetch_that_waits)
{
    begin(2);
    client_post(&followers[2], API_FETCH, VERSION, request_of(&(struct asks){.id = 2, .max_wait_ms = 60000}));
    lab_pass(&lab, SEC);
    CHECK(!client_has_answer(&followers[2]));
    int64_t began = sim_now_ns(lab.sim);
    produce_later(0, 2);
    const void *a = client_answer(&followers[2], API_FETCH, VERSION, followers[2].correlation);
    CHECK_EQ(records_in(fetched(a)->records), 2);
    CHECK(sim_now_ns(lab.sim) - began < SEC);
    end();
}

/* KIP-595: it hears from where on its log is another one, and what it asked for says nothing of what it has. */
TEST(broker_followers, follower_that_diverges_is_told_and_does_not_count)
{
    begin(1);
    produce_later(0, 3);
    lab_pass(&lab, SEC);
    ask(&(struct asks){.id = 3, .at = 3});
    const struct fetch_response_responses_partitions *a = ask(&(struct asks){.id = 2, .at = 5, .last_epoch = 1});
    CHECK_EQ(a->error_code, KERR_NONE);
    CHECK_EQ(a->diverging_epoch.epoch, 0);
    CHECK_EQ(a->diverging_epoch.end_offset, 3);
    CHECK_EQ(records_in(a->records), 0);
    lab_pass(&lab, SEC);
    CHECK(!client_has_answer(&writer));
    a = ask(&(struct asks){.id = 2, .at = 3, .last_epoch = 1});
    CHECK_EQ(a->diverging_epoch.epoch, -1);
    CHECK_EQ(a->high_watermark, 3);
    check_produced(0);
    end();
}

TEST(broker_followers, fetches_that_cannot_be_followers_are_refused)
{
    static const struct {
        struct asks asks;
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

    begin(1);
    for (size_t i = 0; i < array_count(rows); i++)
        CHECK_EQ(ask(&rows[i].asks)->error_code, rows[i].error);
    end();
}

TEST(broker_followers, older_versions_say_the_follower_alone)
{
    begin(1);
    produce_later(0, 1);
    lab_pass(&lab, SEC);
    for (int32_t id = 2; id <= 3; id++) {
        struct fetch_request *m = request_of(&(struct asks){.at = 1});
        fetch_request_replica_state_init(&m->replica_state);
        m->replica_id = id;
        const void *a = client_ask(&followers[id], API_FETCH, 14, m);
        CHECK_EQ(fetched(a)->error_code, KERR_NONE);
    }
    check_produced(0);
    end();
}

/* KIP-227 for followers: the mark is told with the next answer, which does not come for its sake. */
TEST(broker_followers, sessions_tell_followers_of_the_mark)
{
    begin(2);
    const struct fetch_response *a =
        client_ask(&followers[2], API_FETCH, VERSION, request_of(&(struct asks){.id = 2, .session_epoch = 1}));
    int32_t session = a->session_id;
    CHECK(session != 0);
    produce_later(0, 2);
    lab_pass(&lab, SEC);
    a = client_ask(&followers[2], API_FETCH, VERSION,
                   request_of(&(struct asks){.id = 2, .session_id = session, .session_epoch = 1}));
    CHECK_EQ(records_in(fetched(a)->records), 2);
    const struct asks more = {.id = 2, .at = 2, .session_id = session, .session_epoch = 2, .max_wait_ms = 500};
    client_post(&followers[2], API_FETCH, VERSION, request_of(&more));
    lab_pass(&lab, 100 * MS);
    ask(&(struct asks){.id = 3, .at = 2});
    check_produced(0);
    lab_pass(&lab, 100 * MS);
    CHECK(!client_has_answer(&followers[2]));
    a = client_answer(&followers[2], API_FETCH, VERSION, followers[2].correlation);
    CHECK_EQ(fetched(a)->high_watermark, 2);
    /* the session is the follower's alone */
    a = client_ask(&followers[2], API_FETCH, VERSION,
                   request_of(&(struct asks){.id = 3, .session_id = session, .session_epoch = 3}));
    CHECK_EQ(a->error_code, KERR_FETCH_SESSION_ID_NOT_FOUND);
    end();
}

static int32_t in_sync(void)
{
    return image_partition_find(lab.broker->shards[0].image, topic, 0)->isr_count;
}

TEST(broker_followers, who_stops_to_fetch_leaves_the_isr_and_comes_back)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        begin(shards);
        produce_later(0, 3);
        for (int i = 0; i < 15; i++) { /* less than the lag */
            ask(&(struct asks){.id = 3, .at = 3});
            lab_pass(&lab, SEC);
        }
        CHECK(!client_has_answer(&writer));
        CHECK_EQ(in_sync(), 3);
        for (int i = 0; i < 30 && !client_has_answer(&writer); i++) {
            ask(&(struct asks){.id = 3, .at = 3});
            lab_pass(&lab, SEC);
        }
        check_produced(0);
        CHECK_EQ(in_sync(), 2);
        ask(&(struct asks){.id = 2, .at = 2});
        lab_pass(&lab, SEC);
        CHECK_EQ(in_sync(), 2); /* it has not all that is committed */
        ask(&(struct asks){.id = 2, .at = 3});
        UNTIL(&lab, in_sync() == 3);
        end();
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

    begin(1);
    produce_later(0, 4);
    lab_pass(&lab, SEC);
    CHECK_EQ(latest(2, &error), 4);
    CHECK_EQ(latest(-1, &error), 0);
    CHECK_EQ(error, KERR_NONE);
    end();
}
