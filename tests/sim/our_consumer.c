/* Our own consumer and its settings. */
#include "our_consumer.h"

#include <stdio.h>
#include <stdlib.h>

#include "consumer/consumer.h"

struct our_consumer {
    struct consumer *consumer;
    struct our_hooks_of_consumer hooks;
    struct consumer_call call;
    struct op *waiter;
    struct str topics[8];
    char names[8][16];
    uint32_t topic_count;
};

static int64_t between(struct prng *g, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(g, (uint64_t)(high - low + 1));
}

static void draw_client(struct prng *g, struct client_settings *s)
{
    s->client_id = STR("ours");
    s->client_rack = STR_NULL;
    s->request_timeout_ms = between(g, 300, 1000);
    s->reconnect_backoff_ms = 10;
    s->reconnect_backoff_max_ms = between(g, 20, 200);
    s->retry_backoff_ms = between(g, 5, 50);
    s->retry_backoff_max_ms = 200;
    s->connection_setup_timeout_ms = between(g, 200, 800);
    s->connection_setup_timeout_max_ms = 800;
    s->connections_max_idle_ms = 540000;
    s->metadata_max_age_ms = between(g, 100, 2000);
    s->metadata_max_idle_ms = 300000;
    s->rebootstrap = true;
    s->rebootstrap_trigger_ms = 300000;
    s->frame_bytes_max = 16 << 20;
    s->in_flight_max = 100;
}

static void draw_assignors(const struct our_consumer_plan *plan, struct consumer_settings *s)
{
    static const struct str all[] = {STR("range"), STR("cooperative-sticky"), STR("sticky"), STR("roundrobin")};

    s->assignors[0] = plan->alone ? all[plan->group_draw % 4] : STR("range");
    s->assignor_count = 1;
}

static void draw(struct prng *g, const struct our_consumer_plan *plan, struct consumer_settings *s)
{
    *s = (struct consumer_settings){
        .group_id = str_of(plan->group),
        .group_instance_id = STR_NULL,
        .session_timeout_ms = plan->session_ms,
        .heartbeat_interval_ms = plan->session_ms / 5,
        .max_poll_interval_ms = (int32_t)between(g, 300, 1500),
        .enable_auto_commit = prng_below(g, 2) == 0,
        .auto_commit_interval_ms = (int32_t)between(g, 20, 300),
        .auto_offset_reset = CONSUMER_RESET_EARLIEST,
        .fetch_min_bytes = 1,
        .fetch_max_bytes = (int32_t)between(g, 1000, 1 << 20),
        .fetch_max_wait_ms = (int32_t)between(g, 5, 100),
        .max_partition_fetch_bytes = (int32_t)between(g, 100, 1 << 16),
        .default_api_timeout_ms = between(g, 500, 3000),
        .check_crcs = true,
        .buffer_bytes = between(g, 100000, 2 << 20),
        .max_poll_records = (int32_t)(1 + plan->group_draw % 40), /* some batches come in parts */
        .plain_bytes_max = 16 << 20,
        .rebalance_wait = true,
    };
    draw_client(g, &s->client);
    draw_assignors(plan, s);
}

static void on_event(void *ctx, const struct consumer_event *e)
{
    struct our_consumer *c = ctx;
    static const enum our_event events[] = {OUR_REVOKED, OUR_ASSIGNED, OUR_LOST, OUR_FAILED, OUR_FAILED};

    if (e->kind == CONSUMER_PARTITION_ERROR && e->error.advice == CONSUMER_WAIT)
        return;
    for (uint32_t i = 0; i < e->count; i++)
        c->hooks.event(c->hooks.ctx, events[e->kind], e->partitions[i].topic, e->partitions[i].partition, 0,
                       e->error.text);
    if (e->consent != 0 || e->kind == CONSUMER_GROUP_ERROR)
        c->hooks.event(c->hooks.ctx, events[e->kind], STR(""), -1, e->consent, e->error.text);
}

static void on_ready(void *ctx) {}

