/* Whom each API reaches, and what of a request. */
#include "bench.h"

static void answer_nothing(struct script_request *r, void *ctx) {}

/* ---- every API ------------------------------------------------------------------------------------ */

enum whom { CONTROLLER, COORDINATOR, EVERY_BROKER, NAMED, ONE_OF_THEM, BY_WHAT_IT_NAMES };

static const struct {
    int16_t key;
    enum whom whom;
} apis[] = {
    {API_ADD_RAFT_VOTER, CONTROLLER},
    {API_ALTER_CLIENT_QUOTAS, CONTROLLER},
    {API_ALTER_CONFIGS, CONTROLLER},
    {API_ALTER_PARTITION_REASSIGNMENTS, CONTROLLER},
    {API_ALTER_REPLICA_LOG_DIRS, NAMED},
    {API_ALTER_SHARE_GROUP_OFFSETS, COORDINATOR},
    {API_ALTER_USER_SCRAM_CREDENTIALS, CONTROLLER},
    {API_API_VERSIONS, ONE_OF_THEM},
    {API_CONSUMER_GROUP_DESCRIBE, BY_WHAT_IT_NAMES},
    {API_CREATE_ACLS, CONTROLLER},
    {API_CREATE_DELEGATION_TOKEN, CONTROLLER},
    {API_CREATE_PARTITIONS, CONTROLLER},
    {API_CREATE_TOPICS, CONTROLLER},
    {API_DELETE_ACLS, CONTROLLER},
    {API_DELETE_GROUPS, BY_WHAT_IT_NAMES},
    {API_DELETE_RECORDS, BY_WHAT_IT_NAMES},
    {API_DELETE_SHARE_GROUP_OFFSETS, COORDINATOR},
    {API_DELETE_TOPICS, CONTROLLER},
    {API_DESCRIBE_ACLS, ONE_OF_THEM},
    {API_DESCRIBE_CLIENT_QUOTAS, ONE_OF_THEM},
    {API_DESCRIBE_CLUSTER, ONE_OF_THEM},
    {API_DESCRIBE_CONFIGS, ONE_OF_THEM},
    {API_DESCRIBE_DELEGATION_TOKEN, ONE_OF_THEM},
    {API_DESCRIBE_GROUPS, BY_WHAT_IT_NAMES},
    {API_DESCRIBE_LOG_DIRS, EVERY_BROKER},
    {API_DESCRIBE_PRODUCERS, BY_WHAT_IT_NAMES},
    {API_DESCRIBE_QUORUM, ONE_OF_THEM},
    {API_DESCRIBE_SHARE_GROUP_OFFSETS, BY_WHAT_IT_NAMES},
    {API_DESCRIBE_TOPIC_PARTITIONS, ONE_OF_THEM},
    {API_DESCRIBE_TRANSACTIONS, BY_WHAT_IT_NAMES},
    {API_DESCRIBE_USER_SCRAM_CREDENTIALS, ONE_OF_THEM},
    {API_ELECT_LEADERS, CONTROLLER},
    {API_EXPIRE_DELEGATION_TOKEN, CONTROLLER},
    {API_INCREMENTAL_ALTER_CONFIGS, CONTROLLER},
    {API_INIT_PRODUCER_ID, COORDINATOR},
    {API_LEAVE_GROUP, COORDINATOR},
    {API_LIST_CONFIG_RESOURCES, ONE_OF_THEM},
    {API_LIST_GROUPS, EVERY_BROKER},
    {API_LIST_OFFSETS, BY_WHAT_IT_NAMES},
    {API_LIST_PARTITION_REASSIGNMENTS, CONTROLLER},
    {API_LIST_TRANSACTIONS, EVERY_BROKER},
    {API_METADATA, ONE_OF_THEM},
    {API_OFFSET_COMMIT, COORDINATOR},
    {API_OFFSET_DELETE, COORDINATOR},
    {API_OFFSET_FETCH, BY_WHAT_IT_NAMES},
    {API_OFFSET_FOR_LEADER_EPOCH, BY_WHAT_IT_NAMES},
    {API_REMOVE_RAFT_VOTER, CONTROLLER},
    {API_RENEW_DELEGATION_TOKEN, CONTROLLER},
    {API_SHARE_GROUP_DESCRIBE, BY_WHAT_IT_NAMES},
    {API_STREAMS_GROUP_DESCRIBE, BY_WHAT_IT_NAMES},
    {API_UNREGISTER_BROKER, CONTROLLER},
    {API_UNREGISTER_CONTROLLER, CONTROLLER},
    {API_UPDATE_FEATURES, CONTROLLER},
    {API_WRITE_TXN_MARKERS, BY_WHAT_IT_NAMES},
};

