/* node/internal.h - what the files of this room share. */
#pragma once

#include "node/node.h"

#include <stdio.h>

#include "client/client.h"
#include "protocol/envelope.h"

#define METADATA_BATCH_BYTES_MAX (8u << 20) /* plain: what a KRaft leader puts into one batch */

/* ---- asking the controller, wherever it is (ask.c) -------------------------------------------------------------- */

enum ask_kind {
    ASK_OWN,     /* this node's own request: sent as it is */
    ASK_CLIENT,  /* a client's: in an Envelope where the controller is another process; where it is here, the answer
                    waits until its records are visible on this node */
    ASK_CONTROL, /* it came to this node as a controller: nobody else is asked */
};

enum ask_phase {
    ASK_WAITING,  /* for a controller, or for the next try */
    ASK_HERE,     /* the controller in this process has it */
    ASK_AWAY,     /* it is on its way to another one, or its answer is */
    ASK_ANSWERED, /* publisher.c: the answer is to be visible first */
    ASK_ENDING,   /* `error` is told in a later turn */
};

/* One request, from node_forward and the like to its one answer. */
struct proposals_call;

struct ask {
    struct list node; /* in node.asks; ANSWERED: in node.answered */
    struct node *node_of;
    enum ask_kind kind;
    enum ask_phase phase;
    struct controller_call *call;
    void (*ready)(struct controller_call *call, enum kerr error); /* the caller's */
    int64_t deadline_ns;
    struct io_timer timer;
    uint32_t tries;           /* in a row, without news of the leader */
    bool tried;
    enum kerr error;
    int64_t offset;           /* ANSWERED: of the committed image when the controller answered */

    int32_t asked;            /* AWAY: whom */
    struct client_call away;
    struct arena arena;       /* of the envelope, which is made once */
    struct envelope_request envelope;
    bool wrapped;
};

/* A request of this node's own, with all its memory: embedded by who makes it. */
struct own_call {
    struct node *node;
    struct arena arena;
    struct controller_call call;
    const int16_t *error_code;               /* of the whole, in the response */
    void (*prepare)(struct own_call *c);     /* NULL; else called before each try, when call.api_version is known: what
                                                is said is to be what is true then. Asks nothing */
    void (*done)(struct own_call *c, enum kerr error); /* once, later; what the response says of the whole, too */
};
/* `request` and `response` are made anew. */
void own_call_init(struct own_call *c, struct node *n, int16_t api_key, void *request, void *response,
                   const int16_t *error_code);
/* It ends by half of a broker's session at most, and may always be made again. */
void own_call_send(struct own_call *c);

void ask_controller(struct node *n, enum ask_kind kind, struct controller_call *call, int64_t limit_ms);
/* Somebody else leads, or the controller here has begun: who waits need not wait any longer. */
void ask_go_on(struct node *n);
/* Only requests for the controller here are taken from now on, or not even those: the others end. */
void ask_stop(struct node *n);
/* Requests of this node and its clients that the controller here has. */
bool ask_has_here(const struct node *n);
/* How long to wait before try number `attempt` (1 = the first repetition). */
int64_t ask_backoff_ms(struct node *n, uint32_t attempt);

/* For remote.c and publisher.c. The answer: from the loop alone, and `a` is gone; or in a later turn. */
void ask_end(struct ask *a, enum kerr error);
void ask_end_soon(struct ask *a, enum kerr error);
/* Whoever was asked is not the controller; no answer came. */
void ask_not_controller(struct ask *a);
void ask_lost(struct ask *a, bool may_have_acted);

/* remote.c: the controller in another process */
void remote_open(struct node *n);
/* Completes when all connections are gone. */
void remote_close(struct node *n, enum ask_kind kind, struct op *op);
void remote_send(struct ask *a, int32_t id, const struct raft_endpoint *at);
/* It ends as lost, soon; or as it ends. */
void remote_cancel(struct ask *a);
/* The others are asked nothing new: who leads again later is asked on a connection of its own, because one on which a
 * silent node owes an answer would hold up what comes behind. */
void remote_leave_all_but(struct node *n, int32_t leader);

