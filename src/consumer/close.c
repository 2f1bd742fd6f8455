/* A consumer's end: commit what is done, leave the group, close connections; by the time that it was given. */
#include "consumer/membership.h"

#include <stdlib.h>

static void commit_ended(struct consumer *c, int64_t result)
{
    struct op *waits = c->commit_waits;

    c->close_result = result;
    c->commit_waits = NULL;
    waits->done(waits, result);
}

/* What is done, once more: also where a commit is under way already, for that may be of less. */
static void last_commit(struct consumer *c)
{
    int64_t left_ms = (c->close_ns - io_now_ns(c->io)) / NS_PER_MS;

    c->commit_waits = &c->close.op;
    commit_done(c, left_ms > 0 ? left_ms : 0, commit_ended);
}

static bool has_to_commit(const struct consumer *c)
{
    return c->settings.enable_auto_commit && !str_is_null(c->settings.group_id) && commit_is_due(c);
}

/* Time is up: what waits for an answer does not wait any longer. */
static void too_late(struct io_timer *t)
{
    struct consumer *c = container_of(t, struct consumer, close_timer);

    LIST_EACH(it, &c->commits)
        commit_stop(container_of(it, struct commit, node), -ETIMEDOUT);
    if (c->group != NULL) {
        LIST_EACH(it, &c->group->calls)
            client_cancel(&container_of(it, struct membership_call, node)->wire);
    }
}

/* Those of the group that nobody waits for. */
static void end_group_calls(struct consumer *c)
{
    if (c->group == NULL)
        return;
    LIST_EACH(it, &c->group->calls) {
        struct membership_call *call = container_of(it, struct membership_call, node);
        if (call->act != MEMBER_SEND_LEAVE)
            client_cancel(&call->wire);
    }
}

static void end_calls(struct consumer *c)
{
    LIST_EACH(it, &c->queries)
        query_stop(container_of(it, struct query, node), ERR_CLOSED);
    LIST_EACH(it, &c->commits) {
        struct commit *m = container_of(it, struct commit, node);
        if (m->call != NULL)
            commit_stop(m, ERR_CLOSED);
    }
    end_group_calls(c);
}

static bool has_calls(const struct consumer *c)
{
    return !list_empty(&c->queries) || !list_empty(&c->commits) ||
           (c->group != NULL && !list_empty(&c->group->calls));
}

/* Chunks that are held outlive the consumer. */
static void let_go_of_chunks(struct consumer *c)
{
    LIST_EACH(it, &c->chunks) {
        struct chunk *k = container_of(it, struct chunk, all);
        list_remove(&k->all);
        k->consumer = NULL;
    }
    LIST_EACH(it, &c->fetches) {
        struct fetch *f = container_of(it, struct fetch, list);
        list_remove(&f->list);
        f->consumer = NULL;
    }
}

static void consumer_free(struct consumer *c)
{
    ASSERT(list_empty(&c->queries) && list_empty(&c->commits));
    io_timer_clear(&c->timer);
    io_timer_clear(&c->close_timer);
    nodes_free(c);
    tp_set_free(&c->assigned);
    map_deinit(&c->parts);
    arena_deinit(&c->texts);
    free(c);
}

static void close_run(struct flow *f)
{
    struct consumer *c = container_of(f, struct consumer, close);
    struct tp_set none = {0};
    struct op *parent;
    int64_t result;

    FLOW_BEGIN(f);
    if (has_to_commit(c))
        FLOW_WAIT(f, "commit", last_commit(c));
    end_calls(c);
    FLOW_WAIT(f, "leave the group", membership_leave(c, &f->op));
    consumer_set_assigned(c, &none);
    end_group_calls(c); /* also a join that was under way */
    while (has_calls(c))
        FLOW_WAIT(f, "calls", io_yield(c->io, &f->op));
    membership_free(c->group);
    c->group = NULL;
    let_go_of_chunks(c);
    client_unwatch(&c->watch);
    FLOW_WAIT(f, "connections", client_close(c->client, &f->op));
    FLOW_END(f);
    parent = f->parent;
    result = c->close_result;
    consumer_free(c);
    parent->done(parent, result);
}

void consumer_close(struct consumer *c, int64_t timeout_ms, struct op *op)
{
    ASSERT(!c->closing);
    c->closing = true;
    c->close_ns = io_now_ns(c->io) + timeout_ms * NS_PER_MS;
    io_timer_set(c->io, &c->close_timer, c->close_ns, too_late);
    consumer_poke(c);
    flow_start(&c->close, close_run, op);
}
