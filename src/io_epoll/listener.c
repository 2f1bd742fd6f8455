/* io_epoll/listener.c - listening sockets. */
#include "io_epoll/inside.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct epoll_listener *listener_of(struct io_listener *l)
{
    return container_of(l, struct epoll_listener, base);
}

static void listener_abandon(struct handle *h)
{
    struct epoll_listener *l = container_of(h, struct epoll_listener, handle);

    handle_remove(h);
    watch_close(&l->watch);
    free(l);
}

static void listener_ready(struct watch *w, uint32_t events)
{
    struct epoll_listener *l = container_of(w, struct epoll_listener, watch);

    l->readable = true;
    if (l->accept != NULL && task_of(l->accept)->state == TASK_PARKED)
        task_try(l->accept);
}

/* ---- listen ---------------------------------------------------------------------------- */

/* SO_REUSEADDR: a restart must not wait for the connections of the last run to leave TIME_WAIT. Connections
 * inherit the sizes of the buffers, which must be known before the first of them asks for a window. */
static int listen_options(int fd, int family, const struct io_listen_options *o)
{
    int on = 1, off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    TRY(socket_set_buffers(fd, o->send_buffer_bytes, o->receive_buffer_bytes));
    if (o->shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return -errno;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
        return -errno;
    return 0;
}

static int listen_bind(int fd, const struct addrinfo *at, const struct io_listen_options *o)
{
    TRY(listen_options(fd, at->ai_family, o));
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0)
        return -errno;
    return listen(fd, o->backlog > 0 ? o->backlog : SOMAXCONN) < 0 ? -errno : 0;
}

static int listen_at(struct epoll_listener *l, const struct addrinfo *at)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int error = listen_bind(fd, at, &l->options);
    if (error == 0 && getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
        error = -errno;
    if (error < 0) {
        close(fd);
        return error;
    }
    address_of(&bound, length, &l->address);
    l->watch.fd = fd;
    return 0;
}

/* The first address that can be bound. All interfaces: IPv6 first, because it takes IPv4 too. */
static int listen_any_of(struct epoll_listener *l, const struct addrinfo *list)
{
    static const int any_family[] = {AF_INET6, AF_INET};
    bool all = l->address.host[0] == '\0';
    int error = -EADDRNOTAVAIL;

    for (uint32_t pass = 0; pass < array_count(any_family); pass++) {
        for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
            if (all ? at->ai_family != any_family[pass] : pass > 0)
                continue;
            error = listen_at(l, at);
            if (error == 0 || error == -EADDRINUSE)
                return error;
        }
    }
    return error;
}

static int listen_now(struct epoll_listener *l, bool numeric_only)
{
    struct addrinfo *list;

    TRY(address_resolve(&l->address, numeric_only, true, &list));
    int error = listen_any_of(l, list);
    freeaddrinfo(list);
    return error;
}

static void listen_run(struct op *op)
{
    struct task *t = task_of(op);

    t->result = listen_now(t->object, false);
}

static void listen_finish(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_listener *l = t->object;
    struct io_listener **out = t->memory;
    struct io_address *bound = t->second;

    if (t->result < 0) {
        listener_abandon(&l->handle);
        return;
    }
    *out = &l->base;
    if (bound != NULL)
        *bound = l->address;
}

void epoll_listen(struct io *io, const struct io_address *address,
                  const struct io_listen_options *options, struct io_listener **out,
                  struct io_address *bound, struct op *op)
{
    struct shard *s = shard_of(io);
    struct task *t = task_begin(s, op);
    struct epoll_listener *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        task_list(op, -ENOMEM);
        return;
    }
    l->base.io = io;
    l->watch = (struct watch){.fd = -1, .ready = listener_ready};
    l->readable = true;
    l->options = *options;
    l->address = *address;
    handle_add(s, &l->handle, listener_abandon);

    t->run = listen_run;
    t->finish = listen_finish;
    t->object = l;
    t->memory = out;
    t->second = bound;
    int error = listen_now(l, true);
    if (error == -EHOSTUNREACH) /* a name */
        pool_add(op, LANE_RESOLVE);
    else
        task_list(op, error);
}

/* ---- accept ---------------------------------------------------------------------------- */

/* Not this listener's trouble: the connection has gone before we came. accept(2) says that
 * Linux passes on errors that the new connection already has. */
static bool accept_goes_on(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == ENETUNREACH;
}

static void accept_finish(struct op *op)
{
    struct epoll_listener *l = task_of(op)->object;

    l->accept = NULL;
}

static void accept_take(struct op *op, int fd, const struct sockaddr_storage *from,
                        socklen_t length)
{
    struct task *t = task_of(op);
    struct io_socket **out = t->memory;
    struct io_address *peer = t->second;
    struct epoll_socket *socket = socket_new(op->owner, fd);

    if (socket == NULL) {
        close(fd);
        task_end(op, -ENOMEM);
        return;
    }
    socket_set_options(fd);
    *out = &socket->base;
    if (peer != NULL)
        address_of(from, length, peer);
    task_end(op, 0);
}

static void accept_wait(struct op *op)
{
    struct epoll_listener *l = task_of(op)->object;

    if (!l->watch.added) {
        int error = watch_add(op->owner, &l->watch);
        if (error < 0) {
            task_end(op, error);
            return;
        }
    }
    l->readable = false;
    task_of(op)->state = TASK_PARKED;
}

static void accept_run(struct op *op)
{
    struct epoll_listener *l = task_of(op)->object;
    struct sockaddr_storage from;
    socklen_t length;
    int fd;

    do {
        length = sizeof(from);
        fd = accept4(l->watch.fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && accept_goes_on(errno));

    if (fd >= 0)
        accept_take(op, fd, &from, length);
    else if (errno == EAGAIN)
        accept_wait(op);
    else
        task_end(op, -errno);
}

void epoll_accept(struct io_listener *base, struct io_socket **out, struct io_address *peer,
                  struct op *op)
{
    struct epoll_listener *l = listener_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(l->accept == NULL); /* one at a time */
    ASSERT(!l->closing);
    l->accept = op;
    t->run = accept_run;
    t->finish = accept_finish;
    t->object = l;
    t->memory = out;
    t->second = peer;
    if (l->readable)
        task_try(op);
    else
        t->state = TASK_PARKED;
}

/* ---- close ----------------------------------------------------------------------------- */

static void listener_close_run(struct op *op)
{
    struct epoll_listener *l = task_of(op)->object;

    ASSERT(l->accept == NULL); /* it stood in the list before us */
    listener_abandon(&l->handle);
    task_end(op, 0);
}

void epoll_listener_close(struct io_listener *base, struct op *op)
{
    struct epoll_listener *l = listener_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(!l->closing);
    l->closing = true;
    if (l->accept != NULL)
        task_cancel(l->accept);
    t->run = listener_close_run;
    t->object = l;
    task_must(op);
}
