/* A log directory: lock, small files, then its partitions one after the other. */
#include "inspect/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/journal_format.h"
#include "log/points.h"
#include "quorum/quorum.h"

#define LINES_MAX 20
#define METADATA_DIR "__cluster_metadata-0"

/* ---- lines --------------------------------------------------------------------------------- */

static void line(struct verify *v, const char *word, const char *format, va_list args)
{
    struct text said = {0};

    if (++v->file_lines > LINES_MAX) {
        if (v->file_lines == LINES_MAX + 1)
            text_printf(v->output->out, "... %s: and more of it\n", v->file);
        return;
    }
    text_vprintf(&said, format, args);
    text_printf(v->output->out, "%s %s: ", word, v->file);
    text_add_utf8(v->output->out, text_str(&said));
    text_printf(v->output->out, "\n");
    text_deinit(&said);
}

void verify_trouble(struct verify *v, const char *format, ...)
{
    va_list args;

    v->troubles++;
    va_start(args, format);
    line(v, "trouble", format, args);
    va_end(args);
}

void verify_note(struct verify *v, const char *format, ...)
{
    va_list args;

    v->notes++;
    va_start(args, format);
    line(v, "note", format, args);
    va_end(args);
}

void verify_unless_killed(struct verify *v, const char *format, ...)
{
    bool excused = !v->clean || v->log.is_metadata; /* that log is always read from its beginning */
    va_list args;

    *(excused ? &v->notes : &v->troubles) += 1;
    va_start(args, format);
    line(v, excused ? "note" : "trouble", format, args);
    va_end(args);
}

void verify_file(struct verify *v, const char *name)
{
    if (v->log.name[0] == '\0')
        snprintf(v->file_name, sizeof(v->file_name), "%s", name);
    else
        snprintf(v->file_name, sizeof(v->file_name), "%s%s%s", v->log.name, name[0] == '\0' ? "" : "/", name);
    snprintf(v->path, sizeof(v->path), "%s/%s", v->o->dir, v->file_name);
    v->file = v->file_name;
    v->file_lines = 0;
}

/* ---- the small files ----------------------------------------------------------------------- */

static const char *const checkpoint_names[] = {"recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
                                               "replication-offset-checkpoint", "cleaner-offset-checkpoint"};

static struct checkpoint *checkpoint_of(struct verify *v, uint32_t which)
{
    struct checkpoint *all[] = {&v->recovery_point, &v->log_start, &v->high_watermark, NULL};

    return all[which];
}

static void take_checkpoint(struct verify *v)
{
    struct checkpoint *into = checkpoint_of(v, v->j), unused;
    struct fail f = {0};

    if (checkpoint_parse(text_str(&v->small), into == NULL ? &unused : into, &f) < 0)
        verify_trouble(v, "%s; %s", f.text,
                       into == &v->log_start ? "a server does not start: correct it, or remove it, and deleted records are back"
                                             : "it is not used, and written anew at the next start");
    else if (into == NULL)
        checkpoint_free(&unused);
}

static void take_meta(struct verify *v)
{
    struct meta_properties m;
    struct fail f = {0};

    if (meta_properties_parse(text_str(&v->small), &m, &f) < 0)
        verify_trouble(v, "%s; a server does not start: write it anew by `storage format`, or from a copy", f.text);
    else if (uuid_is_zero(m.directory_id))
        verify_note(v, "it has no directory.id; the next start draws one");
}

/* ENOENT is no trouble for the caller when it returns false. */
static bool is_read(struct verify *v, int64_t result)
{
    if (result < 0 && result != -ENOENT)
        verify_trouble(v, "cannot be read: %s", error_text((int)result));
    return result >= 0;
}

static void note_root(struct verify *v)
{
    for (uint32_t i = 0; i < v->root.count; i++) {
        v->clean |= strcmp(v->root.entries[i].name, ".kafka_cleanshutdown") == 0;
        v->journalled |= strcmp(v->root.entries[i].name, JOURNAL_FOLDER_NAME) == 0;
    }
}

