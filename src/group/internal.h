/* group/internal.h - between the files of this room.
 *
 *   partition ── groups by id ── group ── members (classic protocol)
 *       │                          ├───── topics ── committed offsets ── pending transactions
 *       │                          └───── raw records (groups of other protocols)
 *       ├── timers, a heap by deadline
 *       └── coordinator: the log, and the answers that wait for it
 */
#pragma once

#include "group/group.h"
#include "protocol/delete_groups.h"
#include "protocol/describe_groups.h"
#include "protocol/group_metadata_record.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/list_groups.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_commit_record.h"
#include "protocol/offset_delete.h"
#include "protocol/offset_fetch.h"
#include "protocol/sync_group.h"
#include "protocol/txn_offset_commit.h"

/* A member that waits in JoinGroup for others cannot send heartbeats and is not seen to die; it is
 * dropped after this long and asks again when it lives (KAFKA-7610; Kafka's constant). */
#define NEW_MEMBER_TIMEOUT_MS (5 * 60 * 1000)
#define CONSUMER_PROTOCOL_TYPE STR("consumer")

enum group_kind { GROUP_CLASSIC, GROUP_CONSUMER, GROUP_SHARE, GROUP_STREAMS };
enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE };

enum timer_kind {
    TIMER_SESSION,
    TIMER_PENDING,
    TIMER_REBALANCE,
    TIMER_SYNC,
    TIMER_RETENTION,
    TIMER_COMMIT
};
struct timer {
    struct heap_node node;
    enum timer_kind kind;
};

struct protocol {
    struct str name;       /* owned */
    struct bytes metadata; /* owned */
};

struct member {
    struct map_node node;        /* in group->members */
    struct map_node static_node; /* in group->statics when instance_id is not null */
    struct list in_order;        /* in group->order: who came first is first */
    struct group *group;
    struct str id, instance_id, client_id, client_host; /* owned */
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct protocol *protocols; /* the member's order of preference */
    int32_t protocol_count;
    struct bytes assignment;        /* owned */
    struct group_call *join, *sync; /* that wait; NULL also when their connection went */
    struct timer session;
    bool is_new;    /* since it came, no join phase has ended */
    bool joined;    /* has joined the rebalance that is being prepared */
    bool owes_sync; /* has its generation, has not asked for its assignment */
};

/* A member id that was given out, and has not come back with a join (KIP-394). */
struct pending_member {
    struct map_node node;
    struct group *group;
    struct str id; /* owned */
    struct timer timer;
};

struct committed;

/* A commit inside an open transaction. */
struct pending_offset {
    struct list in_offset, in_producer;
    struct committed *offset;
    bool withdrawn; /* a tombstone came after it */
};
struct pending_producer {
    struct map_node node;
    int64_t producer_id;
    struct list offsets;
};

/* The committed offset of one partition; also what waits there. */
struct committed {
    struct map_node node; /* in topic->partitions */
    struct offset_topic *topic;
    int32_t partition;
    int32_t leader_epoch; /* -1 none */
    int64_t offset;
    int64_t commit_ms;    /* wall clock */
    int64_t expire_ms;    /* wall clock; -1: by the group's rules */
    int64_t written_at;   /* where the youngest record of this partition stands */
    struct uuid topic_id; /* zero: unknown */
    struct str metadata;  /* owned */
    struct list pending;
    bool present; /* false: only `pending`, and written_at of a tombstone */
};
struct offset_topic {
    struct map_node node; /* in group->topics */
    struct group *group;
    struct str name; /* owned */
    struct map partitions;
};

struct group {
    struct map_node node;
    struct str id; /* owned */
    enum group_kind kind;
    enum group_state state;
    bool first_rebalance;            /* GROUP_PREPARING, from GROUP_EMPTY: waits for more members */
    bool member_added;               /* meanwhile, since its timer was set */
    int64_t delay_ms, delay_left_ms; /* of the first rebalance */
    int64_t state_ms;                /* wall clock, since when the state is; -1 unknown */
    int32_t generation;
    struct str protocol_type, protocol; /* owned; null: none yet */
    struct member *leader;
    struct map members, statics, pending;
    struct list order;
    uint32_t joined, owing; /* members with that flag */
    struct timer rebalance, sync;
    struct map topics;
    uint32_t pending_offsets;
    struct map raw; /* records of another protocol, by key */
};

