/* A writer: has records written by our own producer (room producer), and holds it to what that promises.
 *
 *   every record is told of once, in the order of its partition, by its deadline; well, or definitely not there, or in
 *   doubt. What was refused for good must be nowhere, what was acknowledged must be at its offset (truth.h).
 */
#include <stdlib.h>

#include "clients.h"
#include "ours.h"

#define LATE_MS 100 /* that a turn may come late */
#define CLOSE_MS 2000
#define PATIENCE_MS 1000 /* in which all records of a cluster in which nothing is wrong are acknowledged */

/* One record. Its number is that of its history. */
struct written {
    struct part *part;
    int64_t at_ns, told_ns; /* when it was written; told of, 0 where it was refused or is open */
    bool told;
};

struct writer {
    struct client client;
    struct our_producer *ours;
    struct our_plan plan;
    struct flow flow;
    struct op flushed;
    uint32_t number;
    uint32_t burst_max, bytes_max;
    uint64_t pause_ms_max;
    struct written *records;
    uint32_t count, capacity;
    uint32_t open;        /* records that were not told of */
    bool said[TOPICS_MAX][PARTITIONS_MAX];
    bool full, flushing, last_words, said_all;
    int64_t closing_ns;
};

struct client *writer_client(struct writer *w) { return &w->client; }

/* ---- records -------------------------------------------------------------------------------------------- */

static void remember(struct writer *w, uint32_t n, struct part *part)
{
    if (n >= w->capacity) {
        w->capacity = w->capacity * 2 + 256;
        w->records = realloc(w->records, w->capacity * sizeof *w->records);
        ASSERT(w->records != NULL);
    }
    w->records[n] = (struct written){.part = part, .at_ns = world_now_ns(w->client.world)};
    w->count = n + 1;
    w->open++;
}

/* false: it was not taken. */
static bool write_one(struct writer *w, struct part *part)
{
    struct truth *t = w->client.world->truth;
    uint32_t n = truth_sends(t, w->number, part);
    uint32_t bytes = record_bytes(w->number, n, w->bytes_max);
    struct bytes key = n % 3 == 0 ? BYTES_NULL : bytes_of_str(STR("key"));
    uint8_t value[RECORD_BYTES_MAX];
    char name[16];
    int rc;

    if (part->topic->compacted)
        key = (struct bytes){(const uint8_t *)name, snprintf(name, sizeof name, "%u", record_key(w->number, n))};
    record_fill(w->number, n, bytes, value);
    rc = our_producer_append(w->ours, str_of(part->topic->name), part->partition, key,
                             (struct bytes){value, (int32_t)bytes}, (uint64_t)n + 1);
    remember(w, n, part);
    if (rc == 0)
        return true;
    w->open--;
    w->records[n].told = true;
    truth_never(t, w->number, n, 1);
    w->full = w->full || rc == -EAGAIN;
    if (rc != -EAGAIN && rc != -ERANGE)
        broken(w->client.world, "%s: a record was refused: %s", w->client.name, error_text(rc));
    return false;
}

static void room(void *ctx)
{
    struct writer *w = ctx;

    w->full = false;
}

/* ---- what it is told -------------------------------------------------------------------------------------- */

static void check_deadline(struct writer *w, uint32_t n)
{
    int64_t took_ns = world_now_ns(w->client.world) - w->records[n].at_ns;

    if (took_ns > (w->plan.delivery_timeout_ms + LATE_MS) * 1000000)
        broken(w->client.world, "%s: record %u was told of after %" PRId64 " ms, its limit is %" PRId64 " ms",
               w->client.name, n, took_ns / 1000000, w->plan.delivery_timeout_ms);
}

/* P1: each once, in order: all records of the partition before it were told of. */
static void check_order(struct writer *w, uint32_t n)
{
    const struct part *part = w->records[n].part;

    if (w->records[n].told)
        broken(w->client.world, "%s: record %u was told of twice", w->client.name, n);
    for (uint32_t i = n; i-- > 0 && n - i < 200;) {
        if (w->records[i].part == part && !w->records[i].told)
            broken(w->client.world, "%s: record %u was told of before record %u of the same partition", w->client.name,
                   n, i);
    }
}

