/* Producer snapshot files of a log: NAME.snapshot holds what is known of the producers below the
 * offset NAME. */
#include <stdio.h>
#include <stdlib.h>

#include "log/recover.h"

#define NAME_DIGITS 20

bool name_parse(const char *name, int64_t *offset, struct str *suffix)
{
    struct str all = str_of(name);

    if (all.n <= NAME_DIGITS || name[NAME_DIGITS] != '.')
        return false;
    if (name[0] == '-' || name[0] == '+')
        return false;
    if (str_to_i64((struct str){name, NAME_DIGITS}, 0, INT64_MAX, offset) < 0)
        return false;
    *suffix = (struct str){name + NAME_DIGITS, all.n - NAME_DIGITS};
    return true;
}

static bool is_snapshot(const struct io_entry *e, int64_t *offset)
{
    struct str suffix;

    return name_parse(e->name, offset, &suffix) && str_equal(suffix, STR(".snapshot"));
}

/* ---- restore ------------------------------------------------------------------------------- */

struct restore {
    struct flow flow;
    struct log *log;
    const struct io_entries *entries;
    uint32_t left; /* entries below it are still to be tried */
    int64_t at_most;
    int64_t offset;
    struct text text;
    char path[LOG_PATH_BYTES];
};

static bool restore_next(struct restore *r)
{
    while (r->left > 0) {
        r->left--;
        if (!is_snapshot(&r->entries->entries[r->left], &r->offset) || r->offset > r->at_most)
            continue;
        log_file_path(r->log, r->offset, ".snapshot", r->path);
        return true;
    }
    return false;
}

static bool restore_parse(struct restore *r)
{
    struct log *log = r->log;

    if (producers_parse(&log->producers, bytes_of_str(text_str(&r->text)), io_wall_ms(log->io)) ==
        0)
        return true;
    say(log->telemetry, LOG_WARN, "log",
        "%s is damaged: it is removed, and an older one and the log are read instead", r->path);
    return false;
}

static void restore_end(struct restore *r, int64_t result)
{
    text_deinit(&r->text);
    flow_done(&r->flow, result);
    free(r);
}

static void restore_run(struct flow *f)
{
    struct restore *r = container_of(f, struct restore, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(r->log->io, &f->op));
    while (restore_next(r)) {
        text_clear(&r->text);
        FLOW_WAIT(f, "read a producer snapshot",
                  file_read_all(r->log->io, r->path, SMALL_FILE_BYTES_MAX, &r->text, &f->op));
        if (f->result == -ENOENT)
            continue; /* removed since it was listed */
        if (f->result < 0)
            goto failed;
        if (restore_parse(r)) {
            restore_end(r, r->offset);
            return;
        }
        FLOW_TRY(f, "remove a producer snapshot", io_remove(r->log->io, r->path, &f->op));
    }
    FLOW_END(f);
    producers_clear(&r->log->producers);
    restore_end(r, r->log->segments[0]->base);
    return;
failed:
    restore_end(r, f->result);
}

void snapshot_restore(struct log *log, const struct io_entries *entries, int64_t at_most,
                      struct op *op)
{
    struct restore *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->log = log;
    r->entries = entries;
    r->left = entries->count;
    r->at_most = at_most;
    flow_start(&r->flow, restore_run, op);
}

/* ---- removal ------------------------------------------------------------------------------- */

struct removal {
    struct flow flow;
    struct log *log;
    const struct io_entries *entries;
    uint32_t i;
    int64_t offset;
    int64_t above; /* strays: INT64_MAX, and the newest two of them and of the others stay */
    uint32_t strays_kept;
    char path[LOG_PATH_BYTES];
};

static bool has_segment_at(const struct log *log, int64_t base)
{
    return log->segment_count > 0 && log->segments[log_segment_index(log, base)]->base == base;
}

static bool is_to_go(struct removal *r)
{
    const struct log *log = r->log;

    if (!is_snapshot(&r->entries->entries[r->i], &r->offset))
        return false;
    if (r->above != INT64_MAX)
        return r->offset > r->above;
    if (has_segment_at(log, r->offset) || (!log->point.noted.none && r->offset == log->point.noted.offset))
        return false;
    return r->strays_kept++ > 0 || r->offset < log_last_segment(log)->base;
}

static void removal_run(struct flow *f)
{
    struct removal *r = container_of(f, struct removal, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(r->log->io, &f->op));
    for (r->i = r->entries->count; r->i-- > 0;) {
        if (!is_to_go(r))
            continue;
        log_file_path(r->log, r->offset, ".snapshot", r->path);
        FLOW_WAIT(f, "remove a producer snapshot", io_remove(r->log->io, r->path, &f->op));
        if (f->result < 0 && f->result != -ENOENT)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    free(r);
    return;
failed:
    flow_done(f, f->result);
    free(r);
}

static void removal_start(struct log *log, const struct io_entries *entries, int64_t above,
                          struct op *op)
{
    struct removal *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->log = log;
    r->entries = entries;
    r->above = above;
    flow_start(&r->flow, removal_run, op);
}

void snapshot_remove_above(struct log *log, const struct io_entries *entries, int64_t above,
                           struct op *op)
{
    removal_start(log, entries, above, op);
}

void snapshot_remove_strays(struct log *log, const struct io_entries *entries, struct op *op)
{
    removal_start(log, entries, INT64_MAX, op);
}
