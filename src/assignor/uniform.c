/* uniform.c - the sticky assignors when every member wants every topic.
 *
 * N members share P partitions: each gets P / N, and P % N of them one more. A member keeps of what
 * it had as much as its share allows, from the lowest partition numbers on; whoever has P / N + 1
 * and is among the first P % N of these keeps all of it. What is left is dealt in order of topics
 * and partitions to those below P / N, in order of their ids, and then to those that may have one
 * more. When racks matter, what lies in another rack is not kept, and what is left is first dealt
 * within racks, beginning with the partitions that fewest members are near.
 */
#include "assignor/claims.h"
#include "assignor/sort.h"

struct uniform {
    struct view *v;
    const struct claims *claims;
    int32_t share;      /* P / N */
    int32_t larger;     /* members that get one more */
    int32_t larger_now; /* members that have one more */
    int32_t *below;     /* ranks of members with less than their share */
    int32_t *at;        /* ranks of members with their share that may get one more */
    int32_t *rest;      /* partitions that nobody has */
    int32_t below_count, at_count, rest_count;
    bool racks_matter;
};

static void have_one_more(struct uniform *u)
{
    u->larger_now++;
    if (u->larger_now == u->larger)
        u->at_count = 0; /* the others have their share */
}

/* A member keeps what its share allows of `kept`, its `count` partitions. */
static void keep(struct uniform *u, int32_t member, const int64_t *kept, int32_t count)
{
    int32_t rank = u->v->members[member].rank, allowed = count;

    if (count < u->share) {
        u->below[u->below_count++] = rank;
    } else if (count > u->share && u->larger_now < u->larger) {
        allowed = u->share + 1;
        have_one_more(u);
    } else {
        allowed = u->share;
        if (u->larger_now < u->larger)
            u->at[u->at_count++] = rank;
    }
    for (int32_t i = 0; i < allowed; i++)
        view_give(u->v, (int32_t)(uint32_t)kept[i], member);
}

static bool may_keep(const struct uniform *u, int32_t partition)
{
    int32_t holder = u->claims->holder[partition];

    return holder != NOBODY && !(u->racks_matter && view_rack_differs(u->v, holder, partition));
}

static int keep_claims(struct uniform *u)
{
    struct view *v = u->v;
    int32_t *end = arena_take_array(v->arena, (size_t)v->member_count + 1, sizeof(*end));
    int64_t *keys = arena_take_array(v->arena, (size_t)v->partition_count, sizeof(*keys));
    int32_t start = 0;

    if (end == NULL || keys == NULL)
        return ERR_LIMIT;
    /* The partitions of one member after those of another: end[m] moves from start to end. */
    for (int32_t p = 0; p < v->partition_count; p++) {
        if (may_keep(u, p))
            end[u->claims->holder[p] + 1]++;
    }
    for (int32_t m = 0; m < v->member_count; m++)
        end[m + 1] += end[m];
    for (int32_t p = 0; p < v->partition_count; p++) {
        int32_t number = p - v->topics[v->topic_of[p]].first;

        if (may_keep(u, p)) /* lower numbers first, of equal ones the first topic */
            keys[end[u->claims->holder[p]]++] = (int64_t)number << 32 | p;
    }
    for (int32_t m = 0; m < v->member_count; start = end[m++]) {
        sort_i64(keys + start, end[m] - start);
        keep(u, m, keys + start, end[m] - start);
    }
    return 0;
}

/* Members whose rack has a replica, each replica's rack counted. */
static int64_t members_near(const struct view *v, const int32_t *members_of_rack, int32_t p)
{
    int64_t near = 0;

    for (int32_t i = v->rack_start[p]; i < v->rack_start[p + 1]; i++)
        near += members_of_rack[v->rack_ids[i]];
    return near;
}

static int sort_rest_by_racks(struct uniform *u)
{
    struct view *v = u->v;
    int32_t *members_of_rack =
        arena_take_array(v->arena, (size_t)v->rack_count, sizeof(*members_of_rack));
    int64_t *keys = arena_take_array(v->arena, (size_t)u->rest_count, sizeof(*keys));

    if (members_of_rack == NULL || keys == NULL)
        return ERR_LIMIT;
    for (int32_t m = 0; m < v->member_count; m++) {
        if (v->members[m].rack >= 0)
            members_of_rack[v->members[m].rack]++;
    }
    for (int32_t i = 0; i < u->rest_count; i++)
        keys[i] = members_near(v, members_of_rack, u->rest[i]) << 32 | u->rest[i];
    sort_i64(keys, u->rest_count);
    for (int32_t i = 0; i < u->rest_count; i++)
        u->rest[i] = (int32_t)(uint32_t)keys[i];
    return 0;
}

