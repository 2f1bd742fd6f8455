/* world.h - one seed's world: the nodes of a cluster, its clients, and the story that is played.
 *
 *   plan*.c    what a seed draws                  client.c    a client's connection and requests
 *   faults.c   does it to the nodes               fetch.c     one Fetch and what it must bring
 *   server.c   the broker on its node, its ends   producer.c, writer.c, reader.c, member.c, admin.c   clients
 *   story.c    chaos, healing, last looks         check_*.c   the truth
 */
#pragma once

#include <stdio.h>

#include "plan.h"
#include "server.h"

struct truth;
struct producer;
struct reader;
struct writer;
struct member;
struct subscriber;
struct admin;
struct deleter;
struct mover;
struct verifier;
struct watcher;
struct shuffler;
struct throttler;
struct straggler;

#define PRODUCERS_MAX 6 /* with writers: who has numbered records */
#define READERS_MAX 3
#define MEMBERS_MAX 4
#define CLIENTS_MAX (PRODUCERS_MAX + READERS_MAX + 2 * MEMBERS_MAX + 8)

enum phase {
    PHASE_CHAOS,
    PHASE_SETTLE,    /* all healed: the nodes come up, clients connect */
    PHASE_LAST_WORDS,/* every producer writes once more everywhere */
    PHASE_DRAIN,     /* the group's commits reach the ends of all partitions */
    PHASE_LEAVE,     /* clients stop */
    PHASE_LOOK,      /* every partition is read from start to end */
    PHASE_RESTART,   /* the nodes go down and come up once more */
    PHASE_LOOK_AGAIN,
    PHASE_STOP,      /* cleanly */
    PHASE_OVER,
};

/* What a seed was. */
struct played {
    uint64_t hash; /* of all that happened */
    int64_t ns;    /* simulated */
    uint64_t events, lives;
    uint64_t faults[FAULT_KINDS]; /* that struck */
};

struct world {
    struct sim *sim;
    struct plan plan;
    uint64_t seed;
    FILE *trace;
    const char *program;          /* as it was called: for the line that replays */

    struct server servers[NODES_MAX]; /* plan.node_count */
    struct played played;
    uint32_t lives;               /* of all servers so far; the newest has this number */
    uint32_t lives_left;          /* not torn down yet */
    struct list all_lives;
    char bootstrap[NODES_MAX * 32]; /* the brokers, as clients are told them */

    struct truth *truth;
    struct client *clients[CLIENTS_MAX]; /* whose connections the faults may cut */
    uint32_t client_count;
    struct producer *producers[PRODUCERS_MAX];
    struct writer *writers[PRODUCERS_MAX];
    struct reader *readers[READERS_MAX];
    struct member *members[MEMBERS_MAX];
    struct subscriber *subscribers[MEMBERS_MAX];
    struct admin *admin;
    struct deleter *deleter;      /* NULL where nobody deletes */
    struct mover *mover;          /* NULL where nothing moves */
    struct verifier *verifier;
    struct shuffler *shuffler;    /* NULL where no replica moves */
    struct throttler *throttler;  /* NULL where nothing is throttled */
    struct straggler *straggler;  /* NULL where no Fetch of a follower comes so late */
    struct watcher *watcher;      /* NULL where there is one node */

    enum phase phase;
    const char *phase_name;
    int64_t phase_began_ns;
    int64_t phase_limit_ns;       /* a phase that lasts longer hangs */
    bool was_reset;               /* connections, since all nodes are ready in a calm world */
    uint32_t restarted_life;      /* the newest life of the second look */
    uint32_t restarted;           /* servers, of those that are restarted one after another */
    int64_t ready_ns;             /* since when all nodes are ready; 0 = they are not */
    int64_t chaos_began_ns;       /* -1: a storm has yet to begin */
    int64_t calm_ns;              /* since when nothing is done to the nodes any more; 0 = chaos */
    int64_t steady_ns;            /* since when what is asked must be answered well */
    struct list waiting;          /* faults of whoever asks for another ISR next */
};

/* ---- the world itself ----------------------------------------------------------------------- */

/* Play one seed from start to end. A property that does not hold prints one line and ends the process. */
void world_play(uint64_t seed, bool cluster, const char *program, FILE *trace, struct played *out);

/* A property is broken: print it with the command that replays it, and end the process. */
_Noreturn void broken(struct world *w, const char *format, ...) PRINTF(2, 3);

/* A line of the trace. */
void note(struct world *w, const char *format, ...) PRINTF(2, 3);

static inline int64_t world_now_ns(const struct world *w) { return sim_now_ns(w->sim); }

static inline bool world_is_cluster(const struct world *w) { return w->plan.node_count > 1; }

/* All nodes are. */
bool world_is_ready(const struct world *w);
/* Nothing has been wrong for a while, so that whatever is asked must be answered well. */
bool world_is_calm(const struct world *w);
bool world_is_down(const struct world *w); /* and torn down: every node */

/* faults.c */
void faults_begin(struct world *w);
void faults_heal(struct world *w); /* all of them are over */

/* story.c */
void story_begin(struct world *w);
void story_end(struct world *w); /* frees the clients */
