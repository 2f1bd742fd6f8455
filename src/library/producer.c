/* mr_producer: appends by any thread under the handle's lock; all else on the loop's thread.
 *
 *   mr_produce ── lock ──► producer_append ── wake ──► producer_run      (room producer)
 *              ◄─ room ──                   ◄─ lock ──
 */
#include <stdlib.h>

#include "library/producer.h"

/* ---- errors ----------------------------------------------------------------------------------- */

static enum mr_advice advice_of(enum producer_advice advice)
{
    switch (advice) {
    case PRODUCER_FINE:
        return MR_FINE;
    case PRODUCER_RETRY:
        return MR_RETRY;
    case PRODUCER_GIVE_UP:
        return MR_REPAIR;
    case PRODUCER_ABORT:
        return MR_CLOSE;
    }
    UNREACHABLE("an advice that nobody gives");
}

static void error_of(const struct producer_error *from, struct mr_error *e)
{
    *e = (struct mr_error){0};
    if (from->code == KERR_NONE)
        return;
    error_set(e, MR_BROKER, advice_of(from->advice), from->definite, "%.*s", STR_ARG(from->text));
    e->kafka_code = from->code;
}

/* ---- hooks: on the loop's thread --------------------------------------------------------------- */

static void told_acked(void *ctx, const struct producer_ack *ack)
{
    struct mr_producer *p = ctx;
    struct mr_ack a = {
        .topic = (struct mr_topic *)ack->topic,
        .topic_name = ack->topic_name.p,
        .partition = ack->partition,
        .count = ack->count,
        .base_offset = ack->base_offset,
        .append_time_ms = ack->append_time_ms,
        .tags = ack,
    };

    error_of(&ack->error, &a.error);
    p->hooks.acked(p->hooks.ctx, &a);
}

uint64_t mr_ack_tag(const struct mr_ack *ack, int32_t i)
{
    return producer_ack_tag(ack->tags, i);
}

static void told_room(void *ctx)
{
    struct mr_producer *p = ctx;

    lock_take(&p->handle.lock);
    changed_tell(&p->handle.changed);
    lock_leave(&p->handle.lock);
    if (p->hooks.room != NULL)
        p->hooks.room(p->hooks.ctx);
}

static void told_fatal(void *ctx, const struct producer_error *error)
{
    struct mr_producer *p = ctx;
    struct mr_error e;

    error_of(error, &e);
    lock_take(&p->handle.lock); /* who waits for room finds that there will be none */
    changed_tell(&p->handle.changed);
    lock_leave(&p->handle.lock);
    if (p->hooks.fatal != NULL)
        p->hooks.fatal(p->hooks.ctx, &e);
}

static void woken(struct io *io, struct io_message *m)
{
    struct mr_producer *p = container_of(m, struct mr_producer, wake);

    atomic_store_explicit(&p->waking, false, memory_order_release);
    producer_run(p->producer);
}

static void told_wake(void *ctx)
{
    struct mr_producer *p = ctx;

    if (atomic_exchange_explicit(&p->waking, true, memory_order_acquire))
        return; /* it may have run by a timer meanwhile, and ask anew */
    io_epoll_post(p->handle.loop->world, 0, &p->wake);
}

static void told_lock(void *ctx)
{
    lock_take(&((struct mr_producer *)ctx)->handle.lock);
}

static void told_unlock(void *ctx)
{
    lock_leave(&((struct mr_producer *)ctx)->handle.lock);
}

static void ignore_acked(void *ctx, const struct mr_ack *ack) {}

/* ---- open and close ----------------------------------------------------------------------------- */

struct open_job {
    struct job job;
    struct mr_producer *p;
    const struct config *config;
    struct fail fail;
    int rc;
};

static void open_ended(struct op *op, int64_t result)
{
    struct open_job *o = container_of(op, struct open_job, job.op);

    job_done(&o->job, o->rc);
}