static void check_reaches(struct bench *b, int16_t key, enum whom whom, void *request)
{
    uint32_t before[4], got[4];

    for (int32_t i = 0; i < 4; i++)
        before[i] = script_count(b->script, i, key);
    b->call.to_node = whom == NAMED;
    b->call.node_id = 3;
    CHECK_EQ(bench_ask(b, key, request), 0);
    for (int32_t i = 0; i < 4; i++)
        got[i] = script_count(b->script, i, key) - before[i];
    switch (whom) {
    case CONTROLLER:
        CHECK_EQ(got[2], 1);
        CHECK_EQ(got[0], 1);
        break;
    case COORDINATOR:
        CHECK_EQ(got[1], 1);
        CHECK_EQ(got[0], 1);
        break;
    case NAMED:
        CHECK_EQ(got[3], 1);
        CHECK_EQ(got[0], 1);
        break;
    case EVERY_BROKER:
        CHECK_EQ(got[0], 3);
        CHECK_EQ(got[1], 1);
        CHECK_EQ(got[2], 1);
        break;
    case ONE_OF_THEM:
        CHECK(got[0] >= 1); /* the client itself may ask for the same */
        CHECK_EQ(b->call.part_count, 1);
        break;
    case BY_WHAT_IT_NAMES: /* nothing is named here */
        CHECK_EQ(got[0], 0);
        CHECK_EQ(b->call.part_count, 0);
        break;
    }
    admin_call_release(&b->call);
}

static bool is_scripted(int16_t key)
{
    return key == API_API_VERSIONS || key == API_METADATA || key == API_DESCRIBE_CLUSTER;
}

static void add_marker(struct bench *b, struct write_txn_markers_request *m)
{
    m->markers = arena_take(&b->arena, sizeof *m->markers);
    m->markers_count = 1;
    write_txn_markers_request_markers_init(m->markers);
}

TEST(admin_routes, each_api_reaches_whom_it_belongs_to)
{
    struct bench b;
    uint32_t typed = 0;

    bench_open(&b, 3, 60000);
    script_controller(b.script, 2);
    script_coordinator(b.script, 1, KERR_NONE);
    for (size_t i = 0; i < array_count(apis); i++) {
        if (!is_scripted(apis[i].key))
            script_on(b.script, 0, apis[i].key, answer_nothing, NULL);
    }
    for (size_t i = 0; i < array_count(apis); i++) {
        const struct message *m = api_find(apis[i].key)->request;
        void *request = arena_take(&b.arena, message_struct_bytes(m));
        message_init(m, request);
        if (apis[i].key == API_WRITE_TXN_MARKERS)
            add_marker(&b, request);
        check_reaches(&b, apis[i].key, apis[i].whom, request);
    }
#define COUNT(name, key) typed++;
    ADMIN_APIS(COUNT)
#undef COUNT
    CHECK_EQ(typed, array_count(apis));
    bench_end(&b);
}

/* ---- transactions ----------------------------------------------------------------------------------- */

static void answer_transactions(struct script_request *r, void *ctx)
{
    const struct describe_transactions_request *q = r->message;
    struct describe_transactions_response *a = r->response;

    CHECK_EQ(q->transactional_ids_count, 1);
    a->transaction_states = arena_take_array(&r->arena, 1, sizeof *a->transaction_states);
    a->transaction_states_count = 1;
    describe_transactions_response_transaction_states_init(&a->transaction_states[0]);
    a->transaction_states[0].transactional_id = q->transactional_ids[0];
}

TEST(admin_routes, transactions_are_asked_of_their_coordinators_one_by_one)
{
    struct str ids[] = {STR("one"), STR("two")};
    struct describe_transactions_request m;
    struct bench b;

    bench_open(&b, 2, 60000);
    script_coordinator(b.script, 2, KERR_NONE);
    script_on(b.script, 0, API_DESCRIBE_TRANSACTIONS, answer_transactions, NULL);
    describe_transactions_request_init(&m);
    m.transactional_ids = ids;
    m.transactional_ids_count = 2;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_TRANSACTIONS, &m), 0);
    CHECK_EQ(b.call.part_count, 2);
    CHECK_TEXT(admin_describe_transactions_answer(&b.call, 0)->transaction_states[0].transactional_id, "one");
    CHECK_TEXT(admin_describe_transactions_answer(&b.call, 1)->transaction_states[0].transactional_id, "two");
    CHECK_EQ(script_count(b.script, 2, API_DESCRIBE_TRANSACTIONS), 2);
    bench_end(&b);
}

