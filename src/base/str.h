/* base/str.h - text and bytes that somebody else owns.
 *
 * Both may be null (p NULL, n -1), which the wire protocol tells apart from empty (n 0).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* not terminated */
    int32_t n;     /* bytes; -1 = null */
};

struct bytes {
    const uint8_t *p;
    int32_t n; /* -1 = null */
};

#define STR_NULL ((struct str){NULL, -1})
#define BYTES_NULL ((struct bytes){NULL, -1})
#define STR(literal) ((struct str){(literal), (int32_t)sizeof(literal) - 1})

/* printf("%.*s", STR_ARG(s)): null prints as nothing. */
#define STR_ARG(s) ((s).n > 0 ? (s).n : 0), ((s).n > 0 ? (s).p : "")

static inline bool str_is_null(struct str s)
{
    return s.n < 0;
}

static inline struct str str_of(const char *text)
{
    return text == NULL ? STR_NULL : (struct str){text, (int32_t)strlen(text)};
}

static inline struct bytes bytes_of_str(struct str s)
{
    return (struct bytes){(const uint8_t *)s.p, s.n};
}

static inline struct str str_of_bytes(struct bytes b)
{
    return (struct str){(const char *)b.p, b.n};
}

/* Equal length and bytes; null equals only null. */
bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b); /* ASCII only */
bool bytes_equal(struct bytes a, struct bytes b);

/* Bytewise order (what memcmp and then length say); null first. <0, 0, >0. */
int str_compare(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* without leading and trailing blanks, tabs, CR, LF */

/* Cut the next part up to `separator` from `*rest`; false when nothing is left. Parts between two
 * separators may be empty; behind a separator at the end there is no further part. */
bool str_cut(struct str *rest, char separator, struct str *part);

/* Whole text as a decimal number in [low, high], with or without a sign; no blanks. -EINVAL (no
 * number) or -ERANGE, and `out` untouched. */
int str_to_i64(struct str s, int64_t low, int64_t high, int64_t *out);

/* Heap copy with a terminator; free() it. NULL for null. */
char *str_dup(struct str s);

/* Valid UTF-8 without NUL. */
bool str_is_utf8(struct str s);

/* FNV-1a, 64 bits: for hash tables inside the process, never stored. */
uint64_t str_hash(struct str s);

/* Java's String.hashCode of the UTF-16 form of UTF-8 text, which picks coordinator partitions.
 * Invalid bytes count as the U+FFFD that Java's decoder makes of them. */
int32_t str_java_hash(struct str s);
