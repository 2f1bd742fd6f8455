/* inspect/stored.h - the batches of a file, one behind the other, whatever state it is in (internal).
 *
 *     while ((x->rc = stored_next(&x->scan, &x->stored)) > 0) {
 *         if (x->rc == STORED_FILL) {
 *             FLOW_TRY(f, "read", reader_fill(x->scan.reader, &f->op));
 *             continue;
 *         }
 *         ... a batch
 *     }
 */
#pragma once

#include "inspect/reader.h"
#include "record/record.h"

enum { STORED_END = 0, STORED_BATCH = 1, STORED_FILL = 2 };

struct stored_scan {
    struct reader *reader;
    uint64_t position; /* of the next batch */
    uint64_t end;
    uint64_t zeros_to; /* private: stored_rest_is_zero has come so far */
};

/* A batch of magic 2, or a message of magic 0 or 1, of which `batch` has only bytes, last_offset,
 * max_timestamp_ms (-1 in magic 0), crc and attributes. */
struct stored {
    struct batch batch; /* valid until the next call */
    uint64_t position;
    uint8_t magic;
    bool crc_ok;
};

void stored_begin(struct stored_scan *s, struct reader *reader, uint64_t end);

/* STORED_BATCH, STORED_FILL, STORED_END; else `position` stays at what is bad:
 * Fails  ERR_SHORT    fewer bytes are left than a batch needs, by its own account
 *        ERR_CORRUPT  a length that no batch has
 *        ERR_VERSION  of a magic that nobody knows
 *        ERR_LIMIT    larger than INSPECT_BATCH_BYTES_MAX */
MUST int stored_next(struct stored_scan *s, struct stored *out);

/* Whether all bytes from the scan's position to its end are zero: what is left of space that was reserved.
 * 1 yes, 0 no, STORED_FILL as stored_next. */
int stored_rest_is_zero(struct stored_scan *s);
