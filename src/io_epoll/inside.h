/* io_epoll/inside.h - what the files of this room share.
 *
 * The life of an operation. Its task lies in the private part of `struct op`; no allocation.
 *
 *               ┌──────────────────────── relisted ───────────────────────┐
 *   submitted ──┼─► TRY/MUST in shard->ready; `run` is called by the loop ┤
 *               ├─► PARKED   waits for epoll, in a slot of its handle ────┘ (then TRY)
 *               ├─► POOL     in a lane's queue, or `run` runs on a pool thread ──► inbox ──► LISTED
 *               ├─► PARKED   in the queue of aio.c, then DISK ──► LISTED, or POOL for the rest
 *               └─► LISTED   in shard->ready or ->soon; the result is known
 *                      │
 *                      ▼
 *                   task_end: IDLE, `finish`, done
 *
 *   E1  Only task_end calls done, and only the loop calls task_end: so I1 holds.
 *   E2  While epoll's events are taken in, no code of callers runs: so no event meets a handle that
 *       has been freed.
 *   E3  `running` is guarded by its lane's lock, the lists of an inbox by its lock; everything else
 *       belongs to the shard's thread. A task in the pool belongs to the pool until the inbox.
 */
#pragma once

#define _GNU_SOURCE /* every file of this room includes this one first */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "io_epoll/io_epoll.h"

/* ---- tasks ----------------------------------------------------------------------------- */

enum task_state {
    TASK_IDLE,
    TASK_TRY,
    TASK_MUST, /* as TRY, but it cannot be cancelled: closing */
    TASK_PARKED,
    TASK_POOL,
    TASK_DISK, /* the kernel has it: io_cancel comes too late */
    TASK_LISTED,
};

enum lane_kind { LANE_FILE, LANE_REMOVE, LANE_READ, LANE_SYNC, LANE_WORK, LANE_RESOLVE, LANES };

/* Overlays op->word: may_alias, because those are declared as numbers. op->owner is the shard. */
struct __attribute__((may_alias)) task {
    uint8_t state; /* enum task_state */
    uint8_t lane;  /* enum lane_kind */
    bool canceled; /* asked for while it could not be stopped */
    bool running;  /* on a pool thread */
    uint32_t n;    /* bytes, pieces, spans, flags: as `run` wants it */
    int64_t result;
    void (*run)(struct op *op);
    void (*finish)(struct op *op); /* on the shard, before done; may be NULL */
    void (*cancel)(struct op *op); /* of a PARKED one; NULL = it completes with -ECANCELED */
    void *object;                  /* the handle, or paths */
    void *memory;                  /* the caller's */
    union {
        uint64_t position;
        void *second; /* the caller's, where a call writes two things */
    };
    uint64_t total;  /* bytes done so far */
    uint32_t index;  /* of the current piece */
    uint32_t offset; /* into the current piece */
};
_Static_assert(sizeof(struct task) <= sizeof(((struct op *)0)->word), "struct op has no room");

static inline struct task *task_of(struct op *op)
{
    return (struct task *)op->word;
}

static inline struct op *op_of_node(struct list *node)
{
    return container_of(node, struct op, node);
}

/* ---- handles --------------------------------------------------------------------------- */

/* In shard->handles while it exists, so that io_epoll_free can end what was left open. */
struct handle {
    struct list node;
    void (*abandon)(struct handle *h); /* close and free, no completion */
};

/* A descriptor that epoll watches, edge-triggered, from the first time that it was not ready. */
struct watch {
    int fd;
    bool added;
    void (*ready)(struct watch *w, uint32_t events); /* runs no code of callers (E2) */
};

struct epoll_file {
    struct io_file base; /* first */
    struct handle handle;
    int fd;
    uint32_t in_flight; /* operations, sends too: io_close asserts that there are none */
    bool cache_unknown; /* the file system has no RWF_NOWAIT */
    uint64_t inside_bytes; /* it is at least so long, as far as we know */
};

static inline struct epoll_file *file_of(struct io_file *file)
{
    return container_of(file, struct epoll_file, base);
}

/* An operation on the file begins (1), or has ended (-1). Atomic, because another shard may send from it. */
static inline void file_hold(struct epoll_file *file, int by)
{
    __atomic_add_fetch(&file->in_flight, (uint32_t)by, __ATOMIC_ACQ_REL);
}

struct epoll_socket {
    struct io_socket base; /* first */
    struct handle handle;
    struct watch watch;
    struct connecting *connecting; /* NULL = connected */
    bool readable, writable;       /* as far as we know; false only when epoll will tell */
    bool ended;                    /* epoll has told of the end: every read tells more */
    bool warming;                  /* `warm` is in the pool, for `send` */
    struct op *recv, *send, *close;
    struct op warm;
    uint64_t warm_end; /* up to here the current span's file is in the page cache */
};

