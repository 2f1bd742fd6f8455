/* base/assert.h - bugs stop the process, in release builds too. */
#pragma once

#define MUST __attribute__((warn_unused_result))
#define PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define array_count(array) (sizeof(array) / sizeof((array)[0]))

/* Print what failed and where, then abort. */
_Noreturn void assert_failed(const char *what, const char *file, int line, const char *function);

#define ASSERT(condition)                                              \
    do {                                                               \
        if (UNLIKELY(!(condition)))                                    \
            assert_failed(#condition, __FILE__, __LINE__, __func__);   \
    } while (0)

#define UNREACHABLE(what) assert_failed("unreachable: " what, __FILE__, __LINE__, __func__)

/* Run by assert_failed before it aborts, so that the simulator can print its seed. */
extern void (*assert_hook)(void);
