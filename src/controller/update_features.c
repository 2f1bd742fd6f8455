/* UpdateFeatures (key 57): what the cluster uses of what its nodes can do (KIP-584, KIP-1022). */
#include "controller/internal.h"

#include "protocol/feature_level_record.h"
#include "protocol/update_features.h"

enum upgrade_type { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 }; /* of the protocol */

typedef const struct update_features_request_feature_updates feature_update;

static struct verdict invalid_level(struct decision *d, feature_update *u, struct str why)
{
    return refuse(d, KERR_INVALID_UPDATE_VERSION, "Invalid update version %d for feature %.*s. %.*s",
                  u->max_version_level, STR_ARG(u->feature), STR_ARG(why));
}

static int8_t type_of(const struct decision *d, feature_update *u)
{
    if (d->call->api_version == 0)
        return u->allow_downgrade ? SAFE_DOWNGRADE : UPGRADE;
    return u->upgrade_type;
}

/* ---- who supports it ---------------------------------------------------------------------------
 */

/* Why a node that supports these levels does not support that one; null. */
static struct str objection(struct decision *d, const char *what, int32_t id, feature_update *u,
                            int16_t min, int16_t max)
{
    if (u->max_version_level >= min && u->max_version_level <= max)
        return STR_NULL;
    if (max == 0)
        return arena_printf(&d->c->scratch, "%s %d does not support this feature.", what, id);
    if (min == max)
        return arena_printf(&d->c->scratch, "%s %d only supports versions %d", what, id, min);
    return arena_printf(&d->c->scratch, "%s %d only supports versions %d-%d", what, id, min, max);
}

/* What a node has registered; what it does not name it supports at level 0 alone. */
static struct str registered_objection(struct decision *d, const char *what, int32_t id,
                                       feature_update *u, const struct image_feature *list,
                                       int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_equal(list[i].name, u->feature))
            return objection(d, what, id, u, list[i].min, list[i].max);
    }
    return objection(d, what, id, u, 0, 0);
}

/* Every voter that the settings name has to have said what it supports; a dynamic quorum's are not known here. */
static struct str missing_controller(struct decision *d)
{
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    struct fail ignored = {0};
    int count = quorum_voters_parse(
        config_str(d->c->settings.broker, BROKER_CONTROLLER_QUORUM_VOTERS), voters,
        QUORUM_VOTERS_MAX, &ignored);

    for (int i = 0; i < count; i++) {
        if (voters[i].id != d->c->settings.node_id &&
            image_controller_find(d->image, voters[i].id) == NULL)
            return arena_printf(
                &d->c->scratch,
                "controller %d has not registered, and may not support this feature", voters[i].id);
    }
    return STR_NULL;
}

static struct str any_objection(struct decision *d, feature_update *u, enum feature_id feature)
{
    int32_t self = d->c->settings.node_id;
    struct str why = feature == FEATURE_COUNT
                         ? objection(d, "Local controller", self, u, 0, 0)
                         : objection(d, "Local controller", self, u, features[feature].low,
                                     features[feature].latest);

    for (uint32_t i = 0; str_is_null(why) && i < image_broker_count(d->image); i++) {
        const struct image_broker *b = image_broker_at(d->image, i);
        why = registered_objection(d, "Broker", b->id, u, b->features, b->feature_count);
    }
    if (d->version->register_controller_record < 0) /* controllers cannot register yet */
        return why;
    for (uint32_t i = 0; str_is_null(why) && i < image_controller_count(d->image); i++) {
        const struct image_controller *c = image_controller_at(d->image, i);
        if (c->id != self)
            why = registered_objection(d, "Controller", c->id, u, c->features, c->feature_count);
    }
    return str_is_null(why) ? missing_controller(d) : why;
}

/* ---- one feature -------------------------------------------------------------------------------
 */

/* Records of the higher version are in the log, and an older node could not read them. */
static struct verdict check_metadata_version(struct decision *d, int16_t from, feature_update *u,
                                             int8_t type)
{
    bool changed = false;

    for (int16_t level = from; level > u->max_version_level; level--)
        changed |= metadata_version_find(level)->records_changed;
    if (!changed)
        return VERDICT_OK;
    return refuse(d, KERR_INVALID_UPDATE_VERSION,
                  "Unsupported metadata.version downgrade from %d to %d. %s", from,
                  u->max_version_level,
                  type == UNSAFE_DOWNGRADE
                      ? "Unsafe metadata downgrade is not supported in this version."
                      : "Refusing to perform the requested downgrade because it might delete "
                        "metadata information.");
}

