/* log/journal_format.h - the bytes of a journal: commits, their entries, the file that announces them. No I/O.
 *
 *     DIR/millrace.journal/          no '-' in it: a JVM broker does not start on such a directory, so it cannot
 *        meta                        overlook records that only lie here
 *        0.00  0.01 ...              chunks of shard 0, reused again and again
 *        points                      scan points: points.h
 *
 *     chunk    [ commit 7    ][ commit 8 ][ commit 9 ][ 3, old ][ 4, old ]     each from a page border on
 *     commit   [ header | entry | entry bytes | entry | ... zeros to the page's end ]
 *
 * A commit says which is the oldest one that still matters (`oldest`): the newest good commit and its `oldest`
 * bound what a reader needs. One of those that is missing is a hole; what is older is of no interest. One commit
 * is written at a time, so only the one behind the newest can be torn, and nobody was told of that.
 *
 * The id of a journal is random and never leaves it: what a client has written into records cannot be taken for a
 * commit when an old one is overwritten in part.
 */
#pragma once

#include "base/base.h"

#define JOURNAL_FOLDER_NAME "millrace.journal"
#define JOURNAL_META_NAME "meta"
#define JOURNAL_VERSION 1

#define JOURNAL_PAGE_BYTES 4096U
#define JOURNAL_HEADER_BYTES 64U
#define JOURNAL_ENTRY_BYTES 44U /* without the bytes of an APPEND */
#define JOURNAL_CHUNK_BYTES_MAX (64U << 20) /* larger ones are no chunks of ours */
#define JOURNAL_CHUNKS_MAX 64U              /* of one journal, for a reader */
#define JOURNAL_SHARDS_MAX 4096U

/* What an entry says of one partition. Starts of epochs and of the log need none: their files are durable before
 * they are acted upon. */
enum journal_entry_kind {
    JOURNAL_APPEND = 1,  /* these bytes belong at `position` of the segment `base` */
    JOURNAL_DRAINED = 2, /* below (base, position) the segments alone hold the log */
    JOURNAL_RESET = 3,   /* the segments alone hold it: nothing from before is to be written. Precedes truncation,
                            deletion, closing */
};

struct journal_entry {
    enum journal_entry_kind kind;
    int32_t partition;
    struct uuid topic_id;
    int64_t base;       /* of a segment */
    uint64_t position;  /* in its file, bytes */
    struct bytes bytes; /* of an APPEND */
};

/* A commit that was found; `entries` lies in its chunk. */
struct journal_commit {
    uint64_t sequence; /* from 1 on */
    uint64_t oldest;   /* <= sequence */
    struct bytes entries;
    uint32_t entry_count;
    uint32_t chunk;    /* where it is, for who reports */
    uint64_t position, end;
};

struct journal_commits {
    struct journal_commit *commits; /* ascending, without a gap; from malloc */
    uint32_t count;
};

/* ---- write --------------------------------------------------------------------------------- */

/* Write an entry without its bytes at `p`, which the caller adds; returns what is behind it. */
uint8_t *journal_entry_put(uint8_t *p, const struct journal_entry *e);

/* Complete a commit at `p`: `length` bytes, header's place included, lie there already, and there is memory up to
 * the page's end. Returns the bytes to write: whole pages. */
uint32_t journal_commit_seal(uint8_t *p, uint32_t length, struct uuid id, uint64_t sequence, uint64_t oldest,
                             uint32_t entry_count);

/* ---- read ---------------------------------------------------------------------------------- */

/* Whether a good commit of the journal `id` begins at `position` (a page's border) of `chunk`: 1 or 0.
 * ERR_VERSION: it is of a later version of this program. */
MUST int journal_commit_read(struct bytes chunk, uint64_t position, struct uuid id, struct journal_commit *out);

/* The sequence in what looks like the head of a commit of `id` at `position`, be it whole or torn; 0: nothing does. */
uint64_t journal_commit_begun(struct bytes chunk, uint64_t position, struct uuid id);

/* The next entry of a commit; its bytes lie in the commit. ERR_CORRUPT. */
MUST int journal_entry_read(struct rd *r, struct journal_entry *out);

/* Find what a journal's chunks hold, from the oldest commit that matters to the newest. `shard` is for the message.
 * ERR_CORRUPT: one of them is missing or damaged; ERR_VERSION. */
MUST int journal_commits_find(const struct bytes *chunks, uint32_t chunk_count, struct uuid id, uint32_t shard,
                              struct journal_commits *out, struct fail *f);
void journal_commits_free(struct journal_commits *c);

/* ---- meta ---------------------------------------------------------------------------------- */

/* One journal that exists. Chunks 0 .. chunk_count - 1 are all there, whole. */
struct journal_line {
    uint32_t shard;
    uint32_t chunk_count;
    uint32_t chunk_bytes;
    struct uuid id;
};

/* "version: 1\njournals: <n>\n", then "<shard> <id> <chunks> <bytes of each>\n" for each. */
void journal_meta_print(const struct journal_line *lines, uint32_t count, struct text *out);
/* `*out` from malloc. ERR_CORRUPT, ERR_VERSION, `f` naming the line. */
MUST int journal_meta_parse(struct str text, struct journal_line **out, uint32_t *count, struct fail *f);

#define JOURNAL_NAME_BYTES 32
const char *journal_chunk_name(uint32_t shard, uint32_t chunk, char out[JOURNAL_NAME_BYTES]);
