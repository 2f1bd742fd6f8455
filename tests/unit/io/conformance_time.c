/* Clocks and timers. */
#include "conformance.h"

#define MS INT64_C(1000000)

struct alarm {
    struct io_timer timer;
    struct trial *w;
    uint32_t times;
    int64_t at_ns;    /* set for */
    int64_t fired_ns; /* io_now_ns then */
    uint32_t *order;
    uint32_t place;
    uint32_t again; /* set itself so many times more, to the past */
    struct alarm *clears, *sets;
};

static void alarm_set(struct trial *w, struct alarm *a, int64_t at_ns);

static void alarm_fire(struct io_timer *timer)
{
    struct alarm *a = container_of(timer, struct alarm, timer);

    ASSERT(!a->w->calling);
    ASSERT(!io_timer_is_set(timer));
    a->times++;
    a->fired_ns = io_now_ns(a->w->io);
    if (a->order != NULL)
        a->place = ++*a->order;
    if (a->clears != NULL)
        io_timer_clear(&a->clears->timer);
    if (a->sets != NULL)
        alarm_set(a->w, a->sets, 0);
    if (a->again > 0) {
        a->again--;
        alarm_set(a->w, a, 0);
    }
}

static void alarm_set(struct trial *w, struct alarm *a, int64_t at_ns)
{
    bool outer = w->calling;

    a->w = w;
    a->at_ns = at_ns;
    w->calling = true;
    io_timer_set(w->io, &a->timer, at_ns, alarm_fire);
    w->calling = outer;
    ASSERT(io_timer_is_set(&a->timer));
}

static bool alarm_has_fired(void *arg)
{
    return ((struct alarm *)arg)->times > 0;
}

static void alarm_wait(struct alarm *a)
{
    CHECK(trial_until(a->w, alarm_has_fired, a));
}

TEST(io_time, goes_on_between_turns)
{
    struct trial w;

    trial_open(&w, 1);
    int64_t before_ns = io_now_ns(w.io), before_wall_ms = io_wall_ms(w.io);
    CHECK_EQ(io_now_ms(w.io), before_ns / 1000000);
    trial_sleep(&w, 20 * MS);
    CHECK(io_now_ns(w.io) >= before_ns + 20 * MS);
    /* The wall clock may jump on a real machine; in a test it does not jump back for long. */
    CHECK(io_wall_ms(w.io) > 0);
    CHECK(io_wall_ms(w.io) - before_wall_ms < 3600 * 1000);
    trial_close(&w);
}

TEST(io_time, stands_still_within_a_turn)
{
    struct trial w;
    uint64_t x = 1;

    trial_open(&w, 1);
    int64_t before_ns = io_now_ns(w.io);
    for (uint32_t i = 0; i < 100000; i++)
        x = x * 3 + i;
    CHECK(x != 0);
    CHECK_EQ(io_now_ns(w.io), before_ns);
    trial_close(&w);
}

TEST(io_timer, fires_once_and_not_too_early)
{
    struct trial w;
    struct alarm a = {.times = 0};

    trial_open(&w, 1);
    CHECK(!io_timer_is_set(&a.timer));
    alarm_set(&w, &a, io_now_ns(w.io) + 5 * MS);
    alarm_wait(&a);
    CHECK(!io_timer_is_set(&a.timer));
    CHECK(a.fired_ns >= a.at_ns);
    trial_sleep(&w, 10 * MS);
    CHECK_EQ(a.times, 1);
    trial_close(&w);
}

TEST(io_timer, fire_in_the_order_of_their_times)
{
    static const int64_t after_ms[] = {7, 3, 9, 1, 5, 8, 2, 6, 4, 10};
    struct trial w;
    struct alarm a[10] = {{.times = 0}};
    uint32_t order = 0;

    trial_open(&w, 1);
    int64_t now_ns = io_now_ns(w.io);
    for (uint32_t i = 0; i < 10; i++) {
        a[i].order = &order;
        alarm_set(&w, &a[i], now_ns + after_ms[i] * MS);
    }
    for (uint32_t i = 0; i < 10; i++)
        alarm_wait(&a[i]);
    for (uint32_t i = 0; i < 10; i++)
        CHECK_EQ(a[i].place, after_ms[i]);
    trial_close(&w);
}

TEST(io_timer, equal_times_fire_in_the_order_in_which_they_were_set)
{
    struct trial w;
    struct alarm a[20] = {{.times = 0}};
    uint32_t order = 0;

    trial_open(&w, 1);
    int64_t at_ns = io_now_ns(w.io) + 3 * MS;
    for (uint32_t i = 0; i < 20; i++) {
        a[i].order = &order;
        alarm_set(&w, &a[i], at_ns);
    }
    for (uint32_t i = 0; i < 20; i++)
        alarm_wait(&a[i]);
    for (uint32_t i = 0; i < 20; i++)
        CHECK_EQ(a[i].place, i + 1);
    trial_close(&w);
}

