/* What a client knows of the cluster: wants, freshness, never back. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/metadata.h"

struct watcher {
    struct client_watch watch;
    uint32_t told;
};

static void told(struct client_watch *w)
{
    container_of(w, struct watcher, watch)->told++;
}

static void watch(struct bench *b, struct watcher *w)
{
    *w = (struct watcher){.watch.changed = told};
    client_watch(b->client, &w->watch);
}

/* "leader/epoch leader/epoch ..." of a topic, or its error, or "unknown". */
static const char *seen(struct bench *b, const char *name)
{
    static char out[1000];
    const struct client_topic *topic = client_topic(b->client, str_of(name));
    size_t n = 0;

    if (topic == NULL)
        return "unknown";
    if (topic->error != KERR_NONE)
        return kerr_name(topic->error);
    for (int32_t i = 0; i < topic->partition_count && n < sizeof out - 30; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%d/%d", i == 0 ? "" : " ", topic->partitions[i].leader,
                              topic->partitions[i].leader_epoch);
    return out;
}

static bool is_seen(struct bench *b, const char *name, const char *expected)
{
    return strcmp(seen(b, name), expected) == 0;
}

static int64_t update(struct bench *b, int64_t timeout_ms)
{
    struct script_wait w;

    client_update(b->client, timeout_ms, script_wait_begin(&w));
    return script_wait_end(b->script, &w);
}

/* ---- wants ---------------------------------------------------------------------------------------- */

TEST(client_metadata, wanted_topic_is_asked_for_and_told)
{
    struct bench b;
    struct watcher w;

    bench_open(&b, 2);
    script_topic(b.script, "orders", 3);
    bench_start(&b);
    watch(&b, &w);
    CHECK_TEXT(seen(&b, "orders"), "unknown");
    client_want(b.client, STR("orders"));
    SCRIPT_UNTIL(b.script, w.told > 0);
    CHECK_TEXT(seen(&b, "orders"), "1/0 2/0 1/0");
    CHECK_TEXT(client_cluster_id(b.client), "scripted-cluster");
    const struct client_topic *topic = client_topic(b.client, STR("orders"));
    CHECK(client_topic_of_id(b.client, topic->id) == topic);
    CHECK(client_topic_next(b.client, NULL) == topic);
    CHECK(client_topic_next(b.client, topic) == NULL);
    CHECK_EQ(topic->partitions[1].replica_count, 1);
    CHECK_EQ(topic->partitions[1].replicas[0], 2);
    CHECK_TEXT(client_broker(b.client, 2)->host, "b2");
    script_pass(b.script, 60000);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 1); /* nothing is asked for without a reason */
    client_unwatch(&w.watch);
    bench_end(&b);
}

/* A tool that asks leaders has no time for a back-off (100 ms by default). */
TEST(client_metadata, topics_wanted_for_the_first_time_are_learned_by_their_own_request)
{
    struct bench b;
    struct script_wait w;
    int64_t begun_ms;

    bench_open(&b, 1);
    b.settings.retry_backoff_ms = b.settings.retry_backoff_max_ms = 60000;
    script_topic(b.script, "one", 1);
    script_topic(b.script, "two", 1);
    script_topic(b.script, "three", 1);
    bench_start(&b);
    begun_ms = io_now_ms(script_io(b.script));
    client_want(b.client, STR("one"));
    client_want(b.client, STR("two")); /* the request for the first one is under way: it has the next one */
    client_learn(b.client, 30000, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(b.script, &w), 0);
    CHECK_TEXT(seen(&b, "one"), "1/0");
    CHECK_TEXT(seen(&b, "two"), "1/0");
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 2);
    client_want(b.client, STR("three"));
    client_learn(b.client, 30000, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(b.script, &w), 0);
    CHECK_TEXT(seen(&b, "three"), "1/0");
    CHECK(io_now_ms(script_io(b.script)) < begun_ms + 30000);
    client_learn(b.client, 90000, script_wait_begin(&w)); /* nothing is new: an answer that is newer than this */
    CHECK_EQ(script_wait_end(b.script, &w), 0);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 4);
    CHECK(io_now_ms(script_io(b.script)) > begun_ms + 30000);
    bench_end(&b);
}

TEST(client_metadata, topic_that_does_not_exist_is_asked_for_until_it_does)
{
    struct bench b;

    bench_open(&b, 1);
    bench_start(&b);
    client_want(b.client, STR("later"));
    SCRIPT_UNTIL(b.script, is_seen(&b, "later", "UNKNOWN_TOPIC_OR_PARTITION"));
    script_pass(b.script, 10000);
    uint32_t asked = script_count(b.script, 0, API_METADATA);
    CHECK(asked >= 8 && asked <= 20); /* the back-off grows up to a second */
    script_topic(b.script, "later", 1);
    SCRIPT_UNTIL(b.script, is_seen(&b, "later", "1/0"));
    asked = script_count(b.script, 0, API_METADATA);
    script_pass(b.script, 10000);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), asked);
    bench_end(&b);
}

TEST(client_metadata, is_asked_for_anew_at_its_age_while_somebody_wants_it)
{
    struct bench b;

    bench_open(&b, 1);
    b.settings.metadata_max_age_ms = 10000;
    b.settings.metadata_max_idle_ms = 0;
    script_topic(b.script, "orders", 1);
    bench_start(&b);
    client_want(b.client, STR("orders"));
    script_pass(b.script, 35000);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 4);
    client_unwant(b.client, STR("orders"));
    script_pass(b.script, 60000);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 4);
    CHECK_EQ(update(&b, 1000), 0); /* a topic that nobody wants leaves with the next request */
    CHECK_TEXT(seen(&b, "orders"), "unknown");
    bench_end(&b);
}

