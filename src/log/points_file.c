#include "log/points_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/journal_format.h"
#include "log/state.h"

struct points_file {
    struct log_dir *dir;
    struct telemetry *telemetry;
    struct io *io;              /* of the home shard */
    struct points found;        /* as the start found them; who opens a log marks its own */
    struct points now;          /* what the file says, or says soon: the home shard's */
    struct point_share *shares; /* each its shard's own */
    struct list asked, taken;   /* changes that wait, that are in the file being written */
    struct flow flow;
    bool writes;
    bool has_folder;
    bool has_marker;
    struct points_file **out;
    struct text text;
    char folder[LOG_PATH_BYTES], path[LOG_PATH_BYTES];
};

/* What a shard asks for. */
struct change {
    struct io_message message;
    struct list node;
    struct points_file *file;
    struct io *from;
    struct scan_point point;
    bool removes;
    int64_t result;
    struct op *op;
};

void points_file_free(struct points_file *p)
{
    if (p == NULL)
        return;
    points_deinit(&p->found);
    points_deinit(&p->now);
    text_deinit(&p->text);
    free(p->shares);
    free(p);
}

static struct bytes content(struct points_file *p)
{
    text_clear(&p->text);
    points_print(&p->now, &p->text);
    return bytes_of_str(text_str(&p->text));
}

/* ---- at the start -------------------------------------------------------------------------- */

static void copy_points(struct points *to, const struct points *from)
{
    to->rest_is_clean = from->rest_is_clean;
    MAP_EACH (node, &from->by_id)
        points_set(to, &container_of(node, struct points_entry, node)->point);
}

/* A marker beside points is of a crash before it could be removed, when nothing was opened yet; with points in the file
 * somebody else has written it, and the logs. */
static void take_content(struct points_file *p)
{
    struct fail why = {0};

    if (points_parse(bytes_of_str(text_str(&p->text)), &p->found, &why) < 0) {
        say(p->telemetry, LOG_WARN, "log", "%s: %s; it is not used, and logs are read from their recovery points on",
            p->path, why.text);
        return;
    }
    if (p->has_marker && p->found.by_id.count > 0) {
        points_deinit(&p->found);
        points_init(&p->found);
    }
    copy_points(&p->now, &p->found);
}

static void open_end(struct points_file *p, int64_t result)
{
    struct flow *f = &p->flow;

    if (result >= 0)
        *p->out = p;
    flow_done(f, result);
    if (result < 0)
        points_file_free(p);
}

static void open_run(struct flow *f)
{
    struct points_file *p = container_of(f, struct points_file, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(p->io, &f->op));
    if (p->has_folder) {
        FLOW_WAIT(f, "read the scan points", file_read_all(p->io, p->path, SMALL_FILE_BYTES_MAX, &p->text, &f->op));
        if (f->result < 0 && f->result != -ENOENT && f->result != ERR_LIMIT)
            goto failed;
        if (f->result >= 0)
            take_content(p);
    } else if (p->has_marker) {
        p->found.rest_is_clean = p->now.rest_is_clean = true;
        FLOW_TRY(f, "make the folder of journals", io_mkdir(p->io, p->folder, &f->op));
        FLOW_TRY(f, "write the scan points", file_replace(p->io, p->folder, POINTS_NAME, content(p), &f->op));
        FLOW_TRY(f, "sync the log directory", io_sync_dir(p->io, p->dir->path, &f->op));
        p->has_folder = true;
    }
    FLOW_END(f);
    open_end(p, 0);
    return;
failed: /* a full disk is no reason not to start: the file is written before the first log changes */
    open_end(p, f->result == -ENOSPC ? 0 : f->result);
}

void points_file_open(struct log_dir *dir, struct telemetry *t, bool has_marker, bool has_folder,
                      struct points_file **out, struct op *op)
{
    struct points_file *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->dir = dir;
    p->telemetry = t;
    p->io = dir->home;
    p->has_marker = has_marker;
    p->has_folder = has_folder;
    p->out = out;
    points_init(&p->found);
    points_init(&p->now);
    p->shares = calloc(io_shard_count(p->io), sizeof(*p->shares));
    ASSERT(p->shares != NULL);
    list_init(&p->asked);
    list_init(&p->taken);
    snprintf(p->folder, sizeof(p->folder), "%s/" JOURNAL_FOLDER_NAME, dir->path);
    int n = snprintf(p->path, sizeof(p->path), "%s/" JOURNAL_FOLDER_NAME "/" POINTS_NAME, dir->path);
    ASSERT(n > 0 && n < (int)sizeof(p->path)); /* log_dir_open has refused longer paths */
    flow_start(&p->flow, open_run, op);
}