/* The first of `ranks` from `first` on, in a circle, whose member is near; -1 when there is none.
 */
static int32_t find_near(const struct uniform *u, const int32_t *ranks, int32_t count,
                         int32_t first, int32_t partition)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t at = first + i < count ? first + i : first + i - count;

        if (view_rack_matches(u->v, u->v->by_rank[ranks[at]], partition))
            return at;
    }
    return -1;
}

static void remove_at(int32_t *ranks, int32_t *count, int32_t at)
{
    memmove(ranks + at, ranks + at + 1, (size_t)(--*count - at) * sizeof(*ranks));
}

/* Give `partition` to a member in a rack of its; `next` is where the search in `below` goes on. */
static bool deal_within_racks(struct uniform *u, int32_t partition, int32_t *next)
{
    int32_t at = find_near(u, u->below, u->below_count, *next, partition), rank;

    if (at >= 0) {
        rank = u->below[at];
        view_give(u->v, partition, u->v->by_rank[rank]);
        if (u->v->members[u->v->by_rank[rank]].size < u->share) {
            at++;
        } else {
            remove_at(u->below, &u->below_count, at);
            if (u->larger_now < u->larger)
                u->at[u->at_count++] = rank;
        }
        *next = u->below_count == 0 ? 0 : at % u->below_count;
        return true;
    }
    at = find_near(u, u->at, u->at_count, 0, partition);
    if (at < 0)
        return false;
    view_give(u->v, partition, u->v->by_rank[u->at[at]]);
    remove_at(u->at, &u->at_count, at);
    have_one_more(u);
    return true;
}

static void deal_rest_within_racks(struct uniform *u)
{
    int32_t left = 0, next = 0;

    for (int32_t i = 0; i < u->rest_count; i++) {
        if (!deal_within_racks(u, u->rest[i], &next))
            u->rest[left++] = u->rest[i];
    }
    u->rest_count = left;
}

/* In rounds over those below their share, and then one for each of those that may have one more. */
static void deal_rest(struct uniform *u)
{
    int32_t next = 0, still_below = 0, next_at = 0;

    for (int32_t i = 0; i < u->rest_count; i++) {
        int32_t rank;

        if (next == u->below_count) {
            u->below_count = still_below;
            next = still_below = 0;
        }
        if (u->below_count == 0) {
            ASSERT(next_at < u->at_count); /* shares add up to all partitions */
            view_give(u->v, u->rest[i], u->v->by_rank[u->at[next_at++]]);
            continue;
        }
        rank = u->below[next++];
        view_give(u->v, u->rest[i], u->v->by_rank[rank]);
        if (u->v->members[u->v->by_rank[rank]].size < u->share)
            u->below[still_below++] = rank;
        else
            u->at[u->at_count++] = rank;
    }
}

static int uniform_init(struct uniform *u, struct view *v, const struct claims *c)
{
    size_t n = (size_t)v->member_count;

    *u = (struct uniform){.v = v, .claims = c};
    u->share = v->partition_count / v->member_count;
    u->larger = v->partition_count % v->member_count;
    u->below = arena_take_array(v->arena, n, sizeof(*u->below));
    u->at = arena_take_array(v->arena, n, sizeof(*u->at));
    u->rest = arena_take_array(v->arena, (size_t)v->partition_count, sizeof(*u->rest));
    if (u->below == NULL || u->at == NULL || u->rest == NULL)
        return ERR_LIMIT;
    u->racks_matter = view_racks_matter(v, v->by_rank, v->member_count, 0, v->partition_count);
    return 0;
}

int uniform_assign(struct view *v, const struct claims *c)
{
    struct uniform u;

    if (v->partition_count == 0)
        return 0;
    TRY(uniform_init(&u, v, c));
    TRY(keep_claims(&u));
    for (int32_t p = 0; p < v->partition_count; p++) {
        if (v->owner[p] == NOBODY)
            u.rest[u.rest_count++] = p;
    }
    sort_i32(u.below, u.below_count);
    sort_i32(u.at, u.at_count);
    if (u.racks_matter) {
        TRY(sort_rest_by_racks(&u));
        deal_rest_within_racks(&u);
    }
    deal_rest(&u);
    return 0;
}
