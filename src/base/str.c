#include "base/base.h"
#include "base/utf8.h"

#include <stdlib.h>

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_equal(struct str a, struct str b)
{
    return bytes_equal(bytes_of_str(a), bytes_of_str(b));
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.n < 0 || b.n < 0)
        return a.n < 0 && b.n < 0;
    if (a.n != b.n)
        return false;
    for (int32_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    }
    return true;
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    if (a.n < 0 || b.n < 0)
        return a.n < 0 && b.n < 0;
    /* memcmp may not be given the NULL of an empty slice. */
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, (size_t)a.n) == 0);
}

int str_compare(struct str a, struct str b)
{
    int32_t shared = a.n < b.n ? a.n : b.n;

    if (shared > 0) {
        int order = memcmp(a.p, b.p, (size_t)shared);
        if (order != 0)
            return order;
    }
    if (a.n < 0 || b.n < 0)
        return (a.n >= 0) - (b.n >= 0);
    return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    if (s.n < 0 || prefix.n < 0 || s.n < prefix.n)
        return false;
    return str_equal((struct str){s.p, prefix.n}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    if (s.n < 0 || suffix.n < 0 || s.n < suffix.n)
        return false;
    if (suffix.n == 0)
        return true;
    return str_equal((struct str){s.p + (s.n - suffix.n), suffix.n}, suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

bool str_cut(struct str *rest, char separator, struct str *part)
{
    const char *at;
    int32_t n;

    if (rest->n <= 0)
        return false;
    at = memchr(rest->p, separator, (size_t)rest->n);
    if (at == NULL) {
        *part = *rest;
        *rest = (struct str){rest->p + rest->n, 0};
        return true;
    }
    n = (int32_t)(at - rest->p);
    *part = (struct str){rest->p, n};
    *rest = (struct str){at + 1, rest->n - n - 1};
    return true;
}

int str_to_i64(struct str s, int64_t low, int64_t high, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    int32_t first = negative || (s.n > 0 && s.p[0] == '+') ? 1 : 0;
    bool overflow = false;
    int64_t v = 0;

    if (s.n <= first)
        return -EINVAL;
    for (int32_t i = first; i < s.n; i++) {
        int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9)
            return -EINVAL; /* also behind an overflow: what is no number is not out of range */
        /* Negative numbers grow downwards, so that the least one needs no special case. */
        overflow |= __builtin_mul_overflow(v, 10, &v);
        overflow |= __builtin_add_overflow(v, negative ? -digit : digit, &v);
    }
    if (overflow || v < low || v > high)
        return -ERANGE;
    *out = v;
    return 0;
}

char *str_dup(struct str s)
{
    char *copy;

    if (s.n < 0)
        return NULL;
    copy = malloc((size_t)s.n + 1);
    ASSERT(copy != NULL);
    if (s.n > 0)
        memcpy(copy, s.p, (size_t)s.n);
    copy[s.n] = '\0';
    return copy;
}

bool str_is_utf8(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;

    if (s.n <= 0)
        return s.n == 0;
    for (const uint8_t *end = p + s.n; p < end;) {
        if (utf8_take(&p, end) <= 0)
            return false;
    }
    return true;
}

uint64_t str_hash(struct str s)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (int32_t i = 0; i < s.n; i++)
        hash = (hash ^ (uint8_t)s.p[i]) * 0x100000001b3;
    return hash;
}

int32_t str_java_hash(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    uint32_t hash = 0;

    if (s.n <= 0)
        return 0;
    for (const uint8_t *end = p + s.n; p < end;) {
        int32_t character = utf8_take(&p, end);
        if (character < 0)
            character = UTF8_REPLACEMENT;
        if (character >= 0x10000) {
            character -= 0x10000;
            hash = 31 * hash + 0xd800 + ((uint32_t)character >> 10);
            character = 0xdc00 + (character & 0x3ff);
        }
        hash = 31 * hash + (uint32_t)character;
    }
    return (int32_t)hash;
}