struct our_consumer *our_consumer_new(struct io *io, struct telemetry *t, const char *bootstrap, struct prng *g,
                                      const struct our_consumer_plan *plan, const struct our_hooks_of_consumer *hooks)
{
    struct our_consumer *c = calloc(1, sizeof *c);
    struct consumer_settings s;
    struct fail f = {0};
    struct consumer_hooks own = {.event = on_event, .ready = on_ready, .ctx = c};

    ASSERT(c != NULL && plan->topic_count <= array_count(c->topics));
    draw(g, plan, &s);
    s.client.bootstrap_servers = str_of(bootstrap);
    c->hooks = *hooks;
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        snprintf(c->names[i], sizeof c->names[i], "%.*s", STR_ARG(plan->topics[i]));
        c->topics[i] = str_of(c->names[i]);
    }
    c->topic_count = plan->topic_count;
    c->consumer = consumer_new(io, t, &s, &own, &f);
    ASSERT(c->consumer != NULL);
    our_consumer_subscribe(c);
    return c;
}

static void closed(struct op *op, int64_t result)
{
    struct our_consumer *c = container_of(op, struct our_consumer, call.op);
    struct op *waiter = c->waiter;

    free(c);
    waiter->done(waiter, result);
}

void our_consumer_close(struct our_consumer *c, int64_t timeout_ms, struct op *op)
{
    c->waiter = op;
    op_init(&c->call.op, closed);
    consumer_close(c->consumer, timeout_ms, &c->call.op);
}

void our_consumer_polled(struct our_consumer *c) { consumer_polled(c->consumer); }
void our_consumer_consent(struct our_consumer *c, uint64_t consent) { consumer_consent(c->consumer, consent); }
void our_consumer_unsubscribe(struct our_consumer *c) { consumer_unsubscribe(c->consumer); }

void our_consumer_subscribe(struct our_consumer *c)
{
    int rc = consumer_subscribe(c->consumer, c->topics, c->topic_count, NULL);

    ASSERT(rc == 0);
}

int32_t our_consumer_generation(const struct our_consumer *c, char *member, size_t n)
{
    struct consumer_group_metadata m;

    consumer_group_metadata(c->consumer, &m);
    snprintf(member, n, "%.*s", STR_ARG(m.member_id));
    return m.generation;
}

static struct consumer_partition id_of(struct str topic, int32_t partition)
{
    return (struct consumer_partition){topic, partition};
}

int our_consumer_seek(struct our_consumer *c, struct str topic, int32_t partition, int64_t offset)
{
    return consumer_seek(c->consumer, id_of(topic, partition), offset, -1);
}

int our_consumer_pause(struct our_consumer *c, struct str topic, int32_t partition, bool paused)
{
    return paused ? consumer_pause(c->consumer, id_of(topic, partition))
                  : consumer_resume(c->consumer, id_of(topic, partition));
}

bool our_consumer_place(const struct our_consumer *c, struct str topic, int32_t partition, int64_t *position,
                        int64_t *done, int64_t *committed)
{
    struct consumer_place place;

    if (consumer_place(c->consumer, id_of(topic, partition), &place) < 0)
        return false;
    *position = place.position;
    *done = place.done;
    *committed = place.committed;
    return true;
}

/* ---- records ---------------------------------------------------------------------------------------- */

struct our_chunk *our_chunk_take(struct our_consumer *c, struct str *topic, int32_t *partition, int64_t *first,
                                 int64_t *next)
{
    struct consumer_chunk *k = consumer_take(c->consumer);

    if (k == NULL)
        return NULL;
    *topic = k->topic;
    *partition = k->partition;
    *first = k->first;
    *next = k->next;
    return (struct our_chunk *)k;
}

int our_chunk_next(struct our_chunk *k, struct record *out)
{
    return consumer_chunk_next((struct consumer_chunk *)k, out);
}

void our_chunk_release(struct our_chunk *k, int64_t done_to)
{
    consumer_chunk_release((struct consumer_chunk *)k, done_to);
}

static void committed(struct op *op, int64_t result)
{
    struct our_consumer *c = container_of(op, struct our_consumer, call.op);
    struct op *waiter = c->waiter;

    waiter->done(waiter, result);
}

void our_consumer_commit(struct our_consumer *c, int64_t timeout_ms, struct op *op)
{
    c->waiter = op;
    c->call = (struct consumer_call){.timeout_ms = timeout_ms};
    op_init(&c->call.op, committed);
    consumer_commit(c->consumer, &c->call);
}
