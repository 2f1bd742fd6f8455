/* The partition itself: its life, its timers, its groups, and how answers leave. */
#include "group/internal.h"

#include <stdlib.h>

/* ---- answers -------------------------------------------------------------------------------- */

static void answer_ready(struct parked *parked, enum kerr error)
{
    struct group_call *call = container_of(parked, struct group_call, parked);

    if (error != KERR_NONE)
        response_fail(call, error);
    call->ready(call);
}

void answer(struct group_partition *p, struct group_call *call)
{
    call->waiter = NULL;
    call->parked.ready = answer_ready;
    if (coordinator_check(&p->coordinator) != KERR_NONE) {
        parking_add(&p->soon, &call->parked, 0);
        return;
    }
#ifdef MUTANT_ANSWER_BEFORE_COMMIT
    parking_add(&p->soon, &call->parked, 0);
#else
    coordinator_park(&p->coordinator, &call->parked); /* G1 */
    call->parked_ms = p->now_ms;
    if (p->commit.node.position == 0)
        timer_set(p, &p->commit, p->settings.commit_timeout_ms);
#endif
}

/* The oldest answer that waits for its commit, or NULL. */
static struct group_call *answer_first(const struct group_partition *p)
{
    struct parked *first = LIST_FIRST(&p->coordinator.parking.waiting, struct parked, node);

    return first == NULL ? NULL : container_of(first, struct group_call, parked);
}

void commit_timer(struct group_partition *p)
{
    struct group_call *call;

    while ((call = answer_first(p)) != NULL &&
           call->parked_ms + p->settings.commit_timeout_ms <= p->now_ms) {
        list_remove(&call->parked.node);
        response_fail(call, KERR_COORDINATOR_NOT_AVAILABLE);
        parking_add(&p->soon, &call->parked, 0);
    }
    if (call != NULL)
        timer_set(p, &p->commit, call->parked_ms + p->settings.commit_timeout_ms - p->now_ms);
}

void group_refuse(struct group_partition *p, struct group_call *call, enum kerr error)
{
    response_fail(call, error);
    answer(p, call);
}

/* Is there an answer that only waits for somebody to call? */
static bool answers_due(const struct group_partition *p)
{
    const struct group_call *first = answer_first(p);

    return !list_empty(&p->soon.waiting) ||
           (first != NULL && !parking_would_wait(&p->coordinator.parking, first->parked.offset));
}

static void answers_send(struct group_partition *p)
{
    parking_advance(&p->soon, 0);
    parking_advance(&p->coordinator.parking, 0);
}

void group_decision_begin(struct group_partition *p, int64_t now_ms, int64_t wall_ms)
{
    ASSERT(!p->inside);
    p->now_ms = now_ms;
    p->wall_ms = wall_ms;
    p->inside = true;
    arena_reset(&p->arena);
}

/* ---- timers --------------------------------------------------------------------------------- */

void timer_set(struct group_partition *p, struct timer *t, int64_t delay_ms)
{
    timer_clear(p, t);
    heap_add(&p->timers, &t->node, p->now_ms + delay_ms);
}

void timer_clear(struct group_partition *p, struct timer *t)
{
    if (t->node.position != 0)
        heap_remove(&p->timers, &t->node);
}

int64_t group_deadline_ms(const struct group_partition *p)
{
    const struct heap_node *first = heap_first(&p->timers);

    if (answers_due(p))
        return p->now_ms;
    return first == NULL ? INT64_MAX : first->key;
}

void group_tick(struct group_partition *p, int64_t now_ms, int64_t wall_ms)
{
    struct heap_node *first;

    group_decision_begin(p, now_ms, wall_ms);
    while ((first = heap_first(&p->timers)) != NULL && first->key <= now_ms) {
        heap_remove(&p->timers, first);
        arena_reset(&p->arena);
        timer_fire(p, container_of(first, struct timer, node));
    }
    p->inside = false;
    answers_send(p);
}

