/* AlterPartition (key 56): a leader proposes another ISR (KIP-497, KIP-704, KIP-841, KIP-903). */
#include "controller/internal.h"

#include "protocol/alter_partition.h"

enum { RECOVERED, RECOVERING };

typedef const struct alter_partition_request_topics_partitions request_partition;
typedef struct alter_partition_response_topics_partitions response_partition;

/* The proposed ISR: version 2 names no epochs, so that they cannot be checked. */
static int32_t isr_count(const struct decision *d, request_partition *m)
{
    return d->call->api_version >= 3 ? m->new_isr_with_epochs_count : m->new_isr_count;
}

static int32_t isr_id(const struct decision *d, request_partition *m, int32_t i)
{
    return d->call->api_version >= 3 ? m->new_isr_with_epochs[i].broker_id : m->new_isr[i];
}

static int64_t isr_epoch(const struct decision *d, request_partition *m, int32_t i)
{
    return d->call->api_version >= 3 ? m->new_isr_with_epochs[i].broker_epoch : -1;
}

/* Higher epochs than ours: we are not the active controller any more, and do not know it yet. */
static enum kerr check_epochs(int32_t sender, request_partition *m, const struct image_partition *p)
{
    if (m->leader_epoch > p->leader_epoch || m->partition_epoch > p->partition_epoch)
        return KERR_NOT_CONTROLLER;
    if (m->leader_epoch < p->leader_epoch)
        return KERR_FENCED_LEADER_EPOCH;
    if (sender != p->leader)
        return KERR_INVALID_REQUEST;
#ifndef MUTANT_CONTROLLER_OLD_PROPOSAL
    if (m->partition_epoch < p->partition_epoch)
        return KERR_INVALID_UPDATE_VERSION;
#endif
    return KERR_NONE;
}

/* Replicas, each once, the leader among them; a leader that lacks records is alone until it has recovered. */
static enum kerr check_isr(const struct decision *d, request_partition *m,
                           const struct image_partition *p)
{
    int32_t count = isr_count(d, m);
    bool has_leader = false;

    for (int32_t i = 0; i < count; i++) {
        int32_t id = isr_id(d, m, i);
        if (!ids_have(p->replicas, p->replica_count, id))
            return KERR_INVALID_REQUEST;
        for (int32_t j = 0; j < i; j++) {
            if (isr_id(d, m, j) == id)
                return KERR_INVALID_REQUEST;
        }
        has_leader |= id == p->leader;
    }
    if (!has_leader)
        return KERR_INVALID_REQUEST;
    if (m->leader_recovery_state != RECOVERED && m->leader_recovery_state != RECOVERING)
        return KERR_INVALID_REQUEST;
    if (m->leader_recovery_state == RECOVERING && (count > 1 || p->recovery_state == RECOVERED))
        return KERR_INVALID_REQUEST;
    return KERR_NONE;
}

/* A replica is in sync only in the incarnation that its leader has seen fetching (KIP-903), and while it may lead.
 * Kafka does not look at directories: who has asked just before its own failed comes back into the ISR there. */
static bool is_eligible(const struct decision *d, const struct image_partition *p, int32_t id, int64_t epoch)
{
    const struct image_broker *b = image_broker_find(d->image, id);

    if (b == NULL)
        return false;
#ifndef MUTANT_CONTROLLER_OFFLINE_JOINS
    if (!image_partition_is_online(p, b))
        return false;
#endif
#ifndef MUTANT_CONTROLLER_FENCED_JOINS
    if (b->fenced || b->in_controlled_shutdown)
        return false;
#endif
#ifdef MUTANT_CONTROLLER_ANY_INCARNATION
    return true;
#endif
    return epoch == -1 || epoch == b->epoch;
}

static enum kerr check_members(const struct decision *d, request_partition *m, const struct image_partition *p)
{
    for (int32_t i = 0; i < isr_count(d, m); i++) {
        if (!is_eligible(d, p, isr_id(d, m, i), isr_epoch(d, m, i)))
            return KERR_INELIGIBLE_REPLICA;
    }
    return KERR_NONE;
}

