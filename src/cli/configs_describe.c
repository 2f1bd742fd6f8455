/* kafka-configs.sh --describe. */
#include "cli/configs.h"

#include <stdlib.h>

/* ---- whose ------------------------------------------------------------------------------------ */

static void add_entity(struct configs *x, struct str name)
{
    x->entities[x->entity_count++] = (struct entity){x->named[0].type, name};
}

static void room_for(struct configs *x, size_t count)
{
    struct entity *more = arena_take_array(&x->tool.arena, x->entity_count + count + 1, sizeof(*more));

    ASSERT(more != NULL);
    if (x->entity_count > 0)
        memcpy(more, x->entities, x->entity_count * sizeof(*more));
    x->entities = more;
}

static int compare_entities(const void *a, const void *b)
{
    return str_compare(((const struct entity *)a)->name, ((const struct entity *)b)->name);
}

/* Each once, by name; the default of brokers last. */
static void order(struct configs *x)
{
    uint32_t kept = 0;

    qsort(x->entities, x->entity_count, sizeof(*x->entities), compare_entities);
    for (uint32_t i = 0; i < x->entity_count; i++) {
        if (kept == 0 || !str_equal(x->entities[kept - 1].name, x->entities[i].name))
            x->entities[kept++] = x->entities[i];
    }
    x->entity_count = kept;
    if (x->named[0].type->resource == RESOURCE_BROKER && str_is_null(x->named[0].name)) {
        room_for(x, 1);
        add_entity(x, STR(""));
    }
}

static void take_topics_and_brokers(struct configs *x)
{
    const struct metadata_response *m = admin_metadata_answer(&x->names, 0);

    if (x->named[0].type->resource == RESOURCE_TOPIC) {
        room_for(x, (size_t)m->topics_count);
        for (int32_t i = 0; i < m->topics_count; i++)
            add_entity(x, m->topics[i].name);
        return;
    }
    room_for(x, (size_t)m->brokers_count);
    for (int32_t i = 0; i < m->brokers_count; i++)
        add_entity(x, arena_printf(&x->tool.arena, "%d", m->brokers[i].node_id));
}

static void take_groups(struct configs *x)
{
    for (uint32_t p = 0; p < x->names.part_count; p++) {
        const struct list_groups_response *r = admin_list_groups_answer(&x->names, p);
        room_for(x, r == NULL ? 0 : (size_t)r->groups_count);
        for (int32_t i = 0; r != NULL && i < r->groups_count; i++)
            add_entity(x, r->groups[i].group_id);
    }
}

static void take_resources(struct configs *x)
{
    const struct list_config_resources_response *r = admin_list_config_resources_answer(&x->more_names, 0);

    room_for(x, r == NULL ? 0 : (size_t)r->config_resources_count);
    for (int32_t i = 0; r != NULL && i < r->config_resources_count; i++) {
        if (r->config_resources[i].resource_type == (int8_t)x->named[0].type->resource)
            add_entity(x, r->config_resources[i].resource_name);
    }
}

/* One that is named and is not among those that are there: true, and said. */
static bool is_missing(struct configs *x)
{
    struct tool *t = &x->tool;
    const struct entity *e = &x->named[0];

    for (uint32_t i = 0; i < x->entity_count; i++) {
        if (str_equal(x->entities[i].name, e->name))
            return false;
    }
    text_printf(&t->cli->out, "The %s '%.*s' doesn't exist and doesn't have dynamic config.\n", e->type->singular,
                STR_ARG(e->name));
    if (t->native)
        t->status = 1;
    return true;
}

static void choose_named(struct configs *x)
{
    const struct entity *e = &x->named[0];
    bool known = e->name.n == 0 || x->entities == NULL;

    if (str_is_null(e->name)) {
        order(x);
        return;
    }
    if (!known && is_missing(x)) {
        x->entity_count = 0;
        return;
    }
    x->entity_count = 0;
    room_for(x, 1);
    add_entity(x, e->name);
}

/* ---- their settings --------------------------------------------------------------------------- */

