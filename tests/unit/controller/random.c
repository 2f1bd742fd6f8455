/* Random requests against what must hold whatever happens. */
#include "truth.h"
#include "world.h"

#include "protocol/alter_partition_reassignments.h"
#include "protocol/create_partitions.h"
#include "protocol/delete_topics.h"
#include "protocol/elect_leaders.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/unregister_broker.h"

#define BROKERS_MAX 7
#define TOPICS 6
#define OLD_PROPOSALS 4

struct life {
    struct world w;
    struct prng dice;
    int32_t brokers;
    int64_t epoch[BROKERS_MAX + 1]; /* -1 not registered */
    struct proposal old[OLD_PROPOSALS]; /* that a slow leader may send yet */
    uint32_t old_count;
    uint8_t incarnation;
    int32_t term;
};

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

/* Who has died is in no list of complete replicas any more; who stopped in order is eligible at most. */
static void check_restarted(struct life *l, int32_t id, bool clean)
{
    const struct image *i = controller_latest(l->w.c);

    for (uint32_t t = 0; t < image_topic_count(i); t++) {
        const struct image_topic *topic = image_topic_at(i, t);
        for (int32_t n = 0; n < topic->partition_count; n++) {
            const struct image_partition *p = &topic->partitions[n];
            CHECK(!truth_have(p->isr, p->isr_count, id));
            CHECK(clean || !truth_have(p->elr, p->elr_count, id));
        }
    }
}

static void restart_one(struct life *l, int32_t id)
{
    bool clean = prng_chance(&l->dice, 500000);
    int64_t epoch = world_register(&l->w, id, ++l->incarnation, clean ? l->epoch[id] : -1, true);

    CHECK(epoch > l->epoch[id]);
    check_restarted(l, id, clean && l->epoch[id] >= 0);
    l->epoch[id] = epoch;
}

static void unregister_one(struct life *l, int32_t id)
{
    struct unregister_broker_request m;
    struct unregister_broker_response a;

    unregister_broker_request_init(&m);
    unregister_broker_response_init(&a);
    m.broker_id = id;
    CHECK_EQ(world_ask(&l->w, API_UNREGISTER_BROKER, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, l->epoch[id] < 0 ? KERR_BROKER_ID_NOT_REGISTERED : KERR_NONE);
    l->epoch[id] = -1;
}

/* ---- partitions --------------------------------------------------------------------------------
 */

/* NULL when there is no topic of the name that was drawn. */
static const struct image_partition *draw_partition(struct life *l, const char **name)
{
    const struct image_topic *topic;
    *name = topic_name(l);
    topic = image_topic_find(controller_latest(l->w.c), str_of(*name));
    if (topic == NULL)
        return NULL;
    return &topic->partitions[prng_below(&l->dice, (uint64_t)topic->partition_count)];
}

/* What is accepted was asked for by who leads, in the state that it knows, of those that live in the incarnation that
 * it has seen. */
static void send_proposal(struct life *l, const struct proposal *p)
{
    const struct image *i = controller_latest(l->w.c);
    const struct image_partition *at = image_partition_find(i, p->topic, p->partition);
    bool may = at != NULL && at->leader == p->sender && at->leader_epoch == p->leader_epoch &&
               at->partition_epoch == p->partition_epoch && p->sender_epoch == l->epoch[p->sender];
    enum kerr error;

    for (int32_t n = 0; n < p->count; n++) {
        const struct image_broker *b = image_broker_find(i, p->isr[n]);
        may &= b != NULL && !b->fenced && !b->in_controlled_shutdown;
        may &= b != NULL && (p->epochs[n] == b->epoch || p->epochs[n] == -1); /* of none that was registered */
    }
    error = world_propose(&l->w, p);
    CHECK_EQ(error == KERR_NONE || error == KERR_NEW_LEADER_ELECTED, may);
}

static bool is_fenced(const struct life *l, int32_t id)
{
    const struct image_broker *b = image_broker_find(controller_latest(l->w.c), id);

    return b == NULL || b->fenced;
}

/* The leader and others: all that live, or any. */
static void propose_one(struct life *l)
{
    int32_t isr[PROPOSED_MAX], count = 0;
    bool all = prng_chance(&l->dice, 500000);
    const struct image_partition *p;
    struct proposal proposal;
    const char *name;

    p = draw_partition(l, &name);
    if (p == NULL || p->leader < 0 || p->replica_count > PROPOSED_MAX)
        return;
    for (int32_t n = 0; n < p->replica_count; n++) {
        bool other = prng_chance(&l->dice, 500000);
        if (all)
            other = !is_fenced(l, p->replicas[n]);
        if (p->replicas[n] == p->leader || (other && p->recovery_state == 0))
            isr[count++] = p->replicas[n];
    }
    proposal = world_proposal(&l->w, name, p->partition, isr, count);
    if (prng_chance(&l->dice, 300000)) /* later */
        l->old[l->old_count++ % OLD_PROPOSALS] = proposal;
    else
        send_proposal(l, &proposal);
}

static void propose_late(struct life *l)
{
    uint32_t kept = l->old_count < OLD_PROPOSALS ? l->old_count : OLD_PROPOSALS;

    if (kept > 0)
        send_proposal(l, &l->old[prng_below(&l->dice, kept)]);
}

static void reassign_one(struct life *l)
{
    struct alter_partition_reassignments_request_topics_partitions part;
    struct alter_partition_reassignments_request_topics topic;
    struct alter_partition_reassignments_request m;
    struct alter_partition_reassignments_response a;
    int32_t target[BROKERS_MAX], count = 0;
    const struct image_partition *p;
    const char *name;

    p = draw_partition(l, &name);
    if (p == NULL)
        return;
    for (int32_t id = 1; id <= l->brokers; id++) {
        int32_t at = (int32_t)prng_below(&l->dice, (uint64_t)count + 1);
        if (!prng_chance(&l->dice, 500000))
            continue;
        target[count++] = target[at]; /* in any order */
        target[at] = id;
    }
    alter_partition_reassignments_request_init(&m);
    alter_partition_reassignments_response_init(&a);
    alter_partition_reassignments_request_topics_init(&topic);
    alter_partition_reassignments_request_topics_partitions_init(&part);
    part.partition_index = p->partition;
    part.replicas = target;
    part.replicas_count = prng_chance(&l->dice, 300000) ? -1 : count;
    topic.name = str_of(name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&l->w, API_ALTER_PARTITION_REASSIGNMENTS, 1, &m, &a), KERR_NONE);
}

