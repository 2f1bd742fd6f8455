/* kafka-broker-api-versions.sh: which APIs each broker serves. */
#include "cli/tool.h"

enum { AV_SERVER, AV_COMMAND_CONFIG, AV_OPTIONS };

static const struct arg_option options[AV_OPTIONS] = {
    [AV_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask first; several are tried in turn. All brokers of its cluster are shown."},
    [AV_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
};

struct api_versions {
    struct tool tool;
    struct admin_call nodes;
    struct describe_cluster_request ask_nodes;
    struct api_versions_request ask;
    int32_t at, failures;
};

static const struct describe_cluster_response_brokers *broker_at(const struct api_versions *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);

    return x->at < r->brokers_count ? &r->brokers[x->at] : NULL;
}

static const struct api_versions_response_api_keys *offered(const struct api_versions_response *r, int16_t key)
{
    for (int32_t i = 0; i < r->api_keys_count; i++) {
        if (r->api_keys[i].api_key == key)
            return &r->api_keys[i];
    }
    return NULL;
}

/* "0 to 13 [usable: 13]" of one that both sides know. */
static void print_versions(const struct api *api, const struct api_versions_response_api_keys *k, struct text *out)
{
    int16_t usable = k->max_version < api->high ? k->max_version : api->high;

    if (k->min_version == k->max_version)
        text_printf(out, "%d ", k->min_version);
    else
        text_printf(out, "%d to %d ", k->min_version, k->max_version);
    if (usable < k->min_version || usable < api->low)
        text_printf(out, "[unusable: node too %s]", k->min_version > api->high ? "new" : "old");
    else
        text_printf(out, "[usable: %d]", usable);
}

static void print_broker(struct api_versions *x, const struct api_versions_response *r)
{
    const struct describe_cluster_response_brokers *b = broker_at(x);
    struct text *out = &x->tool.cli->out;
    struct str rack = str_is_null(b->rack) ? STR("null") : b->rack;
    bool first = true;

    text_printf(out, "%.*s:%d (id: %d rack: %.*s isFenced: %s) -> (\n", STR_ARG(b->host), b->port, b->broker_id,
                STR_ARG(rack), b->is_fenced ? "true" : "false");
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        const struct api *api = api_find(key);
        const struct api_versions_response_api_keys *k = offered(r, key);
        if (api == NULL || (k == NULL && (api->listeners & LISTENER_BROKER) == 0))
            continue;
        text_printf(out, "%s\t%s(%d): ", first ? "" : ",\n", api->name, key);
        if (k == NULL)
            text_printf(out, "UNSUPPORTED");
        else
            print_versions(api, k, out);
        first = false;
    }
    for (int32_t i = 0; i < r->api_keys_count; i++) {
        const struct api_versions_response_api_keys *k = &r->api_keys[i];
        if (api_find(k->api_key) == NULL)
            text_printf(out, ",\n\tUNKNOWN(%d): %d to %d", k->api_key, k->min_version, k->max_version);
    }
    text_printf(out, "\n)\n");
}

static void api_versions_run(struct flow *f)
{
    struct api_versions *x = container_of(f, struct api_versions, tool.work);

    FLOW_BEGIN(f);
    describe_cluster_request_init(&x->ask_nodes);
    api_versions_request_init(&x->ask);
    x->ask.client_software_name = STR("millrace");
    x->ask.client_software_version = STR(MILLRACE_VERSION);
    FLOW_WAIT(f, "brokers", admin_describe_cluster(x->tool.admin, &x->nodes, &x->ask_nodes, &f->op));
    if (f->result < 0) {
        f->result = call_trouble(&x->tool, &x->nodes);
        goto ended;
    }
    for (; broker_at(x) != NULL; x->at++) {
        x->tool.call.to_node = true;
        x->tool.call.node_id = broker_at(x)->broker_id;
        FLOW_WAIT(f, "versions", admin_api_versions(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        if (f->result == 0) {
            print_broker(x, admin_api_versions_answer(&x->tool.call, 0));
        } else {
            x->failures++;
            text_printf(&x->tool.cli->out, "%.*s:%d (id: %d) -> ERROR: %s\n", STR_ARG(broker_at(x)->host),
                        broker_at(x)->port, broker_at(x)->broker_id, x->tool.call.fail.text);
        }
        admin_call_release(&x->tool.call);
    }
    f->result = 0;
    FLOW_END(f);
ended:
    flow_done(f, f->result);
}

static void api_versions_end(struct tool *t)
{
    admin_call_release(&container_of(t, struct api_versions, tool)->nodes);
}

const struct tool_info kafka_broker_api_versions = {
    .program = "kafka-broker-api-versions.sh",
    .usage = "-b HOST:PORT",
    .purpose = "Which APIs each broker serves, in which versions, and which of them this tool would use.",
    .options = options,
    .option_count = AV_OPTIONS,
    .state_bytes = sizeof(struct api_versions),
    .server = AV_SERVER,
    .controller = -1,
    .config = AV_COMMAND_CONFIG,
    .old_config = -1,
    .run = api_versions_run,
    .end = api_versions_end,
};
