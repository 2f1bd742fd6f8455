/* real.h - the lab on io_epoll, in a directory under /tmp. */
#pragma once

#include "lab.h"
#include "world.h"

struct real {
    struct world *world;
    struct lab lab;
};

struct real *real_open(void); /* with an open log directory */
struct log *real_log(struct real *r); /* t-0 */
void real_until_stable(struct real *r, struct log *log);
/* As after kill -9: forget the log, open everything again from the files. */
struct log *real_crash(struct real *r, struct log *log);
/* Close the log and the directory and remove everything. */
void real_close(struct real *r, struct log *log);

/* Of log/tail.h. */
void log_memory_shrink(struct log_memory *m);
#define log_memory_shrink_for_test log_memory_shrink
