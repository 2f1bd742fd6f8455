/* What a seed of a storm draws: short logs and fast clients, short sessions, one leader after another, and faults that
 * come in bursts and look for whoever leads. Half of the seeds of a cluster are one. */
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

/* ---- faults: in scenes, each of a few that follow one another at once ------------------------------ */

#define SCENE_MAX 5

static struct fault *add(struct plan *p, enum fault_kind kind, enum fault_aim aim, int64_t at_ns, int64_t lasts_ms)
{
    struct fault *f = &p->faults[p->fault_count++];

    ASSERT(p->fault_count <= FAULTS_MAX);
    *f = (struct fault){.kind = kind, .aim = aim, .at_ns = at_ns, .lasts_ns = lasts_ms * MS};
    return f;
}

static enum fault_kind draw_end(struct prng *g, const struct plan *p)
{
    if (p->forgets)
        return FAULT_PAUSE;
    return (p->durable || p->lossy) && plan_one_in(g, 2) ? FAULT_POWER_CUT : FAULT_KILL;
}

static uint32_t all(const struct plan *p)
{
    return (1u << p->node_count) - 1;
}

static uint32_t one(struct prng *g, const struct plan *p)
{
    return 1u << prng_below(g, p->node_count);
}

static uint32_t controllers(const struct plan *p)
{
    uint32_t out = 0;

    for (uint32_t i = 0; i < p->node_count; i++)
        out |= (uint32_t)p->nodes[i].is_controller << i;
    return out;
}

/* Together with outliers a sync begun in such a time would be under way long after it. */
static uint32_t slowness(struct prng *g, const struct plan *p)
{
    return (uint32_t)plan_between(g, 3, p->weather.outlier_ppm > 0 ? 5 : 40);
}

static uint32_t crash_how(struct prng *g, const struct plan *p)
{
    return (p->durable && plan_one_in(g, 2) ? SIM_CRASH_POWER : SIM_CRASH_KILL) |
           (plan_one_in(g, 2) ? SIM_CRASH_AFTER : 0);
}

/* Whoever leads is struck more often than anybody. */
static enum fault_aim draw_aim(struct prng *g)
{
    switch (prng_below(g, 8)) {
    case 0:
    case 1:
        return AIM_DRAWN;
    case 2:
        return AIM_CONTROLLER;
    case 3:
        return AIM_FOLLOWERS;
    default:
        return AIM_LEADER;
    }
}

static void draw_any(struct prng *g, struct plan *p, int64_t at_ns)
{
    static const enum fault_kind kinds[] = {
        FAULT_PAUSE,     FAULT_PAUSE, FAULT_LINK,  FAULT_LINK,        FAULT_ISOLATE,
        FAULT_SLOW_DISK, FAULT_STOP,  FAULT_RESET, FAULT_CRASH_AT_IO, /* last: no clean end */
    };
    enum fault_kind kind = kinds[prng_below(g, array_count(kinds) - p->forgets)];
    struct fault *f = add(p, kind, draw_aim(g), at_ns, (int64_t)plan_between(g, 5, 300));

    f->nodes = one(g, p);
    f->n = prng_below(g, 64);
    f->factor = (uint32_t)plan_between(g, 1, 3);
    if (kind == FAULT_SLOW_DISK)
        f->factor = slowness(g, p);
    if (kind == FAULT_CRASH_AT_IO) {
        f->n = plan_between(g, 1, 60);
        f->factor = crash_how(g, p);
    }
}

/* Some have written what they have not synced, and all go down. */
static void draw_tails_lost(struct prng *g, struct plan *p, int64_t at_ns)
{
    enum fault_kind end = draw_end(g, p);
    static const enum fault_aim slow[] = {AIM_DRAWN, AIM_FOLLOWERS, AIM_CONTROLLER, AIM_LEADER};
    struct fault *f = add(p, FAULT_SLOW_DISK, slow[prng_below(g, array_count(slow))], at_ns, 150);
    bool controller = f->aim == AIM_CONTROLLER && plan_one_in(g, 2);

    f->nodes = plan_one_in(g, 2) ? all(p) : one(g, p);
    f->factor = slowness(g, p);
    f = add(p, end, controller ? AIM_CONTROLLER : AIM_DRAWN, at_ns + (int64_t)plan_between(g, 5, 100) * MS, 20);
    f->nodes = all(p);
}

