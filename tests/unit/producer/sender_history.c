/* Random histories of a whole producer: brokers that fail, refuse, forget and come again, leaders that move, topics
 * that come, go and are made anew with fewer partitions, memory that is short, closes in the middle of it all.
 *
 *   P1  every record is told of once, by its deadline, and in the order of its partition
 *   P2  what is definitely nowhere is nowhere, what is acknowledged is there
 *   P3  idempotent: each at most once, in the order of appending
 *
 * Brokers that lie can have nothing but P1.
 */
#include "shop.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS 300
#define BROKERS 3
#define TOPICS 2
#define PARTITIONS_MAX 4
#define RECORDS_MAX 3000
#define STEPS 250
#define LATE_MS 3100 /* in a world that delays what it does; see client_history */

enum outcome { OPEN, ACKED, NOWHERE, IN_DOUBT };

struct appended {
    int64_t at_ms;
    int32_t before;       /* the record before it in its partition; -1 none */
    uint8_t topic;
    int8_t partition;
    enum outcome outcome;
};

struct history {
    struct shop shop;     /* first: what the hooks are called with */
    struct prng g;
    bool lies;            /* answers are changed on their way */
    struct appended records[RECORDS_MAX];
    int32_t count, told;
    int32_t last[TOPICS][PARTITIONS_MAX]; /* record of a partition; -1 none */
    struct script_wait flush;
    uint32_t acked, nowhere, in_doubt, waited;
};

static const char *const topics[TOPICS] = {"orders", "logs"};

static uint64_t below(struct history *h, uint64_t n)
{
    return prng_below(&h->g, n);
}

static int64_t between(struct history *h, int64_t low, int64_t high)
{
    return low + (int64_t)below(h, (uint64_t)(high - low + 1));
}

static int64_t now_ms(struct history *h)
{
    return io_now_ms(script_io(h->shop.script));
}

/* ---- what is told ------------------------------------------------------------------------------------ */

static void told_of(struct history *h, int32_t n, const struct producer_ack *ack)
{
    struct appended *r = &h->records[n];

    CHECK(n >= 0 && n < h->count);
    CHECK(r->outcome == OPEN);
    CHECK(ack->partition < 0 || ack->partition == r->partition);
    if (r->before >= 0 && h->records[r->before].outcome == OPEN)
        check_fail(__FILE__, __LINE__, "record %d is told of before %d of the same partition", n, r->before);
    CHECK(now_ms(h) - r->at_ms <= h->shop.settings.delivery_timeout_ms + LATE_MS);
    r->outcome = ack->error.code == KERR_NONE ? ACKED : ack->error.definite ? NOWHERE : IN_DOUBT;
    h->told++;
    h->acked += r->outcome == ACKED;
    h->nowhere += r->outcome == NOWHERE;
    h->in_doubt += r->outcome == IN_DOUBT;
    h->waited += ack->partition < 0;
}

static void acked(void *ctx, const struct producer_ack *ack)
{
    struct history *h = ctx;

    CHECK(!h->shop.locked);
    for (int32_t i = 0; i < ack->count; i++)
        told_of(h, (int32_t)producer_ack_tag(ack, i) - 1, ack);
}

/* ---- what is done ------------------------------------------------------------------------------------- */

static void append(struct history *h, uint8_t topic, int8_t partition)
{
    static const char filler[] = "a value that is longer than others, so that batches become full sooner or later";
    char value[128];
    int32_t n = h->count;

    if (n == RECORDS_MAX)
        return;
    snprintf(value, sizeof value, "%d%.*s", n, (int)below(h, 3) == 0 ? (int)below(h, sizeof filler) : 0, filler);
    for (char *blank = value; (blank = strchr(blank, ' ')) != NULL;)
        *blank = '_';
    if (shop_append_tagged(&h->shop, topics[topic], partition, value, (uint64_t)n + 1) < 0)
        return;
    h->records[n] = (struct appended){now_ms(h), h->last[topic][partition], topic, partition, OPEN};
    h->last[topic][partition] = n;
    h->count++;
}

static void append_some(struct history *h)
{
    uint8_t topic = (uint8_t)below(h, TOPICS);
    int8_t partition = (int8_t)below(h, PARTITIONS_MAX);

    for (uint64_t n = below(h, 12); n > 0; n--) {
        append(h, topic, partition);
        if (below(h, 3) == 0)
            partition = (int8_t)below(h, PARTITIONS_MAX);
    }
}

