/* The brokers of a random history: a log that is truncated and made anew, a coordinator that judges as Kafka's does. */
#include "history.h"

#include <stdio.h>

#include "assignor/consumer_protocol.h"
#include "protocol/fetch.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/sync_group.h"

/* An error now and then, while all is not well. */
static int16_t trouble(struct history *h, const int16_t *codes, size_t count)
{
    return h->calm || below(h, 8) > 0 ? KERR_NONE : codes[below(h, count)];
}

/* ---- the log ------------------------------------------------------------------------------------------ */

static int16_t judge(struct cluster *c, const struct script_request *r)
{
    const struct fetch_request *q = r->message;
    const struct script_topic *t = script_topic_find(c->script, STR("t"));
    int32_t epoch = q->topics->partitions->current_leader_epoch;

    if (r->version >= 13 && !uuid_equal(q->topics->topic_id, t->id))
        return KERR_UNKNOWN_TOPIC_ID;
    if (t->partitions->leader != r->broker)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (epoch >= 0 && epoch != t->partitions->epoch)
        return epoch < t->partitions->epoch ? KERR_FENCED_LEADER_EPOCH : KERR_UNKNOWN_LEADER_EPOCH;
    return KERR_NONE;
}

/* As Kafka has it: the end of the newest epoch up to the one that is asked about. */
static void epoch_end(struct script_request *r, void *ctx)
{
    struct history *h = ctx;
    const struct offset_for_leader_epoch_request *q = r->message;
    struct offset_for_leader_epoch_response *a = r->response;
    int32_t asked = q->topics->partitions->leader_epoch;
    struct offset_for_leader_epoch_response_topics_partitions *p = arena_take(&r->arena, sizeof *p);

    a->topics = arena_take(&r->arena, sizeof *a->topics);
    offset_for_leader_epoch_response_topics_init(a->topics);
    offset_for_leader_epoch_response_topics_partitions_init(p);
    a->topics_count = 1;
    a->topics->topic = STR("t");
    a->topics->partitions = p;
    a->topics->partitions_count = 1;
    p->leader_epoch = -1;
    p->end_offset = -1;
    if (partition_of(h)->leader != r->broker) {
        p->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
        return;
    }
    if (h->epoch_count == 0 || asked > h->epochs[h->epoch_count - 1].epoch)
        return;
    p->end_offset = h->c.end;
    for (uint32_t i = 0; i < h->epoch_count; i++) {
        if (h->epochs[i].epoch <= asked)
            p->leader_epoch = h->epochs[i].epoch;
        if (h->epochs[i].epoch > asked) {
            p->end_offset = h->epochs[i].start;
            break;
        }
    }
    if (p->leader_epoch < 0)
        p->leader_epoch = asked;
}

static void begin_epoch(struct history *h)
{
    while (h->epoch_count > 0 && h->epochs[h->epoch_count - 1].start >= h->c.end)
        h->epoch_count--;
    CHECK(h->epoch_count < EPOCHS_MAX);
    h->c.epoch = partition_of(h)->epoch;
    h->epochs[h->epoch_count].epoch = h->c.epoch;
    h->epochs[h->epoch_count++].start = h->c.end;
}

/* Base of the batch that has `offset`, or is behind it. */
static int64_t batch_at(struct history *h, int64_t offset)
{
    struct bytes rest = {(const uint8_t *)h->c.log.p, (int32_t)h->c.log.n};
    struct batch b;

    while (batch_next(&rest, &b) > 0) {
        if (b.last_offset >= offset)
            return b.base_offset;
    }
    return h->c.end;
}

/* An unclean election loses the end of the log. */
void history_move_leader(struct history *h)
{
    int64_t to = h->c.start + (int64_t)below(h, (uint64_t)(h->c.end - h->c.start) + 1);

    if (h->epoch_count + 2 > EPOCHS_MAX)
        return;
    script_move(h->c.script, "t", 0, 1 + (int32_t)below(h, BROKERS));
    if (below(h, 2) == 0 && (to = batch_at(h, to)) < h->c.end && to >= h->c.start) {
        cluster_cut_log(&h->c, to);
        h->losses++;
    }
    begin_epoch(h);
}

