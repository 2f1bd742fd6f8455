/* admin.c - make a topic, look at it and at its settings, and delete it.
 *
 *     example_admin BOOTSTRAP TOPIC
 */
#include <millrace/admin.h>
#include <stdio.h>

/* Waits for an answer. What went wrong with single topics stands in the rows. */
static int ended(struct mr_answer *r, const char *what)
{
    struct mr_error e;
    uint32_t count;
    int rc = mr_answer_wait(r, -1, &e);

    if (rc < 0)
        fprintf(stderr, "%s: %s\n", what, e.text);
    const struct mr_outcome *rows = mr_outcomes(r, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].error.code != MR_OK)
            fprintf(stderr, "%s: %s: %s\n", what, rows[i].name, rows[i].error.text);
    }
    return rc;
}

static int create(struct mr_admin *a, const char *name)
{
    struct mr_setting settings[] = {{"retention.ms", "3600000"}};
    struct mr_new_topic t = {
        .name = name, .partitions = 3, .replication_factor = 1, .setting_count = 1, .settings = settings};
    struct mr_answer *r = mr_create_topics(a, &t, 1, NULL);
    int rc = ended(r, "create");

    mr_answer_free(r);
    return rc;
}

static int show_topic(struct mr_admin *a, const char *name)
{
    struct mr_answer *r = mr_describe_topics(a, &name, 1, NULL);
    int rc = ended(r, "describe");
    uint32_t count;
    const struct mr_topic_description *t = mr_topics(r, &count);

    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        printf("%s has %u partitions\n", t[i].name, t[i].partition_count);
        for (uint32_t k = 0; k < t[i].partition_count; k++)
            printf("%d: %u of %u replicas in sync\n", t[i].partitions[k].partition, t[i].partitions[k].isr_count,
                   t[i].partitions[k].replica_count);
    }
    mr_answer_free(r);
    return rc;
}

static int show_settings(struct mr_admin *a, const char *name)
{
    struct mr_config_change change = {
        .resource = MR_RESOURCE_TOPIC, .resource_name = name, .name = "retention.ms", .value = "7200000"};
    struct mr_config question = {.resource = MR_RESOURCE_TOPIC, .resource_name = name};
    struct mr_answer *r = mr_alter_configs(a, &change, 1, NULL);
    int rc = ended(r, "alter");
    uint32_t count;

    mr_answer_free(r);
    if (rc != 0)
        return rc;
    r = mr_describe_configs(a, &question, 1, NULL);
    rc = ended(r, "settings");
    const struct mr_config *c = mr_configs(r, &count);
    for (uint32_t i = 0; rc == 0 && i < c->entry_count; i++) {
        if (c->entries[i].source == MR_SOURCE_TOPIC) /* its own: the others are as brokers have them */
            printf("%s=%s\n", c->entries[i].name, c->entries[i].value);
    }
    mr_answer_free(r);
    return rc;
}

static int delete(struct mr_admin *a, const char *name)
{
    struct mr_answer *r = mr_delete_topics(a, &name, 1, NULL);
    int rc = ended(r, "delete");

    mr_answer_free(r);
    return rc;
}

int main(int argc, char **argv)
{
    struct mr_error e;

    if (argc != 3) {
        fprintf(stderr, "usage: %s BOOTSTRAP TOPIC\n", argv[0]);
        return 2;
    }
    struct mr_settings *s = mr_settings_new();
    struct mr_admin *a = mr_set(s, "bootstrap.servers", argv[1], &e) < 0 ? NULL : mr_admin_open(s, NULL, &e);
    mr_settings_free(s);
    if (a == NULL) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    int rc = create(a, argv[2]);
    if (rc == 0)
        rc = show_topic(a, argv[2]);
    if (rc == 0)
        rc = show_settings(a, argv[2]);
    if (rc == 0)
        rc = delete(a, argv[2]);
    mr_admin_close(a, NULL);
    return rc != 0;
}
