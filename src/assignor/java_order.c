/* java_order.c - orders that Java's collections give, where an assignment depends on them. */
#include "assignor/view.h"

/* UTF-8 sorts by code point. In UTF-16 what lies above U+FFFF is written with surrogates (D800 to
 * DFFF), which sort before E000 to FFFF, whose UTF-8 begins with EE or EF. */
static int sort_key(uint8_t byte)
{
    return byte == 0xee || byte == 0xef ? byte + 0x10 : byte >= 0xf0 ? byte - 2 : byte;
}

int java_compare(struct str a, struct str b)
{
    int32_t n = a.n < b.n ? a.n : b.n;

    for (int32_t i = 0; i < n; i++) {
        if (a.p[i] != b.p[i])
            return sort_key((uint8_t)a.p[i]) - sort_key((uint8_t)b.p[i]);
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

uint32_t java_slot(int32_t hash, int32_t count)
{
    uint32_t slots = 16;

    while ((uint32_t)count > slots / 4 * 3 && slots < UINT32_C(1) << 30)
        slots *= 2;
    return ((uint32_t)hash ^ (uint32_t)hash >> 16) & (slots - 1);
}
