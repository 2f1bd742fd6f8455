/* io_epoll/io_epoll.h - the real world behind `struct io`: Linux, sockets by epoll.
 *
 * One thread per shard, each with one loop; shard 0 runs on the thread that calls io_epoll_run.
 * What can block (open, write, sync, rename, names, ...) runs on a few pool threads.
 *
 *      shard 0 ── loop ──┐                 ┌── file threads      write, open, rename, ...
 *      shard 1 ── loop ──┼── pool, inbox ──┼── read threads      what is not in the page cache
 *      shard 2 ── loop ──┘                 ├── sync threads      fdatasync, durable writes, fsync
 *                                          └── work, resolve     io_offload; names to addresses
 *
 * Only `main` and tests include this header; everything else sees io/io.h.
 */
#pragma once

#include "io/io.h"

#define IO_EPOLL_SHARDS_MAX 256

struct io_epoll_world;

/* How many threads each lane of the pool may have; 0 = the default, which is in brackets. Threads
 * are started when they are first needed. */
struct io_epoll_options {
    uint32_t file_threads;    /* [2] */
    uint32_t read_threads;    /* [4] apart, so that who reads old data holds up no write */
    uint32_t sync_threads;    /* [2] apart, so that a slow disk's syncs do not starve the others */
    uint32_t work_threads;    /* [1] */
    uint32_t resolve_threads; /* [1] apart: a name server that is silent takes seconds */
    bool guest;               /* in somebody else's process: its signals and limits are not touched */
};

/* Make a world of `shard_count` (1..IO_EPOLL_SHARDS_MAX) shards; nothing runs yet. Process-wide
 * effects, save as a guest: SIGPIPE is ignored, the limit of open files is raised to the most that is allowed.
 * A guest sends no files.
 * `options` may be NULL. Fails: -EMFILE, -ENOMEM, ... */
MUST int io_epoll_new(uint32_t shard_count, const struct io_epoll_options *options,
                      struct io_epoll_world **out);

/* Have SIGTERM and SIGINT delivered to shard 0, between two operations, as often as they come. To
 * be called before io_epoll_start and before any other thread exists: both signals are blocked in
 * this thread and in those that it starts. */
MUST int io_epoll_on_signal(struct io_epoll_world *world,
                            void (*on_signal)(struct io *io, int signal, void *arg), void *arg);

/* Run every shard until io_epoll_stop: start(io, arg) first, on the shard's own thread, then its
 * loop. Returns when all have ended. Fails when a thread cannot be started (-EAGAIN); then no shard
 * has run. */
MUST int io_epoll_run(struct io_epoll_world *world, void (*start)(struct io *io, void *arg),
                      void *arg);

/* End all loops, each after the turn that it is in. From any shard. What is in flight never
 * completes: stop when nothing that matters is. */
void io_epoll_stop(struct io_epoll_world *world);

/* Stop if need be, wait for all threads, close what is still open and free all. On the thread that
 * ran shard 0, after its loop. Accepts NULL. */
void io_epoll_free(struct io_epoll_world *world);

/* A message to a shard from a thread that is none: the way in for libraries with I/O of their own.
 * Not after io_epoll_stop. */
void io_epoll_post(struct io_epoll_world *world, uint32_t shard, struct io_message *m);

/* ---- io_epoll_run in pieces, for who drives shard 0 in a loop of his own ------------------- */

/* Start the other shards' threads; start() runs on each of them and, before this returns, here for
 * shard 0. It may be NULL. */
MUST int io_epoll_start(struct io_epoll_world *world, void (*start)(struct io *io, void *arg),
                        void *arg);

/* One turn of shard 0; waits at most `wait_ns` where nothing is ready. */
void io_epoll_turn(struct io_epoll_world *world, int64_t wait_ns);

/* Readable when shard 0 has something to do, if io_epoll_due_ns was asked since the last turn. */
int io_epoll_fd(const struct io_epoll_world *world);
/* Nanoseconds until shard 0 has something to do in any case; INT64_MAX = nothing is due. */
int64_t io_epoll_due_ns(struct io_epoll_world *world);

struct io *io_epoll_shard(struct io_epoll_world *world, uint32_t shard);
