/* log/tail.h - the end of a log in memory: blocks aligned to the segment file.
 *
 *      file of the segment   |4 KiB|4 KiB|4 KiB|4 KiB|4 KiB|4 KiB|
 *      blocks                [ block 0 ][ block 1        ][ block 2 ..
 *      undrained                          ^ drained_bytes
 *
 *   T1  Blocks lie one behind the other without a gap: memory holds one run of the log that ends
 *       at its end, and at least every batch that is not drained as a whole.
 *   T2  A byte that was written once never changes: readers hold blocks and send from them.
 *   T3  A block that T1 does not keep is in log_memory.cached, oldest first; only from there is it dropped.
 */
#pragma once

#include "log/log.h"

#define TAIL_PAGE_BYTES IO_ALIGN_BYTES /* a block can be written past the page cache as it is */
#define TAIL_BLOCK_BYTES_MAX (256U * 1024)
#define TAIL_SPARE_MAX 16 /* large blocks kept for reuse: fresh memory costs a page fault per page */
#define TAIL_NONE UINT32_MAX

struct segment;

/* The first batch that starts in a page of a block. */
struct tail_start {
    uint32_t at; /* byte in the block; TAIL_NONE */
    int64_t base_offset;
};

struct tail_block {
    struct list cached;
    struct log *log;          /* NULL once dropped: only readers have it */
    struct log_memory *memory;
    struct segment *segment;
    uint64_t position;        /* of byte 0 in the segment's file; whole pages */
    uint64_t stream;          /* of byte 0: bytes since the tail began, over all segments */
    uint32_t capacity;
    uint32_t from, used;      /* valid bytes */
    uint32_t refs;            /* the tail's and the readers' */
    uint32_t readers;
    bool has_head;            /* below `from` p has what the file has there, for a direct drain; nobody reads it */
    int64_t floor_offset;     /* base offset of the batch that holds its first byte */
    int64_t next_offset;      /* log end after the last batch that ends in it or before it */
    uint64_t next_position;   /* of that batch's end, in the file */
    uint8_t *p;
    struct tail_start starts[]; /* one per page */
};

struct tail {
    struct tail_block **blocks;
    uint32_t first, count, capacity;
    uint32_t undrained;       /* from `first`: the first block of those that T1 keeps */
    uint64_t stream;          /* of the end */
};

/* A byte in the tail. */
struct tail_at {
    uint32_t block; /* from tail.first */
    uint32_t at;
};

/* What a drain up to some byte means for the log. */
struct tail_mark {
    int64_t offset;       /* whole batches below it */
    uint64_t position;    /* their end in the file */
};

static inline struct tail_block *tail_block_of(const struct tail *t, uint32_t i)
{
    return t->blocks[t->first + i];
}

void tail_deinit(struct tail *t);

/* Copy a batch to the end; `s->size_bytes` is its place. The copy is stamped with its base offset
 * and `leader_epoch`. */
void tail_append(struct log *log, struct segment *s, const struct batch *b, int64_t base_offset,
                 int32_t leader_epoch);

/* Pieces of what is not drained in `s` below `limit`, at most `bytes_max` and `pieces_max`. Returns their count;
 * `*to_bytes` is the position behind them, `*mark` what is whole below it; where `limit` lies inside a block, who
 * gave it knows better. */
uint32_t tail_gather(const struct tail *t, const struct segment *s, uint64_t limit, uint32_t bytes_max,
                     uint32_t pieces_max, struct bytes *pieces, uint64_t *to_bytes,
                     struct tail_mark *mark);

/* Whole batches of `s` are drained up to `to_bytes`: blocks below become cache. A drain may end inside of a batch: what
 * memory has of it stays, because no file can answer for it yet. */
void tail_drained(struct tail *t, const struct segment *s, uint64_t to_bytes);

/* A direct write of what is drained next begins with a page that memory has not got as a whole. */
bool tail_lacks_head(const struct tail *t, const struct segment *s);
/* `page` is that page of the file. */
void tail_take_head(const struct tail *t, const struct segment *s, const uint8_t *page);
/* Make pieces of [from, to) whole pages of the file: from the beginning of the page that holds `from`; the last page is
 * a copy in `page`, with zeros behind `to`, because appends go on behind it while it is written. Room for one more
 * piece is needed. Returns their count. */
uint32_t tail_align(struct bytes *pieces, uint32_t count, uint64_t from, uint64_t to, uint8_t *page);

/* Forget everything (all is drained, or to be lost). Readers keep what they hold. */
void tail_clear(struct tail *t);
/* The same for the oldest segment, which is drained. */
void tail_forget(struct tail *t, const struct segment *s);

/* Lowest offset for which every read is answered from memory; log_end when nothing is there. */
int64_t tail_first_offset(const struct log *log);

/* Find the batch that holds `offset` (>= tail_first_offset, < log_end), or the next one. */
struct tail_at tail_find(const struct tail *t, int64_t offset);
/* Header of the batch at `at`; bytes.p is not valid. */
struct batch tail_head(const struct tail *t, struct tail_at at);
/* `n` bytes further; stops at the tail's end. */
struct tail_at tail_forward(const struct tail *t, struct tail_at at, uint32_t n);
uint64_t tail_stream_at(const struct tail *t, struct tail_at at);
bool tail_is_end(const struct tail *t, struct tail_at at);

/* Copy what memory holds of [position, position + n) of `s`; returns the count, 0 when it does not
 * hold the first byte. */
uint32_t tail_copy(const struct tail *t, const struct segment *s, uint64_t position, uint32_t n,
                   uint8_t *into);

void tail_block_unref(struct tail_block *b);
/* A reader sends from it, and has done so: counted in log_memory.read_bytes. */
void tail_block_read(struct tail_block *b);
void tail_block_read_end(struct tail_block *b);

/* Free the blocks that are kept for reuse. */
void tail_spare_free(struct log_memory *m);

/* Drop cached blocks, oldest first, until the limit holds. */
void log_memory_shrink(struct log_memory *m);
