/* format: the words of the command line into what quorum_format is to do. */
#include "cli/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID\n"
    "                     [--add-scram ADD_SCRAM] [--ignore-formatted]\n"
    "                     [--release-version RELEASE_VERSION]\n"
    "                     [--feature FEATURE] [--standalone |\n"
    "                     --no-initial-controllers |\n"
    "                     --initial-controllers INITIAL_CONTROLLERS]\n";

static const char help[] =
    "\n"
    "optional arguments:\n"
    "  -h, --help             show this help message and exit\n"
    "  --config CONFIG, -c CONFIG\n"
    "                         The settings file of the node.\n"
    "  --cluster-id CLUSTER_ID, -t CLUSTER_ID\n"
    "                         The id of the cluster: the same for all its nodes;\n"
    "                         random-uuid makes one.\n"
    "  --add-scram ADD_SCRAM, -S ADD_SCRAM\n"
    "                         A user to begin with; may be repeated. For example:\n"
    "                         'SCRAM-SHA-256=[name=alice,password=alice-secret]'\n"
    "                         'SCRAM-SHA-512=[name=alice,iterations=8192,salt=\"N3E=\",\n"
    "                         saltedpassword=\"YCE=\"]'\n"
    "  --ignore-formatted, -g\n"
    "                         Leave formatted directories as they are and format\n"
    "                         the others, rather than fail.\n"
    "  --release-version RELEASE_VERSION, -r RELEASE_VERSION\n"
    "                         The release whose feature levels to begin with. The\n"
    "                         minimum is 3.3-IV3; the default is 4.3-IV0. From\n"
    "                         4.4-IV0 on, nodes of 4.3 cannot start on it.\n"
    "  --feature FEATURE, -f FEATURE\n"
    "                         The level of one feature, as feature=level; may be\n"
    "                         repeated. For example: `kraft.version=1`.\n"
    "  --standalone, -s       The node is the only voter of a dynamic quorum.\n"
    "                         controller.quorum.voters must not be set.\n"
    "  --no-initial-controllers, -N\n"
    "                         The node is to join a dynamic quorum that runs.\n"
    "  --initial-controllers INITIAL_CONTROLLERS, -I INITIAL_CONTROLLERS\n"
    "                         The voters of a dynamic quorum, the same for all its\n"
    "                         nodes, as id@host:port:directory joined by commas.\n"
    "                         controller.quorum.voters must not be set. For example:\n"
    "                         0@example.com:8082:JEXY6aqzQY-32P5TStzaFg,\n"
    "                         1@example.com:8083:MvDxzVmcRsaTz33bUuRU6A\n";

enum {
    ARG_CONFIG,
    ARG_CLUSTER_ID,
    ARG_ADD_SCRAM,
    ARG_IGNORE_FORMATTED,
    ARG_RELEASE_VERSION,
    ARG_FEATURE,
    ARG_STANDALONE,
    ARG_NO_INITIAL_CONTROLLERS,
    ARG_INITIAL_CONTROLLERS,
    ARG_COUNT,
};

static const struct arg_option options[ARG_COUNT] = {
    [ARG_CONFIG] = {"config", 'c', .has_value = true, .required = true},
    [ARG_CLUSTER_ID] = {"cluster-id", 't', .has_value = true, .required = true},
    [ARG_ADD_SCRAM] = {"add-scram", 'S', .has_value = true},
    [ARG_IGNORE_FORMATTED] = {"ignore-formatted", 'g'},
    [ARG_RELEASE_VERSION] = {"release-version", 'r', .has_value = true},
    [ARG_FEATURE] = {"feature", 'f', .has_value = true},
    [ARG_STANDALONE] = {"standalone", 's', .group = 1},
    [ARG_NO_INITIAL_CONTROLLERS] = {"no-initial-controllers", 'N', .group = 1},
    [ARG_INITIAL_CONTROLLERS] = {"initial-controllers", 'I', .has_value = true, .group = 1},
};

