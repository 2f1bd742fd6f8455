/* The story of every seed: chaos, healing, and then all must come right.
 *
 *   chaos ─► settle ─► last words ─► drain ─► leave ─► look ─► restart ─► look again ─► stop
 */
#include "client.h"
#include "clients.h"
#include "controller/controller.h"

#define MS INT64_C(1000000)
#define TICK_NS (20 * MS)
#define IN_SYNC_MS (30000 + CONTROLLER_HOLD_MS_MAX) /* who stood still again and again is held back first */

static void enter(struct world *w, enum phase phase, int64_t limit_ms)
{
    static const char *const names[] = {
        [PHASE_CHAOS] = "chaos",           [PHASE_SETTLE] = "settle",
        [PHASE_LAST_WORDS] = "last words", [PHASE_DRAIN] = "drain",
        [PHASE_LEAVE] = "leave",           [PHASE_LOOK] = "look",
        [PHASE_RESTART] = "restart",       [PHASE_LOOK_AGAIN] = "look again",
        [PHASE_STOP] = "stop",             [PHASE_OVER] = "over",
    };

    note(w, "phase: %s", names[phase]);
    w->phase = phase;
    w->phase_name = names[phase];
    w->phase_began_ns = world_now_ns(w);
    w->phase_limit_ns = limit_ms * MS;
}

static bool has_lasted(const struct world *w, int64_t ms)
{
    return world_now_ns(w) - w->phase_began_ns >= ms * MS;
}

/* ---- the clients together ------------------------------------------------------------------------------- */

static void clients_begin(struct world *w)
{
    w->admin = admin_new(w);
    w->deleter = w->plan.deletes ? deleter_new(w) : NULL;
    w->mover = w->plan.moves ? mover_new(w) : NULL;
    for (uint32_t i = 0; i < w->plan.producers; i++)
        w->producers[i] = producer_create(w, i);
    for (uint32_t i = 0; i < w->plan.writers; i++)
        w->writers[i] = writer_new(w, w->plan.producers + i);
    for (uint32_t i = 0; i < w->plan.readers; i++)
        w->readers[i] = reader_new(w, i);
    for (uint32_t i = 0; i < w->plan.members; i++)
        w->members[i] = member_new(w, i);
    for (uint32_t i = 0; i < w->plan.subscribers; i++)
        w->subscribers[i] = subscriber_new(w, i);
    w->shuffler = w->plan.shuffles ? shuffler_new(w) : NULL;
    w->throttler = w->plan.throttles ? throttler_new(w) : NULL;
    w->straggler = w->plan.straggles ? straggler_new(w) : NULL;
    w->watcher = world_is_cluster(w) ? watcher_new(w) : NULL;
    if (w->watcher != NULL)
        watcher_begin(w->watcher);
    admin_begin(w->admin);
    if (w->deleter != NULL)
        deleter_begin(w->deleter);
    if (w->mover != NULL)
        mover_begin(w->mover);
    if (w->shuffler != NULL)
        shuffler_begin(w->shuffler);
    if (w->throttler != NULL)
        throttler_begin(w->throttler);
    if (w->straggler != NULL)
        straggler_begin(w->straggler);
    for (uint32_t i = 0; i < w->plan.producers; i++)
        producer_begin(w->producers[i]);
    for (uint32_t i = 0; i < w->plan.writers; i++)
        writer_begin(w->writers[i]);
    for (uint32_t i = 0; i < w->plan.readers; i++)
        reader_begin(w->readers[i]);
    for (uint32_t i = 0; i < w->plan.members; i++)
        member_begin(w->members[i]);
    for (uint32_t i = 0; i < w->plan.subscribers; i++)
        subscriber_begin(w->subscribers[i]);
}

static uint32_t all_clients(const struct world *w, struct client *out[CLIENTS_MAX])
{
    uint32_t n = 0;

    out[n++] = admin_client(w->admin);
    if (w->deleter != NULL)
        out[n++] = deleter_client(w->deleter);
    if (w->mover != NULL)
        out[n++] = mover_client(w->mover);
    if (w->shuffler != NULL)
        out[n++] = shuffler_client(w->shuffler);
    if (w->throttler != NULL)
        out[n++] = throttler_client(w->throttler);
    if (w->straggler != NULL)
        out[n++] = straggler_client(w->straggler);
    for (uint32_t i = 0; i < w->plan.producers; i++)
        out[n++] = producer_client(w->producers[i]);
    for (uint32_t i = 0; i < w->plan.writers; i++)
        out[n++] = writer_client(w->writers[i]);
    for (uint32_t i = 0; i < w->plan.readers; i++)
        out[n++] = reader_client(w->readers[i]);
    for (uint32_t i = 0; i < w->plan.members; i++)
        out[n++] = member_client(w->members[i]);
    for (uint32_t i = 0; i < w->plan.subscribers; i++)
        out[n++] = subscriber_client(w->subscribers[i]);
    return n;
}

