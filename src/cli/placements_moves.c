/* Few moves to where partitions should be: away from a broker, or spread over all. */
#include "cli/placements.h"

#include <errno.h>

/* A copy of the placements whose replicas are changed, and what each place holds meanwhile. */
struct work {
    const struct place *places;
    uint32_t count;
    uint32_t *replicas, *leaders; /* of each place; of leaders, the preferred ones */
    int32_t **ids;                /* of each placement */
    const struct placements *now;
};

static uint32_t at_of(const struct work *w, int32_t id)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->places[i].id == id)
            return i;
    }
    return w->count; /* a broker that is no place: it is away, or leaves */
}

static void work_begin(struct work *w, struct arena *a, const struct placements *now, const struct place *places,
                       uint32_t count)
{
    *w = (struct work){.places = places, .count = count, .now = now};
    w->replicas = arena_take_array(a, count + 1, sizeof(*w->replicas));
    w->leaders = arena_take_array(a, count + 1, sizeof(*w->leaders));
    w->ids = arena_take_array(a, now->count + 1, sizeof(*w->ids));
    ASSERT(w->replicas != NULL);
    ASSERT(w->leaders != NULL);
    ASSERT(w->ids != NULL);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct placement *p = &now->all[i];
        w->ids[i] = arena_take_array(a, p->replica_count + 1, sizeof(*w->ids[i]));
        ASSERT(w->ids[i] != NULL);
        for (uint32_t r = 0; r < p->replica_count; r++) {
            w->ids[i][r] = p->replicas[r];
            w->replicas[at_of(w, p->replicas[r])]++;
        }
        if (p->replica_count > 0)
            w->leaders[at_of(w, p->replicas[0])]++;
    }
}

/* Add to `out` what is not as it was. */
static void work_end(const struct work *w, struct placements *out)
{
    for (uint32_t i = 0; i < w->now->count; i++) {
        const struct placement *p = &w->now->all[i];
        if (p->replica_count == 0 || memcmp(p->replicas, w->ids[i], p->replica_count * sizeof(*p->replicas)) == 0)
            continue;
        struct placement *to = placements_add(out, p->topic, p->partition);
        to->replicas = w->ids[i];
        to->replica_count = p->replica_count;
    }
}

/* Whether a replica of placement `i` other than number `besides` lies in the rack. Unknown racks
 * have nothing in common. */
static bool rack_is_used(const struct work *w, uint32_t i, uint32_t besides, struct str rack)
{
    for (uint32_t r = 0; !str_is_null(rack) && r < w->now->all[i].replica_count; r++) {
        uint32_t at = at_of(w, w->ids[i][r]);
        if (r != besides && at < w->count && str_equal(w->places[at].rack, rack))
            return true;
    }
    return false;
}

/* Replica `r` of placement `i` goes to a place that has none of it. */
static void move(struct work *w, uint32_t i, uint32_t r, uint32_t to)
{
    uint32_t from = at_of(w, w->ids[i][r]);

    w->replicas[from]--;
    w->replicas[to]++;
    if (r == 0) {
        w->leaders[from]--;
        w->leaders[to]++;
    }
    w->ids[i][r] = w->places[to].id;
}

static void put_first(struct work *w, uint32_t i, uint32_t r)
{
    int32_t first = w->ids[i][0];

    w->leaders[at_of(w, first)]--;
    w->leaders[at_of(w, w->ids[i][r])]++;
    w->ids[i][0] = w->ids[i][r];
    w->ids[i][r] = first;
}

/* ---- away from a broker -----------------------------------------------------------------------
 */

static uint32_t best_place(const struct work *w, uint32_t i, uint32_t r)
{
    uint32_t best = w->count;
    bool best_is_used = false;

    for (uint32_t at = 0; at < w->count; at++) {
        if (ids_contain(w->ids[i], w->now->all[i].replica_count, w->places[at].id))
            continue;
        bool used = rack_is_used(w, i, r, w->places[at].rack);
        if (best == w->count || (best_is_used && !used) ||
            (best_is_used == used && w->replicas[at] < w->replicas[best])) {
            best = at;
            best_is_used = used;
        }
    }
    return best;
}

