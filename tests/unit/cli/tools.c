/* Tools before scripted brokers: what is asked of whom, what is printed, how they end. */
#include "script.h"

#include "cli/cli.h"
#include "protocol/alter_client_quotas.h"
#include "protocol/alter_user_scram_credentials.h"
#include "protocol/create_topics.h"
#include "protocol/describe_client_quotas.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_topic_partitions.h"
#include "protocol/describe_user_scram_credentials.h"
#include "protocol/list_groups.h"

#include <stdio.h>

struct run {
    struct script *script;
    struct cli cli;
    int64_t status;
};

static void run_begin(struct run *r, uint32_t brokers)
{
    *r = (struct run){.script = script_new(1, brokers)};
    r->cli.io = script_io(r->script);
}

/* Run one command line; its outputs are in r->cli until the next. */
static void run(struct run *r, const char *line)
{
    static char copy[400];
    static char *argv[40];
    struct script_wait w;

    snprintf(copy, sizeof(copy), "%s", line);
    r->cli.argc = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[r->cli.argc++] = word;
    r->cli.argv = argv;
    text_clear(&r->cli.out);
    text_clear(&r->cli.err);
    cluster_tool_run(&r->cli, script_wait_begin(&w));
    r->status = script_wait_end(r->script, &w);
    CHECK_EQ(sim_node_in_flight(script_machine(r->script)), 0);
}

static void run_end(struct run *r)
{
    text_deinit(&r->cli.out);
    text_deinit(&r->cli.err);
    script_free(r->script);
}

TEST(cli_tools, list_needs_one_connection_and_one_question)
{
    struct run r;

    run_begin(&r, 3);
    script_topic(r.script, "orders", 2);
    script_topic(r.script, "bills", 1);
    script_topic(r.script, "__consumer_offsets", 1);
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --list --exclude-internal");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "bills\norders\n");
    CHECK_TEXT(script_log(r.script), "1 ApiVersions v5\n1 Metadata v13\n");
    CHECK_EQ(script_connections(r.script, 1), 1);
    run(&r, "topic list -b b1:9092 o.* --json");
    CHECK_TEXT(text_str(&r.cli.out), "[\n  {\"topic\": \"orders\"}\n]\n");
    run_end(&r);
}

static void answer_nothing(struct script_request *r, void *ctx) {}

/* Pages of one partition; partition 1 of "orders" has lost a replica, and 2 its leader. */
static void answer_page(struct script_request *r, void *ctx)
{
    static int32_t two[] = {1, 2}, one[] = {1};
    const struct describe_topic_partitions_request *q = r->message;
    struct describe_topic_partitions_response *a = r->response;
    int32_t index = q->cursor == NULL ? 0 : q->cursor->partition_index;

    a->topics = arena_take_array(&r->arena, 1, sizeof(*a->topics));
    a->topics_count = 1;
    describe_topic_partitions_response_topics_init(&a->topics[0]);
    a->topics[0].name = STR("orders");
    struct describe_topic_partitions_response_topics_partitions *p = arena_take_array(&r->arena, 1, sizeof(*p));
    a->topics[0].partitions = p;
    a->topics[0].partitions_count = 1;
    describe_topic_partitions_response_topics_partitions_init(p);
    p->partition_index = index;
    p->leader_id = index == 2 ? -1 : 1;
    p->replica_nodes = two;
    p->replica_nodes_count = 2;
    p->isr_nodes = index == 0 ? two : one;
    p->isr_nodes_count = index == 0 ? 2 : index == 1 ? 1 : 0;
    p->eligible_leader_replicas_count = 0;
    if (index < 2) {
        a->next_cursor = arena_take(&r->arena, sizeof(*a->next_cursor));
        describe_topic_partitions_response_next_cursor_init(a->next_cursor);
        a->next_cursor->topic_name = STR("orders");
        a->next_cursor->partition_index = index + 1;
    }
}

#define LINE(p, leader, isr) \
    "\tTopic: orders\tPartition: " p "\tLeader: " leader "\tReplicas: 1,2\tIsr: " isr "\tElr: \tLastKnownElr: N/A\n"

