/* What tests of groups share: one coordinator partition over a log in memory, with virtual time.
 *
 *     struct rig r;
 *     rig_init(&r);
 *     struct call *a = rig_join(&r, "g", "", 3);
 *     rig_pass(&r, 3000);                       time passes, timers fire, answers leave
 *     CHECK_EQ(join_of(a)->generation_id, 1);
 *     rig_end(&r);
 *
 * The log commits by itself unless `r.holds`; then rig_commit does it.
 */
#pragma once

#include "check.h"
#include "group/internal.h"

struct call {
    struct group_call call;
    struct arena arena;
    struct rig *rig;
    struct call *next;
    void *response;
    bool done;
};

struct rig {
    struct text log; /* batches, stamped */
    int64_t start, end, high_watermark;
    int32_t chunk_batches; /* at most so many a read; 0 all */
    bool holds;            /* the high watermark moves by rig_commit only */
    enum kerr refuses;     /* what the next appends are answered */
    struct group_partition *p;
    struct group_settings settings;
    struct telemetry *telemetry;
    struct prng prng;
    struct image *image;
    struct arena arena; /* requests live as long as the rig */
    struct call *calls;
    int64_t now_ms;
    struct op *reading;
    int64_t reading_result;
    int64_t loaded; /* result of the last load; 1 while it runs */
    struct op load;
    int32_t largest_batch; /* bytes */
    bool (*topic_allowed)(const struct group_call *call, struct str topic);
};

#define RIG_WALL_MS 1000000000000 /* wall clock at now_ms 0 */

void rig_init(struct rig *r); /* with topics "orders" (3 partitions) and "other" (1); loaded */
void rig_init_empty(struct rig *r); /* the log may be filled before rig_load */
void rig_load(struct rig *r);
int64_t rig_try_load(struct rig *r); /* the result */
void rig_reload(
    struct rig *r); /* the coordinator goes, and another reads the log, with r->settings */
void rig_end(struct rig *r);

void rig_commit(struct rig *r);           /* all that is written */
void rig_pass(struct rig *r, int64_t ms); /* every timer at its time */
void rig_settle(struct rig *r);           /* answers that are due leave; no time passes */
void rig_append_raw(struct rig *r, struct bytes batch); /* as the log's next batch */
void rig_marker(struct rig *r, int64_t producer_id, bool commit);

struct uuid rig_topic_id(const char *name);
void rig_topic(struct rig *r, const char *name, int32_t partitions);

/* Ask; `request` is taken as it is and lives as long as the rig. */
struct call *rig_ask(struct rig *r, enum api_key key, int16_t version, const void *request);
void *rig_take(struct rig *r, const struct message *message); /* an initialised message */
struct str rig_str(struct rig *r, const char *text);

struct call *rig_join(struct rig *r, const char *group, const char *member, int16_t version);
/* With everything: `protocols` is "name=metadata,..." in order of preference; `instance` may be
 * NULL. */
struct call *rig_join_with(struct rig *r, const char *group, const char *member,
                           const char *instance, const char *protocols, int16_t version);
/* `assignments` is "member=bytes,..."; NULL for a follower. */
/* "A=assignment,B=assignment" for rig_sync; `b` null: A alone. */
const char *rig_assign(struct rig *r, struct str a, const char *to_a, struct str b,
                       const char *to_b);
const char *rig_text(struct rig *r, struct str s);
struct call *rig_sync(struct rig *r, const char *group, struct str member, int32_t generation,
                      const char *assignments);
enum kerr rig_heartbeat(struct rig *r, const char *group, struct str member, int32_t generation);
enum kerr rig_leave(struct rig *r, const char *group, struct str member);
/* Commit one offset of a topic; the error of its partition. */
enum kerr rig_commit_offset(struct rig *r, const char *group, struct str member, int32_t generation,
                            const char *topic, int32_t partition, int64_t offset);
enum kerr rig_txn_commit(struct rig *r, const char *group, int64_t producer_id, const char *topic,
                         int32_t partition, int64_t offset);
/* Committed offset; -1 none. `error` may be NULL. */
int64_t rig_offset(struct rig *r, const char *group, const char *topic, int32_t partition,
                   bool stable, enum kerr *error);
/* "Stable range m1 m2", ... of DescribeGroups. */
const char *rig_state(struct rig *r, const char *group);
/* One member of a stable group in generation 1: its id. */
struct str rig_member(struct rig *r, const char *group);
/* The same, a consumer that subscribes to a topic; its session is half an hour, so that virtual
 * weeks need few heartbeats, which rig_live sends. */
struct str rig_reader(struct rig *r, const char *group, const char *topic);
void rig_live(struct rig *r, const char *group, struct str member, int32_t generation, int64_t ms);
enum kerr rig_delete(struct rig *r, const char *group);

static inline const struct join_group_response *join_of(const struct call *c)
{
    return c->response;
}
static inline const struct sync_group_response *sync_of(const struct call *c)
{
    return c->response;
}

/* The log's records, one a line: "offset: KeyName JSON = JSON". */
const char *rig_dump(struct rig *r);
