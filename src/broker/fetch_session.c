/* Fetch sessions (KIP-227): a client tells once what it follows, then only what changes.
 *
 *   epoch -1   no session; ends the one that is named
 *   epoch 0    a new one, in place of the connection's old one
 *   epoch n    the n-th Fetch of the session
 */
#include <stdlib.h>

#include "broker/fetch_set.h"
#include "broker/session.h"

#define FETCH_EPOCH_FINAL (-1)
#define FETCH_EPOCH_INITIAL 0

static const struct fetch_request *fetch_of(const struct request *r)
{
    return r->message;
}

static uint32_t partitions_asked(const struct fetch_request *m)
{
    uint32_t n = 0;

    for (int32_t i = 0; i < m->topics_count; i++)
        n += (uint32_t)m->topics[i].partitions_count;
    return n;
}

/* ---- the shard's sessions --------------------------------------------------------------------- */

void fetch_session_end(struct fetch_set *set)
{
    if (set == NULL)
        return;
    *set->owner = NULL;
    list_remove(&set->in_cache);
    set->home->fetch_session_count--;
    fetch_set_end(set);
}

/* The longest unused session, if that is long enough. A broker that follows takes the place of any client: it has more
 * partitions, and reads all the time. NULL: all are in use. */
static struct fetch_set *dispensable(struct broker_shard *shard, bool follows)
{
    int64_t idle_since_ns = io_now_ns(shard->io) - FETCH_SESSION_IDLE_MS * INT64_C(1000000);

    LIST_EACH(it, &shard->fetch_sessions) {
        struct fetch_set *set = container_of(it, struct fetch_set, in_cache);
        bool idle = set->used_ns <= idle_since_ns;
        if (!idle && !follows)
            return NULL;
        if (set->pass == NULL && (idle || set->reader < 0))
            return set;
    }
    return NULL;
}

/* Make room for one more. False: all slots are in use. */
static bool has_slot(struct broker_shard *shard, bool follows)
{
    int64_t slots = config_i64(shard->settings, BROKER_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
    uint32_t shard_count = shard->broker->shard_count;
    int64_t share = (slots + shard_count - 1) / shard_count;
    struct fetch_set *other;

    if (shard->fetch_session_count < share)
        return true;
    other = dispensable(shard, follows);
    if (other == NULL)
        return false;
    fetch_session_end(other);
    return shard->fetch_session_count < share;
}

static struct fetch_set *session_new(struct request *r, struct fetch_set **owner)
{
    struct broker_shard *shard = r->shard;
    struct fetch_set *set = malloc(sizeof *set);

    ASSERT(set != NULL);
    fetch_set_init(set, r, NULL);
    set->session_id = 1 + (int32_t)prng_below(io_prng(shard->io), INT32_MAX);
    set->owner = owner;
    *owner = set;
    list_add_tail(&shard->fetch_sessions, &set->in_cache);
    shard->fetch_session_count++;
    return set;
}

/* ---- which one a request means ---------------------------------------------------------------- */

static struct fetch_set *alone(struct request *r)
{
    struct fetch_set *set = arena_take(&r->arena, sizeof *set);

    fetch_set_init(set, r, &r->arena);
    return set;
}

static struct fetch_set *begin(struct request *r, struct fetch_set **owner)
{
    uint32_t partitions = partitions_asked(fetch_of(r));

    fetch_session_end(*owner);
    if (partitions == 0 || partitions > FETCH_SESSION_PARTITIONS_MAX || !has_slot(r->shard, fetch_reader(r) >= 0))
        return alone(r);
    return session_new(r, owner);
}

static struct fetch_set *go_on(const struct request *r, struct fetch_set *set, enum kerr *error)
{
    const struct fetch_request *m = fetch_of(r);

    *error = KERR_NONE;
    if (set == NULL || set->session_id != m->session_id || set->reader != fetch_reader(r))
        *error = KERR_FETCH_SESSION_ID_NOT_FOUND;
    else if (set->by_id != (r->version >= 13))
        *error = KERR_FETCH_SESSION_TOPIC_ID_ERROR;
    else if (set->next_epoch != m->session_epoch)
        *error = KERR_INVALID_FETCH_SESSION_EPOCH;
    if (*error != KERR_NONE)
        return NULL;
    if (set->count + (uint64_t)partitions_asked(m) > 2 * (uint64_t)FETCH_SESSION_PARTITIONS_MAX) {
        fetch_session_end(set);
        *error = KERR_FETCH_SESSION_ID_NOT_FOUND;
        return NULL;
    }
    list_remove(&set->in_cache);
    list_add_tail(&set->home->fetch_sessions, &set->in_cache);
    return set;
}

struct fetch_set *fetch_session_find(struct request *r, enum kerr *error)
{
    const struct fetch_request *m = fetch_of(r);
    struct fetch_set **owner = session_fetch(r->session);

    if (r->version >= 7 && m->session_epoch == FETCH_EPOCH_INITIAL)
        return begin(r, owner);
    if (r->version >= 7 && m->session_epoch > FETCH_EPOCH_INITIAL)
        return go_on(r, *owner, error);
    if (r->version >= 7 && *owner != NULL && (*owner)->session_id == m->session_id)
        fetch_session_end(*owner);
    return alone(r);
}

int32_t fetch_session_answered(struct fetch_set *set)
{
    if (set->arena != NULL)
        return 0;
    set->used_ns = io_now_ns(set->home->io);
    set->next_epoch = set->next_epoch == INT32_MAX ? 1 : set->next_epoch + 1;
    return set->session_id;
}
