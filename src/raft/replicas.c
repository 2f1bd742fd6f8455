/* What is known of the replicas: the voters in force, and those that merely fetch. */
#include "raft/internal.h"

#define OBSERVER_SILENT_MS 300000 /* then it is not told of any more. Rule: Kafka's observer session */

bool raft_same_key(struct raft_key a, struct raft_key b)
{
    if (a.id != b.id)
        return false;
    if (uuid_is_zero(a.directory_id) || uuid_is_zero(b.directory_id))
        return true;
    return uuid_equal(a.directory_id, b.directory_id);
}

bool raft_is_self(const struct raft *r, uint32_t voter)
{
    return raft_same_key(r->peers[voter].progress.key,
                         (struct raft_key){.id = r->node_id, .directory_id = r->directory_id});
}

bool raft_self_votes(const struct raft *r)
{
    return r->can_vote && raft_is_voter(&r->voters, r->node_id, r->directory_id);
}

bool raft_is_sole_voter(const struct raft *r)
{
    return r->voters.count == 1 && raft_self_votes(r);
}

struct peer *raft_peer(struct raft *r, int32_t node_id)
{
    for (uint32_t i = 0; i < r->voters.count; i++) {
        if (r->peers[i].progress.key.id == node_id && node_id != r->node_id)
            return &r->peers[i];
    }
    return NULL;
}

void raft_peers_reset(struct raft *r)
{
    for (uint32_t i = 0; i < r->voters.count; i++) {
        struct peer *p = &r->peers[i];
        p->in_flight = p->answered = p->granted = false;
        p->due_ms = p->alive_ms = r->now_ms;
    }
}

static void progress_init(struct progress *p, struct raft_key key)
{
    *p = (struct progress){.key = key, .end_offset = -1, .fetched_ms = -1, .caught_up_ms = -1, .seen_end = -1};
}

void raft_progress_reset(struct raft *r)
{
    for (uint32_t i = 0; i < r->voters.count; i++)
        progress_init(&r->peers[i].progress, r->peers[i].progress.key);
    r->observer_count = 0;
    memset(r->reported, 0, sizeof(r->reported));
}

const struct progress *raft_observer_find(const struct raft *r, struct raft_key key)
{
    for (uint32_t i = 0; i < r->observer_count; i++) {
        const struct raft_key *k = &r->observers[i].key;
        if (k->id == key.id && uuid_equal(k->directory_id, key.directory_id))
            return &r->observers[i];
    }
    return NULL;
}

/* One more; the one that is silent for longest makes room. */
static struct progress *observer_add(struct raft *r, struct raft_key key)
{
    struct progress *p = &r->observers[0];

    if (r->observer_count < RAFT_OBSERVERS_MAX) {
        p = &r->observers[r->observer_count++];
    } else {
        for (uint32_t i = 1; i < r->observer_count; i++) {
            if (r->observers[i].fetched_ms < p->fetched_ms)
                p = &r->observers[i];
        }
    }
    progress_init(p, key);
    return p;
}

struct progress *raft_progress_get(struct raft *r, struct raft_key key, struct peer **peer)
{
    if (raft_is_voter(&r->voters, key.id, key.directory_id)) {
        *peer = raft_peer(r, key.id);
        return &(*peer)->progress;
    }
    const struct progress *known = raft_observer_find(r, key);
    return known != NULL ? &r->observers[known - r->observers] : observer_add(r, key);
}

int64_t raft_majority(const int64_t *values, uint32_t count)
{
    int64_t sorted[RAFT_VOTERS_MAX]; /* the largest first */

    if (count == 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] < values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return sorted[count / 2];
}

/* ---- ask ----------------------------------------------------------------------------------- */

static struct raft_replica replica_of(const struct progress *p, bool is_voter)
{
    return (struct raft_replica){.key = p->key,
                                 .is_voter = is_voter,
                                 .end_offset = p->end_offset,
                                 .fetched_ms = p->fetched_ms,
                                 .caught_up_ms = p->caught_up_ms};
}

static bool observes(const struct raft *r, const struct progress *p, int64_t now_ms)
{
    bool votes = raft_is_voter(&r->voters, p->key.id, p->key.directory_id); /* since it was an observer */

    return !votes && now_ms - p->fetched_ms < OBSERVER_SILENT_MS;
}

uint32_t raft_observers(const struct raft *r, int64_t now_ms)
{
    uint32_t n = 0;

    for (uint32_t i = 0; r->role == RAFT_LEADER && i < r->observer_count; i++)
        n += observes(r, &r->observers[i], now_ms);
    return n;
}

uint32_t raft_replicas(const struct raft *r, int64_t now_ms, struct raft_replica *out, uint32_t max)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->voters.count && n < max; i++) {
        out[n] = replica_of(&r->peers[i].progress, true);
        if (raft_is_self(r, i)) {
            out[n].end_offset = r->stable_offset;
            out[n].fetched_ms = out[n].caught_up_ms = now_ms;
        }
        n++;
    }
    for (uint32_t i = 0; i < r->observer_count && n < max; i++) {
        if (observes(r, &r->observers[i], now_ms))
            out[n++] = replica_of(&r->observers[i], false);
    }
    return n;
}

uint32_t raft_successors(const struct raft *r, struct raft_key out[RAFT_VOTERS_MAX])
{
    int64_t ends[RAFT_VOTERS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->voters.count; i++) {
        const struct progress *p = &r->peers[i].progress;
        uint32_t at = n;
        if (p->key.id == r->node_id)
            continue;
        for (; at > 0 && ends[at - 1] < p->end_offset; at--) {
            ends[at] = ends[at - 1];
            out[at] = out[at - 1];
        }
        ends[at] = p->end_offset;
        out[at] = p->key;
        n++;
    }
    return n;
}
