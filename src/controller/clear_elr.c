/* min.insync.replicas changes, and by the old number it was decided who is eligible (KIP-966): that is cleared.
 *
 * Not all of it where nobody leads. Kafka clears that, too, and then only an unclean election brings the partition back.
 * But without a leader nothing is committed, so who was complete still is. One stays, the last leader if it is among
 * them: it will be alone in the ISR, whatever the new number is, so that nobody is left who falls behind and is eligible.
 */
#include "controller/internal.h"

#include "protocol/clear_elr_record.h"
#include "protocol/partition_change_record.h"

static void keep_one(struct decision *d, const struct image_topic *topic,
                     const struct image_partition *p)
{
    struct partition_change_record r;
    bool led = p->last_elr_count == 1 && ids_have(p->elr, p->elr_count, p->last_elr[0]);

    partition_change_record_init(&r);
    r.topic_id = topic->id;
    r.partition_id = p->partition;
    r.eligible_leader_replicas = (int32_t *)(uintptr_t)(led ? p->last_elr : p->elr);
    r.eligible_leader_replicas_count = 1;
    r.last_known_elr = (int32_t *)(uintptr_t)p->last_elr;
    r.last_known_elr_count = p->last_elr_count;
    decision_add(d, &partition_change_record_message, d->version->partition_change_record, &r);
}

static void keep_in_topic(struct decision *d, const struct image_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        const struct image_partition *p = &topic->partitions[i];
        if (p->leader == NO_LEADER && p->elr_count > 0)
            keep_one(d, topic, p);
    }
}

void add_clear_elr(struct decision *d, struct str topic)
{
    const struct image_topic *one = topic.n > 0 ? image_topic_find(d->image, topic) : NULL;
    struct clear_elr_record r;

    clear_elr_record_init(&r);
    r.topic_name = topic;
    decision_add(d, &clear_elr_record_message, 0, &r);
    if (one != NULL) /* else it is made by this decision */
        keep_in_topic(d, one);
    for (uint32_t i = 0; topic.n == 0 && i < image_topic_count(d->image); i++)
        keep_in_topic(d, image_topic_at(d->image, i));
}
