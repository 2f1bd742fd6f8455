#include "pipes.h"

static void read_in(struct cli *c, void *into, uint32_t n, struct op *op)
{
    struct pipes *p = container_of(c, struct pipes, cli);
    size_t left = p->in_bytes - p->in_at;

    if (left == 0 && p->in_stays)
        return;
    n = n < p->piece ? n : p->piece;
    n = n < left ? n : (uint32_t)left;
    if (n > 0)
        memcpy(into, p->in + p->in_at, n);
    p->in_at += n;
    io_complete(c->io, op, n);
}

static void write_out(struct cli *c, const void *from, size_t n, struct op *op)
{
    struct pipes *p = container_of(c, struct pipes, cli);
    bool taken = p->out.n + n <= p->out_max;

    p->writes++;
    if (taken)
        text_add(&p->out, from, n);
    io_complete(c->io, op, taken ? 0 : -EPIPE);
}

void pipes_init(struct pipes *p, struct io *io)
{
    static const struct cli_streams streams = {.read = read_in, .write = write_out};

    *p = (struct pipes){.cli = {.io = io, .streams = &streams}};
    pipes_feed(p, "");
}

void pipes_feed(struct pipes *p, const char *in)
{
    p->in = in;
    p->in_bytes = strlen(in);
    p->in_at = 0;
    p->piece = UINT32_MAX;
    p->in_stays = false;
    p->out_max = UINT64_MAX;
    p->writes = 0;
    text_clear(&p->out);
    text_clear(&p->cli.out);
    text_clear(&p->cli.err);
}

void pipes_deinit(struct pipes *p)
{
    text_deinit(&p->out);
    text_deinit(&p->cli.out);
    text_deinit(&p->cli.err);
}
