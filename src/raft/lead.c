/* Leader and Resigned: the high watermark, and whether a majority is still there. */
#include "raft/internal.h"

void raft_lead(struct raft *r, struct raft_outcome *out)
{
    ASSERT(!r->stopped);
    raft_elect(r, (struct raft_election){.epoch = r->election.epoch, .leader_id = r->node_id, .voted_id = -1}, out);
    raft_become(r, RAFT_LEADER, out);
    raft_progress_reset(r);
    r->epoch_start = r->end_offset;
    out->append_leader_change = true;
    out->append_voters = raft_refresh_voters(r);
}

void raft_resign(struct raft *r, struct raft_outcome *out)
{
    ASSERT(r->role == RAFT_LEADER);
    raft_become(r, RAFT_RESIGNED, out);
    r->timer_ms = raft_draw(r, r->election_timeout_ms);
}

enum kerr raft_leader_error(const struct raft *r, int32_t epoch)
{
    if (epoch != -1 && epoch < r->election.epoch)
        return KERR_FENCED_LEADER_EPOCH;
    if (epoch > r->election.epoch)
        return KERR_UNKNOWN_LEADER_EPOCH;
    if (r->stopped)
        return KERR_BROKER_NOT_AVAILABLE;
    return r->role == RAFT_LEADER ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER;
}

/* Raise the high watermark to what a majority of the voters holds.
 * F4: an offset of an older epoch is committed only together with one of the own epoch. */
void raft_advance_high_watermark(struct raft *r, struct raft_outcome *out)
{
    int64_t ends[RAFT_VOTERS_MAX];

    if (r->role != RAFT_LEADER)
        return;
    for (uint32_t i = 0; i < r->voters.count; i++) {
        int64_t own = r->stable_offset;
#ifdef MUTANT_RAFT_COUNTS_UNSTABLE
        own = r->end_offset;
#endif
        ends[i] = raft_is_self(r, i) ? own : r->peers[i].progress.end_offset;
#ifdef MUTANT_RAFT_REMOVED_COUNTS
        if (!raft_self_votes(r) && i == 0)
            ends[i] = own;
#endif
    }
    int64_t held = raft_majority(ends, r->voters.count);
#ifndef MUTANT_RAFT_COMMITS_OLD_EPOCH
    if (held <= r->epoch_start)
        return;
#endif
    if (held <= r->high_watermark)
        return;
    r->high_watermark = held;
    out->high_watermark_moved = true;
#ifndef MUTANT_RAFT_REMOVED_LEADS_ON
    if (!raft_self_votes(r) && r->voters_end >= 0 && held >= r->voters_end)
        raft_resign(r, out); /* it has removed itself. Rule: KIP-853 */
#endif
}

void raft_on_fetched(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    struct peer *peer = NULL;

    if (r->role != RAFT_LEADER || event->from.id < 0 || event->from.id == r->node_id)
        return;
    ASSERT(event->fetch_offset >= 0 && event->fetch_offset <= r->end_offset);
    struct progress *p = raft_progress_get(r, event->from, &peer);
    if (event->fetch_offset >= r->end_offset)
        p->caught_up_ms = r->now_ms;
    else if (p->seen_end >= 0 && event->fetch_offset >= p->seen_end && p->fetched_ms > p->caught_up_ms)
        p->caught_up_ms = p->fetched_ms; /* it has all that there was when it asked the last time */
    p->fetched_ms = r->now_ms;
    p->seen_end = r->end_offset;
    p->end_offset = event->fetch_offset;
    if (peer == NULL)
        return;
    peer->alive_ms = r->now_ms;
    peer->due_ms = r->now_ms + r->fetch_timeout_ms / 2;
    raft_advance_high_watermark(r, out);
}

int64_t raft_quorum_lost_ms(const struct raft *r)
{
    int64_t alive[RAFT_VOTERS_MAX];

    for (uint32_t i = 0; i < r->voters.count; i++)
        alive[i] = raft_is_self(r, i) ? NEVER : r->peers[i].alive_ms;
    int64_t last = raft_majority(alive, r->voters.count);
    return last == NEVER ? NEVER : last + r->fetch_timeout_ms + r->fetch_timeout_ms / 2;
}