TEST(cli_tools, describe_follows_pages_and_filters)
{
    struct run r;

    run_begin(&r, 2);
    script_topic(r.script, "orders", 3);
    script_on(r.script, 0, API_DESCRIBE_CONFIGS, answer_nothing, NULL);
    script_on(r.script, 0, API_DESCRIBE_TOPIC_PARTITIONS, answer_page, NULL);
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --topic orders");
    CHECK_EQ(r.status, 0);
    const char *lines = strchr(r.cli.out.p, '\n');
    CHECK(strstr(r.cli.out.p, "PartitionCount: 3\t") != NULL);
    CHECK_TEXT(lines + 1, LINE("0", "1", "1,2") LINE("1", "1", "1") LINE("2", "none", ""));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --under-replicated-partitions");
    CHECK_TEXT(text_str(&r.cli.out), LINE("1", "1", "1") LINE("2", "none", ""));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --unavailable-partitions");
    CHECK_TEXT(text_str(&r.cli.out), LINE("2", "none", ""));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --at-min-isr-partitions");
    CHECK_TEXT(text_str(&r.cli.out), LINE("1", "1", "1"));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --under-min-isr-partitions");
    CHECK_TEXT(text_str(&r.cli.out), LINE("2", "none", ""));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --topics-with-overrides");
    CHECK_TEXT(text_str(&r.cli.out), "");
    run_end(&r);
}

TEST(cli_tools, older_broker_is_described_by_its_metadata)
{
    struct run r;

    run_begin(&r, 1);
    script_topic(r.script, "orders", 1);
    script_on(r.script, 0, API_DESCRIBE_CONFIGS, answer_nothing, NULL);
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --describe --topic orders");
    CHECK_EQ(r.status, 0);
    CHECK(strstr(r.cli.out.p, "\tTopic: orders\tPartition: 0\tLeader: 1\t") != NULL);
    CHECK(strstr(r.cli.out.p, "\tElr: N/A\tLastKnownElr: N/A\n") != NULL);
    run_end(&r);
}

static void answer_groups(struct script_request *r, void *ctx)
{
    static const char *const names[] = {"", "a", "b", "c"};
    struct list_groups_response *a = r->response;

    a->groups = arena_take_array(&r->arena, 1, sizeof(*a->groups));
    a->groups_count = 1;
    list_groups_response_groups_init(&a->groups[0]);
    a->groups[0].group_id = str_of(names[r->broker]);
    a->groups[0].protocol_type = r->broker == 2 ? STR("connect") : STR("consumer");
    a->groups[0].group_state = STR("Stable");
    a->groups[0].group_type = STR("classic");
}

TEST(cli_tools, groups_of_all_brokers_are_listed_if_consumers_use_them)
{
    struct run r;

    run_begin(&r, 3);
    script_on(r.script, 0, API_LIST_GROUPS, answer_groups, NULL);
    run(&r, "kafka-consumer-groups.sh --bootstrap-server b2:9092 --list");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "a\nc\n");
    run(&r, "kafka-consumer-groups.sh --bootstrap-server b2:9092 --list --state Empty");
    CHECK_TEXT(text_str(&r.cli.out), "GROUP                     STATE               \n");
    run(&r, "kafka-groups.sh --bootstrap-server b2:9092 --list --protocol connect");
    CHECK_TEXT(text_str(&r.cli.out), "GROUP                TYPE                 PROTOCOL            \n"
                                     "b                    Classic              connect             \n");
    run_end(&r);
}

TEST(cli_tools, mistakes_of_words_reach_no_broker)
{
    struct run r;

    run_begin(&r, 1);
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --create --topik x");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.err), "kafka-topics.sh: topik is not a recognized option; is it --topic?\n"
                                     "`kafka-topics.sh --help` says more.\n");
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --list --partitions 3");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.err), "kafka-topics.sh: Option \"[partitions]\" can't be used with option \"[list]\"\n"
                                     "`kafka-topics.sh --help` says more.\n");
    run(&r, "kafka-topics.sh --list");
    CHECK_EQ(r.status, 1);
    run(&r, "topic lsit -b b1:9092");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.err),
               "millrace topic: there is no \"lsit\" here, but list, describe, create, alter, delete\n"
               "`millrace topic --help` says more.\n");
    CHECK_EQ(script_connections(r.script, 1), 0);
    run_end(&r);
}

