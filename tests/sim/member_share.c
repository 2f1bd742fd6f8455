/* What the leader gives to each member, and what a member is given. */
#include <stdlib.h>

#include "member.h"
#include "protocol/consumer_protocol_assignment.h"
#include "protocol/consumer_protocol_subscription.h"
#include "protocol/join_group.h"
#include "protocol/sync_group.h"

#define SHARE_VERSION 1
#define MEMBERS_TOLD_MAX 32

static bool is_read(const struct topic *t)
{
    return t->lasting && t->state == TOPIC_LIVES;
}

int32_t group_partitions(const struct member *m)
{
    const struct truth *t = m->client.world->truth;
    int32_t n = 0;

    for (uint32_t i = 0; i < t->topic_count; i++)
        n += is_read(t->topics[i]) ? t->topics[i]->partition_count : 0;
    return n;
}

/* i16 version and the message. */
static struct bytes versioned(const struct message *message, const void *m)
{
    int64_t n = message_size(message, SHARE_VERSION, m);
    uint8_t *p = malloc((size_t)n + 2);

    ASSERT(n >= 0 && p != NULL);
    put_u16(p, SHARE_VERSION);
    message_write(message, SHARE_VERSION, m, p + 2);
    return (struct bytes){p, (int32_t)n + 2};
}

void member_subscription(struct member *m)
{
    struct consumer_protocol_subscription s;
    struct str topics[] = {STR("lasting-0"), STR("lasting-1"), STR("lasting-2")};

    consumer_protocol_subscription_init(&s);
    s.topics = topics;
    s.topics_count = (int32_t)m->client.world->plan.topics;
    m->subscription = versioned(&consumer_protocol_subscription_message, &s);
}

/* Every `members`-th partition, beginning at a place that changes. */
static struct bytes share_of(struct member *m, uint32_t place, uint32_t members, uint32_t turn)
{
    const struct truth *t = m->client.world->truth;
    struct consumer_protocol_assignment_assigned_partitions topics[TOPICS_AT_START_MAX];
    struct consumer_protocol_assignment a;
    int32_t numbers[TOPICS_AT_START_MAX * PARTITIONS_MAX];
    uint32_t seen = turn, used = 0;

    consumer_protocol_assignment_init(&a);
    a.assigned_partitions = topics;
    for (uint32_t i = 0; i < t->topic_count; i++) {
        struct consumer_protocol_assignment_assigned_partitions *one = &topics[a.assigned_partitions_count];
        if (!is_read(t->topics[i]))
            continue;
        consumer_protocol_assignment_assigned_partitions_init(one);
        one->topic = str_of(t->topics[i]->name);
        one->partitions = &numbers[used];
        for (int32_t p = 0; p < t->topics[i]->partition_count; p++) {
            if (seen++ % members == place)
                one->partitions[one->partitions_count++] = p;
        }
        used += (uint32_t)one->partitions_count;
        if (one->partitions_count > 0)
            a.assigned_partitions_count++;
    }
    return versioned(&consumer_protocol_assignment_message, &a);
}

void member_sync_begin(struct member *m)
{
    const struct join_group_response *join = m->join.answer;
    struct sync_group_request_assignments shares[MEMBERS_TOLD_MAX];
    struct sync_group_request q;
    uint32_t n = (uint32_t)join->members_count;
    uint32_t turn = (uint32_t)client_below(&m->client, 8);

    if (n > MEMBERS_TOLD_MAX)
        broken(m->client.world, "JoinGroup told %u members", n);
    sync_group_request_init(&q);
    q.group_id = STR(GROUP);
    q.member_id = str_of(m->member_id);
    q.generation_id = m->generation;
    q.protocol_type = STR("consumer");
    q.protocol_name = STR("range");
    q.assignments = shares;
    q.assignments_count = join->members_count;
    for (uint32_t i = 0; i < n; i++) {
        sync_group_request_assignments_init(&shares[i]);
        shares[i].member_id = join->members[i].member_id;
        shares[i].assignment = share_of(m, i, n, turn);
    }
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_SYNC_GROUP,
              client_draw_version(&m->client, API_SYNC_GROUP, 0, 5), &q, &m->flow.op);
    for (uint32_t i = 0; i < n; i++)
        free((void *)(uintptr_t)shares[i].assignment.p);
}

static void take_partition(struct member *m, struct str name, int32_t partition)
{
    struct world *w = m->client.world;
    struct topic *topic = truth_topic_find(w->truth, name);

    if (topic == NULL || partition < 0 || partition >= PARTITIONS_MAX)
        broken(w, "%s was given %.*s-%d, which is none", m->client.name, STR_ARG(name), partition);
    truth_owns(w->truth, m->generation, &topic->parts[partition], str_of(m->member_id));
    ASSERT(m->fetch.count < FETCH_PARTITIONS_MAX);
    m->fetch.slots[m->fetch.count++] = (struct fetch_slot){.part = &topic->parts[partition], .high_watermark = -1};
}

void member_sync_take(struct member *m)
{
    const struct sync_group_response *answer = m->rpc.answer;
    struct consumer_protocol_assignment a;
    struct world *w = m->client.world;
    struct bytes in = answer->assignment;
    int rc;

    fetch_drop_all(&m->fetch);
    if (answer->error_code != KERR_NONE) {
        member_error(m, "SyncGroup", answer->error_code);
        return;
    }
    m->heartbeat_ns = world_now_ns(w);
    if (m->generation > w->truth->generation)
        w->truth->generation = m->generation;
    if (in.n <= 2) {
        if (in.n != 0)
            broken(w, "SyncGroup gave an assignment of %d bytes", in.n);
        return; /* it came after the leader's list was made: nothing for it */
    }
    rc = consumer_protocol_assignment_read((struct bytes){in.p + 2, in.n - 2}, get_i16(in.p), &m->rpc.arena, &a);
    if (rc != in.n - 2)
        broken(w, "SyncGroup gave an assignment that nobody made");
    for (int32_t i = 0; i < a.assigned_partitions_count; i++) {
        for (int32_t p = 0; p < a.assigned_partitions[i].partitions_count; p++)
            take_partition(m, a.assigned_partitions[i].topic, a.assigned_partitions[i].partitions[p]);
    }
}