static void plan_answer(struct history *h)
{
    static const int16_t refused[] = {KERR_NOT_ENOUGH_REPLICAS, KERR_NOT_LEADER_OR_FOLLOWER, KERR_MESSAGE_TOO_LARGE,
                                      KERR_CORRUPT_MESSAGE, KERR_INVALID_RECORD, KERR_KAFKA_STORAGE_ERROR};
    static const int16_t doubtful[] = {KERR_REQUEST_TIMED_OUT, KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                                       KERR_UNKNOWN_SERVER_ERROR};
    int32_t partition = (int32_t)below(h, PARTITIONS_MAX);

    if (h->shop.plan_count == SHOP_PLANS_MAX)
        return;
    if (below(h, 3) == 0)
        shop_plan(&h->shop, partition, doubtful[below(h, array_count(doubtful))], true);
    else
        shop_plan(&h->shop, partition, refused[below(h, array_count(refused))], false);
}

static void change_topic(struct history *h)
{
    const char *name = topics[below(h, TOPICS)];
    struct script_topic *t = script_topic_find(h->shop.script, str_of(name));

    if (t == NULL || below(h, 4) == 0)
        script_topic(h->shop.script, name, (int32_t)between(h, 1, PARTITIONS_MAX));
    else if (below(h, 4) == 0)
        script_topic_gone(h->shop.script, name);
    else
        script_move(h->shop.script, name, (int32_t)below(h, (uint64_t)t->partition_count),
                    (int32_t)between(h, 1, BROKERS));
}

static void change_network(struct history *h)
{
    struct script *s = h->shop.script;
    int32_t broker = (int32_t)between(h, 1, BROKERS);

    switch (below(h, 5)) {
    case 0:
        script_stop(s, broker);
        return;
    case 1:
        script_start(s, broker);
        return;
    case 2:
        sim_net_cut(script_machine(s), script_node(s, broker));
        return;
    case 3:
        sim_net_reset(script_machine(s), script_node(s, broker));
        return;
    default:
        sim_net_heal_all(script_sim(s));
    }
}

static void answer_badly(struct history *h)
{
    static const int64_t arguments[] = {-1, 0, 3, 50, 800};
    static const int16_t keys[] = {API_PRODUCE, API_PRODUCE, API_PRODUCE, API_INIT_PRODUCER_ID, -1};
    static const int16_t lied[] = {API_PRODUCE, API_PRODUCE, API_METADATA, API_INIT_PRODUCER_ID};

    if (h->lies) {
        for (int i = 0; i < 8; i++)
            script_fault(h->shop.script, 0, lied[below(h, array_count(lied))], SCRIPT_FLIP, between(h, 1, 4));
        return;
    }
    script_fault(h->shop.script, (int32_t)below(h, BROKERS + 1), keys[below(h, array_count(keys))],
                 1 + (enum script_fault)below(h, SCRIPT_GARBAGE), arguments[below(h, array_count(arguments))]);
}

static void step(struct history *h)
{
    switch (below(h, 12)) {
    case 0 ... 4:
        append_some(h);
        break;
    case 5:
        plan_answer(h);
        break;
    case 6:
        change_topic(h);
        break;
    case 7:
        change_network(h);
        break;
    case 8:
        answer_badly(h);
        break;
    case 9:
        shop_forget(&h->shop);
        h->shop.throttle_ms = below(h, 8) == 0 ? 300 : 0;
        break;
    case 10:
        if (h->flush.op.done == NULL || h->flush.done)
            producer_flush(h->shop.producer, script_wait_begin(&h->flush));
        break;
    default:
        if (below(h, 12) == 0)
            script_pass(h->shop.script, between(h, 500, 3000));
    }
    script_pass(h->shop.script, (int64_t)below(h, 60));
}

/* ---- a history ------------------------------------------------------------------------------------------- */

static void draw_settings(struct history *h)
{
    struct producer_settings *s = &h->shop.settings;

    s->idempotence = below(h, 4) != 0;
    s->acks = s->idempotence || below(h, 2) == 0 ? -1 : 1;
    s->retries = s->idempotence ? INT32_MAX : (uint32_t)below(h, 3);
    s->batch_size = (uint32_t)between(h, 80, 700);
    s->buffer_memory = (uint64_t)between(h, 1500, 12000);
    s->max_request_size = (uint32_t)between(h, 1000, 5000);
    s->linger_ms = below(h, 2) == 0 ? 0 : between(h, 1, 30);
    s->max_in_flight = (uint32_t)between(h, 1, 5);
    s->request_timeout_ms = between(h, 200, 1000);
    s->delivery_timeout_ms = s->linger_ms + s->request_timeout_ms + between(h, 0, 2000);
    s->adaptive_partitioning = false;
    h->shop.client_settings.request_timeout_ms = s->request_timeout_ms;
    h->shop.client_settings.in_flight_max = s->max_in_flight;
    h->shop.client_settings.reconnect_backoff_ms = 10;
    h->shop.client_settings.reconnect_backoff_max_ms = 100;
    h->shop.client_settings.connection_setup_timeout_ms = 500;
    h->shop.client_settings.connection_setup_timeout_max_ms = 500;
    h->shop.client_settings.retry_backoff_ms = 10;
    h->shop.client_settings.retry_backoff_max_ms = 100;
    h->shop.client_settings.metadata_max_age_ms = between(h, 200, 5000);
}

