/* How it goes, for people and for health checks. */
#include "consumer/membership.h"

#include <stdio.h>

static const char *why_not(const struct part *p)
{
    switch (p->state) {
    case PART_COMMITTED:
        return "waits for the group's committed offset";
    case PART_RESET:
        return "waits for its offset from the leader";
    case PART_CHECK:
        return "waits for the leader's word on its epoch";
    case PART_STOPPED:
        return "stands still after an error: seek";
    case PART_READ:
        break;
    }
    if (p->paused)
        return "is paused";
    if (p->leader < 0)
        return "has no leader that is known";
    if (p->attempt > 0)
        return "is tried again after an error";
    return "";
}

int consumer_place(const struct consumer *c, struct consumer_partition id, struct consumer_place *out)
{
    const struct part *p = part_find(c, id);

    if (p == NULL)
        return -ENOENT;
    *out = (struct consumer_place){
        .position = p->position,
        .done = p->done,
        .leader_epoch = p->done_epoch,
        .committed = p->committed,
        .high_watermark = p->high_watermark,
        .last_stable_offset = p->last_stable_offset,
        .log_start = p->log_start,
        .paused = p->paused,
    };
    snprintf(out->why_not, sizeof out->why_not, "%s", p->state == PART_STOPPED ? p->error.text : why_not(p));
    return 0;
}

void consumer_group_metadata(const struct consumer *c, struct consumer_group_metadata *out)
{
    *out = (struct consumer_group_metadata){
        .group_id = c->settings.group_id,
        .member_id = STR(""),
        .group_instance_id = c->settings.group_instance_id,
        .generation = -1,
    };
    if (c->group == NULL || !member_is_in(&c->group->member))
        return;
    out->member_id = str_of(c->group->member.id);
    out->generation = c->group->member.generation;
}

static void count_parts(const struct consumer *c, struct consumer_health *h)
{
    LIST_EACH(it, &c->part_list) {
        const struct part *p = container_of(it, struct part, node);
        h->assigned++;
        h->paused += p->paused;
        h->without_position += p->state == PART_COMMITTED || p->state == PART_RESET;
        h->without_leader += p->leader < 0;
        h->in_error += p->state == PART_STOPPED;
        if (h->reason[0] == 0 && why_not(p)[0] != 0)
            snprintf(h->reason, sizeof h->reason, "%.*s-%d %s", STR_ARG(p->id.topic), p->id.partition, why_not(p));
    }
    LIST_EACH(it, &c->nodes)
        h->fetches_in_flight += container_of(it, struct node, list)->fetch != NULL;
}

void consumer_health(const struct consumer *c, struct consumer_health *out)
{
    struct consumer_health h = {.state = CONSUMER_READING, .buffered_bytes = (uint64_t)c->buffered_bytes};

    client_health(c->client, &h.cluster);
    count_parts(c, &h);
    if (c->stopped) {
        h.state = CONSUMER_FAILED;
        snprintf(h.reason, sizeof h.reason, "%s", c->group_error.text);
    } else if (membership_is_joining(c)) {
        h.state = CONSUMER_JOINING;
        snprintf(h.reason, sizeof h.reason, "group %.*s is being shared out, or its coordinator is looked for",
                 STR_ARG(c->settings.group_id));
    } else if (h.assigned == 0) {
        h.state = CONSUMER_IDLE;
        snprintf(h.reason, sizeof h.reason, "no partition is assigned");
    } else if (h.cluster.state == CLIENT_CONNECTING) {
        snprintf(h.reason, sizeof h.reason, "%s", h.cluster.reason);
    } else if (h.fetches_in_flight == 0 && h.reason[0] == 0 && c->buffered_bytes >= c->settings.buffer_bytes / 2) {
        snprintf(h.reason, sizeof h.reason, "memory for records is used up: take and release chunks");
    }
    *out = h;
}
