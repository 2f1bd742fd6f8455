/* simulator/internal.h - what the files of this room share.
 *
 *   sim.c      events, time, chance, trace          disk_*.c   what a disk holds (disk.h)
 *   node.c     nodes, processes, going down         net.c      connections and their pipes
 *   shard.c    operations, timers, messages         socket.c   sockets: send, receive, close
 *   file.c     the calls on files and names         connect.c  listen, accept, connect
 *   image.c    a test's own look at a disk          backend.c  the table of all calls
 */
#pragma once

#include "simulator/disk.h"
#include "simulator/simulator.h"

struct sim;
struct life;
struct shard;
struct connection;

/* ---- events ------------------------------------------------------------------------------ */

struct event {
    struct heap_node node;
    void (*run)(struct sim *sim, struct event *e);
    struct shard *shard; /* it waits while that one is stalled; NULL = the world's own */
};

/* An operation of a program, from its call to its completion; or a message on its way. */
struct request {
    struct event event;
    struct list in_life;
    struct op *op;         /* NULL for a message */
    enum sim_kind kind;
    bool applied;          /* it has taken effect; `result` is decided */
    bool aborted;          /* it never takes effect; `result` is decided */
    bool has_path;
    bool answered;         /* a connect: only its completion is missing */
    int64_t result;

    struct file *file;
    struct socket *socket;
    struct listener *listener;
    struct channel *channel;       /* of a message */
    struct socket *connected;      /* of a connect, until it is handed over */
    uint64_t position;     /* in the file; of a send, the bytes sent so far; of sync_dir, the first
                            * change that it does not cover */
    uint64_t n;            /* bytes; of a connect, the attempts so far */
    uint32_t flags;        /* of open, the mode of chmod, `shared` of listen */
    const void *pieces;    /* struct bytes or struct io_span */
    uint32_t count;
    uint32_t piece, piece_taken; /* how far a send is in them */
    void *into;            /* of a receive NULL when it lends; the argument of `work` */
    void (*work)(void *arg);
    struct seal seal;

    /* Out parameters: poisoned until completion, put back on failure (I3). */
    void *out;
    uint32_t out_bytes;
    uint64_t out_saved[2];
    struct io_address *address_out;
    struct request_answer {
        union {
            struct inode *inode; /* open: a reference, until the handle is made */
            struct io_file *file;
            struct io_entries entries;
            struct io_space space;
            struct io_socket *socket;
            struct io_listener *listener;
            struct bytes lent;
        };
    } answer;

    struct request *next_free;
    /* Not cleared for a new request. */
    struct io_address address; /* asked for; then the answer */
    char *path;
    char *path_to;             /* of a rename; inside `path` */
    uint32_t path_capacity;
};

/* ---- processes --------------------------------------------------------------------------- */

/* Messages from one shard to another: in order. */
struct channel {
    struct list messages;
    struct shard *to;
};

struct shard {
    struct io io; /* first */
    struct life *life;
    struct channel channels[SIM_SHARDS_MAX]; /* by sending shard */
    int64_t busy_until_ns;
    int64_t next_stall_ns;
};

/* One process, from start to its end and through its afterlife. */
struct life {
    struct list in_node;
    struct sim_node *node;
    uint32_t number;
    uint32_t shard_count;
    bool dead;
    bool forgotten;
    int64_t clock_offset_ns; /* its monotonic clock minus the world's */
    struct list requests;    /* in flight */
    uint32_t request_count;
    struct list files, sockets, listeners;
    struct prng secrets;
    struct shard shards[SIM_SHARDS_MAX];
};

enum node_state { NODE_OFF, NODE_KILLED, NODE_UP };

struct sim_node {
    struct sim *sim;
    uint32_t number;
    char name[64];
    char host[32];
    enum node_state state;
    struct disk *disk;
    struct life *life; /* the newest */
    struct list lives;

    int64_t wall_offset_ms;
    int64_t wall_drift_ppm;
    int64_t wall_drift_from_ns;

    uint64_t fail_in, crash_in; /* operations until then; 0 = off */
    int fail_error;
    const char *fail_in_dir; /* NULL = none */
    uint32_t crash_how;
    uint32_t slow_factor;
    int64_t slow_until_ns;

    void (*down)(struct sim_node *node, void *arg);
    void *down_arg;
    struct event down_event;

    struct list ends;      /* of connections */
    struct list listeners; /* bound */
    uint16_t next_port;
    uint64_t cut_to;       /* bit of each node that nothing arrives at */
    struct sim_counters counters;
};

/* ---- handles ----------------------------------------------------------------------------- */