static void make_ask(struct configs *x)
{
    const struct entity *e = &x->entities[x->at];

    describe_configs_request_init(&x->ask);
    describe_configs_request_resources_init(&x->ask_one);
    x->ask.resources = &x->ask_one;
    x->ask.resources_count = 1;
    x->ask.include_synonyms = true;
    x->ask_one.resource_type = (int8_t)e->type->resource;
    x->ask_one.resource_name = e->name;
    x->ask_one.configuration_keys_count = -1;
}

static const char *source_name(int8_t source)
{
    static const char *const names[] = {
        [CONFIG_UNKNOWN] = "UNKNOWN",
        [CONFIG_TOPIC] = "DYNAMIC_TOPIC_CONFIG",
        [CONFIG_DYNAMIC_BROKER] = "DYNAMIC_BROKER_CONFIG",
        [CONFIG_DYNAMIC_DEFAULT_BROKER] = "DYNAMIC_DEFAULT_BROKER_CONFIG",
        [CONFIG_STATIC_BROKER] = "STATIC_BROKER_CONFIG",
        [CONFIG_DEFAULT] = "DEFAULT_CONFIG",
        [CONFIG_DYNAMIC_BROKER_LOGGER] = "DYNAMIC_BROKER_LOGGER_CONFIG",
        [CONFIG_CLIENT_METRICS] = "DYNAMIC_CLIENT_METRICS_CONFIG",
        [CONFIG_GROUP] = "DYNAMIC_GROUP_CONFIG",
    };

    return source < 0 || (size_t)source >= array_count(names) ? "UNKNOWN" : names[source];
}

static struct str value_text(struct str value)
{
    return str_is_null(value) ? STR("null") : value;
}

static void print_setting(struct configs *x, const struct describe_configs_response_results_configs *c)
{
    struct text *out = &x->tool.cli->out;
    struct str value = value_text(c->value);

    text_printf(out, "  %.*s=%.*s sensitive=%s synonyms={", STR_ARG(c->name), STR_ARG(value),
                c->is_sensitive ? "true" : "false");
    for (int32_t i = 0; i < c->synonyms_count; i++) {
        value = value_text(c->synonyms[i].value);
        text_printf(out, "%s%s:%.*s=%.*s", i == 0 ? "" : ", ", source_name(c->synonyms[i].source),
                    STR_ARG(c->synonyms[i].name), STR_ARG(value));
    }
    text_printf(out, "}\n");
}

static void table_setting(struct configs *x, const struct entity *e,
                          const struct describe_configs_response_results_configs *c)
{
    struct arena *a = &x->tool.arena;
    struct str name = e->name.n == 0 ? STR("default") : e->name;

    table_row(&x->table, (struct str[]){str_of(e->type->singular), arena_str(a, name), arena_str(a, c->name),
                                        arena_str(a, c->value), str_of(source_name(c->config_source))});
}

static int compare_settings(const void *a, const void *b)
{
    return str_compare(((const struct describe_configs_response_results_configs *)a)->name,
                       ((const struct describe_configs_response_results_configs *)b)->name);
}

static void print_title(struct configs *x, const struct entity *e)
{
    const char *which = given(&x->tool, CONFIGS_ALL) ? "All" : "Dynamic";

    if (e->name.n == 0)
        text_printf(&x->tool.cli->out, "Default configs for %s in the cluster are:\n", e->type->plural);
    else
        text_printf(&x->tool.cli->out, "%s configs for %s %.*s are:\n", which, e->type->singular, STR_ARG(e->name));
}

static int print_answer(struct configs *x)
{
    const struct describe_configs_response *r = admin_describe_configs_answer(&x->tool.call, 0);
    const struct entity *e = &x->entities[x->at];
    bool in_table = configs_in_table(x);

    if (!in_table)
        print_title(x, e);
    for (int32_t i = 0; i < r->results_count; i++) {
        struct describe_configs_response_results *result = &r->results[i];
        if (result->error_code != KERR_NONE)
            return answer_fails(&x->tool, result->error_code, result->error_message);
        qsort(result->configs, (size_t)result->configs_count, sizeof(*result->configs), compare_settings);
        for (int32_t j = 0; j < result->configs_count; j++) {
            const struct describe_configs_response_results_configs *c = &result->configs[j];
            int8_t own = (int8_t)(e->name.n == 0 ? CONFIG_DYNAMIC_DEFAULT_BROKER : e->type->own);
            if (!given(&x->tool, CONFIGS_ALL) && c->config_source != own)
                continue;
            if (in_table)
                table_setting(x, e, c);
            else
                print_setting(x, c);
        }
    }
    return 0;
}

