/* What a seed of several nodes draws: who they are, times that are short enough for a seed, faults between nodes. */
#include "plan.h"

#define MS INT64_C(1000000)

/* ---- who they are -------------------------------------------------------------------------------- */

void plan_add_nodes(struct plan *p, uint32_t count, bool is_broker, bool is_controller)
{
    while (count-- > 0) {
        struct plan_node *n = &p->nodes[p->node_count++];
        *n = (struct plan_node){.is_broker = is_broker, .is_controller = is_controller};
        snprintf(n->name, sizeof n->name, "node-%u", p->node_count);
    }
}

static void draw_nodes(struct prng *g, struct plan *p)
{
    switch (prng_below(g, 10)) {
    case 0:
        plan_add_nodes(p, 3, true, true);
        plan_add_nodes(p, 1, true, false);
        return;
    case 1:
        plan_add_nodes(p, 3, true, true);
        plan_add_nodes(p, 2, true, false);
        return;
    case 2:
        plan_add_nodes(p, 5, true, true);
        return;
    case 3:
        plan_add_nodes(p, 1, false, true);
        plan_add_nodes(p, 3, true, false);
        return;
    case 4:
        plan_add_nodes(p, 3, false, true);
        plan_add_nodes(p, 2, true, false);
        return;
    default:
        plan_add_nodes(p, 3, true, true);
    }
}

int32_t plan_brokers(const struct plan *p)
{
    int32_t n = 0;

    for (uint32_t i = 0; i < p->node_count; i++)
        n += p->nodes[i].is_broker;
    return n;
}

/* ---- settings ------------------------------------------------------------------------------------ */

/* A follower that is behind must come nearer with each of its Fetches, also over a connection that is slow for good.
 * Times are in proportion to each other as the defaults are, and a tenth of them or less; but a Fetch of the metadata
 * log waits for half a second, which must not be taken for a leader that is gone. -> how long a broker's session is. */
static unsigned draw_times(struct prng *g, struct plan *p)
{
    struct text *t = &p->settings;
    unsigned heartbeat_ms = (unsigned)plan_between(g, 50, 150);
    unsigned lag_ms = (unsigned)plan_between(g, 400, 1200);
    unsigned session_ms = heartbeat_ms * (unsigned)plan_between(g, 4, 6);

    text_printf(t, "broker.heartbeat.interval.ms=%u\n", heartbeat_ms);
    text_printf(t, "controller.quorum.election.timeout.ms=%u\n", (unsigned)plan_between(g, 150, 400));
    text_printf(t, "controller.quorum.election.backoff.max.ms=%u\n", (unsigned)plan_between(g, 50, 200));
    text_printf(t, "controller.quorum.fetch.timeout.ms=%u\n", (unsigned)plan_between(g, 700, 1200));
    text_printf(t, "controller.quorum.request.timeout.ms=%u\n", (unsigned)plan_between(g, 700, 1000));
    text_printf(t, "controller.quorum.fetch.max.bytes=%u\n",
                plan_one_in(g, 3) ? (unsigned)plan_between(g, 200, 5000) : 1048576);
    text_printf(t, "controller.socket.timeout.ms=%u\n", (unsigned)plan_between(g, 400, 1000));
    text_printf(t, "request.timeout.ms=%u\n", (unsigned)plan_between(g, 800, 2000));
    text_printf(t, "socket.connection.setup.timeout.ms=%u\n", (unsigned)plan_between(g, 200, 500));
    text_printf(t, "socket.connection.setup.timeout.max.ms=800\n");
    text_printf(t, "replica.lag.time.max.ms=%u\n", lag_ms);
    text_printf(t, "replica.fetch.wait.max.ms=%u\n", (unsigned)plan_between(g, 50, lag_ms / 2));
    text_printf(t, "replica.fetch.backoff.ms=%u\n", (unsigned)plan_between(g, 20, 150));
    text_printf(t, "replica.socket.timeout.ms=%u\n", lag_ms + (unsigned)plan_between(g, 0, 500));
    text_printf(t, "replica.fetch.max.bytes=%u\n",
                plan_one_in(g, 2) ? (unsigned)plan_between(g, 10000, 50000) : 1048576);
    if (plan_one_in(g, 3))
        text_printf(t, "replica.fetch.response.max.bytes=%u\n", (unsigned)plan_between(g, 20000, 60000));
    return session_ms;
}

/* A broker that stands still is fenced when its session ends, or, where that is long, for its silence. */
static void draw_silence(struct prng *g, struct plan *p, unsigned session_ms)
{
    if (plan_one_in(g, 2)) {
        session_ms = 9000;
        text_printf(&p->settings, "millrace.broker.silence.ms=%u\n", (unsigned)plan_between(g, 300, 900));
    }
    text_printf(&p->settings, "broker.session.timeout.ms=%u\n", session_ms);
}

void plan_draw_in_sync(struct plan *p, int32_t in_sync_min)
{
    p->in_sync_min = in_sync_min > 0 ? in_sync_min : 1;
    text_printf(&p->settings, "min.insync.replicas=%d\n", p->in_sync_min);
    if (p->lossy)
        text_printf(&p->settings, "unclean.leader.election.enable=true\n");
    text_printf(&p->settings, "default.replication.factor=%d\n", p->replicas);
}

/* ---- faults -------------------------------------------------------------------------------------- */