TEST(cli_tools, broker_that_is_not_there_is_said_in_one_line_in_time)
{
    struct run r;

    run_begin(&r, 1);
    script_stop(r.script, 1);
    int64_t begin = sim_now_ns(script_sim(r.script));
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --list");
    CHECK_EQ(r.status, 1);
    CHECK(sim_now_ns(script_sim(r.script)) - begin < 11000000000);
    CHECK(strstr(r.cli.out.p, "Error while executing topic command : cannot connect to b1:9092") == r.cli.out.p);
    CHECK(strchr(r.cli.out.p, '\n') == r.cli.out.p + r.cli.out.n - 1);
    run(&r, "topic list -b b1:9092"); /* ours keeps it out of the output */
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.out), "");
    CHECK(strstr(r.cli.err.p, "millrace topic: cannot connect to b1:9092") == r.cli.err.p);
    run_end(&r);
}

static void answer_exists(struct script_request *r, void *ctx)
{
    const struct create_topics_request *q = r->message;
    struct create_topics_response *a = r->response;

    CHECK_EQ(q->topics_count, 1);
    CHECK_EQ(q->topics[0].num_partitions, -1);
    CHECK_EQ(q->topics[0].replication_factor, -1);
    CHECK_EQ(q->topics[0].configs_count, 1);
    CHECK_TEXT(q->topics[0].configs[0].name, "retention.ms");
    CHECK_TEXT(q->topics[0].configs[0].value, "5");
    a->topics = arena_take_array(&r->arena, 1, sizeof(*a->topics));
    a->topics_count = 1;
    create_topics_response_topics_init(&a->topics[0]);
    a->topics[0].name = q->topics[0].name;
    a->topics[0].error_code = KERR_TOPIC_ALREADY_EXISTS;
    a->topics[0].error_message = STR("Topic 'x' already exists.");
}

TEST(cli_tools, topic_that_exists_is_a_mistake_or_not)
{
    struct run r;

    run_begin(&r, 1);
    script_on(r.script, 0, API_CREATE_TOPICS, answer_exists, NULL);
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --create --topic x --config retention.ms=5");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.out), "Error while executing topic command : Topic 'x' already exists.\n");
    run(&r, "kafka-topics.sh --bootstrap-server b1:9092 --create --topic x --config retention.ms=5 --if-not-exists");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "");
    run_end(&r);
}

/* ---- quotas, and users' credentials ------------------------------------------------------------------ */

/* Alice has one of her own, and with any client; the answer is the same whoever is asked for. */
static void answer_quotas(struct script_request *r, void *ctx)
{
    const struct describe_client_quotas_request *q = r->message;
    struct describe_client_quotas_response *a = r->response;

    CHECK(q->strict);
    a->entries = arena_take_array(&r->arena, 2, sizeof *a->entries);
    a->entries_count = 2;
    for (int32_t i = 0; i < 2; i++) {
        struct describe_client_quotas_response_entries *e = &a->entries[i];
        describe_client_quotas_response_entries_init(e);
        e->entity = arena_take_array(&r->arena, 2, sizeof *e->entity);
        e->entity_count = 1 + i;
        describe_client_quotas_response_entries_entity_init(&e->entity[0]);
        describe_client_quotas_response_entries_entity_init(&e->entity[1]);
        e->entity[i].entity_type = STR("user");
        e->entity[i].entity_name = STR("alice");
        if (i == 1) {
            e->entity[0].entity_type = STR("client-id");
            e->entity[0].entity_name = STR_NULL;
        }
        e->values = arena_take_array(&r->arena, 1, sizeof *e->values);
        e->values_count = 1;
        describe_client_quotas_response_entries_values_init(e->values);
        e->values->key = STR("producer_byte_rate");
        e->values->value = 1e7;
    }
}

static void answer_one_quota(struct script_request *r, void *ctx)
{
    answer_quotas(r, ctx);
    ((struct describe_client_quotas_response *)r->response)->entries_count = 1;
}

static void answer_users(struct script_request *r, void *ctx)
{
    const struct describe_user_scram_credentials_request *q = r->message;
    struct describe_user_scram_credentials_response *a = r->response;

    CHECK_EQ(q->users_count, 1);
    a->results = arena_take_array(&r->arena, 1, sizeof *a->results);
    a->results_count = 1;
    describe_user_scram_credentials_response_results_init(a->results);
    a->results->user = q->users[0].name;
    a->results->credential_infos = arena_take_array(&r->arena, 1, sizeof *a->results->credential_infos);
    a->results->credential_infos_count = 1;
    describe_user_scram_credentials_response_results_credential_infos_init(a->results->credential_infos);
    a->results->credential_infos->mechanism = 2;
    a->results->credential_infos->iterations = 8192;
}

