#include "controller/internal.h"

#include <stdlib.h>

static struct str keep_str(struct str s)
{
    char *copy = str_dup(s);

    return copy == NULL ? STR_NULL : (struct str){copy, s.n};
}

struct controller *controller_new(const struct controller_settings *settings,
                                  const struct controller_log *log, struct prng *prng)
{
    struct controller *c = calloc(1, sizeof(*c));
    uint8_t *bootstrap;

    ASSERT(c != NULL);
    c->settings = *settings;
    c->settings.cluster_id = keep_str(settings->cluster_id);
    if (settings->bootstrap.n > 0) {
        bootstrap = malloc((size_t)settings->bootstrap.n);
        ASSERT(bootstrap != NULL);
        memcpy(bootstrap, settings->bootstrap.p, (size_t)settings->bootstrap.n);
        c->settings.bootstrap.p = bootstrap;
    }
    c->log = *log;
    c->prng = prng;
    parking_init(&c->parking);
    list_init(&c->refused);
    list_init(&c->sessions);
    arena_init(&c->scratch, 0);
    return c;
}

void controller_free(struct controller *c)
{
    if (c == NULL)
        return;
    controller_resign(c);
    ASSERT(list_empty(&c->refused)); /* who closes a controller lets its calls end first */
    arena_deinit(&c->scratch);
    free((char *)(uintptr_t)c->settings.cluster_id.p);
    if (c->settings.bootstrap.n > 0)
        free((uint8_t *)(uintptr_t)c->settings.bootstrap.p);
    free(c);
}

bool controller_is_active(const struct controller *c)
{
    return c->active;
}

const struct image *controller_latest(const struct controller *c)
{
    return c->latest;
}

/* ---- leadership --------------------------------------------------------------------------------
 */

void controller_claim(struct controller *c, const struct image *image, int32_t epoch,
                      int64_t now_ms)
{
    struct decision d;

    ASSERT(!c->active || epoch > c->epoch);
    controller_resign(c);
    c->active = true;
    c->epoch = epoch;
    c->latest = image_ref(image);
    c->end = image_offset(image) + 1;
    c->appended_ms = now_ms;
    c->silence_since_ms = now_ms;
    balance_begin(c, now_ms);
    decision_begin(&d, c, NULL, now_ms);
    decide_activation(&d);
    (void)decision_commit(&d); /* when it is refused we have resigned already */
    decision_end(&d);
    for (uint32_t i = 0; c->active && i < image_broker_count(c->latest); i++) {
        const struct image_broker *b = image_broker_at(c->latest, i);
        struct session *s = session_begin(c, b->id, b->epoch, now_ms);
        if (b->in_controlled_shutdown) /* when it began only the last controller knew */
            s->shutdown_offset = c->end - 1;
    }
}

/* K1: nothing is undone; the image and the sessions are dropped. */
void controller_resign(struct controller *c)
{
    if (!c->active)
        return;
    c->active = false;
    sessions_end_all(c);
    image_unref(c->latest);
    c->latest = NULL;
    parking_fail(&c->parking, KERR_NOT_CONTROLLER);
}

void controller_committed(struct controller *c, int64_t offset)
{
    parking_advance(&c->parking, offset);
}

/* ---- requests ----------------------------------------------------------------------------------
 */

struct handler {
    int16_t api_key;
    decide *decide;
    bool cluster_action; /* for nodes of the cluster only */
};