struct epoll_listener {
    struct io_listener base; /* first */
    struct handle handle;
    struct watch watch;
    bool readable, closing;
    struct io_listen_options options;
    struct op *accept;
    struct io_address address; /* asked for, then bound */
};

/* ---- shards ---------------------------------------------------------------------------- */

/* What other threads hand to a shard. */
struct inbox {
    pthread_mutex_t lock;
    struct list ops;      /* from the pool */
    struct list messages; /* from other shards */
    bool asleep;          /* the loop waits, or is about to: whoever adds something wakes it */
};

struct shard {
    struct io io; /* first */
    struct io_epoll_world *world;
    int epoll_fd;
    bool has_wait_ns; /* the kernel has epoll_pwait2 */
    struct watch wake;
    struct heap timers;
    struct list ready;    /* ops for the next turn */
    struct list soon;     /* ops for this turn: sends that the kernel took at once */
    struct list messages; /* to ourselves */
    struct list handles;
    uint8_t *scratch; /* of io_recv_lend */
    struct aio *aio;  /* NULL: the pool does its work; see aio_ready */
    bool aio_asked;
    int64_t pool_writes_until_ns; /* until then the shard makes no write itself */
    struct inbox inbox;
    pthread_t thread;
};

#define SCRATCH_BYTES 65536 /* what one io_recv_lend gives at most */

static inline struct shard *shard_of(struct io *io)
{
    return container_of(io, struct shard, io);
}

struct lane {
    struct io_epoll_world *world;
    const char *name;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list queue; /* intrusive: bounded by what the callers have in flight */
    uint32_t queued, idle, threads, threads_max;
    bool stopping;
    pthread_t *ids;
};

enum world_state { WORLD_NEW, WORLD_RUNS, WORLD_FAILED };

struct io_epoll_world {
    struct shard **shards;
    uint32_t shard_count;
    struct lane lanes[LANES];
    atomic_bool stopping;

    /* Threads of shards wait here until all exist. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    enum world_state state;
    uint32_t threads; /* of shards, beyond the first */
    void (*start)(struct io *io, void *arg);
    void *start_arg;

    struct watch signals;
    uint32_t signals_pending; /* bits */
    void (*on_signal)(struct io *io, int signal, void *arg);
    void *on_signal_arg;
};

/* ---- loop.c ---------------------------------------------------------------------------- */

/* Take `op` in hand: fresh task, nothing queued yet. */
struct task *task_begin(struct shard *s, struct op *op);

void task_list(struct op *op, int64_t result);      /* complete in the next turn */
void task_list_soon(struct op *op, int64_t result); /* complete in this turn */
void task_try(struct op *op);                       /* call `run` in the next turn */
void task_must(struct op *op);                      /* as task_try, whatever io_cancel says */
void task_end(struct op *op, int64_t result);       /* only from `run` or the loop */
void task_cancel(struct op *op);

/* Have epoll tell of `w`, both directions. */
MUST int watch_add(struct shard *s, struct watch *w);
void watch_close(struct watch *w);

void handle_add(struct shard *s, struct handle *h, void (*abandon)(struct handle *h));
void handle_remove(struct handle *h);

void inbox_add_op(struct shard *s, struct op *op); /* from any thread */
void shard_wake(struct shard *s);                  /* from any thread */
int64_t shard_sleep_ns(struct shard *s, int64_t wait_ns); /* how long a turn would sleep now, wait_ns at most */
void shard_turn(struct shard *s, int64_t wait_ns);
int64_t clock_ns(void);

void epoll_timer_set(struct io *io, struct io_timer *t, int64_t at_ns);
void epoll_timer_clear(struct io *io, struct io_timer *t);
void epoll_complete(struct io *io, struct op *op, int64_t result);
void epoll_cancel(struct io *io, struct op *op);
void epoll_post(struct io *from, uint32_t shard, struct io_message *m);

/* ---- pool.c ---------------------------------------------------------------------------- */

MUST int pool_lane_init(struct lane *lane, struct io_epoll_world *world, const char *name,
                   uint32_t threads_max);
void pool_lane_deinit(struct lane *lane); /* waits for what runs, forgets what is queued */

/* Have task->run(op) called on a thread of the lane; it sets task->result. */
void pool_add(struct op *op, enum lane_kind kind);

/* Take `op` out again; false: it runs already. */
bool pool_remove(struct op *op);

void epoll_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op);

/* ---- aio.c ----------------------------------------------------------------------------- */