struct format {
    struct cli *cli;
    struct flow flow;
    struct op done;
    struct op *parent;
    struct arg_found found[ARG_COUNT];
    char *path; /* of the settings */
    struct settings_load load;
    struct fail fail;
    struct settings_dirs dirs;
    struct image_feature_level features[ARG_VALUES_MAX];
    struct text scram[ARG_VALUES_MAX];
    struct bytes extra[ARG_VALUES_MAX];
    struct format_options o;
};

static struct str last(const struct format *s, int arg)
{
    return s->found[arg].values[s->found[arg].count - 1];
}

static bool given(const struct format *s, int arg)
{
    return s->found[arg].count > 0;
}

/* ---- releases and features --------------------------------------------------------------- */

/* name=level, as --feature takes it. */
static int parse_feature(struct str asked, struct image_feature_level *out, struct fail *f)
{
    struct str value = asked, name;
    int64_t level;

    if (asked.n <= 0 || memchr(asked.p, '=', (size_t)asked.n) == NULL)
        return fail_set(f, -EINVAL, "Can't parse feature=level string %.*s: equals sign not found.",
                        STR_ARG(asked));
    (void)str_cut(&value, '=', &name);
    if (str_to_i64(str_trim(value), INT16_MIN, INT16_MAX, &level) < 0)
        return fail_set(f, -EINVAL,
                        "Can't parse feature=level string %.*s: unable to parse %.*s as a short.",
                        STR_ARG(asked), STR_ARG(value));
    *out = (struct image_feature_level){str_trim(name), (int16_t)level};
    return 0;
}

/* metadata.version may be said as a feature too, but not in both ways. */
static int take_features(struct format *s)
{
    s->o.metadata_version = FORMAT_METADATA_VERSION;
    if (given(s, ARG_RELEASE_VERSION)) {
        const struct metadata_version *v = storage_release(last(s, ARG_RELEASE_VERSION), &s->fail);
        if (v == NULL)
            return s->fail.error;
        s->o.metadata_version = v->level;
    }
    for (uint32_t i = 0; i < s->found[ARG_FEATURE].count; i++) {
        struct image_feature_level asked;
        TRY(parse_feature(s->found[ARG_FEATURE].values[i], &asked, &s->fail));
        if (!str_equal(asked.name, STR("metadata.version"))) {
            s->features[s->o.feature_count++] = asked;
            continue;
        }
        if (given(s, ARG_RELEASE_VERSION))
            return fail_set(
                &s->fail, -EINVAL,
                "Use --release-version instead of --feature metadata.version=X to avoid "
                "ambiguity.");
        if (metadata_version_find(asked.level) == NULL ||
            asked.level > features[FEATURE_METADATA_VERSION].latest)
            return fail_set(&s->fail, -EINVAL, "No MetadataVersion with feature level %d",
                            asked.level);
        s->o.metadata_version = asked.level;
    }
    s->o.features = s->features;
    return 0;
}

static int take_scram(struct format *s)
{
    uint32_t count = s->found[ARG_ADD_SCRAM].count;

    if (count > 0 && s->o.metadata_version < 11)
        return fail_set(&s->fail, -EINVAL,
                        "SCRAM is only supported in metadata.version 3.5-IV2 or later.");
    for (uint32_t i = 0; i < count; i++) {
        TRY(scram_record(s->cli->io, s->found[ARG_ADD_SCRAM].values[i], &s->scram[i], &s->fail));
        s->extra[i] = bytes_of_str(text_str(&s->scram[i]));
    }
    s->o.extra_framed = s->extra;
    s->o.extra_count = count;
    return 0;
}

/* ---- voters ------------------------------------------------------------------------------ */

static int set_endpoint(struct raft_voter *v, struct str name, const char *host, uint16_t port,
                        struct fail *f)
{
    struct raft_endpoint *e = &v->endpoints[0];

