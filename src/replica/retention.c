/* What is done from time to time for all replicas of a shard, one after another: segments that have outlived
 * their topic's retention go, producers that are silent for long are forgotten.
 */
#include "replica/internal.h"

#include <stdlib.h>

struct pass {
    struct flow flow;
    struct replicas *rs;
    struct replica **replicas; /* held: sets change while a pass waits */
    uint32_t count, i;
    void (*visit)(struct replica *r, struct op *op);
};

static void pass_add(void *ctx, struct replica *r)
{
    struct pass *p = ctx;

    replica_hold(r);
    p->replicas[p->count++] = r;
}

static bool pass_goes_on(const struct pass *p)
{
    return p->i < p->count && !p->rs->passes_stopped;
}

static bool has_log(const struct pass *p)
{
    return p->replicas[p->i]->log != NULL;
}

static void note_trouble(const struct pass *p, int64_t result)
{
    const struct replica *r = p->replicas[p->i];

    if (result >= 0 || result == ERR_CLOSED || result == ERR_OFFLINE)
        return;
    say(p->rs->options.telemetry, LOG_WARN, "replica",
        "%s-%d in %s could not be looked through for old records: %s; the next check tries again", r->topic,
        r->partition, r->dir->path, error_text((int)result));
}

/* A turn for each: others run in between. */
static void pass_run(struct flow *f)
{
    struct pass *p = container_of(f, struct pass, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(p->rs->options.io, &f->op));
    for (; pass_goes_on(p); p->i++) {
        if (!has_log(p))
            continue;
        FLOW_WAIT(f, "a replica", p->visit(p->replicas[p->i], &f->op));
        note_trouble(p, f->result);
        fetcher_start_moved(p->replicas[p->i]);
    }
    FLOW_END(f);
    for (uint32_t i = 0; i < p->count; i++)
        replica_release(p->replicas[i]);
    free(p->replicas);
    flow_done(f, 0);
    free(p);
}

static void pass_start(struct replicas *rs, void (*visit)(struct replica *r, struct op *op), struct op *op)
{
    struct pass *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    p->rs = rs;
    p->visit = visit;
    p->replicas = calloc(rs->by_id.count + 1, sizeof(struct replica *));
    ASSERT(p->replicas != NULL);
    replicas_each(rs, pass_add, p);
    flow_start(&p->flow, pass_run, op);
}

static void retain(struct replica *r, struct op *op)
{
    log_retain(r->log, r->replication.high_watermark, op);
}

static void expire_producers(struct replica *r, struct op *op)
{
    log_expire_producers(r->log);
    io_yield(r->set->options.io, op);
}

void replicas_retain(struct replicas *rs, struct op *op)
{
    pass_start(rs, retain, op);
}

void replicas_expire_producers(struct replicas *rs, struct op *op)
{
    pass_start(rs, expire_producers, op);
}

void replicas_stop_passes(struct replicas *rs)
{
    rs->passes_stopped = true;
}
