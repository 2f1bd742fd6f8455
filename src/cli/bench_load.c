/* `millrace bench`: records made, acknowledged and read. */
#include "cli/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S INT64_C(1000000000)
#define STALLED_S 30 /* nothing comes any more of what was acknowledged */

/* ---- what came -------------------------------------------------------------------------------- */

/* From when on a record that was due counts. */
static int64_t counts_from_ns(const struct bench *x)
{
    return x->feed.begin_ns + (x->warmup > 0 ? x->warmup * NS_PER_S : 0);
}

static void note(struct bench *x, struct bench_end *e, int64_t due_ns, int64_t now_ns, int64_t bytes)
{
    if (due_ns < counts_from_ns(x))
        return;
    latency_add(&e->latency, (now_ns - due_ns) / 1000);
    e->begin_ns = counts_from_ns(x);
    e->last_ns = now_ns;
    e->records++;
    e->bytes += (uint64_t)bytes;
}

/* ---- producing ---------------------------------------------------------------------------------- */

static void make(struct feed *f, uint64_t n, int64_t due_ns, struct producer_record *out)
{
    struct bench *x = container_of(f, struct bench, feed);

    letters_fill(&x->random, x->value + 16, (size_t)x->size - 16);
    put_u64(x->value, x->run);
    put_u64(x->value + 8, (uint64_t)due_ns);
    out->value = (struct bytes){x->value, (int32_t)x->size};
    out->tag = (uint64_t)due_ns;
}

static void note_error(struct bench *x, struct str words)
{
    if (x->first_error[0] == '\0')
        snprintf(x->first_error, sizeof(x->first_error), "%.*s", STR_ARG(words));
}

static void acked(struct feed *f, const struct producer_ack *ack)
{
    struct bench *x = container_of(f, struct bench, feed);
    int64_t now_ns = io_now_ns(f->io);

    x->last_ns = now_ns;
    if (ack->error.code != KERR_NONE) {
        note_error(x, ack->error.text);
        return;
    }
    if (x->mode == BENCH_CONSUME) /* they are for the reading that comes */
        return;
    for (int32_t i = 0; i < ack->count; i++)
        note(x, &x->acknowledged, (int64_t)producer_ack_tag(ack, i), now_ns, x->size);
}

static void refused(struct feed *f, const struct producer_record *r, int error)
{
    struct bench *x = container_of(f, struct bench, feed);

    note_error(x, str_of(error_text(error)));
    feed_stop(f); /* all are as large */
}

static void time_is_up(struct io_timer *timer)
{
    feed_stop(&container_of(timer, struct bench, stop)->feed);
}

