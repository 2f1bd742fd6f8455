/* Start: settings ► directories ► replicas and groups (empty) ► sockets bound ► node: quorum, registration, first image
 * ► sockets accept ► ready.
 */
#include "broker/start.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/everywhere.h"
#include "broker/groups.h"
#include "broker/metrics.h"
#include "broker/publish.h"
#include "broker/settings.h"

#define META_PROPERTIES "meta.properties"
#define META_PROPERTIES_MAX 65536

#define NOT_FORMATTED                                                                                  \
    "not every log directory is formatted: run `millrace storage random-uuid` and then "               \
    "`millrace storage format -t CLUSTER_ID -c FILE`"

/* ---- from settings ------------------------------------------------------------------------------------- */

/* log.dirs, and which of them holds the metadata log (metadata.log.dir, else the first). */
static int take_dirs(struct broker *b, struct fail *f)
{
    const struct config *c = b->options.settings;
    struct str rest = config_log_dirs(c), part;
    struct str metadata = config_str(c, BROKER_METADATA_LOG_DIR);
    bool found = metadata.n <= 0;

    b->paths = calloc(LOG_DIRS_MAX + 1, sizeof *b->paths); /* and metadata.log.dir */
    b->dirs = calloc(LOG_DIRS_MAX + 1, sizeof *b->dirs);
    ASSERT(b->paths != NULL && b->dirs != NULL);
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
    return 0;
}

/* Logs' tails get half of the memory budget, shared equally; the other half is for requests, answers and what
 * does not grow with the data. */
static void make_shards(struct broker *b)
{
    int64_t budget = config_i64(b->options.settings, BROKER_MILLRACE_MEMORY_BYTES);

    b->shards = calloc(b->shard_count, sizeof *b->shards);
    ASSERT(b->shards != NULL);
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct broker_shard *s = &b->shards[i];
        s->broker = b;
        s->io = b->options.shards[i];
        s->index = i;
        s->telemetry = telemetry_new(b->options.sink);
        s->log_memory.limit_bytes = (uint64_t)budget / 2 / b->shard_count;
        s->settings = config_copy(b->options.settings);
        s->image = image_empty();
        s->authorizer = &authorizer_allow_all;
        s->metrics = metrics_new(s->telemetry);
        list_init(&s->sessions);
        list_init(&s->listeners);
        s->groups = groups_new(s);
    }
}

/* ---- replicas tell their shard ----------------------------------------------------------------------------- */

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

static void make_replicas(struct broker *b)
{
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct broker_shard *s = &b->shards[i];
        struct replicas_options o = {
            .io = s->io,
            .telemetry = s->telemetry,
            .dirs = b->dirs,
            .dir_count = b->dir_count,
            .memory = &s->log_memory,
            .broker = s->settings,
            .node_id = b->node_id,
            .leading = replica_leads,
            .committed = replica_committed,
            .ctx = s,
        };
        s->replicas = replicas_new(&o);
    }
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

static const char *path_in(struct life *l, const char *dir, const char *name)
{
    free(l->path);
    size_t n = strlen(dir) + strlen(name) + 2;
    l->path = malloc(n);
    ASSERT(l->path != NULL);
    snprintf(l->path, n, "%s/%s", dir, name);
    return l->path;
}

/* What stood in a directory's meta.properties; all must agree. */
static int check_meta(struct life *l)
{
    struct broker *b = l->broker;
    struct meta_properties *m = &l->meta[l->dir];

    if (meta_properties_parse(text_str(&l->text), m, l->fail) < 0)
        return fail_wrap(l->fail, "%s/%s", b->paths[l->dir], META_PROPERTIES);
    if (m->node_id != b->node_id)
        return fail_set(l->fail, -EINVAL,
                        "%s/%s is of node %d, but node.id is %d: this directory belongs to another "
                        "node, or node.id was changed", b->paths[l->dir], META_PROPERTIES, m->node_id,
                        b->node_id);
    if (b->cluster_id[0] != 0 && strcmp(b->cluster_id, m->cluster_id) != 0)
        return fail_set(l->fail, -EINVAL,
                        "%s/%s has cluster id %s, another log directory has %s: they belong to "
                        "different clusters", b->paths[l->dir], META_PROPERTIES, m->cluster_id,
                        b->cluster_id);
    snprintf(b->cluster_id, sizeof b->cluster_id, "%s", m->cluster_id);
    l->formatted[l->dir] = true;
    return 0;
}

static bool all_formatted(const struct life *l)
{
    for (uint32_t d = 0; d < l->broker->dir_count; d++) {
        if (!l->formatted[d])
            return false;
    }
    return true;
}

