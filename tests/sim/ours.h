/* ours.h - millrace's own producer for the clients of the simulated world.
 *
 * The rooms and the simulated world each have a `struct client`; this header names neither, so that ours.c may include
 * the rooms' and all others the world's.
 */
#pragma once

#include "io/io.h"
#include "telemetry/telemetry.h"

struct our_producer;

/* What became of the records of one batch. */
struct our_ack {
    struct str topic;
    int32_t partition, count;
    const uint64_t *tags;
    int64_t base_offset;
    int16_t code;       /* 0 = acknowledged */
    bool definite;
    struct str text;
};

struct our_hooks {
    void (*acked)(void *ctx, const struct our_ack *ack);
    void (*room)(void *ctx);
};

/* What was drawn for it. */
struct our_plan {
    bool idempotent, acks_all;
    int64_t delivery_timeout_ms;
    int64_t patience_ms; /* until it gives a record up that nobody answers */
};

/* `storm`: it gives up and looks for leaders soon, and mostly goes on with the next record. */
struct our_producer *our_producer_new(struct io *io, struct telemetry *t, const char *bootstrap, struct prng *g,
                                      bool storm, const struct our_hooks *hooks, void *ctx, struct our_plan *out);
/* As producer_append: 0, -EAGAIN, -ERANGE ... */
int our_producer_append(struct our_producer *p, struct str topic, int32_t partition, struct bytes key,
                        struct bytes value, uint64_t tag);
void our_producer_flush(struct our_producer *p, struct op *op);
/* The producer within `timeout_ms`, then its client; frees it. Completes with what the producer's close says. */
void our_producer_close(struct our_producer *p, int64_t timeout_ms, struct op *op);