static uint32_t one_node(struct prng *g, const struct plan *p)
{
    return 1u << prng_below(g, p->node_count);
}

/* Mostly one; else some, all, or the controllers. */
static uint32_t draw_victims(struct prng *g, const struct plan *p)
{
    uint32_t all = (1u << p->node_count) - 1, controllers = 0;

    for (uint32_t i = 0; i < p->node_count; i++)
        controllers |= (uint32_t)p->nodes[i].is_controller << i;
    switch (prng_below(g, 8)) {
    case 0:
        return all;
    case 1:
        return controllers;
    case 2:
        return one_node(g, p) | one_node(g, p);
    default:
        return one_node(g, p);
    }
}

static bool strikes_several(enum fault_kind kind)
{
    return kind == FAULT_KILL || kind == FAULT_POWER_CUT || kind == FAULT_STOP || kind == FAULT_ISOLATE ||
           kind == FAULT_PAUSE;
}

static void draw_fault(struct prng *g, const struct plan *p, struct fault *f)
{
    if (plan_one_in(g, 2)) {
        plan_draw_fault(g, p, f);
    } else {
        f->kind = (enum fault_kind)plan_between(g, FAULT_KINDS_ALONE, FAULT_KINDS - 1);
        f->at_ns = (int64_t)prng_below(g, (uint64_t)p->chaos_ns);
        f->lasts_ns = (int64_t)plan_between(g, 5, 1500) * MS;
        f->n = f->kind == FAULT_CLOCK ? plan_between(g, 0, 20000) : prng_below(g, 64);
        f->factor = (uint32_t)plan_between(g, 1, 3);
    }
    f->nodes = strikes_several(f->kind) ? draw_victims(g, p) : one_node(g, p);
}

static bool ends_a_node(enum fault_kind kind)
{
    return kind == FAULT_KILL || kind == FAULT_POWER_CUT || kind == FAULT_CRASH_AT_IO;
}

/* What was acknowledged by two survives that one of them forgets the last seconds. Every end that is not clean counts
 * as such a failure (KIP-966): nobody knows whether anything was lost. So there is only one. */
static void draw_forgetting(struct prng *g, struct plan *p)
{
    struct fault *f = &p->faults[0];

    if (p->durable || p->lossy || p->disk_trouble || p->in_sync_min < 2 || p->fault_count == 0 || plan_one_in(g, 2))
        return;
    for (uint32_t i = 1; i < p->fault_count; i++) {
        if (ends_a_node(p->faults[i].kind))
            p->faults[i].kind = FAULT_STOP;
    }
    f->kind = FAULT_POWER_CUT;
    f->nodes = one_node(g, p);
}

static void draw_faults(struct prng *g, struct plan *p)
{
    static const uint32_t most[] = {0, 2, 5, 9, 14, 24};

    p->fault_count = (uint32_t)prng_below(g, most[prng_below(g, array_count(most))] + 1);
    for (uint32_t i = 0; i < p->fault_count; i++)
        draw_fault(g, p, &p->faults[i]);
    draw_forgetting(g, p);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

void plan_draw_cluster(uint64_t seed, struct plan *out)
{
    struct prng g;
    struct plan p = {.weather = sim_options_swarm(seed)};

    if (seed % 2 == 1) {
        plan_draw_storm(seed, &p);
        *out = p;
        return;
    }
    prng_init(&g, seed ^ 0x636c7573746572);
    draw_nodes(&g, &p);
    p.dynamic_quorum = plan_one_in(&g, 2);
    p.replicas = plan_brokers(&p) < 3 ? plan_brokers(&p) : 3;
    p.racks = plan_one_in(&g, 3);
    p.shards = 1 + (uint32_t)prng_below(&g, 2);
    p.dirs = plan_one_in(&g, 3) ? 2 : 1;
    p.lossy = plan_one_in(&g, 8);
    p.durable = !p.lossy && !plan_one_in(&g, 3);
    p.disk_trouble = plan_disk_fails(&p.weather) || plan_one_in(&g, 6);
    p.topics = 1 + (uint32_t)prng_below(&g, 2);
    for (uint32_t i = 0; i < p.topics; i++)
        p.partitions[i] = 1 + (int32_t)prng_below(&g, 3);
    p.admin_changes = plan_one_in(&g, 2);
    p.session_ms = (int32_t)plan_between(&g, 300, 1500);
    p.chaos_ns = (int64_t)plan_between(&g, 1000, 4000) * MS;
    p.restart_ns_max = (int64_t)plan_between(&g, 1, 800) * MS;
    p.last_stop = p.durable || p.lossy ? (enum fault_kind)prng_below(&g, 3)
                                       : plan_one_in(&g, 2) ? FAULT_KILL : FAULT_STOP;
    plan_draw_settings(&g, &p);
    plan_draw_checks(&g, &p);
    plan_draw_compaction(&g, &p);
    unsigned session_ms = draw_times(&g, &p);
    plan_draw_in_sync(&p, plan_one_in(&g, 4) ? 1 : p.replicas - 1); /* or one broker that is down stops all writes */
    draw_faults(&g, &p);
    p.shuffles = plan_one_in(&g, 3);
    p.shuffle_ms_max = 600;
    p.writers = 1 + (uint32_t)prng_below(&g, 3);
    p.subscribers = (uint32_t)prng_below(&g, 3);
    p.throttles = plan_one_in(&g, 4);
    draw_silence(&g, &p, session_ms);
    *out = p;
}
