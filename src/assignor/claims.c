/* claims.c - previous owners from what members say. */
#include "assignor/claims.h"

static int read_list(struct claim_list *list, const struct view *v, int32_t member,
                     bool cooperative)
{
    const struct consumer_protocol_subscription *s = &v->members[member].given->subscription;

    if (!cooperative)
        return sticky_user_data_read(s->user_data, v->arena, list);
    list->entries = s->owned_partitions;
    list->count = s->owned_partitions_count;
    list->generation =
        s->generation_id >= 0 ? s->generation_id : cooperative_user_data_generation(s->user_data);
    return 0;
}

struct claim_walk claim_walk(const struct claims *c, const struct view *v, int32_t member)
{
    return (struct claim_walk){.v = v, .list = &c->lists[member], .topic = NOBODY};
}

int32_t claim_next(struct claim_walk *w)
{
    for (; w->entry < w->list->count; w->entry++, w->at = 0, w->found = false) {
        const struct consumer_protocol_subscription_owned_partitions *entry =
            &w->list->entries[w->entry];
        const struct view_topic *t;

        if (!w->found) {
            w->topic = view_find_topic(w->v, entry->topic, w->topic + 1);
            w->found = true;
        }
        if (w->topic == NOBODY)
            continue;
        t = &w->v->topics[w->topic];
        while (w->at < entry->partitions_count) {
            int32_t number = entry->partitions[w->at++];

            if (number >= 0 && number < t->count)
                return t->first + number;
        }
    }
    return NOBODY;
}

/* `latest` is who claimed a partition last with success, or in vain against another of its
 * generation. */
static void decide(struct claims *c, int32_t *latest, int32_t member, int32_t partition)
{
    int32_t other = latest[partition], its = other == NOBODY ? -1 : c->lists[other].generation;
    bool alike = other != NOBODY && c->lists[member].generation == its;

    if (other == member) /* said twice */
        return;
#ifndef MUTANT_ASSIGNOR_OLD_CLAIMS
    if (other != NOBODY && c->lists[member].generation < its)
        return;
#endif
    c->disputed[partition] = alike;
    c->holder[partition] = alike ? NOBODY : member;
    latest[partition] = member;
}

int claims_read(struct claims *c, const struct view *v, bool cooperative)
{
    size_t members = (size_t)v->member_count, partitions = (size_t)v->partition_count;
    int32_t *latest = arena_take_array(v->arena, partitions, sizeof(*latest));

    c->generation = -1;
    c->lists = arena_take_array(v->arena, members, sizeof(*c->lists));
    c->holder = arena_take_array(v->arena, partitions, sizeof(*c->holder));
    c->disputed = arena_take_array(v->arena, partitions, 1);
    if (latest == NULL || c->lists == NULL || c->holder == NULL || c->disputed == NULL)
        return ERR_LIMIT;
    for (int32_t p = 0; p < v->partition_count; p++)
        latest[p] = c->holder[p] = NOBODY;
    for (int32_t m = 0; m < v->member_count; m++) {
        struct claim_walk walk;

        TRY(read_list(&c->lists[m], v, m, cooperative));
        if (c->lists[m].generation > c->generation)
            c->generation = c->lists[m].generation;
        walk = claim_walk(c, v, m);
        for (int32_t p; (p = claim_next(&walk)) != NOBODY;)
            decide(c, latest, m, p);
    }
    return 0;
}
