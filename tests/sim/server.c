/* The broker on its node: its lives, how each ends, and what must be true of an end. */
#define _GNU_SOURCE
#include "server.h"

#include <stdlib.h>

#include "broker/broker.h"
#include "truth.h"

#define MS INT64_C(1000000)

struct node_life {
    struct list node;
    struct server *server;
    uint32_t number;
    struct io *doors[SIM_SHARDS_MAX];
    struct broker_options options;
    struct broker *broker;
    struct fail fail;
    struct op start, stop;
    struct telemetry_sink sink;
    bool starting, stopping, stop_asked, ready, torn_down;
    int64_t began_ns;
    uint64_t faults_before; /* injected into the disk before this life */
    int64_t failed_io_ns;   /* since when a failed write or sync is known; 0 = none */
    uint32_t dirs_offline;  /* log directories of which it has said that they are */
    int64_t headless_ns;    /* since when it has said so of the metadata log's; 0 = not */
};

const char *const world_dirs[] = {"/data/a", "/data/b", "/data/c"};

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct node_life *l = container_of(sink, struct node_life, sink);
    struct world *w = l->server->world;

    if (level == LOG_ERROR && strstr(line, " is offline: ") != NULL)
        l->dirs_offline++;
    if (level == LOG_ERROR && strstr(line, "/data/a is offline: ") != NULL && l->headless_ns == 0)
        l->headless_ns = world_now_ns(w);
    if (w->trace == NULL)
        return;
    fprintf(w->trace, "%11" PRId64 ".%03d us  %s life %u %s %s: %s\n", world_now_ns(w) / 1000,
            (int)(world_now_ns(w) % 1000), sim_node_name(l->server->node), l->number, log_level_name(level), room,
            line);
}

/* ---- faults that explain -------------------------------------------------------------------------- */

static uint64_t disk_faults(const struct server *s)
{
    const struct sim_counters *c = sim_node_counters(s->node);
    uint64_t n = 0;

    for (int kind = 0; kind < SIM_LISTEN; kind++)
        n += c->failed[kind];
    return n;
}

static uint64_t write_faults(const struct server *s)
{
    const struct sim_counters *c = sim_node_counters(s->node);

    return c->failed[SIM_WRITE] + c->failed[SIM_WRITE_DURABLE] + c->failed[SIM_SYNC];
}

static uint64_t sync_faults(const struct server *s)
{
    const struct sim_counters *c = sim_node_counters(s->node);

    return c->failed[SIM_WRITE_DURABLE] + c->failed[SIM_SYNC] + c->failed[SIM_SYNC_DIR];
}

static bool disk_may_be_full(const struct node_life *l)
{
    const struct world *w = l->server->world;

    if (w->calm_ns != 0 && l->began_ns >= w->calm_ns)
        return false;
    for (uint32_t i = 0; i < w->plan.fault_count; i++) {
        if (w->plan.faults[i].kind == FAULT_DISK_FULL)
            return true;
    }
    return false;
}

static bool is_alive(const struct node_life *l)
{
    return l == l->server->life && sim_node_is_up(l->server->node);
}

/* Trouble that nobody caused is a bug. */
static void must_have_cause(struct node_life *l, const char *what, const char *why)
{
    struct world *w = l->server->world;

    note(w, "life %u: %s: %s", l->number, what, why);
    if (disk_faults(l->server) == l->faults_before && !disk_may_be_full(l))
        broken(w, "%s %s, although its disk is well: %s", sim_node_name(l->server->node), what, why);
}

/* ---- a life ends ------------------------------------------------------------------------------------ */

static void stopped(struct op *op, int64_t result)
{
    struct node_life *l = container_of(op, struct node_life, stop);
    struct world *w = l->server->world;

    l->torn_down = true;
    w->lives_left--;
    if (!is_alive(l))
        return;
    note(w, "life %u: stopped with %d", l->number, (int)result);
    if (result < 0 && l->ready)
        must_have_cause(l, "did not stop cleanly", error_text((int)result));
    server_kill(l->server, false); /* the process exits */
}

