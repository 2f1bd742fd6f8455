/* The broker on its node: its lives, how each ends, and what must be true of an end. */
#define _GNU_SOURCE
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/broker.h"
#include "truth.h"

#define EVENTS_MAX UINT64_C(3000000) /* a world that runs on and on hangs */
#define MS INT64_C(1000000)

struct node_life {
    struct list node;
    struct world *world;
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

/* ---- words ---------------------------------------------------------------------------------------- */

void note(struct world *w, const char *format, ...)
{
    char line[300];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sim_note(w->sim, str_hash(str_of(line)));
    if (w->trace != NULL)
        fprintf(w->trace, "%11" PRId64 ".%03d us  * %s\n", world_now_ns(w) / 1000,
                (int)(world_now_ns(w) % 1000), line);
}

void broken(struct world *w, const char *format, ...)
{
    char line[700];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (w->trace != NULL)
        fflush(w->trace);
    printf("FAILED seed %" PRIu64 " at %.3f ms: %s; replay: %s --seed %" PRIu64 " --trace\n",
           w->seed, (double)world_now_ns(w) / 1e6, line, w->program, w->seed);
    fflush(stdout);
    _exit(1);
}

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct node_life *l = container_of(sink, struct node_life, sink);
    struct world *w = l->world;

    if (level == LOG_ERROR && strstr(line, " is offline: ") != NULL)
        l->dirs_offline++;
    if (level == LOG_ERROR && strstr(line, "/data/a is offline: ") != NULL && l->headless_ns == 0)
        l->headless_ns = world_now_ns(w);
    if (w->trace == NULL)
        return;
    fprintf(w->trace, "%11" PRId64 ".%03d us  life %u %s %s: %s\n", world_now_ns(w) / 1000,
            (int)(world_now_ns(w) % 1000), l->number, log_level_name(level), room, line);
}

/* ---- faults that explain -------------------------------------------------------------------------- */

static uint64_t disk_faults(const struct world *w)
{
    const struct sim_counters *c = sim_node_counters(w->node);
    uint64_t n = 0;

    for (int kind = 0; kind < SIM_LISTEN; kind++)
        n += c->failed[kind];
    return n;
}

static uint64_t write_faults(const struct world *w)
{
    const struct sim_counters *c = sim_node_counters(w->node);

    return c->failed[SIM_WRITE] + c->failed[SIM_WRITE_DURABLE] + c->failed[SIM_SYNC];
}

static uint64_t sync_faults(const struct world *w)
{
    const struct sim_counters *c = sim_node_counters(w->node);

    return c->failed[SIM_WRITE_DURABLE] + c->failed[SIM_SYNC] + c->failed[SIM_SYNC_DIR];
}

static bool disk_may_be_full(const struct node_life *l)
{
    const struct world *w = l->world;

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
    return l == l->world->life && sim_node_is_up(l->world->node);
}

/* Trouble that nobody caused is a bug. */
static void must_have_cause(struct node_life *l, const char *what, const char *why)
{
    struct world *w = l->world;

    note(w, "life %u: %s: %s", l->number, what, why);
    if (disk_faults(w) == l->faults_before && !disk_may_be_full(l))
        broken(w, "the node %s, although its disk is well: %s", what, why);
}

/* ---- a life ends ------------------------------------------------------------------------------------ */

static void stopped(struct op *op, int64_t result)
{
    struct node_life *l = container_of(op, struct node_life, stop);
    struct world *w = l->world;

    l->torn_down = true;
    w->lives_left--;
    if (!is_alive(l))
        return;
    note(w, "life %u: stopped with %d", l->number, (int)result);
    if (result < 0 && l->ready)
        must_have_cause(l, "did not stop cleanly", error_text((int)result));
    world_kill(w, false); /* the process exits */
}

static void begin_stop(struct node_life *l)
{
    if (l->stopping || l->starting)
        return;
    l->stopping = true;
    op_init(&l->stop, stopped);
    broker_stop(l->broker, &l->stop);
}

