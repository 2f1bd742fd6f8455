/* OffsetCommit (key 8) and TxnOffsetCommit (key 28): where a group has got to. */
#include "group/internal.h"

/* One partition of either request. */
struct commit {
    struct str topic;
    struct uuid topic_id; /* zero: not known */
    int32_t partition;
    int32_t leader_epoch;
    int64_t offset;
    struct str metadata;
};

/* Characters as Java counts them, in UTF-16: that is what the limit is set in. */
static int64_t utf16_length(struct str s)
{
    int64_t n = 0;

    for (int32_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        n += c >= 0xf0 ? 2 : (c & 0xc0) != 0x80 ? 1 : 0;
    }
    return n;
}

/* Add the record of one partition. `expire_ms` -1: by the group's rules. */
static enum kerr commit_add(struct group_partition *p, struct str group_id, const struct commit *c,
                            int64_t expire_ms)
{
    struct offset_commit_value value;

    if (utf16_length(c->metadata) > p->settings.offset_metadata_max)
        return KERR_OFFSET_METADATA_TOO_LARGE;
    offset_commit_value_init(&value);
    value.offset = c->offset;
    value.leader_epoch = c->leader_epoch;
    value.metadata = str_is_null(c->metadata) ? STR("") : c->metadata;
    value.commit_timestamp = p->wall_ms;
    value.expire_timestamp = expire_ms;
    value.topic_id = c->topic_id;
    record_offset(p, group_id, c->topic, c->partition, &value, expire_ms >= 0);
    return KERR_NONE;
}

static bool allowed(const struct group_call *call, struct str topic)
{
    return call->topic_allowed == NULL || call->topic_allowed(call, topic);
}

/* ---- who may commit (G3) -------------------------------------------------------------------- */

static enum kerr commit_check_group(const struct group *g, struct str member_id,
                                    struct str instance_id, int32_t generation, bool transactional)
{
    enum kerr error;

    if (g->kind !=
        GROUP_CLASSIC) /* an administrator may set the offsets of a group without members */
        return generation < 0 && !raw_has_members(g) ? KERR_NONE : KERR_UNKNOWN_MEMBER_ID;
    /* An administrator, or a consumer that assigns itself. */
    if (generation < 0 && g->state == GROUP_EMPTY)
        return KERR_NONE;
    if (generation >= 0 || member_id.n > 0 || !str_is_null(instance_id)) {
        error = member_check(g, member_id, instance_id);
        if (error != KERR_NONE)
            return error;
#ifndef MUTANT_OLD_GENERATION_COMMITS
        if (generation != g->generation)
            return KERR_ILLEGAL_GENERATION;
#endif
    } else if (!transactional) {
        /* Only members may commit; a transaction may come from a producer that does not say who
         * consumes. */
        return KERR_UNKNOWN_MEMBER_ID;
    }
    return !transactional && g->state == GROUP_COMPLETING ? KERR_REBALANCE_IN_PROGRESS : KERR_NONE;
}

static enum kerr commit_check(const struct group_partition *p, const struct group_call *call)
{
    const struct offset_commit_request *r = call->request;
    const struct group *g = group_find(p, r->group_id);

    if (str_is_null(r->group_id))
        return KERR_INVALID_GROUP_ID;
    if (g != NULL)
        return commit_check_group(g, r->member_id, r->group_instance_id,
                                  r->generation_id_or_member_epoch, false);
    if (r->generation_id_or_member_epoch < 0)
        return KERR_NONE;
    return call->api_version >= 9 ? KERR_GROUP_ID_NOT_FOUND : KERR_ILLEGAL_GENERATION;
}

/* ---- OffsetCommit --------------------------------------------------------------------------- */

/* The topic's error, or KERR_NONE and the topic. */
static enum kerr topic_resolve(const struct group_call *call,
                               const struct offset_commit_request_topics *from,
                               const struct image_topic **out)
{
    const struct image_topic *topic = call->api_version >= 10
                                          ? image_topic_by_id(call->image, from->topic_id)
                                          : image_topic_find(call->image, from->name);

    if (topic == NULL && call->api_version >= 10)
        return KERR_UNKNOWN_TOPIC_ID;
    if (!allowed(call, topic == NULL ? from->name : topic->name))
        return KERR_TOPIC_AUTHORIZATION_FAILED;
    if (topic == NULL)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    *out = topic;
    return KERR_NONE;
}

