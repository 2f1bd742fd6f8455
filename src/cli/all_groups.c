/* kafka-groups.sh: groups of all types. */
#include "cli/tool.h"

#include <errno.h>

enum {
    KG_SERVER,
    KG_COMMAND_CONFIG,
    KG_CONSUMER,
    KG_TYPE,
    KG_JSON,
    KG_LIST,
    KG_PROTOCOL,
    KG_SHARE,
    KG_STREAMS,
    KG_OPTIONS
};

static const struct arg_option options[KG_OPTIONS] = {
    [KG_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask first; several are tried in turn."},
    [KG_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [KG_CONSUMER] = {"consumer", .help = "Groups of consumers, of both protocols, and those with offsets only."},
    [KG_TYPE] = {"group-type", .has_value = true, .value = "TYPE",
                 .help = "Groups of this type: classic, consumer, share, streams."},
    [KG_JSON] = {"json", .help = "Print JSON."},
    [KG_LIST] = {"list", .help = "List groups. The only thing to do here."},
    [KG_PROTOCOL] = {"protocol", .has_value = true, .value = "PROTOCOL",
                     .help = "Groups whose members speak this: consumer, connect."},
    [KG_SHARE] = {"share", .help = "Share groups."},
    [KG_STREAMS] = {"streams", .help = "Groups of Kafka Streams."},
};

static const char *const types[] = {"Classic", "Consumer", "Share", "Streams"};

struct all_groups {
    struct tool tool;
    struct list_groups_request ask;
    struct table table;
};

static int all_groups_check(struct tool *t)
{
    static const int kinds[] = {KG_CONSUMER, KG_TYPE, KG_SHARE, KG_STREAMS, -1};
    bool known = false;

    if (!given(t, KG_LIST))
        return wrong_words(t, "Command must include exactly one action: --list.");
    if ((given(t, KG_CONSUMER) || given(t, KG_TYPE) || given(t, KG_SHARE) || given(t, KG_STREAMS)) &&
        only_one(t, kinds) < 0)
        return wrong_words(t, "--consumer, --group-type, --share and --streams exclude each other");
    for (size_t i = 0; i < array_count(types); i++)
        known |= str_equal_nocase(value_of(t, KG_TYPE), str_of(types[i]));
    if (given(t, KG_TYPE) && !known)
        return wrong_words(t, "--group-type must be a valid group type.");
    return 0;
}

/* As Kafka writes it: "Classic"; a broker that tells no types has only those. */
static struct str type_of(const struct list_groups_response_groups *g)
{
    for (size_t i = 0; i < array_count(types); i++) {
        if (str_equal_nocase(g->group_type, str_of(types[i])))
            return str_of(types[i]);
    }
    return g->group_type.n > 0 ? g->group_type : STR("Classic");
}

static bool is_wanted(const struct tool *t, const struct list_groups_response_groups *g)
{
    struct str type = type_of(g);
    bool of_consumers = g->protocol_type.n <= 0 || str_equal(g->protocol_type, STR("consumer"));

    if (given(t, KG_TYPE) && !str_equal_nocase(type, value_of(t, KG_TYPE)))
        return false;
    if (given(t, KG_PROTOCOL) && !str_equal(g->protocol_type, value_of(t, KG_PROTOCOL)))
        return false;
    if (given(t, KG_SHARE) && !str_equal(type, STR("Share")))
        return false;
    if (given(t, KG_STREAMS) && !str_equal(type, STR("Streams")))
        return false;
    return !given(t, KG_CONSUMER) || str_equal(type, STR("Consumer")) ||
           (str_equal(type, STR("Classic")) && of_consumers);
}

static int print(struct all_groups *x)
{
    static const struct column columns[] = {
        {"GROUP", .least = 20, .grows = true, .key = "group"},
        {"TYPE", .least = 20, .key = "type"},
        {"PROTOCOL", .least = 20, .key = "protocol"},
    };
    struct tool *t = &x->tool;

    table_begin(&x->table, &t->arena, columns, array_count(columns));
    for (uint32_t p = 0; p < t->call.part_count; p++) {
        const struct list_groups_response *r = admin_list_groups_answer(&t->call, p);
        if (r->error_code != KERR_NONE)
            return answer_fails(t, r->error_code, STR_NULL);
        for (int32_t i = 0; i < r->groups_count; i++) {
            if (is_wanted(t, &r->groups[i]))
                table_row(&x->table,
                          (struct str[]){r->groups[i].group_id, type_of(&r->groups[i]), r->groups[i].protocol_type});
        }
    }
    table_sort(&x->table);
    if (given(t, KG_JSON))
        table_json(&x->table, &t->cli->out);
    else
        table_print(&x->table, " ", "", true, &t->cli->out);
    return 0;
}

static void all_groups_run(struct flow *f)
{
    struct all_groups *x = container_of(f, struct all_groups, tool.work);

    FLOW_BEGIN(f);
    list_groups_request_init(&x->ask);
    FLOW_WAIT(f, "groups", admin_list_groups(x->tool.admin, &x->tool.call, &x->ask, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : print(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

const struct tool_info kafka_groups = {
    .program = "kafka-groups.sh",
    .usage = "-b HOST:PORT --list [--consumer | --share | --streams | --group-type TYPE] [--protocol PROTOCOL]",
    .purpose = "Groups of all types.",
    .options = options,
    .option_count = KG_OPTIONS,
    .state_bytes = sizeof(struct all_groups),
    .server = KG_SERVER,
    .controller = -1,
    .config = KG_COMMAND_CONFIG,
    .old_config = -1,
    .check = all_groups_check,
    .run = all_groups_run,
};
