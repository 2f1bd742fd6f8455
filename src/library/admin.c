/* mr_admin: its life; an answer from the question to its end. */
#include <errno.h>
#include <stdlib.h>

#include "library/admin.h"

/* ---- open and close ----------------------------------------------------------------------------- */

struct open_job {
    struct job job;
    struct mr_admin *a;
    const struct config *config;
    struct fail fail;
};

static void open_begin(struct job *j)
{
    struct open_job *o = container_of(j, struct open_job, job);
    struct mr_loop *l = o->a->handle.loop;
    struct admin_options options;
    int rc = admin_options_read(o->config, &options, &o->fail);

    if (rc == 0) {
        o->a->api_timeout_ms = (int32_t)options.api_timeout_ms;
        o->a->asks_controllers = options.client.bootstrap_controllers;
        o->a->admin = admin_new(l->io, l->telemetry, &options, &o->fail);
    }
    if (o->a->admin != NULL)
        o->a->handle.client = admin_client(o->a->admin);
    job_done(j, o->a->admin == NULL ? o->fail.error : 0);
}

static int open_on_loop(struct mr_admin *a, const struct config *c, struct mr_error *e)
{
    struct open_job *o = job_new(a->handle.loop, sizeof *o, open_begin);

    if (o == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_admin_open");
    o->a = a;
    o->config = c;
    job_run(&o->job, -1);
    int rc = o->job.result < 0 ? error_fail(e, &o->fail) : 0;
    free(o);
    return rc;
}

struct mr_admin *mr_admin_open(const struct mr_settings *s, struct mr_loop *loop, struct mr_error *e)
{
    struct config *c = settings_config(s, &admin_settings, e);
    struct mr_admin *a = c == NULL ? NULL : calloc(1, sizeof *a);

    if (a == NULL || handle_init(&a->handle, loop, e) < 0) {
        free(a);
        config_free(c);
        return NULL;
    }
    list_init(&a->answers);
    int rc = open_on_loop(a, c, e);
    config_free(c);
    if (rc == 0)
        return a;
    handle_deinit(&a->handle);
    free(a);
    return NULL;
}

struct close_job {
    struct job job;
    struct mr_admin *a;
};

static void close_when_quiet(struct mr_admin *a)
{
    struct job *j = a->closing;

    if (j == NULL || !list_empty(&a->answers))
        return;
    a->closing = NULL;
    admin_close(a->admin, &j->op);
}

static void close_begin(struct job *j)
{
    struct mr_admin *a = container_of(j, struct close_job, job)->a;

    a->closing = j;
    LIST_EACH (node, &a->answers)
        admin_cancel(&container_of(node, struct mr_answer, node)->call);
    close_when_quiet(a);
}

int mr_admin_close(struct mr_admin *a, struct mr_error *e)
{
    if (a == NULL)
        return 0;
    TRY(handle_check(&a->handle, e));
    if (loop_is_here(a->handle.loop))
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a hook must not close its handle");
    struct close_job *c = job_new(a->handle.loop, sizeof *c, close_begin);
    if (c == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_admin_close");
    c->a = a;
    job_run(&c->job, -1);
    free(c);
    handle_deinit(&a->handle);
    free(a);
    return 0;
}

struct health_job {
    struct job job;
    struct mr_admin *a;
    struct mr_health *out;
};

static void health_begin(struct job *j)
{
    struct health_job *h = container_of(j, struct health_job, job);
    struct client_health health;

    client_health(h->a->handle.client, &health);
    health_of(&health, io_now_ns(h->a->handle.loop->io), h->out);
    job_done(j, 0);
}

void mr_admin_health(struct mr_admin *a, struct mr_health *out)
{
    *out = (struct mr_health){.state = MR_FAILED};
    if (handle_check(&a->handle, NULL) < 0)
        return;
    struct health_job *h = job_new(a->handle.loop, sizeof *h, health_begin);
    if (h == NULL)
        return;
    h->a = a;
    h->out = out;
    if (loop_is_here(a->handle.loop))
        health_begin(&h->job);
    else
        job_run(&h->job, -1);
    free(h);
}

/* ---- the end of an answer ------------------------------------------------------------------------- */

static void answer_delete(struct mr_answer *r)
{
    arena_deinit(&r->arena);
    free(r->rows);
    free(r);
}

/* Trouble of the call, in the caller's form. */
static void set_trouble(struct mr_answer *r, int trouble)
{
    struct mr_error *e = &r->error;

    if (trouble == -ECANCELED && r->admin->closing != NULL) {
        error_set(e, MR_CLOSED, MR_CLOSE, !r->call.indefinite, "%s: the admin was closed", r->verb->name);
    } else if (trouble == ERR_VERSION) {
        error_set(e, MR_BROKER, MR_REPAIR, true, "%s", r->call.fail.text);
        e->kafka_code = KERR_UNSUPPORTED_VERSION;
    } else if (trouble == -ENOENT) {
        error_set(e, MR_INVALID, MR_REPAIR, true, "%s", r->call.fail.text);
    } else {
        error_fail(e, &r->call.fail);
        e->definite = !r->call.indefinite;
    }
}

/* Of the caller from now on, who is told; or nobody's any more. */
static void answer_ended(struct mr_answer *r)
{
    struct mr_admin *a = r->admin;
    struct mr_loop *l = r->loop;
    const struct mr_how how = r->how; /* who waits may free `r` as soon as it has ended */

    list_remove(&r->node);
    lock_take(&l->lock);
    bool left = r->left;
    atomic_store_explicit(&r->ended, true, memory_order_release);
    changed_tell(&l->changed);
    lock_leave(&l->lock);
    if (left) {
        if (r->left_arrived)
            answer_delete(r);
    } else if (how.done != NULL) {
        how.done(how.ctx, r);
    }
    close_when_quiet(a);
}

static void send(struct mr_answer *r);

static void call_done(struct op *op, int64_t result)
{
    struct mr_answer *r = container_of(op, struct mr_answer, op);
    const struct answer_verb *verb = r->verb;

    for (uint32_t i = 0; i < r->call.part_count; i++) {
        const struct admin_part *p = r->call.parts[i];
        if (p->response != NULL)
            verb->take(r, p, p->response);
    }
    bool again = verb->again != NULL && verb->again(r, result);
    if (!again && result < 0)
        set_trouble(r, (int)result);
    admin_call_release(&r->call);
    if (again)
        send(r);
    else
        answer_ended(r);
}

static void send(struct mr_answer *r)
{
    int64_t left_ms = r->deadline_ms - clock_ms();

    r->call.timeout_ms = left_ms < 1 ? 1 : left_ms;
    op_init(&r->op, call_done);
    admin_send(r->admin->admin, &r->call, r->verb->api_key, r->request, &r->op);
    if (r->left_arrived || r->admin->closing != NULL)
        admin_cancel(&r->call);
}

static void begun(struct io *io, struct io_message *m)
{
    struct mr_answer *r = container_of(m, struct mr_answer, begin);

    list_add_tail(&r->admin->answers, &r->node);
    if (r->error.code == MR_OK)
        send(r);
    else
        answer_ended(r);
}

static void leave_arrived(struct io *io, struct io_message *m)
{
    struct mr_answer *r = container_of(m, struct mr_answer, leave);

    r->left_arrived = true;
    if (atomic_load_explicit(&r->ended, memory_order_relaxed))
        answer_delete(r);
    else
        admin_cancel(&r->call);
}

/* ---- asking ----------------------------------------------------------------------------------------- */

void answer_renew(struct mr_answer *r, const struct answer_verb *verb)
{
    const struct message *m = api_find(verb->api_key)->request;

    r->verb = verb;
    r->request = answer_array(r, 1, message_struct_bytes(m));
    message_init(m, r->request);
}

struct mr_answer *answer_new(struct mr_admin *a, const struct answer_verb *verb, const struct mr_how *how)
{
    struct mr_answer *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->admin = a;
    r->loop = a->handle.loop;
    r->name = verb->name;
    r->begin.run = begun;
    r->leave.run = leave_arrived;
    if (how != NULL)
        r->how = *how;
    if (r->how.timeout_ms == 0)
        r->how.timeout_ms = a->api_timeout_ms;
    else if (r->how.timeout_ms < 0)
        r->how.timeout_ms = INT32_MAX; /* 24 days */
    r->deadline_ms = clock_ms() + r->how.timeout_ms;
    arena_init(&r->arena, 0);
    answer_renew(r, verb);
    return r;
}

struct mr_answer *answer_ask(struct mr_answer *r)
{
    struct mr_error e;

    if (handle_check(&r->admin->handle, &e) < 0) {
        r->error = e;
        atomic_store_explicit(&r->ended, true, memory_order_release);
        return r;
    }
    io_epoll_post(r->loop->world, 0, &r->begin);
    return r;
}

int32_t answer_timeout_ms(const struct mr_answer *r)
{
    return r->how.timeout_ms > INT32_MAX ? INT32_MAX : (int32_t)r->how.timeout_ms;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static bool has_ended(const struct mr_answer *r)
{
    return atomic_load_explicit(&r->ended, memory_order_acquire);
}

static void wait_for(struct mr_answer *r, int64_t until_ms)
{
    struct mr_loop *l = r->loop;

    if (!l->is_own) { /* who waits is the loop */
        while (!has_ended(r)) {
            int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_ms();
            if (until_ms >= 0 && left_ms <= 0)
                return;
            mr_loop_run(l, left_ms, NULL);
        }
        return;
    }
    lock_take(&l->lock);
    while (!has_ended(r) && changed_wait(&l->changed, &l->lock, until_ms)) {
    }
    lock_leave(&l->lock);
}

int mr_answer_wait(struct mr_answer *r, int64_t timeout_ms, struct mr_error *e)
{
    if (r == NULL)
        return error_of_trouble(e, -ENOMEM, "an admin's call");
    if (!has_ended(r)) {
        TRY(handle_check_wait(&r->admin->handle, timeout_ms, e));
        if (timeout_ms != 0)
            wait_for(r, timeout_ms < 0 ? -1 : clock_ms() + timeout_ms);
    }
    if (!has_ended(r))
        return error_set(e, MR_TIMED_OUT, MR_RETRY, false, "%s has not ended yet", r->name);
    if (r->error.code == MR_OK)
        return r->failed > INT32_MAX ? INT32_MAX : (int)r->failed;
    if (e != NULL)
        *e = r->error;
    return r->error.code;
}

void mr_answer_free(struct mr_answer *r)
{
    if (r == NULL)
        return;
    if (!has_ended(r)) {
        if (loop_is_forked(r->loop))
            return; /* the parent's thread would have ended it */
        lock_take(&r->loop->lock);
        r->left = !has_ended(r);
        bool left = r->left;
        lock_leave(&r->loop->lock);
        if (left) {
            io_epoll_post(r->loop->world, 0, &r->leave);
            return;
        }
    }
    answer_delete(r);
}
