/* io/io.h - the one door to the world.
 *
 * Time, randomness, files, directories, sockets, names, timers and other shards are reached only
 * through a `struct io`, one per shard. Behind it is `io_epoll` (the real world) or `simulator`
 * (virtual time, seeded, with faults). Nothing above this door makes a system call, reads a clock,
 * draws a random number or takes a lock.
 *
 *      flow or machine ── io_write(file, …, &op) ──►  backend
 *                      ◄── op.done(&op, result) ────  later, same shard, exactly once
 *
 *   I1  An operation completes once, on the shard that started it, never inside the call that
 *       started it, also when it was cancelled.
 *   I2  Everything that a call names by pointer (op, buffers, spans, `out`) stays until completion;
 *       paths are copied.
 *   I3  Results: >= 0 as said below; < 0 a negative errno or an ERR_ of base/error.h. Pointer
 *       results go to `*out`, written before `done` and only on success.
 *   I4  Operations on one file may complete in any order: who needs order waits.
 *   I5  Nothing is durable before io_sync of the file and, for a name, io_sync_dir of its directory;
 *       save the bytes of an io_write_durable, which are when it completes.
 *   I6  What touches the bytes of a file that was opened with IO_DIRECT is aligned: position, length
 *       and memory are multiples of IO_ALIGN_BYTES.
 */
#pragma once

#include "base/base.h"

struct io;          /* one shard's door; made by a backend */
struct io_file;     /* an open file */
struct io_socket;   /* a connected stream socket */
struct io_listener; /* a listening socket */

/* ---- time and chance ------------------------------------------------------------------ */

/* Monotonic nanoseconds from an arbitrary start, as of the beginning of this loop turn. */
int64_t io_now_ns(const struct io *io);

/* Monotonic milliseconds, as io_now_ns. */
static inline int64_t io_now_ms(const struct io *io)
{
    return io_now_ns(io) / 1000000;
}

/* Wall clock, milliseconds since 1970 UTC: what Kafka's timestamps are. May jump. */
int64_t io_wall_ms(const struct io *io);

/* The shard's random numbers: seeded from the system, or by the simulator. Not for secrets. */
struct prng *io_prng(struct io *io);

/* Random bytes fit for secrets (salts, tokens). */
void io_random_bytes(struct io *io, void *p, size_t n);

/* ---- timers, turns, shards ------------------------------------------------------------- */

/* A timer that its owner embeds. Zeroed = not set. Never fires inside io_timer_set. */
struct io_timer {
    struct heap_node node;
    void (*fire)(struct io_timer *t);
    struct io *io;
};

/* Fire once at monotonic `at_ns` (at once, but in a later turn, if it has passed). Setting it again
 * moves it. */
void io_timer_set(struct io *io, struct io_timer *t, int64_t at_ns,
                  void (*fire)(struct io_timer *t));
void io_timer_clear(struct io_timer *t); /* accepts one that is not set */
static inline bool io_timer_is_set(const struct io_timer *t) { return t->node.position != 0; }

/* Complete `op` with `result` in a later turn: for who has the answer already (I1). */
void io_complete(struct io *io, struct op *op, int64_t result);

/* Wait for the next turn: lets others run in a long loop. Completes with 0. */
static inline void io_yield(struct io *io, struct op *op)
{
    io_complete(io, op, 0);
}

/* Ask that `op` end early. It completes with -ECANCELED, or with its result where it was too late.
 * A close closes in any case.
 * Accepts one that is not in flight any more only if its memory is still there and untouched.
 * What cannot be stopped half-way (a write that has begun) ends as it ends. */
void io_cancel(struct io *io, struct op *op);

/* Shards are numbered 0 .. io_shard_count-1 within a process. */
uint32_t io_shard(const struct io *io);
uint32_t io_shard_count(const struct io *io);

/* A message to another shard of the process (or to the own one), embedded by its sender.
 * Messages between two shards arrive in the order in which they were sent. */
struct io_message {
    void (*run)(struct io *io, struct io_message *m); /* on the receiving shard; owns `m` */
    struct list node;
};
void io_post(struct io *from, uint32_t shard, struct io_message *m);

