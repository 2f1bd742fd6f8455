/* consumer/internal.h - what the files of the room share.
 *
 *   consumer.c   its calls, and the pump         part.c       a partition: state, leader, where it hangs
 *   close.c      its end                         position.c   where a partition begins: commits, reset, epochs
 *   query*.c     questions to leaders and coordinator
 *   fetch*.c, session.c   what nodes are asked   pieces.c     what has come and was not taken
 *   chunk.c      what was taken                  done.c       what of it is done
 *   commit*.c    commits, in order               membership*.c     carries out what member.h decides
 *   split.c      one batch in several chunks
 *
 * The pump runs in a turn of its own: there, and where answers come, hooks may be called. Whatever changes calls
 * consumer_poke; whatever becomes due later calls consumer_wake_at from inside the pump.
 */
#pragma once

#include "consumer/consumer.h"
#include "consumer/tp_set.h"

#define NS_PER_MS INT64_C(1000000)
#define NEVER_NS INT64_MAX

/* ---- partitions ----------------------------------------------------------------------------- */

enum part_state {
    PART_COMMITTED, /* the group's commit is to say where it begins */
    PART_RESET,     /* ListOffsets is to say so, for reset_to */
    PART_CHECK,     /* whether the leader has what we have read: OffsetForLeaderEpoch */
    PART_READ,
    PART_STOPPED,   /* an error was told; until a seek */
};

struct part {
    struct map_node by_name;
    struct list node;      /* consumer.part_list, in the order of tp_compare */
    struct consumer *consumer;
    struct consumer_partition id;
    enum part_state state;
    uint64_t run;          /* drawn anew when the position is put: answers of older runs do not count */
    bool asked;            /* a query of this run and state is under way */
    bool paused;
    bool leaving;          /* REVOKED was told: nothing more is handed out */

    /* Where. `position` is what is handed out next, `fetch_from` what is fetched next; between them lie pieces. The
     * epochs are of the batch before each; -1 not known. */
    int64_t position, fetch_from;
    int32_t position_epoch, fetch_epoch;
    int64_t reset_to;      /* a number for ListOffsets */

    /* Who. */
    struct uuid topic_id;
    int32_t leader, leader_epoch;
    int32_t checked_epoch; /* the leader epoch under which fetch_from was last known to be sound */
    int32_t asking_epoch;  /* and the one that was known when that was asked */
    int32_t near;          /* preferred read replica (KIP-392); -1 = the leader */
    int64_t near_until_ns;
    struct node *fetch_node; /* where it hangs */
    struct list by_node;

    int64_t retry_ns;      /* not asked for before */
    uint32_t attempt;
    int64_t high_watermark, last_stable_offset, log_start;

    struct list pieces;    /* struct piece */
    int64_t piece_bytes;
    struct list full;      /* consumer.full, while it has pieces and is not paused */

    bool tell_error;       /* the pump is to tell */
    struct consumer_error error;
    int64_t error_offset;

    /* done.c */
    struct list outstanding; /* struct chunk.by_part: handed out, in order, not done yet or done out of order */
    int64_t done;
    int32_t done_epoch;
    bool hole;             /* something was released undone: `done` stays */
    int64_t committed;     /* last one that is known; -1 = none */
    bool put_back;         /* `done` began anew since: it may be committed though it is less */
};

struct part *part_find(const struct consumer *c, struct consumer_partition id);
/* Of that run, or NULL. */
struct part *part_of_run(const struct consumer *c, struct consumer_partition id, uint64_t run);
struct part *part_new(struct consumer *c, struct consumer_partition id);
void part_free(struct part *p); /* chunks that are held stay, and do not count any more */
/* Take over from the metadata who leads it. */
void part_look(struct part *p);
/* Hang it where it is to be fetched from. */
void part_hang(struct part *p);
/* Forget what was fetched and handed out, and begin at `state`. */
void part_begin(struct part *p, enum part_state state);
/* Its position is `offset`: read on from there, after a look at the epoch where one is known. */
void part_place(struct part *p, int64_t offset, int32_t epoch);
/* The leader's log has what was read up to `offset` only: read on from there. */
void part_cut(struct part *p, int64_t offset, int32_t epoch);
/* Its position is lost (`why`, for people): auto.offset.reset. */
void part_reset(struct part *p, const char *why);
void part_stop(struct part *p, int64_t offset, const struct consumer_error *error);
/* Try again after a while. */
void part_back_off(struct part *p);
/* Likewise, where somebody must repair something first: told once. */
void part_refused(struct part *p, const struct consumer_error *error);