void bench_feed_run(struct bench *x, uint64_t limit, struct op *op)
{
    struct feed *f = &x->feed;

    f->topic = x->topic;
    f->limit = limit;
    f->rate = x->rate > 0 ? (double)x->rate : 0;
    f->in_flight_max = x->rate > 0 ? 0 : (uint64_t)x->in_flight;
    f->make = make;
    f->acked = acked;
    f->refused = refused;
    x->last_ns = io_now_ns(x->tool.io);
    if (x->mode != BENCH_CONSUME && x->seconds > 0)
        io_timer_set(x->tool.io, &x->stop, x->last_ns + ((x->warmup > 0 ? x->warmup : 0) + x->seconds) * NS_PER_S,
                     time_is_up);
    feed_run(f, op);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void wake(struct bench *x)
{
    struct op *waiter = x->waiter;

    x->waiter = NULL;
    if (waiter != NULL)
        io_complete(x->tool.io, waiter, 0);
}

void bench_wait(struct bench *x, struct op *op)
{
    x->waiter = op;
    if (x->drain_over || (x->ready && !x->fed && x->mode == BENCH_BOTH))
        wake(x);
}

static void drained(struct op *op, int64_t result)
{
    struct bench *x = container_of(op, struct bench, drained);

    x->drain_over = true;
    x->drain_result = result;
    feed_stop(&x->feed);
    wake(x);
}

/* Where all partitions are read from is known. */
static bool positions_known(struct bench *x)
{
    struct consumer_place place;

    for (int64_t i = 0; i < x->partitions; i++) {
        if (consumer_place(x->drain.consumer, x->parts[i], &place) < 0 || place.position < 0)
            return false;
        if (x->ends[i] < 0)
            x->ends[i] = place.high_watermark;
    }
    return true;
}

/* All that was there when the reading began was read. */
static bool is_at_end(struct bench *x)
{
    struct consumer_place place;

    for (int64_t i = 0; i < x->partitions; i++) {
        if (x->ends[i] < 0 || consumer_place(x->drain.consumer, x->parts[i], &place) < 0 || place.position < x->ends[i])
            return false;
    }
    return true;
}

/* Is the reading at its end? */
static void look(struct bench *x)
{
    if (x->mode == BENCH_CONSUME ? is_at_end(x) : x->fed && x->received >= x->feed.acknowledged)
        drain_end(&x->drain, 0);
}

void bench_fed(struct bench *x)
{
    x->fed = true;
    io_timer_clear(&x->stop);
    if (x->mode == BENCH_BOTH)
        look(x);
}

static void tick(struct drain *d)
{
    struct bench *x = container_of(d, struct bench, drain);

    if (positions_known(x) && !x->ready) {
        x->ready = true;
        wake(x);
    }
    look(x);
    if ((x->fed || x->mode == BENCH_CONSUME) && io_now_ns(d->io) - x->last_ns > STALLED_S * NS_PER_S) {
        fail_set(&x->tool.fail, -ETIMEDOUT, "nothing has come for %d s: %llu records were read, %llu acknowledged",
                 STALLED_S, (unsigned long long)(x->mode == BENCH_BOTH ? x->received : x->arrived.records),
                 (unsigned long long)x->feed.acknowledged);
        drain_end(d, -ETIMEDOUT);
    }
}

/* One record that was read. false: no more are wanted. */
static bool arrive(struct bench *x, const struct record *r, int64_t now_ns)
{
    if (x->mode == BENCH_BOTH) {
        if (r->value.n != (int32_t)x->size || get_u64(r->value.p) != x->run)
            return true; /* somebody else's */
        x->received++;
        note(x, &x->arrived, get_i64(r->value.p + 8), now_ns, r->value.n);
        return true;
    }
    x->arrived.records++;
    x->arrived.bytes += r->value.n > 0 ? (uint64_t)r->value.n : 0;
    x->arrived.last_ns = now_ns;
    return x->records < 0 || x->arrived.records < (uint64_t)x->records;
}

static int64_t take(struct drain *d, struct consumer_chunk *k)
{
    struct bench *x = container_of(d, struct bench, drain);
    int64_t now_ns = io_now_ns(d->io);
    bool more = true;
    struct record r;
    int rc = 0;

    x->last_ns = now_ns;
    while (more && (rc = consumer_chunk_next(k, &r)) > 0)
        more = arrive(x, &r, now_ns);
    if (rc < 0) {
        fail_set(&x->tool.fail, rc, "%.*s-%d at offset %lld: %s", STR_ARG(k->topic), k->partition, (long long)r.offset,
                 error_text(rc));
        drain_end(d, rc);
    }
    if (!more)
        drain_end(d, 0);
    else if (x->mode == BENCH_BOTH)
        look(x);
    return k->next;
}

void bench_drain_begin(struct bench *x)
{
    x->drain.take = take;
    x->drain.tick = tick;
    x->last_ns = x->arrived.begin_ns = io_now_ns(x->tool.io);
    op_init(&x->drained, drained);
    drain_run(&x->drain, &x->drained);
}

/* ---- life --------------------------------------------------------------------------------------------- */

static int open_reader(struct bench *x)
{
    struct tool *t = &x->tool;

    TRY(drain_open(&x->drain, t, x->consumer_config));
    x->parts = arena_take_array(&t->arena, (size_t)x->partitions, sizeof(*x->parts));
    x->ends = arena_take_array(&t->arena, (size_t)x->partitions, sizeof(*x->ends));
    ASSERT(x->parts != NULL && x->ends != NULL);
    for (int64_t i = 0; i < x->partitions; i++) {
        x->parts[i] = (struct consumer_partition){.topic = x->topic, .partition = (int32_t)i};
        x->ends[i] = -1;
    }
    TRY(consumer_assign(x->drain.consumer, x->parts, (uint32_t)x->partitions, &t->fail));
    for (int64_t i = 0; i < x->partitions; i++) {
        int64_t where = x->mode == BENCH_BOTH ? CONSUMER_END : CONSUMER_BEGINNING;
        if (consumer_seek(x->drain.consumer, x->parts[i], where, -1) < 0)
            return fail_set(&t->fail, -ENOENT, "partition %lld of %.*s is not there", (long long)i, STR_ARG(x->topic));
    }
    return 0;
}

int bench_open(struct bench *x)
{
    struct tool *t = &x->tool;

    latency_init(&x->acknowledged.latency, t->telemetry, "acknowledged");
    latency_init(&x->arrived.latency, t->telemetry, "received");
    x->value = malloc((size_t)x->size);
    ASSERT(x->value != NULL);
    x->run = prng_u64(io_prng(t->io));
    prng_init(&x->random, x->run);
    if (x->mode != BENCH_CONSUME || x->made)
        TRY(feed_open(&x->feed, t, x->producer_config));
    return x->mode == BENCH_PRODUCE ? 0 : open_reader(x);
}

void bench_interrupted(struct cli *c)
{
    struct bench *x = c->tool;

    x->interrupted = true;
    feed_stop(&x->feed);
    if (x->mode == BENCH_CONSUME || !x->ready)
        drain_end(&x->drain, 0);
}

void bench_end(struct tool *t)
{
    struct bench *x = container_of(t, struct bench, tool);

    io_timer_clear(&x->stop);
    io_timer_clear(&x->progress);
    config_free(x->producer_config);
    config_free(x->consumer_config);
    free(x->value);
}
