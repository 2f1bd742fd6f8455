/* kafka-configs.sh: whose settings, and which, from words. */
#include "cli/configs.h"

#include <errno.h>

const struct entity_type entity_types[] = {
    {"topics", "topic", RESOURCE_TOPIC, CONFIG_TOPIC, CONFIGS_TOPIC, -1, NULL},
    {"clients", "client", RESOURCE_QUOTA, CONFIG_UNKNOWN, CONFIGS_CLIENT, CONFIGS_CLIENT_DEFAULTS, "client-id"},
    {"users", "user", RESOURCE_QUOTA, CONFIG_UNKNOWN, CONFIGS_USER, CONFIGS_USER_DEFAULTS, "user"},
    {"brokers", "broker", RESOURCE_BROKER, CONFIG_DYNAMIC_BROKER, CONFIGS_BROKER, CONFIGS_BROKER_DEFAULTS, NULL},
    {"ips", "ip", RESOURCE_QUOTA, CONFIG_UNKNOWN, CONFIGS_IP, CONFIGS_IP_DEFAULTS, "ip"},
    {"client-metrics", "client-metric", RESOURCE_METRICS, CONFIG_CLIENT_METRICS, CONFIGS_CLIENT_METRICS, -1, NULL},
    {"groups", "group", RESOURCE_GROUP, CONFIG_GROUP, CONFIGS_GROUP, -1, NULL},
    {"broker-loggers", "broker-logger", RESOURCE_LOGGER, CONFIG_DYNAMIC_BROKER_LOGGER, CONFIGS_BROKER_LOGGER, -1, NULL},
    {NULL, NULL, RESOURCE_QUOTA, CONFIG_UNKNOWN, -1, -1, NULL},
};

/* ---- whose ------------------------------------------------------------------------------------ */

static int name_entity(struct configs *x, const struct entity_type *type, struct str name)
{
    if (x->named_count == array_count(x->named) ||
        (x->named_count == 1 && (x->named[0].type->resource != RESOURCE_QUOTA || type->resource != RESOURCE_QUOTA)))
        return wrong_words(&x->tool,
                           "Exactly one entity type must be specified, save that a user and a client may be combined");
    x->named[x->named_count++] = (struct entity){type, name};
    return 0;
}

static const struct entity_type *type_of(struct str name)
{
    for (const struct entity_type *e = entity_types; e->plural != NULL; e++) {
        if (str_equal(str_of(e->plural), name))
            return e;
    }
    return NULL;
}

/* --entity-type TYPE [--entity-name NAME | --entity-default] */
static int typed_entities(struct configs *x)
{
    struct tool *t = &x->tool;
    const struct arg_found *types = &t->found[CONFIGS_ENTITY_TYPE], *names = &t->found[CONFIGS_ENTITY_NAME];
    uint32_t defaults = t->found[CONFIGS_ENTITY_DEFAULT].count;

    if (names->count + defaults > types->count)
        return wrong_words(t, "--entity-name and --entity-default need an --entity-type each");
    for (uint32_t i = 0; i < types->count; i++) {
        const struct entity_type *type = type_of(types->values[i]);
        if (type == NULL)
            return wrong_words(
                t,
                "Invalid entity type %.*s, the entity type must be one of topics, clients, users, brokers, ips, "
                "client-metrics, groups, broker-loggers with a --bootstrap-server or --bootstrap-controller argument",
                STR_ARG(types->values[i]));
        if (i < names->count)
            TRY(name_entity(x, type, names->values[i]));
        else
            TRY(name_entity(x, type, i < names->count + defaults ? STR("") : STR_NULL));
    }
    return 0;
}

static int check_id(struct configs *x)
{
    const struct entity *e = &x->named[0];
    int64_t id;

    if (e->name.n <= 0 || (e->type->resource != RESOURCE_BROKER && e->type->resource != RESOURCE_LOGGER))
        return 0;
    if (str_to_i64(e->name, 0, INT32_MAX, &id) < 0)
        return wrong_words(&x->tool, "The entity name for %s must be a valid integer broker id, found: %.*s",
                           e->type->plural, STR_ARG(e->name));
    return 0;
}

