/* general.c - the sticky assignors when members want different topics.
 *
 * Members keep what they had and still want. What is left goes, partition by partition, to the
 * member with the fewest partitions (of equal ones, the first id) that wants the topic; topics that
 * fewest members want come first. Then partitions move, one by one, from a member to one that has
 * at least two less, until none can: first only those that were just given, then all. If all that
 * did not make sizes more equal, it is undone.
 *
 * This is not always the best balance: a chain of moves, each to a member with one less, is not
 * tried.
 */
#include "assignor/claims.h"
#include "assignor/movements.h"
#include "assignor/sort.h"

/* Each pass but the last moves something, and hardly ever more than a few do; what is there after
 * so many is an assignment, too. */
#define PASSES_MAX 100

struct general {
    struct view *v;
    const struct claims *claims;
    struct movements movements;
    int32_t *previous; /* partition -> who had it in an older generation, NOBODY */
    int32_t *order; /* all partitions of topics that two or more members want, in order of topics */
    int32_t *rest;  /* partitions that nobody had, in the same order, also of other topics */
    uint8_t *shares; /* member -> it wants a topic that others want, too: it could get or give */
    int32_t order_count, rest_count;
    int32_t least; /* no member that shares has less; it may be too low */
    bool revoked;  /* somebody had what it no longer wants, or what is in another rack */
    bool racks_matter;
    bool fresh; /* nobody had anything */
};

/* Who of those that want the topic has the fewest partitions; NOBODY only when `near` asks for
 * members that are not in another rack. */
static int32_t smallest(const struct general *g, int32_t partition, bool near)
{
    const struct view *v = g->v;
    const struct view_topic *t = &v->topics[v->topic_of[partition]];
    int64_t best = INT64_MAX;
    int32_t found = NOBODY;

    for (int32_t i = 0; i < t->member_count; i++) {
        const struct view_member *m = &v->members[t->members[i]];
        int64_t key = (int64_t)m->size << 32 | m->rank;

        if (key >= best || (near && view_rack_differs(v, t->members[i], partition)))
            continue;
        best = key;
        found = t->members[i];
    }
    return found;
}

static int compare_topics(const void *a, const void *b)
{
    const struct view_topic *x = *(const struct view_topic *const *)a;
    const struct view_topic *y = *(const struct view_topic *const *)b;

    if (x->member_count != y->member_count)
        return x->member_count < y->member_count ? -1 : 1;
    return x->first < y->first ? -1 : 1; /* that is, by name */
}

static int sort_partitions(struct general *g)
{
    struct view *v = g->v;
    const struct view_topic **topics =
        arena_take_array(v->arena, (size_t)v->topic_count, sizeof(*topics));

    if (topics == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < v->topic_count; i++)
        topics[i] = &v->topics[i];
    qsort(topics, (size_t)v->topic_count, sizeof(*topics), compare_topics);
    for (int32_t i = 0; i < v->topic_count; i++) {
        for (int32_t p = topics[i]->first; p < topics[i]->first + topics[i]->count; p++) {
            if (v->owner[p] == NOBODY)
                g->rest[g->rest_count++] = p;
            if (topics[i]->member_count > 1)
                g->order[g->order_count++] = p;
        }
    }
    return 0;
}

static void keep_claims(struct general *g)
{
    struct view *v = g->v;

    for (int32_t p = 0; p < v->partition_count; p++) {
        int32_t holder = g->claims->holder[p];

        if (holder == NOBODY)
            continue;
        if (view_wants(&v->topics[v->topic_of[p]], holder) &&
            !(g->racks_matter && view_rack_differs(v, holder, p)))
            view_give(v, p, holder);
        else
            g->revoked = true;
    }
}

/* Of older generations the newest counts. */
static void find_previous(struct general *g)
{
    const struct claim_list *lists = g->claims->lists;

    for (int32_t p = 0; p < g->v->partition_count; p++)
        g->previous[p] = NOBODY;
    for (int32_t m = 0; m < g->v->member_count; m++) {
        struct claim_walk walk = claim_walk(g->claims, g->v, m);

        if (lists[m].generation >= g->claims->generation)
            continue;
        for (int32_t p; (p = claim_next(&walk)) != NOBODY;) {
            int32_t before = g->previous[p];

            if (before == NOBODY || lists[m].generation > lists[before].generation)
                g->previous[p] = m;
        }
    }
}

static void give_rest(struct general *g)
{
    for (int32_t i = 0; g->racks_matter && i < g->rest_count; i++) {
        int32_t member = smallest(g, g->rest[i], true);

        if (member != NOBODY)
            view_give(g->v, g->rest[i], member);
    }
    for (int32_t i = 0; i < g->rest_count; i++) {
        if (g->v->owner[g->rest[i]] == NOBODY)
            view_give(g->v, g->rest[i], smallest(g, g->rest[i], false));
    }
}

