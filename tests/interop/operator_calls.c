/* operator_calls.c - of admin_calls.c: what operators ask for more rarely. */
#include "admin_calls.h"

#include <stdio.h>
#include <string.h>

/* ---- users and tokens ------------------------------------------------------------------------------------ */

static struct mr_answer *users_when(struct mr_admin *a, uint32_t wanted)
{
    for (int attempt = 1;; attempt++) {
        uint32_t count;
        struct mr_answer *r = end("SCRAM", mr_describe_scram_users(a, NULL, 0, NULL));
        (void)mr_scram_users(r, &count);
        if (!again(count, wanted, attempt))
            return r;
        mr_answer_free(r);
    }
}

static void tokens(struct mr_admin *a)
{
    struct mr_bytes nobodys = mr_bytes("abc", 3);
    uint32_t count;

    mr_answer_free(end("token made", mr_create_token(a, NULL, NULL, 0, -1, NULL)));
    mr_answer_free(end("token renewed", mr_renew_token(a, nobodys, 1000, NULL)));
    mr_answer_free(end("token ended", mr_expire_token(a, nobodys, -1, NULL)));
    struct mr_answer *r = end("tokens", mr_describe_tokens(a, NULL, 0, NULL));
    (void)mr_tokens(r, &count);
    printf("tokens: %u\n", count);
    mr_answer_free(r);
}

void users(struct mr_admin *a)
{
    struct mr_scram_change changes[] = {
        {.name = "carol", .password = "pencil", .mechanism = MR_SCRAM_SHA_512, .iterations = 8192},
        {.name = "dave", .password = "pen", .mechanism = MR_SCRAM_SHA_256},
        {.name = "nobody", .mechanism = MR_SCRAM_SHA_256},
    };
    uint32_t count;

    outcomes("SCRAM set", mr_alter_scram_users(a, changes, 3, NULL));
    struct mr_answer *r = users_when(a, 2);
    const struct mr_scram_user *u = mr_scram_users(r, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("SCRAM: %s %d %d %s\n", u[i].name, u[i].mechanism, u[i].iterations, word(&u[i].error));
    mr_answer_free(r);
    changes[0].password = changes[1].password = NULL;
    outcomes("SCRAM unset", mr_alter_scram_users(a, changes, 2, NULL));
    tokens(a);
}

/* ---- nodes, features, directories ------------------------------------------------------------------------- */

void cluster(struct mr_admin *a, const char *topic)
{
    static const uint8_t directory[16] = {1};
    struct mr_endpoint endpoint = {.listener = "CONTROLLER", .host = "127.0.0.1", .port = 1};
    struct mr_feature wanted[] = {{.name = "share.version", .level = 1, .change = MR_FEATURE_UPGRADE}};
    struct mr_feature unknown[] = {{.name = "beauty", .level = 1, .change = MR_FEATURE_UPGRADE}};
    struct mr_replica_dir dirs[] = {{.topic = topic, .path = "/nowhere"}};
    struct mr_how dry = {.validate_only = 1};
    int32_t kinds[] = {MR_RESOURCE_TOPIC};
    uint32_t count;

    struct mr_answer *r = end("features", mr_describe_features(a, NULL));
    const struct mr_feature *f = mr_features(r, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(f[i].name, "metadata.version") == 0)
            printf("features: %s %d epoch %s\n", f[i].name, f[i].level >= f[i].min_level,
                   f[i].epoch >= 0 ? "yes" : "no");
    }
    mr_answer_free(r);
    outcomes("feature", mr_update_features(a, wanted, 1, &dry));
    outcomes("no feature", mr_update_features(a, unknown, 1, NULL));
    outcomes("voter", mr_add_voter(a, 9, directory, &endpoint, 1, NULL));
    outcomes("no voter", mr_remove_voter(a, 9, directory, NULL));
    outcomes("broker gone", mr_unregister_broker(a, 77, NULL));
    outcomes("move", mr_alter_replica_log_dirs(a, 1, dirs, 1, NULL));
    outcomes("with settings", mr_list_config_resources(a, kinds, 1, NULL));
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

/* All, without naming them; member ids are made up by brokers and clients. */
static void empty(struct mr_admin *a, const char *group)
{
    struct mr_answer *r = end("leave all", mr_remove_group_members(a, group, NULL, 0, "a test", NULL));
    uint32_t count;
    const struct mr_outcome *o = mr_outcomes(r, &count);

    for (uint32_t i = 0; i < count; i++)
        printf("leave all of %s: %s %s\n", group, strcmp(o[i].name, "fixed") == 0 ? "fixed" : "member", word(&o[i].error));
    mr_answer_free(r);
}

void members(struct mr_admin *a)
{
    const char *const ids[] = {"classic"};
    uint32_t count;

    struct mr_answer *groups = end("classic", mr_describe_groups(a, ids, 1, NULL));
    const struct mr_group *g = mr_groups(groups, &count);
    if (count == 1 && g->member_count == 1) {
        struct mr_group_leaver leavers[] = {{.id = g->members[0].id}, {.instance_id = "ghost"}};
        struct mr_answer *r = end("leave", mr_remove_group_members(a, "classic", leavers, 2, "a test", NULL));
        const struct mr_outcome *o = mr_outcomes(r, &count);
        for (uint32_t i = 0; i < count; i++)
            printf("leave: %s %s\n", strcmp(o[i].name, leavers[0].id) == 0 ? "member" : o[i].name, word(&o[i].error));
        mr_answer_free(r);
    }
    mr_answer_free(groups);
    empty(a, "static");
    empty(a, "modern");
    empty(a, "nosuch");
}

static struct mr_answer *share_group_when(struct mr_admin *a, uint32_t wanted_partitions)
{
    const char *const ids[] = {"shared", "nosuch"};

    for (int attempt = 1;; attempt++) {
        uint32_t count, has = 0;
        struct mr_answer *r = end("share", mr_describe_share_groups(a, ids, 2, NULL));
        const struct mr_group *g = mr_groups(r, &count);
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t k = 0; k < g[i].member_count; k++)
                has += g[i].members[k].partition_count;
        }
        if (!again(has, wanted_partitions, attempt))
            return r;
        mr_answer_free(r);
    }
}

