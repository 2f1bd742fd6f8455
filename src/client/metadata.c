/* Metadata: what is asked for, and when. What answers change is in taking.c.
 *
 *   somebody wants a topic ─┐
 *   something is doubtful ──┼─► needed ─ back-off ─► asking ─► an answer ─► nothing is missing: asked anew at its age
 *   it is old ──────────────┘                          │        └► something is missing: needed, and the back-off grows
 *                                                      └► no answer: needed, and the back-off grows
 */
#include "client/internal.h"

#include "protocol/describe_cluster.h"
#include "protocol/metadata.h"

#define METADATA_VERSION_LOW 1 /* below, nobody can be asked about no topic */
#define ENDPOINT_CONTROLLERS 2 /* endpoint_type of DescribeCluster */

/* ---- waiting for an update ------------------------------------------------------------------------ */

static void update_end(struct client *c, struct op *op, int64_t result)
{
    list_remove(&op->node);
    io_complete(c->io, op, result);
}

static void updates_fail(struct io_timer *timer);

static void updates_watch(struct client *c)
{
    int64_t first_ns = INT64_MAX;

    LIST_EACH (node, &c->metadata.updates) {
        int64_t at_ns = (int64_t)container_of(node, struct op, node)->word[0];
        if (at_ns < first_ns)
            first_ns = at_ns;
    }
    if (first_ns == INT64_MAX)
        io_timer_clear(&c->metadata.update_timer);
    else
        io_timer_set(c->io, &c->metadata.update_timer, first_ns, updates_fail);
}

static void updates_fail(struct io_timer *timer)
{
    struct client *c = container_of(timer, struct client, metadata.update_timer);

    LIST_EACH (node, &c->metadata.updates) {
        struct op *op = container_of(node, struct op, node);
        if ((int64_t)op->word[0] <= io_now_ns(c->io))
            update_end(c, op, -ETIMEDOUT);
    }
    updates_watch(c);
}

/* Those that wait for this request, or for an older one. */
static void updates_done(struct client *c)
{
    LIST_EACH (node, &c->metadata.updates) {
        struct op *op = container_of(node, struct op, node);
        if (op->word[1] <= c->metadata.answered)
            update_end(c, op, 0);
    }
    updates_watch(c);
}

/* An answer to request number `number`, or to a later one. */
static void update_begin(struct client *c, uint64_t number, int64_t timeout_ms, struct op *op)
{
    op->word[0] = (uint64_t)after_ns(c, timeout_ms);
    op->word[1] = number;
    list_add_tail(&c->metadata.updates, &op->node);
    updates_watch(c);
}

void client_update(struct client *c, int64_t timeout_ms, struct op *op)
{
    if (c->closed != NULL) {
        io_complete(c->io, op, ERR_CLOSED);
        return;
    }
    update_begin(c, c->metadata.begun + 1, timeout_ms, op);
    metadata_need(c);
}

void client_learn(struct client *c, int64_t timeout_ms, struct op *op)
{
    if (c->closed != NULL || c->metadata.new_in <= c->metadata.answered)
        client_update(c, timeout_ms, op);
    else
        update_begin(c, c->metadata.new_in, timeout_ms, op);
}

