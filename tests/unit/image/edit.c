/* Strict replay: what makes no sense is refused, what does has the effect that Kafka gives it. */
#include "world.h"

#include "protocol/abort_transaction_record.h"
#include "protocol/access_control_entry_record.h"
#include "protocol/begin_transaction_record.h"
#include "protocol/broker_registration_change_record.h"
#include "protocol/clear_elr_record.h"
#include "protocol/client_quota_record.h"
#include "protocol/config_record.h"
#include "protocol/delegation_token_record.h"
#include "protocol/end_transaction_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/no_op_record.h"
#include "protocol/partition_change_record.h"
#include "protocol/partition_record.h"
#include "protocol/producer_ids_record.h"
#include "protocol/register_broker_record.h"
#include "protocol/register_controller_record.h"
#include "protocol/remove_access_control_entry_record.h"
#include "protocol/remove_topic_record.h"
#include "protocol/remove_user_scram_credential_record.h"
#include "protocol/topic_record.h"
#include "protocol/unregister_broker_record.h"
#include "protocol/unregister_controller_record.h"
#include "protocol/user_scram_credential_record.h"

static struct image *start(void)
{
    struct image *i = image_empty();

    world_feature(&i, "metadata.version", 30);
    world_topic(&i, "orders", 1);
    world_partition(&i, 1, 0);
    return i;
}

static void end(struct image *i)
{
    image_unref(i);
    world_end();
}

static void broker(struct image **i, int32_t id, int64_t epoch)
{
    struct register_broker_record_end_points endpoint;
    struct register_broker_record_features feature;
    struct uuid dirs[] = {world_id(8), world_id(9)};
    struct register_broker_record r;

    register_broker_record_init(&r);
    register_broker_record_end_points_init(&endpoint);
    register_broker_record_features_init(&feature);
    endpoint.name = STR("PLAINTEXT");
    endpoint.host = STR("localhost");
    endpoint.port = 9092;
    feature.name = STR("metadata.version");
    feature.min_supported_version = 7;
    feature.max_supported_version = 30;
    r.broker_id = id;
    r.broker_epoch = epoch;
    r.incarnation_id = world_id(3);
    r.end_points = &endpoint;
    r.end_points_count = 1;
    r.features = &feature;
    r.features_count = 1;
    r.rack = STR("r1");
    r.log_dirs = dirs;
    r.log_dirs_count = 2;
    world_apply(i, &register_broker_record_message, 4, &r);
}

/* ---- topics ------------------------------------------------------------------------------------
 */

