/* lab.h - both ends of a connection in a world: a host (conn and a session of the test) and a guest
 * (a bare socket that sends and reads what a test says).
 *
 *   guest ── frames: length, id, pattern of id ──► conn ──► host: parks each frame, or on_frame
 *         ◄─ answers: length, id, pattern of id ──      ◄── host_answer
 */
#pragma once

#include "check.h"
#include "io/io.h"
#include "network/network.h"
#include "simulator/simulator.h"

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct io_epoll_world;

struct lab {
    struct sim *sim;               /* NULL: the real world */
    struct sim_node *near, *far;   /* of the host; of the guest */
    struct io_epoll_world *epoll;
    struct io *io, *far_io;
    struct io_address address;     /* that the host listens on */
    struct io_listener *listener;
    struct telemetry_sink sink;
    struct telemetry *telemetry;
    struct text said;              /* warnings, a line each */
    char directory[64];
};
void lab_sim(struct lab *lab, uint64_t seed, const struct sim_options *options);
void lab_real(struct lab *lab);
/* Listen on shard 0 of the near node. */
void lab_listen(struct lab *lab);
void lab_unlisten(struct lab *lab);
void lab_end(struct lab *lab);
/* false: nothing will ever happen again, or it takes too long. */
bool lab_turn(struct lab *lab);
void lab_pass(struct lab *lab, int64_t ns); /* let so much time pass */
#define UNTIL(lab, condition)                                                             \
    do {                                                                                  \
        while (!(condition)) {                                                            \
            if (!lab_turn(lab))                                                           \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);      \
        }                                                                                 \
    } while (0)

/* An operation that a test waits for. */
struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct lab *lab, struct wait *w);

/* ---- the host ------------------------------------------------------------------------------- */

struct host;

/* A request of the test's session. */
struct taken {
    struct conn_frame frame; /* first */
    struct host *host;
    struct list node;        /* in host->parked until it is answered */
    uint32_t id;             /* the frame's first four bytes */
    struct answer answer;
    struct io_span *spans;
    uint8_t *bytes;
};

struct host {
    struct lab *lab;
    struct conn *conn;
    struct io_socket *socket;
    struct op accept;
    struct conn_limits limits;
    bool started, closed, gone;
    bool inside;                 /* a call into conn is under way */
    bool refuse_take;
    char why[200];
    struct list parked;
    uint32_t parked_count;
    uint32_t frames, gives, answers, releases; /* so far */
    struct text ids;             /* of the frames, in order: "1 2 3 " */
    void (*on_frame)(struct host *h, struct taken *t);  /* NULL: it is parked */
    void (*on_give)(struct host *h);
    void (*on_closed)(struct host *h);
    struct io_file *file;        /* answers take a part of themselves from it when not NULL */
    void *ctx;
};
extern const struct conn_limits limits_wide;
/* Accept one connection; with `start` it begins to read. */
void host_accept(struct host *h, struct lab *lab, const struct conn_limits *limits, bool start);
struct taken *host_first(struct host *h);
struct taken *host_last(struct host *h);
/* Answer with `n` bytes of pattern behind the id. */
void host_answer(struct taken *t, uint32_t n);
void host_answer_spans(struct taken *t, uint32_t n, uint32_t spans);
void host_answer_none(struct taken *t);
/* Answer what is parked, then wait until the connection is gone, and look at the counts. */
void host_end(struct host *h);

/* Byte `i` of the pattern of `id`. */
static inline uint8_t pattern(uint32_t id, uint64_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 8));
}
#define PATTERN_FILE_BYTES (1u << 20)
/* A file whose byte at i is (uint8_t)(i * 7 + (i >> 8)): pattern of id 0. */
struct io_file *lab_pattern_file(struct lab *lab);

/* ---- the guest ------------------------------------------------------------------------------ */

struct guest {
    struct lab *lab;
    struct io *io;
    struct io_socket *socket;
    struct op connect, send, receive;
    struct text out;       /* to be sent */
    struct text sent;      /* what the send in flight holds */
    struct io_span span;
    struct text in;        /* received so far */
    size_t parsed;
    uint32_t answers;
    struct text ids;       /* of the answers, in order */
    bool connected, sending, reading, ended;
    int64_t send_result, end_result;
    uint32_t cut_ppm;      /* a send is cut into pieces with this chance */
};
void guest_connect(struct guest *g, struct lab *lab);
void guest_send(struct guest *g, const void *p, size_t n);
/* A frame of `n` bytes (>= 4): id and its pattern. */
void guest_frame(struct guest *g, uint32_t id, uint32_t n);
void guest_read(struct guest *g);  /* begin to read; ids and patterns of answers are checked */
void guest_end(struct guest *g);   /* close */
