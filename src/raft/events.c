/* What each event does. */
#include "raft/internal.h"

/* The role that the election file gives, before anything is heard from others. */
static void on_start(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    const struct raft_election *e = &r->election;
    bool leader_votes = e->leader_id != -1 && raft_voter_find(&r->voters, e->leader_id) != NULL;

    ASSERT(!r->started);
    ASSERT(event->end_epoch == r->log_epoch);
    r->started = true;
    r->end_offset = event->end_offset;
    r->stable_offset = event->stable_offset;
    r->timer_ms = raft_draw(r, r->election_timeout_ms);

    if (e->epoch < r->log_epoch) {
        /* The log knows a newer epoch than the file: nothing is known about its leader. */
        raft_unattach(r, r->log_epoch, out);
    } else if (e->leader_id == r->node_id) {
        /* F5: offsets of that epoch that were lost with the tail must not be given out again. */
#ifdef MUTANT_RAFT_LEADS_AGAIN
        raft_lead(r, out);
        return;
#endif
        raft_become(r, RAFT_RESIGNED, out);
    } else if (e->leader_id == -1 && e->voted_id == r->node_id && raft_may_stand(r)) {
        raft_become(r, RAFT_CANDIDATE, out);
    } else if (leader_votes) {
        raft_become(r, RAFT_FOLLOWER, out);
        r->timer_ms = r->now_ms + r->fetch_timeout_ms;
    } else {
        raft_become(r, RAFT_UNATTACHED, out); /* a leader that is none of the voters cannot be reached by its id */
    }

    /* A timeout is how long to wait for others; the only voter has nobody to wait for. */
    if (raft_is_sole_voter(r) && raft_may_stand(r))
        raft_stand(r, out);
}

static void on_tick(struct raft *r, struct raft_outcome *out)
{
    if (r->stopped)
        return;
    if (r->role == RAFT_LEADER) {
#ifndef MUTANT_RAFT_NO_CHECK_QUORUM
        if (r->now_ms >= raft_quorum_lost_ms(r))
            raft_resign(r, out);
#endif
        return;
    }
    if (r->now_ms < r->timer_ms)
        return;
    r->timer_ms = NEVER; /* until something sets it: an observer, and an epoch that is the last one, have none */
    switch (r->role) {
    case RAFT_UNATTACHED:
    case RAFT_FOLLOWER:
        if (raft_may_stand(r))
            raft_stand(r, out);
        else
            r->leader_lost = true;
        break;
    case RAFT_RESIGNED:
        if (r->election.epoch < LAST_EPOCH)
            raft_unattach(r, r->election.epoch + 1, out);
        break;
    default:
        raft_election_timeout(r, out);
    }
}

/* What another node asks. Rule: KIP-595, KIP-853, KIP-996; the order of the checks is that of 4.3. */
static void on_request(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    if (q->rpc != RAFT_FETCH && q->epoch > LAST_EPOCH) {
        out->reply.error = KERR_INVALID_REQUEST;
        return;
    }
    switch (q->rpc) {
    case RAFT_VOTE:
        raft_answer_vote(r, q, out);
        break;
    case RAFT_BEGIN:
        raft_answer_begin(r, q, out);
        break;
    case RAFT_END:
        raft_answer_end(r, q, out);
        break;
    case RAFT_FETCH:
        out->reply.error = raft_leader_error(r, q->epoch);
        break;
    }
}

static bool peer_is_asked(const struct raft *r, const struct raft_answer *a)
{
#ifndef MUTANT_RAFT_OLD_VOTES_COUNT
    if (a->sent_epoch != r->election.epoch)
        return false; /* the answer to what an earlier role has asked */
#endif
    switch (a->rpc) {
    case RAFT_VOTE:
        return r->role == (a->pre_vote ? RAFT_PROSPECTIVE : RAFT_CANDIDATE);
    case RAFT_BEGIN:
        return r->role == RAFT_LEADER;
    case RAFT_END:
        return r->role == RAFT_RESIGNED;
    default:
        return false;
    }
}

static void on_answer(struct raft *r, const struct raft_answer *a, struct raft_outcome *out)
{
    if (!a->lost && a->error != KERR_UNKNOWN_LEADER_EPOCH && a->epoch <= LAST_EPOCH)
        raft_adopt(r, a->epoch, a->leader_id, out);
    if (a->rpc == RAFT_FETCH) {
        raft_fetch_answered(r, a, out);
        return;
    }
    struct peer *p = raft_peer(r, a->from);
    if (p == NULL || !peer_is_asked(r, a))
        return;
    p->in_flight = false;
    if (a->rpc == RAFT_BEGIN)
        return; /* it is told again while it does not fetch */
    p->due_ms = r->now_ms + r->retry_backoff_ms;
    if (a->lost)
        return;
    if (a->rpc == RAFT_END)
        p->answered = true;
    else
        raft_vote_answered(r, a, out);
}

static void on_appended(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(event->end_offset >= r->end_offset);
    ASSERT(event->end_epoch <= r->election.epoch);
    r->end_offset = event->end_offset;
    r->log_epoch = r->role == RAFT_LEADER ? r->election.epoch : event->end_epoch;
    raft_follow_high_watermark(r, out);
}

static void on_truncated(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(r->role != RAFT_LEADER);
    ASSERT(event->end_offset >= r->high_watermark); /* what is committed stays */
    ASSERT(event->end_epoch <= r->election.epoch);
    if (event->end_offset > r->end_offset) { /* a snapshot: it holds only what is committed */
        r->high_watermark = event->end_offset;
        out->high_watermark_moved = true;
    }
    r->end_offset = event->end_offset;
    r->stable_offset = event->stable_offset;
    r->log_epoch = event->end_epoch;
}

static void on_stop(struct raft *r, struct raft_outcome *out)
{
    if (r->role == RAFT_LEADER)
        raft_resign(r, out);
    r->stopped = true;
}

void raft_on_event(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    switch (event->type) {
    case RAFT_EVENT_START:
        on_start(r, event, out);
        break;
    case RAFT_EVENT_TICK:
        on_tick(r, out);
        break;
    case RAFT_EVENT_STABLE:
        ASSERT(event->stable_offset >= r->stable_offset);
        r->stable_offset = event->stable_offset;
        raft_advance_high_watermark(r, out);
        break;
    case RAFT_EVENT_APPENDED:
        on_appended(r, event, out);
        break;
    case RAFT_EVENT_TRUNCATED:
        on_truncated(r, event, out);
        break;
    case RAFT_EVENT_VOTERS:
        raft_on_voters(r, event, out);
        break;
    case RAFT_EVENT_REQUEST:
        on_request(r, event->request, out);
        break;
    case RAFT_EVENT_FETCHED:
        raft_on_fetched(r, event, out);
        break;
    case RAFT_EVENT_ANSWER:
        on_answer(r, event->answer, out);
        break;
    case RAFT_EVENT_CHANGE:
        raft_on_change(r, event->change, out);
        break;
    case RAFT_EVENT_STOP:
        on_stop(r, out);
        break;
    }
}
