/* The first steps of a start: every log directory is formatted, agrees with the others, and is
 * locked. */
#include "broker/start.h"

#include <stdio.h>
#include <stdlib.h>

#define META_PROPERTIES "meta.properties"
#define META_PROPERTIES_MAX 65536

#define NOT_FORMATTED                                                                             \
    "not every log directory is formatted: run `millrace storage random-uuid` and then "          \
    "`millrace storage format -t CLUSTER_ID -c FILE`"

/* ---- meta.properties ------------------------------------------------------------------------- */

static const char *path_in(struct life *l, const char *dir, const char *name)
{
    free(l->path);
    size_t n = strlen(dir) + strlen(name) + 2;
    l->path = malloc(n);
    ASSERT(l->path != NULL);
    snprintf(l->path, n, "%s/%s", dir, name);
    return l->path;
}

/* What stood in a directory's meta.properties; all must agree. */
static int check_meta(struct life *l)
{
    struct broker *b = l->broker;
    struct meta_properties *m = &l->meta[l->dir];

    if (meta_properties_parse(text_str(&l->text), m, l->fail) < 0)
        return fail_wrap(l->fail, "%s/%s", b->paths[l->dir], META_PROPERTIES);
    if (m->node_id != b->node_id)
        return fail_set(l->fail, -EINVAL,
                        "%s/%s is of node %d, but node.id is %d: this directory belongs to another "
                        "node, or node.id was changed",
                        b->paths[l->dir], META_PROPERTIES, m->node_id, b->node_id);
    if (b->cluster_id[0] != 0 && strcmp(b->cluster_id, m->cluster_id) != 0)
        return fail_set(l->fail, -EINVAL,
                        "%s/%s has cluster id %s, another log directory has %s: they belong to "
                        "different clusters", b->paths[l->dir], META_PROPERTIES, m->cluster_id,
                        b->cluster_id);
    snprintf(b->cluster_id, sizeof b->cluster_id, "%s", m->cluster_id);
    l->formatted[l->dir] = true;
    return 0;
}

static bool all_formatted(const struct life *l)
{
    for (uint32_t d = 0; d < l->broker->dir_count; d++) {
        if (!l->formatted[d])
            return false;
    }
    return true;
}

static void begin_format(struct life *l)
{
    struct broker *b = l->broker;
    struct io *io = b->shards[0].io;
    char text[UUID_TEXT_BYTES];

    if (b->cluster_id[0] == 0)
        snprintf(b->cluster_id, sizeof b->cluster_id, "%s",
                 uuid_text(uuid_random(io_prng(io)), text));
    text_clear(&l->text);
    quorum_format_default(io, b->options.settings, (const char *const *)b->paths, b->dir_count,
                          b->metadata_dir, str_of(b->cluster_id), b->node_id, &l->text, l->fail,
                          &l->stage.op);
}

/* A directory of an older node has no id yet. */
static void add_directory_id(struct life *l)
{
    struct io *io = l->broker->shards[0].io;
    struct meta_properties *m = &l->meta[l->dir];

    m->directory_id = uuid_random(io_prng(io));
    text_clear(&l->text);
    meta_properties_print(m, io_wall_ms(io), &l->text);
}

/* ---- a directory that cannot be used ---------------------------------------------------------- */

/* The disk is to blame, not who set up the node: then it starts without this directory, as long as another one holds
 * the metadata log. */
static bool can_start_without(const struct life *l, int64_t result)
{
    if (l->dir == l->broker->metadata_dir)
        return false;
    switch (result) {
    case -EAGAIN:       /* another process has it */
    case -EINVAL:       /* something in it does not belong there */
    case -ENAMETOOLONG:
    case ERR_LIMIT:     /* meta.properties is no such file */
        return false;
    default:
        return true;
    }
}

/* It is not among the broker's directories any more. */
static void leave_out(struct life *l)
{
    struct broker *b = l->broker;
    uint32_t after = b->dir_count - l->dir - 1;

    say(b->shards[0].telemetry, LOG_ERROR, "broker",
        "log directory %s is offline: %s; its partitions are not served: check the disk, then restart",
        b->paths[l->dir], l->fail->text);
    *l->fail = (struct fail){0};
    b->missing[b->missing_count++] = b->paths[l->dir];
    memmove(b->paths + l->dir, b->paths + l->dir + 1, after * sizeof *b->paths);
    memmove(l->meta + l->dir, l->meta + l->dir + 1, after * sizeof *l->meta);
    memmove(l->formatted + l->dir, l->formatted + l->dir + 1, after * sizeof *l->formatted);
    b->dirs[l->dir] = NULL;
    b->dir_count--;
    if (b->metadata_dir > l->dir)
        b->metadata_dir--;
}

