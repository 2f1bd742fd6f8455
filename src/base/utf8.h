/* base/utf8.h - one character of UTF-8 at a time. Private to base. */
#pragma once

#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffd

/* Read the character at *p, which is below `end`, and move *p behind it. Bytes that are no
 * character give -1, and *p moves behind the longest start of a character that they are, at least
 * one byte: each such run becomes one U+FFFD, as Java and the Unicode standard (3.9, "maximal
 * subpart") do it. */
int32_t utf8_take(const uint8_t **p, const uint8_t *end);