static void begin_format(struct life *l)
{
    struct broker *b = l->broker;
    struct io *io = b->shards[0].io;
    char text[UUID_TEXT_BYTES];

    if (b->cluster_id[0] == 0)
        snprintf(b->cluster_id, sizeof b->cluster_id, "%s",
                 uuid_text(uuid_random(io_prng(io)), text));
    text_clear(&l->text);
    quorum_format_default(io, b->options.settings, (const char *const *)b->paths, b->dir_count,
                          b->metadata_dir, str_of(b->cluster_id), b->node_id, &l->text, l->fail,
                          &l->flow.op);
}

/* A directory of an older node has no id yet. */
static void add_directory_id(struct life *l)
{
    struct io *io = l->broker->shards[0].io;
    struct meta_properties *m = &l->meta[l->dir];

    m->directory_id = uuid_random(io_prng(io));
    text_clear(&l->text);
    meta_properties_print(m, io_wall_ms(io), &l->text);
}

/* ---- something fails while running ------------------------------------------------------------------------------- */

static void node_fatal(void *ctx, const struct fail *why)
{
    struct broker *b = ctx;

    b->failed = true;
    b->options.fatal(b->options.ctx, why);
}

struct dir_failure {
    struct io_message message;
    struct broker *broker;
    struct fail why;
};

static void dir_failed_home(struct io *io, struct io_message *m)
{
    struct dir_failure *d = container_of(m, struct dir_failure, message);

    node_fatal(d->broker, &d->why);
    free(d);
}

/* On the shard where it happened. The process stops: going on without one of several directories is not served yet. */
static void dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct broker *b = ctx;
    struct dir_failure *d = calloc(1, sizeof *d);

    ASSERT(d != NULL);
    d->broker = b;
    d->why = *why;
    d->message.run = dir_failed_home;
    io_post(io, 0, &d->message);
}

/* ---- listeners ------------------------------------------------------------------------------------------- */

static struct broker_listener *listener_new(struct broker_shard *shard, const struct listener *at)
{
    const struct config *c = shard->broker->options.settings;
    struct broker_listener *l = calloc(1, sizeof *l);

    ASSERT(l != NULL);
    l->shard = shard;
    l->bound = at;
    l->kind = config_is_controller_listener(c, str_of(at->name)) ? LISTENER_CONTROLLER
                                                                 : LISTENER_BROKER;
    list_add_tail(&shard->listeners, &l->node);
    return l;
}

static void listen_on(struct life *l, struct broker_shard *shard, struct op *op)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    listener_open(listener_new(shard, at), &l->address, shard->index == 0 ? &l->bound : &shard->bound,
                  op);
}

/* Every shard but the first, which has found the port already. */
static void listen_other(struct broker_shard *shard, void *ctx, struct op *op)
{
    if (shard->index == 0)
        io_complete(shard->io, op, 0);
    else
        listen_on(ctx, shard, op);
}

static void begin_listener(struct life *l)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    l->has_listeners = true;
    snprintf(l->address.host, sizeof l->address.host, "%s", at->host);
    l->address.port = at->port;
}

/* The real port is known: it is what is told to clients where the setting said 0. */
static void listens(struct life *l)
{
    struct broker *b = l->broker;
    struct listener *at = &b->listeners[l->listener];

    at->port = l->bound.port;
    l->address.port = l->bound.port;
    for (uint32_t i = 0; i < b->advertised_count; i++) {
        struct listener *told = &b->advertised[i];
        if (strcmp(told->name, at->name) == 0 && told->port == 0)
            told->port = at->port;
    }
}

static void listen_failed(struct life *l, int64_t rc)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    fail_set(l->fail, (int)rc, "cannot listen on %s://%s:%u: %s; choose another port in listeners, or stop "
             "what uses it", at->name, at->host, at->port, error_text((int)rc));
}

static void accept_all(struct broker_shard *shard, void *ctx, struct op *op)
{
    shard->partitions_at_start = replicas_count(shard->replicas);
    LIST_EACH(it, &shard->listeners)
        listener_accept(container_of(it, struct broker_listener, node));
    io_complete(shard->io, op, 0);
}

/* ---- the node ------------------------------------------------------------------------------------------------ */

static void node_state(void *ctx, enum broker_state state)
{
    struct broker *b = ctx;

    metrics_broker_state(&b->shards[0], state);
}

static int64_t previous_epoch(const struct broker *b)
{
    for (uint32_t d = 1; d < b->dir_count; d++) {
        if (b->dirs[d]->broker_epoch != b->dirs[0]->broker_epoch)
            return -1;
    }
    return b->dirs[0]->broker_epoch;
}

