/* A broker comes or goes: what follows for the partitions that it holds (KIP-841, KIP-966). */
#include "controller/internal.h"

#include "protocol/broker_registration_change_record.h"

static bool concerns(const struct broker_change *cause, const struct image_partition *p)
{
    if (cause->joins != NO_LEADER)
        return p->leader == NO_LEADER && ids_have(p->replicas, p->replica_count, cause->joins);
    if (cause->leaves != NO_LEADER)
        return ids_have(p->isr, p->isr_count, cause->leaves);
    return ids_have(p->isr, p->isr_count, cause->died) ||
           ids_have(p->elr, p->elr_count, cause->died);
}

static void change_partition(struct decision *d, const struct broker_change *cause,
                             const struct image_topic *topic, const struct image_partition *p)
{
    struct partition_change c;

    partition_change_begin(&c, d, topic, p);
    c.cause = *cause;
    c.isr = ids_new(d, p->isr_count);
    for (int32_t i = 0; i < p->isr_count; i++) {
        if (!is_leaving(cause, p, p->isr[i]))
            ids_add(&c.isr, p->isr[i]);
    }
    (void)partition_change_end(&c); /* it may be that nothing changes */
}

void decide_partition_changes(struct decision *d, const struct broker_change *cause)
{
    for (uint32_t t = 0; t < image_topic_count(d->image); t++) {
        const struct image_topic *topic = image_topic_at(d->image, t);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *p = &topic->partitions[i];
            if (p->replica_count > 0 && concerns(cause, p))
                change_partition(d, cause, topic, p);
        }
    }
}

void add_broker_change(struct decision *d, const struct image_broker *b, int8_t fenced,
                       int8_t in_controlled_shutdown)
{
    struct broker_registration_change_record r;

    broker_registration_change_record_init(&r);
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.fenced = fenced;
    r.in_controlled_shutdown = in_controlled_shutdown;
    decision_add(d, &broker_registration_change_record_message, in_controlled_shutdown != 0, &r);
}

void decide_fence(struct decision *d, const struct image_broker *b)
{
    decide_partition_changes(d, &(struct broker_change){b->id, NO_LEADER, NO_LEADER});
    add_broker_change(d, b, 1, 0);
}

void decide_unfence(struct decision *d, const struct image_broker *b)
{
    add_broker_change(d, b, -1, 0);
    decide_partition_changes(d, &(struct broker_change){NO_LEADER, b->id, NO_LEADER});
}
