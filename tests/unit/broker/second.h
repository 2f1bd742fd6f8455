/* second.h - a second broker of the cluster, played by the test: registered at the lab's controller, and alive by the
 * heartbeats that the test sends. Its listener is second:9192, where nobody listens. */
#pragma once

#include "lab.h"

#include "protocol/broker_heartbeat.h"
#include "protocol/describe_cluster.h"

struct second {
    struct client c; /* to the controller */
    int64_t epoch;
};

/* Fenced at first. */
void second_register(struct lab *lab, struct second *s);
/* A heartbeat that says that all metadata below `offset` is known (INT64_MAX: all that there will be). */
const struct broker_heartbeat_response *second_beat(struct second *s, int64_t offset);

#define DESCRIBE_BROKERS 1
#define DESCRIBE_CONTROLLERS 2
const struct describe_cluster_response *lab_describe(struct client *c, int8_t endpoint_type, bool fenced);
