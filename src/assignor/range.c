/* range.c - each topic for itself: its members in order, to each the next range of its partitions.
 *
 * When racks matter (KIP-881), ranges are first filled with partitions that have a replica in the
 * member's rack; topics with the same members and as many partitions do that together, so that a
 * member has the same partitions of all of them, and what is left over is filled in without racks.
 */
#include "assignor/sort.h"
#include "assignor/view.h"

/* A topic while it is handed out. */
struct range {
    struct view *v;
    const struct view_topic *topic;
    int32_t *members;  /* in static order */
    int32_t *given;    /* to each of them */
    int32_t each;      /* what every member gets */
    int32_t extra;     /* members that may still get one more */
    int32_t next;      /* partitions before it are given */
    bool racks_matter; /* for this topic alone */
};

static int32_t room_of(const struct range *r, int32_t i)
{
    int32_t room = r->each + (r->extra > 0 ? 1 : 0) - r->given[i];

    return room > 0 ? room : 0;
}

static void give(struct range *r, int32_t i, int32_t partition)
{
    view_give(r->v, partition, r->members[i]);
    r->given[i]++;
}

/* A member that has more than `each` is one of those with one more. */
static void count_extra(struct range *r, int32_t i)
{
    if (r->given[i] > r->each)
        r->extra--;
}

/* Fill the ranges, with racks only from partitions that do not lie in other racks. */
static void fill(struct range *r, bool look_at_racks)
{
    int32_t end = r->topic->first + r->topic->count;

    for (int32_t i = 0; i < r->topic->member_count; i++) {
        int32_t room = room_of(r, i), before = room;

        while (r->next < end && r->v->owner[r->next] != NOBODY)
            r->next++;
        for (int32_t p = r->next; p < end && room > 0; p++) {
            if (r->v->owner[p] != NOBODY ||
                (look_at_racks && view_rack_differs(r->v, r->members[i], p)))
                continue;
            give(r, i, p);
            room--;
        }
        if (room < before)
            count_extra(r, i);
    }
}

/* Member `i` can take partition number `number` of all `count` topics. */
static bool all_match(struct range *const *together, int32_t count, int32_t i, int32_t number)
{
    for (int32_t k = 0; k < count; k++) {
        const struct range *r = together[k];

        if (room_of(r, i) == 0 || view_rack_differs(r->v, r->members[i], r->topic->first + number))
            return false;
    }
    return true;
}

static void fill_together(struct range *const *together, int32_t count)
{
    const struct view_topic *t = together[0]->topic;

    for (int32_t number = 0; number < t->count; number++) {
        int32_t i = 0;

        while (i < t->member_count && !all_match(together, count, i, number))
            i++;
        if (i == t->member_count)
            continue;
        for (int32_t k = 0; k < count; k++) {
            give(together[k], i, together[k]->topic->first + number);
            count_extra(together[k], i);
        }
    }
}

/* Topics with the same members and as many partitions are next to each other. */
static int compare_shapes(const void *a, const void *b)
{
    const struct view_topic *x = (*(struct range *const *)a)->topic;
    const struct view_topic *y = (*(struct range *const *)b)->topic;

    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    if (x->member_count != y->member_count)
        return x->member_count < y->member_count ? -1 : 1;
    return memcmp(x->members, y->members, (size_t)x->member_count * sizeof(*x->members));
}

static int fill_by_rack(struct view *v, struct range *ranges)
{
    struct range **sorted = arena_take_array(v->arena, (size_t)v->topic_count, sizeof(*sorted));
    int32_t end;

    if (sorted == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < v->topic_count; i++)
        sorted[i] = &ranges[i];
    qsort(sorted, (size_t)v->topic_count, sizeof(struct range *), compare_shapes);
    for (int32_t i = 0; i < v->topic_count; i = end) {
        bool with_racks = false;

        for (end = i + 1; end < v->topic_count && compare_shapes(&sorted[i], &sorted[end]) == 0;)
            end++;
        for (int32_t k = 0; k < sorted[i]->topic->member_count; k++)
            with_racks |= v->members[sorted[i]->members[k]].rack >= 0;
        if (end - i > 1 && with_racks)
            fill_together(&sorted[i], end - i);
        else if (end - i == 1 && sorted[i]->racks_matter)
            fill(sorted[i], true);
    }
    return 0;
}

/* `place` is where each member stands in `order`. */
static int range_init(struct range *r, struct view *v, const struct view_topic *t,
                      const int32_t *order, const int32_t *place)
{
    int32_t n = t->member_count;
    int32_t *sorted = arena_take_array(v->arena, (size_t)n, sizeof(*sorted));

    r->given = arena_take_array(v->arena, (size_t)n, sizeof(*r->given));
    if (r->given == NULL || sorted == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < n; i++)
        sorted[i] = place[t->members[i]];
    sort_i32(sorted, n);
    for (int32_t i = 0; i < n; i++)
        sorted[i] = order[sorted[i]];
    r->v = v;
    r->topic = t;
    r->members = sorted;
    r->each = t->count / n;
    r->extra = t->count % n;
    r->next = t->first;
    r->racks_matter = view_racks_matter(v, t->members, n, t->first, t->count);
    return 0;
}

int range_assign(struct view *v)
{
    struct range *ranges = arena_take_array(v->arena, (size_t)v->topic_count, sizeof(*ranges));
    int32_t *order = static_order(v);
    int32_t *place = arena_take_array(v->arena, (size_t)v->member_count, sizeof(*place));
    bool racks_matter = false;

    if (ranges == NULL || order == NULL || place == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < v->member_count; i++)
        place[order[i]] = i;
    for (int32_t i = 0; i < v->topic_count; i++) {
        TRY(range_init(&ranges[i], v, &v->topics[i], order, place));
        racks_matter |= ranges[i].racks_matter;
    }
    if (racks_matter)
        TRY(fill_by_rack(v, ranges));
    for (int32_t i = 0; i < v->topic_count; i++)
        fill(&ranges[i], false);
    return 0;
}