    if (name.n <= 0 || (size_t)name.n >= sizeof(e->name))
        return fail_set(f, -EINVAL, "controller.listener.names names no listener");
    snprintf(e->name, sizeof(e->name), "%.*s", STR_ARG(name));
    snprintf(e->host, sizeof(e->host), "%s", host);
    e->port = port;
    v->endpoint_count = 1;
    v->kraft_version_min = 0;
    v->kraft_version_max = 1;
    return 0;
}

static struct str controller_listener(const struct format *s)
{
    struct str rest = config_str(s->load.config, BROKER_CONTROLLER_LISTENER_NAMES), name = STR_NULL;

    (void)str_cut(&rest, ',', &name);
    return str_trim(name);
}

/* id@host:port:directory; the host perhaps an IPv6 address in brackets. */
static int parse_voter(struct format *s, struct str text, struct raft_voter *v)
{
    struct str rest = text, part;
    char address[300], host[256];
    int64_t id, port;
    int32_t colon;

    if (memchr(text.p, '@', (size_t)text.n) == NULL)
        return fail_set(&s->fail, -EINVAL, "No @ found in dynamic voter string.");
    (void)str_cut(&rest, '@', &part);
    if (str_to_i64(str_trim(part), 0, INT32_MAX, &id) < 0)
        return fail_set(&s->fail, -EINVAL, "Failed to parse node id in dynamic voter string.");
    v->id = (int32_t)id;
    for (colon = rest.n - 1; colon >= 0 && rest.p[colon] != ':'; colon--)
        ;
    struct str hostport = {rest.p, colon < 0 ? 0 : colon};
    if (memchr(hostport.p, ':', (size_t)hostport.n) == NULL || str_ends(hostport, STR("]")))
        return fail_set(&s->fail, -EINVAL, "No colon following port could be found.");
    if (uuid_parse((struct str){rest.p + colon + 1, rest.n - colon - 1}, &v->directory_id) < 0)
        return fail_set(&s->fail, -EINVAL, "Failed to parse directory ID in dynamic voter string.");
    for (colon = hostport.n - 1; hostport.p[colon] != ':'; colon--)
        ;
    if (str_to_i64((struct str){hostport.p + colon + 1, hostport.n - colon - 1}, 0, UINT16_MAX,
                   &port) < 0)
        return fail_set(&s->fail, -EINVAL, "Failed to parse port in dynamic voter string.");
    snprintf(address, sizeof(address), "%.*s:1", colon, hostport.p);
    uint16_t ignored;
    if (host_port_parse(str_of(address), host, &ignored) < 0)
        return fail_set(&s->fail, -EINVAL, "Failed to parse host name in dynamic voter string.");
    return set_endpoint(v, controller_listener(s), host, (uint16_t)port, &s->fail);
}

static int parse_voters(struct format *s, struct str text)
{
    struct raft_voters *voters = &s->o.initial_voters;
    struct str part;

    while (str_cut(&text, ',', &part)) {
        if (voters->count == RAFT_VOTERS_MAX)
            return fail_set(&s->fail, ERR_LIMIT, "More than %d voters were specified.",
                            RAFT_VOTERS_MAX);
        struct raft_voter *v = &voters->voters[voters->count];
        TRY(parse_voter(s, str_trim(part), v));
        for (uint32_t i = 0; i < voters->count; i++) {
            if (voters->voters[i].id == v->id)
                return fail_set(&s->fail, -EINVAL,
                                "Node id %" PRId32 " was specified more than once.", v->id);
        }
        voters->count++;
    }
    return 0;
}

