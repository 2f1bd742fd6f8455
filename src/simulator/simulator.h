/* simulator/simulator.h - a whole cluster in one thread, in virtual time, from one seed.
 *
 * A `struct sim` is a world: nodes with disks, clocks and 1 to 4 shards each, and the network
 * between them. Programs see it only through `struct io`. Nothing in it depends on addresses, real
 * time or threads: one seed and one program give one history, told by sim_hash().
 *
 *      sim_step ──► earliest event ──► a shard's op.done / timer / message
 *                        ▲                       │ io_write(…), io_send(…), …
 *                        └── random delay ◄──────┘
 *
 *   S1  One event at a time, ordered by (time, sequence); time never goes back.
 *   S2  What a sync covers was completed before the sync was started. Anything else written since
 *       the last sync may be lost, kept or torn by a power cut, but what was synced never is, nor
 *       what a durable write has completed. What went past the page cache is in the disk's own.
 *   S3  A killed or cut program can change nothing any more (see "Afterlife").
 *   S4  Random choices of the world, of each shard (io_prng) and of the test (sim_prng) are three
 *       streams: a program that draws more does not change the world's weather.
 *
 * Afterlife. After sim_node_kill or sim_node_power_cut the program's memory still exists, and its
 * owner must be able to free it. So the `struct io` of the dead process goes on in an afterlife:
 * everything that touches disk or network, in flight or new, completes with -ECANCELED and without
 * effect (closing completes with 0), while timers, io_complete, io_post and io_offload work as
 * ever. Tear the program down as usual, then go on; the node may be started again before, during
 * or after that. A test whose program lives in memory of its own (an arena, a child heap) may
 * instead call sim_node_forget: no completion is delivered ever after.
 *
 * Only tests include this header. Not thread-safe; several worlds in one process are fine.
 */
#pragma once

#include <stdio.h>

#include "io/io.h"

struct sim;
struct sim_node;

#define SIM_SHARDS_MAX 4
#define SIM_NODES_MAX 64

/* What the world counts, fails and traces. */
#define SIM_KIND_LIST(X)                                                                        \
    X(OPEN, "open") X(CLOSE, "close") X(READ, "read") X(WRITE, "write")                         \
    X(WRITE_DURABLE, "write_durable") X(SYNC, "sync") X(TRUNCATE, "truncate")                   \
    X(ALLOCATE, "allocate") X(SIZE, "size") X(LOCK, "lock")                                     \
    X(RENAME, "rename") X(REMOVE, "remove") X(MKDIR, "mkdir") X(RMDIR, "rmdir")                 \
    X(SYNC_DIR, "sync_dir") X(CHMOD, "chmod") X(LIST, "list") X(SPACE, "space")                 \
    X(LISTEN, "listen") X(ACCEPT, "accept") X(LISTENER_CLOSE, "listener_close")                 \
    X(CONNECT, "connect") X(RECV, "recv") X(SEND, "send") X(SOCKET_CLOSE, "socket_close")       \
    X(COMPLETE, "complete") X(OFFLOAD, "offload") X(POST, "post") X(TIMER, "timer")             \
    X(ARRIVE, "arrive") X(TROUBLE, "trouble") X(AT, "at") X(START, "start") X(KILL, "kill")     \
    X(POWER_CUT, "power_cut") X(CUT, "cut") X(HEAL, "heal")

enum sim_kind {
#define X(name, text) SIM_##name,
    SIM_KIND_LIST(X)
#undef X
    SIM_KINDS
};

/* Zeroed = a calm world: delays, but no faults and no losses but those that a test asks for. */
struct sim_options {
    int64_t wall_ms;               /* wall clock at time 0; 0 = 2025-01-01 */
    uint64_t disk_bytes;           /* per node; 0 = 64 GiB */
    uint32_t outlier_ppm;          /* a delay that is 8 to 64 times as long */
    uint32_t stall_ppm;            /* share of its time that a shard does not run at all */
    uint32_t fail_ppm[SIM_KINDS];  /* disk operations, connect, accept, send (a reset) */
    uint32_t lying_sync_ppm;       /* a sync or durable write that syncs nothing; counted */
    bool no_direct;                /* no file system knows IO_DIRECT: io_file_is_direct is false */
    bool names_subset;             /* power cut: any subset of unsynced names, not only a prefix */
    FILE *trace;                   /* a line per event; NULL = none */
    const char *replay;            /* how to replay: printed with the seed; not copied */
};