int placements_leave(const struct placements *now, const struct place *places, uint32_t count, int32_t leaving,
                     struct placements *out, struct fail *f)
{
    struct work w;

    work_begin(&w, out->arena, now, places, count);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct placement *p = &now->all[i];
        for (uint32_t r = 0; r < p->replica_count; r++) {
            if (p->replicas[r] != leaving)
                continue;
            uint32_t to = best_place(&w, i, r), first = 0;
            if (to == count)
                return fail_set(f, -EINVAL,
                                "%.*s-%d has %u replicas, and without broker %d no broker is there "
                                "to hold the last of them: "
                                "start another broker, or give the topic fewer replicas "
                                "(kafka-reassign-partitions.sh)",
                                STR_ARG(p->topic), p->partition, p->replica_count, leaving);
            move(&w, i, r, to);
            for (uint32_t k = 1; r == 0 && k < p->replica_count; k++) {
                uint32_t at = at_of(&w, w.ids[i][k]);
                if (at < count && w.leaders[at] + 1 < w.leaders[at_of(&w, w.ids[i][first])] + (first > 0))
                    first = k;
            }
            if (first > 0)
                put_first(&w, i, first);
        }
    }
    work_end(&w, out);
    return 0;
}

/* ---- spread over all --------------------------------------------------------------------------
 */

/* One replica from one place to another: a follower, where there is one. False: none may go. */
static bool move_one(struct work *w, uint32_t from, uint32_t to)
{
    uint32_t best = 0, best_r = UINT32_MAX;

    for (uint32_t i = 0; i < w->now->count && best_r != 1; i++) {
        uint32_t n = w->now->all[i].replica_count;
        if (ids_contain(w->ids[i], n, w->places[to].id))
            continue;
        for (uint32_t r = 0; r < n; r++) {
            if (w->ids[i][r] != w->places[from].id ||
                (rack_is_used(w, i, r, w->places[to].rack) && !rack_is_used(w, i, r, w->places[from].rack)))
                continue;
            if (best_r == UINT32_MAX || (best_r == 0 && r > 0)) {
                best = i;
                best_r = r;
            }
        }
    }
    if (best_r == UINT32_MAX)
        return false;
    move(w, best, best_r, to);
    return true;
}

/* The replica of one place that comes first gives way to one of another place. */
static bool lead_one(struct work *w, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < w->now->count; i++) {
        for (uint32_t r = 1; r < w->now->all[i].replica_count && w->ids[i][0] == w->places[from].id; r++) {
            if (w->ids[i][r] == w->places[to].id) {
                put_first(w, i, r);
                return true;
            }
        }
    }
    return false;
}

/* Take one step from a place that has more to one that has fewer by two, the furthest apart first.
 * False: there is none. */
static bool step(struct work *w, const uint32_t *load, bool (*one)(struct work *, uint32_t, uint32_t))
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < w->count; i++)
        most = load[i] > most ? load[i] : most;
    for (uint32_t gap = most; gap >= 2; gap--) {
        for (uint32_t from = 0; from < w->count; from++) {
            for (uint32_t to = 0; to < w->count; to++) {
                if (load[from] >= gap && load[from] - gap == load[to] && one(w, from, to))
                    return true;
            }
        }
    }
    return false;
}

void placements_balance(const struct placements *now, const struct place *places, uint32_t count,
                        struct placements *out)
{
    struct work w;

    work_begin(&w, out->arena, now, places, count);
    while (step(&w, w.replicas, move_one)) /* ends: each step brings two places nearer to each other */
        ;
    while (step(&w, w.leaders, lead_one))
        ;
    work_end(&w, out);
}

uint32_t placements_copies(const struct placements *now, const struct placements *moves)
{
    uint32_t copies = 0;

    for (uint32_t i = 0; i < moves->count; i++) {
        const struct placement *to = &moves->all[i], *is = placements_find(now, to->topic, to->partition);
        for (uint32_t r = 0; r < to->replica_count; r++)
            copies += is == NULL || !ids_contain(is->replicas, is->replica_count, to->replicas[r]);
    }
    return copies;
}
