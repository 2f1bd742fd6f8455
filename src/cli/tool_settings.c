/* Settings of a tool: from a file, from words. */
#include "cli/tool.h"

struct str tool_config_path(const struct tool *t)
{
    const struct tool_info *info = t->info;

    if (info->config >= 0 && given(t, info->config))
        return value_of(t, info->config);
    return info->old_config >= 0 ? value_of(t, info->old_config) : STR_NULL;
}

int tool_file_take(struct tool *t, struct config *c)
{
    struct properties p;
    struct str name, value;
    int more, error = 0;

    properties_begin(&p, text_str(&t->file));
    while (error == 0 && (more = properties_next(&p, &name, &value, &t->fail)) != 0) {
        error = more < 0 ? more : config_set(c, CONFIG_STATIC_BROKER, name, value, &t->fail);
        if (error == -ENOENT) { /* the file may be for other clients, too */
            t->fail = (struct fail){0};
            error = 0;
        }
    }
    properties_end(&p);
    if (error < 0)
        return fail_wrap(&t->fail, "%.*s", STR_ARG(tool_config_path(t)));
    return 0;
}

void pair_cut(struct str word, struct str *name, struct str *value)
{
    const char *equals = word.n > 0 ? memchr(word.p, '=', (size_t)word.n) : NULL;

    *name = word;
    *value = STR("");
    if (equals == NULL)
        return;
    name->n = (int32_t)(equals - word.p);
    *value = (struct str){equals + 1, word.n - name->n - 1};
}

/* What nobody knows or heeds is said, and is no mistake: the words may be for Kafka's tool. */
static int take_properties(struct tool *t, int option)
{
    for (uint32_t i = 0; option >= 0 && i < t->found[option].count; i++) {
        struct str name, value;
        struct fail f = {0};

        pair_cut(t->found[option].values[i], &name, &value);
        int rc = client_setting_set(t->config, name, value, &f);
        if (rc == -ENOENT)
            text_printf(&t->cli->err, "%s: %s\n", t->info->program, f.text);
        else if (rc == 1)
            text_printf(&t->cli->err, "%s: %.*s has no effect here: %s\n", t->info->program, STR_ARG(name),
                        t->info->settings->settings[setting_find(t->info->settings, name)].help);
        else if (rc < 0)
            return fail_set(&t->fail, rc, "%s", f.text);
    }
    return 0;
}

static int take_servers(struct tool *t, int option, struct str name)
{
    if (option < 0 || !given(t, option))
        return 0;
    if (config_set(t->config, CONFIG_STATIC_BROKER, name, value_of(t, option), &t->fail) == 0)
        return 0;
    return fail_wrap(&t->fail, "--%s", t->info->options[option].name);
}

int tool_settings_take(struct tool *t)
{
    TRY(tool_file_take(t, t->config));
    if (t->info->settings != NULL) {
        TRY(take_properties(t, t->info->old_property));
        TRY(take_properties(t, t->info->property));
    }
    TRY(take_servers(t, t->info->server, STR("bootstrap.servers")));
    return take_servers(t, t->info->controller, STR("bootstrap.controllers"));
}

int setting_default(struct tool *t, const char *name, const char *value)
{
    int id = setting_find(t->info->settings, str_of(name));

    ASSERT(id >= 0);
    if (config_source(t->config, (uint32_t)id) != CONFIG_DEFAULT)
        return 0;
    return config_set(t->config, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &t->fail);
}

int setting_merge(struct tool *t, int option, const char *name, const char *otherwise)
{
    if (!given(t, option))
        return otherwise == NULL ? 0 : setting_default(t, name, otherwise);
    if (config_set(t->config, CONFIG_STATIC_BROKER, str_of(name), value_of(t, option), &t->fail) == 0)
        return 0;
    return fail_wrap(&t->fail, "--%s", t->info->options[option].name);
}