static void tell_all_to_stop(struct world *w)
{
    struct client *all[CLIENTS_MAX];
    uint32_t n = all_clients(w, all);

    for (uint32_t i = 0; i < n; i++)
        all[i]->stop = true;
}

static bool all_have_stopped(struct world *w)
{
    struct client *all[CLIENTS_MAX];
    uint32_t n = all_clients(w, all);

    for (uint32_t i = 0; i < n; i++) {
        if (!all[i]->stopped)
            return false;
    }
    return true;
}

static bool all_topics_are_made(const struct world *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->truth->topic_count; i++)
        n += w->truth->topics[i]->lasting && w->truth->topics[i]->state == TOPIC_LIVES;
    return n == w->plan.topics;
}

/* A partition that moves takes no records for a moment. */
static bool all_have_moved(const struct world *w)
{
    return (w->mover == NULL || mover_is_through(w->mover)) && (w->shuffler == NULL || shuffler_is_through(w->shuffler));
}

static bool all_is_said(const struct world *w)
{
    for (uint32_t i = 0; i < w->plan.producers; i++) {
        if (!producer_has_said_all(w->producers[i]))
            return false;
    }
    for (uint32_t i = 0; i < w->plan.writers; i++) {
        if (!writer_has_said_all(w->writers[i]))
            return false;
    }
    return true;
}

/* The group has come to the end of everything. */
static bool group_is_through(const struct world *w)
{
    for (uint32_t i = 0; w->plan.members + w->plan.subscribers > 0 && i < w->truth->topic_count; i++) {
        const struct topic *t = w->truth->topics[i];
        for (int32_t p = 0; t->lasting && p < t->partition_count; p++) {
            if (t->parts[p].floor > 0 && t->parts[p].committed != t->parts[p].floor)
                return false;
        }
    }
    return true;
}

/* ---- phase by phase -------------------------------------------------------------------------------------- */

static void heal(struct world *w)
{
    faults_heal(w);
    w->calm_ns = world_now_ns(w);
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (server_met_disk_faults(&w->servers[i]))
            server_kill(&w->servers[i], false); /* the operator has seen what it could not load, and starts it anew */
    }
    enter(w, PHASE_SETTLE, world_is_cluster(w) ? IN_SYNC_MS + 20000 : 20000);
}

/* Connections that hang from a loss of power would be noticed by their timeouts only. */
static void reset_connections(struct world *w)
{
    struct client *all[CLIENTS_MAX];
    uint32_t n = all_clients(w, all);

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < w->plan.node_count; k++)
            sim_net_reset(all[i]->node, w->servers[k].node);
    }
    w->was_reset = true;
    w->phase_began_ns = world_now_ns(w);
}

/* What a cluster owes when all of its nodes are there again: leaders within 5 s, all replicas in sync within 30 s,
 * or later where one of them is held back. */
static bool is_whole(struct world *w)
{
    int64_t since_ns = world_now_ns(w) - w->ready_ns;

    if (w->watcher == NULL)
        return true;
    if (since_ns > 5000 * MS && watcher_lacks_leaders(w->watcher) != NULL)
        broken(w, "5 s after all nodes are there again: %s", watcher_lacks_leaders(w->watcher));
    if (since_ns > IN_SYNC_MS * MS && watcher_lacks_replicas(w->watcher) != NULL)
        broken(w, "%d s after all nodes are there again: %s", IN_SYNC_MS / 1000, watcher_lacks_replicas(w->watcher));
    return watcher_lacks_replicas(w->watcher) == NULL;
}

static void settle(struct world *w)
{
    if (!world_is_ready(w)) {
        w->was_reset = false;
        return;
    }
    if (!w->was_reset)
        reset_connections(w);
    if (!has_lasted(w, 1500) || !all_topics_are_made(w) || !all_have_moved(w) || !is_whole(w))
        return;
    w->steady_ns = world_now_ns(w);
    for (uint32_t i = 0; i < w->plan.producers; i++)
        producer_last_words(w->producers[i]);
    for (uint32_t i = 0; i < w->plan.writers; i++)
        writer_last_words(w->writers[i]);
    enter(w, PHASE_LAST_WORDS, 5000);
}

static void look(struct world *w, enum phase phase)
{
    verifier_free(w->verifier);
    w->verifier = verifier_new(w);
    verifier_begin(w->verifier);
    enter(w, phase, 5000);
}

static void last_stop(struct world *w)
{
    enter(w, PHASE_RESTART, world_is_cluster(w) ? 60000 : 5000);
    w->restarted_life = w->lives + w->plan.node_count;
    w->restarted = 0;
    for (uint32_t i = 0; w->plan.last_stop != FAULT_STOP && i < w->plan.node_count; i++)
        server_kill(&w->servers[i], w->plan.last_stop == FAULT_POWER_CUT);
}

