/* What clients see of a cluster of several brokers. */
#include "second.h"

#include "protocol/create_topics.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_topic_partitions.h"
#include "protocol/fetch.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"

/* A topic of one partition, on these brokers. */
static struct uuid topic_on(struct client *c, const char *name, const int32_t *brokers, int32_t count)
{
    struct create_topics_request m;
    struct create_topics_request_topics topic;
    struct create_topics_request_topics_assignments at;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&topic);
    create_topics_request_topics_assignments_init(&at);
    at.broker_ids = (int32_t *)(uintptr_t)brokers;
    at.broker_ids_count = count;
    topic.name = str_of(name);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.assignments = &at;
    topic.assignments_count = 1;
    m.topics = &topic;
    m.topics_count = 1;
    const struct create_topics_response *a = client_ask(c, API_CREATE_TOPICS, 7, &m);
    CHECK_EQ(a->topics[0].error_code, KERR_NONE);
    return a->topics[0].topic_id;
}

static struct uuid elsewhere(struct client *c, const char *name)
{
    const int32_t second = 2;

    return topic_on(c, name, &second, 1);
}

static const struct metadata_response *metadata(struct client *c, int16_t version)
{
    struct metadata_request m;

    metadata_request_init(&m);
    m.topics_count = version == 0 ? 0 : -1;
    return client_ask(c, API_METADATA, version, &m);
}

TEST(broker_cluster, metadata_says_who_leads_elsewhere)
{
    struct lab lab;
    struct client c;
    struct second s;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    second_register(&lab, &s);
    second_beat(&s, INT64_MAX);
    elsewhere(&c, "t");
    for (int16_t version = 0; version <= 12; version++) {
        const struct metadata_response *a = metadata(&c, version);
        CHECK_EQ(a->brokers_count, 2);
        CHECK_EQ(a->topics_count, 1);
        const struct metadata_response_topics_partitions *p = &a->topics[0].partitions[0];
        CHECK_EQ(p->error_code, KERR_NONE);
        CHECK_EQ(p->leader_id, 2);
        CHECK_EQ(p->replica_nodes_count, 1);
        CHECK_EQ(p->offline_replicas_count, 0);
        if (version >= 1)
            CHECK_EQ(a->controller_id, 1);
    }
    client_end(&s.c);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* The second broker falls silent, and is fenced. */
TEST(broker_cluster, what_a_fenced_broker_had_has_no_leader)
{
    struct lab lab;
    struct client c;
    struct second s;
    struct describe_topic_partitions_request m;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    second_register(&lab, &s);
    second_beat(&s, INT64_MAX);
    elsewhere(&c, "t");
    lab_pass(&lab, 20 * SEC);
    for (int16_t version = 0; version <= 12; version++) {
        const struct metadata_response *a = metadata(&c, version);
        CHECK_EQ(a->brokers_count, 1);
        const struct metadata_response_topics_partitions *p = &a->topics[0].partitions[0];
        CHECK_EQ(p->error_code, KERR_LEADER_NOT_AVAILABLE);
        CHECK_EQ(p->leader_id, -1);
        CHECK_EQ(p->replica_nodes_count, version == 0 ? 0 : 1);
        CHECK_EQ(p->offline_replicas_count, version >= 5 ? 1 : 0);
    }
    /* It was the last of the ISR, so it may lead again (KIP-966). */
    describe_topic_partitions_request_init(&m);
    m.response_partition_limit = 10;
    const struct describe_topic_partitions_response *a = client_ask(&c, API_DESCRIBE_TOPIC_PARTITIONS, 0, &m);
    const struct describe_topic_partitions_response_topics_partitions *p = &a->topics[0].partitions[0];
    CHECK_EQ(p->error_code, KERR_LEADER_NOT_AVAILABLE);
    CHECK_EQ(p->isr_nodes_count, 0);
    CHECK_EQ(p->eligible_leader_replicas_count, 1);
    CHECK_EQ(p->eligible_leader_replicas[0], 2);
    client_end(&s.c);
    client_end(&c);
    lab_deinit(&lab);
}

/* As soon as somebody listens, and not sooner. */
static void knock_until_open(struct lab *lab, struct client *c, struct wait *start)
{
    struct io_address at = {.port = 9092};

    snprintf(at.host, sizeof at.host, "%s", sim_node_host(lab->node));
    for (;;) {
        struct io_socket *knock;
        struct wait w;
        CHECK(!start->done);
        io_connect(sim_node_io(lab->clients, 0), &at, NULL, &knock, wait_begin(&w));
        if (wait_end(lab, &w) == 0) {
            io_socket_close(knock, wait_begin(&w));
            wait_end(lab, &w);
            break;
        }
    }
    client_open(lab, c, 9092);
}

/* A client of librdkafka's that is told of no broker asks nobody for minutes. */
TEST(broker_cluster, who_asks_in_the_moment_before_the_only_broker_is_unfenced_is_told_of_it)
{
    int fenced = 0;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lab lab;
        struct client c;
        struct wait start;

        lab_init(&lab, seed, NULL, 1);
        CHECK_EQ(lab_start(&lab), 0);
        lab_kill(&lab);
        lab_begin(&lab, &start);
        knock_until_open(&lab, &c, &start);
        const struct metadata_response *a = metadata(&c, 12);
        CHECK_EQ(a->brokers_count, 1);
        CHECK_EQ(a->controller_id, 1);
        const struct describe_cluster_response *d = lab_describe(&c, DESCRIBE_BROKERS, false);
        CHECK_EQ(d->brokers_count, 1);
        CHECK_EQ(d->controller_id, 1);
        fenced += d->brokers[0].is_fenced ? 1 : 0;
        CHECK_EQ(wait_end(&lab, &start), 0);
        client_end(&c);
        lab_deinit(&lab);
    }
    CHECK(fenced > 0);
}

