/* telemetry/internal.h - what the files of this room share. */
#pragma once

#include "telemetry/telemetry.h"

/* Counts per bucket. Values below 32 have a bucket each; above, each power of two is an octave of
 * 32 buckets of equal width, so that a bucket is at most 1/32 of its values wide. An octave takes
 * memory with its first value. */
#define OCTAVE_BUCKETS 32
#define OCTAVE_BITS 5
#define OCTAVES (64 - OCTAVE_BITS + 1)

struct histogram {
    uint64_t count, sum;
    uint64_t *octaves[OCTAVES]; /* NULL = all zero */
};

void histogram_deinit(struct histogram *h);
void histogram_merge(struct histogram *h, const struct histogram *from);

enum kind { COUNTER, GAUGE, PEAK, HISTOGRAM };

struct number {
    struct map_node node;
    enum kind kind;
    uint64_t unit;    /* that it is divided by when printed, a power of ten */
    const char *help; /* static */
    char *name, *labels;
    union {
        struct counter counter;
        struct gauge gauge; /* of a PEAK, too */
        struct histogram histogram;
    };
};

struct causes {
    struct map subjects; /* by topic and partition */
    struct list all;
    uint32_t count;
};
void causes_init(struct causes *c);
void causes_deinit(struct causes *c);

/* Control bytes become '?': text from outside makes no lines of its own. */
void make_one_line(char *line);

struct telemetry {
    struct telemetry_sink *sink;
    struct causes causes;
    struct map numbers; /* by name and labels */
};
