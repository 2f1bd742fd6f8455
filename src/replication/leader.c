/* The leader's side: how far each follower is, the high watermark, proposals of another ISR. */
#include "replication/internal.h"

/* ---- the high watermark ----------------------------------------------------------------------- */

/* W1: the maximal ISR. What a proposal takes away counts until that is committed (W5). */
static bool counts(const struct replication *r, const struct replication_replica *one)
{
#ifdef MUTANT_REPLICATION_PLAIN_ISR
    return one->in_isr;
#endif
#ifdef MUTANT_REPLICATION_SHRINKS_EARLY
    if (r->proposing) {
        return replication_contains(r->proposal.ids, (int32_t)r->proposal.count, one->id);
    }
#endif
    return one->in_isr || one->proposed || one->joining;
}

bool replication_counts(const struct replication *r, int32_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->replicas[i].id == id)
            return counts(r, &r->replicas[i]);
    }
    return false;
}

bool leader_advance(struct replication *r)
{
    int64_t lowest = INT64_MAX;

#ifndef MUTANT_REPLICATION_MARK_OF_FEW
    if (replication_isr_size(r) < replication_min_isr(r))
        return false;
#endif
    for (uint32_t i = 0; i < r->count; i++) {
        if (counts(r, &r->replicas[i]) && r->replicas[i].stable_end < lowest)
            lowest = r->replicas[i].stable_end;
    }
    if (lowest == INT64_MAX || lowest <= r->high_watermark)
        return false;
    r->high_watermark = lowest;
    return true;
}

void replication_stable(struct replication *r, int64_t stable, struct replication_outcome *out)
{
    *out = (struct replication_outcome){0};
    if (r->role != REPLICATION_LEADER)
        return;
    struct replication_replica *self = replication_find(r, r->node_id);
    ASSERT(stable >= self->stable_end);
    self->stable_end = stable;
    out->high_watermark_moved = leader_advance(r);
    replication_check(r);
}

/* ---- may it? ---------------------------------------------------------------------------------- */

enum kerr replication_can_append(const struct replication *r, int16_t acks)
{
    if (r->role != REPLICATION_LEADER)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (acks == -1 && replication_isr_size(r) < replication_min_isr(r))
        return KERR_NOT_ENOUGH_REPLICAS;
    return KERR_NONE;
}

enum kerr replication_acknowledge(const struct replication *r)
{
    if (r->role != REPLICATION_LEADER)
        return KERR_NOT_LEADER_OR_FOLLOWER;
#ifndef MUTANT_REPLICATION_ACKS_OF_FEW
    if (replication_isr_size(r) < replication_min_isr(r))
        return KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
#endif
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

enum kerr replication_check_any(const struct replication *r, int32_t leader_epoch)
{
    enum kerr error = replication_check_leader(r, leader_epoch);
    bool follows = r->role == REPLICATION_FOLLOWER && r->leader >= 0;

