#include "base/base.h"

uint8_t *put_uvarint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

const uint8_t *get_uvarint_32(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    uint32_t v = 0;

    for (uint32_t shift = 0; shift < 35 && p < end; shift += 7) {
        uint32_t byte = *p++;
        if (shift == 28 && byte > 0x0f)
            return NULL; /* bits above the 32nd, or a sixth byte to come */
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

const uint8_t *get_uvarint_64(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    for (uint32_t shift = 0; shift < 70 && p < end; shift += 7) {
        uint64_t byte = *p++;
        if (shift == 63 && byte > 1)
            return NULL; /* bits above the 64th, or an eleventh byte to come */
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}
