/* UpdateFeatures: levels up and down. */
#include "world.h"

#include <stdio.h>

#include "protocol/controller_registration.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/update_features.h"

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

static struct update_features_request_feature_updates update(const char *feature, int16_t level,
                                                             int8_t type)
{
    struct update_features_request_feature_updates u;

    update_features_request_feature_updates_init(&u);
    u.feature = str_of(feature);
    u.max_version_level = level;
    u.upgrade_type = type;
    return u;
}

static struct update_features_response ask(struct world *w, int16_t version,
                                           struct update_features_request_feature_updates *updates,
                                           int32_t count, bool only_validate)
{
    struct update_features_request m;
    struct update_features_response a;

    update_features_request_init(&m);
    update_features_response_init(&a);
    m.feature_updates = updates;
    m.feature_updates_count = count;
    m.validate_only = only_validate;
    CHECK_EQ(world_ask(w, API_UPDATE_FEATURES, version, &m, &a), KERR_NONE);
    return a;
}

static struct update_features_response one(struct world *w, const char *feature, int16_t level,
                                           int8_t type)
{
    struct update_features_request_feature_updates u = update(feature, level, type);

    return ask(w, 2, &u, 1, false);
}

/* The refusal, without what is the same in all. */
static struct str why_not(struct world *w, const char *feature, int16_t level, int8_t type)
{
    static const char same[] =
        "The update failed for all features since the following feature had an error: ";
    struct update_features_response a = one(w, feature, level, type);

    CHECK_EQ(a.error_code, KERR_INVALID_UPDATE_VERSION);
    CHECK(str_starts(a.error_message, str_of(same)));
    CHECK_TEXT(world_records(w), "");
    return (struct str){a.error_message.p + sizeof(same) - 1,
                        a.error_message.n - (int32_t)sizeof(same) + 1};
}

static void begin_at(struct world *w, int16_t metadata_version)
{
    world_begin_at(w, metadata_version);
    (void)world_broker(w, 1);
}

#define DOWNGRADE_NEEDS_TYPE                                                           \
    "Can't downgrade the version of this feature without setting the upgrade type to " \
    "either safe or unsafe downgrade."

TEST(controller_update_features, metadata_version_goes_up_and_down)
{
    struct world w;

    begin_at(&w, 27);
    CHECK_EQ(one(&w, "metadata.version", 29, UPGRADE).error_code, KERR_NONE);
    CHECK_TEXT(world_records(&w),
               "FeatureLevelRecord v0 {\"name\":\"metadata.version\",\"featureLevel\":29}\n");
    CHECK_EQ(image_metadata_version(controller_latest(w.c)), 29);
    CHECK_TEXT(why_not(&w, "metadata.version", 27, UPGRADE),
               "Invalid update version 27 for feature metadata.version. " DOWNGRADE_NEEDS_TYPE);
    CHECK_EQ(one(&w, "metadata.version", 23, SAFE_DOWNGRADE).error_code, KERR_NONE);
    (void)world_records(&w);
    CHECK_TEXT(why_not(&w, "metadata.version", 22, SAFE_DOWNGRADE), /* ELR records */
               "Unsupported metadata.version downgrade from 23 to 22. Refusing to perform the "
               "requested downgrade because it might delete metadata information.");
    CHECK_TEXT(why_not(&w, "metadata.version", 22, UNSAFE_DOWNGRADE),
               "Unsupported metadata.version downgrade from 23 to 22. Unsafe metadata downgrade is "
               "not supported in this version.");
    CHECK_TEXT(why_not(&w, "metadata.version", 29, SAFE_DOWNGRADE),
               "Invalid update version 29 for feature metadata.version. Can't downgrade to a newer "
               "version.");
    world_end(&w);
}

/* Records that follow are those of the new version. */
TEST(controller_update_features, records_after_an_upgrade_are_the_new_ones)
{
    struct world w;

    begin_at(&w, 14);
    CHECK_EQ(one(&w, "metadata.version", 30, UPGRADE).error_code, KERR_NONE);
    (void)world_records(&w);
    (void)world_register(&w, 1, 15, -1, true); /* the same incarnation: now with directories */
    CHECK(str_starts(world_records(&w), STR("RegisterBrokerRecord v4 ")));
    CHECK_EQ(image_broker_find(controller_latest(w.c), 1)->directory_count, 2);
    world_create_on(&w, "orders", (int32_t[]){1}, 1);
    world_end(&w);
}