/* ---- groups --------------------------------------------------------------------------------- */

static bool group_equal(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct group, node)->id, *(const struct str *)key);
}

static bool member_equal(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct member, node)->id, *(const struct str *)key);
}

static bool static_equal(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct member, static_node)->instance_id,
                     *(const struct str *)key);
}

static bool pending_equal(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct pending_member, node)->id,
                     *(const struct str *)key);
}

static bool topic_equal(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct offset_topic, node)->name,
                     *(const struct str *)key);
}

struct group *group_find(const struct group_partition *p, struct str id)
{
    struct map_node *node = map_find(&p->groups, str_hash(id), &id);

    return node == NULL ? NULL : container_of(node, struct group, node);
}

struct group *group_get(struct group_partition *p, struct str id)
{
    struct group *g = group_find(p, id);

    if (g != NULL)
        return g;
    g = calloc(1, sizeof(*g));
    ASSERT(g != NULL);
    g->id = own_str(id);
    g->state_ms = p->wall_ms;
    g->protocol_type = g->protocol = STR_NULL;
    map_init(&g->members, member_equal);
    map_init(&g->statics, static_equal);
    map_init(&g->pending, pending_equal);
    map_init(&g->topics, topic_equal);
    list_init(&g->order);
    g->rebalance.kind = TIMER_REBALANCE;
    g->sync.kind = TIMER_SYNC;
    map_add(&p->groups, &g->node, str_hash(id));
    return g;
}

void group_free(struct group_partition *p, struct group *g)
{
    LIST_EACH (it, &g->order)
        member_remove(p, container_of(it, struct member, in_order));
    MAP_EACH (node, &g->pending)
        pending_remove(p, container_of(node, struct pending_member, node));
    timer_clear(p, &g->rebalance);
    timer_clear(p, &g->sync);
    offsets_free_all(p, g);
    raw_free_all(g);
    map_deinit(&g->members);
    map_deinit(&g->statics);
    map_deinit(&g->pending);
    map_deinit(&g->topics);
    map_remove(&p->groups, &g->node);
    free_str(&g->protocol_type);
    free_str(&g->protocol);
    free_str(&g->id);
    free(g);
}

void group_enter(struct group_partition *p, struct group *g, enum group_state state)
{
    g->state = state;
    g->state_ms = p->wall_ms;
}

const char *group_state_name(const struct group *g)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance",
                                        "Stable"};

    return names[g->state];
}

const char *group_kind_name(const struct group *g)
{
    static const char *const names[] = {"classic", "consumer", "share", "streams"};

    return names[g->kind];
}

int32_t group_partition_of(struct str group_id, int32_t partition_count)
{
    int32_t hash = str_java_hash(group_id);

    ASSERT(partition_count > 0);
    return (hash == INT32_MIN ? 0
            : hash < 0        ? -hash
                              : hash) %
           partition_count; /* Kafka's Utils.abs */
}

/* ---- life ----------------------------------------------------------------------------------- */

struct group_partition *group_partition_new(int32_t partition,
                                            const struct group_settings *settings,
                                            const struct coordinator_log *log, struct telemetry *t,
                                            struct prng *prng)
{
    struct group_partition *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->settings = *settings;
    p->telemetry = t;
    p->prng = prng;
    p->number = partition;
    map_init(&p->groups, group_equal);
    map_init(&p->producers, producer_equal);
    heap_init(&p->timers);
    p->retention.kind = TIMER_RETENTION;
    p->commit.kind = TIMER_COMMIT;
    batch_builder_init(&p->batch);
    parking_init(&p->soon);
    arena_init(&p->arena, 0);
    arena_init(&p->record, 0);
    coordinator_init(&p->coordinator, &group_machine, p, log);
    return p;
}

void group_partition_load(struct group_partition *p, int64_t now_ms, int64_t wall_ms, struct op *op)
{
    p->now_ms = now_ms;
    p->wall_ms = wall_ms;
    coordinator_load(&p->coordinator, now_ms, op);
}