/* Since when the first record of the batch has not waited behind another one of its partition. */
static int64_t first_in_line_ns(const struct writer *w, const struct our_ack *a)
{
    uint32_t n = (uint32_t)a->tags[0] - 1;
    const struct written *r = &w->records[n];

    for (uint32_t i = n; i-- > 0 && n - i < 200;) {
        if (w->records[i].part == r->part && w->records[i].told_ns > 0)
            return w->records[i].told_ns > r->at_ns ? w->records[i].told_ns : r->at_ns;
    }
    return r->at_ns;
}

/* What is a cluster's own way, though nothing is wrong: who never tries again asks whoever led when it last looked at
 * metadata. And where connections are slow, a record that waits for the one before it crosses a dozen of them, of 60 ms
 * each: to the leader, from and to its followers twice, and back. A small batch behind many may then spend its whole
 * limit in line. */
static bool is_excused(const struct writer *w, const struct our_ack *a)
{
    int16_t code = a->code;

    if (!world_is_cluster(w->client.world))
        return false;
    if (code == KERR_NOT_LEADER_OR_FOLLOWER)
        return !w->plan.idempotent;
    if (code == KERR_REQUEST_TIMED_OUT &&
        world_now_ns(w->client.world) - first_in_line_ns(w, a) < PATIENCE_MS * INT64_C(1000000))
        return true;
    return (code == KERR_REQUEST_TIMED_OUT || code == KERR_NETWORK_EXCEPTION) && w->plan.patience_ms < PATIENCE_MS;
}

/* Nothing has been wrong since before the first record of its batch was written: the batch has one limit for all. */
static bool must_go_well(const struct writer *w, const struct our_ack *a)
{
    const struct world *world = w->client.world;
    const struct written *r = &w->records[a->tags[0] - 1];

    return world_is_calm(world) && world->steady_ns > 0 && r->at_ns >= world->steady_ns && w->closing_ns == 0 &&
           r->part->topic->state == TOPIC_LIVES;
}

/* With acks=1 a leader that is lost may take the record along, where there are other replicas. */
static bool is_promise(const struct writer *w)
{
    return w->plan.acks_all || w->client.world->plan.replicas == 1;
}

static void told_of(struct writer *w, const struct our_ack *a, int32_t i)
{
    struct truth *t = w->client.world->truth;
    uint32_t n = (uint32_t)a->tags[i] - 1;
    struct written *r = &w->records[n];

    if (n >= w->count)
        broken(w->client.world, "%s: told of record %u, which was never written", w->client.name, n);
    check_deadline(w, n);
    check_order(w, n);
    r->told = true;
    r->told_ns = world_now_ns(w->client.world);
    w->open--;
    if (a->code == 0) {
        truth_told(r->part, a->base_offset + i);
        if (r->part->topic->state == TOPIC_LIVES && is_promise(w))
            truth_acked(t, w->number, n, 1, a->base_offset + i, 0);
        return;
    }
    if (must_go_well(w, a) && !is_excused(w, a))
        broken(w->client.world, "%s: %.*s, although nothing is wrong", w->client.name, STR_ARG(a->text));
    if (a->definite)
        truth_never(t, w->number, n, 1);
}

static void acked(void *ctx, const struct our_ack *a)
{
    struct writer *w = ctx;

    note(w->client.world, "%s: %.*s-%d: %d records from %" PRIu64 " -> %s at %" PRId64 " %.*s", w->client.name,
         STR_ARG(a->topic), a->partition, a->count, a->tags[0] - 1, kerr_name(a->code), a->base_offset,
         STR_ARG(a->text));
    for (int32_t i = 0; i < a->count; i++)
        told_of(w, a, i);
}

/* ---- its life ----------------------------------------------------------------------------------------------- */

static struct part *draw_part(struct writer *w)
{
    struct truth *t = w->client.world->truth;
    struct topic *topic;

    if (t->topic_count == 0)
        return NULL;
    topic = t->topics[client_below(&w->client, t->topic_count)];
    if (topic->state != TOPIC_LIVES || topic->partition_count == 0)
        return NULL;
    return &topic->parts[client_below(&w->client, (uint64_t)topic->partition_count)];
}

static void write_some(struct writer *w)
{
    uint64_t burst = client_below(&w->client, w->burst_max + 1);
    struct part *part = NULL;

    while (burst-- > 0 && !w->full) {
        if (part == NULL || client_below(&w->client, 3) == 0)
            part = draw_part(w);
        if (part != NULL && !write_one(w, part))
            return;
    }
}