struct group_partition {
    struct coordinator coordinator;
    struct group_settings settings;
    struct telemetry *telemetry;
    struct prng *prng;
    int32_t number;
    int64_t now_ms, wall_ms; /* of the event that is handled */
    struct map groups, producers;
    struct heap timers;
    struct timer retention;
    struct timer commit;        /* of the oldest answer that waits, or of one before it */
    struct batch_builder batch; /* records of the decision in progress */
    struct parking
        soon;           /* answers that have no log to wait for: errors before the load has ended */
    struct arena arena; /* scratch of one decision */
    struct arena record; /* of one record that is applied */
    bool inside;         /* a decision is made: no answer leaves */
};

/* ---- group.c: answers, timers, groups ---- */

/* The response is filled: it leaves when everything that it could have seen is committed. */
void answer(struct group_partition *p, struct group_call *call);
/* Those that have waited too long for their commit. */
void commit_timer(struct group_partition *p);
/* Fill the response with an error for all that was asked (error.c), and answer. */
void group_refuse(struct group_partition *p, struct group_call *call, enum kerr error);
void response_fail(struct group_call *call, enum kerr error);

/* An event comes in; p->inside is the caller's to end. */
void group_decision_begin(struct group_partition *p, int64_t now_ms, int64_t wall_ms);

void timer_set(struct group_partition *p, struct timer *t, int64_t delay_ms);
void timer_clear(struct group_partition *p, struct timer *t);
void timer_fire(struct group_partition *p, struct timer *t); /* expire.c */

struct group *group_find(const struct group_partition *p, struct str id); /* may be NULL */
struct group *group_get(struct group_partition *p, struct str id); /* made when it is not there */
void group_free(struct group_partition *p, struct group *g);
void group_enter(struct group_partition *p, struct group *g, enum group_state state);
const char *group_state_name(const struct group *g);
const char *group_kind_name(const struct group *g);

/* ---- member.c ---- */

struct str own_str(struct str s); /* heap copies; end them with free_str, free_bytes */
struct bytes own_bytes(struct bytes b);
void free_str(struct str *s);
void free_bytes(struct bytes *b);

struct member *member_find(const struct group *g, struct str id);                 /* may be NULL */
struct member *member_static_find(const struct group *g, struct str instance_id); /* may be NULL */
struct member *member_add(struct group *g, struct str id, struct str instance_id,
                          struct str client_id, struct str client_host);
/* What still waits for it is answered UNKNOWN_MEMBER_ID. */
void member_remove(struct group_partition *p, struct member *m);
void member_rename(struct member *m, struct str id);
void member_set_protocols(struct member *m, const struct join_group_request_protocols *protocols,
                          int32_t count);
bool member_protocols_equal(const struct member *m,
                            const struct join_group_request_protocols *protocols, int32_t count);
struct bytes member_metadata(const struct member *m,
                             struct str protocol); /* empty when it has none */
void member_set_joined(struct member *m, bool joined);
void member_set_owes_sync(struct member *m, bool owes);
/* Is that member in the group, and does its instance belong to it? */
enum kerr member_check(const struct group *g, struct str member_id, struct str instance_id);

struct pending_member *pending_find(const struct group *g, struct str id); /* may be NULL */
struct pending_member *pending_add(struct group *g, struct str id);
void pending_remove(struct group_partition *p, struct pending_member *m);

/* Can somebody with these protocols be in the group? */
bool group_accepts_protocols(const struct group *g, struct str type,
                             const struct join_group_request_protocols *protocols, int32_t count);
struct str group_select_protocol(const struct group *g); /* of the members' */
int32_t group_rebalance_timeout_ms(const struct group *g);

/* Topics that the members subscribe to; `known` false when the group is no consumer's or a member
 * speaks something else. From `arena`. */
