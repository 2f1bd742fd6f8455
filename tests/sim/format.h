/* format.h - a cluster's disks, formatted before the world begins. */
#pragma once

#include "world.h"

/* In a world of their own, in which nothing goes wrong: to be freed by sim_free. */
struct formatted {
    struct sim *sim;
    struct sim_node *disks[NODES_MAX];
};

/* As `storage format` does it. */
void format_cluster(struct world *w, struct formatted *out);
/* Put what is on its disks onto those of the servers. */
void format_copy(struct world *w, const struct formatted *from);
