/* plan.h - what a seed draws: the nodes and their settings, the clients, and what will be done to them. */
#pragma once

#include "simulator/simulator.h"

#define TOPICS_AT_START_MAX 3
#define FAULTS_MAX 40
#define NODES_MAX 5

enum fault_kind {
    FAULT_KILL,        /* kill -9 */
    FAULT_POWER_CUT,
    FAULT_STOP,        /* clean stop */
    FAULT_CRASH_AT_IO, /* down at the n-th change of the disk from now, by kill or power cut */
    FAULT_SLOW_DISK,
    FAULT_DISK_ERROR,  /* the n-th disk operation from now fails */
    FAULT_DISK_FULL,
    FAULT_DIR,         /* all that is done in one log directory fails */
    FAULT_CUT,         /* between a broker and one client, one way or both */
    FAULT_RESET,
    FAULT_KINDS_ALONE, /* those of a node that is alone */

    FAULT_LINK = FAULT_KINDS_ALONE, /* between two nodes, one way or both */
    FAULT_ISOLATE,     /* nodes from all others, one way or both; with or without the clients */
    FAULT_PAUSE,       /* the process stands still, as by SIGSTOP */
    FAULT_ROLL,        /* every node is stopped cleanly and starts again, one after another */
    FAULT_CLOCK,       /* the wall clock is wrong, and drifts */
    FAULT_KINDS
};
extern const char *const fault_names[FAULT_KINDS];

/* Whom a fault strikes. */
enum fault_aim {
    AIM_DRAWN,
    AIM_LEADER,        /* who leads a partition then, as far as clients know */
    AIM_FOLLOWERS,     /* all other brokers */
    AIM_CONTROLLER,    /* who leads the quorum then */
    AIM_VOTER,         /* one of the other controllers: by half of n */
    AIM_PROPOSER,      /* who asks the controller for another ISR next: that is waited for */
};

struct fault {
    enum fault_kind kind;
    enum fault_aim aim;
    int64_t at_ns;
    int64_t after_ns; /* of AIM_PROPOSER: behind the request */
    int64_t lasts_ns;
    uint64_t n;      /* of disk operations, of bytes, which directory, which client, which other node; of an isolation
                        whether clients reach it; milliseconds of a clock */
    uint32_t factor; /* of a slow disk; of a crash how (enum sim_crash); of a cut 1 to, 2 from, 3 both */
    uint32_t nodes;  /* whom it strikes: a bit each, by place; where nobody leads, whoever was drawn */
};

struct plan_node {
    char name[16];
    bool is_broker, is_controller;
};

struct plan {
    struct sim_options weather;
    int64_t latency_ns;      /* of all connections until the world is calm; 0 = as they come */

    uint32_t shards, dirs;
    bool durable;            /* then power cuts lose nothing that was acknowledged */
    bool disk_trouble;       /* disk operations fail now and then */
    struct text settings;    /* properties that all nodes have */

    struct plan_node nodes[NODES_MAX];
    uint32_t node_count;
    bool dynamic_quorum;     /* voters with directory ids (KIP-853); else controller.quorum.voters */
    int32_t replicas;        /* of each partition */
    bool lossy;              /* unclean elections, and power cuts that take what is not synced: acknowledged records may
                                be lost, and commits with them; replicas must be equal all the same */
    bool forgets;            /* one power cut in a relaxed world, and no other end that is not clean */
    int32_t in_sync_min;     /* min.insync.replicas */
    bool racks;

    uint32_t topics;         /* that live from start to end */
    int32_t partitions[TOPICS_AT_START_MAX];
    bool compacts[TOPICS_AT_START_MAX]; /* cleanup.policy=compact,delete; records have keys */
    uint32_t producers, readers, members;
    uint32_t writers;        /* our own producer; numbered behind the producers */
    uint32_t subscribers;    /* members by our own consumer */
    bool admin_changes;      /* topics come and go, grow, and change settings */
    bool deletes;            /* records are deleted */
    bool moves;              /* partitions move between the directories */
    bool shuffles;           /* replicas move between brokers, leaders between replicas */
    bool throttles;          /* replication is throttled now and then */
    bool straggles;          /* Fetches of followers come when another epoch has begun */
    uint32_t shuffle_ms_max; /* from one such to the next */
    bool storm;              /* short logs, fast clients, one leader after another */
    int64_t retention_bytes; /* of a partition; -1 = all stay */
    int32_t session_ms;      /* of the group's members */

    int64_t chaos_ns;        /* then everything heals; of a storm from the time on when there are topics */
    int64_t restart_ns_max;  /* how long the node stays down, at most */
    enum fault_kind last_stop; /* before the second look at all logs: FAULT_KILL, _POWER_CUT, _STOP */
    struct fault faults[FAULTS_MAX];
    uint32_t fault_count;
};

void plan_draw(uint64_t seed, struct plan *out);         /* of one node */
void plan_draw_cluster(uint64_t seed, struct plan *out); /* of several */
void plan_deinit(struct plan *p);
void plan_print(const struct plan *p, FILE *out);
/* The properties of the node at that place. */
void plan_settings(const struct plan *p, uint32_t at, struct text *out);

/* ---- between the files of plan.c ---------------------------------------------------------------- */

static inline uint64_t plan_between(struct prng *g, uint64_t low, uint64_t high)
{
    return low + prng_below(g, high - low + 1);
}

static inline bool plan_one_in(struct prng *g, uint64_t n)
{
    return prng_below(g, n) == 0;
}

/* Settings of logs, groups and checks that have nothing to do with how many nodes there are; faults of one node. */
void plan_draw_storm(uint64_t seed, struct plan *out); /* of several; of `out` the weather is drawn */
void plan_draw_scenes(struct prng *g, struct plan *p); /* the faults of a storm */
void plan_add_nodes(struct plan *p, uint32_t count, bool is_broker, bool is_controller);
int32_t plan_brokers(const struct plan *p);
void plan_draw_in_sync(struct plan *p, int32_t in_sync_min);
void plan_draw_settings(struct prng *g, struct plan *p);
void plan_draw_checks(struct prng *g, struct plan *p);
void plan_draw_compaction(struct prng *g, struct plan *p);
void plan_draw_fault(struct prng *g, const struct plan *p, struct fault *f);
bool plan_disk_fails(const struct sim_options *weather);
