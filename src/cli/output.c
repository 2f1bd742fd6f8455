#include "cli/output.h"

static void flush_ended(struct output *o)
{
    struct op *flushed = o->flushed;

    o->flushed = NULL;
    if (flushed != NULL)
        flushed->done(flushed, o->trouble);
}

static void written(struct op *op, int64_t result)
{
    struct output *o = container_of(op, struct output, op);

    o->busy = false;
    if (result < 0)
        o->trouble = (int)result;
    else
        o->written += o->writing.n;
    text_clear(&o->writing);
    output_go(o);
    if (o->room != NULL)
        o->room(o);
    if (!o->busy)
        flush_ended(o);
}

void output_init(struct output *o, struct cli *cli, void (*room)(struct output *o))
{
    *o = (struct output){.cli = cli, .room = room};
}

void output_deinit(struct output *o)
{
    ASSERT(!o->busy);
    text_deinit(&o->text);
    text_deinit(&o->writing);
}

void output_go(struct output *o)
{
    struct text empty = o->writing;

    if (o->trouble < 0)
        text_clear(&o->text);
    if (o->busy || o->text.n == 0)
        return;
    o->busy = true;
    o->writing = o->text;
    o->text = empty;
    o->taken += o->writing.n;
    op_init(&o->op, written);
    o->cli->streams->write(o->cli, o->writing.p, o->writing.n, &o->op);
}

void output_flush(struct output *o, struct op *op)
{
    ASSERT(o->flushed == NULL);
    output_go(o);
    if (o->busy)
        o->flushed = op;
    else
        io_complete(o->cli->io, op, o->trouble);
}
