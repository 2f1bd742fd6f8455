/* The voters in force: those of the newest record in the log, committed or not (KIP-853). */
#include "raft/internal.h"

const struct raft_voter *raft_voter_find(const struct raft_voters *voters, int32_t node_id)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->voters[i].id == node_id)
            return &voters->voters[i];
    }
    return NULL;
}

bool raft_is_voter(const struct raft_voters *voters, int32_t node_id, struct uuid directory_id)
{
    const struct raft_voter *v = raft_voter_find(voters, node_id);

    if (v == NULL)
        return false;
    /* A static quorum knows no directories: the id alone says who it is. */
    return uuid_is_zero(v->directory_id) || uuid_equal(v->directory_id, directory_id);
}

/* What is known of a voter, by what was known of it before. */
static struct peer peer_of(const struct raft *r, struct raft_key key, const struct peer *old, uint32_t old_count)
{
    struct peer p = {.due_ms = r->now_ms, .alive_ms = r->now_ms};

    for (uint32_t i = 0; i < old_count; i++) {
        if (raft_same_key(old[i].progress.key, key)) {
            p = old[i];
            p.progress.key = key;
            return p;
        }
    }
    const struct progress *observed = raft_observer_find(r, key);
    if (observed != NULL)
        p.progress = *observed;
    else
        p.progress = (struct progress){.end_offset = -1, .fetched_ms = -1, .caught_up_ms = -1, .seen_end = -1};
    p.progress.key = key;
    return p;
}

void raft_voters_set(struct raft *r, const struct raft_voters *voters)
{
    struct peer old[RAFT_VOTERS_MAX];
    uint32_t old_count = r->voters.count;

    ASSERT(voters->count <= RAFT_VOTERS_MAX);
    memcpy(old, r->peers, sizeof(old));
    r->was_voter = r->was_voter || raft_self_votes(r);
    r->voters = *voters;
    for (uint32_t i = 0; i < voters->count; i++) {
        struct raft_key key = {.id = voters->voters[i].id, .directory_id = voters->voters[i].directory_id};
        r->peers[i] = peer_of(r, key, old, old_count);
    }
}

/* This leader has put them into force when it decided; the log now has them. */
static void voters_appended(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(event->voters->count == r->voters.count);
    for (uint32_t i = 0; i < r->voters.count; i++)
        ASSERT(raft_voter_find(event->voters, r->voters.voters[i].id) != NULL);
    r->voters_end = event->voters_end;
    raft_advance_high_watermark(r, out);
}

void raft_on_voters(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    bool voted = raft_self_votes(r);

    if (r->role == RAFT_LEADER) {
        voters_appended(r, event, out);
        return;
    }
    raft_voters_set(r, event->voters);
    r->voters_end = event->voters_end;
    if (r->stopped)
        return;
    if (r->role == RAFT_PROSPECTIVE || r->role == RAFT_CANDIDATE)
        raft_fall_back(r, out); /* what other voters have said counts for nothing */
    if (raft_self_votes(r) && !voted) {
        r->leader_lost = false;
        r->timer_ms = r->role == RAFT_FOLLOWER ? r->now_ms + r->fetch_timeout_ms : raft_draw(r, r->election_timeout_ms);
    }
    /* The only one left has nobody to wait for, but a leader that may still be there. */
    if (raft_is_sole_voter(r) && raft_may_stand(r) && r->role != RAFT_FOLLOWER)
        raft_stand(r, out);
}

bool raft_voter_same(const struct raft_voter *v, const struct raft_voter *now)
{
    if (v->endpoint_count != now->endpoint_count || v->kraft_version_min != now->kraft_version_min ||
        v->kraft_version_max != now->kraft_version_max)
        return false;
    for (uint32_t i = 0; i < v->endpoint_count; i++) {
        const struct raft_endpoint *a = &v->endpoints[i], *b = &now->endpoints[i];
        if (strcmp(a->name, b->name) != 0 || strcmp(a->host, b->host) != 0 || a->port != b->port)
            return false;
    }
    return true;
}

/* The first leader of a dynamic quorum writes into the log what only the checkpoint of the format tool holds; a later
 * one does it when its endpoints have changed. Rule: KIP-853, observed in 4.3. */
bool raft_refresh_voters(struct raft *r)
{
    bool append = r->voters.from_bootstrap;

    if (r->voters.kraft_version == 0)
        return false;
    for (uint32_t i = 0; i < r->voters.count; i++) {
        struct raft_voter *v = &r->voters.voters[i];
        if (!raft_is_self(r, i) || r->self.endpoint_count == 0 || raft_voter_same(v, &r->self))
            continue;
        struct raft_voter now = r->self;
        now.id = v->id;
        now.directory_id = v->directory_id;
        *v = now;
        append = true;
    }
    r->voters.from_bootstrap = false;
    if (append)
        r->voters_end = -1;
    return append;
}