/* The leader goes, and the next one before its followers have fetched. */
static void draw_two_leaders(struct prng *g, struct plan *p, int64_t at_ns)
{
    uint64_t n = prng_below(g, 64);

    for (int i = 0; i < 2; i++) {
        struct fault *f = add(p, draw_end(g, p), AIM_LEADER, at_ns, (int64_t)plan_between(g, 20, 300));
        f->nodes = one(g, p);
        f->n = n;
        at_ns += (int64_t)plan_between(g, 1, 200) * MS;
    }
}

/* Followers fall out of the ISR. When they come back the leader hears of nobody but its clients while its proposals of
 * another ISR are under way, and goes. */
static void draw_rejoin(struct prng *g, struct plan *p, int64_t at_ns)
{
    static const enum fault_kind away[] = {FAULT_PAUSE, FAULT_LINK, FAULT_SLOW_DISK};
    int64_t lasts_ms = (int64_t)plan_between(g, 50, 350);
    enum fault_kind kind = away[prng_below(g, 3)];
    uint64_t n = prng_below(g, 64) | 1;
    struct fault *f = add(p, kind, kind == FAULT_LINK ? AIM_LEADER : AIM_FOLLOWERS, at_ns, lasts_ms);

    f->nodes = one(g, p);
    f->n = n;
    f->factor = kind == FAULT_SLOW_DISK ? slowness(g, p) : (uint32_t)plan_between(g, 1, 3);
    at_ns += (lasts_ms + (int64_t)plan_between(g, 0, 60)) * MS;
    f = add(p, FAULT_ISOLATE, AIM_LEADER, at_ns, 250);
    f->nodes = one(g, p);
    f->n = n; /* odd: clients reach it */
    f->factor = plan_one_in(g, 4) ? 3 : 1;
    f = add(p, draw_end(g, p), AIM_LEADER, at_ns + (int64_t)plan_between(g, 10, 150) * MS, 100);
    f->nodes = one(g, p);
    f->n = n;
}

static struct fault *add_to_proposer(struct prng *g, struct plan *p, enum fault_kind kind, int64_t at_ns,
                                     int64_t after_ms, int64_t lasts_ms)
{
    struct fault *f = add(p, kind, AIM_PROPOSER, at_ns, lasts_ms);

    f->nodes = one(g, p); /* until it is known */
    f->after_ns = after_ms * MS;
    return f;
}

/* Followers fall out of the ISR. When a leader asks for them again the controller agrees, but the leader hears nothing
 * of that, nor, mostly, of them: it goes on with its clients and with whoever else is in sync. Then it goes. */
static void draw_unheard(struct prng *g, struct plan *p, int64_t at_ns)
{
    static const enum fault_kind away[] = {FAULT_PAUSE, FAULT_LINK, FAULT_SLOW_DISK};
    int64_t lasts_ms = (int64_t)plan_between(g, 50, 350), cut_ms = (int64_t)plan_between(g, 30, 300);
    enum fault_kind kind = away[prng_below(g, 3)];
    bool alone = p->in_sync_min < 2 || plan_one_in(g, 3);
    struct fault *f = add(p, kind, alone && kind != FAULT_LINK ? AIM_FOLLOWERS : AIM_DRAWN, at_ns, lasts_ms);

    f->nodes = one(g, p);
    f->n = prng_below(g, 64);
    f->factor = kind == FAULT_SLOW_DISK ? slowness(g, p) : 3;
    at_ns += (lasts_ms - (int64_t)prng_below(g, 30)) * MS;
    if (alone) {
        f = add_to_proposer(g, p, FAULT_ISOLATE, at_ns, 0, cut_ms);
        f->n = 1; /* clients reach it */
        f->factor = 1;
    } else {
        f = add_to_proposer(g, p, FAULT_LINK, at_ns, 0, cut_ms);
        f->n = 0; /* to the controller */
        f->factor = 1;
        f = add_to_proposer(g, p, FAULT_LINK, at_ns, 0, cut_ms);
        f->n = 2 * prng_below(g, 32) + 1;
        f->factor = 1;
    }
    add_to_proposer(g, p, draw_end(g, p), at_ns, (int64_t)plan_between(g, 5, (uint64_t)cut_ms), 100);
}

