/* log/points_file.h - the scan points of a log directory on the disk: one file, which the home shard writes for all. */
#pragma once

#include "log/log.h"
#include "log/points.h"

struct points_file;

/* ---- on the home shard ----------------------------------------------------------------------- */

/* As part of opening `dir`, before its clean marker goes and before any log opens. Without a folder of journals but
 * with the marker all is clean: the file is made, which says so. Else it is read; one that is damaged is not used. */
void points_file_open(struct log_dir *dir, struct telemetry *t, bool has_marker, bool has_folder,
                      struct points_file **out, struct op *op);
/* The partitions are known: what is said of others is forgotten. */
void points_file_keep_found(struct points_file *p);
/* All logs are closed. Accepts NULL. */
void points_file_free(struct points_file *p);

/* ---- on any shard ---------------------------------------------------------------------------- */

/* What is known of a log that opens after a stop that was not clean. */
enum point_found {
    POINT_UNKNOWN, /* it is scanned as Kafka does */
    POINT_CLEAN,   /* nothing of it has changed since a clean stop */
    POINT_KNOWN,   /* `out` is set */
    POINT_NONE,    /* all of it is scanned (S3) */
};
/* On the shard that opens it; what was there at the start is given once. */
enum point_found points_file_take(struct points_file *p, struct uuid topic_id, int32_t partition,
                                  struct scan_point *out);

/* Have the file say `point`; completes when that is durable. `point` is copied. */
void points_file_set(struct points_file *p, struct io *io, const struct scan_point *point, struct op *op);
/* The log's directory is no longer that of a partition. The file says so when it is written next: until then its entry
 * is of a log that nobody finds, or that is listed anew before anything of it is written (S1). Nothing fails. */
void points_file_remove(struct points_file *p, struct io *io, struct uuid topic_id, int32_t partition, struct op *op);

/* What logs of one shard have behind their points (scan_point.c); only that shard uses it. */
struct point_share {
    uint32_t large;  /* logs with much of it */
    uint32_t taking; /* logs that move their point now */
};
struct point_share *points_file_share(struct points_file *p, const struct io *io);
