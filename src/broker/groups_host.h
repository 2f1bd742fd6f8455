/* broker/groups_host.h - what the files of a shard's coordinators share: a partition of __consumer_offsets at work. */
#pragma once

#include "broker/groups.h"

#define OFFSETS_TOPIC STR("__consumer_offsets")

/* A coordinator partition at work. */
struct host {
    struct list node; /* in groups->hosts */
    struct groups *groups;
    struct replica *replica; /* held */
    struct group_partition *partition;
    struct io_timer timer;
    struct op load;
    enum coordinator_state phase;
    bool loading, ending;
    int64_t load_began_ms;
    /* a read of the loader */
    struct log_read read;
    struct arena arena;
    struct text batch; /* scratch of appends */
};

struct groups {
    struct broker_shard *shard;
    struct list hosts;
    struct group_settings settings;
    int64_t load_ms_max; /* that a load has taken */
    enum codec codec; /* offsets.topic.compression.codec, whose numbers are those of batches */
    struct op *closed;
};

/* The one that serves, or loads, this partition; NULL. */
struct host *host_find(struct groups *g, int32_t partition);
/* The partition may wait for an earlier moment now. */
void host_wind(struct host *h);
