/* compression/output.h - a text that a codec writes into, up to a limit. For this room only.
 *
 *        start          at            end of room        start + limit
 *          |  produced  |  room         |                     |
 *   [.....][############..............]
 *
 * One byte more than the limit may be produced, never kept: its arrival is what tells a stream
 * that ends exactly at the limit from one that goes on.
 */
#pragma once

#include "base/base.h"

struct output {
    struct text *text;
    size_t start;       /* bytes that were there before */
    size_t limit_bytes; /* that may be produced */
};

void output_begin(struct output *o, struct text *text, size_t limit_bytes);

/* Keep what was produced, or with an error forget it. Returns `error`. */
int output_end(struct output *o, int error);

static inline size_t output_produced(const struct output *o)
{
    return o->text->n - o->start;
}

static inline uint8_t *output_at(const struct output *o)
{
    return (uint8_t *)o->text->p + o->text->n;
}

/* Bytes that may be written at output_at now; 0 until output_reserve or output_grow. */
size_t output_room(const struct output *o);

/* Make room for `n` bytes more. ERR_LIMIT when the limit forbids them; -ENOMEM. */
MUST int output_reserve(struct output *o, size_t n);

/* Make some room, where output_room is 0; at the limit it is the byte too many. -ENOMEM. */
MUST int output_grow(struct output *o);

/* `n` bytes were written at output_at. ERR_LIMIT when that is beyond the limit. */
MUST int output_add(struct output *o, size_t n);