void client_update_cancel(struct client *c, struct op *op)
{
    LIST_EACH (node, &c->metadata.updates) {
        if (node == &op->node)
            update_end(c, op, -ECANCELED);
    }
    updates_watch(c);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

/* Topics that nobody has wanted for long. */
static void drop_idle(struct client *c)
{
    int64_t idle_ns = ms_to_ns(c->settings.metadata_max_idle_ms);

    MAP_EACH (node, &c->metadata.topics) {
        struct topic *t = topic_of_node(node);
        if (t->wants == 0 && io_now_ns(c->io) - t->unwanted_ns >= idle_ns)
            topic_drop(c, t);
    }
}

/* All topics by name, or those that were never asked for. Their names stay: none is dropped while one asks. */
static void name_topics(struct client *c, struct metadata_request *m, bool all)
{
    struct metadata *known = &c->metadata;

    m->topics = arena_take_array(&known->arena, known->topics.count, sizeof *m->topics);
    ASSERT(m->topics != NULL);
    m->topics_count = 0;
    MAP_EACH (node, &known->topics) {
        struct topic *t = topic_of_node(node);
        if (!all && t->asked)
            continue;
        t->asked = true;
        metadata_request_topics_init(&m->topics[m->topics_count]);
        m->topics[m->topics_count++].name = t->shown.name;
    }
}

static void *make_request(struct client *c)
{
    struct metadata *known = &c->metadata;

    if (c->settings.bootstrap_controllers) {
        struct describe_cluster_request *d = arena_take(&known->arena, sizeof *d);
        describe_cluster_request_init(d);
        d->endpoint_type = ENDPOINT_CONTROLLERS;
        return d;
    }
    struct metadata_request *m = arena_take(&known->arena, sizeof *m);
    metadata_request_init(m);
    m->allow_auto_topic_creation = c->settings.auto_create_topics;
    known->asked_all_topics = known->want_all > 0;
    name_topics(c, m, known->need_all || !known->known || known->asked_all_topics);
    if (known->asked_all_topics) {
        m->topics = NULL;
        m->topics_count = -1;
    }
    return m;
}

/* Versions below 4 create topics whatever one says; they cannot be told. */
static void prepare(struct client_call *call)
{
    if (call->api_key == API_METADATA && call->version < 4)
        ((struct metadata_request *)(uintptr_t)call->request)->allow_auto_topic_creation = true;
}

static void asked(struct op *op, int64_t result);

static void ask(struct client *c)
{
    struct metadata *known = &c->metadata;
    bool controllers = c->settings.bootstrap_controllers;

    drop_idle(c);
    arena_deinit(&known->arena);
    known->call = (struct client_call){
        .target.kind = CLIENT_ANY,
        .api_key = controllers ? API_DESCRIBE_CLUSTER : API_METADATA,
        .version_low = controllers ? 1 : METADATA_VERSION_LOW,
        .request = make_request(c),
        .prepare = prepare,
    };
    known->need_all = known->need_new = false;
    known->asking = true;
    known->begun++;
    op_init(&known->call.op, asked);
    client_send(c, &known->call);
}

static void due(struct io_timer *timer)
{
    struct client *c = container_of(timer, struct client, metadata.timer);

    struct metadata *known = &c->metadata;

    if (!known->need_new && (known->wanted > 0 || known->want_all > 0))
        known->need_all = true; /* it is old, where the back-off is not what is over */
    metadata_go(c);
}

void metadata_go(struct client *c)
{
    struct metadata *known = &c->metadata;
    bool at_once = known->need_new && !known->failed;

    if (c->closed != NULL || known->asking)
        return;
    if (!known->need_all && !known->need_new) {
        if (known->wanted > 0 || known->want_all > 0)
            io_timer_set(c->io, &known->timer, known->ended_ns + ms_to_ns(c->settings.metadata_max_age_ms), due);
        return;
    }
    if (!at_once && io_now_ns(c->io) < known->due_ns) {
        io_timer_set(c->io, &known->timer, known->due_ns, due);
        return;
    }
    io_timer_clear(&known->timer);
    ask(c);
}

void metadata_need(struct client *c)
{
    if (client_is_told(c))
        return;
    c->metadata.need_all = true;
    metadata_go(c);
}

void client_refresh(struct client *c)
{
    metadata_need(c);
}

/* ---- answers --------------------------------------------------------------------------------------- */

static int take_controllers(struct client *c, const struct describe_cluster_response *m)
{
    struct metadata *known = &c->metadata;
    struct client_broker *nodes;

    if (m->error_code != KERR_NONE)
        return ERR_CORRUPT;
    nodes = arena_take_array(&known->call.arena, (size_t)m->brokers_count, sizeof *nodes);
    if (nodes == NULL)
        return -ENOMEM;
    for (int32_t i = 0; i < m->brokers_count; i++) {
        const struct describe_cluster_response_brokers *b = &m->brokers[i];
        if (b->host.n <= 0 || b->host.n >= IO_HOST_MAX || b->port <= 0 || b->port > UINT16_MAX)
            return ERR_CORRUPT;
        nodes[i] = (struct client_broker){b->broker_id, (uint16_t)b->port, b->host, b->rack};
    }
    brokers_set(c, nodes, (uint32_t)m->brokers_count);
    cluster_id_set(c, m->cluster_id);
    known->controller_id = m->controller_id;
    return 0;
}

static int take(struct client *c, bool *complete)
{
    struct client_call *call = &c->metadata.call;

    *complete = true;
    if (c->settings.bootstrap_controllers)
        return take_controllers(c, call->response);
    const struct metadata_response *m = call->response;
    if (m->error_code == KERR_REBOOTSTRAP_REQUIRED) {
        rebootstrap(c, "a broker says that it is not the one to ask");
        return ERR_FENCED;
    }
    if (m->error_code != KERR_NONE)
        return ERR_CORRUPT;
    return metadata_take(c, m, call->version, complete);
}

static void answered(struct client *c, bool complete)
{
    struct metadata *known = &c->metadata;

    known->known = true;
    known->failed = false;
    known->controller_doubtful = false;
    known->answered = known->begun;
    known->trying_since_ns = 0;
    known->attempts = complete ? 0 : known->attempts + 1;
    known->need_all |= !complete;
    bootstrapped(c);
    updates_done(c);
    client_changed(c);
    calls_place_unresolved(c);
}

static void not_answered(struct client *c)
{
    struct metadata *known = &c->metadata;
    int64_t now_ns = io_now_ns(c->io);

    known->failed = true;
    known->need_all = true;
    known->attempts++;
    if (known->trying_since_ns == 0)
        known->trying_since_ns = now_ns;
    else if ((now_ns - known->trying_since_ns) / 1000000 >= c->settings.rebootstrap_trigger_ms)
        rebootstrap(c, "no broker has told of the cluster for metadata.recovery.rebootstrap.trigger.ms");
}

static void asked(struct op *op, int64_t result)
{
    struct client *c = container_of(op, struct client, metadata.call.op);
    struct metadata *known = &c->metadata;
    bool complete = false;

    if (c->closed != NULL)
        return; /* metadata_deinit lets go of the answer */
    if (result == 0)
        result = take(c, &complete);
    known->ended_ns = io_now_ns(c->io);
    known->due_ns = after_ns(c, client_backoff_ms(c, complete ? 1 : known->attempts + 1));
    client_call_release(&known->call);
    known->asking = false; /* only now: what was taken may have made somebody need the next one */
    if (result == 0)
        answered(c, complete);
    else
        not_answered(c);
    metadata_go(c);
}

/* ---- wants ------------------------------------------------------------------------------------------ */

void client_want(struct client *c, struct str name)
{
    struct topic *t = topic_get(c, name);
    bool is_new = !t->asked;

    if (t->wants++ > 0)
        return;
    c->metadata.wanted++;
    if (is_new)
        c->metadata.need_new = true;
    else if ((io_now_ns(c->io) - t->shown.updated_ns) / 1000000 >= c->settings.metadata_max_age_ms)
        c->metadata.need_all = true;
    metadata_go(c);
    if (is_new) /* else the one under way has left without it */
        c->metadata.new_in = c->metadata.begun + (t->asked ? 0 : 1);
}

void client_unwant(struct client *c, struct str name)
{
    struct topic *t = topic_find(c, name);

    ASSERT(t != NULL && t->wants > 0);
    if (--t->wants > 0)
        return;
    c->metadata.wanted--;
    t->unwanted_ns = io_now_ns(c->io);
}

void client_want_all(struct client *c)
{
    if (c->metadata.want_all++ == 0) {
        c->metadata.need_new = true;
        metadata_go(c);
    }
}

void client_unwant_all(struct client *c)
{
    ASSERT(c->metadata.want_all > 0);
    c->metadata.want_all--;
}

/* ---- life ------------------------------------------------------------------------------------------- */

void metadata_init(struct client *c)
{
    struct metadata *known = &c->metadata;

    topics_init(c);
    list_init(&known->updates);
    known->controller_id = -1;
    known->features_epoch = -1;
    known->known = client_is_told(c);
    for (int i = 0; i < FEATURE_COUNT; i++)
        known->feature_levels[i] = -1;
}

void metadata_close(struct client *c)
{
    LIST_EACH (node, &c->metadata.updates)
        update_end(c, container_of(node, struct op, node), ERR_CLOSED);
    io_timer_clear(&c->metadata.timer);
    io_timer_clear(&c->metadata.update_timer);
}

void metadata_deinit(struct client *c)
{
    struct metadata *known = &c->metadata;

    topics_deinit(c);
    brokers_deinit(c);
    client_call_release(&known->call);
    arena_deinit(&known->arena);
}
