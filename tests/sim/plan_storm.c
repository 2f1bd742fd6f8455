/* What a seed of a storm draws: short logs and fast clients, short sessions, one leader after another. Half of the seeds
 * of a cluster are one. */
#include "plan.h"

#define MS INT64_C(1000000)

/* ---- settings ------------------------------------------------------------------------------------ */

static unsigned ms(struct prng *g, uint64_t low, uint64_t high)
{
    return (unsigned)plan_between(g, low, high);
}

/* Small Fetches keep followers behind; a log is short enough that they catch up all the same. Where connections may be
 * slow for good, a Fetch and its answer take up to 60 ms. */
static void draw_following(struct prng *g, const struct plan *p, struct text *t)
{
    unsigned latency_ms = (unsigned)(p->latency_ns / MS);
    unsigned lag_ms = p->weather.outlier_ppm == 0 ? 6 * latency_ms + ms(g, 30, 200) : ms(g, 200, 500);

    text_printf(t, "replica.lag.time.max.ms=%u\n", lag_ms);
    text_printf(t, "replica.fetch.wait.max.ms=%u\n", ms(g, 10, lag_ms / 2));
    text_printf(t, "replica.fetch.backoff.ms=%u\n", ms(g, 1, 60));
    text_printf(t, "replica.socket.timeout.ms=%u\n", lag_ms + ms(g, 0, 300));
    text_printf(t, "replica.fetch.max.bytes=%u\n", plan_one_in(g, 2) ? ms(g, 2000, 6000) : 1048576);
    if (plan_one_in(g, 4))
        text_printf(t, "replica.fetch.response.max.bytes=%u\n", ms(g, 6000, 20000));
}

/* As short as a simulated network allows; but a Fetch of the metadata log waits for half a second, which must not be
 * taken for a leader that is gone. */
static void draw_times(struct prng *g, struct plan *p)
{
    struct text *t = &p->settings;
    unsigned latency_ms = (unsigned)(p->latency_ns / MS);
    unsigned heartbeat_ms = ms(g, 15, 50) + 3 * latency_ms;
    unsigned session_ms = heartbeat_ms * ms(g, 5, 8);

    text_printf(t, "broker.heartbeat.interval.ms=%u\n", heartbeat_ms);
    /* A heartbeat is answered when all is committed that the controller has decided before it: with too little time for
     * that each fence is the reason for the next one. */
    text_printf(t, "broker.session.timeout.ms=%u\n", session_ms < 250 ? 250 : session_ms);
    text_printf(t, "controller.quorum.election.timeout.ms=%u\n", 4 * latency_ms + ms(g, 30, 160));
    text_printf(t, "controller.quorum.election.backoff.max.ms=%u\n", ms(g, 10, 100));
    text_printf(t, "controller.quorum.fetch.timeout.ms=%u\n", ms(g, 600, 900));
    text_printf(t, "controller.quorum.request.timeout.ms=%u\n", ms(g, 600, 900));
    text_printf(t, "controller.quorum.fetch.max.bytes=%u\n", plan_one_in(g, 3) ? ms(g, 200, 3000) : 1048576);
    text_printf(t, "controller.socket.timeout.ms=%u\n", ms(g, 200, 600));
    text_printf(t, "request.timeout.ms=%u\n", ms(g, 400, 1000));
    text_printf(t, "socket.connection.setup.timeout.ms=%u\n", ms(g, 100, 300));
    text_printf(t, "socket.connection.setup.timeout.max.ms=400\n");
    text_printf(t, "log.initial.task.delay.ms=%u\n", ms(g, 0, 1000));
    draw_following(g, p, t);
}

/* ---- who they are -------------------------------------------------------------------------------- */

/* Where followers stand still while the leader goes on, there is a controller all the same. */
static void draw_nodes(struct prng *g, struct plan *p)
{
    switch (p->forgets ? 0 : prng_below(g, 8)) {
    case 0:
        plan_add_nodes(p, 1, false, true);
        plan_add_nodes(p, 3, true, false);
        return;
    case 1:
        plan_add_nodes(p, 3, true, true);
        plan_add_nodes(p, 1, true, false);
        return;
    case 2:
        plan_add_nodes(p, 3, false, true);
        plan_add_nodes(p, 2, true, false);
        return;
    default:
        plan_add_nodes(p, 3, true, true);
    }
}

/* What a power cut may take, and whether there are any. */
static void draw_loss(struct prng *g, struct plan *p)
{
    p->lossy = plan_one_in(g, 8);
    p->durable = !p->lossy && !plan_one_in(g, 3);
    p->forgets = !p->durable && !p->lossy && plan_one_in(g, 2);
    if (plan_one_in(g, 2))
        p->weather.outlier_ppm = 0;
    p->last_stop = p->durable || p->lossy ? (enum fault_kind)prng_below(g, 3)
                                          : plan_one_in(g, 2) ? FAULT_KILL : FAULT_STOP;
    if (p->weather.outlier_ppm == 0 && !plan_one_in(g, 4))
        p->latency_ns = (int64_t)plan_between(g, 1, 10) * MS;
    for (int kind = 0; kind < SIM_LISTEN; kind++)
        p->weather.fail_ppm[kind] = 0; /* a directory that fails ends a storm */
}

/* ---- all of it ----------------------------------------------------------------------------------- */

void plan_draw_storm(uint64_t seed, struct plan *p)
{
    struct prng g;

    prng_init(&g, seed ^ 0x73746f726d);
    p->storm = true;
    draw_loss(&g, p);
    draw_nodes(&g, p);
    p->dynamic_quorum = plan_one_in(&g, 2);
    p->replicas = plan_brokers(p) < 3 ? plan_brokers(p) : 3;
    p->shards = 1 + (uint32_t)plan_one_in(&g, 4);
    p->dirs = 1;
    p->topics = 1;
    p->partitions[0] = 1 + (int32_t)prng_below(&g, 2);
    p->session_ms = (int32_t)plan_between(&g, 300, 1500);
    p->chaos_ns = (int64_t)plan_between(&g, 1000, 2800) * MS;
    p->restart_ns_max = (int64_t)plan_between(&g, 1, plan_one_in(&g, 2) ? 12 : 300) * MS;
    p->retention_bytes = -1;
    plan_draw_settings(&g, p);
    draw_times(&g, p);
    plan_draw_in_sync(p, !p->forgets && plan_one_in(&g, 2) ? 1 : p->replicas - 1);
    plan_draw_scenes(&g, p);
    p->shuffles = !plan_one_in(&g, 6);
    p->shuffle_ms_max = (uint32_t)plan_between(&g, 5, plan_one_in(&g, 2) ? 30 : 150);
    p->writers = 2 + (uint32_t)prng_below(&g, 2);
    p->readers = 1 + (uint32_t)prng_below(&g, 2);
    p->subscribers = (uint32_t)plan_one_in(&g, 4);
    p->straggles = plan_one_in(&g, 3);
}
