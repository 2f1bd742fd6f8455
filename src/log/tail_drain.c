/* From the end of a log in memory to its file. */
#include "log/state.h"

uint32_t tail_gather(const struct tail *t, const struct segment *s, uint64_t limit, uint32_t bytes_max,
                     uint32_t pieces_max, struct bytes *pieces, uint64_t *to_bytes,
                     struct tail_mark *mark)
{
    uint32_t count = 0, bytes = 0;

    for (uint32_t i = t->undrained; i < t->count && count < pieces_max; i++) {
        const struct tail_block *b = tail_block_of(t, i);
        if (b->segment != s)
            break;
        uint64_t from = b->position + b->from, to = b->position + b->used;
        if (from < s->drained_bytes)
            from = s->drained_bytes;
        if (to > limit)
            to = limit;
        if (to <= from)
            continue;
        uint32_t n = (uint32_t)(to - from);
        if (count > 0 && bytes + n > bytes_max)
            break;
        pieces[count++] = (struct bytes){b->p + (from - b->position), (int32_t)n};
        bytes += n;
        *to_bytes = from + n;
        *mark = (struct tail_mark){b->next_offset, b->next_position};
    }
    return count;
}

void tail_drained(struct tail *t, const struct segment *s, uint64_t to_bytes)
{
    while (t->undrained < t->count) {
        struct tail_block *b = tail_block_of(t, t->undrained);
        if (b->segment != s || b->position + b->used > to_bytes)
            break;
        list_add_tail(&b->memory->cached, &b->cached);
        t->undrained++;
        ledger_eased(b->memory->ledger);
    }
}

/* ---- past the page cache ------------------------------------------------------------------- */

/* The block that holds the next byte to drain; there is one. */
static struct tail_block *first_undrained(const struct tail *t, const struct segment *s)
{
    uint32_t i = t->undrained;
    struct tail_block *b;

    while (tail_block_of(t, i)->position + tail_block_of(t, i)->used <= s->drained_bytes)
        i++;
    b = tail_block_of(t, i);
    ASSERT(b->segment == s);
    ASSERT(b->position + b->from <= s->drained_bytes);
    return b;
}

bool tail_lacks_head(const struct tail *t, const struct segment *s)
{
    const struct tail_block *b = first_undrained(t, s);

#ifdef MUTANT_LOG_PAGE_UNEQUAL
    return false;
#endif
    return b->from > 0 && !b->has_head && io_align_down(s->drained_bytes) == b->position;
}

void tail_take_head(const struct tail *t, const struct segment *s, const uint8_t *page)
{
    struct tail_block *b = first_undrained(t, s);

    memcpy(b->p, page, b->from);
    b->has_head = true;
}

uint32_t tail_align(struct bytes *pieces, uint32_t count, uint64_t from, uint64_t to, uint8_t *page)
{
    struct bytes *last = &pieces[count - 1];
    int32_t before = (int32_t)(from - io_align_down(from)), behind = (int32_t)(to - io_align_down(to));

    pieces[0].p -= before;
    pieces[0].n += before;
    if (behind == 0)
        return count;
    last->n -= behind;
    memcpy(page, last->p + last->n, (size_t)behind);
    memset(page + behind, 0, TAIL_PAGE_BYTES - (size_t)behind);
    if (last->n == 0)
        count--;
    pieces[count] = (struct bytes){page, TAIL_PAGE_BYTES};
    return count + 1;
}
