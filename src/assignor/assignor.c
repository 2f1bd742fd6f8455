/* assignor.c - the assignors by name, and the way from a group to its assignments. */
#include "assignor/assignor.h"
#include "assignor/view.h"

static const struct {
    struct str name;
    enum rebalance_protocol strongest;
} assignors[ASSIGNOR_COUNT] = {
    [ASSIGNOR_RANGE] = {STR("range"), REBALANCE_EAGER},
    [ASSIGNOR_ROUNDROBIN] = {STR("roundrobin"), REBALANCE_EAGER},
    [ASSIGNOR_STICKY] = {STR("sticky"), REBALANCE_EAGER},
    [ASSIGNOR_COOPERATIVE_STICKY] = {STR("cooperative-sticky"), REBALANCE_COOPERATIVE},
};

struct str assignor_name(enum assignor assignor)
{
    return assignors[assignor].name;
}

bool assignor_find(struct str name, enum assignor *out)
{
    for (int i = 0; i < ASSIGNOR_COUNT; i++) {
        if (str_equal(name, assignors[i].name)) {
            *out = (enum assignor)i;
            return true;
        }
    }
    return false;
}

bool assignor_supports(enum assignor assignor, enum rebalance_protocol protocol)
{
    return protocol <= assignors[assignor].strongest;
}

enum rebalance_protocol rebalance_protocol_of(const enum assignor *list, int32_t count)
{
    ASSERT(count > 0);
    for (int32_t i = 0; i < count; i++) {
        if (!assignor_supports(list[i], REBALANCE_COOPERATIVE))
            return REBALANCE_EAGER;
    }
    return REBALANCE_COOPERATIVE;
}

/* Count a member's topics and partitions, or, once there is room for them, note them. Partitions
 * are walked over in order, so a member's partitions of a topic come one after another. */
static void walk_owned(const struct view *v, struct consumer_protocol_assignment *assignments,
                       int32_t *topic, bool note)
{
    for (int32_t m = 0; m < v->member_count; m++) {
        assignments[v->members[m].input].assigned_partitions_count = 0;
        topic[m] = NOBODY;
    }
    for (int32_t p = 0; p < v->partition_count; p++) {
        int32_t m = v->owner[p], t = v->topic_of[p];
        struct consumer_protocol_assignment *a;
        struct consumer_protocol_assignment_assigned_partitions *last;

        if (m == NOBODY)
            continue;
        a = &assignments[v->members[m].input];
        if (topic[m] != t) {
            if (note) {
                int32_t *end = a->assigned_partitions[0].partitions;

                if (a->assigned_partitions_count > 0) {
                    last = &a->assigned_partitions[a->assigned_partitions_count - 1];
                    end = last->partitions + last->partitions_count;
                }
                a->assigned_partitions[a->assigned_partitions_count] =
                    (struct consumer_protocol_assignment_assigned_partitions){
                        .topic = v->topics[t].name, .partitions = end};
            }
            a->assigned_partitions_count++;
            topic[m] = t;
        }
        if (note) {
            last = &a->assigned_partitions[a->assigned_partitions_count - 1];
            last->partitions[last->partitions_count++] = p - v->topics[t].first;
        }
    }
}

/* What was decided, as assignments. */
MUST static int answer(const struct view *v, struct consumer_protocol_assignment **out)
{
    struct consumer_protocol_assignment *assignments =
        arena_take_array(v->arena, (size_t)v->member_count, sizeof(*assignments));
    int32_t *topic = arena_take_array(v->arena, (size_t)v->member_count, sizeof(*topic));

    if (assignments == NULL || topic == NULL)
        return ERR_LIMIT;
    walk_owned(v, assignments, topic, false);
    for (int32_t m = 0; m < v->member_count; m++) {
        struct consumer_protocol_assignment *a = &assignments[v->members[m].input];

        a->user_data = BYTES_NULL;
        a->assigned_partitions = arena_take_array(v->arena, (size_t)a->assigned_partitions_count,
                                                  sizeof(*a->assigned_partitions));
        if (a->assigned_partitions == NULL)
            return ERR_LIMIT;
        if (v->members[m].size == 0)
            continue;
        a->assigned_partitions[0].partitions =
            arena_take_array(v->arena, (size_t)v->members[m].size, sizeof(int32_t));
        if (a->assigned_partitions[0].partitions == NULL)
            return ERR_LIMIT;
    }
    walk_owned(v, assignments, topic, true);
    *out = assignments;
    return 0;
}

int assignor_assign(enum assignor assignor, const struct assignor_group *group, struct arena *arena,
                    struct consumer_protocol_assignment **out)
{
    struct view v;

    TRY(view_init(&v, group, arena));
    switch (v.member_count == 0 ? ASSIGNOR_COUNT : assignor) {
    case ASSIGNOR_RANGE:
        TRY(range_assign(&v));
        break;
    case ASSIGNOR_ROUNDROBIN:
        TRY(roundrobin_assign(&v));
        break;
    case ASSIGNOR_STICKY:
    case ASSIGNOR_COOPERATIVE_STICKY:
        TRY(sticky_assign(&v, assignor == ASSIGNOR_COOPERATIVE_STICKY));
        break;
    case ASSIGNOR_COUNT:
        break;
    }
    return answer(&v, out);
}
