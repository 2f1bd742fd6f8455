#include "check.h"

/* A small world: started operations wait here until the test completes them. */
struct world {
    struct list started;
    struct text trace;
};

static void world_init(struct world *w)
{
    *w = (struct world){0};
    list_init(&w->started);
}

static void world_start(struct world *w, const char *what, struct op *op)
{
    text_printf(&w->trace, "start %s\n", what);
    list_add_tail(&w->started, &op->node);
}

static void world_complete(struct world *w, int64_t result)
{
    struct list *node = list_take_head(&w->started);

    CHECK(node != NULL);
    struct op *op = container_of(node, struct op, node);
    op->done(op, result);
}

/* Open, copy three pieces, close; on trouble after the open, undo. */
struct copy {
    struct flow flow;
    struct world *world;
    int piece;
    int64_t bytes;
    struct op *parent_seen;
};

static void copy_run(struct flow *f)
{
    struct copy *c = container_of(f, struct copy, flow);
    struct world *w = c->world;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "open", world_start(w, "open", &f->op));
    if (f->result < 0) {
        flow_done(f, f->result);
        return;
    }
    for (c->piece = 0; c->piece < 3; c->piece++) {
        if (c->piece == 1)
            FLOW_TRY(f, "pause", world_start(w, "pause", &f->op));
        FLOW_TRY(f, "copy", world_start(w, "copy", &f->op));
        c->bytes += f->result;
    }
    FLOW_TRY(f, "close", world_start(w, "close", &f->op));
    FLOW_END(f);
    flow_done(f, c->bytes);
    return;
failed:
    text_printf(&w->trace, "undo after %s: %d\n", f->step, (int)f->result);
    flow_done(f, f->result);
}

struct parent {
    struct op op;
    struct world *world;
    int64_t result;
    int completions;
};

static void parent_done(struct op *op, int64_t result)
{
    struct parent *p = container_of(op, struct parent, op);

    p->result = result;
    p->completions++;
}

static void start(struct copy *c, struct parent *p, struct world *w)
{
    world_init(w);
    *c = (struct copy){.world = w};
    *p = (struct parent){.world = w};
    op_init(&p->op, parent_done);
    flow_start(&c->flow, copy_run, &p->op);
}

TEST(flow, reads_top_to_bottom_over_its_waits)
{
    struct world w;
    struct copy c;
    struct parent p;

    start(&c, &p, &w);
    CHECK_TEXT(c.flow.step, "open");
    world_complete(&w, 0);
    CHECK_TEXT(c.flow.step, "copy");
    world_complete(&w, 10);
    CHECK_TEXT(c.flow.step, "pause");
    world_complete(&w, 0);
    world_complete(&w, 20);
    world_complete(&w, 30);
    CHECK_EQ(p.completions, 0);
    world_complete(&w, 0);
    CHECK_TEXT(text_str(&w.trace), "start open\nstart copy\nstart pause\nstart copy\nstart copy\n"
                                   "start close\n");
    CHECK_EQ(p.completions, 1);
    CHECK_EQ(p.result, 60);
    CHECK(list_empty(&w.started));
    text_deinit(&w.trace);
}

TEST(flow, trouble_in_a_tried_wait_goes_to_failed)
{
    struct world w;
    struct copy c;
    struct parent p;

    start(&c, &p, &w);
    world_complete(&w, 0);
    world_complete(&w, -ENOSPC);
    CHECK_TEXT(text_str(&w.trace), "start open\nstart copy\nundo after copy: -28\n");
    CHECK_EQ(p.completions, 1);
    CHECK_EQ(p.result, -ENOSPC);
    text_deinit(&w.trace);
}

TEST(flow, trouble_in_a_plain_wait_is_left_to_the_flow)
{
    struct world w;
    struct copy c;
    struct parent p;

    start(&c, &p, &w);
    world_complete(&w, -ECANCELED);
    CHECK_TEXT(text_str(&w.trace), "start open\n");
    CHECK_EQ(p.result, -ECANCELED);
    text_deinit(&w.trace);
}

/* A flow whose completion arrives after its end has been completed twice. */
TEST(flow, completion_after_the_end_is_a_bug)
{
    struct world w;
    struct copy c;
    struct parent p;

    start(&c, &p, &w);
    world_complete(&w, -EIO);
    CHECK_ASSERTS(flow_continue(&c.flow.op, 0));
    text_deinit(&w.trace);
}

static void child_run(struct flow *f)
{
    struct copy *c = container_of(f, struct copy, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "only", world_start(c->world, "only", &f->op));
    FLOW_END(f);
    flow_done(f, f->result + 1);
}

/* A flow waits for another one as for any operation; without a parent one may end too. */
TEST(flow, waits_for_a_flow)
{
    struct world w;
    struct copy inner, outer;

    world_init(&w);
    inner = (struct copy){.world = &w};
    outer = (struct copy){.world = &w};
    flow_start(&outer.flow, child_run, NULL);
    CHECK(list_take_head(&w.started) == &outer.flow.op.node);
    flow_start(&inner.flow, child_run, &outer.flow.op);
    world_complete(&w, 5);
    CHECK_EQ(outer.flow.result, 6);
    CHECK(outer.flow.step == NULL);
    text_deinit(&w.trace);
}