static enum kerr alter(struct decision *d, int32_t sender, const struct image_topic *topic,
                       request_partition *m)
{
    const struct image_partition *p =
        image_partition_find(d->image, topic->id, m->partition_index);
    struct partition_change c;
    enum kerr error;

    if (p == NULL)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    error = check_epochs(sender, m, p);
    if (error == KERR_NONE)
        error = check_isr(d, m, p);
    if (error == KERR_NONE)
        error = check_members(d, m, p);
    if (error != KERR_NONE)
        return error;
    partition_change_begin(&c, d, topic, p);
    c.isr = ids_new(d, isr_count(d, m));
    for (int32_t i = 0; i < isr_count(d, m); i++)
        ids_add(&c.isr, isr_id(d, m, i));
    c.recovery = m->leader_recovery_state;
    (void)partition_change_end(&c); /* what is proposed may be in force already */
    return KERR_NONE;
}

/* ---- the answer --------------------------------------------------------------------------------
 */

/* What is in force now, so that the leader need not wait for the record. */
static void fill_state(const struct decision *d, int32_t sender, struct uuid topic,
                       response_partition *a)
{
    const struct image_partition *p = image_partition_find(d->image, topic, a->partition_index);

    if (p->leader != sender) { /* the reassignment that has ended has taken it away */
        a->error_code = KERR_NEW_LEADER_ELECTED;
        return;
    }
    a->leader_id = p->leader;
    a->leader_epoch = p->leader_epoch;
    a->leader_recovery_state = p->recovery_state;
    a->partition_epoch = p->partition_epoch;
    a->isr = arena_take_array(d->call->arena, (size_t)p->isr_count, sizeof(*a->isr));
    a->isr_count = p->isr_count;
    memcpy(a->isr, p->isr, (size_t)p->isr_count * sizeof(*a->isr));
}

static void tally_partitions(struct decision *d, const struct alter_partition_request *m,
                             struct tally *t)
{
    int32_t total = 0;

    for (int32_t i = 0; i < m->topics_count; i++)
        total += m->topics[i].partitions_count;
    tally_make(t, &d->c->scratch, total);
    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t n = 0; n < m->topics[i].partitions_count; n++)
            tally_add(t, (struct named){.name = STR_NULL,
                                        .id = m->topics[i].topic_id,
                                        .partition = m->topics[i].partitions[n].partition_index});
    }
    tally_sort(t);
}

static void alter_topic(struct decision *d, const struct tally *named,
                        const struct alter_partition_request *all,
                        const struct alter_partition_request_topics *m,
                        struct alter_partition_response_topics *a)
{
    const struct image_topic *topic = image_topic_by_id(d->image, m->topic_id);

    alter_partition_response_topics_init(a);
    a->topic_id = m->topic_id;
    a->partitions_count = m->partitions_count;
    a->partitions =
        arena_take_array(d->call->arena, (size_t)m->partitions_count, sizeof(*a->partitions));
    for (int32_t i = 0; i < m->partitions_count; i++) {
        request_partition *from = &m->partitions[i];
        response_partition *to = &a->partitions[i];
        struct named name = {.name = STR_NULL, .id = m->topic_id, .partition = from->partition_index};
        alter_partition_response_topics_partitions_init(to);
        to->partition_index = from->partition_index;
        if (topic == NULL)
            to->error_code = KERR_UNKNOWN_TOPIC_ID;
        else if (tally_is_repeated(named, name))
            to->error_code = KERR_INVALID_REQUEST;
        else
            to->error_code = (int16_t)alter(d, all->broker_id, topic, from);
    }
}

enum kerr decide_alter_partition(struct decision *d, const void *request, void *response)
{
    const struct alter_partition_request *m = request;
    struct alter_partition_response *a = response;
    const struct image_broker *b = image_broker_find(d->image, m->broker_id);
    struct tally named;
    enum kerr error;

    if (b == NULL || b->epoch != m->broker_epoch) {
        a->error_code = KERR_STALE_BROKER_EPOCH;
        return KERR_NONE;
    }
    decide_because(d, false, "broker %d, which leads, asks for it", m->broker_id);
    tally_partitions(d, m, &named);
    a->topics_count = m->topics_count;
    a->topics = arena_take_array(d->call->arena, (size_t)m->topics_count, sizeof(*a->topics));
    for (int32_t i = 0; i < m->topics_count; i++)
        alter_topic(d, &named, m, &m->topics[i], &a->topics[i]);
    error = decision_commit(d); /* the answer says what is in force then */
    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    for (int32_t i = 0; i < a->topics_count; i++) {
        for (int32_t n = 0; n < a->topics[i].partitions_count; n++) {
            if (a->topics[i].partitions[n].error_code == KERR_NONE)
                fill_state(d, m->broker_id, a->topics[i].topic_id, &a->topics[i].partitions[n]);
        }
    }
    return KERR_NONE;
}