TEST(controller_update_features, what_cannot_be)
{
    struct world w;

    begin_at(&w, 30);
    CHECK_TEXT(why_not(&w, "group.version", 1, 0),
               "Invalid update version 1 for feature group.version. The controller does not "
               "support the given upgrade type.");
    CHECK_TEXT(why_not(&w, "group.version", -1, UPGRADE),
               "Invalid update version -1 for feature group.version. A feature version cannot be "
               "less than 0.");
    CHECK_TEXT(why_not(&w, "group.version", 9, UPGRADE),
               "Invalid update version 9 for feature group.version. Local controller 1 only "
               "supports versions 0-1");
    CHECK_TEXT(why_not(&w, "metadata.version", 31, UPGRADE), /* we could */
               "Invalid update version 31 for feature metadata.version. Broker 1 only supports "
               "versions 7-30");
    CHECK_TEXT(why_not(&w, "unheard.of", 1, UPGRADE),
               "Invalid update version 1 for feature unheard.of. Local controller 1 does not "
               "support this feature.");
    CHECK_TEXT(why_not(&w, "unheard.of", 0, UPGRADE),
               "Invalid update version 0 for feature unheard.of. Feature unheard.of not found.");
    world_end(&w);
}

/* No record of the metadata tells it; the answer waits for the one behind the quorum's own (KIP-853). */
TEST(controller_update_features, the_level_of_the_quorum_is_raised_once)
{
    struct update_features_request_feature_updates u[2];
    struct update_features_response a;
    struct world w;

    world_begin(&w, true);
    (void)world_records(&w);
    u[0] = update("kraft.version", 1, UPGRADE);
    w.upgrade_error = KERR_INVALID_UPDATE_VERSION;
    CHECK_TEXT(why_not(&w, "kraft.version", 1, UPGRADE),
               "Invalid upgrade of kraft.version to KRAFT_VERSION_1 because not all of the voters support it");
    w.upgrade_error = KERR_REQUEST_TIMED_OUT;
    CHECK_EQ(ask(&w, 2, u, 1, false).error_code, KERR_REQUEST_TIMED_OUT);
    w.upgrade_error = KERR_NONE;
    CHECK_EQ(ask(&w, 2, u, 1, true).error_code, KERR_NONE);
    CHECK_EQ(w.kraft_version, 0); /* only looked at */
    CHECK_EQ(one(&w, "kraft.version", 0, UPGRADE).error_code, KERR_NONE);
    u[1] = update("unheard.of", 1, UPGRADE);
    CHECK_EQ(ask(&w, 2, u, 2, false).error_code, KERR_INVALID_UPDATE_VERSION);
    CHECK_EQ(w.kraft_version, 0); /* all or nothing */
    CHECK_TEXT(world_records(&w), "");

    a = ask(&w, 2, u, 1, false);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_EQ(w.kraft_version, 1);
    CHECK_TEXT(world_records(&w), "NoOpRecord v0 {}\n");
    CHECK_EQ(one(&w, "kraft.version", 1, UPGRADE).error_code, KERR_NONE); /* it is so already */
    CHECK_TEXT(why_not(&w, "kraft.version", 0, UPGRADE),
               "Invalid update version 0 for feature kraft.version. " DOWNGRADE_NEEDS_TYPE);
    CHECK_TEXT(why_not(&w, "kraft.version", 0, UNSAFE_DOWNGRADE),
               "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.");
    world_end(&w);
}

/* All or nothing; what one needs may come with it. */
TEST(controller_update_features, features_that_depend_on_each_other)
{
    struct update_features_request_feature_updates u[2];
    struct update_features_response a;
    struct world w;

    begin_at(&w, 21);
    CHECK_TEXT(why_not(&w, "eligible.leader.replicas.version", 1, UPGRADE),
               "Invalid update version 1 for feature eligible.leader.replicas.version. "
               "eligible.leader.replicas.version could not be set to 1 because it depends on "
               "metadata.version=23 (4.0-IV1)");
    u[0] = update("eligible.leader.replicas.version", 1, UPGRADE);
    u[1] = update("metadata.version", 30, UPGRADE);
    a = ask(&w, 2, u, 2, true);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_TEXT(world_records(&w), ""); /* only looked at */
    u[1].max_version_level = 99;
    a = ask(&w, 2, u, 2, false);
    CHECK_EQ(a.error_code, KERR_INVALID_UPDATE_VERSION);
    CHECK_TEXT(world_records(&w), "");
    u[1] = u[0];
    a = ask(&w, 2, u, 2, false);
    CHECK_EQ(a.error_code, KERR_INVALID_REQUEST);
    world_end(&w);
}

