/* Opening a log directory: lock, clean marker, scan points, checkpoints, what lies in it, journals. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/delete.h"
#include "log/dir.h"
#include "log/journal.h"
#include "log/journal_replay.h"
#include "log/points_file.h"
#include "log/state.h"

struct dir_opening {
    struct flow flow, part;
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct log_dir **out;
    struct fail *fail, own_fail;
    struct io_entries entries;
    struct text text;
    struct journal_replayed replayed;
    uint32_t i;
    bool has_marker, has_folder;
    int64_t result;
    char path[LOG_PATH_BYTES];
};

/* Says why, with the step that it came to. */
static void dir_opening_failed(struct dir_opening *x, const struct flow *f, int64_t result)
{
    x->result = result;
    if (x->fail->error == 0)
        fail_set(x->fail, (int)result, "log directory %s: cannot %s: %s", x->dir->path, f->step,
                 error_text((int)result));
}

static void part_failed(struct dir_opening *x, struct flow *f)
{
    dir_opening_failed(x, f, f->result);
    flow_done(f, f->result);
}

/* Whatever the marker says: who wrote it overlooked the folder. */
static void dir_opened(struct dir_opening *x)
{
    if (x->has_folder)
        x->dir->clean = false;
    points_file_keep_found(x->dir->points);
    x->dir->journals = journals_new(x->dir);
}

static void dir_opening_end(struct dir_opening *x)
{
    if (x->result < 0)
        log_dir_free(x->dir);
    else
        *x->out = x->dir;
    io_entries_free(&x->entries);
    text_deinit(&x->text);
    flow_done(&x->flow, x->result);
    free(x);
}

static const char *dir_path(struct dir_opening *x, const char *name)
{
    snprintf(x->path, sizeof(x->path), "%s/%s", x->dir->path, name);
    return x->path;
}

/* {"version":0,"brokerEpoch":77}. Anything else still means clean, with an unknown epoch. */
static void take_marker(struct dir_opening *x)
{
    struct str rest = text_str(&x->text), part;
    int64_t epoch;

    x->dir->clean = true;
    while (str_cut(&rest, '"', &part)) {
        if (!str_equal(part, STR("brokerEpoch")))
            continue;
        if (!str_cut(&rest, ':', &part))
            break;
        int32_t n = 0;
        rest = str_trim(rest);
        while (n < rest.n && (isdigit((unsigned char)rest.p[n]) || (n == 0 && rest.p[n] == '-')))
            n++;
        if (str_to_i64((struct str){rest.p, n}, -1, INT64_MAX, &epoch) == 0)
            x->dir->broker_epoch = epoch;
        break;
    }
}

/* A damaged recovery point or high watermark costs time only: all is read, and the logs tell their ends. Where logs
 * begin nothing else tells: records that were deleted would be back. */
static int take_checkpoint(struct dir_opening *x, int which)
{
    struct fail why = {0};

    if (checkpoint_parse(text_str(&x->text), checkpoint_of(x->dir, which), &why) == 0)
        return 0;
    if (which == LOG_START)
        return fail_set(x->fail, why.error,
                        "%s/%s: %s; it says which records were deleted: correct it, or remove it, and they are back",
                        x->dir->path, checkpoint_names[which], why.text);
    say(x->telemetry, LOG_WARN, "log", "%s/%s: %s; it is not used, and will be written anew", x->dir->path,
        checkpoint_names[which], why.text);
    return 0;
}

static bool is_found(struct dir_opening *x, enum log_dir_kind kind)
{
    const struct io_entry *e = &x->entries.entries[x->i];
    struct str topic;
    int32_t partition;

    return e->is_dir && log_dir_kind(str_of(e->name), &topic, &partition) == kind;
}

static void take_found(struct dir_opening *x)
{
    const char *name = x->entries.entries[x->i].name;
    struct log_found *found = &x->dir->found[x->dir->found_count++];
    struct str topic = STR_NULL;

    found->is_future = log_dir_kind(str_of(name), &topic, &found->partition) == LOG_DIR_FUTURE;
    found->name = str_dup(str_of(name));
    found->topic = str_dup(topic);
}

