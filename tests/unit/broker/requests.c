/* A connection and its requests: order, versions, what is advertised, what ends it. */
#include "lab.h"

#include <stdlib.h>

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"

static const struct api_versions_response *versions(struct client *c)
{
    struct api_versions_request m;

    api_versions_request_init(&m);
    m.client_software_name = STR("lab");
    m.client_software_version = STR("1.0");
    return client_ask(c, API_API_VERSIONS, 4, &m);
}

static void put_frame(struct text *out, int16_t key, int16_t version, struct bytes rest)
{
    uint8_t head[14];

    put_u32(head, (uint32_t)(10 + rest.n));
    put_u16(head + 4, (uint16_t)key);
    put_u16(head + 6, (uint16_t)version);
    put_u32(head + 8, 77);
    put_u16(head + 12, UINT16_MAX); /* no client id */
    text_add(out, head, sizeof head);
    text_add(out, rest.p, (size_t)rest.n);
}

static void send_text(struct client *c, struct text *frame)
{
    client_send_bytes(c, bytes_of_str(text_str(frame)));
    text_deinit(frame);
}

/* A request whose fields have their defaults: every API must do something with it. */
static void send_default(struct client *c, int16_t key, int16_t version)
{
    const struct api *api = api_find(key);
    void *m = arena_take(&c->arena, message_struct_bytes(api->request));

    message_init(api->request, m);
    if (key == API_PRODUCE)
        ((struct produce_request *)m)->acks = 1; /* or there is no answer */
    client_post(c, key, version, m);
}

