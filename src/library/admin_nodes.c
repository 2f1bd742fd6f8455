/* What a cluster consists of is changed: voters, nodes that are gone, levels of features. */
#include "library/admin.h"

/* ---- voters and nodes ---------------------------------------------------------------------------------------- */

/* The one row of an answer about node `id`. */
static void node_outcome(struct mr_answer *r, int32_t id, int16_t error, struct str message)
{
    answer_outcome(r, arena_printf(&r->arena, "%d", id), -1, error, message)->number = id;
}

static void take_added(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct add_raft_voter_request *asked = part->request;
    const struct add_raft_voter_response *m = response;

    node_outcome(r, asked->voter_id, m->error_code, m->error_message);
}

struct mr_answer *mr_add_voter(struct mr_admin *a, int32_t id, const uint8_t directory_id[16],
                               const struct mr_endpoint *endpoints, uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_add_voter", API_ADD_RAFT_VOTER, ROWS_OUTCOME, take_added, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct add_raft_voter_request *m = r->request;
    m->cluster_id = STR_NULL; /* that of whoever is asked */
    m->timeout_ms = answer_timeout_ms(r);
    m->voter_id = id;
    memcpy(&m->voter_directory_id, directory_id, sizeof m->voter_directory_id);
    m->listeners = answer_array(r, count, sizeof *m->listeners);
    m->listeners_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        add_raft_voter_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = answer_text(r, endpoints[i].listener, "the listener of an endpoint");
        m->listeners[i].host = answer_text(r, endpoints[i].host, "the host of an endpoint");
        if (endpoints[i].port <= 0 || endpoints[i].port > UINT16_MAX)
            answer_refuse(r, "port %d: there are 1 to 65535", endpoints[i].port);
        m->listeners[i].port = (uint16_t)endpoints[i].port;
    }
    return answer_ask(r);
}

static void take_removed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct remove_raft_voter_request *asked = part->request;
    const struct remove_raft_voter_response *m = response;

    node_outcome(r, asked->voter_id, m->error_code, m->error_message);
}

struct mr_answer *mr_remove_voter(struct mr_admin *a, int32_t id, const uint8_t directory_id[16],
                                  const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_remove_voter", API_REMOVE_RAFT_VOTER, ROWS_OUTCOME, take_removed, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct remove_raft_voter_request *m = r->request;
    m->cluster_id = STR_NULL;
    m->voter_id = id;
    memcpy(&m->voter_directory_id, directory_id, sizeof m->voter_directory_id);
    return answer_ask(r);
}

static void take_broker_gone(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct unregister_broker_request *asked = part->request;
    const struct unregister_broker_response *m = response;

    node_outcome(r, asked->broker_id, m->error_code, m->error_message);
}

struct mr_answer *mr_unregister_broker(struct mr_admin *a, int32_t id, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_unregister_broker", API_UNREGISTER_BROKER, ROWS_OUTCOME,
                                            take_broker_gone, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    ((struct unregister_broker_request *)r->request)->broker_id = id;
    return answer_ask(r);
}

static void take_controller_gone(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct unregister_controller_request *asked = part->request;
    const struct unregister_controller_response *m = response;

    node_outcome(r, asked->controller_id, m->error_code, m->error_message);
}

struct mr_answer *mr_unregister_controller(struct mr_admin *a, int32_t id, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_unregister_controller", API_UNREGISTER_CONTROLLER, ROWS_OUTCOME,
                                            take_controller_gone, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    ((struct unregister_controller_request *)r->request)->controller_id = id;
    return answer_ask(r);
}

/* ---- features --------------------------------------------------------------------------------------------------- */

static int32_t level_of(const struct api_versions_response *m, struct str feature)
{
    for (int32_t i = 0; i < m->finalized_features_count; i++) {
        if (str_equal(m->finalized_features[i].name, feature))
            return m->finalized_features[i].max_version_level;
    }
    return 0;
}

static void take_features(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct api_versions_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->supported_features_count; i++) {
        const struct api_versions_response_supported_features *from = &m->supported_features[i];
        *(struct mr_feature *)answer_row(r) = (struct mr_feature){
            .name = answer_keep(r, from->name),
            .level = level_of(m, from->name),
            .min_level = from->min_version,
            .max_level = from->max_version,
            .epoch = m->finalized_features_epoch,
        };
    }
}

struct mr_answer *mr_describe_features(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_features", API_API_VERSIONS, ROWS_FEATURE, take_features,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct api_versions_request *m = r->request;
    m->client_software_name = STR("millrace");
    m->client_software_version = STR(MILLRACE_VERSION);
    return answer_ask(r);
}

/* From version 2 on there is one error for all; before that, one for each. */
static void take_updated(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct update_features_request *asked = part->request;
    const struct update_features_response *m = response;

    for (int32_t i = 0; i < asked->feature_updates_count; i++) {
        const struct update_features_request_feature_updates *u = &asked->feature_updates[i];
        int16_t error = m->error_code;
        struct str message = m->error_message;
        for (int32_t k = 0; error == KERR_NONE && k < m->results_count; k++) {
            if (str_equal(m->results[k].feature, u->feature)) {
                error = m->results[k].error_code;
                message = m->results[k].error_message;
            }
        }
        answer_outcome(r, u->feature, -1, error, message)->number = u->max_version_level;
    }
}

struct mr_answer *mr_update_features(struct mr_admin *a, const struct mr_feature *wanted, uint32_t count,
                                     const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_update_features", API_UPDATE_FEATURES, ROWS_OUTCOME, take_updated,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct update_features_request *m = r->request;
    m->timeout_ms = answer_timeout_ms(r);
    m->validate_only = r->how.validate_only != 0;
    m->feature_updates = answer_array(r, count, sizeof *m->feature_updates);
    m->feature_updates_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        struct update_features_request_feature_updates *u = &m->feature_updates[i];
        update_features_request_feature_updates_init(u);
        u->feature = answer_text(r, wanted[i].name, "the name of a feature");
        u->max_version_level = (int16_t)wanted[i].level;
        u->upgrade_type = (int8_t)wanted[i].change;
        if (wanted[i].level < 0 || wanted[i].level > INT16_MAX)
            answer_refuse(r, "level %d of a feature: there are 0 to %d", wanted[i].level, INT16_MAX);
    }
    return answer_ask(r);
}