static void set_min_isr(struct world *w, const char *broker, const char *value)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = STR("min.insync.replicas");
    c.value = str_of(value);
    r.resource_type = 4;
    r.resource_name = str_of(broker);
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses[0].error_code, KERR_NONE);
}

/* KIP-966: with ELR on there is one min.insync.replicas for the cluster, in its records. */
TEST(controller_update_features, elr_comes_with_its_settings)
{
    struct world w;

    begin_at(&w, 30);
    set_min_isr(&w, "1", "3");
    (void)world_records(&w);
    CHECK_EQ(one(&w, "eligible.leader.replicas.version", 1, UPGRADE).error_code, KERR_NONE);
    CHECK_TEXT(world_records(&w),
               "FeatureLevelRecord v0 "
               "{\"name\":\"eligible.leader.replicas.version\",\"featureLevel\":1}\n"
               "ConfigRecord v0 {\"resourceType\":4,\"resourceName\":\"\",\"name\":"
               "\"min.insync.replicas\",\"value\":\"1\"}\n"
               "ConfigRecord v0 {\"resourceType\":4,\"resourceName\":\"1\",\"name\":"
               "\"min.insync.replicas\",\"value\":null}\n");
    CHECK_EQ(one(&w, "eligible.leader.replicas.version", 0, SAFE_DOWNGRADE).error_code, KERR_NONE);
    set_min_isr(&w, "", "2");
    (void)world_records(&w);
    CHECK_EQ(one(&w, "eligible.leader.replicas.version", 1, UPGRADE).error_code, KERR_NONE);
    CHECK_TEXT(world_records(&w),
               "FeatureLevelRecord v0 "
               "{\"name\":\"eligible.leader.replicas.version\",\"featureLevel\":1}\n");
    world_end(&w);
}

/* Version 0 knew only whether a downgrade is allowed; up to version 1 each feature has a result. */
TEST(controller_update_features, older_clients)
{
    struct update_features_request_feature_updates u = update("group.version", 1, UPGRADE);
    struct update_features_response a;
    struct world w;

    begin_at(&w, 30);
    a = ask(&w, 1, &u, 1, false);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_EQ(a.results_count, 1);
    CHECK_TEXT(a.results[0].feature, "group.version");
    CHECK_EQ(a.results[0].error_code, KERR_NONE);
    u.max_version_level = 0;
    CHECK_EQ(ask(&w, 0, &u, 1, false).error_code, KERR_INVALID_UPDATE_VERSION);
    u.allow_downgrade = true;
    CHECK_EQ(ask(&w, 0, &u, 1, false).error_code, KERR_NONE);
    CHECK_EQ(image_feature_level(controller_latest(w.c), STR("group.version")), 0);
    world_end(&w);
}

static void register_controller(struct world *w, int32_t id, int16_t metadata_version_max)
{
    struct controller_registration_request m;
    struct controller_registration_response a;
    struct controller_registration_request_features f;

    controller_registration_request_init(&m);
    controller_registration_response_init(&a);
    controller_registration_request_features_init(&f);
    f.name = STR("metadata.version");
    f.min_supported_version = 7;
    f.max_supported_version = metadata_version_max;
    m.controller_id = id;
    m.incarnation_id = world_id((uint8_t)id);
    m.features = &f;
    m.features_count = 1;
    CHECK_EQ(world_ask(w, API_CONTROLLER_REGISTRATION, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    (void)world_records(w);
}

/* A voter that we do not know, or that is older, could not read the records when it leads. */
TEST(controller_update_features, every_controller_has_a_say)
{
    struct world w;

    begin_at(&w, 27);
    CHECK_EQ(config_set(w.settings, CONFIG_STATIC_BROKER, STR("controller.quorum.voters"),
                        STR("1@a:1,2@b:1"), NULL),
             0);
    CHECK_TEXT(why_not(&w, "metadata.version", 28, UPGRADE),
               "Invalid update version 28 for feature metadata.version. controller 2 has not "
               "registered, and may not support this feature");
    register_controller(&w, 2, 27);
    CHECK_TEXT(why_not(&w, "metadata.version", 28, UPGRADE),
               "Invalid update version 28 for feature metadata.version. Controller 2 only supports "
               "versions 7-27");
    register_controller(&w, 2, 30);
    CHECK_EQ(one(&w, "metadata.version", 28, UPGRADE).error_code, KERR_NONE);
    world_end(&w);
}
