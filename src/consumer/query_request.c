/* The requests behind queries. */
#include "consumer/internal.h"

#include "protocol/list_offsets.h"
#include "protocol/offset_fetch.h"
#include "protocol/offset_for_leader_epoch.h"

/* A request that is not written yet has its own arena: it may be prepared more than once. */
static void *take(struct query_send *s, size_t count, size_t bytes)
{
    void *p = arena_take_array(&s->arena, count, bytes);

    ASSERT(p != NULL);
    return p;
}

static uint32_t asked_of(const struct query_send *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->query->count; i++)
        n += s->query->items[i].send == s;
    return n;
}

static int32_t leader_epoch_of(const struct query_send *s, const struct query_item *i)
{
    const struct client_topic *t = client_topic(s->query->consumer->client, i->id.topic);

    return t == NULL || i->id.partition >= t->partition_count ? -1 : t->partitions[i->id.partition].leader_epoch;
}

/* Items lie in the order of topics: true where another topic begins. */
static bool begins_topic(const struct query_item *before, const struct query_item *i)
{
    return before == NULL || !str_equal(before->id.topic, i->id.topic);
}

static void fill_times(struct query_send *s, struct list_offsets_request *q, uint32_t n)
{
    struct list_offsets_request_topics_partitions *one = take(s, n, sizeof *one);
    const struct query_item *before = NULL;

    list_offsets_request_init(q);
    q->replica_id = -1;
    q->isolation_level = s->query->consumer->settings.read_committed;
    q->timeout_ms = (int32_t)s->query->consumer->settings.client.request_timeout_ms;
    q->topics = take(s, n, sizeof *q->topics);
    for (uint32_t i = 0; i < s->query->count; i++) {
        const struct query_item *item = &s->query->items[i];
        if (item->send != s)
            continue;
        if (begins_topic(before, item)) {
            list_offsets_request_topics_init(&q->topics[q->topics_count]);
            q->topics[q->topics_count].name = item->id.topic;
            q->topics[q->topics_count++].partitions = one;
        }
        before = item;
        list_offsets_request_topics_partitions_init(one);
        one->partition_index = item->id.partition;
        one->current_leader_epoch = leader_epoch_of(s, item);
        one->timestamp = item->what;
        q->topics[q->topics_count - 1].partitions_count++;
        one++;
    }
}

static void fill_epochs(struct query_send *s, struct offset_for_leader_epoch_request *q, uint32_t n)
{
    struct offset_for_leader_epoch_request_topics_partitions *one = take(s, n, sizeof *one);
    const struct query_item *before = NULL;

    offset_for_leader_epoch_request_init(q);
    q->replica_id = -1;
    q->topics = take(s, n, sizeof *q->topics);
    for (uint32_t i = 0; i < s->query->count; i++) {
        const struct query_item *item = &s->query->items[i];
        if (item->send != s)
            continue;
        if (begins_topic(before, item)) {
            offset_for_leader_epoch_request_topics_init(&q->topics[q->topics_count]);
            q->topics[q->topics_count].topic = item->id.topic;
            q->topics[q->topics_count++].partitions = one;
        }
        before = item;
        offset_for_leader_epoch_request_topics_partitions_init(one);
        one->partition = item->id.partition;
        one->current_leader_epoch = leader_epoch_of(s, item);
        one->leader_epoch = (int32_t)item->what;
        q->topics[q->topics_count - 1].partitions_count++;
        one++;
    }
}

/* Until v7 there is one group, of which the request itself speaks; from v8 on a list of groups. */
static void fill_committed(struct query_send *s, struct offset_fetch_request *q, uint32_t n)
{
    struct offset_fetch_request_groups *group = take(s, 1, sizeof *group);
    struct offset_fetch_request_groups_topics *topics = take(s, n, sizeof *topics);
    int32_t *numbers = take(s, n, sizeof *numbers);
    const struct query_item *before = NULL;

    offset_fetch_request_init(q);
    offset_fetch_request_groups_init(group);
    q->group_id = group->group_id = s->query->consumer->settings.group_id;
    q->require_stable = true; /* transactions that are open may change it (KIP-447) */
    q->groups = group;
    q->groups_count = 1;
    group->topics = topics;
    q->topics = take(s, n, sizeof *q->topics);
    for (uint32_t i = 0; i < s->query->count; i++) {
        const struct query_item *item = &s->query->items[i];
        if (item->send != s)
            continue;
        if (begins_topic(before, item)) {
            offset_fetch_request_groups_topics_init(&topics[group->topics_count]);
            topics[group->topics_count].name = item->id.topic;
            topics[group->topics_count++].partition_indexes = numbers;
        }
        before = item;
        *numbers++ = item->id.partition;
        topics[group->topics_count - 1].partition_indexes_count++;
    }
    q->topics_count = group->topics_count;
    for (int32_t t = 0; t < q->topics_count; t++) {
        offset_fetch_request_topics_init(&q->topics[t]);
        q->topics[t].name = topics[t].name;
        q->topics[t].partition_indexes = topics[t].partition_indexes;
        q->topics[t].partition_indexes_count = topics[t].partition_indexes_count;
    }
}

void query_limit(struct query_send *s)
{
    switch (s->query->kind) {
    case QUERY_TIMES:
        s->call.version_low = 1;
        s->call.version_high = 11;
        s->call.request = take(s, 1, sizeof(struct list_offsets_request));
        break;
    case QUERY_EPOCHS:
        s->call.version_low = 2;
        s->call.version_high = 4;
        s->call.request = take(s, 1, sizeof(struct offset_for_leader_epoch_request));
        break;
    case QUERY_COMMITTED:
        s->call.version_low = 2;
        s->call.version_high = 9; /* v10 names topics by id, which those may not have any more */
        s->call.request = take(s, 1, sizeof(struct offset_fetch_request));
        break;
    }
}

void query_fill(struct client_call *call)
{
    struct query_send *s = container_of(call, struct query_send, call);
    void *request = (void *)(uintptr_t)call->request;
    uint32_t n = asked_of(s);

    switch (s->query->kind) {
    case QUERY_TIMES:
        fill_times(s, request, n);
        break;
    case QUERY_EPOCHS:
        fill_epochs(s, request, n);
        break;
    case QUERY_COMMITTED:
        fill_committed(s, request, n);
        /* Fields that the version lacks must be as they are by default. */
        if (call->version >= 8) {
            ((struct offset_fetch_request *)request)->group_id = STR("");
            ((struct offset_fetch_request *)request)->topics_count = 0;
        } else {
            ((struct offset_fetch_request *)request)->groups_count = 0;
        }
        if (call->version < 7)
            ((struct offset_fetch_request *)request)->require_stable = false;
        break;
    }
}