void world_kill(struct world *w, bool power)
{
    struct node_life *l = w->life;

    if (w->plan.durable && sync_faults(w) != w->sync_failures_told)
        power = true;
    note(w, "life %u ends: %s", l->number, power ? "power cut" : "killed");
    if (power)
        sim_node_power_cut(w->node);
    else
        sim_node_kill(w->node);
}

void world_stop_node(struct world *w)
{
    struct node_life *l = w->life;

    note(w, "life %u is asked to stop", l->number);
    l->stop_asked = true;
    begin_stop(l);
}

static void start_again(struct sim *sim, void *arg)
{
    struct world *w = arg;

    w->restart_due = false;
    world_start_node(w);
}

void world_down(struct sim_node *node, void *arg)
{
    struct world *w = arg;
    int64_t pause_ns = w->calm_ns != 0 ? MS : w->plan.restart_ns_max;

    if (!w->life->torn_down)
        begin_stop(w->life);
    if (w->phase >= PHASE_STOP || w->restart_due)
        return;
    w->restart_due = true;
    sim_at(w->sim, world_now_ns(w) + 1 + (int64_t)prng_below(sim_prng(w->sim), (uint64_t)pause_ns),
           start_again, w);
}

/* ---- a life begins ---------------------------------------------------------------------------------- */

static void started(struct op *op, int64_t result)
{
    struct node_life *l = container_of(op, struct node_life, start);

    l->starting = false;
    if (is_alive(l) && result < 0)
        must_have_cause(l, "did not start", l->fail.text);
    if (is_alive(l) && result >= 0 && !l->ready)
        broken(l->world, "the node started but did not say that it is ready");
    if (!is_alive(l) || result < 0 || l->stop_asked)
        begin_stop(l);
}

static void ready(void *ctx, int32_t node_id, const char *listeners)
{
    struct node_life *l = ctx;

    l->ready = true;
    note(l->world, "life %u is ready: %s", l->number, listeners);
}

/* The real program exits here and now. */
static void fatal(void *ctx, const struct fail *why)
{
    struct node_life *l = ctx;

    if (!is_alive(l))
        return;
    must_have_cause(l, "gave up", why->text);
    world_kill(l->world, false);
}

void world_start_node(struct world *w)
{
    struct node_life *l = calloc(1, sizeof *l);

    ASSERT(l != NULL);
    sim_node_start(w->node, w->plan.shards);
    l->world = w;
    l->number = ++w->lives;
    l->began_ns = world_now_ns(w);
    l->starting = true;
    l->faults_before = disk_faults(w);
    l->sink = (struct telemetry_sink){.write = sink_write, .level = w->trace == NULL ? LOG_ERROR : LOG_DEBUG};
    l->options = (struct broker_options){
        .shards = l->doors,
        .shard_count = w->plan.shards,
        .sink = &l->sink,
        .settings = w->settings,
        .format_empty = true,
        .software_version = STR("simulated"),
        .ready = ready,
        .fatal = fatal,
        .ctx = l,
    };
    for (uint32_t i = 0; i < w->plan.shards; i++)
        l->doors[i] = sim_node_io(w->node, i);
    list_add_tail(&w->all_lives, &l->node);
    w->life = l;
    w->lives_left++;
    w->sync_failures_told = sync_faults(w);
    w->write_failures_told = write_faults(w);
    note(w, "life %u begins", l->number);
    op_init(&l->start, started);
    broker_start(&l->options, &l->broker, &l->fail, &l->start);
}

void world_lives_free(struct world *w)
{
    LIST_EACH(it, &w->all_lives)
        free(container_of(it, struct node_life, node));
}

/* ---- what must be true ------------------------------------------------------------------------------ */

bool world_is_ready(const struct world *w)
{
    return w->life != NULL && is_alive(w->life) && w->life->ready && !w->life->stopping;
}

bool world_is_calm(const struct world *w)
{
    return w->steady_ns != 0 && w->phase != PHASE_RESTART && w->phase < PHASE_STOP &&
           world_is_ready(w);
}

