/* How far is everything done? Random histories against the plain answer: the first record that was handed out and is
 * not done. */
#include "check.h"
#include "consumer/internal.h"

#include <stdlib.h>

#define RECORDS_MAX 4000
#define HELD_MAX 40

/* A partition without a consumer: done.c touches nothing else of it. */
struct world {
    struct part part;
    struct prng g;
    struct chunk *held[HELD_MAX];
    uint32_t held_count;
    int64_t next;              /* handed out or skipped below it */
    uint8_t state[RECORDS_MAX]; /* of each record: DONE, OPEN, or DEAD: released undone */
    bool dead;                  /* something was released undone */
};
enum { DONE, OPEN };

static int64_t expected(const struct world *w)
{
    int64_t at = 0;

    while (at < w->next && w->state[at] == DONE)
        at++;
    return at;
}

static void hand_out(struct world *w)
{
    int64_t n = 1 + (int64_t)prng_below(&w->g, 5);
    struct chunk *k;

    if (w->held_count == HELD_MAX || w->next + n >= RECORDS_MAX)
        return;
    k = calloc(1, sizeof *k);
    k->public.first = w->next;
    k->public.next = w->next + n;
    k->done = w->next;
    k->counts = k->covers = w->next + n;
    k->covers_epoch = 3;
    for (int64_t i = 0; i < n; i++)
        w->state[w->next + i] = OPEN;
    w->next += n;
    w->held[w->held_count++] = k;
    done_handed_out(&w->part, k);
}

/* Control batches and the like. */
static void skip(struct world *w)
{
    int64_t n = 1 + (int64_t)prng_below(&w->g, 3);

    if (w->next + n >= RECORDS_MAX)
        return;
    for (int64_t i = 0; i < n; i++)
        w->state[w->next + i] = DONE; /* another record may have been there before a cut */
    w->next += n;
    done_skipped(&w->part, w->next, 4);
}

/* Nothing below `end` goes, all from there on; and that is handed out anew. */
static void cut(struct world *w)
{
    int64_t end = w->next - (int64_t)prng_below(&w->g, 12);

    if (end < 0)
        return;
    w->next = end;
    done_cut(&w->part, end, 5);
}

/* What was cut off counts for nobody. */
static void mark(struct world *w, struct chunk *k, int64_t to)
{
    for (int64_t i = k->public.first; k->part != NULL && i < to && i < k->counts; i++)
        w->state[i] = DONE;
}

static void work(struct world *w)
{
    uint32_t i = (uint32_t)prng_below(&w->g, w->held_count);
    struct chunk *k = w->held[i];
    int64_t to = k->done + (int64_t)prng_below(&w->g, (uint64_t)(k->public.next - k->done + 1));

    mark(w, k, to);
    done_up_to(k, to);
}

static void release(struct world *w, bool undone)
{
    uint32_t i = (uint32_t)prng_below(&w->g, w->held_count);
    struct chunk *k = w->held[i];

    w->held[i] = w->held[--w->held_count];
    if (!undone) {
        mark(w, k, k->public.next);
        k->done = k->counts;
    }
    done_released(k);
}

static void history(uint64_t seed, uint32_t undone_ppm, bool cuts)
{
    struct world w = {0};
    int64_t before = 0;
    uint32_t left = 0;

    prng_init(&w.g, seed);
    list_init(&w.part.outstanding);
    done_begin(&w.part, 0, -1);
    for (int step = 0; step < 1500; step++) {
        if (cuts && prng_below(&w.g, 50) == 0) {
            cut(&w);
            before = 0;
        }
        switch (prng_below(&w.g, 4)) {
        case 0:
            hand_out(&w);
            break;
        case 1:
            skip(&w);
            break;
        case 2:
            if (w.held_count > 0)
                work(&w);
            break;
        default:
            if (w.held_count > 0)
                release(&w, prng_chance(&w.g, undone_ppm));
        }
        CHECK(w.part.done >= before);
        before = w.part.done;
        if (expected(&w) != w.part.done && !w.part.hole)
            check_fail(__FILE__, __LINE__, "seed %" PRIu64 ", step %d: done up to %" PRId64 ", not %" PRId64, seed,
                       step, w.part.done, expected(&w));
        CHECK(w.part.done <= expected(&w)); /* never beyond, hole or not */
        left = 0;
        LIST_EACH(n, &w.part.outstanding)
            left++;
        CHECK(left <= 2 * w.held_count + 1); /* D2 */
    }
    while (w.held_count > 0)
        release(&w, false);
    if (undone_ppm == 0)
        CHECK_EQ(w.part.done, w.next);
    done_detach(&w.part);
}

TEST(consumer_done, is_the_first_record_that_is_not_done_whatever_the_order)
{
    for (uint64_t seed = 1; seed <= 200; seed++)
        history(seed, 0, seed % 2 == 0);
}

TEST(consumer_done, never_passes_what_was_released_undone)
{
    for (uint64_t seed = 1; seed <= 200; seed++)
        history(seed, 20000, false);
}
