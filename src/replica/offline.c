/* Replicas of a log directory that has failed: they have no log any more, until a restart finds the directory well. */
#include "replica/internal.h"

#include <stdlib.h>

void aside_begun(struct replicas *rs)
{
    rs->asides++;
}

void aside_ended(struct replicas *rs)
{
    struct apply *waiter = rs->asides_waiter;

    ASSERT(rs->asides > 0);
    if (--rs->asides > 0 || waiter == NULL)
        return;
    rs->asides_waiter = NULL;
    apply_go_on(waiter);
}

/* A log that is closed aside. It calls its replica to its end. */
struct burial {
    struct op op;
    struct replica *replica; /* held */
};

static void burial_done(struct op *op, int64_t result)
{
    struct burial *b = container_of(op, struct burial, op);
    struct replicas *rs = b->replica->set;

    replica_release(b->replica);
    free(b);
    aside_ended(rs);
}

static void bury(struct replica *r, struct log *log)
{
    struct burial *b = calloc(1, sizeof *b);

    ASSERT(b != NULL);
    b->replica = r;
    replica_hold(r);
    aside_begun(r->set);
    op_init(&b->op, burial_done);
    log_close(log, &b->op);
}

void replica_go_offline(struct replica *r)
{
    struct log *log = r->log;

    if (r->offline)
        return;
    fetcher_leave(r);
    if (log != NULL)
        replica_tell_leading(r, false);
    r->offline = true;
    r->set->offline_count++;
    r->log = NULL;
    waits_fail(r);
    if (r->move != NULL)
        move_cancel(r, true);
    if (log != NULL)
        bury(r, log);
}

void replicas_dir_failed(struct replicas *rs, const struct log_dir *dir)
{
    MAP_EACH (node, &rs->by_id) {
        struct replica *r = container_of(node, struct replica, node);
        if (r->dir == dir && r->log != NULL) /* one that is being opened looks by itself */
            replica_go_offline(r);
        moves_dir_failed(r, dir);
    }
}
