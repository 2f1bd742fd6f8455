#include "compaction/key_map.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 16
#define LOAD_FACTOR_MIN 0.05
#define LOAD_FACTOR_MAX 0.95 /* nearly full, a search would go through half of the table */

static double clamp_load(double load)
{
    if (!(load >= LOAD_FACTOR_MIN)) /* also not a number */
        return LOAD_FACTOR_MIN;
    return load > LOAD_FACTOR_MAX ? LOAD_FACTOR_MAX : load;
}

int key_map_init(struct key_map *m, uint64_t keys_expected, uint64_t bytes_max, double load_factor,
                 const uint8_t secret[COMPACTION_SECRET_BYTES])
{
    uint64_t slots_max = bytes_max / KEY_MAP_SLOT_BYTES, slots;
    double load = clamp_load(load_factor);

    if (slots_max < SLOTS_MIN)
        slots_max = SLOTS_MIN;
    slots = (double)keys_expected / load + SLOTS_MIN < (double)slots_max
                ? (uint64_t)((double)keys_expected / load) + SLOTS_MIN
                : slots_max;
    *m = (struct key_map){.slot_count = slots, .count_max = (uint64_t)((double)slots * load)};
    memcpy(m->secret, secret, COMPACTION_SECRET_BYTES);
    m->slots = calloc(slots, sizeof(*m->slots)); /* pages come as they are touched */
    return m->slots == NULL ? -ENOMEM : 0;
}

void key_map_deinit(struct key_map *m)
{
    free(m->slots);
    *m = (struct key_map){0};
}

/* The key's slot, or the free one where it belongs: there always is one, as count_max < slot_count.
 */
static struct key_slot *slot_of(const struct key_map *m, const uint64_t hash[2])
{
    uint64_t i = (uint64_t)((unsigned __int128)hash[0] * m->slot_count >> 64);

    for (;;) {
        struct key_slot *s = &m->slots[i];
        if (s->offset_plus_one == 0 || (s->hash[0] == hash[0] && s->hash[1] == hash[1]))
            return s;
        if (++i == m->slot_count)
            i = 0;
    }
}

bool key_map_put(struct key_map *m, struct bytes key, int64_t offset)
{
    uint64_t hash[2];
    struct key_slot *s;

    ASSERT(offset >= 0);
    key_hash(m->secret, key, hash);
    s = slot_of(m, hash);
    if (s->offset_plus_one == 0) {
        if (m->count == m->count_max)
            return false;
        m->count++;
        s->hash[0] = hash[0];
        s->hash[1] = hash[1];
    }
#ifdef MUTANT_COMPACTION_FIRST_STAYS
    else
        return true;
#endif
    s->offset_plus_one = (uint64_t)offset + 1;
    return true;
}

int64_t key_map_find(const struct key_map *m, struct bytes key)
{
    uint64_t hash[2];

    key_hash(m->secret, key, hash);
    return (int64_t)slot_of(m, hash)->offset_plus_one - 1;
}
