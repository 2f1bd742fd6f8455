#include "base/base.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define UUID_LETTERS (UUID_TEXT_BYTES - 1)

bool uuid_is_zero(struct uuid u)
{
    return uuid_equal(u, UUID_ZERO);
}

uint64_t uuid_hash(struct uuid u)
{
    return str_hash((struct str){(const char *)u.b, (int32_t)sizeof(u.b)});
}

const char *uuid_text(struct uuid u, char out[UUID_TEXT_BYTES])
{
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    char *p = out;

    for (size_t i = 0; i < sizeof(u.b); i++) {
        bits = (bits << 8) | u.b[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            *p++ = letters[(bits >> bit_count) & 0x3f];
        }
    }
    *p++ = letters[(bits << (6 - bit_count)) & 0x3f]; /* 2 bits are left of 128 */
    *p = '\0';
    return out;
}

static int letter_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int uuid_parse(struct str s, struct uuid *out)
{
    struct uuid u;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t n = 0;

    if (s.n != UUID_LETTERS)
        return -EINVAL;
    for (int32_t i = 0; i < s.n; i++) {
        int value = letter_value(s.p[i]);
        if (value < 0)
            return -EINVAL;
        bits = (bits << 6) | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            u.b[n++] = (uint8_t)(bits >> bit_count);
        }
    }
    ASSERT(n == sizeof(u.b)); /* 132 bits: the last 4 carry nothing, Java's decoder ignores them */
    *out = u;
    return 0;
}

struct uuid uuid_random(struct prng *g)
{
    struct uuid u;

    /* A text that begins with '-' would be taken for an option on a command line. */
    do {
        put_u64(u.b, prng_u64(g));
        put_u64(u.b + 8, prng_u64(g));
    } while (u.b[0] >> 2 == 62);
    /* Version 4, variant 2 (RFC 4122). The reserved ids have zeros where the version stands. */
    u.b[6] = (u.b[6] & 0x0f) | 0x40;
    u.b[8] = (u.b[8] & 0x3f) | 0x80;
    return u;
}
