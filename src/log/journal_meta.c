/* The journals of a directory: the folder and its meta file are the home shard's; the others ask it by message. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal_internal.h"
#include "log/journal_replay.h"

struct journals {
    struct log_dir *dir;
    struct io *io;               /* of the home shard */
    struct journal **shards;     /* each its shard's own, until all logs are closed */
    struct journal_line *lines;  /* what meta says; no id: none yet */
    uint32_t shard_count;
    bool has_folder;
    struct list asked, taken;    /* announcements: that wait, that are in the file being written */
    struct flow flow, closing;
    bool writes;
    bool clean;
    uint32_t i;
    struct text text;
    char folder[LOG_PATH_BYTES];
};

struct announcement {
    struct io_message message;
    struct list node;
    struct journals *journals;
    struct io *from;
    struct journal_line line;
    int64_t result;
    struct op *op;
};

struct journals *journals_new(struct log_dir *dir)
{
    struct journals *j = calloc(1, sizeof(*j));

    ASSERT(j != NULL);
    j->dir = dir;
    j->io = dir->home;
    j->shard_count = io_shard_count(dir->home);
    j->shards = calloc(j->shard_count, sizeof(*j->shards));
    j->lines = calloc(j->shard_count, sizeof(*j->lines));
    ASSERT(j->shards != NULL && j->lines != NULL);
    list_init(&j->asked);
    list_init(&j->taken);
    snprintf(j->folder, sizeof(j->folder), "%s/" JOURNAL_FOLDER_NAME, dir->path);
    return j;
}

static void journals_free(struct journals *j)
{
    text_deinit(&j->text);
    free(j->shards);
    free(j->lines);
    free(j);
}

/* ---- meta ---------------------------------------------------------------------------------- */

static void answered(struct io *io, struct io_message *m)
{
    struct announcement *a = container_of(m, struct announcement, message);
    struct op *op = a->op;
    int64_t result = a->result;

    free(a);
    op->done(op, result);
}

static void answer_all(struct journals *j, int64_t result)
{
    struct list *node;

    while ((node = list_take_head(&j->taken)) != NULL) {
        struct announcement *a = container_of(node, struct announcement, node);
        a->result = result;
        a->message.run = answered;
        io_post(j->io, io_shard(a->from), &a->message);
    }
}

static struct bytes meta_content(struct journals *j)
{
    struct journal_line *all = calloc(j->shard_count, sizeof(*all));
    uint32_t count = 0;

    ASSERT(all != NULL);
    LIST_EACH (node, &j->taken) {
        const struct announcement *a = container_of(node, struct announcement, node);
        j->lines[a->line.shard] = a->line;
    }
    for (uint32_t i = 0; i < j->shard_count; i++) {
        if (!uuid_is_zero(j->lines[i].id))
            all[count++] = j->lines[i];
    }
    text_clear(&j->text);
    journal_meta_print(all, count, &j->text);
    free(all);
    return bytes_of_str(text_str(&j->text));
}

static void meta_run(struct flow *f)
{
    struct journals *j = container_of(f, struct journals, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(j->io, &f->op));
    while (!list_empty(&j->asked)) {
        list_move_all(&j->taken, &j->asked);
        if (!j->has_folder) {
            FLOW_WAIT(f, "make the folder of journals", io_mkdir(j->io, j->folder, &f->op));
            if (f->result < 0 && f->result != -EEXIST)
                goto failed;
        }
        FLOW_TRY(f, "announce a journal",
                 file_replace(j->io, j->folder, JOURNAL_META_NAME, meta_content(j), &f->op));
        if (!j->has_folder)
            FLOW_TRY(f, "sync the log directory", io_sync_dir(j->io, j->dir->path, &f->op));
        j->has_folder = true;
        answer_all(j, 0);
    }
    FLOW_END(f);
    j->writes = false;
    flow_done(f, 0);
    return;
failed: /* who asked takes the directory offline */
    j->writes = false;
    list_move_all(&j->taken, &j->asked);
    answer_all(j, f->result);
    flow_done(f, f->result);
}

static void asked(struct io *io, struct io_message *m)
{
    struct announcement *a = container_of(m, struct announcement, message);
    struct journals *j = a->journals;

    list_add_tail(&j->asked, &a->node);
    if (j->writes)
        return;
    j->writes = true;
    flow_start(&j->flow, meta_run, NULL);
}

