/* Who may do what, and how much of it: ACLs, quotas. */
#include "library/admin.h"

/* ---- ACLs: create ----------------------------------------------------------------------------------------- */

static void take_created(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct create_acls_request *asked = part->request;
    const struct create_acls_response *m = response;

    for (int32_t i = 0; i < m->results_count && i < asked->creations_count; i++)
        answer_outcome(r, asked->creations[i].resource_name, -1, m->results[i].error_code, m->results[i].error_message)
            ->number = i;
}

struct mr_answer *mr_create_acls(struct mr_admin *a, const struct mr_acl *acls, uint32_t count,
                                 const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_create_acls", API_CREATE_ACLS, ROWS_OUTCOME, take_created, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct create_acls_request *m = r->request;
    m->creations = answer_array(r, count, sizeof *m->creations);
    m->creations_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        create_acls_request_creations_init(&m->creations[i]);
        m->creations[i].resource_type = (int8_t)acls[i].resource;
        m->creations[i].resource_pattern_type = (int8_t)acls[i].pattern;
        m->creations[i].operation = (int8_t)acls[i].operation;
        m->creations[i].permission_type = (int8_t)acls[i].permission;
        m->creations[i].resource_name = answer_text(r, acls[i].resource_name, "the name of a resource");
        m->creations[i].principal = answer_text(r, acls[i].principal, "a principal");
        m->creations[i].host = answer_text(r, acls[i].host, "a host");
    }
    return answer_ask(r);
}

/* ---- ACLs: describe, delete ------------------------------------------------------------------------------- */

static int8_t or_any(int32_t number)
{
    return (int8_t)(number == 0 ? MR_ACL_ANY : number);
}

static void take_described(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_acls_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->resources_count; i++) {
        const struct describe_acls_response_resources *from = &m->resources[i];
        const char *name = answer_keep(r, from->resource_name);
        for (int32_t k = 0; k < from->acls_count; k++)
            *(struct mr_acl *)answer_row(r) = (struct mr_acl){
                .resource = from->resource_type,
                .pattern = from->pattern_type,
                .operation = from->acls[k].operation,
                .permission = from->acls[k].permission_type,
                .resource_name = name,
                .principal = answer_keep(r, from->acls[k].principal),
                .host = answer_keep(r, from->acls[k].host),
            };
    }
}

struct mr_answer *mr_describe_acls(struct mr_admin *a, const struct mr_acl *filter, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_acls", API_DESCRIBE_ACLS, ROWS_ACL, take_described, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_acls_request *m = r->request;
    m->resource_type_filter = or_any(filter->resource);
    m->pattern_type_filter = or_any(filter->pattern);
    m->operation = or_any(filter->operation);
    m->permission_type = or_any(filter->permission);
    m->resource_name_filter = answer_text_or_null(r, filter->resource_name);
    m->principal_filter = answer_text_or_null(r, filter->principal);
    m->host_filter = answer_text_or_null(r, filter->host);
    return answer_ask(r);
}

static void take_matching(struct mr_answer *r, const struct delete_acls_response_filter_results_matching_acls *from)
{
    struct mr_acl *to = answer_row(r);

    *to = (struct mr_acl){
        .resource = from->resource_type,
        .pattern = from->pattern_type,
        .operation = from->operation,
        .permission = from->permission_type,
        .resource_name = answer_keep(r, from->resource_name),
        .principal = answer_keep(r, from->principal),
        .host = answer_keep(r, from->host),
    };
    answer_row_error(r, &to->error, from->error_code, from->error_message);
}

static void take_deleted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct delete_acls_response *m = response;

    for (int32_t i = 0; i < m->filter_results_count; i++) {
        if (answer_is_refused(r, m->filter_results[i].error_code, m->filter_results[i].error_message))
            continue;
        for (int32_t k = 0; k < m->filter_results[i].matching_acls_count; k++)
            take_matching(r, &m->filter_results[i].matching_acls[k]);
    }
}

struct mr_answer *mr_delete_acls(struct mr_admin *a, const struct mr_acl *filters, uint32_t count,
                                 const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_acls", API_DELETE_ACLS, ROWS_ACL, take_deleted, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct delete_acls_request *m = r->request;
    m->filters = answer_array(r, count, sizeof *m->filters);
    m->filters_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        delete_acls_request_filters_init(&m->filters[i]);
        m->filters[i].resource_type_filter = or_any(filters[i].resource);
        m->filters[i].pattern_type_filter = or_any(filters[i].pattern);
        m->filters[i].operation = or_any(filters[i].operation);
        m->filters[i].permission_type = or_any(filters[i].permission);
        m->filters[i].resource_name_filter = answer_text_or_null(r, filters[i].resource_name);
        m->filters[i].principal_filter = answer_text_or_null(r, filters[i].principal);
        m->filters[i].host_filter = answer_text_or_null(r, filters[i].host);
    }
    return answer_ask(r);
}