struct file {
    struct io_file base; /* first */
    struct list in_life;
    struct inode *inode; /* NULL in the afterlife */
    char *path;          /* as it was opened */
    uint32_t flags;
    uint32_t in_flight;
    bool closing;
};

/* Bytes on their way in one direction, or arrived and not yet received. */
struct segment {
    struct segment *next;
    int64_t arrive_ns;
    uint32_t n, taken;
    bool fin;
    uint8_t bytes[];
};

/* What one end of a connection receives. */
struct pipe {
    struct segment *first, *last;
    struct segment *coming; /* first that has not arrived; NULL = all have */
    uint64_t held_bytes;    /* sent and not received by the program */
    uint64_t window_bytes;
    uint32_t arrived_bytes;
    struct event arrive;    /* scheduled for `coming` unless it is stuck */
    struct list stuck;      /* in sim->stuck: nothing gets through */
};

struct end {
    struct connection *connection;
    struct sim_node *node;
    struct list in_node;
    struct shard *shard;      /* of the socket or the listener */
    struct socket *socket;    /* NULL: not accepted yet, closed or dead */
    struct listener *backlog; /* not accepted yet */
    struct list in_backlog;
    struct request *recv, *send;
    struct pipe in;
    struct event trouble;     /* a reset on its way, or a timeout running */
    int trouble_error;
    int error;                /* it has arrived */
    bool open;                /* to the other side */
    bool silent;              /* its machine lost power */
    bool fin_seen;
    uint16_t port;
};

struct connection {
    struct list all;
    struct end ends[2]; /* 0 connected, 1 accepted */
    int64_t latency_ns;
    bool loopback, bad_line;
};

struct socket {
    struct io_socket base; /* first */
    struct list in_life;
    struct end *end; /* NULL in the afterlife */
    bool closing;
};

struct listener {
    struct io_listener base; /* first */
    struct list in_life;
    struct list in_node;     /* linked while bound */
    struct sim_node *node;
    struct io_address address;
    bool shared, closing;
    struct list backlog;     /* struct end */
    uint32_t backlog_count;
    struct request *accept;
};

/* ---- the world --------------------------------------------------------------------------- */

struct sim {
    uint64_t seed;
    struct sim_options options;
    bool calm;
    struct prng prng;      /* the weather */
    struct prng test_prng;
    int64_t now_ns;
    int64_t latency_ns;
    uint64_t hash;
    uint64_t event_count;
    struct heap events;    /* struct event */
    struct heap timers;    /* struct io_timer, by the world's time */
    struct sim_node *nodes[SIM_NODES_MAX];
    uint32_t node_count;
    const char *shared_name; /* NULL; else its addresses are those of all nodes */
    struct request *free_requests;
    struct list connections;
    struct list stuck;     /* struct pipe */
    struct list acts;      /* of sim_at */
    sim_heard heard;       /* NULL = nobody listens */
    void *heard_arg;
};

/* sim.c */
void sim_event_at(struct sim *sim, struct event *e, int64_t at_ns); /* moves one that is set */
void sim_event_stop(struct sim *sim, struct event *e);              /* accepts one that is not */
static inline bool event_is_set(const struct event *e) { return e->node.position != 0; }

/* Nanoseconds, at least `base`, usually below base + spread, now and then far more. */
int64_t sim_delay(struct sim *sim, int64_t base, int64_t spread);
bool sim_chance(struct sim *sim, uint32_t ppm);
uint64_t sim_below(struct sim *sim, uint64_t bound);
void sim_enter(struct sim *sim, struct shard *shard); /* the clock that it sees */
void sim_trace(struct sim *sim, enum sim_kind kind, const struct sim_node *node, uint32_t shard,
               int64_t result, const char *what, uint64_t number);
int64_t sim_shard_stall_pause(struct sim *sim);

/* shard.c */
struct request *sim_request_new(struct io *io, enum sim_kind kind, struct op *op);
void sim_request_out(struct request *r, void *out, uint32_t bytes);
void sim_request_path(struct request *r, const char *path, const char *path_to);
void sim_request_later(struct request *r, int64_t base_ns, int64_t spread_ns);
void sim_request_abort(struct request *r, int64_t result); /* soon completes without effect */
void sim_request_end_life(struct request *r); /* its process is dead */
void sim_request_done(struct request *r, int64_t result); /* completes now, with r->answer */
void sim_request_free(struct request *r);
static inline struct shard *shard_of(const struct io *io) { return (struct shard *)(uintptr_t)io; }
static inline struct sim *sim_of(const struct io *io) { return shard_of(io)->life->node->sim; }
void sim_shard_drop_timers(struct life *life);

