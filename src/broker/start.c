/* Start: settings ► directories ► replicas and groups (empty) ► sockets bound ► node: quorum open ► other nodes are let
 * in ► registration, first image ► clients and brokers are let in (publish.c) ► unfenced ► ready.
 */
#include "broker/start.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/cleaning.h"
#include "broker/connections.h"
#include "broker/everywhere.h"
#include "broker/groups.h"
#include "broker/memory.h"
#include "broker/metrics.h"
#include "broker/peers.h"
#include "broker/publish.h"
#include "broker/settings.h"
#include "broker/space.h"

/* ---- from settings --------------------------------------------------------------------------- */

/* log.dirs, and which of them holds the metadata log (metadata.log.dir, else the first). */
static int take_dirs(struct broker *b, struct fail *f)
{
    const struct config *c = b->options.settings;
    struct str rest = config_log_dirs(c), part;
    struct str metadata = config_str(c, BROKER_METADATA_LOG_DIR);
    bool found = metadata.n <= 0;

    b->paths = calloc(LOG_DIRS_MAX + 1, sizeof *b->paths); /* and metadata.log.dir */
    b->dirs = calloc(LOG_DIRS_MAX + 1, sizeof *b->dirs);
    b->missing = calloc(LOG_DIRS_MAX + 1, sizeof *b->missing);
    ASSERT(b->paths != NULL && b->dirs != NULL && b->missing != NULL);
    while (str_cut(&rest, ',', &part)) {
        if (b->dir_count == LOG_DIRS_MAX)
            return fail_set(f, ERR_LIMIT, "log.dirs names more than %d directories", LOG_DIRS_MAX);
        if (str_equal(str_trim(part), metadata)) {
            b->metadata_dir = b->dir_count;
            found = true;
        }
        b->paths[b->dir_count++] = str_dup(str_trim(part));
    }
    if (!found) {
        b->metadata_dir = b->dir_count;
        b->paths[b->dir_count++] = str_dup(metadata);
    }
    return 0;
}

/* Nobody can connect to "all interfaces": others are told this machine's name, as Kafka tells it. */
static void name_host(const struct broker *b, struct listener *told)
{
    struct str name = b->options.host_name;

    if (told->host[0] == '\0' && name.n > 0 && (size_t)name.n < sizeof told->host)
        snprintf(told->host, sizeof told->host, "%.*s", STR_ARG(name));
}

static int take_listeners(struct broker *b, struct fail *f)
{
    int n;

    b->listeners = calloc(LISTENERS_MAX, sizeof *b->listeners);
    b->advertised = calloc(LISTENERS_MAX, sizeof *b->advertised);
    ASSERT(b->listeners != NULL && b->advertised != NULL);
    TRY(n = config_listeners(b->options.settings, b->listeners, LISTENERS_MAX, f));
    b->listener_count = (uint32_t)n;
    for (int i = 0; i < n; i++) {
        if (b->listeners[i].protocol != PLAINTEXT)
            return fail_set(f, -ENOTSUP,
                            "listener %s: only the protocol PLAINTEXT is served so far; change "
                            "listener.security.protocol.map or listeners", b->listeners[i].name);
    }
    TRY(n = config_advertised_listeners(b->options.settings, b->advertised, LISTENERS_MAX, f));
    b->advertised_count = (uint32_t)n;
    for (int i = 0; i < n; i++)
        name_host(b, &b->advertised[i]);
    return 0;
}

static void make_shards(struct broker *b)
{
    b->shards = calloc(b->shard_count, sizeof *b->shards);
    ASSERT(b->shards != NULL);
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct broker_shard *s = &b->shards[i];
        s->broker = b;
        s->io = b->options.shards[i];
        s->index = i;
        s->telemetry = telemetry_new(b->options.sink);
        s->settings = config_copy(b->options.settings);
        s->image = image_empty();
        s->authorizer = &authorizer_allow_all;
        s->metrics = metrics_new(s->telemetry);
        list_init(&s->sessions);
        list_init(&s->fetch_sessions);
        list_init(&s->listeners);
        s->groups = groups_new(s);
    }
    memory_begin(b);
}

/* ---- replicas tell their shard --------------------------------------------------------------- */

static void replica_leads(void *ctx, struct replica *r, bool leads)
{
    struct broker_shard *shard = ctx;

    groups_leading(shard->groups, r, leads);
}

static void replica_committed(void *ctx, struct replica *r)
{
    struct broker_shard *shard = ctx;

    groups_committed(shard->groups, r);
}

