/* Envelope (KIP-590): what a broker passes on for its clients, and what comes back. */
#include "lab.h"

#include "protocol/create_topics.h"
#include "protocol/default_principal_data.h"
#include "protocol/describe_quorum.h"
#include "protocol/envelope.h"
#include "protocol/metadata.h"

#define INNER_CORRELATION 4711

struct letter {
    struct envelope_request m;
    struct arena arena;
};

static struct bytes put_request(struct letter *l, int16_t key, int16_t version, const void *request)
{
    struct request_header h = {
        .request_api_key = key,
        .request_api_version = version,
        .correlation_id = INNER_CORRELATION,
        .client_id = STR("inner"),
    };
    const struct message *message = api_find(key)->request;
    int64_t header = request_header_size(&h), body = message_size(message, version, request);

    CHECK(header > 0 && body >= 0);
    uint8_t *p = arena_take(&l->arena, (size_t)(header + body));
    request_header_write(&h, p);
    message_write(message, version, request, p + header);
    return (struct bytes){p, (int32_t)(header + body)};
}

static struct bytes put_principal(struct letter *l)
{
    struct default_principal_data who;

    default_principal_data_init(&who);
    who.type = STR("User");
    who.name = STR("alice");
    int64_t n = default_principal_data_size(&who, 0);
    CHECK(n > 0);
    uint8_t *p = arena_take(&l->arena, (size_t)(2 + n));
    put_u16(p, 0);
    default_principal_data_write(&who, 0, p + 2);
    return (struct bytes){p, (int32_t)(2 + n)};
}

static void letter_init(struct letter *l, int16_t key, int16_t version, const void *request)
{
    arena_init(&l->arena, 0);
    envelope_request_init(&l->m);
    l->m.request_data = put_request(l, key, version, request);
    l->m.request_principal = put_principal(l);
    l->m.client_host_address = (struct bytes){(const uint8_t *)"\x7f\0\0\1", 4};
}

static const struct envelope_response *letter_ask(struct client *c, struct letter *l)
{
    return client_ask(c, API_ENVELOPE, 0, &l->m);
}

/* The answer inside, which must be to our correlation id. */
static void *opened(struct client *c, const struct envelope_response *a, int16_t key, int16_t version)
{
    const struct api *api = api_find(key);
    int32_t id;

    CHECK_EQ(a->error_code, KERR_NONE);
    int used = response_header_read(a->response_data, key, version, &id);
    CHECK(used > 0);
    CHECK_EQ(id, INNER_CORRELATION);
    struct bytes body = {a->response_data.p + used, a->response_data.n - used};
    void *out = arena_take(&c->arena, message_struct_bytes(api->response));
    CHECK_EQ(message_read(api->response, body, version, &c->arena, out), body.n);
    return out;
}

static void topic_of(struct create_topics_request *m, struct create_topics_request_topics *t, const char *name)
{
    create_topics_request_init(m);
    create_topics_request_topics_init(t);
    t->name = str_of(name);
    t->num_partitions = 2;
    t->replication_factor = 1;
    m->topics = t;
    m->topics_count = 1;
    m->timeout_ms = 1000;
}

