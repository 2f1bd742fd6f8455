/* Settings as the caller gives them: pairs, kept until a handle takes those that it knows. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "library/internal.h"

#define FILE_BYTES_MAX (1u << 20)

struct pair {
    struct list node;
    char *name, *value;
};

struct mr_settings {
    struct list pairs; /* in the order given: the last of a name counts */
};

static const struct config_table *const tables[] = {&producer_settings, &consumer_settings, &admin_settings};
#define TABLES (sizeof tables / sizeof tables[0])

struct mr_settings *mr_settings_new(void)
{
    struct mr_settings *s = malloc(sizeof *s);

    if (s != NULL)
        list_init(&s->pairs);
    return s;
}

void mr_settings_free(struct mr_settings *s)
{
    if (s == NULL)
        return;
    for (struct list *node; (node = list_take_head(&s->pairs)) != NULL;) {
        struct pair *p = container_of(node, struct pair, node);
        free(p->name);
        free(p->value);
        free(p);
    }
    free(s);
}

/* At least one table has it, and each that has it accepts the value. 1: but none acts by it. */
static int check(struct str name, struct str value, struct mr_error *e)
{
    const char *near = NULL;
    bool known = false, acts = false;

    for (size_t i = 0; i < TABLES; i++) {
        struct fail f = {0};
        int id = setting_find(tables[i], name);
        if (id >= 0 && setting_check(&tables[i]->settings[id], value, &f) < 0)
            return error_fail(e, &f);
        known = known || id >= 0;
        acts = acts || (id >= 0 && tables[i]->settings[id].acts);
        if (near == NULL)
            near = setting_nearest(tables[i], name);
    }
    if (known)
        return acts ? 0 : 1;
    return error_set(e, MR_INVALID, MR_REPAIR, true, "there is no setting %.*s%s%s%s", STR_ARG(name),
                     near == NULL ? "" : "; did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

static int add(struct mr_settings *s, struct str name, struct str value, struct mr_error *e)
{
    int rc = check(name, value, e);

    if (rc < 0)
        return rc;
    struct pair *p = malloc(sizeof *p);
    if (p == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_set");
    p->name = str_dup(name);
    p->value = str_dup(value);
    list_add_tail(&s->pairs, &p->node);
    return rc;
}

int mr_set(struct mr_settings *s, const char *name, const char *value, struct mr_error *e)
{
    if (name == NULL || value == NULL)
        return error_set(e, MR_INVALID, MR_REPAIR, true, "mr_set: a name and a value are needed");
    return add(s, str_of(name), str_of(value), e);
}

const char *mr_setting_help(const char *name)
{
    const char *help = NULL;

    for (size_t i = 0; i < TABLES; i++) {
        int id = setting_find(tables[i], str_of(name));
        if (id >= 0 && tables[i]->settings[id].acts)
            return tables[i]->settings[id].help;
        if (id >= 0)
            help = tables[i]->settings[id].help;
    }
    return help;
}

static int read_file(const char *path, struct text *out, struct mr_error *e)
{
    char piece[4096];
    size_t n;
    FILE *in = fopen(path, "re");

    if (in == NULL)
        return error_set(e, MR_SYSTEM, MR_REPAIR, true, "cannot read %s: %s", path, error_text(-errno));
    while ((n = fread(piece, 1, sizeof piece, in)) > 0 && out->n <= FILE_BYTES_MAX)
        text_add(out, piece, n);
    bool failed = ferror(in) != 0;
    fclose(in);
    if (failed)
        return error_set(e, MR_SYSTEM, MR_REPAIR, true, "cannot read %s", path);
    if (out->n > FILE_BYTES_MAX)
        return error_set(e, MR_INVALID, MR_REPAIR, true, "%s is larger than %u bytes: it is no settings file", path,
                         FILE_BYTES_MAX);
    return 0;
}

int mr_settings_read(struct mr_settings *s, const char *path, struct mr_error *e)
{
    struct text content = {0};
    struct properties p;
    struct str name, value;
    struct fail f = {0};
    int rc = read_file(path, &content, e), idle = 0;

    if (rc == 0) {
        properties_begin(&p, text_str(&content));
        while (rc >= 0 && (rc = properties_next(&p, &name, &value, &f)) == 1) {
            rc = add(s, name, value, e);
            idle += rc == 1;
        }
        properties_end(&p);
        if (f.error < 0) {
            fail_wrap(&f, "%s", path);
            rc = error_fail(e, &f);
        }
    }
    text_deinit(&content);
    return rc < 0 ? rc : idle;
}

struct config *settings_config(const struct mr_settings *s, const struct config_table *table, struct mr_error *e)
{
    struct config *c = config_new(table);
    struct fail f = {0};

    LIST_EACH(it, &s->pairs) {
        const struct pair *p = container_of(it, struct pair, node);
        if (setting_find(table, str_of(p->name)) < 0)
            continue; /* of another kind of handle */
        if (config_set(c, CONFIG_STATIC_BROKER, str_of(p->name), str_of(p->value), &f) < 0) {
            error_fail(e, &f);
            config_free(c);
            return NULL;
        }
    }
    return c;
}
