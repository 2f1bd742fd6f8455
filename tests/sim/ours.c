/* Our own producer, its client and their settings. */
#include "ours.h"

#include <stdio.h>
#include <stdlib.h>

#include "producer/producer.h"

#define TAGS_MAX 4096

struct our_producer {
    struct io *io;
    struct client *client;
    struct producer *producer;
    struct our_hooks hooks;
    void *ctx;
    struct op closed;
    struct op *waiter;
    int64_t result;
    const char *bootstrap;
    uint64_t tags[TAGS_MAX];
};

static int64_t between(struct prng *g, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(g, (uint64_t)(high - low + 1));
}

static void draw_settings(struct prng *g, struct producer_settings *s)
{
    producer_settings_init(s);
    s->idempotence = prng_below(g, 4) != 0;
    s->acks = s->idempotence || prng_below(g, 2) == 0 ? -1 : 1;
    if (!s->idempotence)
        s->retries = 0; /* or records would be there twice */
    s->batch_size = (uint32_t)between(g, 100, 3000);
    s->linger_ms = prng_below(g, 2) == 0 ? 0 : between(g, 1, 30);
    s->buffer_memory = (uint64_t)between(g, 4000, 60000);
    s->max_request_size = (uint32_t)between(g, 2000, 20000);
    s->max_in_flight = (uint32_t)between(g, 1, 5);
    s->request_timeout_ms = between(g, 200, 1200);
    s->delivery_timeout_ms = s->linger_ms + s->request_timeout_ms + between(g, 0, 3000);
    s->metadata_max_idle_ms = between(g, 500, 300000);
    s->codec = (enum codec)prng_below(g, CODEC_COUNT);
    s->level = codec_level_default(s->codec);
    s->adaptive_partitioning = prng_below(g, 2) == 0;
    s->availability_timeout_ms = prng_below(g, 2) == 0 ? 0 : between(g, 10, 500);
}

static void draw_storm(struct prng *g, struct producer_settings *s)
{
    s->idempotence = prng_below(g, 2) == 0;
    s->acks = s->idempotence || prng_below(g, 2) == 0 ? -1 : 1;
    s->retries = s->idempotence ? INT32_MAX : 0;
    s->linger_ms = between(g, 0, 5);
    s->request_timeout_ms = between(g, 100, 500);
    s->delivery_timeout_ms = s->linger_ms + s->request_timeout_ms + between(g, 0, 1000);
}

static void client_settings_draw(struct prng *g, struct our_producer *p, const struct producer_settings *ps,
                                 struct client_settings *s)
{
    struct config *c = config_new(&producer_settings);
    struct fail f = {0};
    int rc;

    rc = config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), str_of(p->bootstrap), &f);
    ASSERT(rc == 0);
    rc = client_settings_read(c, s, &f);
    ASSERT(rc == 0);
    config_free(c);
    s->bootstrap_servers = str_of(p->bootstrap);
    s->client_id = STR("ours");
    s->request_timeout_ms = ps->request_timeout_ms;
    s->in_flight_max = ps->max_in_flight;
    s->reconnect_backoff_ms = 10;
    s->reconnect_backoff_max_ms = between(g, 20, 200);
    s->retry_backoff_ms = between(g, 5, 50);
    s->retry_backoff_max_ms = 200;
    s->connection_setup_timeout_ms = between(g, 200, 800);
    s->connection_setup_timeout_max_ms = 800;
    s->metadata_max_age_ms = between(g, 300, 300000);
    s->metadata_max_idle_ms = ps->metadata_max_idle_ms;
}

static void acked(void *ctx, const struct producer_ack *a)
{
    struct our_producer *p = ctx;
    struct our_ack ack = {
        .topic = a->topic_name,
        .partition = a->partition,
        .count = a->count,
        .tags = p->tags,
        .base_offset = a->base_offset,
        .code = a->error.code,
        .definite = a->error.definite,
        .text = a->error.text,
    };

    ASSERT(a->count <= TAGS_MAX);
    for (int32_t i = 0; i < a->count; i++)
        p->tags[i] = producer_ack_tag(a, i);
    p->hooks.acked(p->ctx, &ack);
}

static void room(void *ctx)
{
    struct our_producer *p = ctx;

    p->hooks.room(p->ctx);
}

struct our_producer *our_producer_new(struct io *io, struct telemetry *t, const char *bootstrap, struct prng *g,
                                      bool storm, const struct our_hooks *hooks, void *ctx, struct our_plan *out)
{
    static const struct producer_hooks own = {.acked = acked, .room = room};
    struct our_producer *p = calloc(1, sizeof *p);
    struct producer_settings settings;
    struct client_settings client;
    struct fail f = {0};

    ASSERT(p != NULL);
    p->io = io;
    p->hooks = *hooks;
    p->ctx = ctx;
    p->bootstrap = bootstrap;
    draw_settings(g, &settings);
    if (storm)
        draw_storm(g, &settings);
    client_settings_draw(g, p, &settings, &client);
    p->client = client_new(io, t, &client, &f);
    ASSERT(p->client != NULL);
    p->producer = producer_new(io, p->client, &settings, &own, p, &f);
    ASSERT(p->producer != NULL);
    *out = (struct our_plan){
        .idempotent = settings.idempotence,
        .acks_all = settings.acks == -1,
        .delivery_timeout_ms = settings.delivery_timeout_ms,
        .patience_ms = settings.retries == 0 ? settings.request_timeout_ms : settings.delivery_timeout_ms,
    };
    return p;
}

int our_producer_append(struct our_producer *p, struct str topic, int32_t partition, struct bytes key,
                        struct bytes value, uint64_t tag)
{
    static const struct record_header header = {STR("sim"), {(const uint8_t *)"x", 1}};
    struct producer_record r = {
        .topic = producer_topic(p->producer, topic),
        .partition = partition,
        .key = key,
        .value = value,
        .headers = &header,
        .header_count = tag % 5 == 0 ? 1 : 0,
        .timestamp_ms = -1,
        .tag = tag,
    };

    return producer_append(p->producer, &r, io_now_ms(p->io), io_wall_ms(p->io));
}

void our_producer_flush(struct our_producer *p, struct op *op)
{
    producer_flush(p->producer, op);
}

static void client_closed(struct op *op, int64_t result)
{
    struct our_producer *p = container_of(op, struct our_producer, closed);
    struct op *waiter = p->waiter;
    int64_t said = p->result;

    ASSERT(result == 0);
    free(p);
    waiter->done(waiter, said);
}

static void producer_closed(struct op *op, int64_t result)
{
    struct our_producer *p = container_of(op, struct our_producer, closed);

    p->result = result;
    op_init(&p->closed, client_closed);
    client_close(p->client, &p->closed);
}

void our_producer_close(struct our_producer *p, int64_t timeout_ms, struct op *op)
{
    p->waiter = op;
    op_init(&p->closed, producer_closed);
    producer_close(p->producer, timeout_ms, &p->closed);
}