TEST(broker_envelope, what_is_in_an_envelope_is_done_and_answered_byte_for_byte)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        struct letter l;
        struct create_topics_request m;
        struct create_topics_request_topics asked;
        struct describe_quorum_request q;
        struct describe_quorum_request_topics qt;
        struct describe_quorum_request_topics_partitions qp;

        lab_init(&lab, shards, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9093);
        topic_of(&m, &asked, "t");
        for (int16_t version = 2; version <= 7; version++) {
            letter_init(&l, API_CREATE_TOPICS, version, &m);
            const struct create_topics_response *a = opened(&c, letter_ask(&c, &l), API_CREATE_TOPICS, version);
            CHECK_EQ(a->topics_count, 1);
            CHECK_TEXT(a->topics[0].name, "t");
            CHECK_EQ(a->topics[0].error_code, version == 2 ? KERR_NONE : KERR_TOPIC_ALREADY_EXISTS);
            arena_deinit(&l.arena);
        }
        describe_quorum_request_init(&q);
        describe_quorum_request_topics_init(&qt);
        describe_quorum_request_topics_partitions_init(&qp);
        qt.topic_name = STR("__cluster_metadata");
        qt.partitions = &qp;
        qt.partitions_count = 1;
        q.topics = &qt;
        q.topics_count = 1;
        letter_init(&l, API_DESCRIBE_QUORUM, 2, &q);
        const struct describe_quorum_response *a = opened(&c, letter_ask(&c, &l), API_DESCRIBE_QUORUM, 2);
        CHECK_EQ(a->error_code, KERR_NONE);
        CHECK_EQ(a->topics[0].partitions[0].leader_id, 1);
        arena_deinit(&l.arena);
        client_end(&c);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
}

static int16_t refusal(struct client *c, struct letter *l)
{
    const struct envelope_response *a = letter_ask(c, l);

    CHECK(a->response_data.n <= 0);
    return a->error_code;
}

TEST(broker_envelope, an_envelope_that_makes_no_sense_is_refused_as_kafka_does)
{
    static const uint8_t no_principal[] = {0, 9, 1}, no_address[] = {1, 2, 3};
    struct lab lab;
    struct client c;
    struct letter l, other;
    struct create_topics_request m;
    struct create_topics_request_topics asked;
    struct metadata_request forbidden;

    lab_init(&lab, 1, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9093);
    topic_of(&m, &asked, "t");
    letter_init(&l, API_CREATE_TOPICS, 7, &m);
    const struct envelope_request good = l.m;

    l.m.request_principal = (struct bytes){no_principal, sizeof no_principal};
    CHECK_EQ(refusal(&c, &l), KERR_PRINCIPAL_DESERIALIZATION_FAILURE);
    l.m = good;
    l.m.request_principal.n--;
    CHECK_EQ(refusal(&c, &l), KERR_PRINCIPAL_DESERIALIZATION_FAILURE);
    l.m.request_principal = BYTES_NULL;
    CHECK_EQ(refusal(&c, &l), KERR_PRINCIPAL_DESERIALIZATION_FAILURE);
    l.m = good;
    l.m.client_host_address = (struct bytes){no_address, sizeof no_address};
    CHECK_EQ(refusal(&c, &l), KERR_INVALID_REQUEST);

    /* A request that is cut anywhere cannot be understood. */
    for (int32_t n = 0; n < good.request_data.n; n++) {
        l.m = good;
        l.m.request_data.n = n;
        CHECK_EQ(refusal(&c, &l), KERR_UNSUPPORTED_VERSION);
    }
    l.m = good;
    put_u16((uint8_t *)(uintptr_t)l.m.request_data.p + 2, 99);
    CHECK_EQ(refusal(&c, &l), KERR_UNSUPPORTED_VERSION);
    put_u16((uint8_t *)(uintptr_t)l.m.request_data.p, 999);
    CHECK_EQ(refusal(&c, &l), KERR_UNSUPPORTED_VERSION);

    /* What a controller does not do for a broker's client, an envelope among it. */
    metadata_request_init(&forbidden);
    letter_init(&other, API_METADATA, 12, &forbidden);
    CHECK_EQ(refusal(&c, &other), KERR_INVALID_REQUEST);
    l.m = good;
    l.m.request_data = put_request(&l, API_ENVELOPE, 0, &other.m);
    CHECK_EQ(refusal(&c, &l), KERR_INVALID_REQUEST);
    arena_deinit(&other.arena);
    arena_deinit(&l.arena);
    letter_init(&l, API_CREATE_TOPICS, 7, &m);
    opened(&c, letter_ask(&c, &l), API_CREATE_TOPICS, 7); /* the connection is good */
    arena_deinit(&l.arena);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}
