#include "base/base.h"

void flow_start(struct flow *f, void (*run)(struct flow *f), struct op *parent)
{
    *f = (struct flow){.run = run, .parent = parent};
    op_init(&f->op, flow_continue);
    run(f);
}

void flow_done(struct flow *f, int64_t result)
{
    struct op *parent = f->parent;

    /* A second end, or a completion that comes after it, then fails an assertion. */
    f->parent = NULL;
    f->run = NULL;
    f->step = NULL;
    if (parent != NULL)
        parent->done(parent, result);
}

void flow_continue(struct op *op, int64_t result)
{
    struct flow *f = container_of(op, struct flow, op);

    ASSERT(f->run != NULL);
    f->result = result;
    f->run(f);
}