/* `metadata_version` as it will be after the request. */
static struct verdict check_dependency(struct decision *d, feature_update *u,
                                       enum feature_id feature, int16_t metadata_version)
{
    const struct feature_level *level =
        &features[feature].levels[u->max_version_level - features[feature].low];

    if (level->needs_metadata_version <= metadata_version)
        return VERDICT_OK;
    return invalid_level(
        d, u,
        arena_printf(&d->c->scratch,
                     "%.*s could not be set to %d because it depends on metadata.version=%d (%s)",
                     STR_ARG(u->feature), u->max_version_level, level->needs_metadata_version,
                     metadata_version_find(level->needs_metadata_version)->name));
}

/* The quorum's own: no record of the metadata has its level. A request that names all features of a release names it,
 * too. Whether all voters support it only the quorum knows. */
static struct verdict check_kraft_version(struct decision *d, feature_update *u, int16_t from)
{
    enum kerr error;

    if (u->max_version_level == from)
        return VERDICT_OK;
    if (u->max_version_level < from)
        return invalid_level(d, u, STR("Can't downgrade the version of this feature."));
    error = d->c->log.upgrade(d->c->log.log, d->c->epoch, true);
    if (error == KERR_INVALID_UPDATE_VERSION)
        return refuse(d, error,
                      "Invalid upgrade of kraft.version to KRAFT_VERSION_%d because not all of the voters support it",
                      u->max_version_level);
    if (error == KERR_REQUEST_TIMED_OUT)
        return refuse(d, error, "The quorum has another change under way. Ask again.");
    return error == KERR_NONE ? VERDICT_OK : refuse(d, error, "%s", kerr_name((int16_t)error));
}

static struct verdict check_direction(struct decision *d, feature_update *u, int16_t from,
                                      int8_t type)
{
    if (u->max_version_level < from && type == UPGRADE)
        return invalid_level(d, u,
                             STR("Can't downgrade the version of this feature without setting the "
                                 "upgrade type to either safe or unsafe downgrade."));
    if (u->max_version_level > from && type != UPGRADE)
        return invalid_level(d, u, STR("Can't downgrade to a newer version."));
    return VERDICT_OK;
}

static struct verdict check_update(struct decision *d, feature_update *u, int16_t metadata_version)
{
    enum feature_id feature = feature_find(u->feature);
    int16_t from = feature == FEATURE_KRAFT_VERSION ? d->c->log.kraft_version(d->c->log.log)
                                                    : image_feature_level(d->image, u->feature);
    int8_t type = type_of(d, u);
    struct str why;
    struct verdict v;

    if (type < UPGRADE || type > UNSAFE_DOWNGRADE)
        return invalid_level(d, u, STR("The controller does not support the given upgrade type."));
    if (u->max_version_level < 0)
        return invalid_level(d, u, STR("A feature version cannot be less than 0."));
    why = any_objection(d, u, feature);
    if (!str_is_null(why))
        return invalid_level(d, u, why);
    if (feature == FEATURE_COUNT)
        return invalid_level(d, u, arena_printf(&d->c->scratch, "Feature %.*s not found.",
                                                STR_ARG(u->feature)));
    v = check_direction(d, u, from, type);
    if (v.error != KERR_NONE)
        return v;
    if (feature == FEATURE_KRAFT_VERSION)
        return check_kraft_version(d, u, from);
    return feature == FEATURE_METADATA_VERSION ? check_metadata_version(d, from, u, type)
                                               : check_dependency(d, u, feature, metadata_version);
}

/* ---- the request -------------------------------------------------------------------------------
 */

static struct verdict check_all(struct decision *d, const struct update_features_request *m)
{
    int16_t metadata_version = image_metadata_version(d->image);
    struct verdict v = VERDICT_OK;
    struct tally names;

