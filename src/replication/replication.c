/* What both sides share: who replicates, who leads, and in which epoch. */
#include "replication/internal.h"

void replication_check(const struct replication *r)
{
    ASSERT(r->count <= REPLICAS_MAX);
    ASSERT(r->high_watermark >= 0);
    if (r->role != REPLICATION_LEADER) {
        ASSERT(!r->proposing);
        return;
    }
    ASSERT(r->leader == r->node_id);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct replication_replica *one = &r->replicas[i];
        ASSERT(one->in_isr || one->id != r->node_id);
        ASSERT(!one->proposed || r->proposing);
        ASSERT(!one->in_isr || (!one->joining && !one->proposed));
    }
}

void replication_init(struct replication *r, int32_t node_id, int64_t high_watermark)
{
    ASSERT(high_watermark >= 0);
    *r = (struct replication){
        .node_id = node_id,
        .broker_epoch = -1,
        .role = REPLICATION_NONE,
        .leader = -1,
        .leader_epoch = -1,
        .partition_epoch = -1,
        .high_watermark = high_watermark,
        .min_isr = 1,
    };
}

void replication_set_broker_epoch(struct replication *r, int64_t broker_epoch)
{
    r->broker_epoch = broker_epoch;
}

struct replication_replica *replication_find(struct replication *r, int32_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].id == id)
            return &r->replicas[i];
    }
    return NULL;
}

uint32_t replication_isr_size(const struct replication *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->count; i++)
        n += r->replicas[i].in_isr ? 1 : 0;
    return n;
}

bool replication_in_isr(const struct replication *r, int32_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].id == id)
            return r->replicas[i].in_isr;
    }
    return false;
}

uint32_t replication_min_isr(const struct replication *r)
{
    uint32_t asked = r->min_isr < 1 ? 1 : (uint32_t)r->min_isr;

    return asked < r->count ? asked : r->count;
}

bool replication_contains(const int32_t *ids, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

bool replication_set_isr(struct replication *r, const int32_t *isr, int32_t count)
{
    bool changed = false;

    for (uint32_t i = 0; i < r->count; i++) {
        struct replication_replica *one = &r->replicas[i];
        bool in = replication_contains(isr, count, one->id);
        changed = changed || in != one->in_isr;
        one->in_isr = in;
        if (in)
            one->joining = false;
    }
    return changed;
}

/* ---- metadata --------------------------------------------------------------------------------- */

static struct replication_replica unknown_replica(int32_t id)
{
    return (struct replication_replica){
        .id = id,
        .stable_end = -1,
        .log_start = -1,
        .caught_up_ms = -1,
        .fetched_ms = -1,
        .fetched_epoch = -1,
    };
}

/* Who the replicas are now; what was known of those that stay is kept. */
static void take_replicas(struct replication *r, const struct replication_state *s)
{
    struct replication_replica next[REPLICAS_MAX];

    ASSERT(s->replica_count <= REPLICAS_MAX);
    for (int32_t i = 0; i < s->replica_count; i++) {
        const struct replication_replica *known = replication_find(r, s->replicas[i]);
        next[i] = known != NULL ? *known : unknown_replica(s->replicas[i]);
    }
    memcpy(r->replicas, next, (size_t)s->replica_count * sizeof *next);
    r->count = (uint32_t)s->replica_count;
}

/* A leader begins: what it knew of the followers is of another time. Those in the ISR have replica.lag.time.max.ms to
 * be heard of. */
static void begin_to_lead(struct replication *r, int64_t log_end, int64_t now_ms)
{
    r->epoch_start = log_end;
    for (uint32_t i = 0; i < r->count; i++) {
        struct replication_replica *one = &r->replicas[i];
        bool in_isr = one->in_isr;
        *one = unknown_replica(one->id);
        one->in_isr = in_isr;
        one->caught_up_ms = in_isr ? now_ms : -1;
    }
}

static bool is_news(const struct replication *r, const struct replication_state *s)
{
    return s->partition_epoch > r->partition_epoch || (r->ahead && s->partition_epoch == r->partition_epoch);
}

static void take_state(struct replication *r, const struct replication_state *s, int64_t log_end, int64_t now_ms,
                       struct replication_outcome *out)
{
    bool new_epoch = s->leader_epoch != r->leader_epoch;
    bool leads = s->leader == r->node_id;
    uint32_t isr_size = replication_isr_size(r);

    ASSERT(s->leader_epoch >= r->leader_epoch);
    out->became_leader = leads && (new_epoch || r->role != REPLICATION_LEADER);
    out->became_follower = !leads && (new_epoch || r->role != REPLICATION_FOLLOWER);
    out->role_changed = out->became_leader || out->became_follower;
#ifndef MUTANT_REPLICATION_NEWS_VOIDS
    if (s->partition_epoch > r->partition_epoch)
#endif
        leader_end_proposal(r); /* it was for the one before */
    r->leader = s->leader;
    r->leader_epoch = s->leader_epoch;
    r->partition_epoch = s->partition_epoch;
    r->ahead = false;
    r->recovery = s->recovery;
    r->role = leads ? REPLICATION_LEADER : REPLICATION_FOLLOWER;
    take_replicas(r, s);
    out->isr_changed = replication_set_isr(r, s->isr, s->isr_count) || replication_isr_size(r) != isr_size;
    if (out->became_leader)
        begin_to_lead(r, log_end, now_ms);
}

void replication_apply(struct replication *r, const struct replication_state *s, int64_t log_end,
                       int64_t log_stable, int64_t now_ms, struct replication_outcome *out)
{
    *out = (struct replication_outcome){0};
    r->min_isr = s->min_isr; /* a setting of the topic: it moves no partition epoch */
    if (is_news(r, s))
        take_state(r, s, log_end, now_ms, out);
    if (r->role == REPLICATION_LEADER) {
        struct replication_replica *self = replication_find(r, r->node_id);
        ASSERT(self != NULL); /* a leader is one of the replicas */
        self->stable_end = log_stable;
        out->high_watermark_moved = leader_advance(r);
    }
    replication_check(r);
}

void replication_started(struct replication *r, int64_t start)
{
    if (r->high_watermark < start)
        r->high_watermark = start;
}