int configs_entities(struct configs *x)
{
    struct tool *t = &x->tool;

    TRY(typed_entities(x));
    for (const struct entity_type *e = entity_types; e->plural != NULL; e++) {
        if (given(t, e->name_option))
            TRY(name_entity(x, e, value_of(t, e->name_option)));
        if (e->default_option >= 0 && given(t, e->default_option))
            TRY(name_entity(x, e, STR("")));
    }
    if (x->named_count == 0)
        return wrong_words(t, "At least one entity type must be specified");
    if (x->named[0].name.n == 0 && x->named[0].type->default_option < 0)
        return wrong_words(t, "%s have no default entity", x->named[0].type->plural);
    return check_id(x);
}

/* ---- which ------------------------------------------------------------------------------------ */

static void add_change(struct configs *x, struct str name, struct str value)
{
    if (x->change_count == x->change_capacity) {
        x->change_capacity = x->change_capacity == 0 ? 16 : 2 * x->change_capacity;
        struct change *more = arena_take_array(&x->tool.arena, x->change_capacity, sizeof(*more));
        ASSERT(more != NULL);
        if (x->change_count > 0)
            memcpy(more, x->changes, x->change_count * sizeof(*more));
        x->changes = more;
    }
    x->changes[x->change_count++] = (struct change){name, value};
}

/* The next part up to a comma that is not in brackets. */
static bool cut_outside(struct str *rest, struct str *part)
{
    int depth = 0;
    int32_t i = 0;

    if (rest->n <= 0)
        return false;
    for (; i < rest->n && !(rest->p[i] == ',' && depth == 0); i++)
        depth += (rest->p[i] == '[') - (rest->p[i] == ']');
    *part = (struct str){rest->p, i};
    *rest = i < rest->n ? (struct str){rest->p + i + 1, rest->n - i - 1} : STR("");
    return true;
}

/* "[a,b]" is a,b. */
static struct str without_brackets(struct tool *t, struct str value)
{
    char *p = arena_take_raw(&t->arena, (size_t)value.n + 1);
    int32_t n = 0;

    ASSERT(p != NULL);
    for (int32_t i = 0; i < value.n; i++) {
        if (value.p[i] != '[' && value.p[i] != ']')
            p[n++] = value.p[i];
    }
    return (struct str){p, n};
}

static int words_changes(struct configs *x, struct str rest)
{
    struct str part, name;

    while (cut_outside(&rest, &part)) {
        if (part.n == 0 || memchr(part.p, '=', (size_t)part.n) == NULL || !str_cut(&part, '=', &name))
            return wrong_words(
                &x->tool, "requirement failed: Invalid entity config: all configs to be added must be in the format "
                          "\"key=val\" or  \"key=[val1,val2]\" to group values which contain commas.");
        add_change(x, str_trim(name), without_brackets(&x->tool, str_trim(part)));
    }
    return 0;
}

static int file_changes(struct configs *x)
{
    struct properties p;
    struct str name, value;
    int more;

    properties_begin(&p, text_str(&x->file));
    while ((more = properties_next(&p, &name, &value, &x->tool.fail)) > 0)
        add_change(x, arena_str(&x->tool.arena, name), arena_str(&x->tool.arena, value));
    properties_end(&p);
    return more < 0 ? fail_wrap(&x->tool.fail, "%.*s", STR_ARG(value_of(&x->tool, CONFIGS_ADD_FILE))) : 0;
}

int configs_changes(struct configs *x)
{
    struct tool *t = &x->tool;
    struct str part;

    if (x->file.n > 0)
        return file_changes(x);
    for (uint32_t i = 0; i < t->found[CONFIGS_ADD].count; i++)
        TRY(words_changes(x, t->found[CONFIGS_ADD].values[i]));
    for (uint32_t i = 0; i < t->found[CONFIGS_DELETE].count; i++) {
        struct str rest = t->found[CONFIGS_DELETE].values[i];
        while (str_cut(&rest, ',', &part))
            add_change(x, str_trim(part), STR_NULL);
    }
    return 0;
}
