/* Aborted transactions of a segment.
 *
 *   .txnindex  34 bytes: i16 version 0 | i64 producer id | i64 first offset | i64 last offset (of
 *              the marker) | i64 last stable offset after it
 */
#include "log/state.h"

void txn_index_apply(struct segment *s, const struct txn_completed *t)
{
    uint8_t entry[TXN_ENTRY_BYTES];

    put_u16(entry, 0);
    put_u64(entry + 2, (uint64_t)t->producer_id);
    put_u64(entry + 10, (uint64_t)t->first_offset);
    put_u64(entry + 18, (uint64_t)t->last_offset);
    put_u64(entry + 26, (uint64_t)t->last_stable_offset);
    text_add(&s->side[SIDE_TXN].pending, entry, sizeof(entry));
}
