/* sticky.c - members keep what they had as far as balance allows: claims, then one of two ways,
 * then what the cooperative protocol withholds. */
#include "assignor/claims.h"

#include <stdlib.h>

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static bool wants_only(const struct consumer_protocol_subscription *s, const struct str *names,
                       int32_t count)
{
    for (int32_t i = 0; i < s->topics_count; i++) {
        if (!str_equal(s->topics[i], names[i]) && /* mostly they are sorted */
            bsearch(&s->topics[i], names, (size_t)count, sizeof(*names), compare_names) == NULL)
            return false;
    }
    return true;
}

/* All members want the same topics. Those that do not exist count, too, as for a Java leader: which
 * of the two ways is taken should not depend on who leads. */
MUST static int find_uniform(const struct view *v, bool *out)
{
    const struct consumer_protocol_subscription *first = &v->members[0].given->subscription;
    int32_t count = first->topics_count;
    struct str *names = arena_take_array(v->arena, (size_t)count, sizeof(*names));

    if (names == NULL)
        return ERR_LIMIT;
    *out = false;
    for (int32_t i = 0; i < count; i++)
        names[i] = first->topics[i];
    qsort(names, (size_t)count, sizeof(*names), compare_names);
    for (int32_t m = 1; m < v->member_count; m++) {
        const struct consumer_protocol_subscription *s = &v->members[m].given->subscription;

        if (s->topics_count != count || !wants_only(s, names, count))
            return 0;
    }
    for (int32_t i = 0; i < v->topic_count; i++) { /* a name that is there twice hides another */
        if (v->topics[i].member_count != v->member_count)
            return 0;
    }
    *out = true;
    return 0;
}

/* All want all: withhold what somebody else's claim counted for, or could not be decided. */
static void withhold_uniform(struct view *v, const struct claims *c)
{
    for (int32_t p = 0; p < v->partition_count; p++) {
        int32_t holder = c->holder[p];

        if (c->disputed[p] != 0 || (holder != NOBODY && holder != v->owner[p]))
            view_give(v, p, NOBODY);
    }
}

/* Else: withhold what its owner does not claim, and somebody else does. */
static int withhold_general(struct view *v, const struct claims *c)
{
    enum { KEPT = 1, LOST = 2 };
    uint8_t *seen = arena_take_array(v->arena, (size_t)v->partition_count, 1);

    if (seen == NULL)
        return ERR_LIMIT;
    for (int32_t m = 0; m < v->member_count; m++) {
        struct claim_walk walk = claim_walk(c, v, m);

        for (int32_t p; (p = claim_next(&walk)) != NOBODY;)
            seen[p] |= v->owner[p] == m ? KEPT : LOST;
    }
    for (int32_t p = 0; p < v->partition_count; p++) {
        if (seen[p] == LOST)
            view_give(v, p, NOBODY);
    }
    return 0;
}

int sticky_assign(struct view *v, bool cooperative)
{
    bool uniform;
    struct claims c;

    TRY(find_uniform(v, &uniform));
    TRY(claims_read(&c, v, cooperative));
    TRY(uniform ? uniform_assign(v, &c) : general_assign(v, &c));
    if (!cooperative)
        return 0;
    if (!uniform)
        return withhold_general(v, &c);
    withhold_uniform(v, &c);
    return 0;
}
