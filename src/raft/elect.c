/* Prospective and Candidate: whom this node asks for votes, and whom it gives its own. */
#include "raft/internal.h"

/* Also who is a voter no more, as long as that may not be committed: without a leader that removed itself, and alone
 * has the record of it, the others might be too few. */
bool raft_may_stand(const struct raft *r)
{
    bool may_vote = r->was_voter && (r->voters_end < 0 || r->voters_end > r->high_watermark);

#ifdef MUTANT_RAFT_REMOVED_GIVES_UP
    may_vote = false;
#endif
    if (r->stopped || !r->can_vote || r->election.epoch >= LAST_EPOCH)
        return false;
    return raft_self_votes(r) || may_vote;
}

static uint32_t votes(const struct raft *r)
{
    uint32_t n = raft_self_votes(r) ? 1 : 0;

    for (uint32_t i = 0; i < r->voters.count; i++)
        n += r->peers[i].granted;
    return n;
}

static bool is_won(const struct raft *r)
{
    return votes(r) > r->voters.count / 2;
}

/* Whether those who have not answered yet are too few. */
static bool is_lost(const struct raft *r)
{
    uint32_t refused = 0;

    for (uint32_t i = 0; i < r->voters.count; i++)
        refused += r->peers[i].answered && !r->peers[i].granted;
    return r->voters.count - refused <= r->voters.count / 2;
}

/* Begin a new epoch, with the own vote. */
static void nominate(struct raft *r, struct raft_outcome *out)
{
    raft_elect(r,
               (struct raft_election){.epoch = r->election.epoch + 1,
                                      .leader_id = -1,
                                      .voted_id = r->node_id,
                                      .voted_directory_id = r->directory_id},
               out);
    raft_become(r, RAFT_CANDIDATE, out);
    r->timer_ms = raft_draw(r, r->election_timeout_ms);
    if (is_won(r))
        raft_lead(r, out);
}

void raft_stand(struct raft *r, struct raft_outcome *out)
{
    ASSERT(raft_may_stand(r));
#ifdef MUTANT_RAFT_PRE_VOTE_RAISES
    raft_elect(r, (struct raft_election){.epoch = r->election.epoch + 1, .leader_id = -1, .voted_id = -1}, out);
#endif
    raft_become(r, RAFT_PROSPECTIVE, out);
    r->timer_ms = raft_draw(r, r->election_timeout_ms);
    if (is_won(r))
        nominate(r, out);
}

void raft_election_timeout(struct raft *r, struct raft_outcome *out)
{
    if (r->role == RAFT_CANDIDATE && raft_may_stand(r))
        raft_stand(r, out);
    else
        raft_fall_back(r, out);
}

void raft_vote_answered(struct raft *r, const struct raft_answer *a, struct raft_outcome *out)
{
    struct peer *p = raft_peer(r, a->from);

    if (a->pre_vote && a->error == KERR_UNSUPPORTED_VERSION) { /* older than KIP-996: nobody can ask it first */
        if (raft_may_stand(r))
            nominate(r, out);
        return;
    }
    if (a->error != KERR_NONE && a->error != KERR_INVALID_VOTER_KEY)
        return; /* it is asked again */
    p->answered = true;
    p->granted = a->error == KERR_NONE && a->granted;
    if (is_won(r)) {
        if (r->role == RAFT_CANDIDATE)
            raft_lead(r, out);
        else if (raft_may_stand(r))
            nominate(r, out);
    } else if (is_lost(r)) {
        int64_t backoff = 1 + (int64_t)prng_below(&r->prng, (uint64_t)r->election_backoff_max_ms + 1);
        if (r->role == RAFT_PROSPECTIVE)
            raft_fall_back(r, out);
        else if (r->now_ms + backoff < r->timer_ms)
            r->timer_ms = r->now_ms + backoff; /* then it asks again whether it would win */
    }
}

/* ---- the answer to Vote -------------------------------------------------------------------- */

static bool is_up_to_date(const struct raft *r, const struct raft_request *q)
{
#ifdef MUTANT_RAFT_LOG_NOT_COMPARED
    return true;
#endif
    if (q->last_epoch != r->log_epoch)
        return q->last_epoch > r->log_epoch;
    return q->last_offset >= r->end_offset;
}

/* Whether to wish the candidate well. Nothing is promised by that. Rule: KIP-996. */
static bool pre_votes_for(const struct raft *r, const struct raft_request *q)
{
    if (r->role == RAFT_LEADER)
        return false;
#ifndef MUTANT_RAFT_PRE_VOTE_BESIDE_LEADER
    if (r->role == RAFT_FOLLOWER && r->has_fetched)
        return false; /* its leader lives: whoever does not hear it should not end it */
#endif
    return is_up_to_date(r, q);
}

static bool votes_for(const struct raft *r, const struct raft_request *q)
{
    const struct raft_election *e = &r->election;

    if (r->role != RAFT_UNATTACHED && r->role != RAFT_PROSPECTIVE)
        return false; /* a candidate has voted for itself; the others know who leads */
#ifndef MUTANT_RAFT_VOTES_TWICE
    if (e->voted_id != -1)
        return raft_same_key((struct raft_key){.id = e->voted_id, .directory_id = e->voted_directory_id}, q->from);
#endif
    return e->leader_id == -1 && q->from.id != r->node_id && is_up_to_date(r, q);
}

static void vote(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    struct raft_election next = r->election;

    if (next.voted_id != -1)
        return; /* said again */
    next.voted_id = q->from.id;
    next.voted_directory_id = q->from.directory_id;
    raft_elect(r, next, out);
#ifdef MUTANT_RAFT_VOTE_NOT_PERSISTED
    out->persist = false;
#endif
    r->timer_ms = raft_draw(r, r->election_timeout_ms); /* the candidate gets its time */
}

static bool is_malformed(const struct raft_request *q)
{
    if (q->last_offset < 0 || q->last_epoch < 0)
        return true;
    return q->pre_vote ? q->last_epoch > q->epoch : q->last_epoch >= q->epoch;
}

void raft_answer_vote(struct raft *r, const struct raft_request *q, struct raft_outcome *out)
{
    struct raft_key self = {.id = r->node_id, .directory_id = r->directory_id};

    if (is_malformed(q)) {
        out->reply.error = KERR_INVALID_REQUEST;
        return;
    }
    if (q->epoch < r->election.epoch) {
        out->reply.error = KERR_FENCED_LEADER_EPOCH;
        return;
    }
    if (q->from.id < 0) {
        out->reply.error = KERR_INVALID_REQUEST;
        return;
    }
    if (q->epoch > r->election.epoch)
        raft_unattach(r, q->epoch, out);
    if (q->to.id != -1 && !raft_same_key(q->to, self)) {
        out->reply.error = KERR_INVALID_VOTER_KEY;
        return;
    }
    out->reply.granted = q->pre_vote ? pre_votes_for(r, q) : votes_for(r, q);
    if (out->reply.granted && !q->pre_vote)
        vote(r, q, out);
}
