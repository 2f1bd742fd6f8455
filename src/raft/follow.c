/* The roles that wait for a leader, and what others say of who it is. */
#include "raft/internal.h"

#define REFUSED_TURNS 20 /* of an election timeout (50 ms): longer than it takes the others to see what one has seen */

void raft_unattach(struct raft *r, int32_t epoch, struct raft_outcome *out)
{
    /* What is left of the time that this node waits goes on: epochs that come and go must not keep it from standing. */
    bool anew = r->role == RAFT_LEADER || r->timer_ms <= r->now_ms || r->timer_ms == NEVER;

    raft_elect(r, (struct raft_election){.epoch = epoch, .leader_id = -1, .voted_id = -1}, out);
    raft_become(r, RAFT_UNATTACHED, out);
    if (anew)
        r->timer_ms = raft_draw(r, r->election_timeout_ms);
}

static void follow(struct raft *r, int32_t epoch, int32_t leader_id, struct raft_outcome *out)
{
    struct raft_election next = r->election;

    if (epoch != next.epoch)
        next = (struct raft_election){.epoch = epoch, .voted_id = -1};
    next.leader_id = leader_id;
    if (epoch != r->election.epoch || leader_id != r->election.leader_id)
        raft_elect(r, next, out);
    r->has_fetched = false;
    r->leader_lost = false;
#ifndef MUTANT_RAFT_OLD_WATERMARK
    r->leader_high_watermark = -1;
#endif
    if (leader_id == r->node_id) {
        /* This node has led it and does not know: its directory was lost. As at a start, F5. */
        raft_become(r, RAFT_RESIGNED, out);
        r->timer_ms = raft_draw(r, r->election_timeout_ms);
        return;
    }
    raft_become(r, RAFT_FOLLOWER, out);
    r->timer_ms = r->now_ms + r->fetch_timeout_ms;
}

void raft_adopt(struct raft *r, int32_t epoch, int32_t leader_id, struct raft_outcome *out)
{
    if (epoch > r->election.epoch) {
        if (leader_id < 0)
            raft_unattach(r, epoch, out);
        else
            follow(r, epoch, leader_id, out);
        return;
    }
    if (epoch < r->election.epoch || leader_id < 0)
        return;
    bool reached = r->role == RAFT_UNATTACHED && r->election.leader_id == leader_id && !r->leader_ended;
    if (r->election.leader_id == -1 || reached) {
        follow(r, epoch, leader_id, out);
        return;
    }
    /* Somebody else has it for the leader, too: an observer asks it once more. A second leader is not believed (F1). */
    if (r->leader_lost && r->election.leader_id == leader_id) {
        r->leader_lost = false;
        r->timer_ms = r->now_ms + r->fetch_timeout_ms;
    }
}

void raft_fall_back(struct raft *r, struct raft_outcome *out)
{
    if (r->election.leader_id != -1 && !r->leader_ended) {
        follow(r, r->election.epoch, r->election.leader_id, out);
        return;
    }
    raft_become(r, RAFT_UNATTACHED, out);
    r->timer_ms = raft_draw(r, r->election_timeout_ms);
}

/* ---- BeginQuorumEpoch, EndQuorumEpoch ------------------------------------------------------ */

/* Whether the sender can be the leader of its epoch, and then it is followed. */
static bool heed_leader(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    if (q->epoch < r->election.epoch) {
        out->reply.error = KERR_FENCED_LEADER_EPOCH;
        return false;
    }
    bool other = q->epoch == r->election.epoch && r->election.leader_id != -1 && r->election.leader_id != q->from.id;
    if (q->from.id < 0 || q->from.id == r->node_id || other) {
        out->reply.error = KERR_INVALID_REQUEST;
        return false;
    }
    raft_adopt(r, q->epoch, q->from.id, out);
    return true;
}

void raft_answer_begin(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    if (!heed_leader(r, q, out))
        return;
    if (q->to.id != -1 && !raft_same_key(q->to, (struct raft_key){.id = r->node_id, .directory_id = r->directory_id}))
        out->reply.error = KERR_INVALID_VOTER_KEY;
}

/* How long to wait before standing, so that the best one is the first. Rule: KIP-595. */
static int64_t backoff_of_rank(const struct raft *r, const struct raft_request *q)
{
    for (uint32_t k = 0; k < q->preferred_count; k++) {
        if (q->preferred[k] != r->node_id)
            continue;
        if (k == 0)
            return 0;
        if (q->preferred_count > 62)
            break;
        return (r->election_backoff_max_ms >> (q->preferred_count - 1)) << (k - 1);
    }
    return r->election_backoff_max_ms;
}

void raft_answer_end(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    if (!heed_leader(r, q, out) || r->role != RAFT_FOLLOWER)
        return;
    r->timer_ms = r->now_ms + backoff_of_rank(r, q);
    r->has_fetched = false; /* from one that leads no more: whoever stands is not in its way */
    r->leader_ended = true;
}

/* ---- Fetch --------------------------------------------------------------------------------- */

void raft_follow_high_watermark(struct raft *r, struct raft_outcome *out)
{
    /* A log that has once been found to fit the leader's is the beginning of it for the rest of the epoch. */
    int64_t known = r->leader_high_watermark < r->end_offset ? r->leader_high_watermark : r->end_offset;

    if (r->role != RAFT_FOLLOWER || known <= r->high_watermark)
        return;
    r->high_watermark = known;
    out->high_watermark_moved = true;
}

/* The leader's process is gone, most likely: whoever stands is not in its way, and this node need not wait for a fetch
 * timeout. One after the other, so that nobody is asked who has yet to hear of it, and votes are not split. */
static void leader_refused(struct raft *r)
{
    int64_t turn = 1, due_ms;

#ifdef MUTANT_RAFT_REFUSED_IS_LOST
    return;
#endif
    for (uint32_t i = 0; i < r->voters.count && !raft_is_self(r, i); i++)
        turn += r->voters.voters[i].id == r->election.leader_id ? 0 : 2;
    due_ms = r->now_ms + turn * r->election_timeout_ms / REFUSED_TURNS;
    r->has_fetched = false;
    if (due_ms < r->timer_ms)
        r->timer_ms = due_ms;
}

void raft_fetch_answered(struct raft *r, const struct raft_answer *a, struct raft_outcome *out)
{
    bool is_leader = r->role == RAFT_FOLLOWER && a->sent_epoch == r->election.epoch && a->from == r->election.leader_id;

    if (a->lost && a->refused && is_leader && !r->leader_ended)
        leader_refused(r);
    if (a->lost || a->error != KERR_NONE || !is_leader || a->epoch != r->election.epoch)
        return;
    r->leader_lost = false;
    if (!r->leader_ended) {
        r->has_fetched = true;
        r->timer_ms = r->now_ms + r->fetch_timeout_ms;
    }
    if (a->high_watermark > r->leader_high_watermark)
        r->leader_high_watermark = a->high_watermark;
    raft_follow_high_watermark(r, out);
}
