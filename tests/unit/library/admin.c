/* mr_admin against a real server: each kind of rows, hooks, limits, ends. */
#define _GNU_SOURCE
#include "lab.h"

#include <millrace/admin.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lab lab;

static void create(struct mr_admin *a, const char *name, int32_t partitions)
{
    struct mr_new_topic t = {.name = name, .partitions = partitions, .replication_factor = 1};

    mr_answer_free(lab_well(&lab, mr_create_topics(a, &t, 1, NULL)));
}

/* ---- topics ------------------------------------------------------------------------------------------- */

TEST(library_admin, topics_are_made_grown_looked_at_and_deleted)
{
    static const int32_t here[] = {1, 1}; /* the node's id, for two partitions */
    struct mr_setting cleanup = {"cleanup.policy", "compact"};
    struct mr_new_topic topics[] = {
        {.name = "plain", .partitions = 3, .replication_factor = 1},
        {.name = "bad name", .partitions = 1, .replication_factor = 1},
        {.name = "placed", .replication_factor = 1, .replicas = here, .replica_count = 2, .setting_count = 1,
         .settings = &cleanup},
        {.name = "default"},
    };
    const char *const names[] = {"plain", "placed", "nosuch"};
    uint32_t count;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *r = mr_create_topics(a, topics, 4, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1); /* one row has an error */
    CHECK_EQ(outcome_of(r, "plain")->error.code, MR_OK);
    CHECK_EQ(outcome_of(r, "plain")->number, 3);
    CHECK_EQ(outcome_of(r, "placed")->number, 2);
    CHECK_EQ(outcome_of(r, "default")->number, 1);
    CHECK_EQ(outcome_of(r, "bad name")->error.code, MR_BROKER);
    CHECK_TEXT(mr_kafka_code_name(outcome_of(r, "bad name")->error.kafka_code), "INVALID_TOPIC_EXCEPTION");
    CHECK_EQ(outcome_of(r, "bad name")->error.advice, MR_REPAIR);
    CHECK(mr_topics(r, &count) == NULL); /* A5 */
    CHECK_EQ(count, 0);
    mr_answer_free(r);

    topics[0].partitions = 5;
    mr_answer_free(lab_well(&lab, mr_create_partitions(a, topics, 1, NULL)));
    r = mr_describe_topics(a, names, 3, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    const struct mr_topic_description *d = mr_topics(r, &count);
    CHECK_EQ(count, 3);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(d[i].name, "nosuch") == 0) {
            CHECK_TEXT(mr_kafka_code_name(d[i].error.kafka_code), "UNKNOWN_TOPIC_OR_PARTITION");
            CHECK_EQ(d[i].partition_count, 0);
            continue;
        }
        CHECK_EQ(d[i].partition_count, strcmp(d[i].name, "plain") == 0 ? 5 : 2);
        for (uint32_t k = 0; k < d[i].partition_count; k++) {
            CHECK_EQ(d[i].partitions[k].partition, k);
            CHECK_EQ(d[i].partitions[k].leader, 1);
            CHECK_EQ(d[i].partitions[k].isr_count, 1);
            CHECK_EQ(d[i].partitions[k].replicas[0], 1);
        }
    }
    mr_answer_free(r);

    mr_answer_free(lab_well(&lab, mr_delete_topics(a, names, 2, NULL)));
    r = lab_well(&lab, mr_describe_topics(a, NULL, 0, NULL));
    d = mr_topics(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(d[0].name, "default");
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_admin, what_is_only_validated_is_not_done)
{
    struct mr_new_topic topic = {.name = "t", .partitions = 3, .replication_factor = 1};
    struct mr_how how = {.validate_only = 1};
    uint32_t count;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    mr_answer_free(lab_well(&lab, mr_create_topics(a, &topic, 1, &how)));
    struct mr_answer *r = lab_well(&lab, mr_describe_topics(a, NULL, 0, NULL));
    mr_topics(r, &count);
    CHECK_EQ(count, 0);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_admin, what_cannot_be_asked_is_refused_before_it_is_sent)
{
    static const int32_t three[] = {1, 1, 1};
    struct mr_new_topic nameless = {.partitions = 1};
    struct mr_new_topic crooked = {.name = "t", .replication_factor = 2, .replicas = three, .replica_count = 3};
    struct mr_config_change empty = {.resource = MR_RESOURCE_TOPIC, .resource_name = "t", .name = "retention.ms"};
    struct mr_config nothing = {.resource_name = "t"};
    struct mr_offset nowhere = {.topic = "t", .timestamp_ms = -5};

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *answers[] = {
        mr_create_topics(a, &nameless, 1, NULL),  mr_create_topics(a, &crooked, 1, NULL),
        mr_alter_configs(a, &empty, 1, NULL),     mr_describe_configs(a, &nothing, 1, NULL),
        mr_list_offsets(a, &nowhere, 1, NULL),    mr_alter_group_offsets(a, NULL, NULL, 0, NULL),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        CHECK_EQ(mr_answer_wait(answers[i], PATIENT_MS, &lab.e), MR_INVALID);
        CHECK(lab.e.definite);
        CHECK(strncmp(lab.e.text, "mr_", 3) == 0);
        mr_answer_free(answers[i]);
    }
    CHECK_EQ(mr_answer_wait(NULL, 0, &lab.e), MR_MEMORY);
    mr_answer_free(NULL);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* ---- settings ------------------------------------------------------------------------------------------- */

static const struct mr_config_entry *entry_of(const struct mr_config *c, const char *name)
{
    for (uint32_t i = 0; i < c->entry_count; i++) {
        if (strcmp(c->entries[i].name, name) == 0)
            return &c->entries[i];
    }
    check_fail(__FILE__, __LINE__, "there is no setting %s", name);
    return NULL;
}

TEST(library_admin, settings_are_changed_and_told)
{
    struct mr_config_change changes[] = {
        {MR_RESOURCE_TOPIC, MR_CONFIG_SET, "one", "retention.ms", "5000"},
        {MR_RESOURCE_TOPIC, MR_CONFIG_SET, "two", "retention.ms", "soon"},
        {MR_RESOURCE_TOPIC, MR_CONFIG_SET, "one", "max.message.bytes", "2000"},
        {MR_RESOURCE_BROKER, MR_CONFIG_SET, "1", "log.retention.ms", "90000000"},
    };
    struct mr_config asked[] = {{.resource = MR_RESOURCE_TOPIC, .resource_name = "one"},
                                {.resource = MR_RESOURCE_BROKER, .resource_name = "1"}};
    uint32_t count;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    create(a, "one", 1);
    create(a, "two", 1);
    struct mr_answer *r = mr_alter_configs(a, changes, 4, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_EQ(outcome_of(r, "one")->error.code, MR_OK);
    CHECK_EQ(outcome_of(r, "one")->kind, MR_RESOURCE_TOPIC);
    CHECK_EQ(outcome_of(r, "1")->error.code, MR_OK);
    CHECK_EQ(outcome_of(r, "1")->kind, MR_RESOURCE_BROKER);
    CHECK_TEXT(mr_kafka_code_name(outcome_of(r, "two")->error.kafka_code), "INVALID_CONFIG");
    CHECK(strstr(outcome_of(r, "two")->error.text, "retention.ms") != NULL); /* the broker's words */
    mr_outcomes(r, &count);
    CHECK_EQ(count, 3); /* one for each resource */
    mr_answer_free(r);

    r = lab_well(&lab, mr_describe_configs(a, asked, 2, NULL));
    const struct mr_config *c = mr_configs(r, &count);
    CHECK_EQ(count, 2);
    const struct mr_config *topic = &c[c[0].resource == MR_RESOURCE_TOPIC ? 0 : 1], *broker = &c[topic == c ? 1 : 0];
    CHECK_TEXT(topic->resource_name, "one");
    CHECK_TEXT(entry_of(topic, "retention.ms")->value, "5000");
    CHECK_EQ(entry_of(topic, "retention.ms")->source, MR_SOURCE_TOPIC);
    CHECK_TEXT(entry_of(topic, "max.message.bytes")->value, "2000");
    CHECK_EQ(entry_of(topic, "cleanup.policy")->source, MR_SOURCE_DEFAULT);
    CHECK_EQ(broker->resource, MR_RESOURCE_BROKER);
    CHECK_TEXT(entry_of(broker, "log.retention.ms")->value, "90000000");
    CHECK(entry_of(broker, "log.dirs")->read_only);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* ---- the cluster ------------------------------------------------------------------------------------------ */

TEST(library_admin, the_cluster_tells_of_itself)
{
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 100);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *r = lab_well(&lab, mr_describe_cluster(a, NULL));
    const struct mr_cluster *c = mr_clusters(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(strlen(c->id), 22);
    CHECK_EQ(c->controller, 1);
    CHECK_EQ(c->node_count, 1);
    CHECK_EQ(c->nodes[0].id, 1);
    CHECK_TEXT(c->nodes[0].host, "127.0.0.1");
    mr_answer_free(r);

    r = lab_well(&lab, mr_describe_quorum(a, NULL));
    const struct mr_quorum *q = mr_quorums(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(q->leader, 1);
    CHECK_EQ(q->replica_count, 1);
    CHECK(q->replicas[0].voter);
    CHECK(q->high_watermark > 0);
    mr_answer_free(r);

    r = lab_well(&lab, mr_describe_log_dirs(a, NULL));
    const struct mr_log_dir *d = mr_log_dirs(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(d->node, 1);
    CHECK(d->usable_bytes > 0);
    uint32_t of_t = 0;
    for (uint32_t i = 0; i < d->replica_count; i++) {
        if (strcmp(d->replicas[i].topic, "t") == 0) {
            of_t++;
            CHECK(d->replicas[i].size_bytes > 0);
        }
    }
    CHECK_EQ(of_t, 1);
    mr_answer_free(r);
    struct mr_health health;
    mr_admin_health(a, &health);
    CHECK_EQ(health.state, MR_UP);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* ---- offsets and groups ------------------------------------------------------------------------------------- */

TEST(library_admin, offsets_are_told_and_old_records_go)
{
    struct mr_offset asked[] = {{.topic = "t", .offset = MR_END},
                                {.topic = "nosuch", .offset = MR_END},
                                {.topic = "t", .timestamp_ms = 1000 + 40}};
    struct mr_offset below = {.topic = "t", .offset = 30};
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 100);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_answer *r = mr_list_offsets(a, asked, 2, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    const struct mr_offset *o = mr_offsets(r, &count);
    CHECK_EQ(count, 2);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(o[i].topic, "t") == 0)
            CHECK_EQ(o[i].offset, 100);
        else
            CHECK_TEXT(mr_kafka_code_name(o[i].error.kafka_code), "UNKNOWN_TOPIC_OR_PARTITION");
    }
    mr_answer_free(r);
    r = lab_well(&lab, mr_list_offsets(a, &asked[2], 1, NULL));
    CHECK_EQ(mr_offsets(r, NULL)->offset, 40);
    CHECK_EQ(mr_offsets(r, NULL)->timestamp_ms, 1040);
    mr_answer_free(r);

    r = lab_well(&lab, mr_delete_records(a, &below, 1, NULL));
    CHECK_EQ(outcome_of(r, "t")->number, 30);
    CHECK_EQ(outcome_of(r, "t")->partition, 0);
    mr_answer_free(r);
    below.offset = MR_BEGINNING;
    r = lab_well(&lab, mr_list_offsets(a, &below, 1, NULL));
    CHECK_EQ(mr_offsets(r, NULL)->offset, 30);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* A consumer that is in the group, and has read 5. */
static struct mr_consumer *join(const char *group)
{
    struct mr_settings *s = lab_settings(&lab, "group.id", group, "auto.offset.reset", "earliest",
                                         "enable.auto.commit", "false", NULL);
    struct mr_consumer *c = mr_consumer_open(s, NULL, NULL, &lab.e);
    const char *topic = "t";

    CHECK(c != NULL);
    mr_settings_free(s);
    CHECK_OK(&lab, mr_subscribe(c, &topic, 1, &lab.e));
    CHECK_EQ(lab_read(c, 5), 10);
    CHECK_OK(&lab, mr_commit(c, PATIENT_MS, &lab.e));
    return c;
}

TEST(library_admin, groups_are_told_and_end)
{
    const char *const ids[] = {"g", "nosuch"};
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 100);
    struct mr_admin *a = lab_admin(&lab, NULL);
    struct mr_consumer *c = join("g");
    struct mr_answer *r = lab_well(&lab, mr_list_groups(a, NULL));
    const struct mr_group *g = mr_groups(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(g->id, "g");
    CHECK_TEXT(g->state, "Stable");
    CHECK_EQ(g->node, 1);
    mr_answer_free(r);

    r = mr_describe_groups(a, ids, 2, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    g = mr_groups(r, &count);
    CHECK_EQ(count, 2);
    const struct mr_group *there = &g[strcmp(g[0].id, "g") == 0 ? 0 : 1], *gone = &g[there == g ? 1 : 0];
    CHECK_TEXT(there->state, "Stable");
    CHECK_EQ(there->member_count, 1);
    CHECK_EQ(there->members[0].partition_count, 1);
    CHECK_TEXT(there->members[0].partitions[0].topic, "t");
    CHECK_TEXT(mr_kafka_code_name(gone->error.kafka_code), "GROUP_ID_NOT_FOUND");
    mr_answer_free(r);

    r = mr_delete_groups(a, ids, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_TEXT(mr_kafka_code_name(outcome_of(r, "g")->error.kafka_code), "NON_EMPTY_GROUP");
    mr_answer_free(r);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    mr_answer_free(lab_well(&lab, mr_delete_groups(a, ids, 1, NULL)));
    r = lab_well(&lab, mr_list_groups(a, NULL));
    mr_groups(r, &count);
    CHECK_EQ(count, 0);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_admin, what_a_group_has_committed_is_told_set_and_deleted)
{
    struct mr_offset set[] = {{.topic = "t", .offset = 42}, {.topic = "u", .partition = 1, .offset = 7}};
    struct mr_partition p = {"t", 0};
    uint32_t count;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    create(a, "t", 1);
    create(a, "u", 2);
    struct mr_answer *r = lab_well(&lab, mr_alter_group_offsets(a, "g", set, 2, NULL));
    const struct mr_offset *o = mr_offsets(r, &count);
    CHECK_EQ(count, 2);
    CHECK_EQ(o[0].offset + o[1].offset, 49);
    mr_answer_free(r);
    r = lab_well(&lab, mr_list_group_offsets(a, "g", &p, 1, NULL));
    o = mr_offsets(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(o->offset, 42);
    mr_answer_free(r);

    r = lab_well(&lab, mr_delete_group_offsets(a, "g", &p, 1, NULL));
    CHECK_EQ(outcome_of(r, "t")->partition, 0);
    mr_answer_free(r);
    r = lab_well(&lab, mr_list_group_offsets(a, "g", NULL, 0, NULL));
    o = mr_offsets(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(o->topic, "u");
    CHECK_EQ(o->partition, 1);
    CHECK_EQ(o->offset, 7);
    mr_answer_free(r);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

/* ---- who is told, and when ------------------------------------------------------------------------------------ */

struct told {
    atomic_int count;
    int rc;
    bool free_it;
};

static void told(void *ctx, struct mr_answer *r)
{
    struct told *t = ctx;

    t->rc = mr_answer_wait(r, 0, NULL);
    if (t->free_it)
        mr_answer_free(r);
    atomic_fetch_add(&t->count, 1);
}

TEST(library_admin, a_hook_is_told_and_may_free_the_answer)
{
    struct told heard = {.rc = 1, .free_it = true};
    struct mr_how how = {.done = told, .ctx = &heard};
    struct mr_new_topic nameless = {.partitions = 1};

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    CHECK(mr_describe_cluster(a, &how) != NULL);
    while (atomic_load(&heard.count) < 1)
        usleep(1000);
    CHECK_EQ(heard.rc, 0);
    CHECK(mr_create_topics(a, &nameless, 1, &how) != NULL); /* also of what is never sent */
    while (atomic_load(&heard.count) < 2)
        usleep(1000);
    CHECK_EQ(heard.rc, MR_INVALID);
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}

TEST(library_admin, a_loop_of_the_callers_does_all)
{
    struct told heard = {.rc = 1};
    struct mr_how how = {.done = told, .ctx = &heard};

    lab_init(&lab);
    struct mr_loop *l = mr_loop_new(&lab.e);
    struct mr_admin *a = lab_admin(&lab, l);
    struct mr_answer *r = mr_describe_cluster(a, &how);
    struct pollfd fd = {.fd = mr_loop_fd(l), .events = POLLIN};
    while (atomic_load(&heard.count) == 0) {
        CHECK(poll(&fd, 1, (int)mr_loop_due_ms(l)) >= 0);
        CHECK_OK(&lab, mr_loop_run(l, 0, &lab.e));
    }
    CHECK_EQ(heard.rc, 0);
    mr_answer_free(r);
    mr_answer_free(lab_well(&lab, mr_describe_cluster(a, NULL))); /* waiting runs the loop */
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    mr_loop_free(l);
    lab_deinit(&lab);
}

/* Nobody listens there. */
static struct mr_admin *open_nowhere(void)
{
    struct mr_settings *s = mr_settings_new();

    CHECK_EQ(mr_set(s, "bootstrap.servers", "127.0.0.1:1", &lab.e), 0);
    struct mr_admin *a = mr_admin_open(s, NULL, &lab.e);
    CHECK(a != NULL);
    mr_settings_free(s);
    return a;
}

TEST(library_admin, limits_are_kept_where_nobody_answers)
{
    struct mr_how how = {.timeout_ms = 300};
    struct mr_admin *a = open_nowhere();
    struct mr_answer *longer = mr_list_groups(a, NULL);
    struct mr_health health = {0};

    CHECK_EQ(mr_answer_wait(longer, 50, &lab.e), MR_TIMED_OUT); /* it goes on */
    CHECK_EQ(mr_answer_wait(longer, 0, &lab.e), MR_TIMED_OUT);
    for (int i = 0; i < 6000 && health.reason[0] == '\0'; i++) { /* when it has been refused once, it can say so */
        usleep(10000);
        mr_admin_health(a, &health);
    }
    struct mr_answer *r = mr_list_groups(a, &how);
    int rc = mr_answer_wait(r, PATIENT_MS, &lab.e);
    CHECK(rc < 0);
    CHECK(strstr(lab.e.text, "127.0.0.1:1") != NULL);
    CHECK(mr_groups(r, NULL) == NULL);
    mr_answer_free(r);
    mr_answer_free(longer); /* given up */
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
}

TEST(library_admin, what_is_asked_when_the_admin_closes_is_told_so)
{
    struct told heard = {0};
    struct mr_how how = {.done = told, .ctx = &heard};
    struct mr_admin *a = open_nowhere();
    struct mr_answer *r = mr_list_groups(a, NULL), *hooked = mr_describe_cluster(a, &how);

    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    CHECK_EQ(mr_answer_wait(r, 0, &lab.e), MR_CLOSED); /* the answer outlives the handle */
    CHECK_EQ(heard.count, 1);
    CHECK_EQ(heard.rc, MR_CLOSED);
    mr_answer_free(r);
    mr_answer_free(hooked);
    mr_admin_close(NULL, NULL);
}

TEST(library_admin, a_child_of_a_fork_is_told_and_does_no_harm)
{
    int status;

    lab_init(&lab);
    struct mr_admin *a = lab_admin(&lab, NULL);
    mr_answer_free(lab_well(&lab, mr_describe_cluster(a, NULL)));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct mr_answer *r = mr_describe_cluster(a, NULL);
        bool is_told = mr_answer_wait(r, -1, NULL) == MR_FORKED && mr_admin_close(a, NULL) == MR_FORKED;
        mr_answer_free(r);
        _exit(is_told ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mr_answer_free(lab_well(&lab, mr_describe_cluster(a, NULL)));
    CHECK_OK(&lab, mr_admin_close(a, &lab.e));
    lab_deinit(&lab);
}
