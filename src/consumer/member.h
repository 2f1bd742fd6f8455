/* consumer/member.h - a member of a classic group, as a machine: no clock, no I/O, no memory but its sets.
 *
 *   member_next(now) says what to do; who carries it out calls back with how it went:
 *
 *     SEND_JOIN  ─► member_joined       REVOKE ─► member_gave_up      ASSIGN ─► member_assigned
 *     SEND_SYNC  ─► member_synced       TAKE   ─► member_took
 *     HEARTBEAT  ─► member_heard        LOSE, FAIL: it is so; nothing is to be said
 *     SEND_LEAVE ─► member_left         WAIT: ask again then, and after whatever was called
 *
 *                      ┌──────────────── rejoin ──────────────────────────┐
 *   OUT ─ subscribe ─► GIVING_UP ─► UNJOINED ─► JOINING ─► ASSIGNING ─► SYNCING ─► SHEDDING ─► TAKING ─► STABLE
 *    ▲                 (eager: all)    ▲           (the leader)               (cooperative)             │
 *    └─ LEAVING ◄── unsubscribe        └── generation or member id is not known any more: LOSE ◄────────┘
 *
 *   B1  What is owned is what the last assignment gave, less what was given up; it is never more than that.
 *   B2  Eager: nothing is owned when JoinGroup is sent. Cooperative (KIP-429): what another may be given was given up
 *       before JoinGroup told the leader that it is free.
 *   B3  An answer counts only when it is that to the newest request of its kind in the present state.
 *   B4  Heartbeats go on wherever there is a generation and nobody is asked to join.
 */
#pragma once

#include "consumer/internal.h"

#define MEMBER_ID_MAX 256 /* a coordinator's answer with a longer one is refused */

enum member_state {
    MEMBER_OUT,
    MEMBER_UNJOINED,
    MEMBER_GIVING_UP, /* before JoinGroup, or before leaving */
    MEMBER_JOINING,
    MEMBER_ASSIGNING,
    MEMBER_SYNCING,
    MEMBER_SHEDDING,  /* what the new assignment takes away */
    MEMBER_TAKING,    /* what it adds */
    MEMBER_STABLE,
    MEMBER_LEAVING,
    MEMBER_AWAY,      /* the caller does not poll: it has left */
    MEMBER_FAILED,
};

enum member_act {
    MEMBER_WAIT,
    MEMBER_SEND_JOIN, MEMBER_SEND_SYNC, MEMBER_SEND_HEARTBEAT, MEMBER_SEND_LEAVE,
    MEMBER_REVOKE, MEMBER_ASSIGN, MEMBER_TAKE, MEMBER_LOSE, MEMBER_FAIL,
};

struct member_settings {
    int64_t session_ms, rebalance_ms, heartbeat_ms, retry_ms;
    bool is_static, cooperative;
};

struct member {
    struct member_settings settings;
    enum member_state state;
    char id[MEMBER_ID_MAX];    /* "" = none yet */
    int32_t generation;        /* -1 = none */
    bool leads;
    bool rejoin;               /* join anew as soon as it is stable */
    bool leaving;              /* what is given up is given up to leave */
    bool away;                 /* it leaves because the caller does not poll */
    bool told;                 /* the act of this state was handed out */
    struct tp_set owned;
    struct tp_set next;        /* SHEDDING: the new assignment */
    struct tp_set change;      /* what the newest REVOKE or TAKE is about */
    struct tp_set lost;        /* to be told, or (lost_told) told just now */
    bool lost_told;
    uint32_t join_ticket, heartbeat_ticket; /* of the newest of each; JoinGroup, SyncGroup and LeaveGroup share one */
    bool heartbeat_in_flight;
    int64_t retry_ns;          /* UNJOINED: not before */
    int64_t heartbeat_ns;      /* next one */
    int64_t polled_ns;         /* the caller was alive */
    int64_t until_ns;          /* GIVING_UP, SHEDDING, TAKING: the group waits no longer */
    uint32_t attempt;
    int16_t failure;           /* enum kerr */
};

/* What is to be done; `parts` point into the machine until the next call. */
struct member_out {
    enum member_act act;
    uint32_t ticket;            /* of a request: to be said with its answer */
    const struct tp_set *parts; /* that are revoked, new or lost */
    int64_t at_ns;         /* WAIT: NEVER_NS = until something is called. REVOKE, TAKE: the answer is to come by then */
};

void member_init(struct member *m, const struct member_settings *settings);
void member_deinit(struct member *m);

/* What is due. WAIT when there is nothing (any more) now; else ask again. */
void member_next(struct member *m, int64_t now_ns, struct member_out *out);

/* ---- what the caller wants -------------------------------------------------------------------- */

void member_subscribe(struct member *m, int64_t now_ns); /* join; when it has joined: join anew */
void member_rejoin(struct member *m);
void member_leave(struct member *m, int64_t now_ns);     /* give everything up; ends OUT */
void member_drop(struct member *m);                      /* as above, but nothing is given up politely */
void member_polled(struct member *m, int64_t now_ns);

/* ---- how it went -------------------------------------------------------------------------------- */

/* `code` is KERR_NONE, or the answer's; KERR_NETWORK_EXCEPTION when there was none. */
struct member_joined {
    int16_t code;
    struct str member_id;
    int32_t generation;
    bool leads;
};
void member_joined(struct member *m, int64_t now_ns, uint32_t ticket, const struct member_joined *a);
void member_assigned(struct member *m); /* the assignments are ready for SyncGroup */
void member_synced(struct member *m, int64_t now_ns, uint32_t ticket, int16_t code, const struct tp_set *given);
void member_heard(struct member *m, int64_t now_ns, uint32_t ticket, int16_t code);
void member_left(struct member *m, uint32_t ticket);
void member_gave_up(struct member *m);
/* These were given up by the caller, whatever has happened since it was asked to: they are not told as lost. */
void member_spare(struct member *m, const struct tp_set *parts);
void member_took(struct member *m, int64_t now_ns);
/* A commit was refused in this generation: what it says of the membership. */
void member_refused(struct member *m, int64_t now_ns, int32_t generation, int16_t code);

/* There is a generation under which commits may be made. */
bool member_is_in(const struct member *m);
