#include "compression/output.h"

#include <stdlib.h>

#define GROW_BYTES_MIN 4096

void output_begin(struct output *o, struct text *text, size_t limit_bytes)
{
    size_t most = (size_t)INT32_MAX - 1 - text->n; /* a struct str must be able to hold it */

    ASSERT(text->n < INT32_MAX);
    *o = (struct output){
        .text = text,
        .start = text->n,
        .limit_bytes = limit_bytes < most ? limit_bytes : most,
    };
}

int output_end(struct output *o, int error)
{
    if (error < 0)
        o->text->n = o->start;
    if (o->text->p != NULL)
        o->text->p[o->text->n] = '\0';
    return error;
}

/* Capacity of the text when everything that may be produced is there, with the byte too many;
 * which is also the place of the terminator. */
static size_t capacity_max(const struct output *o)
{
    return o->start + o->limit_bytes + 1;
}

size_t output_room(const struct output *o)
{
    size_t most = capacity_max(o);

    if (o->text->capacity >= most)
        return most - o->text->n;
    return o->text->capacity == 0 ? 0 : o->text->capacity - 1 - o->text->n;
}

/* A capacity of at least `needed`, and twice what it was where the limit allows. */
static int widen(struct output *o, size_t needed)
{
    size_t capacity = o->text->capacity * 2;
    size_t most = capacity_max(o);
    char *p;

    if (needed <= o->text->capacity)
        return 0;
    if (capacity > most)
        capacity = most;
    if (capacity < needed)
        capacity = needed;
    p = realloc(o->text->p, capacity);
    if (p == NULL)
        return -ENOMEM;
    o->text->p = p;
    o->text->capacity = capacity;
    return 0;
}

int output_reserve(struct output *o, size_t n)
{
    if (n > o->limit_bytes - output_produced(o))
        return ERR_LIMIT;
    return widen(o, o->text->n + n + 1);
}

int output_grow(struct output *o)
{
    size_t left = o->limit_bytes - output_produced(o);

    return output_reserve(o, left < GROW_BYTES_MIN ? left : GROW_BYTES_MIN);
}

int output_add(struct output *o, size_t n)
{
    ASSERT(n <= output_room(o));
    o->text->n += n;
    return output_produced(o) > o->limit_bytes ? ERR_LIMIT : 0;
}
