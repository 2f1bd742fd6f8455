#define _GNU_SOURCE /* memmem */
/* Who counts as silent, and who is fenced for it. */
#include "world.h"

/* The own broker is 1, as this controller's node; `count` brokers in all. */
static void begin(struct world *w, int32_t count)
{
    world_begin(w, true);
    w->ours = true;
    for (int32_t id = 1; id <= count; id++)
        (void)world_broker(w, id);
    w->now_ms += 1000;
}

static uint32_t silent(struct world *w, int64_t since_ms, int32_t *first)
{
    struct controller_silent out[10];
    int64_t first_ms;
    uint32_t n = controller_silent(w->c, since_ms, out, array_count(out), &first_ms);

    *first = n > 0 ? out[0].id : -1;
    return n;
}

static bool fence(struct world *w, int32_t id, int64_t since_ms)
{
    bool fenced = controller_broker_silent(
        w->c, &(struct controller_silent){.id = id, .epoch = w->epochs[id]}, since_ms, w->now_ms);

    world_commit(w);
    CHECK_EQ(fenced, image_broker_find(controller_latest(w->c), id)->fenced);
    return fenced;
}

TEST(controller_silence, who_speaks_is_not_silent)
{
    struct world w;
    struct controller_silent out[1];
    int32_t first;
    int64_t first_ms;

    begin(&w, 4);
    CHECK_EQ(silent(&w, w.now_ms - 500, &first), 3); /* but for the own one */
    CHECK_EQ(controller_silent(w.c, w.now_ms - 500, out, 1, &first_ms), 1);
    CHECK_EQ(first_ms, INT64_MAX);
    controller_broker_speaks(w.c, 2, w.now_ms - 100);
    controller_broker_speaks(w.c, 99, w.now_ms);
    CHECK_EQ(world_beat(&w, 3, w.epochs[3], false, false), KERR_NONE);
    CHECK_EQ(silent(&w, w.now_ms - 500, &first), 1);
    CHECK_EQ(first, 4);
    CHECK_EQ(controller_silent(w.c, w.now_ms - 500, out, 1, &first_ms), 1);
    CHECK_EQ(first_ms, w.now_ms - 100);
    controller_silence_anew(w.c, w.now_ms);
    CHECK_EQ(silent(&w, w.now_ms - 500, &first), 0);
    CHECK_EQ(silent(&w, w.now_ms, &first), 3);
    controller_resign(w.c);
    CHECK_EQ(silent(&w, w.now_ms, &first), 0);
    controller_broker_speaks(w.c, 2, w.now_ms);
    world_end(&w);
}

/* What leads moves; a heartbeat brings the broker back, and it may be silent again. */
TEST(controller_silence, one_that_gave_no_sign_is_fenced)
{
    struct world w;

    begin(&w, 3);
    world_create_on(&w, "t", (const int32_t[]){2, 3}, 2);
    controller_broker_speaks(w.c, 3, w.now_ms);
    CHECK(!fence(&w, 3, w.now_ms - 500));
    for (int i = 0; i < 2; i++) {
        CHECK(fence(&w, 2, w.now_ms - 500));
        CHECK_EQ(world_partition(&w, "t", 0)->leader, 3);
        CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
        w.now_ms += 1000;
        controller_broker_speaks(w.c, 3, w.now_ms);
    }
    w.epochs[2]--;
    CHECK(!fence(&w, 2, w.now_ms - 500)); /* another registration was meant */
    controller_resign(w.c);
    CHECK(!controller_broker_silent(w.c, &(struct controller_silent){.id = 2, .epoch = w.epochs[2] + 1}, w.now_ms,
                                    w.now_ms));
    world_end(&w);
}

/* Then it may be this side that hears nothing. */
TEST(controller_silence, most_brokers_are_not_silent_at_once)
{
    struct world w;

    begin(&w, 4);
    CHECK(!fence(&w, 2, w.now_ms - 500)); /* three of four */
    controller_broker_speaks(w.c, 4, w.now_ms);
    CHECK(fence(&w, 2, w.now_ms - 500)); /* two of four */
    CHECK(fence(&w, 3, w.now_ms - 500)); /* one of three */
    w.now_ms += 1000;
    CHECK(fence(&w, 4, w.now_ms - 500)); /* one of two */
    world_end(&w);
}

