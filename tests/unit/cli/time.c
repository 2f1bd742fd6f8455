/* Dates and durations of --reset-offsets. */
#include "check.h"

#include "cli/cgroups.h"

static int64_t date(const char *text)
{
    struct fail f = {0};
    int64_t ms = -1;

    return datetime_ms(str_of(text), &ms, &f) == 0 ? ms : -1;
}

TEST(cli_time, dates_are_utc_unless_they_say_more)
{
    CHECK_EQ(date("1970-01-01T00:00:00.000"), 0);
    CHECK_EQ(date("2000-03-01T00:00:00"), 951868800000);
    CHECK_EQ(date("2024-02-29T23:59:59.999Z"), 1709251199999);
    CHECK_EQ(date("2100-03-01T00:00:00.000"), 4107542400000); /* no leap year */
    CHECK_EQ(date("2024-01-01T02:00:00.5+02:00"), 1704067200500);
    CHECK_EQ(date("2023-12-31T19:00:00-0500"), 1704067200000);
    CHECK_EQ(date("2024-01-01"), -1);
    CHECK_EQ(date("2024-13-01T00:00:00"), -1);
    CHECK_EQ(date("2024-00-01T00:00:00"), -1);
    CHECK_EQ(date("2024-01-01T00:00:00x"), -1);
    CHECK_EQ(date("2024-01-01 00:00:00"), -1);
}

static int64_t duration(const char *text)
{
    struct fail f = {0};
    int64_t ms = -1;

    return duration_ms(str_of(text), &ms, &f) == 0 ? ms : -1;
}

TEST(cli_time, durations_are_iso_8601)
{
    CHECK_EQ(duration("PT30M"), 1800000);
    CHECK_EQ(duration("P1DT2H3M4S"), 93784000);
    CHECK_EQ(duration("P7D"), 604800000);
    CHECK_EQ(duration("P"), -1);
    CHECK_EQ(duration("PT"), -1);
    CHECK_EQ(duration("P1H"), -1);
    CHECK_EQ(duration("1H"), -1);
    CHECK_EQ(duration("PT99999999999999999S"), -1);
    CHECK_EQ(duration("P100000000000DT9000000000000000S"), -1);
}
