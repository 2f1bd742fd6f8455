#include "broker/publish.h"

#include <stdlib.h>

#include "broker/checkpoint.h"
#include "broker/everywhere.h"
#include "broker/groups.h"
#include "broker/metrics.h"
#include "broker/peers.h"
#include "broker/session.h"
#include "broker/settings.h"
#include "broker/start.h"

struct publication {
    struct flow flow;
    struct broker *broker;
    const struct image *before, *after; /* before NULL: the first */
    int16_t kraft_version;
};

/* ---- 1: replicas ----------------------------------------------------------------------------- */

static void remove_gone(struct broker_shard *shard, void *ctx, struct op *op)
{
    const struct publication *p = ctx;

#ifdef MUTANT_BROKER_PUBLISH_AT_ONCE
    io_complete(shard->io, op, 0);
    return;
#endif
    replicas_remove(shard->replicas, p->before, p->after, op);
}

static void apply(struct broker_shard *shard, void *ctx, struct op *op)
{
    const struct publication *p = ctx;

    replicas_apply(shard->replicas, p->before, p->after, op);
}

/* ---- 2: visible ------------------------------------------------------------------------------ */

static bool is_here(const struct broker_shard *shard, const struct image_partition *p)
{
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == shard->broker->node_id)
            return true;
    }
    return false;
}

/* Partitions of this shard that the broker holds no more. */
static void forget_partitions(struct broker_shard *shard, const struct image_topic *before, const struct image_topic *after)
{
    for (int32_t i = 0; i < before->partition_count; i++) {
        if (shard_of(shard->broker, before->id, i) == shard->index && is_here(shard, &before->partitions[i]) &&
            (after == NULL || i >= after->partition_count || !is_here(shard, &after->partitions[i])))
            metrics_partition_left(shard, before->name, i);
    }
}

static void topic_changed(void *ctx, const struct image_topic *before,
                          const struct image_topic *after)
{
    struct broker_shard *shard = ctx;

    if (before == NULL)
        return;
    if (after != NULL && !uuid_equal(before->id, after->id))
        after = NULL; /* another one of the same name */
    forget_partitions(shard, before, after);
    if (after != NULL)
        return;
    telemetry_causes_forget(shard->telemetry, before->name);
    groups_topic_deleted(shard->groups, before);
    metrics_topic_deleted(shard, before->name);
}

static void add_value(void *ctx, struct str name, struct str value)
{
    text_printf(ctx, "%.*s=%.*s\n", STR_ARG(name), STR_ARG(value));
}

/* The dynamic settings of this broker as text, to see whether they changed. */
static void dynamic_text(const struct broker *b, const struct image *image, struct text *out)
{
    struct text id = {0};

    text_printf(&id, "%d", b->node_id);
    image_config_each(image, RESOURCE_TYPE_BROKER, STR(""), add_value, out);
    text_add(out, "\n", 1);
    image_config_each(image, RESOURCE_TYPE_BROKER, text_str(&id), add_value, out);
    text_deinit(&id);
}

static bool settings_changed(const struct publication *p)
{
    struct text before = {0}, after = {0};
    bool changed;

    if (p->before == NULL)
        return true;
    dynamic_text(p->broker, p->before, &before);
    dynamic_text(p->broker, p->after, &after);
    changed = !str_equal(text_str(&before), text_str(&after));
    text_deinit(&before);
    text_deinit(&after);
    return changed;
}

static void take_settings(struct broker_shard *shard, const struct publication *p)
{
    const struct config *old = shard->settings;

    shard->settings = settings_of_broker(p->broker, p->after, shard->telemetry);
    replicas_set_broker(shard->replicas, shard->settings);
    config_free((struct config *)(uintptr_t)old);
    listeners_accept_again(shard);
}

/* There is something to be seen. Before the broker is unfenced, because then others come at once. */
static void open_doors(struct broker_shard *shard)
{
    shard->partitions_at_start = replicas_count(shard->replicas);
    peers_watch(shard);
    listeners_accept(shard, LISTENER_BROKER);
}

static void show(struct broker_shard *shard, void *ctx, struct op *op)
{
    const struct publication *p = ctx;

    image_unref(shard->image);
    shard->image = image_ref(p->after);
    shard->kraft_version = p->kraft_version;
    if (settings_changed(p))
        take_settings(shard, p);
    if (p->before != NULL)
        image_topics_changed(p->before, p->after, topic_changed, shard);
    else
        open_doors(shard);
    io_complete(shard->io, op, 0);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void publish_run(struct flow *f)
{
    struct publication *p = container_of(f, struct publication, flow);

    FLOW_BEGIN(f);
    /* A topic that is made anew has its old one's name: those logs, on whatever shard, go first. */
    if (p->broker->shard_count > 1)
        FLOW_TRY(f, "remove replicas", everywhere(p->broker, remove_gone, p, &f->op));
    FLOW_TRY(f, "apply to replicas", everywhere(p->broker, apply, p, &f->op));
    if (p->before == NULL)
        p->broker->checkpoints = checkpoints_start(p->broker); /* requests may ask it for a write */
    FLOW_TRY(f, "show to clients", everywhere(p->broker, show, p, &f->op));
    FLOW_END(f);
    image_unref(p->before);
    image_unref(p->after);
    flow_done(f, 0);
    free(p);
    return;
failed:
    image_unref(p->before);
    image_unref(p->after);
    flow_done(f, f->result);
    free(p);
}

void publish(void *ctx, const struct image *before, const struct image *after, struct op *op)
{
    struct publication *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    p->broker = ctx;
    p->broker->life->published = true;
    p->before = before == NULL ? NULL : image_ref(before);
    p->after = image_ref(after);
    p->kraft_version = quorum_voters(node_quorum(p->broker->node))->kraft_version;
    flow_start(&p->flow, publish_run, op);
}
