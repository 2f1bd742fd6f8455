/* cli/cgroups.h - kafka-consumer-groups.sh and `millrace group`: what its files share.
 *
 *   words ──► groups that are meant ──► ConsumerGroupDescribe, for those that are not of that kind DescribeGroups
 *                                       ──► struct group, the same for both ──► offsets, members, state; reset
 */
#pragma once

#include "cli/tool.h"

enum cgroups_option {
    CG_ALL_GROUPS,
    CG_ALL_TOPICS,
    CG_SERVER,
    CG_DURATION,
    CG_COMMAND_CONFIG,
    CG_DELETE,
    CG_DELETE_OFFSETS,
    CG_DESCRIBE,
    CG_DRY_RUN,
    CG_EXECUTE,
    CG_EXPORT,
    CG_FILE,
    CG_GROUP,
    CG_JSON,
    CG_LIST,
    CG_MEMBERS,
    CG_OFFSETS,
    CG_RESET,
    CG_SHIFT,
    CG_STATE,
    CG_TIMEOUT,
    CG_CURRENT,
    CG_DATETIME,
    CG_EARLIEST,
    CG_LATEST,
    CG_OFFSET,
    CG_TOPIC,
    CG_TYPE,
    CG_VERBOSE,
    CG_OPTIONS,
};

/* A partition, and what is known of it. */
struct spot {
    struct str topic;
    int32_t partition;
    int64_t committed;  /* -1 = none */
    int32_t epoch;      /* of the committed offset; -1 */
    int64_t start, end; /* of the log; -1 = not known */
    int64_t target;     /* reset: the new offset; -1 = none yet */
    int16_t error;
};
struct spots {
    struct spot *p;
    uint32_t count, capacity;
};

struct member {
    struct str id, instance, client, host;
    int32_t epoch, target_epoch; /* -1 = none */
    int8_t kind;                 /* of a consumer group: 0 = classic protocol, 1 = consumer; -1 */
    struct spots assigned, target;
};

struct group {
    struct str name, state, assignor;
    struct str type; /* of listed ones: "classic" */
    int32_t coordinator;
    int32_t epoch, assignment_epoch; /* -1 = a classic group */
    struct member *members;
    uint32_t member_count;
    struct spots spots; /* committed ones; sorted */
    bool found, is_simple;
    int16_t error; /* why it could not be described */
    struct str words;
};

struct cgroups {
    struct tool tool;
    int action;
    struct group *groups;
    uint32_t group_count, at;

    struct admin_call list, modern, classic, offsets, starts, ends, topics;
    struct list_groups_request ask_list;
    struct consumer_group_describe_request ask_modern;
    struct describe_groups_request ask_classic;
    struct offset_fetch_request ask_offsets;
    struct list_offsets_request ask_ends, ask_starts;
    struct delete_groups_request ask_delete;
    struct metadata_request ask_topics;
    struct offset_commit_request commit;
    struct offset_delete_request remove;
    struct spots plan;       /* partitions that --topic names, or the file */
    struct str *plan_groups; /* of the file's rows, null = any; as long as plan */
    struct text file;
    char *file_path;
    int64_t timeout_ms;
    int64_t number;   /* --shift-by, --to-offset; a timestamp in ms */
    struct flow load; /* cgroups_load */
    struct table table;
    struct column columns[COLUMNS_MAX]; /* of the table, those that are shown */
    uint32_t failures;
};

/* cgroups_load.c: bring x->groups: those that are named, or all (of the cluster's consumer groups). A flow; completes
 * with 0, or the tool's fail. To list they are only listed, else described too. */
void cgroups_load(struct cgroups *x, struct op *op);
/* Committed offsets of all x->groups, and ends of their logs (starts too for a reset). */
void cgroups_load_offsets(struct cgroups *x, struct op *op);

void spot_add(struct arena *a, struct spots *s, struct spot spot);
struct spot *spot_find(const struct spots *s, struct str topic, int32_t partition);
void spots_sort(struct spots *s);
/* A ListOffsets for all of `spots`; times[i] or, where `times` is NULL, `time` for each. */
void spots_ask(struct arena *a, const struct spots *s, int64_t time, struct list_offsets_request *out);
/* The offset that the answers name for a partition; -1 = none, and `error`. */
int64_t spots_answer(const struct admin_call *call, struct str topic, int32_t partition, int16_t *error);

/* Print a line for an operator as Kafka does: an empty line, and "Error: ...". */
void cgroups_error(struct cgroups *x, const char *format, ...) PRINTF(2, 3);
/* Say how a group is when it is not simply stable. */
void cgroups_say_state(struct cgroups *x, const struct group *g);

void cgroups_list_run(struct flow *f);
void cgroups_describe_run(struct flow *f);
void cgroups_delete_run(struct flow *f);
void cgroups_reset_run(struct flow *f);
void cgroups_delete_offsets_run(struct flow *f);

/* cgroups_plan.c: what x->plan is to have: all topics are asked for into x->topics; --topic T, --topic T:0,2 of all its
 * uses, sorted; the lines of x->file. */
void cgroups_ask_topics(struct cgroups *x);
MUST int cgroups_scope(struct cgroups *x);
MUST int cgroups_take_file(struct cgroups *x);

/* cgroups_time.c: "2024-01-31T23:59:59.999[Z|+02:00]" (UTC where nothing is said: see README) and "PnDTnHnMnS", in ms.
 * -EINVAL, and `f`. */
MUST int datetime_ms(struct str text, int64_t *out, struct fail *f);
MUST int duration_ms(struct str text, int64_t *out, struct fail *f);