static void begin_stop(struct node_life *l)
{
    if (l->stopping)
        return;
    if (l->starting) { /* `started` goes on */
        broker_start_cancel(l->broker);
        return;
    }
    l->stopping = true;
    op_init(&l->stop, stopped);
    broker_stop(l->broker, &l->stop);
}

void server_kill(struct server *s, bool power)
{
    struct world *w = s->world;

    if ((w->plan.durable || w->plan.lossy) && sync_faults(s) != s->sync_failures_told)
        power = true;
    note(w, "life %u of %s ends: %s", s->life->number, sim_node_name(s->node), power ? "power cut" : "killed");
    if (power)
        sim_node_power_cut(s->node);
    else
        sim_node_kill(s->node);
}

void server_stop(struct server *s)
{
    note(s->world, "life %u of %s is asked to stop", s->life->number, sim_node_name(s->node));
    s->life->stop_asked = true;
    begin_stop(s->life);
}

static void start_again(struct sim *sim, void *arg)
{
    struct server *s = arg;

    s->restart_due = false;
    server_start(s);
}

/* It went down: tear down, start again. */
static void down(struct sim_node *node, void *arg)
{
    struct server *s = arg;
    struct world *w = s->world;
    int64_t pause_ns = w->calm_ns != 0 ? MS : w->plan.restart_ns_max;

    if (!s->life->torn_down)
        begin_stop(s->life);
    if (w->phase >= PHASE_STOP || s->restart_due)
        return;
    s->restart_due = true;
    sim_at(w->sim, world_now_ns(w) + 1 + (int64_t)prng_below(sim_prng(w->sim), (uint64_t)pause_ns),
           start_again, s);
}

/* ---- a life begins ---------------------------------------------------------------------------------- */

static void started(struct op *op, int64_t result)
{
    struct node_life *l = container_of(op, struct node_life, start);

    l->starting = false;
    if (is_alive(l) && result < 0 && !(result == -ECANCELED && l->stop_asked))
        must_have_cause(l, "did not start", l->fail.text);
    if (is_alive(l) && result >= 0 && !l->ready)
        broken(l->server->world, "the node started but did not say that it is ready");
    if (!is_alive(l) || result < 0 || l->stop_asked)
        begin_stop(l);
}

static void ready(void *ctx, int32_t node_id, const char *listeners)
{
    struct node_life *l = ctx;

    l->ready = true;
    if (node_id != l->server->id)
        broken(l->server->world, "%s calls itself node %d", sim_node_name(l->server->node), node_id);
    /* Where there is no room a start goes on without the file of scan points, which nothing needs before a log changes. */
    if (disk_may_be_full(l))
        l->server->write_failures_told = write_faults(l->server);
    note(l->server->world, "life %u of %s is ready: %s", l->number, sim_node_name(l->server->node), listeners);
}

/* The real program exits here and now. */
static void fatal(void *ctx, const struct fail *why)
{
    struct node_life *l = ctx;

    if (!is_alive(l))
        return;
    must_have_cause(l, "gave up", why->text);
    server_kill(l->server, false);
}

void server_start(struct server *s)
{
    struct node_life *l = calloc(1, sizeof *l);
    struct world *w = s->world;

    ASSERT(l != NULL);
    if (world_is_cluster(w)) { /* before it says anything else */
        truth_quorum(w->truth);
        truth_restart(w->truth, s);
    }
    sim_node_start(s->node, w->plan.shards);
    l->server = s;
    l->number = ++w->lives;
    l->began_ns = world_now_ns(w);
    l->starting = true;
    l->faults_before = disk_faults(s);
    l->sink = (struct telemetry_sink){.write = sink_write, .level = w->trace == NULL ? LOG_ERROR : LOG_DEBUG};
    l->options = (struct broker_options){
        .shards = l->doors,
        .shard_count = w->plan.shards,
        .sink = &l->sink,
        .settings = s->settings,
        .format_empty = !world_is_cluster(w),
        .software_version = STR("simulated"),
        .ready = ready,
        .fatal = fatal,
        .ctx = l,
    };
    for (uint32_t i = 0; i < w->plan.shards; i++)
        l->doors[i] = sim_node_io(s->node, i);
    list_add_tail(&w->all_lives, &l->node);
    s->life = l;
    s->lives++;
    w->lives_left++;
    s->sync_failures_told = sync_faults(s);
    s->write_failures_told = write_faults(s);
    note(w, "life %u begins, of %s", l->number, sim_node_name(s->node));
    op_init(&l->start, started);
    broker_start(&l->options, &l->broker, &l->fail, &l->start);
}

