/* cli/reassign.h - kafka-reassign-partitions.sh: what its files share.
 *
 *   reassign.c ── file, what moves now, brokers, topics ──► reassign_show.c      --generate,
 * --list, --verify └─► reassign_execute.c   --execute, --cancel reassign_dirs.c, throttles.c  what both do besides
 */
#pragma once

#include "cli/throttles.h"

enum {
    RP_ADDITIONAL,
    RP_CONTROLLER,
    RP_SERVER,
    RP_BROKERS,
    RP_CANCEL,
    RP_COMMAND_CONFIG,
    RP_NO_RACKS,
    RP_SAME_FACTOR,
    RP_EXECUTE,
    RP_GENERATE,
    RP_LIST,
    RP_PRESERVE,
    RP_FILE,
    RP_DIRS_THROTTLE,
    RP_THROTTLE,
    RP_TIMEOUT,
    RP_TOPICS_FILE,
    RP_VERIFY,
    RP_OPTIONS,
};

struct reassign {
    struct tool tool;
    int action;
    bool terse; /* a mistake is said without "Error: " before it */
    struct text file;
    char *path;
    struct placements asked;                     /* of the file, sorted; --generate: what is proposed */
    struct placements current;                   /* of the cluster */
    struct placements now;                       /* those of `asked` as they are; --cancel: those that move */
    int64_t throttle, dirs_throttle, timeout_ms; /* bytes/s; -1 none */

    struct list_partition_reassignments_request ask_moving;
    struct describe_cluster_request ask_nodes;
    struct metadata_request ask_topics;
    struct admin_call moving, nodes, topics; /* their answers are there until the end */

    struct throttles throttles;
    struct flow part; /* of reassign_dirs.c */
    struct alter_partition_reassignments_request alter;
    struct dir_target *targets; /* by broker, topic, partition */
    uint32_t target_count, target_at;
    struct describe_log_dirs_request ask_dirs;
    struct alter_replica_log_dirs_request move;
    struct alter_replica_log_dirs_request_dirs move_dir;
    struct alter_replica_log_dirs_request_dirs_topics move_topic;
    int64_t deadline_ns;
};

/* The reassignment that the partition is in; NULL. How many partitions are in one. */
moving_ptr reassign_moving(const struct reassign *x, struct str topic, int32_t partition);
uint32_t reassign_moving_count(const struct reassign *x);
/* As fail_set, without "Error: " where it is printed. */
int terse_fails(struct reassign *x, int error, const char *format, ...) PRINTF(3, 4);

/* ---- reassign_show.c --------------------------------------------------------------------------
 */

void reassign_list(struct reassign *x);
void reassign_generate_run(struct flow *f); /* flows of tool.work, from here on */
void reassign_verify_run(struct flow *f);

/* ---- reassign_execute.c -----------------------------------------------------------------------
 */

/* What --execute refuses of the file alone. */
MUST int reassign_check_asked(struct reassign *x);
void reassign_execute_run(struct flow *f);
void reassign_cancel_run(struct flow *f);

/* ---- reassign_dirs.c --------------------------------------------------------------------------
 */

/* The targets are the replicas of `of` that are to lie in a directory; or all of them. */
void dirs_take_targets(struct reassign *x, const struct placements *of, bool all);
/* Name the directory of each replica of `of`, as it was found for the targets; null for one that
 * was not. */
void dirs_name(struct reassign *x, struct placements *of);
/* Flows of x->part. Ask where each target lies; have the chosen ones begin to move, within
 * --timeout. */
void dirs_look_run(struct flow *f);
void dirs_move_run(struct flow *f);

/* What --throttle and --replica-alter-log-dirs-throttle say, of the file's partitions. */
struct throttles *reassign_throttles(struct reassign *x);
