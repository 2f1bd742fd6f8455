/* conformance.h - what the suite's files share: a trial (one test's world) and probes (operations
 * that check I1 by themselves).
 *
 *     struct trial w;
 *     trial_open(&w, 1);
 *     CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "a"), op)), 0);   start, wait, result
 *
 *     struct probe p;
 *     START(&w, &p, io_recv(socket, into, n, &p.op));            start only
 *     CHECK_EQ(probe_wait(&p), 5);
 *     trial_close(&w);
 */
#pragma once

#include "check.h"
#include "world.h"

#define PATHS 8
#define PATH_BYTES 512

struct trial {
    struct world *world;
    struct io *io; /* shard 0 */
    bool calling;  /* inside a call of io.h: nothing may complete */
    uint32_t in_flight;
    uint32_t next_path;
    char paths[PATHS][PATH_BYTES];
};

void trial_open(struct trial *w, uint32_t shard_count);

/* Some more turns, so that what completes twice is seen; nothing may be in flight any more. */
void trial_close(struct trial *w);

/* I3: what an `out` held before a call that fails is still there. */
extern char untouched_mark;
#define UNTOUCHED ((void *)&untouched_mark)

/* `name` in the world's directory; good until PATHS - 1 more were asked for. */
const char *path(struct trial *w, const char *name);

void trial_turns(struct trial *w, uint32_t turns);

/* Turn until condition(arg); false when the world says that it will never be. */
bool trial_until(struct trial *w, bool (*condition)(void *arg), void *arg);

/* Turn for `ns` of the world's time. */
void trial_sleep(struct trial *w, int64_t ns);

static inline struct io_span span_of(const void *p, uint32_t n)
{
    return (struct io_span){.p = p, .n = n};
}

/* ---- probes ---------------------------------------------------------------------------- */

struct probe {
    struct op op;
    struct trial *w;
    uint32_t times; /* completions */
    int64_t result;
    uint32_t *order; /* a counter to draw `place` from at the completion; may be NULL */
    uint32_t place;
    void (*then)(struct probe *p); /* runs in the completion; may be NULL */
    void *arg;                     /* the test's own */
};

void probe_begin(struct trial *w, struct probe *p); /* keeps order, then, arg */
void probe_started(struct probe *p);
int64_t probe_wait(struct probe *p); /* the result; fails the test when it never comes */

#define START(w_, probe_, call)      \
    do {                             \
        probe_begin((w_), (probe_)); \
        call;                        \
        probe_started(probe_);       \
    } while (0)

/* `call` names the operation `op`. */
#define RUN(w_, call)                     \
    __extension__({                       \
        struct probe run_ = {.times = 0}; \
        struct op *op = &run_.op;         \
        probe_begin((w_), &run_);         \
        call;                             \
        probe_started(&run_);             \
        probe_wait(&run_);                \
    })

/* Ask for the end of a probe's operation; it must not come inside the call. */
void probe_cancel(struct probe *p);

/* ---- files and sockets ----------------------------------------------------------------- */

/* Open for writing, created and emptied. */
struct io_file *file_new(struct trial *w, const char *name);
void file_close(struct trial *w, struct io_file *file);
void file_write(struct trial *w, struct io_file *file, uint64_t position, const void *p,
                uint32_t n);

/* Byte `i` of a pattern that does not repeat soon: what stands where must be there. */
static inline uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 17 + (i >> 16));
}

void pattern_fill(uint8_t *p, uint64_t from, uint32_t n);
bool pattern_is(const uint8_t *p, uint64_t from, uint32_t n);

/* Both ends of a connection over a listener on a port of the world's choice. */
struct pair {
    struct io_listener *listener;
    struct io_address address; /* bound */
    struct io_address peer;    /* of `server`, as accept said */
    struct io_socket *client;
    struct io_socket *server;
};
void pair_open(struct trial *w, struct pair *p);
void pair_close(struct trial *w, struct pair *p); /* what is not NULL */

struct io_listener *listener_new(struct trial *w, struct io_address *bound);
void socket_close(struct trial *w, struct io_socket *s);
void listener_close(struct trial *w, struct io_listener *l);

/* Send text, receive exactly so much text. */
void send_text(struct trial *w, struct io_socket *s, const char *text);
void expect_text(struct trial *w, struct io_socket *s, const char *text);
