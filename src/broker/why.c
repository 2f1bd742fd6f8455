/* Why a partition is as it is: what the metadata says now, and what this node knows of how it came to that. One question
 * goes from shard to shard, as a scrape does: the controller's causes lie at home, a leader's on its shard. */
#include <stdlib.h>

#include "broker/shard.h"

struct known {
    int64_t wall_ms;
    char *words;
};

struct why {
    struct io_message message;
    struct broker *broker;
    char *topic;
    int32_t partition;
    struct known *known; /* of all shards */
    uint32_t count;
    uint32_t shard;      /* where it is, or goes next */
    struct text *out;
    struct op *op;
};

/* ---- now ------------------------------------------------------------------------------------- */

static void add_ids(struct text *t, const char *what, const int32_t *ids, int32_t count)
{
    text_printf(t, "%s [", what);
    for (int32_t i = 0; i < count; i++)
        text_printf(t, "%s%d", i == 0 ? "" : ",", ids[i]);
    text_add_str(t, STR("]"));
}

static const char *state_of(const struct image *image, int32_t id, struct uuid directory)
{
    const struct image_broker *b = image_broker_find(image, id);

    if (b == NULL)
        return "is not registered";
    if (b->fenced)
        return "is fenced: the controller hears nothing of it or holds it back, or it starts";
    if (b->in_controlled_shutdown)
        return "shuts down";
    if (!image_broker_has_online(b, directory))
        return "has no log directory for it, or one that has failed";
    return NULL;
}

static bool has(const int32_t *ids, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static void add_state(struct text *t, const struct image *image, const struct image_partition *p)
{
    if (p->leader >= 0)
        text_printf(t, "Broker %d leads in epoch %d;", p->leader, p->leader_epoch);
    else
        text_printf(t, "Nobody leads, since epoch %d began;", p->leader_epoch);
    add_ids(t, " its replicas are", p->replicas, p->replica_count);
    add_ids(t, ", its ISR is", p->isr, p->isr_count);
    if (p->elr_count > 0)
        add_ids(t, ", eligible besides are", p->elr, p->elr_count);
    if (p->last_elr_count > 0)
        add_ids(t, ", the last to lead was", p->last_elr, p->last_elr_count);
    if (p->adding_count + p->removing_count > 0) {
        add_ids(t, "; it is being reassigned, adding", p->adding, p->adding_count);
        add_ids(t, ", removing", p->removing, p->removing_count);
    }
    text_add_str(t, STR(".\n"));
    if (p->recovery_state != 0)
        text_add_str(t, STR("Its leader was elected uncleanly, and may lack records.\n"));
    for (int32_t i = 0; i < p->replica_count; i++) {
        const char *state = state_of(image, p->replicas[i], p->directories[i]);
        if (state != NULL)
            text_printf(t, "Broker %d %s.\n", p->replicas[i], state);
        else if (!has(p->isr, p->isr_count, p->replicas[i]))
            text_printf(t, "Broker %d lives, and is not in sync.\n", p->replicas[i]);
    }
}

/* ---- how it came to that --------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    return (x->wall_ms > y->wall_ms) - (x->wall_ms < y->wall_ms);
}

static void add_known(struct why *y, int64_t now_ms)
{
    if (y->count == 0) {
        text_printf(y->out, "Node %d knows of no change: the partition's leader and the controller may.\n", y->broker->node_id);
        return;
    }
    qsort(y->known, y->count, sizeof *y->known, by_time);
    text_printf(y->out, "What node %d has seen of it:\n", y->broker->node_id);
    for (uint32_t i = 0; i < y->count; i++)
        text_printf(y->out, "%" PRId64 " s ago: %s\n", (now_ms - y->known[i].wall_ms) / 1000, y->known[i].words);
}

static void end(struct why *y)
{
    const struct broker_shard *home = &y->broker->shards[0];
    const struct image *image = home->image;
    const struct image_topic *topic = image == NULL ? NULL : image_topic_find(image, str_of(y->topic));
    const struct image_partition *p = topic == NULL ? NULL : image_partition_find(image, topic->id, y->partition);
    struct op *op = y->op;

    if (p != NULL) {
        add_state(y->out, image, p);
        add_known(y, io_wall_ms(home->io));
    }
    for (uint32_t i = 0; i < y->count; i++)
        free(y->known[i].words);
    free(y->known);
    free(y->topic);
    free(y);
    op->done(op, p == NULL ? -ENOENT : 0);
}

static void keep(void *ctx, int64_t wall_ms, const char *words)
{
    struct why *y = ctx;

    y->known = realloc(y->known, (y->count + 1) * sizeof *y->known);
    ASSERT(y->known != NULL);
    y->known[y->count++] = (struct known){wall_ms, str_dup(str_of(words))};
}

static void arrived(struct io *io, struct io_message *m)
{
    struct why *y = container_of(m, struct why, message);
    struct broker *b = y->broker;

    if (y->shard == b->shard_count) {
        end(y);
        return;
    }
    telemetry_causes_each(b->shards[y->shard].telemetry, str_of(y->topic), y->partition, keep, y);
    y->shard++;
    io_post(io, y->shard < b->shard_count ? y->shard : 0, &y->message);
}

void broker_why(struct broker *b, struct str topic, int32_t partition, struct text *out, struct op *op)
{
    struct why *y = calloc(1, sizeof *y);

    ASSERT(y != NULL);
    y->broker = b;
    y->topic = str_dup(topic);
    y->partition = partition;
    y->out = out;
    y->op = op;
    y->message.run = arrived;
    io_post(b->shards[0].io, 0, &y->message);
}
