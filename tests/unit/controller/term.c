/* Terms of a controller: what it writes first, when answers leave, how it ends. */
#define _GNU_SOURCE /* memmem */
#include "world.h"

#include "protocol/allocate_producer_ids.h"
#include "protocol/begin_transaction_record.h"
#include "protocol/unregister_broker.h"

/* What Kafka 4.3.1 wrote into its empty log from the same bootstrap file. */
TEST(controller_term, empty_log_begins_as_kafkas)
{
    struct world w;

    world_begin(&w, false);
    world_claim(&w, 1);
    CHECK_TEXT(
        world_records(&w),
        "BeginTransactionRecord v0 {\"name\":\"Bootstrap records\"}\n"
        "FeatureLevelRecord v0 {\"name\":\"metadata.version\",\"featureLevel\":30}\n"
        "FeatureLevelRecord v0 {\"name\":\"eligible.leader.replicas.version\",\"featureLevel\":1}\n"
        "FeatureLevelRecord v0 {\"name\":\"group.version\",\"featureLevel\":1}\n"
        "FeatureLevelRecord v0 {\"name\":\"share.version\",\"featureLevel\":1}\n"
        "FeatureLevelRecord v0 {\"name\":\"streams.version\",\"featureLevel\":1}\n"
        "FeatureLevelRecord v0 {\"name\":\"transaction.version\",\"featureLevel\":2}\n"
        "UserScramCredentialRecord v0 "
        "{\"name\":\"alice\",\"mechanism\":1,\"salt\":\"YWxpY2Utc2FsdA==\","
        "\"storedKey\":\"GrFF9Jti9e/JZamK1IZk/ro/Syxpo6sNyCIgtDplBh0=\","
        "\"serverKey\":\"pdsQg/+SgnU5j7bR6kd01BrJQuQ+US5wmyxXRkcFl2M=\",\"iterations\":4096}\n"
        "ConfigRecord v0 "
        "{\"resourceType\":4,\"resourceName\":\"\",\"name\":\"min.insync.replicas\",\"value\":"
        "\"1\"}\n"
        "EndTransactionRecord v0 {}\n");
    CHECK_EQ(w.appends, 1);
    CHECK_EQ(image_metadata_version(controller_latest(w.c)), 30);
    world_end(&w);
}

TEST(controller_term, log_that_is_not_empty_gets_nothing)
{
    struct world w;

    world_begin(&w, true);
    w.appends = 0;
    world_claim(&w, 2);
    CHECK_EQ(w.appends, 0);
    CHECK(controller_is_active(w.c));
    world_end(&w);
}

TEST(controller_term, transaction_left_open_is_aborted)
{
    struct world w;
    struct begin_transaction_record r;

    world_begin(&w, true);
    begin_transaction_record_init(&r);
    r.name = STR("x");
    world_add(&w, &begin_transaction_record_message, &r);
    world_claim(&w, 2);
    CHECK_TEXT(world_records(&w),
               "AbortTransactionRecord v0 {\"reason\":\"Controller failover\"}\n");
    CHECK(!image_in_transaction(controller_latest(w.c)));
    world_end(&w);
}

/* K3: a cluster of release 3.6 gets the records of 3.6: no directories, no ELR. The last in-sync
 * replica stays in the ISR. */
TEST(controller_term, records_are_those_of_the_metadata_version)
{
    struct world w;
    const struct image_partition *p;
    struct str records;
    enum kerr error;
    int64_t epoch;

    world_begin_at(&w, 14);
    CHECK_EQ(w.appends, 0); /* the log was not empty */
    epoch = world_register(&w, 1, 15, -1, true);
    records = world_records(&w);
    CHECK(str_starts(records, STR("RegisterBrokerRecord v2 ")));
    CHECK(memmem(records.p, (size_t)records.n, "logDirs", 7) == NULL);
    CHECK_EQ(image_broker_find(controller_latest(w.c), 1)->directory_count, 0);
    CHECK_EQ(world_beat(&w, 1, epoch, false, false), KERR_NONE);
    (void)world_records(&w);
    (void)world_create(&w, "orders", 1, 1, &error);
    CHECK_EQ(error, KERR_NONE);
    records = world_records(&w);
    CHECK(memmem(records.p, (size_t)records.n, "PartitionRecord v0 ", 19) != NULL);
    CHECK(memmem(records.p, (size_t)records.n, "directories", 11) == NULL);
    CHECK_EQ(world_beat(&w, 1, epoch, false, true), KERR_NONE);
    records = world_records(&w);
    CHECK(memmem(records.p, (size_t)records.n, "PartitionChangeRecord v0 ", 25) != NULL);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->leader, -1);
    CHECK_EQ(p->isr_count, 1);
    CHECK_EQ(p->elr_count, 0);
    world_end(&w);
}

struct waiting {
    struct controller_call call;
    struct text *order;
    const char *name;
};

static void waiting_ready(struct controller_call *call, enum kerr error)
{
    struct waiting *a = container_of(call, struct waiting, call);

    text_printf(a->order, "%s:%s ", a->name, kerr_name((int16_t)error));
}