/* ---- fetches -------------------------------------------------------------------------------- */

/* One partition of a fetch session (KIP-227), as the node was told last. */
struct entry {
    struct map_node node;
    struct consumer_partition id; /* text behind the struct */
    struct uuid topic_id;         /* zero: the session goes by names */
    uint64_t run, mark;
    int64_t from;
    int32_t leader_epoch, bytes_max;
};
struct fetch_session {
    struct map entries;
    int32_t id, epoch;   /* 0, 0 = none yet; id, 0 = close that one and begin anew */
    bool by_id;          /* topics go by id: v13 and later */
    uint64_t mark;       /* of the newest request */
};
void fetch_session_init(struct fetch_session *s);
void fetch_session_deinit(struct fetch_session *s);
struct entry *fetch_entry_find(const struct fetch_session *s, struct consumer_partition id, struct uuid topic_id);
/* The next request begins anew. */
void fetch_session_break(struct fetch_session *s, bool node_forgot);

/* A node that partitions are fetched from. */
struct node {
    struct list list;
    struct consumer *consumer;
    int32_t id;
    struct list parts;   /* struct part.by_node */
    struct fetch_session session;
    struct fetch *fetch; /* in flight */
    int64_t retry_ns;
    uint32_t attempt;
};

/* A Fetch: first the request, then what holds its answer for pieces and chunks. */
struct fetch {
    uint32_t refs;
    struct consumer *consumer; /* NULL when it is gone */
    struct list list;          /* consumer.fetches */
    struct node *node;         /* NULL once it was answered */
    int64_t bytes;             /* counted in consumer.buffered_bytes: asked for, then what came */
    struct client_call call;
    struct arena arena;        /* of the request */
    uint32_t wanted;
    int64_t bytes_max;
};
void fetch_unref(struct fetch *f);
/* Build what is to be asked of the node, and note it in the session. */
void fetch_session_request(struct node *n, struct fetch *f, int16_t version);
void fetch_answered(struct fetch *f, int64_t result);
bool part_is_wanted(const struct part *p, int64_t now_ns);
struct node *node_get(struct consumer *c, int32_t id);
void nodes_free(struct consumer *c);
void fetch_pump(struct consumer *c);

/* ---- what has come and was not taken ------------------------------------------------------------ */

struct piece {
    struct list node;
    struct fetch *from;      /* a reference: `rest` points into its answer */
    struct bytes rest;
    struct aborted *aborted; /* by first offset; read_committed only */
    uint32_t aborted_count, aborted_next;
    struct map aborting;     /* producers of whose transactions we are inside */
    struct split *split;     /* the batch before `rest`, of which a part was not taken yet; NULL */
};
/* The answer of a partition: takes what is whole of `records`. `f` gets a reference. */
struct fetch_response_responses_partitions;
void piece_add(struct part *p, struct fetch *f, const struct fetch_response_responses_partitions *a);
void pieces_drop(struct part *p); /* all, and fetch_from is position again */

/* ---- chunks -------------------------------------------------------------------------------------- */

struct chunk {
    struct consumer_chunk public;
    struct consumer *consumer; /* NULL when it is gone */
    struct list all;           /* consumer.chunks, while it is held */
    struct list by_part;       /* part.outstanding; not linked: it does not count (any more) */
    struct part *part;         /* NULL: does not count */
    struct fetch *from;        /* NULL when it was released */
    int64_t done;              /* records below it are done */
    int64_t counts;            /* records from here on do not count: public.next, or where the log was cut since */
    int64_t covers;            /* when it is done, all below this is: also what was skipped behind it */
    int32_t covers_epoch;
    bool released;