void servers_free_lives(struct world *w)
{
    LIST_EACH(it, &w->all_lives)
        free(container_of(it, struct node_life, node));
}

/* ---- how it is with it ------------------------------------------------------------------------------ */

bool server_is_up(const struct server *s)
{
    return sim_node_is_up(s->node);
}

bool server_is_ready(const struct server *s)
{
    return s->life != NULL && is_alive(s->life) && s->life->ready && !s->life->stopping;
}

bool server_is_broker(const struct server *s)
{
    return s->world->plan.nodes[s->id - 1].is_broker;
}

bool server_met_disk_faults(const struct server *s)
{
    return sim_node_is_up(s->node) && (disk_faults(s) != s->life->faults_before || s->life->dirs_offline > 0);
}

/* ---- what must be true ------------------------------------------------------------------------------ */

/* Whoever lost bytes may not go on as if nothing was (design: it is final and never retried). Where there are several
 * directories the node goes on without the one. */
void server_check_failed_io(struct server *s)
{
    struct node_life *l = s->life;
    struct world *w = s->world;

    if (!server_is_ready(s) || write_faults(s) == s->write_failures_told)
        return;
    if (l->failed_io_ns == 0)
        l->failed_io_ns = world_now_ns(w);
    if (world_now_ns(w) - l->failed_io_ns > 1000 * MS && (w->plan.dirs == 1 || l->dirs_offline == 0))
        broken(w, "a write or a sync failed a second ago, and %s goes on", sim_node_name(s->node));
    if (l->headless_ns != 0 && world_now_ns(w) - l->headless_ns > 1000 * MS)
        broken(w, "the metadata log's directory is offline, and %s goes on", sim_node_name(s->node));
}

static bool has_marker(const struct server *s, const char *dir)
{
    struct text content = {0};
    char path[64];
    int rc;

    snprintf(path, sizeof path, "%s/.kafka_cleanshutdown", dir);
    rc = sim_disk_get(s->node, path, &content);
    text_deinit(&content);
    return rc == 0;
}

void server_check_clean(struct server *s)
{
    for (uint32_t i = 0; i < s->world->plan.dirs; i++) {
        if (!has_marker(s, world_dirs[i]))
            broken(s->world, "after a clean stop of %s there is no clean marker in %s", sim_node_name(s->node),
                   world_dirs[i]);
    }
}

void server_check_marker(struct server *s)
{
    /* A directory that could not be opened at the start keeps it. */
    for (uint32_t i = 0; server_is_ready(s) && s->life->dirs_offline == 0 && i < s->world->plan.dirs; i++) {
        if (has_marker(s, world_dirs[i]))
            broken(s->world, "the clean marker is in %s while %s runs", world_dirs[i], sim_node_name(s->node));
    }
}

/* ---- its machine ------------------------------------------------------------------------------------ */

static struct config *take_settings(struct server *s)
{
    struct config *c = config_new(&broker_settings);
    struct fail fail = {0};
    struct text text = {0};
    struct properties p;
    struct str name, value;

    plan_settings(&s->world->plan, (uint32_t)s->id - 1, &text);
    properties_begin(&p, text_str(&text));
    while (properties_next(&p, &name, &value, &fail) == 1) {
        if (config_set(c, CONFIG_STATIC_BROKER, name, value, &fail) < 0)
            broken(s->world, "settings: %s", fail.text);
    }
    properties_end(&p);
    text_deinit(&text);
    if (config_check_broker(c, &fail) < 0)
        broken(s->world, "settings: %s", fail.text);
    return c;
}

void server_init(struct server *s, struct world *w, int32_t id)
{
    s->world = w;
    s->id = id;
    s->settings = take_settings(s);
    s->node = sim_node_new(w->sim, w->plan.nodes[id - 1].name);
    sim_node_watch(s->node, down, s);
}

void server_deinit(struct server *s)
{
    config_free(s->settings);
}
