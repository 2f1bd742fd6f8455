/* `millrace why` before scripted brokers: what is asked of whom, what is printed, who could not be asked. */
#include "script.h"

#include "cli/cli.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_quorum.h"
#include "protocol/describe_topic_partitions.h"

#include <stdio.h>

/* orders-0 has replicas 1, 2, 3 and is led by 2; broker 1 is fenced; node 3 is the controller, too. */
struct run {
    struct script *script;
    struct cli cli;
    int64_t status;
    bool offline;         /* nobody leads it */
    bool apart;           /* node 3 is a controller alone, and no replica */
    bool no_quorum;       /* DescribeQuorum fails */
    bool is_kafka;        /* broker 3 knows no causes */
    struct text asked;    /* "2:millrace.why.orders-0 " for each node that was asked for causes */
};

static void run_begin(struct run *r)
{
    *r = (struct run){.script = script_new(1, 3)};
    r->cli.io = script_io(r->script);
}

static void run(struct run *r, const char *line)
{
    static char copy[400];
    static char *argv[20];
    struct script_wait w;

    snprintf(copy, sizeof(copy), "%s", line);
    r->cli.argc = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[r->cli.argc++] = word;
    r->cli.argv = argv;
    text_clear(&r->cli.out);
    text_clear(&r->cli.err);
    text_clear(&r->asked);
    cluster_tool_run(&r->cli, script_wait_begin(&w));
    r->status = script_wait_end(r->script, &w);
    CHECK_EQ(sim_node_in_flight(script_machine(r->script)), 0);
}

static void run_end(struct run *r)
{
    text_deinit(&r->cli.out);
    text_deinit(&r->cli.err);
    text_deinit(&r->asked);
    script_free(r->script);
}

/* ---- the cluster ------------------------------------------------------------------------------ */

