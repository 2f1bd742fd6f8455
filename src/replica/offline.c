/* Replicas of a log directory that has failed: they have no log any more, until a restart finds the directory well. */
#include "replica/internal.h"

#include <stdlib.h>

/* A log that is closed aside. It calls its replica to its end. */
struct burial {
    struct op op;
    struct replica *replica; /* held */
};

static void burial_done(struct op *op, int64_t result)
{
    struct burial *b = container_of(op, struct burial, op);
    struct replicas *rs = b->replica->set;
    struct apply *waiting = rs->buried;

    replica_release(b->replica);
    free(b);
    if (--rs->burials > 0 || waiting == NULL)
        return;
    rs->buried = NULL;
    apply_go_on(waiting);
}

static void bury(struct replica *r, struct log *log)
{
    struct burial *b = calloc(1, sizeof *b);

    ASSERT(b != NULL);
    b->replica = r;
    replica_hold(r);
    r->set->burials++;
    op_init(&b->op, burial_done);
    log_close(log, &b->op);
}

void replica_go_offline(struct replica *r)
{
    struct log *log = r->log;

    if (r->offline)
        return;
    if (log != NULL)
        replica_tell_leading(r, false);
    r->offline = true;
    r->set->offline_count++;
    r->log = NULL;
    waits_fail(r, KERR_KAFKA_STORAGE_ERROR);
    if (log != NULL)
        bury(r, log);
}

void replicas_dir_failed(struct replicas *rs, const struct log_dir *dir)
{
    MAP_EACH (node, &rs->by_id) {
        struct replica *r = container_of(node, struct replica, node);
        if (r->dir == dir && r->log != NULL) /* one that is being opened looks by itself */
            replica_go_offline(r);
    }
}
