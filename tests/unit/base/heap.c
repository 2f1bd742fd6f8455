#include "check.h"

enum { NODES = 300 };

static void check_heap(const struct heap *h)
{
    for (size_t i = 1; i <= h->count; i++) {
        const struct heap_node *parent = h->nodes[i / 2];
        CHECK_EQ(h->nodes[i]->position, i);
        if (i == 1)
            continue;
        CHECK(parent->key < h->nodes[i]->key ||
              (parent->key == h->nodes[i]->key && parent->sequence < h->nodes[i]->sequence));
    }
}

/* Smallest by looking at all. */
static struct heap_node *first_of(struct heap_node *nodes)
{
    struct heap_node *first = NULL;

    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *n = &nodes[i];
        if (n->position == 0)
            continue;
        if (first == NULL || n->key < first->key ||
            (n->key == first->key && n->sequence < first->sequence))
            first = n;
    }
    return first;
}

TEST(heap, agrees_with_a_search_over_all)
{
    struct heap_node nodes[NODES] = {0};
    struct heap h;
    struct prng g;
    size_t count = 0;

    heap_init(&h);
    prng_init(&g, 4);
    for (int step = 0; step < 20000; step++) {
        struct heap_node *n = &nodes[prng_below(&g, NODES)];
        if (n->position != 0) {
            heap_remove(&h, n);
            count--;
        } else if (prng_chance(&g, step / 1000 % 2 == 0 ? 900000 : 300000)) {
            heap_add(&h, n, (int64_t)prng_below(&g, 50) - 25);
            count++;
        }
        CHECK_EQ(h.count, count);
        CHECK(heap_first(&h) == first_of(nodes));
        if (step % 100 == 0)
            check_heap(&h);
    }
    heap_deinit(&h);
}

TEST(heap, equal_keys_leave_as_they_came)
{
    struct heap_node nodes[100] = {0};
    struct heap h;

    heap_init(&h);
    CHECK(heap_first(&h) == NULL);
    for (size_t i = 0; i < array_count(nodes); i++)
        heap_add(&h, &nodes[i], (int64_t)(i % 2));
    for (size_t i = 0; i < array_count(nodes); i++) {
        struct heap_node *first = heap_first(&h);
        CHECK_EQ(first - nodes, i < 50 ? 2 * i : 2 * (i - 50) + 1);
        heap_remove(&h, first);
    }
    CHECK(heap_first(&h) == NULL);
    heap_deinit(&h);
}

TEST(heap, keys_may_be_extreme)
{
    struct heap_node nodes[3] = {0};
    struct heap h;

    heap_init(&h);
    heap_add(&h, &nodes[0], INT64_MAX);
    heap_add(&h, &nodes[1], 0);
    heap_add(&h, &nodes[2], INT64_MIN);
    CHECK(heap_first(&h) == &nodes[2]);
    heap_remove(&h, &nodes[2]);
    CHECK(heap_first(&h) == &nodes[1]);
    heap_deinit(&h);
}

TEST(heap, adding_twice_or_removing_what_is_not_there_is_a_bug)
{
    struct heap_node a = {0}, b = {0};
    struct heap h;

    heap_init(&h);
    heap_add(&h, &a, 1);
    CHECK_ASSERTS(heap_add(&h, &a, 2));
    CHECK_ASSERTS(heap_remove(&h, &b));
    heap_deinit(&h);
}