/* The parents of the directory, one after the other; the last component too. */
static bool next_parent(struct dir_opening *x)
{
    const char *whole = x->dir->path;
    size_t n = strlen(whole);

    while (x->i < n) {
        x->i++;
        if (whole[x->i] != '/' && whole[x->i] != '\0')
            continue;
        memcpy(x->path, whole, x->i);
        x->path[x->i] = '\0';
        return true;
    }
    return false;
}

/* Of x->path, in its place. */
static const char *parent_path(struct dir_opening *x)
{
    char *slash = strrchr(x->path, '/');

    if (slash == NULL)
        return ".";
    if (slash == x->path)
        return "/";
    *slash = '\0';
    return x->path;
}

static void note_names(struct dir_opening *x)
{
    for (uint32_t i = 0; i < x->entries.count; i++) {
        x->has_marker |= strcmp(x->entries.entries[i].name, MARKER_NAME) == 0;
        x->has_folder |= strcmp(x->entries.entries[i].name, JOURNAL_FOLDER_NAME) == 0;
    }
    x->dir->found = calloc(x->entries.count + 1, sizeof(*x->dir->found));
    ASSERT(x->dir->found != NULL);
}

static int64_t bad_entry(struct dir_opening *x)
{
    return fail_set(x->fail, -EINVAL,
                    "%s/%s is not the directory of a partition (TOPIC-PARTITION): move it out of "
                    "the log directory",
                    x->dir->path, x->entries.entries[x->i].name);
}

