/* rig.h - a directory under /tmp and a world to inspect it in. */
#pragma once

#include "inspect/inspect.h"
#include "io_epoll/io_epoll.h"

struct rig {
    struct io_epoll_world *world;
    char dir[64];
    struct text out, err;
    struct inspect_output output;
};

struct wait {
    struct op op;
    bool done;
    int64_t status;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct rig *r, struct wait *w); /* what the operation ends with */

void rig_begin(struct rig *r);
void rig_end(struct rig *r); /* and removes the directory */

/* "DIR/NAME", valid until the next call but three. */
const char *rig_path(struct rig *r, const char *name);
void rig_write(struct rig *r, const char *name, const void *p, size_t n);
struct text rig_read(struct rig *r, const char *name);
void rig_shell(struct rig *r, const char *format, ...) PRINTF(2, 3); /* in the directory; must succeed */

/* Print the files, words parted by blanks and found in the directory. Both outputs as they are printed, with DIR
 * for the directory: standard output, "--", standard error, "status N". */
struct str rig_dump(struct rig *r, const struct dump_options *o, const char *files);
int64_t rig_dump_status(struct rig *r, const struct dump_options *o, const char *const *files,
                        uint32_t count);

/* Verify DIR/data. As rig_dump. */
struct str rig_verify(struct rig *r, bool deep, const char *topic);

/* Append a batch of `count` records, offsets from `base` on, to `out`. */
void rig_batch(struct text *out, int64_t base, int32_t count, int64_t timestamp_ms);