/* One record more to each partition that stays; then quiet. */
static void say_last_words(struct writer *w)
{
    struct truth *t = w->client.world->truth;
    bool all = true;

    for (uint32_t i = 0; i < t->topic_count; i++) {
        struct topic *topic = t->topics[i];
        for (int32_t p = 0; topic->lasting && p < topic->partition_count; p++) {
            if (!w->said[i][p])
                w->said[i][p] = !w->full && write_one(w, &topic->parts[p]);
            all = all && w->said[i][p];
        }
    }
    w->said_all = all && w->open == 0;
}

static void flush_done(struct op *op, int64_t result)
{
    struct writer *w = container_of(op, struct writer, flushed);

    ASSERT(result == 0);
    w->flushing = false;
}

static void maybe_flush(struct writer *w)
{
    if (w->flushing || client_below(&w->client, 10) != 0)
        return;
    w->flushing = true;
    op_init(&w->flushed, flush_done);
    our_producer_flush(w->ours, &w->flushed);
}

static void begin_close(struct writer *w)
{
    w->closing_ns = world_now_ns(w->client.world);
    our_producer_close(w->ours, CLOSE_MS, &w->flow.op);
}

static void check_end(struct writer *w)
{
    int64_t took_ns = world_now_ns(w->client.world) - w->closing_ns;

    if (took_ns > (CLOSE_MS + 1000) * INT64_C(1000000))
        broken(w->client.world, "%s: a close of %d ms took %" PRId64 " ms", w->client.name, CLOSE_MS,
               took_ns / 1000000);
    if (w->open > 0 || w->flushing)
        broken(w->client.world, "%s: closed, but %u records were never told of", w->client.name, w->open);
}

/* In the end a partition that moves is to catch up with who writes to it. */
static int64_t pause_ns(struct writer *w)
{
    return client_ms(&w->client, 1, w->pause_ms_max) * (w->client.world->calm_ns != 0 && !w->last_words ? 8 : 1);
}

static void writer_run(struct flow *f)
{
    struct writer *w = container_of(f, struct writer, flow);

    FLOW_BEGIN(f);
    while (!w->client.stop) {
        if (w->last_words)
            say_last_words(w);
        else
            write_some(w);
        maybe_flush(w);
        FLOW_WAIT(f, "pause", client_sleep(&w->client, pause_ns(w), &f->op));
    }
    FLOW_WAIT(f, "close", begin_close(w));
    FLOW_END(f);
    check_end(w);
    w->client.stopped = true;
}

/* Few and small, but soon and always. */
static void draw_storm(struct writer *w)
{
    w->burst_max = 1 + (uint32_t)client_below(&w->client, 3);
    w->bytes_max = RECORD_BYTES_MIN + (uint32_t)client_below(&w->client, 200);
    w->pause_ms_max = 2 + client_below(&w->client, 8);
}

struct writer *writer_new(struct world *world, uint32_t number)
{
    static const struct our_hooks hooks = {acked, room};
    struct writer *w = calloc(1, sizeof *w);
    struct client *c;
    char name[16];

    ASSERT(w != NULL);
    c = &w->client;
    snprintf(name, sizeof name, "writer-%u", number);
    client_init(c, world, name, true);
    w->number = number;
    w->burst_max = 1 + (uint32_t)client_below(c, client_below(c, 3) == 0 ? 60 : 8);
    w->bytes_max = RECORD_BYTES_MIN + (uint32_t)client_below(c, RECORD_BYTES_MAX - RECORD_BYTES_MIN + 1);
    w->pause_ms_max = 4 + client_below(c, 60);
    if (world->plan.storm)
        draw_storm(w);
    w->ours = our_producer_new(c->io, c->telemetry, world->bootstrap, &c->prng, world->plan.storm, &hooks, w,
                               &w->plan);
    world->truth->histories[number].idempotent = w->plan.idempotent;
    return w;
}

void writer_begin(struct writer *w)
{
    flow_start(&w->flow, writer_run, NULL);
}

void writer_free(struct writer *w)
{
    if (w == NULL)
        return;
    free(w->records);
    client_deinit(&w->client);
    free(w);
}

void writer_last_words(struct writer *w)
{
    w->last_words = true;
}

bool writer_has_said_all(const struct writer *w)
{
    return w->said_all;
}
