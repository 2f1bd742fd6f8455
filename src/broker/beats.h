/* broker/beats.h - connections that other brokers' heartbeats come by, to this node as a controller (internal). */
#pragma once

#include "broker/request.h"

/* Of a session, zeroed. */
struct beats {
    bool any;
    int32_t broker_id;
    int64_t broker_epoch;
};

/* A BrokerHeartbeat has come by its session. */
void beats_note(struct request *r);
/* The session's connection has ended: the node hears of it, at home. */
void beats_end(struct broker_shard *shard, const struct beats *beats);
