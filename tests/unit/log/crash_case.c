#include "crash_case.h"

#include <stdlib.h>

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

uint64_t crash_seed(uint64_t seed)
{
    return seed + number("CRASH_SEEDS", 0);
}

uint32_t crash_first(uint32_t first)
{
    return (uint32_t)number("CRASH_ONLY", first);
}

void crash_says(uint32_t n)
{
    if (getenv("CRASH_SAYS") != NULL)
        fprintf(stderr, "case %u\n", n);
}

FILE *crash_trace(void)
{
    return getenv("CRASH_TRACE") == NULL ? NULL : stderr;
}
