/* IncrementalAlterConfigs (key 44, KIP-339) and AlterConfigs (key 33). */
#include "controller/internal.h"

#include "protocol/alter_configs.h"
#include "protocol/config_record.h"
#include "protocol/incremental_alter_configs.h"

enum operation { OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT };

#define MIN_ISR STR("min.insync.replicas")

/* ---- records -----------------------------------------------------------------------------------
 */

/* A value that is there already needs no record, except a broker's: brokers load files anew on it.
 */
static bool is_news(const struct decision *d, int8_t type, struct str resource,
                    const struct config_change *change)
{
    struct str now;

    if (type == CONFIG_RESOURCE_BROKER)
        return true;
    if (!image_config(d->image, type, resource, change->name, &now))
        now = STR_NULL;
    return !str_equal(now, change->value);
}

void add_configs(struct decision *d, int8_t type, struct str resource,
                 const struct config_change *changes, uint32_t count)
{
    bool min_isr = false;

    for (uint32_t i = 0; i < count; i++) {
        struct config_record r;
        if (!is_news(d, type, resource, &changes[i]))
            continue;
        config_record_init(&r);
        r.resource_type = type;
        r.resource_name = resource;
        r.name = changes[i].name;
        r.value = changes[i].value;
        decision_add(d, &config_record_message, 0, &r);
        min_isr |= str_equal(r.name, MIN_ISR);
    }
    if (min_isr && elr_is_on(d->image))
        add_clear_elr(d, type == CONFIG_RESOURCE_TOPIC ? resource : STR(""));
}

/* ---- who may -----------------------------------------------------------------------------------
 */

static struct verdict check_may_alter(struct decision *d, int8_t type, struct str resource)
{
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        if (decision_may(d, ACL_ALTER_CONFIGS, RESOURCE_TOPIC, resource))
            return VERDICT_OK;
        return (struct verdict){KERR_TOPIC_AUTHORIZATION_FAILED, STR_NULL};
    case CONFIG_RESOURCE_GROUP:
        if (decision_may(d, ACL_ALTER_CONFIGS, RESOURCE_GROUP, resource))
            return VERDICT_OK;
        return (struct verdict){KERR_GROUP_AUTHORIZATION_FAILED, STR_NULL};
    case CONFIG_RESOURCE_BROKER:
    case CONFIG_RESOURCE_CLIENT_METRICS:
        if (decision_may(d, ACL_ALTER_CONFIGS, RESOURCE_CLUSTER, STR("kafka-cluster")))
            return VERDICT_OK;
        return (struct verdict){KERR_CLUSTER_AUTHORIZATION_FAILED, STR_NULL};
    case CONFIG_RESOURCE_BROKER_LOGGER: /* log levels are a broker's own business */
        return refuse(d, KERR_INVALID_REQUEST, "Unexpected resource type BROKER_LOGGER.");
    default:
        return refuse(d, KERR_UNSUPPORTED_VERSION, "Unknown resource type %d.", type);
    }
}

/* ---- operations on lists -----------------------------------------------------------------------
 */

static uint32_t count_parts(struct str list)
{
    struct str part;
    uint32_t n = 0;

    while (str_cut(&list, ',', &part))
        n++;
    return n;
}

static void tally_parts(struct tally *t, struct str list)
{
    struct str part;

    while (str_cut(&list, ',', &part))
        tally_add(t, (struct named){.name = part});
}

static void add_part(struct text *list, struct str part)
{
    if (list->n > 0)
        text_add(list, ",", 1);
    text_add_str(list, part);
}

/* Those of `parts` that are not there yet, behind what is there now (without its empty parts). */
static void append_parts(struct text *list, struct arena *arena, struct str now, struct str parts)
{
    int32_t at = (int32_t)count_parts(now);
    struct tally all;
    struct str part;

    tally_make(&all, arena, at + (int32_t)count_parts(parts));
    tally_parts(&all, now);
    tally_parts(&all, parts);
    tally_sort(&all);
    while (str_cut(&now, ',', &part)) {
        if (part.n > 0)
            add_part(list, part);
    }
    for (; str_cut(&parts, ',', &part); at++) {
        if (tally_first(&all, (struct named){.name = part}) == at)
            add_part(list, part);
    }
}

static void subtract_parts(struct text *list, struct arena *arena, struct str now, struct str parts)
{
    struct tally gone;
    struct str part;

    tally_make(&gone, arena, (int32_t)count_parts(parts));
    tally_parts(&gone, parts);
    tally_sort(&gone);
    while (str_cut(&now, ',', &part)) {
        if (part.n > 0 && tally_first(&gone, (struct named){.name = part}) < 0)
            add_part(list, part);
    }
}

