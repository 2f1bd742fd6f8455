/* sides.h - indexes on a simulated disk, held against the batches beside them. */
#pragma once

#include "simulator/simulator.h"

/* Every entry of every .index in the directory (a partition's) names a batch by its last offset and its place, and
 * every entry of a .timeindex the last offset of one with that largest timestamp; both ascend. Returns how many. */
uint32_t check_sides(struct sim_node *node, const char *directory);
