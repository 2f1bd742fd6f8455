/* io_epoll/pool.c - threads for what can block, in lanes that cannot starve each other. */
#include "io_epoll/inside.h"

#include <signal.h>
#include <stdlib.h>

int pool_lane_init(struct lane *lane, struct io_epoll_world *world, const char *name,
              uint32_t threads_max)
{
    *lane = (struct lane){.world = world, .name = name, .threads_max = threads_max};
    list_init(&lane->queue);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wake, NULL);
    lane->ids = calloc(threads_max, sizeof(*lane->ids));
    return lane->ids == NULL ? -ENOMEM : 0;
}

void pool_lane_deinit(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->wake);
    pthread_mutex_unlock(&lane->lock);

    /* No shard runs any more: nobody adds a thread. */
    for (uint32_t i = 0; i < lane->threads; i++)
        pthread_join(lane->ids[i], NULL);
    free(lane->ids);
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
}

/* The next operation, or NULL when the lane ends. */
static struct op *lane_take(struct lane *lane)
{
    struct op *op = NULL;

    pthread_mutex_lock(&lane->lock);
    lane->idle++;
    while (list_empty(&lane->queue) && !lane->stopping)
        pthread_cond_wait(&lane->wake, &lane->lock);
    lane->idle--;
    if (!lane->stopping) {
        op = op_of_node(list_take_head(&lane->queue));
        lane->queued--;
        task_of(op)->running = true;
    }
    pthread_mutex_unlock(&lane->lock);
    return op;
}

static void *lane_thread(void *arg)
{
    struct lane *lane = arg;
    struct op *op;

    while ((op = lane_take(lane)) != NULL) {
        task_of(op)->run(op);
        inbox_add_op(op->owner, op);
    }
    return NULL;
}

/* Under the lock. Signals are for shard 0: a pool thread takes none. */
static bool lane_add_thread(struct lane *lane)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&lane->ids[lane->threads], NULL, lane_thread, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return false;
    pthread_setname_np(lane->ids[lane->threads], lane->name);
    lane->threads++;
    return true;
}

void pool_add(struct op *op, enum lane_kind kind)
{
    struct shard *s = op->owner;
    struct lane *lane = &s->world->lanes[kind];
    struct task *t = task_of(op);
    bool refused = false;

    t->state = TASK_POOL;
    t->lane = (uint8_t)kind;
    pthread_mutex_lock(&lane->lock);
    if (lane->queued >= lane->idle && lane->threads < lane->threads_max)
        refused = !lane_add_thread(lane) && lane->threads == 0;
    if (!refused) {
        list_add_tail(&lane->queue, &op->node);
        lane->queued++;
        pthread_cond_signal(&lane->wake);
    }
    pthread_mutex_unlock(&lane->lock);
    if (refused) /* not pthread_create's EAGAIN, which io_lock uses for something else */
        task_list(op, -ENOMEM);
}

bool pool_remove(struct op *op)
{
    struct shard *s = op->owner;
    struct task *t = task_of(op);
    struct lane *lane = &s->world->lanes[t->lane];

    pthread_mutex_lock(&lane->lock);
    bool queued = !t->running;
    if (queued) {
        list_remove(&op->node);
        lane->queued--;
    }
    pthread_mutex_unlock(&lane->lock);
    return queued;
}

static void offload_run(struct op *op)
{
    struct task *t = task_of(op);
    void (*work)(void *arg);

    /* A pointer to a function may not be cast to void *: its bytes are kept. */
    memcpy(&work, &t->position, sizeof(work));
    work(t->memory);
    t->result = 0;
}

void epoll_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op)
{
    struct task *t = task_begin(shard_of(io), op);

    t->run = offload_run;
    t->memory = arg;
    memcpy(&t->position, &work, sizeof(work));
    pool_add(op, LANE_WORK);
}
