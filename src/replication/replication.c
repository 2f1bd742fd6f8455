#include "replication/replication.h"

/* W1, W2 and what an assertion may rely on. */
static void replication_check(const struct replication *r)
{
    ASSERT(r->count <= REPLICAS_MAX);
    ASSERT(r->high_watermark >= 0);
    if (r->role != REPLICATION_LEADER)
        return;
    ASSERT(r->leader == r->node_id);
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].id == r->node_id)
            ASSERT(r->replicas[i].in_isr);
    }
}

void replication_init(struct replication *r, int32_t node_id, int64_t high_watermark)
{
    ASSERT(high_watermark >= 0);
    *r = (struct replication){
        .node_id = node_id,
        .role = REPLICATION_NONE,
        .leader = -1,
        .leader_epoch = -1,
        .partition_epoch = -1,
        .high_watermark = high_watermark,
        .min_isr = 1,
    };
}

static struct replication_replica *find(struct replication *r, int32_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].id == id)
            return &r->replicas[i];
    }
    return NULL;
}

static uint32_t isr_size(const struct replication *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->count; i++)
        n += r->replicas[i].in_isr ? 1 : 0;
    return n;
}

/* min.insync.replicas, but never more than there are replicas (W2). */
static uint32_t min_isr(const struct replication *r)
{
    uint32_t asked = r->min_isr < 1 ? 1 : (uint32_t)r->min_isr;

    return asked < r->count ? asked : r->count;
}

static bool contains(const int32_t *ids, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static bool advance(struct replication *r)
{
    int64_t lowest = INT64_MAX;

    if (isr_size(r) < min_isr(r))
        return false;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].in_isr && r->replicas[i].stable_end < lowest)
            lowest = r->replicas[i].stable_end;
    }
    if (lowest == INT64_MAX || lowest <= r->high_watermark)
        return false;
    r->high_watermark = lowest;
    return true;
}

/* Who the replicas are now; what was known of those that stay is kept. */
static void take_replicas(struct replication *r, const struct replication_state *s, bool begins,
                          int64_t now_ms)
{
    struct replication_replica next[REPLICAS_MAX];

    ASSERT(s->replica_count <= REPLICAS_MAX);
    for (int32_t i = 0; i < s->replica_count; i++) {
        const struct replication_replica *known = find(r, s->replicas[i]);
        next[i] = known != NULL && !begins ? *known : (struct replication_replica){0};
        next[i].id = s->replicas[i];
        next[i].in_isr = contains(s->isr, s->isr_count, s->replicas[i]);
        if (begins && next[i].in_isr)
            next[i].caught_up_ms = now_ms;
    }
    memcpy(r->replicas, next, (size_t)s->replica_count * sizeof *next);
    r->count = (uint32_t)s->replica_count;
}

void replication_apply(struct replication *r, const struct replication_state *s, int64_t log_end,
                       int64_t log_stable, int64_t now_ms, struct replication_outcome *out)
{
    *out = (struct replication_outcome){0};
    r->min_isr = s->min_isr; /* a setting of the topic: it moves no partition epoch */
    if (s->partition_epoch > r->partition_epoch) {
        bool new_epoch = s->leader_epoch != r->leader_epoch;
        bool leads = s->leader == r->node_id;

        ASSERT(s->leader_epoch >= r->leader_epoch);
        out->became_leader = leads && (new_epoch || r->role != REPLICATION_LEADER);
        out->became_follower = !leads && (new_epoch || r->role != REPLICATION_FOLLOWER);
        out->role_changed = out->became_leader || out->became_follower;
        r->leader = s->leader;
        r->leader_epoch = s->leader_epoch;
        r->partition_epoch = s->partition_epoch;
        r->role = leads ? REPLICATION_LEADER : REPLICATION_FOLLOWER;
        take_replicas(r, s, out->became_leader, now_ms);
        if (out->became_leader)
            r->epoch_start = log_end;
    }
    if (r->role == REPLICATION_LEADER) {
        struct replication_replica *self = find(r, r->node_id);
        ASSERT(self != NULL); /* a leader is one of the replicas */
        self->stable_end = log_stable;
        out->high_watermark_moved = advance(r);
    }
    replication_check(r);
}

void replication_stable(struct replication *r, int64_t stable, struct replication_outcome *out)
{
    *out = (struct replication_outcome){0};
    if (r->role != REPLICATION_LEADER)
        return;
    struct replication_replica *self = find(r, r->node_id);
    ASSERT(stable >= self->stable_end);
    self->stable_end = stable;
    out->high_watermark_moved = advance(r);
    replication_check(r);
}

enum kerr replication_can_append(const struct replication *r, int16_t acks)
{
    if (r->role != REPLICATION_LEADER)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (acks == -1 && isr_size(r) < min_isr(r))
        return KERR_NOT_ENOUGH_REPLICAS;
    return KERR_NONE;
}

enum kerr replication_check_leader(const struct replication *r, int32_t leader_epoch)
{
    if (leader_epoch >= 0 && leader_epoch < r->leader_epoch)
        return KERR_FENCED_LEADER_EPOCH;
    if (leader_epoch > r->leader_epoch)
        return KERR_UNKNOWN_LEADER_EPOCH;
    return r->role == REPLICATION_LEADER ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER;
}
