/* support/foreign.h - for fuzz programs of what speaks to brokers: one broker, near:9092, that answers foreign bytes.
 *
 *   data[0]   seed of the world
 *   then one piece for each request that comes, over all connections:
 *     c         what to do with it, modulo 8
 *       0, 1    the body of the answer is the n bytes that follow: u16 n, bytes (as many as there are)
 *       2       an answer that is good, where it is ApiVersions; else as 0
 *       3       those bytes instead of the whole answer, length and header too
 *       4 to 7  an answer that is good, but for bytes of its body: u8 n, n times u16 place and u8 that it is xored with
 *   without a piece, the connection is closed
 */
#pragma once

#include "network/network.h"
#include "simulator/simulator.h"

#define FOREIGN_PARTITIONS 2

struct foreign {
    struct sim *sim;
    struct io *io, *far_io;  /* the broker's; that of the program under test */
    struct telemetry *telemetry;
    /* What a good answer says; NULL: by default it has no error, and nothing in it. ApiVersions, Metadata (node 1, which
     * leads topic "t") and FindCoordinator are known. */
    void (*good)(int16_t api_key, int16_t version, const void *request, void *response, struct arena *arena);

    struct io_listener *listener; /* private from here on */
    struct io_socket *accepted;
    struct op accept;
    struct bytes rest;
};

/* One operation that a program waits for. */
struct foreign_wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *foreign_wait_begin(struct foreign_wait *w);
/* Until it is done; it must be within a number of events. */
void foreign_wait_end(struct foreign *f, struct foreign_wait *w);

/* false: the input is too short, or too long. */
bool foreign_open(struct foreign *f, const uint8_t *data, size_t size);
void foreign_pass(struct foreign *f, int64_t ms);
/* All connections of the program have ended. */
void foreign_close(struct foreign *f);