void history_make_anew(struct history *h)
{
    script_topic(h->c.script, "t", 1);
    text_clear(&h->c.log);
    h->c.start = h->c.end = h->start_before = 0;
    if (h->c.committed >= 0)
        h->committed_before = h->c.committed;
    h->c.committed = h->floor = -1; /* they go with the topic */
    h->epoch_count = 0;
    h->losses++;
    begin_epoch(h);
}

void history_raise_start(struct history *h)
{
    h->c.start += (int64_t)below(h, (uint64_t)(h->c.end - h->c.start) + 1);
    if (h->c.start > h->start_most)
        h->start_most = h->c.start;
    history_may_commit(h, h->c.start);
}

/* ---- the coordinator --------------------------------------------------------------------------------------- */

static int16_t judge_member(struct history *h, const struct script_request *r, struct str id, int32_t generation)
{
    if (r->broker != h->coordinator)
        return KERR_NOT_COORDINATOR;
    if (h->member_id[0] == 0 || !str_equal(id, str_of(h->member_id)))
        return KERR_UNKNOWN_MEMBER_ID;
    return generation == h->generation ? KERR_NONE : KERR_ILLEGAL_GENERATION;
}

static void join(struct script_request *r, void *ctx)
{
    static const int16_t codes[] = {KERR_COORDINATOR_LOAD_IN_PROGRESS, KERR_NOT_COORDINATOR, KERR_UNKNOWN_MEMBER_ID,
                                    KERR_UNKNOWN_SERVER_ERROR};
    struct history *h = ctx;
    const struct join_group_request *q = r->message;
    struct join_group_response *a = r->response;

    a->error_code = trouble(h, codes, array_count(codes));
    if (a->error_code != KERR_NONE)
        return;
    if (r->broker != h->coordinator) {
        a->error_code = KERR_NOT_COORDINATOR;
    } else if (q->member_id.n == 0) {
        a->error_code = KERR_MEMBER_ID_REQUIRED;
        snprintf(h->member_id, sizeof h->member_id, "m-%d", ++h->ids);
        a->member_id = arena_str(&r->arena, str_of(h->member_id));
    } else if (!str_equal(q->member_id, str_of(h->member_id))) {
        a->error_code = KERR_UNKNOWN_MEMBER_ID;
    } else {
        a->generation_id = ++h->generation;
        a->member_id = q->member_id;
        a->protocol_type = CONSUMER_PROTOCOL_TYPE;
        a->protocol_name = STR("range");
        a->leader = STR("another");
        h->given = h->calm || below(h, 4) > 0;
    }
}

/* While the other member has it, it reads on. */
static void another_reads(struct history *h)
{
    int64_t from = h->c.committed < h->c.start ? h->c.start : h->c.committed;

    if (from >= h->c.end)
        return;
    h->c.committed = from + (int64_t)below(h, (uint64_t)(h->c.end - from) + 1);
    h->floor = h->c.committed;
    history_may_commit(h, h->floor); /* the position begins there, or where the log has ended since */
}

static void sync(struct script_request *r, void *ctx)
{
    static const int16_t codes[] = {KERR_COORDINATOR_LOAD_IN_PROGRESS, KERR_REBALANCE_IN_PROGRESS};
    struct history *h = ctx;
    const struct sync_group_request *q = r->message;
    struct sync_group_response *a = r->response;
    struct consumer_protocol_assignment_assigned_partitions t;
    struct consumer_protocol_assignment m;
    int32_t zero = 0;

    a->error_code = judge_member(h, r, q->member_id, q->generation_id);
    if (a->error_code == KERR_NONE)
        a->error_code = trouble(h, codes, array_count(codes));
    if (a->error_code != KERR_NONE)
        return;
    consumer_protocol_assignment_init(&m);
    consumer_protocol_assignment_assigned_partitions_init(&t);
    t.topic = STR("t");
    t.partitions = &zero;
    t.partitions_count = 1;
    m.assigned_partitions = &t;
    m.assigned_partitions_count = h->given;
    CHECK_EQ(assignment_write(&m, 0, &r->arena, &a->assignment), 0);
    if (!h->given)
        another_reads(h);
}

