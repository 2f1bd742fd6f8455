/* Settings files from anywhere: read, expand, check, fill in, derive; nothing may break. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *ctx, struct str source, struct str name, struct text *out)
{
    if (!str_equal(source, STR("env")))
        return name.n % 2 == 0 ? -ENOTSUP : -ENOENT;
    text_add_str(out, name);
    return 0;
}

/* Whoever refuses must say why. */
static void refused(int error, const struct fail *f)
{
    if (error < 0 && (f->error != error || f->text[0] == '\0'))
        UNREACHABLE("a refusal without words");
}

/* `guess` says whether to look for the name that was meant, which is slow under a sanitizer. */
static void set(struct config *c, struct str key, struct str value, bool guess)
{
    struct fail f = {0};
    struct text expanded = {0};

    if (config_expand(value, look, NULL, &expanded, &f) == 0) {
        int error = config_set(c, CONFIG_STATIC_BROKER, key, text_str(&expanded), &f);
        if (error == -ENOENT && guess)
            (void)setting_nearest(&broker_settings, key);
        refused(error, &f);
    }
    text_deinit(&expanded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = config_new(&broker_settings);
    struct properties p;
    struct str key, value;
    struct fail f = {0};
    struct text name = {0};
    int error;

    if (size > 100000)
        size = 100000;
    properties_begin(&p, (struct str){(const char *)data, (int32_t)size});
    while ((error = properties_next(&p, &key, &value, &f)) > 0) {
        (void)config_env_name(key, &name);
        set(c, key, value, p.line == 1);
    }
    properties_end(&p);
    refused(error, &f);
    error = config_fill_one_node(c, &f);
    if (error == 0)
        error = config_check_broker(c, &f);
    refused(error, &f);
    struct config *topic = config_topic(c, NULL);
    refused(config_check_topic(topic, c, &f), &f);
    config_free(topic);
    config_free(c);
    text_deinit(&name);
    return 0;
}
