/* How fast something is copied, and when it may go on; whom a list names. */
#include "check.h"

#include "replication/replication.h"

static const struct throttle_rule rule = {.rate = 1000, .samples = 11, .sample_seconds = 1};

TEST(throttle, too_much_waits_until_the_rate_is_right)
{
    struct throttle x = {0};

    CHECK_EQ(throttle_wait_ms(&x, &rule, 500, 10000), 0); /* what was before counts for nothing */
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1500, 10000), 0); /* a second is not shorter than one */
    CHECK_EQ(throttle_rate(&x, &rule, 1500, 10000), 1000);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1501, 10200), 801);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 5500, 10200), 4800);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 5500, 14999), 1);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 5500, 15000), 0);
    CHECK_EQ(throttle_rate(&x, &rule, 5500, 15000), 1000);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 7500, 15000), 2000);
}

TEST(throttle, window_forgets)
{
    struct throttle x = {0};

    CHECK_EQ(throttle_wait_ms(&x, &rule, 0, 0), 0);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1000000, 0), 11000);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1000000, 5000), 6000);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1000000, 10999), 1);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1000000, 11000), 0);
    CHECK_EQ(throttle_rate(&x, &rule, 1000000, 11000), 0);
    CHECK_EQ(throttle_wait_ms(&x, &rule, 1000700, 15000), 0); /* since 5000 */
    CHECK_EQ(throttle_rate(&x, &rule, 1000700, 15000), 70);
}

TEST(throttle, another_rate_counts_at_once)
{
    struct throttle x = {0};
    struct throttle_rule r = rule;

    CHECK_EQ(throttle_wait_ms(&x, &r, 0, 0), 0);
    CHECK_EQ(throttle_wait_ms(&x, &r, 4000, 500), 3500);
    r.rate = 4000;
    CHECK_EQ(throttle_wait_ms(&x, &r, 4000, 500), 0);
    r.rate = 0; /* nothing, but a little in each window: as Kafka's */
    CHECK_EQ(throttle_wait_ms(&x, &r, 4000, 600), 10400);
    CHECK_EQ(throttle_wait_ms(&x, &r, 4000, 11000), 0);
    r.rate = INT64_MAX;
    CHECK_EQ(throttle_wait_ms(&x, &r, UINT64_MAX / 2, 11000), 0);
    r.rate = INT64_MAX - 1;
    CHECK_EQ(throttle_wait_ms(&x, &r, UINT64_MAX / 2, 11000), 11000); /* no such number overflows */
}

TEST(throttle, windows_of_any_size_are_measured)
{
    static const struct {
        int64_t samples, seconds;
    } rows[] = {{1, 1}, {2, 1}, {64, 1}, {65, 1}, {1000, 1}, {3, 100}, {INT32_MAX, 1}, {INT32_MAX, INT32_MAX}};

    for (size_t i = 0; i < array_count(rows); i++) {
        struct throttle_rule r = {.rate = 1000, .samples = rows[i].samples, .sample_seconds = rows[i].seconds};
        struct throttle x = {0};
        uint64_t total = 0, allowed;
        int64_t now_ms = 0;
        while (now_ms < 2000000) { /* copy what is allowed, in pieces of 300 */
            int64_t wait_ms = throttle_wait_ms(&x, &r, total, now_ms);
            CHECK(wait_ms >= 0 && wait_ms <= THROTTLE_WAIT_MAX_MS);
            total += wait_ms == 0 ? 300 : 0;
            now_ms += wait_ms == 0 ? 10 : wait_ms;
        }
        allowed = (uint64_t)now_ms;
        CHECK(total <= allowed + allowed / 2 + (uint64_t)rows[i].seconds * 1000 + 300);
        CHECK(total >= allowed * 9 / 10);
    }
}

TEST(throttle, list_names_partitions_of_brokers)
{
    CHECK(throttle_lists(STR("*"), 7, 3));
    CHECK(throttle_lists(STR(" * "), 7, 3));
    CHECK(throttle_lists(STR("0:3,7:3"), 7, 3));
    CHECK(throttle_lists(STR("7:1,, 7:3,"), 7, 3));
    CHECK(!throttle_lists(STR("7:1,3:7,70:3,7:30"), 7, 3));
    CHECK(!throttle_lists(STR(""), 0, 0));
    CHECK(!throttle_lists(STR("99999999999:1"), 1, 1));
}
