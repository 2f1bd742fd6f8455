/* See real.h. */
#include "real.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"

static bool turn(void *world)
{
    return world_turn(world);
}

struct real *real_open(void)
{
    struct real *r = calloc(1, sizeof(*r));
    char directory[300];

    ASSERT(r != NULL);
    r->world = world_open(1);
    snprintf(directory, sizeof(directory), "%s/logs", r->world->directory);
    lab_init(&r->lab, r->world->io, turn, r->world, directory);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    return r;
}

struct log *real_log(struct real *r)
{
    return lab_log(&r->lab, "t");
}

void real_until_stable(struct real *r, struct log *log)
{
    while (log_stable(log) < log_end(log))
        CHECK(world_turn(r->world));
}

struct log *real_crash(struct real *r, struct log *log)
{
    /* What a close adds to the files is taken away again below: only a crash leaves that. */
    char from[1100], command[3500];

    snprintf(from, sizeof(from), "%s.crash", r->lab.directory);
    snprintf(command, sizeof(command), "cp -r %s %s", r->lab.directory, from);
    CHECK_EQ(system(command), 0);
    (void)WAIT(&r->lab, log_close(log, op));
    lab_dir_close(&r->lab, false);
    snprintf(command, sizeof(command), "rm -r %s && mv %s %s", r->lab.directory, from,
             r->lab.directory);
    CHECK_EQ(system(command), 0);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    return real_log(r);
}

void real_close(struct real *r, struct log *log)
{
    if (log != NULL)
        CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    if (r->lab.dir != NULL)
        lab_dir_close(&r->lab, false);
    CHECK_EQ(r->lab.memory.used_bytes, 0);
    lab_deinit(&r->lab);
    world_close(r->world);
    free(r);
}
