/* What of the handed out records is done.
 *
 *     done                                    position
 *      │                                          │
 *   ───┴[ half done ][ not done ][ done ][ held ]─┴── fetched ──
 *        └── part.outstanding: chunks in the order of their offsets ──┘
 *
 *   D1  `done` moves over the first chunk as far as that is done, and on to the next one only when all of it is.
 *   D2  Two chunks that are done, one behind the other, become one: so there are at most twice as many as are held.
 *   D3  What was released undone stays so: then nothing behind it counts, and nothing is kept for it.
 *   D4  Where nothing is to be handed out (control batches, aborted transactions), done moves by itself.
 *   D5  Where the log is cut, what was handed out below counts as before: nobody will hand it out again. */
#include "consumer/internal.h"

static bool is_whole(const struct chunk *k)
{
    return k->done >= k->counts;
}

/* It does not count any more. */
static void let_go(struct chunk *k)
{
    list_remove(&k->by_part);
    k->part = NULL;
    if (k->released)
        chunk_free(k);
}

static void advance(struct part *p)
{
    struct chunk *k;

    while ((k = LIST_FIRST(&p->outstanding, struct chunk, by_part)) != NULL) {
        if (is_whole(k)) {
            p->done = k->covers;
            p->done_epoch = k->covers_epoch;
            let_go(k);
            continue;
        }
        if (k->done > p->done)
            p->done = k->done;
#ifdef MUTANT_CONSUMER_RELEASED_IS_DONE
        if (k->released) {
            p->done = k->covers;
            let_go(k);
            continue;
        }
#endif
        if (k->released)
            let_go(k);
        return;
    }
}

void done_detach(struct part *p)
{
    LIST_EACH(n, &p->outstanding)
        let_go(container_of(n, struct chunk, by_part));
}

void done_begin(struct part *p, int64_t position, int32_t epoch)
{
    done_detach(p);
    p->done = position;
    p->done_epoch = epoch;
    p->hole = false;
    p->put_back = true;
}

void done_cut(struct part *p, int64_t end, int32_t epoch)
{
    LIST_EACH(n, &p->outstanding) {
        struct chunk *k = container_of(n, struct chunk, by_part);
        if (k->public.first >= end) {
            let_go(k);
            continue;
        }
        if (k->counts > end)
            k->counts = end;
        if (k->done > k->counts)
            k->done = k->counts;
        if (k->covers > end) {
            k->covers = end;
            k->covers_epoch = epoch;
        }
    }
    if (p->done >= end) {
        p->done = end;
        p->done_epoch = epoch;
        p->hole = false;
    }
    p->put_back = true;
    advance(p);
}

void done_handed_out(struct part *p, struct chunk *k)
{
    if (p->hole)
        return;
    k->part = p;
    list_add_tail(&p->outstanding, &k->by_part);
}

void done_skipped(struct part *p, int64_t position, int32_t epoch)
{
    struct chunk *last = LIST_LAST(&p->outstanding, struct chunk, by_part);

    if (p->hole)
        return;
    if (last != NULL) {
        last->covers = position;
        last->covers_epoch = epoch;
        return;
    }
    p->done = position;
    p->done_epoch = epoch;
}

/* D2 */
static void join(struct part *p, struct chunk *first, struct chunk *second)
{
    if (!is_whole(first) || !is_whole(second))
        return;
    first->covers = second->covers;
    first->covers_epoch = second->covers_epoch;
    let_go(second);
}

static void settle(struct chunk *k)
{
    struct part *p = k->part;
    struct list *before = k->by_part.prev, *behind = k->by_part.next;

    if (behind != &p->outstanding)
        join(p, k, container_of(behind, struct chunk, by_part));
    if (before != &p->outstanding)
        join(p, container_of(before, struct chunk, by_part), k);
    advance(p);
}

void done_up_to(struct chunk *k, int64_t offset)
{
    if (offset > k->counts)
        offset = k->counts;
    if (k->part == NULL || offset <= k->done)
        return;
    k->done = offset;
    settle(k);
}

void done_released(struct chunk *k)
{
    struct part *p = k->part;

    k->released = true;
    if (p == NULL) {
        chunk_free(k);
        return;
    }
    if (!is_whole(k)) { /* D3 */
        p->hole = true;
        while (k->by_part.next != &p->outstanding)
            let_go(container_of(k->by_part.next, struct chunk, by_part));
    }
    settle(k);
}
