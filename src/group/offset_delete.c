/* OffsetDelete (key 47): an administrator forgets offsets of topics that nobody in the group reads.
 */
#include "group/internal.h"

static enum kerr delete_check(const struct group *g)
{
    if (g == NULL)
        return KERR_GROUP_ID_NOT_FOUND;
    if (g->kind != GROUP_CLASSIC) /* what its members read is not known here */
        return raw_has_members(g) ? KERR_NON_EMPTY_GROUP : KERR_NONE;
    if (g->state != GROUP_EMPTY && !str_equal(g->protocol_type, CONSUMER_PROTOCOL_TYPE))
        return KERR_NON_EMPTY_GROUP;
    return KERR_NONE;
}

static void delete_topic(struct group_partition *p, const struct group_call *call,
                         const struct group *g, const struct subscriptions *s,
                         const struct offset_delete_request_topics *from,
                         struct offset_delete_response_topics *to)
{
    bool allowed = call->topic_allowed == NULL || call->topic_allowed(call, from->name);
    bool known = image_topic_find(call->image, from->name) != NULL;

    offset_delete_response_topics_init(to);
    to->name = from->name;
    to->partitions =
        arena_take_array(call->arena, (size_t)from->partitions_count, sizeof(*to->partitions));
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t partition = from->partitions[i].partition_index;
        const struct committed *c = slot_find(g, from->name, partition); /* or pending */
        enum kerr error = KERR_NONE;

        if (!allowed)
            error = KERR_TOPIC_AUTHORIZATION_FAILED;
        else if (!known)
            error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        else if (g->state != GROUP_EMPTY && subscriptions_have(g, s, from->name))
            error = KERR_GROUP_SUBSCRIBED_TO_TOPIC;
        else if (c != NULL)
            record_offset_tombstone(p, c);
        offset_delete_response_topics_partitions_init(&to->partitions[i]);
        to->partitions[i].partition_index = partition;
        to->partitions[i].error_code = (int16_t)error;
    }
}

void offset_delete(struct group_partition *p, struct group_call *call)
{
    const struct offset_delete_request *r = call->request;
    struct offset_delete_response *to = call->response;
    const struct group *g = group_find(p, r->group_id);
    enum kerr error = r->group_id.n <= 0 ? KERR_INVALID_GROUP_ID : delete_check(g);
    struct subscriptions s;

    if (error != KERR_NONE) {
        group_refuse(p, call, error);
        return;
    }
    s = group_subscriptions(g, &p->arena);
    to->topics = arena_take_array(call->arena, (size_t)r->topics_count, sizeof(*to->topics));
    to->topics_count = r->topics_count;
    for (int32_t i = 0; i < r->topics_count; i++)
        delete_topic(p, call, g, &s, &r->topics[i], &to->topics[i]);
    error = records_append(p);
    if (error != KERR_NONE)
        response_fail(call, error);
    answer(p, call);
}
