/* The folder of journals, when they hold nothing any more. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal_replay.h"
#include "log/points.h"
#include "log/state.h"

struct removal {
    struct flow flow;
    struct io *io;
    struct io_entries entries;
    struct text text;
    uint32_t i;
    enum journal_keep keep;
    char folder[LOG_PATH_BYTES], path[LOG_PATH_BYTES];
    char dir[LOG_PATH_BYTES];
};

static void removal_end(struct removal *m, int64_t result)
{
    io_entries_free(&m->entries);
    text_deinit(&m->text);
    flow_done(&m->flow, result);
    free(m);
}

static const char *removal_path(struct removal *m, const char *name)
{
    int n = snprintf(m->path, sizeof(m->path), "%s/%s", m->folder, name);

    ASSERT(n > 0);
    return m->path;
}

static bool is_meta(const struct removal *m)
{
    return strcmp(m->entries.entries[m->i].name, JOURNAL_META_NAME) == 0;
}

static bool stays(const struct removal *m, uint32_t i)
{
    return m->keep == JOURNAL_KEEP_POINTS && strcmp(m->entries.entries[i].name, POINTS_NAME) == 0;
}

static bool has_what_goes(const struct removal *m)
{
    for (uint32_t i = 0; i < m->entries.count; i++) {
        if (!stays(m, i))
            return true;
    }
    return m->keep == JOURNAL_KEEP_NOTHING;
}

/* First meta says that there are no journals: from then on chunks mean nothing. It goes last, so that chunks without
 * it are always a sign of damage. */
static void removal_run(struct flow *f)
{
    struct removal *m = container_of(f, struct removal, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "list the journals", io_list(m->io, m->folder, &m->entries, &f->op));
    if (f->result == -ENOENT) {
        removal_end(m, 0);
        return;
    }
    if (f->result < 0)
        goto failed;
    if (!has_what_goes(m)) {
        removal_end(m, 0);
        return;
    }
    journal_meta_print(NULL, 0, &m->text);
    FLOW_TRY(f, "end the journals",
             file_replace(m->io, m->folder, JOURNAL_META_NAME, bytes_of_str(text_str(&m->text)), &f->op));
    for (m->i = 0; m->i < m->entries.count; m->i++) {
        if (!is_meta(m) && !stays(m, m->i))
            FLOW_WAIT(f, "remove a chunk", io_remove(m->io, removal_path(m, m->entries.entries[m->i].name), &f->op));
        if (f->result < 0 && f->result != -ENOENT)
            goto failed;
    }
    FLOW_TRY(f, "sync the folder of journals", io_sync_dir(m->io, m->folder, &f->op));
    FLOW_TRY(f, "remove " JOURNAL_META_NAME, io_remove(m->io, removal_path(m, JOURNAL_META_NAME), &f->op));
    if (m->keep == JOURNAL_KEEP_NOTHING) {
        FLOW_TRY(f, "remove the folder of journals", io_rmdir(m->io, m->folder, &f->op));
        FLOW_TRY(f, "sync the log directory", io_sync_dir(m->io, m->dir, &f->op));
    }
    FLOW_END(f);
    removal_end(m, 0);
    return;
failed:
    removal_end(m, f->result);
}

void journal_folder_remove(struct io *io, const char *dir, enum journal_keep keep, struct op *op)
{
    struct removal *m = calloc(1, sizeof(*m));

    ASSERT(m != NULL);
    m->io = io;
    m->keep = keep;
    snprintf(m->dir, sizeof(m->dir), "%s", dir);
    snprintf(m->folder, sizeof(m->folder), "%s/" JOURNAL_FOLDER_NAME, dir);
    flow_start(&m->flow, removal_run, op);
}
