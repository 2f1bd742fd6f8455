/* io_epoll/socket.c - connected sockets: receive, send, close.
 *
 * A system call is tried first; epoll learns of a socket when a call would have blocked, once, for
 * both directions and edge-triggered, so a connection costs one epoll_ctl in its life or none.
 * `readable` and `writable` say whether a call is worth trying; they turn false only where epoll
 * will tell of the change.
 */
#include "io_epoll/inside.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define SEND_PIECES_MAX 64                        /* spans of memory in one system call */
#define SEND_TURN_BYTES_MAX ((uint64_t)1 << 20)   /* then others have their turn */
#define SEND_FILE_BYTES_MAX ((uint32_t)256 << 10) /* one sendfile; what the pool warms at once */

static struct epoll_socket *socket_of(struct io_socket *s)
{
    return container_of(s, struct epoll_socket, base);
}

/* ---- life ------------------------------------------------------------------------------ */

static void socket_ready(struct watch *w, uint32_t events)
{
    struct epoll_socket *s = container_of(w, struct epoll_socket, watch);
    bool trouble = (events & (EPOLLERR | EPOLLHUP)) != 0;

    if (s->connecting != NULL) {
        connect_ready(s->connecting, events);
        return;
    }
    if (trouble || (events & EPOLLRDHUP))
        s->ended = true;
    if (trouble || (events & (EPOLLIN | EPOLLRDHUP)))
        s->readable = true;
    if (trouble || (events & EPOLLOUT))
        s->writable = true;
    if (s->readable && s->recv != NULL && task_of(s->recv)->state == TASK_PARKED)
        task_try(s->recv);
    if (s->writable && s->send != NULL && task_of(s->send)->state == TASK_PARKED && !s->warming)
        task_try(s->send);
}

static void socket_abandon(struct handle *h)
{
    struct epoll_socket *s = container_of(h, struct epoll_socket, handle);

    if (s->connecting != NULL)
        connect_abandon(s->connecting);
    else
        socket_free(s);
}

struct epoll_socket *socket_new(struct shard *shard, int fd)
{
    struct epoll_socket *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->base.io = &shard->io;
    s->watch = (struct watch){.fd = fd, .ready = socket_ready};
    s->readable = true;
    s->writable = true;
    handle_add(shard, &s->handle, socket_abandon);
    return s;
}

void socket_free(struct epoll_socket *s)
{
    handle_remove(&s->handle);
    watch_close(&s->watch);
    free(s);
}

/* Best effort: a connection works without. Nagle's delay would hold answers back; keepalive, as
 * Kafka sets it, finds peers that vanished. */
void socket_set_options(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

int socket_set_buffers(int fd, int send_bytes, int receive_bytes)
{
    if (send_bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)) < 0)
        return -errno;
    if (receive_bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes)) < 0)
        return -errno;
    return 0;
}

/* The socket would have blocked: epoll will tell. */
static int socket_wait(struct epoll_socket *s, struct op *op, bool *ready)
{
    if (!s->watch.added)
        TRY(watch_add(shard_of(s->base.io), &s->watch));
    *ready = false;
    task_of(op)->state = TASK_PARKED;
    return 0;
}

/* ---- receive --------------------------------------------------------------------------- */

static void recv_finish(struct op *op)
{
    struct epoll_socket *s = task_of(op)->object;

    s->recv = NULL;
}

/* A short read means that the kernel has no more, so the next try would be in vain; but not when
 * the end stands behind it, of which epoll has told already. */
static void recv_note(struct epoll_socket *s, ssize_t got, size_t asked)
{
    if ((size_t)got < asked && s->watch.added && !s->ended)
        s->readable = false;
}

static void recv_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_socket *s = t->object;
    struct shard *shard = op->owner;
    bool lend = t->n == 0;
    void *into = lend ? shard->scratch : t->memory;
    size_t asked = lend ? SCRATCH_BYTES : t->n;
    ssize_t got;

    do {
        got = recv(s->watch.fd, into, asked, 0);
    } while (got < 0 && errno == EINTR);

    if (got < 0 && errno == EAGAIN) {
        int error = socket_wait(s, op, &s->readable);
        if (error < 0)
            task_end(op, error);
        return;
    }
    if (got < 0) {
        task_end(op, -errno);
        return;
    }
    recv_note(s, got, asked);
    if (lend)
        *(struct bytes *)t->memory = (struct bytes){into, (int32_t)got};
    task_end(op, got);
}

