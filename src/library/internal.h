/* library/internal.h - what the files of this room share. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "client/client.h"
#include "io_epoll/io_epoll.h"
#include "library/lock.h"
#include <millrace/client.h>
#include "telemetry/telemetry.h"

/* ---- error.c: errors in the caller's form ----------------------------------------------------- */

/* All of them: `e` may be NULL; return `code`. */
int error_set(struct mr_error *e, enum mr_code code, enum mr_advice advice, bool definite, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Trouble: negative, of base/error.h or errno. `what` was tried; nothing has happened. */
int error_of_trouble(struct mr_error *e, int trouble, const char *what);
/* Likewise of a close, after which there is no handle. */
int error_of_end(struct mr_error *e, int trouble, const char *what);
/* The words are `f`'s. */
int error_fail(struct mr_error *e, const struct fail *f);
enum mr_code code_of_trouble(int trouble);

/* ---- settings.c ------------------------------------------------------------------------------- */

/* The settings that the table knows, as a config over it. NULL, and `e`. */
struct config *settings_config(const struct mr_settings *s, const struct config_table *table, struct mr_error *e);

/* ---- loop.c: who does the I/O ------------------------------------------------------------------ */

struct mr_loop {
    struct io_epoll_world *world;
    struct io *io;
    struct telemetry_sink sink;
    struct telemetry *telemetry;
    pthread_t thread;           /* that does the I/O; with a loop of the caller the one that is inside it */
    bool is_own;                /* the process's I/O thread */
    struct lock lock;           /* of all below, and of jobs */
    struct changed changed;     /* a job is done; for all who wait */
    uint32_t handles;
    uint32_t forks;             /* of the process, when it was made */
};

/* `given`, or the process's own I/O thread, with one handle more. -EINVAL ... */
MUST int loop_enter(struct mr_loop *given, struct mr_loop **out);
/* One handle less; the process's own ends with its last. By the caller's thread. */
void loop_leave(struct mr_loop *l);
/* The calling thread is the one that does the I/O: it must not wait for itself. */
static inline bool loop_is_here(const struct mr_loop *l)
{
    return l->is_own && pthread_equal(pthread_self(), l->thread);
}
extern atomic_uint process_forks; /* in this process and its forefathers, once somebody has asked */
static inline bool loop_is_forked(const struct mr_loop *l)
{
    return l->forks != atomic_load_explicit(&process_forks, memory_order_relaxed);
}

/* Something that is done on the loop's thread for a thread that waits. Embedded first in what it needs. Made with
 * job_new, ended by job_run. */
struct job {
    struct io_message message;
    struct op op;               /* to be given to an asynchronous call */
    struct mr_loop *loop;
    void (*begin)(struct job *j); /* on the loop's thread: ends with job_done, now or later */
    int64_t result;
    bool done, left;            /* left: nobody waits for it any more */
};
/* `size_bytes` with the struct job in front; NULL without memory. */
void *job_new(struct mr_loop *l, size_t size_bytes, void (*begin)(struct job *j));
void job_done(struct job *j, int64_t result);
/* Run it, and wait until it is done: 0, and the job is the caller's, who frees it. -ETIMEDOUT: it goes on by itself
 * and frees itself; it must not name memory of the caller's. timeout_ms as in L2. */
int job_run(struct job *j, int64_t timeout_ms);

/* Run it; nobody waits, and it frees itself. */
void job_start(struct job *j);

static inline int64_t timespec_ns(const struct timespec *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}
static inline int64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return timespec_ns(&now);
}
int64_t clock_ms(void); /* as io_now_ms */
/* Two clocks for the price of one: the second is looked at when one of them counts on. Zeroed at first. */
struct clocks {
    int64_t now_ms;   /* as clock_ms */
    int64_t wall_ms;  /* since 1970 */
    struct timespec until; /* both hold until then, within its second */
};
void clocks_renew(struct clocks *c, const struct timespec *now);
static inline void clocks_read(struct clocks *c)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (UNLIKELY(now.tv_nsec >= c->until.tv_nsec || now.tv_sec != c->until.tv_sec))
        clocks_renew(c, &now);
}

/* What every handle begins with. */
struct handle {
    struct mr_loop *loop;
    struct client *client;
    struct lock lock;
    struct changed changed;
};
MUST int handle_init(struct handle *h, struct mr_loop *given, struct mr_error *e);
void handle_deinit(struct handle *h);
int handle_is_forked(struct mr_error *e);
int handle_may_not_wait(struct mr_error *e);
/* MR_FORKED, or 0. */
static inline int handle_check(const struct handle *h, struct mr_error *e)
{
    return LIKELY(!loop_is_forked(h->loop)) ? 0 : handle_is_forked(e);
}
/* Likewise, and the call may wait. */
static inline int handle_check_wait(const struct handle *h, int64_t timeout_ms, struct mr_error *e)
{
    TRY(handle_check(h, e));
    return LIKELY(timeout_ms == 0 || !loop_is_here(h->loop)) ? 0 : handle_may_not_wait(e);
}
void health_of(const struct client_health *h, int64_t now_ns, struct mr_health *out);
