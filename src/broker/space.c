/* Room in the log directories: what may still be appended is measured again and again, so that a disk that becomes full
 * refuses records before anything is written, instead of failing in the middle of a write.
 *
 *   io_space: free - floor - what was admitted since the last look, if it is not in the files yet ─► log_dir_set_room
 *   log_append, on any shard: takes what it appends from there; nothing left: KAFKA_STORAGE_ERROR, definite
 */
#include "broker/space.h"

#include <stdlib.h>

/* Often enough that clients, which try again, go on soon after space has come back. */
#define LOOK_EVERY_MS 1000
/* The floor on a small disk: a part of it, so that it can be used at all. */
#define FLOOR_DIVISOR 16

struct space_dir {
    int64_t room; /* given at the last look */
    bool is_full;
};

struct space_watch {
    struct flow flow;
    struct io_timer timer;
    struct broker *broker;
    struct space_dir *dirs;
    uint32_t dir;
    struct io_space space;
    bool looking;
    struct op done;
    struct op *stopping;
};

static int64_t floor_of(const struct space_watch *w)
{
    int64_t asked = config_i64(w->broker->options.settings, BROKER_MILLRACE_LOG_DIR_FREE_BYTES_MIN);
    int64_t most = (int64_t)(w->space.total_bytes / FLOOR_DIVISOR);

    return asked < most ? asked : most;
}

static void tell(const struct space_watch *w, bool is_full)
{
    const struct broker *b = w->broker;
    struct telemetry *t = b->shards[0].telemetry;

    if (is_full)
        say(t, LOG_WARN, "broker",
            "log directory %s has %" PRIu64 " bytes left: records are refused (KAFKA_STORAGE_ERROR) until there are "
            "more than %" PRId64 " (millrace.log.dir.free.bytes.min); delete what is not needed, or make it larger",
            b->paths[w->dir], w->space.free_bytes, floor_of(w));
    else
        say(t, LOG_INFO, "broker", "log directory %s has room again: records are accepted", b->paths[w->dir]);
}

/* When it cannot be known, what was known last holds. */
static void measured(struct space_watch *w)
{
    struct log_dir *dir = w->broker->dirs[w->dir];
    struct space_dir *s = &w->dirs[w->dir];
    int64_t room, admitted = s->room - log_dir_room(dir);

    if (w->flow.result < 0)
        return;
    room = (int64_t)w->space.free_bytes - floor_of(w) - (s->room == INT64_MAX ? 0 : admitted);
    if (room < 0)
        room = 0;
    if (s->is_full != (room == 0)) {
        s->is_full = room == 0;
        tell(w, s->is_full);
    }
    s->room = room;
    log_dir_set_room(dir, room);
}

static void look_run(struct flow *f)
{
    struct space_watch *w = container_of(f, struct space_watch, flow);
    struct broker *b = w->broker;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(b->shards[0].io, &f->op));
    for (w->dir = 0; w->dir < b->dir_count; w->dir++) {
        if (!log_dir_is_online(b->dirs[w->dir]))
            continue;
        FLOW_WAIT(f, "ask for space", io_space(b->shards[0].io, b->paths[w->dir], &w->space, &f->op));
        measured(w);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

/* ---- again and again ------------------------------------------------------------------------- */

static void due(struct io_timer *t);

static void wind(struct space_watch *w)
{
    struct io *io = w->broker->shards[0].io;

    io_timer_set(io, &w->timer, io_now_ns(io) + LOOK_EVERY_MS * INT64_C(1000000), due);
}

static void look_done(struct op *op, int64_t result)
{
    struct space_watch *w = container_of(op, struct space_watch, done);
    struct op *stopping = w->stopping;

    w->looking = false;
    if (stopping == NULL) {
        wind(w);
        return;
    }
    free(w->dirs);
    free(w);
    stopping->done(stopping, 0);
}

static void due(struct io_timer *t)
{
    struct space_watch *w = container_of(t, struct space_watch, timer);

    w->looking = true;
    op_init(&w->done, look_done);
    flow_start(&w->flow, look_run, &w->done);
}

struct space_watch *space_watch_new(struct broker *b)
{
    struct space_watch *w = calloc(1, sizeof *w);

    ASSERT(w != NULL);
    w->broker = b;
    w->dirs = calloc(b->dir_count, sizeof *w->dirs);
    ASSERT(w->dirs != NULL);
    for (uint32_t d = 0; d < b->dir_count; d++)
        w->dirs[d].room = INT64_MAX;
    return w;
}

void space_watch_look(struct space_watch *w, struct op *op)
{
    flow_start(&w->flow, look_run, op);
}

void space_watch_begin(struct space_watch *w)
{
    wind(w);
}

void space_watch_stop(struct space_watch *w, struct op *op)
{
    io_timer_clear(&w->timer);
    w->stopping = op;
    if (w->looking)
        return;
    op_init(&w->done, look_done);
    io_yield(w->broker->shards[0].io, &w->done);
}
