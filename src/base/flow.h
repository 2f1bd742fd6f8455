/* base/flow.h - a flow waits: a multi-step operation written top to bottom.
 *
 *     FLOW_BEGIN(f);
 *     FLOW_TRY(f, "open", io_open(..., &f->op));      wait; on trouble go to `failed`
 *     FLOW_WAIT(f, "read", io_read(..., &f->op));     wait; look at f->result yourself
 *     FLOW_END(f);
 *     flow_done(f, 0);
 *     return;
 * failed:
 *     ... undo ...
 *     flow_done(f, f->result);
 *
 * State lives in the struct around the flow; a local does not survive a wait. No `switch` may
 * stand around a wait. Loops may. -Wjump-misses-init catches a local that crosses one.
 */
#pragma once

#include "base/op.h"

struct flow {
    struct op op;        /* what the current wait waits for */
    int line;            /* where to go on; 0 = at the top */
    const char *step;    /* what it waits for: traces, "what hangs" */
    int64_t result;      /* of the last wait */
    void (*run)(struct flow *f);
    struct op *parent;   /* completed by flow_done; may be NULL */
};

/* Begin `run` at its top; `parent` is completed when it ends. Every path through a flow waits at
 * least once (io_yield where nothing else does), so `parent` never completes inside this call. */
void flow_start(struct flow *f, void (*run)(struct flow *f), struct op *parent);

/* The last act of a flow: complete the parent. The flow's struct may be gone afterwards. */
void flow_done(struct flow *f, int64_t result);

#define FLOW_BEGIN(f)         \
    switch ((f)->line) {      \
    case 0:

#define FLOW_WAIT(f, what, call)      \
    do {                              \
        (f)->step = (what);           \
        (f)->line = __LINE__;         \
        call;                         \
        return;                       \
    case __LINE__:;                   \
    } while (0)

#define FLOW_TRY(f, what, call)       \
    do {                              \
        FLOW_WAIT(f, what, call);     \
        if ((f)->result < 0)          \
            goto failed;              \
    } while (0)

#define FLOW_END(f) \
    }               \
    (void)0

/* The done function of a flow's op: note the result, go on. */
void flow_continue(struct op *op, int64_t result);