/* The second broker has no listener of the name that the client has come by. */
TEST(broker_cluster, a_leader_without_the_listener_is_said_so)
{
    struct lab lab;
    struct client c;
    struct second s;

    lab_init(&lab, 1, NULL, 1);
    lab_set(&lab, "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093,OTHER://:9094");
    lab_set(&lab, "advertised.listeners", "PLAINTEXT://broker:9092,OTHER://broker:9094");
    lab_set(&lab, "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OTHER:PLAINTEXT");
    CHECK_EQ(lab_start(&lab), 0);
    second_register(&lab, &s);
    second_beat(&s, INT64_MAX);
    client_open(&lab, &c, 9094);
    elsewhere(&c, "t");
    for (int16_t version = 0; version <= 12; version++) {
        const struct metadata_response *a = metadata(&c, version);
        CHECK_EQ(a->brokers_count, 1);
        CHECK_EQ(a->topics[0].partitions[0].error_code,
                 version < 6 ? KERR_LEADER_NOT_AVAILABLE : KERR_LISTENER_NOT_FOUND);
        CHECK_EQ(a->topics[0].partitions[0].leader_id, -1);
    }
    client_end(&s.c);
    client_end(&c);
    lab_deinit(&lab);
}

/* Controllers' listeners may be advertised, too, and are not the broker's; all interfaces are told by the machine's name. */
TEST(broker_cluster, each_listener_is_told_as_it_can_be_reached)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 1, NULL, 2);
    lab_set(&lab, "advertised.listeners", "PLAINTEXT://:9092,CONTROLLER://outside:19093");
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(text_str(&lab.ready), "1 PLAINTEXT://machine:9092");
    client_open(&lab, &c, 9092);
    const struct metadata_response *known = metadata(&c, 12);
    CHECK_EQ(known->brokers_count, 1);
    CHECK_TEXT(known->brokers[0].host, "machine");
    client_end(&c);
    client_open(&lab, &c, 9093);
    const struct describe_cluster_response *a = lab_describe(&c, DESCRIBE_CONTROLLERS, false);
    CHECK_EQ(a->brokers_count, 1);
    CHECK_TEXT(a->brokers[0].host, "outside");
    CHECK_EQ(a->brokers[0].port, 19093);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* KIP-951 */
