/* The conformance suite's world in the simulator: one node, slow now and then, without faults.
 * The seed is 1, or what MILLRACE_SIM_SEED says. */
#include "simulator/simulator.h"
#include "world.h"

#include <stdlib.h>

#define PATIENCE_NS (3600 * INT64_C(1000000000))

struct backend {
    struct world world; /* first */
    struct sim *sim;
};

static uint64_t seed_of_environment(void)
{
    const char *text = getenv("MILLRACE_SIM_SEED");

    return text == NULL ? 1 : strtoull(text, NULL, 10);
}

struct world *world_open(uint32_t shard_count)
{
    struct backend *b = calloc(1, sizeof(*b));
    struct sim_options options = {
        .outlier_ppm = 10000,
        .stall_ppm = 10000,
        .replay = "MILLRACE_SIM_SEED=<seed> unit_simulator 'io_*'",
        .trace = getenv("MILLRACE_SIM_TRACE") == NULL ? NULL : stderr,
    };
    struct sim_node *node;

    ASSERT(b != NULL);
    b->sim = sim_new(seed_of_environment(), &options);
    node = sim_node_new(b->sim, "node-1");
    sim_node_start(node, shard_count);
    ASSERT(sim_disk_mkdir(node, "/data/world") == 0);
    strcpy(b->world.directory, "/data/world");
    b->world.io = sim_node_io(node, 0);
    b->world.shard_count = shard_count;
    b->world.host = "127.0.0.1";
    b->world.host_name = "localhost";
    b->world.socket_holds_bytes_max = 1 << 20;
    return &b->world;
}

void world_close(struct world *w)
{
    struct backend *b = (struct backend *)w;

    sim_free(b->sim);
    free(b);
}

bool world_turn(struct world *w)
{
    struct backend *b = (struct backend *)w;

    return sim_step(b->sim) && sim_now_ns(b->sim) < PATIENCE_NS;
}
