#include "follow_lab.h"

#include "broker/shard.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/create_topics.h"
#include "protocol/produce.h"

struct lab follow_lab;
struct client writer, followers[4];
struct uuid topic;

static int64_t epochs[4];
static const char *const racks[4] = {NULL, "east", "west", "north"};

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
        .authorizer = follow_lab.broker->shards[0].authorizer,
        .now_ms = io_now_ms(follow_lab.doors[0]),
        .wall_ms = io_wall_ms(follow_lab.doors[0]),
        .ready = control_ready,
    }};

    node_forward(follow_lab.broker->node, &c.call);
    UNTIL(&follow_lab, c.done);
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
    m.cluster_id = str_of(follow_lab.broker->cluster_id);
    m.incarnation_id = (struct uuid){{(uint8_t)id, 99}};
    m.listeners = &at;
    m.listeners_count = 1;
    m.features = ranges;
    m.features_count = (int32_t)node_feature_count();
    m.rack = str_of(racks[id]);
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

struct uuid follow_topic(const char *name, int32_t *ids)
{
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

void follow_begin_with(uint32_t shards, const char *selector)
{
    lab_init(&follow_lab, shards, NULL, shards);
    lab_set(&follow_lab, "broker.rack", racks[1]);
    lab_set(&follow_lab, "replica.selector.class", selector);
    lab_set(&follow_lab, "broker.session.timeout.ms", "3600000");
    lab_set(&follow_lab, "replica.lag.time.max.ms", "20000");
    CHECK_EQ(lab_start(&follow_lab), 0);
    client_open(&follow_lab, &writer, 9092);
    for (int32_t id = 2; id <= 3; id++) {
        client_open(&follow_lab, &followers[id], 9092);
        join(id);
    }
    topic = follow_topic("t", (int32_t[]){1, 2, 3});
}

void follow_begin(uint32_t shards)
{
    follow_begin_with(shards, "org.apache.kafka.common.replica.LeaderSelector");
}

void follow_end(void)
{
    lab_kill(&follow_lab); /* a stop would wait for the other brokers */
    for (int32_t id = 2; id <= 3; id++)
        client_end(&followers[id]);
    client_end(&writer);
    lab_deinit(&follow_lab);
}

/* ---- what a follower asks --------------------------------------------------------------------- */

struct fetch_request *follow_request(const struct follow_asks *x)
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

const struct fetch_response_responses_partitions *follow_ask(const struct follow_asks *x)
{
    return fetched(client_ask(&followers[2 + (x->id & 1)], API_FETCH, FOLLOW_VERSION, follow_request(x)));
}

void follow_produce(int32_t partition, int32_t count)
{
    client_post(&writer, API_PRODUCE, PRODUCE_VERSION,
                produce_of(&writer.arena, topic, partition, -1, batch_of(&writer.arena, count)));
}

void follow_check_produced(int64_t base_offset)
{
    const struct produce_response *a = client_answer(&writer, API_PRODUCE, PRODUCE_VERSION, writer.correlation);

    CHECK_EQ(a->responses[0].partition_responses[0].error_code, KERR_NONE);
    CHECK_EQ(a->responses[0].partition_responses[0].base_offset, base_offset);
}