/* Clean stops come one after another. */
static bool have_restarted(struct world *w)
{
    if (!world_is_ready(w))
        return false;
    if (w->lives < w->restarted_life && w->plan.last_stop == FAULT_STOP &&
        w->restarted_life - w->lives == w->plan.node_count - w->restarted)
        server_stop(&w->servers[w->restarted++]);
    return w->lives == w->restarted_life && is_whole(w);
}

static void stop(struct world *w)
{
    enter(w, PHASE_STOP, world_is_cluster(w) ? 20000 : 6000);
    if (w->watcher != NULL)
        watcher_client(w->watcher)->stop = true;
    for (uint32_t i = 0; i < w->plan.node_count; i++)
        server_stop(&w->servers[i]);
}

static bool is_over(struct world *w)
{
    return world_is_down(w) && (w->watcher == NULL || watcher_client(w->watcher)->stopped);
}

static void look_at_the_end(struct world *w)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++)
        server_check_clean(&w->servers[i]);
    if (world_is_cluster(w))
        truth_disks(w->truth);
}

#define PATIENCE_MS 3000 /* then a storm begins where there is no topic yet, too */

static void begin_chaos(struct world *w)
{
    w->chaos_began_ns = world_now_ns(w);
    faults_begin(w);
    enter(w, PHASE_CHAOS, 0);
}

static void chaos(struct world *w)
{
    if (w->chaos_began_ns >= 0 && has_lasted(w, w->plan.chaos_ns / MS))
        heal(w);
    else if (w->chaos_began_ns < 0 && (all_topics_are_made(w) || has_lasted(w, PATIENCE_MS)))
        begin_chaos(w);
}

static void go_on(struct world *w)
{
    switch (w->phase) {
    case PHASE_CHAOS:
        chaos(w);
        return;
    case PHASE_SETTLE:
        settle(w);
        return;
    case PHASE_LAST_WORDS:
        if (all_is_said(w))
            enter(w, PHASE_DRAIN, 120000); /* small fetches wait behind those of partitions that have nothing more */
        return;
    case PHASE_DRAIN:
        if (!group_is_through(w))
            return;
        tell_all_to_stop(w);
        enter(w, PHASE_LEAVE, 5000);
        return;
    case PHASE_LEAVE:
        if (all_have_stopped(w))
            look(w, PHASE_LOOK);
        return;
    case PHASE_LOOK:
        if (verifier_is_done(w->verifier))
            last_stop(w);
        return;
    case PHASE_RESTART:
        if (have_restarted(w))
            look(w, PHASE_LOOK_AGAIN);
        return;
    case PHASE_LOOK_AGAIN:
        if (verifier_is_done(w->verifier))
            stop(w);
        return;
    case PHASE_STOP:
        if (!is_over(w))
            return;
        look_at_the_end(w);
        enter(w, PHASE_OVER, 0);
        return;
    case PHASE_OVER:
        return;
    }
}

static void tick(struct sim *sim, void *arg)
{
    struct world *w = arg;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        server_check_failed_io(&w->servers[i]);
        server_check_marker(&w->servers[i]);
    }
    if (world_is_cluster(w))
        truth_quorum(w->truth);
    if (!world_is_ready(w))
        w->ready_ns = 0;
    else if (w->ready_ns == 0)
        w->ready_ns = world_now_ns(w);
    go_on(w);
    if (w->phase == PHASE_OVER)
        return;
    if (w->phase != PHASE_CHAOS && world_now_ns(w) - w->phase_began_ns > w->phase_limit_ns)
        broken(w, "%s did not come to its end within %" PRId64 " ms", w->phase_name,
               w->phase_limit_ns / MS);
    sim_at(sim, world_now_ns(w) + TICK_NS, tick, w);
}

void story_begin(struct world *w)
{
    w->chaos_began_ns = -1;
    if (w->plan.storm)
        enter(w, PHASE_CHAOS, 0);
    else
        begin_chaos(w);
    clients_begin(w);
    sim_at(w->sim, TICK_NS, tick, w);
}

void story_end(struct world *w)
{
    verifier_free(w->verifier);
    watcher_free(w->watcher);
    admin_free(w->admin);
    deleter_free(w->deleter);
    mover_free(w->mover);
    shuffler_free(w->shuffler);
    throttler_free(w->throttler);
    straggler_free(w->straggler);
    for (uint32_t i = 0; i < w->plan.producers; i++)
        producer_free(w->producers[i]);
    for (uint32_t i = 0; i < w->plan.writers; i++)
        writer_free(w->writers[i]);
    for (uint32_t i = 0; i < w->plan.readers; i++)
        reader_free(w->readers[i]);
    for (uint32_t i = 0; i < w->plan.members; i++)
        member_free(w->members[i]);
    for (uint32_t i = 0; i < w->plan.subscribers; i++)
        subscriber_free(w->subscribers[i]);
}
