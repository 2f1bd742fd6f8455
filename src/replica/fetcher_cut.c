/* A follower's log is cut, or begins anew: by the log, alone, while the partition is in no Fetch. Whoever else needs
 * the log for itself (a role, an end) waits: cut_wait. A move ends first, because its copy has what is cut; it begins
 * again afterwards.
 */
#include "replica/fetcher.h"

#include <stdlib.h>

struct cut {
    struct flow flow;
    struct replica *replica; /* held */
    int64_t offset;
    bool anew;
    struct text records;     /* to be appended then */
    int64_t end_before;
    int32_t epoch_before;
    struct log_dir *to;      /* where the replica moves then; NULL nowhere */
    struct op *ended;
};

static void end_move(struct cut *c, struct op *op)
{
    struct replica *r = c->replica;

    if (c->to == NULL)
        c->to = r->next_dir != NULL ? r->next_dir : move_target(r);
    move_end(r, false, op);
}

static void cut_log(struct cut *c, struct op *op)
{
    struct log *log = c->replica->log;

    if (log == NULL)
        io_yield(c->replica->set->options.io, op);
    else if (c->anew)
        log_restart_at(log, c->offset, op);
    else
        log_truncate(log, c->offset, op);
}

/* Nothing below the first offset is there any more, wherever that was lost. */
static void take_marks(struct replica *r, bool anew)
{
    struct replication_outcome out;

    replication_cut(&r->replication, log_end(r->log));
    if (anew)
        replication_follow(&r->replication, log_start(r->log), log_end(r->log), &out);
}

/* A leader that says the same again would have it cut for ever. */
static bool was_in_vain(const struct cut *c)
{
    const struct log *log = c->replica->log;

    return log_end(log) == c->end_before && log_latest_epoch(log) == c->epoch_before;
}

static void go_on(struct cut *c)
{
    struct replica *r = c->replica;
    struct following *p = r->following;

    if (r->log == NULL)
        return;
    take_marks(r, c->anew);
    if (p == NULL)
        return;
    if (c->to != NULL)
        (void)replica_move(r, c->to);
    if (c->records.n > 0)
        following_append(p, bytes_of_str(text_str(&c->records)));
    else if (was_in_vain(c))
        following_wait(p);
    else
        following_begin(p);
    fetcher_pump(p->fetcher);
}

static void cut_run(struct flow *f)
{
    struct cut *c = container_of(f, struct cut, flow);
    struct replica *r = c->replica;
    struct replicas *rs = r->set;

    FLOW_BEGIN(f);
    while (r->move != NULL)
        FLOW_WAIT(f, "end its move", end_move(c, &f->op));
    FLOW_WAIT(f, "cut the log", cut_log(c, &f->op)); /* what fails here has taken the directory offline */
    FLOW_END(f);
    r->cut = NULL;
    if (f->result >= 0)
        go_on(c);
    if (c->ended != NULL)
        io_complete(rs->options.io, c->ended, 0);
    text_deinit(&c->records);
    free(c);
    replica_release(r);
    aside_ended(rs); /* the last: the set may be gone then */
}

void following_cut(struct following *p, int64_t offset, bool anew, struct bytes records)
{
    struct replica *r = p->replica;
    struct cut *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    ASSERT(r->cut == NULL);
    following_set_state(p, FOLLOWING_CUT);
    *c = (struct cut){
        .replica = r,
        .offset = offset,
        .anew = anew,
        .end_before = log_end(r->log),
        .epoch_before = log_latest_epoch(r->log),
    };
    if (records.n > 0)
        text_add(&c->records, records.p, (size_t)records.n);
    r->cut = c;
    replica_hold(r);
    aside_begun(r->set);
    flow_start(&c->flow, cut_run, NULL);
}

void cut_wait(struct replica *r, struct op *op)
{
    ASSERT(r->cut->ended == NULL);
    r->cut->ended = op;
}

void cut_then_move(struct replica *r, struct log_dir *dir)
{
    r->cut->to = dir;
}
