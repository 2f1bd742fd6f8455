#include "compression/compression.h"
#include "compression/codecs.h"

struct codec_row {
    const char *name;
    int level_default, level_low, level_high;
    int (*decompress)(struct bytes in, struct output *o);
    int (*compress)(struct bytes in, int level, struct output *o);
};

static int none_decompress(struct bytes in, struct output *o)
{
    TRY(output_reserve(o, (size_t)in.n));
    if (in.n > 0)
        memcpy(output_at(o), in.p, (size_t)in.n);
    return output_add(o, (size_t)in.n);
}

static int none_compress(struct bytes in, int level, struct output *o)
{
    (void)level;
    return none_decompress(in, o);
}

/* Levels and their defaults: KIP-390. */
static const struct codec_row rows[CODEC_COUNT] = {
    [CODEC_NONE] = {"none", 0, INT32_MIN, INT32_MAX, none_decompress, none_compress},
    [CODEC_GZIP] = {"gzip", -1, -1, 9, gzip_decompress, gzip_compress},
    [CODEC_SNAPPY] = {"snappy", 0, INT32_MIN, INT32_MAX, snappy_xerial_decompress,
                      snappy_xerial_compress},
    [CODEC_LZ4] = {"lz4", 9, 1, 17, lz4_decompress, lz4_compress},
    [CODEC_ZSTD] = {"zstd", 3, -131072, 22, zstd_decompress, zstd_compress},
};

static const struct codec_row *row_of(enum codec codec)
{
    ASSERT((unsigned)codec < CODEC_COUNT);
    return &rows[codec];
}

struct str codec_name(enum codec codec)
{
    return str_of(row_of(codec)->name);
}

int codec_find(struct str name, enum codec *out)
{
    if (str_equal(name, STR("uncompressed"))) {
        *out = CODEC_NONE;
        return 0;
    }
    for (int i = 0; i < CODEC_COUNT; i++) {
        if (str_equal(name, str_of(rows[i].name))) {
            *out = (enum codec)i;
            return 0;
        }
    }
    return -EINVAL;
}

int codec_level_default(enum codec codec)
{
    return row_of(codec)->level_default;
}

bool codec_level_ok(enum codec codec, int level)
{
    const struct codec_row *row = row_of(codec);

    if (codec == CODEC_GZIP && level == 0)
        return false; /* stored, not compressed: Kafka does not offer it */
    return level >= row->level_low && level <= row->level_high;
}

int decompress(enum codec codec, struct bytes in, size_t limit_bytes, struct text *out)
{
    const struct codec_row *row = row_of(codec);
    struct output o;

    ASSERT(in.n >= 0);
    output_begin(&o, out, limit_bytes);
    return output_end(&o, row->decompress(in, &o));
}

int compress(enum codec codec, int level, struct bytes in, struct text *out)
{
    const struct codec_row *row = row_of(codec);
    struct output o;

    ASSERT(in.n >= 0);
    ASSERT(codec_level_ok(codec, level));
    output_begin(&o, out, SIZE_MAX);
    return output_end(&o, row->compress(in, level, &o));
}
