#include "consumer/tp_set.h"

#include <stdlib.h>

int tp_compare(struct consumer_partition a, struct consumer_partition b)
{
    int order = str_compare(a.topic, b.topic);

    return order != 0 ? order : (a.partition > b.partition) - (a.partition < b.partition);
}

uint64_t tp_hash(struct consumer_partition p)
{
    return str_hash(p.topic) * 31 + (uint32_t)p.partition;
}

static int compare(const void *a, const void *b)
{
    return tp_compare(*(const struct consumer_partition *)a, *(const struct consumer_partition *)b);
}

/* `items` are sorted, and without repeats. */
static struct tp_set of_sorted(const struct consumer_partition *items, uint32_t count)
{
    struct tp_set s = {.count = count};
    size_t bytes = count * sizeof *items;
    char *text;

    if (count == 0)
        return s;
    for (uint32_t i = 0; i < count; i++)
        bytes += i == 0 || !str_equal(items[i].topic, items[i - 1].topic) ? (size_t)items[i].topic.n : 0;
    s.items = malloc(bytes);
    ASSERT(s.items != NULL);
    text = (char *)&s.items[count];
    for (uint32_t i = 0; i < count; i++) {
        s.items[i].partition = items[i].partition;
        if (i > 0 && str_equal(items[i].topic, items[i - 1].topic)) {
            s.items[i].topic = s.items[i - 1].topic;
            continue;
        }
        memcpy(text, items[i].topic.p, (size_t)items[i].topic.n);
        s.items[i].topic = (struct str){text, items[i].topic.n};
        text += items[i].topic.n;
    }
    return s;
}

struct tp_set tp_set_of(const struct consumer_partition *partitions, uint32_t count)
{
    struct consumer_partition *sorted;
    struct tp_set s;
    uint32_t n = 0;

    if (count == 0)
        return (struct tp_set){0};
    sorted = malloc(count * sizeof *sorted);
    ASSERT(sorted != NULL);
    memcpy(sorted, partitions, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    for (uint32_t i = 0; i < count; i++) {
        if (n == 0 || tp_compare(sorted[n - 1], sorted[i]) != 0)
            sorted[n++] = sorted[i];
    }
    s = of_sorted(sorted, n);
    free(sorted);
    return s;
}

void tp_set_free(struct tp_set *s)
{
    free(s->items);
    *s = (struct tp_set){0};
}

bool tp_set_has(const struct tp_set *s, struct consumer_partition p)
{
    return s->count > 0 && bsearch(&p, s->items, s->count, sizeof p, compare) != NULL;
}

bool tp_set_equal(const struct tp_set *a, const struct tp_set *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (tp_compare(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

struct tp_set tp_set_cut(const struct tp_set *a, const struct tp_set *b, bool in_b)
{
    struct consumer_partition *items;
    struct tp_set s;
    uint32_t n = 0;

    if (a->count == 0)
        return (struct tp_set){0};
    items = malloc(a->count * sizeof *items);
    ASSERT(items != NULL);
    for (uint32_t i = 0; i < a->count; i++) {
        if (tp_set_has(b, a->items[i]) == in_b)
            items[n++] = a->items[i];
    }
    s = of_sorted(items, n);
    free(items);
    return s;
}