    return error == KERR_NOT_LEADER_OR_FOLLOWER && follows ? KERR_NONE : error;
}

/* Whoever follows in another epoch may yet cut what it has, though its last record fits our log. */
enum kerr replication_check_follower(const struct replication *r, int32_t id, int32_t leader_epoch,
                                     int64_t broker_epoch, const struct replication_broker *broker)
{
    bool known = false, says_epoch = leader_epoch >= 0;

#ifdef MUTANT_REPLICATION_EPOCH_UNASKED
    leader_epoch = -1;
#endif
    enum kerr error = replication_check_leader(r, leader_epoch);
    if (error != KERR_NONE)
        return error;
    for (uint32_t i = 0; i < r->count; i++)
        known = known || r->replicas[i].id == id;
    if (!known)
        return says_epoch ? KERR_UNKNOWN_LEADER_EPOCH : KERR_NOT_LEADER_OR_FOLLOWER;
    if (id == r->node_id) /* somebody who bears our name */
        return KERR_NOT_LEADER_OR_FOLLOWER;
#ifndef MUTANT_REPLICATION_STALE_BROKER
    if (broker_epoch >= 0 && broker->epoch > broker_epoch)
        return KERR_NOT_LEADER_OR_FOLLOWER;
#endif
    return KERR_NONE;
}

/* ---- proposals -------------------------------------------------------------------------------- */

void leader_end_proposal(struct replication *r)
{
    r->proposing = false;
    for (uint32_t i = 0; i < r->count; i++)
        r->replicas[i].proposed = false;
}

/* Propose those whose place in `member` is true. Whoever asks for an ISR has recovered (KIP-704). */
static void propose(struct replication *r, const bool member[REPLICAS_MAX], struct replication_outcome *out)
{
    struct replication_proposal *p = &r->proposal;

    ASSERT(!r->proposing); /* W5 */
    *p = (struct replication_proposal){
        .leader_epoch = r->leader_epoch,
        .partition_epoch = r->partition_epoch,
        .recovery = REPLICATION_RECOVERED,
    };
    for (uint32_t i = 0; i < r->count; i++) {
        struct replication_replica *one = &r->replicas[i];
        if (!member[i])
            continue;
        p->ids[p->count] = one->id;
        p->broker_epochs[p->count++] = one->id == r->node_id ? r->broker_epoch : one->fetched_epoch;
        one->proposed = !one->in_isr;
    }
    r->proposing = true;
    out->propose = true;
}

static bool may_join(const struct replication_replica *one, const struct replication_broker *broker)
{
    return broker->eligible && broker->epoch >= 0 &&
           (one->fetched_epoch < 0 || one->fetched_epoch == broker->epoch);
}

/* W4: it has all that may be committed: below the mark, and what leaders before us have left. */
static bool has_all(const struct replication *r, const struct replication_replica *one)
{
#ifdef MUTANT_REPLICATION_JOINS_EARLY
    return one->stable_end >= r->high_watermark;
#endif
    return one->stable_end >= r->high_watermark && one->stable_end >= r->epoch_start;
}

/* Within `lag_ms` it had all that there was. */
static bool is_caught_up(const struct replication_replica *one, int64_t log_end, int64_t lag_ms, int64_t now_ms)
{
    return one->stable_end == log_end || (one->caught_up_ms >= 0 && now_ms - one->caught_up_ms <= lag_ms);
}

static void note_fetch(struct replication_replica *one, const struct replication_fetch *f)
{
    if (f->offset >= f->log_end)
        one->caught_up_ms = f->now_ms;
    else if (f->offset >= one->end_at_fetch && one->fetched_ms > one->caught_up_ms)
        one->caught_up_ms = one->fetched_ms;
    one->fetched_ms = f->now_ms;
    one->end_at_fetch = f->log_end;
    one->stable_end = f->offset;
    one->log_start = f->log_start;
    one->fetched_epoch = f->broker_epoch;
#ifdef MUTANT_REPLICATION_STALE_BROKER
    one->fetched_epoch = f->broker.epoch;
#endif
}

/* Whoever is caught up outside is asked for: its next Fetch may say nothing of a partition that does not move. */
static void propose_joining(struct replication *r, struct replication_outcome *out)
{
    bool member[REPLICAS_MAX], any = false;

    for (uint32_t i = 0; i < r->count; i++) {
        struct replication_replica *one = &r->replicas[i];
        bool joins = !one->in_isr && one->joining && one->may_join && has_all(r, one);
        member[i] = one->in_isr || joins;
        any = any || joins;
    }
    if (any && !r->proposing)
        propose(r, member, out);
}

void replication_fetched(struct replication *r, const struct replication_fetch *f, struct replication_outcome *out)
{
    struct replication_replica *one = replication_find(r, f->id);
    bool member[REPLICAS_MAX] = {false};

    *out = (struct replication_outcome){0};
    ASSERT(r->role == REPLICATION_LEADER);
    ASSERT(one != NULL && f->id != r->node_id);
    ASSERT(f->offset >= 0 && f->offset <= f->log_end);
    out->went_back = f->offset < one->stable_end;
    note_fetch(one, f);
#ifdef MUTANT_REPLICATION_MEMBERS_UNKNOWN
    if (!one->in_isr)
#endif
    one->may_join = may_join(one, &f->broker); /* also of one that is to leave: it may have nothing more to ask for */
    if (!one->in_isr && !one->proposed) {
        one->joining = one->may_join && is_caught_up(one, f->log_end, r->lag_ms, f->now_ms);
        if (one->may_join && !r->proposing && has_all(r, one)) {
            for (uint32_t i = 0; i < r->count; i++)
                member[i] = r->replicas[i].in_isr || &r->replicas[i] == one;
            propose(r, member, out);
        }
    }
    out->high_watermark_moved = leader_advance(r);
    replication_check(r);
}

void replication_heard(struct replication *r, int32_t id, int64_t log_end, int64_t heard_ms)
{
    struct replication_replica *one = replication_find(r, id);

    if (r->role != REPLICATION_LEADER || one == NULL || one->stable_end != log_end)
        return;
    if (one->fetched_ms < heard_ms)
        one->fetched_ms = heard_ms;
    if (one->caught_up_ms < heard_ms)
        one->caught_up_ms = heard_ms;
}

void replication_tick(struct replication *r, int64_t log_end, int64_t lag_ms, int64_t now_ms,
                      struct replication_outcome *out)
{
    bool member[REPLICAS_MAX], changes = r->recovery == REPLICATION_RECOVERING;

