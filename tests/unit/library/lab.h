/* lab.h - a server of its own process, and what tests of the library do over and over. */
#pragma once

#include <millrace/admin.h>
#include "check.h"

#include <sys/types.h>

struct lab {
    pid_t server;
    char dir[64], address[64];
    struct mr_error e;
};

/* A server in a new directory under /tmp, on a free port. The topic auto-creation of Kafka's default is on. */
void lab_init(struct lab *lab);
void lab_deinit(struct lab *lab); /* ends it, and removes the directory */

/* Settings with bootstrap.servers, and pairs of more: name, value, ..., NULL. */
struct mr_settings *lab_settings(const struct lab *lab, ...);

/* An admin of this server; `l` as in mr_admin_open. */
struct mr_admin *lab_admin(struct lab *lab, struct mr_loop *l);
/* Wait for it: all rows are well. */
struct mr_answer *lab_well(struct lab *lab, struct mr_answer *r);
/* The row of that name. */
const struct mr_outcome *outcome_of(const struct mr_answer *r, const char *name);

/* How long a call may take that must come to its end, on a busy machine. */
#define PATIENT_MS 60000

/* What a hook has heard. */
struct heard {
    long acked, failed, batches;
    int64_t last_base_offset;
    uint64_t tags;             /* their sum */
    struct mr_error error;     /* the last one */
};
void heard_acked(void *ctx, const struct mr_ack *ack);

/* Write `count` records "0", "1", ... to partition 0, and wait for their end. */
void lab_write(struct lab *lab, const char *topic, int count);

/* The sum of a chunk's values, of no more than `left`, which are counted down; releases it, that much done. */
long lab_sum(struct mr_chunk *k, long *left);

/* Read up to `count` values, which must be numbers, in whatever chunks; their sum. Fails when none comes for a minute. */
long lab_read(struct mr_consumer *c, long count);

#define CHECK_OK(lab, call)                                                              \
    do {                                                                                 \
        int check_ok_ = (call);                                                          \
        if (check_ok_ < 0)                                                               \
            check_fail(__FILE__, __LINE__, "%s: %d: %s", #call, check_ok_, (lab)->e.text); \
    } while (0)
