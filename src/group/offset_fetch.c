/* OffsetFetch (key 9): where a group has got to. Up to version 7 one group, then several; from 10
 * topics by id. */
#include "group/internal.h"

/* What is asked of one group, in the shape of version 8. */
struct asked {
    struct offset_fetch_request_groups group;
    bool all; /* every topic */
    bool require_stable;
};

static void partition_absent(struct offset_fetch_response_groups_topics_partitions *to,
                             int32_t partition, enum kerr error)
{
    offset_fetch_response_groups_topics_partitions_init(to);
    to->partition_index = partition;
    to->committed_offset = -1;
    to->committed_leader_epoch = -1;
    to->metadata = STR("");
    to->error_code = (int16_t)error;
}

static void partition_fill(struct group_call *call, const struct committed *c,
                           struct offset_fetch_response_groups_topics_partitions *to)
{
    offset_fetch_response_groups_topics_partitions_init(to);
    to->partition_index = c->partition;
    to->committed_offset = c->offset;
    to->committed_leader_epoch = c->leader_epoch;
    to->metadata = c->metadata.n <= 0 ? STR("") : arena_str(call->arena, c->metadata);
}

static void fetch_partition(struct group_call *call, const struct group *g, struct str topic,
                            struct uuid topic_id, int32_t partition, bool require_stable,
                            struct offset_fetch_response_groups_topics_partitions *to)
{
    const struct committed *c = g == NULL ? NULL : slot_find(g, topic, partition);

    if (c != NULL && require_stable && offset_is_unstable(c))
        partition_absent(to, partition, KERR_UNSTABLE_OFFSET_COMMIT); /* KIP-447 */
    else if (c == NULL || !c->present ||
             /* of a topic of that name that is no more */
             (!uuid_is_zero(topic_id) && !uuid_is_zero(c->topic_id) &&
              !uuid_equal(topic_id, c->topic_id)))
        partition_absent(to, partition, KERR_NONE);
    else
        partition_fill(call, c, to);
}

static void fetch_topic(struct group_call *call, const struct group *g, const struct asked *a,
                        const struct offset_fetch_request_groups_topics *from,
                        struct offset_fetch_response_groups_topics *to)
{
    bool by_id = call->api_version >= 10;
    const struct image_topic *known = by_id ? image_topic_by_id(call->image, from->topic_id) : NULL;
    enum kerr error = by_id && known == NULL ? KERR_UNKNOWN_TOPIC_ID : KERR_NONE;
    struct str name = known == NULL ? from->name : known->name;

    if (error == KERR_NONE && call->topic_allowed != NULL && !call->topic_allowed(call, name))
        error = KERR_TOPIC_AUTHORIZATION_FAILED;
    offset_fetch_response_groups_topics_init(to);
    to->name = from->name;
    to->topic_id = from->topic_id;
    to->partitions = arena_take_array(call->arena, (size_t)from->partition_indexes_count,
                                      sizeof(*to->partitions));
    to->partitions_count = from->partition_indexes_count;
    for (int32_t i = 0; i < from->partition_indexes_count; i++) {
        if (error != KERR_NONE)
            partition_absent(&to->partitions[i], from->partition_indexes[i], error);
        else
            fetch_partition(call, g, name, from->topic_id, from->partition_indexes[i],
                            a->require_stable, &to->partitions[i]);
    }
}

/* One topic of a group, whole; false when there is nothing to say of it. */
static bool fetch_whole_topic(struct group_call *call, const struct offset_topic *t,
                              bool require_stable, struct offset_fetch_response_groups_topics *to)
{
    const struct image_topic *known =
        call->api_version >= 10 ? image_topic_find(call->image, t->name) : NULL;

    if ((call->api_version >= 10 && known == NULL) ||
        (call->topic_allowed != NULL && !call->topic_allowed(call, t->name)))
        return false;
    offset_fetch_response_groups_topics_init(to);
    to->name = arena_str(call->arena, t->name);
    if (known != NULL)
        to->topic_id = known->id;
    to->partitions = arena_take_array(call->arena, t->partitions.count, sizeof(*to->partitions));
    MAP_EACH (node, &t->partitions) {
        const struct committed *c = container_of(node, struct committed, node);

        if (!c->present)
            continue;
        fetch_partition(call, t->group, t->name, to->topic_id, c->partition, require_stable,
                        &to->partitions[to->partitions_count++]);
    }
    return to->partitions_count > 0;
}

