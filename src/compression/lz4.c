/* The LZ4 frame format with independent blocks, as Kafka restricts it (KIP-57).
 *
 *   0 magic 04 22 4d 18 | 4 FLG | 5 BD | [content size 8] | header checksum 1 |
 *   { block size 4, block, [checksum 4] }* | end mark 4 | [content checksum 4]
 */
#include "compression/codecs.h"

#include <lz4frame.h>

#define FRAME_HEADER_BYTES_MIN 7
#define FLG_VERSION_MASK 0xc0
#define FLG_VERSION 0x40
#define FLG_INDEPENDENT 0x20
#define FLG_RESERVED 0x03 /* the lower one means a dictionary to others; Kafka knows none */

/* Kafka's level 9, its default, is the fast compressor; every other one is the thorough one,
 * whose levels are 3 to 12 in this library. */
#define LEVEL_FAST 9
#define LEVEL_HIGH_MIN 3
#define LEVEL_HIGH_MAX 12

/* Kafka's consumers refuse what this refuses, and what a leader stores they must be able to read.
 */
static bool header_ok(struct bytes in)
{
    static const uint8_t magic[4] = {0x04, 0x22, 0x4d, 0x18};

    if (in.n < FRAME_HEADER_BYTES_MIN || memcmp(in.p, magic, sizeof(magic)) != 0)
        return false;
    if ((in.p[4] & FLG_VERSION_MASK) != FLG_VERSION)
        return false;
    return (in.p[4] & FLG_INDEPENDENT) != 0 && (in.p[4] & FLG_RESERVED) == 0;
}

/* Decode the one frame that `in` is. */
static int frame_decompress(LZ4F_dctx *d, struct bytes in, struct output *o)
{
    const uint8_t *p = in.p, *end = in.p + in.n;

    for (;;) {
        size_t room, used = (size_t)(end - p), hint;

        if (output_room(o) == 0)
            TRY(output_grow(o));
        room = output_room(o);
        hint = LZ4F_decompress(d, output_at(o), &room, p, &used, NULL);
        if (LZ4F_isError(hint))
            return ERR_CORRUPT;
        p += used;
        TRY(output_add(o, room));
        if (hint == 0)
            return p == end ? 0 : ERR_CORRUPT;
        if (used == 0 && room == 0)
            return ERR_CORRUPT; /* it wants more than there is */
    }
}

int lz4_decompress(struct bytes in, struct output *o)
{
    LZ4F_dctx *d;
    int error;

    if (!header_ok(in))
        return ERR_CORRUPT;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return -ENOMEM;
    error = frame_decompress(d, in, o);
    LZ4F_freeDecompressionContext(d);
    return error;
}

static int library_level(int level)
{
    if (level == LEVEL_FAST)
        return 0;
    if (level < LEVEL_HIGH_MIN)
        return LEVEL_HIGH_MIN;
    return level > LEVEL_HIGH_MAX ? LEVEL_HIGH_MAX : level;
}

int lz4_compress(struct bytes in, int level, struct output *o)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = library_level(level),
    };
    size_t bound = LZ4F_compressFrameBound((size_t)in.n, &preferences);
    size_t n;

    TRY(output_reserve(o, bound));
    n = LZ4F_compressFrame(output_at(o), bound, in.p, (size_t)in.n, &preferences);
    if (LZ4F_isError(n))
        return -ENOMEM; /* the only failure when the bound is kept */
    return output_add(o, n);
}