    *out = (struct replication_outcome){0};
    r->lag_ms = lag_ms;
    if (r->role != REPLICATION_LEADER)
        return;
    for (uint32_t i = 0; i < r->count; i++) {
        struct replication_replica *one = &r->replicas[i];
        bool stays = one->id == r->node_id || is_caught_up(one, log_end, lag_ms, now_ms);
        one->joining = stays && one->may_join && !one->in_isr && !one->proposed && one->fetched_ms >= 0;
        member[i] = one->in_isr && stays;
        changes = changes || member[i] != one->in_isr;
    }
    if (changes && !r->proposing)
        propose(r, member, out);
    else
        propose_joining(r, out);
    out->high_watermark_moved = leader_advance(r);
    replication_check(r);
}

void replication_broker_changed(struct replication *r, int32_t id, const struct replication_broker *broker,
                                struct replication_outcome *out)
{
    struct replication_replica *one = replication_find(r, id);

    *out = (struct replication_outcome){0};
    if (r->role != REPLICATION_LEADER || one == NULL || one->fetched_ms < 0)
        return;
    one->may_join = may_join(one, broker);
    if (one->in_isr || one->proposed || one->joining == one->may_join)
        return;
    one->joining = one->may_join && one->stable_end >= one->end_at_fetch;
    propose_joining(r, out);
    out->high_watermark_moved = leader_advance(r);
    replication_check(r);
}

/* ---- the controller's answer ------------------------------------------------------------------ */

static bool is_open(const struct replication *r, const struct replication_proposal *p)
{
    const struct replication_proposal *own = &r->proposal;

    return r->role == REPLICATION_LEADER && r->proposing && p->leader_epoch == own->leader_epoch &&
           p->partition_epoch == own->partition_epoch && p->count == own->count &&
           memcmp(p->ids, own->ids, own->count * sizeof own->ids[0]) == 0;
}

/* It is in force. What the answer says of another leader, or without us, metadata will explain. */
static void take_answer(struct replication *r, const struct replication_state *state, struct replication_outcome *out)
{
    if (state->leader_epoch != r->leader_epoch || state->partition_epoch < r->partition_epoch)
        return;
    if (!replication_contains(state->isr, state->isr_count, r->node_id))
        return;
    r->ahead = r->ahead || state->partition_epoch > r->partition_epoch;
    r->partition_epoch = state->partition_epoch;
    r->recovery = state->recovery;
    leader_end_proposal(r);
    out->isr_changed = replication_set_isr(r, state->isr, state->isr_count);
}

void replication_answered(struct replication *r, const struct replication_proposal *proposal, enum kerr error,
                          const struct replication_state *state, struct replication_outcome *out)
{
    *out = (struct replication_outcome){0};
    if (!is_open(r, proposal))
        return;
#ifdef MUTANT_REPLICATION_SURE_OF_DOUBT
    if (error != KERR_NONE)
        error = KERR_INELIGIBLE_REPLICA;
#endif
    if (error == KERR_NONE)
        take_answer(r, state, out);
    else if (error == KERR_INELIGIBLE_REPLICA || error == KERR_OPERATION_NOT_ATTEMPTED)
        leader_end_proposal(r);
    if (error == KERR_NONE)
        propose_joining(r, out);
    out->high_watermark_moved = leader_advance(r);
    replication_check(r);
}