TEST(broker_requests, what_is_advertised_is_served_in_every_version_and_nothing_else)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    for (uint16_t port = 9092; port <= 9093; port++) {
        client_open(&lab, &c, port);
        const struct api_versions_response *a = versions(&c);
        struct client other;
        int32_t next = 0;
        CHECK_EQ(a->error_code, KERR_NONE);
        CHECK(a->api_keys_count > 5);
        for (int16_t key = 0; key < 128; key++) {
            const struct api *api = api_find(key);
            const struct api_versions_response_api_keys *told = NULL;
            if (next < a->api_keys_count && a->api_keys[next].api_key == key)
                told = &a->api_keys[next++];
            int16_t low = told != NULL ? told->min_version : 0;
            int16_t high = told != NULL ? told->max_version : 0;
            for (int16_t version = (int16_t)(low - 1); version <= high + 1; version++) {
                struct text frame = {0};
                bool exists = told != NULL && api_has_version(api, version);
                /* Produce 0 to 2 are told for the sake of old clients of librdkafka, as Kafka does,
                 * and served by nobody (KIP-896). */
                CHECK(told == NULL || exists || version < low || version > high ||
                      (key == API_PRODUCE && version < 3));
                client_open(&lab, &other, port);
                if (exists) {
                    send_default(&other, key, version);
                    client_answer(&other, key, version, other.correlation);
                } else if (key != API_API_VERSIONS) {
                    put_frame(&frame, key, version, (struct bytes){(const uint8_t *)"\0\0\0\0", 4});
                    send_text(&other, &frame);
                    client_until_closed(&other);
                }
                client_end(&other);
            }
        }
        CHECK_EQ(next, a->api_keys_count);
        client_end(&c);
    }
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* KIP-511: whatever the version, the answer is one of version 0 with the range that is served. */
TEST(broker_requests, an_unknown_version_of_api_versions_is_answered_in_version_0)
{
    const struct api *api = api_find(API_API_VERSIONS);
    const int16_t asked[] = {(int16_t)(api->high + 1), 99, INT16_MAX, -1};
    struct lab lab;

    lab_init(&lab, 1, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    for (size_t i = 0; i < array_count(asked); i++) {
        struct client c;
        struct text frame = {0};
        client_open(&lab, &c, 9092);
        put_frame(&frame, API_API_VERSIONS, asked[i],
                  (struct bytes){(const uint8_t *)"\xff\xff??", 4});
        send_text(&c, &frame);
        const struct api_versions_response *a = client_answer(&c, API_API_VERSIONS, 0, 77);
        CHECK_EQ(a->error_code, KERR_UNSUPPORTED_VERSION);
        CHECK_EQ(a->api_keys_count, 1);
        CHECK_EQ(a->api_keys[0].api_key, API_API_VERSIONS);
        CHECK_EQ(a->api_keys[0].min_version, 0);
        CHECK_EQ(a->api_keys[0].max_version, api->offered_high);
        CHECK_EQ(versions(&c)->error_code, KERR_NONE); /* the connection is good */
        client_end(&c);
    }
    lab_deinit(&lab);
}

TEST(broker_requests, a_client_that_names_itself_badly_is_told)
{
    struct lab lab;
    struct client c;
    struct api_versions_request m;

    lab_init(&lab, 1, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    api_versions_request_init(&m);
    m.client_software_name = STR("-bad");
    m.client_software_version = STR("1");
    const struct api_versions_response *a = client_ask(&c, API_API_VERSIONS, 3, &m);
    CHECK_EQ(a->error_code, KERR_INVALID_REQUEST);
    client_end(&c);
    lab_deinit(&lab);
}

/* B4: answers come in the order of the requests, and a request sees what those before it did. */
TEST(broker_requests, a_pipeline_is_answered_in_order)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct lab lab;
        struct client c;
        struct text all = {0};

        lab_init(&lab, shards, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        struct uuid topic = lab_topic(&lab, &c, "t", 8);
        int32_t first = c.correlation + 1;
        /* Three rounds over all partitions: produce to each, then read each. */
        for (int32_t i = 0; i < 48; i++) {
            int32_t p = i % 8;
            const void *m = i % 16 < 8
                ? produce_of(&c.arena, topic, p, -1, batch_of(&c.arena, 2))
                : fetch_of(&c.arena, topic, p, 0, 1, 60000);
            client_write(&c, i % 16 < 8 ? API_PRODUCE : API_FETCH, 13, m, &all);
        }
        send_text(&c, &all);
        for (int32_t i = 0; i < 48; i++) {
            const void *a = client_answer(&c, i % 16 < 8 ? API_PRODUCE : API_FETCH, 13, first + i);
            int32_t round = i / 16;
            if (i % 16 < 8) {
                const struct produce_response *pr = a;
                CHECK_EQ(pr->responses[0].partition_responses[0].error_code, KERR_NONE);
                CHECK_EQ(pr->responses[0].partition_responses[0].base_offset, 2 * round);
            } else {
                CHECK_EQ(records_in(fetched(a)->records), 2 * (round + 1));
            }
        }
        client_end(&c);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
}

TEST(broker_requests, a_request_waits_for_the_long_poll_before_it)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 3, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    client_post(&c, API_FETCH, 13, fetch_of(&c.arena, topic, 0, 0, 1, 2000));
    client_post(&c, API_PRODUCE, 13, produce_of(&c.arena, topic, 0, -1, batch_of(&c.arena, 1)));
    lab_pass(&lab, 1900 * MS);
    CHECK(!client_has_answer(&c));
    CHECK_EQ(fetched(client_answer(&c, API_FETCH, 13, c.correlation - 1))->records.n, 0);
    client_answer(&c, API_PRODUCE, 13, c.correlation);
    client_end(&c);
    lab_deinit(&lab);
}

/* Any prefix of a request's body, with a length that says so: refused, and nobody else notices. */
TEST(broker_requests, cut_off_bodies_close_the_connection)
{
    struct lab lab;
    struct client good;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &good, 9092);
    struct uuid topic = lab_topic(&lab, &good, "t", 2);
    struct arena arena;
    arena_init(&arena, 0);
    struct text frame = {0};
    struct client scratch = {0};
    client_write(&scratch, API_PRODUCE, 13,
                 produce_of(&arena, topic, 0, -1, batch_of(&arena, 2)), &frame);
    for (uint32_t n = 1; n + 4 < frame.n; n += 1 + n / 16) {
        struct client c;
        client_open(&lab, &c, 9092);
        put_u32(frame.p, n);
        client_send_bytes(&c, (struct bytes){(uint8_t *)frame.p, (int32_t)(4 + n)});
        client_until_closed(&c);
        client_end(&c);
    }
    text_deinit(&frame);
    arena_deinit(&arena);
    CHECK_EQ(lab_produce(&good, topic, 0, 1), 0);
    client_end(&good);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_requests, what_stands_behind_a_bad_request_is_not_done)
{
    struct lab lab;
    struct client c;
    struct text all = {0};

    lab_init(&lab, 1, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    put_frame(&all, API_METADATA, 12, (struct bytes){(const uint8_t *)"\x7f", 1});
    client_write(&c, API_PRODUCE, 13, produce_of(&c.arena, topic, 0, -1, batch_of(&c.arena, 1)),
                 &all);
    send_text(&c, &all);
    client_until_closed(&c);
    client_end(&c);
    client_open(&lab, &c, 9092);
    CHECK_EQ(lab_produce(&c, topic, 0, 1), 0);
    client_end(&c);
    lab_deinit(&lab);
}

/* A frame that decodes to far more than its bytes: refused where the memory would be. */
TEST(broker_requests, a_request_that_grows_too_much_is_refused)
{
    struct lab lab;
    struct client c;
    int32_t count = 2000000;

    lab_init(&lab, 1, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    /* Metadata version 1: an array of empty names, two bytes each. */
    size_t n = 4 + 2 * (size_t)count;
    uint8_t *names = calloc(1, n);
    struct text frame = {0};
    put_u32(names, (uint32_t)count);
    put_frame(&frame, API_METADATA, 1, (struct bytes){names, (int32_t)n});
    free(names);
    send_text(&c, &frame);
    client_until_closed(&c);
    client_end(&c);
    lab_deinit(&lab);
}

TEST(broker_requests, connections_beyond_the_most_wait)
{
    struct lab lab;
    struct client a, b, late;

    lab_init(&lab, 1, NULL, 1);
    lab_set(&lab, "max.connections", "2");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &a, 9092);
    client_open(&lab, &b, 9092);
    versions(&a);
    versions(&b);
    client_open(&lab, &late, 9092);
    send_default(&late, API_METADATA, 12);
    lab_pass(&lab, SEC);
    CHECK(!client_has_answer(&late));
    CHECK(strstr(lab.said.p, "max.connections") != NULL);
    client_end(&a);
    client_answer(&late, API_METADATA, 12, late.correlation);
    client_end(&b);
    client_end(&late);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_requests, an_idle_connection_is_closed)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 1, NULL, 1);
    lab_set(&lab, "connections.max.idle.ms", "60000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    versions(&c);
    int64_t began = sim_now_ns(lab.sim);
    client_until_closed(&c);
    CHECK(sim_now_ns(lab.sim) - began >= 59 * SEC);
    CHECK(sim_now_ns(lab.sim) - began < 62 * SEC);
    client_end(&c);
    lab_deinit(&lab);
}

