/* Fetchers, whom they follow, and when they ask. */
#include "replica/fetcher.h"

#include <stdlib.h>

/* An error is mostly a leader that hears of its role a moment later: the first waits are this part of
 * replica.fetch.backoff.ms, and each is twice the one before. */
#define FIRST_BACKOFF_PART 32

struct io *fetcher_io(const struct fetcher *f)
{
    return f->set->options.io;
}

const struct metadata_version *fetcher_version(const struct fetcher *f)
{
    const struct image *image = f->set->image;

    return image == NULL ? NULL : metadata_version_find(image_metadata_version(image));
}

int64_t fetcher_backoff_ns(const struct fetcher *f, uint32_t attempts)
{
    int64_t most_ns = config_i64(f->set->broker, BROKER_REPLICA_FETCH_BACKOFF_MS) * 1000000;
    int64_t ns = most_ns / FIRST_BACKOFF_PART;

    for (; attempts > 1 && ns < most_ns; attempts--)
        ns *= 2;
    return ns < most_ns ? ns : most_ns;
}

/* ---- a partition ------------------------------------------------------------------------------ */

static bool same_partition(const struct map_node *node, const void *key)
{
    const struct following *p = container_of(node, const struct following, node);
    const struct following *k = key;

    return p->partition == k->partition && uuid_equal(p->topic_id, k->topic_id);
}

struct following *following_find(const struct fetcher *f, struct uuid topic_id, int32_t partition)
{
    struct following key = {.topic_id = topic_id, .partition = partition};
    struct map_node *node = map_find(&f->by_id, replica_hash(topic_id, partition), &key);

    return node == NULL ? NULL : container_of(node, struct following, node);
}

static struct following *following_get(struct fetcher *f, struct uuid topic_id, int32_t partition)
{
    struct following *p = following_find(f, topic_id, partition);

    if (p != NULL)
        return p;
    p = calloc(1, sizeof *p);
    ASSERT(p != NULL);
    p->fetcher = f;
    p->topic_id = topic_id;
    p->partition = partition;
    p->state = FOLLOWING_WAITS;
    map_add(&f->by_id, &p->node, replica_hash(topic_id, partition));
    list_add_tail(&f->all, &p->all);
    return p;
}

void following_free(struct following *p)
{
    ASSERT(p->replica == NULL);
    map_remove(&p->fetcher->by_id, &p->node);
    list_remove(&p->all);
    if (list_linked(&p->changed))
        list_remove(&p->changed);
    free(p);
}

void following_changed(struct following *p)
{
    if (!list_linked(&p->changed))
        list_add_tail(&p->fetcher->changed, &p->changed);
}

static bool is_awaited(const struct following *p)
{
    return p->state == FOLLOWING_UNSTABLE && p->round == p->fetcher->round;
}

static bool is_away(enum following_state state)
{
    return state == FOLLOWING_LOST || state == FOLLOWING_CUT;
}

void following_set_state(struct following *p, enum following_state state)
{
    struct fetcher *f = p->fetcher;

    f->away += (uint32_t)is_away(state) - (uint32_t)is_away(p->state);
    f->ready -= p->state == FOLLOWING_READY ? 1 : 0;
    f->unstable -= is_awaited(p) ? 1 : 0;
    io_timer_clear(&p->timer);
    if (list_linked(&p->lost))
        list_remove(&p->lost);
    p->in_offsets = false;
    p->state = state;
    p->round = f->round;
    f->ready += state == FOLLOWING_READY ? 1 : 0;
    f->unstable += state == FOLLOWING_UNSTABLE ? 1 : 0;
    p->asked = false;
    following_changed(p);
}

static int64_t committed_end(const struct replica *r)
{
    int64_t mark = r->replication.high_watermark;

    return mark < log_start(r->log) ? log_start(r->log) : mark;
}

/* Nothing says which epochs its batches are of, so that no leader could say where it diverges: what is committed is
 * kept (KIP-101). */