static void answer_partitions(struct script_request *r, void *ctx)
{
    static int32_t replicas[] = {1, 2, 3}, isr[] = {2, 3};
    const struct describe_topic_partitions_request *m = r->message;
    struct describe_topic_partitions_response *a = r->response;
    struct describe_topic_partitions_response_topics *t = arena_take(&r->arena, sizeof(*t));
    struct describe_topic_partitions_response_topics_partitions *p = arena_take(&r->arena, sizeof(*p));
    const struct run *run = ctx;

    describe_topic_partitions_response_topics_init(t);
    describe_topic_partitions_response_topics_partitions_init(p);
    a->topics = t;
    a->topics_count = 1;
    t->name = m->topics[0].name;
    if (!str_equal(t->name, STR("orders"))) {
        t->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    CHECK_EQ(m->topics_count, 1);
    CHECK(m->cursor != NULL);
    if (m->cursor->partition_index > 0)
        return;
    t->partitions = p;
    t->partitions_count = 1;
    p->leader_id = run->offline ? -1 : 2;
    p->leader_epoch = 5;
    p->replica_nodes = replicas;
    p->replica_nodes_count = run->apart ? 2 : 3;
    p->isr_nodes = isr;
    p->isr_nodes_count = run->offline ? 0 : 1;
    p->last_known_elr = isr;
    p->last_known_elr_count = run->offline ? 1 : 0;
}

static void answer_cluster(struct script_request *r, void *ctx)
{
    struct describe_cluster_response *a = r->response;

    const struct describe_cluster_request *m = r->message;
    bool controllers = m->endpoint_type == 2;

    CHECK(m->include_fenced_brokers || controllers);
    a->cluster_id = STR("c");
    a->endpoint_type = m->endpoint_type;
    a->brokers_count = 3 - ((struct run *)ctx)->apart;
    a->brokers = arena_take_array(&r->arena, 3, sizeof(*a->brokers));
    if (controllers) {
        CHECK_EQ(r->broker, 3);
        describe_cluster_response_brokers_init(a->brokers);
        *a->brokers = (struct describe_cluster_response_brokers){.broker_id = 3, .host = STR("b3"), .port = SCRIPT_PORT};
        a->brokers_count = 1;
        return;
    }
    for (int32_t i = 0; i < a->brokers_count; i++) {
        describe_cluster_response_brokers_init(&a->brokers[i]);
        a->brokers[i].broker_id = i + 1;
        a->brokers[i].host = arena_printf(&r->arena, "b%d", i + 1);
        a->brokers[i].port = SCRIPT_PORT;
        a->brokers[i].is_fenced = i == 0;
    }
}

static void answer_quorum(struct script_request *r, void *ctx)
{
    struct describe_quorum_response *a = r->response;
    struct describe_quorum_response_nodes *n = arena_take(&r->arena, sizeof(*n));

    if (((struct run *)ctx)->no_quorum) {
        a->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
        return;
    }
    describe_quorum_response_nodes_init(n);
    a->nodes = n;
    a->nodes_count = 1;
    n->node_id = 3;
    n->listeners = arena_take(&r->arena, sizeof(*n->listeners));
    n->listeners_count = 1;
    describe_quorum_response_nodes_listeners_init(n->listeners);
    n->listeners->name = STR("CONTROLLER");
    n->listeners->host = STR("b3");
    n->listeners->port = SCRIPT_PORT;
}

static void answer_causes(struct script_request *r, void *ctx)
{
    struct run *run = ctx;
    const struct describe_configs_request *m = r->message;
    struct describe_configs_response *a = r->response;
    struct describe_configs_response_results *result = arena_take(&r->arena, sizeof(*result));

    CHECK_EQ(m->resources_count, 1);
    CHECK_EQ(m->resources[0].resource_type, 4);
    CHECK_EQ(m->resources[0].configuration_keys_count, 1);
    CHECK_TEXT(m->resources[0].resource_name, r->broker == 2 ? "2" : "3");
    text_printf(&run->asked, "%d:%.*s ", r->broker, STR_ARG(m->resources[0].configuration_keys[0]));
    describe_configs_response_results_init(result);
    a->results = result;
    a->results_count = 1;
    if (r->broker == 3 && run->is_kafka)
        return;
    result->configs = arena_take(&r->arena, sizeof(*result->configs));
    result->configs_count = 1;
    describe_configs_response_results_configs_init(result->configs);
    result->configs->name = m->resources[0].configuration_keys[0];
    result->configs->value = r->broker == 2 ? STR("61000 broker 1 leaves the ISR [1,2,3]: the controller has \"decided\" so\n"
                                                  "500 broker 3 leaves the ISR [2,3]: it lacks 7 records\n")
                                            : STR("7300000 its replicas are [1,2,3], before [1,2]\n"
                                                  "62000 is led by broker 2 in epoch 5, before by broker 1\n");
}

static void script_all(struct run *r)
{
    script_on(r->script, 0, API_DESCRIBE_TOPIC_PARTITIONS, answer_partitions, r);
    script_on(r->script, 0, API_DESCRIBE_CLUSTER, answer_cluster, r);
    script_on(r->script, 0, API_DESCRIBE_QUORUM, answer_quorum, r);
    script_on(r->script, 0, API_DESCRIBE_CONFIGS, answer_causes, r);
    script_hide(r->script, 1, true);
}

/* ---- tests ------------------------------------------------------------------------------------ */

TEST(cli_why, what_replicas_and_controllers_remember_the_oldest_first)
{
    struct run r;

    run_begin(&r);
    script_all(&r);
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK_TEXT(text_str(&r.cli.err), "");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.asked), "2:millrace.why.orders-0 3:millrace.why.orders-0 ");
    CHECK_TEXT(text_str(&r.cli.out),
               "orders-0 is led by broker 2 in epoch 5. Its replicas are [1,2,3], its ISR is [2].\n"
               "Broker 1 is fenced.\n"
               "Broker 3 is not in sync.\n"
               "\n"
               "WHEN      NODE  WHAT\n"
               "2 h ago   3     its replicas are [1,2,3], before [1,2]\n"
               "62 s ago  3     is led by broker 2 in epoch 5, before by broker 1\n"
               "61 s ago  2     broker 1 leaves the ISR [1,2,3]: the controller has \"decided\" so\n"
               "0 s ago   2     broker 3 leaves the ISR [2,3]: it lacks 7 records\n"
               "\n"
               "Broker 1 (b1:9092) could not be asked: it is fenced: the controller does not hear of it, or holds "
               "it back; its own log says more.\n");
    run_end(&r);
}

TEST(cli_why, a_controller_that_is_no_broker_is_asked_by_its_own_listener)
{
    struct run r;

    run_begin(&r);
    script_all(&r);
    r.apart = true;
    script_hide(r.script, 3, true);
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.asked), "2:millrace.why.orders-0 3:millrace.why.orders-0 ");
    CHECK(strstr(r.cli.out.p, "\n62 s ago  3     is led by broker 2 in epoch 5, before by broker 1\n") != NULL);
    CHECK(strstr(r.cli.out.p, "Broker 3") == NULL);
    script_stop(r.script, 3);
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.asked), "2:millrace.why.orders-0 ");
    CHECK(strstr(r.cli.out.p, "\nController 3 (b3:9092) could not be asked: ") != NULL);
    CHECK(strstr(r.cli.out.p, "?.") == NULL);
    run_end(&r);
}

