/* racks.c - which members are near which partitions (KIP-881). */
#include "assignor/view.h"

/* The racks that were met, sorted by name; a rack's number says when it was met first. */
struct rack_names {
    struct rack_name {
        struct str name;
        int32_t number;
    } * sorted;
    int32_t count, room;
};

static int make_room(struct rack_names *names, struct arena *arena)
{
    int32_t room = names->room == 0 ? 16 : 2 * names->room;
    struct rack_name *larger = arena_take_array(arena, (size_t)room, sizeof(*larger));

    if (larger == NULL)
        return ERR_LIMIT;
    if (names->count > 0)
        memcpy(larger, names->sorted, (size_t)names->count * sizeof(*larger));
    names->sorted = larger;
    names->room = room;
    return 0;
}

/* -> the rack's number */
MUST static int number_of(struct rack_names *names, struct str name, struct arena *arena)
{
    int32_t low = 0, high = names->count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = str_compare(names->sorted[middle].name, name);

        if (order == 0)
            return names->sorted[middle].number;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (names->count == names->room)
        TRY(make_room(names, arena));
    memmove(&names->sorted[low + 1], &names->sorted[low],
            (size_t)(names->count - low) * sizeof(*names->sorted));
    names->sorted[low] = (struct rack_name){name, names->count};
    return names->count++;
}

static int number_of_members(struct view *v, struct rack_names *names)
{
    for (int32_t m = 0; m < v->member_count; m++) {
        struct str rack = v->members[m].given->subscription.rack_id;

        if (rack.n <= 0)
            continue;
        v->members[m].rack = number_of(names, rack, v->arena);
        if (v->members[m].rack < 0)
            return v->members[m].rack;
    }
    return 0;
}

/* The racks of one partition's replicas behind `*end`, each once. */
static int number_of_replicas(struct view *v, const struct assignor_racks *racks,
                              struct rack_names *names, int32_t *end)
{
    int32_t start = *end;

    for (int32_t i = 0; i < racks->count; i++) {
        int number;
        int32_t at = start;

        if (str_is_null(racks->racks[i]))
            continue;
        number = number_of(names, racks->racks[i], v->arena);
        if (number < 0)
            return number;
        while (at < *end && v->rack_ids[at] != number)
            at++;
        if (at == *end)
            v->rack_ids[(*end)++] = number;
    }
    return 0;
}

static int64_t count_replicas(const struct view *v)
{
    int64_t count = 0;

    for (int32_t i = 0; i < v->topic_count; i++) {
        const struct view_topic *t = &v->topics[i];

        for (int32_t p = 0; t->racks != NULL && p < t->count; p++)
            count += t->racks[p].count;
    }
    return count;
}

int view_number_racks(struct view *v)
{
    struct rack_names names = {0};
    int64_t replicas = count_replicas(v);
    int32_t end = 0;

    TRY(number_of_members(v, &names));
    if (names.count == 0)
        return 0;
    if (replicas > INT32_MAX)
        return ERR_LIMIT;
    v->rack_start =
        arena_take_array(v->arena, (size_t)v->partition_count + 1, sizeof(*v->rack_start));
    v->rack_ids = arena_take_array(v->arena, (size_t)replicas, sizeof(*v->rack_ids));
    if (v->rack_start == NULL || v->rack_ids == NULL)
        return ERR_LIMIT;
    for (int32_t p = 0; p < v->partition_count; p++) {
        const struct view_topic *t = &v->topics[v->topic_of[p]];

        v->rack_start[p] = end;
        if (t->racks != NULL)
            TRY(number_of_replicas(v, &t->racks[p - t->first], &names, &end));
    }
    v->rack_start[v->partition_count] = end;
    v->rack_count = names.count;
    v->rack_seen = arena_take_array(v->arena, (size_t)names.count, 1);
    return v->rack_seen == NULL ? ERR_LIMIT : 0;
}

bool view_rack_matches(const struct view *v, int32_t member, int32_t partition)
{
    int32_t rack = v->members[member].rack;

    if (rack < 0)
        return false;
    for (int32_t i = v->rack_start[partition]; i < v->rack_start[partition + 1]; i++) {
        if (v->rack_ids[i] == rack)
            return true;
    }
    return false;
}

bool view_rack_differs(const struct view *v, int32_t member, int32_t partition)
{
    return v->members[member].rack >= 0 && !view_rack_matches(v, member, partition);
}

enum { RACK_HAS_MEMBER = 1, RACK_HAS_REPLICA = 2 };

bool view_racks_matter(struct view *v, const int32_t *members, int32_t member_count, int32_t first,
                       int32_t count)
{
    int32_t racks_of_all = 0;
    bool meet = false, alike = true;

    if (v->rack_start == NULL)
        return false;
    memset(v->rack_seen, 0, (size_t)v->rack_count);
    for (int32_t i = 0; i < member_count; i++) {
        if (v->members[members[i]].rack >= 0)
            v->rack_seen[v->members[members[i]].rack] |= RACK_HAS_MEMBER;
    }
    for (int32_t i = v->rack_start[first]; i < v->rack_start[first + count]; i++) {
        uint8_t *rack = &v->rack_seen[v->rack_ids[i]];

        meet |= (*rack & RACK_HAS_MEMBER) != 0;
        racks_of_all += (*rack & RACK_HAS_REPLICA) == 0;
        *rack |= RACK_HAS_REPLICA;
    }
    for (int32_t p = first; p < first + count; p++)
        alike &= v->rack_start[p + 1] - v->rack_start[p] == racks_of_all;
    return meet && !alike;
}