static bool lacks_epochs(const struct replica *r)
{
    return log_latest_epoch(r->log) < 0 && committed_end(r) < log_end(r->log);
}

void following_begin(struct following *p)
{
    struct replica *r = p->replica;

#ifndef MUTANT_FETCHER_BEFORE_STABLE
    if (log_stable(r->log) < log_end(r->log)) {
        following_set_state(p, FOLLOWING_UNSTABLE);
        return;
    }
#endif
    if (lacks_epochs(r))
        following_cut(p, committed_end(r), false, BYTES_NULL);
    else
        following_set_state(p, FOLLOWING_READY);
}

static void wait_is_over(struct io_timer *t)
{
    struct following *p = container_of(t, struct following, timer);

    following_begin(p);
    fetcher_pump(p->fetcher);
}

void following_wait(struct following *p)
{
    struct fetcher *f = p->fetcher;
    struct io *io = fetcher_io(f);
    int64_t until_ns;

    following_set_state(p, FOLLOWING_WAITS);
    p->attempts++;
    until_ns = io_now_ns(io) + fetcher_backoff_ns(f, p->attempts);
    io_timer_set(io, &p->timer, until_ns, wait_is_over);
    if (until_ns < f->wake_ns)
        f->wake_ns = until_ns;
}

/* ---- a fetcher -------------------------------------------------------------------------------- */

static struct fetcher *fetcher_get(struct replicas *rs, int32_t leader)
{
    struct fetcher *f;

    LIST_EACH (it, &rs->fetchers) {
        f = container_of(it, struct fetcher, node);
        if (f->leader == leader)
            return f;
    }
    f = calloc(1, sizeof *f);
    ASSERT(f != NULL);
    f->set = rs;
    f->leader = leader;
    f->known = fetcher_node_is_known(rs, leader);
    f->wake_ns = INT64_MAX;
    f->rests = true;
    map_init(&f->by_id, same_partition);
    list_init(&f->all);
    list_init(&f->changed);
    list_init(&f->throttled);
    list_init(&f->lost);
    list_init(&f->asking);
    arena_init(&f->arena, 0);
    arena_init(&f->offsets_arena, 0);
    f->bytes_in = telemetry_counter(rs->options.telemetry, "kafka_server_brokertopicmetrics_replicationbytesin_total",
                                    "", "Bytes that this broker took from leaders.");
    list_add_tail(&rs->fetchers, &f->node);
    return f;
}

static void timer_fired(struct io_timer *t)
{
    fetcher_pump(container_of(t, struct fetcher, timer));
}

void fetcher_wake_at(struct fetcher *f, int64_t at_ns)
{
    io_timer_set(fetcher_io(f), &f->timer, at_ns, timer_fired);
}

/* Everything of the last answer is stable, or has had its time. */
static bool is_settled(struct fetcher *f, int64_t now_ns)
{
    if (f->unstable == 0)
        return true;
    if (f->stable_by_ns > now_ns) {
        fetcher_wake_at(f, f->stable_by_ns);
        return false;
    }
#ifdef MUTANT_FETCHER_WAITS_FOR_ALL
    return false;
#endif
    f->round++; /* those that were waited for come when they can */
    f->unstable = 0;
    return true;
}

/* While an image is applied more and more is to be followed. A Fetch of the first of it would wait at the leader, and
 * the rest for that: so one that begins to ask waits until it knows all. */
static bool may_begin(const struct fetcher *f)
{
    return !f->rests || !f->set->applying;
}

void fetcher_pump(struct fetcher *f)
{
    int64_t now_ns = io_now_ns(fetcher_io(f));

    if (f->busy || !f->known || f->set->fetchers_closed || !may_begin(f))
        return;
    if (f->retry_ns > now_ns) {
        fetcher_wake_at(f, f->retry_ns);
        return;
    }
    if (!is_settled(f, now_ns))
        return;
    fetcher_hold_back(f);
    f->rests = f->ready == 0;
    if (f->rests)
        return;
    f->round++;
    f->unstable = 0;
    f->stable_by_ns = INT64_MAX;
    fetcher_send(f);
}

