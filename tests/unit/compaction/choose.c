/* Which segments become one, which log is next. */
#include "check.h"
#include "compaction/compaction.h"

static struct compaction_segment segment(int64_t base, uint64_t bytes, int64_t next_base)
{
    return (struct compaction_segment){.base = base,
                                       .next_base = next_base,
                                       .bytes = bytes,
                                       .index_bytes = 80,
                                       .time_index_bytes = 120};
}

TEST(compaction_group, fills_a_segment)
{
    const struct compaction_segment s[] = {segment(0, 400, 10), segment(10, 300, 20),
                                           segment(20, 300, 30), segment(30, 1, 40)};

    CHECK_EQ(compaction_group(s, 4, 1000, 10000), 3);
    CHECK_EQ(compaction_group(s, 4, 1001, 10000), 4);
    CHECK_EQ(compaction_group(s, 4, 999, 10000), 2);
    CHECK_EQ(compaction_group(s, 1, 100, 10000), 1); /* alone it always fits */
}

TEST(compaction_group, fills_no_index_too_far)
{
    const struct compaction_segment s[] = {segment(0, 1, 10), segment(10, 1, 20),
                                           segment(20, 1, 30)};

    CHECK_EQ(compaction_group(s, 3, 1000, 360), 3);
    CHECK_EQ(compaction_group(s, 3, 1000, 359), 2);
}

TEST(compaction_group, keeps_offsets_in_31_bits)
{
    const int64_t far = (int64_t)INT32_MAX + 1;
    const struct compaction_segment s[] = {segment(0, 1, 10), segment(10, 1, far),
                                           segment(far, 0, far + 10),
                                           segment(far + 10, 1, far + 20)};

    CHECK_EQ(compaction_group(s, 2, 1000, 10000), 2);
    CHECK_EQ(compaction_group(s, 4, 1000, 10000), 3); /* one without batches takes no offsets */
}

TEST(compaction_choice, wants_more_dirt_than_the_ratio)
{
    struct compaction_log log = {.clean_bytes = 50,
                                 .cleanable_bytes = 50,
                                 .ratio_min = 0.5,
                                 .dirty_since_ms = 1000,
                                 .lag_max_ms = INT64_MAX};

    CHECK(!compaction_is_due(&log, 5000));
    log.cleanable_bytes = 51;
    CHECK(compaction_is_due(&log, 5000));
    log.cleanable_bytes = 0;
    log.ratio_min = 0;
    CHECK(!compaction_is_due(&log, 5000));
}

TEST(compaction_choice, comes_when_the_lag_is_over)
{
    struct compaction_log log = {.clean_bytes = 50,
                                 .cleanable_bytes = 1,
                                 .ratio_min = 0.5,
                                 .dirty_since_ms = 1000,
                                 .lag_max_ms = 4000};

    CHECK(!compaction_is_due(&log, 5000));
    CHECK(compaction_is_due(&log, 5001));
    log.dirty_since_ms = -1;
    CHECK(!compaction_is_due(&log, 5001));
}

TEST(compaction_choice, begins_with_those_past_their_lag)
{
    struct compaction_log late = {
        .clean_bytes = 90, .cleanable_bytes = 10, .dirty_since_ms = 1, .lag_max_ms = 10};
    struct compaction_log dirty = {
        .clean_bytes = 10, .cleanable_bytes = 90, .dirty_since_ms = 1, .lag_max_ms = 1000};
    struct compaction_log cleaner = {
        .clean_bytes = 20, .cleanable_bytes = 80, .dirty_since_ms = 1, .lag_max_ms = 1000};

    CHECK(compaction_before(&late, &dirty, 100));
    CHECK(!compaction_before(&dirty, &late, 100));
    CHECK(compaction_before(&dirty, &cleaner, 100));
    CHECK(!compaction_before(&cleaner, &dirty, 100));
    CHECK(!compaction_before(&dirty, &dirty, 100));
}
