/* CRC-32C: polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final xor all ones
 * (RFC 3720 appendix B.4). */
#include "base/base.h"

/* The checksum is linear, so the effect of one byte is the xor of the effects of its bits, and a
 * table needs only eight numbers in the source. */
#define BIT(byte, bit, effect) ((byte) >> (bit) & 1 ? (effect) : 0u)
#define ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                          \
    (BIT(i, 0, b0) ^ BIT(i, 1, b1) ^ BIT(i, 2, b2) ^ BIT(i, 3, b3) ^ BIT(i, 4, b4) ^      \
     BIT(i, 5, b5) ^ BIT(i, 6, b6) ^ BIT(i, 7, b7))
#define ENTRIES_4(i, ...) \
    ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__), \
        ENTRY(i + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...) \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4(i + 4, __VA_ARGS__), ENTRIES_4(i + 8, __VA_ARGS__), \
        ENTRIES_4(i + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...) \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16(i + 16, __VA_ARGS__), \
        ENTRIES_16(i + 32, __VA_ARGS__), ENTRIES_16(i + 48, __VA_ARGS__)
#define TABLE(...) \
    { \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
            ENTRIES_64(192, __VA_ARGS__) \
    }

/* [zeros][byte]: what `byte` does to the checksum when so many zero bytes follow it. */
static const uint32_t effects[8][256] = {
    TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
          0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
          0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
          0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
          0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
          0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
          0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
          0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
          0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint64_t get_le_u64(const uint8_t *p)
{
    return __builtin_bswap64(get_u64(p));
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;

    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t v = get_le_u64(at) ^ crc;
        crc = effects[7][v & 0xff] ^ effects[6][v >> 8 & 0xff] ^ effects[5][v >> 16 & 0xff] ^
              effects[4][v >> 24 & 0xff] ^ effects[3][v >> 32 & 0xff] ^
              effects[2][v >> 40 & 0xff] ^ effects[1][v >> 48 & 0xff] ^ effects[0][v >> 56];
    }
    for (; n > 0; n--, at++)
        crc = crc >> 8 ^ effects[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#ifdef __x86_64__

#include <immintrin.h>

#define HARDWARE __attribute__((target("sse4.2,pclmul")))

/* The crc32 instruction takes one operand per cycle but answers after three, so three lanes, each
 * of so many bytes, run side by side and are joined at the end. */
#define LANE_BYTES ((size_t)512)

/* x^(8 * bytes - 33) modulo the polynomial, reflected: see `advance`. */
#define ADVANCE_1_LANE 0xdd7e3b0c /* 512 bytes */
#define ADVANCE_2_LANES 0x170076fa /* 1024 bytes */

/* What `crc` becomes when the zeros that `power` stands for follow. The carry-less product of two
 * reflected numbers, read as reflected 64 bits, is their product times x, and the instruction
 * multiplies by x^32 and reduces: those are the 33 that `power` has less. */
HARDWARE static uint64_t advance(uint64_t crc, uint32_t power)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc),
                                           _mm_cvtsi32_si128((int32_t)power), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

HARDWARE static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t a = (uint32_t)~crc;

    for (; n >= 3 * LANE_BYTES; n -= 3 * LANE_BYTES, p += 3 * LANE_BYTES) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            a = _mm_crc32_u64(a, get_le_u64(p + i));
            b = _mm_crc32_u64(b, get_le_u64(p + LANE_BYTES + i));
            c = _mm_crc32_u64(c, get_le_u64(p + 2 * LANE_BYTES + i));
        }
        a = advance(a, ADVANCE_2_LANES) ^ advance(b, ADVANCE_1_LANE) ^ c;
    }
    for (; n >= 8; n -= 8, p += 8)
        a = _mm_crc32_u64(a, get_le_u64(p));
    for (; n > 0; n--, p++)
        a = _mm_crc32_u8((uint32_t)a, *p);
    return ~(uint32_t)a;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    if (LIKELY(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")))
        return crc32c_hardware(crc, p, n);
    return crc32c_portable(crc, p, n);
}

#else

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return crc32c_portable(crc, p, n);
}

#endif