static struct verdict
change_list(struct decision *d, int8_t type, struct str resource,
            const struct incremental_alter_configs_request_resources_configs *c, struct str *out)
{
    bool append = c->config_operation == OPERATION_APPEND;
    struct text list = {0};
    struct str now;

    if (!config_is_list(type, c->name, &now))
        return refuse(d, KERR_INVALID_CONFIG, "Can't %s to key %.*s because its type is not LIST.",
                      append ? "APPEND" : "SUBTRACT", STR_ARG(c->name));
    (void)image_config(d->image, type, resource, c->name, &now);
    if (append)
        append_parts(&list, &d->c->scratch, now, c->value);
    else
        subtract_parts(&list, &d->c->scratch, now, c->value);
    *out = arena_str(&d->c->scratch, text_str(&list));
    text_deinit(&list);
    if (out->n > INT16_MAX) /* a string of the protocol, and of a record */
        return refuse(d, KERR_INVALID_CONFIG,
                      "The value of %.*s would have %d bytes; %d are the most.", STR_ARG(c->name),
                      out->n, INT16_MAX);
    return VERDICT_OK;
}

/* Each setting once. */
static struct verdict check_once(struct decision *d, struct tally *names)
{
    const struct named *twice;

    tally_sort(names);
    twice = tally_second(names);
    if (twice == NULL)
        return VERDICT_OK;
    return refuse(d, KERR_INVALID_REQUEST, "Error due to duplicate config keys : %.*s",
                  STR_ARG(twice->name));
}

/* ---- one resource, incrementally ----------------------------------------------------------------
 */

typedef const struct incremental_alter_configs_request_resources incremental_resource;

static struct verdict check_operations(struct decision *d, incremental_resource *r)
{
    struct tally names;

    tally_make(&names, &d->c->scratch, r->configs_count);
    for (int32_t i = 0; i < r->configs_count; i++) {
        if (r->configs[i].config_operation < OPERATION_SET ||
            r->configs[i].config_operation > OPERATION_SUBTRACT)
            return refuse(d, KERR_INVALID_REQUEST, "Unknown operation %d on %.*s.",
                          r->configs[i].config_operation, STR_ARG(r->configs[i].name));
        if (r->configs[i].config_operation != OPERATION_DELETE && str_is_null(r->configs[i].value))
            return refuse(d, KERR_INVALID_REQUEST, "Null value not supported for : %.*s",
                          STR_ARG(r->configs[i].name));
        tally_add(&names, (struct named){.name = r->configs[i].name});
    }
    return check_once(d, &names);
}

static struct verdict alter_incrementally(struct decision *d, incremental_resource *r)
{
    struct config_change *changes =
        arena_take_array(&d->c->scratch, (size_t)r->configs_count, sizeof(*changes));
    struct verdict v = check_may_alter(d, r->resource_type, r->resource_name);

    if (v.error == KERR_NONE)
        v = check_operations(d, r);
    for (int32_t i = 0; v.error == KERR_NONE && i < r->configs_count; i++) {
        changes[i] = (struct config_change){r->configs[i].name, r->configs[i].value};
        if (r->configs[i].config_operation == OPERATION_DELETE)
            changes[i].value = STR_NULL;
        if (r->configs[i].config_operation >= OPERATION_APPEND)
            v = change_list(d, r->resource_type, r->resource_name, &r->configs[i],
                            &changes[i].value);
    }
    if (v.error == KERR_NONE)
        v = check_configs(d, r->resource_type, r->resource_name, changes,
                          (uint32_t)r->configs_count, false);
    if (v.error == KERR_NONE)
        add_configs(d, r->resource_type, r->resource_name, changes, (uint32_t)r->configs_count);
    return v;
}

enum kerr decide_incremental_alter_configs(struct decision *d, const void *request, void *response)
{
    const struct incremental_alter_configs_request *m = request;
    struct incremental_alter_configs_response *all = response;
    struct tally resources;