struct proposals {
    struct list waiting;           /* struct node_proposal, oldest first */
    struct list withdrawn;         /* end in the next turn */
    struct proposals_call *sent;   /* what is with the controller; NULL none */
    uint32_t attempts;             /* in a row, without an answer */
    enum kerr refusal;             /* why, as it was said last */
    struct io_timer again, ending;
    bool stopped;
};

/* silence.c */
struct silence {
    struct io_timer look;
    int64_t due_ns;             /* of `look` */
    struct list questions;      /* to brokers that are not heard */
    struct op *stopped;         /* silence_stop's */
};

struct node {
    struct node_options options;
    struct io *io;
    struct telemetry *telemetry;
    struct quorum *quorum;
    struct controller *controller; /* NULL where the role is not asked for */
    struct flow start;
    struct op opened;
    struct text bootstrap;         /* framed records for an empty metadata log */
    struct quorum_open quorum_open;
    struct fail *fail;
    struct fail gave_up;          /* why, while the quorum is being opened */
    struct op *starting;           /* node_start's, until RUNNING */
    bool opening;                  /* the flow `start` runs: nothing may be closed yet */
    bool failed;

    /* loader.c */
    const struct image *loaded;    /* everything committed and delivered */
    struct image_edit *edit;       /* while batches are applied, and inside a snapshot */
    bool in_snapshot;
    struct raft_snapshot_id snapshot_id;

    /* publisher.c */
    const struct image *published; /* NULL before the first publication */
    const struct image *publishing;/* under way; NULL none */
    struct op publication;
    bool may_publish;              /* caught up once: the first image is whole */
    struct list answered;          /* struct ask, by offset */

    /* snapshots */
    struct op snapshot;
    bool snapshotting;

    /* ask.c, remote.c */
    struct list asks;              /* struct ask, but those in `answered` */
    uint32_t ask_count;            /* of both */
    struct client *own_client;     /* so that no client's request holds up a heartbeat */
    struct client *forward_client;

    /* membership.c, registration.c, heartbeat.c */
    enum broker_state state;
    struct uuid incarnation;
    int64_t broker_epoch;          /* -1 not registered */
    bool calling;                  /* a registration or heartbeat is with the controller */
    struct io_timer pulse;         /* set: the next one waits for it */
    struct io_timer register_limit; /* initial.broker.registration.timeout.ms */
    int64_t began_ns;              /* when that time began */
    bool waits_said;               /* that no controller has registered it so far */
    uint32_t attempts;             /* in a row, that were not taken */
    enum kerr refusal;             /* why, as it was said last */
    bool offered;                  /* to be unfenced */
    bool amended;                  /* since the last heartbeat it has tried to register once more, with directories */
    struct uuid rival;             /* the incarnation that has replaced this one in the metadata last; */
    int64_t rival_epoch;           /* its broker epoch, */
    uint32_t rival_times;          /* and how often it has */
    int64_t heard_ns;              /* when a controller took the last heartbeat */
    struct op *left;               /* node_leave's */
    uint32_t leave_beats;          /* answered, of those that say so */
    struct io_timer leave_limit;   /* of the controller's word */
    struct op resting;
    bool quiet;                    /* at rest, or only waiting for the publication under way */

    /* controller_registration.c */
    bool controller_registered, controller_calling;
    bool controller_in_force;           /* the metadata has had this incarnation since it was sent last */
    struct uuid controller_rival;       /* the incarnation that has replaced this one last, */
    uint32_t controller_rival_times;    /* and how often it has */
    int64_t controller_since_ns;        /* when this one was first taken; 0 = not yet */
    uint32_t controller_attempts;
    enum kerr controller_refusal;
    struct io_timer controller_again;

    uint32_t offline_told;         /* failed directories that the controller has heard of */
    struct io_timer offline_limit; /* log.dir.failure.timeout.ms */

    /* assign.c */
    struct map assignments;        /* by partition */
    struct list unassigned;        /* the same, oldest first */
    struct assign_call *assigning; /* what is with the controller; NULL none */
    struct io_timer assign_again;

    struct proposals proposals;    /* proposals.c */

    struct list watches;           /* gone.c: brokers that may be gone */
    struct op *watches_over;
    struct silence silence;

