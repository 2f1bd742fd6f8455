/* check.h - tests that register themselves, and checks that say what differs.
 *
 *     #include "check.h"
 *
 *     TEST(log_roll, full_segment_starts_the_next)
 *     {
 *         CHECK_EQ(log_end(log), 3);
 *         CHECK_TEXT(dump(log), "0..2 closed\n");
 *     }
 *
 * A failed check ends its test; the others still run. `unit_ROOM PATTERN` runs the tests whose
 * "suite.name" fits the pattern (* and ?). The program's last line is "N passed, N failed".
 *
 * In files of tests -Wjump-misses-init is no concern, but a local that changes after
 * CHECK_ASSERTS began is undefined behind it (setjmp).
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct test {
    const char *suite;
    const char *name;
    void (*run)(struct test *t);
    struct test *next;
};

void test_register(struct test *t);

/* A test; `name` is a sentence that is true. `t` is its struct test. */
#define TEST(suite_, name_)                                                           \
    static void test_##suite_##__##name_(struct test *t);                             \
    __attribute__((constructor)) static void register_##suite_##__##name_(void)       \
    {                                                                                 \
        static struct test self = {#suite_, #name_, test_##suite_##__##name_, NULL};  \
        test_register(&self);                                                         \
    }                                                                                 \
    static void test_##suite_##__##name_(struct test *t)

#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)

/* Equal integers. */
#define CHECK_EQ(actual, expected)                                                    \
    check_eq((intmax_t)(actual), (intmax_t)(expected), #actual, __FILE__, __LINE__)

/* Equal text; `actual` is a char * or a struct str. NULL and the null str equal NULL only. */
#define CHECK_TEXT(actual, expected)                                                  \
    check_text(_Generic((actual), struct str: check_str_same, default: check_str_of)(actual), \
               str_of(expected), #actual, __FILE__, __LINE__)

/* Equal bytes, shown in hexadecimal. */
#define CHECK_BYTES(actual, actual_size, expected, expected_size)                     \
    check_bytes((actual), (actual_size), (expected), (expected_size), #actual, __FILE__, __LINE__)

/* The statement must fail an ASSERT; what it leaves behind is not cleaned up. */
#define CHECK_ASSERTS(statement)                                                      \
    do {                                                                              \
        assert_hook = check_assert_jump;                                              \
        if (sigsetjmp(check_assert_point, 0) == 0) {                                  \
            statement;                                                                \
            assert_hook = NULL;                                                       \
            check_fail(__FILE__, __LINE__, "no assertion failed in: %s", #statement); \
        }                                                                             \
    } while (0)

/* End the test as failed. */
_Noreturn void check_fail(const char *file, int line, const char *format, ...) PRINTF(3, 4);

void check_true(bool condition, const char *what, const char *file, int line);
void check_eq(intmax_t actual, intmax_t expected, const char *what, const char *file, int line);
void check_text(struct str actual, struct str expected, const char *what, const char *file,
                int line);
void check_bytes(const void *actual, size_t actual_size, const void *expected,
                 size_t expected_size, const char *what, const char *file, int line);

extern sigjmp_buf check_assert_point;
void check_assert_jump(void);

static inline struct str check_str_same(struct str s)
{
    return s;
}

static inline struct str check_str_of(const char *text)
{
    return str_of(text);
}
