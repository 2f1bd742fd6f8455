#include "check.h"

#include <stdlib.h>

#define KB ((uint64_t)1024)

/* A shard with a cache of which it can drop anything. */
struct shard {
    struct ledger ledger;
    uint64_t cache_bytes;
    int serve_soon;
    uint64_t short_bytes;
};

static void shard_shrink(void *ctx, uint64_t bytes)
{
    struct shard *s = ctx;
    uint64_t n = bytes < s->cache_bytes ? bytes : s->cache_bytes;

    s->cache_bytes -= n;
    ledger_return(&s->ledger, LEDGER_TAILS, n);
}

static void shard_serve_soon(void *ctx)
{
    ((struct shard *)ctx)->serve_soon++;
}

static void shard_is_short(void *ctx, uint64_t bytes)
{
    ((struct shard *)ctx)->short_bytes = bytes;
}

static void shard_init(struct shard *s, uint64_t limit_bytes)
{
    *s = (struct shard){0};
    ledger_init(&s->ledger, limit_bytes);
    s->ledger.shrink = shard_shrink;
    s->ledger.serve_soon = shard_serve_soon;
    s->ledger.is_short = shard_is_short;
    s->ledger.ctx = s;
}

static void shard_cache(struct shard *s, uint64_t bytes)
{
    s->cache_bytes += bytes;
    ledger_charge(&s->ledger, LEDGER_TAILS, bytes);
}

struct guest {
    struct ledger_wait wait;
    int granted;
};

static void guest_granted(struct ledger_wait *w)
{
    container_of(w, struct guest, wait)->granted++;
}

static void guest_wait(struct shard *s, struct guest *g, uint64_t bytes)
{
    *g = (struct guest){.wait.granted = guest_granted};
    CHECK_EQ(ledger_take(&s->ledger, &g->wait, bytes), 0);
}

/* A request that has all that it needs at once. */
static void guest_come(struct shard *s, uint64_t bytes)
{
    struct guest g = {.wait.granted = guest_granted};

    CHECK_EQ(ledger_take(&s->ledger, &g.wait, bytes), bytes);
    ledger_take_end(&s->ledger, &g.wait);
}

TEST(ledger, what_does_not_fit_waits_in_the_order_of_asking)
{
    struct shard s;
    struct guest a, b, c;

    shard_init(&s, 100 * KB);
    guest_come(&s, 60 * KB);
    CHECK_EQ(ledger_free_bytes(&s.ledger), 40 * KB);
    guest_wait(&s, &a, 50 * KB);
    CHECK_EQ(s.short_bytes, 10 * KB);
    guest_wait(&s, &b, 20 * KB); /* it would fit, but was not first */
    guest_wait(&s, &c, 40 * KB);
    CHECK_EQ(s.serve_soon, 0);
    ledger_return(&s.ledger, LEDGER_REQUESTS, 60 * KB);
    CHECK_EQ(s.serve_soon, 1);
    CHECK_EQ(a.granted, 0); /* not inside the call */
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted + b.granted * 10 + c.granted * 100, 11);
    CHECK_EQ(ledger_short_bytes(&s.ledger), 10 * KB);
    ledger_return(&s.ledger, LEDGER_REQUESTS, 50 * KB);
    ledger_return(&s.ledger, LEDGER_REQUESTS, 20 * KB);
    CHECK_EQ(s.serve_soon, 2); /* said once for both */
    ledger_serve(&s.ledger);
    CHECK_EQ(c.granted, 1);
    CHECK_EQ(s.ledger.uses[LEDGER_REQUESTS], 40 * KB);
    CHECK_EQ(ledger_short_bytes(&s.ledger), 0);
}

TEST(ledger, caches_go_before_anybody_waits)
{
    struct shard s;
    struct guest a;

    shard_init(&s, 100 * KB);
    shard_cache(&s, 80 * KB);
    ledger_charge(&s.ledger, LEDGER_WORK, 20 * KB);
    guest_come(&s, 30 * KB);
    CHECK_EQ(s.cache_bytes, 50 * KB); /* no more of it than is needed */
    guest_wait(&s, &a, 60 * KB);
    CHECK_EQ(s.cache_bytes, 0);
    CHECK_EQ(s.short_bytes, 10 * KB);
}

/* What was not yet written to a file is only a cache afterwards: nothing was given back, and yet there is room. */
TEST(ledger, who_waits_hears_of_new_caches)
{
    struct shard s;
    struct guest a;

    shard_init(&s, 100 * KB);
    ledger_charge(&s.ledger, LEDGER_TAILS, 90 * KB);
    guest_wait(&s, &a, 20 * KB);
    s.cache_bytes = 90 * KB;
    ledger_eased(&s.ledger);
    CHECK_EQ(s.serve_soon, 1);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 1);
    CHECK_EQ(s.cache_bytes, 80 * KB);
}

TEST(ledger, what_is_there_is_counted_above_the_limit_too)
{
    struct shard s;
    struct guest a;

    shard_init(&s, 100 * KB);
    ledger_charge(&s.ledger, LEDGER_WORK, 150 * KB);
    CHECK_EQ(ledger_free_bytes(&s.ledger), 0);
    guest_wait(&s, &a, 20 * KB);
    CHECK_EQ(s.short_bytes, 70 * KB);
    ledger_return(&s.ledger, LEDGER_WORK, 60 * KB);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 0);
    ledger_return(&s.ledger, LEDGER_WORK, 10 * KB);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 1);
}

