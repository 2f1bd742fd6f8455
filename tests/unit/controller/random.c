/* Random requests against what must hold whatever happens. */
#include "world.h"

#include <stdio.h>

#include "protocol/create_partitions.h"
#include "protocol/delete_topics.h"
#include "protocol/incremental_alter_configs.h"

#define BROKERS 4
#define TOPICS 6

struct life {
    struct world w;
    struct prng dice;
    int64_t epoch[BROKERS + 1]; /* -1 not registered */
    uint8_t incarnation;
    int32_t term;
};

static bool in(const int32_t *list, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (list[i] == id)
            return true;
    }
    return false;
}

/* min.insync.replicas of a topic: its own, else the cluster's. */
static int32_t min_isr(const struct image *i, const struct image_topic *topic)
{
    struct str value = STR("1");
    int64_t n = 1;

    (void)image_config(i, 4, STR(""), STR("min.insync.replicas"), &value);
    (void)image_config(i, 2, topic->name, STR("min.insync.replicas"), &value);
    CHECK_EQ(str_to_i64(value, 1, 2, &n), 0);
    return (int32_t)n;
}

static void check_partition(const struct image *i, const struct image_topic *topic,
                            const struct image_partition *p)
{
    CHECK(p->replica_count > 0);
    for (int32_t n = 0; n < p->isr_count; n++)
        CHECK(in(p->replicas, p->replica_count, p->isr[n]));
    for (int32_t n = 0; n < p->elr_count; n++) {
        CHECK(in(p->replicas, p->replica_count, p->elr[n]));
        CHECK(!in(p->isr, p->isr_count, p->elr[n]));
    }
    CHECK(p->elr_count == 0 || p->isr_count < min_isr(i, topic));
    if (p->leader == -1) {
        CHECK_EQ(p->isr_count, 0); /* ELR is on */
        return;
    }
    CHECK(in(p->isr, p->isr_count, p->leader));
    CHECK(!image_broker_find(i, p->leader)->fenced);
    for (int32_t n = 0; n < p->isr_count; n++)
        CHECK(!image_broker_find(i, p->isr[n])->fenced);
}

/* A leaderless partition whose eligible replica lives would be led. */
static void check_led(const struct image *i, const struct image_partition *p)
{
    for (int32_t n = 0; p->leader == -1 && n < p->elr_count; n++) {
        const struct image_broker *b = image_broker_find(i, p->elr[n]);
        CHECK(b == NULL || b->fenced || b->in_controlled_shutdown);
    }
}

static void check_life(struct life *l)
{
    const struct image *i = controller_latest(l->w.c);

    for (uint32_t t = 0; t < image_topic_count(i); t++) {
        const struct image_topic *topic = image_topic_at(i, t);
        for (int32_t p = 0; p < topic->partition_count; p++) {
            check_partition(i, topic, &topic->partitions[p]);
            check_led(i, &topic->partitions[p]);
        }
    }
}

static const char *topic_name(struct life *l)
{
    static const char *const names[TOPICS] = {"a", "b.c", "b_c", "d", "e", "f"};

    return names[prng_below(&l->dice, TOPICS)];
}

static void delete_one(struct life *l)
{
    struct delete_topics_request_topics target;
    struct delete_topics_request m;
    struct delete_topics_response a;

    delete_topics_request_init(&m);
    delete_topics_response_init(&a);
    delete_topics_request_topics_init(&target);
    target.name = str_of(topic_name(l));
    m.topics = &target;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&l->w, API_DELETE_TOPICS, 6, &m, &a), KERR_NONE);
}

static void grow_one(struct life *l)
{
    struct create_partitions_request_topics topic;
    struct create_partitions_request m;
    struct create_partitions_response a;

    create_partitions_request_init(&m);
    create_partitions_response_init(&a);
    create_partitions_request_topics_init(&topic);
    topic.name = str_of(topic_name(l));
    topic.count = (int32_t)prng_below(&l->dice, 8);
    topic.assignments_count = -1;
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&l->w, API_CREATE_PARTITIONS, 3, &m, &a), KERR_NONE);
}

static void alter_one(struct life *l)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = STR("min.insync.replicas");
    c.value = prng_chance(&l->dice, 500000) ? STR("2") : STR("1");
    r.resource_type = prng_chance(&l->dice, 300000) ? 4 : 2;
    r.resource_name = r.resource_type == 4 ? STR("") : str_of(topic_name(l));
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(&l->w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
}

static void restart_one(struct life *l, int32_t id)
{
    bool clean = prng_chance(&l->dice, 500000);
    int64_t epoch = world_register(&l->w, id, ++l->incarnation, clean ? l->epoch[id] : -1, true);

    CHECK(epoch > l->epoch[id]);
    l->epoch[id] = epoch;
}

/* One draw a line: the order of arguments is the compiler's. */
static void create_one(struct life *l)
{
    const char *name = topic_name(l);
    int32_t partitions = 1 + (int32_t)prng_below(&l->dice, 4);
    int16_t factor = (int16_t)(1 + prng_below(&l->dice, 3));
    enum kerr error;

    (void)world_create(&l->w, name, partitions, factor, &error);
}

static void beat_one(struct life *l, int32_t id)
{
    bool want_fence = prng_chance(&l->dice, 100000);
    bool want_stop = prng_chance(&l->dice, 200000);

    CHECK_EQ(world_beat(&l->w, id, l->epoch[id], want_fence, want_stop), KERR_NONE);
}

static void act(struct life *l)
{
    int32_t id = 1 + (int32_t)prng_below(&l->dice, BROKERS);

    switch (prng_below(&l->dice, 10)) {
    case 0:
        restart_one(l, id);
        return;
    case 1:
    case 2:
    case 3: /* lives on, or is unfenced */
    case 4: /* asks to stop */
    case 5: /* asks to be fenced */
        if (l->epoch[id] < 0)
            return;
        beat_one(l, id);
        return;
    case 6:
        create_one(l);
        return;
    case 7:
        prng_chance(&l->dice, 300000) ? delete_one(l) : grow_one(l);
        return;
    case 8:
        alter_one(l);
        return;
    case 9:
        l->w.now_ms += (int64_t)prng_below(&l->dice, 4000);
        world_commit(&l->w);
        return;
    }
}

static void live(uint64_t seed, int steps)
{
    struct life l = {.term = 1};

    world_begin(&l.w, true);
    prng_init(&l.dice, seed);
    for (int32_t id = 1; id <= BROKERS; id++)
        l.epoch[id] = -1;
    for (int i = 0; i < steps; i++) {
        act(&l);
        check_life(&l);
        text_clear(&l.w.records);
        if (prng_chance(&l.dice, 10000)) { /* another term: all that was decided is in the log */
            world_claim(&l.w, ++l.term);
            world_commit(&l.w);
        }
    }
    world_end(&l.w);
}

TEST(controller_random, what_must_hold_holds)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        live(seed, 200);
}
