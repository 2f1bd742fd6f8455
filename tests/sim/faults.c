/* Does to the nodes what the plan says, and heals them. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "truth.h"

#define MS INT64_C(1000000)

struct strike {
    struct world *world;
    struct fault *fault;
    uint32_t rolled; /* nodes, of a rolling restart */
    struct list waits;
};

static struct client *victim(struct world *w, const struct fault *f)
{
    return w->client_count == 0 ? NULL : w->clients[f->n % w->client_count];
}

static bool strikes(const struct fault *f, uint32_t at)
{
    return (f->nodes >> at & 1) != 0;
}

/* The only one, or the first one. */
static struct server *struck(struct world *w, const struct fault *f)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (strikes(f, i))
            return &w->servers[i];
    }
    UNREACHABLE("a fault of nobody");
}

/* ---- whom? ----------------------------------------------------------------------------------------- */

static int32_t partition_leader(const struct world *w, uint64_t n)
{
    const struct topic *t = w->truth->topic_count == 0 ? NULL : w->truth->topics[n % w->truth->topic_count];

    return t == NULL ? -1 : t->parts[n / w->truth->topic_count % (uint64_t)t->partition_count].leader;
}

static int32_t quorum_leader(const struct world *w)
{
    const struct epoch_leaders *e = &w->truth->quorum;

    for (int32_t i = e->count; i-- > 0;) {
        if (e->leaders[i] > 0)
            return e->leaders[i];
    }
    return -1;
}

static uint32_t brokers(const struct world *w)
{
    uint32_t out = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++)
        out |= (uint32_t)w->plan.nodes[i].is_broker << i;
    return out;
}

/* The n-th controller that does not lead; 0 where there is none. */
static uint32_t other_controller(const struct world *w, int32_t leader, uint64_t n)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (w->plan.nodes[i].is_controller && w->servers[i].id != leader && n-- == 0)
            return 1u << i;
    }
    return 0;
}

static void take_aim(struct world *w, struct fault *f)
{
    int32_t leader = -1;

    if (f->aim == AIM_LEADER || f->aim == AIM_FOLLOWERS)
        leader = partition_leader(w, f->n);
    if (f->aim == AIM_CONTROLLER || f->aim == AIM_VOTER)
        leader = quorum_leader(w);
    if (f->aim == AIM_VOTER) {
        uint32_t other = other_controller(w, leader, f->n / 2);
        f->nodes = other != 0 ? other : f->nodes;
        return;
    }
    if (leader > 0)
        f->nodes = 1u << (leader - 1);
    if (leader > 0 && f->aim == AIM_FOLLOWERS)
        f->nodes = brokers(w) & ~f->nodes;
}

/* ---- networks ------------------------------------------------------------------------------------ */

/* Between a node and another, of which `factor` counts the ways: 1 to `a`, 2 from it, 3 both. */
static void cut(struct sim_node *a, struct sim_node *b, uint32_t factor, bool heal)
{
    if (a == b)
        return;
    if ((factor & 1) != 0)
        (heal ? sim_net_heal : sim_net_cut)(b, a);
    if ((factor & 2) != 0)
        (heal ? sim_net_heal : sim_net_cut)(a, b);
}

static void isolate(struct world *w, const struct fault *f, struct sim_node *node, bool heal)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (!strikes(f, i))
            cut(node, w->servers[i].node, f->factor, heal);
    }
    for (uint32_t i = 0; f->n % 2 == 0 && i < w->client_count; i++)
        cut(node, w->clients[i]->node, f->factor, heal);
}

static void cut_or_heal(struct world *w, const struct fault *f, bool heal)
{
    struct sim_node *node = struck(w, f)->node;

    if (f->kind == FAULT_CUT && victim(w, f) != NULL)
        cut(node, victim(w, f)->node, f->factor, heal);
    if (f->kind == FAULT_LINK)
        cut(node, w->servers[f->n % w->plan.node_count].node, f->factor, heal);
    for (uint32_t i = 0; f->kind == FAULT_ISOLATE && i < w->plan.node_count; i++) {
        if (strikes(f, i))
            isolate(w, f, w->servers[i].node, heal);
    }
}

/* ---- one node after another ---------------------------------------------------------------------- */

static void roll_on(struct sim *sim, void *arg)
{
    struct strike *s = arg;
    struct world *w = s->world;

    if (w->calm_ns != 0 || s->rolled == w->plan.node_count) {
        free(s);
        return;
    }
    if (world_is_ready(w))
        server_stop(&w->servers[s->rolled++]);
    sim_at(sim, world_now_ns(w) + 20 * MS, roll_on, s);
}

/* ---- one node ------------------------------------------------------------------------------------ */

static void fault_ends(struct sim *sim, void *arg)
{
    struct strike *s = arg;
    struct server *server = struck(s->world, s->fault);

    cut_or_heal(s->world, s->fault, true);
    if (s->fault->kind == FAULT_DISK_FULL)
        sim_disk_limit(server->node, UINT64_C(64) << 30);
    if (s->fault->kind == FAULT_DIR)
        sim_fail_in(server->node, NULL);
    free(s);
}

/* Nobody can heal a process that stands still, so it goes on by itself. */
static int64_t end_of(const struct world *w, const struct fault *f)
{
    int64_t end_ns = world_now_ns(w) + f->lasts_ns;

    return end_ns < w->chaos_began_ns + w->plan.chaos_ns ? end_ns : w->chaos_began_ns + w->plan.chaos_ns;
}

