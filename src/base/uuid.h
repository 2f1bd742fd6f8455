/* base/uuid.h - 16 bytes; as text Kafka's 22 letters (base64url without padding). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/prng.h"
#include "base/str.h"

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_BYTES 23 /* with the terminator */
#define UUID_ZERO ((struct uuid){{0}})

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16) == 0;
}

static inline int uuid_compare(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16);
}

bool uuid_is_zero(struct uuid u);
uint64_t uuid_hash(struct uuid u);

/* Write 22 letters and a terminator. */
const char *uuid_text(struct uuid u, char out[UUID_TEXT_BYTES]);

/* -EINVAL for anything but 22 letters of base64url. The last letter carries 2 bits; its other 4 are
 * ignored, as Kafka ignores them. */
int uuid_parse(struct str s, struct uuid *out);

/* From 16 random bytes, as Kafka makes them: version 4, never one whose text begins with '-',
 * never a reserved one. */
struct uuid uuid_random(struct prng *g);
