/* compression/codecs.h - what each codec's file gives to compression.c. For this room only.
 *
 * All read the whole of `in`, append to `o`, and leave undoing to the caller (output_end).
 */
#pragma once

#include "base/base.h"
#include "compression/output.h"

MUST int gzip_decompress(struct bytes in, struct output *o);
MUST int gzip_compress(struct bytes in, int level, struct output *o);

MUST int snappy_xerial_decompress(struct bytes in, struct output *o);
MUST int snappy_xerial_compress(struct bytes in, int level, struct output *o);

MUST int lz4_decompress(struct bytes in, struct output *o);
MUST int lz4_compress(struct bytes in, int level, struct output *o);

MUST int zstd_decompress(struct bytes in, struct output *o);
MUST int zstd_compress(struct bytes in, int level, struct output *o);