static void fetch_all(struct group_call *call, const struct group *g, const struct asked *a,
                      struct offset_fetch_response_groups *to)
{
    if (g == NULL)
        return;
    to->topics = arena_take_array(call->arena, g->topics.count, sizeof(*to->topics));
    MAP_EACH (node, &g->topics) {
        if (fetch_whole_topic(call, container_of(node, struct offset_topic, node),
                              a->require_stable, &to->topics[to->topics_count]))
            to->topics_count++;
    }
}

static void fetch_group(struct group_partition *p, struct group_call *call, const struct asked *a,
                        struct offset_fetch_response_groups *to)
{
    const struct group *g = group_find(p, a->group.group_id);

    offset_fetch_response_groups_init(to);
    to->group_id = a->group.group_id;
    if (str_is_null(a->group.group_id)) {
        to->error_code = KERR_INVALID_GROUP_ID;
        return;
    }
    /* A member of a consumer group says its epoch; such members cannot be here. */
    if (g != NULL && g->kind == GROUP_CONSUMER &&
        (a->group.member_epoch >= 0 || a->group.member_id.n > 0)) {
        to->error_code = KERR_UNKNOWN_MEMBER_ID;
        return;
    }
    if (a->all) {
        fetch_all(call, g, a, to);
        return;
    }
    to->topics = arena_take_array(call->arena, (size_t)a->group.topics_count, sizeof(*to->topics));
    to->topics_count = a->group.topics_count;
    for (int32_t i = 0; i < a->group.topics_count; i++)
        fetch_topic(call, g, a, &a->group.topics[i], &to->topics[i]);
}

/* ---- versions 1 to 7 ------------------------------------------------------------------------ */

static struct asked ask_old(struct group_call *call, const struct offset_fetch_request *r)
{
    struct asked a = {.all = r->topics_count < 0, .require_stable = r->require_stable};

    offset_fetch_request_groups_init(&a.group);
    a.group.group_id = r->group_id;
    if (a.all)
        return a;
    a.group.topics_count = r->topics_count;
    a.group.topics =
        arena_take_array(call->arena, (size_t)r->topics_count, sizeof(*a.group.topics));
    for (int32_t i = 0; i < r->topics_count; i++) {
        offset_fetch_request_groups_topics_init(&a.group.topics[i]);
        a.group.topics[i].name = r->topics[i].name;
        a.group.topics[i].partition_indexes = r->topics[i].partition_indexes;
        a.group.topics[i].partition_indexes_count = r->topics[i].partition_indexes_count;
    }
    return a;
}

static void answer_old(struct group_call *call, const struct offset_fetch_response_groups *from)
{
    struct offset_fetch_response *to = call->response;

    to->error_code = from->error_code;
    to->topics = arena_take_array(call->arena, (size_t)from->topics_count, sizeof(*to->topics));
    to->topics_count = from->topics_count;
    for (int32_t i = 0; i < from->topics_count; i++) {
        const struct offset_fetch_response_groups_topics *topic = &from->topics[i];

        offset_fetch_response_topics_init(&to->topics[i]);
        to->topics[i].name = topic->name;
        to->topics[i].partitions_count = topic->partitions_count;
        to->topics[i].partitions = arena_take_array(call->arena, (size_t)topic->partitions_count,
                                                    sizeof(*to->topics[i].partitions));
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            struct offset_fetch_response_topics_partitions *partition =
                &to->topics[i].partitions[k];

            offset_fetch_response_topics_partitions_init(partition);
            partition->partition_index = topic->partitions[k].partition_index;
            partition->committed_offset = topic->partitions[k].committed_offset;
            partition->committed_leader_epoch = topic->partitions[k].committed_leader_epoch;
            partition->metadata = topic->partitions[k].metadata;
            partition->error_code = topic->partitions[k].error_code;
        }
    }
}

void offset_fetch(struct group_partition *p, struct group_call *call)
{
    const struct offset_fetch_request *r = call->request;
    struct offset_fetch_response *to = call->response;

    if (call->api_version < 8) {
        struct asked a = ask_old(call, r);
        struct offset_fetch_response_groups group;

        fetch_group(p, call, &a, &group);
        answer_old(call, &group);
        answer(p, call);
        return;
    }
    to->groups = arena_take_array(call->arena, (size_t)r->groups_count, sizeof(*to->groups));
    to->groups_count = r->groups_count;
    for (int32_t i = 0; i < r->groups_count; i++) {
        struct asked a = {.group = r->groups[i],
                          .all = r->groups[i].topics_count < 0,
                          .require_stable = r->require_stable};
        fetch_group(p, call, &a, &to->groups[i]);
    }
    answer(p, call);
}
