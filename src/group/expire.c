/* What time does: sessions, rebalances, and offsets that nobody needs any more
 * (offsets.retention.minutes). */
#include "group/internal.h"

/* A batch of tombstones is written when it is this large: far below any max.message.bytes. */
#define TOMBSTONES_BYTES_MAX (64u << 10)

/* Since when an offset is not needed, and whether that can be said at all (KIP-211).
 *
 *   empty group                 since it is empty (since the commit in records that do not say)
 *   no protocol type            since the commit: such groups only store offsets
 *   stable group of consumers   since the commit, of topics that no member reads
 *   otherwise                   it is needed; also in groups of protocols that are not served here
 */
static bool unneeded_since(const struct group *g, const struct committed *c, int64_t *out)
{
    if (g->kind != GROUP_CLASSIC)
        return false;
    if (str_is_null(g->protocol_type))
        *out = c->commit_ms;
    else if (g->state == GROUP_EMPTY)
        *out = g->state_ms >= 0 ? g->state_ms : c->commit_ms;
    else if (g->state == GROUP_STABLE && str_equal(g->protocol_type, CONSUMER_PROTOCOL_TYPE))
        *out = c->commit_ms;
    else
        return false;
    return true;
}

static bool has_expired(const struct group_partition *p, const struct group *g,
                        const struct committed *c)
{
    int64_t since_ms;

    if (!unneeded_since(g, c, &since_ms) || offset_is_unstable(c))
        return false;
    if (c->expire_ms >= 0) /* it was committed with a time of its own */
        return p->wall_ms >= c->expire_ms;
    return p->wall_ms - since_ms >= p->settings.offsets_retention_ms;
}

/* Add tombstones for what has expired, as many as fit a batch. -> nothing is left behind them. */
static bool expire_offsets(struct group_partition *p, const struct group *g)
{
    struct subscriptions s = g->state == GROUP_STABLE ? group_subscriptions(g, &p->arena)
                                                      : (struct subscriptions){.known = true};
    bool left = g->pending_offsets > 0;

    MAP_EACH (topic, &g->topics) {
        const struct offset_topic *t = container_of(topic, struct offset_topic, node);
        bool read = g->state == GROUP_STABLE && subscriptions_have(g, &s, t->name);

        MAP_EACH (node, &t->partitions) {
            const struct committed *c = container_of(node, struct committed, node);

            if (c->present && !read && batch_builder_size(&p->batch) < TOMBSTONES_BYTES_MAX &&
                has_expired(p, g, c))
                record_offset_tombstone(p, c);
            else
                left = true;
        }
    }
    return !left;
}

static bool tombstones_append(struct group_partition *p)
{
    enum kerr error = records_append(p);

    arena_reset(&p->arena);
    if (error == KERR_NONE)
        return true;
    say(p->telemetry, LOG_WARN, "group",
        "expired offsets of __consumer_offsets-%d could not be removed (%s); the "
        "next check tries again",
        p->number, kerr_name((int16_t)error));
    return false;
}

/* -> the log takes them. The group may be gone afterwards. */
static bool expire_group(struct group_partition *p, const struct group *g)
{
    bool all, full;

    do {
        all = expire_offsets(p, g);
        full = batch_builder_size(&p->batch) >= TOMBSTONES_BYTES_MAX;
        if (all && g->kind == GROUP_CLASSIC && g->state == GROUP_EMPTY && g->pending.count == 0)
            record_group_tombstone(p, g->id);
        if (p->batch.count > 0 && !tombstones_append(p))
            return false;
    } while (full && !all);
    return true;
}

void retention_run(struct group_partition *p)
{
    bool ok = true;

    timer_set(p, &p->retention, p->settings.retention_check_interval_ms);
    for (struct map_node *node = map_first(&p->groups), *next; ok && node != NULL; node = next) {
        next = map_next(&p->groups, node);
        ok = expire_group(p, container_of(node, struct group, node));
    }
}

/* The topic may have been made anew under its name meanwhile. */
static void deleted_topic(struct group_partition *p, const struct group *g, struct uuid id,
                          struct str name)
{
    struct map_node *found = map_find(&g->topics, str_hash(name), &name);

    if (found == NULL)
        return;
    MAP_EACH (slot, &container_of(found, struct offset_topic, node)->partitions) {
        const struct committed *c = container_of(slot, struct committed, node);
        if (uuid_is_zero(c->topic_id) || uuid_equal(c->topic_id, id))
            record_offset_tombstone(p, c);
    }
}

void group_topics_deleted(struct group_partition *p, const struct uuid *ids,
                          const struct str *names, uint32_t count, int64_t now_ms, int64_t wall_ms)
{
    if (coordinator_check(&p->coordinator) != KERR_NONE)
        return;
    group_decision_begin(p, now_ms, wall_ms);
    MAP_EACH (node, &p->groups) {
        const struct group *g = container_of(node, struct group, node);

        for (uint32_t i = 0; i < count; i++)
            deleted_topic(p, g, ids[i], names[i]);
        if (batch_builder_size(&p->batch) > TOMBSTONES_BYTES_MAX && !tombstones_append(p))
            break;
    }
    if (p->batch.count > 0)
        tombstones_append(p);
    p->inside = false;
}

void timer_fire(struct group_partition *p, struct timer *t)
{
    switch (t->kind) {
    case TIMER_SESSION:
        session_timer(p, container_of(t, struct member, session));
        return;
    case TIMER_PENDING:
        pending_timer(p, container_of(t, struct pending_member, timer));
        return;
    case TIMER_REBALANCE:
        rebalance_timer(p, container_of(t, struct group, rebalance));
        return;
    case TIMER_SYNC:
        rebalance_sync_timer(p, container_of(t, struct group, sync));
        return;
    case TIMER_RETENTION:
        retention_run(p);
        return;
    case TIMER_COMMIT:
        commit_timer(p);
        return;
    }
    UNREACHABLE("a kind of timer");
}
