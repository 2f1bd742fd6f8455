#include "log/journal_replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/journal_parts.h"
#include "log/points.h"
#include "log/state.h"

struct replay {
    struct flow flow, step;
    struct io *io;
    struct telemetry *telemetry;
    const char *dir;
    const struct log_dir *opening;
    struct journal_replayed *out;
    struct fail *fail, own_fail;
    struct io_entries entries, folder;
    struct text text;
    struct log_found *found; /* partition directories, by topic id */
    uint32_t found_count;
    struct journal_line *lines;
    uint32_t line_count, line;

    /* of the journal that is read */
    struct text chunks[JOURNAL_CHUNKS_MAX];
    struct journal_commits commits;
    struct journal_parts parts;
    struct map_node *at;
    uint32_t i;

    /* of the partition that is written */
    struct journal_part *part;
    const char *name; /* of its directory */
    uint32_t piece;
    struct io_file *file;
    int64_t base;
    uint64_t end;     /* of the file */
    struct bytes run[IO_PIECES_MAX];
    uint32_t run_count;
    uint64_t run_bytes;
    int64_t rc;       /* the first trouble while the file is open: it is closed in any case */
    char path[LOG_PATH_BYTES];
};

#define WHAT_TO_DO                                                                                                \
    "; the log directory is not started: bring the file back from a copy of the disk, or move the folder "        \
    JOURNAL_FOLDER_NAME " away, which gives up the newest records"

static const char *path_of(struct replay *r, const char *name)
{
    int n = snprintf(r->path, sizeof(r->path), "%s/%s", r->dir, name);

    ASSERT(n > 0 && n < (int)sizeof(r->path)); /* log_dir_open has refused longer paths */
    return r->path;
}

static const char *folder_path(struct replay *r, const char *name)
{
    int n = snprintf(r->path, sizeof(r->path), "%s/" JOURNAL_FOLDER_NAME "/%s", r->dir, name);

    ASSERT(n > 0 && n < (int)sizeof(r->path));
    return r->path;
}

static void forget_journal(struct replay *r)
{
    journal_parts_free(&r->parts);
    journal_commits_free(&r->commits);
    for (uint32_t i = 0; i < JOURNAL_CHUNKS_MAX; i++)
        text_deinit(&r->chunks[i]);
}

/* ---- reading a journal --------------------------------------------------------------------- */

static const char *chunk_path(struct replay *r)
{
    char name[JOURNAL_NAME_BYTES];

    return folder_path(r, journal_chunk_name(r->lines[r->line].shard, r->i, name));
}

/* What reading a chunk came to. */
static int check_chunk(struct replay *r, int64_t result)
{
    uint32_t expected = r->lines[r->line].chunk_bytes;

    if (result == -ENOENT)
        return fail_set(r->fail, ERR_CORRUPT, "%s is missing, though " JOURNAL_META_NAME " names it" WHAT_TO_DO,
                        r->path);
    if (result == ERR_LIMIT || (result >= 0 && result != expected))
        return fail_set(r->fail, ERR_CORRUPT, "%s has not the %u bytes that " JOURNAL_META_NAME " says" WHAT_TO_DO,
                        r->path, expected);
    return (int)(result < 0 ? result : 0);
}

static int find_commits(struct replay *r)
{
    const struct journal_line *line = &r->lines[r->line];
    struct bytes chunks[JOURNAL_CHUNKS_MAX];
    struct fail why = {0};
    int rc;

    for (uint32_t i = 0; i < line->chunk_count; i++)
        chunks[i] = bytes_of_str(text_str(&r->chunks[i]));
    rc = journal_commits_find(chunks, line->chunk_count, line->id, line->shard, &r->commits, &why);
    if (rc == 0)
        rc = journal_parts_take(&r->parts, &r->commits, &why);
    r->out->commits += r->commits.count;
    if (rc < 0)
        return fail_set(r->fail, rc, "%s: %.250s%s", folder_path(r, ""), why.text, rc == ERR_CORRUPT ? WHAT_TO_DO : "");
    return 0;
}

static void read_run(struct flow *f)
{
    struct replay *r = container_of(f, struct replay, step);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(r->io, &f->op));
    for (r->i = 0; r->i < r->lines[r->line].chunk_count; r->i++) {
        FLOW_WAIT(f, "read a chunk",
                  file_read_all(r->io, chunk_path(r), r->lines[r->line].chunk_bytes, &r->chunks[r->i], &f->op));
        f->result = check_chunk(r, f->result);
        if (f->result < 0)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, find_commits(r));
    return;
failed:
    flow_done(f, f->result);
}

/* ---- the directories of partitions --------------------------------------------------------- */

static bool is_partition(struct replay *r)
{
    const struct io_entry *e = &r->entries.entries[r->i];

    return e->is_dir && log_dir_is_partition(str_of(e->name), &r->found[r->found_count].partition);
}