struct subscriptions {
    struct str *topics;
    uint32_t count;
    bool known;
};
struct subscriptions group_subscriptions(const struct group *g, struct arena *arena);
/* May members be reading it? */
bool subscriptions_have(const struct group *g, const struct subscriptions *s, struct str topic);

/* ---- rebalance.c ---- */

void rebalance_prepare(struct group_partition *p,
                       struct group *g); /* if the group's state allows, else as next */
void rebalance_maybe_joined(struct group_partition *p,
                            struct group *g); /* all there: next generation */
void rebalance_timer(struct group_partition *p, struct group *g);
void rebalance_sync_timer(struct group_partition *p, struct group *g);
void rebalance_after_removal(struct group_partition *p, struct group *g);
void session_restart(struct group_partition *p, struct member *m);
void session_timer(struct group_partition *p, struct member *m);
void pending_timer(struct group_partition *p, struct pending_member *m);
/* Answer its waiting join; nothing when there is none. */
void join_answer(struct group_partition *p, struct member *m, enum kerr error,
                 bool skip_assignment);
void join_answer_to(struct group_partition *p, struct group_call *call, struct member *m,
                    bool with_members, bool skip_assignment);
/* Answer its waiting sync with its assignment, or `error`. */
void sync_answer(struct group_partition *p, struct member *m, enum kerr error);
/* Answer all waiting syncs; sessions begin anew. */
void sync_answer_all(struct group_partition *p, struct group *g, enum kerr error);
void sync_arrived(struct group_partition *p, struct member *m);

/* ---- records.c: what is written ---- */

/* Add the group with its members; assignments from `sync` where not NULL, else as they are. */
void record_group(struct group_partition *p, const struct group *g,
                  const struct sync_group_request *sync);
void record_group_tombstone(struct group_partition *p, struct str group_id);
void record_offset(struct group_partition *p, struct str group_id, struct str topic,
                   int32_t partition, const struct offset_commit_value *value, bool expires);
void record_offset_tombstone(struct group_partition *p, const struct committed *c);
/* Append what was added. */
enum kerr records_append(struct group_partition *p);

/* ---- apply.c, raw.c, offsets.c: what was read ---- */

extern const struct coordinator_machine group_machine;

/* Record of another protocol. Tombstones have a null value. */
void raw_apply(struct group_partition *p, enum group_kind kind, struct str group_id,
               struct bytes key, struct bytes value);
bool raw_has_members(const struct group *g);
const char *raw_state_name(struct group_partition *p, const struct group *g);
void raw_free_all(struct group *g);

/* Also where something is only pending; may be NULL. */
struct committed *slot_find(const struct group *g, struct str topic, int32_t partition);
struct committed *offset_find(const struct group *g, struct str topic,
                              int32_t partition); /* may be NULL */
void offset_apply(struct group_partition *p, const struct offset_commit_key *key,
                  const struct offset_commit_value *value);
void offset_held(void *state, int64_t producer_id, struct bytes key, struct bytes value);
void offset_decided(void *state, int64_t producer_id, bool commit);
bool offset_is_unstable(const struct committed *c);
void offsets_free_all(struct group_partition *p, struct group *g);
void producers_free_all(struct group_partition *p);
bool producer_equal(const struct map_node *node, const void *key);

/* ---- one file per API ---- */

void join_group(struct group_partition *p, struct group_call *call);
void sync_group(struct group_partition *p, struct group_call *call);
void heartbeat(struct group_partition *p, struct group_call *call);
void leave_group(struct group_partition *p, struct group_call *call);
void offset_commit(struct group_partition *p, struct group_call *call);
void txn_offset_commit(struct group_partition *p, struct group_call *call);
void offset_fetch(struct group_partition *p, struct group_call *call);
void offset_delete(struct group_partition *p, struct group_call *call);
void describe_groups(struct group_partition *p, struct group_call *call);
void list_groups(struct group_partition *p, struct group_call *call);
void delete_groups(struct group_partition *p, struct group_call *call);

/* ---- expire.c ---- */
void retention_run(struct group_partition *p);