void points_file_keep_found(struct points_file *p)
{
    struct points kept;
    const struct log_dir *dir = p->dir;

    points_init(&kept);
    kept.rest_is_clean = p->found.rest_is_clean;
    for (uint32_t i = 0; i < dir->found_count; i++) {
        const struct points_entry *e = points_find(&p->found, dir->found[i].topic_id, dir->found[i].partition);
        if (e != NULL)
            points_set(&kept, &e->point);
    }
    points_deinit(&p->found);
    points_deinit(&p->now);
    p->found = kept;
    points_init(&p->now);
    copy_points(&p->now, &p->found);
}

enum point_found points_file_take(struct points_file *p, struct uuid topic_id, int32_t partition,
                                  struct scan_point *out)
{
    struct points_entry *e = points_find(&p->found, topic_id, partition);

    if (e == NULL)
        return p->found.rest_is_clean ? POINT_CLEAN : POINT_UNKNOWN;
    if (e->point.none)
        return POINT_NONE;
    if (e->taken)
        return POINT_UNKNOWN;
    e->taken = true;
    *out = e->point;
    return POINT_KNOWN;
}

struct point_share *points_file_share(struct points_file *p, const struct io *io)
{
    return &p->shares[io_shard(io)];
}

/* ---- changes ------------------------------------------------------------------------------- */

static void answered(struct io *io, struct io_message *m)
{
    struct change *c = container_of(m, struct change, message);
    struct op *op = c->op;
    int64_t result = c->result;

    free(c);
    op->done(op, result);
}

static void answer_all(struct points_file *p, int64_t result)
{
    struct list *node;

    while ((node = list_take_head(&p->taken)) != NULL) {
        struct change *c = container_of(node, struct change, node);
        c->result = result;
        c->message.run = answered;
        io_post(p->io, io_shard(c->from), &c->message);
    }
}

static void take_changes(struct points_file *p)
{
    list_move_all(&p->taken, &p->asked);
    LIST_EACH (node, &p->taken)
        points_set(&p->now, &container_of(node, struct change, node)->point);
}

/* What comes while the file is written goes with the next one. Who asked takes the directory offline after trouble. */
static void write_run(struct flow *f)
{
    struct points_file *p = container_of(f, struct points_file, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(p->io, &f->op));
    while (!list_empty(&p->asked) && log_dir_is_online(p->dir)) {
        take_changes(p);
        if (!p->has_folder) {
            FLOW_WAIT(f, "make the folder of journals", io_mkdir(p->io, p->folder, &f->op));
            if (f->result < 0 && f->result != -EEXIST)
                goto failed;
        }
        FLOW_TRY(f, "write the scan points", file_replace(p->io, p->folder, POINTS_NAME, content(p), &f->op));
        if (!p->has_folder)
            FLOW_TRY(f, "sync the log directory", io_sync_dir(p->io, p->dir->path, &f->op));
        p->has_folder = true;
        answer_all(p, 0);
    }
    FLOW_END(f);
    f->result = ERR_OFFLINE; /* for those that are left */
failed:
    p->writes = false;
    list_move_all(&p->taken, &p->asked);
    answer_all(p, f->result);
    flow_done(f, 0);
}

static void asked(struct io *io, struct io_message *m)
{
    struct change *c = container_of(m, struct change, message);
    struct points_file *p = c->file;

    if (c->removes) { /* it had no other change under way */
        points_remove(&p->now, c->point.topic_id, c->point.partition);
        c->message.run = answered;
        io_post(p->io, io_shard(c->from), &c->message);
        return;
    }
    list_add_tail(&p->asked, &c->node);
    if (p->writes)
        return;
    p->writes = true;
    flow_start(&p->flow, write_run, NULL);
}

static void ask(struct points_file *p, struct io *io, const struct scan_point *point, bool removes, struct op *op)
{
    struct change *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->file = p;
    c->from = io;
    c->point = *point;
    c->removes = removes;
    c->op = op;
    c->message.run = asked;
    io_post(io, io_shard(p->io), &c->message);
}

void points_file_set(struct points_file *p, struct io *io, const struct scan_point *point, struct op *op)
{
    ask(p, io, point, false, op);
}

void points_file_remove(struct points_file *p, struct io *io, struct uuid topic_id, int32_t partition, struct op *op)
{
    struct scan_point point = {.topic_id = topic_id, .partition = partition};

    ask(p, io, &point, true, op);
}
