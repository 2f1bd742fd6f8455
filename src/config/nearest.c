/* The known name that an unknown one was perhaps meant to be. */
#include "config/internal.h"

#define NAME_MAX_BYTES 100 /* longer ones are nobody's typing mistake */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Letters to put in, leave out, change, or swap with their neighbour to make `b` of `a` (optimal
 * string alignment). */
static uint32_t distance(struct str a, struct str b)
{
    uint32_t rows[3][NAME_MAX_BYTES + 1];
    uint32_t *before_last = rows[0], *last = rows[1], *row = rows[2];

    for (int32_t j = 0; j <= b.n; j++)
        last[j] = (uint32_t)j;
    for (int32_t i = 1; i <= a.n; i++) {
        row[0] = (uint32_t)i;
        for (int32_t j = 1; j <= b.n; j++) {
            uint32_t cost = a.p[i - 1] == b.p[j - 1] ? 0 : 1;
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                row[j] = least(row[j], before_last[j - 2] + 1);
        }
        uint32_t *free_row = before_last;
        before_last = last;
        last = row;
        row = free_row;
    }
    return last[b.n];
}

const char *setting_nearest(const struct config_table *table, struct str name)
{
    const char *nearest = NULL;
    uint32_t least_distance = (uint32_t)(name.n < 4 ? 0 : name.n / 4) + 1;

    if (name.n > NAME_MAX_BYTES)
        return NULL;
    for (uint32_t i = 0; i < table->count; i++) {
        struct str known = str_of(table->settings[i].name);
        ASSERT(known.n <= NAME_MAX_BYTES);
        uint32_t longer = (uint32_t)(known.n > name.n ? known.n - name.n : name.n - known.n);
        if (table->settings[i].internal || longer >= least_distance)
            continue;
        uint32_t d = distance(name, known);
        if (d < least_distance) {
            least_distance = d;
            nearest = table->settings[i].name;
        }
    }
    return nearest;
}
