/* client_ours.c - libmillrace's side of the work, through its public header. */
#include "client_work.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <millrace/client.h>

#define POLL_MS 200
#define CLOSE_MS 60000

static struct mr_settings *settings_of(const struct work *w)
{
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;

    if (s == NULL || mr_set(s, "bootstrap.servers", w->cluster, &e) < 0)
        die("bootstrap.servers: %s", s == NULL ? "out of memory" : e.text);
    for (int i = 0; i < w->setting_count; i++) {
        if (mr_set(s, w->settings[i].name, w->settings[i].value, &e) < 0)
            die("%s", e.text);
    }
    return s;
}

/* ---- producer ---------------------------------------------------------------------------------- */

struct sender {
    struct mr_producer *producer;
    struct mr_topic *topic;
    uint64_t put;
    _Atomic uint64_t acked; /* by the library's thread */
    void (*tell)(void *ctx, int32_t partition, int records);
    void *tell_ctx;
};

static void acked(void *ctx, const struct mr_ack *ack)
{
    struct sender *s = ctx;

    if (ack->error.code != MR_OK)
        die("%d records were not acknowledged: %s", ack->count, ack->error.text);
    atomic_fetch_add_explicit(&s->acked, (uint64_t)ack->count, memory_order_relaxed);
    if (s->tell != NULL)
        s->tell(s->tell_ctx, ack->partition, ack->count);
}

struct sender *sender_open(const struct work *w)
{
    struct mr_settings *settings = settings_of(w);
    struct sender *s = calloc(1, sizeof(*s));
    struct mr_producer_hooks hooks = {.ctx = s, .acked = acked};
    struct mr_error e;

    if (s == NULL)
        die("out of memory");
    s->tell = w->acked;
    s->tell_ctx = w->acked_ctx;
    s->producer = mr_producer_open(settings, &hooks, NULL, &e);
    if (s->producer == NULL)
        die("%s", e.text);
    s->topic = mr_producer_topic(s->producer, w->topic);
    mr_settings_free(settings);
    return s;
}

void sender_put(struct sender *s, int32_t partition, const void *value, size_t n)
{
    struct mr_error e;
    struct mr_record r = {
        .topic = s->topic,
        .partition = partition < 0 ? MR_ANY : partition,
        .key = MR_NULL,
        .value = mr_bytes(value, (int32_t)n),
        .timestamp_ms = MR_NOW,
    };

    if (mr_produce(s->producer, &r, -1, &e) < 0)
        die("%s", e.text);
    s->put++;
}

/* The library has a thread for them. */
void sender_wait(struct sender *s, int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    (void)s;
    nanosleep(&t, NULL);
}

void sender_flush(struct sender *s)
{
    struct mr_error e;

    if (mr_producer_flush(s->producer, -1, &e) < 0)
        die("%s", e.text);
    if (atomic_load(&s->acked) != s->put)
        die("%llu records were put and %llu acknowledged", (unsigned long long)s->put,
            (unsigned long long)atomic_load(&s->acked));
}

void sender_close(struct sender *s)
{
    struct mr_error e;

    if (mr_producer_close(s->producer, CLOSE_MS, &e) < 0)
        die("%s", e.text);
    free(s);
}

/* ---- consumer ---------------------------------------------------------------------------------- */

struct receiver {
    struct mr_consumer *consumer;
};

struct receiver *receiver_open(const struct work *w)
{
    struct mr_settings *settings = settings_of(w);
    struct receiver *r = calloc(1, sizeof(*r));
    struct mr_partition *all = calloc((size_t)w->partitions, sizeof(*all));
    struct mr_error e;

    if (r == NULL || all == NULL)
        die("out of memory");
    if (mr_set(settings, "auto.offset.reset", "earliest", &e) < 0)
        die("%s", e.text);
    for (int64_t i = 0; i < w->partitions; i++)
        all[i] = (struct mr_partition){w->topic, (int32_t)i};
    r->consumer = mr_consumer_open(settings, NULL, NULL, &e);
    if (r->consumer == NULL || mr_assign(r->consumer, all, (uint32_t)w->partitions, &e) < 0)
        die("%s", e.text);
    mr_settings_free(settings);
    free(all);
    return r;
}

void receiver_take(struct receiver *r, struct sum *sum)
{
    struct mr_chunk *k;
    struct mr_error e;
    struct mr_read record;
    uint64_t number;
    int rc = mr_poll(r->consumer, POLL_MS, &k, &e);

    if (rc < 0)
        die("%s", e.text);
    if (rc == 0)
        return;
    while ((rc = mr_chunk_next(k, &record, &e)) == 1) {
        memcpy(&number, record.value.p, NUMBER_BYTES);
        sum->numbers += number;
        sum->bytes += (uint64_t)record.value.n;
        sum->records++;
    }
    if (rc < 0)
        die("%s", e.text);
    mr_chunk_release(k, MR_DONE_ALL);
}

void receiver_close(struct receiver *r)
{
    struct mr_error e;

    if (mr_consumer_close(r->consumer, CLOSE_MS, &e) < 0)
        die("%s", e.text);
    free(r);
}