/* `n` 0: lend the shard's scratch. It is filled when the completion runs, so one is enough. */
static void recv_start(struct io_socket *base, void *memory, uint32_t n, struct op *op)
{
    struct epoll_socket *s = socket_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(s->recv == NULL); /* one at a time */
    ASSERT(s->close == NULL);
    s->recv = op;
    t->run = recv_run;
    t->finish = recv_finish;
    t->object = s;
    t->memory = memory;
    t->n = n;
    if (s->readable)
        task_try(op);
    else
        t->state = TASK_PARKED;
}

void epoll_recv_lend(struct io_socket *s, struct bytes *out, struct op *op)
{
    recv_start(s, out, 0, op);
}

void epoll_recv(struct io_socket *s, void *into, uint32_t n, struct op *op)
{
    recv_start(s, into, n, op);
}

/* ---- send ------------------------------------------------------------------------------ */

enum send_state {
    SEND_DONE, /* task->result is set */
    SEND_FULL, /* the socket takes no more */
    SEND_COLD, /* the pool must read the file first */
    SEND_TURN, /* enough for this turn */
};

static struct epoll_file *span_file(const struct io_span *span)
{
    if (span->p != NULL || span->file == NULL)
        return NULL;
    return container_of(span->file, struct epoll_file, base);
}

static const struct io_span *send_spans(const struct task *t)
{
    return t->memory;
}

/* Hold the files of all spans: io_close asserts that nobody does. */
static void send_hold(struct task *t, int by)
{
    for (uint32_t i = 0; i < t->n; i++) {
        struct epoll_file *file = span_file(&send_spans(t)[i]);
        if (file != NULL)
            file_hold(file, by);
    }
}

static void send_finish(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_socket *s = t->object;

    send_hold(t, -1);
    s->send = NULL;
}

static void send_advance(struct task *t, uint64_t n)
{
    t->total += n;
    while (t->index < t->n && n >= send_spans(t)[t->index].n - t->offset) {
        n -= send_spans(t)[t->index].n - t->offset;
        t->index++;
        t->offset = 0;
    }
    t->offset += (uint32_t)n;
}

static bool send_has_bytes_from(const struct task *t, uint32_t index)
{
    for (; index < t->n; index++) {
        if (send_spans(t)[index].n > 0)
            return true;
    }
    return false;
}

/* A run of spans of memory. MSG_MORE where something follows, so that a head and the bytes of a
 * file leave in one packet. */
static ssize_t send_memory(struct epoll_socket *s, const struct task *t)
{
    const struct io_span *spans = send_spans(t);
    struct iovec pieces[SEND_PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    uint32_t i = t->index;
    uint32_t offset = t->offset;

    for (; i < t->n && spans[i].p != NULL && message.msg_iovlen < SEND_PIECES_MAX; i++) {
        pieces[message.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)(spans[i].p + offset), spans[i].n - offset};
        offset = 0;
    }
    int flags = MSG_NOSIGNAL | (send_has_bytes_from(t, i) ? MSG_MORE : 0);
    return sendmsg(s->watch.fd, &message, flags);
}

static uint32_t send_file_bytes(const struct task *t)
{
    uint32_t n = send_spans(t)[t->index].n - t->offset;

    return n < SEND_FILE_BYTES_MAX ? n : SEND_FILE_BYTES_MAX;
}

static uint64_t send_file_position(const struct task *t)
{
    return send_spans(t)[t->index].position + t->offset;
}

static ssize_t send_file(struct epoll_socket *s, const struct task *t)
{
    const struct epoll_file *file = span_file(&send_spans(t)[t->index]);
    off_t position = (off_t)send_file_position(t);

    if (io_is_withdrawn(&file->base)) {
        errno = ESTALE;
        return -1;
    }
    ssize_t sent = sendfile(s->watch.fd, file->fd, &position, send_file_bytes(t));

    if (sent == 0) { /* the file is shorter than the caller said */
        errno = EIO;
        return -1;
    }
    return sent;
}

/* Send until something stops us. */
static enum send_state send_on(struct epoll_socket *s, struct task *t)
{
    uint64_t until = t->total + SEND_TURN_BYTES_MAX;

    for (;;) {
        send_advance(t, 0); /* over empty spans */
        if (t->index == t->n) {
            t->result = (int64_t)t->total;
            return SEND_DONE;
        }
        if (t->total >= until)
            return SEND_TURN;

        const struct io_span *span = &send_spans(t)[t->index];
        if (span->p == NULL && s->warm_end < send_file_position(t) + send_file_bytes(t) &&
            !file_is_cached(span_file(span), send_file_position(t), send_file_bytes(t)))
            return SEND_COLD;

        uint32_t index = t->index;
        ssize_t sent = span->p != NULL ? send_memory(s, t) : send_file(s, t);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return SEND_FULL;
        if (sent < 0) {
            t->result = -errno;
            return SEND_DONE;
        }
        send_advance(t, (uint64_t)sent);
        if (t->index != index)
            s->warm_end = 0; /* it was said of another span */
    }
}

