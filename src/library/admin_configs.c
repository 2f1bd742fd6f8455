/* Settings of topics, brokers, groups: described, changed. */
#include "library/admin.h"

/* ---- describe ------------------------------------------------------------------------------------------ */

static void take_entries(struct mr_answer *r, const struct describe_configs_response_results *from,
                         struct mr_config *to)
{
    struct mr_config_entry *entries = answer_array(r, (size_t)from->configs_count, sizeof *entries);

    for (int32_t i = 0; i < from->configs_count; i++) {
        const struct describe_configs_response_results_configs *c = &from->configs[i];
        entries[i] = (struct mr_config_entry){
            .name = answer_keep(r, c->name),
            .value = answer_keep(r, c->value),
            .source = c->config_source,
            .read_only = c->read_only,
            .sensitive = c->is_sensitive,
        };
    }
    to->entries = entries;
    to->entry_count = (uint32_t)from->configs_count;
}

static void take_configs(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_configs_response *m = response;

    for (int32_t i = 0; i < m->results_count; i++) {
        const struct describe_configs_response_results *from = &m->results[i];
        struct mr_config *to = answer_row(r);
        to->resource = from->resource_type;
        to->resource_name = answer_keep(r, from->resource_name);
        take_entries(r, from, to);
        answer_row_error(r, &to->error, from->error_code, from->error_message);
    }
}

static int8_t resource_type(struct mr_answer *r, int32_t resource)
{
    if (resource <= 0 || resource > INT8_MAX)
        answer_refuse(r, "a resource of type %d: it is one of enum mr_resource", resource);
    return (int8_t)resource;
}

struct mr_answer *mr_describe_configs(struct mr_admin *a, const struct mr_config *resources, uint32_t count,
                                      const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_configs", API_DESCRIBE_CONFIGS, ROWS_CONFIG, take_configs,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_configs_request *m = r->request;
    m->resources = answer_array(r, count, sizeof *m->resources);
    m->resources_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        describe_configs_request_resources_init(&m->resources[i]);
        m->resources[i].resource_type = resource_type(r, resources[i].resource);
        m->resources[i].resource_name = answer_text(r, resources[i].resource_name, "the name of a resource");
        m->resources[i].configuration_keys_count = -1; /* all */
    }
    return answer_ask(r);
}

/* ---- alter ---------------------------------------------------------------------------------------------- */

typedef struct incremental_alter_configs_request_resources resource;

static void take_altered(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct incremental_alter_configs_response *m = response;

    for (int32_t i = 0; i < m->responses_count; i++) {
        const struct incremental_alter_configs_response_responses *from = &m->responses[i];
        answer_outcome(r, from->resource_name, -1, from->error_code, from->error_message)->kind = from->resource_type;
    }
}

/* Changes of one name are together; resources of several types may have it. */
static int32_t ask_changes(struct mr_answer *r, const struct mr_config_change *changes,
                           const struct answer_named *named, resource *out)
{
    int32_t count = 0;

    for (int32_t i = 0; i < named->count; i++) {
        const struct mr_config_change *c = &changes[named->indexes[i]];
        int8_t type = resource_type(r, c->resource);
        resource *to = out;
        while (to < out + count && to->resource_type != type)
            to++;
        if (to == out + count) {
            incremental_alter_configs_request_resources_init(to);
            to->resource_type = type;
            to->resource_name = named->name;
            to->configs = answer_array(r, (size_t)named->count, sizeof *to->configs);
            count++;
        }
        struct incremental_alter_configs_request_resources_configs *config = &to->configs[to->configs_count++];
        incremental_alter_configs_request_resources_configs_init(config);
        config->name = answer_text(r, c->name, "the name of a setting");
        config->value = answer_text_or_null(r, c->value);
        config->config_operation = (int8_t)c->operation;
        if (c->value == NULL && c->operation != MR_CONFIG_DELETE)
            answer_refuse(r, "setting %s has no value, and is not to be deleted", c->name == NULL ? "" : c->name);
    }
    return count;
}

struct mr_answer *mr_alter_configs(struct mr_admin *a, const struct mr_config_change *changes, uint32_t count,
                                   const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_configs", API_INCREMENTAL_ALTER_CONFIGS, ROWS_OUTCOME,
                                            take_altered, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);
    int32_t name_count;

    if (r == NULL)
        return NULL;
    struct incremental_alter_configs_request *m = r->request;
    struct str *names = answer_array(r, count, sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        names[i] = answer_text(r, changes[i].resource_name, "the name of a resource");
    const struct answer_named *named = answer_by_name(r, names, count, &name_count);
    m->validate_only = r->how.validate_only != 0;
    m->resources = answer_array(r, count, sizeof *m->resources);
    for (int32_t i = 0; i < name_count; i++)
        m->resources_count += ask_changes(r, changes, &named[i], m->resources + m->resources_count);
    return answer_ask(r);
}

/* ---- list ------------------------------------------------------------------------------------------------ */

static void take_resources(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct list_config_resources_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->config_resources_count; i++)
        answer_outcome(r, m->config_resources[i].resource_name, -1, KERR_NONE, STR_NULL)->kind =
            m->config_resources[i].resource_type;
}

struct mr_answer *mr_list_config_resources(struct mr_admin *a, const int32_t *kinds, uint32_t count,
                                           const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_config_resources", API_LIST_CONFIG_RESOURCES, ROWS_OUTCOME,
                                            take_resources, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct list_config_resources_request *m = r->request;
    m->resource_types = answer_array(r, kinds == NULL ? 0 : count, sizeof *m->resource_types);
    m->resource_types_count = kinds == NULL ? 0 : (int32_t)count;
    for (int32_t i = 0; i < m->resource_types_count; i++)
        m->resource_types[i] = resource_type(r, kinds[i]);
    return answer_ask(r);
}
