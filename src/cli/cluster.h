/* cli/cluster.h - kafka-cluster.sh and `millrace cluster`.
 *
 *   cluster.c ─┬─ id, nodes, unregister
 *              ├─ cluster_status.c   status: what each broker has
 *              └─ cluster_moves.c    balance, decommission: look ─► plan ─► reassign, follow, elect
 * ─► look again
 */
#pragma once

#include "cli/throttles.h"

enum {
    CL_CONTROLLER,
    CL_SERVER,
    CL_CLUSTER_ID,
    CL_COMMAND_CONFIG,
    CL_CONFIG,
    CL_DRY_RUN,
    CL_ID,
    CL_FENCED,
    CL_JSON,
    CL_LIST,
    CL_UNREGISTER,
    CL_STATUS, /* ours, from here on */
    CL_BALANCE,
    CL_DECOMMISSION,
    CL_THROTTLE,
    CL_OPTIONS,
};

struct cluster {
    struct tool tool;
    int action;
    struct describe_cluster_request ask;
    struct unregister_broker_request forget;
    struct table table;

    struct arena looked; /* what the last look has made; the answers are in `nodes`, `topics`, `moving` */
    struct admin_call nodes, topics, moving;
    struct metadata_request ask_topics;
    struct describe_quorum_request ask_quorum;
    struct describe_quorum_request_topics quorum_topic;
    struct describe_quorum_request_topics_partitions quorum_partition;
    struct flow look, part;
    struct placements now; /* sorted */
    struct place *places;  /* brokers that live */
    uint32_t place_count;
    struct placements moves; /* that are to be made, in tool.arena */
    struct alter_partition_reassignments_request alter;
    struct list_partition_reassignments_request ask_moving;
    struct elect_leaders_request elect;
    struct throttles throttles;
    int64_t throttle; /* bytes/s; -1 none */
    bool settled;     /* throttles of before are gone */
    struct flow paced;
    int error; /* of the moves, while throttles are removed */
    uint32_t left, polls; /* moves that are not done; looks since all were */
    uint32_t in_flight;   /* partitions that moved already at the last look */
    bool told;            /* the broker that leaves is to be stopped now */
    bool quorum_known;    /* whether its controller votes was asked for */
    bool is_voter;
    struct uuid voter_directory; /* zero: of a static quorum */
};

/* A flow of x->look: brokers, fenced ones too, partitions, and what moves. */
void cluster_look_run(struct flow *f);
/* The broker in the last look; NULL. */
const struct describe_cluster_response_brokers *cluster_broker(const struct cluster *x, int32_t id);

/* Fill ask_quorum. */
void cluster_ask_quorum(struct cluster *x);

/* Flows of tool.work. */
void cluster_status_run(struct flow *f);
void cluster_balance_run(struct flow *f);
void cluster_decommission_run(struct flow *f);
