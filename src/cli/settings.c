/* The file of --config: read, expanded, checked as a whole. */
#include "cli/internal.h"

#include "log/log.h"

#include <stdlib.h>

#define FILE_BYTES_MAX (1 << 20)

static int take_pair(struct settings_load *s, struct str name, struct str raw)
{
    struct text value = {0};
    int error = 0;

    if (s->cli->look == NULL)
        text_add_str(&value, raw);
    else
        error = config_expand(raw, s->cli->look, s->cli->ctx, &value, s->f);
    if (error == 0)
        error = config_set(s->config, CONFIG_STATIC_BROKER, name, text_str(&value), s->f);
    text_deinit(&value);
    if (error == -ENOENT) { /* a key that nobody knows does not matter to a tool */
        *s->f = (struct fail){0};
        return 0;
    }
    return error;
}

static int take_file(struct settings_load *s)
{
    struct properties p;
    struct str name, value;
    int more, error = 0;

    properties_begin(&p, text_str(&s->text));
    while (error == 0 && (more = properties_next(&p, &name, &value, s->f)) != 0)
        error = more < 0 ? more : take_pair(s, name, value);
    properties_end(&p);
    if (error == 0)
        error = config_fill_one_node(s->config, s->f);
    if (error == 0)
        error = config_check_broker(s->config, s->f);
    return error < 0 ? fail_wrap(s->f, "%s", s->path) : 0;
}

static void load_run(struct flow *f)
{
    struct settings_load *s = container_of(f, struct settings_load, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "read", file_read_all(s->cli->io, s->path, FILE_BYTES_MAX, &s->text, &f->op));
    s->config = config_new(&broker_settings);
    if ((f->result = take_file(s)) < 0)
        goto failed;
    FLOW_END(f);
    text_deinit(&s->text);
    flow_done(f, 0);
    return;
failed:
    if (s->f->error == 0)
        fail_set(s->f, (int)f->result, "cannot read %s: %s", s->path, error_text((int)f->result));
    text_deinit(&s->text);
    config_free(s->config);
    s->config = NULL;
    flow_done(f, f->result);
}

void settings_load(struct settings_load *s, struct cli *cli, const char *path, struct fail *f,
                   struct op *op)
{
    *s = (struct settings_load){.cli = cli, .path = path, .f = f};
    *f = (struct fail){0};
    flow_start(&s->flow, load_run, op);
}

/* ---- directories ------------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_dir(struct settings_dirs *d, struct str path, struct fail *f)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (str_equal(str_of(d->paths[i]), path))
            return 0;
    }
    if (d->count == DIRS_MAX)
        return fail_set(f, ERR_LIMIT, "log.dirs names more than %d directories", DIRS_MAX);
    d->paths[d->count++] = str_dup(path);
    return 0;
}

int settings_dirs(const struct config *c, struct settings_dirs *out, struct fail *f)
{
    struct settings_dirs d = {0};
    struct str rest = config_log_dirs(c), part;
    struct str metadata = config_str(c, BROKER_METADATA_LOG_DIR);
    int error = 0;

    while (error == 0 && !str_is_null(rest) && str_cut(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n > 0) {
            if (str_is_null(metadata))
                metadata = part; /* the first one, where nothing else is said */
            error = add_dir(&d, part, f);
        }
    }
    if (error == 0 && !str_is_null(metadata))
        error = add_dir(&d, metadata, f);
    if (error == 0 && d.count == 0)
        error = fail_set(f, -EINVAL, "log.dirs names no directory");
    if (error < 0) {
        settings_dirs_deinit(&d);
        return error;
    }
    qsort(d.paths, d.count, sizeof(d.paths[0]), compare_paths);
    for (uint32_t i = 0; i < d.count; i++) {
        if (str_equal(str_of(d.paths[i]), metadata))
            d.metadata = i;
    }
    *out = d;
    return 0;
}

void settings_dirs_deinit(struct settings_dirs *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        free(d->paths[i]);
    *d = (struct settings_dirs){0};
}