static void open_begin(struct job *j)
{
    struct open_job *o = container_of(j, struct open_job, job);
    struct mr_producer *p = o->p;
    struct mr_loop *l = p->handle.loop;
    struct client_settings client;
    struct producer_settings settings;
    const struct producer_hooks hooks = {
        .acked = told_acked,
        .room = told_room,
        .fatal = told_fatal,
        .wake = told_wake,
        .lock = told_lock,
        .unlock = told_unlock,
    };

    o->rc = client_settings_read(o->config, &client, &o->fail);
    if (o->rc == 0)
        o->rc = producer_settings_read(o->config, &settings, &o->fail);
    if (o->rc == 0)
        p->handle.client = client_new(l->io, l->telemetry, &client, &o->fail);
    if (p->handle.client != NULL)
        p->producer = producer_new(l->io, p->handle.client, &settings, &hooks, p, &o->fail);
    if (p->producer != NULL) {
        job_done(j, 0);
        return;
    }
    o->rc = o->fail.error < 0 ? o->fail.error : fail_set(&o->fail, -ENOMEM, "no memory for a producer");
    op_init(&j->op, open_ended);
    if (p->handle.client != NULL)
        client_close(p->handle.client, &j->op);
    else
        job_done(j, o->rc);
}

static int open_on_loop(struct mr_producer *p, const struct config *c, struct mr_error *e)
{
    struct open_job *o = job_new(p->handle.loop, sizeof *o, open_begin);

    if (o == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_producer_open");
    o->p = p;
    o->config = c;
    job_run(&o->job, -1);
    int rc = o->job.result < 0 ? error_fail(e, &o->fail) : 0;
    free(o);
    return rc;
}

struct mr_producer *mr_producer_open(const struct mr_settings *s, const struct mr_producer_hooks *hooks,
                                     struct mr_loop *loop, struct mr_error *e)
{
    struct config *c = settings_config(s, &producer_settings, e);
    struct mr_producer *p = c == NULL ? NULL : calloc(1, sizeof *p);

    if (p == NULL || handle_init(&p->handle, loop, e) < 0) {
        free(p);
        config_free(c);
        return NULL;
    }
    if (hooks != NULL)
        p->hooks = *hooks;
    if (p->hooks.acked == NULL)
        p->hooks.acked = ignore_acked;
    p->wake.run = woken;
    int rc = open_on_loop(p, c, e);
    config_free(c);
    if (rc == 0)
        return p;
    handle_deinit(&p->handle);
    free(p);
    return NULL;
}

struct close_job {
    struct job job;
    struct mr_producer *p;
    int64_t timeout_ms, result;
};

static void client_closed(struct op *op, int64_t result)
{
    struct close_job *c = container_of(op, struct close_job, job.op);

    job_done(&c->job, c->result);
}

static void producer_closed(struct op *op, int64_t result)
{
    struct close_job *c = container_of(op, struct close_job, job.op);

    c->result = result;
    op_init(&c->job.op, client_closed);
    client_close(c->p->handle.client, &c->job.op);
}

static void close_begin(struct job *j)
{
    struct close_job *c = container_of(j, struct close_job, job);

    op_init(&j->op, producer_closed);
    producer_close(c->p->producer, c->timeout_ms < 0 ? INT32_MAX : c->timeout_ms, &j->op);
}

int mr_producer_close(struct mr_producer *p, int64_t timeout_ms, struct mr_error *e)
{
    struct close_job *c;

    if (p == NULL)
        return 0;
    TRY(handle_check(&p->handle, e));
    if (loop_is_here(p->handle.loop))
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a hook must not close its handle");
    c = job_new(p->handle.loop, sizeof *c, close_begin);
    if (c == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_producer_close");
    c->p = p;
    c->timeout_ms = timeout_ms;
    job_run(&c->job, -1); /* its own deadline ends it */
    int64_t result = c->job.result;
    free(c);
    handle_deinit(&p->handle);
    free(p);
    if (result == -ETIMEDOUT)
        return error_set(e, MR_TIMED_OUT, MR_CLOSE, false,
                         "records were not acknowledged in time: their acknowledgements say which");
    return result < 0 ? error_of_end(e, (int)result, "mr_producer_close") : 0;
}
