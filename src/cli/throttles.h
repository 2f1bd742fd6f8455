/* cli/throttles.h - how fast moves of partitions may be: settings of topics and brokers while they last (KIP-73). */
#pragma once

#include "cli/placements.h"

/* A replica that is to lie in one log directory of its broker, and where it lies. */
struct dir_target {
    struct str topic;
    int32_t partition, broker;
    struct str dir;
    struct str current, future; /* null = in none */
    bool chosen;                /* it is asked of its broker, and not begun yet */
};

/* Everything is borrowed, and set anew before each flow. */
struct throttles {
    struct tool *tool;
    bool quiet; /* nothing is said. Brokers that are away, which copy nothing, are left out, and topics that are gone;
                   moves between directories are nobody's concern */
    int64_t rate, dirs_rate; /* bytes/s, for each broker: of replication, of moves between directories; -1 none */
    const struct list_partition_reassignments_response *moving;
    const struct describe_cluster_response *nodes;
    const struct placements *asked, *current; /* both sorted: where partitions are to lie, where they do */
    const struct dir_target *targets;
    uint32_t target_count;
    struct incremental_alter_configs_request configs;
    struct flow flow;
};

/* Flows of x->flow. Set the rates, and for `rate` the lists of replicas: of what is asked and of what moves already;
 * remove all throttles of the topics asked for, and of brokers. */
void throttles_set_run(struct flow *f);
void throttles_clear_run(struct flow *f);
