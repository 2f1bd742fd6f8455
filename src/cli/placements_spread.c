/* A topic's partitions spread over brokers. */
#include "cli/placements.h"

#include <errno.h>
#include <stdlib.h>

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int compare_racks(const void *a, const void *b)
{
    int order = str_compare(((const struct place *)a)->rack, ((const struct place *)b)->rack);

    return order != 0 ? order : compare_places(a, b);
}

/* One place of each rack in turn, racks by name, their places by id. Returns how many racks there
 * are. */
static uint32_t alternate(struct arena *a, const struct place *places, uint32_t count, struct place *out)
{
    struct place *sorted = arena_take_array(a, count, sizeof(*sorted));
    uint32_t racks = 0, n = 0;

    ASSERT(sorted != NULL);
    memcpy(sorted, places, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_racks);
    for (uint32_t round = 0; n < count; round++) {
        for (uint32_t i = 0, in_rack = 0; i < count; i++) {
            in_rack = i > 0 && str_equal(sorted[i].rack, sorted[i - 1].rack) ? in_rack + 1 : 0;
            racks += round == 0 && in_rack == 0;
            if (in_rack == round)
                out[n++] = sorted[i];
        }
    }
    return racks;
}

static uint32_t follower_at(uint32_t first, uint32_t shift, uint32_t k, uint32_t count)
{
    return (first + 1 + (shift + k) % (count - 1)) % count;
}

static bool rack_has_replica(const struct place *places, uint32_t count, const int32_t *ids, uint32_t id_count,
                             struct str rack)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(places[i].rack, rack) && ids_contain(ids, id_count, places[i].id))
            return true;
    }
    return false;
}

/* Followers of one partition, whose leader is ids[0]. With racks, those come first that hold
 * nothing yet. */
static void add_followers(const struct place *places, uint32_t count, uint32_t racks, uint32_t first, uint32_t shift,
                          uint32_t replicas, int32_t *ids)
{
    uint32_t racks_used = 1;

    for (uint32_t n = 1, k = 0; n < replicas; k++) {
        const struct place *p = &places[follower_at(first, racks == 0 ? shift : shift * racks, k, count)];
        bool new_rack = racks > 0 && !rack_has_replica(places, count, ids, n, p->rack);
        if (ids_contain(ids, n, p->id) || (racks > 0 && !new_rack && racks_used < racks))
            continue;
        racks_used += new_rack;
        ids[n++] = p->id;
    }
}

int placements_spread(const struct place *places, uint32_t count, struct str topic, int32_t partitions,
                      uint32_t replicas, uint32_t start, uint32_t shift, struct placements *out, struct fail *f)
{
    struct place *order = arena_take_array(out->arena, count + 1, sizeof(*order));
    uint32_t racks = 0;

    ASSERT(order != NULL);
    if (count == 0)
        return fail_set(f, -EINVAL, "All brokers are currently fenced, or have all their log directories cordoned.");
    if (replicas > count)
        return fail_set(f, -EINVAL,
                        "The target replication factor of %u cannot be reached because only %u "
                        "broker(s) are registered or "
                        "some brokers have all their log directories cordoned.",
                        replicas, count);
    if (!str_is_null(places[0].rack))
        racks = alternate(out->arena, places, count, order);
    else
        memcpy(order, places, count * sizeof(*order));
    for (int32_t i = 0; i < partitions; i++) {
        int32_t *ids = arena_take_array(out->arena, replicas, sizeof(*ids));
        uint32_t first = ((uint32_t)i + start) % count;
        ASSERT(ids != NULL);
        shift += i > 0 && (uint32_t)i % count == 0;
        ids[0] = order[first].id;
        add_followers(order, count, racks, first, shift, replicas, ids);
        struct placement *p = placements_add(out, topic, i);
        p->replicas = ids;
        p->replica_count = replicas;
    }
    return 0;
}
