/* version-mapping and feature-dependencies: the tables of releases and levels. */
#include "cli/internal.h"

/* All releases whose levels may be used, joined by commas. */
static void print_releases(struct text *out)
{
    const struct feature *f = &features[FEATURE_METADATA_VERSION];

    for (int i = 0; i < f->level_count; i++) {
        if (f->levels[i].production)
            text_printf(out, "%s%s", i == 0 ? "" : ", ", f->levels[i].name);
    }
}

static bool may_be_used(const struct metadata_version *v)
{
    return v != NULL && v->level <= features[FEATURE_METADATA_VERSION].latest;
}

const struct metadata_version *storage_release(struct str name, struct fail *f)
{
    const struct metadata_version *v = metadata_version_find_by_name(name);
    struct text known = {0};

    if (may_be_used(v))
        return v;
    print_releases(&known);
    fail_set(f, -EINVAL, "Unknown metadata.version '%.*s'. Supported metadata.version are: %.*s",
             STR_ARG(name), STR_ARG(text_str(&known)));
    text_deinit(&known);
    return NULL;
}

int storage_version_mapping(struct cli *c, int argc, char **argv)
{
    static const char usage[] = "usage: kafka-storage version-mapping [-h]\n"
                                "                     [--release-version RELEASE_VERSION]\n";
    static const char help[] =
        "\n"
        "optional arguments:\n"
        "  -h, --help             show this help message and exit\n"
        "  --release-version RELEASE_VERSION, -r RELEASE_VERSION\n"
        "                         The release whose levels to print. The minimum is\n"
        "                         3.3-IV3; the default is 4.3-IV0\n";
    static const struct arg_option options[] = {{"release-version", 'r', .has_value = true}};
    struct arg_found found[1];
    struct fail f = {0};

    switch (args_read(argc - 1, argv + 1, PROGRAM, usage, options, 1, found, &c->err)) {
    case ARGS_WRONG:
        return 1;
    case ARGS_HELP:
        text_printf(&c->out, "%s%s", usage, help);
        return 0;
    case ARGS_OK:
        break;
    }
    const struct metadata_version *v = metadata_version_find(FORMAT_METADATA_VERSION);
    struct str name = str_of(v->name);
    if (found[0].count > 0) {
        name = found[0].values[found[0].count - 1];
        v = storage_release(name, &f);
    }
    if (v == NULL) {
        text_printf(&c->err, "%s\n", f.text);
        return 1;
    }
    text_printf(&c->out, "metadata.version=%d (%.*s)\n", v->level, STR_ARG(name));
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (i != FEATURE_METADATA_VERSION)
            text_printf(&c->out, "%s=%d\n", features[i].name, v->defaults[i]);
    }
    return 0;
}

/* ---- feature-dependencies ---------------------------------------------------------------- */

static int dependencies_of_release(struct cli *c, int64_t level)
{
    const struct metadata_version *v =
        level < INT16_MIN || level > INT16_MAX ? NULL : metadata_version_find((int16_t)level);

    if (!may_be_used(v)) {
        text_printf(&c->err, "Unknown metadata.version %" PRId64 "\n", level);
        return 1;
    }
    text_printf(&c->out, "metadata.version=%d (%s) has no dependencies.\n", v->level, v->name);
    return 0;
}

static int dependencies_of(struct cli *c, struct str asked)
{
    struct str value = asked, name;
    int64_t level;

    if (asked.n <= 0 || memchr(asked.p, '=', (size_t)asked.n) == NULL) {
        text_printf(&c->err,
                    "Invalid feature format: %.*s. Expected format: 'feature=version' (e.g. "
                    "'group.version=1')\n",
                    STR_ARG(asked));
        return 1;
    }
    (void)str_cut(&value, '=', &name);
    enum feature_id id = feature_find(name);
    if (id == FEATURE_COUNT) {
        text_printf(&c->err, "Unknown feature: %.*s\n", STR_ARG(name));
        return 1;
    }
    if (str_to_i64(value, INT16_MIN, INT16_MAX, &level) < 0) {
        text_printf(&c->err, "Invalid version format: %.*s for feature %.*s\n", STR_ARG(value),
                    STR_ARG(name));
        return 1;
    }
    if (id == FEATURE_METADATA_VERSION)
        return dependencies_of_release(c, level);
    const struct feature *f = &features[id];
    if (level < f->low || level > f->latest) {
        text_printf(&c->err, "Feature level %" PRId64 " is not supported for feature %s\n", level,
                    f->name);
        return 1;
    }
    int16_t needs = f->levels[level - f->low].needs_metadata_version;
    if (needs == 0)
        text_printf(&c->out, "%s=%" PRId64 " has no dependencies.\n", f->name, level);
    else
        text_printf(&c->out, "%s=%" PRId64 " requires:\n    metadata.version=%d (%s)\n", f->name,
                    level, needs, metadata_version_find(needs)->name);
    return 0;
}

int storage_feature_dependencies(struct cli *c, int argc, char **argv)
{
    static const char usage[] =
        "usage: kafka-storage feature-dependencies [-h] --feature FEATURE\n";
    static const char help[] =
        "\n"
        "optional arguments:\n"
        "  -h, --help             show this help message and exit\n"
        "  --feature FEATURE, -f FEATURE\n"
        "                         A level whose needs to print, as feature=version; may\n"
        "                         be repeated. For example: `metadata.version=5`.\n";
    static const struct arg_option options[] = {
        {"feature", 'f', .has_value = true, .required = true}};
    struct arg_found found[1];
    int status = 0;

    switch (args_read(argc - 1, argv + 1, PROGRAM, usage, options, 1, found, &c->err)) {
    case ARGS_WRONG:
        return 1;
    case ARGS_HELP:
        text_printf(&c->out, "%s%s", usage, help);
        return 0;
    case ARGS_OK:
        break;
    }
    for (uint32_t i = 0; i < found[0].count && status == 0; i++)
        status = dependencies_of(c, found[0].values[i]);
    return status;
}
