/* raft/history.h - three to six machines with disks, clocks and a network of their own, all of it drawn from a seed.
 *
 *   history_world.c  time, and what happens next       history_node.c   a node: its log, disk, clock; its outcomes
 *   history_net.c    letters; loss, delay, cuts        history_fetch.c  Fetch, as room quorum does it
 *   history_check.c  F1 to F7 over all nodes, after each step
 */
#pragma once

#include "check.h"
#include "raft/raft.h"

#define NODES_MAX 6 /* ids 1 to 6 */
#define EPOCHS_MAX 1000
#define LOG_MAX 700
#define LOG_FULL 300 /* then clients append no more */
#define LETTERS_MAX 512
#define BATCH_MAX 6 /* entries of a Fetch answer */
#define NEVER INT64_MAX

/* One offset of a log. */
struct entry {
    int32_t epoch, value; /* values are never the same twice */
    uint32_t voters;      /* not 0: a record of voters, bit 1 << id; see voters_of */
};

/* Voters by their bits; bit 0: a static quorum. */
#define STATIC_BIT 1u
const struct raft_voters *voters_of(uint32_t bits);
uint32_t bits_of(const struct raft_voters *voters);
struct raft_key key_of(int32_t id, bool is_dynamic);

enum letter_kind { LETTER_REQUEST, LETTER_ANSWER, LETTER_FETCH, LETTER_FETCHED, LETTER_TIMEOUT };

struct letter {
    int64_t at;
    enum letter_kind kind;
    int32_t from, to;
    uint32_t call; /* of the sender; a timeout comes back to it */
    struct raft_request request;
    int32_t preferred[RAFT_VOTERS_MAX];
    struct raft_answer answer;
    /* FETCH: from where; its answer: what is there */
    int64_t fetch_offset, diverging_end, snapshot_end;
    int32_t fetch_epoch, diverging_epoch; /* -1 none */
    uint32_t entry_count;
    struct entry entries[BATCH_MAX];
};

struct call {
    uint32_t number;           /* 0 none */
    struct raft_answer answer; /* what is known before it comes */
};
#define CALLS_MAX 32

struct node {
    int32_t id;
    bool up, can_vote;
    struct raft *raft;
    int32_t rate; /* of its clock, in thousandths */
    /* on disk */
    struct entry log[LOG_MAX];
    int64_t start, end, stable; /* below `start` there is a snapshot */
    struct raft_election election;
    /* in memory */
    int64_t deadline_ms; /* by its own clock */
    int64_t sync_at, sync_end, fetch_at, start_at;
    uint32_t fetch_call; /* 0 none is under way */
    int64_t high_watermark;
    struct call calls[CALLS_MAX];
    enum raft_role role;
};

struct world {
    uint64_t seed;
    bool trace;
    struct prng g;
    int64_t now;
    bool calm;          /* nothing goes wrong any more */
    uint32_t bootstrap; /* voters that all were told first */
    uint32_t count;
    struct node nodes[NODES_MAX + 1]; /* by id */
    bool cut[NODES_MAX + 1][NODES_MAX + 1];
    struct letter letters[LETTERS_MAX];
    uint32_t letter_count, last_call;
    int64_t trouble_at; /* when the next thing goes wrong, or a client writes */
    int32_t last_value;
    uint32_t elections, commits, changes, upgrades;
    /* What has ever been seen. */
    int32_t leader_of[EPOCHS_MAX];
    struct raft_key vote_of[NODES_MAX + 1][EPOCHS_MAX];
    struct entry committed[LOG_MAX];
    int32_t committed_in[LOG_MAX]; /* the epoch of the leader that did it */
    int64_t committed_end;
};

static inline uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->g, n);
}

/* ---- history_world.c */
void world_init(struct world *w, uint64_t seed, uint32_t voters, uint32_t others, bool is_dynamic);
void world_free(struct world *w);
/* One event: the next that is due. */
void world_step(struct world *w);
void world_trace(struct world *w, const char *format, ...) PRINTF(2, 3);
struct node *world_leader(struct world *w); /* of the newest epoch; NULL */

/* ---- history_node.c */
void node_start(struct world *w, struct node *n);
void node_crash(struct world *w, struct node *n);
void node_stop(struct world *w, struct node *n);
int64_t node_now(const struct world *w, const struct node *n);
int64_t node_tick_at(const struct world *w, const struct node *n); /* in the world's time */
/* The node may be down behind it. */
void node_step(struct world *w, struct node *n, struct raft_event event, struct raft_outcome *out);
void node_append(struct world *w, struct node *n, struct entry e);
/* A client's record, or a change of the voters, where it leads. */
void node_write(struct world *w, struct node *n);
enum kerr node_change(struct world *w, struct node *n, enum raft_change_kind kind, int32_t id);
void node_synced(struct world *w, struct node *n);
/* The last voters in its log, and where their batch ends; 0 in a snapshot, or when there are none. */
uint32_t node_voters(const struct world *w, const struct node *n, int64_t *end);

/* ---- history_net.c */
void net_send(struct world *w, struct letter *m);
void net_deliver(struct world *w, uint32_t i);
/* A request leaves: its answer, or its loss, will come. -> number of the call. */
uint32_t net_call(struct world *w, struct node *n, struct letter *m, struct raft_answer answer);

/* ---- history_fetch.c */
void fetch_send(struct world *w, struct node *n);
void fetch_answer(struct world *w, struct node *n, const struct letter *m);
void fetch_done(struct world *w, struct node *n, const struct letter *m);

/* ---- history_check.c */
void check_step(struct world *w, struct node *n, const struct raft_outcome *out);
void check_vote(struct world *w, int32_t voter, int32_t epoch, struct raft_key candidate);
/* F7, before `n` leads to other voters. */
void check_change(struct world *w, const struct node *n, int64_t high_watermark);