/* What jmx_exporter's rules make of the MBeans of a broker that is a controller, with a topic of six partitions. */
static const char *const of_one_node[] = {
    "\nkafka_server_replicamanager_underreplicatedpartitions 0\n",
    "\nkafka_server_replicamanager_underminisrpartitioncount 0\n",
    "\nkafka_server_replicamanager_atminisrpartitioncount 6\n",
    "\nkafka_server_replicamanager_reassigningpartitions 0\n",
    "\nkafka_server_replicamanager_isrshrinks_total 0\n",
    "\nkafka_server_replicamanager_isrexpands_total 0\n",
    "\nkafka_server_replicamanager_failedisrupdates_total 0\n",
    "\nkafka_server_brokertopicmetrics_replicationbytesout_total 0\n",
    "\nkafka_controller_kafkacontroller_activecontrollercount 1\n",
    "\nkafka_controller_kafkacontroller_newactivecontrollerscount 1\n",
    "\nkafka_controller_kafkacontroller_activebrokercount 1\n",
    "\nkafka_controller_kafkacontroller_fencedbrokercount 0\n",
    "\nkafka_controller_kafkacontroller_globaltopiccount 1\n",
    "\nkafka_controller_kafkacontroller_globalpartitioncount 6\n",
    "\nkafka_controller_kafkacontroller_offlinepartitionscount 0\n",
    "\nkafka_controller_kafkacontroller_preferredreplicaimbalancecount 0\n",
    "\nkafka_controller_kafkacontroller_controlledshutdownbrokercount 0\n",
    "\nkafka_controller_controllerstats_uncleanleaderelections_total 0\n",
    "\nkafka_controller_controllerstats_electionfromeligibleleaderreplicas_total 0\n",
    "\nmillrace_controller_leader_elections_total 0\n",
    "\nkafka_controller_kafkacontroller_lastappliedrecordoffset ",
    "\nkafka_controller_kafkacontroller_lastcommittedrecordoffset ",
    "\nkafka_controller_kafkacontroller_lastappliedrecordtimestamp ",
    "\nkafka_controller_kafkacontroller_lastappliedrecordlagms 0\n",
    "\nkafka_server_raft_metrics_current_state_info{state=\"leader\"} 1\n",
    "\nkafka_server_raft_metrics_current_leader 1\n",
    "\nkafka_server_raft_metrics_current_vote 1\n",
    "\nkafka_server_raft_metrics_current_epoch ",
    "\nkafka_server_raft_metrics_high_watermark ",
    "\nkafka_server_raft_metrics_log_end_offset ",
    "\nkafka_server_raft_metrics_log_end_epoch ",
    "\nkafka_server_raft_metrics_number_of_voters 1\n",
    "\nkafka_server_raft_metrics_number_of_observers 0\n",
    "\nkafka_server_raft_metrics_number_unknown_voter_connections 0\n",
    "\nkafka_server_raft_metrics_uncommitted_voter_change 0\n",
    "\nkafka_server_raft_metrics_commit_latency_avg ",
    "\nkafka_server_raft_metrics_commit_latency_max ",
    "\nkafka_server_raft_metrics_election_latency_avg ",
    "\nkafka_server_raft_metrics_election_latency_max ",
    "\nkafka_server_raft_metrics_append_records_rate ",
    "\nkafka_server_raft_metrics_fetch_records_rate 0\n",
    "\nkafka_server_broker_metadata_metrics_last_applied_record_offset ",
    "\nkafka_server_broker_metadata_metrics_last_applied_record_timestamp ",
    "\nkafka_server_broker_metadata_metrics_last_applied_record_lag_ms ",
};

