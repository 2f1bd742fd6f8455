#include "broker/autocreate.h"

#include "protocol/create_topics.h"

#define OFFSETS_TOPIC STR("__consumer_offsets")

bool autocreate_allowed(const struct broker_shard *shard, struct str name)
{
    return str_equal(name, OFFSETS_TOPIC) ||
           config_bool(shard->settings, BROKER_AUTO_CREATE_TOPICS_ENABLE);
}

static void add_config(struct create_topics_request_topics *t, struct str name, struct str value)
{
    struct create_topics_request_topics_configs *c = &t->configs[t->configs_count++];

    create_topics_request_topics_configs_init(c);
    c->name = name;
    c->value = value;
}

#define OFFSETS_CONFIGS 3

/* As a Kafka broker makes it: compacted, in small segments, compressed as written. */
static void describe_offsets_topic(struct request *r, struct create_topics_request_topics *t)
{
    const struct config *c = r->shard->settings;

    t->num_partitions = (int32_t)config_i64(c, BROKER_OFFSETS_TOPIC_NUM_PARTITIONS);
    t->replication_factor = (int16_t)config_i64(c, BROKER_OFFSETS_TOPIC_REPLICATION_FACTOR);
    t->configs = arena_take_array(&r->arena, OFFSETS_CONFIGS, sizeof *t->configs);
    add_config(t, STR("cleanup.policy"), STR("compact"));
    add_config(t, STR("compression.type"), STR("producer"));
    add_config(t, STR("segment.bytes"),
               arena_printf(&r->arena, "%" PRId64,
                            config_i64(c, BROKER_OFFSETS_TOPIC_SEGMENT_BYTES)));
}

struct autocreation {
    struct forward forward;
    struct create_topics_request request;
    struct create_topics_response response;
    void (*done)(struct request *r);
};

/* What an operator of few brokers has to set. */
static const char *hint(const struct create_topics_response_topics *t)
{
    if (t->error_code != KERR_INVALID_REPLICATION_FACTOR)
        return "";
    return str_equal(t->name, OFFSETS_TOPIC) ? " (see offsets.topic.replication.factor)"
                                             : " (see default.replication.factor)";
}

static void joined(struct scatter *s)
{
    struct autocreation *a = container_of(s->state, struct autocreation, forward);

    for (int32_t i = 0; i < a->response.topics_count; i++) {
        const struct create_topics_response_topics *t = &a->response.topics[i];
        if (t->error_code != KERR_NONE && t->error_code != KERR_TOPIC_ALREADY_EXISTS)
            say(s->home->telemetry, LOG_WARN, "broker",
                "cannot create topic %.*s by itself: %s%s%.*s%s", STR_ARG(t->name),
                kerr_name(t->error_code), t->error_message.n > 0 ? ": " : "",
                STR_ARG(t->error_message), hint(t));
    }
    a->done(s->request);
}

void autocreate(struct request *r, const struct str *names, uint32_t count,
                void (*done)(struct request *r))
{
    struct autocreation *a = arena_take(&r->arena, sizeof *a);

    create_topics_request_init(&a->request);
    create_topics_response_init(&a->response);
    a->done = done;
    a->request.timeout_ms = (int32_t)config_i64(r->shard->settings, BROKER_REQUEST_TIMEOUT_MS);
    a->request.topics_count = (int32_t)count;
    a->request.topics = arena_take_array(&r->arena, count, sizeof *a->request.topics);
    for (uint32_t i = 0; i < count; i++) {
        struct create_topics_request_topics *t = &a->request.topics[i];
        create_topics_request_topics_init(t);
        t->name = names[i];
        t->num_partitions = -1;
        t->replication_factor = -1;
        if (str_equal(names[i], OFFSETS_TOPIC))
            describe_offsets_topic(r, t);
    }
    a->forward = (struct forward){
        .api_key = API_CREATE_TOPICS,
        .api_version = create_topics_request_message.high,
        .request = &a->request,
        .response = &a->response,
    };
    forward_ask(r, &a->forward, joined);
}