TEST(broker_cluster, who_asks_the_wrong_one_is_told_where_the_leader_is)
{
    struct lab lab;
    struct client c;
    struct second s;

    lab_init(&lab, 1, NULL, 3);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    second_register(&lab, &s);
    second_beat(&s, INT64_MAX);
    struct uuid topic = elsewhere(&c, "t");
    const void *m = produce_of(&c.arena, topic, 0, -1, batch_of(&c.arena, 1));
    const struct produce_response *a = client_ask(&c, API_PRODUCE, PRODUCE_VERSION, m);
    CHECK_EQ(a->responses[0].partition_responses[0].error_code, KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(a->responses[0].partition_responses[0].current_leader.leader_id, 2);
    CHECK_EQ(a->responses[0].partition_responses[0].current_leader.leader_epoch, 0);
    CHECK_EQ(a->node_endpoints_count, 1);
    CHECK_EQ(a->node_endpoints[0].node_id, 2);
    CHECK_TEXT(a->node_endpoints[0].host, "second");
    CHECK_EQ(a->node_endpoints[0].port, 9192);
    for (int16_t version = FETCH_VERSION; version <= 16; version++) {
        m = fetch_of(&c.arena, topic, 0, 0, 1, 0);
        const struct fetch_response *read = client_ask(&c, API_FETCH, version, m);
        const struct fetch_response_responses_partitions *p = &read->responses[0].partitions[0];
        CHECK_EQ(p->error_code, KERR_NOT_LEADER_OR_FOLLOWER);
        CHECK_EQ(p->current_leader.leader_id, version < 16 ? -1 : 2);
        CHECK_EQ(p->current_leader.leader_epoch, version < 16 ? -1 : 0);
        CHECK_EQ(read->node_endpoints_count, version < 16 ? 0 : 1);
        if (version >= 16)
            CHECK_TEXT(read->node_endpoints[0].host, "second");
    }
    client_end(&s.c);
    client_end(&c);
    lab_deinit(&lab);
}

TEST(broker_cluster, a_coordinator_is_who_leads_the_groups_partition)
{
    struct lab lab;
    struct client c;
    struct second s;
    struct find_coordinator_request m;
    bool found[3] = {false};

    lab_init(&lab, 1, NULL, 2);
    lab_set(&lab, "offsets.topic.num.partitions", "8");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    second_register(&lab, &s);
    second_beat(&s, INT64_MAX);
    for (char name[] = "a"; name[0] <= 'p'; name[0]++) {
        find_coordinator_request_init(&m);
        m.key = str_of(name);
        const struct find_coordinator_response *a = client_ask(&c, API_FIND_COORDINATOR, 3, &m);
        CHECK_EQ(a->error_code, KERR_NONE);
        CHECK(a->node_id == 1 || a->node_id == 2);
        CHECK_EQ(a->port, a->node_id == 1 ? 9092 : 9192);
        found[a->node_id] = true;
        second_beat(&s, INT64_MAX);
    }
    CHECK(found[1] && found[2]);
    client_end(&s.c);
    client_end(&c);
    lab_deinit(&lab);
}

static int32_t isr_count(struct client *c)
{
    return metadata(c, 12)->topics[0].partitions[0].isr_nodes_count;
}

/* What tools are told of it: causes under the name of a setting, to whoever asks by that name. */
static void check_tells_why(struct client *c)
{
    struct describe_configs_request_resources resource;
    struct describe_configs_request m;
    struct str keys[] = {STR("millrace.why.t-0"), STR("millrace.why.nobody-7"), STR("millrace.shards"),
                         STR("millrace.why.t"), STR("millrace.why.t-")};

    describe_configs_request_init(&m);
    describe_configs_request_resources_init(&resource);
    m.resources = &resource;
    m.resources_count = 1;
    resource.resource_type = 4;
    resource.resource_name = STR("1");
    resource.configuration_keys = keys;
    resource.configuration_keys_count = array_count(keys);
    const struct describe_configs_response *a = client_ask(c, API_DESCRIBE_CONFIGS, 4, &m);
    CHECK_EQ(a->results_count, 1);
    CHECK_EQ(a->results[0].error_code, KERR_NONE);
    CHECK_EQ(a->results[0].configs_count, 3);
    CHECK_TEXT(a->results[0].configs[0].name, "millrace.shards");
    CHECK_TEXT(a->results[0].configs[1].name, "millrace.why.t-0");
    CHECK(a->results[0].configs[1].read_only);
    CHECK_TEXT(a->results[0].configs[2].value, "");
    struct str rest = a->results[0].configs[1].value, line;
    int found = 0;
    int64_t last_ms = INT64_MAX;
    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        struct str ago;
        int64_t ago_ms;
        CHECK(str_cut(&line, ' ', &ago));
        CHECK_EQ(str_to_i64(ago, 0, last_ms, &ago_ms), 0);
        last_ms = ago_ms;
        found += str_starts(line, STR("broker 2 leaves the ISR [1,2]: "));
        found += str_equal(line, STR("its ISR is [1], before [1,2]: broker 1, which leads, asks for it"));
    }
    CHECK_EQ(found, 2);
    resource.resource_name = STR(""); /* of the cluster, nobody knows why */
    a = client_ask(c, API_DESCRIBE_CONFIGS, 4, &m);
    CHECK_EQ(a->results[0].configs_count, 0);
}

