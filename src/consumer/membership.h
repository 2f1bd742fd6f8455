/* consumer/membership.h - for membership*.c: what the member decides is carried out. */
#pragma once

#include "assignor/assignor.h"
#include "assignor/consumer_protocol.h"
#include "consumer/member.h"

/* One request to the coordinator. */
struct membership_call {
    struct list node;
    struct membership *group;
    struct client_call wire;
    struct arena arena;    /* of the request, and of what is made of the answer */
    enum member_act act;
    uint32_t ticket;
};

struct membership {
    struct consumer *consumer;
    struct member member;
    enum assignor assignors[CONSUMER_ASSIGNORS_MAX];
    uint32_t assignor_count;
    bool (*wants)(void *ctx, struct str topic); /* NULL: by name */
    void *wants_ctx;
    struct tp_set topics;  /* subscribed to; partition 0 each */
    struct tp_set last;    /* the last assignment, for sticky assignors that have to give it up */
    int32_t last_generation;
    struct str reason;     /* of the next JoinGroup; static or in `reason_text` */
    char reason_text[100];

    struct list calls;     /* struct membership_call in flight */

    /* What the caller was told and is to consent to. */
    enum member_act asked; /* MEMBER_REVOKE, MEMBER_TAKE; MEMBER_WAIT: nothing */
    uint64_t asked_number; /* of the asking */
    int64_t asked_until_ns;
    bool consented, committing;
    struct tp_set asked_parts;

    /* The leader's work. */
    struct membership_call *join;  /* held for its list of members; NULL */
    struct tp_set all_topics; /* of the group, wanted from the client */
    uint64_t all_print;       /* of their partition counts when they were shared out */
    int64_t assign_until_ns;
    bool assigning;
    struct sync_group_request *sync; /* made by group_assign, in join's arena */

    struct op *left;       /* of membership_leave */
};

void membership_call_free(struct membership_call *call);
/* membership_request.c */
void membership_send_join(struct membership *g, uint32_t ticket);
void membership_send_sync(struct membership *g, uint32_t ticket);
void membership_send_heartbeat(struct membership *g, uint32_t ticket);
void membership_send_leave(struct membership *g, uint32_t ticket);
/* membership_answer.c: the answer, or trouble. */
void membership_answered(struct membership_call *call, int64_t result);

/* membership_assign.c. Begin to share out; goes on with what the metadata brings. */
void membership_assign_begin(struct membership *g);
void membership_assign_step(struct membership *g);
void membership_assign_end(struct membership *g); /* let go of the list of members */
void membership_subscribe_nothing(struct membership *g); /* membership_subscribe.c */
/* Of the topics that all members want: what makes the leader join anew when it changes. */
uint64_t membership_print(const struct membership *g);