/* What is asked of the controller is in doubt, and who asked goes. */
static void draw_doubt(struct prng *g, struct plan *p, int64_t at_ns)
{
    static const enum fault_kind away[] = {FAULT_PAUSE, FAULT_SLOW_DISK, FAULT_LINK};
    struct fault *f = add(p, away[prng_below(g, 3)], AIM_CONTROLLER, at_ns, (int64_t)plan_between(g, 20, 200));

    f->nodes = one(g, p);
    f->n = prng_below(g, 64);
    f->factor = f->kind == FAULT_SLOW_DISK ? slowness(g, p) : (uint32_t)plan_between(g, 1, 3);
    f = add(p, draw_end(g, p), plan_one_in(g, 2) ? AIM_LEADER : AIM_CONTROLLER,
            at_ns + (int64_t)plan_between(g, 1, 100) * MS, 100);
    f->nodes = one(g, p);
}

/* In the middle of what the controller, or a leader, writes. */
static void draw_crash(struct prng *g, struct plan *p, int64_t at_ns)
{
    struct fault *f = add(p, p->forgets ? FAULT_PAUSE : FAULT_CRASH_AT_IO, plan_one_in(g, 3) ? AIM_LEADER : AIM_CONTROLLER,
                          at_ns, 20);

    f->nodes = one(g, p);
    f->n = plan_between(g, 1, 16);
    f->factor = crash_how(g, p);
}

/* Who votes goes down in the middle of it. */
static void draw_election(struct prng *g, struct plan *p, int64_t at_ns)
{
    enum fault_kind kind = draw_end(g, p);
    struct fault *f = add(p, kind, AIM_CONTROLLER, at_ns, 50);

    f->nodes = one(g, p);
    for (uint64_t more = plan_between(g, 1, 4); more > 0; more--) {
        at_ns += (int64_t)plan_between(g, 1, 40) * MS;
        kind = p->forgets || plan_one_in(g, 2) ? draw_end(g, p) : FAULT_CRASH_AT_IO;
        f = add(p, kind, AIM_DRAWN, at_ns, 20);
        f->nodes = plan_one_in(g, 2) ? one(g, p) : controllers(p);
        f->n = plan_between(g, 1, 8);
        f->factor = crash_how(g, p);
    }
}

/* Only the leader has what comes now, and forgets it. */
static void draw_forgetting(struct prng *g, struct plan *p)
{
    int64_t at_ns = (int64_t)plan_between(g, 50, 300) * MS;
    struct fault *f = add(p, FAULT_PAUSE, AIM_FOLLOWERS, at_ns, 700);

    f->nodes = one(g, p);
    f = add(p, FAULT_POWER_CUT, AIM_LEADER, at_ns + (int64_t)plan_between(g, 300, 680) * MS, 100);
    f->nodes = one(g, p);
}

static void draw_faults(struct prng *g, struct plan *p)
{
    uint32_t scenes = (uint32_t)plan_between(g, 1, 14);
    bool elections = plan_one_in(g, 4);

    if (p->forgets)
        draw_forgetting(g, p);
    while (scenes-- > 0 && p->fault_count + SCENE_MAX <= FAULTS_MAX) {
        int64_t at_ns = (int64_t)prng_below(g, (uint64_t)p->chaos_ns);
        if (elections && !plan_one_in(g, 3)) {
            draw_election(g, p, at_ns);
            continue;
        }
        switch (prng_below(g, 9)) {
        case 0:
            draw_tails_lost(g, p, at_ns);
            break;
        case 1:
            draw_two_leaders(g, p, at_ns);
            break;
        case 2:
            draw_rejoin(g, p, at_ns);
            break;
        case 3:
            draw_doubt(g, p, at_ns);
            break;
        case 4:
            draw_crash(g, p, at_ns);
            break;
        case 5:
            draw_unheard(g, p, at_ns);
            break;
        default:
            draw_any(g, p, at_ns);
        }
    }
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
    draw_faults(&g, p);
    p->shuffles = !plan_one_in(&g, 6);
    p->shuffle_ms_max = (uint32_t)plan_between(&g, 5, plan_one_in(&g, 2) ? 30 : 150);
    p->writers = 2 + (uint32_t)prng_below(&g, 2);
    p->readers = 1 + (uint32_t)prng_below(&g, 2);
    p->subscribers = (uint32_t)plan_one_in(&g, 4);
    p->straggles = plan_one_in(&g, 3);
}