TEST(image_edit, topic_with_a_known_name_or_id_is_refused)
{
    struct image *i = start();
    struct fail f = {0};
    struct topic_record r;

    topic_record_init(&r);
    r.name = STR("orders");
    r.topic_id = world_id(2);
    world_refuse(i, &topic_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record TopicRecord: there is a topic orders already");
    r.name = STR("other");
    r.topic_id = world_id(1);
    world_refuse(i, &topic_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record TopicRecord: there is a topic with id "
                       "AQAAAAAAAAAAAAAAAAAAAA already");
    end(i);
}

TEST(image_edit, partition_of_an_unknown_topic_is_refused)
{
    struct image *i = start();
    int32_t replicas[] = {1};
    struct fail f = {0};
    struct partition_record r;

    partition_record_init(&r);
    r.topic_id = world_id(2);
    r.partition_id = 0;
    r.replicas = replicas;
    r.replicas_count = 1;
    world_refuse(i, &partition_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record PartitionRecord: there is no topic with id "
                       "AgAAAAAAAAAAAAAAAAAAAA");
    r.topic_id = world_id(1);
    r.replicas_count = 0;
    world_refuse(i, &partition_record_message, 0, &r, &f);
    r.replicas_count = 1;
    r.partition_id = 1 << 30;
    world_refuse(i, &partition_record_message, 0, &r, &f);
    end(i);
}

TEST(image_edit, change_counts_epochs_and_keeps_what_it_does_not_name)
{
    struct image *i = start();
    const struct image_partition *p;
    int32_t isr[] = {1, 2};
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = world_id(1);
    r.partition_id = 0;
    r.isr = isr;
    r.isr_count = 2;
    world_apply(&i, &partition_change_record_message, 0, &r);
    p = image_partition_find(i, world_id(1), 0);
    CHECK_EQ(p->partition_epoch, 8);
    CHECK_EQ(p->leader_epoch, 5);
    CHECK_EQ(p->isr_count, 2);
    CHECK_EQ(p->leader, 2);
    CHECK_EQ(p->replica_count, 2);
    r.isr_count = -1;
    r.leader = 2; /* the same leader, named: a new leader epoch all the same */
    world_apply(&i, &partition_change_record_message, 0, &r);
    p = image_partition_find(i, world_id(1), 0);
    CHECK_EQ(p->partition_epoch, 9);
    CHECK_EQ(p->leader_epoch, 6);
    CHECK_EQ(p->isr_count, 2);
    end(i);
}

TEST(image_edit, change_of_an_unknown_partition_is_refused)
{
    struct image *i = start();
    struct fail f = {0};
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = world_id(1);
    r.partition_id = 1;
    world_refuse(i, &partition_change_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record PartitionChangeRecord: there is no partition 1 of topic "
                       "orders");
    end(i);
}

TEST(image_edit, partitions_may_come_in_any_order)
{
    struct image *i = start();

    world_partition(&i, 1, 3);
    CHECK_EQ(image_topic_find(i, STR("orders"))->partition_count, 4);
    CHECK(image_partition_find(i, world_id(1), 2) == NULL);
    CHECK_EQ(image_topic_find(i, STR("orders"))->partitions[2].leader, -1);
    world_partition(&i, 1, 1);
    world_partition(&i, 1, 2);
    CHECK_EQ(image_partition_find(i, world_id(1), 2)->leader, 2);
    end(i);
}

TEST(image_edit, removed_topic_takes_its_settings_along_and_may_come_again)
{
    struct image *i = start();
    struct fail f = {0};
    struct str value;
    struct remove_topic_record r;

    world_config(&i, 2, "orders", "retention.ms", "5");
    world_config(&i, 2, "order", "retention.ms", "6");
    CHECK_EQ(config_i64(image_topic_find(i, STR("orders"))->config, TOPIC_RETENTION_MS), 5);
    remove_topic_record_init(&r);
    r.topic_id = world_id(1);
    world_apply(&i, &remove_topic_record_message, 0, &r);
    CHECK(image_topic_find(i, STR("orders")) == NULL);
    CHECK(image_topic_by_id(i, world_id(1)) == NULL);
    CHECK(!image_config(i, 2, STR("orders"), STR("retention.ms"), &value));
    CHECK(image_config(i, 2, STR("order"), STR("retention.ms"), &value));
    CHECK_TEXT(value, "6");
    world_refuse(i, &remove_topic_record_message, 0, &r, &f);
    world_topic(&i, "orders", 1);
    CHECK(image_topic_find(i, STR("orders"))->config == NULL);
    end(i);
}

TEST(image_edit, settings_of_a_topic_follow_its_records)
{
    struct image *i = start();

    world_config(&i, 2, "later", "retention.ms",
                 "7"); /* before its topic, as in no log, but allowed */
    world_topic(&i, "later", 4);
    CHECK_EQ(config_i64(image_topic_find(i, STR("later"))->config, TOPIC_RETENTION_MS), 7);
    world_config(&i, 2, "later", "some.newer.setting", "x");
    CHECK_EQ(config_i64(image_topic_find(i, STR("later"))->config, TOPIC_RETENTION_MS), 7);
    world_config(&i, 2, "later", "some.newer.setting", NULL);
    world_config(&i, 2, "later", "retention.ms", NULL);
    CHECK(image_topic_find(i, STR("later"))->config == NULL);
    end(i);
}

TEST(image_edit, clear_elr_touches_only_partitions_that_have_one)
{
    struct image *i = start();
    int32_t elr[] = {1};
    struct fail f = {0};
    struct partition_change_record change;
    struct clear_elr_record r;

    world_partition(&i, 1, 1);
    partition_change_record_init(&change);
    change.topic_id = world_id(1);
    change.partition_id = 0;
    change.eligible_leader_replicas = elr;
    change.eligible_leader_replicas_count = 1;
    world_apply(&i, &partition_change_record_message, 2, &change);
    CHECK_EQ(image_partition_find(i, world_id(1), 0)->elr_count, 1);
    clear_elr_record_init(&r);
    r.topic_name = STR("nothing");
    world_refuse(i, &clear_elr_record_message, 0, &r, &f);
    r.topic_name = STR("");
    world_apply(&i, &clear_elr_record_message, 0, &r);
    CHECK_EQ(image_partition_find(i, world_id(1), 0)->elr_count, 0);
    CHECK_EQ(image_partition_find(i, world_id(1), 0)->partition_epoch, 9);
    CHECK_EQ(image_partition_find(i, world_id(1), 1)->partition_epoch, 7);
    end(i);
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

TEST(image_edit, broker_records_need_the_epoch_of_the_registration)
{
    struct image *i = start();
    struct fail f = {0};
    struct broker_registration_change_record r;
    struct unregister_broker_record u;

    broker(&i, 1, 14);
    CHECK(image_broker_find(i, 1)->fenced);
    CHECK_EQ(image_broker_find(i, 1)->cordoned_count, -1);
    broker_registration_change_record_init(&r);
    r.broker_id = 1;
    r.broker_epoch = 13;
    r.fenced = -1;
    world_refuse(i, &broker_registration_change_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record BrokerRegistrationChangeRecord: broker 1 has epoch 14, "
                       "not 13");
    r.broker_epoch = 14;
    world_apply(&i, &broker_registration_change_record_message, 0, &r);
    CHECK(!image_broker_find(i, 1)->fenced);
    CHECK_EQ(image_broker_find(i, 1)->directory_count, 2);
    CHECK_TEXT(image_broker_find(i, 1)->rack, "r1");
    r.fenced = 2;
    world_refuse(i, &broker_registration_change_record_message, 0, &r, &f);
    unregister_broker_record_init(&u);
    u.broker_id = 2;
    u.broker_epoch = 14;
    world_refuse(i, &unregister_broker_record_message, 0, &u, &f);
    CHECK_TEXT(f.text, "metadata record UnregisterBrokerRecord: broker 2 is not registered");
    u.broker_id = 1;
    world_apply(&i, &unregister_broker_record_message, 0, &u);
    CHECK_EQ(image_broker_count(i), 0);
    end(i);
}

TEST(image_edit, unknown_controller_cannot_be_unregistered)
{
    struct image *i = start();
    struct fail f = {0};
    struct register_controller_record r;
    struct unregister_controller_record u;

    unregister_controller_record_init(&u);
    u.controller_id = 3;
    world_refuse(i, &unregister_controller_record_message, 0, &u, &f);
    register_controller_record_init(&r);
    r.controller_id = 3;
    world_apply(&i, &register_controller_record_message, 0, &r);
    CHECK_EQ(image_controller_find(i, 3)->id, 3);
    world_apply(&i, &unregister_controller_record_message, 0, &u);
    CHECK_EQ(image_controller_count(i), 0);
    end(i);
}

TEST(image_edit, features_keep_to_levels_that_are_known)
{
    struct image *i = image_empty();
    struct fail f = {0};
    struct feature_level_record r;

    feature_level_record_init(&r);
    r.name = STR("group.version");
    r.feature_level = 1;
    world_refuse(i, &feature_level_record_message, 0, &r, &f);
    CHECK_TEXT(f.text, "metadata record FeatureLevelRecord: feature group.version comes before "
                       "metadata.version");
    r.name = STR("metadata.version");
    r.feature_level = 6;
    world_refuse(i, &feature_level_record_message, 0, &r, &f);
    CHECK_EQ(f.error, ERR_VERSION);
    world_feature(&i, "metadata.version", 30);
    world_feature(&i, "group.version", 1);
    world_feature(&i, "kraft.version", 1);
    CHECK_EQ(image_feature_level(i, STR("group.version")), 1);
    CHECK_EQ(image_feature_level(i, STR("kraft.version")), 0);
    CHECK_EQ(image_metadata_version(i), 30);
    world_feature(&i, "group.version", 0);
    CHECK_EQ(image_feature_count(i), 1);
    r.name = STR("coffee.version");
    r.feature_level = 1;
    world_refuse(i, &feature_level_record_message, 0, &r, &f);
    end(i);
}

TEST(image_edit, producer_ids_only_grow)
{
    struct image *i = start();
    struct fail f = {0};
    struct producer_ids_record r;

    CHECK_EQ(image_next_producer_id(i), 0);
    producer_ids_record_init(&r);
    r.next_producer_id = 1000;
    world_apply(&i, &producer_ids_record_message, 0, &r);
    CHECK_EQ(image_next_producer_id(i), 1000);
    world_refuse(i, &producer_ids_record_message, 0, &r, &f);
    end(i);
}

/* ---- kept records ------------------------------------------------------------------------------
 */

static int count_lines(struct str print, const char *what)
{
    int count = 0;

    for (int32_t at = 0; at + (int32_t)strlen(what) <= print.n; at++)
        count += memcmp(print.p + at, what, strlen(what)) == 0;
    return count;
}

TEST(image_edit, acls_and_credentials_are_checked_by_their_keys)
{
    struct image *i = start();
    struct fail f = {0};
    struct access_control_entry_record acl;
    struct remove_access_control_entry_record remove_acl;
    struct user_scram_credential_record scram;
    struct remove_user_scram_credential_record remove_scram;

    access_control_entry_record_init(&acl);
    acl.id = world_id(1);
    acl.resource_name = acl.principal = acl.host = STR("*");
    world_apply(&i, &access_control_entry_record_message, 0, &acl);
    world_refuse(i, &access_control_entry_record_message, 0, &acl, &f);
    remove_access_control_entry_record_init(&remove_acl);
    remove_acl.id = world_id(2);
    world_refuse(i, &remove_access_control_entry_record_message, 0, &remove_acl, &f);
    remove_acl.id = world_id(1);
    world_apply(&i, &remove_access_control_entry_record_message, 0, &remove_acl);

    user_scram_credential_record_init(&scram);
    scram.name = STR("alice");
    scram.mechanism = 2;
    scram.salt = scram.stored_key = scram.server_key = bytes_of_str(STR("xyz"));
    world_apply(&i, &user_scram_credential_record_message, 0, &scram);
    remove_user_scram_credential_record_init(&remove_scram);
    remove_scram.name = STR("alice");
    remove_scram.mechanism = 1;
    world_refuse(i, &remove_user_scram_credential_record_message, 0, &remove_scram, &f);
    CHECK_EQ(count_lines(world_print(i, true), "alice"), 1);
    remove_scram.mechanism = 2;
    world_apply(&i, &remove_user_scram_credential_record_message, 0, &remove_scram);
    CHECK_EQ(count_lines(world_print(i, true), "alice"), 0);
    end(i);
}

/* The parts of an entity have no order: the second record replaces the first. */
TEST(image_edit, quota_is_found_by_its_entity_in_any_order)
{
    struct image *i = start();
    struct client_quota_record_entity parts[2];
    struct client_quota_record r;

    client_quota_record_init(&r);
    client_quota_record_entity_init(&parts[0]);
    client_quota_record_entity_init(&parts[1]);
    parts[0].entity_type = STR("user");
    parts[0].entity_name = STR_NULL; /* the default user */
    parts[1].entity_type = STR("client-id");
    parts[1].entity_name = STR("app");
    r.entity = parts;
    r.entity_count = 2;
    r.key = STR("request_percentage");
    r.value = 10;
    world_apply(&i, &client_quota_record_message, 0, &r);
    struct client_quota_record_entity first = parts[0];
    parts[0] = parts[1];
    parts[1] = first;
    r.value = 20;
    world_apply(&i, &client_quota_record_message, 0, &r);
    CHECK_EQ(count_lines(world_print(i, true), "request_percentage"), 1);
    r.remove = true;
    world_apply(&i, &client_quota_record_message, 0, &r);
    CHECK_EQ(count_lines(world_print(i, true), "request_percentage"), 0);
    end(i);
}

TEST(image_edit, everything_is_in_the_snapshot)
{
    struct image *i = start(), *again;
    struct access_control_entry_record acl;
    struct delegation_token_record token;
    struct register_controller_record controller;

    broker(&i, 1, 14);
    register_controller_record_init(&controller);
    controller.controller_id = 9;
    world_apply(&i, &register_controller_record_message, 0, &controller);
    access_control_entry_record_init(&acl);
    acl.resource_name = acl.principal = acl.host = STR("*");
    world_apply(&i, &access_control_entry_record_message, 0, &acl);
    delegation_token_record_init(&token);
    token.owner = token.requester = STR("User:a");
    token.token_id = STR("t1");
    world_apply(&i, &delegation_token_record_message, 0, &token);
    world_config(&i, 16, "m", "interval.ms", "5");
    world_partition(&i, 1, 2);
    again = world_rewrite(i);
    CHECK(str_equal(world_print(i, false), world_print(again, false)));
    CHECK_EQ(count_lines(world_print(i, false), "User:a"), 2);
    image_unref(again);
    end(i);
}

/* ---- transactions ------------------------------------------------------------------------------
 */

static void begin(struct image **i)
{
    struct begin_transaction_record r;

    begin_transaction_record_init(&r);
    r.name = STR("test");
    world_apply(i, &begin_transaction_record_message, 0, &r);
}

TEST(image_edit, open_transaction_shows_nothing_before_its_end)
{
    struct image *i = start();
    struct fail f = {0};
    struct begin_transaction_record again;
    struct end_transaction_record done;

    begin(&i);
    world_topic(&i, "inside", 2);
    world_partition(&i, 2, 0);
    CHECK(image_in_transaction(i));
    CHECK(image_topic_find(i, STR("inside")) == NULL);
    begin_transaction_record_init(&again);
    world_refuse(i, &begin_transaction_record_message, 0, &again, &f);
    end_transaction_record_init(&done);
    world_apply(&i, &end_transaction_record_message, 0, &done);
    CHECK(!image_in_transaction(i));
    CHECK_EQ(image_topic_find(i, STR("inside"))->partition_count, 1);
    world_refuse(i, &end_transaction_record_message, 0, &done, &f);
    end(i);
}

TEST(image_edit, aborted_transaction_leaves_nothing)
{
    struct image *i = start();
    struct str before = world_print(i, true);
    struct fail f = {0};
    struct remove_topic_record remove;
    struct abort_transaction_record r;

    begin(&i);
    world_config(&i, 2, "orders", "retention.ms", "5");
    remove_topic_record_init(&remove);
    remove.topic_id = world_id(1);
    world_apply(&i, &remove_topic_record_message, 0, &remove);
    world_feature(&i, "metadata.version", 29);
    abort_transaction_record_init(&r);
    world_apply(&i, &abort_transaction_record_message, 0, &r);
    CHECK(str_equal(world_print(i, true), before));
    world_refuse(i, &abort_transaction_record_message, 0, &r, &f);
    end(i);
}

static void apply(struct image_edit *e, const struct message *message, const void *record)
{
    struct fail f = {0};

    if (image_edit_apply(e, framed(message, 0, record), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

/* All in one edit: what came before the transaction stays, what came in it goes. */
TEST(image_edit, abort_goes_back_to_the_begin_within_one_edit)
{
    struct image *i = start(), *next;
    struct image_edit *e = image_edit_begin(i);
    struct begin_transaction_record begin_record;
    struct abort_transaction_record abort_record;
    struct partition_change_record change;

    partition_change_record_init(&change);
    begin_transaction_record_init(&begin_record);
    abort_transaction_record_init(&abort_record);
    change.topic_id = world_id(1);
    change.partition_id = 0;
    apply(e, &partition_change_record_message, &change);
    apply(e, &begin_transaction_record_message, &begin_record);
    apply(e, &partition_change_record_message, &change);
    apply(e, &partition_change_record_message, &change);
    apply(e, &abort_transaction_record_message, &abort_record);
    apply(e, &partition_change_record_message, &change);
    next = image_edit_finish(e, 9, 1, 0);
    CHECK_EQ(image_partition_find(next, world_id(1), 0)->partition_epoch, 9);
    image_unref(next);
    end(i);
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

TEST(image_edit, bytes_that_are_no_known_record_are_refused)
{
    static const struct {
        uint8_t bytes[5];
        int32_t n;
        const char *words;
    } cases[] = {
        {{2, 20, 0, 0}, 4, "metadata record: the version is not one that this program knows"},
        {{1, 99, 0, 0}, 4, "metadata record: the version is not one that this program knows"},
        {{1, 20, 1, 0},
         4,
         "metadata record NoOpRecord: the version is not one that this program knows"},
        {{1, 20, 0}, 3, "metadata record NoOpRecord: the input ends before the value does"},
        {{1, 20, 0, 0, 0},
         5,
         "metadata record NoOpRecord: the bytes fail their checksum or make no sense"},
    };
    struct image *i = image_empty();

    for (size_t n = 0; n < array_count(cases); n++) {
        struct image_edit *e = image_edit_begin(i);
        struct fail f = {0};
        CHECK(image_edit_apply(e, (struct bytes){cases[n].bytes, cases[n].n}, &f) < 0);
        CHECK_TEXT(f.text, cases[n].words);
        image_edit_abandon(e);
    }
    end(i);
}

/* A newer node may have written a tag that we do not know: it is passed over, and not kept. */
TEST(image_edit, unknown_tags_are_dropped)
{
    static const uint8_t acl[] = {1, 18, 0, 1, 1,   1, 1, 1,   1, 1,   1, 1, 1, 1, 1, 1,   1,
                                  1, 1,  2, 2, 'a', 3, 2, 'b', 2, '*', 3, 3, 1, 9, 2, 'x', 'y'};
    struct image *i = image_empty(), *next, *again;
    struct image_edit *e = image_edit_begin(i);
    struct fail f = {0};

    if (image_edit_apply(e, (struct bytes){acl, sizeof(acl)}, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    next = image_edit_finish(e, 0, 1, 0);
    CHECK_EQ(count_lines(world_print(next, true), "\"resourceName\":\"a\""), 1);
    again = world_rewrite(next);
    CHECK(str_equal(world_print(next, true), world_print(again, true)));
    image_unref(again);
    image_unref(next);
    end(i);
}
