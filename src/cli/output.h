/* cli/output.h - standard output of a tool that writes as it goes.
 *
 *   text_printf(&o->text, ...) ── output_go ──► one write at a time, of all that has come together ──► room
 *
 * While something is written, text gathers: so few writes are made where much is said, and none waits where little is.
 */
#pragma once

#include "cli/cli.h"

/* Who has so much unwritten is to wait for `room`. */
#define OUTPUT_BYTES_MAX (256u << 10)

struct output {
    struct text text;        /* add to it, then output_go */
    uint64_t taken, written; /* bytes since the beginning: out of `text`, and gone */
    int trouble;             /* it has failed and takes no more: -EPIPE when nobody reads; else 0 */
    struct cli *cli;         /* private from here on */
    void (*room)(struct output *o);
    struct text writing;
    struct op op;
    bool busy;
    struct op *flushed;
};

/* `room` is called after each write, and when one has failed. It may be NULL. */
void output_init(struct output *o, struct cli *cli, void (*room)(struct output *o));
void output_deinit(struct output *o); /* nothing is being written: output_flush has completed */

/* See that the text is written; text that comes to a failed output is dropped. */
void output_go(struct output *o);

static inline bool output_is_full(const struct output *o)
{
    return o->text.n >= OUTPUT_BYTES_MAX;
}
/* Bytes since the beginning, what waits in `text` included: when `written` has come so far, it is out. */
static inline uint64_t output_end(const struct output *o)
{
    return o->taken + o->text.n;
}

/* Completes with 0 when all is written, or with the trouble. One at a time. */
void output_flush(struct output *o, struct op *op);