/* Run `work(arg)` off the shard: long, pure computations. `work` touches only `arg`.
 * Completes with 0. The simulator runs it in place and delays the completion. */
void io_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op);

/* ---- files ----------------------------------------------------------------------------- */

enum io_open_flags {
    IO_READ = 1,
    IO_WRITE = 2,      /* implies IO_READ */
    IO_CREATE = 4,     /* when it is not there, mode 0644 */
    IO_EXCLUSIVE = 8,  /* with IO_CREATE: -EEXIST when it is there */
    IO_TRUNCATE = 16,
    IO_PRIVATE = 32,   /* with IO_CREATE: mode 0600 */
    IO_DIRECT = 64,    /* reads and writes go past the page cache (I6) */
};

/* What I6 counts in: the pages of memory, and a multiple of a disk's blocks. */
#define IO_ALIGN_BYTES 4096u

static inline uint64_t io_align_down(uint64_t n) { return n & ~(uint64_t)(IO_ALIGN_BYTES - 1); }
static inline uint64_t io_align_up(uint64_t n) { return io_align_down(n + IO_ALIGN_BYTES - 1); }
static inline bool io_is_aligned(uint64_t n) { return n % IO_ALIGN_BYTES == 0; }

/* Memory that a file opened with IO_DIRECT can be read into and written from: `n` bytes, rounded up
 * to IO_ALIGN_BYTES, not initialized. NULL when there is none. Ends with free(). */
void *io_aligned_new(size_t n);

/* Completes with 0. -ENOENT, -EMFILE, ... A file system that knows no direct access is no trouble:
 * then a file with IO_DIRECT goes through the page cache, under the same rule I6, and
 * io_file_is_direct tells. */
void io_open(struct io *io, const char *path, uint32_t flags, struct io_file **out, struct op *op);

/* Does the file go past the page cache? false: it was opened without IO_DIRECT, or could not. */
bool io_file_is_direct(const struct io_file *file);

/* Completes with 0 (or trouble; the file is closed in any case). No other operation on the file
 * may be in flight. */
void io_close(struct io_file *file, struct op *op);

/* Read up to `n` bytes at `position`; completes with the count, short only at the end of file. */
void io_read(struct io_file *file, uint64_t position, void *into, uint32_t n, struct op *op);

/* Write all of `count` pieces (1..IO_PIECES_MAX) one after another from `position`; completes with
 * the total. On trouble it is unknown what was written. */
#define IO_PIECES_MAX 64
void io_write(struct io_file *file, uint64_t position, const struct bytes *pieces, uint32_t count,
              struct op *op);

/* As io_write, but it completes when these bytes, and as much of the file's size as they need, are
 * on stable storage; other bytes of the file are no more durable than before. One access to the
 * disk where an io_write and an io_sync need two, and no wait for what others have written. After
 * a failure, or a cut in between, any of the bytes may be old or new: never retry. */
void io_write_durable(struct io_file *file, uint64_t position, const struct bytes *pieces,
                      uint32_t count, struct op *op);

/* Make the file's bytes and size durable (fdatasync). After a failure the bytes may be lost for
 * ever: never retry. */
void io_sync(struct io_file *file, struct op *op);
void io_truncate(struct io_file *file, uint64_t size_bytes, struct op *op);

/* Reserve disk space for [position, position + n) and extend the size to it. */
void io_allocate(struct io_file *file, uint64_t position, uint64_t n, struct op *op);

/* Completes with the size in bytes. */
void io_size(struct io_file *file, struct op *op);

/* Take the whole-file write lock that a JVM's FileLock respects (fcntl F_OFD_SETLK); held until
 * close. -EAGAIN when another process has it. */
void io_lock(struct io_file *file, struct op *op);

/* ---- names ----------------------------------------------------------------------------- */

void io_rename(struct io *io, const char *from, const char *to, struct op *op); /* replaces */
void io_remove(struct io *io, const char *path, struct op *op);                 /* a file */
void io_mkdir(struct io *io, const char *path, struct op *op);                  /* mode 0755 */
void io_rmdir(struct io *io, const char *path, struct op *op);                  /* empty one */
void io_sync_dir(struct io *io, const char *path, struct op *op);
void io_chmod(struct io *io, const char *path, uint32_t mode, struct op *op);