static void make_replicas(struct broker_shard *s, void *ctx, struct op *op)
{
    struct broker *b = s->broker;

    peers_start(s);
    struct replicas_options o = {
        .io = s->io,
        .telemetry = s->telemetry,
        .dirs = b->dirs,
        .dir_count = b->dir_count,
        .dirs_missing = b->missing_count > 0,
        .memory = &s->log_memory,
        .copied = &b->copied,
        .broker = s->settings,
        .node_id = b->node_id,
        .brokers = s->brokers,
        .listener = config_inter_broker_listener(b->options.settings),
        .propose = peers_propose,
        .leading = replica_leads,
        .committed = replica_committed,
        .placed = replica_placed,
        .save_starts = replica_save_starts,
        .ctx = s,
    };
    s->replicas = replicas_new(&o);
    io_complete(s->io, op, 0);
}

/* ---- the node -------------------------------------------------------------------------------- */

void broker_fail(struct broker *b, const struct fail *why)
{
    b->failed = true;
    b->options.fatal(b->options.ctx, why);
}

static void node_fatal(void *ctx, const struct fail *why)
{
    broker_fail(ctx, why);
}

static void node_state(void *ctx, enum broker_state state)
{
    struct broker *b = ctx;

    metrics_broker_state(&b->shards[0], state);
}

static int64_t previous_epoch(const struct broker *b)
{
    if (b->missing_count > 0)
        return -1;
    for (uint32_t d = 1; d < b->dir_count; d++) {
        if (b->dirs[d]->broker_epoch != b->dirs[0]->broker_epoch)
            return -1;
    }
    return b->dirs[0]->broker_epoch;
}

static void accept_nodes(struct broker_shard *shard, void *ctx, struct op *op)
{
    listeners_accept(shard, LISTENER_CONTROLLER);
    io_complete(shard->io, op, 0);
}

static void nothing_waits(struct op *op, int64_t result)
{
}

/* The quorum is open, and wants to be asked: it elects a leader before this node can be registered. */
static void node_opened(void *ctx)
{
    struct broker *b = ctx;

    op_init(&b->life->opened, nothing_waits);
    everywhere(b, accept_nodes, NULL, &b->life->opened);
}

/* Controllers' listeners as others reach them: what is advertised, else where it listens. */
static uint32_t take_controller_listeners(struct broker *b)
{
    const struct config *c = b->options.settings;
    uint32_t n = 0;

    b->controller_listeners = calloc(LISTENERS_MAX, sizeof *b->controller_listeners);
    ASSERT(b->controller_listeners != NULL);
    for (uint32_t i = 0; i < b->listener_count; i++) {
        const struct listener *at = &b->listeners[i];
        if (!config_is_controller_listener(c, str_of(at->name)))
            continue;
        b->controller_listeners[n] = *at;
        name_host(b, &b->controller_listeners[n]);
        for (uint32_t a = 0; a < b->advertised_count; a++) {
            if (strcmp(b->advertised[a].name, at->name) == 0)
                b->controller_listeners[n] = b->advertised[a];
        }
        n++;
    }
    return n;
}

/* What is advertised of controllers' listeners (KIP-853) is not the broker's. */
static void keep_own_advertised(struct broker *b)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < b->advertised_count; i++) {
        if (!config_is_controller_listener(b->options.settings, str_of(b->advertised[i].name)))
            b->advertised[kept++] = b->advertised[i];
    }
    b->advertised_count = kept;
}

static void begin_node(struct life *l)
{
    struct broker *b = l->broker;
    const struct config *c = b->options.settings;
    uint32_t n = take_controller_listeners(b);

    keep_own_advertised(b);
    l->node_options = (struct node_options){
        .io = b->shards[0].io,
        .telemetry = b->shards[0].telemetry,
        .settings = c,
        .cluster_id = str_of(b->cluster_id),
        .node_id = b->node_id,
        .is_broker = config_has_role(c, STR("broker")),
        .is_controller = config_has_role(c, STR("controller")),
        .dirs = b->dirs,
        .dir_count = b->dir_count,
        .metadata_dir = b->metadata_dir,
        .memory = &b->shards[0].log_memory,
        .advertised = b->advertised,
        .advertised_count = b->advertised_count,
        .controller_listeners = b->controller_listeners,
        .controller_listener_count = n,
        .previous_broker_epoch = previous_epoch(b),
        .publish = publish,
        .open = node_opened,
        .state = node_state,
        .fatal = node_fatal,
        .ctx = b,
    };
    l->joining = true;
    node_start(&l->node_options, &b->node, l->fail, &l->flow.op);
    if (l->canceled)
        broker_start_cancel(b);
}

void broker_start_cancel(struct broker *b)
{
    struct life *l = b->life;
    struct fail why = {0};

    l->canceled = true;
    if (!l->joining)
        return;
    fail_set(&why, -ECANCELED, "it was asked to stop while it was starting");
    node_give_up(b->node, &why);
}