TEST(cli_why, json_says_the_same)
{
    struct run r;

    run_begin(&r);
    script_all(&r);
    r.offline = r.is_kafka = true;
    run(&r, "why partition orders-0 -b b2:9092 --json");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out),
               "{\"topic\": \"orders\", \"partition\": 0, \"leader\": -1, \"leader_epoch\": 5, \"replicas\": [1,2,3], "
               "\"isr\": [], \"eligible\": [], \"last_eligible\": [2],\n"
               " \"troubled\": [{\"broker\": 1, \"state\": \"fenced\"}, {\"broker\": 2, \"state\": \"not in sync\"}, "
               "{\"broker\": 3, \"state\": \"not in sync\"}],\n"
               " \"causes\": [\n"
               "  {\"ago_ms\": 61000, \"node\": 2, \"words\": \"broker 1 leaves the ISR [1,2,3]: the controller has "
               "\\\"decided\\\" so\"},\n"
               "  {\"ago_ms\": 500, \"node\": 2, \"words\": \"broker 3 leaves the ISR [2,3]: it lacks 7 records\"}],\n"
               " \"not_asked\": [{\"node\": 1, \"reason\": \"it is fenced: the controller does not hear of it, "
               "or holds it back; its own log says more\"}, "
               "{\"node\": 3, \"reason\": \"it keeps no causes, because it is of Kafka, or of an older millrace: "
               "why the ISR changed while it led, and why leaders moved while it was the active controller, its own log "
               "may say\"}]}\n");
    run_end(&r);
}

TEST(cli_why, a_node_that_cannot_be_asked_is_said)
{
    struct run r;

    run_begin(&r);
    script_all(&r);
    r.offline = r.no_quorum = true;
    script_fault(r.script, 3, API_DESCRIBE_CONFIGS, SCRIPT_SILENT, 0);
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK_EQ(r.status, 0);
    CHECK(strstr(r.cli.out.p, "orders-0 is offline: nobody leads since epoch 5 began. Its replicas are [1,2,3], its ISR is "
                              "[], the last to lead was [2].\n") != NULL);
    CHECK(strstr(r.cli.out.p, "\nAll its records are with [2]: start that broker again, and it is led. Another replica may "
                              "lead, and lack records, ") != NULL);
    CHECK(strstr(r.cli.out.p, "\nBroker 3 (b3:9092) could not be asked: ") != NULL);
    CHECK(strstr(r.cli.out.p, "\nThe controllers could not be asked: ") != NULL);
    run_end(&r);
}

TEST(cli_why, mistakes)
{
    static const char *const lines[] = {
        "why",
        "why partition -b b2:9092",
        "why partition orders -b b2:9092",
        "why partition orders- -b b2:9092",
        "why partition -0 -b b2:9092",
        "why partition orders-0 orders-1 -b b2:9092",
        "why topic orders -b b2:9092",
    };
    struct run r;

    run_begin(&r);
    script_all(&r);
    for (size_t i = 0; i < array_count(lines); i++) {
        run(&r, lines[i]);
        CHECK_EQ(r.status, 1);
        CHECK(r.cli.err.n > 0);
    }
    CHECK_EQ(script_count(r.script, 0, API_DESCRIBE_TOPIC_PARTITIONS), 0);
    run(&r, "why partition others-0 -b b2:9092");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.err), "millrace why: UNKNOWN_TOPIC_OR_PARTITION: there is no such topic or partition\n");
    run(&r, "why partition orders-1 -b b2:9092");
    CHECK_EQ(r.status, 1);
    run_end(&r);
}

/* Each says what is lost with it. */
TEST(cli_why, nodes_of_kafka_know_nothing)
{
    struct run r;

    run_begin(&r);
    script_all(&r);
    r.is_kafka = true;
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK_EQ(r.status, 0);
    CHECK(strstr(r.cli.out.p, "\nBroker 3 (b3:9092) knows nothing of it: it keeps no causes, because it is of Kafka, or "
                              "of an older millrace: why the ISR changed while it led, and why leaders moved while it "
                              "was the active controller, its own log may say.\n") != NULL);
    r.apart = true;
    script_hide(r.script, 3, true);
    run(&r, "why partition orders-0 -b b2:9092");
    CHECK(strstr(r.cli.out.p, "\nController 3 (b3:9092) knows nothing of it: it keeps no causes, because it is of Kafka, "
                              "or of an older millrace: why leaders moved while it was the active controller, its "
                              "own log may say.\n") != NULL);
    run_end(&r);
}