/* Whole directory at once, sorted by name, without "." and "..". Entries live until
 * io_entries_free. Completes with their count. A backend takes the array and each name from
 * malloc. */
struct io_entry {
    char *name;
    uint64_t size_bytes; /* of a file */
    int64_t modified_ms; /* wall clock */
    bool is_dir;
};
struct io_entries {
    struct io_entry *entries;
    uint32_t count;
};
void io_list(struct io *io, const char *path, struct io_entries *out, struct op *op);
void io_entries_free(struct io_entries *entries); /* accepts a zeroed one */

/* Free and total bytes of the file system that holds `path`. */
struct io_space {
    uint64_t free_bytes, total_bytes;
};
void io_space(struct io *io, const char *path, struct io_space *out, struct op *op);

/* ---- sockets --------------------------------------------------------------------------- */

#define IO_HOST_MAX 256

struct io_address {
    char host[IO_HOST_MAX]; /* numeric, or a name where a call says that it resolves */
    uint16_t port;
    uint16_t first;         /* io_connect: which of a name's addresses is tried first, modulo their number */
};

/* How to listen; zeroed = as the system would have it. Sizes are what is asked for (SO_SNDBUF, SO_RCVBUF of the
 * connections): the system may give another one. */
struct io_listen_options {
    bool shared;                  /* each shard may listen on the same address (SO_REUSEPORT) */
    int32_t backlog;              /* connections that wait to be accepted; 0 = as many as the system allows */
    int32_t send_buffer_bytes;    /* 0 = the system's choice */
    int32_t receive_buffer_bytes;
};

/* Bind and listen. `host` empty = all interfaces; a name is resolved; port 0 = any: `bound` (may be
 * NULL) tells. `options` are copied; NULL = zeroed. Completes with 0. -EADDRINUSE, -EHOSTUNREACH (nobody knows
 * the name), ... */
void io_listen(struct io *io, const struct io_address *address,
               const struct io_listen_options *options, struct io_listener **out,
               struct io_address *bound, struct op *op);

/* Completes with 0 for one connection (TCP_NODELAY set). `peer` may be NULL. One accept in flight
 * per listener. -EMFILE and the like leave the listener good: try again a little later. */
void io_accept(struct io_listener *l, struct io_socket **out, struct io_address *peer,
               struct op *op);
void io_listener_close(struct io_listener *l, struct op *op); /* an accept in flight: -ECANCELED */

/* How to connect; zeroed = as the system would have it. Sizes as in io_listen_options. */
struct io_connect_options {
    bool canonical;               /* to the names that the host's addresses are given back as, not to its own */
    int32_t send_buffer_bytes;    /* 0 = the system's choice */
    int32_t receive_buffer_bytes;
};

/* Resolve (all addresses, in turn, from `first` on) and connect. One that does not answer holds up the others: who
 * cancels the attempt by a timer begins the next one with another. `options` are copied; NULL = zeroed. Completes with
 * 0. -ECONNREFUSED, -EHOSTUNREACH (also: nobody knows the name), ... No time limit of its own: cancel it by a timer. */
void io_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                struct io_socket **out, struct op *op);

/* Receive what is there, at least one byte, into memory of the backend: an idle connection holds no
 * buffer. `out` is valid only until `done` returns: take out what must stay. Completes with the
 * count; 0 = the peer has closed its sending side. One receive in flight per socket. */
void io_recv_lend(struct io_socket *s, struct bytes *out, struct op *op);

/* Receive at least one and at most `n` bytes into `into`. */
void io_recv(struct io_socket *s, void *into, uint32_t n, struct op *op);

/* A piece to send: memory, or a range of a file that was opened without IO_DIRECT. */
struct io_span {
    const uint8_t *p;     /* memory; NULL = of the file */
    struct io_file *file;
    uint64_t position;
    uint32_t n;           /* bytes */
};

/* Send all spans in order; completes with the total, or trouble (then the connection is good for
 * nothing but closing). A file shorter than said is -EIO, one that was withdrawn -ESTALE. One send in flight per
 * socket. */
