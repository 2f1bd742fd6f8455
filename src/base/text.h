/* base/text.h - text (or bytes) that grows at its end. Always terminated when not empty. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct text {
    char *p; /* NULL while empty */
    size_t n;
    size_t capacity;
};

void text_deinit(struct text *t);
void text_clear(struct text *t); /* keeps the memory */
void text_add(struct text *t, const void *p, size_t n);
void text_add_str(struct text *t, struct str s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* A JSON string with its quotes; control bytes and quotes escaped, UTF-8 kept, invalid bytes as
 * U+FFFD; null is the word null. */
void text_add_json(struct text *t, struct str s);

/* Text as it is, with each run of bytes that is no UTF-8 as U+FFFD, as Java's decoder has it. */
void text_add_utf8(struct text *t, struct str s);

static inline struct str text_str(const struct text *t)
{
    return (struct str){t->n == 0 ? "" : t->p, (int32_t)t->n};
}