void share(struct mr_admin *a, const char *topic)
{
    const char *const ids[] = {"nosuch"};
    const char *topics[] = {topic};
    struct mr_offset to[] = {{.topic = topic, .offset = 0}};
    uint32_t count;

    struct mr_answer *r = share_group_when(a, 1);
    const struct mr_group *g = mr_groups(r, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("share: %s %s %u %s\n", g[i].id, g[i].type, g[i].member_count, word(&g[i].error));
    mr_answer_free(r);
    r = end("share offsets", mr_list_share_group_offsets(a, "shared", NULL, 0, NULL));
    const struct mr_share_offset *o = mr_share_offsets(r, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("share offsets: %s-%d %s %s\n", o[i].topic, o[i].partition, o[i].start_offset >= -1 ? "known" : "?",
               word(&o[i].error));
    mr_answer_free(r);
    outcomes("share set", mr_alter_share_group_offsets(a, "shared", to, 1, NULL)); /* it has a member */
    outcomes("share gone", mr_delete_share_group_offsets(a, "shared", topics, 1, NULL));

    r = end("streams", mr_describe_streams_groups(a, ids, 1, NULL));
    const struct mr_streams_group *s = mr_streams_groups(r, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("streams: %s %s\n", s[i].id, word(&s[i].error));
    mr_answer_free(r);
}

/* ---- transactions ------------------------------------------------------------------------------------------ */

static void transaction_lines(const char *what, struct mr_answer *r)
{
    uint32_t count;
    const struct mr_transaction *t = mr_transactions(end(what, r), &count);

    for (uint32_t i = 0; i < count; i++)
        printf("%s: %s %s on %d with %u %s\n", what, t[i].id, t[i].state, t[i].node, t[i].partition_count,
               word(&t[i].error));
    mr_answer_free(r);
}

void transactions(struct mr_admin *a, const char *topic)
{
    const char *const ids[] = {"tx", "nosuch"}, *const ongoing[] = {"Ongoing"}, *const empty[] = {"Empty"};
    struct mr_transaction_filter open = {.state_count = 1, .states = ongoing};
    struct mr_transaction_filter none = {.state_count = 1, .states = empty};
    struct mr_transaction_filter old = {.longer_than_ms = 3600000};
    struct mr_partition partitions[] = {{topic, 0}};
    uint32_t count;

    transaction_lines("transactions", mr_list_transactions(a, NULL, NULL));
    transaction_lines("ongoing", mr_list_transactions(a, &open, NULL));
    transaction_lines("empty", mr_list_transactions(a, &none, NULL));
    transaction_lines("old", mr_list_transactions(a, &old, NULL));
    transaction_lines("transaction", mr_describe_transactions(a, ids, 2, NULL));
    struct mr_answer *producers = end("producers", mr_describe_producers(a, partitions, 1, NULL));
    const struct mr_producer_state *p = mr_producer_states(producers, &count);
    for (uint32_t i = 0; i < count; i++) {
        printf("producers: %s-%d sequence %d, transaction %s\n", p[i].topic, p[i].partition, p[i].last_sequence,
               p[i].transaction_start >= 0 ? "open" : "none");
        outcomes("abort", mr_abort_transaction(a, &p[i], NULL));
    }
    mr_answer_free(producers);
    producers = end("producers", mr_describe_producers(a, partitions, 1, NULL));
    p = mr_producer_states(producers, &count);
    for (uint32_t i = 0; i < count; i++)
        printf("producers after: transaction %s\n", p[i].transaction_start >= 0 ? "open" : "none");
    mr_answer_free(producers);
    outcomes("fence", mr_fence_producer(a, "tx", NULL));
}
