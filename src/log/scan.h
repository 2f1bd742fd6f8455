/* log/scan.h - goes through the batches of one segment, a window at a time.
 *
 *     while ((x->rc = scan_next(&x->scan, &x->batch)) != SCAN_END) {
 *         if (x->rc == SCAN_FILL) {
 *             FLOW_TRY(f, "read", scan_fill(&x->scan, &f->op));
 *             continue;
 *         }
 *         ... a batch, or x->rc < 0
 *     }
 */
#pragma once

#include "log/state.h"

#define SCAN_WINDOW_BYTES (256U * 1024)

enum { SCAN_END = 0, SCAN_BATCH = 1, SCAN_FILL = 2 };

struct scan {
    struct segment *segment;   /* in use */
    uint64_t position;         /* of the next batch */
    uint64_t batch_position;   /* of the last one given */
    uint64_t end;
    uint8_t *window;
    uint32_t capacity, window_bytes;
    uint64_t window_position;
    uint32_t chunk_bytes;      /* to read at once */
    uint32_t want;             /* bytes at `position` that scan_next lacks */
    bool whole;                /* batches with all their bytes, else headers only */
    int64_t indexed_offset;    /* that an index gives the batch at `position` as its last; -1: none does */
    uint64_t fallback;         /* where to go on when that is wrong */
    struct op op;
    struct op *parent;
};

/* Batches in [position, end); `position` is where one starts. */
void scan_init(struct scan *s, struct segment *segment, uint64_t position, uint64_t end,
               bool whole, uint32_t chunk_bytes);

/* Go on at the place that an index gives. No index is believed: where no batch with that last offset begins
 * there, the index is given up (index_doubt) and the scan goes on at `fallback`, where a batch begins that lies
 * before all that is sought. So what is found is right, if later. */
void scan_jump(struct scan *s, struct index_place place, uint64_t fallback);
void scan_deinit(struct scan *s);

/* SCAN_BATCH: `out`, valid until the next call. SCAN_FILL: call scan_fill, then again. SCAN_END.
 * Fails  ERR_SHORT    the last batch is cut off at `end`
 *        ERR_CORRUPT, ERR_VERSION  as head_read; `position` stays at it */
MUST int scan_next(struct scan *s, struct batch *out);

/* Completes with > 0; ERR_SHORT when the file is shorter than it was said to be. */
void scan_fill(struct scan *s, struct op *op);
