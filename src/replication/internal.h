/* replication/internal.h - what the files of this room share. */
#pragma once

#include "replication/replication.h"

struct replication_replica *replication_find(struct replication *r, int32_t id); /* may be NULL */
/* min.insync.replicas, but never more than there are replicas (W2). */
uint32_t replication_min_isr(const struct replication *r);
/* Invariants that an assertion may rely on. */
void replication_check(const struct replication *r);
bool replication_contains(const int32_t *ids, int32_t count, int32_t id);
/* Who is in the ISR in force now. Whether that has changed. */
bool replication_set_isr(struct replication *r, const int32_t *isr, int32_t count);

/* leader.c */

/* W1, W2: whether the mark has moved. */
bool leader_advance(struct replication *r);
/* No proposal is under way any more. */
void leader_end_proposal(struct replication *r);