    struct bytes run;          /* its batches */
    int64_t records_in_run;
    struct bytes rest;         /* of those not begun */
    struct batch batch;
    struct records records;    /* of `batch` */
    bool open, bad;
    struct split *split;       /* NULL: whole batches; else some records of one, as follows */
    int32_t number, count;     /* which; the first one counted from the batch's first */
    int32_t left;              /* of these, not read yet */
    struct records_place start;
    int64_t plain_max;
};
/* What the next pieces of the partition give; NULL: nothing (any more). */
struct chunk *chunk_cut(struct part *p);
void chunk_free(struct chunk *k);

/* done.c */
void done_handed_out(struct part *p, struct chunk *k);
void done_skipped(struct part *p, int64_t position, int32_t epoch); /* up to here nothing is to be handed out */
void done_up_to(struct chunk *k, int64_t offset);
void done_released(struct chunk *k);
void done_begin(struct part *p, int64_t position, int32_t epoch);
/* The log ends at `end`, in `epoch`: what was handed out below still counts. */
void done_cut(struct part *p, int64_t end, int32_t epoch);
void done_detach(struct part *p); /* what was handed out does not count any more */

/* ---- questions ------------------------------------------------------------------------------------ */

enum query_kind { QUERY_TIMES, QUERY_EPOCHS, QUERY_COMMITTED };

struct query_send;
struct query_item {
    struct consumer_partition id;
    uint64_t run;          /* of the consumer's own */
    enum { ITEM_OPEN, ITEM_ASKED, ITEM_DONE } state;
    int64_t what;          /* timestamp, or leader epoch */
    int64_t retry_ns;
    uint32_t attempt;
    bool leaderless;       /* that is why it waits */
    uint32_t place;        /* in the caller's array */
    struct query_send *send; /* ASKED: by this one */

    int64_t offset;        /* -1 none */
    int32_t epoch;
    int64_t timestamp_ms;
    struct str metadata;
    struct consumer_error error;
};
/* Behind a consumer_call, or for positions of the consumer's own (call NULL). */
struct query {
    struct list node;      /* consumer.queries */
    struct consumer *consumer;
    enum query_kind kind;
    struct arena arena;
    struct query_item *items; /* in the order of tp_compare */
    uint32_t count, left;
    struct list sends;     /* struct query_send: in flight */
    struct list answers;   /* and answered: `metadata` points into them */
    int64_t deadline_ns;
    int end;               /* it is to end with this trouble; 0 = goes on */
    struct consumer_call *call;
};
struct query_send {
    struct list node;
    struct query *query;
    struct client_call call;
    struct arena arena;
};
struct query *query_new(struct consumer *c, enum query_kind kind, uint32_t count, int64_t deadline_ns);
void query_begin(struct query *q); /* items are set */
void query_stop(struct query *q, int trouble);
void query_pump(struct consumer *c);
void query_metadata(struct consumer *c); /* it has changed: who waits for a leader is looked at again at once */
void query_item_end(struct query *q, struct query_item *i); /* its outcome is set */
void query_item_again(struct query *q, struct query_item *i);
/* The item that this send has asked for; NULL for what nobody wanted to know. */
struct query_item *query_item_find(struct query_send *s, struct consumer_partition id);
/* query_request.c: the versions, and the request for all items whose send it is. */
void query_limit(struct query_send *s);
void query_fill(struct client_call *call);
/* query_answer.c */
void query_answered(struct query_send *s);
void query_refused(struct query_send *s, int trouble); /* it will never be answered: versions, rights */

void position_pump(struct consumer *c);
void position_found(struct query *q, struct query_item *i); /* of a query of the consumer's own */
void position_metadata(struct consumer *c);

/* ---- commits -------------------------------------------------------------------------------------- */

