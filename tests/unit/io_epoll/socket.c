/* Sockets of io_epoll as only a real kernel has them: other programs' connections, options, names, limits. */
#define _GNU_SOURCE
#include "io_epoll/inside.h"

#include "../io/conformance.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A client that is not of our making. */
static int plain_client(const struct io_address *to)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_EQ(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* What was sent in pieces may come in pieces. */
static void plain_read(int fd, char *into, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, into, n);
        CHECK(got > 0);
        into += got;
        n -= (size_t)got;
    }
}

TEST(io_epoll_socket, a_half_closed_connection_still_takes_answers)
{
    struct trial w;
    struct io_address address;
    struct io_socket *server;
    struct probe recv = {.times = 0};
    char got[7] = {0};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    int client = plain_client(&address);
    CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), 0);
    CHECK_EQ(write(client, "question", 8), 8);
    expect_text(&w, server, "question");
    START(&w, &recv, io_recv(server, got, 1, &recv.op));
    trial_turns(&w, 3);
    CHECK_EQ(recv.times, 0);
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    CHECK_EQ(probe_wait(&recv), 0);
    send_text(&w, server, "answer");
    plain_read(client, got, 6);
    CHECK_TEXT(got, "answer");
    close(client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

/* The end and the last bytes come in one event, and a short read must not hide the end. */
TEST(io_epoll_socket, bytes_and_end_in_one_event_are_both_seen)
{
    struct trial w;
    struct io_address address;
    struct io_socket *server;
    char got[8];

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    for (uint32_t i = 0; i < 20; i++) {
        struct probe recv = {.times = 0};
        int client = plain_client(&address);
        CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), 0);
        START(&w, &recv, io_recv(server, got, sizeof(got), &recv.op));
        trial_turns(&w, 2); /* it waits for epoll now */
        CHECK_EQ(write(client, "abc", 3), 3);
        CHECK_EQ(shutdown(client, SHUT_WR), 0);
        CHECK_EQ(probe_wait(&recv), 3);
        CHECK_EQ(RUN(&w, io_recv(server, got, sizeof(got), op)), 0);
        close(client);
        socket_close(&w, server);
    }
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_epoll_socket, a_reset_is_told)
{
    struct trial w;
    struct io_address address;
    struct io_socket *server;
    struct probe recv = {.times = 0};
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char got;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    int client = plain_client(&address);
    CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), 0);
    START(&w, &recv, io_recv(server, &got, 1, &recv.op));
    trial_turns(&w, 2);
    CHECK_EQ(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(client);
    CHECK_EQ(probe_wait(&recv), -ECONNRESET);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

/* sendfile knows no MSG_NOSIGNAL: without care a peer that goes away ends the process. */
TEST(io_epoll_socket, a_file_that_is_sent_to_nobody_is_an_error_and_no_signal)
{
    struct trial w;
    struct pair pair;
    int64_t result = 0;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct io_file *file = file_new(&w, "a");
    file_write(&w, file, 0, "abc", 3);
    struct io_span span = {.file = file, .n = 3};
    socket_close(&w, pair.server);
    pair.server = NULL;
    for (uint32_t i = 0; i < 10000 && (result >= 0 || result == -ECONNRESET); i++) {
        result = RUN(&w, io_send(pair.client, &span, 1, op));
        trial_sleep(&w, 1000000);
    }
    CHECK_EQ(result, -EPIPE);
    file_close(&w, file);
    pair_close(&w, &pair);
    trial_close(&w);
}

static int option_of(struct io_socket *s, int level, int name)
{
    int value = 0;
    socklen_t length = sizeof(value);

    CHECK_EQ(getsockopt(container_of(s, struct epoll_socket, base)->watch.fd, level, name, &value,
                        &length),
             0);
    return value;
}

TEST(io_epoll_socket, both_ends_are_without_delay_and_kept_alive)
{
    struct trial w;
    struct pair pair;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct io_socket *ends[] = {pair.client, pair.server};
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(option_of(ends[i], IPPROTO_TCP, TCP_NODELAY) != 0);
        CHECK(option_of(ends[i], SOL_SOCKET, SO_KEEPALIVE) != 0);
    }
    pair_close(&w, &pair);
    trial_close(&w);
}

/* A listener for all interfaces speaks IPv6 where there is IPv6; an IPv4 peer is still told as
 * IPv4. */
