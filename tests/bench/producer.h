/* producer.h - what produce.c, answers.c and slot.c share. */
#pragma once

#include "bench.h"

#include <sys/uio.h>

#define RECEIVE_BYTES 65536 /* answers are some 100 bytes each */

/* The request that takes a batch to one partition, encoded once. On the wire:
 *
 *     head (ends with the prefix of the batch) | rest of the pattern | tail
 */
struct slot {
    uint8_t *head, *tail;
    uint32_t head_bytes, tail_bytes;
    int64_t offset_last; /* of the answers */
    int partition;
};

/* A request from the moment that it is due. */
struct due {
    int64_t intended_ns;
    uint64_t key;
    struct slot *slot;
};

/* Requests of a connection, numbered from 0: answered <= started <= queued <= answered + ring_size.
 */
struct conn {
    int fd;
    struct slot *slots; /* partitions: in turn, or as the key says */
    int slot_count, slot_next;
    struct due *ring;
    uint32_t ring_size; /* a power of 2 */
    uint32_t queued, started, answered;
    struct iovec out[3]; /* what is left of the request that is being sent */
    int out_next;        /* 3 = nothing */
    uint32_t in_bytes;
    uint8_t in[RECEIVE_BYTES];
};

/* What the answers for a partition say; all offsets were given exactly once when their sum and
 * their highest are those of 0, count, 2 count, ... */
struct partition {
    int64_t batches, offset_sum, offset_highest;
};

enum phase { WARMING_UP, MEASURING, DRAINING };

struct producer {
    struct load *load;
    struct conn *conns;
    struct partition *partitions;
    struct arena arena; /* of one answer */
    struct prng random; /* picks keys */
    enum phase phase;
    int epoll;
    int64_t phase_end_ns;
    int64_t due_next_ns; /* open loop */
    uint64_t due_count;  /* open loop: requests that have become due */
    bool lagging;        /* a connection was held back because consumers are behind */
    bool lost;           /* the broker is gone, as --until-killed expects */
};

/* ---- slot.c --------------------------------------------------------------------------------- */

void slot_init(struct slot *s, const struct load *load, int partition);
void slot_deinit(struct slot *s);

/* Make the request ready to be sent. */
void slot_stamp(struct slot *s, const struct pattern *pattern, uint32_t correlation_id,
                const struct due *due);

/* ---- answers.c ------------------------------------------------------------------------------ */

/* Cut whole answers from the front of what has arrived on `c`, and check each. */
void take_answers(struct producer *p, struct conn *c);

/* Dies unless the offsets of each partition were given exactly once. */
void check_partitions(const struct producer *p);
