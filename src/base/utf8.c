#include "base/base.h"
#include "base/utf8.h"

/* What may follow a first byte: how many bytes more, and the range of the second one, which keeps
 * out overlong forms and what lies above U+10FFFF (RFC 3629 section 4). Surrogates are read to their end, as Java does. */
struct lead {
    uint8_t more, low, high;
};

static struct lead lead_of(uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf)
        return (struct lead){1, 0x80, 0xbf};
    if (byte == 0xe0)
        return (struct lead){2, 0xa0, 0xbf};
    if (byte >= 0xe1 && byte <= 0xef)
        return (struct lead){2, 0x80, 0xbf};
    if (byte == 0xf0)
        return (struct lead){3, 0x90, 0xbf};
    if (byte >= 0xf1 && byte <= 0xf3)
        return (struct lead){3, 0x80, 0xbf};
    if (byte == 0xf4)
        return (struct lead){3, 0x80, 0x8f};
    return (struct lead){0};
}

int32_t utf8_take(const uint8_t **p, const uint8_t *end)
{
    uint8_t first = *(*p)++;
    struct lead lead;
    int32_t character;

    if (first < 0x80)
        return first;
    lead = lead_of(first);
    if (lead.more == 0)
        return -1;
    character = first & (0x3f >> lead.more);
    for (uint8_t i = 0; i < lead.more; i++) {
        uint8_t low = i == 0 ? lead.low : 0x80;
        uint8_t high = i == 0 ? lead.high : 0xbf;
        if (*p == end || **p < low || **p > high)
            return -1;
        character = (character << 6) | (*(*p)++ & 0x3f);
    }
    return character >= 0xd800 && character <= 0xdfff ? -1 : character;
}