void group_partition_unload(struct group_partition *p)
{
    coordinator_unload(&p->coordinator);
    MAP_EACH (node, &p->groups) {
        struct group *g = container_of(node, struct group, node);

        LIST_EACH (it, &g->order) {
            struct member *m = container_of(it, struct member, in_order);

            join_answer(p, m, KERR_NOT_COORDINATOR, false);
            sync_answer(p, m, KERR_NOT_COORDINATOR);
        }
    }
    parking_fail(&p->soon, KERR_NOT_COORDINATOR);
}

void group_partition_free(struct group_partition *p)
{
    if (p == NULL)
        return;
    MAP_EACH (node, &p->groups)
        group_free(p, container_of(node, struct group, node));
    producers_free_all(p);
    timer_clear(p, &p->retention);
    timer_clear(p, &p->commit);
    ASSERT(p->timers.count == 0 && list_empty(&p->soon.waiting));
    map_deinit(&p->groups);
    map_deinit(&p->producers);
    heap_deinit(&p->timers);
    batch_builder_deinit(&p->batch);
    arena_deinit(&p->arena);
    arena_deinit(&p->record);
    coordinator_deinit(&p->coordinator);
    free(p);
}

void group_partition_committed(struct group_partition *p, int64_t high_watermark)
{
    /* An append may commit at once; the answer of who appends leaves by group_tick then. */
    if (p->inside && high_watermark > p->coordinator.parking.committed)
        p->coordinator.parking.committed = high_watermark;
    else
        coordinator_committed(&p->coordinator, high_watermark);
}

void group_partition_marker(struct group_partition *p, int64_t producer_id, bool commit,
                            int64_t wall_ms)
{
    p->wall_ms = wall_ms;
    coordinator_marker(&p->coordinator, producer_id, commit, p->now_ms);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void decide(struct group_partition *p, struct group_call *call)
{
    switch (call->api_key) {
    case API_JOIN_GROUP:
        join_group(p, call);
        return;
    case API_SYNC_GROUP:
        sync_group(p, call);
        return;
    case API_HEARTBEAT:
        heartbeat(p, call);
        return;
    case API_LEAVE_GROUP:
        leave_group(p, call);
        return;
    case API_OFFSET_COMMIT:
        offset_commit(p, call);
        return;
    case API_TXN_OFFSET_COMMIT:
        txn_offset_commit(p, call);
        return;
    case API_OFFSET_FETCH:
        offset_fetch(p, call);
        return;
    case API_OFFSET_DELETE:
        offset_delete(p, call);
        return;
    case API_DESCRIBE_GROUPS:
        describe_groups(p, call);
        return;
    case API_LIST_GROUPS:
        list_groups(p, call);
        return;
    case API_DELETE_GROUPS:
        delete_groups(p, call);
        return;
    default:
        UNREACHABLE("an API that group.h does not name");
    }
}

void group_handle(struct group_partition *p, struct group_call *call)
{
    enum kerr error = coordinator_check(&p->coordinator);

    group_decision_begin(p, call->now_ms, call->wall_ms);
    if (error == KERR_COORDINATOR_LOAD_IN_PROGRESS && call->api_key == API_HEARTBEAT)
        answer(p, call); /* Kafka says yes blindly: a member is not to rejoin because we are slow */
    else if (error != KERR_NONE)
        group_refuse(p, call, error);
    else
        decide(p, call);
    p->inside = false;
}

bool group_cancel(struct group_partition *p, struct group_call *call)
{
    struct member *m = call->waiter;

    if (m != NULL) {
        if (m->join == call)
            m->join = NULL;
        if (m->sync == call)
            m->sync = NULL;
        call->waiter = NULL;
        return true;
    }
    if (!list_linked(&call->parked.node))
        return false;
    list_remove(&call->parked.node);
    return true;
}