/* Options drawn from `seed`: from calm to wild, each kind of trouble on or off by itself. No lying
 * syncs, which no program can survive. For swarms of seeds. */
struct sim_options sim_options_swarm(uint64_t seed);

/* ---- the world ------------------------------------------------------------------------- */

/* `options` may be NULL and is copied. Takes over assert_hook until sim_free: a failed assertion
 * prints the seed and how to replay it. */
struct sim *sim_new(uint64_t seed, const struct sim_options *options);

/* Everything ends; nothing more is delivered. Accepts NULL. Handles that programs left open are
 * freed with it. */
void sim_free(struct sim *sim);

/* Let the next event happen. false: nothing will ever happen again by itself. */
bool sim_step(struct sim *sim);

/* Let happen all events up to `at_ns` (virtual), then it is at_ns. */
void sim_run_until(struct sim *sim, int64_t at_ns);

/* Run `act` at `at_ns`, or as soon as possible: what a test does to the world (nemesis, story). */
void sim_at(struct sim *sim, int64_t at_ns, void (*act)(struct sim *sim, void *arg), void *arg);

/* Nanoseconds since the world began. A node's io_now_ns differs after its first restart. */
int64_t sim_now_ns(const struct sim *sim);
uint64_t sim_seed(const struct sim *sim);
uint64_t sim_events(const struct sim *sim); /* so far */

/* Running hash of all events: time, kind, node, shard, result, path or address. */
uint64_t sim_hash(const struct sim *sim);

/* Mix what a test saw (a record, a decision) into the hash. */
void sim_note(struct sim *sim, uint64_t what);

/* Random numbers for the test's own choices. */
struct prng *sim_prng(struct sim *sim);

/* From now on: no random faults, outliers, stalls, and no bad line, of connections that are there either; resets and
 * cuts that happened stay. For the phase of a test in which everything must come right. */
void sim_calm(struct sim *sim);

/* ---- nodes ----------------------------------------------------------------------------- */

/* A machine with an empty disk; its name (1..63 letters, kept by copy) resolves to a numeric
 * address of its own. It is down until sim_node_start. */
struct sim_node *sim_node_new(struct sim *sim, const char *name);

/* From now on `name` (borrowed) has the addresses of all nodes, in the order in which they were made. An attempt to
 * connect goes to one of them alone. */
void sim_share_name(struct sim *sim, const char *name);

/* Start a process with `shard_count` (1..SIM_SHARDS_MAX) new doors. The node must be down. */
void sim_node_start(struct sim_node *node, uint32_t shard_count);
struct io *sim_node_io(struct sim_node *node, uint32_t shard); /* of the newest process */

bool sim_node_is_up(const struct sim_node *node);
const char *sim_node_name(const struct sim_node *node);
const char *sim_node_host(const struct sim_node *node); /* numeric */

/* kill -9: written content stays, locks are dropped, peers see their connections end or reset. */
void sim_node_kill(struct sim_node *node);

/* The machine loses power: what was not synced may be lost; peers see silence, and resets only
 * when they send after the node is up again. */
void sim_node_power_cut(struct sim_node *node);

/* The process stands still until `until_ns`, as by SIGSTOP: what is done by then reaches it after that, and its
 * timers are late. Its machine goes on, so peers see a connection that is silent. The node must be up. */
void sim_node_pause(struct sim_node *node, int64_t until_ns);

/* Nothing of the dead process is delivered from now on; see "Afterlife". The node must be down. */
void sim_node_forget(struct sim_node *node);

/* Operations of the newest process that are in flight: all, also messages and io_complete. */
uint32_t sim_node_in_flight(const struct sim_node *node);

/* Run `down` in an event of its own, soon after the node went down by whatever cause. One at a
 * time; NULL ends it. */
void sim_node_watch(struct sim_node *node, void (*down)(struct sim_node *node, void *arg),
                    void *arg);

