/* roundrobin.c - all partitions in order, dealt to the members in order; whoever does not want the
 * topic is passed over. */
#include "assignor/view.h"

#include <stdlib.h>

struct static_key {
    struct str instance_id, id;
    int32_t member;
};

static int compare_static(const void *a, const void *b)
{
    const struct static_key *x = a, *y = b;
    bool x_static = !str_is_null(x->instance_id), y_static = !str_is_null(y->instance_id);
    int order;

    if (x_static != y_static)
        return x_static ? -1 : 1;
    order = x_static ? java_compare(x->instance_id, y->instance_id) : java_compare(x->id, y->id);
    return order != 0 ? order : x->member < y->member ? -1 : 1;
}

int32_t *static_order(const struct view *v)
{
    size_t n = (size_t)v->member_count;
    struct static_key *keys = arena_take_array(v->arena, n, sizeof(*keys));
    int32_t *order = arena_take_array(v->arena, n, sizeof(*order));

    if (keys == NULL || order == NULL)
        return NULL;
    for (int32_t m = 0; m < v->member_count; m++) {
        const struct assignor_member *given = v->members[m].given;

        keys[m] = (struct static_key){given->instance_id, given->id, m};
    }
    qsort(keys, n, sizeof(*keys), compare_static);
    for (int32_t i = 0; i < v->member_count; i++)
        order[i] = keys[i].member;
    return order;
}

int roundrobin_assign(struct view *v)
{
    int32_t *order = static_order(v);
    int32_t *wanted = arena_take_array(v->arena, (size_t)v->member_count, sizeof(*wanted));
    int32_t next = 0;

    if (order == NULL || wanted == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < v->topic_count; i++) {
        const struct view_topic *t = &v->topics[i];

        for (int32_t k = 0; k < t->member_count; k++)
            wanted[t->members[k]] = i + 1; /* the last topic that it is known to want */
        for (int32_t p = t->first; p < t->first + t->count; p++) {
            while (wanted[order[next]] != i + 1)
                next = (next + 1) % v->member_count;
            view_give(v, p, order[next]);
            next = (next + 1) % v->member_count;
        }
    }
    return 0;
}
