#include "image/sorted.h"

#include <stdlib.h>

#define CHUNK_ITEMS 64

struct chunk {
    atomic_uint refs;
    uint32_t count; /* 1 .. CHUNK_ITEMS */
    struct shared *items[CHUNK_ITEMS];
};

struct slot {
    struct chunk *chunk;
    uint32_t start; /* index of its first item */
};

struct sorted_root {
    atomic_uint refs;
    uint32_t total;
    uint32_t count, capacity; /* slots */
    struct slot slots[];
};

/* Where an item stands, or would. */
struct place {
    uint32_t slot, at;
    bool found;
};

void *take_memory(size_t size_bytes)
{
    void *p = malloc(size_bytes);

    ASSERT(p != NULL);
    return p;
}

/* ---- counts ------------------------------------------------------------------------------------
 */

static void count_up(atomic_uint *refs)
{
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True for the last one. What others did before they let go happens before the release. */
static bool count_down(atomic_uint *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static bool is_alone(atomic_uint *refs)
{
    return atomic_load_explicit(refs, memory_order_acquire) == 1;
}

void shared_init(struct shared *s, void (*release)(struct shared *s))
{
    atomic_init(&s->refs, 1);
    s->release = release;
}

struct shared *shared_ref(struct shared *s)
{
    count_up(&s->refs);
    return s;
}

void shared_unref(struct shared *s)
{
    if (s != NULL && count_down(&s->refs))
        s->release(s);
}

static void chunk_unref(struct chunk *c)
{
    if (!count_down(&c->refs))
        return;
    for (uint32_t i = 0; i < c->count; i++)
        shared_unref(c->items[i]);
    free(c);
}

static void root_unref(struct sorted_root *r)
{
    if (r == NULL || !count_down(&r->refs))
        return;
    for (uint32_t i = 0; i < r->count; i++)
        chunk_unref(r->slots[i].chunk);
    free(r);
}

struct sorted sorted_copy(const struct sorted *s)
{
    if (s->root != NULL)
        count_up(&s->root->refs);
    return *s;
}

void sorted_deinit(struct sorted *s)
{
    root_unref(s->root);
    s->root = NULL;
}

/* ---- look --------------------------------------------------------------------------------------
 */

uint32_t sorted_count(const struct sorted *s)
{
    return s->root == NULL ? 0 : s->root->total;
}

struct shared *sorted_at(const struct sorted *s, uint32_t index)
{
    uint32_t low = 0, high;

    ASSERT(index < sorted_count(s));
    high = s->root->count;
    while (high - low > 1) { /* the slot that starts last at or before `index` */
        uint32_t middle = low + (high - low) / 2;
        if (s->root->slots[middle].start <= index)
            low = middle;
        else
            high = middle;
    }
    return s->root->slots[low].chunk->items[index - s->root->slots[low].start];
}

/* The first place whose item is not before `key`; at the end of the last chunk when there is none.
 * The set is not empty. */
static struct place look(const struct sorted_root *r, sorted_compare *compare, const void *key)
{
    uint32_t low = 0, high = r->count;
    struct place place = {0};
    const struct chunk *c;

    while (high - low > 1) { /* the last slot whose first item is not behind `key` */
        uint32_t middle = low + (high - low) / 2;
        if (compare(key, r->slots[middle].chunk->items[0]) >= 0)
            low = middle;
        else
            high = middle;
    }
    place.slot = low;
    c = r->slots[low].chunk;
    low = 0;
    high = c->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(key, c->items[middle]);
        if (order == 0)
            return (struct place){place.slot, middle, true};
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    place.at = low;
    return place;
}

struct shared *sorted_find(const struct sorted *s, sorted_compare *compare, const void *key)
{
    struct place place;

    if (s->root == NULL)
        return NULL;
    place = look(s->root, compare, key);
    return place.found ? s->root->slots[place.slot].chunk->items[place.at] : NULL;
}

uint32_t sorted_lower(const struct sorted *s, sorted_compare *compare, const void *key)
{
    struct place place;

    if (s->root == NULL)
        return 0;
    place = look(s->root, compare, key);
    return s->root->slots[place.slot].start + place.at;
}

/* ---- change ------------------------------------------------------------------------------------
 */

static struct sorted_root *root_new(uint32_t capacity)
{
    struct sorted_root *r = take_memory(sizeof(*r) + capacity * sizeof(r->slots[0]));

    atomic_init(&r->refs, 1);
    r->total = 0;
    r->count = 0;
    r->capacity = capacity;
    return r;
}

static struct chunk *chunk_new(struct shared *const *items, uint32_t count)
{
    struct chunk *c = take_memory(sizeof(*c));

    atomic_init(&c->refs, 1);
    c->count = count;
    memcpy(c->items, items, count * sizeof(items[0]));
    return c;
}

/* Make the root ours, with room for one more slot. */
static struct sorted_root *own_root(struct sorted *s)
{
    struct sorted_root *old = s->root, *r;

    if (is_alone(&old->refs) && old->count < old->capacity)
        return old;
    r = root_new(old->count + old->count / 2 + 4);
    r->total = old->total;
    r->count = old->count;
    memcpy(r->slots, old->slots, old->count * sizeof(old->slots[0]));
    for (uint32_t i = 0; i < r->count; i++)
        count_up(&r->slots[i].chunk->refs);
    root_unref(old);
    s->root = r;
    return r;
}

/* Make a chunk of an own root ours. */
static struct chunk *own_chunk(struct sorted_root *r, uint32_t slot)
{
    struct chunk *old = r->slots[slot].chunk;

    if (is_alone(&old->refs))
        return old;
    r->slots[slot].chunk = chunk_new(old->items, old->count);
    for (uint32_t i = 0; i < old->count; i++)
        shared_ref(old->items[i]);
    chunk_unref(old);
    return r->slots[slot].chunk;
}

/* Starts of the slots behind `slot`, and the total, after a change in it. */
static void renumber(struct sorted_root *r, uint32_t slot)
{
    for (uint32_t i = slot; i < r->count; i++)
        r->slots[i].start = i == 0 ? 0 : r->slots[i - 1].start + r->slots[i - 1].chunk->count;
    r->total =
        r->count == 0 ? 0 : r->slots[r->count - 1].start + r->slots[r->count - 1].chunk->count;
}

static void slot_insert(struct sorted_root *r, uint32_t slot, struct chunk *c)
{
    ASSERT(r->count < r->capacity);
    memmove(&r->slots[slot + 1], &r->slots[slot], (r->count - slot) * sizeof(r->slots[0]));
    r->slots[slot] = (struct slot){c, 0};
    r->count++;
}

/* A chunk is full: move its upper half into a new one. Where the new item comes at the very end,
 * as in a sorted load, the full chunk stays full and the next begins with the item alone. */
static struct place split(struct sorted_root *r, struct place place)
{
    struct chunk *c = r->slots[place.slot].chunk;
    uint32_t keep = CHUNK_ITEMS / 2;

    if (place.slot + 1 == r->count && place.at == CHUNK_ITEMS)
        keep = CHUNK_ITEMS;
    slot_insert(r, place.slot + 1, chunk_new(c->items + keep, c->count - keep));
    c->count = keep;
    if (place.at > keep || keep == CHUNK_ITEMS)
        return (struct place){place.slot + 1, place.at - keep, false};
    return place;
}

void sorted_put(struct sorted *s, sorted_compare *compare, const void *key, struct shared *item)
{
    struct sorted_root *r;
    struct place place;
    struct chunk *c;

    if (s->root == NULL) {
        s->root = root_new(4);
        slot_insert(s->root, 0, chunk_new(&item, 1));
        renumber(s->root, 0);
        return;
    }
    r = own_root(s);
    place = look(r, compare, key);
    c = own_chunk(r, place.slot);
    if (place.found) {
        struct shared *before = c->items[place.at];
        c->items[place.at] = item;
        shared_unref(before);
        return;
    }
    if (c->count == CHUNK_ITEMS) {
        place = split(r, place);
        c = r->slots[place.slot].chunk;
    }
    memmove(&c->items[place.at + 1], &c->items[place.at],
            (c->count - place.at) * sizeof(c->items[0]));
    c->items[place.at] = item;
    c->count++;
    renumber(r, place.slot == 0 ? 0 : place.slot - 1);
}

bool sorted_remove(struct sorted *s, sorted_compare *compare, const void *key)
{
    struct sorted_root *r;
    struct place place;
    struct chunk *c;

    if (sorted_find(s, compare, key) == NULL)
        return false;
    r = own_root(s);
    place = look(r, compare, key);
    c = own_chunk(r, place.slot);
    shared_unref(c->items[place.at]);
    c->count--;
    memmove(&c->items[place.at], &c->items[place.at + 1],
            (c->count - place.at) * sizeof(c->items[0]));
    if (c->count == 0) {
        chunk_unref(c);
        r->count--;
        memmove(&r->slots[place.slot], &r->slots[place.slot + 1],
                (r->count - place.slot) * sizeof(r->slots[0]));
    }
    if (r->count == 0)
        sorted_deinit(s);
    else
        renumber(r, place.slot == 0 ? 0 : place.slot - 1);
    return true;
}
