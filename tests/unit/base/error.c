#include "check.h"

TEST(error, has_words_for_every_number)
{
    CHECK_TEXT(error_text(0), "no error");
    CHECK_TEXT(error_text(-ENOENT), "No such file or directory");
    CHECK_TEXT(error_text(ERR_FENCED), "a newer epoch is known");
    CHECK_TEXT(error_text(ERR_OFFLINE), "the log directory is offline after a failure");
    CHECK_TEXT(error_text(-999), "unknown error");
    CHECK_TEXT(error_text(-5000), "unknown error");
    CHECK_TEXT(error_text(INT32_MIN), "unknown error");
    CHECK_TEXT(error_text(17), "unknown error");
}

TEST(error, message_grows_from_the_inside_out)
{
    struct fail f = {0};

    CHECK_EQ(fail_set(&f, -EINVAL, "retention.ms: \"%s\" is not a number", "x"), -EINVAL);
    CHECK_EQ(fail_wrap(&f, "line %d", 3), -EINVAL);
    CHECK_EQ(fail_wrap(&f, "topic %s", "orders"), -EINVAL);
    CHECK_EQ(f.error, -EINVAL);
    CHECK_TEXT(f.text, "topic orders: line 3: retention.ms: \"x\" is not a number");
    CHECK_EQ(fail_set(NULL, ERR_SHORT, "nobody reads this"), ERR_SHORT);
}

TEST(error, message_that_is_too_long_is_cut_at_its_end)
{
    struct fail f = {0};
    char expected[sizeof(f.text)];

    fail_set(&f, ERR_LIMIT, "%0600d", 0);
    CHECK_EQ(strlen(f.text), sizeof(f.text) - 1);
    fail_wrap(&f, "outer");
    memset(expected, '0', sizeof(expected) - 1);
    memcpy(expected, "outer: ", 7);
    expected[sizeof(expected) - 1] = '\0';
    CHECK_TEXT(f.text, expected);
    CHECK_EQ(fail_wrap(&f, "%0600d", 1), ERR_LIMIT);
    CHECK_EQ(strlen(f.text), sizeof(f.text) - 1);
}

TEST(error, message_may_just_fit)
{
    for (int n = 480; n < 520; n++) {
        struct fail f = {0};
        fail_set(&f, ERR_LIMIT, "inner");
        fail_wrap(&f, "%0*d", n, 0);
        CHECK_EQ(strlen(f.text), n + 7 < 499 ? n + 7 : 499);
    }
}

TEST(error, success_is_no_failure)
{
    struct fail f = {0};

    CHECK_ASSERTS(fail_set(&f, 0, "zero"));
    CHECK_ASSERTS(fail_wrap(&f, "nothing failed yet"));
    CHECK_ASSERTS(fail_wrap(NULL, "no place for the error"));
}

static int twice(int error)
{
    TRY(error);
    return 2;
}

TEST(error, try_returns_only_trouble)
{
    CHECK_EQ(twice(0), 2);
    CHECK_EQ(twice(1), 2);
    CHECK_EQ(twice(-ENOSPC), -ENOSPC);
}