/* ---- the flows ------------------------------------------------------------------------------- */

static void read_meta(struct life *l)
{
    struct broker *b = l->broker;

    text_clear(&l->text);
    file_read_all(b->shards[0].io, path_in(l, b->paths[l->dir], META_PROPERTIES),
                  META_PROPERTIES_MAX, &l->text, &l->part.op);
}

static int64_t read_failed(struct life *l)
{
    return fail_set(l->fail, (int)l->part.result, "cannot read %s: %s", l->path,
                    error_text((int)l->part.result));
}

static void identify_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, part);
    const struct broker *b = l->broker;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(b->shards[0].io, &f->op));
    l->dir = 0;
    while (l->dir < b->dir_count) {
        if (l->formatted[l->dir]) {
            l->dir++;
            continue;
        }
        FLOW_WAIT(f, "read meta.properties", read_meta(l));
        if (f->result == -ENOENT && !l->formatting) {
            l->dir++;
            continue;
        }
        if (f->result < 0 && read_failed(l) < 0 && can_start_without(l, f->result)) {
            leave_out(l);
            continue;
        }
        if (f->result >= 0)
            f->result = check_meta(l);
        if (f->result < 0)
            goto failed;
        l->dir++;
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

/* Read every directory's meta.properties; where none is there, it is simply not formatted. Where it cannot be read the
 * directory is left out. */
static void identify(struct life *l, struct op *op)
{
    flow_start(&l->part, identify_run, op);
}

static void open_dir(struct life *l, struct op *op)
{
    struct broker *b = l->broker;

    log_dir_open(b->shards[0].io, b->shards[0].telemetry, b->paths[l->dir], &b->dirs[l->dir],
                 l->fail, op);
}

/* Lock it, look into it; give it an id if it has none. */
static void open_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, part);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open a log directory", open_dir(l, &f->op));
    if (uuid_is_zero(l->meta[l->dir].directory_id)) {
        add_directory_id(l);
        FLOW_WAIT(f, "write meta.properties",
                  file_replace(b->shards[0].io, b->paths[l->dir], META_PROPERTIES,
                               bytes_of_str(text_str(&l->text)), &f->op));
        if (f->result < 0) {
            fail_set(l->fail, (int)f->result, "cannot write %s/%s: %s", b->paths[l->dir], META_PROPERTIES,
                     error_text((int)f->result));
            FLOW_WAIT(f, "close it", log_dir_close(b->dirs[l->dir], false, -1, &f->op));
            b->dirs[l->dir] = NULL;
            f->result = l->fail->error;
            goto failed;
        }
    }
    FLOW_END(f);
    b->dirs[l->dir]->directory_id = l->meta[l->dir].directory_id;
    b->dirs[l->dir]->journal_bytes = (uint64_t)config_i64(b->options.settings, BROKER_MILLRACE_JOURNAL_BYTES);
    b->dirs[l->dir]->failed = dir_failed;
    b->dirs[l->dir]->failed_ctx = b;
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

static void dirs_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "look at the directories", identify(l, &f->op));
    if (!all_formatted(l)) {
        if (!b->options.format_empty) {
            f->result = fail_set(l->fail, -ENOENT, "%s", NOT_FORMATTED);
            goto failed;
        }
        l->formatting = true;
        FLOW_TRY(f, "format", begin_format(l));
        FLOW_TRY(f, "look at the directories", identify(l, &f->op));
    }
    l->dir = 0;
    while (l->dir < b->dir_count) {
        FLOW_WAIT(f, "open a log directory", flow_start(&l->part, open_run, &f->op));
        if (f->result >= 0)
            l->dir++;
        else if (can_start_without(l, f->result))
            leave_out(l);
        else
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

void start_dirs(struct life *l, struct op *op)
{
    flow_start(&l->stage, dirs_run, op);
}
