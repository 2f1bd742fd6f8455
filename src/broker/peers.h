/* broker/peers.h - what a shard's replicas want of the other nodes: connections to brokers, a controller that takes another
 * ISR, and to be asked from time to time who has fallen behind (internal).
 *
 *   replica ─ proposal ─► home ─ node_propose ─► the controller … ─► home ─► replica_proposed
 *               └ a later one of the same replica withdraws it
 */
#pragma once

#include "broker/shard.h"

/* On the shard: its connections to other brokers, made where a replica wants them. */
void peers_start(struct broker_shard *shard);
/* The replicas are there: who has fallen behind is looked for every half of replica.lag.time.max.ms. */
void peers_watch(struct broker_shard *shard);

/* Of replicas_options, with the shard. */
void peers_propose(void *ctx, struct replica *r, const struct replication_proposal *proposal);

/* No more of that, and no more proposals; completes when none is with the controller. Before the replicas are closed. */
void peers_rest(struct broker_shard *shard, struct op *op);
/* Close the connections, after the replicas. */
void peers_stop(struct broker_shard *shard, struct op *op);
