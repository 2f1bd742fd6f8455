/* compression/compression.h - gzip, snappy, lz4, zstd behind one call, with a limit on what may
 * come out.
 *
 * The framings are Kafka's: gzip members (RFC 1952), snappy in xerial blocks (a bare raw block is
 * accepted when reading), the LZ4 frame format with independent blocks (KIP-57), zstd frames
 * (KIP-110).
 */
#pragma once

#include "base/base.h"

/* The numbers are those of a record batch's attributes (bits 0 to 2). */
enum codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4,
};
#define CODEC_COUNT 5

/* "none", "gzip", ... ; find is -EINVAL for other words ("uncompressed" is none). */
struct str codec_name(enum codec codec);
int codec_find(struct str name, enum codec *out);

/* Kafka's default level of a codec; levels allowed are gzip 1..9 or -1, lz4 1..17,
 * zstd -131072..22; snappy and none have none. */
int codec_level_default(enum codec codec);

/* Whether `level` is one of the above; any number will do for snappy and none. */
bool codec_level_ok(enum codec codec, int level);

/* Append the whole of `in`, decompressed, to `out`.
 *
 *   limit_bytes  -> ERR_LIMIT as soon as more would come out; `out` never grows by more than it
 *                   and a byte. A decoder's own state is bounded too: 40 KB gzip, 160 KB zstd,
 *                   two blocks lz4 (128 KB as Kafka writes it, 8 MB at most), none snappy
 * Fails  ERR_CORRUPT  not a whole stream of this codec, or bytes behind its end
 *        ERR_LIMIT, -ENOMEM
 * On failure the bytes of `out` are those before the call.
 */
MUST int decompress(enum codec codec, struct bytes in, size_t limit_bytes, struct text *out);

/* Append `in`, compressed, to `out`. `level` must be one of the codec's (codec_level_ok).
 *
 * Fails  ERR_LIMIT    the result might not fit into a text
 *        -ENOMEM
 * On failure the bytes of `out` are those before the call.
 */
MUST int compress(enum codec codec, int level, struct bytes in, struct text *out);