/* The member that `partition` should go to; NOBODY = where it is. */
static int32_t better_owner(const struct general *g, int32_t partition)
{
    const struct view *v = g->v;
    int32_t size = v->members[v->owner[partition]].size, previous = g->previous[partition], other;

    if (size <= g->least + 1)
        return NOBODY;
    if (previous != NOBODY && size > v->members[previous].size + 1 &&
        view_wants(&v->topics[v->topic_of[partition]], previous))
        return previous;
    other = smallest(g, partition, false);
    return size > v->members[other].size + 1 ? other : NOBODY;
}

static int32_t find_least(const struct general *g)
{
    int32_t least = INT32_MAX - 1;

    for (int32_t m = 0; m < g->v->member_count; m++) {
        if (g->shares[m] != 0 && g->v->members[m].size < least)
            least = g->v->members[m].size;
    }
    return least;
}

/* Move `partition`, or what goes in its place, to `member`. */
MUST static int move(struct general *g, int32_t partition, int32_t member)
{
    int32_t chosen = movements_choose(&g->movements, partition, member);
    int32_t from = g->v->owner[chosen];

    TRY(movements_move(&g->movements, chosen, member));
    if (g->v->members[from].size < g->least)
        g->least = g->v->members[from].size;
    return 0;
}

/* -> whether something has moved, or ERR_LIMIT */
MUST static int balance(struct general *g, const int32_t *partitions, int32_t count)
{
    bool moved = false, again = true;

    for (int pass = 0; again && pass < PASSES_MAX; pass++) {
        again = false;
        g->least = find_least(g);
        for (int32_t i = 0; i < count; i++) {
            int32_t member = better_owner(g, partitions[i]);

            if (member == NOBODY)
                continue;
            TRY(move(g, partitions[i], member));
            moved = again = true;
        }
    }
    return moved;
}

/* The differences of all pairs of sizes, added up. */
static int64_t imbalance(int32_t *sizes, int32_t count)
{
    int64_t sum = 0, below = 0;

    sort_i32(sizes, count);
    for (int32_t i = 0; i < count; i++) {
        sum += (int64_t)sizes[i] * i - below;
        below += sizes[i];
    }
    return sum;
}

/* The sizes of the members that could get or give something. */
static int32_t sizes_of(const struct general *g, int32_t *sizes)
{
    int32_t count = 0;

    for (int32_t m = 0; m < g->v->member_count; m++) {
        if (g->shares[m] != 0)
            sizes[count++] = g->v->members[m].size;
    }
    return count;
}

/* All partitions may move; undone when sizes become no more equal. */
static int balance_all(struct general *g)
{
    struct view *v = g->v;
    int32_t *sizes = arena_take_array(v->arena, (size_t)v->member_count, sizeof(*sizes));
    int32_t *owner = arena_take_array(v->arena, (size_t)v->partition_count, sizeof(*owner));
    int64_t before;
    int moved;

    if (sizes == NULL || owner == NULL)
        return ERR_LIMIT;
    memcpy(owner, v->owner, (size_t)v->partition_count * sizeof(*owner));
    before = imbalance(sizes, sizes_of(g, sizes));
    if (!g->revoked)
        TRY(balance(g, g->rest, g->rest_count));
    moved = balance(g, g->order, g->order_count);
    if (moved < 0)
        return moved;
    if (moved == 0 || g->fresh || imbalance(sizes, sizes_of(g, sizes)) < before)
        return 0;
    for (int32_t p = 0; p < v->partition_count; p++)
        view_give(v, p, owner[p]);
    return 0;
}

/* Only what two or more members want can move. */
static void keep_movable(struct general *g)
{
    const struct view *v = g->v;
    int32_t kept = 0;

    for (int32_t i = 0; i < v->topic_count; i++) {
        for (int32_t k = 0; v->topics[i].member_count > 1 && k < v->topics[i].member_count; k++)
            g->shares[v->topics[i].members[k]] = 1;
    }
    for (int32_t i = 0; i < g->rest_count; i++) {
        if (v->topics[v->topic_of[g->rest[i]]].member_count > 1)
            g->rest[kept++] = g->rest[i];
    }
    g->rest_count = kept;
}

static int run(struct general *g)
{
    struct view *v = g->v;
    size_t partitions = (size_t)v->partition_count;

    TRY(movements_init(&g->movements, v));
    g->previous = arena_take_array(v->arena, partitions, sizeof(*g->previous));
    g->order = arena_take_array(v->arena, partitions, sizeof(*g->order));
    g->rest = arena_take_array(v->arena, partitions, sizeof(*g->rest));
    g->shares = arena_take_array(v->arena, (size_t)v->member_count, 1);
    if (g->previous == NULL || g->order == NULL || g->rest == NULL || g->shares == NULL)
        return ERR_LIMIT;
    g->racks_matter = view_racks_matter(v, v->by_rank, v->member_count, 0, v->partition_count);
    find_previous(g);
    keep_claims(g);
    TRY(sort_partitions(g));
    g->fresh = g->rest_count == v->partition_count;
    give_rest(g);
    keep_movable(g);
    return balance_all(g);
}

int general_assign(struct view *v, const struct claims *c)
{
    struct general g = {.v = v, .claims = c};
    int error = run(&g);

    movements_deinit(&g.movements);
    return error;
}
