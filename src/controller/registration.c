/* Brokers and controllers register, and brokers are taken off the list (KIP-631, KIP-919). */
#include "controller/internal.h"

#include "protocol/broker_registration.h"
#include "protocol/controller_registration.h"
#include "protocol/register_broker_record.h"
#include "protocol/register_controller_record.h"
#include "protocol/unregister_broker.h"
#include "protocol/unregister_broker_record.h"

/* ---- a broker ----------------------------------------------------------------------------------
 */

static bool has_directory(const struct image_broker *b, struct uuid id)
{
    for (int32_t i = 0; i < b->directory_count; i++) {
        if (uuid_equal(b->directories[i], id))
            return true;
    }
    return false;
}

/* A directory is locked by its process. Whoever names one of the registered incarnation's proves that that one is dead;
 * the others may have failed, before or since. */
static bool proves_death(const struct broker_registration_request *m, const struct image_broker *b)
{
    for (int32_t i = 0; i < m->log_dirs_count; i++) {
        if (has_directory(b, m->log_dirs[i]))
            return true;
    }
    return false;
}

static bool is_reserved(struct uuid id)
{
    for (size_t i = 0; i < sizeof(id.b) - 1; i++) {
        if (id.b[i] != 0)
            return false;
    }
    return id.b[15] < 100;
}

static bool directories_are_sound(const struct decision *d,
                                  const struct broker_registration_request *m)
{
    if (d->version->level < METADATA_VERSION_DIRECTORIES)
        return true;
    if (m->log_dirs_count == 0)
        return false;
    for (int32_t i = 0; i < m->log_dirs_count; i++) {
        if (is_reserved(m->log_dirs[i]))
            return false;
        for (int32_t j = 0; j < i; j++) {
            if (uuid_equal(m->log_dirs[i], m->log_dirs[j]))
                return false;
        }
        for (uint32_t n = 0; n < image_broker_count(d->image); n++) {
            const struct image_broker *other = image_broker_at(d->image, n);
            if (other->id != m->broker_id && has_directory(other, m->log_dirs[i]))
                return false;
        }
    }
    return true;
}

/* A feature that is not named is supported at level 0 alone. */
static bool supports(const struct broker_registration_request *m, struct str feature, int16_t level)
{
    for (int32_t i = 0; i < m->features_count; i++) {
        if (str_equal(m->features[i].name, feature))
            return level >= m->features[i].min_supported_version &&
                   level <= m->features[i].max_supported_version;
    }
    return false;
}

static enum kerr check_features(const struct decision *d,
                                const struct broker_registration_request *m)
{
    int16_t kraft_version = d->c->log.kraft_version(d->c->log.log);
    bool has_metadata_version = false;

    for (uint32_t i = 0; i < image_feature_count(d->image); i++) {
        const struct image_feature *finalized = image_feature_at(d->image, i);
        if (finalized->max != 0 && !supports(m, finalized->name, finalized->max))
            return KERR_UNSUPPORTED_VERSION;
    }
    if (kraft_version != 0 && !supports(m, STR("kraft.version"), kraft_version))
        return KERR_UNSUPPORTED_VERSION;
    for (int32_t n = 0; n < m->features_count; n++)
        has_metadata_version |= feature_find(m->features[n].name) == FEATURE_METADATA_VERSION;
    return has_metadata_version ? KERR_NONE : KERR_INVALID_REGISTRATION;
}

static enum kerr check_registration(const struct decision *d,
                                    const struct broker_registration_request *m)
{
    const struct image_broker *existing = image_broker_find(d->image, m->broker_id);
    const struct session *s = session_find(d->c, m->broker_id);

    if (!str_equal(m->cluster_id, d->c->settings.cluster_id)) {
        news_of_stranger(d->c, m->broker_id, m->cluster_id);
        return KERR_INCONSISTENT_CLUSTER_ID;
    }
    if (existing != NULL && s != NULL && !existing->fenced &&
        session_is_valid(d->c, s, d->now_ms) &&
        !uuid_equal(existing->incarnation, m->incarnation_id) && !proves_death(m, existing))
        return KERR_DUPLICATE_BROKER_REGISTRATION;
    if (m->is_migrating_zk_broker)
        return KERR_BROKER_ID_NOT_REGISTERED;
    if (!directories_are_sound(d, m))
        return KERR_INVALID_REGISTRATION;
    return check_features(d, m);
}

static void fill_lists(struct decision *d, const struct broker_registration_request *m,
                       struct register_broker_record *r)
{
    r->end_points_count = m->listeners_count;
    r->end_points =
        arena_take_array(&d->c->scratch, (size_t)m->listeners_count, sizeof(*r->end_points));
    for (int32_t i = 0; i < m->listeners_count; i++) {
        register_broker_record_end_points_init(&r->end_points[i]);
        r->end_points[i].name = m->listeners[i].name;
        r->end_points[i].host = m->listeners[i].host;
        r->end_points[i].port = m->listeners[i].port;
        r->end_points[i].security_protocol = m->listeners[i].security_protocol;
    }
    r->features_count = m->features_count;
    r->features = arena_take_array(&d->c->scratch, (size_t)m->features_count, sizeof(*r->features));
    for (int32_t i = 0; i < m->features_count; i++) {
        register_broker_record_features_init(&r->features[i]);
        r->features[i].name = m->features[i].name;
        r->features[i].min_supported_version = m->features[i].min_supported_version;
        r->features[i].max_supported_version = m->features[i].max_supported_version;
    }
    if (d->version->register_broker_record >= 3) {
        r->log_dirs = m->log_dirs;
        r->log_dirs_count = m->log_dirs_count;
    }
}

