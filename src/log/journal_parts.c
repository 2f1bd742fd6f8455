#include "log/journal_parts.h"

#include <stdlib.h>

static bool part_equal(const struct map_node *node, const void *key)
{
    const struct journal_part *p = container_of(node, struct journal_part, node);
    const struct journal_entry *e = key;

    return p->partition == e->partition && uuid_equal(p->topic_id, e->topic_id);
}

static struct journal_part *part_of(struct journal_parts *parts, const struct journal_entry *e)
{
    uint64_t hash = uuid_hash(e->topic_id) + (uint64_t)e->partition * UINT64_C(0x9e3779b97f4a7c15);
    struct map_node *node = map_find(&parts->by_id, hash, e);
    struct journal_part *p;

    if (node != NULL)
        return container_of(node, struct journal_part, node);
    p = calloc(1, sizeof(*p));
    ASSERT(p != NULL);
    p->topic_id = e->topic_id;
    p->partition = e->partition;
    map_add(&parts->by_id, &p->node, hash);
    return p;
}

static void part_add(struct journal_part *p, const struct journal_entry *e)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? 4 : p->capacity * 2;
        p->pieces = realloc(p->pieces, p->capacity * sizeof(*p->pieces));
        ASSERT(p->pieces != NULL);
    }
    p->pieces[p->count++] = (struct journal_piece){e->base, e->position, e->bytes};
}

static void take_entry(struct journal_parts *parts, const struct journal_entry *e)
{
    struct journal_part *p = part_of(parts, e);

    switch (e->kind) {
    case JOURNAL_APPEND:
        part_add(p, e);
        break;
    case JOURNAL_DRAINED:
        if (e->base < p->drained_base || (e->base == p->drained_base && e->position < p->drained_position))
            break;
        p->drained_base = e->base;
        p->drained_position = e->position;
        break;
    case JOURNAL_RESET:
        p->count = 0;
        p->drained_base = 0;
        p->drained_position = 0;
        break;
    }
}

/* A segment below the mark may be gone, or hold other bytes since it was compacted. */
static void drop_drained(struct journal_part *p)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        struct journal_piece x = p->pieces[i];
        uint64_t cut = 0;
        if (x.base < p->drained_base)
            continue;
        if (x.base == p->drained_base && x.position < p->drained_position)
            cut = p->drained_position - x.position;
        if (cut >= (uint64_t)x.bytes.n)
            continue;
        x.position += cut;
        x.bytes.p += cut;
        x.bytes.n -= (int32_t)cut;
        p->pieces[kept++] = x;
    }
    p->count = kept;
}

int journal_parts_take(struct journal_parts *parts, const struct journal_commits *commits, struct fail *f)
{
    struct journal_entry e;

    map_init(&parts->by_id, part_equal);
    for (uint32_t i = 0; i < commits->count; i++) {
        const struct journal_commit *c = &commits->commits[i];
        struct rd rd = rd_of(c->entries.p, (size_t)c->entries.n);
        for (uint32_t k = 0; k < c->entry_count; k++) {
            if (journal_entry_read(&rd, &e) < 0)
                return fail_set(f, ERR_CORRUPT, "commit %llu has a good checksum, but its entry %u makes no sense",
                                (unsigned long long)c->sequence, k);
            take_entry(parts, &e);
        }
    }
    MAP_EACH (node, &parts->by_id)
        drop_drained(container_of(node, struct journal_part, node));
    return 0;
}

void journal_parts_free(struct journal_parts *parts)
{
    MAP_EACH (node, &parts->by_id) {
        struct journal_part *p = container_of(node, struct journal_part, node);
        free(p->pieces);
        free(p);
    }
    map_deinit(&parts->by_id);
    *parts = (struct journal_parts){0};
}
