/* A topic's partitions spread over brokers.
 *
 *   racks by name, their brokers by id, each list from a place drawn at random:
 *     partition 0   A1 B2 C1      one broker of each rack in turn; when each has given one, another one
 *     partition 1   B3 C2 A2      from the next rack on, and in each rack from the next broker on
 *     ...                         after as many partitions as there are brokers all lists are shuffled
 */
#include "cli/placements.h"

#include <errno.h>
#include <stdlib.h>

struct rack {
    struct place *places; /* of the rack */
    uint32_t count;
    uint32_t first, given; /* for the partition `turn`: where it begins, how many it has given */
    int32_t turn;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = str_is_null(x->rack) ? 0 : str_compare(x->rack, y->rack);

    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static bool begins_rack(const struct place *sorted, uint32_t i)
{
    return i == 0 || (!str_is_null(sorted[i].rack) && !str_equal(sorted[i].rack, sorted[i - 1].rack));
}

static uint32_t gather(struct arena *a, const struct place *places, uint32_t count, struct prng *random,
                       struct rack **out)
{
    struct place *sorted = arena_take_array(a, count, sizeof(*sorted));
    struct rack *racks = arena_take_array(a, count, sizeof(*racks));
    uint32_t n = 0;

    ASSERT(sorted != NULL);
    ASSERT(racks != NULL);
    memcpy(sorted, places, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_places);
    for (uint32_t i = 0; i < count; i++) {
        if (begins_rack(sorted, i))
            racks[n++] = (struct rack){.places = &sorted[i]};
        racks[n - 1].count++;
    }
    for (uint32_t i = 0; i < n; i++)
        racks[i].first = (uint32_t)prng_below(random, racks[i].count);
    *out = racks;
    return n;
}

static void shuffle(struct rack *racks, uint32_t count, struct prng *random)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t at = (uint32_t)prng_below(random, i);
        struct rack other = racks[at];
        racks[at] = racks[i - 1];
        racks[i - 1] = other;
    }
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t i = racks[r].count; i > 1; i--) {
            uint32_t at = (uint32_t)prng_below(random, i);
            struct place other = racks[r].places[at];
            racks[r].places[at] = racks[r].places[i - 1];
            racks[r].places[i - 1] = other;
        }
    }
}

/* The rack's next broker for the partition; false when it has given all. */
static bool give(struct rack *r, int32_t partition, int32_t *id)
{
    if (r->turn != partition) {
        r->turn = partition;
        r->first = (r->first + 1) % r->count;
        r->given = 0;
    }
    if (r->given == r->count)
        return false;
    *id = r->places[(r->first + r->given++) % r->count].id;
    return true;
}

int placements_spread(const struct place *places, uint32_t count, struct str topic, int32_t partitions,
                      uint32_t replicas, struct prng *random, struct placements *out, struct fail *f)
{
    struct rack *racks = NULL;
    uint32_t rack_count, first;

    if (count == 0)
        return fail_set(f, -EINVAL, "All brokers are currently fenced, or have all their log directories cordoned.");
    if (replicas > count)
        return fail_set(f, -EINVAL,
                        "The target replication factor of %u cannot be reached because only %u "
                        "broker(s) are registered or "
                        "some brokers have all their log directories cordoned.",
                        replicas, count);
    rack_count = gather(out->arena, places, count, random, &racks);
    first = (uint32_t)prng_below(random, rack_count);
    for (int32_t i = 0; i < partitions; i++) {
        int32_t *ids = arena_take_array(out->arena, replicas, sizeof(*ids));
        uint32_t at = first;
        ASSERT(ids != NULL);
        if (i > 0 && (uint32_t)i % count == 0)
            shuffle(racks, rack_count, random);
        for (uint32_t n = 0; n < replicas; at = (at + 1) % rack_count)
            n += give(&racks[at], i, &ids[n]);
        first = (first + 1) % rack_count;
        struct placement *p = placements_add(out, topic, i);
        p->replicas = ids;
        p->replica_count = replicas;
    }
    return 0;
}