/* node.c */
void sim_node_free(struct sim_node *node);
void sim_node_crash(struct sim_node *node, bool power);
int64_t sim_node_wall_ms(const struct sim_node *node);

/* file.c */
void sim_file_request_end(struct request *r); /* its process ends */
void sim_life_close_files(struct life *life, bool forget);

/* net.c */
struct connection *sim_connection_new(struct sim *sim, struct sim_node *from, struct sim_node *to);
void sim_connection_free(struct connection *c);
struct end *sim_end_peer(struct end *e);
bool sim_net_is_cut(const struct sim_node *from, const struct sim_node *to);
void sim_end_send(struct end *from, struct segment *s); /* takes it */
struct segment *sim_segment_new(uint32_t n);
void sim_end_close(struct end *e, bool reset); /* tells the other side */
void sim_end_detach(struct end *e);            /* no socket any more: may free the connection */
void sim_end_break(struct end *e, int error);  /* fails here, resets the other side */
void sim_end_wake_sender(struct end *receiver);
void sim_node_net_down(struct sim_node *node, bool power);
void sim_pipes_retry(struct sim *sim);
/* No line of a connection is bad any more. */
void sim_lines_calm(struct sim *sim);

/* socket.c */
struct socket *sim_socket_new(struct shard *shard, struct end *end);
void sim_recv_complete(struct request *r);
void sim_life_free_sockets(struct life *life); /* and listeners; their ends are detached */

/* connect.c */
struct request *sim_net_request(struct io *io, enum sim_kind kind, struct op *op,
                            void (*run)(struct sim *sim, struct event *e));
void sim_connect_abandon(struct request *r); /* what a connect has reached is closed again */
void sim_listener_unbind(struct listener *l);

extern const struct io_backend sim_backend;

/* The calls, by the names of io.h. */
void sim_io_timer_set(struct io *io, struct io_timer *t, int64_t at_ns);
void sim_io_timer_clear(struct io *io, struct io_timer *t);
void sim_io_complete(struct io *io, struct op *op, int64_t result);
void sim_io_cancel(struct io *io, struct op *op);
void sim_io_post(struct io *from, uint32_t shard, struct io_message *m);
void sim_io_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op);

void sim_io_open(struct io *io, const char *path, uint32_t flags, struct io_file **out,
                 struct op *op);
void sim_io_close(struct io_file *f, struct op *op);
void sim_io_read(struct io_file *f, uint64_t position, void *into, uint32_t n, struct op *op);
void sim_io_write(struct io_file *f, uint64_t position, const struct bytes *pieces,
                  uint32_t count, struct op *op);
void sim_io_write_durable(struct io_file *f, uint64_t position, const struct bytes *pieces,
                          uint32_t count, struct op *op);
void sim_io_sync(struct io_file *f, struct op *op);
void sim_io_truncate(struct io_file *f, uint64_t size_bytes, struct op *op);
void sim_io_allocate(struct io_file *f, uint64_t position, uint64_t n, struct op *op);
void sim_io_size(struct io_file *f, struct op *op);
void sim_io_lock(struct io_file *f, struct op *op);
void sim_io_rename(struct io *io, const char *from, const char *to, struct op *op);
void sim_io_remove(struct io *io, const char *path, struct op *op);
void sim_io_mkdir(struct io *io, const char *path, struct op *op);
void sim_io_rmdir(struct io *io, const char *path, struct op *op);
void sim_io_sync_dir(struct io *io, const char *path, struct op *op);
void sim_io_chmod(struct io *io, const char *path, uint32_t mode, struct op *op);
void sim_io_list(struct io *io, const char *path, struct io_entries *out, struct op *op);
void sim_io_space(struct io *io, const char *path, struct io_space *out, struct op *op);

void sim_io_listen(struct io *io, const struct io_address *address,
                   const struct io_listen_options *options, struct io_listener **out,
                   struct io_address *bound, struct op *op);
void sim_io_accept(struct io_listener *l, struct io_socket **out, struct io_address *peer,
                   struct op *op);
void sim_io_listener_close(struct io_listener *l, struct op *op);
void sim_io_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                    struct io_socket **out, struct op *op);
void sim_io_recv_lend(struct io_socket *s, struct bytes *out, struct op *op);
void sim_io_recv(struct io_socket *s, void *into, uint32_t n, struct op *op);
void sim_io_send(struct io_socket *s, const struct io_span *spans, uint32_t count,
                 struct op *op);
void sim_io_socket_close(struct io_socket *s, struct op *op);