/* ---- the flow --------------------------------------------------------------------------------- */

static const struct column columns[] = {
    {"TYPE", .least = 4, .grows = true, .key = "type"},      {"ENTITY", .least = 6, .grows = true, .key = "entity"},
    {"NAME", .least = 4, .grows = true, .key = "name"},      {"VALUE", .least = 5, .grows = true, .key = "value"},
    {"SOURCE", .least = 0, .grows = false, .key = "source"},
};

bool configs_in_table(const struct configs *x)
{
    return x->tool.native || given(&x->tool, CONFIGS_JSON);
}

void configs_table_begin(struct configs *x)
{
    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
}

void configs_table_print(struct configs *x)
{
    if (given(&x->tool, CONFIGS_JSON))
        table_json(&x->table, &x->tool.cli->out);
    else if (x->tool.native && x->table.row_count > 0)
        table_show(&x->table, &x->tool);
}

void configs_describe_run(struct flow *f)
{
    struct configs *x = container_of(f, struct configs, tool.work);

    FLOW_BEGIN(f);
    configs_table_begin(x);
    metadata_request_init(&x->ask_topics);
    x->ask_topics.topics_count = x->named[0].type->resource == RESOURCE_TOPIC ? -1 : 0;
    x->ask_topics.allow_auto_topic_creation = false;
    list_groups_request_init(&x->ask_groups);
    list_config_resources_request_init(&x->ask_resources);
    x->ask_type = (int8_t)x->named[0].type->resource;
    x->ask_resources.resource_types = &x->ask_type;
    x->ask_resources.resource_types_count = 1;
    if (given(&x->tool, CONFIGS_CONTROLLER) || x->named[0].name.n == 0) {
        FLOW_WAIT(f, "nothing", io_yield(x->tool.io, &f->op)); /* controllers list nothing */
    } else if (x->named[0].type->resource == RESOURCE_METRICS || x->named[0].type->resource == RESOURCE_GROUP) {
        FLOW_WAIT(f, "resources",
                  admin_list_config_resources(x->tool.admin, &x->more_names, &x->ask_resources, &f->op));
        if (f->result == ERR_VERSION && x->named[0].name.n < 0 && x->ask_type == RESOURCE_METRICS)
            goto no_list;
        if (f->result < 0 && f->result != ERR_VERSION)
            goto no_list;
        if (f->result == 0)
            take_resources(x);
        if (x->ask_type == RESOURCE_GROUP && (f->result == 0 || str_is_null(x->named[0].name))) {
            FLOW_WAIT(f, "groups", admin_list_groups(x->tool.admin, &x->names, &x->ask_groups, &f->op));
            if (f->result < 0)
                goto no_names;
            take_groups(x);
        }
    } else {
        FLOW_WAIT(f, "names", admin_metadata(x->tool.admin, &x->names, &x->ask_topics, &f->op));
        if (f->result < 0)
            goto no_names;
        take_topics_and_brokers(x);
    }
    choose_named(x);
    for (f->result = 0; f->result == 0 && x->at < x->entity_count; x->at++) {
        make_ask(x);
        FLOW_WAIT(f, "settings", admin_describe_configs(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : print_answer(x);
        admin_call_release(&x->tool.call);
    }
    if (f->result == 0)
        configs_table_print(x);
    FLOW_END(f);
    flow_done(f, f->result < 0 ? f->result : x->tool.status);
    return;
no_list:
    flow_done(f, call_trouble(&x->tool, &x->more_names));
    return;
no_names:
    flow_done(f, call_trouble(&x->tool, &x->names));
}