void io_send(struct io_socket *s, const struct io_span *spans, uint32_t count, struct op *op);

/* From here on nothing more is sent from `file`, however far a send has come: for one whose bytes are about to be cut
 * off and written anew while answers from it are still on their way. On the shard that opened it; other handles of the
 * same file are not touched. What the system has already taken for sending is out of reach. */
void io_withdraw(struct io_file *file);
bool io_is_withdrawn(const struct io_file *file);

/* Close both directions. Operations in flight complete first (-ECANCELED or as they end). */
void io_socket_close(struct io_socket *s, struct op *op);

/* ---- backends --------------------------------------------------------------------------- */

/* What a backend implements: each row of the calls above. `struct io` is embedded first in the
 * backend's own struct; `struct io_file`, `io_socket`, `io_listener` begin with their `struct io *`,
 * so that a call finds its backend from any of them. */
struct io_backend {
    int64_t (*wall_ms)(const struct io *io);
    void (*random_bytes)(struct io *io, void *p, size_t n);
    void (*timer_set)(struct io *io, struct io_timer *t, int64_t at_ns);
    void (*timer_clear)(struct io *io, struct io_timer *t);
    void (*complete)(struct io *io, struct op *op, int64_t result);
    void (*cancel)(struct io *io, struct op *op);
    void (*post)(struct io *from, uint32_t shard, struct io_message *m);
    void (*offload)(struct io *io, void (*work)(void *arg), void *arg, struct op *op);

    void (*open)(struct io *io, const char *path, uint32_t flags, struct io_file **out,
                 struct op *op);
    void (*close)(struct io_file *file, struct op *op);
    void (*read)(struct io_file *file, uint64_t position, void *into, uint32_t n, struct op *op);
    void (*write)(struct io_file *file, uint64_t position, const struct bytes *pieces,
                  uint32_t count, struct op *op);
    void (*write_durable)(struct io_file *file, uint64_t position, const struct bytes *pieces,
                          uint32_t count, struct op *op);
    void (*sync)(struct io_file *file, struct op *op);
    void (*truncate)(struct io_file *file, uint64_t size_bytes, struct op *op);
    void (*allocate)(struct io_file *file, uint64_t position, uint64_t n, struct op *op);
    void (*size)(struct io_file *file, struct op *op);
    void (*lock)(struct io_file *file, struct op *op);

    void (*rename)(struct io *io, const char *from, const char *to, struct op *op);
    void (*remove)(struct io *io, const char *path, struct op *op);
    void (*mkdir)(struct io *io, const char *path, struct op *op);
    void (*rmdir)(struct io *io, const char *path, struct op *op);
    void (*sync_dir)(struct io *io, const char *path, struct op *op);
    void (*chmod)(struct io *io, const char *path, uint32_t mode, struct op *op);
    void (*list)(struct io *io, const char *path, struct io_entries *out, struct op *op);
    void (*space)(struct io *io, const char *path, struct io_space *out, struct op *op);

    void (*listen)(struct io *io, const struct io_address *address,
                   const struct io_listen_options *options, struct io_listener **out,
                   struct io_address *bound, struct op *op);
    void (*accept)(struct io_listener *l, struct io_socket **out, struct io_address *peer,
                   struct op *op);
    void (*listener_close)(struct io_listener *l, struct op *op);
    void (*connect)(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                    struct io_socket **out, struct op *op);
    void (*recv_lend)(struct io_socket *s, struct bytes *out, struct op *op);
    void (*recv)(struct io_socket *s, void *into, uint32_t n, struct op *op);
    void (*send)(struct io_socket *s, const struct io_span *spans, uint32_t count, struct op *op);
    void (*socket_close)(struct io_socket *s, struct op *op);
};

struct io {
    const struct io_backend *backend;
    int64_t now_ns;
    uint32_t shard, shard_count;
    struct prng prng;
};
struct io_file {
    struct io *io;
    bool aligned; /* it was opened with IO_DIRECT: I6 */
    bool direct;  /* and it is past the page cache */
    bool withdrawn; /* io_withdraw; atomic, because another shard may be sending from it */
};
struct io_socket { struct io *io; };
struct io_listener { struct io *io; };
