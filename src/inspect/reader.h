/* inspect/reader.h - a file through a window that moves (internal).
 *
 *     while ((p = reader_at(&x->reader, position, n)) == NULL)
 *         FLOW_TRY(f, "read", reader_fill(&x->reader, &f->op));
 */
#pragma once

#include "inspect/inspect.h"

struct reader {
    struct io *io;
    struct io_file *file;   /* NULL: not open */
    uint64_t size_bytes;    /* as of reader_open */
    uint8_t *window;
    uint32_t capacity, window_bytes;
    uint64_t window_position;
    uint64_t want_position; /* what reader_at lacked */
    uint32_t want_bytes;
    struct flow flow;
    char path[INSPECT_PATH_BYTES];
};

/* Completes with 0; -ENAMETOOLONG. The reader is zeroed, or was closed. */
void reader_open(struct reader *r, struct io *io, const char *path, struct op *op);
void reader_close(struct reader *r, struct op *op); /* also of one that is not open. Completes with 0 */

/* `n` bytes at `position`, valid until the next call; they lie within size_bytes. NULL: reader_fill, then
 * again. */
const uint8_t *reader_at(struct reader *r, uint64_t position, uint32_t n);
/* Completes with > 0; ERR_SHORT when the file has become shorter. */
void reader_fill(struct reader *r, struct op *op);