/* ---- ready ----------------------------------------------------------------------------------- */

static uint32_t partitions_held(const struct broker *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->shard_count; i++)
        n += b->shards[i].partitions_at_start;
    return n;
}

static void tell_ready(struct life *l)
{
    struct broker *b = l->broker;
    bool clients = b->advertised_count > 0; /* a controller alone advertises nothing */
    const struct listener *listeners = clients ? b->advertised : b->listeners;
    struct text text = {0};

    for (uint32_t i = 0; i < (clients ? b->advertised_count : b->listener_count); i++) {
        const struct listener *a = &listeners[i];
        bool ipv6 = strchr(a->host, ':') != NULL;
        text_printf(&text, "%s%s://%s%s%s:%u", i > 0 ? "," : "", a->name, ipv6 ? "[" : "", a->host,
                    ipv6 ? "]" : "", a->port);
    }
    say(b->shards[0].telemetry, LOG_INFO, "broker",
        "Kafka Server started: node %d of cluster %s, %u partitions on %u shard%s", b->node_id,
        b->cluster_id, partitions_held(b), b->shard_count, b->shard_count == 1 ? "" : "s");
    b->options.ready(b->options.ctx, b->node_id, text.p);
    text_deinit(&text);
}

/* ---- how long it may take -------------------------------------------------------------------- */

#define START_MS_MAX (INT64_C(100) * 365 * 24 * 3600 * 1000) /* more is never; fits in ns */

static void start_took_too_long(struct io_timer *t)
{
    struct life *l = container_of(t, struct life, start_limit);
    struct fail why = {0};

    fail_set(&why, -ETIMEDOUT,
             "the start took longer than server.max.startup.time.ms (%" PRId64 "); it waited for: %s",
             config_i64(l->broker->options.settings, BROKER_SERVER_MAX_STARTUP_TIME_MS),
             l->flow.step);
    broker_fail(l->broker, &why);
}

static void limit_start(struct life *l)
{
    struct io *io = l->broker->shards[0].io;
    int64_t most_ms = config_i64(l->broker->options.settings, BROKER_SERVER_MAX_STARTUP_TIME_MS);

    if (most_ms < START_MS_MAX)
        io_timer_set(io, &l->start_limit, io_now_ns(io) + most_ms * 1000000, start_took_too_long);
}

/* ---- the flow -------------------------------------------------------------------------------- */

static void start_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, flow);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    limit_start(l);
    FLOW_TRY(f, "open the log directories", start_dirs(l, &f->op));
    FLOW_TRY(f, "make the replicas", everywhere(b, make_replicas, NULL, &f->op));
    FLOW_TRY(f, "listen", start_listeners(l, &f->op));
    l->space = space_watch_new(b);
    FLOW_TRY(f, "look at the space", space_watch_look(l->space, &f->op));
    FLOW_TRY(f, "join the cluster", begin_node(l));
    l->joining = false;
    l->retention = retention_start(b);
    FLOW_TRY(f, "start the cleaners", cleaning_start(b, &f->op));
    space_watch_begin(l->space);
    l->running = true;
    FLOW_END(f);
    io_timer_clear(&l->start_limit);
    tell_ready(l);
    l->fail = NULL;
    flow_done(f, 0);
    return;
failed:
    io_timer_clear(&l->start_limit);
    if (l->fail->error == 0)
        fail_set(l->fail, (int)f->result, "the broker cannot start (%s): %s", f->step,
                 error_text((int)f->result));
    l->fail = NULL;
    flow_done(f, f->result);
}

void broker_start(const struct broker_options *o, struct broker **out, struct fail *f,
                  struct op *op)
{
    struct broker *b = calloc(1, sizeof *b);
    struct life *l = calloc(1, sizeof *l);
    int rc;

    ASSERT(b != NULL && l != NULL);
    b->options = *o;
    b->shard_count = o->shard_count;
    b->life = l;
    b->node_id = config_node_id(o->settings);
    l->broker = b;
    l->broker_epoch = -1;
    l->fail = f;
    *out = b;
    connections_init(b);
    make_shards(b);
    rc = take_dirs(b, f);
    if (rc == 0)
        rc = take_listeners(b, f);
    if (rc < 0) {
        io_complete(o->shards[0], op, rc);
        return;
    }
    l->meta = calloc(b->dir_count, sizeof *l->meta);
    l->formatted = calloc(b->dir_count, sizeof *l->formatted);
    ASSERT(l->meta != NULL && l->formatted != NULL);
    flow_start(&l->flow, start_run, op);
}
