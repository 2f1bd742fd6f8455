#include "check.h"

#include <stdlib.h>

struct entry {
    struct map_node node;
    int key;
    bool in;
    bool seen;
};

enum { ENTRIES = 500 };

static bool entry_equal(const struct map_node *node, const void *key)
{
    return container_of(node, struct entry, node)->key == *(const int *)key;
}

static uint64_t hash_spread(int key)
{
    return (uint64_t)key * 0x9e3779b97f4a7c15;
}

static uint64_t hash_upper(int key)
{
    return (uint64_t)key << 40;
}

static uint64_t hash_poor(int key)
{
    return (uint64_t)key % 7;
}

static void check_walk(struct map *m, struct entry *entries)
{
    size_t count = 0;

    for (int key = 0; key < ENTRIES; key++)
        entries[key].seen = false;
    MAP_EACH (it, m) {
        struct entry *e = container_of(it, struct entry, node);
        CHECK(e->in);
        CHECK(!e->seen);
        e->seen = true;
        count++;
    }
    CHECK_EQ(count, m->count);
}

static void check_model(uint64_t (*hash)(int key), uint64_t seed)
{
    struct entry *entries = calloc(ENTRIES, sizeof(*entries));
    struct map m;
    struct prng g;
    size_t count = 0;

    map_init(&m, entry_equal);
    prng_init(&g, seed);
    for (int step = 0; step < 20000; step++) {
        int key = (int)prng_below(&g, ENTRIES);
        struct entry *e = &entries[key];
        CHECK(map_find(&m, hash(key), &key) == (e->in ? &e->node : NULL));
        if (e->in) {
            map_remove(&m, &e->node);
            count--;
        } else {
            e->key = key;
            map_add(&m, &e->node, hash(key));
            count++;
        }
        e->in = !e->in;
        CHECK_EQ(m.count, count);
        if (step % 500 == 0)
            check_walk(&m, entries);
    }
    MAP_EACH (it, &m)
        map_remove(&m, it);
    CHECK_EQ(m.count, 0);
    CHECK(map_first(&m) == NULL);
    map_deinit(&m);
    free(entries);
}

TEST(map, agrees_with_an_array)
{
    check_model(hash_spread, 6);
}

TEST(map, works_with_hashes_that_collide)
{
    check_model(hash_upper, 7);
    check_model(hash_poor, 8);
}

static size_t longest_chain(uint64_t (*hash)(int key))
{
    struct entry *entries = calloc(ENTRIES, sizeof(*entries));
    size_t longest = 0;
    struct map m;

    map_init(&m, entry_equal);
    for (int key = 0; key < ENTRIES; key++) {
        entries[key].key = key;
        map_add(&m, &entries[key].node, hash(key));
    }
    for (size_t slot = 0; slot < m.slot_count; slot++) {
        size_t n = 0;
        for (struct map_node *node = m.slots[slot]; node != NULL; node = node->next)
            n++;
        longest = n > longest ? n : longest;
    }
    map_deinit(&m);
    free(entries);
    return longest;
}

static uint64_t hash_plain(int key)
{
    return (uint64_t)key;
}

/* Keys that differ in a few bits of the hash only do not share a chain, wherever those are. */
TEST(map, simple_hashes_spread)
{
    CHECK(longest_chain(hash_plain) < 10);
    CHECK(longest_chain(hash_upper) < 10);
    CHECK(longest_chain(hash_spread) < 10);
    CHECK(longest_chain(hash_poor) >= ENTRIES / 7);
}

/* Two maps with one history in different memory are walked in one order. */
TEST(map, order_does_not_depend_on_addresses)
{
    struct entry *apart[2];
    struct map m[2];
    struct text order[2] = {{0}, {0}};

    apart[0] = calloc(ENTRIES, sizeof(struct entry));
    apart[1] = calloc(ENTRIES, sizeof(struct entry));
    for (int i = 0; i < 2; i++) {
        map_init(&m[i], entry_equal);
        for (int key = 0; key < ENTRIES; key++) {
            /* The second lies in memory in reverse. */
            struct entry *e = &apart[i][i == 0 ? key : ENTRIES - 1 - key];
            e->key = key;
            map_add(&m[i], &e->node, hash_spread(key));
            if (key % 3 == 0)
                map_remove(&m[i], &e->node);
        }
        MAP_EACH (it, &m[i])
            text_printf(&order[i], "%d ", container_of(it, struct entry, node)->key);
        map_deinit(&m[i]);
        free(apart[i]);
    }
    CHECK(order[0].n > 500);
    CHECK_TEXT(text_str(&order[0]), order[1].p);
    text_deinit(&order[0]);
    text_deinit(&order[1]);
}

TEST(map, empty_one_finds_nothing)
{
    struct map m;
    int key = 1;

    map_init(&m, entry_equal);
    CHECK(map_find(&m, 1, &key) == NULL);
    CHECK(map_first(&m) == NULL);
    MAP_EACH (it, &m)
        CHECK(false);
    map_deinit(&m);
}

TEST(map, removing_what_is_not_there_is_a_bug)
{
    struct entry a = {.key = 1}, b = {.key = 2};
    struct map m;

    map_init(&m, entry_equal);
    CHECK_ASSERTS(map_remove(&m, &b.node));
    map_add(&m, &a.node, 1);
    CHECK_ASSERTS(map_remove(&m, &b.node));
    map_deinit(&m);
}