static bool is_there(const struct verify *v, const char *name)
{
    for (uint32_t i = 0; i < v->root.count; i++) {
        if (strcmp(v->root.entries[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Each point is looked at by the start that uses it. */
static void take_points(struct verify *v)
{
    struct points points;
    struct fail f = {0};

    points_init(&points);
    if (points_parse(bytes_of_str(text_str(&v->small)), &points, &f) < 0)
        verify_trouble(v, "%s; it is not used, and the next start reads more of the logs", f.text);
    points_deinit(&points);
}

static void small_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, part);

    FLOW_BEGIN(f);
    text_clear(&v->small);
    verify_file(v, "meta.properties");
    FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
    if (f->result == -ENOENT)
        verify_trouble(v, "is missing; a server does not start on it: `storage format` writes it");
    else if (is_read(v, f->result))
        take_meta(v);
    for (v->j = 0; v->j < array_count(checkpoint_names); v->j++) {
        text_clear(&v->small);
        verify_file(v, checkpoint_names[v->j]);
        FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
        if (is_read(v, f->result))
            take_checkpoint(v);
    }
    if (v->journalled) {
        text_clear(&v->small);
        verify_file(v, JOURNAL_FOLDER_NAME "/" POINTS_NAME);
        FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
        if (is_read(v, f->result))
            take_points(v);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

/* ---- the partitions ------------------------------------------------------------------------ */

/* True when the entry is a directory that is to be looked into. */
static bool log_begin(struct verify *v)
{
    const struct io_entry *e = &v->root.entries[v->i];
    struct str topic = STR_NULL;
    int32_t partition = 0;

    if (!e->is_dir)
        return false;
    enum log_dir_kind kind = log_dir_kind(str_of(e->name), &topic, &partition);
    bool is_metadata = strcmp(e->name, METADATA_DIR) == 0;
    v->log = (struct verify_log){.partition = partition, .is_metadata = is_metadata, .next_base = -1};
    if (kind == LOG_DIR_BAD && str_is_null(v->o->topic)) {
        verify_file(v, e->name);
        verify_trouble(v, "is not the directory of a partition; no server starts on it: move it out");
    }
    if (!is_metadata && kind != LOG_DIR_LIVE)
        return false;
    if (is_metadata)
        topic = STR("__cluster_metadata");
    if (!str_is_null(v->o->topic) && !str_equal(v->o->topic, topic))
        return false;
    snprintf(v->log.name, sizeof(v->log.name), "%s", e->name);
    v->log.topic = (struct str){v->log.name, topic.n};
    producers_init(&v->log.producers, INT64_MAX);
    v->partitions++;
    if (v->output->progress) {
        text_printf(v->output->err, "\r\033[K%u of %u: %s", v->i + 1, v->root.count, v->log.name);
        if (v->output->flush != NULL)
            v->output->closed |= v->output->flush(v->output->ctx) < 0;
    }
    return true;
}

static void log_end_of(struct verify *v)
{
    io_entries_free(&v->entries);
    v->entries = (struct io_entries){0};
    epochs_deinit(&v->log.epochs);
    producers_deinit(&v->log.producers);
    sides_deinit(&v->log);
    v->log.name[0] = '\0';
}

/* Checkpoints name what is not there: harmless, as topics are deleted before they are written again. */
static void check_names(struct verify *v)
{
    char name[300];

    for (uint32_t i = 0; i < 3; i++) {
        const struct checkpoint *c = checkpoint_of(v, i);
        verify_file(v, checkpoint_names[i]);
        for (uint32_t j = 0; j < c->count; j++) {
            snprintf(name, sizeof(name), "%s-%d", c->entries[j].topic, c->entries[j].partition);
            if (!is_there(v, name))
                verify_note(v, "%s has no directory here", name);
        }
    }
}

static void summary(struct verify *v)
{
    if (v->output->progress)
        text_printf(v->output->err, "\r\033[K");
    text_printf(v->output->out,
                "%s: %s; %" PRIu64 " partitions, %" PRIu64 " segments, %" PRIu64 " batches, %" PRIu64 " bytes", v->o->dir,
                v->clean ? "stopped cleanly" : "not stopped cleanly: the next start reads the ends of all logs",
                v->partitions, v->segments, v->batches, v->bytes);
    if (v->o->deep)
        text_printf(v->output->out, ", %" PRIu64 " records", v->records);
    text_printf(v->output->out, ": %" PRIu64 " troubles, %" PRIu64 " notes\n", v->troubles, v->notes);
}

static void verify_end(struct verify *v, int64_t status)
{
    for (uint32_t i = 0; i < 3; i++)
        checkpoint_free(checkpoint_of(v, i));
    io_entries_free(&v->root);
    journal_deinit(v);
    decoded_deinit(&v->decoded);
    text_deinit(&v->small);
    flow_done(&v->flow, status);
    free(v);
}

/* The lock is taken only where a lock file is: nothing is made. A directory that may not be written is read without it. */
static bool lock_is_taken(struct verify *v, int64_t result)
{
    if (result == -EAGAIN)
        output_error(v->output, "%s is in use by a server: stop it first; its files change while it runs", v->o->dir);
    return result != -EAGAIN;
}

static void verify_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "list", io_list(v->io, v->o->dir, &v->root, &f->op));
    note_root(v);
    if (is_there(v, ".lock")) {
        verify_file(v, ".lock");
        FLOW_WAIT(f, "open the lock", io_open(v->io, v->path, IO_WRITE, &v->lock, &f->op));
        if (f->result >= 0) {
            FLOW_WAIT(f, "lock", io_lock(v->lock, &f->op));
            v->rc = (int)f->result;
        }
    }
    if (!lock_is_taken(v, v->rc)) {
        FLOW_WAIT(f, "unlock", io_close(v->lock, &f->op));
        verify_end(v, 2);
        return;
    }
    if (v->journalled)
        FLOW_WAIT(f, "the journals", flow_start(&v->part, verify_journal_run, &f->op));
    FLOW_WAIT(f, "small files", flow_start(&v->part, small_run, &f->op));
    for (v->i = 0; v->i < v->root.count && output_goes_on(v->output); v->i++) {
        if (!log_begin(v))
            continue;
        FLOW_WAIT(f, "a partition", flow_start(&v->part, verify_log_run, &f->op));
        log_end_of(v);
    }
    if (str_is_null(v->o->topic)) {
        journal_check_dropped(v);
        check_names(v);
    }
    summary(v);
    if (v->lock != NULL)
        FLOW_WAIT(f, "unlock", io_close(v->lock, &f->op));
    FLOW_END(f);
    verify_end(v, v->troubles > 0);
    return;
failed:
    output_error(v->output, "%s cannot be listed: %s", v->o->dir, error_text((int)f->result));
    verify_end(v, 2);
}

void inspect_verify(struct io *io, const struct verify_options *o, struct inspect_output *output,
                    struct op *op)
{
    struct verify *v;

    if (strlen(o->dir) + VERIFY_NAME_BYTES + 2 > INSPECT_PATH_BYTES) {
        output_error(output, "%.100s...: the path is too long", o->dir);
        io_complete(io, op, 2);
        return;
    }
    v = calloc(1, sizeof(*v));
    ASSERT(v != NULL);
    v->io = v->reader.io = io;
    v->o = o;
    v->output = output;
    decoded_init(&v->decoded);
    flow_start(&v->flow, verify_run, op);
}