    struct io_timer tick;          /* of the controller */
    int64_t tick_due_ms;           /* monotonic; INT64_MAX: it is not set */
    bool caught_up;                /* once: what is loaded is what was committed */
    struct flow close;
    bool closing;
    int64_t closed_result;
};

/* loader.c: what quorum tells. */
void loader_committed(void *ctx, struct bytes batches);
void loader_snapshot(void *ctx, struct raft_snapshot_id id);
/* Take a snapshot of `loaded` where one is due. */
void loader_snapshot_when_due(struct node *n);

/* publisher.c */
void publisher_advance(struct node *n);
/* Tell the caller when what it was answered is visible. */
void publisher_answer(struct ask *a);
/* Nothing will be published any more: nobody waits for it. */
void publisher_answer_all(struct node *n);

/* membership.c: the start has begun; it may take so long until the broker is registered. */
void membership_begin(struct node *n);
/* Do what the broker's and controller's state ask for now. */
void membership_advance(struct node *n);
/* The next call of the broker's own waits so long; 0: not at all. */
void membership_pulse(struct node *n, int64_t ms);
/* The node has failed: no more calls; who waits for it to leave need not wait. */
void membership_fail(struct node *n);
/* The broker may go. */
void membership_left(struct node *n);
/* The last publication has ended. */
void membership_rest(struct node *n);

/* registration.c */
void register_broker(struct node *n);
/* Another incarnation with a directory of ours is in force: register, now or when the pulse comes; or fail, where that
 * one lives. False: none is. */
bool register_again(struct node *n);
/* So often the same incarnation may come: a dead one's requests arrive late, but it does not make new ones. Of two that
 * live the one that starts gives way to the one that runs. */
#define RIVAL_TIMES_MAX 5
#define RIVAL_TIMES_START_MAX 3
void register_limit(struct node *n);

/* controller_registration.c: where the metadata does not know this incarnation yet, or another has come after it. */
void register_controller_when_due(struct node *n);
/* What the metadata has after a batch; NULL. The image that follows may have what came after it already. */
void controller_registration_seen(struct node *n, const struct image_controller *c);
void controller_registration_stop(struct node *n);

/* heartbeat.c */
void heartbeat_send(struct node *n);

/* quorum_settings.c: what quorum_open asks for, but the listener. -EINVAL and the like, with n->fail. */
MUST int quorum_settings(struct node *n, struct quorum_open *out);
/* The host of a controller's listener as others are told it. */
struct str controller_host(const struct listener *l);

/* From here on (3.7-IV2) metadata knows directories. */
#define METADATA_VERSION_DIRECTORIES 17

/* offline.c: how many log directories have failed; the controller has heard of so many. */
uint32_t offline_count(const struct node *n);
void offline_told(struct node *n, uint32_t count);

/* assign.c */
void assign_init(struct node *n);
/* Tell the controller what waits to be told, if it can be. */
void assign_advance(struct node *n);
/* Nothing is told any more. */
void assign_stop(struct node *n);
void assign_deinit(struct node *n);

/* proposals.c */
void proposals_init(struct node *n);
/* Send what waits to be sent, if it can be. */
void proposals_advance(struct node *n);
/* Nothing is sent any more; who has proposed something is told so. */
void proposals_stop(struct node *n);

/* gone.c: the controller here has begun: who of the brokers that should be there is not? */
void gone_look(struct node *n);
/* Nobody is looked for any more; completes when that is so. */
void gone_stop(struct node *n, struct op *op);

/* Where brokers reach this one; this node's settings say the name of that listener, as everywhere in the cluster. NULL:
 * it has told none. */
const struct image_endpoint *gone_listens_at(const struct node *n, const struct image_broker *b);

/* silence.c: the controller here has begun: who is there? From now on brokers that stand still are fenced. */
void silence_begin(struct node *n);
/* Nobody is asked any more; completes when that is so. */
void silence_stop(struct node *n, struct op *op);

/* node.c */
void node_fail(struct node *n, const struct fail *why);
/* Have controller_tick called at the right time; `soon`: in the next turn, not inside. */
void node_wind(struct node *n);
void node_wind_soon(struct node *n);