    tally_make(&names, &d->c->scratch, m->feature_updates_count);
    for (int32_t i = 0; i < m->feature_updates_count; i++) {
        feature_update *u = &m->feature_updates[i];
        tally_add(&names, (struct named){.name = u->feature});
        if (feature_find(u->feature) == FEATURE_METADATA_VERSION)
            metadata_version = u->max_version_level;
    }
    tally_sort(&names);
    if (tally_second(&names) != NULL)
        return refuse(d, KERR_INVALID_REQUEST, "Feature %.*s must appear at most once.",
                      STR_ARG(tally_second(&names)->name));
    for (int32_t i = 0; v.error == KERR_NONE && i < m->feature_updates_count; i++)
        v = check_update(d, &m->feature_updates[i], metadata_version);
    return v;
}

/* The quorum writes its level into the log by itself; the answer waits for the record behind that. */
static enum kerr upgrade_quorum(struct decision *d, feature_update *u)
{
    enum kerr error;

    if (u->max_version_level == d->c->log.kraft_version(d->c->log.log))
        return KERR_NONE;
    error = d->c->log.upgrade(d->c->log.log, d->c->epoch, false);
    if (error == KERR_NONE)
        decide_no_op(d);
    return error;
}

static enum kerr add_level(struct decision *d, feature_update *u)
{
    struct feature_level_record r;

    if (feature_find(u->feature) == FEATURE_KRAFT_VERSION)
        return upgrade_quorum(d, u);
    feature_level_record_init(&r);
    r.name = u->feature;
    r.feature_level = u->max_version_level;
    decision_add(d, &feature_level_record_message, 0, &r);
    return KERR_NONE;
}

static void remove_min_isr(void *ctx, struct str broker)
{
    struct decision *d = ctx;
    struct config_change gone = {STR("min.insync.replicas"), STR_NULL};
    struct str now;

    if (broker.n > 0 && image_config(d->image, CONFIG_RESOURCE_BROKER, broker, gone.name, &now))
        add_configs(d, CONFIG_RESOURCE_BROKER, broker, &gone, 1);
}

/* With ELR on one number holds for the cluster, whoever controls it (KIP-966). */
static void add_elr_settings(struct decision *d)
{
    struct str now;

    if (!image_config(d->image, CONFIG_RESOURCE_BROKER, STR(""), STR("min.insync.replicas"), &now))
        add_cluster_min_isr(d);
    image_config_resources(d->image, CONFIG_RESOURCE_BROKER, remove_min_isr, d);
}

/* Up to version 1 each feature has its answer; failures are the whole request's. */
static void fill_results(struct decision *d, const struct update_features_request *m,
                         struct update_features_response *a)
{
    a->results_count = m->feature_updates_count;
    a->results =
        arena_take_array(d->call->arena, (size_t)m->feature_updates_count, sizeof(*a->results));
    for (int32_t i = 0; i < m->feature_updates_count; i++) {
        update_features_response_results_init(&a->results[i]);
        a->results[i].feature = m->feature_updates[i].feature;
    }
}

/* All or nothing. */
enum kerr decide_update_features(struct decision *d, const void *request, void *response)
{
    const struct update_features_request *m = request;
    struct update_features_response *a = response;
    struct verdict v;

    if (!decision_may(d, ACL_ALTER, RESOURCE_CLUSTER, STR("kafka-cluster")))
        return KERR_CLUSTER_AUTHORIZATION_FAILED;
    v = check_all(d, m);
    a->error_code = (int16_t)v.error;
    if (v.error != KERR_NONE) {
        a->error_message = arena_printf(
            d->call->arena,
            "The update failed for all features since the following feature had an error: %.*s",
            STR_ARG(v.message));
        return KERR_NONE;
    }
    if (d->call->api_version <= 1)
        fill_results(d, m, a);
    for (int32_t i = 0; !m->validate_only && i < m->feature_updates_count; i++) {
        feature_update *u = &m->feature_updates[i];
        enum kerr error = add_level(d, u);
        if (error != KERR_NONE)
            return error;
        if (feature_find(u->feature) == FEATURE_ELIGIBLE_LEADER_REPLICAS_VERSION &&
            u->max_version_level > 0)
            add_elr_settings(d);
    }
    return KERR_NONE;
}
