#define _GNU_SOURCE /* asprintf */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

sigjmp_buf check_assert_point;

static struct test *first_test;
static struct test **last_link = &first_test;
static size_t test_count;
static size_t passed_count;

void test_register(struct test *t)
{
    *last_link = t;
    last_link = &t->next;
    test_count++;
}

void check_assert_jump(void)
{
    siglongjmp(check_assert_point, 1);
}

_Noreturn void check_fail(const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    print_error("%s\n", text);
    _fail(file, line);
    abort(); /* _fail does not return, but its declaration does not say so */
}

void check_true(bool condition, const char *what, const char *file, int line)
{
    if (!condition)
        check_fail(file, line, "not true: %s", what);
}

void check_eq(intmax_t actual, intmax_t expected, const char *what, const char *file, int line)
{
    if (actual != expected)
        check_fail(file, line, "%s is %jd (0x%jx), expected %jd (0x%jx)", what, actual,
                   (uintmax_t)actual, expected, (uintmax_t)expected);
}

static void print_text(const char *label, struct str s)
{
    if (str_is_null(s)) {
        print_error("%s: NULL\n", label);
        return;
    }
    print_error("%s, %d bytes:\n", label, s.n);
    fprintf(stderr, "%.*s\n", STR_ARG(s)); /* print_error would cut it */
}

void check_text(struct str actual, struct str expected, const char *what, const char *file,
                int line)
{
    int32_t same = 0;

    if (str_equal(actual, expected))
        return;
    print_text("actual", actual);
    print_text("expected", expected);
    while (same < actual.n && same < expected.n && actual.p[same] == expected.p[same])
        same++;
    check_fail(file, line, "%s differs from byte %d on", what, same);
}

static void print_hex(const char *label, const uint8_t *p, size_t n)
{
    fprintf(stderr, "%s, %zu bytes:", label, n);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s%02x", i % 32 == 0 ? "\n  " : " ", p[i]);
    fprintf(stderr, "\n");
}

void check_bytes(const void *actual, size_t actual_size, const void *expected, size_t expected_size,
                 const char *what, const char *file, int line)
{
    const uint8_t *a = actual;
    const uint8_t *e = expected;
    size_t same = 0;

    while (same < actual_size && same < expected_size && a[same] == e[same])
        same++;
    if (same == actual_size && same == expected_size)
        return;
    print_hex("actual", a, actual_size);
    print_hex("expected", e, expected_size);
    check_fail(file, line, "%s differs from byte %zu on", what, same);
}

static void run_one(void **state)
{
    struct test *t = *state;

    t->run(t);
    passed_count++; /* a failed check has left by longjmp */
}

int main(int argc, char **argv)
{
    struct CMUnitTest *tests = calloc(test_count, sizeof(*tests));
    size_t n = 0;
    int failed;

    ASSERT(test_count > 0);
    ASSERT(tests != NULL);
    for (struct test *t = first_test; t != NULL; t = t->next, n++) {
        char *name = NULL;
        ASSERT(asprintf(&name, "%s.%s", t->suite, t->name) > 0);
        tests[n] = (struct CMUnitTest){.name = name, .test_func = run_one, .initial_state = t};
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    /* What cmocka_run_group_tests calls; the macro itself takes only arrays of constant size. */
    failed = _cmocka_run_group_tests("tests", tests, test_count, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)tests[i].name);
    free(tests);
    fflush(stderr);
    printf("%zu passed, %d failed\n", passed_count, failed);
    return failed == 0 ? 0 : 1;
}
