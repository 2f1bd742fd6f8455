/* main/streams.h - standard input and output for tools that use them as they go (internal).
 *
 * A thread for each, from its first use on, which waits where the kernel does. So terminals, pipes, files and sockets
 * are alike, and nothing is changed that others see: O_NONBLOCK belongs to all who share a terminal.
 */
#pragma once

#include "cli/cli.h"
#include "io_epoll/io_epoll.h"

extern const struct cli_streams standard_streams;

/* They complete on shard 0 of `world`, which lives until streams_end. Once in a process. */
void streams_begin(struct io_epoll_world *world);
/* On shard 0. What is in flight never completes; its thread may wait on, and ends with the process. */
void streams_end(void);