static void begin_node(struct life *l)
{
    struct broker *b = l->broker;
    const struct config *c = b->options.settings;
    uint32_t n = 0;
    struct listener *controllers = calloc(LISTENERS_MAX, sizeof *controllers);

    ASSERT(controllers != NULL);
    for (uint32_t i = 0; i < b->listener_count; i++) {
        if (config_is_controller_listener(c, str_of(b->listeners[i].name)))
            controllers[n++] = b->listeners[i];
    }
    b->controller_listeners = controllers;
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
        .controller_listeners = controllers,
        .controller_listener_count = n,
        .previous_broker_epoch = previous_epoch(b),
        .publish = publish,
        .state = node_state,
        .fatal = node_fatal,
        .ctx = b,
    };
    node_start(&l->node_options, &b->node, l->fail, &l->flow.op);
}

/* ---- ready ---------------------------------------------------------------------------------------------------- */

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
    say(b->shards[0].telemetry, LOG_INFO, "broker", "Kafka Server started: node %d of cluster %s, %u partitions on %u shard%s",
        b->node_id, b->cluster_id, partitions_held(b), b->shard_count, b->shard_count == 1 ? "" : "s");
    b->options.ready(b->options.ctx, b->node_id, text.p);
    text_deinit(&text);
}

/* ---- the flow ---------------------------------------------------------------------------------------------------- */

static void start_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, flow);
    struct broker *b = l->broker;
    struct io *io = b->shards[0].io;

    FLOW_BEGIN(f);
    for (l->dir = 0; l->dir < b->dir_count; l->dir++) {
        text_clear(&l->text);
        FLOW_WAIT(f, "read meta.properties",
                  file_read_all(io, path_in(l, b->paths[l->dir], META_PROPERTIES),
                                META_PROPERTIES_MAX, &l->text, &f->op));
        if (f->result == -ENOENT)
            continue;
        if (f->result < 0)
            fail_set(l->fail, (int)f->result, "cannot read %s: %s", l->path, error_text((int)f->result));
        else
            f->result = check_meta(l);
        if (f->result < 0)
            goto failed;
    }
    if (!all_formatted(l) && !b->options.format_empty) {
        f->result = fail_set(l->fail, -ENOENT, "%s", NOT_FORMATTED);
        goto failed;
    }
    if (!all_formatted(l)) {
        FLOW_TRY(f, "format", begin_format(l));
        for (l->dir = 0; l->dir < b->dir_count; l->dir++) {
            text_clear(&l->text);
            FLOW_TRY(f, "read meta.properties",
                     file_read_all(io, path_in(l, b->paths[l->dir], META_PROPERTIES),
                                   META_PROPERTIES_MAX, &l->text, &f->op));
            f->result = check_meta(l);
            if (f->result < 0)
                goto failed;
        }
    }
    for (l->dir = 0; l->dir < b->dir_count; l->dir++) {
        FLOW_TRY(f, "open the directory",
                 log_dir_open(io, b->shards[0].telemetry, b->paths[l->dir], &b->dirs[l->dir], l->fail,
                              &f->op));
        b->dirs[l->dir]->failed = dir_failed;
        b->dirs[l->dir]->failed_ctx = b;
        if (uuid_is_zero(l->meta[l->dir].directory_id)) {
            add_directory_id(l);
            FLOW_TRY(f, "write meta.properties",
                     file_replace(io, b->paths[l->dir], META_PROPERTIES,
                                  bytes_of_str(text_str(&l->text)), &f->op));
        }
        b->dirs[l->dir]->directory_id = l->meta[l->dir].directory_id;
    }
    make_replicas(b);
    for (l->listener = 0; l->listener < b->listener_count; l->listener++) {
        begin_listener(l);
        if (b->shard_count > 1) {
            /* Shards share the port, and the kernel would share it with another process that does so, too. */
            FLOW_WAIT(f, "probe", io_listen(io, &l->address, false, &l->probe, &l->bound, &f->op));
            if (f->result == 0) {
                l->address.port = l->bound.port;
                FLOW_WAIT(f, "end the probe", io_listener_close(l->probe, &f->op));
            }
        }
        if (f->result >= 0)
            FLOW_WAIT(f, "listen", listen_on(l, &b->shards[0], &f->op));
        if (f->result == 0) {
            listens(l);
            FLOW_WAIT(f, "listen on every shard", everywhere(b, listen_other, l, &f->op));
        }
        if (f->result < 0) {
            listen_failed(l, f->result);
            goto failed;
        }
    }
    FLOW_TRY(f, "join the cluster", begin_node(l));
    FLOW_TRY(f, "accept", everywhere(b, accept_all, NULL, &f->op));
    l->checkpoints = checkpoints_start(b);
    l->running = true;
    FLOW_END(f);
    tell_ready(l);
    l->fail = NULL;
    flow_done(f, 0);
    return;
failed:
    if (l->fail->error == 0)
        fail_set(l->fail, (int)f->result, "the broker cannot start (%s): %s", f->step,
                 error_text((int)f->result));
    l->fail = NULL;
    flow_done(f, f->result);
}

void broker_start(const struct broker_options *o, struct broker **out, struct fail *f, struct op *op)
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
    l->fail = f;
    *out = b;
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
