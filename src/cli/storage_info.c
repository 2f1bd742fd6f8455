/* info: what the log directories of a settings file hold. */
#include "cli/internal.h"

#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>

#define META_BYTES_MAX (64 << 10)

static const char usage[] = "usage: kafka-storage info [-h] --config CONFIG\n";
static const char help[] = "\n"
                           "optional arguments:\n"
                           "  -h, --help             show this help message and exit\n"
                           "  --config CONFIG, -c CONFIG\n"
                           "                         The settings file of the node.\n";

struct info {
    struct cli *cli;
    struct flow flow;
    struct op done;
    struct op *parent;
    char *path; /* of the settings */
    struct settings_load load;
    struct fail fail;
    struct settings_dirs dirs;
    uint32_t index;
    char meta_path[4096];
    struct io_entries entries;
    struct text text;
    uint32_t found_count;
    bool has_meta;
    struct meta_properties meta; /* of the first formatted directory */
    struct text found, problems; /* a line each */
    uint32_t problem_count;
};

static void problem(struct info *s, const char *format, ...) PRINTF(2, 3);
static void problem(struct info *s, const char *format, ...)
{
    va_list args;

    text_printf(&s->problems, "  ");
    va_start(args, format);
    text_vprintf(&s->problems, format, args);
    va_end(args);
    text_printf(&s->problems, "\n");
    s->problem_count++;
}

/* What listing a directory came to; true when its meta.properties is to be read. */
static bool note_dir(struct info *s, int64_t result)
{
    const char *dir = s->dirs.paths[s->index];

    if (result >= 0) {
        text_printf(&s->found, "  %s\n", dir);
        s->found_count++;
        return true;
    }
    if (result == -ENOENT)
        problem(s, "%s does not exist", dir);
    else if (result == -ENOTDIR)
        problem(s, "%s is not a directory", dir);
    else
        problem(s, "%s: %s", dir, error_text((int)result));
    return false;
}

static void note_meta(struct info *s, int64_t result)
{
    struct meta_properties m;
    struct fail f = {0};

    if (result == -ENOENT) {
        problem(s, "%s is not formatted.", s->dirs.paths[s->index]);
        return;
    }
    if (result < 0) {
        problem(s, "Error loading %s: %s", s->meta_path, error_text((int)result));
        return;
    }
    if (meta_properties_parse(text_str(&s->text), &m, &f) < 0) {
        problem(s, "Error loading %s: %s", s->meta_path, f.text);
        return;
    }
    if (!s->has_meta) {
        s->has_meta = true;
        s->meta = m;
    } else if (strcmp(s->meta.cluster_id, m.cluster_id) != 0) {
        problem(s, "Mismatched cluster IDs between storage directories.");
    } else if (s->meta.node_id != m.node_id) {
        problem(s, "Mismatched node IDs between storage directories.");
    }
}

static void print_meta(const struct info *s, struct text *out)
{
    const struct meta_properties *m = &s->meta;
    char id[UUID_TEXT_BYTES];

    text_printf(out, "Found metadata: {");
    if (m->cluster_id[0] != '\0')
        text_printf(out, "cluster.id=%s, ", m->cluster_id);
    if (!uuid_is_zero(m->directory_id))
        text_printf(out, "directory.id=%s, ", uuid_text(m->directory_id, id));
    if (m->node_id >= 0)
        text_printf(out, "%s=%" PRId32 ", ", m->version == 0 ? "broker.id" : "node.id", m->node_id);
    text_printf(out, "version=%" PRId32 "}\n\n", m->version);
}

static void print(struct info *s)
{
    struct text *out = &s->cli->out;

    if (s->has_meta && s->meta.version == 0)
        problem(s,
                "The kafka configuration file appears to be for a cluster in KRaft mode, but the "
                "directories are formatted for legacy mode.");
    if (s->found_count > 0)
        text_printf(out, "Found log director%s:\n%.*s\n", s->found_count == 1 ? "y" : "ies",
                    STR_ARG(text_str(&s->found)));
    if (s->has_meta)
        print_meta(s, out);
    if (s->problem_count > 0)
        text_printf(out, "Found problem%s:\n%.*s\n", s->problem_count == 1 ? "" : "s",
                    STR_ARG(text_str(&s->problems)));
}

static void info_run(struct flow *f)
{
    struct info *s = container_of(f, struct info, flow);
    struct io *io = s->cli->io;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "settings", settings_load(&s->load, s->cli, s->path, &s->fail, &f->op));
    if (settings_dirs(s->load.config, &s->dirs, &s->fail) < 0)
        goto failed;
    for (s->index = 0; s->index < s->dirs.count; s->index++) {
        FLOW_WAIT(f, "list", io_list(io, s->dirs.paths[s->index], &s->entries, &f->op));
        if (!note_dir(s, f->result))
            continue;
        io_entries_free(&s->entries);
        s->entries = (struct io_entries){0};
        text_clear(&s->text);
        snprintf(s->meta_path, sizeof(s->meta_path), "%s/meta.properties", s->dirs.paths[s->index]);
        FLOW_WAIT(f, "read", file_read_all(io, s->meta_path, META_BYTES_MAX, &s->text, &f->op));
        note_meta(s, f->result);
    }
    FLOW_END(f);
    print(s);
    flow_done(f, s->problem_count > 0);
    return;
failed:
    text_printf(&s->cli->err, "%s\n", s->fail.text);
    flow_done(f, 1);
}

static void info_done(struct op *op, int64_t status)
{
    struct info *s = container_of(op, struct info, done);
    struct op *parent = s->parent;

    config_free(s->load.config);
    settings_dirs_deinit(&s->dirs);
    text_deinit(&s->text);
    text_deinit(&s->found);
    text_deinit(&s->problems);
    free(s->path);
    free(s);
    parent->done(parent, status);
}

void storage_info_run(struct cli *c, int argc, char **argv, struct op *op)
{
    static const struct arg_option options[] = {
        {"config", 'c', .has_value = true, .required = true}};
    struct arg_found found[1];
    enum args_end end = args_read(argc - 1, argv + 1, PROGRAM, usage, options, 1, found, &c->err);

    if (end != ARGS_OK) {
        if (end == ARGS_HELP)
            text_printf(&c->out, "%s%s", usage, help);
        io_complete(c->io, op, end == ARGS_HELP ? 0 : 1);
        return;
    }
    struct info *s = calloc(1, sizeof(*s));
    ASSERT(s != NULL);
    s->cli = c;
    s->parent = op;
    s->path = str_dup(found[0].values[found[0].count - 1]);
    op_init(&s->done, info_done);
    flow_start(&s->flow, info_run, &s->done);
}
