/* Changes of the voters: one at a time, and none before the leader's own epoch has committed (F7). */
#include "raft/internal.h"

#define CAUGHT_UP_MS 3600000 /* a new voter had all of the log within the last hour. Rule: KIP-853 */

/* Whether a change can be decided now; else the same one may be asked for later. */
static bool is_settled(const struct raft *r)
{
#ifdef MUTANT_RAFT_TWO_CHANGES
    return true;
#endif
#ifndef MUTANT_RAFT_CHANGES_EARLY
    if (r->high_watermark <= r->epoch_start)
        return false; /* this leader has committed nothing yet */
#endif
    return r->voters_end >= 0 && r->voters_end <= r->high_watermark;
}

/* Whether it can take part at the level that is in force, and be reached where all are: by the first listener. */
static bool fits(const struct raft *r, const struct raft_voter *v, int16_t level)
{
    if (v->kraft_version_min > level || v->kraft_version_max < level)
        return false;
    if (v->endpoint_count > RAFT_ENDPOINTS_MAX)
        return false;
    for (uint32_t i = 0; i < v->endpoint_count; i++) {
        if (r->self.endpoint_count == 0 || strcmp(v->endpoints[i].name, r->self.endpoints[0].name) == 0)
            return true;
    }
    return false;
}

/* The place of exactly this node and directory; the count of voters when it is none of them. */
static uint32_t place_of(const struct raft_voters *voters, const struct raft_voter *v)
{
    uint32_t i = 0;

    while (i < voters->count &&
           (voters->voters[i].id != v->id || !uuid_equal(voters->voters[i].directory_id, v->directory_id)))
        i++;
    return i;
}

/* In force from now on. */
static void append(struct raft *r, const struct raft_voters *next, struct raft_outcome *out)
{
    raft_voters_set(r, next);
    r->voters_end = -1;
    out->append_voters = true;
}

static enum kerr add(struct raft *r, const struct raft_voter *v, struct raft_outcome *out)
{
    struct raft_voters next = r->voters;
    const struct progress *p = raft_observer_find(r, (struct raft_key){.id = v->id, .directory_id = v->directory_id});

    if (raft_voter_find(&r->voters, v->id) != NULL)
        return KERR_DUPLICATE_VOTER;
    if (v->id < 0 || uuid_is_zero(v->directory_id) || next.count == RAFT_VOTERS_MAX)
        return KERR_INVALID_REQUEST;
    if (!fits(r, v, r->voters.kraft_version))
        return KERR_INVALID_REQUEST;
    if (p == NULL || p->caught_up_ms < 0 || r->now_ms - p->caught_up_ms > CAUGHT_UP_MS)
        return KERR_REQUEST_TIMED_OUT;
    next.voters[next.count++] = *v;
    append(r, &next, out);
    return KERR_NONE;
}

static enum kerr remove_voter(struct raft *r, const struct raft_voter *v, struct raft_outcome *out)
{
    struct raft_voters next = r->voters;
    uint32_t at = place_of(&next, v);

    if (at == next.count || next.count == 1)
        return KERR_VOTER_NOT_FOUND;
    next.count--;
    memmove(&next.voters[at], &next.voters[at + 1], (next.count - at) * sizeof(next.voters[0]));
    append(r, &next, out);
    return KERR_NONE;
}

static enum kerr update(struct raft *r, const struct raft_voter *v, struct raft_outcome *out)
{
    struct raft_voters next = r->voters;
    uint32_t at = place_of(&next, v);

    if (at == next.count)
        return KERR_VOTER_NOT_FOUND;
    if (!fits(r, v, r->voters.kraft_version))
        return KERR_INVALID_REQUEST;
    if (raft_voter_same(&next.voters[at], v))
        return KERR_NONE;
    next.voters[at] = *v;
    append(r, &next, out);
    return KERR_NONE;
}

/* A static quorum: what a voter says of itself is remembered until it is dynamic. */
static enum kerr report(struct raft *r, const struct raft_voter *v)
{
    uint32_t at = 0;

    while (at < r->voters.count && r->voters.voters[at].id != v->id)
        at++;
    if (at == r->voters.count)
        return KERR_VOTER_NOT_FOUND;
    if (!fits(r, v, 0) || uuid_is_zero(v->directory_id))
        return KERR_INVALID_REQUEST;
    r->reported[at] = *v;
    return KERR_NONE;
}

/* From a static quorum to a dynamic one, by what its voters have reported. */
static enum kerr upgrade(struct raft *r, bool validate_only, struct raft_outcome *out)
{
    struct raft_voters next = r->voters;

    if (next.kraft_version > 0)
        return KERR_NONE;
    next.kraft_version = 1;
    for (uint32_t i = 0; i < next.count; i++) {
        struct raft_voter v = r->reported[i];
        if (raft_is_self(r, i)) {
            v = r->self;
            v.id = r->node_id;
            v.directory_id = r->directory_id;
        }
        if (v.endpoint_count == 0 || v.kraft_version_max < 1)
            return KERR_INVALID_UPDATE_VERSION; /* not reported yet, or too old */
        next.voters[i] = v;
    }
    if (!validate_only)
        append(r, &next, out);
    return KERR_NONE;
}

static enum kerr decide(struct raft *r, const struct raft_change *c, struct raft_outcome *out)
{
    bool is_static = r->voters.kraft_version == 0;
    enum kerr error = raft_leader_error(r, -1);

    if (error != KERR_NONE)
        return error;
    if (!is_settled(r))
        return KERR_REQUEST_TIMED_OUT;
    switch (c->kind) {
    case RAFT_ADD_VOTER:
        return is_static ? KERR_UNSUPPORTED_VERSION : add(r, &c->voter, out);
    case RAFT_REMOVE_VOTER:
        return is_static ? KERR_UNSUPPORTED_VERSION : remove_voter(r, &c->voter, out);
    case RAFT_UPDATE_VOTER:
        return is_static ? report(r, &c->voter) : update(r, &c->voter, out);
    case RAFT_UPGRADE:
        return upgrade(r, c->validate_only, out);
    }
    UNREACHABLE("a kind of change that there is not");
}

void raft_on_change(struct raft *r, const struct raft_change *change, struct raft_outcome *out)
{
    out->reply.error = decide(r, change, out);
}