static const struct handler handlers[] = {
    {API_CREATE_TOPICS, decide_create_topics, false},
    {API_DELETE_TOPICS, decide_delete_topics, false},
    {API_CREATE_PARTITIONS, decide_create_partitions, false},
    {API_INCREMENTAL_ALTER_CONFIGS, decide_incremental_alter_configs, false},
    {API_ALTER_CONFIGS, decide_alter_configs, false},
    {API_UNREGISTER_BROKER, decide_unregister_broker, false},
    {API_BROKER_REGISTRATION, decide_broker_registration, true},
    {API_BROKER_HEARTBEAT, decide_broker_heartbeat, true},
    {API_CONTROLLER_REGISTRATION, decide_controller_registration, true},
    {API_ALLOCATE_PRODUCER_IDS, decide_allocate_producer_ids, true},
    {API_ASSIGN_REPLICAS_TO_DIRS, decide_assign_replicas_to_dirs, true},
    {API_ALTER_PARTITION, decide_alter_partition, true},
    {API_ALTER_PARTITION_REASSIGNMENTS, decide_alter_partition_reassignments, false},
    {API_LIST_PARTITION_REASSIGNMENTS, decide_list_partition_reassignments, false},
    {API_ELECT_LEADERS, decide_elect_leaders, false},
    {API_UPDATE_FEATURES, decide_update_features, false},
};

static const struct handler *handler_find(int16_t api_key)
{
    for (size_t i = 0; i < array_count(handlers); i++) {
        if (handlers[i].api_key == api_key)
            return &handlers[i];
    }
    return NULL;
}

bool controller_handles(int16_t api_key)
{
    return handler_find(api_key) != NULL;
}

static void call_ready(struct parked *p, enum kerr error)
{
    struct controller_call *call = container_of(p, struct controller_call, parked);

    call->ready(call, error != KERR_NONE ? error : call->failed);
}

static enum kerr answer(struct controller *c, struct controller_call *call)
{
    const struct handler *h = handler_find(call->api_key);
    struct decision d;
    enum kerr error;

    if (h == NULL)
        return KERR_UNSUPPORTED_VERSION;
    decision_begin(&d, c, call, call->now_ms);
    if (h->cluster_action &&
        !decision_may(&d, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, STR("kafka-cluster")))
        error = KERR_CLUSTER_AUTHORIZATION_FAILED;
    else
        error = h->decide(&d, call->request, call->response);
    if (error == KERR_NONE)
        error = decision_commit(&d);
    decision_end(&d);
    return error;
}

void controller_handle(struct controller *c, struct controller_call *call)
{
    call->parked = (struct parked){.ready = call_ready};
    call->failed = c->active ? answer(c, call) : KERR_NOT_CONTROLLER;
    if (c->active)
#ifdef MUTANT_CONTROLLER_ANSWER_BEFORE_COMMIT
        parking_add(&c->parking, &call->parked, 0);
#else
        parking_add(&c->parking, &call->parked, c->end);
#endif
    else
        list_add_tail(&c->refused, &call->parked.node);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void answer_refused(struct controller *c)
{
    struct list answering;

    list_init(&answering); /* those that come while these are answered wait for the next tick */
    list_move_all(&answering, &c->refused);
    for (struct list *node; (node = list_take_head(&answering)) != NULL;) {
        struct parked *p = container_of(node, struct parked, node);
        p->ready(p, KERR_NOT_CONTROLLER);
    }
}

/* So that standbys and brokers see that the log lives, and time in it moves (KIP-835). */
static void append_no_op(struct controller *c, int64_t now_ms)
{
    struct decision d;

    decision_begin(&d, c, NULL, now_ms);
    decide_no_op(&d);
    (void)decision_commit(&d);
    decision_end(&d);
}

static int64_t no_op_due_ms(const struct controller *c)
{
    return c->settings.idle_interval_ms <= 0 ? INT64_MAX
                                             : c->appended_ms + c->settings.idle_interval_ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t controller_tick(struct controller *c, int64_t now_ms)
{
    int64_t due_ms;

    answer_refused(c);
    parking_advance(&c->parking, c->parking.committed);
    if (c->active)
        sessions_expire(c, now_ms);
    balance_tick(c, now_ms);
    if (c->active && now_ms >= no_op_due_ms(c))
        append_no_op(c, now_ms);
    if (!list_empty(&c->refused))
        return now_ms;
    if (!c->active)
        return INT64_MAX;
    due_ms = earlier(sessions_due_ms(c), no_op_due_ms(c));
    return earlier(due_ms, balance_due_ms(c));
}