static void elect_some(struct life *l)
{
    struct elect_leaders_request m;
    struct elect_leaders_response a;

    elect_leaders_request_init(&m);
    elect_leaders_response_init(&a);
    m.election_type = prng_chance(&l->dice, 200000);
    m.topic_partitions_count = -1;
    CHECK_EQ(world_ask(&l->w, API_ELECT_LEADERS, 2, &m, &a), KERR_NONE);
}

/* ---- a life ------------------------------------------------------------------------------------
 */

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
    bool want_stop = prng_chance(&l->dice, 70000);

    CHECK_EQ(world_beat(&l->w, id, l->epoch[id], want_fence, want_stop), KERR_NONE);
}

static void act(struct life *l, struct truth_step *step)
{
    int32_t id = 1 + (int32_t)prng_below(&l->dice, (uint64_t)l->brokers);

    switch (prng_below(&l->dice, 16)) {
    case 0:
    case 1:
        step->died = true;
        prng_chance(&l->dice, 900000) ? restart_one(l, id) : unregister_one(l, id);
        return;
    case 2:
    case 3:
    case 4: /* lives on, is unfenced, asks to be fenced, or to stop */
    case 5:
        if (l->epoch[id] >= 0)
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
    case 9: /* sessions end; now and then preferred leaders come back */
        l->w.now_ms += (int64_t)prng_below(&l->dice, 4000);
        world_commit(&l->w);
        return;
    case 10:
        step->reassigned = true;
        reassign_one(l);
        return;
    case 11:
        elect_some(l);
        return;
    case 12:
        step->proposed = true;
        propose_late(l);
        return;
    default:
        step->proposed = true;
        propose_one(l);
        return;
    }
}

static void live(uint64_t seed, int steps)
{
    struct life l = {.term = 1};

    world_begin(&l.w, true);
    prng_init(&l.dice, seed);
    l.brokers = 3 + (int32_t)prng_below(&l.dice, BROKERS_MAX - 2);
    l.w.racks = prng_chance(&l.dice, 500000);
    for (int32_t id = 1; id <= BROKERS_MAX; id++)
        l.epoch[id] = -1;
    for (int i = 0; i < steps; i++) {
        const struct image *before = image_ref(controller_latest(l.w.c));
        struct truth_step step = {0};
        act(&l, &step);
        truth_check(controller_latest(l.w.c));
        truth_check_step(before, controller_latest(l.w.c), &step);
        image_unref(before);
        text_clear(&l.w.records);
        if (prng_chance(&l.dice, 10000)) { /* another term: all that was decided is in the log */
            world_claim(&l.w, ++l.term);
            world_commit(&l.w);
        }
    }
    truth_check_snapshot(controller_latest(l.w.c));
    world_end(&l.w);
}

TEST(controller_random, what_must_hold_holds)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        live(seed, 400);
}
