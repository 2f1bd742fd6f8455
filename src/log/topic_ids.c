/* To which topics the directories of partitions belong: their partition.metadata, several at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "log/state.h"

/* One after the other, a thousand files are a tenth of a second of waiting for answers. */
#define READERS 8U

struct id_reader {
    struct flow flow;
    struct op ended;
    struct id_reading *reading;
    struct log_found *found; /* that is read now */
    struct text text;
    char path[LOG_PATH_BYTES];
};

struct id_reading {
    struct io *io;
    const char *dir;
    struct log_found *found;
    uint32_t count, next;
    uint32_t running;
    int64_t rc;
    struct op *parent;
    struct id_reader readers[READERS];
};

static bool next_path(struct id_reader *r)
{
    struct id_reading *all = r->reading;

    if (all->next == all->count || all->rc < 0)
        return false;
    r->found = &all->found[all->next++];
    snprintf(r->path, sizeof(r->path), "%s/%s/%s", all->dir, r->found->name, LOG_METADATA_NAME);
    text_clear(&r->text);
    return true;
}

/* Only a file that is not there, or is no such file, leaves the directory without an id: after a failed read it would
 * be taken for a stray one, and its records would be gone. */
static void take_id(struct id_reader *r, int64_t result)
{
    if (result >= 0)
        (void)partition_metadata_parse(text_str(&r->text), &r->found->topic_id);
#ifndef MUTANT_LOG_ID_UNREAD
    else if (result != -ENOENT && result != ERR_LIMIT)
        r->reading->rc = result;
#endif
}

static void reader_run(struct flow *f)
{
    struct id_reader *r = container_of(f, struct id_reader, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(r->reading->io, &f->op));
    while (next_path(r)) {
        FLOW_WAIT(f, "read " LOG_METADATA_NAME,
                  file_read_all(r->reading->io, r->path, SMALL_FILE_BYTES_MAX, &r->text, &f->op));
        take_id(r, f->result);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

static void reader_ended(struct op *op, int64_t result)
{
    struct id_reader *r = container_of(op, struct id_reader, ended);
    struct id_reading *all = r->reading;

    text_deinit(&r->text);
    if (--all->running > 0)
        return;
    op = all->parent;
    result = all->rc;
    free(all);
    op->done(op, result);
}

void topic_ids_read(struct io *io, const char *dir, struct log_found *found, uint32_t count, struct op *op)
{
    struct id_reading *all = calloc(1, sizeof(*all));

    ASSERT(all != NULL);
    all->io = io;
    all->dir = dir;
    all->found = found;
    all->count = count;
    all->parent = op;
    all->running = READERS;
    for (uint32_t i = 0; i < READERS; i++) {
        all->readers[i].reading = all;
        op_init(&all->readers[i].ended, reader_ended);
        flow_start(&all->readers[i].flow, reader_run, &all->readers[i].ended);
    }
}