/* All is well from now on: then nothing is stuck. */
static void must_be_well(struct history *h)
{
    struct script *s = h->shop.script;
    uint32_t before;
    int32_t first;

    sim_calm(script_sim(s));
    sim_net_heal_all(script_sim(s));
    script_faults_clear(s);
    h->shop.plan_count = 0;
    h->shop.throttle_ms = 0;
    for (int32_t id = 1; id <= BROKERS; id++)
        script_start(s, id);
    for (int t = 0; t < TOPICS; t++) {
        const struct script_topic *known = script_topic_find(s, str_of(topics[t]));
        if (known == NULL || known->partition_count < PARTITIONS_MAX)
            script_topic(s, topics[t], PARTITIONS_MAX);
    }
    SCRIPT_UNTIL(s, h->told == h->count);
    script_pass(s, 10000); /* connections that were cut have ended, and all is known */
    before = h->acked;
    first = h->count;
    for (int t = 0; t < TOPICS; t++) {
        for (int i = 0; i < PARTITIONS_MAX; i++)
            append(h, (uint8_t)t, (int8_t)i);
    }
    SCRIPT_UNTIL(s, h->told == h->count);
    CHECK_EQ(h->acked - before, h->count - first);
}

/* The number that the next value begins with; -1 = no more. */
static int32_t next_number(struct str *rest)
{
    struct str value;

    if (rest->n == 0)
        return -1;
    str_cut(rest, ' ', &value);
    return (int32_t)strtol(value.p, NULL, 10);
}

static void check_logs(struct history *h)
{
    static uint32_t times[RECORDS_MAX];

    memset(times, 0, sizeof times);
    for (int t = 0; t < TOPICS; t++) {
        for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
            struct str rest = str_of(shop_values(&h->shop, topics[t], i));
            int32_t before = -1;
            for (int32_t n; (n = next_number(&rest)) >= 0; before = n) {
                CHECK(h->records[n].topic == t && h->records[n].partition == i);
                times[n]++;
                CHECK(!h->shop.settings.idempotence || n > before);
            }
        }
    }
    for (int32_t n = 0; n < h->count; n++) {
        CHECK(h->records[n].outcome != ACKED || times[n] > 0);
        CHECK(h->records[n].outcome != NOWHERE || times[n] == 0);
    }
}

static void play(struct history *h, uint64_t seed, bool lies)
{
    struct sim_options wild = sim_options_swarm(seed);
    int64_t timeout_ms, began_ms;

    memset(h, 0, sizeof *h);
    memset(h->last, -1, sizeof h->last);
    prng_init(&h->g, seed);
    h->lies = lies;
    shop_open_in(&h->shop, script_new_with(seed, BROKERS, seed % 2 == 0 ? NULL : &wild));
    draw_settings(h);
    h->shop.hooks.acked = acked;
    for (int t = 0; t < TOPICS; t++) {
        if (below(h, 2) == 0)
            script_topic(h->shop.script, topics[t], (int32_t)between(h, 1, PARTITIONS_MAX));
    }
    shop_start(&h->shop);
    for (int i = 0; i < STEPS; i++)
        step(h);
    if (seed % 3 == 0 && !lies)
        must_be_well(h);
    timeout_ms = between(h, 0, 1500);
    began_ms = now_ms(h);
    shop_close(&h->shop, timeout_ms);
    CHECK(now_ms(h) - began_ms <= timeout_ms + LATE_MS);
    CHECK_EQ(h->told, h->count);
    script_pass(h->shop.script, 2000); /* what was sent and never answered may be carried out late */
    CHECK(h->flush.op.done == NULL || h->flush.done);
    if (!lies)
        check_logs(h);
    shop_end(&h->shop);
}

TEST(sender_history, whatever_happens_records_are_told_of_in_order_and_are_where_they_are_said_to_be)
{
    struct history *h = malloc(sizeof *h);
    uint64_t seen[4] = {0};

    CHECK(h != NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(h, seed, false);
        seen[0] += h->acked;
        seen[1] += h->nowhere;
        seen[2] += h->in_doubt;
        seen[3] += h->waited;
    }
    free(h);
    for (size_t i = 0; i < array_count(seen); i++)
        CHECK(seen[i] > 100); /* the histories are about something */
}

TEST(sender_history, whatever_brokers_say_records_are_told_of_once_in_order_and_in_time)
{
    struct history *h = malloc(sizeof *h);
    uint64_t told = 0;

    CHECK(h != NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(h, seed, true);
        told += (uint64_t)h->told;
    }
    free(h);
    CHECK(told > 1000);
}
