/* rdkafka_load.c - produce through librdkafka, as an application does, and print figures as JSON.
 *
 * Its options are those of bench_load that say where, what, how often and how long: --port, --topic
 * (which exists), --partitions, --acks, --record-bytes, --batch-bytes, --rate, --warmup, --seconds.
 * Every record must be delivered, and the offsets of a partition must have no gap: nobody else may
 * write to the topic.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#define FLUSH_MS 30000
#define POLL_EVERY 64 /* records, in the closed loop */
#define LINGER_MS "5" /* librdkafka's own default; none with a rate, whose latency is looked at */
#define QUEUE_RECORDS "500000"

struct run {
    struct plan plan;
    struct histogram latency;
    int64_t next[PARTITIONS_MAX]; /* offset that the next report must have; -1 = any */
    int64_t from_ns, to_ns;       /* of the measurement */
    uint64_t sent, delivered, delivered_before; /* ... in its time */
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    uint8_t *value;
};

static void reported(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    struct run *run = opaque;
    int64_t intended_ns = (int64_t)(intptr_t)m->_private, now_ns = clock_ns();

    if (m->err)
        die("a record was not delivered: %s", rd_kafka_err2str(m->err));
    if (m->partition < 0 || m->partition >= run->plan.partitions)
        die("a record went to partition %d", m->partition);
    int64_t *next = &run->next[m->partition];
    if (*next >= 0 && m->offset != *next)
        die("partition %d: offset %" PRId64 " was reported, not %" PRId64, m->partition, m->offset,
            *next);
    *next = m->offset + 1;
    run->delivered++;
    if (now_ns < run->from_ns)
        run->delivered_before = run->delivered;
    if (intended_ns >= run->from_ns && intended_ns < run->to_ns)
        histogram_add(&run->latency, now_ns - intended_ns);
}

static void configure(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[256];

    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("librdkafka: %s", why);
}

static void configure_number(rd_kafka_conf_t *conf, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    configure(conf, key, text);
}

static void run_init(struct run *run)
{
    const struct plan *plan = &run->plan;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct prng random;
    char text[256];

    snprintf(text, sizeof(text), "%s:%" PRId64, plan->host, plan->port);
    configure(conf, "bootstrap.servers", text);
    configure(conf, "linger.ms", plan->rate > 0 ? "0" : LINGER_MS);
    configure(conf, "queue.buffering.max.messages", QUEUE_RECORDS);
    configure_number(conf, "acks", plan->acks);
    if (plan->batch_bytes > 0)
        configure_number(conf, "batch.size", plan->batch_bytes);
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set_opaque(conf, run);
    run->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (run->client == NULL)
        die("librdkafka: %s", text);
    run->topic = rd_kafka_topic_new(run->client, plan->topic, NULL);
    run->value = malloc((size_t)plan->record_bytes + 8);
    if (run->topic == NULL || run->value == NULL)
        die("no topic, or out of memory");
    prng_init(&random, 1);
    for (int64_t i = 0; i < plan->record_bytes; i += 8)
        put_u64(run->value + i, prng_u64(&random));
    for (int i = 0; i < PARTITIONS_MAX; i++)
        run->next[i] = -1;
}

/* The value is sent from where it lies: all records have the same. */
static void send_one(struct run *run, int64_t intended_ns)
{
    while (rd_kafka_produce(run->topic, RD_KAFKA_PARTITION_UA, 0, run->value,
                            (size_t)run->plan.record_bytes, NULL, 0,
                            (void *)(intptr_t)intended_ns) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(run->client, 1);
    }
    run->sent++;
}

static void send_all(struct run *run)
{
    int64_t interval_ns = run->plan.rate > 0 ? 1000000000 / run->plan.rate : 0;
    int64_t due_ns = clock_ns(), now_ns;

    while ((now_ns = clock_ns()) < run->to_ns) {
        if (interval_ns == 0) {
            send_one(run, now_ns);
            if (run->sent % POLL_EVERY == 0)
                rd_kafka_poll(run->client, 0);
            continue;
        }
        for (; due_ns <= now_ns; due_ns += interval_ns)
            send_one(run, due_ns);
        rd_kafka_poll(run->client, 0);
        int64_t left_ns = due_ns - clock_ns();
        if (left_ns > 1000000)
            rd_kafka_poll(run->client, (int)(left_ns / 1000000));
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    const struct histogram *h = &run.latency;

    plan_parse(argc, argv, &run.plan);
    run_init(&run);
    run.from_ns = clock_ns() + run.plan.warmup_ns;
    run.to_ns = run.from_ns + run.plan.measure_ns;
    send_all(&run);
    uint64_t delivered = run.delivered - run.delivered_before;
    double seconds = (double)(clock_ns() - run.from_ns) / 1e9;
    if (rd_kafka_flush(run.client, FLUSH_MS) != 0 || run.delivered != run.sent)
        die("%" PRIu64 " records were sent and %" PRIu64 " delivered", run.sent, run.delivered);
    printf("{\"seconds\": %.6f, \"records\": %" PRIu64 ", \"records_whole\": %" PRIu64
           ", \"latency_us\": {\"count\": %" PRIu64 ", \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f"
           ", \"longest\": %.1f}}\n",
           seconds, delivered, run.sent, h->total, (double)histogram_quantile(h, 0.5) / 1e3,
           (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
           (double)h->longest_ns / 1e3);
    rd_kafka_topic_destroy(run.topic);
    rd_kafka_destroy(run.client);
    free(run.value);
    return 0;
}
