/* admin_calls.c - calls of mr_admin that Kafka answers and a broker of one node without an authorizer does not: a line
 * for each row, for a scenario to compare.
 *
 *     admin_calls BOOTSTRAP TOPIC      TOPIC has one partition, on node 1; a transaction of "tx" is open there
 */
#define _GNU_SOURCE
#include "admin_calls.h"

#include <stdio.h>
#include <time.h>

const char *word(const struct mr_error *e)
{
    return e->code == MR_OK ? "ok" : e->code == MR_BROKER ? mr_kafka_code_name(e->kafka_code) : e->text;
}

struct mr_answer *end(const char *what, struct mr_answer *r)
{
    struct mr_error e;
    int rc = mr_answer_wait(r, 30000, &e);

    if (rc < 0)
        printf("%s: trouble: %s\n", what, word(&e));
    return r;
}

void outcomes(const char *what, struct mr_answer *r)
{
    uint32_t count;
    const struct mr_outcome *o = mr_outcomes(end(what, r), &count);

    for (uint32_t i = 0; i < count; i++)
        printf("%s: %s %d %s\n", what, o[i].name, o[i].partition, word(&o[i].error));
    mr_answer_free(r);
}

/* Kafka answers a change when it is decided; a moment later its brokers tell of it. */
#define TRIES 1200 /* a minute: a JVM may be on its way */

bool again(uint32_t count, uint32_t wanted, int attempt)
{
    static const struct timespec pause = {.tv_nsec = 50000000};

    if (count == wanted || attempt == TRIES)
        return false;
    nanosleep(&pause, NULL);
    return true;
}

/* ---- ACLs ---------------------------------------------------------------------------------------------- */

static void acls(const char *what, struct mr_answer *r)
{
    uint32_t count;
    const struct mr_acl *a = mr_acls(end(what, r), &count);

    for (uint32_t i = 0; i < count; i++)
        printf("%s: %d:%s %d %s from %s may %d %d %s\n", what, a[i].resource, a[i].resource_name, a[i].pattern,
               a[i].principal, a[i].host, a[i].operation, a[i].permission, word(&a[i].error));
    mr_answer_free(r);
}

static struct mr_answer *acls_when(struct mr_admin *a, const struct mr_acl *filter, uint32_t wanted)
{
    for (int attempt = 1;; attempt++) {
        uint32_t count;
        struct mr_answer *r = end("acls", mr_describe_acls(a, filter, NULL));
        (void)mr_acls(r, &count);
        if (!again(count, wanted, attempt))
            return r;
        mr_answer_free(r);
    }
}

static void access(struct mr_admin *a)
{
    struct mr_acl acl[] = {
        {MR_ACL_TOPIC, MR_ACL_PREFIXED, MR_ACL_READ, MR_ACL_ALLOW, "or", "User:alice", "*", {0}},
        {MR_ACL_GROUP, MR_ACL_LITERAL, MR_ACL_READ, MR_ACL_DENY, "g", "User:bob", "10.0.0.1", {0}},
        {MR_ACL_TOPIC, MR_ACL_LITERAL, MR_ACL_READ, MR_ACL_ALLOW, "t", "alice", "*", {0}}, /* no "User:" */
    };
    struct mr_acl all = {0}, topics = {.resource = MR_ACL_TOPIC, .principal = "User:alice"};

    outcomes("create", mr_create_acls(a, acl, 3, NULL));
    acls("described", acls_when(a, &topics, 1));
    acls("deleted", mr_delete_acls(a, &topics, 1, NULL));
    acls("left", acls_when(a, &all, 1));
}

/* ---- quotas and users ------------------------------------------------------------------------------------ */

static void quotas(const char *what, struct mr_answer *r)
{
    uint32_t count;
    const struct mr_quota *q = mr_quotas(end(what, r), &count);

    for (uint32_t i = 0; i < count; i++) {
        printf("%s:", what);
        for (uint32_t k = 0; k < q[i].entity_count; k++)
            printf(" %s=%s", q[i].entities[k].type, q[i].entities[k].name == NULL ? "<default>" : q[i].entities[k].name);
        for (uint32_t k = 0; k < q[i].limit_count; k++)
            printf(" %s %g", q[i].limits[k].key, q[i].limits[k].value);
        printf(" %s\n", word(&q[i].error));
    }
    mr_answer_free(r);
}

