/* broker/metrics_cluster.h - numbers of replication, controller and quorum (internal). */
#pragma once

#include "broker/shard.h"

/* Look up the shard's; on the home shard also the node's. */
void metrics_gather_cluster(struct broker_shard *shard);
