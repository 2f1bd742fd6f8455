/* io_epoll/connect.c - a connection, address by address.
 *
 *   epoll_connect ─► numeric? ─ no ─► resolve on the pool ─┐
 *                        │ yes                             │
 *                        └──────────► connect_next ◄───────┘
 *                                      │      ▲  refused: the next address
 *                              at once │      │
 *                                      ▼      │
 *                        success ◄── connect_ready (epoll)
 */
#include "io_epoll/inside.h"

#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

struct connecting {
    struct shard *shard;
    struct epoll_socket *socket;
    struct op *op; /* the caller's; NULL when it was cancelled while the name is resolved */
    struct io_address address;
    struct io_connect_options options;
    struct addrinfo *list, *next;
    uint32_t left;     /* addresses that were not tried yet, from `next` on, around the list */
    int error;         /* of the last address */
    struct op resolve; /* ours */
};

static void connecting_free(struct connecting *c)
{
    if (c->list != NULL)
        freeaddrinfo(c->list);
    free(c);
}

void connect_abandon(struct connecting *c)
{
    c->socket->connecting = NULL;
    socket_free(c->socket);
    connecting_free(c);
}

/* The caller's operation ends in the next turn. */
static void connect_failed(struct connecting *c, int error)
{
    struct op *op = c->op;

    connect_abandon(c);
    task_of(op)->object = NULL;
    task_list(op, error);
}

static void connect_succeeded(struct connecting *c)
{
    struct op *op = c->op;

    c->socket->connecting = NULL;
    task_of(op)->object = c->socket;
    connecting_free(c);
    task_list(op, 0);
}

static void connect_finish(struct op *op)
{
    struct task *t = task_of(op);
    struct io_socket **out = t->memory;
    struct epoll_socket *socket = t->object;

    if (t->result == 0)
        *out = &socket->base;
}

/* 0: connected; 1: epoll will tell; else the address is no good. */
static int connect_start(struct connecting *c, const struct addrinfo *to)
{
    struct watch *w = &c->socket->watch;
    int result;

    w->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (w->fd < 0)
        return -errno;
    socket_set_options(w->fd);
    TRY(socket_set_buffers(w->fd, c->options.send_buffer_bytes, c->options.receive_buffer_bytes));
    do {
        result = connect(w->fd, to->ai_addr, to->ai_addrlen);
    } while (result < 0 && errno == EINTR);
    if (result == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    TRY(watch_add(c->shard, w));
    return 1;
}

static void connect_next(struct connecting *c)
{
    while (c->left > 0) {
        const struct addrinfo *to = c->next;
        c->next = to->ai_next != NULL ? to->ai_next : c->list;
        c->left--;

        int result = connect_start(c, to);
        if (result == 1)
            return;
        if (result == 0) {
            connect_succeeded(c);
            return;
        }
        watch_close(&c->socket->watch);
        c->error = result;
    }
    connect_failed(c, c->error);
}

static void connect_first(struct connecting *c)
{
    uint32_t skipped;

    c->left = 0;
    for (const struct addrinfo *to = c->list; to != NULL; to = to->ai_next)
        c->left++;
    c->next = c->list;
    for (skipped = c->left == 0 ? 0 : c->address.first % c->left; skipped > 0; skipped--)
        c->next = c->next->ai_next;
    connect_next(c);
}

void connect_ready(struct connecting *c, uint32_t events)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(c->socket->watch.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error == 0) {
        connect_succeeded(c);
        return;
    }
    watch_close(&c->socket->watch);
    c->error = -error;
    connect_next(c);
}

/* ---- names ----------------------------------------------------------------------------- */

static void resolve_run(struct op *op)
{
    struct task *t = task_of(op);
    struct connecting *c = t->object;

    t->result = c->options.canonical ? address_resolve_canonical(&c->address, &c->list)
                                     : address_resolve(&c->address, false, false, &c->list);
}

static void resolve_done(struct op *op, int64_t result)
{
    struct connecting *c = container_of(op, struct connecting, resolve);

    if (c->op == NULL) {
        connect_abandon(c);
    } else if (result < 0) {
        connect_failed(c, (int)result);
    } else {
        connect_first(c);
    }
}

static void resolve_start(struct connecting *c)
{
    op_init(&c->resolve, resolve_done);
    struct task *t = task_begin(c->shard, &c->resolve);
    t->run = resolve_run;
    t->object = c;
    pool_add(&c->resolve, LANE_RESOLVE);
}

/* The name may still be asked for: then only the resolver's end frees the attempt. */
static void connect_cancel(struct op *op)
{
    struct connecting *c = task_of(op)->object;

    if (task_of(&c->resolve)->state == TASK_IDLE) {
        connect_failed(c, -ECANCELED);
        return;
    }
    c->op = NULL;
    task_of(op)->object = NULL;
    task_list(op, -ECANCELED);
    task_cancel(&c->resolve);
}

void epoll_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                   struct io_socket **out, struct op *op)
{
    struct shard *s = shard_of(io);
    struct task *t = task_begin(s, op);
    struct connecting *c = calloc(1, sizeof(*c));
    struct epoll_socket *socket = socket_new(s, -1);

    if (c == NULL || socket == NULL) {
        free(c);
        if (socket != NULL)
            socket_free(socket);
        task_list(op, -ENOMEM);
        return;
    }
    *c = (struct connecting){
        .shard = s, .socket = socket, .op = op, .address = *address, .options = *options, .error = -EHOSTUNREACH};
    socket->connecting = c;
    t->state = TASK_PARKED;
    t->finish = connect_finish;
    t->cancel = connect_cancel;
    t->object = c;
    t->memory = out;

    int error = options->canonical ? -EHOSTUNREACH : address_resolve(address, true, false, &c->list);
    if (error == 0) {
        connect_first(c);
    } else if (error == -EHOSTUNREACH) {
        resolve_start(c);
    } else {
        connect_failed(c, error);
    }
}