/* The partitions; pending deletions are finished. */
static void look_run(struct flow *f)
{
    struct dir_opening *x = container_of(f, struct dir_opening, part);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(x->io, &f->op));
    for (x->i = 0; x->i < x->entries.count; x->i++) {
        if (is_found(x, LOG_DIR_BAD)) {
            flow_done(f, bad_entry(x));
            return;
        }
        if (is_found(x, LOG_DIR_DELETE))
            FLOW_TRY(f, "finish a deletion",
                     dir_remove(x->io, dir_path(x, x->entries.entries[x->i].name), &f->op));
        if (is_found(x, LOG_DIR_LIVE) || is_found(x, LOG_DIR_FUTURE))
            take_found(x);
    }
    FLOW_TRY(f, "read " LOG_METADATA_NAME,
             topic_ids_read(x->io, x->dir->path, x->dir->found, x->dir->found_count, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    part_failed(x, f);
}

/* It is there, for good. */
static void make_run(struct flow *f)
{
    struct dir_opening *x = container_of(f, struct dir_opening, part);

    FLOW_BEGIN(f);
    while (next_parent(x)) {
        FLOW_WAIT(f, "make it", io_mkdir(x->io, x->path, &f->op));
        /* a parent that we may not write to is no trouble as long as it is there */
        if (f->result < 0 && f->result != -EEXIST && strcmp(x->path, x->dir->path) == 0)
            goto failed;
        /* Also when it is there already: whoever made it may have been killed before this. */
        FLOW_WAIT(f, "make it durable", io_sync_dir(x->io, parent_path(x), &f->op));
        if (f->result < 0 && f->result != -EACCES && f->result != -EROFS)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    part_failed(x, f);
}

static void checkpoints_run(struct flow *f)
{
    struct dir_opening *x = container_of(f, struct dir_opening, part);

    FLOW_BEGIN(f);
    for (x->i = 0; x->i < CHECKPOINTS; x->i++) {
        text_clear(&x->text);
        FLOW_WAIT(f, "read its checkpoints",
                  file_read_all(x->io, dir_path(x, checkpoint_names[x->i]), SMALL_FILE_BYTES_MAX,
                                &x->text, &f->op));
        if (f->result == -ENOENT)
            continue;
        if (f->result >= 0)
            f->result = take_checkpoint(x, (int)x->i);
        if (f->result < 0)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    part_failed(x, f);
}

static void dir_open_run(struct flow *f)
{
    struct dir_opening *x = container_of(f, struct dir_opening, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "make it", flow_start(&x->part, make_run, &f->op));
    FLOW_TRY(f, "open " LOG_LOCK_NAME,
             io_open(x->io, dir_path(x, LOG_LOCK_NAME), IO_WRITE | IO_CREATE, &x->dir->lock, &f->op));
    FLOW_WAIT(f, "lock it", io_lock(x->dir->lock, &f->op));
    if (f->result == -EAGAIN)
        fail_set(x->fail, (int)f->result,
                 "log directory %s is in use by another process: stop it, or choose another "
                 "directory (log.dirs)",
                 x->dir->path);
    if (f->result < 0)
        goto failed;
    FLOW_TRY(f, "list it", io_list(x->io, x->dir->path, &x->entries, &f->op));
    note_names(x);
    /* Before the marker goes: it is what tells from then on that all is clean. */
    FLOW_TRY(f, "read its scan points",
             points_file_open(x->dir, x->telemetry, x->has_marker, x->has_folder, &x->dir->points, &f->op));
    if (x->has_marker) {
        FLOW_TRY(
            f, "read " MARKER_NAME,
            file_read_all(x->io, dir_path(x, MARKER_NAME), SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        take_marker(x);
#ifndef MUTANT_LOG_CLEAN_MARKER_EARLY
        FLOW_TRY(f, "remove " MARKER_NAME, io_remove(x->io, dir_path(x, MARKER_NAME), &f->op));
#endif
    }
    /* Also without a marker: a killed process may have left partitions whose names are not durable. */
    FLOW_TRY(f, "sync it", io_sync_dir(x->io, x->dir->path, &f->op));
    FLOW_TRY(f, "read its checkpoints", flow_start(&x->part, checkpoints_run, &f->op));
#ifdef MUTANT_JOURNAL_NOT_REPLAYED
    FLOW_TRY(f, "remove its journals", journal_folder_remove(x->io, x->dir->path, JOURNAL_KEEP_POINTS, &f->op));
#endif
    FLOW_TRY(f, "look into its directories", flow_start(&x->part, look_run, &f->op));
    FLOW_TRY(f, "bring its journals into the segments",
             journal_replay(x->io, x->telemetry, x->dir->path, x->dir, &x->replayed, x->fail, &f->op));
    dir_opened(x);
    goto ended;
failed: /* whoever corrects what was said comes again, maybe in this process */
    dir_opening_failed(x, f, f->result);
    if (x->dir->lock != NULL)
        FLOW_WAIT(f, "unlock it", io_close(x->dir->lock, &f->op));
ended:; /* before a brace */
    FLOW_END(f);
    dir_opening_end(x);
}

void log_dir_open(struct io *io, struct telemetry *t, const char *path, struct log_dir **out,
                  struct fail *fail, struct op *op)
{
    struct dir_opening *x;

    if (strlen(path) == 0 || strlen(path) >= LOG_PATH_BYTES / 2) {
        fail_set(fail, -ENAMETOOLONG, "log directory \"%.100s\": the path is empty or too long",
                 path);
        io_complete(io, op, -ENAMETOOLONG);
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->dir = calloc(1, sizeof(*x->dir));
    ASSERT(x->dir != NULL);
    x->io = io;
    x->out = out;
    x->fail = fail == NULL ? &x->own_fail : fail;
    x->dir->path = str_dup(str_of(path));
    x->telemetry = t;
    x->dir->home = io;
    x->dir->broker_epoch = -1;
    x->dir->room = INT64_MAX;
    x->dir->journal_bytes = JOURNAL_BYTES_DEFAULT;
    x->dir->point_bytes = LOG_POINT_BYTES;
    flow_start(&x->flow, dir_open_run, op);
}
