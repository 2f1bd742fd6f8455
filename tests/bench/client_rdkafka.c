/* client_rdkafka.c - librdkafka's side of the work: its calls for many records where it has such. */
#include "client_work.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 200
#define FLUSH_MS 600000
#define POLL_EVERY 64 /* records put; delivery reports are told of inside rd_kafka_poll */
#define TAKE_MAX 1000 /* messages at once */

static void configure(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("%s", why);
}

static rd_kafka_conf_t *conf_of(const struct work *w)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    configure(conf, "bootstrap.servers", w->cluster);
    for (int i = 0; i < w->setting_count; i++)
        configure(conf, w->settings[i].name, w->settings[i].value);
    return conf;
}

/* ---- producer ---------------------------------------------------------------------------------- */

struct sender {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    uint64_t put, delivered;
    void (*tell)(void *ctx, int32_t partition, int records);
    void *tell_ctx;
};

static void reported(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    if (m->err)
        die("a record was not delivered: %s", rd_kafka_err2str(m->err));
    struct sender *s = opaque;
    s->delivered++;
    if (s->tell != NULL)
        s->tell(s->tell_ctx, m->partition, 1);
}

struct sender *sender_open(const struct work *w)
{
    rd_kafka_conf_t *conf = conf_of(w);
    struct sender *s = calloc(1, sizeof(*s));
    char why[256];

    if (s == NULL)
        die("out of memory");
    s->tell = w->acked;
    s->tell_ctx = w->acked_ctx;
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set_opaque(conf, s);
    s->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (s->client == NULL)
        die("%s", why);
    s->topic = rd_kafka_topic_new(s->client, w->topic, NULL);
    if (s->topic == NULL)
        die("no topic: %s", rd_kafka_err2str(rd_kafka_last_error()));
    return s;
}

void sender_put(struct sender *s, int32_t partition, const void *value, size_t n)
{
    int32_t to = partition < 0 ? RD_KAFKA_PARTITION_UA : partition;

    while (rd_kafka_produce(s->topic, to, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, n, NULL, 0,
                            NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(s->client, 1);
    }
    if (++s->put % POLL_EVERY == 0)
        rd_kafka_poll(s->client, 0);
}

void sender_wait(struct sender *s, int64_t ns)
{
    rd_kafka_poll(s->client, (int)((ns + 999999) / 1000000));
}

void sender_flush(struct sender *s)
{
    if (rd_kafka_flush(s->client, FLUSH_MS) != 0 || s->delivered != s->put)
        die("%llu records were put and %llu delivered", (unsigned long long)s->put, (unsigned long long)s->delivered);
}

void sender_close(struct sender *s)
{
    rd_kafka_topic_destroy(s->topic);
    rd_kafka_destroy(s->client);
    free(s);
}

/* ---- consumer ---------------------------------------------------------------------------------- */

struct receiver {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
};

struct receiver *receiver_open(const struct work *w)
{
    rd_kafka_conf_t *conf = conf_of(w);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new((int)w->partitions);
    struct receiver *r = calloc(1, sizeof(*r));
    char why[256];

    if (r == NULL)
        die("out of memory");
    configure(conf, "group.id", "none"); /* it wants one, and nothing is committed */
    configure(conf, "enable.auto.commit", "false");
    r->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (r->client == NULL)
        die("%s", why);
    for (int32_t i = 0; i < w->partitions; i++)
        rd_kafka_topic_partition_list_add(all, w->topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_poll_set_consumer(r->client);
    if (rd_kafka_assign(r->client, all) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("assign: %s", rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_topic_partition_list_destroy(all);
    r->queue = rd_kafka_queue_get_consumer(r->client);
    return r;
}

static void take_one(const rd_kafka_message_t *m, struct sum *sum)
{
    uint64_t number;

    if (m->err)
        die("consume: %s", rd_kafka_message_errstr(m));
    memcpy(&number, m->payload, NUMBER_BYTES);
    sum->numbers += number;
    sum->bytes += m->len;
    sum->records++;
}

void receiver_take(struct receiver *r, struct sum *sum)
{
    rd_kafka_message_t *messages[TAKE_MAX];
    ssize_t n = rd_kafka_consume_batch_queue(r->queue, POLL_MS, messages, TAKE_MAX);

    if (n < 0)
        die("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
    for (ssize_t i = 0; i < n; i++) {
        take_one(messages[i], sum);
        rd_kafka_message_destroy(messages[i]);
    }
}

void receiver_close(struct receiver *r)
{
    rd_kafka_queue_destroy(r->queue);
    rd_kafka_consumer_close(r->client);
    rd_kafka_destroy(r->client);
    free(r);
}
