/* io_epoll/loop.c - one shard's loop: what is ready, in which order, and when to sleep. */
#include "io_epoll/inside.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256
#define SOON_ROUNDS_PER_TURN 8 /* a chain of sends may not keep a turn for ever */
#define NS_PER_S 1000000000

int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec;
}

/* ---- tasks ----------------------------------------------------------------------------- */

static struct shard *shard_of_op(struct op *op)
{
    return op->owner;
}

struct task *task_begin(struct shard *s, struct op *op)
{
    struct task *t = task_of(op);

    ASSERT(op->done != NULL);
    *t = (struct task){.state = TASK_IDLE};
    op->owner = s;
    op->node = (struct list){NULL, NULL};
    return t;
}

void task_list(struct op *op, int64_t result)
{
    struct task *t = task_of(op);

    t->state = TASK_LISTED;
    t->result = result;
    list_add_tail(&shard_of_op(op)->ready, &op->node);
}

void task_list_soon(struct op *op, int64_t result)
{
    struct task *t = task_of(op);

    t->state = TASK_LISTED;
    t->result = result;
    list_add_tail(&shard_of_op(op)->soon, &op->node);
}

void task_try(struct op *op)
{
    task_of(op)->state = TASK_TRY;
    list_add_tail(&shard_of_op(op)->ready, &op->node);
}

void task_must(struct op *op)
{
    task_of(op)->state = TASK_MUST;
    list_add_tail(&shard_of_op(op)->ready, &op->node);
}

void task_end(struct op *op, int64_t result)
{
    struct task *t = task_of(op);

    t->state = TASK_IDLE;
    t->result = result;
    if (t->finish != NULL)
        t->finish(op);
    op->done(op, result);
}

void task_cancel(struct op *op)
{
    struct task *t = task_of(op);

    switch ((enum task_state)t->state) {
    case TASK_IDLE:
    case TASK_MUST:
    case TASK_DISK:
    case TASK_LISTED:
        return;
    case TASK_TRY: /* stays where it is in the list */
        t->state = TASK_LISTED;
        t->result = -ECANCELED;
        return;
    case TASK_PARKED:
        if (t->cancel != NULL)
            t->cancel(op);
        else
            task_list(op, -ECANCELED);
        return;
    case TASK_POOL:
        if (pool_remove(op))
            task_list(op, -ECANCELED);
        return;
    }
    UNREACHABLE("state of a task");
}

void epoll_complete(struct io *io, struct op *op, int64_t result)
{
    task_begin(shard_of(io), op);
    task_list(op, result);
}

void epoll_cancel(struct io *io, struct op *op)
{
    task_cancel(op);
}

static void run_op(struct op *op)
{
    struct task *t = task_of(op);

    if (t->state == TASK_TRY || t->state == TASK_MUST)
        t->run(op);
    else
        task_end(op, t->result);
}

/* What is added meanwhile waits for the next turn. */
static void run_ready(struct shard *s)
{
    struct list batch = LIST_INIT(batch);
    struct list *node;

    list_move_all(&batch, &s->ready);
    while ((node = list_take_head(&batch)) != NULL)
        run_op(op_of_node(node));
}

static void run_soon(struct shard *s)
{
    for (uint32_t round = 0; round < SOON_ROUNDS_PER_TURN && !list_empty(&s->soon); round++) {
        struct list batch = LIST_INIT(batch);
        struct list *node;

        list_move_all(&batch, &s->soon);
        while ((node = list_take_head(&batch)) != NULL)
            run_op(op_of_node(node));
    }
    list_move_all(&s->ready, &s->soon);
}

/* ---- timers ---------------------------------------------------------------------------- */

/* Never due in the turn that sets it: a timer that sets itself to the past lets others run. */
void epoll_timer_set(struct io *io, struct io_timer *t, int64_t at_ns)
{
    struct shard *s = shard_of(io);

    if (at_ns <= io->now_ns)
        at_ns = io->now_ns + 1;
    if (io_timer_is_set(t))
        heap_remove(&s->timers, &t->node);
    heap_add(&s->timers, &t->node, at_ns);
}

void epoll_timer_clear(struct io *io, struct io_timer *t)
{
    heap_remove(&shard_of(io)->timers, &t->node);
}

static void run_timers(struct shard *s)
{
    struct heap_node *first;

    while ((first = heap_first(&s->timers)) != NULL && first->key <= s->io.now_ns) {
        struct io_timer *t = container_of(first, struct io_timer, node);
        heap_remove(&s->timers, first);
        t->fire(t);
    }
}

/* ---- other threads --------------------------------------------------------------------- */

static void wake_write(struct shard *s)
{
    uint64_t one = 1;

    /* The counter is never read: each write is an edge for epoll. It fails only when 2^64 - 1 is
     * reached. */
    while (write(s->wake.fd, &one, sizeof(one)) < 0)
        ASSERT(errno == EINTR);
}

void shard_wake(struct shard *s)
{
    pthread_mutex_lock(&s->inbox.lock);
    bool asleep = s->inbox.asleep;
    s->inbox.asleep = false;
    pthread_mutex_unlock(&s->inbox.lock);
    if (asleep)
        wake_write(s);
}

