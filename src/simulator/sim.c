/* simulator/sim.c - the world: events in order of time, chance, the trace. */
#include "simulator/internal.h"

#include <stdlib.h>

#define WALL_MS_DEFAULT 1735689600000 /* 2025-01-01 */
#define DISK_BYTES_DEFAULT (64ull << 30)
#define STALL_NS_MAX 20000000

/* What assert_hook prints; it is called without an argument, so this has to be global. */
static struct sim *asserting_sim;

static void print_replay(void)
{
    struct sim *sim = asserting_sim;

    if (sim == NULL)
        return;
    fprintf(stderr,
            "simulator: seed %" PRIu64 ", event %" PRIu64 ", virtual time %" PRId64 ".%09" PRId64
            " s, hash %016" PRIx64 "\n",
            sim->seed, sim->event_count, sim->now_ns / 1000000000, sim->now_ns % 1000000000,
            sim->hash);
    if (sim->options.replay != NULL)
        fprintf(stderr, "replay: %s\n", sim->options.replay);
    if (sim->options.trace != NULL)
        fflush(sim->options.trace);
}

struct sim *sim_new(uint64_t seed, const struct sim_options *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    ASSERT(sim != NULL);
    sim->seed = seed;
    if (options != NULL)
        sim->options = *options;
    if (sim->options.wall_ms == 0)
        sim->options.wall_ms = WALL_MS_DEFAULT;
    if (sim->options.disk_bytes == 0)
        sim->options.disk_bytes = DISK_BYTES_DEFAULT;
    prng_init(&sim->prng, seed);
    prng_init(&sim->test_prng, seed ^ 0x7465737473656564);
    sim->hash = seed;
    heap_init(&sim->events);
    heap_init(&sim->timers);
    list_init(&sim->connections);
    list_init(&sim->stuck);
    list_init(&sim->acts);
    asserting_sim = sim;
    assert_hook = print_replay;
    return sim;
}

struct act {
    struct event event;
    struct list in_sim;
    void (*act)(struct sim *sim, void *arg);
    void *arg;
};

void sim_free(struct sim *sim)
{
    if (sim == NULL)
        return;
    LIST_EACH (it, &sim->acts)
        free(container_of(it, struct act, in_sim));
    LIST_EACH (it, &sim->connections)
        sim_connection_free(container_of(it, struct connection, all));
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim_node_free(sim->nodes[i]);
    for (struct request *r = sim->free_requests, *next; r != NULL; r = next) {
        next = r->next_free;
        free(r->path);
        free(r);
    }
    heap_deinit(&sim->events);
    heap_deinit(&sim->timers);
    if (asserting_sim == sim) {
        asserting_sim = NULL;
        if (assert_hook == print_replay)
            assert_hook = NULL;
    }
    free(sim);
}

/* ---- events ------------------------------------------------------------------------------ */

void sim_event_at(struct sim *sim, struct event *e, int64_t at_ns)
{
    sim_event_stop(sim, e);
    heap_add(&sim->events, &e->node, at_ns > sim->now_ns ? at_ns : sim->now_ns);
}

void sim_event_stop(struct sim *sim, struct event *e)
{
    if (event_is_set(e))
        heap_remove(&sim->events, &e->node);
}

/* A shard that stands still now? Begins its next stall when it is time. */
static bool is_stalled(struct sim *sim, struct shard *shard)
{
    int64_t length;

    if (shard == NULL)
        return false;
    if (shard->busy_until_ns > sim->now_ns)
        return true;
    if (LIKELY(shard->next_stall_ns > sim->now_ns) || sim->calm)
        return false;
    length = (int64_t)sim_below(sim, STALL_NS_MAX);
    shard->busy_until_ns = sim->now_ns + length;
    shard->next_stall_ns = shard->busy_until_ns + sim_shard_stall_pause(sim);
    return length > 0;
}