TEST(io_epoll_socket, an_ipv4_peer_is_told_as_ipv4)
{
    struct trial w;
    struct io_address all = {.port = 0}, bound, peer;
    struct io_listener *l;
    struct io_socket *server;

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_listen(w.io, &all, NULL, &l, &bound, op)), 0);
    CHECK(strcmp(bound.host, "::") == 0 || strcmp(bound.host, "0.0.0.0") == 0);
    int client = plain_client(&bound);
    CHECK_EQ(RUN(&w, io_accept(l, &server, &peer, op)), 0);
    CHECK_TEXT(peer.host, "127.0.0.1");
    close(client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

/* Connections inherit what the listener was given; Linux doubles it for its own use (socket(7)). */
TEST(io_epoll_socket, buffers_have_the_size_that_was_asked_for)
{
    static const struct io_listen_options options = {
        .backlog = 3, .send_buffer_bytes = 30000, .receive_buffer_bytes = 20000};
    struct trial w;
    struct io_address address = {.host = "127.0.0.1"}, bound;
    struct io_listener *l;
    struct io_socket *server;
    int size;
    socklen_t n = sizeof(size);

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, &options, &l, &bound, op)), 0);
    int client = plain_client(&bound);
    CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), 0);
    int fd = container_of(server, struct epoll_socket, base)->watch.fd;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
    CHECK_EQ(size, 60000);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &n), 0);
    CHECK_EQ(size, 40000);
    close(client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_epoll_socket, who_connects_has_buffers_of_the_size_that_was_asked_for)
{
    static const struct io_connect_options options = {.send_buffer_bytes = 30000, .receive_buffer_bytes = 20000};
    struct trial w;
    struct io_address address;
    struct io_socket *s;
    int size;
    socklen_t n = sizeof(size);

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, &options, &s, op)), 0);
    int fd = container_of(s, struct epoll_socket, base)->watch.fd;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
    CHECK_EQ(size, 60000);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &n), 0);
    CHECK_EQ(size, 40000);
    socket_close(&w, s);
    listener_close(&w, l);
    trial_close(&w);
}

/* ::1, where nobody listens, is called localhost on most machines, and that is 127.0.0.1, too. What this machine calls
 * it is asked first. */
TEST(io_epoll_socket, a_canonical_name_is_resolved_instead_of_the_address)
{
    static const struct io_connect_options options = {.canonical = true};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct addrinfo *list, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct trial w;
    struct io_address address, by_number = {.host = "::1"};
    struct io_socket *s;
    char name[256];

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    bool leads_here = false;
    if (getnameinfo((struct sockaddr *)&six, sizeof(six), name, sizeof(name), NULL, 0, 0) == 0 &&
        getaddrinfo(name, NULL, &hints, &list) == 0) {
        leads_here = ((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
        freeaddrinfo(list);
    }
    by_number.port = address.port;
    CHECK(RUN(&w, io_connect(w.io, &by_number, NULL, &s, op)) < 0);
    if (leads_here) {
        CHECK_EQ(RUN(&w, io_connect(w.io, &by_number, &options, &s, op)), 0);
        socket_close(&w, s);
    } else {
        CHECK(RUN(&w, io_connect(w.io, &by_number, &options, &s, op)) < 0);
    }
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, &options, &s, op)), 0);
    socket_close(&w, s);
    listener_close(&w, l);
    trial_close(&w);
}

/* A label of 64 letters is refused by every resolver without asking a server. */
TEST(io_epoll_socket, a_name_that_nobody_knows_is_unreachable)
{
    struct trial w;
    struct io_address address = {.port = 9};
    struct io_socket *s = NULL;
    struct io_listener *l = NULL;

    trial_open(&w, 1);
    memset(address.host, 'x', 64);
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &s, op)), -EHOSTUNREACH);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, NULL, &l, NULL, op)), -EHOSTUNREACH);
    CHECK(s == NULL);
    CHECK(l == NULL);
    trial_close(&w);
}

/* No host means this machine: ::1, where nobody listens, and then 127.0.0.1. */
TEST(io_epoll_socket, every_address_of_a_name_is_tried)
{
    struct trial w;
    struct io_address address;
    struct io_socket *s;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    address.host[0] = '\0';
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &s, op)), 0);
    socket_close(&w, s);
    listener_close(&w, l);
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &s, op)), -ECONNREFUSED);
    trial_close(&w);
}

/* Without descriptors an accept says so, and the connection waits for better times. */
TEST(io_epoll_socket, an_accept_without_descriptors_is_trouble_that_passes)
{
    struct trial w;
    struct io_address address;
    struct io_socket *server = NULL;
    struct rlimit before, none;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    int client = plain_client(&address);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), -EMFILE);
    CHECK(server == NULL);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(RUN(&w, io_accept(l, &server, NULL, op)), 0);
    close(client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}