/* false where the kernel has none for us. It is set up by the first operation that wants it: ending it waits for all
 * processors, some 40 ms, which a tool of a millisecond should not pay. */
bool aio_ready(struct shard *s);
void aio_free(struct aio *a);    /* waits for what the kernel has; accepts NULL */
void aio_add(struct op *op);     /* have file_to_aio(op) submitted; task->lane is where else it goes */
void aio_submit(struct shard *s);
void aio_take(struct shard *s);  /* what has ended; runs no code of callers */

/* ---- file.c, data.c, name.c ------------------------------------------------------------ */

/* Take an operation on the file in hand, until its end. */
struct task *file_op_begin(struct io_file *base, void (*run)(struct op *op), struct op *op);

/* Is [position, position + n) in the page cache? Asks at both ends only. */
bool file_is_cached(struct epoll_file *file, uint64_t position, uint32_t n);

struct iocb;
struct iovec;

/* A read or write as the kernel wants it; `out` and `pieces` stay until it is submitted. */
void file_to_aio(struct op *op, struct iocb *out, struct iovec pieces[IO_PIECES_MAX]);

/* The kernel says `result` to that. false: a part is done, and the pool may go on. */
bool file_from_aio(struct op *op, int64_t result);

void epoll_open(struct io *io, const char *path, uint32_t flags, struct io_file **out,
                struct op *op);
void epoll_close(struct io_file *file, struct op *op);
void epoll_read(struct io_file *file, uint64_t position, void *into, uint32_t n, struct op *op);
void epoll_write(struct io_file *file, uint64_t position, const struct bytes *pieces,
                 uint32_t count, struct op *op);
void epoll_write_durable(struct io_file *file, uint64_t position, const struct bytes *pieces,
                         uint32_t count, struct op *op);
void epoll_sync(struct io_file *file, struct op *op);
void epoll_truncate(struct io_file *file, uint64_t size_bytes, struct op *op);
void epoll_allocate(struct io_file *file, uint64_t position, uint64_t n, struct op *op);
void epoll_size(struct io_file *file, struct op *op);
void epoll_lock(struct io_file *file, struct op *op);

void epoll_rename(struct io *io, const char *from, const char *to, struct op *op);
void epoll_remove(struct io *io, const char *path, struct op *op);
void epoll_mkdir(struct io *io, const char *path, struct op *op);
void epoll_rmdir(struct io *io, const char *path, struct op *op);
void epoll_sync_dir(struct io *io, const char *path, struct op *op);
void epoll_chmod(struct io *io, const char *path, uint32_t mode, struct op *op);
void epoll_list(struct io *io, const char *path, struct io_entries *out, struct op *op);
void epoll_space(struct io *io, const char *path, struct io_space *out, struct op *op);

/* ---- address.c, listener.c, connect.c, socket.c ---------------------------------------- */

struct addrinfo;

/* The addresses of `address`; with `numeric_only` no name server is asked and a name is
 * -EHOSTUNREACH. The caller owes freeaddrinfo(*out). */
MUST int address_resolve(const struct io_address *address, bool numeric_only, bool passive,
                         struct addrinfo **out);
/* Those of a canonical name: the one that the host's address number `first` is given back as. */
MUST int address_resolve_canonical(const struct io_address *address, struct addrinfo **out);
void address_of(const struct sockaddr_storage *from, socklen_t length, struct io_address *out);

/* A handle for the connected (or connecting) `fd`; -1 = none yet. NULL when there is no memory. */
struct epoll_socket *socket_new(struct shard *s, int fd);
void socket_free(struct epoll_socket *s); /* closes; no operation may be in flight */
void socket_set_options(int fd);
MUST int socket_set_buffers(int fd, int send_bytes, int receive_bytes); /* 0 = as they are */

/* Epoll tells about a socket that is being connected. */
void connect_ready(struct connecting *c, uint32_t events);

/* End an attempt without a completion, for io_epoll_free. */
void connect_abandon(struct connecting *c);

void epoll_listen(struct io *io, const struct io_address *address,
                  const struct io_listen_options *options, struct io_listener **out,
                  struct io_address *bound, struct op *op);
void epoll_accept(struct io_listener *l, struct io_socket **out, struct io_address *peer,
                  struct op *op);
void epoll_listener_close(struct io_listener *l, struct op *op);
void epoll_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                   struct io_socket **out, struct op *op);
void epoll_recv_lend(struct io_socket *s, struct bytes *out, struct op *op);
void epoll_recv(struct io_socket *s, void *into, uint32_t n, struct op *op);
void epoll_send(struct io_socket *s, const struct io_span *spans, uint32_t count, struct op *op);
void epoll_socket_close(struct io_socket *s, struct op *op);
