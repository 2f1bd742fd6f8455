/* Snappy in xerial's framing, which Kafka's Java clients write:
 *
 *   82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | oldest compatible version i32 |
 *   { size i32, raw snappy block }*
 *
 * What does not begin like that is one raw block, as some other clients send it.
 */
#include "compression/codecs.h"

#include <snappy-c.h>

#define HEADER_BYTES 16
#define VERSION 1
#define BLOCK_BYTES_MAX 32768 /* plain bytes of a block that we write: xerial's default */

static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static bool header_is_at(const uint8_t *p, const uint8_t *end)
{
    return end - p >= HEADER_BYTES && memcmp(p, magic, sizeof(magic)) == 0;
}

static int block_decompress(const uint8_t *p, size_t n, struct output *o)
{
    const char *block = (const char *)p;
    size_t plain;

    /* The size is a claim: nothing is allocated for one that the block cannot keep. */
    if (snappy_uncompressed_length(block, n, &plain) != SNAPPY_OK)
        return ERR_CORRUPT;
    if (plain > o->limit_bytes - output_produced(o))
        return ERR_LIMIT;
    if (snappy_validate_compressed_buffer(block, n) != SNAPPY_OK)
        return ERR_CORRUPT;
    TRY(output_reserve(o, plain));
    if (snappy_uncompress(block, n, (char *)output_at(o), &plain) != SNAPPY_OK)
        return ERR_CORRUPT;
    return output_add(o, plain);
}

int snappy_xerial_decompress(struct bytes in, struct output *o)
{
    const uint8_t *p = in.p, *end = in.p + in.n;

    if (!header_is_at(p, end))
        return block_decompress(p, (size_t)in.n, o);
    while (p < end) {
        uint32_t n;

        if (header_is_at(p, end)) { /* at the start; and streams may follow one another */
            if (get_i32(p + sizeof(magic)) < VERSION)
                return ERR_CORRUPT;
            p += HEADER_BYTES;
            continue;
        }
        if (end - p < 4)
            return ERR_CORRUPT;
        n = get_u32(p);
        p += 4;
        if (n > (size_t)(end - p))
            return ERR_CORRUPT;
        TRY(block_decompress(p, n, o));
        p += n;
    }
    return 0;
}

static int block_compress(struct bytes plain, struct output *o)
{
    size_t n = snappy_max_compressed_length((size_t)plain.n);
    snappy_status status;

    TRY(output_reserve(o, 4 + n));
    status = snappy_compress((const char *)plain.p, (size_t)plain.n, (char *)output_at(o) + 4, &n);
    ASSERT(status == SNAPPY_OK); /* it fails for a small buffer only */
    put_u32(output_at(o), (uint32_t)n);
    return output_add(o, 4 + n);
}

int snappy_xerial_compress(struct bytes in, int level, struct output *o)
{
    (void)level;
    TRY(output_reserve(o, HEADER_BYTES));
    memcpy(output_at(o), magic, sizeof(magic));
    put_u32(output_at(o) + 8, VERSION);
    put_u32(output_at(o) + 12, VERSION);
    TRY(output_add(o, HEADER_BYTES));
    for (int32_t at = 0; at < in.n; at += BLOCK_BYTES_MAX) {
        int32_t left = in.n - at;
        struct bytes plain = {in.p + at, left < BLOCK_BYTES_MAX ? left : BLOCK_BYTES_MAX};

        TRY(block_compress(plain, o));
    }
    return 0;
}
