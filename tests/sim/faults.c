/* Does to the node what the plan says, and heals it. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "client.h"

struct strike {
    struct world *world;
    const struct fault *fault;
};

static struct client *victim(struct world *w, const struct fault *f)
{
    return w->client_count == 0 ? NULL : w->clients[f->n % w->client_count];
}

static void cut(struct world *w, const struct fault *f, bool heal)
{
    struct client *c = victim(w, f);

    if (c == NULL)
        return;
    if ((f->factor & 1) != 0)
        (heal ? sim_net_heal : sim_net_cut)(c->node, w->node);
    if ((f->factor & 2) != 0)
        (heal ? sim_net_heal : sim_net_cut)(w->node, c->node);
}

static void fault_ends(struct sim *sim, void *arg)
{
    struct strike *s = arg;

    if (s->fault->kind == FAULT_CUT)
        cut(s->world, s->fault, true);
    if (s->fault->kind == FAULT_DISK_FULL)
        sim_disk_limit(s->world->node, UINT64_C(64) << 30);
    if (s->fault->kind == FAULT_DIR)
        sim_fail_in(s->world->node, NULL);
    free(s);
}

/* Now and then the node is down already when its turn comes. */
static void strike_up(struct world *w, const struct fault *f)
{
    switch (f->kind) {
    case FAULT_KILL:
        world_kill(w, false);
        return;
    case FAULT_POWER_CUT:
        world_kill(w, true);
        return;
    case FAULT_STOP:
        world_stop_node(w);
        return;
    case FAULT_CRASH_AT_IO:
        sim_crash_at_io(w->node, f->n, f->factor);
        return;
    case FAULT_DISK_ERROR:
        sim_fail_at(w->node, f->n, -EIO);
        return;
    default:
        return;
    }
}

static uint64_t disk_used(struct world *w)
{
    struct text dump = {0};
    struct str rest, line;
    uint64_t used = 0;
    int64_t n;

    sim_disk_dump(w->node, &dump);
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

static void fault_strikes(struct sim *sim, void *arg)
{
    struct strike *s = arg;
    struct world *w = s->world;
    const struct fault *f = s->fault;

    if (w->calm_ns != 0) {
        free(s);
        return;
    }
    note(w, "fault %d", (int)f->kind);
    if (sim_node_is_up(w->node))
        strike_up(w, f);
    if (f->kind == FAULT_SLOW_DISK)
        sim_disk_slow(w->node, f->factor, world_now_ns(w) + f->lasts_ns);
    if (f->kind == FAULT_RESET && victim(w, f) != NULL)
        sim_net_reset(victim(w, f)->node, w->node);
    if (f->kind == FAULT_CUT)
        cut(w, f, false);
    if (f->kind == FAULT_DISK_FULL)
        sim_disk_limit(w->node, disk_used(w) + f->n);
    if (f->kind == FAULT_DIR)
        sim_fail_in(w->node, world_dirs[f->n]);
    sim_at(sim, world_now_ns(w) + f->lasts_ns, fault_ends, s);
}

void faults_begin(struct world *w)
{
    for (uint32_t i = 0; i < w->plan.fault_count; i++) {
        struct strike *s = calloc(1, sizeof *s);
        ASSERT(s != NULL);
        *s = (struct strike){w, &w->plan.faults[i]};
        sim_at(w->sim, s->fault->at_ns, fault_strikes, s);
    }
}

void faults_heal(struct world *w)
{
    sim_calm(w->sim);
    sim_net_heal_all(w->sim);
    sim_disk_slow(w->node, 1, world_now_ns(w));
    sim_fail_in(w->node, NULL);
    sim_disk_limit(w->node, UINT64_C(64) << 30);
    if (sim_node_is_up(w->node)) {
        sim_crash_at_io(w->node, 0, SIM_CRASH_KILL);
        sim_fail_at(w->node, 0, 0);
    }
}
