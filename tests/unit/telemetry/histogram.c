#include "telemetry/telemetry.h"

#include "check.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool within_error(uint64_t actual, uint64_t expected)
{
    uint64_t difference = actual > expected ? actual - expected : expected - actual;

    return difference <= expected / 32;
}

TEST(histogram, small_values_are_exact)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct histogram *h = telemetry_histogram(t_, "h", "", 1, "H.");

    CHECK_EQ(histogram_quantile(h, 500000), 0);
    for (uint64_t v = 0; v < 64; v++)
        histogram_add(h, v);
    CHECK_EQ(histogram_quantile(h, 0), 0);
    CHECK_EQ(histogram_quantile(h, 500000), 31); /* the 32nd of 64 */
    CHECK_EQ(histogram_quantile(h, 515626), 33); /* the 34th */
    CHECK_EQ(histogram_quantile(h, 1000000), 63);
    telemetry_free(t_);
}

TEST(histogram, one_value_of_any_size_comes_back)
{
    for (int shift = 0; shift < 64; shift++) {
        for (int delta = -1; delta <= 1; delta++) {
            struct telemetry *t_ = telemetry_new(NULL);
            struct histogram *h = telemetry_histogram(t_, "h", "", 1, "H.");
            uint64_t v = (UINT64_C(1) << shift) + (uint64_t)delta;
            histogram_add(h, v);
            CHECK(within_error(histogram_quantile(h, 500000), v));
            telemetry_free(t_);
        }
    }
}

TEST(histogram, quantiles_are_near_those_of_the_sorted_values)
{
    enum { COUNT = 5000 };
    static const uint32_t ppms[] = {1, 1000, 500000, 750000, 950000, 990000, 999000, 1000000};
    uint64_t *values = malloc(COUNT * sizeof *values);
    struct prng g;

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct telemetry *t_ = telemetry_new(NULL);
        struct histogram *h = telemetry_histogram(t_, "h", "", 1, "H.");
        prng_init(&g, seed);
        for (int i = 0; i < COUNT; i++) {
            values[i] = prng_u64(&g) >> prng_below(&g, 64);
            histogram_add(h, values[i]);
        }
        qsort(values, COUNT, sizeof *values, ascending);
        for (size_t i = 0; i < array_count(ppms); i++) {
            uint64_t rank = ((uint64_t)ppms[i] * COUNT + 999999) / 1000000;
            CHECK(within_error(histogram_quantile(h, ppms[i]), values[rank == 0 ? 0 : rank - 1]));
        }
        telemetry_free(t_);
    }
    free(values);
}

TEST(histogram, is_printed_in_its_unit)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct histogram *h =
        telemetry_histogram(t_, "wait_seconds", "api=\"Fetch\"", 1000000000, "W.");
    struct text out = {0};

    telemetry_print(&t_, 1, &out);
    CHECK_TEXT(text_str(&out), "# HELP wait_seconds W.\n"
                               "# TYPE wait_seconds summary\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.5\"} NaN\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.75\"} NaN\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.95\"} NaN\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.98\"} NaN\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.99\"} NaN\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.999\"} NaN\n"
                               "wait_seconds_sum{api=\"Fetch\"} 0\n"
                               "wait_seconds_count{api=\"Fetch\"} 0\n");
    text_clear(&out);
    for (int i = 0; i < 999; i++)
        histogram_add(h, 7);
    histogram_add(h, 2500000007);
    telemetry_print(&t_, 1, &out);
    CHECK_TEXT(text_str(&out), "# HELP wait_seconds W.\n"
                               "# TYPE wait_seconds summary\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.5\"} 0.000000007\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.75\"} 0.000000007\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.95\"} 0.000000007\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.98\"} 0.000000007\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.99\"} 0.000000007\n"
                               "wait_seconds{api=\"Fetch\",quantile=\"0.999\"} 0.000000007\n"
                               "wait_seconds_sum{api=\"Fetch\"} 2.500007\n"
                               "wait_seconds_count{api=\"Fetch\"} 1000\n");
    text_deinit(&out);
    CHECK_ASSERTS(
        (void)telemetry_histogram(t_, "other", "", 1024, "a unit that is no power of ten"));
    telemetry_free(t_);
}