/* Whoever lost bytes may not go on as if nothing was (design: it is final and never retried). Where there are several
 * directories the node goes on without the one. */
void world_check_failed_io(struct world *w)
{
    struct node_life *l = w->life;

    if (!world_is_ready(w) || write_faults(w) == w->write_failures_told)
        return;
    if (l->failed_io_ns == 0)
        l->failed_io_ns = world_now_ns(w);
    if (world_now_ns(w) - l->failed_io_ns > 1000 * MS && (w->plan.dirs == 1 || l->dirs_offline == 0))
        broken(w, "a write or a sync failed a second ago, and the node goes on");
    if (l->headless_ns != 0 && world_now_ns(w) - l->headless_ns > 1000 * MS)
        broken(w, "the metadata log's directory is offline, and the node goes on");
}

bool world_met_disk_faults(const struct world *w)
{
    return sim_node_is_up(w->node) && (disk_faults(w) != w->life->faults_before || w->life->dirs_offline > 0);
}

static bool has_marker(const struct world *w, const char *dir)
{
    struct text content = {0};
    char path[64];
    int rc;

    snprintf(path, sizeof path, "%s/.kafka_cleanshutdown", dir);
    rc = sim_disk_get(w->node, path, &content);
    text_deinit(&content);
    return rc == 0;
}

void world_check_clean(struct world *w)
{
    for (uint32_t i = 0; i < w->plan.dirs; i++) {
        if (!has_marker(w, world_dirs[i]))
            broken(w, "after a clean stop there is no clean marker in %s", world_dirs[i]);
    }
}

void world_check_marker(struct world *w)
{
    /* A directory that could not be opened at the start keeps it. */
    for (uint32_t i = 0; world_is_ready(w) && w->life->dirs_offline == 0 && i < w->plan.dirs; i++) {
        if (has_marker(w, world_dirs[i]))
            broken(w, "the clean marker is in %s while the node runs", world_dirs[i]);
    }
}

/* ---- one seed ----------------------------------------------------------------------------------------- */

static struct config *take_settings(struct world *w)
{
    struct config *c = config_new(&broker_settings);
    struct fail fail = {0};
    struct properties p;
    struct str name, value;

    properties_begin(&p, text_str(&w->plan.settings));
    while (properties_next(&p, &name, &value, &fail) == 1) {
        if (config_set(c, CONFIG_STATIC_BROKER, name, value, &fail) < 0)
            broken(w, "settings: %s", fail.text);
    }
    properties_end(&p);
    if (config_check_broker(c, &fail) < 0)
        broken(w, "settings: %s", fail.text);
    return c;
}

uint64_t world_play(uint64_t seed, const char *program, FILE *trace)
{
    struct world w = {.seed = seed, .program = program, .trace = trace};
    uint64_t hash;

    plan_draw(seed, &w.plan);
    if (trace != NULL)
        plan_print(&w.plan, trace);
    w.plan.weather.trace = trace;
    w.sim = sim_new(seed, &w.plan.weather);
    list_init(&w.all_lives);
    w.settings = take_settings(&w);
    w.node = sim_node_new(w.sim, "broker");
    sim_node_watch(w.node, world_down, &w);
    w.truth = truth_new(&w);
    world_start_node(&w);
    faults_begin(&w);
    story_begin(&w);
    while (w.phase != PHASE_OVER) {
        if (!sim_step(w.sim))
            broken(&w, "nothing will ever happen any more");
        if (sim_events(w.sim) > EVENTS_MAX)
            broken(&w, "%" PRIu64 " events and no end", EVENTS_MAX);
    }
    note(&w, "over: %" PRIu64 " acknowledged, %" PRIu64 " read, %" PRIu64 " commits, %u lives, %" PRIu64
         " events", w.truth->acked, w.truth->read, w.truth->committed, w.lives, sim_events(w.sim));
    hash = sim_hash(w.sim);
    story_end(&w);
    truth_free(w.truth);
    sim_free(w.sim);
    world_lives_free(&w);
    config_free(w.settings);
    plan_deinit(&w.plan);
    return hash;
}