/* As leader, and as the controller. */
static void check_says_why(struct lab *lab)
{
    static const char *const numbers[] = {
        "\nkafka_server_replicamanager_underreplicatedpartitions 1\n",
        "\nkafka_server_replicamanager_isrshrinks_total 1\n",
        "\nkafka_server_replicamanager_atminisrpartitioncount 1\n",
        "\nkafka_controller_kafkacontroller_activebrokercount 2\n",
    };
    static const char *const words[] = {
        "Broker 1 leads in epoch 0; its replicas are [1,2], its ISR is [1].\n",
        "\nWhat node 1 has seen of it:\n",
        " s ago: broker 2 leaves the ISR [1,2]: it has not been heard of since this broker leads, it had all ",
        " ms ago (replica.lag.time.max.ms is 3000)\n",
        " s ago: its ISR is [1], before [1,2]: broker 1, which leads, asks for it\n",
    };
    struct text page = {0};

    lab_metrics(lab, &page);
    for (size_t i = 0; i < array_count(numbers); i++) {
        if (strstr(page.p, numbers[i]) == NULL)
            check_fail(__FILE__, __LINE__, "the page lacks \"%s\"", numbers[i] + 1);
    }
    CHECK_EQ(lab_why(lab, "t", 0, &page), 0);
    for (size_t i = 0; i < array_count(words); i++) {
        if (strstr(page.p, words[i]) == NULL)
            check_fail(__FILE__, __LINE__, "\"%s\" is not in: %s", words[i], page.p);
    }
    CHECK_EQ(lab_why(lab, "t", 1, &page), -ENOENT);
    CHECK_EQ(lab_why(lab, "nobody", 0, &page), -ENOENT);
    text_deinit(&page);
}

/* The second broker is alive, and never fetches: the leader proposes an ISR without it, and takes no notice of it then. */
TEST(broker_cluster, who_does_not_follow_leaves_the_isr)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        struct second s;
        const int32_t both[] = {1, 2};

        lab_init(&lab, shards, NULL, shards);
        lab_set(&lab, "replica.lag.time.max.ms", "3000");
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        second_register(&lab, &s);
        second_beat(&s, INT64_MAX);
        struct uuid topic = topic_on(&c, "t", both, 2);
        CHECK_EQ(isr_count(&c), 2);
        client_post(&c, API_PRODUCE, PRODUCE_VERSION, produce_of(&c.arena, topic, 0, -1, batch_of(&c.arena, 1)));
        for (int i = 0; i < 6 && !client_has_answer(&c); i++) {
            lab_pass(&lab, SEC);
            second_beat(&s, INT64_MAX);
        }
        CHECK(client_has_answer(&c)); /* it waited for the second one as long as that was in the ISR */
        const struct produce_response *a = client_answer(&c, API_PRODUCE, PRODUCE_VERSION, c.correlation);
        CHECK_EQ(a->responses[0].partition_responses[0].error_code, KERR_NONE);
        CHECK_EQ(isr_count(&c), 1);
        check_says_why(&lab);
        check_tells_why(&c);
        client_end(&s.c);
        client_end(&c);
        lab_deinit(&lab);
    }
}
