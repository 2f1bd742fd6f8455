/* Partitions of one leader are asked for together, whatever they had to wait for. */
#include "check.h"
#include "consumer/consumer.h"
#include "script.h"

#include "protocol/fetch.h"
#include "protocol/list_offsets.h"

#define PARTITIONS 8

struct crowd {
    struct script *script;
    struct consumer *consumer;
    int16_t error;               /* of all partitions of the next answer */
    int32_t asked_for;           /* by the newest request with partitions */
};

static void list_offsets(struct script_request *r, void *ctx)
{
    const struct list_offsets_request *q = r->message;
    struct list_offsets_response *a = r->response;
    struct crowd *c = ctx;

    CHECK_EQ(q->topics_count, 1);
    c->asked_for = q->topics->partitions_count;
    a->topics = arena_take(&r->arena, sizeof *a->topics);
    list_offsets_response_topics_init(a->topics);
    a->topics_count = 1;
    a->topics->name = q->topics->name;
    a->topics->partitions_count = c->asked_for;
    a->topics->partitions = arena_take_array(&r->arena, (size_t)c->asked_for, sizeof *a->topics->partitions);
    for (int32_t i = 0; i < c->asked_for; i++) {
        list_offsets_response_topics_partitions_init(&a->topics->partitions[i]);
        a->topics->partitions[i].partition_index = q->topics->partitions[i].partition_index;
        a->topics->partitions[i].error_code = c->error;
        a->topics->partitions[i].offset = 0;
    }
    c->error = KERR_NONE;
}

/* Errors of all partitions, or nothing new. */
static void fetch(struct script_request *r, void *ctx)
{
    const struct fetch_request *q = r->message;
    struct fetch_response *a = r->response;
    struct crowd *c = ctx;

    c->asked_for = q->topics_count == 0 ? 0 : q->topics->partitions_count;
    a->responses = arena_take(&r->arena, sizeof *a->responses);
    fetch_response_responses_init(a->responses);
    a->responses_count = q->topics_count;
    if (q->topics_count == 0)
        return;
    a->responses->topic_id = q->topics->topic_id;
    a->responses->partitions_count = c->asked_for;
    a->responses->partitions = arena_take_array(&r->arena, (size_t)c->asked_for, sizeof *a->responses->partitions);
    for (int32_t i = 0; i < c->asked_for; i++) {
        fetch_response_responses_partitions_init(&a->responses->partitions[i]);
        a->responses->partitions[i].partition_index = q->topics->partitions[i].partition;
        a->responses->partitions[i].error_code = c->error;
    }
    c->error = KERR_NONE;
}

static void on_event(void *ctx, const struct consumer_event *e) {}
static void on_ready(void *ctx) {}

static void begin(struct crowd *c)
{
    static const struct consumer_hooks hooks = {.event = on_event, .ready = on_ready};
    struct consumer_partition all[PARTITIONS];
    struct consumer_settings settings;
    struct config *config = config_new(&consumer_settings);
    struct fail f = {0};

    *c = (struct crowd){.script = script_new(1, 1)};
    script_topic(c->script, "t", PARTITIONS);
    script_on(c->script, 0, API_LIST_OFFSETS, list_offsets, c);
    script_on(c->script, 0, API_FETCH, fetch, c);
    CHECK_EQ(config_set(config, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), script_bootstrap(c->script), &f), 0);
    CHECK_EQ(consumer_settings_read(config, &settings, &f), 0);
    settings.group_id = STR_NULL;
    settings.auto_offset_reset = CONSUMER_RESET_EARLIEST;
    c->consumer = consumer_new(script_io(c->script), script_telemetry(c->script), &settings, &hooks, &f);
    CHECK(c->consumer != NULL);
    config_free(config);
    for (int32_t i = 0; i < PARTITIONS; i++)
        all[i] = (struct consumer_partition){STR("t"), i};
    CHECK_EQ(consumer_assign(c->consumer, all, PARTITIONS, &f), 0);
}

static void end(struct crowd *c)
{
    struct script_wait w;

    consumer_close(c->consumer, 1000, script_wait_begin(&w));
    script_wait_end(c->script, &w);
    script_free(c->script);
}

/* Nobody knows the topic when it is first asked about; then all are asked for in one request, and at once. */
TEST(consumer_together, partitions_that_wait_for_metadata)
{
    struct crowd c;

    begin(&c);
    SCRIPT_UNTIL(c.script, script_count(c.script, 0, API_LIST_OFFSETS) > 0);
    CHECK(io_now_ms(script_io(c.script)) < 50); /* retry.backoff.ms is 100 */
    SCRIPT_UNTIL(c.script, script_count(c.script, 0, API_FETCH) > 0);
    CHECK_EQ(script_count(c.script, 0, API_LIST_OFFSETS), 1);
    CHECK_EQ(c.asked_for, PARTITIONS);
    end(&c);
}

TEST(consumer_together, partitions_that_were_refused)
{
    struct crowd c;

    begin(&c);
    c.error = KERR_NOT_LEADER_OR_FOLLOWER;
    SCRIPT_UNTIL(c.script, script_count(c.script, 0, API_FETCH) > 0);
    CHECK_EQ(script_count(c.script, 0, API_LIST_OFFSETS), 2);
    CHECK_EQ(c.asked_for, PARTITIONS);
    c.error = KERR_OFFSET_NOT_AVAILABLE;
    SCRIPT_UNTIL(c.script, c.error == KERR_NONE);
    c.asked_for = 0;
    SCRIPT_UNTIL(c.script, c.asked_for > 0);
    CHECK_EQ(c.asked_for, PARTITIONS);
    end(&c);
}