    tally_make(&resources, &d->c->scratch, m->resources_count);
    for (int32_t i = 0; i < m->resources_count; i++)
        tally_add(&resources, (struct named){.name = m->resources[i].resource_name,
                                             .type = m->resources[i].resource_type});
    tally_sort(&resources);
    all->responses =
        arena_take_array(d->call->arena, (size_t)m->resources_count, sizeof(*all->responses));
    all->responses_count = 0;
    for (int32_t i = 0; i < m->resources_count; i++) {
        incremental_resource *r = &m->resources[i];
        struct named named = {.name = r->resource_name, .type = r->resource_type};
        struct incremental_alter_configs_response_responses *a =
            &all->responses[all->responses_count];
        struct verdict v;

        if (tally_first(&resources, named) != i)
            continue;
        incremental_alter_configs_response_responses_init(a);
        a->resource_type = r->resource_type;
        a->resource_name = r->resource_name;
        if (tally_is_repeated(&resources, named))
            v = refuse(d, KERR_INVALID_REQUEST, "Each resource must appear at most once.");
        else
            v = alter_incrementally(d, r);
        a->error_code = (int16_t)v.error;
        a->error_message = v.message;
        all->responses_count++;
    }
    if (m->validate_only)
        decision_cut(d, 0);
    return KERR_NONE;
}

/* ---- the older request: all settings of a resource at once --------------------------------------
 */

typedef const struct alter_configs_request_resources whole_resource;

struct changes {
    struct config_change *list;
    uint32_t count, capacity;
    struct arena *arena;
    struct tally named; /* in the request */
};

static void add_to_changes(struct changes *c, struct str name, struct str value)
{
    if (c->count == c->capacity) {
        uint32_t capacity = c->capacity * 2 + 16;
        struct config_change *grown = arena_take_array(c->arena, capacity, sizeof(*grown));
        if (c->count > 0)
            memcpy(grown, c->list, c->count * sizeof(*grown));
        c->list = grown;
        c->capacity = capacity;
    }
    c->list[c->count++] = (struct config_change){name, value};
}

/* What the request does not name is removed. */
static void remove_unnamed(void *ctx, struct str name, struct str value)
{
    struct changes *c = ctx;

    if (tally_first(&c->named, (struct named){.name = name}) < 0)
        add_to_changes(c, name, STR_NULL);
}

static struct verdict check_values(struct decision *d, whole_resource *r, struct tally *names)
{
    tally_make(names, &d->c->scratch, r->configs_count);
    for (int32_t i = 0; i < r->configs_count; i++) {
        if (str_is_null(r->configs[i].value))
            return refuse(d, KERR_INVALID_REQUEST, "Null value not supported for : %.*s",
                          STR_ARG(r->configs[i].name));
        tally_add(names, (struct named){.name = r->configs[i].name});
    }
    return check_once(d, names);
}

static struct verdict alter_whole(struct decision *d, whole_resource *r)
{
    struct changes c = {.arena = &d->c->scratch};
    struct verdict v = check_may_alter(d, r->resource_type, r->resource_name);

    if (v.error == KERR_NONE)
        v = check_values(d, r, &c.named);
    if (v.error != KERR_NONE)
        return v;
    for (int32_t i = 0; i < r->configs_count; i++)
        add_to_changes(&c, r->configs[i].name, r->configs[i].value);
    image_config_each(d->image, r->resource_type, r->resource_name, remove_unnamed, &c);
    v = check_configs(d, r->resource_type, r->resource_name, c.list, c.count, false);
    if (v.error == KERR_NONE)
        add_configs(d, r->resource_type, r->resource_name, c.list, c.count);
    return v;
}

enum kerr decide_alter_configs(struct decision *d, const void *request, void *response)
{
    const struct alter_configs_request *m = request;
    struct alter_configs_response *all = response;
    struct tally resources;

    tally_make(&resources, &d->c->scratch, m->resources_count);
    for (int32_t i = 0; i < m->resources_count; i++)
        tally_add(&resources, (struct named){.name = m->resources[i].resource_name,
                                             .type = m->resources[i].resource_type});
    tally_sort(&resources);
    all->responses =
        arena_take_array(d->call->arena, (size_t)m->resources_count, sizeof(*all->responses));
    all->responses_count = 0;
    for (int32_t i = 0; i < m->resources_count; i++) {
        whole_resource *r = &m->resources[i];
        struct named named = {.name = r->resource_name, .type = r->resource_type};
        struct alter_configs_response_responses *a = &all->responses[all->responses_count];
        struct verdict v;

        if (tally_first(&resources, named) != i)
            continue;
        alter_configs_response_responses_init(a);
        a->resource_type = r->resource_type;
        a->resource_name = r->resource_name;
        if (tally_is_repeated(&resources, named))
            v = refuse(d, KERR_INVALID_REQUEST, "Each resource must appear at most once.");
        else
            v = alter_whole(d, r);
        a->error_code = (int16_t)v.error;
        a->error_message = v.message;
        all->responses_count++;
    }
    if (m->validate_only)
        decision_cut(d, 0);
    return KERR_NONE;
}
