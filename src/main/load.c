#define _GNU_SOURCE
#include "main/load.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1u << 20)

/* What `millrace server` without FILE is: only this machine reaches it. */
static const char local_default[] =
    "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n"
    "log.dirs=./data\n"
    "offsets.topic.replication.factor=1\n";

static int read_file(const char *path, struct text *out, struct fail *f)
{
    char piece[4096];
    size_t n;
    FILE *in = fopen(path, "re");

    if (in == NULL)
        return fail_set(f, -errno, "cannot read %s: %s", path, error_text(-errno));
    while ((n = fread(piece, 1, sizeof piece, in)) > 0 && out->n <= FILE_BYTES_MAX)
        text_add(out, piece, n);
    int trouble = ferror(in) ? -EIO : 0;
    fclose(in);
    if (trouble < 0)
        return fail_set(f, trouble, "cannot read %s: %s", path, error_text(trouble));
    if (out->n > FILE_BYTES_MAX)
        return fail_set(f, ERR_LIMIT, "%s is larger than %u bytes: it is no settings file", path,
                        FILE_BYTES_MAX);
    return 0;
}

/* ---- ${env:X}, ${file:PATH:KEY} ---------------------------------------------------------------------- */

static int look_env(struct str name, struct text *out)
{
    char *key = str_dup(name);
    const char *value = getenv(key);

    free(key);
    if (value == NULL)
        return -ENOENT;
    text_add_str(out, str_of(value));
    return 0;
}

/* The value of a key in another properties file, or a whole file. */
static int look_file(struct str name, struct text *out)
{
    struct text content = {0};
    struct properties p;
    struct str path, key, value;
    bool found = false;
    int rc;

    if (!str_cut(&name, ':', &path))
        return -ENOENT;
    char *file = str_dup(path);
    rc = read_file(file, &content, NULL);
    free(file);
    if (rc == 0 && name.n <= 0) {
        text_add_str(out, str_trim(text_str(&content)));
        found = true;
    } else if (rc == 0) {
        properties_begin(&p, text_str(&content));
        while (!found && properties_next(&p, &key, &value, NULL) == 1) {
            found = str_equal(key, name);
            if (found)
                text_add_str(out, value);
        }
        properties_end(&p);
    }
    text_deinit(&content);
    return rc < 0 ? rc : found ? 0 : -ENOENT;
}

int settings_look(void *ctx, struct str source, struct str name, struct text *out)
{
    if (str_equal(source, STR("env")))
        return look_env(name, out);
    if (str_equal(source, STR("file")))
        return look_file(name, out);
    return -ENOTSUP;
}

/* ---- pairs --------------------------------------------------------------------------------------------- */

static void warn_unknown(struct telemetry *t, struct str name)
{
    char *key = str_dup(name);
    const char *near = setting_nearest(&broker_settings, name);

    if (!setting_is_prefixed(name))
        say(t, LOG_WARN, "settings", "there is no setting %s%s%s%s: it has no effect", key,
            near == NULL ? "" : " (did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?)");
    free(key);
}

static int set(const struct load *l, struct config *c, struct str name, struct str raw, struct fail *f)
{
    struct text value = {0};
    int rc = config_expand(raw, settings_look, NULL, &value, f);

    if (rc == 0)
        rc = config_set(c, CONFIG_STATIC_BROKER, name, text_str(&value), f);
    text_deinit(&value);
    if (rc != -ENOENT)
        return rc;
    f->error = 0;
    warn_unknown(l->telemetry, name);
    return 0;
}

static int take_file(const struct load *l, struct config *c, struct fail *f)
{
    struct text content = {0};
    struct properties p;
    struct str name, value;
    int rc = 0;

    if (l->file == NULL)
        text_add_str(&content, str_of(local_default));
    else
        rc = read_file(l->file, &content, f);
    if (rc == 0) {
        properties_begin(&p, text_str(&content));
        while ((rc = properties_next(&p, &name, &value, f)) == 1) {
            rc = set(l, c, name, value, f);
            if (rc < 0)
                break;
        }
        if (rc < 0 && l->file != NULL)
            fail_wrap(f, "%s", l->file);
        properties_end(&p);
    }
    text_deinit(&content);
    return rc;
}

static int take_environment(const struct load *l, struct config *c, struct fail *f)
{
    struct text name = {0};
    int rc = 0;

    for (char **at = l->environment; at != NULL && *at != NULL && rc == 0; at++) {
        struct str rest = str_of(*at), variable;
        text_clear(&name);
        if (!str_cut(&rest, '=', &variable) || !config_env_name(variable, &name))
            continue;
        rc = set(l, c, text_str(&name), rest.n < 0 ? STR("") : rest, f);
        if (rc < 0)
            fail_wrap(f, "environment variable %.*s", STR_ARG(variable));
    }
    text_deinit(&name);
    return rc;
}

static int take_overrides(const struct load *l, struct config *c, struct fail *f)
{
    for (int i = 0; i < l->override_count; i++) {
        struct str rest = str_of(l->overrides[i]), name;
        const char *equals = strchr(l->overrides[i], '=');
        if (equals == NULL || !str_cut(&rest, '=', &name))
            return fail_set(f, -EINVAL, "--override %s: KEY=VALUE is expected", l->overrides[i]);
        if (set(l, c, str_trim(name), str_of(equals + 1), f) < 0)
            return fail_wrap(f, "--override %s", l->overrides[i]);
    }
    return 0;
}

/* What is set and does nothing is said, or somebody relies on it. */
static void warn_idle(const struct load *l, const struct config *c)
{
    struct text names = {0};
    struct str value;

    for (uint32_t id = 0; id < broker_settings.count; id++) {
        const struct setting *s = &broker_settings.settings[id];
        if (!s->acts && config_text_at(c, CONFIG_STATIC_BROKER, id, &value))
            text_printf(&names, "%s%s", names.n > 0 ? ", " : "", s->name);
    }
    if (names.n > 0)
        say(l->telemetry, LOG_WARN, "settings", "known, but without effect yet: %s", names.p);
    text_deinit(&names);
}

int load_settings(const struct load *l, struct config **out, struct fail *f)
{
    struct config *c = config_new(&broker_settings);
    int rc = take_file(l, c, f);

    if (rc == 0)
        rc = take_environment(l, c, f);
    if (rc == 0)
        rc = take_overrides(l, c, f);
    if (rc == 0)
        rc = config_fill_one_node(c, f);
    if (rc == 0)
        rc = config_check_broker(c, f);
    if (rc < 0) {
        config_free(c);
        return rc;
    }
    warn_idle(l, c);
    *out = c;
    return 0;
}
