#include "base/base.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_CAPACITY_MIN 64
/* A struct str must be able to hold it. */
#define TEXT_BYTES_MAX ((size_t)INT32_MAX)

void text_deinit(struct text *t)
{
    free(t->p);
    *t = (struct text){0};
}

void text_clear(struct text *t)
{
    t->n = 0;
    if (t->p != NULL)
        t->p[0] = '\0';
}

/* Make room for `n` bytes more and the terminator. */
static void text_grow(struct text *t, size_t n)
{
    size_t capacity = t->capacity < TEXT_CAPACITY_MIN ? TEXT_CAPACITY_MIN : t->capacity;

    ASSERT(n <= TEXT_BYTES_MAX - t->n);
    if (t->n + n < t->capacity)
        return;
    while (capacity <= t->n + n)
        capacity *= 2;
    t->p = realloc(t->p, capacity);
    ASSERT(t->p != NULL);
    t->capacity = capacity;
}

void text_add(struct text *t, const void *p, size_t n)
{
    if (n == 0)
        return;
    text_grow(t, n);
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void text_add_str(struct text *t, struct str s)
{
    if (s.n > 0)
        text_add(t, s.p, (size_t)s.n);
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

void text_vprintf(struct text *t, const char *format, va_list args)
{
    size_t space = t->capacity - t->n;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(space == 0 ? NULL : t->p + t->n, space, format, args);
    ASSERT(n >= 0);
    if ((size_t)n >= space) {
        text_grow(t, (size_t)n);
        vsnprintf(t->p + t->n, t->capacity - t->n, format, again);
    }
    va_end(again);
    t->n += (size_t)n;
}

/* Add a byte that a JSON string cannot hold as it is. */
static void text_add_json_escape(struct text *t, uint8_t byte)
{
    switch (byte) {
    case '"':
        text_add(t, "\\\"", 2);
        break;
    case '\\':
        text_add(t, "\\\\", 2);
        break;
    case '\n':
        text_add(t, "\\n", 2);
        break;
    case '\r':
        text_add(t, "\\r", 2);
        break;
    case '\t':
        text_add(t, "\\t", 2);
        break;
    default:
        text_printf(t, "\\u%04x", byte);
        break;
    }
}

void text_add_json(struct text *t, struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    const uint8_t *end = s.n > 0 ? p + s.n : p;
    const uint8_t *kept = p; /* bytes from here to `p` go out as they are */

    if (s.n < 0) {
        text_add(t, "null", 4);
        return;
    }
    text_add(t, "\"", 1);
    while (p < end) {
        const uint8_t *at = p;
        int32_t character = utf8_take(&p, end);
        if (character >= 0x20 && character != '"' && character != '\\')
            continue;
        text_add(t, kept, (size_t)(at - kept));
        kept = p;
        if (character < 0)
            text_add(t, "\xef\xbf\xbd", 3); /* U+FFFD */
        else
            text_add_json_escape(t, (uint8_t)character);
    }
    if (kept < end)
        text_add(t, kept, (size_t)(end - kept));
    text_add(t, "\"", 1);
}

void text_add_utf8(struct text *t, struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    const uint8_t *end = s.n > 0 ? p + s.n : p;
    const uint8_t *kept = p;

    while (p < end) {
        const uint8_t *at = p;
        if (utf8_take(&p, end) >= 0)
            continue;
        text_add(t, kept, (size_t)(at - kept));
        text_add(t, "\xef\xbf\xbd", 3); /* U+FFFD */
        kept = p;
    }
    if (kept < end)
        text_add(t, kept, (size_t)(end - kept));
}