/* Until the next stall; INT64_MAX for a world without. */
int64_t sim_shard_stall_pause(struct sim *sim)
{
    uint64_t mean_ns;

    if (sim->options.stall_ppm == 0)
        return INT64_MAX / 2;
    mean_ns = STALL_NS_MAX / 2 * 1000000ull / sim->options.stall_ppm;
    return (int64_t)sim_below(sim, 2 * mean_ns);
}

static void timer_step(struct sim *sim, struct io_timer *t)
{
    struct shard *shard = shard_of(t->io);

    heap_remove(&sim->timers, &t->node);
    if (is_stalled(sim, shard)) {
        heap_add(&sim->timers, &t->node, shard->busy_until_ns);
        return;
    }
    sim_enter(sim, shard);
    sim_trace(sim, SIM_TIMER, shard->life->node, t->io->shard, 0, NULL, 0);
    t->fire(t);
}

static void event_step(struct sim *sim, struct event *e)
{
    heap_remove(&sim->events, &e->node);
    if (is_stalled(sim, e->shard)) {
        heap_add(&sim->events, &e->node, e->shard->busy_until_ns);
        return;
    }
    if (e->shard != NULL)
        sim_enter(sim, e->shard);
    e->run(sim, e);
}

/* Time of the next event; INT64_MAX when there is none. */
static int64_t next_ns(const struct sim *sim)
{
    const struct heap_node *event = heap_first(&sim->events);
    const struct heap_node *timer = heap_first(&sim->timers);
    int64_t at = event == NULL ? INT64_MAX : event->key;

    return timer != NULL && timer->key < at ? timer->key : at;
}

bool sim_step(struct sim *sim)
{
    struct heap_node *event = heap_first(&sim->events);
    struct heap_node *timer = heap_first(&sim->timers);

    if (event == NULL && timer == NULL)
        return false;
    sim->event_count++;
    if (event == NULL || (timer != NULL && timer->key < event->key)) {
        if (timer->key > sim->now_ns)
            sim->now_ns = timer->key;
        timer_step(sim, container_of(timer, struct io_timer, node));
    } else {
        sim->now_ns = event->key;
        event_step(sim, container_of(event, struct event, node));
    }
    return true;
}

void sim_run_until(struct sim *sim, int64_t at_ns)
{
    while (next_ns(sim) <= at_ns)
        sim_step(sim);
    if (at_ns > sim->now_ns)
        sim->now_ns = at_ns;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct life *life = sim->nodes[i]->life;
        for (uint32_t s = 0; life != NULL && s < life->shard_count; s++)
            sim_enter(sim, &life->shards[s]);
    }
}

static void act_run(struct sim *sim, struct event *e)
{
    struct act *a = container_of(e, struct act, event);
    struct act copy = *a;

    list_remove(&a->in_sim);
    free(a);
    sim_trace(sim, SIM_AT, NULL, 0, 0, NULL, 0);
    copy.act(sim, copy.arg);
}

void sim_at(struct sim *sim, int64_t at_ns, void (*act)(struct sim *sim, void *arg), void *arg)
{
    struct act *a = calloc(1, sizeof(*a));

    ASSERT(a != NULL);
    a->event.run = act_run;
    a->act = act;
    a->arg = arg;
    list_add_tail(&sim->acts, &a->in_sim);
    sim_event_at(sim, &a->event, at_ns);
}

void sim_enter(struct sim *sim, struct shard *shard)
{
    shard->io.now_ns = sim->now_ns + shard->life->clock_offset_ns;
}

int64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

uint64_t sim_seed(const struct sim *sim)
{
    return sim->seed;
}

uint64_t sim_events(const struct sim *sim)
{
    return sim->event_count;
}

/* ---- chance ------------------------------------------------------------------------------ */

struct prng *sim_prng(struct sim *sim)
{
    return &sim->test_prng;
}

/* Small bounds only (below 2^32), so one multiplication does. */
uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return bound >> 32 != 0 ? prng_below(&sim->prng, bound)
                            : ((prng_u64(&sim->prng) >> 32) * bound) >> 32;
}

bool sim_chance(struct sim *sim, uint32_t ppm)
{
    return ppm != 0 && !sim->calm && sim_below(sim, 1000000) < ppm;
}