static void send_warm(struct epoll_socket *s, struct op *op);

/* `soon`: inside epoll_send, where nothing may complete. */
static void send_step(struct op *op, bool soon)
{
    struct task *t = task_of(op);
    struct epoll_socket *s = t->object;
    int error = 0;

    switch (send_on(s, t)) {
    case SEND_FULL:
        error = socket_wait(s, op, &s->writable);
        if (error == 0)
            return;
        t->result = error;
        break;
    case SEND_COLD:
        send_warm(s, op);
        return;
    case SEND_TURN:
        task_try(op);
        return;
    case SEND_DONE:
        break;
    }
    if (soon)
        task_list_soon(op, t->result);
    else
        task_end(op, t->result);
}

static void send_run(struct op *op)
{
    send_step(op, false);
}

/* What is warming cannot be stopped: the pool reads from a file that the caller may close once the
 * send has completed. */
static void send_cancel(struct op *op)
{
    struct epoll_socket *s = task_of(op)->object;

    if (s->warming) {
        task_of(op)->canceled = true;
        task_cancel(&s->warm);
    } else {
        task_list(op, -ECANCELED);
    }
}

void epoll_send(struct io_socket *base, const struct io_span *spans, uint32_t count, struct op *op)
{
    struct epoll_socket *s = socket_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(s->send == NULL); /* one at a time */
    ASSERT(s->close == NULL);
    s->send = op;
    s->warm_end = 0;
    t->run = send_run;
    t->finish = send_finish;
    t->cancel = send_cancel;
    t->object = s;
    t->memory = (void *)(uintptr_t)spans;
    t->n = count;
    send_hold(t, 1);
    if (s->writable)
        send_step(op, true);
    else
        t->state = TASK_PARKED;
}

/* ---- send what is not in memory -------------------------------------------------------- */

/* sendfile would read from the disk while the whole shard waits. So a pool thread reads the range
 * into the page cache first; the bytes that it reads are dropped. */
static void warm_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;
    uint8_t drop[16 * 1024];

    while (t->total < t->n) {
        size_t rest = t->n - t->total < sizeof(drop) ? t->n - t->total : sizeof(drop);
        ssize_t n = pread(file->fd, drop, rest, (off_t)(t->position + t->total));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->result = -errno;
            return;
        }
        if (n == 0)
            break; /* shorter than said: sendfile will find that out */
        t->total += (uint64_t)n;
    }
    t->result = 0;
}

static void warm_done(struct op *warm, int64_t result)
{
    struct epoll_socket *s = container_of(warm, struct epoll_socket, warm);
    struct op *op = s->send;
    struct task *t = task_of(op);

    s->warming = false;
    if (s->close != NULL && !list_linked(&s->close->node))
        task_must(s->close);
    if (t->canceled)
        task_end(op, -ECANCELED);
    else if (result < 0)
        task_end(op, result);
    else
        send_step(op, false);
}

static void send_warm(struct epoll_socket *s, struct op *op)
{
    struct task *t = task_of(op);
    const struct io_span *span = &send_spans(t)[t->index];

    t->state = TASK_PARKED;
    s->warming = true;
    s->warm_end = send_file_position(t) + send_file_bytes(t);

    op_init(&s->warm, warm_done);
    struct task *w = task_begin(op->owner, &s->warm);
    w->run = warm_run;
    w->object = span_file(span);
    w->position = send_file_position(t);
    w->n = send_file_bytes(t);
    pool_add(&s->warm, LANE_READ);
}

/* ---- close ----------------------------------------------------------------------------- */

static void socket_close_run(struct op *op)
{
    struct epoll_socket *s = task_of(op)->object;

    if (s->warming) { /* warm_done goes on */
        task_of(op)->state = TASK_MUST;
        return;
    }
    if (s->recv != NULL || s->send != NULL) { /* in a list before or behind us */
        task_must(op);
        return;
    }
    socket_free(s);
    task_end(op, 0);
}

void epoll_socket_close(struct io_socket *base, struct op *op)
{
    struct epoll_socket *s = socket_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(s->close == NULL);
    s->close = op;
    if (s->recv != NULL)
        task_cancel(s->recv);
    if (s->send != NULL)
        task_cancel(s->send);
    t->run = socket_close_run;
    t->object = s;
    task_must(op);
}
