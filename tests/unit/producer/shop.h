/* shop.h - a producer before scripted brokers that keep logs and check sequences as Kafka does. */
#pragma once

#include "script.h"

#include "producer/producer.h"
#include "protocol/produce.h"

#define SHOP_LOGS_MAX 8
#define SHOP_PLANS_MAX 16
#define SHOP_REMEMBERED 5 /* batches of a producer, as Kafka's brokers do */

struct shop_batch {
    int32_t sequence, count;
    int64_t offset;
};

/* One partition, as the cluster has it, whoever leads. */
struct shop_log {
    char topic[32];
    int32_t partition;
    struct uuid id;          /* of the topic: under another one it is empty and knows nobody */
    struct text values;      /* "a b c": of the records that were ever appended, in order */
    int64_t end;
    int64_t producer_id;     /* the newest that wrote; -1 none */
    int16_t epoch;
    struct shop_batch known[SHOP_REMEMBERED]; /* its newest batches */
    uint32_t known_count;
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
/* In that world, which shop_end frees. */
void shop_open_in(struct shop *s, struct script *script);
void shop_start(struct shop *s);
/* Close the producer within `timeout_ms`; what its op says. */
int64_t shop_close(struct shop *s, int64_t timeout_ms);
void shop_end(struct shop *s); /* after shop_close: all that is left */

int shop_append(struct shop *s, const char *topic, int32_t partition, const char *value);
/* Append, and it must be taken. */
void shop_add(struct shop *s, const char *topic, int32_t partition, const char *value);
/* The same with a tag; what producer_append says. */
int shop_append_tagged(struct shop *s, const char *topic, int32_t partition, const char *value, uint64_t tag);
/* As a broker that starts again may: it knows only the newest batch of each producer. */
void shop_forget(struct shop *s);
void shop_plan(struct shop *s, int32_t partition, int16_t code, bool appended);
const char *shop_values(struct shop *s, const char *topic, int32_t partition);
