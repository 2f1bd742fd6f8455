/* Who does the I/O: one thread of the process, or the caller in a loop of his own; and how other threads reach it. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

#include "library/internal.h"

#define NS_PER_MS 1000000

/* The process's I/O thread, while there are handles that need it. */
static struct {
    struct lock lock;
    struct mr_loop *loop;
} process;

atomic_uint process_forks;
static pthread_once_t watched = PTHREAD_ONCE_INIT;

static void child_begins(void)
{
    atomic_fetch_add_explicit(&process_forks, 1, memory_order_relaxed);
    process.lock = (struct lock){0}; /* whoever held it is not here */
    process.loop = NULL;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_begins);
}

/* ---- time ------------------------------------------------------------------------------------- */

int64_t clock_ms(void)
{
    return clock_read_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

void clocks_renew(struct clocks *c, const struct timespec *now)
{
    int64_t now_ns = timespec_ns(now);
    int64_t wall_ns = clock_read_ns(CLOCK_REALTIME);
    int64_t gone_ns = now_ns % NS_PER_MS > wall_ns % NS_PER_MS ? now_ns % NS_PER_MS : wall_ns % NS_PER_MS;

    c->now_ms = now_ns / NS_PER_MS;
    c->wall_ms = wall_ns / NS_PER_MS;
    /* The last of a second's milliseconds end with it. */
    c->until = (struct timespec){now->tv_sec, now->tv_nsec + NS_PER_MS - gone_ns};
}

/* ---- life ------------------------------------------------------------------------------------- */

static int loop_make(struct mr_loop **out)
{
    static const struct io_epoll_options guest = {.guest = true};
    struct mr_loop *l = calloc(1, sizeof *l);
    int rc = -ENOMEM;

    pthread_once(&watched, watch_forks);
    if (l == NULL)
        return rc;
    rc = io_epoll_new(1, &guest, &l->world);
    if (rc < 0) {
        free(l);
        return rc;
    }
    l->io = io_epoll_shard(l->world, 0);
    l->telemetry = telemetry_new(NULL); /* what there is to say is in errors and in the handles' health */
    l->forks = atomic_load_explicit(&process_forks, memory_order_relaxed);
    *out = l;
    return 0;
}

static void loop_free(struct mr_loop *l)
{
    io_epoll_free(l->world);
    telemetry_free(l->telemetry);
    free(l);
}

static void *io_thread(void *arg)
{
    struct mr_loop *l = arg;
    int rc = io_epoll_run(l->world, NULL, NULL);

    ASSERT(rc == 0); /* one shard starts no thread */
    return NULL;
}

/* The signals of the process are not for this thread. */
static int thread_start(struct mr_loop *l)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&l->thread, NULL, io_thread, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(l->thread, "millrace-io");
    return -error;
}

static int process_loop(struct mr_loop **out)
{
    if (process.loop == NULL) {
        struct mr_loop *l;
        TRY(loop_make(&l));
        l->is_own = true;
        int rc = thread_start(l);
        if (rc < 0) {
            loop_free(l);
            return rc;
        }
        process.loop = l;
    }
    process.loop->handles++;
    *out = process.loop;
    return 0;
}

int loop_enter(struct mr_loop *given, struct mr_loop **out)
{
    lock_take(&process.lock);
    int rc = 0;
    if (given == NULL)
        rc = process_loop(out);
    else
        (*out = given)->handles++;
    lock_leave(&process.lock);
    return rc;
}

void loop_leave(struct mr_loop *l)
{
    lock_take(&process.lock);
    bool last = --l->handles == 0 && l->is_own;
    if (last)
        process.loop = NULL;
    lock_leave(&process.lock);
    if (!last)
        return;
    io_epoll_stop(l->world);
    pthread_join(l->thread, NULL);
    loop_free(l);
}

/* ---- the caller's ----------------------------------------------------------------------------- */

static int check_loop(const struct mr_loop *l, struct mr_error *e)
{
    if (loop_is_forked(l))
        return error_set(e, MR_FORKED, MR_CLOSE, true, "the loop belongs to the parent process");
    return 0;
}

struct mr_loop *mr_loop_new(struct mr_error *e)
{
    struct mr_loop *l;
    int rc = loop_make(&l);

    if (rc == 0)
        rc = io_epoll_start(l->world, NULL, NULL);
    if (rc == 0)
        return l;
    error_of_trouble(e, rc, "mr_loop_new");
    return NULL;
}

int mr_loop_fd(const struct mr_loop *l)
{
    return io_epoll_fd(l->world);
}

int64_t mr_loop_due_ms(const struct mr_loop *l)
{
    int64_t due_ns = io_epoll_due_ns(l->world);

    return due_ns == INT64_MAX ? -1 : (due_ns + 999999) / 1000000;
}

static void turn(struct mr_loop *l, int64_t wait_ms)
{
    io_epoll_turn(l->world, wait_ms < 0 ? INT64_MAX / 2 : wait_ms * 1000000);
}

int mr_loop_run(struct mr_loop *l, int64_t timeout_ms, struct mr_error *e)
{
    TRY(check_loop(l, e));
    turn(l, timeout_ms);
    return 0;
}

void mr_loop_free(struct mr_loop *l)
{
    if (l == NULL || loop_is_forked(l))
        return;
    ASSERT(l->handles == 0);
    loop_free(l);
}

/* ---- jobs ------------------------------------------------------------------------------------- */

static void job_arrived(struct io *io, struct io_message *m)
{
    struct job *j = container_of(m, struct job, message);

    j->begin(j);
}

static void job_op_done(struct op *op, int64_t result)
{
    job_done(container_of(op, struct job, op), result);
}

void *job_new(struct mr_loop *l, size_t size_bytes, void (*begin)(struct job *j))
{
    struct job *j = calloc(1, size_bytes);

    if (j == NULL)
        return NULL;
    j->loop = l;
    j->begin = begin;
    j->message.run = job_arrived;
    op_init(&j->op, job_op_done);
    return j;
}

void job_done(struct job *j, int64_t result)
{
    struct mr_loop *l = j->loop;

    lock_take(&l->lock);
    bool left = j->left;
    j->result = result;
    j->done = true;
    changed_tell(&l->changed);
    lock_leave(&l->lock);
    if (left)
        free(j);
}

/* With a loop of the caller's, who waits is the loop. */
static void wait_inside(struct job *j, int64_t until_ms)
{
    while (!j->done) {
        int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_ms();
        if (until_ms >= 0 && left_ms <= 0)
            return;
        turn(j->loop, left_ms);
    }
}

static void wait_outside(struct job *j, int64_t until_ms)
{
    while (!j->done && changed_wait(&j->loop->changed, &j->loop->lock, until_ms)) {
    }
}

int job_run(struct job *j, int64_t timeout_ms)
{
    struct mr_loop *l = j->loop;
    int64_t until_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;

    io_epoll_post(l->world, 0, &j->message);
    if (!l->is_own)
        wait_inside(j, until_ms);
    lock_take(&l->lock);
    if (l->is_own)
        wait_outside(j, until_ms);
    bool done = j->done;
    j->left = !done;
    lock_leave(&l->lock);
    return done ? 0 : -ETIMEDOUT;
}

void job_start(struct job *j)
{
    j->left = true;
    io_epoll_post(j->loop->world, 0, &j->message);
}