TEST(cli_tools, quotas_and_credentials_are_told_as_kafka_tells_them)
{
    struct run r;

    run_begin(&r, 1);
    script_on(r.script, 0, API_DESCRIBE_CLIENT_QUOTAS, answer_quotas, NULL);
    script_on(r.script, 0, API_DESCRIBE_USER_SCRAM_CREDENTIALS, answer_users, NULL);
    run(&r, "kafka-configs.sh --bootstrap-server b1:9092 --describe --entity-type users --entity-name alice");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out),
               "Quota configs for user-principal 'alice' are producer_byte_rate=1.0E7\n"
               "Quota configs for user-principal 'alice', the default client-id are producer_byte_rate=1.0E7\n"
               "SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-512=iterations=8192\n");
    run(&r, "kafka-configs.sh --bootstrap-server b1:9092 --describe --user alice --client-defaults"); /* no credentials */
    CHECK_EQ(r.status, 0);
    CHECK_EQ(script_count(r.script, 0, API_DESCRIBE_USER_SCRAM_CREDENTIALS), 1);
    run_end(&r);
}

static void take_quotas(struct script_request *r, void *ctx)
{
    const struct alter_client_quotas_request *q = r->message;

    CHECK_EQ(q->entries_count, 1);
    CHECK_TEXT(q->entries[0].entity[0].entity_name, "alice");
    CHECK_EQ(q->entries[0].ops_count, 2);
    CHECK_TEXT(q->entries[0].ops[0].key, "request_percentage");
    CHECK(q->entries[0].ops[0].value == 12.5);
    CHECK(q->entries[0].ops[1].remove);
}

static void take_user(struct script_request *r, void *ctx)
{
    const struct alter_user_scram_credentials_request *q = r->message;

    CHECK_EQ(q->upsertions_count, 1);
    CHECK_TEXT(q->upsertions[0].name, "bob");
    CHECK_EQ(q->upsertions[0].mechanism, 1);
    CHECK_EQ(q->upsertions[0].iterations, 4096);
    CHECK_EQ(q->upsertions[0].salt.n, 20);
    CHECK_EQ(q->upsertions[0].salted_password.n, 32);
}

TEST(cli_tools, quotas_and_credentials_are_changed)
{
    static const char *const refused[] = {
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --user alice --add-config beauty=1",
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --user alice --add-config producer_byte_rate=much",
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --client c --add-config SCRAM-SHA-256=[password=x]",
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --user alice --delete-config consumer_byte_rate",
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --user b --add-config SCRAM-SHA-256=[iterations=1,password=x]",
        "kafka-configs.sh --bootstrap-server b1:9092 --alter --ip 10.0.0.1 --add-config producer_byte_rate=1",
    };
    struct run r;

    run_begin(&r, 1);
    script_on(r.script, 0, API_DESCRIBE_CLIENT_QUOTAS, answer_one_quota, NULL);
    script_on(r.script, 0, API_ALTER_CLIENT_QUOTAS, take_quotas, NULL);
    script_on(r.script, 0, API_ALTER_USER_SCRAM_CREDENTIALS, take_user, NULL);
    run(&r, "kafka-configs.sh --bootstrap-server b1:9092 --alter --user alice --add-config request_percentage=12.5 "
            "--delete-config producer_byte_rate");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "Completed updating config for user alice.\n");
    run(&r, "kafka-configs.sh --bootstrap-server b1:9092 --alter --user bob --add-config SCRAM-SHA-256=[password=secret]");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "Completed updating config for user bob.\n");
    for (size_t i = 0; i < array_count(refused); i++) {
        run(&r, refused[i]);
        CHECK_EQ(r.status, 1);
    }
    CHECK_EQ(script_count(r.script, 0, API_ALTER_CLIENT_QUOTAS), 1);
    CHECK_EQ(script_count(r.script, 0, API_ALTER_USER_SCRAM_CREDENTIALS), 1);
    run_end(&r);
}
