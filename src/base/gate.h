/* base/gate.h - a long life that waits for its operations.
 *
 * Enter before an operation starts, leave in its completion. gate_close waits until nobody is
 * inside; only its completion frees the object.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct gate {
    uint32_t inside;
    bool closing;
    void (*closed)(struct gate *g); /* set by gate_close; runs once, when the last one has left */
};

static inline bool gate_is_closing(const struct gate *g) { return g->closing; }

/* false when closing: the operation must not start. */
bool gate_enter(struct gate *g);
void gate_leave(struct gate *g);

/* `closed` runs now when nobody is inside, else in the last gate_leave. */
void gate_close(struct gate *g, void (*closed)(struct gate *g));

/* Once `closed` has run, for an object that lives on: operations may start again. */
void gate_reopen(struct gate *g);
