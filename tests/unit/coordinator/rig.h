/* What tests of coordinators share: a machine whose state is the text of its records, over a log in
 * memory. */
#pragma once

#include "check.h"
#include "coordinator/coordinator.h"

struct rig {
    struct coordinator c;
    struct text log; /* batches */
    int64_t start, end, high_watermark;
    enum kerr refuses; /* what appends are answered */
    bool torn;         /* reads give one byte less than whole batches */
    int64_t read_error;
    int reads;
    struct op *reading;
    int64_t reading_result;
    struct text state; /* "offset:key=value " per record applied; see rig.c for what else */
    struct op op;
    int64_t loaded; /* 1 while it runs */
};

void rig_init(struct rig *r);
void rig_end(struct rig *r);
void rig_start(struct rig *r); /* begin to load */
bool rig_read(struct rig *r);  /* complete the read that waits; false when there is none */
int64_t rig_load(struct rig *r);

/* Append as an older leader did: "k=v k=v"; value "-" is a tombstone. `producer` -1: no
 * transaction. */
void rig_write(struct rig *r, const char *records, int64_t producer);
void rig_write_marker(struct rig *r, int64_t producer, bool commit);
/* Through the coordinator; the end, or the error negated. */
int64_t rig_append(struct rig *r, const char *records, int64_t producer);

struct waiter {
    struct parked parked;
    struct text *trace; /* gets "name " or "name!error " */
    const char *name;
};
void waiter_park(struct rig *r, struct waiter *w, struct text *trace, const char *name);
void waiter_ready(struct parked *p, enum kerr error);
