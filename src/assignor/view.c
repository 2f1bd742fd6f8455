/* view.c - a group is numbered. */
#include "assignor/view.h"

#include <stdlib.h>

#define PARTITIONS_MAX (1 << 30) /* numbers stay in 31 bits, also where one is added */

struct member_key {
    struct str id;
    uint32_t slot;
    int32_t number;
};

static int compare_slots(const void *a, const void *b)
{
    const struct member_key *x = a, *y = b;

    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static int compare_ids(const void *a, const void *b)
{
    const struct member_key *x = a, *y = b;
    int order = java_compare(x->id, y->id);

    return order != 0 ? order : x->number < y->number ? -1 : 1;
}

static int number_members(struct view *v, const struct assignor_group *group)
{
    int32_t n = group->member_count;
    struct member_key *keys = arena_take_array(v->arena, (size_t)n, sizeof(*keys));

    v->members = arena_take_array(v->arena, (size_t)n, sizeof(*v->members));
    v->by_rank = arena_take_array(v->arena, (size_t)n, sizeof(*v->by_rank));
    if (keys == NULL || v->members == NULL || v->by_rank == NULL)
        return ERR_LIMIT;
    v->member_count = n;
    for (int32_t i = 0; i < n; i++) {
        struct str id = group->members[i].id;

        keys[i] = (struct member_key){id, java_slot(str_java_hash(id), n), i};
    }
    qsort(keys, (size_t)n, sizeof(*keys), compare_slots);
    for (int32_t m = 0; m < n; m++) {
        int32_t input = keys[m].number;

        v->members[m] = (struct view_member){&group->members[input], input, 0, -1, 0};
        keys[m].number = m;
    }
    qsort(keys, (size_t)n, sizeof(*keys), compare_ids);
    for (int32_t rank = 0; rank < n; rank++) {
        v->by_rank[rank] = keys[rank].number;
        v->members[keys[rank].number].rank = rank;
    }
    return 0;
}

static int compare_topics(const void *a, const void *b)
{
    return str_compare(((const struct view_topic *)a)->name, ((const struct view_topic *)b)->name);
}

/* The topics that have partitions, in order, each once. */
static int sort_topics(struct view *v, const struct assignor_group *group)
{
    struct view_topic *t =
        arena_take_array(v->arena, (size_t)group->topic_count, sizeof(*v->topics));
    int32_t count = 0, unique = 0;

    if (t == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < group->topic_count; i++) {
        const struct assignor_topic *given = &group->topics[i];

        ASSERT(given->partition_count >= 0);
        if (given->partition_count > 0)
            t[count++] = (struct view_topic){
                .name = given->name, .racks = given->racks, .count = given->partition_count};
    }
    qsort(t, (size_t)count, sizeof(*t), compare_topics);
    for (int32_t i = 0; i < count; i++) {
        if (unique == 0 || !str_equal(t[unique - 1].name, t[i].name))
            t[unique++] = t[i];
    }
    v->topics = t;
    v->topic_count = unique;
    return 0;
}

int32_t view_find_topic(const struct view *v, struct str name, int32_t guess)
{
    int32_t low = 0, high = v->topic_count;

    if (guess >= 0 && guess < high && str_equal(v->topics[guess].name, name))
        return guess;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = str_compare(v->topics[middle].name, name);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NOBODY;
}

/* Walk over who wants what: count the members of each topic, or, once there is room for them, note
 * them. A topic that a subscription names twice counts once. */
static void walk_subscriptions(struct view *v, int32_t *seen, bool note)
{
    for (int32_t i = 0; i < v->topic_count; i++) {
        v->topics[i].member_count = 0;
        seen[i] = NOBODY;
    }
    for (int32_t m = 0; m < v->member_count; m++) {
        const struct consumer_protocol_subscription *s = &v->members[m].given->subscription;
        int32_t guess = 0;

        for (int32_t i = 0; i < s->topics_count; i++) {
            int32_t found = view_find_topic(v, s->topics[i], guess);
            struct view_topic *t;

            if (found == NOBODY || seen[found] == m)
                continue;
            t = &v->topics[found];
            seen[found] = m;
            guess = found + 1;
            if (note)
                t->members[t->member_count] = m;
            t->member_count++;
        }
    }
}

/* Leave out the topics that nobody wants, and number the partitions of the others. */
static int number_partitions(struct view *v)
{
    int32_t kept = 0, first = 0;

    for (int32_t i = 0; i < v->topic_count; i++) {
        struct view_topic *t = &v->topics[i];

        if (t->member_count == 0)
            continue;
        if (t->count > PARTITIONS_MAX - first)
            return ERR_LIMIT;
        t->members = arena_take_array(v->arena, (size_t)t->member_count, sizeof(*t->members));
        if (t->members == NULL)
            return ERR_LIMIT;
        t->first = first;
        first += t->count;
        v->topics[kept++] = *t;
    }
    v->topic_count = kept;
    v->partition_count = first;
    return 0;
}

static int number_topics(struct view *v, const struct assignor_group *group)
{
    int32_t *seen;

    TRY(sort_topics(v, group));
    seen = arena_take_array(v->arena, (size_t)v->topic_count, sizeof(*seen));
    if (seen == NULL)
        return ERR_LIMIT;
    walk_subscriptions(v, seen, false);
    TRY(number_partitions(v));
    walk_subscriptions(v, seen, true);

    v->topic_of = arena_take_array(v->arena, (size_t)v->partition_count, sizeof(*v->topic_of));
    v->owner = arena_take_array(v->arena, (size_t)v->partition_count, sizeof(*v->owner));
    if (v->topic_of == NULL || v->owner == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < v->topic_count; i++) {
        for (int32_t p = 0; p < v->topics[i].count; p++) {
            v->topic_of[v->topics[i].first + p] = i;
            v->owner[v->topics[i].first + p] = NOBODY;
        }
    }
    return 0;
}

int view_init(struct view *v, const struct assignor_group *group, struct arena *arena)
{
    *v = (struct view){.arena = arena};
    TRY(number_members(v, group));
    TRY(number_topics(v, group));
    return view_number_racks(v);
}

bool view_wants(const struct view_topic *topic, int32_t member)
{
    int32_t low = 0, high = topic->member_count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;

        if (topic->members[middle] < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low < topic->member_count && topic->members[low] == member;
}

void view_give(struct view *v, int32_t partition, int32_t member)
{
    if (v->owner[partition] != NOBODY)
        v->members[v->owner[partition]].size--;
    if (member != NOBODY)
        v->members[member].size++;
    v->owner[partition] = member;
}
