/* base/arena.h - memory that is taken piece by piece and ends all at once. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include "base/str.h"

struct arena_block;
struct ledger;

struct arena {
    uint8_t *next;              /* first free byte of the newest block */
    uint8_t *end;
    struct arena_block *blocks; /* newest first */
    size_t taken_bytes;         /* from the system, all blocks */
    size_t limit_bytes;         /* arena_take fails beyond; 0 = no limit */
    struct ledger *ledger;      /* where its blocks are counted as work; NULL; set after arena_init */
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_deinit(struct arena *a); /* also of a zeroed arena */

/* Forget everything that was taken, keep at most the first block for reuse. The limit counts
 * whole blocks, headers included, so it is a bound on memory, not on what can be taken. */
void arena_reset(struct arena *a);

/* `size_bytes` zeroed bytes, aligned for any type; NULL beyond the limit. A zero size gives a
 * valid pointer. */
void *arena_take(struct arena *a, size_t size_bytes);

/* As arena_take, of `count` elements; NULL also when the product overflows. */
void *arena_take_array(struct arena *a, size_t count, size_t element_bytes);

/* As arena_take but the bytes are not zeroed. */
void *arena_take_raw(struct arena *a, size_t size_bytes);

/* Copies; null stays null; null also beyond the limit. */
struct str arena_str(struct arena *a, struct str s);
struct bytes arena_bytes(struct arena *a, struct bytes b);
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
