/* What a storm does to its nodes: faults in scenes, each of a few that follow one another at once and look for whoever
 * leads, or wait for a certain request. */
#include "plan.h"

#define MS INT64_C(1000000)

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
 * of that, nor, mostly, of them: it goes on with its clients, and with whoever else must be in sync. Then it goes. */
static void draw_unheard(struct prng *g, struct plan *p, int64_t at_ns)
{
    int64_t lasts_ms = (int64_t)plan_between(g, 100, 400), cut_ms = (int64_t)plan_between(g, 50, 300);
    bool alone = p->in_sync_min < 2;
    struct fault *f = add(p, plan_one_in(g, 4) ? FAULT_SLOW_DISK : FAULT_PAUSE, alone ? AIM_FOLLOWERS : AIM_DRAWN, at_ns,
                          lasts_ms);

    f->nodes = one(g, p);
    f->n = prng_below(g, 64);
    f->factor = slowness(g, p);
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
    add_to_proposer(g, p, draw_end(g, p), at_ns, (int64_t)plan_between(g, 10, (uint64_t)cut_ms), 100);
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

/* What the controller has in memory one other voter has on its disk, and a third one has not heard of. The controller goes,
 * and comes back while that other one is away. */
static void draw_unwritten(struct prng *g, struct plan *p, int64_t at_ns)
{
    int64_t lasts_ms = (int64_t)plan_between(g, 20, 200);
    uint64_t third = prng_below(g, 2);
    struct fault *f = add(p, FAULT_SLOW_DISK, AIM_CONTROLLER, at_ns, lasts_ms + 5);

    f->nodes = one(g, p);
    f->factor = 2 * slowness(g, p);
    f = add(p, FAULT_ISOLATE, AIM_VOTER, at_ns, lasts_ms);
    f->nodes = one(g, p);
    f->n = 2 * third + 1; /* clients reach it */
    f->factor = 3;
    at_ns += lasts_ms * MS;
    f = add(p, draw_end(g, p), AIM_CONTROLLER, at_ns, 20);
    f->nodes = one(g, p);
    f = add(p, FAULT_ISOLATE, AIM_VOTER, at_ns, (int64_t)plan_between(g, 200, 500));
    f->nodes = one(g, p);
    f->n = 2 * (1 - third) + prng_below(g, 2);
    f->factor = 3;
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

void plan_draw_scenes(struct prng *g, struct plan *p)
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
        switch (prng_below(g, 11)) {
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
        case 6:
            draw_unheard(g, p, at_ns);
            break;
        case 7:
            draw_unwritten(g, p, at_ns);
            break;
        default:
            draw_any(g, p, at_ns);
        }
    }
}