/* queued.max.request.bytes: also where there is memory; but the one that is alone is let in. */
TEST(ledger, requests_have_a_bound_of_their_own)
{
    struct shard s;
    struct guest a;

    shard_init(&s, 100 * KB);
    s.ledger.requests_max_bytes = 30 * KB;
    guest_come(&s, 50 * KB);
    guest_wait(&s, &a, 20 * KB);
    CHECK_EQ(s.short_bytes, 0); /* more memory would not help */
    ledger_return(&s.ledger, LEDGER_REQUESTS, 50 * KB);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 1);
}

/* M5: nobody has more than twice what it has received, and a step. */
TEST(ledger, a_large_request_gets_its_memory_in_steps)
{
    struct shard s;
    struct ledger_wait w = {.granted = guest_granted};

    shard_init(&s, 4096 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &w, 3000 * KB), 64 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &w, 2936 * KB), 64 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &w, 2872 * KB), 128 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &w, 2744 * KB), 256 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &w, 1500 * KB), 1500 * KB); /* there is plenty for that */
    CHECK_EQ(s.ledger.uses[LEDGER_REQUESTS], 2012 * KB);
    ledger_take_end(&s.ledger, &w);
}

/* Those that have begun go before the new ones, and when they fill all that requests may have, one of them may go
 * on: else none would ever end. */
TEST(ledger, requests_that_have_begun_come_to_their_end)
{
    struct shard s;
    struct guest a = {.wait.granted = guest_granted}, b = a, fresh = a;

    shard_init(&s, 1000 * KB);
    s.ledger.requests_max_bytes = 128 * KB;
    CHECK_EQ(ledger_take(&s.ledger, &a.wait, 500 * KB), 64 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &b.wait, 500 * KB), 64 * KB);
    guest_wait(&s, &fresh, 20 * KB);
    CHECK_EQ(ledger_take(&s.ledger, &a.wait, 436 * KB), 0); /* somebody waits: in its turn */
    CHECK_EQ(ledger_take(&s.ledger, &b.wait, 436 * KB), 0);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted + b.granted * 10 + fresh.granted * 100, 1); /* `a` has the favour */
    CHECK_EQ(ledger_take(&s.ledger, &a.wait, 372 * KB), 128 * KB); /* and does not wait again */
    CHECK_EQ(ledger_take(&s.ledger, &a.wait, 244 * KB), 244 * KB);
    ledger_take_end(&s.ledger, &a.wait);
    CHECK(s.serve_soon > 0);
    ledger_serve(&s.ledger);
    CHECK_EQ(b.granted, 0); /* before `a` has given back what it has, nobody else is favoured */
    ledger_return(&s.ledger, LEDGER_REQUESTS, 500 * KB);
    ledger_serve(&s.ledger);
    CHECK_EQ(b.granted, 1);
    ledger_take_end(&s.ledger, &b.wait);
    ledger_return(&s.ledger, LEDGER_REQUESTS, 128 * KB);
    ledger_serve(&s.ledger);
    CHECK_EQ(fresh.granted, 1);
}

TEST(ledger, who_gives_up_lets_the_next_one_pass)
{
    struct shard s;
    struct guest a, b;

    shard_init(&s, 100 * KB);
    guest_come(&s, 60 * KB);
    guest_wait(&s, &a, 64 * KB);
    guest_wait(&s, &b, 20 * KB);
    ledger_take_end(&s.ledger, &a.wait);
    ledger_take_end(&s.ledger, &a.wait);
    CHECK_EQ(s.serve_soon, 1);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 0);
    CHECK_EQ(b.granted, 1);
}

TEST(ledger, limits_move_and_caches_make_room)
{
    struct shard s;
    struct guest a;

    shard_init(&s, 100 * KB);
    shard_cache(&s, 60 * KB);
    ledger_move_limit(&s.ledger, -(int64_t)(60 * KB));
    CHECK_EQ(s.cache_bytes, 40 * KB);
    guest_wait(&s, &a, 50 * KB);
    ledger_move_limit(&s.ledger, 20 * KB);
    CHECK_EQ(s.serve_soon, 1);
    ledger_serve(&s.ledger);
    CHECK_EQ(a.granted, 1);
}

TEST(ledger, arenas_are_counted_by_their_blocks)
{
    struct ledger l;
    struct arena a;

    ledger_init(&l, 1 << 20);
    arena_init(&a, 0);
    a.ledger = &l;
    for (int i = 0; i < 100; i++)
        CHECK(arena_take(&a, 1000) != NULL);
    CHECK_EQ(l.uses[LEDGER_WORK], a.taken_bytes);
    CHECK(a.taken_bytes >= 100000);
    arena_reset(&a);
    CHECK_EQ(l.uses[LEDGER_WORK], a.taken_bytes);
    CHECK(a.taken_bytes > 0);
    arena_deinit(&a);
    CHECK_EQ(l.used_bytes, 0);
    CHECK(arena_take(&a, 1) != NULL); /* it still knows its ledger */
    CHECK(l.used_bytes > 0);
    arena_deinit(&a);
}

TEST(ledger, none_counts_nothing)
{
    ledger_charge(NULL, LEDGER_WORK, 1);
    ledger_return(NULL, LEDGER_WORK, 2);
    ledger_eased(NULL);
    struct ledger_wait w = {0};
    CHECK_EQ(ledger_take(NULL, &w, 5), 5);
    ledger_take_end(NULL, &w);
    CHECK(ledger_free_bytes(NULL) == UINT64_MAX);
}
