/* Sets against a model: a flat array, in many shared copies. */
#include "image/sorted.h"

#include <stdlib.h>

#include "check.h"

#define KEYS 700

struct item {
    struct shared shared;
    int key, value;
};

static int live;

static void item_release(struct shared *s)
{
    live--;
    free(container_of(s, struct item, shared));
}

static struct shared *item_new(int key, int value)
{
    struct item *i = malloc(sizeof(*i));

    shared_init(&i->shared, item_release);
    i->key = key;
    i->value = value;
    live++;
    return &i->shared;
}

static int compare(const void *key, const struct shared *s)
{
    return *(const int *)key - container_of(s, struct item, shared)->key;
}

/* value[key] = 0: not there */
struct model {
    struct sorted set;
    int value[KEYS];
};

static void check_model(const struct model *m)
{
    uint32_t at = 0;

    for (int key = 0; key < KEYS; key++) {
        struct shared *found = sorted_find(&m->set, compare, &key);
        CHECK_EQ(sorted_lower(&m->set, compare, &key), at);
        CHECK_EQ(found != NULL, m->value[key] != 0);
        if (found == NULL)
            continue;
        CHECK_EQ(container_of(found, struct item, shared)->value, m->value[key]);
        CHECK(sorted_at(&m->set, at) == found);
        at++;
    }
    CHECK_EQ(sorted_count(&m->set), at);
}

static void change(struct model *m, struct prng *g, int value)
{
    int key = (int)prng_below(g, KEYS);

    if (prng_chance(g, 400000)) {
        CHECK_EQ(sorted_remove(&m->set, compare, &key), m->value[key] != 0);
        m->value[key] = 0;
    } else {
        sorted_put(&m->set, compare, &key, item_new(key, value));
        m->value[key] = value;
    }
}

TEST(image_sorted, copies_keep_what_they_had)
{
    struct model models[8] = {0};
    struct prng g;

    prng_init(&g, 7);
    for (int round = 1; round <= 4000; round++) {
        struct model *m = &models[prng_below(&g, 8)];
        if (prng_chance(&g, 20000)) {
            struct model *other = &models[prng_below(&g, 8)];
            struct sorted copy = sorted_copy(&other->set);
            memmove(m->value, other->value, sizeof(m->value));
            sorted_deinit(&m->set);
            m->set = copy;
        }
        change(m, &g, round);
        if (round % 200 == 0) {
            for (int i = 0; i < 8; i++)
                check_model(&models[i]);
        }
    }
    for (int i = 0; i < 8; i++)
        sorted_deinit(&models[i].set);
    CHECK_EQ(live, 0);
}

TEST(image_sorted, items_in_order_and_in_reverse_are_all_found)
{
    struct model up = {0}, down = {0};

    for (int key = 0; key < KEYS; key++) {
        int other = KEYS - 1 - key;
        sorted_put(&up.set, compare, &key, item_new(key, key + 1));
        up.value[key] = key + 1;
        sorted_put(&down.set, compare, &other, item_new(other, 1));
        down.value[other] = 1;
    }
    check_model(&up);
    check_model(&down);
    for (int key = 0; key < KEYS; key++)
        CHECK(sorted_remove(&up.set, compare, &key));
    CHECK(up.set.root == NULL);
    sorted_deinit(&down.set);
    CHECK_EQ(live, 0);
}
