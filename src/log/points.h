/* log/points.h - the scan points of a log directory's logs, and the file that holds them. No I/O.
 *
 *     DIR/millrace.journal/points
 *
 *       segment      [ batches as a clean stop leaves them  | what came since ]
 *                                                           ^ point: (base, position, offset)
 *
 * Up to its scan point a log is as after a clean stop: its batches are durable, the first `side_bytes` of the last
 * segment's indexes are, and so is a producer snapshot of the point's offset. So a start after a crash goes through
 * what lies behind it, however long the log is (scan_point.c moves points, open.c uses them).
 *
 *   S1  A log is told of in the file before anything of it changes after a start from a clean stop. So of one that is
 *       not told of, all is as that stop left it (`rest_is_clean`).
 *   S2  A point is told only when everything below it is durable, side files included.
 *   S3  Before a log is cut the file says that it has no point: what comes there next is not what was durable. Nor is the
 *       checkpoint of recovery points believed then: it may be of before, and lies in a log that has grown again.
 *
 * The file is replaced as a whole, with a checksum. One that is missing or damaged costs time: logs are scanned as
 * Kafka does it, from the recovery point's segment on. It lies in the folder of the journals, so that a JVM broker,
 * which would not keep to S1 and S3, does not start beside it; it goes with the folder.
 */
#pragma once

#include "base/base.h"

#define POINTS_NAME "points"
#define POINTS_VERSION 1

#define POINT_SIDES 3 /* .index, .timeindex, .txnindex */

struct scan_point {
    struct uuid topic_id;
    int32_t partition;
    bool none;          /* there is no point: nothing below is set */
    bool has_producers; /* a snapshot of `offset` is there, and needed */
    int64_t base;       /* of the segment */
    uint64_t position;  /* in its file, where a batch begins or will begin */
    int64_t offset;     /* that of all batches before it, + 1 */
    uint32_t side_bytes[POINT_SIDES];
    uint32_t bytes_since_entry; /* of the segment, behind its last index entry */
    int64_t max_timestamp_ms, max_timestamp_offset, last_time_entry_ms; /* -1 none */
};

/* Points by partition. */
struct points {
    struct map by_id;
    bool rest_is_clean;
};

struct points_entry {
    struct map_node node;
    struct scan_point point;
    bool taken; /* who opens the log has it */
};

void points_init(struct points *p);
void points_deinit(struct points *p);
struct points_entry *points_find(const struct points *p, struct uuid topic_id, int32_t partition); /* or NULL */
void points_set(struct points *p, const struct scan_point *point);
void points_remove(struct points *p, struct uuid topic_id, int32_t partition);

/* The content of the file:
 *     0 magic u64 | 8 version u32 | 12 crc u32 of 16.. | 16 rest is clean u32 | 20 count u32 | 24 entries of 92 bytes:
 *       0 topic id | 16 partition i32 | 20 flags u32: 1 none, 2 producers | 24 base i64 | 32 position u64 |
 *      40 offset i64 | 48 side bytes u32 x 3 | 60 bytes since the last index entry u32 | 64 largest timestamp i64 |
 *      72 its offset i64 | 80 last time entry i64 | 88 zeros */
void points_print(const struct points *p, struct text *out);
/* Into an empty `p`. ERR_CORRUPT, ERR_VERSION: it stays empty, and `f` says why. */
MUST int points_parse(struct bytes in, struct points *p, struct fail *f);
