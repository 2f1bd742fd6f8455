/* What a group's member subscribes to, by name or by pattern. */
#include "consumer/membership.h"

#include <stdlib.h>

static void subscribed(struct membership *g, struct tp_set *topics)
{
    for (uint32_t i = 0; i < topics->count; i++)
        client_want(g->consumer->client, topics->items[i].topic);
    for (uint32_t i = 0; i < g->topics.count; i++)
        client_unwant(g->consumer->client, g->topics.items[i].topic);
    tp_set_free(&g->topics);
    g->topics = *topics;
}

/* The topics that the pattern fits now. */
static struct tp_set matching(const struct membership *g)
{
    const struct consumer *c = g->consumer;
    const struct client_topic *t = NULL;
    struct consumer_partition *all = NULL;
    struct tp_set set;
    uint32_t n = 0;

    while ((t = client_topic_next(c->client, t)) != NULL) {
        if (t->error != KERR_NONE || (t->internal && c->settings.exclude_internal_topics) ||
            !g->wants(g->wants_ctx, t->name))
            continue;
        if ((n & (n - 1)) == 0) { /* as many as a power of two: room for as many again */
            all = realloc(all, (size_t)(n == 0 ? 1 : 2 * n) * sizeof *all);
            ASSERT(all != NULL);
        }
        all[n++] = (struct consumer_partition){t->name, 0};
    }
    set = tp_set_of(all, n);
    free(all);
    return set;
}

static void set_pattern(struct membership *g, bool (*wants)(void *ctx, struct str topic), void *ctx)
{
    if (wants != NULL && g->wants == NULL)
        client_want_all(g->consumer->client);
    if (wants == NULL && g->wants != NULL)
        client_unwant_all(g->consumer->client);
    g->wants = wants;
    g->wants_ctx = ctx;
}

void membership_subscribe(struct membership *g, const struct str *topics, uint32_t count)
{
    struct consumer_partition *all = calloc(count + 1, sizeof *all);
    struct tp_set set;

    ASSERT(all != NULL);
    for (uint32_t i = 0; i < count; i++)
        all[i].topic = topics[i];
    set = tp_set_of(all, count);
    free(all);
    subscribed(g, &set);
    set_pattern(g, NULL, NULL);
    member_subscribe(&g->member, io_now_ns(g->consumer->io));
    consumer_poke(g->consumer);
}

void membership_subscribe_matching(struct membership *g, bool (*wants)(void *ctx, struct str topic), void *ctx)
{
    struct tp_set set;

    set_pattern(g, wants, ctx);
    set = matching(g);
    subscribed(g, &set);
    member_subscribe(&g->member, io_now_ns(g->consumer->io));
    consumer_poke(g->consumer);
}

/* Topics that come or grow are to be shared out, too. */
void membership_metadata(struct consumer *c)
{
    struct membership *g = c->group;

    if (g == NULL || g->member.state == MEMBER_OUT || g->member.leaving)
        return;
    if (g->wants != NULL) {
        struct tp_set now = matching(g);
        if (tp_set_equal(&now, &g->topics)) {
            tp_set_free(&now);
        } else {
            subscribed(g, &now);
            membership_rejoin(c, STR("the pattern fits other topics"));
        }
    }
    if (g->member.leads && member_is_in(&g->member) && !g->member.rejoin && membership_print(g) != g->all_print) {
        g->all_print = membership_print(g);
        membership_rejoin(c, STR("topics have other partitions"));
    }
}

void membership_subscribe_nothing(struct membership *g)
{
    struct tp_set none = {0};

    subscribed(g, &none);
    set_pattern(g, NULL, NULL);
}
