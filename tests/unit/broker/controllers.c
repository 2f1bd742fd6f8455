/* The controller's listener: what nodes of the cluster and administrators ask there. A second broker is played by the
 * test. */
#include "second.h"

#include "protocol/api_versions.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/describe_cluster.h"
#include "protocol/fetch.h"
#include "protocol/metadata.h"
#include "protocol/unregister_broker.h"

TEST(broker_controllers, a_broker_registers_and_is_shown_when_it_is_unfenced)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        struct second s;
        struct metadata_request ask;

        lab_init(&lab, shards, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        second_register(&lab, &s);
        CHECK_EQ(lab_describe(&c, 1, false)->brokers_count, 1);
        const struct describe_cluster_response *all = lab_describe(&c, 1, true);
        CHECK_EQ(all->brokers_count, 2);
        CHECK(!all->brokers[0].is_fenced);
        CHECK(all->brokers[1].is_fenced);
        metadata_request_init(&ask);
        const struct metadata_response *known = client_ask(&c, API_METADATA, 12, &ask);
        CHECK_EQ(known->brokers_count, 1);

        CHECK(!second_beat(&s, INT64_MAX)->is_fenced);
        known = client_ask(&c, API_METADATA, 12, &ask);
        CHECK_EQ(known->brokers_count, 2);
        CHECK_EQ(known->brokers[1].node_id, 2);
        CHECK_TEXT(known->brokers[1].host, "second");
        CHECK_EQ(known->brokers[1].port, 9192);
        client_end(&s.c);
        client_end(&c);
        lab_deinit(&lab);
    }
}

/* The second broker lets the first one go only by its heartbeats, so the controller must hear them until the end. */
TEST(broker_controllers, a_stop_leaves_the_cluster_while_other_nodes_are_heard)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        struct second s;
        struct wait w;

        lab_init(&lab, 20 + shards, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        lab_topic(&lab, &c, "t", 2);
        second_register(&lab, &s);
        CHECK(!second_beat(&s, s.epoch)->is_fenced);

        broker_stop(lab.broker, wait_begin(&w));
        lab.broker = NULL;
        lab_pass(&lab, 4 * SEC);
        CHECK(!w.done);
        CHECK(!second_beat(&s, INT64_MAX)->is_fenced);
        CHECK_EQ(wait_end(&lab, &w), 0);
        client_until_closed(&s.c);
        client_end(&s.c);
        client_end(&c);
        sim_node_kill(lab.node);
        CHECK_EQ(lab_start(&lab), 0);
        lab_deinit(&lab);
    }
}

TEST(broker_controllers, an_administrator_removes_a_broker_at_any_listener)
{
    struct lab lab;
    struct client c;
    struct second s;
    struct unregister_broker_request m;

    lab_init(&lab, 3, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    unregister_broker_request_init(&m);
    m.broker_id = 2;
    for (uint16_t port = 9092; port <= 9093; port++) {
        second_register(&lab, &s);
        client_open(&lab, &c, port);
        const struct unregister_broker_response *a = client_ask(&c, API_UNREGISTER_BROKER, 0, &m);
        CHECK_EQ(a->error_code, KERR_NONE);
        a = client_ask(&c, API_UNREGISTER_BROKER, 0, &m);
        CHECK_EQ(a->error_code, KERR_BROKER_ID_NOT_REGISTERED);
        client_end(&c);
        client_end(&s.c);
    }
    lab_deinit(&lab);
}

TEST(broker_controllers, the_active_one_of_the_controllers_is_named)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 3, NULL, 3);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9093);
    const struct describe_cluster_response *a = lab_describe(&c, 2, false);
    CHECK_EQ(a->error_code, KERR_NONE);
    CHECK_EQ(a->controller_id, 1);
    CHECK_EQ(a->brokers_count, 1);
    CHECK_EQ(a->brokers[0].port, 9093);
    CHECK_TEXT(a->brokers[0].host, "machine"); /* it listens on all interfaces */
    a = lab_describe(&c, 1, false);
    CHECK_EQ(a->error_code, KERR_MISMATCHED_ENDPOINT_TYPE);
    client_end(&c);
    lab_deinit(&lab);
}

/* Trap: a leader asks a new voter for its kraft.version, whose lowest level is 0. */
TEST(broker_controllers, versions_tell_the_levels_of_the_quorum)
{
    struct lab lab;
    struct client c;
    struct api_versions_request m;
    bool found = false;

    lab_init(&lab, 3, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9093);
    api_versions_request_init(&m);
    m.client_software_name = m.client_software_version = STR("lab");
    const struct api_versions_response *a = client_ask(&c, API_API_VERSIONS, 4, &m);
    for (int32_t i = 0; i < a->supported_features_count; i++) {
        if (!str_equal(a->supported_features[i].name, STR("kraft.version")))
            continue;
        found = true;
        CHECK_EQ(a->supported_features[i].min_version, 0);
        CHECK_EQ(a->supported_features[i].max_version, 1);
    }
    CHECK(found);
    client_end(&c);
    lab_deinit(&lab);
}

TEST(broker_controllers, clients_do_not_take_the_connections_of_nodes)
{
    struct lab lab;
    struct client a, b, node;

    lab_init(&lab, 1, NULL, 1);
    lab_set(&lab, "max.connections", "2");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &a, 9092);
    client_open(&lab, &b, 9092);
    lab_describe(&a, 1, false);
    lab_describe(&b, 1, false);
    client_open(&lab, &node, 9093);
    CHECK_EQ(lab_describe(&node, 2, false)->controller_id, 1);
    client_end(&a);
    client_end(&b);
    client_end(&node);
    lab_deinit(&lab);
}

/* ---- the quorum's requests --------------------------------------------------------------------------------- */

/* The same API by both listeners: of a topic's partitions here, of the metadata log there. */
TEST(broker_controllers, fetch_at_a_controller_is_of_the_metadata_log)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    lab_produce(&c, topic, 0, 3);
    const void *m = fetch_of(&c.arena, topic, 0, 0, 1, 0);
    CHECK_EQ(records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records), 3);
    client_end(&c);

    client_open(&lab, &c, 9093);
    m = fetch_of(&c.arena, topic, 0, 0, 1, 0);
    const struct fetch_response *a = client_ask(&c, API_FETCH, FETCH_VERSION, m);
    for (int32_t i = 0; i < a->responses_count; i++)
        CHECK_EQ(a->responses[i].partitions[0].records.n, 0);
    client_end(&c);
    lab_deinit(&lab);
}