static void inbox_add(struct shard *s, struct list *to, struct list *node)
{
    pthread_mutex_lock(&s->inbox.lock);
    list_add_tail(to, node);
    bool asleep = s->inbox.asleep;
    s->inbox.asleep = false;
    pthread_mutex_unlock(&s->inbox.lock);
    if (asleep)
        wake_write(s);
}

void inbox_add_op(struct shard *s, struct op *op)
{
    inbox_add(s, &s->inbox.ops, &op->node);
}

/* To ourselves without the lock: all messages of one sender to one receiver take the same way, so
 * their order holds. */
void io_epoll_post(struct io_epoll_world *world, uint32_t shard, struct io_message *m)
{
    inbox_add(world->shards[shard], &world->shards[shard]->inbox.messages, &m->node);
}

void epoll_post(struct io *from, uint32_t shard, struct io_message *m)
{
    struct shard *s = shard_of(from);

    if (shard == from->shard)
        list_add_tail(&s->messages, &m->node);
    else
        inbox_add(s->world->shards[shard], &s->world->shards[shard]->inbox.messages, &m->node);
}

static void inbox_take(struct shard *s)
{
    struct list ops = LIST_INIT(ops);
    struct list *node;

    pthread_mutex_lock(&s->inbox.lock);
    s->inbox.asleep = false;
    list_move_all(&ops, &s->inbox.ops);
    list_move_all(&s->messages, &s->inbox.messages);
    pthread_mutex_unlock(&s->inbox.lock);

    while ((node = list_take_head(&ops)) != NULL) {
        struct op *op = op_of_node(node);
        task_list(op, task_of(op)->result);
    }
}

static void run_messages(struct shard *s)
{
    struct list batch = LIST_INIT(batch);
    struct list *node;

    list_move_all(&batch, &s->messages);
    while ((node = list_take_head(&batch)) != NULL) {
        struct io_message *m = container_of(node, struct io_message, node);
        m->run(&s->io, m);
    }
}

static void run_signals(struct shard *s)
{
    struct io_epoll_world *world = s->world;

    if (s->io.shard != 0)
        return;
    while (world->signals_pending != 0) {
        int signal = __builtin_ctz(world->signals_pending);
        world->signals_pending &= world->signals_pending - 1;
        world->on_signal(&s->io, signal, world->on_signal_arg);
    }
}

/* ---- epoll ----------------------------------------------------------------------------- */

int watch_add(struct shard *s, struct watch *w)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = w};

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) < 0)
        return -errno;
    w->added = true;
    return 0;
}

/* The kernel forgets a descriptor when it is closed: ours are never duplicated. */
void watch_close(struct watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    w->added = false;
}

void handle_add(struct shard *s, struct handle *h, void (*abandon)(struct handle *h))
{
    h->abandon = abandon;
    list_add_tail(&s->handles, &h->node);
}

void handle_remove(struct handle *h)
{
    list_remove(&h->node);
}

/* How long the loop may sleep; the inbox is looked at under its lock, so nothing that is added
 * later goes without a wake. */
int64_t shard_sleep_ns(struct shard *s, int64_t wait_ns)
{
    if (!list_empty(&s->ready) || !list_empty(&s->messages))
        return 0;

    struct heap_node *first = heap_first(&s->timers);
    if (first != NULL) {
        int64_t until_ns = first->key - clock_ns();
        if (until_ns <= 0)
            return 0;
        if (until_ns < wait_ns)
            wait_ns = until_ns;
    }

    pthread_mutex_lock(&s->inbox.lock);
    if (!list_empty(&s->inbox.ops) || !list_empty(&s->inbox.messages) ||
        atomic_load(&s->world->stopping))
        wait_ns = 0;
    s->inbox.asleep = wait_ns > 0;
    pthread_mutex_unlock(&s->inbox.lock);
    return wait_ns;
}

static int wait_events(struct shard *s, struct epoll_event *events, int64_t wait_ns)
{
    if (s->has_wait_ns) {
        struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
        int count = epoll_pwait2(s->epoll_fd, events, EVENTS_PER_TURN, &wait, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        s->has_wait_ns = false; /* a kernel before 5.11, or a container that does not know it */
    }
    /* Rounded up: a loop that wakes too early would turn until the time has come. */
    int64_t wait_ms = wait_ns / 1000000 + (wait_ns % 1000000 != 0);
    return epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN,
                      wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
}

static void take_events(struct shard *s, int64_t wait_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = wait_events(s, events, shard_sleep_ns(s, wait_ns));

    if (count < 0) {
        ASSERT(errno == EINTR);
        count = 0;
    }
    for (int i = 0; i < count; i++) {
        struct watch *w = events[i].data.ptr;
        w->ready(w, events[i].events);
    }
}

void shard_turn(struct shard *s, int64_t wait_ns)
{
    aio_submit(s);
    take_events(s, wait_ns);
    aio_take(s);

    /* Strictly later than the last turn: see epoll_timer_set. */
    int64_t now_ns = clock_ns();
    s->io.now_ns = now_ns > s->io.now_ns ? now_ns : s->io.now_ns + 1;

    inbox_take(s);
    run_signals(s);
    run_messages(s);
    run_timers(s);
    run_ready(s);
    run_soon(s);
}
