/* What the producer knows of its topics, from the client. */
#include <stdlib.h>

#include "producer/sender.h"

void sender_want_topics(struct producer *p)
{
    if (p->accumulator.doubtful)
        client_refresh(p->client);
    p->accumulator.doubtful = false;
    LIST_EACH(it, &p->accumulator.unwanted) {
        struct producer_topic *t = container_of(it, struct producer_topic, attention);
        list_remove(it);
        t->wanted = true;
        if (p->idle_check_ms == INT64_MAX)
            p->idle_check_ms = t->appended_ms + p->accumulator.settings.metadata_max_idle_ms;
        client_want(p->client, t->name);
        p->metadata_changed = true; /* the client may know it already */
    }
}

static void read_rack(struct producer *p, struct producer_node *node)
{
    const struct client_broker *b = client_broker(p->client, node->id);
    struct str rack = p->accumulator.settings.rack;

    node->near = b != NULL && rack.n > 0 && str_equal(b->rack, rack);
}

static struct producer_node *node_of(struct producer *p, int32_t id)
{
    struct producer_node **more, *node;

    if (id < 0)
        return NULL;
    for (uint32_t i = 0; i < p->node_count; i++) {
        if (p->nodes[i]->id == id)
            return p->nodes[i];
    }
    more = realloc(p->nodes, (p->node_count + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    p->nodes = more;
    node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->id = id;
    read_rack(p, node);
    p->nodes[p->node_count++] = node;
    return node;
}

static void read_partition(struct producer *p, struct producer_partition *part, const struct client_partition *from)
{
    struct producer_node *node = node_of(p, from->leader);

    /* A new leader is asked at once: the back-off was for the old one. */
    if (node != part->node || from->leader_epoch > part->leader_epoch)
        part->lane.retry_at_ms = 0;
    part->node = node;
    part->leader_epoch = from->leader_epoch;
}

static void read_partitions(struct producer *p, struct producer_topic *t, const struct client_topic *from)
{
    if (accumulator_partitions(t, from->partition_count) < 0) {
        producer_again_at(p, producer_now_ms(p) + 100);
        p->metadata_changed = true;
        return;
    }
    for (int32_t i = 0; i < from->partition_count; i++)
        read_partition(p, t->parts[i], &from->partitions[i]);
    for (int32_t i = from->partition_count; i < t->part_count; i++)
        t->parts[i]->node = NULL;
}

/* Everything of it fails: the error will not pass by itself. */
static void fail_topic(struct producer_topic *t, int16_t code)
{
    for (int32_t i = 0; i < t->part_count; i++)
        producer_lane_fail(t->parts[i], WHY_TOPIC, code, false);
    producer_fail_waiting(t, WHY_TOPIC, code);
}

static void read_topic(struct producer *p, struct producer_topic *t, const struct client_topic *from)
{
    t->error = from->error;
    if (from->error == KERR_TOPIC_AUTHORIZATION_FAILED || from->error == KERR_INVALID_TOPIC_EXCEPTION) {
        if (t->batches > 0)
            fail_topic(t, from->error);
        return;
    }
    if (from->error != KERR_NONE) { /* it may come (again): until then it has no leaders */
        for (int32_t i = 0; i < t->part_count; i++)
            t->parts[i]->node = NULL;
        return;
    }
    if (!uuid_is_zero(t->id) && !uuid_is_zero(from->id) && !uuid_equal(t->id, from->id)) {
        for (int32_t i = 0; i < t->part_count; i++) {
            producer_lane_restart(t->parts[i]);
            t->parts[i]->leader_epoch = -1;
        }
    }
    t->id = from->id;
    read_partitions(p, t, from);
}

void sender_read_topics(struct producer *p)
{
    if (!p->metadata_changed)
        return;
    p->metadata_changed = false;
    for (uint32_t i = 0; i < p->node_count; i++)
        read_rack(p, p->nodes[i]);
    LIST_EACH(it, &p->accumulator.topics) {
        struct producer_topic *t = container_of(it, struct producer_topic, node);
        const struct client_topic *known = t->wanted ? client_topic(p->client, t->name) : NULL;
        if (known != NULL)
            read_topic(p, t, known);
    }
    produce_calls_cancel(p, false);
}

void sender_forget_topics(struct producer *p, int64_t now_ms)
{
    int64_t idle_ms = p->accumulator.settings.metadata_max_idle_ms;

    if (now_ms < p->idle_check_ms) {
        producer_again_at(p, p->idle_check_ms);
        return;
    }
    p->idle_check_ms = INT64_MAX;
    LIST_EACH(it, &p->accumulator.topics) {
        struct producer_topic *t = container_of(it, struct producer_topic, node);
        if (!t->wanted)
            continue;
        if (t->batches == 0 && now_ms - t->appended_ms >= idle_ms) {
            t->wanted = false;
            client_unwant(p->client, t->name);
            continue;
        }
        p->idle_check_ms = now_ms + idle_ms / 2 + 1;
    }
    producer_again_at(p, p->idle_check_ms);
}

void sender_close_topics(struct producer *p)
{
    LIST_EACH(it, &p->accumulator.topics) {
        struct producer_topic *t = container_of(it, struct producer_topic, node);
        if (t->wanted)
            client_unwant(p->client, t->name);
    }
    for (uint32_t i = 0; i < p->node_count; i++)
        free(p->nodes[i]);
    free(p->nodes);
}
