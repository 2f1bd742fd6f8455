/* The batches of one segment. */
#include "log/scan.h"

#include <stdlib.h>

#include "log/head.h"
#include "log/old_crc.h"

/* Of a message of magic 0 or 1. */
#define OLD_SIZE_END 12
#define OLD_CRC_END 16
#define OLD_BYTES_MIN 26 /* without key and value */

void scan_init(struct scan *s, struct segment *segment, uint64_t position, uint64_t end, bool whole,
               uint32_t chunk_bytes)
{
    *s = (struct scan){.segment = segment,
                       .position = position,
                       .end = end,
                       .whole = whole,
                       .chunk_bytes = chunk_bytes,
                       .indexed_offset = -1};
}

void scan_jump(struct scan *s, struct index_place place, uint64_t fallback)
{
    s->position = place.position;
    s->indexed_offset = place.last_offset;
    s->fallback = fallback;
}

void scan_deinit(struct scan *s)
{
    free(s->window);
    s->window = NULL;
    s->capacity = 0;
    s->window_bytes = 0;
}

/* Bytes of the window from `position` on. */
static uint64_t window_left(const struct scan *s)
{
    if (s->position < s->window_position)
        return 0;
    if (s->position >= s->window_position + s->window_bytes)
        return 0;
    return s->window_position + s->window_bytes - s->position;
}

/* A message of magic 0 or 1 (i64 offset, i32 size, u32 CRC-32, i8 magic, ...) has a checksum of its
 * own: without a good one these are the remains of a torn write, where zeros look like an old magic. */
static int old_message(struct scan *s, uint64_t left, uint64_t have)
{
    const uint8_t *p = s->window + (s->position - s->window_position);
    uint64_t total = OLD_SIZE_END + (uint64_t)get_u32(p + 8);

    if (total < OLD_BYTES_MIN)
        return ERR_CORRUPT;
    if (total > left)
        return ERR_SHORT;
    if (have < total) {
        s->want = (uint32_t)total;
        return SCAN_FILL;
    }
    if (old_crc(p + OLD_CRC_END, total - OLD_CRC_END) != get_u32(p + OLD_SIZE_END))
        return ERR_CORRUPT;
    return ERR_VERSION;
}

/* Too few bytes are left for a header: a cut batch, or a small message of old. */
static int short_rest(struct scan *s, uint64_t left, uint64_t have)
{
    const uint8_t *p;

    if (left < OLD_BYTES_MIN || !s->whole)
        return ERR_SHORT;
    if (have < left) {
        s->want = (uint32_t)left;
        return SCAN_FILL;
    }
    p = s->window + (s->position - s->window_position);
    return p[OLD_CRC_END] < BATCH_MAGIC ? old_message(s, left, have) : ERR_SHORT;
}

static int scan_step(struct scan *s, struct batch *out)
{
    uint64_t left = s->end - s->position;
    uint64_t have = window_left(s);
    struct batch b;
    int rc;

    if (left == 0)
        return SCAN_END;
    if (left < BATCH_HEADER_BYTES)
        return short_rest(s, left, have);
    if (have < BATCH_HEADER_BYTES) {
        s->want = BATCH_HEADER_BYTES;
        return SCAN_FILL;
    }
    rc = head_read(s->window + (s->position - s->window_position), &b);
    if (rc == ERR_VERSION && s->whole)
        return old_message(s, left, have);
    TRY(rc);
    if ((uint64_t)b.bytes.n > left)
        return ERR_SHORT;
    if (s->whole && have < (uint64_t)b.bytes.n) {
        s->want = (uint32_t)b.bytes.n;
        return SCAN_FILL;
    }
    s->batch_position = s->position;
    s->position += (uint64_t)b.bytes.n;
    *out = b;
    return SCAN_BATCH;
}

int scan_next(struct scan *s, struct batch *out)
{
    uint64_t position = s->position;
    int rc = position <= s->end ? scan_step(s, out) : ERR_CORRUPT;

    if (s->indexed_offset < 0 || rc == SCAN_FILL)
        return rc;
    bool agrees = rc == SCAN_BATCH && out->last_offset == s->indexed_offset;
    if (!agrees) {
        index_doubt(s->segment, position, s->indexed_offset);
        s->position = s->fallback;
    }
    s->indexed_offset = -1;
    return agrees ? rc : scan_step(s, out);
}

static void scan_fill_done(struct op *op, int64_t result)
{
    struct scan *s = container_of(op, struct scan, op);
    struct op *parent = s->parent;

    if (result >= 0) {
        s->window_bytes = (uint32_t)result;
        if (result < s->want)
            result = ERR_SHORT;
    }
    parent->done(parent, result);
}

void scan_fill(struct scan *s, struct op *op)
{
    uint64_t left = s->end - s->position;
    uint32_t need = s->want > s->chunk_bytes ? s->want : s->chunk_bytes;
    uint32_t n = left < need ? (uint32_t)left : need;

    if (s->capacity < n) {
        free(s->window);
        s->window = malloc(n);
        ASSERT(s->window != NULL);
        s->capacity = n;
    }
    s->window_position = s->position;
    s->window_bytes = 0;
    s->parent = op;
    op_init(&s->op, scan_fill_done);
    segment_read(s->segment, s->position, s->window, n, &s->op);
}
