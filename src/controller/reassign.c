/* AlterPartitionReassignments (key 45): partitions get other replicas (KIP-455).
 *
 *   replicas 1 2 3, wanted 3 4 5:   replicas 3 4 5 1 2, adding 4 5, removing 1 2
 *   4 and 5 are in the ISR:         replicas 3 4 5      (partition_change.c)
 *   cancelled before that:          replicas 3 1 2
 */
#include "controller/internal.h"

#include "protocol/alter_partition_reassignments.h"

/* Kafka's bound on the records of one request. */
#define REASSIGNMENTS_MAX 10000

typedef const struct alter_partition_reassignments_request_topics request_topic;
typedef const struct alter_partition_reassignments_request_topics_partitions request_partition;

static bool is_reassigned(const struct image_partition *p)
{
    return p->adding_count > 0 || p->removing_count > 0;
}

/* ---- cancel ------------------------------------------------------------------------------------
 */

/* Whether one of those that stay is known to hold all that was committed. */
static bool any_complete(const struct partition_change *c)
{
    const struct image_partition *p = c->partition;

    for (int32_t i = 0; i < c->replicas.n; i++) {
        int32_t id = c->replicas.p[i];
        if (ids_have(p->isr, p->isr_count, id) || ids_have(p->elr, p->elr_count, id))
            return true;
    }
    return p->isr_count == 0 && p->elr_count == 0; /* nobody was before, either */
}

static bool any_may_lead(const struct partition_change *c)
{
    for (int32_t i = 0; i < c->replicas.n; i++) {
        if (may_lead(c, c->replicas.p[i]))
            return true;
    }
    return false;
}

/* Back to the replicas of before. */
static struct verdict cancel(struct decision *d, const struct image_topic *topic,
                             const struct image_partition *p)
{
    struct partition_change c;
    struct ids added;

    if (!is_reassigned(p))
        return refuse(d, KERR_NO_REASSIGNMENT_IN_PROGRESS,
                      "No partition reassignment is in progress.");
    partition_change_begin(&c, d, topic, p);
    added = c.adding;
    c.replicas = ids_without(d, p->replicas, p->replica_count, added);
    c.isr = ids_without(d, p->isr, p->isr_count, added);
    c.adding = c.removing = ids_new(d, 0);
    if (c.replicas.n == 0 ||
        (!any_complete(&c) && (c.election != ELECTION_UNCLEAN || !any_may_lead(&c))))
        return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                      "Unable to revert partition assignment for %.*s:%d because it would require "
                      "an unclean leader election.",
                      STR_ARG(topic->name), p->partition);
    (void)partition_change_end(&c);
    return VERDICT_OK;
}

/* ---- change ------------------------------------------------------------------------------------
 */

static void sort_ids(struct ids ids)
{
    for (int32_t i = 1; i < ids.n; i++) {
        for (int32_t j = i; j > 0 && ids.p[j - 1] > ids.p[j]; j--) {
            int32_t larger = ids.p[j - 1];
            ids.p[j - 1] = ids.p[j];
            ids.p[j] = larger;
        }
    }
}

static struct verdict change(struct decision *d, const struct image_topic *topic,
                             const struct image_partition *p, request_partition *m, bool same_factor)
{
    struct partition_change c;
    struct ids target, current;
    struct verdict v = check_assignment(d, m->replicas, m->replicas_count, 0);

    if (v.error != KERR_NONE)
        return v;
    if (same_factor && m->replicas_count != replication_factor(p))
        return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                      "The replication factor is changed from %d to %d", replication_factor(p),
                      m->replicas_count);
    partition_change_begin(&c, d, topic, p);
    target = ids_of(d, m->replicas, m->replicas_count);
    current = ids_of(d, p->replicas, p->replica_count);
    c.removing = ids_without(d, current.p, current.n, target);
    c.adding = ids_new(d, target.n);
    for (int32_t i = 0; i < target.n; i++) { /* what an earlier reassignment adds still is added still */
        if (!ids_have(current.p, current.n, target.p[i]) ||
            ids_have(p->adding, p->adding_count, target.p[i]))
            ids_add(&c.adding, target.p[i]);
    }
    sort_ids(c.removing);
    sort_ids(c.adding);
    v = check_replica_count(d, target.n + c.removing.n);
    if (v.error != KERR_NONE)
        return v;
    c.replicas = ids_new(d, target.n + c.removing.n);
    for (int32_t i = 0; i < target.n; i++)
        ids_add(&c.replicas, target.p[i]);
    for (int32_t i = 0; i < c.removing.n; i++)
        ids_add(&c.replicas, c.removing.p[i]);
    (void)partition_change_end(&c); /* it may be so already */
    return VERDICT_OK;
}