/* The old incarnation leaves; it stopped in order when the new one knows its epoch (KIP-966). One that was taken off
 * the list meanwhile nobody knows. */
static void bury(struct decision *d, const struct broker_registration_request *m,
                 const struct image_broker *old)
{
    bool clean = old != NULL && d->call->api_version >= 3 && m->previous_broker_epoch == old->epoch;
    struct broker_change change = {m->broker_id, NO_LEADER, NO_LEADER};

#ifdef MUTANT_CONTROLLER_UNCLEAN_KEEPS_SEAT
    clean = true;
#endif
    if (elr_is_on(d->image) && !clean)
        change = (struct broker_change){NO_LEADER, NO_LEADER, m->broker_id};
    if (old != NULL)
        decide_because(d, true, "broker %d registers a new incarnation%s", m->broker_id,
                       d->call->api_version < 3 || clean ? "" : ", and the last one did not stop in order");
    else
        decide_because(d, true, "broker %d registers", m->broker_id);
    decide_partition_changes(d, &change);
}

enum kerr decide_broker_registration(struct decision *d, const void *request, void *response)
{
    const struct broker_registration_request *m = request;
    struct broker_registration_response *a = response;
    const struct image_broker *old = image_broker_find(d->image, m->broker_id);
    bool again = old != NULL && uuid_equal(old->incarnation, m->incarnation_id);
    enum kerr error = check_registration(d, m);
    struct register_broker_record r;
    struct session *s;

    a->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return KERR_NONE;
    if (!again)
        bury(d, m, old);
    register_broker_record_init(&r);
    r.broker_id = m->broker_id;
    r.incarnation_id = m->incarnation_id;
    r.rack = m->rack;
    r.broker_epoch = again ? old->epoch : decision_next_offset(d);
    r.fenced = !again || old->fenced;
    r.in_controlled_shutdown = again && old->in_controlled_shutdown;
    fill_lists(d, m, &r);
    decision_add(d, &register_broker_record_message, d->version->register_broker_record, &r);
    error = decision_commit(d);
    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    s = session_begin(d->c, m->broker_id, r.broker_epoch, d->now_ms);
    s->registration_offset = d->c->end - 1;
    if (r.in_controlled_shutdown)
        s->shutdown_offset = d->c->end - 1;
    a->broker_epoch = r.broker_epoch;
    return KERR_NONE;
}

/* ---- a controller ------------------------------------------------------------------------------
 */

enum kerr decide_controller_registration(struct decision *d, const void *request, void *response)
{
    const struct controller_registration_request *m = request;
    struct controller_registration_response *a = response;
    struct register_controller_record r;

    if (d->version->register_controller_record < 0) {
        a->error_code = KERR_UNSUPPORTED_VERSION;
        a->error_message =
            STR("The current MetadataVersion is too old to support controller registrations.");
        return KERR_NONE;
    }
    register_controller_record_init(&r);
    r.controller_id = m->controller_id;
    r.incarnation_id = m->incarnation_id;
    r.zk_migration_ready = m->zk_migration_ready;
    r.end_points_count = m->listeners_count;
    r.end_points =
        arena_take_array(&d->c->scratch, (size_t)m->listeners_count, sizeof(*r.end_points));
    for (int32_t i = 0; i < m->listeners_count; i++) {
        register_controller_record_end_points_init(&r.end_points[i]);
        r.end_points[i].name = m->listeners[i].name;
        r.end_points[i].host = m->listeners[i].host;
        r.end_points[i].port = m->listeners[i].port;
        r.end_points[i].security_protocol = m->listeners[i].security_protocol;
    }
    r.features_count = m->features_count;
    r.features = arena_take_array(&d->c->scratch, (size_t)m->features_count, sizeof(*r.features));
    for (int32_t i = 0; i < m->features_count; i++) {
        register_controller_record_features_init(&r.features[i]);
        r.features[i].name = m->features[i].name;
        r.features[i].min_supported_version = m->features[i].min_supported_version;
        r.features[i].max_supported_version = m->features[i].max_supported_version;
    }
    decision_add(d, &register_controller_record_message, d->version->register_controller_record,
                 &r);
    return KERR_NONE;
}

/* ---- off the list ------------------------------------------------------------------------------
 */

enum kerr decide_unregister_broker(struct decision *d, const void *request, void *response)
{
    const struct unregister_broker_request *m = request;
    struct unregister_broker_response *a = response;
    const struct image_broker *b = image_broker_find(d->image, m->broker_id);
    struct unregister_broker_record r;
    enum kerr error;

    if (!decision_may(d, ACL_ALTER, RESOURCE_CLUSTER, STR("kafka-cluster")))
        return KERR_CLUSTER_AUTHORIZATION_FAILED;
    if (b == NULL) {
        a->error_code = KERR_BROKER_ID_NOT_REGISTERED;
        a->error_message =
            arena_printf(d->call->arena, "Broker ID %d is not currently registered", m->broker_id);
        return KERR_NONE;
    }
    decide_because(d, true, "broker %d is unregistered, as an operator asks", b->id);
    /* Nobody will know what it has lost when it comes back. */
    decide_partition_changes(d, &(struct broker_change){NO_LEADER, NO_LEADER, b->id});
    unregister_broker_record_init(&r);
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    decision_add(d, &unregister_broker_record_message, 0, &r);
    error = decision_commit(d); /* every registered broker has a session */
    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    session_end(d->c, m->broker_id);
    return KERR_NONE;
}
