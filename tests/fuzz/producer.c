/* Answers of foreign bytes (support/foreign.h) to a producer: every record is told of once, in the order of its
 * partition, by its deadline, and a close ends by its own.
 *
 *   data[0]   1 not idempotent, 2 batches of one record, 4 some records wait for a topic that never comes
 */
#include "foreign.h"
#include "producer/producer.h"

#include "protocol/init_producer_id.h"
#include "protocol/produce.h"

#define DELIVERY_MS 1000
#define LATE_MS 1500 /* to end a connection, and what was sent on it */
#define RECORDS 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct shop {
    struct foreign f;
    struct client *client;
    struct producer *producer;
    int32_t partitions[RECORDS]; /* asked for; -1 any */
    bool told[RECORDS];
    uint32_t count, told_count;
};

/* Every batch is appended at offset 7. */
static void good(int16_t api_key, int16_t version, const void *request, void *response, struct arena *arena)
{
    const struct produce_request *q = request;
    struct produce_response *a = response;

    if (api_key == API_INIT_PRODUCER_ID) {
        ((struct init_producer_id_response *)response)->producer_id = 9;
        return;
    }
    if (api_key != API_PRODUCE)
        return;
    a->responses_count = q->topic_data_count;
    a->responses = arena_take_array(arena, (size_t)q->topic_data_count, sizeof *a->responses);
    for (int32_t t = 0; t < q->topic_data_count; t++) {
        int32_t count = q->topic_data[t].partition_data_count;
        struct produce_response_responses *to = &a->responses[t];
        produce_response_responses_init(to);
        to->name = q->topic_data[t].name;
        to->topic_id = q->topic_data[t].topic_id;
        to->partition_responses_count = count;
        to->partition_responses = arena_take_array(arena, (size_t)count, sizeof *to->partition_responses);
        for (int32_t i = 0; i < count; i++) {
            produce_response_responses_partition_responses_init(&to->partition_responses[i]);
            to->partition_responses[i].index = q->topic_data[t].partition_data[i].index;
            to->partition_responses[i].base_offset = 7;
        }
    }
}

static void acked(void *ctx, const struct producer_ack *ack)
{
    struct shop *s = ctx;

    for (int32_t i = 0; i < ack->count; i++) {
        uint64_t n = producer_ack_tag(ack, i) - 1;
        ASSERT(n < s->count && !s->told[n]);
        for (uint64_t before = 0; before < n; before++)
            ASSERT(s->told[before] || s->partitions[before] != s->partitions[n]);
        s->told[n] = true;
        s->told_count++;
    }
}

static void open_producer(struct shop *s, uint8_t choice)
{
    static const struct producer_hooks hooks = {.acked = acked};
    struct producer_settings settings;
    struct client_settings client = {
        .bootstrap_servers = STR("near:9092"),
        .client_id = STR("fuzz"),
        .request_timeout_ms = 300,
        .reconnect_backoff_ms = 10,
        .reconnect_backoff_max_ms = 50,
        .retry_backoff_ms = 10,
        .retry_backoff_max_ms = 50,
        .connection_setup_timeout_ms = 300,
        .connection_setup_timeout_max_ms = 300,
        .connections_max_idle_ms = -1,
        .metadata_max_age_ms = 200,
        .metadata_max_idle_ms = 60000,
        .rebootstrap_trigger_ms = 60000,
        .frame_bytes_max = 1 << 20,
        .in_flight_max = 5,
    };

    producer_settings_init(&settings);
    settings.idempotence = (choice & 1) == 0;
    settings.batch_size = (choice & 2) == 0 ? 500 : 0;
    settings.buffer_memory = 8192;
    settings.linger_ms = 0;
    settings.request_timeout_ms = 300;
    settings.delivery_timeout_ms = DELIVERY_MS;
    s->client = client_new(s->f.far_io, s->f.telemetry, &client, NULL);
    ASSERT(s->client != NULL);
    s->producer = producer_new(s->f.far_io, s->client, &settings, &hooks, s, NULL);
    ASSERT(s->producer != NULL);
}

static void append(struct shop *s, const char *topic, int32_t partition)
{
    struct producer_record r = {
        .topic = producer_topic(s->producer, str_of(topic)),
        .partition = partition,
        .key = BYTES_NULL,
        .value = bytes_of_str(STR("value")),
        .timestamp_ms = -1,
        .tag = s->count + 1,
    };

    s->partitions[s->count] = partition + (topic[0] == 't' ? 0 : 100);
    s->count++;
    if (producer_append(s->producer, &r, io_now_ms(s->f.far_io), io_wall_ms(s->f.far_io)) == 0)
        return;
    s->count--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shop s = {0};
    struct foreign_wait close;

    if (!foreign_open(&s.f, data, size))
        return 0;
    s.f.good = good;
    open_producer(&s, data[0]);
    for (int i = 0; i < RECORDS; i++) {
        append(&s, (data[0] & 4) != 0 && i % 5 == 4 ? "u" : "t", i % FOREIGN_PARTITIONS);
        if (i % 8 == 7)
            foreign_pass(&s.f, 20);
    }
    foreign_pass(&s.f, DELIVERY_MS + LATE_MS);
    ASSERT(s.told_count == s.count);
    producer_close(s.producer, 0, foreign_wait_begin(&close));
    foreign_wait_end(&s.f, &close);
    client_close(s.client, foreign_wait_begin(&close));
    foreign_wait_end(&s.f, &close);
    foreign_close(&s.f);
    return 0;
}
