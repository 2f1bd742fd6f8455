/* sort.h - numbers in ascending order: private to this room. */
#pragma once

#include <stdint.h>
#include <stdlib.h>

static inline int sort_compare_i32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

static inline int sort_compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static inline void sort_i32(int32_t *numbers, int32_t count)
{
    qsort(numbers, (size_t)count, sizeof(*numbers), sort_compare_i32);
}

static inline void sort_i64(int64_t *numbers, int32_t count)
{
    qsort(numbers, (size_t)count, sizeof(*numbers), sort_compare_i64);
}