static void take_names(struct replay *r)
{
    r->found = calloc(r->entries.count + 1, sizeof(*r->found));
    ASSERT(r->found != NULL);
    for (r->i = 0; r->i < r->entries.count; r->i++) {
        if (is_partition(r))
            r->found[r->found_count++].name = r->entries.entries[r->i].name;
    }
}

static void copy_found(struct replay *r)
{
    const struct log_dir *dir = r->opening;

    r->found = calloc(dir->found_count + 1, sizeof(*r->found));
    ASSERT(r->found != NULL);
    for (uint32_t i = 0; i < dir->found_count; i++) {
        if (!dir->found[i].is_future)
            r->found[r->found_count++] = dir->found[i];
    }
}

static int by_id(const void *a, const void *b)
{
    const struct log_found *x = a, *y = b;
    int order = uuid_compare(x->topic_id, y->topic_id);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* By topic id: a directory of the same name may belong to a topic that came later. */
static void look_run(struct flow *f)
{
    struct replay *r = container_of(f, struct replay, step);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(r->io, &f->op));
    if (r->opening != NULL) {
        copy_found(r);
    } else {
        FLOW_TRY(f, "list the log directory", io_list(r->io, r->dir, &r->entries, &f->op));
        take_names(r);
        FLOW_TRY(f, "read " LOG_METADATA_NAME, topic_ids_read(r->io, r->dir, r->found, r->found_count, &f->op));
    }
    qsort(r->found, r->found_count, sizeof(*r->found), by_id);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

/* ---- writing a partition ------------------------------------------------------------------- */

static bool find_directory(struct replay *r)
{
    const struct journal_part *p = r->part;
    struct log_found key = {.topic_id = p->topic_id, .partition = p->partition};
    const struct log_found *found = bsearch(&key, r->found, r->found_count, sizeof(key), by_id);
    char id[UUID_TEXT_BYTES];

    r->name = found == NULL ? NULL : found->name;
    if (found == NULL)
        say(r->telemetry, LOG_WARN, "log",
            "%s: the journal holds %u pieces of partition %d of topic id %s, which has no directory any more: they "
            "are dropped",
            r->dir, p->count, p->partition, uuid_text(p->topic_id, id));
    return found != NULL;
}

static const struct journal_piece *next_piece(const struct replay *r)
{
    return r->piece < r->part->count ? &r->part->pieces[r->piece] : NULL;
}

static const char *segment_path(struct replay *r)
{
    int n = snprintf(r->path, sizeof(r->path), "%s/%s/%020lld.log", r->dir, r->name, (long long)r->base);

    ASSERT(n > 0);
    return r->path;
}

/* A segment that begins with these bytes may never have been made. */
static void segment_open(struct replay *r, struct op *op)
{
    const struct journal_piece *x = next_piece(r);

    r->base = x->base;
    r->rc = 0;
    io_open(r->io, segment_path(r), x->position == 0 ? IO_WRITE | IO_CREATE : IO_WRITE, &r->file, op);
}

static int64_t report_gap(struct replay *r, uint64_t position)
{
    return fail_set(r->fail, ERR_CORRUPT,
                    "%s ends at byte %llu, but the journal continues it from byte %llu: what lies between is lost"
                    WHAT_TO_DO,
                    segment_path(r), (unsigned long long)r->end, (unsigned long long)position);
}

/* The pieces that follow one another in this file, as one write. */
static void gather_run(struct replay *r)
{
    const struct journal_piece *first = next_piece(r), *x = first;

    r->run_count = 0;
    r->run_bytes = 0;
    while (x != NULL && x->base == r->base && x->position == first->position + r->run_bytes &&
           r->run_count < IO_PIECES_MAX) {
        r->run[r->run_count++] = x->bytes;
        r->run_bytes += (uint64_t)x->bytes.n;
        r->piece++;
        x = next_piece(r);
    }
    if (first->position + r->run_bytes > r->end)
        r->end = first->position + r->run_bytes;
}

static uint64_t run_position(const struct replay *r)
{
    return r->part->pieces[r->piece - r->run_count].position;
}

static void note(struct replay *r, int64_t result)
{
    if (r->rc >= 0 && result < 0)
        r->rc = result;
}

/* All pieces that come next for one segment. */
static void write_run(struct flow *f)
{
    struct replay *r = container_of(f, struct replay, step);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "open a segment", segment_open(r, &f->op));
    if (f->result == -ENOENT) {
        r->end = 0;
        flow_done(f, report_gap(r, next_piece(r)->position));
        return;
    }
    if (f->result < 0)
        goto failed;
    FLOW_WAIT(f, "look at a segment", io_size(r->file, &f->op));
    note(r, f->result);
    r->end = f->result < 0 ? 0 : (uint64_t)f->result;
    while (r->rc >= 0 && next_piece(r) != NULL && next_piece(r)->base == r->base) {
        if (next_piece(r)->position > r->end) {
            r->rc = report_gap(r, next_piece(r)->position);
            break;
        }
        gather_run(r);
        FLOW_WAIT(f, "write a segment", io_write(r->file, run_position(r), r->run, r->run_count, &f->op));
        note(r, f->result);
        r->out->bytes += r->run_bytes;
    }
#ifndef MUTANT_JOURNAL_FOLDER_BEFORE_SYNC
    if (r->rc >= 0) {
        FLOW_WAIT(f, "sync a segment", io_sync(r->file, &f->op));
        note(r, f->result);
    }
#endif
    FLOW_WAIT(f, "close a segment", io_close(r->file, &f->op));
    note(r, f->result);
    FLOW_END(f);
    r->out->segments++;
    flow_done(f, r->rc);
    return;
failed:
    flow_done(f, f->result);
}

