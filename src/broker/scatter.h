/* broker/scatter.h - a request's work on the shards that own what it touches (internal).
 *
 *   scatter_add(item) … by shard ─► run(part) on each ─► scatter_part_done ─► joined at home
 *
 * The only way from one shard to another for requests. A part that belongs to the own shard runs
 * inside scatter_run, without a message.
 *
 *   S1  `run` touches only the part, its items' results and what its shard owns. What it allocates
 *       for the answer comes from part->arena, which lives as long as the scatter.
 *   S2  `joined` runs once, on the request's shard, when every part is done (inside scatter_run
 *       when all of them were done at once).
 */
#pragma once

#include "broker/request.h"

struct scatter;

struct scatter_part {
    struct io_message message, interruption; /* private */
    void (*interrupt)(struct scatter_part *part);
    struct scatter *scatter;
    struct broker_shard *shard; /* the owner's */
    void **items;               /* those that were added for this shard, in order */
    uint32_t count, capacity;
    bool included;              /* it runs without items, too */
    struct arena arena;
    void *state;                /* of `run` */
};

struct scatter {
    struct list node;           /* in request->scatters */
    struct request *request;
    struct broker_shard *home;
    struct scatter_part *parts; /* one per shard; count 0 = not used */
    uint32_t left;
    void (*run)(struct scatter_part *part);
    void (*joined)(struct scatter *s);
    void *state;                /* of the request's handler */
};

/* Memory of the scatter comes from the request's arena; the parts' arenas end with the request. */
struct scatter *scatter_new(struct request *r, void (*run)(struct scatter_part *part),
                            void (*joined)(struct scatter *s));
/* Give `item` to `shard`. */
void scatter_add(struct scatter *s, uint32_t shard, void *item);
/* The shard gets a part, also without items. */
void scatter_include(struct scatter *s, uint32_t shard);
/* Every shard does. */
void scatter_everywhere(struct scatter *s);
/* Start. Without any part, `joined` runs at once. */
void scatter_run(struct scatter *s);
/* On the part's shard: it is done. Nothing of the part may be touched afterwards. */
void scatter_part_done(struct scatter_part *part);
/* As above, but behind every message that this shard has already sent home for the part. */
void scatter_part_done_after(struct scatter_part *part);
/* For request.c: free the parts' arenas. */
void scatter_deinit(struct scatter *s);
/* While parts are under way: run `interrupt` on the shard of each, in addition; `joined` waits for
 * these too. `interrupt` may call scatter_part_done for its part, if `run` has not. */
void scatter_interrupt(struct scatter *s, void (*interrupt)(struct scatter_part *part));
/* Run again over the same items with another function (all parts are done). */
void scatter_again(struct scatter *s, void (*run)(struct scatter_part *part),
                   void (*joined)(struct scatter *s));