/* ---- quotas -------------------------------------------------------------------------------------------------- */

enum { MATCH_EXACT, MATCH_DEFAULT };

static void take_quotas(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_client_quotas_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->entries_count; i++) {
        const struct describe_client_quotas_response_entries *from = &m->entries[i];
        struct mr_quota *to = answer_row(r);
        struct mr_quota_entity *entities = answer_array(r, (size_t)from->entity_count, sizeof *entities);
        struct mr_quota_limit *limits = answer_array(r, (size_t)from->values_count, sizeof *limits);
        for (int32_t k = 0; k < from->entity_count; k++)
            entities[k] = (struct mr_quota_entity){answer_keep(r, from->entity[k].entity_type),
                                                   answer_keep(r, from->entity[k].entity_name)};
        for (int32_t k = 0; k < from->values_count; k++)
            limits[k] = (struct mr_quota_limit){.key = answer_keep(r, from->values[k].key),
                                                .value = from->values[k].value};
        to->entities = entities;
        to->entity_count = (uint32_t)from->entity_count;
        to->limits = limits;
        to->limit_count = (uint32_t)from->values_count;
    }
}

struct mr_answer *mr_describe_quotas(struct mr_admin *a, const struct mr_quota_entity *entities, uint32_t count,
                                     const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_quotas", API_DESCRIBE_CLIENT_QUOTAS, ROWS_QUOTA, take_quotas,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_client_quotas_request *m = r->request;
    m->strict = entities != NULL;
    m->components = answer_array(r, entities == NULL ? 0 : count, sizeof *m->components);
    m->components_count = entities == NULL ? 0 : (int32_t)count;
    for (int32_t i = 0; i < m->components_count; i++) {
        describe_client_quotas_request_components_init(&m->components[i]);
        m->components[i].entity_type = answer_text(r, entities[i].type, "the type of an entity");
        m->components[i].match_type = entities[i].name == NULL ? MATCH_DEFAULT : MATCH_EXACT;
        m->components[i].match = answer_text_or_null(r, entities[i].name);
    }
    return answer_ask(r);
}

static void take_altered(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct alter_client_quotas_response *m = response;

    for (int32_t i = 0; i < m->entries_count; i++) {
        const struct alter_client_quotas_response_entries *from = &m->entries[i];
        struct mr_quota *to = answer_row(r);
        struct mr_quota_entity *entities = answer_array(r, (size_t)from->entity_count, sizeof *entities);
        for (int32_t k = 0; k < from->entity_count; k++)
            entities[k] = (struct mr_quota_entity){answer_keep(r, from->entity[k].entity_type),
                                                   answer_keep(r, from->entity[k].entity_name)};
        to->entities = entities;
        to->entity_count = (uint32_t)from->entity_count;
        answer_row_error(r, &to->error, from->error_code, from->error_message);
    }
}

static void ask_quota(struct mr_answer *r, const struct mr_quota *q, struct alter_client_quotas_request_entries *out)
{
    alter_client_quotas_request_entries_init(out);
    out->entity = answer_array(r, q->entity_count, sizeof *out->entity);
    out->entity_count = (int32_t)q->entity_count;
    for (uint32_t k = 0; k < q->entity_count; k++) {
        alter_client_quotas_request_entries_entity_init(&out->entity[k]);
        out->entity[k].entity_type = answer_text(r, q->entities[k].type, "the type of an entity");
        out->entity[k].entity_name = answer_text_or_null(r, q->entities[k].name);
    }
    out->ops = answer_array(r, q->limit_count, sizeof *out->ops);
    out->ops_count = (int32_t)q->limit_count;
    for (uint32_t k = 0; k < q->limit_count; k++) {
        alter_client_quotas_request_entries_ops_init(&out->ops[k]);
        out->ops[k].key = answer_text(r, q->limits[k].key, "the key of a quota");
        out->ops[k].value = q->limits[k].value;
        out->ops[k].remove = q->limits[k].remove != 0;
    }
}

struct mr_answer *mr_alter_quotas(struct mr_admin *a, const struct mr_quota *quotas, uint32_t count,
                                  const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_quotas", API_ALTER_CLIENT_QUOTAS, ROWS_QUOTA, take_altered, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct alter_client_quotas_request *m = r->request;
    m->validate_only = r->how.validate_only != 0;
    m->entries = answer_array(r, count, sizeof *m->entries);
    m->entries_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        ask_quota(r, &quotas[i], &m->entries[i]);
    return answer_ask(r);
}