void journal_announce(struct journal *j, const struct journal_line *line, struct op *op)
{
    struct announcement *a = calloc(1, sizeof(*a));

    ASSERT(a != NULL);
    a->journals = j->dir->journals;
    a->from = j->io;
    a->line = *line;
    a->op = op;
    a->message.run = asked;
    io_post(j->io, io_shard(j->dir->home), &a->message);
}

/* ---- of a shard ---------------------------------------------------------------------------- */

static uint32_t chunk_bytes_for(const struct log_dir *dir, const struct io *io, const struct log_memory *memory)
{
    uint64_t bytes = dir->journal_bytes / io_shard_count(io);

    if (bytes > memory->limit_bytes / 2)
        bytes = memory->limit_bytes / 2;
    bytes = bytes / JOURNAL_CHUNKS / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
    if (bytes > JOURNAL_CHUNK_BYTES_MAX)
        return JOURNAL_CHUNK_BYTES_MAX;
    return bytes < JOURNAL_CHUNK_BYTES_MIN ? JOURNAL_CHUNK_BYTES_MIN : (uint32_t)bytes;
}

struct journal *journal_of(struct log_dir *dir, struct io *io, struct telemetry *t, const struct log_memory *memory)
{
    struct journal **slot = &dir->journals->shards[io_shard(io)], *j = *slot;

    if (j != NULL)
        return j;
    j = calloc(1, sizeof(*j));
    ASSERT(j != NULL);
    j->dir = dir;
    j->io = io;
    j->telemetry = t;
    j->line = (struct journal_line){.shard = io_shard(io), .chunk_bytes = chunk_bytes_for(dir, io, memory)};
    io_random_bytes(io, j->line.id.b, sizeof(j->line.id.b));
    j->oldest = j->oldest_durable = 1;
    list_init(&j->ready);
    list_init(&j->live);
    list_init(&j->notes);
    list_init(&j->committing);
    list_init(&j->committing_notes);
    *slot = j;
    return j;
}

/* ---- the end ------------------------------------------------------------------------------- */

struct closing_journal {
    struct io_message message;
    struct journal *journal;
    struct io *home, *there;
    struct op op;
    struct op *waiter;
};

static void closed_home(struct io *io, struct io_message *m)
{
    struct closing_journal *c = container_of(m, struct closing_journal, message);
    struct op *waiter = c->waiter;

    free(c);
    waiter->done(waiter, 0);
}

static void journal_closed(struct op *op, int64_t result)
{
    struct closing_journal *c = container_of(op, struct closing_journal, op);

    c->message.run = closed_home;
    io_post(c->there, io_shard(c->home), &c->message);
}

static void close_there(struct io *io, struct io_message *m)
{
    struct closing_journal *c = container_of(m, struct closing_journal, message);

    c->there = io;
    op_init(&c->op, journal_closed);
    journal_close(c->journal, &c->op);
}

static void close_shard(struct journals *j, uint32_t shard, struct op *op)
{
    struct closing_journal *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->journal = j->shards[shard];
    c->home = j->io;
    c->waiter = op;
    c->message.run = close_there;
    io_post(j->io, shard, &c->message);
}

static void close_run(struct flow *f)
{
    struct journals *j = container_of(f, struct journals, closing);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(j->io, &f->op));
    for (j->i = 0; j->i < j->shard_count; j->i++) {
        if (j->shards[j->i] != NULL)
            FLOW_WAIT(f, "close a journal", close_shard(j, j->i, &f->op));
    }
    f->result = 0;
    if (j->clean && !__atomic_load_n(&j->dir->has_failed, __ATOMIC_ACQUIRE))
        FLOW_WAIT(f, "remove the folder of journals",
                  journal_folder_remove(j->io, j->dir->path, JOURNAL_KEEP_NOTHING, &f->op));
    FLOW_END(f);
    int64_t result = f->result;
    flow_done(f, result);
    journals_free(j);
}

void journals_close(struct journals *j, bool clean, struct op *op)
{
    j->clean = clean;
    flow_start(&j->closing, close_run, op);
}