/* Now and then the node is down already when its turn comes. */
static void strike_up(struct server *s, const struct fault *f)
{
    switch (f->kind) {
    case FAULT_KILL:
        server_kill(s, false);
        return;
    case FAULT_POWER_CUT:
        server_kill(s, true);
        return;
    case FAULT_STOP:
        server_stop(s);
        return;
    case FAULT_CRASH_AT_IO:
        sim_crash_at_io(s->node, f->n, f->factor);
        return;
    case FAULT_DISK_ERROR:
        sim_fail_at(s->node, f->n, -EIO);
        return;
    case FAULT_PAUSE:
        sim_node_pause(s->node, end_of(s->world, f));
        return;
    default:
        return;
    }
}

static uint64_t disk_used(struct sim_node *node)
{
    struct text dump = {0};
    struct str rest, line;
    uint64_t used = 0;
    int64_t n;

    sim_disk_dump(node, &dump);
    rest = text_str(&dump);
    while (str_cut(&rest, '\n', &line)) {
        const char *blank = line.n > 0 ? memrchr(line.p, ' ', (size_t)line.n) : NULL;
        if (blank != NULL &&
            str_to_i64((struct str){blank + 1, (int32_t)(line.p + line.n - blank - 1)}, 0, INT64_MAX, &n) == 0)
            used += ((uint64_t)n + 4095) / 4096 * 4096;
    }
    text_deinit(&dump);
    return used;
}

static void strike(struct server *s, const struct fault *f)
{
    struct world *w = s->world;

    if (server_is_up(s))
        strike_up(s, f);
    if (f->kind == FAULT_SLOW_DISK)
        sim_disk_slow(s->node, f->factor, world_now_ns(w) + f->lasts_ns);
    if (f->kind == FAULT_RESET && victim(w, f) != NULL)
        sim_net_reset(victim(w, f)->node, s->node);
    if (f->kind == FAULT_DISK_FULL)
        sim_disk_limit(s->node, disk_used(s->node) + f->n);
    if (f->kind == FAULT_DIR)
        sim_fail_in(s->node, world_dirs[f->n]);
    if (f->kind == FAULT_CLOCK)
        sim_node_wall(s->node, (int64_t)f->n - 10000, (int32_t)f->factor * 100);
}

static void fault_strikes(struct sim *sim, void *arg)
{
    struct strike *s = arg;
    struct world *w = s->world;
    struct fault *f = s->fault;

    if (w->calm_ns != 0) {
        free(s);
        return;
    }
    if (f->aim != AIM_PROPOSER)
        take_aim(w, f);
    w->played.faults[f->kind]++;
    note(w, "fault %d of nodes %#x", (int)f->kind, f->nodes);
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (strikes(f, i))
            strike(&w->servers[i], f);
    }
    cut_or_heal(w, f, false);
    if (f->kind == FAULT_ROLL)
        roll_on(sim, s);
    else
        sim_at(sim, world_now_ns(w) + f->lasts_ns, fault_ends, s);
}

/* ---- when somebody asks for another ISR ---------------------------------------------------------- */

/* All that wait strike him. A link of his is the one to the controller that he asks, or to any node. */
static void asked_for_isr(struct world *w, uint32_t asker, uint32_t asked)
{
    while (!list_empty(&w->waiting)) {
        struct strike *s = container_of(list_take_head(&w->waiting), struct strike, waits);
        s->fault->nodes = 1u << asker;
        if (s->fault->kind == FAULT_LINK && s->fault->n % 2 == 0)
            s->fault->n = asked;
        sim_at(w->sim, world_now_ns(w) + s->fault->after_ns, fault_strikes, s);
    }
}

static uint32_t place_of(const struct world *w, const struct sim_node *node)
{
    uint32_t at = 0;

    while (at < w->plan.node_count && w->servers[at].node != node)
        at++;
    return at;
}

/* A request begins with its length and its API key. */
static void overheard(void *arg, struct sim_node *from, struct sim_node *to, struct bytes first)
{
    struct world *w = arg;
    uint32_t asker = place_of(w, from), asked = place_of(w, to);

    if (first.n > 6 && get_u16(first.p + 4) == API_ALTER_PARTITION && asker < w->plan.node_count &&
        asked < w->plan.node_count)
        asked_for_isr(w, asker, asked);
}

static void fault_waits(struct sim *sim, void *arg)
{
    struct strike *s = arg;

    if (s->world->calm_ns != 0)
        free(s);
    else
        list_add_tail(&s->world->waiting, &s->waits);
}

/* ---- all of them --------------------------------------------------------------------------------- */

void faults_begin(struct world *w)
{
    sim_net_overhear(w->sim, overheard, w);
    for (uint32_t i = 0; i < w->plan.fault_count; i++) {
        struct strike *s = calloc(1, sizeof *s);
        ASSERT(s != NULL);
        *s = (struct strike){.world = w, .fault = &w->plan.faults[i]};
        sim_at(w->sim, world_now_ns(w) + s->fault->at_ns,
               s->fault->aim == AIM_PROPOSER ? fault_waits : fault_strikes, s);
    }
}

static void heal(struct server *s)
{
    sim_disk_slow(s->node, 1, world_now_ns(s->world));
    sim_fail_in(s->node, NULL);
    sim_disk_limit(s->node, UINT64_C(64) << 30);
    if (!server_is_up(s))
        return;
    sim_crash_at_io(s->node, 0, SIM_CRASH_KILL);
    sim_fail_at(s->node, 0, 0);
}

void faults_heal(struct world *w)
{
    sim_net_overhear(w->sim, NULL, NULL);
    while (!list_empty(&w->waiting))
        free(container_of(list_take_head(&w->waiting), struct strike, waits));
    sim_calm(w->sim);
    sim_net_latency(w->sim, 0);
    sim_net_heal_all(w->sim);
    for (uint32_t i = 0; i < w->plan.node_count; i++)
        heal(&w->servers[i]);
}