static void fetcher_free(struct fetcher *f)
{
    ASSERT(!f->busy && !f->offsets_busy);
    list_remove(&f->node);
    io_timer_clear(&f->timer);
    LIST_EACH (it, &f->all)
        following_free(container_of(it, struct following, all));
    map_deinit(&f->by_id);
    arena_deinit(&f->arena);
    arena_deinit(&f->offsets_arena);
    free(f);
}

void fetchers_go_on(struct replicas *rs)
{
    LIST_EACH (it, &rs->fetchers) {
        struct fetcher *f = container_of(it, struct fetcher, node);
        if (!f->known && list_empty(&f->all) && !f->busy && !f->offsets_busy) {
            fetcher_free(f);
            continue;
        }
        offsets_pump(f);
        fetcher_pump(f);
    }
}

void fetchers_close(struct replicas *rs)
{
    rs->fetchers_closed = true;
    LIST_EACH (it, &rs->fetchers) {
        struct fetcher *f = container_of(it, struct fetcher, node);
        io_timer_clear(&f->timer);
        if (f->busy)
            client_cancel(&f->call);
        if (f->offsets_busy)
            client_cancel(&f->offsets);
    }
}

void fetchers_free(struct replicas *rs)
{
    LIST_EACH (it, &rs->fetchers)
        fetcher_free(container_of(it, struct fetcher, node));
}

/* ---- roles ------------------------------------------------------------------------------------ */

void fetcher_leave(struct replica *r)
{
    struct following *p = r->following;

    if (p == NULL)
        return;
    following_set_state(p, FOLLOWING_WAITS); /* without a timer: its session forgets it */
    following_drop_throttle(p);
    p->replica = NULL;
    r->following = NULL;
    if (!p->told)
        following_free(p);
}

static void follow(struct replica *r)
{
    struct fetcher *f = fetcher_get(r->set, r->replication.leader);
    struct following *p = following_get(f, r->topic_id, r->partition);

    p->replica = r;
    r->following = p;
    p->leader_epoch = r->replication.leader_epoch;
    p->attempts = 0;
    p->lag = -1;
    following_take_throttle(p);
    following_begin(p);
    fetcher_pump(f);
}

void fetcher_take_role(struct replica *r)
{
    const struct replication *x = &r->replication;
    struct following *p = r->following;
    bool follows = r->log != NULL && x->role == REPLICATION_FOLLOWER && x->leader >= 0 &&
                   r->set->options.brokers != NULL;

    if (p != NULL && follows && p->fetcher->leader == x->leader && p->leader_epoch == x->leader_epoch) {
        following_take_throttle(p);
        return;
    }
    fetcher_leave(r);
    if (follows)
        follow(r);
}

void fetcher_stable_moved(struct replica *r)
{
    struct following *p = r->following;

    if (p == NULL || p->state != FOLLOWING_UNSTABLE || log_stable(r->log) < log_end(r->log))
        return;
    following_begin(p);
    fetcher_pump(p->fetcher);
}

int64_t replica_lag(const struct replica *r)
{
    return r->following == NULL || r->following->lag < 0 ? 0 : r->following->lag; /* < 0: nobody has said yet */
}

int64_t replicas_max_lag(const struct replicas *rs)
{
    int64_t most = 0;

    MAP_EACH (node, &rs->by_id) {
        int64_t lag = replica_lag(container_of(node, const struct replica, node));
        if (lag > most)
            most = lag;
    }
    return most;
}

void fetcher_start_moved(struct replica *r)
{
    struct following *p = r->following;

    if (p != NULL && p->state == FOLLOWING_READY && p->told_start != log_start(r->log))
        following_changed(p);
}
