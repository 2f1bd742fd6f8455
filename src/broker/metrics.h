/* broker/metrics.h - the broker's numbers, under the names that dashboards for Kafka know (internal). */
#pragma once

#include "broker/request.h"

struct metrics *metrics_new(struct telemetry *t);
void metrics_free(struct metrics *m);

/* A request's handler begins; its answer of `bytes` was made (time from the frame's arrival). */
void metrics_begun(const struct request *r);
void metrics_answered(const struct request *r, uint64_t bytes);
void metrics_broker_state(struct broker_shard *shard, enum broker_state state);
/* Connections: +1, -1. */
void metrics_session(struct broker_shard *shard, int delta);
/* Records of one batch came in, bytes went out, per topic and in all. */
void metrics_produced(struct broker_shard *shard, struct str topic, uint64_t bytes, uint64_t records);
void metrics_produce_failed(struct broker_shard *shard, struct str topic);
void metrics_fetched(struct broker_shard *shard, struct str topic, uint64_t bytes);
/* Bytes went out to a broker that follows. */
void metrics_replicated(struct broker_shard *shard, uint64_t bytes);
void metrics_fetch_failed(struct broker_shard *shard, struct str topic);
/* A partition lies here no more: what was told of its log is forgotten. */
void metrics_partition_left(struct broker_shard *shard, struct str topic, int32_t partition);
/* The topic's numbers are forgotten, but those of its partitions. */
void metrics_topic_deleted(struct broker_shard *shard, struct str topic);
/* Numbers that are looked up when they are asked for: partitions, log ends and sizes. */
void metrics_gather(struct broker_shard *shard);
