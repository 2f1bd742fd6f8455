/* simulator/node.c - machines, their processes, and how both end. */
#include "simulator/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_NS (86400ll * 1000000000)

static void down_run(struct sim *sim, struct event *e)
{
    struct sim_node *node = container_of(e, struct sim_node, down_event);

    if (node->down != NULL)
        node->down(node, node->down_arg);
}

struct sim_node *sim_node_new(struct sim *sim, const char *name)
{
    struct sim_node *node = calloc(1, sizeof(*node));
    size_t n = strlen(name);

    ASSERT(node != NULL);
    ASSERT(sim->node_count < SIM_NODES_MAX);
    ASSERT(n >= 1 && n < sizeof(node->name));
    node->sim = sim;
    node->number = sim->node_count;
    memcpy(node->name, name, n + 1);
    snprintf(node->host, sizeof(node->host), "10.0.0.%u", node->number + 1);
    node->disk = disk_new(&sim->prng, sim->options.disk_bytes);
    node->slow_factor = 1;
    node->next_port = (uint16_t)(32768 + sim_below(sim, 8192));
    node->down_event.run = down_run;
    list_init(&node->lives);
    list_init(&node->ends);
    list_init(&node->listeners);
    sim->nodes[sim->node_count++] = node;
    return node;
}

static void life_free(struct life *life)
{
    LIST_EACH (it, &life->requests) {
        struct request *r = container_of(it, struct request, in_life);
        free(r->path);
        free(r);
    }
    sim_life_close_files(life, true);
    sim_life_free_sockets(life);
    free(life);
}

void sim_node_free(struct sim_node *node)
{
    LIST_EACH (it, &node->lives)
        life_free(container_of(it, struct life, in_node));
    disk_free(node->disk);
    free(node);
}

/* ---- start ------------------------------------------------------------------------------- */

/* The first process has the world's clock; a later one may find that it runs from zero again, or
 * that it is days ahead: who stores monotonic times finds out. */
static int64_t clock_offset_draw(struct sim *sim, const struct life *life)
{
    if (life->number == 0)
        return 0;
    if (sim_below(sim, 2) == 0)
        return -sim->now_ns;
    return (int64_t)sim_below(sim, DAY_NS);
}

static void shard_init(struct sim *sim, struct life *life, uint32_t number)
{
    struct shard *shard = &life->shards[number];

    shard->io.backend = &sim_backend;
    shard->io.shard = number;
    shard->io.shard_count = life->shard_count;
    prng_init(&shard->io.prng,
              sim->seed ^ (life->node->number + 1ull) << 32 ^ (life->number + 1ull) << 8 ^ number);
    shard->life = life;
    shard->next_stall_ns = sim->now_ns + sim_shard_stall_pause(sim);
    for (uint32_t from = 0; from < SIM_SHARDS_MAX; from++) {
        shard->channels[from].to = shard;
        list_init(&shard->channels[from].messages);
    }
    sim_enter(sim, shard);
}

void sim_node_start(struct sim_node *node, uint32_t shard_count)
{
    struct sim *sim = node->sim;
    struct life *life = calloc(1, sizeof(*life));

    ASSERT(life != NULL);
    ASSERT(node->state != NODE_UP);
    ASSERT(shard_count >= 1 && shard_count <= SIM_SHARDS_MAX);
    life->node = node;
    life->number = node->life == NULL ? 0 : node->life->number + 1;
    life->shard_count = shard_count;
    life->clock_offset_ns = clock_offset_draw(sim, life);
    list_init(&life->requests);
    list_init(&life->files);
    list_init(&life->sockets);
    list_init(&life->listeners);
    prng_init(&life->secrets, prng_u64(&sim->prng));
    for (uint32_t i = 0; i < shard_count; i++)
        shard_init(sim, life, i);
    list_add_tail(&node->lives, &life->in_node);
    node->life = life;
    node->state = NODE_UP;
    sim_trace(sim, SIM_START, node, 0, shard_count, NULL, 0);
    sim_pipes_retry(sim); /* a machine that is on again answers with resets */
}

struct io *sim_node_io(struct sim_node *node, uint32_t shard)
{
    ASSERT(node->life != NULL);
    ASSERT(shard < node->life->shard_count);
    return &node->life->shards[shard].io;
}

/* ---- the end ----------------------------------------------------------------------------- */