static int take_voters(struct format *s)
{
    const struct config *c = s->load.config;
    bool is_static = config_str(c, BROKER_CONTROLLER_QUORUM_VOTERS).n > 0;
    bool is_controller = config_has_role(c, STR("controller"));
    bool standalone = given(s, ARG_STANDALONE), initial = given(s, ARG_INITIAL_CONTROLLERS);

    if (is_static && (standalone || initial))
        return fail_set(&s->fail, -EINVAL,
                        "You cannot specify controller.quorum.voters and format the node with "
                        "--initial-controllers or --standalone. If you want to use dynamic quorum, "
                        "please remove controller.quorum.voters and specify "
                        "controller.quorum.bootstrap.servers instead.");
    if (standalone && !is_controller)
        return fail_set(&s->fail, -EINVAL, "You can only use --standalone on a controller.");
    if (!is_static && is_controller && !standalone && !initial &&
        !given(s, ARG_NO_INITIAL_CONTROLLERS))
        return fail_set(&s->fail, -EINVAL,
                        "Because controller.quorum.voters is not set on this controller, you must "
                        "specify one of the following: --standalone, --initial-controllers, or "
                        "--no-initial-controllers.");
    s->o.no_initial_controllers = given(s, ARG_NO_INITIAL_CONTROLLERS) && !is_static;
    if (initial)
        return parse_voters(s, last(s, ARG_INITIAL_CONTROLLERS));
    if (!standalone)
        return 0;
    s->o.standalone = true;
    s->o.initial_voters.count = 1;
    return quorum_own_voter(s->load.config, s->o.node_id, &s->o.initial_voters.voters[0], &s->fail);
}

/* ---- the command
 * ---------------------------------------------------------------------------------- */

static int take_all(struct format *s)
{
    s->o.cluster_id = last(s, ARG_CLUSTER_ID);
    if (s->o.cluster_id.n == 0 || s->o.cluster_id.n >= 64)
        return fail_set(&s->fail, -EINVAL,
                        "The cluster id \"%.*s\" must have 1 to 63 letters; random-uuid makes one.",
                        STR_ARG(s->o.cluster_id));
    s->o.node_id = config_node_id(s->load.config);
    if (s->o.node_id < 0)
        return fail_set(&s->fail, -EINVAL, "You must specify a valid non-negative node ID.");
    TRY(settings_dirs(s->load.config, &s->dirs, &s->fail));
    s->o.dirs = (const char *const *)s->dirs.paths;
    s->o.dir_count = s->dirs.count;
    s->o.metadata_dir = s->dirs.metadata;
    s->o.ignore_formatted = given(s, ARG_IGNORE_FORMATTED);
    TRY(take_voters(s));
    TRY(take_features(s));
    return take_scram(s);
}

static void format_run(struct flow *f)
{
    struct format *s = container_of(f, struct format, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "settings", settings_load(&s->load, s->cli, s->path, &s->fail, &f->op));
    if (take_all(s) < 0)
        goto failed;
    FLOW_TRY(f, "format", quorum_format(s->cli->io, &s->o, &s->cli->out, &s->fail, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    text_printf(&s->cli->err, "%s\n", s->fail.text);
    flow_done(f, 1);
}

static void format_done(struct op *op, int64_t status)
{
    struct format *s = container_of(op, struct format, done);
    struct op *parent = s->parent;

    config_free(s->load.config);
    settings_dirs_deinit(&s->dirs);
    for (uint32_t i = 0; i < ARG_VALUES_MAX; i++)
        text_deinit(&s->scram[i]);
    free(s->path);
    free(s);
    parent->done(parent, status);
}

void storage_format_run(struct cli *c, int argc, char **argv, struct op *op)
{
    struct format *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    enum args_end end =
        args_read(argc - 1, argv + 1, PROGRAM, usage, options, ARG_COUNT, s->found, &c->err);
    if (end != ARGS_OK) {
        if (end == ARGS_HELP)
            text_printf(&c->out, "%s%s", usage, help);
        free(s);
        io_complete(c->io, op, end == ARGS_HELP ? 0 : 1);
        return;
    }
    s->cli = c;
    s->parent = op;
    s->path = str_dup(last(s, ARG_CONFIG));
    op_init(&s->done, format_done);
    flow_start(&s->flow, format_run, &s->done);
}