static const char *part_path(struct replay *r)
{
    return path_of(r, r->name);
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void replay_end(struct replay *r, int64_t result)
{
    if (result < 0 && r->fail->error == 0)
        fail_set(r->fail, (int)result, "log directory %s: cannot bring its journals into the segments (%s): %s", r->dir,
                 r->flow.step, error_text((int)result));
    forget_journal(r);
    io_entries_free(&r->entries);
    io_entries_free(&r->folder);
    text_deinit(&r->text);
    free(r->found);
    free(r->lines);
    flow_done(&r->flow, result);
    free(r);
}

/* There may be scan points, and what a crash has left of writing small files. */
static bool is_small_file(const char *name)
{
    static const char *const names[] = {JOURNAL_META_NAME ".tmp", POINTS_NAME, POINTS_NAME ".tmp"};

    for (uint32_t i = 0; i < array_count(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Whether reading meta came to something; without it there must be no journal. */
static int take_meta(struct replay *r, int64_t result)
{
    if (result == -ENOENT) {
        for (uint32_t i = 0; i < r->folder.count; i++) {
            if (!is_small_file(r->folder.entries[i].name))
                return fail_set(r->fail, ERR_CORRUPT, "%s is missing, but there are chunks of journals" WHAT_TO_DO,
                                folder_path(r, JOURNAL_META_NAME));
        }
        return 0;
    }
    if (result < 0)
        return (int)result;
    if (journal_meta_parse(text_str(&r->text), &r->lines, &r->line_count, r->fail) < 0)
        return fail_wrap(r->fail, "%s", folder_path(r, JOURNAL_META_NAME));
    return 0;
}

static enum journal_keep what_stays(const struct replay *r)
{
    return r->opening == NULL ? JOURNAL_KEEP_NOTHING : JOURNAL_KEEP_POINTS;
}

static void say_what_was_done(const struct replay *r)
{
    if (r->out->bytes > 0)
        say(r->telemetry, LOG_INFO, "log", "%s: %llu bytes of %u partitions were only in the journal: they are in the "
            "segments now", r->dir, (unsigned long long)r->out->bytes, r->out->partitions);
}

static void replay_run(struct flow *f)
{
    struct replay *r = container_of(f, struct replay, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "list the journals", io_list(r->io, folder_path(r, ""), &r->folder, &f->op));
    if (f->result == -ENOENT) {
        replay_end(r, 0);
        return;
    }
    if (f->result < 0)
        goto failed;
    r->out->found = true;
    FLOW_WAIT(f, "read " JOURNAL_META_NAME,
              file_read_all(r->io, folder_path(r, JOURNAL_META_NAME), SMALL_FILE_BYTES_MAX, &r->text, &f->op));
    f->result = take_meta(r, f->result);
    if (f->result < 0)
        goto failed;
    if (r->line_count > 0)
        FLOW_TRY(f, "look at the partitions", flow_start(&r->step, look_run, &f->op));
    for (r->line = 0; r->line < r->line_count; r->line++) {
        FLOW_TRY(f, "read a journal", flow_start(&r->step, read_run, &f->op));
        for (r->at = map_first(&r->parts.by_id); r->at != NULL; r->at = map_next(&r->parts.by_id, r->at)) {
            r->part = container_of(r->at, struct journal_part, node);
            if (r->part->count == 0 || !find_directory(r))
                continue;
            for (r->piece = 0; next_piece(r) != NULL;)
                FLOW_TRY(f, "write a segment", flow_start(&r->step, write_run, &f->op));
            FLOW_TRY(f, "sync a partition", io_sync_dir(r->io, part_path(r), &f->op));
            r->out->partitions++;
        }
        forget_journal(r);
    }
    FLOW_TRY(f, "remove the folder of journals", journal_folder_remove(r->io, r->dir, what_stays(r), &f->op));
    FLOW_END(f);
    say_what_was_done(r);
    replay_end(r, 0);
    return;
failed:
    replay_end(r, f->result);
}

void journal_replay(struct io *io, struct telemetry *t, const char *dir, const struct log_dir *opening,
                    struct journal_replayed *out, struct fail *fail, struct op *op)
{
    struct replay *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    *out = (struct journal_replayed){0};
    r->io = io;
    r->telemetry = t;
    r->dir = dir;
    r->opening = opening;
    r->out = out;
    r->fail = fail == NULL ? &r->own_fail : fail;
    flow_start(&r->flow, replay_run, op);
}