void sim_node_crash(struct sim_node *node, bool power)
{
    struct sim *sim = node->sim;
    struct life *life = node->life;

    ASSERT(node->state == NODE_UP);
    sim_trace(sim, power ? SIM_POWER_CUT : SIM_KILL, node, 0, 0, NULL, 0);
    life->dead = true;
    node->state = power ? NODE_OFF : NODE_KILLED;
    node->fail_in = 0;
    node->crash_in = 0;
    sim_node_net_down(node, power);
    LIST_EACH (it, &life->requests) {
        struct request *r = container_of(it, struct request, in_life);
        if (r->kind < SIM_LISTEN && !r->aborted)
            sim_file_request_end(r);
        if (r->kind == SIM_CONNECT)
            sim_connect_abandon(r);
        sim_request_end_life(r);
    }
    sim_life_close_files(life, false);
    if (power) {
        node->counters.power_cuts++;
        disk_power_cut(node->disk, sim->options.names_subset, &node->counters);
    } else {
        node->counters.kills++;
    }
    sim_event_at(sim, &node->down_event, sim->now_ns + 20000);
}

void sim_node_kill(struct sim_node *node)
{
    sim_node_crash(node, false);
}

void sim_node_power_cut(struct sim_node *node)
{
    sim_node_crash(node, true);
}

void sim_node_pause(struct sim_node *node, int64_t until_ns)
{
    struct life *life = node->life;

    ASSERT(node->state == NODE_UP);
    for (uint32_t i = 0; i < life->shard_count; i++) {
        if (life->shards[i].busy_until_ns < until_ns)
            life->shards[i].busy_until_ns = until_ns;
    }
}

void sim_node_forget(struct sim_node *node)
{
    struct life *life = node->life;

    ASSERT(node->state != NODE_UP);
    ASSERT(life != NULL);
    LIST_EACH (it, &life->requests)
        sim_request_free(container_of(it, struct request, in_life));
    sim_shard_drop_timers(life);
    sim_life_close_files(life, true);
    sim_life_free_sockets(life);
    life->forgotten = true;
}

void sim_crash_at_io(struct sim_node *node, uint64_t n, uint32_t how)
{
    bool kill = (how & SIM_CRASH_KILL) != 0;
    bool power = (how & SIM_CRASH_POWER) != 0;

    ASSERT(kill != power);
    node->crash_in = n;
    node->crash_how = how;
}

void sim_node_watch(struct sim_node *node, void (*down)(struct sim_node *node, void *arg),
                    void *arg)
{
    node->down = down;
    node->down_arg = arg;
}

/* ---- what a node is ---------------------------------------------------------------------- */

bool sim_node_is_up(const struct sim_node *node)
{
    return node->state == NODE_UP;
}

const char *sim_node_name(const struct sim_node *node)
{
    return node->name;
}

const char *sim_node_host(const struct sim_node *node)
{
    return node->host;
}

uint32_t sim_node_in_flight(const struct sim_node *node)
{
    return node->life == NULL ? 0 : node->life->request_count;
}

const struct sim_counters *sim_node_counters(const struct sim_node *node)
{
    return &node->counters;
}

int64_t sim_node_wall_ms(const struct sim_node *node)
{
    int64_t now_ns = node->sim->now_ns;
    int64_t drift_ns = (now_ns - node->wall_drift_from_ns) / 1000000 * node->wall_drift_ppm;

    return node->sim->options.wall_ms + node->wall_offset_ms + (now_ns + drift_ns) / 1000000;
}

void sim_node_wall(struct sim_node *node, int64_t offset_ms, int32_t drift_ppm)
{
    node->wall_offset_ms = offset_ms;
    node->wall_drift_ppm = drift_ppm;
    node->wall_drift_from_ns = node->sim->now_ns;
}

void sim_fail_at(struct sim_node *node, uint64_t n, int error)
{
    ASSERT(n == 0 || error < 0);
    node->fail_in = n;
    node->fail_error = error;
}

void sim_fail_in(struct sim_node *node, const char *directory)
{
    node->fail_in_dir = directory;
}

void sim_disk_slow(struct sim_node *node, uint32_t factor, int64_t until_ns)
{
    ASSERT(factor >= 1);
    node->slow_factor = factor;
    node->slow_until_ns = until_ns;
}
