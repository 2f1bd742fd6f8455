/* The machine around its roles: what a step is made of, what is to be sent after it, and when the next tick is due. */
#include "raft/internal.h"

#include <stdlib.h>

struct raft *raft_new(const struct raft_options *options)
{
    ASSERT(options->election.epoch >= 0);
    ASSERT(options->log_epoch >= 0);

    struct raft *r = calloc(1, sizeof(*r));
    ASSERT(r != NULL);
    r->node_id = options->node_id;
    r->directory_id = options->directory_id;
    r->can_vote = options->can_vote;
    r->election_timeout_ms = options->election_timeout_ms;
    r->election_backoff_max_ms = options->election_backoff_max_ms;
    r->fetch_timeout_ms = options->fetch_timeout_ms;
    r->retry_backoff_ms = options->retry_backoff_ms;
    r->self = options->self;
    prng_init(&r->prng, options->seed);
    r->role = RAFT_UNATTACHED;
    r->election = options->election;
    r->log_epoch = options->log_epoch;
    r->high_watermark = -1;
    r->leader_high_watermark = -1;
    r->epoch_start = -1;
    if (r->can_vote) {
        r->observers = calloc(RAFT_OBSERVERS_MAX, sizeof(*r->observers));
        ASSERT(r->observers != NULL);
    }
    raft_voters_set(r, &options->voters);
    r->voters_end = options->voters_end;
    r->was_voter = options->was_voter;
    return r;
}

void raft_free(struct raft *r)
{
    if (r == NULL)
        return;
    free(r->observers);
    free(r);
}

enum raft_role raft_role(const struct raft *r)
{
    return r->role;
}

const struct raft_voters *raft_voters(const struct raft *r)
{
    return &r->voters;
}

const struct raft_election *raft_election(const struct raft *r)
{
    return &r->election;
}

int64_t raft_high_watermark(const struct raft *r)
{
    return r->high_watermark;
}

enum raft_source raft_source(const struct raft *r, int32_t *leader)
{
    if (r->stopped)
        return RAFT_SOURCE_NOBODY;
    if (r->role == RAFT_UNATTACHED)
        return RAFT_SOURCE_ANY;
    if (r->role != RAFT_FOLLOWER)
        return RAFT_SOURCE_NOBODY;
    if (r->leader_lost)
        return RAFT_SOURCE_ANY;
    *leader = r->election.leader_id;
    return RAFT_SOURCE_LEADER;
}

/* ---- what moves ---------------------------------------------------------------------------- */

void raft_elect(struct raft *r, struct raft_election next, struct raft_outcome *out)
{
    const struct raft_election *now = &r->election;

    ASSERT(next.epoch >= now->epoch); /* F2 */
    if (next.epoch == now->epoch) {
        bool revote = now->voted_id != -1 && next.voted_id != -1 && next.voted_id != now->voted_id;
        ASSERT(!revote);                                                  /* F3 */
        ASSERT(now->leader_id == -1 || next.leader_id == now->leader_id); /* F1 */
    }
    if (next.epoch != now->epoch)
        r->leader_ended = false;
    r->election = next;
    out->persist = true;
    out->election = next;
}

void raft_become(struct raft *r, enum raft_role role, struct raft_outcome *out)
{
    r->role = role;
    out->role_changed = true;
    if (role != RAFT_LEADER)
        r->epoch_start = -1;
    raft_peers_reset(r);
}

int64_t raft_draw(struct raft *r, int64_t ms)
{
    return r->now_ms + ms + (int64_t)prng_below(&r->prng, (uint64_t)ms + 1);
}

/* ---- after an event ------------------------------------------------------------------------ */

/* Whether the role has something to ask of, or to tell, this voter. */
static bool is_wanted(const struct raft *r, uint32_t i)
{
    const struct peer *p = &r->peers[i];

    if (p->progress.key.id == r->node_id || p->in_flight)
        return false;
    if (r->role == RAFT_LEADER)
        return true;
    return (r->role == RAFT_PROSPECTIVE || r->role == RAFT_CANDIDATE || r->role == RAFT_RESIGNED) && !p->answered;
}

static void send_due(struct raft *r, struct raft_outcome *out)
{
    for (uint32_t i = 0; i < r->voters.count; i++) {
        struct peer *p = &r->peers[i];
        if (!is_wanted(r, i) || p->due_ms > r->now_ms)
            continue;
        struct raft_send *s = &out->sends[out->send_count++];
        s->to = p->progress.key;
        s->epoch = r->election.epoch;
        s->last_epoch = r->log_epoch;
        s->last_offset = r->end_offset;
        s->pre_vote = r->role == RAFT_PROSPECTIVE;
        s->rpc = r->role == RAFT_LEADER ? RAFT_BEGIN : r->role == RAFT_RESIGNED ? RAFT_END : RAFT_VOTE;
        p->in_flight = true;
        p->due_ms = r->now_ms + r->fetch_timeout_ms / 2; /* of a leader: until it has to be told again */
    }
}

static int64_t deadline(const struct raft *r)
{
    int64_t at = r->role == RAFT_LEADER ? raft_quorum_lost_ms(r) : r->timer_ms;

    if (r->stopped)
        return NEVER;
    if (r->role == RAFT_UNATTACHED && !raft_may_stand(r))
        at = NEVER;
    for (uint32_t i = 0; i < r->voters.count; i++) {
        if (is_wanted(r, i) && r->peers[i].due_ms < at)
            at = r->peers[i].due_ms;
    }
    return at;
}

/* What must hold after each step. */
static void check(const struct raft *r)
{
    ASSERT(r->stable_offset <= r->end_offset);
    ASSERT(r->high_watermark <= r->end_offset);
    ASSERT(!r->started || r->election.epoch >= r->log_epoch);
    if (r->role != RAFT_LEADER) {
        ASSERT(r->epoch_start == -1);
        return;
    }
    ASSERT(r->election.leader_id == r->node_id);
    ASSERT(r->epoch_start >= 0);
    ASSERT(r->epoch_start <= r->end_offset);
}

void raft_step(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    bool was_stopped = r->stopped;

    ASSERT(r->started || event->type == RAFT_EVENT_START || event->type == RAFT_EVENT_STOP);
    ASSERT(event->now_ms >= r->now_ms);
    *out = (struct raft_outcome){0};
    r->now_ms = event->now_ms;
    raft_on_event(r, event, out);
    if (!was_stopped)
        send_due(r, out);
    out->role = r->role;
    out->high_watermark = r->high_watermark;
    out->reply.leader_id = r->election.leader_id;
    out->reply.epoch = r->election.epoch;
    out->deadline_ms = deadline(r);
    check(r);
}