TEST(broker_requests, metrics_count_what_was_asked_on_all_shards)
{
    struct lab lab;
    struct client c;
    struct text page = {0};

    lab_init(&lab, 1, NULL, 3);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 6);
    for (int32_t p = 0; p < 6; p++)
        lab_produce(&c, topic, p, 3);
    lab_metrics(&lab, &page);
    CHECK(strstr(page.p, "kafka_network_requestmetrics_requests_total{request=\"Produce\"} 6\n") !=
          NULL);
    CHECK(strstr(page.p, "kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"} 18\n") !=
          NULL);
    CHECK(strstr(page.p, "kafka_server_replicamanager_partitioncount 6\n") != NULL);
    CHECK(strstr(page.p, "kafka_log_log_logendoffset{topic=\"t\",partition=\"5\"} 3\n") != NULL);
    for (size_t i = 0; i < array_count(of_one_node); i++) {
        if (strstr(page.p, of_one_node[i]) == NULL)
            check_fail(__FILE__, __LINE__, "the page lacks \"%s\"", of_one_node[i] + 1);
    }
    lab_topic(&lab, &c, "idle", 2);
    lab_metrics(&lab, &page);
    CHECK(strstr(page.p, "kafka_log_log_logendoffset{topic=\"idle\",partition=\"1\"} 0\n") != NULL);
    lab_delete_topic(&lab, &c, "t");
    lab_delete_topic(&lab, &c, "idle");
    lab_metrics(&lab, &page);
    CHECK(strstr(page.p, "topic=\"t\"") == NULL);
    CHECK(strstr(page.p, "topic=\"idle\"") == NULL);
    text_deinit(&page);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}
