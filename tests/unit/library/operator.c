/* mr_admin against a real server: what operators ask for more rarely. */
#define _GNU_SOURCE
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

static struct lab lab;

static const char *kafka_word(const struct mr_error *e)
{
    return mr_kafka_code_name(e->kafka_code);
}

TEST(library_operator, features_are_told_and_set)
{
    struct mr_feature wanted[] = {{.name = "nosuch", .level = 1, .change = MR_FEATURE_UPGRADE}};
    struct mr_feature wrong[] = {{.name = "group.version", .level = 70000}};
    const struct mr_feature *metadata = NULL;
    struct mr_feature lower = {.name = "group.version", .level = 0, .change = MR_FEATURE_DOWNGRADE};
    struct mr_how dry = {.validate_only = 1};
    uint32_t count;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *r = lab_well(&lab, mr_describe_features(a, NULL));
    const struct mr_feature *f = mr_features(r, &count);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(f[i].level <= f[i].max_level);
        if (strcmp(f[i].name, "metadata.version") == 0)
            metadata = &f[i];
    }
    CHECK(metadata != NULL);
    CHECK(metadata->level >= metadata->min_level);
    CHECK(metadata->epoch >= 0);
    mr_answer_free(r);

    r = lab_well(&lab, mr_update_features(a, &lower, 1, &dry));
    CHECK_EQ(outcome_of(r, "group.version")->number, 0);
    mr_answer_free(r);
    r = mr_update_features(a, wanted, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK(outcome_of(r, "nosuch")->error.code == MR_BROKER);
    mr_answer_free(r);
    r = mr_update_features(a, wrong, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* This quorum is one of controller.quorum.voters: nobody can come or go. */
TEST(library_operator, nodes_that_cannot_come_or_go_are_refused)
{
    static const uint8_t directory[16] = {1, 2, 3};
    struct mr_endpoint endpoint = {.listener = "CONTROLLER", .host = "127.0.0.1", .port = 1};
    struct mr_endpoint nowhere = {.listener = "CONTROLLER", .host = "127.0.0.1", .port = 0};

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *r = mr_unregister_broker(a, 77, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_TEXT(kafka_word(&outcome_of(r, "77")->error), "BROKER_ID_NOT_REGISTERED");
    CHECK_EQ(outcome_of(r, "77")->number, 77);
    mr_answer_free(r);
    r = mr_remove_voter(a, 9, directory, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_TEXT(kafka_word(&outcome_of(r, "9")->error), "UNSUPPORTED_VERSION");
    mr_answer_free(r);
    r = mr_add_voter(a, 1, directory, &endpoint, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_TEXT(kafka_word(&outcome_of(r, "1")->error), "UNSUPPORTED_VERSION");
    mr_answer_free(r);
    r = mr_add_voter(a, 9, directory, &nowhere, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_operator, replicas_are_moved_to_directories_of_one_broker)
{
    char here[128];
    struct mr_replica_dir wanted[] = {{.topic = "t", .path = here},
                                      {.topic = "u", .partition = 1, .path = "/nowhere"},
                                      {.topic = "t", .partition = 1, .path = here}};
    struct mr_new_topic topics[] = {{.name = "t", .partitions = 2, .replication_factor = 1},
                                    {.name = "u", .partitions = 2, .replication_factor = 1}};
    uint32_t count;

    lab_init(&lab);
    snprintf(here, sizeof here, "%s/data", lab.dir);
    struct mr_admin *a = lab_admin(&lab, NULL);
    mr_answer_free(lab_well(&lab, mr_create_topics(a, topics, 2, NULL)));
    struct mr_answer *r = mr_alter_replica_log_dirs(a, 1, wanted, 3, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    const struct mr_outcome *o = mr_outcomes(r, &count);
    CHECK_EQ(count, 3);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(o[i].error.code, strcmp(o[i].name, "t") == 0 ? MR_OK : MR_BROKER);
    CHECK_TEXT(kafka_word(&outcome_of(r, "u")->error), "LOG_DIR_NOT_FOUND");
    CHECK_EQ(outcome_of(r, "u")->partition, 1);
    mr_answer_free(r);
    r = mr_alter_replica_log_dirs(a, 5, wanted, 1, NULL); /* there is no such broker */
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_operator, members_are_taken_out_of_their_group)
{
    const char *topics[] = {"t"}, *ids[] = {"g"};
    struct mr_chunk *k = NULL;
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 1);
    /* Neither a heartbeat nor a commit tells it meanwhile that it was taken out: it would join again. */
    struct mr_settings *s = lab_settings(&lab, "group.id", "g", "auto.offset.reset", "earliest", "session.timeout.ms",
                                         "600000", "heartbeat.interval.ms", "300000", "auto.commit.interval.ms", "600000",
                                         NULL);
    struct mr_consumer *c = mr_consumer_open(s, NULL, NULL, &lab.e);
    mr_settings_free(s);
    CHECK_OK(&lab, mr_subscribe(c, topics, 1, &lab.e));
    CHECK_EQ(mr_poll(c, PATIENT_MS, &k, &lab.e), 1); /* it is a member */
    mr_chunk_release(k, MR_DONE_ALL);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *groups = lab_well(&lab, mr_describe_groups(a, ids, 1, NULL));
    const struct mr_group *g = mr_groups(groups, &count);
    CHECK_EQ(g->member_count, 1);
    struct mr_group_leaver leavers[] = {{.id = g->members[0].id}, {.instance_id = "nobody"}};
    struct mr_answer *r = mr_remove_group_members(a, "g", leavers, 2, "tidying up", NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_EQ(outcome_of(r, leavers[0].id)->error.code, MR_OK);
    CHECK_TEXT(kafka_word(&outcome_of(r, "nobody")->error), "UNKNOWN_MEMBER_ID");
    mr_answer_free(r);
    mr_answer_free(groups);
    r = lab_well(&lab, mr_remove_group_members(a, "g", NULL, 0, "all", NULL));
    (void)mr_outcomes(r, &count);
    CHECK_EQ(count, 0); /* there is none */
    mr_answer_free(r);
    leavers[0] = (struct mr_group_leaver){0};
    r = mr_remove_group_members(a, "g", leavers, 1, NULL, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    (void)mr_consumer_close(c, PATIENT_MS, &lab.e); /* its last commit may be refused: it is no member any more */
    lab_deinit(&lab);
}

static struct mr_consumer *member(const char *instance)
{
    const char *topics[] = {"t"};
    struct mr_settings *s = lab_settings(&lab, "group.id", "g", "auto.offset.reset", "earliest", NULL);

    if (instance != NULL)
        CHECK_OK(&lab, mr_set(s, "group.instance.id", instance, &lab.e));
    struct mr_consumer *c = mr_consumer_open(s, NULL, NULL, &lab.e);
    mr_settings_free(s);
    CHECK_OK(&lab, mr_subscribe(c, topics, 1, &lab.e));
    return c;
}

TEST(library_operator, all_members_are_taken_out_of_their_group_without_being_named)
{
    const char *ids[] = {"g"};
    struct mr_answer *r;
    struct mr_chunk *k;
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 1);
    struct mr_consumer *one = member("fixed"), *two = member(NULL);
    struct mr_admin *a = lab_admin(&lab, NULL);
    for (bool both = false; !both; mr_answer_free(r)) {
        if (mr_poll(one, 100, &k, &lab.e) == 1)
            mr_chunk_release(k, MR_DONE_NONE);
        if (mr_poll(two, 100, &k, &lab.e) == 1)
            mr_chunk_release(k, MR_DONE_NONE);
        r = lab_well(&lab, mr_describe_groups(a, ids, 1, NULL));
        both = mr_groups(r, &count)->member_count == 2 && strcmp(mr_groups(r, &count)->state, "Stable") == 0;
    }
    r = lab_well(&lab, mr_remove_group_members(a, "g", NULL, 0, "maintenance", NULL));
    CHECK_TEXT(outcome_of(r, "fixed")->name, "fixed"); /* a static one by its name */
    (void)mr_outcomes(r, &count);
    CHECK_EQ(count, 2);
    mr_answer_free(r);
    r = mr_remove_group_members(a, "nosuch", NULL, 0, NULL, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_BROKER);
    CHECK_TEXT(mr_kafka_code_name(lab.e.kafka_code), "GROUP_ID_NOT_FOUND");
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    (void)mr_consumer_close(one, PATIENT_MS, &lab.e);
    (void)mr_consumer_close(two, PATIENT_MS, &lab.e);
    lab_deinit(&lab);
}