TEST(client_metadata, all_topics_come_and_go_with_the_cluster)
{
    struct bench b;

    bench_open(&b, 1);
    script_topic(b.script, "one", 1);
    script_topic(b.script, "two", 2);
    bench_start(&b);
    client_want_all(b.client);
    SCRIPT_UNTIL(b.script, is_seen(&b, "two", "1/0 1/0"));
    CHECK_TEXT(seen(&b, "one"), "1/0");
    script_topic_gone(b.script, "one");
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "one"), "unknown");
    CHECK_TEXT(seen(&b, "two"), "1/0 1/0");
    client_unwant_all(b.client);
    bench_end(&b);
}

/* ---- freshness ------------------------------------------------------------------------------------- */

TEST(client_metadata, refresh_sees_a_new_leader_and_update_waits_for_an_answer_after_it)
{
    struct bench b;

    bench_open(&b, 2);
    script_topic(b.script, "orders", 1);
    bench_start(&b);
    client_want(b.client, STR("orders"));
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "1/0");
    script_move(b.script, "orders", 0, 2);
    client_refresh(b.client);
    SCRIPT_UNTIL(b.script, is_seen(&b, "orders", "2/1"));
    script_stop(b.script, 1);
    script_stop(b.script, 2);
    CHECK_EQ(update(&b, 3000), -ETIMEDOUT);
    bench_end(&b);
}

/* C4 */
TEST(client_metadata, answer_of_a_broker_that_lags_does_not_count)
{
    struct bench b;

    bench_open(&b, 2);
    struct script_topic *orders = script_topic(b.script, "orders", 2);
    orders->partitions[0].epoch = 7;
    bench_start(&b);
    client_want(b.client, STR("orders"));
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "1/7 2/0");
    orders->partitions[0] = (struct script_partition){.leader = 2, .epoch = 6};
    orders->partitions[1] = (struct script_partition){.leader = 1, .epoch = 1};
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "1/7 1/1");
    orders->error = KERR_UNKNOWN_TOPIC_OR_PARTITION; /* nor after it was gone for a moment */
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "UNKNOWN_TOPIC_OR_PARTITION");
    orders->error = KERR_NONE;
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "-1/-1 1/1");
    orders = script_topic(b.script, "orders", 1); /* another topic of this name begins anew */
    CHECK_EQ(update(&b, 1000), 0);
    CHECK_TEXT(seen(&b, "orders"), "1/0");
    bench_end(&b);
}

TEST(client_metadata, hint_counts_when_its_epoch_is_newer)
{
    struct bench b;

    bench_open(&b, 3);
    script_topic(b.script, "orders", 1);
    script_hide(b.script, 3, true);
    bench_start(&b);
    client_want(b.client, STR("orders"));
    CHECK_EQ(update(&b, 1000), 0);
    client_hint(b.client, STR("orders"), 0, 2, 0, STR_NULL, 0);
    client_hint(b.client, STR("orders"), 1, 2, 5, STR_NULL, 0);
    client_hint(b.client, STR("others"), 0, 2, 5, STR_NULL, 0);
    client_hint(b.client, STR("orders"), 0, 3, 5, STR_NULL, 0); /* a node that nobody knows */
    client_hint(b.client, STR("orders"), 0, 3, 5, STR("b3"), 0x10000 + SCRIPT_PORT);
    CHECK_TEXT(seen(&b, "orders"), "1/0");
    client_hint(b.client, STR("orders"), 0, 2, 1, STR_NULL, 0);
    CHECK_TEXT(seen(&b, "orders"), "2/1");
    client_hint(b.client, STR("orders"), 0, 3, 2, STR("b3"), SCRIPT_PORT);
    CHECK_TEXT(seen(&b, "orders"), "3/2");
    CHECK_TEXT(client_broker(b.client, 3)->host, "b3");
    CHECK_EQ(update(&b, 1000), 0); /* the answer is older */
    CHECK_TEXT(seen(&b, "orders"), "3/2");
    bench_end(&b);
}

static void wrong_partitions(struct script_request *r, void *ctx)
{
    struct metadata_response *a = r->response;
    struct metadata_response_topics *topic = arena_take(&r->arena, sizeof *topic);
    struct metadata_response_topics_partitions *p = arena_take(&r->arena, sizeof *p);

    metadata_response_topics_init(topic);
    metadata_response_topics_partitions_init(p);
    p->partition_index = *(int32_t *)ctx;
    topic->name = STR("orders");
    topic->partitions = p;
    topic->partitions_count = 1;
    a->topics = topic;
    a->topics_count = 1;
}

TEST(client_metadata, answer_that_makes_no_sense_does_not_count)
{
    int32_t indexes[] = {1, -1, INT32_MAX};

    for (size_t i = 0; i < array_count(indexes); i++) {
        struct bench b;
        bench_open(&b, 1);
        script_topic(b.script, "orders", 1);
        script_on(b.script, 0, API_METADATA, wrong_partitions, &indexes[i]);
        bench_start(&b);
        client_want(b.client, STR("orders"));
        script_pass(b.script, 1000);
        CHECK_TEXT(seen(&b, "orders"), "unknown");
        script_on(b.script, 0, API_METADATA, NULL, NULL);
        SCRIPT_UNTIL(b.script, is_seen(&b, "orders", "1/0"));
        bench_end(&b);
    }
}