/* The wall clock is off by `offset_ms` from now on and drifts by `drift_ppm`. */
void sim_node_wall(struct sim_node *node, int64_t offset_ms, int32_t drift_ppm);

/* ---- disk ------------------------------------------------------------------------------ */

/* Count of disk operations that took effect or failed so far, and of those that change something
 * (create, write, sync, truncate, allocate, names, sync_dir): the points of a crash sweep. */
struct sim_counters {
    uint64_t calls, changes;
    uint64_t done[SIM_KINDS];    /* completed well, by kind; network too */
    uint64_t failed[SIM_KINDS];  /* injected faults, by kind */
    uint64_t read_bytes;         /* of files */
    uint64_t canceled;           /* by io_cancel */
    uint64_t lying_syncs;
    uint64_t kills, power_cuts;
    /* What power cuts did to unsynced writes: files by outcome, and names. */
    uint64_t files_kept, files_lost, files_torn, pages_torn, sizes_lost;
    uint64_t names_kept, names_lost;
};
const struct sim_counters *sim_node_counters(const struct sim_node *node);

/* The n-th (1 = the next) disk operation fails with `error` (negative errno). A write that fails
 * may have written a part; a sync or durable write that fails may have lost what it should have
 * synced. n 0: off. */
void sim_fail_at(struct sim_node *node, uint64_t n, int error);

/* Every operation on what lies in `directory` (a path without a slash at its end, as it was opened; it stays the
 * caller's) fails with -EIO from now on, but close. NULL: the disk is well again. */
void sim_fail_in(struct sim_node *node, const char *directory);

/* Go down at the n-th (1 = the next) change of the disk: just before it took effect, or just
 * after, before anyone hears of it. n 0: off. */
enum sim_crash {
    SIM_CRASH_KILL = 1,
    SIM_CRASH_POWER = 2,
    SIM_CRASH_AFTER = 4, /* or'ed: after the change */
};
void sim_crash_at_io(struct sim_node *node, uint64_t n, uint32_t how);

/* Disk operations take `factor` (>= 1) times as long until `until_ns`. */
void sim_disk_slow(struct sim_node *node, uint32_t factor, int64_t until_ns);

/* The size of the disk from now on; below what is in use, it is full. */
void sim_disk_limit(struct sim_node *node, uint64_t total_bytes);

/* For set-up and checks, at once and without faults; what is put is durable. Paths from the root
 * "/". Parents are made. 0, or a negative errno. */
int sim_disk_mkdir(struct sim_node *node, const char *path);
int sim_disk_put(struct sim_node *node, const char *path, struct bytes content);

/* Append the content of a file as a program would read it now. */
int sim_disk_get(struct sim_node *node, const char *path, struct text *out);

/* Flip one bit, in the durable content too: a disk that rots. -ENOENT, -EINVAL beyond the end. */
int sim_disk_rot(struct sim_node *node, const char *path, uint64_t position);

/* Append one line per name, sorted: "path size", a directory with a slash at its end. */
void sim_disk_dump(struct sim_node *node, struct text *out);

/* ---- network --------------------------------------------------------------------------- */

/* Nothing more arrives from `from` at `to`: the other way goes on. Connections hang, and end with
 * -ETIMEDOUT when it lasts (a minute or more). */
void sim_net_cut(struct sim_node *from, struct sim_node *to);
void sim_net_heal(struct sim_node *from, struct sim_node *to);
void sim_net_heal_all(struct sim *sim);

/* Reset all connections between two nodes (which may be one and the same). */
void sim_net_reset(struct sim_node *a, struct sim_node *b);

/* Time that a byte takes from node to node in connections made from now on; 0 = the default, 50 to
 * 500 microseconds, drawn for each. */
void sim_net_latency(struct sim *sim, int64_t latency_ns);

/* Tell `heard` of each send from a node to another one, or to itself, just before it leaves: its first piece, borrowed for
 * the call. What is done to the world for that reason is done by sim_at. NULL: nobody listens. */
typedef void (*sim_heard)(void *arg, struct sim_node *from, struct sim_node *to, struct bytes first);
void sim_net_overhear(struct sim *sim, sim_heard heard, void *arg);
