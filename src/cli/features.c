/* kafka-features.sh: levels of features, and changing them. */
#include "cli/tool.h"

#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_MS 60000

enum {
    FE_CONTROLLER,
    FE_SERVER,
    FE_COMMAND_CONFIG,
    FE_DRY_RUN,
    FE_FEATURE,
    FE_METADATA,
    FE_NODE,
    FE_RELEASE,
    FE_UNSAFE,
    FE_OPTIONS,
};

static const struct arg_option options[FE_OPTIONS] = {
    [FE_CONTROLLER] = {"bootstrap-controller", .has_value = true, .value = "HOST:PORT,...",
                       .help = "Ask a controller instead, by its own listener."},
    [FE_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [FE_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [FE_DRY_RUN] = {"dry-run", .help = "upgrade, downgrade, disable: only say whether it could be done."},
    [FE_FEATURE] = {"feature", .has_value = true, .value = "NAME=LEVEL",
                    .help = "The feature and its level (disable: the name alone); may be repeated."},
    [FE_METADATA] = {"metadata", .has_value = true, .value = "RELEASE",
                     .help = "The old way to say --feature metadata.version=LEVEL: 4.2-IV1."},
    [FE_NODE] = {"node-id", .has_value = true, .value = "ID", .help = "describe: the node that is asked, not any."},
    [FE_RELEASE] = {"release-version", .has_value = true, .value = "RELEASE",
                    .help = "All features to what they are in this release: 4.3-IV0."},
    [FE_UNSAFE] = {"unsafe", .help = "downgrade, disable: even if metadata is lost."},
};

/* UpdateFeatures' kinds of change. */
enum { TYPE_UPGRADE = 1, TYPE_DOWNGRADE = 2, TYPE_UNSAFE_DOWNGRADE = 3 };

enum features_action { DESCRIBE, UPGRADE, DOWNGRADE, DISABLE, VERSION_MAPPING, DEPENDENCIES };

struct features_tool {
    struct tool tool;
    int action;
    struct api_versions_request ask;
    struct update_features_request update;
    struct update_features_request_feature_updates updates[ARG_VALUES_MAX + FEATURE_COUNT + 1];
};

/* ---- words ------------------------------------------------------------------------------------ */

static void add_update(struct features_tool *x, struct str name, int64_t level)
{
    struct update_features_request_feature_updates *u = &x->updates[x->update.feature_updates_count++];

    update_features_request_feature_updates_init(u);
    u->feature = name;
    u->max_version_level = (int16_t)level;
    u->upgrade_type = x->action == UPGRADE         ? TYPE_UPGRADE
                      : given(&x->tool, FE_UNSAFE) ? TYPE_UNSAFE_DOWNGRADE
                                                   : TYPE_DOWNGRADE;
}

static int take_feature(struct features_tool *x, struct str text)
{
    struct str rest = text, name;
    int64_t level = 0;

    if (x->action == DISABLE) {
        add_update(x, text, 0);
        return 0;
    }
    if (!str_cut(&rest, '=', &name) || str_to_i64(str_trim(rest), 0, INT16_MAX, &level) < 0)
        return fail_set(&x->tool.fail, -EINVAL, "Can't parse feature=level string %.*s: group.version=1 would be right",
                        STR_ARG(text));
    add_update(x, str_trim(name), level);
    return 0;
}

static int take_release(struct features_tool *x, int option, bool all)
{
    struct str name = value_of(&x->tool, option);
    const struct metadata_version *v;

    if (!given(&x->tool, option))
        return 0;
    v = storage_release(name, &x->tool.fail);
    if (v == NULL)
        return x->tool.fail.error;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (i == FEATURE_METADATA_VERSION || all)
            add_update(x, str_of(features[i].name), v->defaults[i]);
    }
    return 0;
}

static int compare_updates(const void *a, const void *b)
{
    return str_compare(((const struct update_features_request_feature_updates *)a)->feature,
                       ((const struct update_features_request_feature_updates *)b)->feature);
}

static int take_updates(struct features_tool *x)
{
    static const char *const verbs[] = {[UPGRADE] = "upgrade", [DOWNGRADE] = "downgrade", [DISABLE] = "disable"};
    struct tool *t = &x->tool;

    update_features_request_init(&x->update);
    x->update.timeout_ms = TIMEOUT_MS;
    x->update.feature_updates = x->updates;
    x->update.validate_only = given(t, FE_DRY_RUN);
    if (given(t, FE_RELEASE) && (given(t, FE_FEATURE) || given(t, FE_METADATA)))
        return fail_set(&t->fail, -EINVAL, "Can not specify `release-version` with other feature flags.");
    if (given(t, FE_METADATA))
        text_printf(&t->cli->out, " `metadata` flag is deprecated and may be removed in a future release.\n");
    TRY(take_release(x, FE_METADATA, false));
    TRY(take_release(x, FE_RELEASE, true));
    for (uint32_t i = 0; i < t->found[FE_FEATURE].count; i++)
        TRY(take_feature(x, t->found[FE_FEATURE].values[i]));
    if (x->update.feature_updates_count == 0)
        return fail_set(&t->fail, -EINVAL, "You must specify at least one feature to %s", verbs[x->action]);
    qsort(x->updates, (size_t)x->update.feature_updates_count, sizeof(*x->updates), compare_updates);
    return 0;
}

static int features_check(struct tool *t)
{
    static const char *const words[] = {"describe", "upgrade",         "downgrade",
                                        "disable",  "version-mapping", "feature-dependencies"};
    struct features_tool *x = container_of(t, struct features_tool, tool);
    int64_t n;

    x->action = -1;
    for (int i = 0; t->word_count == 1 && i < (int)array_count(words); i++) {
        if (str_equal(t->words[0], str_of(words[i])))
            x->action = i;
    }
    if (x->action < 0)
        return wrong_words(
            t, "one of describe, upgrade, downgrade, disable, version-mapping, feature-dependencies is expected");
    if (x->action == VERSION_MAPPING || x->action == DEPENDENCIES)
        return 0;
    if (!given(t, FE_SERVER) && !given(t, FE_CONTROLLER))
        return wrong_words(t,
                           "Command line error: You must specify either --bootstrap-controller or --bootstrap-server.");
    if (given(t, FE_NODE))
        TRY(number_of(t, FE_NODE, 0, INT32_MAX, &n));
    return x->action == DESCRIBE ? 0 : take_updates(x);
}

/* ---- describe --------------------------------------------------------------------------------- */

static struct str level_name(struct features_tool *x, struct str feature, int16_t level)
{
    const struct metadata_version *v = metadata_version_find(level);

    if (!str_equal(feature, STR("metadata.version")))
        return arena_printf(&x->tool.arena, "%d", level);
    return v == NULL ? arena_printf(&x->tool.arena, "UNKNOWN %d", level) : str_of(v->name);
}

static int16_t finalized(const struct api_versions_response *r, struct str feature)
{
    for (int32_t i = 0; i < r->finalized_features_count; i++) {
        if (str_equal(r->finalized_features[i].name, feature))
            return r->finalized_features[i].max_version_level;
    }
    return 0;
}

static int compare_features(const void *a, const void *b)
{
    return str_compare(((const struct api_versions_response_supported_features *)a)->name,
                       ((const struct api_versions_response_supported_features *)b)->name);
}

static void describe(struct features_tool *x)
{
    const struct api_versions_response *r = admin_api_versions_answer(&x->tool.call, 0);
    struct str epoch = r->finalized_features_epoch < 0
                           ? STR("-")
                           : arena_printf(&x->tool.arena, "%lld", (long long)r->finalized_features_epoch);

    if (r->supported_features_count > 0)
        qsort(r->supported_features, (size_t)r->supported_features_count, sizeof(*r->supported_features),
              compare_features);
    for (int32_t i = 0; i < r->supported_features_count; i++) {
        const struct api_versions_response_supported_features *s = &r->supported_features[i];
        struct str low = level_name(x, s->name, s->min_version), high = level_name(x, s->name, s->max_version);
        struct str level = level_name(x, s->name, finalized(r, s->name));
        text_printf(&x->tool.cli->out,
                    "Feature: %-42.*sSupportedMinVersion: %-17.*sSupportedMaxVersion: %-17.*sFinalizedVersionLevel: "
                    "%-17.*sEpoch: %.*s\n",
                    STR_ARG(s->name), STR_ARG(low), STR_ARG(high), STR_ARG(level), STR_ARG(epoch));
    }
}

/* ---- update ----------------------------------------------------------------------------------- */

static void say_update(struct features_tool *x, const struct update_features_request_feature_updates *u, struct str why)
{
    static const char *const verbs[] = {[UPGRADE] = "upgrade", [DOWNGRADE] = "downgrade", [DISABLE] = "disable"};
    struct text *out = &x->tool.cli->out;
    const char *verb = verbs[x->action];
    struct str to = x->action == DISABLE ? STR("") : arena_printf(&x->tool.arena, " to %d", u->max_version_level);

    if (!str_is_null(why))
        text_printf(out, "%s %s %.*s%.*s. %.*s\n", given(&x->tool, FE_DRY_RUN) ? "Can not" : "Could not", verb,
                    STR_ARG(u->feature), STR_ARG(to), STR_ARG(why));
    else
        text_printf(out, "%.*s %s %sd%.*s.\n", STR_ARG(u->feature), given(&x->tool, FE_DRY_RUN) ? "can be" : "was",
                    verb, STR_ARG(to));
}

/* What is wrong with one update; null = nothing. */
static struct str trouble_of(struct features_tool *x, struct str feature)
{
    const struct update_features_response *r =
        x->tool.call.part_count == 0 ? NULL : admin_update_features_answer(&x->tool.call, 0);

    if (r == NULL)
        return str_of(x->tool.call.fail.text);
    for (int32_t i = 0; i < r->results_count; i++) {
        if (str_equal(r->results[i].feature, feature) && r->results[i].error_code != KERR_NONE)
            return answer_words(r->results[i].error_code, r->results[i].error_message);
    }
    return r->error_code == KERR_NONE ? STR_NULL : answer_words(r->error_code, r->error_message);
}

static int update_answer(struct features_tool *x)
{
    int failed = 0;

    for (int32_t i = 0; i < x->update.feature_updates_count; i++) {
        struct str why = trouble_of(x, x->updates[i].feature);
        failed += !str_is_null(why);
        say_update(x, &x->updates[i], why);
    }
    if (failed == 0)
        return 0;
    return fail_set(&x->tool.fail, -EPROTO, "%d out of %d operation(s) failed.", failed,
                    x->update.feature_updates_count);
}

/* ---- the flow --------------------------------------------------------------------------------- */

/* What kafka-storage.sh says, too; its words are the same. */
static int offline(struct features_tool *x)
{
    char *argv[ARG_VALUES_MAX * 2 + 1] = {(char *)(uintptr_t) "features"};
    int argc = 1, status;
    int option = x->action == VERSION_MAPPING ? FE_RELEASE : FE_FEATURE;

    for (uint32_t i = 0; i < x->tool.found[option].count; i++) {
        argv[argc++] = (char *)(uintptr_t)(option == FE_RELEASE ? "--release-version" : "--feature");
        argv[argc++] = str_dup(x->tool.found[option].values[i]);
    }
    status = x->action == VERSION_MAPPING ? storage_version_mapping(x->tool.cli, argc, argv)
                                          : storage_feature_dependencies(x->tool.cli, argc, argv);
    for (int i = 2; i < argc; i += 2)
        free(argv[i]);
    return status;
}

static void features_run(struct flow *f)
{
    struct features_tool *x = container_of(f, struct features_tool, tool.work);
    int64_t node = -1;

    FLOW_BEGIN(f);
    if (x->action == VERSION_MAPPING || x->action == DEPENDENCIES) {
        FLOW_WAIT(f, "tables", io_yield(x->tool.io, &f->op));
        f->result = offline(x);
    } else if (x->action == DESCRIBE) {
        api_versions_request_init(&x->ask);
        x->ask.client_software_name = STR("millrace");
        x->ask.client_software_version = STR(MILLRACE_VERSION);
        x->tool.call.to_node =
            given(&x->tool, FE_NODE) && str_to_i64(value_of(&x->tool, FE_NODE), 0, INT32_MAX, &node) == 0;
        x->tool.call.node_id = (int32_t)node;
        FLOW_WAIT(f, "features", admin_api_versions(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->tool.call);
        else
            describe(x);
    } else {
        FLOW_WAIT(f, "update", admin_update_features(x->tool.admin, &x->tool.call, &x->update, &f->op));
        f->result = update_answer(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

const struct tool_info kafka_features = {
    .program = "kafka-features.sh",
    .usage = "(-b HOST:PORT | --bootstrap-controller HOST:PORT) describe [--node-id ID]\n"
             "-b HOST:PORT (upgrade | downgrade | disable) (--feature NAME=LEVEL | --release-version RELEASE)\n"
             "version-mapping [--release-version RELEASE]\n"
             "feature-dependencies --feature NAME=LEVEL",
    .purpose = "Levels of the cluster's features, and changing them.",
    .commands = "describe upgrade downgrade disable version-mapping feature-dependencies",
    .options = options,
    .option_count = FE_OPTIONS,
    .words_max = 1,
    .state_bytes = sizeof(struct features_tool),
    .server = FE_SERVER,
    .controller = FE_CONTROLLER,
    .config = FE_COMMAND_CONFIG,
    .old_config = -1,
    .offline = true,
    .check = features_check,
    .run = features_run,
};
