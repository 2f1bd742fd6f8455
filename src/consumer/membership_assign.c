/* The leader's work: read what the members want, learn how many partitions there are, share them out. */
#include "consumer/membership.h"

#include "protocol/join_group.h"
#include "protocol/sync_group.h"

static void *take(struct membership *g, size_t count, size_t bytes)
{
    void *p = arena_take_array(&g->join->arena, count, bytes);

    ASSERT(p != NULL);
    return p;
}

void membership_assign_end(struct membership *g)
{
    membership_call_free(g->join);
    g->join = NULL;
    g->sync = NULL;
    g->assigning = false;
}

/* A subscription that nobody can read wants nothing. */
static struct assignor_member *members_of(struct membership *g)
{
    const struct join_group_response *a = g->join->wire.response;
    struct assignor_member *members = take(g, (size_t)(a->members_count > 0 ? a->members_count : 0), sizeof *members);

    for (int32_t i = 0; i < a->members_count; i++) {
        members[i].id = a->members[i].member_id;
        members[i].instance_id = a->members[i].group_instance_id;
        if (subscription_read(a->members[i].metadata, &g->join->arena, &members[i].subscription) < 0) {
            consumer_protocol_subscription_init(&members[i].subscription);
            say(g->consumer->telemetry, LOG_WARN, "consumer", "group %.*s: the subscription of %.*s cannot be read",
                STR_ARG(g->consumer->settings.group_id), STR_ARG(members[i].id));
        }
    }
    return members;
}

/* Want them from the client before those of the time before are let go, so that what is known stays. */
static void want_topics(struct membership *g, const struct assignor_member *members, int32_t count)
{
    struct consumer_partition *all;
    struct tp_set before = g->all_topics;
    uint32_t n = 0;

    for (int32_t m = 0; m < count; m++)
        n += (uint32_t)members[m].subscription.topics_count;
    all = take(g, n, sizeof *all);
    n = 0;
    for (int32_t m = 0; m < count; m++) {
        for (int32_t t = 0; t < members[m].subscription.topics_count; t++)
            all[n++] = (struct consumer_partition){members[m].subscription.topics[t], 0};
    }
    g->all_topics = tp_set_of(all, n);
    for (uint32_t i = 0; i < g->all_topics.count; i++)
        client_want(g->consumer->client, g->all_topics.items[i].topic);
    for (uint32_t i = 0; i < before.count; i++)
        client_unwant(g->consumer->client, before.items[i].topic);
    tp_set_free(&before);
}

void membership_assign_begin(struct membership *g)
{
    const struct join_group_response *a = g->join->wire.response;
    struct assignor_member *members;

    if (a->skip_assignment) { /* KIP-814: a static leader came back, the assignments stand */
        member_assigned(&g->member);
        return;
    }
    members = members_of(g);
    want_topics(g, members, a->members_count);
    g->assigning = true;
    g->assign_until_ns = io_now_ns(g->consumer->io) +
                         g->consumer->settings.client.request_timeout_ms * NS_PER_MS;
}

uint64_t membership_print(const struct membership *g)
{
    uint64_t print = 0;

    for (uint32_t i = 0; i < g->all_topics.count; i++) {
        const struct client_topic *t = client_topic(g->consumer->client, g->all_topics.items[i].topic);
        print = print * 1000003 + str_hash(g->all_topics.items[i].topic) * 31 +
                (t == NULL || t->error != KERR_NONE ? 0 : (uint64_t)t->partition_count);
    }
    return print;
}

static bool all_are_known(const struct membership *g)
{
    for (uint32_t i = 0; i < g->all_topics.count; i++) {
        if (client_topic(g->consumer->client, g->all_topics.items[i].topic) == NULL)
            return false;
    }
    return true;
}

static const struct assignor_racks *racks_of(struct membership *g, const struct client_topic *t)
{
    struct assignor_racks *racks = take(g, (size_t)t->partition_count, sizeof *racks);

    for (int32_t p = 0; p < t->partition_count; p++) {
        const struct client_partition *one = &t->partitions[p];
        struct str *names = take(g, (size_t)one->replica_count, sizeof *names);
        racks[p] = (struct assignor_racks){names, one->replica_count};
        for (int32_t i = 0; i < one->replica_count; i++) {
            const struct client_broker *b = client_broker(g->consumer->client, one->replicas[i]);
            names[i] = b == NULL || b->rack.n <= 0 ? STR_NULL : arena_str(&g->join->arena, b->rack);
        }
    }
    return racks;
}

static struct assignor_topic *topics_of(struct membership *g, int32_t *count)
{
    struct assignor_topic *topics = take(g, g->all_topics.count, sizeof *topics);

    *count = 0;
    for (uint32_t i = 0; i < g->all_topics.count; i++) {
        const struct client_topic *t = client_topic(g->consumer->client, g->all_topics.items[i].topic);
        if (t == NULL || t->error != KERR_NONE || t->partition_count <= 0)
            continue;
        topics[(*count)++] = (struct assignor_topic){g->all_topics.items[i].topic, t->partition_count, racks_of(g, t)};
    }
    return topics;
}

static int share_out(struct membership *g)
{
    const struct join_group_response *a = g->join->wire.response;
    struct assignor_group group = {.member_count = a->members_count};
    struct consumer_protocol_assignment *given;
    struct sync_group_request *q = take(g, 1, sizeof *q);
    enum assignor assignor;

    if (!assignor_find(a->protocol_name, &assignor))
        return -EINVAL;
    group.members = members_of(g);
    group.topics = topics_of(g, &group.topic_count);
    TRY(assignor_assign(assignor, &group, &g->join->arena, &given));
    sync_group_request_init(q);
    q->assignments = take(g, (size_t)group.member_count, sizeof *q->assignments);
    for (int32_t i = 0; i < group.member_count; i++) {
        sync_group_request_assignments_init(&q->assignments[i]);
        q->assignments[i].member_id = group.members[i].id;
        TRY(assignment_write(&given[i], 0, &g->join->arena, &q->assignments[i].assignment));
    }
    q->assignments_count = group.member_count;
    g->sync = q;
    return 0;
}

void membership_assign_step(struct membership *g)
{
    int rc;

    if (!g->assigning || g->member.state != MEMBER_ASSIGNING)
        return;
    if (!all_are_known(g) && io_now_ns(g->consumer->io) < g->assign_until_ns) {
        consumer_wake_at(g->consumer, g->assign_until_ns);
        return;
    }
    g->assigning = false;
    rc = share_out(g);
    if (rc < 0)
        say(g->consumer->telemetry, LOG_WARN, "consumer", "group %.*s: cannot be shared out: %s",
            STR_ARG(g->consumer->settings.group_id), error_text(rc));
    g->all_print = membership_print(g);
    member_assigned(&g->member);
}
