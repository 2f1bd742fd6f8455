/* base/ledger.h - how much memory a shard may take, and who has it.
 *
 *        │ tails: caches │ tails: not drained │ requests │ work │ answers │        free        │ limit
 *
 *   M1  What grows with what clients send is counted: whoever takes it says so, and says when it is given back.
 *   M2  What can wait is taken only where it fits (ledger_take), in the order of asking. What is small, or there
 *       already, is counted without being asked for (ledger_charge): so the sum may be above the limit for a while,
 *       and nothing that can wait is given until it has sunk.
 *   M5  Where memory is scarce, a request gets it in steps, no more than it has received so far: announcing much
 *       costs nobody anything. Steps of requests that have begun go before new requests, and one of those that have
 *       begun may go beyond requests_max_bytes: it ends, and makes room for the others.
 *   M3  Caches are dropped before anybody waits.
 *   M4  Limits move between shards, never their sum (who owns the ledgers sees to that).
 *
 * A shard's own; no lock. Every function accepts NULL for the ledger: nothing is counted, everything fits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum ledger_use {
    LEDGER_TAILS,    /* newest records of logs: not drained, held by readers, or cache */
    LEDGER_REQUESTS, /* large frames, from their first byte to their answer: these wait */
    LEDGER_WORK,     /* small frames, decoded requests, and what handlers make of them */
    LEDGER_ANSWERS,  /* encoded answers that are not sent */
    LEDGER_USES,
};

/* The first step of M5; the next ones are as large as what is there. */
#define LEDGER_STEP_BYTES ((uint64_t)64 << 10)

/* Requests up to this size do not wait, so that who keeps things going (heartbeats, fetches, commits) gets through
 * while producers are held back. */
#define LEDGER_SMALL_BYTES ((uint64_t)16 << 10)

struct ledger {
    uint64_t limit_bytes;
    uint64_t requests_max_bytes; /* of LEDGER_REQUESTS, but for one that is alone, and M5 */
    uint64_t used_bytes;         /* the sum of `uses` */
    uint64_t uses[LEDGER_USES];
    struct list waiting;         /* struct ledger_wait: those that have begun, then the others; oldest first */
    const struct ledger_wait *favoured; /* the one of M5; NULL */

    /* Hooks of the owner; NULL = none. */
    /* Drop `bytes` of caches, or as many as there are. */
    void (*shrink)(void *ctx, uint64_t bytes);
    /* Somebody waits: ledger_serve is to be called soon, in a turn of its own. Not said again before that. */
    void (*serve_soon)(void *ctx);
    /* The first who waits needs so many bytes more than there are. */
    void (*is_short)(void *ctx, uint64_t bytes);
    void *ctx;
    bool serving_soon;
};

/* A request that takes memory in steps; one at a time. Zeroed it has not begun. */
struct ledger_wait {
    struct list node;
    uint64_t bytes;    /* that it waits for */
    uint64_t has_bytes;
    void (*granted)(struct ledger_wait *w); /* called by ledger_serve: `bytes` have been taken as requests */
};

void ledger_init(struct ledger *l, uint64_t limit_bytes);

void ledger_charge(struct ledger *l, enum ledger_use use, uint64_t bytes);
void ledger_return(struct ledger *l, enum ledger_use use, uint64_t bytes);

/* Take memory for what a request still needs: all of it where there is plenty, else a step. Returns how much; 0:
 * `w` waits, and `granted` will be called. */
uint64_t ledger_take(struct ledger *l, struct ledger_wait *w, uint64_t needed_bytes);
/* The request has all its memory, or needs no more: what it has stays taken until it is returned. Accepts one that
 * does not wait. */
void ledger_take_end(struct ledger *l, struct ledger_wait *w);
/* Something that was in use is only a cache now. */
void ledger_eased(struct ledger *l);
/* Give to those who wait, in their order, what there is. */
void ledger_serve(struct ledger *l);

/* Up to the limit, without dropping caches; UINT64_MAX for NULL. */
uint64_t ledger_free_bytes(const struct ledger *l);
/* How many bytes are missing for the first who waits; 0 when nobody does. */
uint64_t ledger_short_bytes(const struct ledger *l);
/* Raise or lower the limit; caches are dropped to fit. */
void ledger_move_limit(struct ledger *l, int64_t by_bytes);
