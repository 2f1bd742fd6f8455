/* support.h - groups written as text, and their assignments as text.
 *
 *   struct party party;
 *   party_init(&party);
 *   party_topic(&party, "t1", 3, NULL);
 *   party_member(&party, "a", "t1 t2");
 *   CHECK_TEXT(party_assign(&party, ASSIGNOR_RANGE), "a: t1/0,1,2\n");
 */
#pragma once

#include "assignor/assignor.h"

#define PARTY_MAX 64

struct party {
    struct arena arena;
    struct assignor_topic topics[PARTY_MAX];
    struct assignor_member members[PARTY_MAX];
    struct assignor_group group;
    struct consumer_protocol_assignment *last; /* of party_assign */
};

void party_init(struct party *p);
void party_deinit(struct party *p);

/* `racks` of each partition's replicas: "a b|a|", NULL = not known. */
void party_topic(struct party *p, const char *name, int32_t partition_count, const char *racks);

/* The member stays where it is until party_deinit. */
struct assignor_member *party_member(struct party *p, const char *id, const char *topics);

/* Partitions as text: "t1/0,1 t2/5"; in the subscription, as of `generation`. */
void party_owns(struct party *p, struct assignor_member *m, const char *owned, int32_t generation);

/* The same as the sticky assignor's user data. */
void party_had(struct party *p, struct assignor_member *m, const char *owned, int32_t generation);

/* A line a member, in the order in which they were added: "a: t1/0,1 t2/5". */
char *party_assign(struct party *p, enum assignor assignor);

/* What a member had in the last assignment is what it brings to the next, as of `generation`. */
void party_next(struct party *p, enum assignor assignor, int32_t generation);