/* Every marker says its producer, whoever has to write it. */
static void answer_markers(struct script_request *r, void *ctx)
{
    const struct write_txn_markers_request *q = r->message;
    struct write_txn_markers_response *a = r->response;
    int32_t *written = ctx;

    CHECK_EQ(q->markers_count, 1);
    CHECK_EQ(q->markers[0].producer_id, 77);
    CHECK_EQ(q->markers[0].topics_count, 1);
    const int32_t *indexes = q->markers[0].topics[0].partition_indexes;
    int32_t count = q->markers[0].topics[0].partition_indexes_count;
    a->markers = arena_take_array(&r->arena, 1, sizeof *a->markers);
    a->markers_count = 1;
    write_txn_markers_response_markers_init(&a->markers[0]);
    a->markers[0].topics = arena_take_array(&r->arena, 1, sizeof *a->markers[0].topics);
    a->markers[0].topics_count = 1;
    write_txn_markers_response_markers_topics_init(&a->markers[0].topics[0]);
    a->markers[0].topics[0].partitions =
        arena_take_array(&r->arena, (size_t)count, sizeof *a->markers[0].topics[0].partitions);
    a->markers[0].topics[0].partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        write_txn_markers_response_markers_topics_partitions_init(&a->markers[0].topics[0].partitions[i]);
        a->markers[0].topics[0].partitions[i].partition_index = indexes[i];
        CHECK_EQ(indexes[i] % 3, r->broker - 1); /* its leader */
        written[indexes[i]]++;
    }
}

TEST(admin_routes, transaction_markers_go_to_the_leaders)
{
    int32_t indexes[] = {0, 1, 3, 9}, written[4] = {0};
    struct write_txn_markers_request_markers_topics topic;
    struct write_txn_markers_request_markers marker;
    struct write_txn_markers_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_topic(b.script, "t", 4);
    script_on(b.script, 0, API_WRITE_TXN_MARKERS, answer_markers, written);
    write_txn_markers_request_init(&m);
    write_txn_markers_request_markers_init(&marker);
    write_txn_markers_request_markers_topics_init(&topic);
    topic.name = STR("t");
    topic.partition_indexes = indexes;
    topic.partition_indexes_count = array_count(indexes);
    marker.producer_id = 77;
    marker.topics = &topic;
    marker.topics_count = 1;
    m.markers = &marker;
    m.markers_count = 1;
    CHECK_EQ(bench_ask(&b, API_WRITE_TXN_MARKERS, &m), 0);
    CHECK_EQ(b.call.part_count, 3); /* 9: nobody's; 0 and 3: broker 1's; 1: broker 2's */
    const struct write_txn_markers_response *a = admin_write_txn_markers_answer(&b.call, 0);
    CHECK_EQ(a->markers[0].topics[0].partitions[0].partition_index, 9);
    CHECK_EQ(a->markers[0].topics[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(written[0] + written[1] + written[3], 3);
    CHECK_EQ(written[2], 0);
    bench_end(&b);
}

/* ---- settings of brokers ------------------------------------------------------------------------------ */

static void answer_configs(struct script_request *r, void *ctx)
{
    const struct describe_configs_request *q = r->message;
    struct describe_configs_response *a = r->response;

    a->results = arena_take_array(&r->arena, (size_t)q->resources_count, sizeof *a->results);
    a->results_count = q->resources_count;
    for (int32_t i = 0; i < q->resources_count; i++) {
        describe_configs_response_results_init(&a->results[i]);
        a->results[i].resource_type = q->resources[i].resource_type;
        a->results[i].resource_name = q->resources[i].resource_name;
    }
}

TEST(admin_routes, a_brokers_settings_are_asked_of_that_broker)
{
    struct describe_configs_request_resources resources[5];
    struct describe_configs_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_on(b.script, 0, API_DESCRIBE_CONFIGS, answer_configs, NULL);
    describe_configs_request_init(&m);
    for (int i = 0; i < 5; i++)
        describe_configs_request_resources_init(&resources[i]);
    resources[0].resource_type = 4;
    resources[0].resource_name = STR("3");
    resources[1].resource_type = 2;
    resources[1].resource_name = STR("3"); /* a topic's name */
    resources[2].resource_type = 4;
    resources[2].resource_name = STR(""); /* the default of all brokers */
    resources[3].resource_type = 8;
    resources[3].resource_name = STR("2");
    resources[4].resource_type = 4;
    resources[4].resource_name = STR("2");
    m.resources = resources;
    m.resources_count = 5;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_CONFIGS, &m), 0);
    CHECK_EQ(b.call.part_count, 3);
    CHECK_EQ(admin_describe_configs_answer(&b.call, 0)->results_count, 2);
    CHECK_EQ(admin_describe_configs_answer(&b.call, 1)->results_count, 2);
    CHECK_EQ(b.call.parts[1]->node_id, 2);
    CHECK_EQ(admin_describe_configs_answer(&b.call, 1)->results[0].resource_type, 8);
    CHECK_EQ(admin_describe_configs_answer(&b.call, 2)->results_count, 1);
    CHECK_EQ(b.call.parts[2]->node_id, 3);
    bench_end(&b);
}
