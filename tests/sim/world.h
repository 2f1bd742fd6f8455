/* world.h - one seed's world: the node and its lives, its clients, and the story that is played.
 *
 *   plan.c     what a seed draws                  client.c    a client's connection and requests
 *   faults.c   does it to the node                fetch.c     one Fetch and what it must bring
 *   world.c    the broker on its node, its ends   producer.c, reader.c, member.c, admin.c   clients
 *   story.c    chaos, healing, last looks         check_log.c, check_group.c, check_topic.c the truth
 */
#pragma once

#include <stdio.h>

#include "config/config.h"
#include "plan.h"

struct broker;
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

#define PRODUCERS_MAX 6 /* with writers: who has numbered records */
#define READERS_MAX 3
#define MEMBERS_MAX 4
#define CLIENTS_MAX (PRODUCERS_MAX + READERS_MAX + 2 * MEMBERS_MAX + 6)

enum phase {
    PHASE_CHAOS,
    PHASE_SETTLE,    /* all healed: the node comes up, clients connect */
    PHASE_LAST_WORDS,/* every producer writes once more everywhere */
    PHASE_DRAIN,     /* the group's commits reach the ends of all partitions */
    PHASE_LEAVE,     /* clients stop */
    PHASE_LOOK,      /* every partition is read from start to end */
    PHASE_RESTART,   /* the node goes down and comes up once more */
    PHASE_LOOK_AGAIN,
    PHASE_STOP,      /* cleanly */
    PHASE_OVER,
};

struct world {
    struct sim *sim;
    struct plan plan;
    uint64_t seed;
    FILE *trace;
    const char *program;          /* as it was called: for the line that replays */

    struct sim_node *node;
    struct config *settings;
    struct node_life *life;            /* the newest; NULL before the first */
    uint32_t lives;               /* so far; the newest has this number */
    uint32_t lives_left;          /* not torn down yet */
    struct list all_lives;
    bool restart_due;
    uint64_t sync_failures_told, write_failures_told; /* before the newest life */

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

    enum phase phase;
    const char *phase_name;
    int64_t phase_began_ns;
    int64_t phase_limit_ns;       /* a phase that lasts longer hangs */
    bool was_reset;               /* connections, since the node is ready in a calm world */
    uint32_t restarted_life;      /* the life that the second look is at */
    int64_t calm_ns;              /* since when nothing is done to the node any more; 0 = chaos */
    int64_t steady_ns;            /* since when what is asked must be answered well */
};

/* ---- the world itself ----------------------------------------------------------------------- */

extern const char *const world_dirs[]; /* log directories; plan.dirs of them are in use */

/* Play one seed from start to end. Returns the hash of all that happened; a property that does not
 * hold prints one line and ends the process. */
uint64_t world_play(uint64_t seed, const char *program, FILE *trace);

/* A property is broken: print it with the command that replays it, and end the process. */
_Noreturn void broken(struct world *w, const char *format, ...) PRINTF(2, 3);

/* A line of the trace. */
void note(struct world *w, const char *format, ...) PRINTF(2, 3);

static inline int64_t world_now_ns(const struct world *w) { return sim_now_ns(w->sim); }

/* Nothing has been wrong for a while, so that whatever is asked must be answered well. */
bool world_is_calm(const struct world *w);
bool world_is_ready(const struct world *w);

void world_start_node(struct world *w);
/* The process ends by kill -9, or by loss of power; where a failed sync has left the page cache and the
 * disk apart, power is cut in any case: nobody could go on from there. */
void world_kill(struct world *w, bool power);
void world_stop_node(struct world *w); /* cleanly */
void world_down(struct sim_node *node, void *arg); /* it went down: tear down, start again */
void world_check_failed_io(struct world *w); /* a failed write or sync must end the process */
bool world_met_disk_faults(const struct world *w); /* in this life, which goes on */
void world_check_marker(struct world *w); /* it marks what is clean, so not while the node runs */
void world_check_clean(struct world *w); /* every directory is marked clean */
void world_lives_free(struct world *w);

/* faults.c */
void faults_begin(struct world *w);
void faults_heal(struct world *w);

/* story.c */
void story_begin(struct world *w);
void story_end(struct world *w); /* frees the clients */