static void heartbeat(struct script_request *r, void *ctx)
{
    static const int16_t codes[] = {KERR_REBALANCE_IN_PROGRESS, KERR_COORDINATOR_LOAD_IN_PROGRESS,
                                    KERR_UNKNOWN_SERVER_ERROR};
    struct history *h = ctx;
    const struct heartbeat_request *q = r->message;
    struct heartbeat_response *a = r->response;

    a->error_code = judge_member(h, r, q->member_id, q->generation_id);
    if (a->error_code == KERR_NONE && !h->given && h->calm)
        a->error_code = KERR_REBALANCE_IN_PROGRESS; /* the other one has left */
    if (a->error_code == KERR_NONE)
        a->error_code = trouble(h, codes, array_count(codes));
}

static void leave(struct script_request *r, void *ctx)
{
    ((struct history *)ctx)->member_id[0] = 0;
}

static void commit(struct script_request *r, void *ctx)
{
    static const int16_t codes[] = {KERR_COORDINATOR_LOAD_IN_PROGRESS, KERR_REBALANCE_IN_PROGRESS,
                                    KERR_REQUEST_TIMED_OUT, KERR_UNKNOWN_SERVER_ERROR};
    struct history *h = ctx;
    const struct offset_commit_request *q = r->message;
    struct offset_commit_response *a = r->response;
    int64_t offset = q->topics->partitions->committed_offset;

    a->topics = arena_take(&r->arena, sizeof *a->topics);
    offset_commit_response_topics_init(a->topics);
    a->topics_count = 1;
    a->topics->name = STR("t");
    a->topics->partitions = arena_take(&r->arena, sizeof *a->topics->partitions);
    offset_commit_response_topics_partitions_init(a->topics->partitions);
    a->topics->partitions_count = 1;
    a->topics->partitions->error_code = judge_member(h, r, q->member_id, q->generation_id_or_member_epoch);
    if (a->topics->partitions->error_code == KERR_NONE)
        a->topics->partitions->error_code = trouble(h, codes, array_count(codes));
    if (a->topics->partitions->error_code != KERR_NONE) {
        h->refusals++;
        return;
    }
    if (h->lies)
        return;
    h->commits_back += offset < h->floor;
    if (h->commits_back > h->losses)
        check_fail(__FILE__, __LINE__, "a commit goes back from %" PRId64 " to %" PRId64, h->floor, offset);
    CHECK(h->given);
    if (offset > h->done_max)
        check_fail(__FILE__, __LINE__, "%" PRId64 " is committed, but done is only what lies below %" PRId64, offset,
                   h->done_max);
    h->c.committed = h->floor = offset;
    h->commits++;
}

void history_serve(struct history *h)
{
    h->c.judge = judge;
    h->coordinator = 1;
    h->floor = h->committed_before = -1;
    script_on(h->c.script, 0, API_JOIN_GROUP, join, h);
    script_on(h->c.script, 0, API_SYNC_GROUP, sync, h);
    script_on(h->c.script, 0, API_HEARTBEAT, heartbeat, h);
    script_on(h->c.script, 0, API_LEAVE_GROUP, leave, h);
    script_on(h->c.script, 0, API_OFFSET_COMMIT, commit, h);
    script_on(h->c.script, 0, API_OFFSET_FOR_LEADER_EPOCH, epoch_end, h);
    begin_epoch(h);
}
