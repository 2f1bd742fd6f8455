/* The conformance suite's world on io_epoll: the real file system under /tmp, loopback sockets. */
#define _GNU_SOURCE
#include "io_epoll/io_epoll.h"
#include "world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define TURN_NS (2 * INT64_C(1000000))
#define PATIENCE_NS (120 * INT64_C(1000000000)) /* of a whole test, on a busy machine and its disk */

struct backend {
    struct world world; /* first */
    struct io_epoll_world *epoll;
    int64_t opened_ns;
};

struct world *world_open(uint32_t shard_count)
{
    struct backend *b = calloc(1, sizeof(*b));

    ASSERT(b != NULL);
    ASSERT(io_epoll_new(shard_count, NULL, &b->epoll) == 0);
    ASSERT(io_epoll_start(b->epoll, NULL, NULL) == 0);
    b->world.io = io_epoll_shard(b->epoll, 0);
    b->world.shard_count = shard_count;
    strcpy(b->world.directory, "/tmp/millrace-io-XXXXXX");
    ASSERT(mkdtemp(b->world.directory) != NULL);
    b->world.host = "127.0.0.1";
    b->world.host_name = "localhost";
    b->world.socket_holds_bytes_max = (uint64_t)48 << 20; /* tcp_wmem + tcp_rmem, generously */
    b->opened_ns = io_now_ns(b->world.io);
    return &b->world;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

void world_close(struct world *w)
{
    struct backend *b = (struct backend *)w;

    io_epoll_free(b->epoll);
    nftw(w->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(b);
}

bool world_turn(struct world *w)
{
    struct backend *b = (struct backend *)w;

    io_epoll_turn(b->epoll, TURN_NS);
    return io_now_ns(w->io) - b->opened_ns < PATIENCE_NS;
}