int64_t sim_delay(struct sim *sim, int64_t base, int64_t spread)
{
    uint64_t r = prng_u64(&sim->prng);
    uint64_t u = r >> 32;
    int64_t delay =
        base + (int64_t)(((u * u >> 32) * (uint64_t)spread) >> 32); /* short is common */

    if (UNLIKELY((r & 0xfffff) < sim->options.outlier_ppm) && !sim->calm)
        delay *= 8 + (int64_t)(r >> 20 & 0x3f) * 56 / 63;
    return delay;
}

void sim_calm(struct sim *sim)
{
    sim->calm = true;
    sim_lines_calm(sim);
}

/* 0 in half of all worlds, else up to `most`. */
static uint32_t swarm_ppm(struct prng *g, uint32_t most)
{
    return prng_below(g, 2) == 0 ? 0 : 1 + (uint32_t)prng_below(g, most);
}

struct sim_options sim_options_swarm(uint64_t seed)
{
    static const enum sim_kind disk[] = {
        SIM_OPEN,   SIM_READ,  SIM_WRITE, SIM_SYNC,     SIM_TRUNCATE, SIM_ALLOCATE,      SIM_RENAME,
        SIM_REMOVE, SIM_MKDIR, SIM_RMDIR, SIM_SYNC_DIR, SIM_LIST,     SIM_WRITE_DURABLE,
    };
    struct sim_options o = {0};
    struct prng g;
    bool disk_fails;

    prng_init(&g, seed ^ 0x737761726d);
    o.outlier_ppm = swarm_ppm(&g, 20000);
    o.stall_ppm = swarm_ppm(&g, 50000);
    o.names_subset = prng_below(&g, 2) == 0;
    disk_fails = prng_below(&g, 4) == 0;
    for (size_t i = 0; i < array_count(disk); i++) {
        uint32_t ppm = swarm_ppm(&g, 1000);
        o.fail_ppm[disk[i]] = disk_fails ? ppm : 0;
    }
    o.fail_ppm[SIM_CONNECT] = swarm_ppm(&g, 50000);
    o.fail_ppm[SIM_ACCEPT] = swarm_ppm(&g, 20000);
    o.fail_ppm[SIM_SEND] = swarm_ppm(&g, 2000);
    o.no_direct = prng_below(&g, 4) == 0;
    return o;
}

/* ---- trace ------------------------------------------------------------------------------- */

static const char *const kind_names[SIM_KINDS] = {
#define X(name, text) [SIM_##name] = text,
    SIM_KIND_LIST(X)
#undef X
};

static uint64_t mix(uint64_t hash, uint64_t what)
{
    hash = (hash ^ what) * 0x9fb21c651e98df25;
    return hash ^ (hash >> 32);
}

void sim_trace(struct sim *sim, enum sim_kind kind, const struct sim_node *node, uint32_t shard,
               int64_t result, const char *what, uint64_t number)
{
    uint64_t hash = mix(sim->hash, (uint64_t)sim->now_ns);

    hash = mix(hash, (uint64_t)kind | (uint64_t)shard << 8 |
                         (node == NULL ? 0 : (node->number + 1ull) << 16) | number << 32);
    hash = mix(hash, (uint64_t)result);
    if (what != NULL)
        hash = mix(hash, str_hash(str_of(what)));
    sim->hash = hash;
    if (LIKELY(sim->options.trace == NULL))
        return;
    fprintf(sim->options.trace, "%11" PRId64 ".%03d us  %s/%u  %s", sim->now_ns / 1000,
            (int)(sim->now_ns % 1000), node == NULL ? "-" : node->name, shard, kind_names[kind]);
    if (what != NULL)
        fprintf(sim->options.trace, " %s", what);
    if (number != 0)
        fprintf(sim->options.trace, " #%" PRIu64, number);
    fprintf(sim->options.trace, " -> %" PRId64 "\n", result);
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

void sim_note(struct sim *sim, uint64_t what)
{
    sim->hash = mix(sim->hash, what);
}
