/* A broker tells in which of its directories replicas lie (KIP-858). */
#include "controller/internal.h"

#include "protocol/assign_replicas_to_dirs.h"
#include "protocol/partition_change_record.h"

static int32_t replica_index(const struct image_partition *p, int32_t broker)
{
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == broker)
            return i;
    }
    return -1;
}

static void assign(struct decision *d, const struct image_topic *t, const struct image_partition *p,
                   int32_t replica, struct uuid directory)
{
    struct partition_change_record r;

    if (uuid_equal(p->directories[replica], directory))
        return;
    partition_change_record_init(&r);
    r.topic_id = t->id;
    r.partition_id = p->partition;
    r.directories =
        arena_take_array(&d->c->scratch, (size_t)p->replica_count, sizeof(*r.directories));
    memcpy(r.directories, p->directories, (size_t)p->replica_count * sizeof(*r.directories));
    r.directories[replica] = directory;
    r.directories_count = p->replica_count;
    decision_add(d, &partition_change_record_message, d->version->partition_change_record, &r);
}

static enum kerr assign_one(struct decision *d, int32_t broker, struct uuid topic,
                            int32_t partition, struct uuid directory)
{
    const struct image_topic *t = image_topic_by_id(d->image, topic);
    const struct image_partition *p = image_partition_find(d->image, topic, partition);
    int32_t replica;

    if (t == NULL)
        return KERR_UNKNOWN_TOPIC_ID;
    if (p == NULL)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    replica = replica_index(p, broker);
    if (replica < 0)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    assign(d, t, p, replica, directory);
    return KERR_NONE;
}

static void assign_topic(struct decision *d, int32_t broker, struct uuid directory,
                         const struct assign_replicas_to_dirs_request_directories_topics *m,
                         struct assign_replicas_to_dirs_response_directories_topics *a)
{
    a->topic_id = m->topic_id;
    a->partitions_count = m->partitions_count;
    a->partitions =
        arena_take_array(d->call->arena, (size_t)m->partitions_count, sizeof(*a->partitions));
    for (int32_t i = 0; i < m->partitions_count; i++) {
        assign_replicas_to_dirs_response_directories_topics_partitions_init(&a->partitions[i]);
        a->partitions[i].partition_index = m->partitions[i].partition_index;
        a->partitions[i].error_code = (int16_t)assign_one(
            d, broker, m->topic_id, m->partitions[i].partition_index, directory);
    }
}

/* ---- what follows -------------------------------------------------------------------------------
 */

/* A broker tells of a directory that has failed since only so that its replicas leave it; one that lies in a good
 * directory may lead, where nobody did because its directory was not known, or lost. */
static enum kerr settle(struct decision *d, const struct assign_replicas_to_dirs_request *m)
{
    const struct image_broker *b;
    struct uuid *lost =
        arena_take_array(&d->c->scratch, (size_t)m->directories_count, sizeof(*lost));
    int32_t lost_count = 0;
    enum kerr error = decision_commit(d); /* what follows starts from the new directories */

    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    b = image_broker_find(d->image, m->broker_id);
    for (int32_t i = 0; i < m->directories_count; i++) {
        if (!image_broker_has_online(b, m->directories[i].id))
            lost[lost_count++] = m->directories[i].id;
    }
    if (lost_count > 0)
        decide_partition_changes(
            d, &(struct broker_change){m->broker_id, NO_LEADER, NO_LEADER, lost, lost_count});
    if (lost_count < m->directories_count && broker_is_active(d->image, m->broker_id))
        decide_partition_changes(d, &(struct broker_change){NO_LEADER, m->broker_id, NO_LEADER});
    return KERR_NONE;
}

enum kerr decide_assign_replicas_to_dirs(struct decision *d, const void *request, void *response)
{
    const struct assign_replicas_to_dirs_request *m = request;
    struct assign_replicas_to_dirs_response *a = response;
    const struct image_broker *b = image_broker_find(d->image, m->broker_id);

    if (d->version->level < METADATA_VERSION_DIRECTORIES)
        return KERR_UNSUPPORTED_VERSION;
    if (b == NULL || b->epoch != m->broker_epoch) {
        a->error_code = KERR_STALE_BROKER_EPOCH;
        return KERR_NONE;
    }
    a->directories_count = m->directories_count;
    a->directories =
        arena_take_array(d->call->arena, (size_t)m->directories_count, sizeof(*a->directories));
    for (int32_t i = 0; i < m->directories_count; i++) {
        const struct assign_replicas_to_dirs_request_directories *from = &m->directories[i];
        struct assign_replicas_to_dirs_response_directories *to = &a->directories[i];
        assign_replicas_to_dirs_response_directories_init(to);
        to->id = from->id;
        to->topics_count = from->topics_count;
        to->topics =
            arena_take_array(d->call->arena, (size_t)from->topics_count, sizeof(*to->topics));
        for (int32_t t = 0; t < from->topics_count; t++) {
            assign_replicas_to_dirs_response_directories_topics_init(&to->topics[t]);
            assign_topic(d, m->broker_id, from->id, &from->topics[t], &to->topics[t]);
        }
    }
    return settle(d, m);
}