TEST(controller_silence, brokers_of_kafka_and_those_that_leave_have_their_session)
{
    struct world w;
    int32_t first;

    begin(&w, 4);
    w.ours = false;
    (void)world_broker(&w, 5);
    world_create_on(&w, "t", (const int32_t[]){3}, 1);
    CHECK_EQ(world_beat(&w, 3, w.epochs[3], false, true), KERR_NONE); /* it leads, so it waits to be let go */
    w.now_ms += 1000;
    CHECK_EQ(silent(&w, w.now_ms - 500, &first), 2);
    controller_broker_speaks(w.c, 2, w.now_ms);
    CHECK_EQ(silent(&w, w.now_ms - 500, &first), 1);
    CHECK_EQ(first, 4);
    CHECK(!fence(&w, 5, w.now_ms - 500));
    CHECK(!fence(&w, 3, w.now_ms - 500));
    world_end(&w);
}

/* ---- again and again ---- */

/* Of heartbeats of all of them. */
static void pass(struct world *w, int64_t ms)
{
    for (int64_t end_ms = w->now_ms + ms; w->now_ms < end_ms;) {
        w->now_ms += 1000;
        for (int32_t id = 1; id <= 3; id++)
            CHECK_EQ(world_beat(w, id, w->epochs[id], false, false), KERR_NONE);
    }
}

/* Broker 2 hangs: fenced, and back with the first heartbeat that unfences it. -> how long that took. */
static int64_t hang(struct world *w)
{
    int64_t from_ms;

    w->now_ms += 1000;
    CHECK_EQ(world_beat(w, 3, w->epochs[3], false, false), KERR_NONE);
    CHECK(fence(w, 2, w->now_ms - 500));
    for (from_ms = w->now_ms; w->now_ms - from_ms <= 100000; w->now_ms += 1000) {
        CHECK_EQ(world_beat(w, 3, w->epochs[3], false, false), KERR_NONE);
        CHECK_EQ(world_beat(w, 2, w->epochs[2], false, false), KERR_NONE);
        if (!image_broker_find(controller_latest(w->c), 2)->fenced)
            break;
    }
    return w->now_ms - from_ms;
}

TEST(controller_silence, who_hangs_again_and_again_is_taken_back_later_and_later)
{
    static const int64_t took_ms[] = {0, 0, 5000, 10000, 20000, 30000, 30000};
    struct world w;

    begin(&w, 3);
    world_create_on(&w, "t", (const int32_t[]){2, 3}, 2);
    for (size_t i = 0; i < array_count(took_ms); i++) {
        (void)world_news(&w);
        CHECK_EQ(hang(&w), took_ms[i]);
        const struct str held = STR("; so it was 3 times in a short time: it is taken back in 5000 ms");
        struct str news = world_news(&w);
        CHECK_EQ(memmem(news.p, (size_t)news.n, held.p, (size_t)held.n) != NULL, i == 2);
    }
    pass(&w, 298000 - 30000); /* since it was fenced, with the second in which it hangs */
    CHECK_EQ(hang(&w), 30000);
    pass(&w, 299000 - 30000);
    CHECK_EQ(hang(&w), 0); /* it was well for long */
    world_end(&w);
}

TEST(controller_silence, who_hangs_comes_back_where_a_partition_needs_it)
{
    struct world w;

    begin(&w, 3);
    world_create_on(&w, "t", (const int32_t[]){3, 2}, 2);
    world_create_on(&w, "alone", (const int32_t[]){2}, 1);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(hang(&w), 0); /* nobody else may lead it */
    world_end(&w);
}

TEST(controller_silence, another_process_is_not_held_back)
{
    struct world w;

    begin(&w, 3);
    for (int i = 0; i < 4; i++)
        (void)hang(&w);
    w.now_ms += 1000;
    CHECK_EQ(world_beat(&w, 3, w.epochs[3], false, false), KERR_NONE);
    CHECK(fence(&w, 2, w.now_ms - 500));
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
    CHECK(image_broker_find(controller_latest(w.c), 2)->fenced);
    w.epochs[2] = world_register(&w, 2, 77, -1, true);
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
    CHECK(!image_broker_find(controller_latest(w.c), 2)->fenced);
    world_end(&w);
}
