#include "base/base.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sanitizer/asan_interface.h> /* its macros are empty without the sanitizer */

/* Blocks double with what was taken, between these: few for a large arena, little waste for a
 * small one. */
#define BLOCK_BYTES_MIN ((size_t)4096)
#define BLOCK_BYTES_MAX ((size_t)256 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t size_bytes; /* with this header */
    alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit_bytes = limit_bytes};
}

static void block_free(struct arena *a, struct arena_block *block)
{
    ledger_return(a->ledger, LEDGER_WORK, block->size_bytes);
    ASAN_UNPOISON_MEMORY_REGION(block, block->size_bytes);
    free(block);
}

/* Serve from the start of `block`. What nobody took is poisoned, so that the address sanitizer
 * sees an overrun, and a use after arena_reset, although it all is one allocation. */
static void serve_from(struct arena *a, struct arena_block *block)
{
    a->next = block->bytes;
    a->end = (uint8_t *)block + block->size_bytes;
    ASAN_POISON_MEMORY_REGION(a->next, (size_t)(a->end - a->next));
}

void arena_deinit(struct arena *a)
{
    for (struct arena_block *block = a->blocks, *older; block != NULL; block = older) {
        older = block->older;
        block_free(a, block);
    }
    *a = (struct arena){.limit_bytes = a->limit_bytes, .ledger = a->ledger};
}

void arena_reset(struct arena *a)
{
    struct arena_block *block = a->blocks;

    if (block == NULL)
        return;
    while (block->older != NULL) {
        struct arena_block *older = block->older;
        block_free(a, block);
        block = older;
    }
    a->blocks = block;
    a->taken_bytes = block->size_bytes;
    serve_from(a, block);
}

/* Begin a block that has at least `needed_bytes` to give. */
static bool add_block(struct arena *a, size_t needed_bytes)
{
    size_t limit = a->limit_bytes == 0 ? SIZE_MAX : a->limit_bytes;
    size_t left = a->taken_bytes < limit ? limit - a->taken_bytes : 0;
    size_t size = a->taken_bytes;
    struct arena_block *block;

    if (left < sizeof(*block) || left - sizeof(*block) < needed_bytes)
        return false;
    if (size < BLOCK_BYTES_MIN)
        size = BLOCK_BYTES_MIN;
    if (size > BLOCK_BYTES_MAX)
        size = BLOCK_BYTES_MAX;
    if (size < sizeof(*block) + needed_bytes)
        size = sizeof(*block) + needed_bytes;
    if (size > left)
        size = left;
    block = malloc(size);
    if (block == NULL)
        return false;
    *block = (struct arena_block){.older = a->blocks, .size_bytes = size};
    a->blocks = block;
    a->taken_bytes += size;
    ledger_charge(a->ledger, LEDGER_WORK, size);
    serve_from(a, block);
    return true;
}

/* `alignment` is a power of two, at most that of max_align_t, which the blocks have. */
static void *take(struct arena *a, size_t size_bytes, size_t alignment)
{
    size_t skip = -(uintptr_t)a->next & (alignment - 1);
    size_t left = (size_t)(a->end - a->next);
    uint8_t *p;

    if (size_bytes > PTRDIFF_MAX)
        return NULL; /* no object is so large; a wrong size is */
    if (a->blocks == NULL || left < skip || left - skip < size_bytes) {
        if (!add_block(a, size_bytes))
            return NULL;
        skip = 0;
    }
    p = a->next + skip;
    a->next = p + size_bytes;
    ASAN_UNPOISON_MEMORY_REGION(p, size_bytes);
    return p;
}

void *arena_take_raw(struct arena *a, size_t size_bytes)
{
    return take(a, size_bytes, alignof(max_align_t));
}

void *arena_take(struct arena *a, size_t size_bytes)
{
    void *p = arena_take_raw(a, size_bytes);

    return p == NULL ? NULL : memset(p, 0, size_bytes);
}

void *arena_take_array(struct arena *a, size_t count, size_t element_bytes)
{
    size_t size_bytes;

    if (__builtin_mul_overflow(count, element_bytes, &size_bytes))
        return NULL;
    return arena_take(a, size_bytes);
}

struct bytes arena_bytes(struct arena *a, struct bytes b)
{
    uint8_t *p;

    if (b.n < 0)
        return BYTES_NULL;
    p = take(a, (size_t)b.n, 1);
    if (p == NULL)
        return BYTES_NULL;
    if (b.n > 0)
        memcpy(p, b.p, (size_t)b.n);
    return (struct bytes){p, b.n};
}

struct str arena_str(struct arena *a, struct str s)
{
    return str_of_bytes(arena_bytes(a, bytes_of_str(s)));
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *p;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(n >= 0);
    p = take(a, (size_t)n + 1, 1);
    if (p == NULL)
        return STR_NULL;
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){p, n};
}