/* ---- the request -------------------------------------------------------------------------------
 */

static struct verdict reassign(struct decision *d, const struct tally *named, request_topic *t,
                               request_partition *m, bool same_factor)
{
    const struct image_topic *topic = image_topic_find(d->image, t->name);
    const struct image_partition *p;

    if (topic == NULL)
        return refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named %.*s.",
                      STR_ARG(t->name));
    p = image_partition_find(d->image, topic->id, m->partition_index);
    if (p == NULL)
        return refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition %.*s:%d.",
                      STR_ARG(t->name), m->partition_index);
    if (tally_is_repeated(named,
                          (struct named){.name = t->name, .partition = m->partition_index}))
        return refuse(d, KERR_INVALID_REQUEST, "Partition %.*s:%d must appear at most once.",
                      STR_ARG(t->name), m->partition_index);
    return m->replicas_count < 0 ? cancel(d, topic, p) : change(d, topic, p, m, same_factor);
}

static void tally_partitions(struct decision *d,
                             const struct alter_partition_reassignments_request *m,
                             struct tally *t)
{
    int32_t total = 0;

    for (int32_t i = 0; i < m->topics_count; i++)
        total += m->topics[i].partitions_count;
    tally_make(t, &d->c->scratch, total);
    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t n = 0; n < m->topics[i].partitions_count; n++)
            tally_add(t, (struct named){.name = m->topics[i].name,
                                        .partition = m->topics[i].partitions[n].partition_index});
    }
    tally_sort(t);
}

static void reassign_topic(struct decision *d, const struct tally *named, request_topic *t,
                           bool same_factor,
                           struct alter_partition_reassignments_response_responses *a)
{
    alter_partition_reassignments_response_responses_init(a);
    a->name = t->name;
    a->partitions_count = t->partitions_count;
    a->partitions =
        arena_take_array(d->call->arena, (size_t)t->partitions_count, sizeof(*a->partitions));
    for (int32_t i = 0; i < t->partitions_count; i++) {
        struct verdict v = reassign(d, named, t, &t->partitions[i], same_factor);
        alter_partition_reassignments_response_responses_partitions_init(&a->partitions[i]);
        a->partitions[i].partition_index = t->partitions[i].partition_index;
        a->partitions[i].error_code = (int16_t)v.error;
        a->partitions[i].error_message = v.message;
    }
}

enum kerr decide_alter_partition_reassignments(struct decision *d, const void *request,
                                               void *response)
{
    const struct alter_partition_reassignments_request *m = request;
    struct alter_partition_reassignments_response *a = response;
    struct tally named;

    if (!decision_may(d, ACL_ALTER, RESOURCE_CLUSTER, STR("kafka-cluster")))
        return KERR_CLUSTER_AUTHORIZATION_FAILED;
    decide_because(d, false, "a reassignment, as an operator asks");
    tally_partitions(d, m, &named);
    a->allow_replication_factor_change = m->allow_replication_factor_change;
    a->responses_count = m->topics_count;
    a->responses =
        arena_take_array(d->call->arena, (size_t)m->topics_count, sizeof(*a->responses));
    for (int32_t i = 0; i < m->topics_count; i++) {
        reassign_topic(d, &named, &m->topics[i], !m->allow_replication_factor_change,
                       &a->responses[i]);
        if (d->count > REASSIGNMENTS_MAX)
            return KERR_POLICY_VIOLATION;
    }
    return KERR_NONE;
}
