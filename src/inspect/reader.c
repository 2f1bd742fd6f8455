#include "inspect/reader.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW_BYTES (256U << 10)

static void open_run(struct flow *f)
{
    struct reader *r = container_of(f, struct reader, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open", io_open(r->io, r->path, IO_READ, &r->file, &f->op));
    FLOW_TRY(f, "size", io_size(r->file, &f->op));
    r->size_bytes = (uint64_t)f->result;
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

void reader_open(struct reader *r, struct io *io, const char *path, struct op *op)
{
    ASSERT(r->file == NULL);
    r->io = io;
    r->size_bytes = r->window_position = 0;
    r->window_bytes = 0;
    if (snprintf(r->path, sizeof(r->path), "%s", path) >= (int)sizeof(r->path)) {
        io_complete(io, op, -ENAMETOOLONG);
        return;
    }
    flow_start(&r->flow, open_run, op);
}

void reader_close(struct reader *r, struct op *op)
{
    struct io_file *file = r->file;

    free(r->window);
    r->window = NULL;
    r->capacity = r->window_bytes = 0;
    r->file = NULL;
    if (file == NULL)
        io_complete(r->io, op, 0);
    else
        io_close(file, op);
}

const uint8_t *reader_at(struct reader *r, uint64_t position, uint32_t n)
{
    ASSERT(position <= r->size_bytes);
    ASSERT(n <= r->size_bytes - position);
    if (position >= r->window_position && position + n <= r->window_position + r->window_bytes)
        return r->window + (position - r->window_position);
    r->want_position = position;
    r->want_bytes = n;
    return NULL;
}

/* A window that was made for one large batch is not filled for each small one behind it. */
static uint32_t fill_bytes(const struct reader *r)
{
    return r->want_bytes > WINDOW_BYTES ? r->want_bytes : WINDOW_BYTES;
}

static void fill_run(struct flow *f)
{
    struct reader *r = container_of(f, struct reader, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "read", io_read(r->file, r->want_position, r->window, fill_bytes(r), &f->op));
    r->window_position = r->want_position;
    r->window_bytes = (uint32_t)f->result;
    FLOW_END(f);
    flow_done(f, r->window_bytes < r->want_bytes ? ERR_SHORT : f->result);
    return;
failed:
    flow_done(f, f->result);
}

void reader_fill(struct reader *r, struct op *op)
{
    r->window_bytes = 0;
    if (fill_bytes(r) > r->capacity) {
        r->capacity = fill_bytes(r);
        free(r->window);
        r->window = malloc(r->capacity);
        ASSERT(r->window != NULL);
    }
    flow_start(&r->flow, fill_run, op);
}
