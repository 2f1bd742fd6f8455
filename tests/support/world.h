/* support/world.h - the world that the conformance suite of io/io.h runs in.
 *
 * The suite (tests/unit/io/conformance*.c) is written once and linked with one file per backend
 * that implements world_open, world_close and world_turn: tests/unit/io_epoll/world.c is the
 * example. A test runs on shard 0; it reaches other shards only by io_post, and their answers come
 * back as messages, so it needs no lock.
 */
#pragma once

#include "io/io.h"

/* The backend's own struct begins with it. */
struct world {
    struct io *io; /* shard 0 */
    uint32_t shard_count;

    /* An empty directory, gone after world_close, without a slash at its end. */
    char directory[256];

    /* A numeric host to listen on and a name that resolves to it. */
    const char *host;
    const char *host_name;

    /* A send of more bytes than this to a peer that does not receive does not complete. */
    uint64_t socket_holds_bytes_max;
};

/* A fresh world of 1..4 shards. Never fails: it asserts. */
struct world *world_open(uint32_t shard_count);
void world_close(struct world *w);

/* Let all shards go on: one turn of shard 0, other shards as they come. Where nothing is ready,
 * advance to the next thing that happens (the simulator's clock jumps; the real world waits at
 * most some milliseconds). false: the world has been running for so long that whatever the test
 * waits for will never happen (real: 2 minutes; simulator: an hour of its time, or nothing in it can
 * ever happen again). */
bool world_turn(struct world *w);
