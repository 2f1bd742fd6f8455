/* Small files: replaced as a whole, read as a whole. */
#include <stdio.h>
#include <stdlib.h>

#include "log/state.h"

void snapshot_name(int64_t offset, char out[40])
{
    snprintf(out, 40, "%020lld.snapshot", (long long)offset);
}

/* ---- replace ------------------------------------------------------------------------------- */

struct replace {
    struct flow flow;
    struct io *io;
    struct io_file *file;
    struct bytes content;
    char *dir;
    int64_t rc; /* the first trouble while the file is open: it is closed in any case */
    char path[LOG_PATH_BYTES], tmp[LOG_PATH_BYTES + 4];
};

static void replace_end(struct replace *r, int64_t result)
{
    flow_done(&r->flow, result);
    free(r->dir);
    free(r);
}

static void note(struct replace *r, int64_t result)
{
    if (r->rc >= 0)
        r->rc = result;
}

static void replace_run(struct flow *f)
{
    struct replace *r = container_of(f, struct replace, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open",
             io_open(r->io, r->tmp, IO_WRITE | IO_CREATE | IO_TRUNCATE, &r->file, &f->op));
    if (r->content.n > 0) {
        FLOW_WAIT(f, "write", io_write(r->file, 0, &r->content, 1, &f->op));
        note(r, f->result);
    }
    if (r->rc >= 0) {
        FLOW_WAIT(f, "sync", io_sync(r->file, &f->op));
        note(r, f->result);
    }
    FLOW_WAIT(f, "close", io_close(r->file, &f->op));
    note(r, f->result);
    if (r->rc < 0)
        goto failed;
    FLOW_TRY(f, "rename", io_rename(r->io, r->tmp, r->path, &f->op));
    FLOW_TRY(f, "sync the directory", io_sync_dir(r->io, r->dir, &f->op));
    FLOW_END(f);
    replace_end(r, 0);
    return;
failed:
    replace_end(r, r->rc < 0 ? r->rc : f->result);
}

void file_replace(struct io *io, const char *dir, const char *name, struct bytes content,
                  struct op *op)
{
    struct replace *r = calloc(1, sizeof(*r));
    int n;

    ASSERT(r != NULL);
    r->io = io;
    r->content = content;
    r->dir = str_dup(str_of(dir));
    n = snprintf(r->path, sizeof(r->path), "%s/%s", dir, name);
    if (n >= (int)sizeof(r->path)) {
        io_complete(io, op, -ENAMETOOLONG);
        free(r->dir);
        free(r);
        return;
    }
    snprintf(r->tmp, sizeof(r->tmp), "%s.tmp", r->path);
    flow_start(&r->flow, replace_run, op);
}

/* ---- read all ------------------------------------------------------------------------------ */

struct slurp {
    struct flow flow;
    struct io *io;
    struct io_file *file;
    struct text *out;
    uint32_t limit_bytes;
    int64_t size;
    uint8_t *bytes;
    char path[LOG_PATH_BYTES];
};

static void slurp_end(struct slurp *r, int64_t result)
{
    free(r->bytes);
    flow_done(&r->flow, result);
    free(r);
}

static void slurp_run(struct flow *f)
{
    struct slurp *r = container_of(f, struct slurp, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open", io_open(r->io, r->path, IO_READ, &r->file, &f->op));
    FLOW_WAIT(f, "size", io_size(r->file, &f->op));
    r->size = f->result > (int64_t)r->limit_bytes ? ERR_LIMIT : f->result;
    if (r->size > 0) {
        r->bytes = malloc((size_t)r->size);
        ASSERT(r->bytes != NULL);
        FLOW_WAIT(f, "read", io_read(r->file, 0, r->bytes, (uint32_t)r->size, &f->op));
        r->size = f->result;
    }
    FLOW_WAIT(f, "close", io_close(r->file, &f->op));
    FLOW_END(f);
    if (r->size > 0)
        text_add(r->out, r->bytes, (size_t)r->size);
    slurp_end(r, r->size);
    return;
failed:
    slurp_end(r, f->result);
}

void file_read_all(struct io *io, const char *path, uint32_t limit_bytes, struct text *out,
                   struct op *op)
{
    struct slurp *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->io = io;
    r->out = out;
    r->limit_bytes = limit_bytes;
    if (snprintf(r->path, sizeof(r->path), "%s", path) >= (int)sizeof(r->path)) {
        io_complete(io, op, -ENAMETOOLONG);
        free(r);
        return;
    }
    flow_start(&r->flow, slurp_run, op);
}

/* ---- read a piece -------------------------------------------------------------------------- */

struct piece {
    struct flow flow;
    struct io *io;
    struct io_file *file;
    void *into;
    uint64_t position;
    uint32_t n;
    int64_t rc;
    char path[LOG_PATH_BYTES];
};

static void piece_end(struct piece *r, int64_t result)
{
    flow_done(&r->flow, result);
    free(r);
}

static void piece_run(struct flow *f)
{
    struct piece *r = container_of(f, struct piece, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open", io_open(r->io, r->path, IO_READ, &r->file, &f->op));
    FLOW_WAIT(f, "read", io_read(r->file, r->position, r->into, r->n, &f->op));
    r->rc = f->result;
    FLOW_WAIT(f, "close", io_close(r->file, &f->op));
    FLOW_END(f);
    piece_end(r, r->rc);
    return;
failed:
    piece_end(r, f->result);
}

void file_read_at(struct io *io, const char *path, uint64_t position, void *into, uint32_t n,
                  struct op *op)
{
    struct piece *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->io = io;
    r->position = position;
    r->into = into;
    r->n = n;
    snprintf(r->path, sizeof(r->path), "%s", path);
    flow_start(&r->flow, piece_run, op);
}
