/* The truth about topics: T10, T12. */
#include <stdlib.h>

#include "protocol/metadata.h"
#include "truth.h"

struct topic *truth_topic_new(struct truth *t, const char *name, int32_t partitions)
{
    struct topic *topic = calloc(1, sizeof *topic);

    ASSERT(topic != NULL);
    ASSERT(t->topic_count < TOPICS_MAX);
    ASSERT(partitions <= PARTITIONS_MAX);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->partition_count = partitions;
    topic->retention_ms = -1;
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        topic->parts[i].topic = topic;
        topic->parts[i].partition = i;
        topic->parts[i].leader_epoch = topic->parts[i].leader = -1;
        topic->parts[i].start_high = t->world->plan.retention_bytes < 0 ? 0 : START_UNKNOWN;
        topic->parts[i].committed = topic->parts[i].committed_max = -1;
    }
    t->topics[t->topic_count++] = topic;
    return topic;
}

struct topic *truth_topic_find(struct truth *t, struct str name)
{
    for (uint32_t i = t->topic_count; i-- > 0;) {
        if (t->topics[i]->state != TOPIC_GONE && str_equal(str_of(t->topics[i]->name), name))
            return t->topics[i];
    }
    return NULL;
}

struct topic *truth_topic_by_id(struct truth *t, struct uuid id)
{
    for (uint32_t i = 0; i < t->topic_count; i++) {
        if (uuid_equal(t->topics[i]->id, id))
            return t->topics[i];
    }
    return NULL;
}

void truth_epoch_leader(struct truth *t, struct epoch_leaders *e, int32_t epoch, int32_t leader, const char *of)
{
    if (epoch >= e->count) {
        int32_t count = epoch + 16;
        e->leaders = realloc(e->leaders, (size_t)count * sizeof *e->leaders);
        ASSERT(e->leaders != NULL);
        for (int32_t i = e->count; i < count; i++)
            e->leaders[i] = 0;
        e->count = count;
    }
    if (e->leaders[epoch] != 0 && e->leaders[epoch] != leader)
        broken(t->world, "%s: node %d leads epoch %d, and so does node %d", of, e->leaders[epoch], epoch, leader);
    e->leaders[epoch] = leader;
}

static void check_leader(struct truth *t, struct part *part, int32_t epoch, int32_t leader)
{
    char name[32];

    snprintf(name, sizeof name, "%s-%d", part->topic->name, part->partition);
    truth_epoch_leader(t, &part->leaders, epoch, leader, name);
}

static void check_partition(struct truth *t, struct topic *topic,
                            const struct metadata_response_topics_partitions *p, int32_t floor)
{
    struct part *part;

    if (p->partition_index < 0 || p->partition_index >= PARTITIONS_MAX)
        broken(t->world, "%s has a partition %d", topic->name, p->partition_index);
    part = &topic->parts[p->partition_index];
    if (p->leader_epoch < floor)
        broken(t->world, "%s-%d: the leader epoch went back from %d to %d", topic->name,
               p->partition_index, floor, p->leader_epoch);
    if (p->leader_id >= 0 && p->leader_epoch >= 0)
        check_leader(t, part, p->leader_epoch, p->leader_id);
    if (p->leader_epoch >= part->leader_epoch) {
        part->leader_epoch = p->leader_epoch;
        part->leader = p->leader_id;
    }
}

/* A broker of a cluster may not have heard yet that a topic was deleted; and a request to create it that was waiting in one
 * may have made it once more. */
static bool is_late(struct truth *t, const struct metadata_response_topics *m)
{
    const struct topic *other = truth_topic_by_id(t, m->topic_id);

    if (!world_is_cluster(t->world) || other != NULL)
        return world_is_cluster(t->world) && other->state == TOPIC_GONE;
    for (uint32_t i = 0; i < t->topic_count; i++) {
        if (t->topics[i]->state == TOPIC_GONE && str_equal(str_of(t->topics[i]->name), m->name))
            return true;
    }
    return false;
}

static void check_topic(struct truth *t, struct topic *topic, const struct metadata_response_topics *m)
{
    if (is_late(t, m))
        return;
    if (topic == NULL) {
        broken(t->world, "metadata tells of a topic %.*s that nobody has", STR_ARG(m->name));
        return;
    }
    if (uuid_is_zero(topic->id)) {
        struct topic *before = truth_topic_by_id(t, m->topic_id);
        if (before != NULL && before->state != TOPIC_GONE)
            broken(t->world, "%s has the id of %s", topic->name, before->name);
        if (before != NULL)
            return; /* of the one that was deleted, in an answer that is older */
        topic->id = m->topic_id;
    }
    if (!uuid_equal(topic->id, m->topic_id)) {
        struct topic *other = truth_topic_by_id(t, m->topic_id);
        if (other == NULL || other->state != TOPIC_GONE)
            broken(t->world, "the id of %s has changed", topic->name);
        return;
    }
    for (int32_t i = 0; i < m->partitions_count; i++)
        check_partition(t, topic, &m->partitions[i], -1);
}

void truth_metadata(struct truth *t, struct client *asked, const void *response)
{
    const struct metadata_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct metadata_response_topics *topic = &m->topics[i];
        if (topic->is_internal || topic->error_code == KERR_UNKNOWN_TOPIC_OR_PARTITION)
            continue;
        if (topic->error_code != KERR_NONE) {
            expect_passing(asked, "Metadata of a topic", topic->error_code);
            continue;
        }
        check_topic(t, truth_topic_find(t, topic->name), topic);
    }
}
