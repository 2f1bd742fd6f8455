/* Stories that a seed tells: any order of steps, with crashes. */

#include "check.h"
#include "crash_case.h"
#include "crash_story.h"

/* Any run of batches, read at any offset, is what was appended. */
static void read_somewhere(struct story *s, struct prng *g)
{
    if (s->log == NULL || !story_is_up(s) || log_end(s->log) == log_start(s->log))
        return;
    uint64_t span = (uint64_t)(log_end(s->log) - log_start(s->log));
    int64_t offset = log_start(s->log) + (int64_t)prng_below(g, span);
    struct log_read r = {.offset = offset,
                         .limit = log_end(s->log),
                         .first_whole = true,
                         .max_bytes = (uint32_t)prng_below(g, 3000) * s->scale,
                         .arena = &s->lab.arena};
    struct text found = {0};
    uint32_t i = 0;
    size_t at = 0;

    if (WAIT(&s->lab, log_read_bytes(s->log, &r, &found, op)) >= 0) {
        while (s->entries[i].last < offset)
            i++;
        CHECK(found.n > 0);
        for (; at < found.n; i++) {
            CHECK_BYTES(found.p + at, s->entries[i].bytes.n, s->entries[i].bytes.p,
                        s->entries[i].bytes.n);
            at += s->entries[i].bytes.n;
        }
    } else {
        CHECK(!story_is_up(s));
    }
    arena_reset(&s->lab.arena);
    text_deinit(&found);
}

static void one_step(struct story *s, struct prng *g, int32_t *epoch)
{
    uint64_t n = 1 + prng_below(g, 6);

    switch (prng_below(g, 12)) {
    case 0:
        story_begin_epoch(s, ++*epoch);
        break;
    case 1:
        story_flush(s);
        break;
    case 2:
        if (s->count > n + 2 && s->log != NULL && s->entries[s->count - n].base >= s->started)
            story_truncate(s, (uint32_t)n);
        break;
    case 3:
        if (s->count > 8 && s->log != NULL && s->entries[s->count / 2].base > s->started &&
            s->entries[s->count / 2].base <= log_stable(s->log))
            story_raise_start(s, s->entries[s->count / 2].base);
        break;
    case 4:
        story_save_checkpoints(s);
        break;
    case 5:
        story_close(s, true);
        story_open(s);
        break;
    case 6:
        story_until_stable(s);
        break;
    case 7:
        read_somewhere(s, g);
        break;
    case 8:
        story_retain(s, (int64_t)prng_below(g, 3000));
        break;
    default:
        for (; n > 0 && s->count < BATCHES_MAX; n--)
            story_append(s, (int64_t)prng_below(g, 2), *epoch, 0);
        read_somewhere(s, g);
    }
}

/* A relaxed log may lose to a power cut what was not flushed. */
static void random_story(uint64_t seed)
{
    bool durable = seed % 4 != 0;
    struct story *s = story_new(seed, durable, seed % 3 == 0 ? LARGE : SMALL);
    struct prng g;
    int32_t epoch = 1;

    prng_init(&g, crash_seed(seed));
    s->lab.settings.segment_bytes = (600 + (uint32_t)prng_below(&g, 4000)) * s->scale;
    s->lab.memory.limit_bytes = prng_below(&g, 2) * 20000 * s->scale;
    s->point_bytes = prng_below(&g, 3) * 150;
    s->loses_points = prng_below(&g, 3) == 0;
    story_open(s);
    for (int crash = 0; crash < 3; crash++) {
        uint32_t how = prng_below(&g, 3) == 0 ? KILL : POWER;
        sim_crash_at_io(s->node, 1 + prng_below(&g, 150), how | (prng_below(&g, 2) ? AFTER : 0));
        for (int i = 0; i < 200 && story_is_up(s) && s->count < BATCHES_MAX; i++)
            one_step(s, &g, &epoch);
        bool lost_power = how == POWER || story_is_up(s);
        if (story_is_up(s))
            sim_node_power_cut(s->node);
        s->forgets = !durable && lost_power;
        if (s->forgets)
            s->acknowledged = 0;
        story_check_epochs(s);
        story_close(s, false);
        story_open_after_crash(s);
        if (s->log == NULL)
            check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed,
                       s->lab.fail.text);
        story_check(s);
        story_adopt(s);
    }
    story_close(s, true);
    story_free(s);
}

TEST(log_crash, any_story)
{
    for (uint32_t seed = crash_first(1); seed <= 300; seed++) {
        crash_says(seed);
        random_story(seed);
    }
}
