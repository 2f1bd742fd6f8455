/* How often a request names the same thing. Sorted, not hashed: a request may name as many things as a frame
 * can hold, and names can be chosen so that their hashes collide. */
#include "controller/internal.h"

#include <stdlib.h>

struct tally_row {
    struct named named;
    int32_t at; /* where the request has it */
};

static int compare_named(const struct named *a, const struct named *b)
{
    int order = str_compare(a->name, b->name);

    if (order == 0)
        order = uuid_compare(a->id, b->id);
    if (order == 0)
        order = a->type - b->type;
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare_rows(const void *a, const void *b)
{
    const struct tally_row *left = a, *right = b;
    int order = compare_named(&left->named, &right->named);

    if (order != 0)
        return order;
    return (left->at > right->at) - (left->at < right->at);
}

void tally_make(struct tally *t, struct arena *arena, int32_t count)
{
    *t = (struct tally){.rows = arena_take_array(arena, (size_t)count, sizeof(*t->rows))};
    ASSERT(t->rows != NULL); /* a decision's scratch has no limit */
}

void tally_add(struct tally *t, struct named named)
{
    t->rows[t->count] = (struct tally_row){named, t->count};
    t->count++;
}

void tally_sort(struct tally *t)
{
    qsort(t->rows, (size_t)t->count, sizeof(*t->rows), compare_rows);
}

/* The first row that is not below `named`. */
static int32_t lower_bound(const struct tally *t, const struct named *named)
{
    int32_t low = 0, high = t->count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (compare_named(&t->rows[middle].named, named) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct tally *t, int32_t row, const struct named *named)
{
    return row < t->count && compare_named(&t->rows[row].named, named) == 0;
}

int32_t tally_first(const struct tally *t, struct named named)
{
    int32_t row = lower_bound(t, &named);

    return is_at(t, row, &named) ? t->rows[row].at : -1;
}

bool tally_is_repeated(const struct tally *t, struct named named)
{
    return is_at(t, lower_bound(t, &named) + 1, &named);
}

const struct named *tally_second(const struct tally *t)
{
    const struct tally_row *second = NULL;

    for (int32_t i = 1; i < t->count; i++) {
        const struct tally_row *row = &t->rows[i];
        if ((second == NULL || row->at < second->at) && compare_named(&row[-1].named, &row->named) == 0)
            second = row;
    }
    return second == NULL ? NULL : &second->named;
}
