/* our_consumer.h - millrace's own consumer for the clients of the simulated world.
 *
 * The rooms and the simulated world each have a `struct client`; this header names neither, so that our_consumer.c may
 * include the rooms' and all others the world's.
 */
#pragma once

#include "io/io.h"
#include "record/record.h"
#include "telemetry/telemetry.h"

struct our_consumer;
struct our_chunk; /* one of its chunks */

enum our_event { OUR_REVOKED, OUR_ASSIGNED, OUR_LOST, OUR_FAILED };
struct our_hooks_of_consumer {
    /* Of one partition; OUR_FAILED: of none, or of one with a damaged batch and the like. OUR_REVOKED and OUR_ASSIGNED
     * are followed by one with an empty topic: to be said to our_consumer_consent. */
    void (*event)(void *ctx, enum our_event event, struct str topic, int32_t partition, uint64_t consent,
                  const char *why);
    void *ctx;
};

struct our_consumer_plan {
    int32_t session_ms;
    bool alone;               /* no members of another make in the group: any assignor */
    const struct str *topics;
    uint32_t topic_count;
    const char *group;
    uint64_t group_draw;      /* what the members of a group have in common */
};

/* `g` draws its settings. */
struct our_consumer *our_consumer_new(struct io *io, struct telemetry *t, const char *bootstrap, struct prng *g,
                                      const struct our_consumer_plan *plan, const struct our_hooks_of_consumer *hooks);
void our_consumer_close(struct our_consumer *c, int64_t timeout_ms, struct op *op); /* frees it */

void our_consumer_polled(struct our_consumer *c);
void our_consumer_consent(struct our_consumer *c, uint64_t consent);
void our_consumer_unsubscribe(struct our_consumer *c);
void our_consumer_subscribe(struct our_consumer *c);
int32_t our_consumer_generation(const struct our_consumer *c, char *member, size_t n);
int our_consumer_seek(struct our_consumer *c, struct str topic, int32_t partition, int64_t offset);
int our_consumer_pause(struct our_consumer *c, struct str topic, int32_t partition, bool paused);
/* false: it is not assigned. */
bool our_consumer_place(const struct our_consumer *c, struct str topic, int32_t partition, int64_t *position,
                        int64_t *done, int64_t *committed);

struct our_chunk *our_chunk_take(struct our_consumer *c, struct str *topic, int32_t *partition, int64_t *first,
                                 int64_t *next);
int our_chunk_next(struct our_chunk *k, struct record *out);
void our_chunk_release(struct our_chunk *k, int64_t done_to);

/* Completes with 0, or what went wrong; `definite` says whether nothing happened. One at a time. */
void our_consumer_commit(struct our_consumer *c, int64_t timeout_ms, struct op *op);
