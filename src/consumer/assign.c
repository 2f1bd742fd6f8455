/* What is to be read: partitions by hand, a subscription; where, and what is paused. */
#include "consumer/membership.h"

#define TOPIC_NAME_MAX 249

void consumer_set_assigned(struct consumer *c, struct tp_set *set)
{
    for (uint32_t i = 0; i < c->assigned.count; i++) {
        if (!tp_set_has(set, c->assigned.items[i]))
            part_free(part_find(c, c->assigned.items[i]));
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (part_find(c, set->items[i]) == NULL)
            part_new(c, set->items[i]);
    }
    tp_set_free(&c->assigned);
    c->assigned = *set;
    *set = (struct tp_set){0};
    c->auto_commit_ns = io_now_ns(c->io) + c->settings.auto_commit_interval_ms * NS_PER_MS;
    consumer_poke(c);
}

static int check_name(struct str topic, struct fail *f)
{
    if (topic.n <= 0 || topic.n > TOPIC_NAME_MAX)
        return fail_set(f, -EINVAL, "a topic's name has 1 to %d bytes, not %d", TOPIC_NAME_MAX, topic.n);
    return 0;
}

int consumer_assign(struct consumer *c, const struct consumer_partition *partitions, uint32_t count, struct fail *f)
{
    struct tp_set set;

    if (c->closing)
        return fail_set(f, ERR_CLOSED, "the consumer is closed");
    if (c->group != NULL)
        return fail_set(f, -EBUSY, "topics are subscribed to: unsubscribe first");
    for (uint32_t i = 0; i < count; i++) {
        TRY(check_name(partitions[i].topic, f));
        if (partitions[i].partition < 0)
            return fail_set(f, -EINVAL, "%.*s has no partition %d", STR_ARG(partitions[i].topic),
                            partitions[i].partition);
    }
    set = tp_set_of(partitions, count);
    c->manual = count > 0;
    consumer_set_assigned(c, &set);
    return 0;
}

static int subscribe(struct consumer *c, struct fail *f)
{
    if (c->closing)
        return fail_set(f, ERR_CLOSED, "the consumer is closed");
    if (str_is_null(c->settings.group_id) || c->settings.group_id.n == 0)
        return fail_set(f, -EINVAL, "a subscription needs group.id");
    if (c->manual)
        return fail_set(f, -EBUSY, "partitions are assigned by hand: unsubscribe first");
    if (c->settings.assignor_count == 0)
        return fail_set(f, -EINVAL, "a subscription needs partition.assignment.strategy");
    if (c->group == NULL)
        c->group = membership_new(c);
    c->stopped = false;
    return 0;
}

int consumer_subscribe(struct consumer *c, const struct str *topics, uint32_t count, struct fail *f)
{
    for (uint32_t i = 0; i < count; i++)
        TRY(check_name(topics[i], f));
    TRY(subscribe(c, f));
    membership_subscribe(c->group, topics, count);
    return 0;
}

int consumer_subscribe_matching(struct consumer *c, bool (*wants)(void *ctx, struct str topic), void *ctx,
                                struct fail *f)
{
    TRY(subscribe(c, f));
    membership_subscribe_matching(c->group, wants, ctx);
    return 0;
}

void consumer_unsubscribe(struct consumer *c)
{
    struct tp_set none = {0};

    if (c->group != NULL) {
        member_leave(&c->group->member, io_now_ns(c->io));
        consumer_poke(c);
    } else {
        c->manual = false;
        consumer_set_assigned(c, &none);
    }
}

void consumer_consent(struct consumer *c, uint64_t consent)
{
    if (c->group == NULL || c->group->asked == MEMBER_WAIT || consent != c->group->asked_number)
        return;
    c->group->consented = true;
    consumer_poke(c);
}

void consumer_polled(struct consumer *c)
{
    if (c->group == NULL)
        return;
    member_polled(&c->group->member, io_now_ns(c->io));
    if (c->group->member.state == MEMBER_AWAY)
        consumer_poke(c);
}

void consumer_rejoin(struct consumer *c, struct str reason)
{
    membership_rejoin(c, reason);
}

const struct consumer_partition *consumer_assignment(const struct consumer *c, uint32_t *count)
{
    *count = c->assigned.count;
    return c->assigned.items;
}

int consumer_pause(struct consumer *c, struct consumer_partition id)
{
    struct part *p = part_find(c, id);

    if (p == NULL)
        return -ENOENT;
    p->paused = true;
    if (list_linked(&p->full))
        list_remove(&p->full);
    return 0;
}

int consumer_resume(struct consumer *c, struct consumer_partition id)
{
    struct part *p = part_find(c, id);

    if (p == NULL)
        return -ENOENT;
    p->paused = false;
    if (!list_empty(&p->pieces) && !list_linked(&p->full))
        list_add_tail(&c->full, &p->full);
    consumer_poke(c);
    return 0;
}

static int reset_to(struct consumer *c, struct consumer_partition id, int64_t what)
{
    struct part *p = part_find(c, id);

    if (p == NULL)
        return -ENOENT;
    part_begin(p, PART_RESET);
    p->reset_to = what;
    return 0;
}

int consumer_seek(struct consumer *c, struct consumer_partition id, int64_t offset, int32_t leader_epoch)
{
    struct part *p = part_find(c, id);

    if (offset == CONSUMER_BEGINNING || offset == CONSUMER_END)
        return reset_to(c, id, offset);
    if (p == NULL)
        return -ENOENT;
    if (offset < 0)
        return -EINVAL;
    part_place(p, offset, leader_epoch);
    return 0;
}

int consumer_seek_time(struct consumer *c, struct consumer_partition id, int64_t timestamp_ms)
{
    return timestamp_ms < 0 ? -EINVAL : reset_to(c, id, timestamp_ms);
}
