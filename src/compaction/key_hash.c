#include "compaction/key_map.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t get_little(const uint8_t *p)
{
    return __builtin_bswap64(get_u64(p));
}

static void rounds(struct sip *s, int n)
{
    for (; n > 0; n--) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32) + s->v3;
        s->v2 += s->v1;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void take_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

/* The bytes that are left, and the length's low byte on top. */
static uint64_t last_word(const uint8_t *p, int32_t left, int32_t n)
{
    uint64_t word = (uint64_t)n << 56;

    for (int32_t i = 0; i < left; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

void key_hash(const uint8_t secret[COMPACTION_SECRET_BYTES], struct bytes key, uint64_t out[2])
{
    uint64_t k0 = get_little(secret), k1 = get_little(secret + 8);
    struct sip s = {
        .v0 = k0 ^ 0x736f6d6570736575,
        .v1 = k1 ^ 0x646f72616e646f6d ^ 0xee, /* 0xee, 0xdd: the output has 128 bits */
        .v2 = k0 ^ 0x6c7967656e657261,
        .v3 = k1 ^ 0x7465646279746573,
    };
    int32_t whole = key.n / 8 * 8;

    for (int32_t i = 0; i < whole; i += 8)
        take_word(&s, get_little(key.p + i));
    take_word(&s, last_word(key.p + whole, key.n - whole, key.n));
    s.v2 ^= 0xee;
    rounds(&s, 4);
    out[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    rounds(&s, 4);
    out[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
