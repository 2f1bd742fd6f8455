/* lab.h - an accumulator without a sender: tests take its batches themselves. */
#pragma once

#include "check.h"
#include "producer/accumulator.h"

struct lab {
    struct accumulator a;
    int64_t now_ms;
    struct lane_identity who;
    struct lane_rules rules;
    uint64_t bumps;
    struct text scratch;
};

/* Idempotent, batches of 512 bytes, 64 KiB of memory, no linger. */
void lab_settings(struct producer_settings *s);
void lab_open(struct lab *l, const struct producer_settings *s);
/* All batches must be gone. */
void lab_close(struct lab *l);

struct producer_topic *lab_topic(struct lab *l, const char *name, int32_t partitions);
int lab_append(struct lab *l, struct producer_topic *t, int32_t partition, const char *key, const char *value,
               uint64_t tag);
/* Partitions whose leader is `node` from now on. */
void lab_lead(struct producer_topic *t, struct producer_node *node);
/* Everything of the topic is thrown away. */
void lab_drop(struct lab *l, struct producer_topic *t);
/* The closed batch is sealed: its bytes. */
struct bytes lab_seal(struct lab *l, struct producer_batch *b);
/* "PARTITION: key=value#tag key=value ..." of a batch's records, a line. */
void lab_dump(struct producer_batch *b, struct text *out);
