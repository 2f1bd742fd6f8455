/* The world of a seed: words, and what there is in it. */
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"
#include "truth.h"

#define EVENTS_MAX UINT64_C(3000000) /* of a node: a world that runs on and on hangs */

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
    printf("FAILED seed %" PRIu64 " at %.3f ms: %s; replay: %s%s --seed %" PRIu64 " --trace\n",
           w->seed, (double)world_now_ns(w) / 1e6, line, w->program, world_is_cluster(w) ? " --cluster" : "", w->seed);
    fflush(stdout);
    _exit(1);
}

/* ---- how it is with the nodes ------------------------------------------------------------------- */

bool world_is_ready(const struct world *w)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (!server_is_ready(&w->servers[i]))
            return false;
    }
    return true;
}

bool world_is_calm(const struct world *w)
{
    return w->steady_ns != 0 && w->phase != PHASE_RESTART && w->phase < PHASE_STOP &&
           world_is_ready(w);
}

bool world_is_down(const struct world *w)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (server_is_up(&w->servers[i]))
            return false;
    }
    return w->lives_left == 0;
}

/* ---- one seed ----------------------------------------------------------------------------------- */

static void servers_init(struct world *w)
{
    size_t used = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        struct server *s = &w->servers[i];
        server_init(s, w, (int32_t)i + 1);
        if (server_is_broker(s))
            used += (size_t)snprintf(w->bootstrap + used, sizeof w->bootstrap - used, "%s%s:9092", used > 0 ? "," : "",
                                     sim_node_host(s->node));
        ASSERT(used < sizeof w->bootstrap);
    }
}

void world_play(uint64_t seed, bool cluster, const char *program, FILE *trace, struct played *out)
{
    struct world w = {.seed = seed, .program = program, .trace = trace};
    struct formatted formatted = {0};

    if (cluster)
        plan_draw_cluster(seed, &w.plan);
    else
        plan_draw(seed, &w.plan);
    if (trace != NULL)
        plan_print(&w.plan, trace);
    if (cluster)
        format_cluster(&w, &formatted);
    w.plan.weather.trace = trace;
    w.sim = sim_new(seed, &w.plan.weather);
    sim_net_latency(w.sim, w.plan.latency_ns);
    list_init(&w.all_lives);
    list_init(&w.waiting);
    w.truth = truth_new(&w);
    servers_init(&w);
    if (cluster)
        format_copy(&w, &formatted);
    sim_free(formatted.sim);
    for (uint32_t i = 0; i < w.plan.node_count; i++)
        server_start(&w.servers[i]);
    story_begin(&w);
    while (w.phase != PHASE_OVER) {
        if (!sim_step(w.sim))
            broken(&w, "nothing will ever happen any more");
        if (sim_events(w.sim) > EVENTS_MAX * w.plan.node_count)
            broken(&w, "%" PRIu64 " events and no end", sim_events(w.sim));
    }
    note(&w, "over: %" PRIu64 " acknowledged, %" PRIu64 " read, %" PRIu64 " commits, %u lives, %" PRIu64
         " events", w.truth->acked, w.truth->read, w.truth->committed, w.lives, sim_events(w.sim));
    w.played.hash = sim_hash(w.sim);
    w.played.ns = world_now_ns(&w);
    w.played.events = sim_events(w.sim);
    w.played.lives = w.lives;
    *out = w.played;
    story_end(&w);
    truth_free(w.truth);
    sim_free(w.sim);
    servers_free_lives(&w);
    for (uint32_t i = 0; i < w.plan.node_count; i++)
        server_deinit(&w.servers[i]);
    plan_deinit(&w.plan);
}
