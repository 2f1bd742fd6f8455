#include "telemetry/telemetry.h"

#include "check.h"

static void check_sum(const struct recent *r, int64_t now_ms, uint64_t count, uint64_t sum, uint64_t max)
{
    struct recent_sum s = recent_sum(r, now_ms);

    CHECK_EQ(s.count, count);
    CHECK_EQ(s.sum, sum);
    CHECK_EQ(s.max, max);
    CHECK_EQ(s.ms, RECENT_SAMPLE_MS + now_ms % RECENT_SAMPLE_MS);
}

TEST(recent, knows_the_last_two_samples)
{
    struct recent r = {0};
    int64_t at = 7 * RECENT_SAMPLE_MS;

    check_sum(&r, at, 0, 0, 0);
    recent_add(&r, at, 5);
    recent_add(&r, at + 10, 3);
    check_sum(&r, at + 20, 2, 8, 5);
    recent_add(&r, at + RECENT_SAMPLE_MS, 4); /* the next one */
    check_sum(&r, at + 2 * RECENT_SAMPLE_MS - 1, 3, 12, 5);
    check_sum(&r, at + 2 * RECENT_SAMPLE_MS, 1, 4, 4); /* looking changes nothing */
    check_sum(&r, at + RECENT_SAMPLE_MS, 3, 12, 5);
    check_sum(&r, at + 3 * RECENT_SAMPLE_MS, 0, 0, 0);
    recent_add(&r, at + 9 * RECENT_SAMPLE_MS, 1);
    check_sum(&r, at + 9 * RECENT_SAMPLE_MS, 1, 1, 1);
}
