#include "log/points.h"

#include <stdlib.h>

/* "MILLPNTS" */
#define MAGIC UINT64_C(0x4d494c4c504e5453)

enum { AT_MAGIC = 0, AT_VERSION = 8, AT_CRC = 12, AT_REST = 16, AT_COUNT = 20, HEAD_BYTES = 24, ENTRY_BYTES = 92 };
enum { FLAG_NONE = 1, FLAG_PRODUCERS = 2 };

struct key {
    struct uuid topic_id;
    int32_t partition;
};

static bool entry_equal(const struct map_node *node, const void *key)
{
    const struct points_entry *e = container_of(node, struct points_entry, node);
    const struct key *k = key;

    return e->point.partition == k->partition && uuid_equal(e->point.topic_id, k->topic_id);
}

static uint64_t hash_of(const struct key *k)
{
    return uuid_hash(k->topic_id) + (uint64_t)k->partition * UINT64_C(0x9e3779b97f4a7c15);
}

void points_init(struct points *p)
{
    *p = (struct points){0};
    map_init(&p->by_id, entry_equal);
}

static void forget_all(struct points *p)
{
    MAP_EACH (node, &p->by_id) {
        map_remove(&p->by_id, node);
        free(container_of(node, struct points_entry, node));
    }
}

void points_deinit(struct points *p)
{
    forget_all(p);
    map_deinit(&p->by_id);
}

struct points_entry *points_find(const struct points *p, struct uuid topic_id, int32_t partition)
{
    struct key key = {topic_id, partition};
    struct map_node *node = map_find(&p->by_id, hash_of(&key), &key);

    return node == NULL ? NULL : container_of(node, struct points_entry, node);
}

void points_set(struct points *p, const struct scan_point *point)
{
    struct key key = {point->topic_id, point->partition};
    struct points_entry *e = points_find(p, key.topic_id, key.partition);

    if (e == NULL) {
        e = calloc(1, sizeof(*e));
        ASSERT(e != NULL);
        e->point = *point;
        map_add(&p->by_id, &e->node, hash_of(&key));
    }
    e->point = *point;
}

void points_remove(struct points *p, struct uuid topic_id, int32_t partition)
{
    struct points_entry *e = points_find(p, topic_id, partition);

    if (e == NULL)
        return;
    map_remove(&p->by_id, &e->node);
    free(e);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void print_entry(const struct scan_point *x, uint8_t *e)
{
    memcpy(e, x->topic_id.b, 16);
    put_u32(e + 16, (uint32_t)x->partition);
    put_u32(e + 20, (x->none ? FLAG_NONE : 0) | (x->has_producers ? FLAG_PRODUCERS : 0));
    put_u64(e + 24, (uint64_t)x->base);
    put_u64(e + 32, x->position);
    put_u64(e + 40, (uint64_t)x->offset);
    for (int i = 0; i < POINT_SIDES; i++)
        put_u32(e + 48 + 4 * i, x->side_bytes[i]);
    put_u32(e + 60, x->bytes_since_entry);
    put_u64(e + 64, (uint64_t)x->max_timestamp_ms);
    put_u64(e + 72, (uint64_t)x->max_timestamp_offset);
    put_u64(e + 80, (uint64_t)x->last_time_entry_ms);
    put_u32(e + 88, 0);
}

void points_print(const struct points *p, struct text *out)
{
    uint8_t head[HEAD_BYTES], entry[ENTRY_BYTES];
    size_t start = out->n;

    put_u64(head + AT_MAGIC, MAGIC);
    put_u32(head + AT_VERSION, POINTS_VERSION);
    put_u32(head + AT_CRC, 0);
    put_u32(head + AT_REST, p->rest_is_clean);
    put_u32(head + AT_COUNT, (uint32_t)p->by_id.count);
    text_add(out, head, sizeof(head));
    MAP_EACH (node, &p->by_id) {
        print_entry(&container_of(node, struct points_entry, node)->point, entry);
        text_add(out, entry, sizeof(entry));
    }
    put_u32(out->p + start + AT_CRC, crc32c(0, out->p + start + AT_REST, out->n - start - AT_REST));
}

/* With a good checksum it is what was printed; this keeps a bug elsewhere from becoming a wild position. */
static bool parse_entry(const uint8_t *e, struct scan_point *x)
{
    uint32_t flags = get_u32(e + 20);

    *x = (struct scan_point){
        .partition = get_i32(e + 16),
        .none = (flags & FLAG_NONE) != 0,
        .has_producers = (flags & FLAG_PRODUCERS) != 0,
        .base = get_i64(e + 24),
        .position = get_u64(e + 32),
        .offset = get_i64(e + 40),
        .bytes_since_entry = get_u32(e + 60),
        .max_timestamp_ms = get_i64(e + 64),
        .max_timestamp_offset = get_i64(e + 72),
        .last_time_entry_ms = get_i64(e + 80),
    };
    memcpy(x->topic_id.b, e, 16);
    for (int i = 0; i < POINT_SIDES; i++)
        x->side_bytes[i] = get_u32(e + 48 + 4 * i);
    return x->partition >= 0 && flags <= (FLAG_NONE | FLAG_PRODUCERS) && x->base >= 0 && x->offset >= x->base &&
           x->position <= INT32_MAX;
}

int points_parse(struct bytes in, struct points *p, struct fail *f)
{
    struct scan_point x;

    if (in.n < HEAD_BYTES || get_u64(in.p + AT_MAGIC) != MAGIC)
        return fail_set(f, ERR_CORRUPT, "it does not begin as such a file does");
    if (get_u32(in.p + AT_VERSION) != POINTS_VERSION)
        return fail_set(f, ERR_VERSION, "version %u is of another version of millrace", get_u32(in.p + AT_VERSION));
    if (get_u32(in.p + AT_CRC) != crc32c(0, in.p + AT_REST, (size_t)in.n - AT_REST))
        return fail_set(f, ERR_CORRUPT, "its checksum is wrong");
    uint32_t count = get_u32(in.p + AT_COUNT);
    if ((uint64_t)in.n != HEAD_BYTES + (uint64_t)count * ENTRY_BYTES)
        return fail_set(f, ERR_CORRUPT, "it has not the length of %u entries", count);
    for (uint32_t i = 0; i < count; i++) {
        if (!parse_entry(in.p + HEAD_BYTES + (size_t)i * ENTRY_BYTES, &x)) {
            forget_all(p);
            return fail_set(f, ERR_CORRUPT, "its entry %u makes no sense", i);
        }
        points_set(p, &x);
    }
    p->rest_is_clean = get_u32(in.p + AT_REST) != 0;
    return 0;
}
