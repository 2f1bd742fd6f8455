#define _GNU_SOURCE
#include "main/streams.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#define IN_BYTES_MAX (64u << 10) /* of one read */

/* One direction. What the thread and the shard share is guarded by `lock`; between asking and `done` the rest belongs
 * to the thread. It is static: a thread that waits in the kernel may be there until the process ends. */
struct stream {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, asked;
    bool ended;                            /* set by the shard */
    int64_t (*transfer)(struct stream *s); /* on the thread */
    const uint8_t *from;                   /* what is to be written */
    size_t n;
    int64_t result;
    struct io_message done;
    struct op *op; /* of the shard, and `into` */
    void *into;
};

static struct io_epoll_world *world;
static uint8_t in_buffer[IN_BYTES_MAX]; /* not the tool's memory, which may be gone when a read ends */

/* ---- on the threads ---------------------------------------------------------------------------------- */

/* Whoever shares it may have made it one that does not wait. */
static bool wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    if (errno == EINTR)
        return true;
    return errno == EAGAIN && (poll(&p, 1, -1) > 0 || errno == EINTR);
}

static int64_t receive(struct stream *s)
{
    ssize_t n;

    do {
        n = read(STDIN_FILENO, in_buffer, s->n < IN_BYTES_MAX ? s->n : IN_BYTES_MAX);
    } while (n < 0 && wait_for(STDIN_FILENO, POLLIN));
    return n < 0 ? -errno : n;
}

static int64_t send_all(struct stream *s)
{
    for (size_t at = 0; at < s->n;) {
        ssize_t n = write(STDOUT_FILENO, s->from + at, s->n - at);
        if (n < 0 && !wait_for(STDOUT_FILENO, POLLOUT))
            return -errno;
        at += n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

static void *stream_thread(void *arg)
{
    struct stream *s = arg;

    pthread_mutex_lock(&s->lock);
    while (!s->ended) {
        if (!s->asked) {
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        s->asked = false;
        pthread_mutex_unlock(&s->lock);
        int64_t result = s->transfer(s);
        pthread_mutex_lock(&s->lock);
        s->result = result;
        if (!s->ended)
            io_epoll_post(world, 0, &s->done);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- on the shard ------------------------------------------------------------------------------------ */

static void transferred(struct io *io, struct io_message *m)
{
    struct stream *s = container_of(m, struct stream, done);
    struct op *op = s->op;

    if (s->ended) /* in the turn that ends the tool */
        return;
    if (s->into != NULL && s->result > 0)
        memcpy(s->into, in_buffer, (size_t)s->result);
    s->op = NULL;
    op->done(op, s->result);
}

static struct stream in = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .transfer = receive, .done.run = transferred};
static struct stream out = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .transfer = send_all, .done.run = transferred};

static void stream_start(struct stream *s, struct io *io, struct op *op)
{
    pthread_t thread;
    int rc = 0;

    ASSERT(s->op == NULL);
    s->op = op;
    if (!s->started && (rc = pthread_create(&thread, NULL, stream_thread, s)) == 0) {
        pthread_detach(thread);
        s->started = true;
    }
    if (rc != 0) {
        s->op = NULL;
        io_complete(io, op, -rc);
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->asked = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static void streams_read(struct cli *c, void *into, uint32_t n, struct op *op)
{
    in.into = into;
    in.n = n;
    stream_start(&in, c->io, op);
}

static void streams_write(struct cli *c, const void *p, size_t n, struct op *op)
{
    out.from = p;
    out.n = n;
    stream_start(&out, c->io, op);
}

const struct cli_streams standard_streams = {.read = streams_read, .write = streams_write};

void streams_begin(struct io_epoll_world *w)
{
    world = w;
}

void streams_end(void)
{
    struct stream *both[] = {&in, &out};

    for (size_t i = 0; i < array_count(both); i++) {
        pthread_mutex_lock(&both[i]->lock);
        both[i]->ended = true;
        pthread_cond_signal(&both[i]->wake);
        pthread_mutex_unlock(&both[i]->lock);
    }
}