TEST(io_timer, the_past_fires_soon_but_later)
{
    struct trial w;
    struct alarm a = {.times = 0}, b = {.times = 0};

    trial_open(&w, 1);
    alarm_set(&w, &a, 0);
    alarm_set(&w, &b, io_now_ns(w.io));
    CHECK_EQ(a.times, 0);
    CHECK_EQ(b.times, 0);
    alarm_wait(&a);
    alarm_wait(&b);
    trial_close(&w);
}

/* A timer that sets itself to the past for ever does not keep the shard for itself. */
TEST(io_timer, that_sets_itself_to_the_past_lets_others_run)
{
    struct trial w;
    struct alarm a = {.again = UINT32_MAX};

    trial_open(&w, 1);
    alarm_set(&w, &a, 0);
    struct io_file *file = file_new(&w, "beside");
    trial_turns(&w, 10);
    file_close(&w, file);
    CHECK(a.times > 1);
    io_timer_clear(&a.timer);
    trial_close(&w);
}

TEST(io_timer, setting_it_again_moves_it)
{
    struct trial w;
    struct alarm earlier = {.times = 0}, later = {.times = 0};

    trial_open(&w, 1);
    int64_t now_ns = io_now_ns(w.io);
    alarm_set(&w, &earlier, now_ns + 3600 * 1000 * MS);
    alarm_set(&w, &later, now_ns + 1 * MS);
    alarm_set(&w, &earlier, now_ns + 2 * MS);
    alarm_set(&w, &later, now_ns + 15 * MS);
    alarm_wait(&earlier);
    alarm_wait(&later);
    CHECK_EQ(earlier.times, 1);
    CHECK_EQ(later.times, 1);
    CHECK(earlier.fired_ns >= now_ns + 2 * MS);
    CHECK(later.fired_ns >= now_ns + 15 * MS);
    trial_close(&w);
}

TEST(io_timer, cleared_it_does_not_fire)
{
    struct trial w;
    struct alarm a = {.times = 0}, never = {.times = 0};

    trial_open(&w, 1);
    alarm_set(&w, &a, io_now_ns(w.io) + 2 * MS);
    io_timer_clear(&a.timer);
    CHECK(!io_timer_is_set(&a.timer));
    io_timer_clear(&a.timer);     /* not set any more */
    io_timer_clear(&never.timer); /* never set */
    trial_sleep(&w, 10 * MS);
    CHECK_EQ(a.times, 0);
    alarm_set(&w, &a, io_now_ns(w.io) + 1 * MS);
    alarm_wait(&a);
    trial_close(&w);
}

/* Both are due in the same turn. */
TEST(io_timer, can_be_cleared_by_another_that_fires_before_it)
{
    struct trial w;
    struct alarm first = {.times = 0}, second = {.times = 0};

    trial_open(&w, 1);
    first.clears = &second;
    int64_t at_ns = io_now_ns(w.io) + 2 * MS;
    alarm_set(&w, &first, at_ns);
    alarm_set(&w, &second, at_ns);
    alarm_wait(&first);
    trial_sleep(&w, 5 * MS);
    CHECK_EQ(second.times, 0);
    trial_close(&w);
}

/* It has fired, and does not set itself any more. */
static bool alarm_is_over(void *arg)
{
    struct alarm *a = arg;

    return a->times > 0 && !io_timer_is_set(&a->timer);
}

TEST(io_timer, can_set_itself_and_others_when_it_fires)
{
    struct trial w;
    struct alarm a = {.again = 3}, b = {.times = 0};

    trial_open(&w, 1);
    a.sets = &b;
    alarm_set(&w, &a, io_now_ns(w.io) + 1 * MS);
    CHECK(trial_until(&w, alarm_is_over, &a)); /* a turn for each: a time may be over before they are */
    trial_sleep(&w, 20 * MS);
    CHECK_EQ(a.times, 4);
    CHECK(b.times >= 1);
    CHECK(b.times <= 4);
    trial_close(&w);
}

TEST(io_timer, thousands_fire_each_once)
{
    enum { N = 5000 };
    static struct alarm a[N];
    struct trial w;
    int64_t last_ns = 0;

    trial_open(&w, 1);
    int64_t now_ns = io_now_ns(w.io);
    for (uint32_t i = 0; i < N; i++) {
        a[i] = (struct alarm){.times = 0};
        alarm_set(&w, &a[i], now_ns + (i * 7919 % N) * (20 * MS / N));
    }
    for (uint32_t i = 0; i < N; i += 2)
        io_timer_clear(&a[i].timer);
    trial_sleep(&w, 30 * MS);
    for (uint32_t i = 0; i < N; i++) {
        CHECK_EQ(a[i].times, i % 2);
        last_ns = a[i].fired_ns > last_ns ? a[i].fired_ns : last_ns;
    }
    CHECK(last_ns >= now_ns + 19 * MS);
    trial_close(&w);
}
