/* shop.h - a producer before scripted brokers that keep logs and check sequences as Kafka does. */
#pragma once

#include "script.h"

#include "producer/producer.h"
#include "protocol/produce.h"

#define SHOP_LOGS_MAX 8
#define SHOP_PLANS_MAX 16

/* One partition, as the cluster has it, whoever leads. */
struct shop_log {
    char topic[32];
    int32_t partition;
    struct text values;      /* "a b c": of the records, in order */
    int64_t end;
    int64_t producer_id;     /* the newest that wrote; -1 none */
    int16_t epoch;
    int32_t next_sequence, last_sequence, last_count;
    int64_t last_offset;
};

/* An answer that the next batch of a partition gets. */
struct shop_plan {
    int32_t partition;
    int16_t code;
    bool appended;           /* it is in the log all the same */
};

struct shop {
    struct script *script;
    struct client *client;
    struct producer *producer;
    struct client_settings client_settings;
    struct producer_settings settings;
    struct producer_hooks hooks;
    struct shop_log logs[SHOP_LOGS_MAX];
    uint32_t log_count;
    struct shop_plan plans[SHOP_PLANS_MAX];
    uint32_t plan_count;
    int64_t next_id;         /* of producers */
    int16_t init_error;      /* of the next InitProducerId */
    int32_t throttle_ms;
    bool hints;              /* NOT_LEADER_OR_FOLLOWER names the leader (KIP-951) */
    struct text batches;     /* "PARTITION:ID/EPOCH/SEQUENCE xCOUNT", a line for each batch that came */
    struct text acks;        /* "TOPIC-PARTITION @OFFSET xCOUNT", or "... xCOUNT CODE definite|indefinite" */
    struct text errors;      /* their texts, a line each */
    uint32_t acked, told;    /* records */
    uint32_t rooms, fatals, wakes;
    bool locked;             /* by the producer's hooks, or the test */
};

void shop_open(struct shop *s, uint32_t brokers); /* settings may be changed before shop_start */
void shop_start(struct shop *s);
/* Close the producer within `timeout_ms`; what its op says. */
int64_t shop_close(struct shop *s, int64_t timeout_ms);
void shop_end(struct shop *s); /* after shop_close: all that is left */

int shop_append(struct shop *s, const char *topic, int32_t partition, const char *value);
/* Append, and it must be taken. */
void shop_add(struct shop *s, const char *topic, int32_t partition, const char *value);
void shop_plan(struct shop *s, int32_t partition, int16_t code, bool appended);
const char *shop_values(struct shop *s, const char *topic, int32_t partition);
