/* follow_lab.h - a broker whose topic two others follow: these are the tests, and ask byte by byte. */
#pragma once

#include "lab.h"

#include "protocol/fetch.h"

#define BY_RACK "org.apache.kafka.common.replica.RackAwareReplicaSelector"

extern struct lab follow_lab;
extern struct client writer, followers[4]; /* by broker id: 2 and 3 */
extern struct uuid topic;                  /* led by broker 1 */

/* Racks of the brokers 1, 2 and 3: east, west, north. `selector`: replica.selector.class. */
void follow_begin_with(uint32_t shards, const char *selector);
void follow_begin(uint32_t shards);
void follow_end(void);
/* A topic of two partitions on all three; the first of `ids` leads. */
struct uuid follow_topic(const char *name, int32_t *ids);

struct follow_asks {
    int32_t id, partition;
    int64_t at;
    int32_t leader_epoch, last_epoch; /* + 1: 0 is not said */
    int32_t max_wait_ms, session_id, session_epoch;
    int64_t broker_epoch;             /* 0: the right one */
};
#define ASKS(...) (&(struct follow_asks){__VA_ARGS__})
#define FOLLOW_VERSION 17
struct fetch_request *follow_request(const struct follow_asks *x);
const struct fetch_response_responses_partitions *follow_ask(const struct follow_asks *x);

/* acks=all; not waited for. */
void follow_produce(int32_t partition, int32_t count);
void follow_check_produced(int64_t base_offset);