struct commit {
    struct list node;      /* consumer.commits, in order; the first one is at work */
    struct consumer *consumer;
    struct consumer_call *call;  /* NULL: the consumer's own */
    void (*ended)(struct consumer *c, int64_t result); /* of the consumer's own; NULL */
    struct client_call wire;
    struct arena arena;
    struct consumer_offset *offsets; /* own ones, or copies */
    uint32_t count;
    bool all;              /* what is done: gathered when it begins */
    bool begun, in_flight;
    bool doubt;            /* an earlier try may have been taken */
    int32_t generation;
    int64_t deadline_ns, retry_ns;
    uint32_t attempt;
    int end;
};
/* Commit what is done; `ended` may be NULL. */
void commit_done(struct consumer *c, int64_t timeout_ms, void (*ended)(struct consumer *c, int64_t result));
void commit_pump(struct consumer *c);
void commit_stop(struct commit *m, int trouble);
void commit_end(struct commit *m, int64_t result);
void commit_fail(struct commit *m, int64_t result, const struct consumer_error *e); /* all of it */
void commit_generation_gone(struct commit *m, int16_t code);
void commit_again(struct commit *m);
void commit_answered(struct commit *m, int64_t result); /* commit_answer.c */
/* Something is done that was not committed. */
bool commit_is_due(const struct consumer *c);

/* ---- group (membership.c) -------------------------------------------------------------------------------- */

struct membership;
struct membership *membership_new(struct consumer *c);
void membership_free(struct membership *g);
void membership_subscribe(struct membership *g, const struct str *topics, uint32_t count);
void membership_subscribe_matching(struct membership *g, bool (*wants)(void *ctx, struct str topic), void *ctx);
void membership_pump(struct consumer *c);
void membership_metadata(struct consumer *c); /* it has changed */
/* The generation in which commits are made; -1 = a group without members. false: there is none now, wait or give up.
 * While it closes: also the old one, while the group is joined anew. */
bool membership_generation(const struct consumer *c, int32_t *generation, struct str *member_id);
/* A commit was refused under this generation, or its fate is unknown. */
void membership_commit_refused(struct consumer *c, int32_t generation, int16_t code);
void membership_rejoin(struct consumer *c, struct str reason);
/* Leave, then `left`; at once where there is nothing to leave. */
void membership_leave(struct consumer *c, struct op *left);
bool membership_is_joining(const struct consumer *c);

/* ---- consumer --------------------------------------------------------------------------------------- */

struct consumer {
    struct io *io;
    struct telemetry *telemetry;
    struct client *client;
    struct consumer_settings settings;
    struct arena texts;     /* of the settings */
    struct consumer_hooks hooks;
    struct client_watch watch;
    struct io_timer timer;  /* the pump */
    int64_t wake_ns;
    bool pumping;

    struct map parts;
    struct list part_list;
    struct list full;
    uint64_t runs;
    struct tp_set assigned;
    bool manual;
    bool told_ready;
    bool metadata_changed;

    struct list nodes, fetches, chunks;
    int64_t buffered_bytes;
    int64_t drawn_ns, drawn_at_ns; /* consumer_after: when it was asked last, and what it said */
    uint32_t drawn_attempt;        /* 0 = never */

    struct list queries, commits;
    int64_t auto_commit_ns;
    int32_t doubt_generation; /* a commit of it may yet take effect; INT32_MIN = none */

    struct membership *group;    /* subscribed; NULL */
    bool stopped;           /* GROUP_ERROR was told */
    struct consumer_error group_error;

    bool closing;
    struct flow close;
    int64_t close_ns;       /* by then at the latest */
    struct io_timer close_timer;
    struct op *commit_waits; /* of `close` */
    int64_t close_result;
};

void consumer_poke(struct consumer *c);
void consumer_wake_at(struct consumer *c, int64_t at_ns);
/* Now and the back-off. Partitions that met the same trouble in one turn have the same: they are asked for together. */
int64_t consumer_after(struct consumer *c, uint32_t attempt);
/* Make these the assigned partitions: those that stay go on. */
void consumer_set_assigned(struct consumer *c, struct tp_set *set);
void consumer_tell(struct consumer *c, struct consumer_event *e);

/* error.c: -> `out`. */
struct consumer_error *error_code(struct consumer_error *out, int16_t code, enum consumer_advice advice,
                                  const char *format, ...) PRINTF(4, 5);
struct consumer_error *error_trouble(struct consumer_error *out, int trouble, enum consumer_advice advice,
                                     const char *format, ...) PRINTF(4, 5);
enum consumer_advice advice_of(int16_t code);
