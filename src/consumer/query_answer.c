/* The answers to queries. */
#include "consumer/internal.h"

#include "protocol/list_offsets.h"
#include "protocol/offset_fetch.h"
#include "protocol/offset_for_leader_epoch.h"

/* An error of one partition, or of all: the item ends, or is asked for again. */
static void item_error(struct query *q, struct query_item *i, int16_t code)
{
    static const char *const what[] = {"its offset by time", "the end of its epoch", "its committed offset"};
    enum consumer_advice advice = advice_of(code);

    error_code(&i->error, code, advice, "%.*s-%d: %s", STR_ARG(i->id.topic), i->id.partition, what[q->kind]);
    if (advice == CONSUMER_WAIT || advice == CONSUMER_REJOINED) {
        if (kerr_needs_metadata(code))
            client_refresh(q->consumer->client);
        query_item_again(q, i);
    } else {
        query_item_end(q, i);
    }
}

static void found(struct query *q, struct query_item *i)
{
    i->error = (struct consumer_error){0};
    query_item_end(q, i);
}

static void take_times(struct query_send *s, const struct list_offsets_response *a)
{
    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
            const struct list_offsets_response_topics_partitions *one = &a->topics[t].partitions[p];
            struct query_item *i = query_item_find(s, (struct consumer_partition){a->topics[t].name, one->partition_index});
            if (i == NULL)
                continue;
            if (one->error_code != KERR_NONE) {
                item_error(s->query, i, one->error_code);
                continue;
            }
            i->offset = one->offset;
            i->timestamp_ms = one->timestamp;
            i->epoch = one->leader_epoch;
            found(s->query, i);
        }
    }
}

static void take_epochs(struct query_send *s, const struct offset_for_leader_epoch_response *a)
{
    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
            const struct offset_for_leader_epoch_response_topics_partitions *one = &a->topics[t].partitions[p];
            struct query_item *i = query_item_find(s, (struct consumer_partition){a->topics[t].topic, one->partition});
            if (i == NULL)
                continue;
            if (one->error_code != KERR_NONE) {
                item_error(s->query, i, one->error_code);
                continue;
            }
            i->offset = one->end_offset;
            i->epoch = one->leader_epoch;
            found(s->query, i);
        }
    }
}

static void take_commit(struct query_send *s, struct str topic,
                        const struct offset_fetch_response_groups_topics_partitions *one)
{
    struct query_item *i = query_item_find(s, (struct consumer_partition){topic, one->partition_index});

    if (i == NULL)
        return;
    if (one->error_code != KERR_NONE) {
        item_error(s->query, i, one->error_code);
        return;
    }
    i->offset = one->committed_offset < 0 ? -1 : one->committed_offset;
    i->epoch = one->committed_leader_epoch;
    i->metadata = one->metadata;
    found(s->query, i);
}

static void fail_all(struct query_send *s, int16_t code)
{
    for (uint32_t n = 0; n < s->query->count; n++) {
        struct query_item *i = &s->query->items[n];
        if (i->send == s && i->state == ITEM_ASKED)
            item_error(s->query, i, code);
    }
}

static void take_group(struct query_send *s, const struct offset_fetch_response_groups *g)
{
    if (g->error_code != KERR_NONE) {
        fail_all(s, g->error_code);
        return;
    }
    for (int32_t t = 0; t < g->topics_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partitions_count; p++)
            take_commit(s, g->topics[t].name, &g->topics[t].partitions[p]);
    }
}

/* Before v8: the same, without a group around it. */
static void take_plain(struct query_send *s, const struct offset_fetch_response *a)
{
    if (a->error_code != KERR_NONE) {
        fail_all(s, a->error_code);
        return;
    }
    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_topics_partitions *one = &a->topics[t].partitions[p];
            struct offset_fetch_response_groups_topics_partitions same;
            offset_fetch_response_groups_topics_partitions_init(&same);
            same.partition_index = one->partition_index;
            same.committed_offset = one->committed_offset;
            same.committed_leader_epoch = one->committed_leader_epoch;
            same.metadata = one->metadata;
            same.error_code = one->error_code;
            take_commit(s, a->topics[t].name, &same);
        }
    }
}

void query_answered(struct query_send *s)
{
    const struct offset_fetch_response *fetched = s->call.response;

    switch (s->query->kind) {
    case QUERY_TIMES:
        take_times(s, s->call.response);
        break;
    case QUERY_EPOCHS:
        take_epochs(s, s->call.response);
        break;
    case QUERY_COMMITTED:
        if (s->call.version < 8)
            take_plain(s, fetched);
        for (int32_t g = 0; s->call.version >= 8 && g < fetched->groups_count; g++)
            take_group(s, &fetched->groups[g]);
        break;
    }
}

void query_refused(struct query_send *s, int trouble)
{
    if (trouble == -EACCES) {
        fail_all(s, s->call.lookup_error);
        return;
    }
    for (uint32_t n = 0; n < s->query->count; n++) {
        struct query_item *i = &s->query->items[n];
        if (i->send != s || i->state != ITEM_ASKED)
            continue;
        if (s->query->kind == QUERY_EPOCHS) { /* an old node: nothing can be compared there */
            i->offset = INT64_MAX;
            i->epoch = 0;
        } else {
            error_trouble(&i->error, trouble, CONSUMER_REPAIR, "%.*s-%d: the node is too old", STR_ARG(i->id.topic),
                          i->id.partition);
        }
        query_item_end(s->query, i);
    }
}
