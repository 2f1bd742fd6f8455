/* library/consumer.h - what the files about mr_consumer share. */
#pragma once

#include "consumer/consumer.h"
#include "library/internal.h"

struct mr_consumer {
    struct handle handle;
    struct consumer *consumer;     /* the loop's thread's */
    struct mr_consumer_hooks hooks;
    bool (*wants)(void *ctx, const char *topic); /* of mr_subscribe_matching; the loop's thread's */
    void *wants_ctx;
    struct io_message refill, polled;
    /* under the handle's lock: */
    struct list ready;             /* struct mr_chunk: taken, and not polled yet */
    struct list events;            /* struct queued */
    uint32_t ready_count;
    bool refilling, polled_posted; /* the message is on its way */
    int64_t polled_ms;             /* of clock_ms, when it was last said */
};

struct mr_chunk {
    struct list node;              /* in consumer->ready */
    struct io_message message;     /* back to the loop's thread */
    struct mr_consumer *consumer;
    struct consumer_chunk *chunk;
    struct record record;          /* of mr_chunk_next */
    int64_t done_to;
    char topic[];                  /* terminated */
};

/* A job about a consumer. */
struct consumer_job {
    struct job job;
    struct mr_consumer *c;
    int64_t timeout_ms;
    uint64_t consent;
};

void consumer_error_of(const struct consumer_error *from, struct mr_error *e);
/* On the loop's thread: what of the partition is ready is not to be polled any more. */
void consumer_purge(struct mr_consumer *c, struct consumer_partition p);
/* One piece of memory with names and all; NULL without memory. */
struct mr_partition *partitions_copy(const struct consumer_partition *partitions, uint32_t count);