static void wait_for(struct world *w, struct waiting *a, const char *name, struct text *order,
                     const void *request, void *response)
{
    *a = (struct waiting){.order = order, .name = name};
    a->call = (struct controller_call){
        .api_key = API_ALLOCATE_PRODUCER_IDS,
        .request = request,
        .response = response,
        .arena = &w->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
        .now_ms = w->now_ms,
        .ready = waiting_ready,
    };
    controller_handle(w->c, &a->call);
}

TEST(controller_term, answers_wait_for_the_commit_of_what_they_saw)
{
    struct world w;
    struct waiting first, second, refused;
    struct text order = {0};
    struct allocate_producer_ids_request m, wrong;
    struct allocate_producer_ids_response a, b, c;

    world_begin(&w, true);
    allocate_producer_ids_request_init(&m);
    allocate_producer_ids_response_init(&a);
    allocate_producer_ids_response_init(&b);
    allocate_producer_ids_response_init(&c);
    m.broker_id = 1;
    m.broker_epoch = world_broker(&w, 1);
    wrong = m;
    wrong.broker_epoch = 3;
    wait_for(&w, &first, "first", &order, &m, &a);
    wait_for(&w, &second, "second", &order, &m, &b);
    wait_for(&w, &refused, "refused", &order, &wrong, &c); /* writes nothing, waits all the same */
    CHECK_EQ(order.n, 0);
    controller_committed(w.c, w.end - 1);
    CHECK_TEXT(text_str(&order), "first:NONE ");
    controller_committed(w.c, w.end);
    CHECK_TEXT(text_str(&order), "first:NONE second:NONE refused:NONE ");
    CHECK_EQ(a.producer_id_start, 0);
    CHECK_EQ(a.producer_id_len, 1000);
    CHECK_EQ(b.producer_id_start, 1000);
    CHECK_EQ(c.error_code, KERR_STALE_BROKER_EPOCH);
    text_clear(&order);
    wait_for(&w, &first, "idle", &order, &wrong, &c);
    CHECK_EQ(order.n, 0);
    (void)controller_tick(w.c, w.now_ms);
    CHECK_TEXT(text_str(&order), "idle:NONE ");
    text_deinit(&order);
    world_end(&w);
}

TEST(controller_term, end_of_a_term_answers_what_waits)
{
    struct world w;
    struct waiting first, second;
    struct text order = {0};
    struct allocate_producer_ids_request m;
    struct allocate_producer_ids_response a, b;

    world_begin(&w, true);
    allocate_producer_ids_request_init(&m);
    allocate_producer_ids_response_init(&a);
    allocate_producer_ids_response_init(&b);
    m.broker_id = 1;
    m.broker_epoch = world_broker(&w, 1);
    wait_for(&w, &first, "first", &order, &m, &a);
    w.append_error = ERR_FENCED;
    wait_for(&w, &second, "second", &order, &m, &b);
    CHECK_TEXT(text_str(&order), "first:NOT_CONTROLLER ");
    CHECK(!controller_is_active(w.c));
    CHECK(controller_latest(w.c) == NULL);
    CHECK_EQ(controller_tick(w.c, w.now_ms), INT64_MAX);
    CHECK_TEXT(text_str(&order), "first:NOT_CONTROLLER second:NOT_CONTROLLER ");
    text_clear(&order);
    wait_for(&w, &second, "later", &order, &m, &b);
    CHECK_EQ(order.n, 0);
    (void)controller_tick(w.c, w.now_ms);
    CHECK_TEXT(text_str(&order), "later:NOT_CONTROLLER ");
    text_deinit(&order);
    world_end(&w);
}

/* A log that fails otherwise changes nothing: the controller stays what it was. */
TEST(controller_term, failed_append_leaves_the_image_alone)
{
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    w.append_error = ERR_LIMIT;
    (void)world_create(&w, "orders", 1, 1, &error);
    CHECK_EQ(error, KERR_UNKNOWN_SERVER_ERROR);
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 0);
    w.append_error = 0;
    (void)world_create(&w, "orders", 1, 1, &error);
    CHECK_EQ(error, KERR_NONE);
    world_end(&w);
}

TEST(controller_term, idle_log_gets_a_no_op)
{
    struct world w;
    int64_t due;

    world_begin(&w, true);
    due = controller_tick(w.c, w.now_ms);
    CHECK_EQ(due, w.now_ms + 500);
    CHECK_TEXT(world_records(&w), "");
    w.now_ms = due;
    CHECK_EQ(controller_tick(w.c, w.now_ms), w.now_ms + 500);
    CHECK_TEXT(world_records(&w), "NoOpRecord v0 {}\n");
    world_end(&w);
}

TEST(controller_term, api_that_it_does_not_know_is_refused)
{
    struct world w;
    struct unregister_broker_request m = {0};
    struct unregister_broker_response a = {0};

    world_begin(&w, true);
    CHECK(!controller_handles(API_PRODUCE));
    CHECK(controller_handles(API_CREATE_TOPICS));
    CHECK_EQ(world_ask(&w, API_PRODUCE, 0, &m, &a), KERR_UNSUPPORTED_VERSION);
    world_end(&w);
}