static struct mr_answer *quotas_when(struct mr_admin *a, const struct mr_quota_entity *e, uint32_t wanted)
{
    for (int attempt = 1;; attempt++) {
        uint32_t count;
        struct mr_answer *r = end("quotas", mr_describe_quotas(a, e, e == NULL ? 0 : 1, NULL));
        (void)mr_quotas(r, &count);
        if (!again(count, wanted, attempt))
            return r;
        mr_answer_free(r);
    }
}

static void limits(struct mr_admin *a)
{
    struct mr_quota_entity alice = {"user", "alice"}, any_client = {"client-id", NULL};
    struct mr_quota_limit bytes = {.key = "producer_byte_rate", .value = 1000};
    struct mr_quota_limit unknown = {.key = "beauty", .value = 1};
    struct mr_quota set[] = {{.entity_count = 1, .limit_count = 1, .entities = &alice, .limits = &bytes},
                             {.entity_count = 1, .limit_count = 1, .entities = &any_client, .limits = &unknown}};
    const char *nobody = "nobody";
    uint32_t count;

    quotas("set", mr_alter_quotas(a, set, 2, NULL));
    quotas("of alice", quotas_when(a, &alice, 1));
    quotas("of clients", quotas_when(a, &any_client, 0));
    bytes.remove = 1;
    quotas("unset", mr_alter_quotas(a, set, 1, NULL));
    quotas("all", quotas_when(a, NULL, 0));

    struct mr_answer *r = end("users", mr_describe_scram_users(a, &nobody, 1, NULL));
    const struct mr_scram_user *u = mr_scram_users(r, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("users: %s %d %s\n", u[i].name, u[i].mechanism, word(&u[i].error));
    mr_answer_free(r);
}

/* ---- partitions -------------------------------------------------------------------------------------------- */

static void partitions(struct mr_admin *a, const char *topic)
{
    static const int32_t here[] = {1}, nowhere[] = {9};
    struct mr_partition p[] = {{topic, 0}, {topic, 7}};
    struct mr_reassignment to[] = {{.topic = topic, .replica_count = 1, .replicas = here}};
    uint32_t count;

    outcomes("elect", mr_elect_leaders(a, MR_ELECT_PREFERRED, p, 2, NULL));
    outcomes("elect all", mr_elect_leaders(a, MR_ELECT_PREFERRED, NULL, 0, NULL));
    outcomes("reassign", mr_alter_partition_reassignments(a, to, 1, NULL));
    to[0].replicas = nowhere;
    outcomes("to nowhere", mr_alter_partition_reassignments(a, to, 1, NULL));
    to[0].replicas = NULL;
    outcomes("cancel", mr_alter_partition_reassignments(a, to, 1, NULL));
    struct mr_answer *r = end("under way", mr_list_partition_reassignments(a, NULL));
    (void)mr_reassignments(r, &count);
    printf("under way: %u\n", count);
    mr_answer_free(r);
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

static void groups(struct mr_admin *a)
{
    const char *const ids[] = {"classic", "modern", "nosuch"};
    uint32_t count;

    struct mr_answer *r = end("groups", mr_describe_groups(a, ids, 3, NULL));
    const struct mr_group *g = mr_groups(r, &count);
    for (uint32_t i = 0; i < count; i++) {
        printf("groups: %s %s %s %s %s %u", g[i].id, g[i].type, g[i].state, g[i].assignor[0] == '\0' ? "-" : g[i].assignor,
               word(&g[i].error), g[i].member_count);
        for (uint32_t k = 0; k < g[i].member_count; k++)
            printf(" has %u", g[i].members[k].partition_count);
        printf("\n");
    }
    mr_answer_free(r);
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
    access(a);
    limits(a);
    partitions(a, argv[2]);
    groups(a);
    users(a);
    cluster(a, argv[2]);
    members(a);
    share(a, argv[2]);
    transactions(a, argv[2]);
    mr_admin_close(a, NULL);
    return 0;
}