static enum kerr commit_partition(struct group_partition *p, const struct group_call *call,
                                  const struct image_topic *topic,
                                  const struct offset_commit_request_topics_partitions *from)
{
    const struct offset_commit_request *r = call->request;
    struct commit c = {
        .topic = topic->name,
        .topic_id = topic->id,
        .partition = from->partition_index,
        .leader_epoch = from->committed_leader_epoch,
        .offset = from->committed_offset,
        .metadata = from->committed_metadata,
    };

    if (c.partition < 0 || c.partition >= topic->partition_count)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    return commit_add(p, r->group_id, &c,
                      call->api_version <= 4 && r->retention_time_ms >= 0
                          ? p->wall_ms + r->retention_time_ms
                          : -1);
}

static void commit_topic(struct group_partition *p, const struct group_call *call,
                         const struct offset_commit_request_topics *from,
                         struct offset_commit_response_topics *to)
{
    const struct image_topic *topic = NULL;
    enum kerr error = topic_resolve(call, from, &topic);

    for (int32_t i = 0; i < from->partitions_count; i++) {
        enum kerr partition_error =
            error != KERR_NONE ? error : commit_partition(p, call, topic, &from->partitions[i]);
        to->partitions[i].error_code = (int16_t)partition_error;
    }
}

void offset_commit(struct group_partition *p, struct group_call *call)
{
    const struct offset_commit_request *r = call->request;
    struct offset_commit_response *to = call->response;
    enum kerr error = commit_check(p, call);
    struct group *g;

    response_fail(call, error);
    for (int32_t i = 0; error == KERR_NONE && i < r->topics_count; i++)
        commit_topic(p, call, &r->topics[i], &to->topics[i]);
    if (error == KERR_NONE) {
        error = records_append(p);
        if (error != KERR_NONE)
            response_fail(call, error);
    }
    /* A member that commits lives. */
    g = group_find(p, r->group_id);
    if (error == KERR_NONE && g != NULL && member_find(g, r->member_id) != NULL &&
        (g->state == GROUP_STABLE || g->state == GROUP_PREPARING))
        session_restart(p, member_find(g, r->member_id));
    answer(p, call);
}

/* ---- TxnOffsetCommit ------------------------------------------------------------------------ */

static enum kerr txn_commit_check(const struct group_partition *p,
                                  const struct txn_offset_commit_request *r)
{
    const struct group *g = group_find(p, r->group_id);

    if (r->group_id.n <= 0)
        return KERR_INVALID_GROUP_ID;
    if (g == NULL)
        return r->generation_id_or_member_epoch < 0 ? KERR_NONE : KERR_ILLEGAL_GENERATION;
    return commit_check_group(g, r->member_id, r->group_instance_id,
                              r->generation_id_or_member_epoch, true);
}

static enum kerr
txn_commit_partition(struct group_partition *p, const struct group_call *call,
                     const struct txn_offset_commit_request_topics *topic,
                     const struct txn_offset_commit_request_topics_partitions *from)
{
    const struct txn_offset_commit_request *r = call->request;
    const struct image_topic *found = call->api_version >= 6
                                          ? image_topic_by_id(call->image, topic->topic_id)
                                          : image_topic_find(call->image, topic->name);
    struct commit c = {
        .partition = from->partition_index,
        .leader_epoch = from->committed_leader_epoch,
        .offset = from->committed_offset,
        .metadata = from->committed_metadata,
    };

    if (found == NULL && call->api_version >= 6)
        return KERR_UNKNOWN_TOPIC_ID;
    if (!allowed(call, found == NULL ? topic->name : found->name))
        return KERR_TOPIC_AUTHORIZATION_FAILED;
    if (found == NULL || c.partition < 0 || c.partition >= found->partition_count)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    c.topic = found->name;
    if (call->api_version >= 6) /* as Kafka: only ids that the client knew are kept */
        c.topic_id = found->id;
    return commit_add(p, r->group_id, &c, -1);
}

void txn_offset_commit(struct group_partition *p, struct group_call *call)
{
    const struct txn_offset_commit_request *r = call->request;
    struct txn_offset_commit_response *to = call->response;
    enum kerr error = txn_commit_check(p, r);

    response_fail(call, error);
    for (int32_t i = 0; error == KERR_NONE && i < r->topics_count; i++) {
        for (int32_t k = 0; k < r->topics[i].partitions_count; k++)
            to->topics[i].partitions[k].error_code =
                (int16_t)txn_commit_partition(p, call, &r->topics[i], &r->topics[i].partitions[k]);
    }
    if (error == KERR_NONE && p->batch.count > 0) {
        p->batch.producer_id = r->producer_id;
        p->batch.producer_epoch = r->producer_epoch;
        p->batch.attributes |= BATCH_TRANSACTIONAL;
        error = records_append(p);
        if (error != KERR_NONE)
            response_fail(call, error);
    }
    answer(p, call);
}
