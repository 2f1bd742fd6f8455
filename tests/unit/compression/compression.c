#include "check.h"
#include "compression/compression.h"

#include <stdlib.h>

static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

#define FOR_EACH_CODEC(c) for (const enum codec *c = codecs; c < codecs + array_count(codecs); c++)

static struct bytes bytes_of_text(const struct text *t)
{
    return bytes_of_str(text_str(t));
}

static struct text of_hex(const char *hex)
{
    struct text t = {0};
    int high = -1;

    for (; *hex != '\0'; hex++) {
        int digit = *hex <= '9' ? *hex - '0' : *hex - 'a' + 10;

        if (*hex == ' ')
            continue;
        if (high < 0) {
            high = digit;
            continue;
        }
        text_add(&t, &(char){(char)(high << 4 | digit)}, 1);
        high = -1;
    }
    return t;
}

/* Bytes with runs, repetitions and noise, so that each codec uses all of its means. */
static void add_random(struct text *t, struct prng *g, size_t n)
{
    while (t->n < n) {
        size_t run = 1 + prng_below(g, 200);
        uint8_t byte = (uint8_t)prng_u64(g);
        uint64_t kind = prng_below(g, 3);

        for (size_t i = 0; i < run && t->n < n; i++) {
            if (kind == 0)
                byte = (uint8_t)prng_u64(g);
            if (kind == 1 && t->n > 300)
                byte = (uint8_t)t->p[t->n - 300];
            text_add(t, &byte, 1);
        }
    }
}

static void check_round_trip(enum codec codec, int level, const struct text *plain)
{
    struct text packed = {0}, again = {0};

    CHECK_EQ(compress(codec, level, bytes_of_text(plain), &packed), 0);
    CHECK_EQ(decompress(codec, bytes_of_text(&packed), plain->n, &again), 0);
    CHECK_BYTES(again.p, again.n, plain->p, plain->n);
    CHECK(again.p == NULL || again.p[again.n] == '\0');
    /* One byte less is too little, whatever the size. */
    text_clear(&again);
    if (plain->n > 0) {
        CHECK_EQ(decompress(codec, bytes_of_text(&packed), plain->n - 1, &again), ERR_LIMIT);
        CHECK_EQ(again.n, 0);
    }
    text_deinit(&again);
    text_deinit(&packed);
}

TEST(compression, what_goes_in_comes_out_and_the_limit_is_exact)
{
    static const size_t sizes[] = {0,     1,     2,      3,      60,     4094,  4095,
                                   4096,  4097,  32767,  32768,  32769,  65535, 65536,
                                   65537, 98304, 131072, 200000, 1048577};
    struct prng g;

    prng_init(&g, 1);
    for (size_t i = 0; i < array_count(sizes); i++) {
        struct text plain = {0};

        add_random(&plain, &g, sizes[i]);
        FOR_EACH_CODEC(c)
        check_round_trip(*c, codec_level_default(*c), &plain);
        text_deinit(&plain);
    }
}

TEST(compression, random_sizes_come_out_at_random_levels)
{
    struct prng g;

    prng_init(&g, 2);
    for (int i = 0; i < 300; i++) {
        struct text plain = {0};

        add_random(&plain, &g, prng_below(&g, 20000));
        check_round_trip(CODEC_GZIP, 1 + (int)prng_below(&g, 9), &plain);
        check_round_trip(CODEC_LZ4, 1 + (int)prng_below(&g, 17), &plain);
        check_round_trip(CODEC_ZSTD, (int)prng_below(&g, 30) - 10, &plain);
        check_round_trip(CODEC_SNAPPY, 0, &plain);
        text_deinit(&plain);
    }
}

TEST(compression, levels_are_kafkas)
{
    CHECK_EQ(codec_level_default(CODEC_GZIP), -1);
    CHECK_EQ(codec_level_default(CODEC_LZ4), 9);
    CHECK_EQ(codec_level_default(CODEC_ZSTD), 3);
    CHECK(codec_level_ok(CODEC_GZIP, -1));
    CHECK(!codec_level_ok(CODEC_GZIP, 0));
    CHECK(codec_level_ok(CODEC_GZIP, 1));
    CHECK(codec_level_ok(CODEC_GZIP, 9));
    CHECK(!codec_level_ok(CODEC_GZIP, 10));
    CHECK(!codec_level_ok(CODEC_LZ4, 0));
    CHECK(codec_level_ok(CODEC_LZ4, 17));
    CHECK(!codec_level_ok(CODEC_LZ4, 18));
    CHECK(codec_level_ok(CODEC_ZSTD, -131072));
    CHECK(!codec_level_ok(CODEC_ZSTD, -131073));
    CHECK(codec_level_ok(CODEC_ZSTD, 22));
    CHECK(!codec_level_ok(CODEC_ZSTD, 23));
    CHECK(codec_level_ok(CODEC_SNAPPY, 7));
}

TEST(compression, extreme_levels_work)
{
    struct text plain = {0};
    struct prng g;

    prng_init(&g, 3);
    add_random(&plain, &g, 3000);
    check_round_trip(CODEC_ZSTD, -131072, &plain);
    check_round_trip(CODEC_ZSTD, 22, &plain);
    check_round_trip(CODEC_LZ4, 1, &plain);
    check_round_trip(CODEC_LZ4, 17, &plain);
    text_deinit(&plain);
}

TEST(compression, names_are_kafkas)
{
    enum codec codec = CODEC_ZSTD;

    FOR_EACH_CODEC(c)
    {
        CHECK_EQ(codec_find(codec_name(*c), &codec), 0);
        CHECK_EQ(codec, *c);
    }
    CHECK_TEXT(codec_name(CODEC_LZ4), "lz4");
    CHECK_EQ(codec_find(STR("uncompressed"), &codec), 0);
    CHECK_EQ(codec, CODEC_NONE);
    codec = CODEC_GZIP;
    CHECK_EQ(codec_find(STR("brotli"), &codec), -EINVAL);
    CHECK_EQ(codec_find(STR("producer"), &codec), -EINVAL);
    CHECK_EQ(codec_find(STR_NULL, &codec), -EINVAL);
    CHECK_EQ(codec, CODEC_GZIP);
}

/* What other encoders made of it is in the batches of tests/unit/record; here are the framings. */
TEST(compression, framings_are_kafkas)
{
    struct text out = {0};
    struct bytes in = {(const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32};

    CHECK_EQ(compress(CODEC_SNAPPY, 0, in, &out), 0);
    CHECK_BYTES(out.p, 16, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    CHECK_EQ(get_u32(out.p + 16), out.n - 20);
    text_clear(&out);
    CHECK_EQ(compress(CODEC_LZ4, 9, in, &out), 0);
    CHECK_BYTES(out.p, 7, "\x04\x22\x4d\x18\x60\x40\x82", 7);
    CHECK_BYTES(out.p + out.n - 4, 4, "\0\0\0\0", 4);
    text_clear(&out);
    CHECK_EQ(compress(CODEC_GZIP, -1, in, &out), 0);
    CHECK_BYTES(out.p, 3, "\x1f\x8b\x08", 3);
    text_clear(&out);
    CHECK_EQ(compress(CODEC_ZSTD, 3, in, &out), 0);
    CHECK_BYTES(out.p, 4, "\x28\xb5\x2f\xfd", 4);
    text_deinit(&out);
}

/* Blocks of 64 KB that do not look back: any of them can be decoded alone. */
TEST(compression, large_lz4_has_independent_blocks)
{
    struct text plain = {0}, packed = {0};
    struct prng g;
    size_t at = 7;
    int blocks = 0;

    prng_init(&g, 4);
    add_random(&plain, &g, 200000);
    CHECK_EQ(compress(CODEC_LZ4, 9, bytes_of_text(&plain), &packed), 0);
    CHECK_EQ((uint8_t)packed.p[4], 0x60);
    CHECK_EQ((uint8_t)packed.p[5], 0x40);
    for (;;) {
        const uint8_t *p = (const uint8_t *)packed.p + at;
        uint32_t n = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        at += 4;
        if (n == 0)
            break;
        at += n & 0x7fffffff; /* the upper bit says "stored as it is" */
        blocks++;
        CHECK(at < packed.n);
    }
    CHECK_EQ(at, packed.n);
    CHECK_EQ(blocks, (200000 + 65535) / 65536);
    text_deinit(&plain);
    text_deinit(&packed);
}

TEST(compression, results_are_appended)
{
    FOR_EACH_CODEC(c)
    {
        struct text packed = {0}, out = {0};
        struct bytes in = {(const uint8_t *)"second", 6};

        text_add(&packed, "before", 6);
        CHECK_EQ(compress(*c, codec_level_default(*c), in, &packed), 0);
        CHECK_BYTES(packed.p, 6, "before", 6);
        text_add(&out, "first ", 6);
        in = (struct bytes){(const uint8_t *)packed.p + 6, (int32_t)packed.n - 6};
        CHECK_EQ(decompress(*c, in, 6, &out), 0);
        CHECK_TEXT(text_str(&out), "first second");
        CHECK_EQ(decompress(*c, in, 5, &out), ERR_LIMIT);
        CHECK_TEXT(text_str(&out), "first second");
        CHECK_EQ(strlen(out.p), 12);
        text_deinit(&packed);
        text_deinit(&out);
    }
}

/* A truncated stream never passes for a whole one, and is never read beyond its end (exact heap
 * copies let the address sanitizer see that). */
TEST(compression, every_cut_is_refused)
{
    struct text plain = {0};
    struct prng g;

    prng_init(&g, 5);
    add_random(&plain, &g, 1500);
    FOR_EACH_CODEC(c)
    {
        struct text packed = {0}, out = {0};

        if (*c == CODEC_NONE)
            continue;
        CHECK_EQ(compress(*c, codec_level_default(*c), bytes_of_text(&plain), &packed), 0);
        for (size_t n = 0; n < packed.n; n++) {
            uint8_t *cut = malloc(n == 0 ? 1 : n);
            int error;

            memcpy(cut, packed.p, n);
            error = decompress(*c, (struct bytes){cut, (int32_t)n}, 1 << 20, &out);
            free(cut);
            /* A xerial header without blocks is a whole stream of nothing. */
            if (*c == CODEC_SNAPPY && n == 16)
                CHECK_EQ(error, 0);
            else
                CHECK_EQ(error, ERR_CORRUPT);
            CHECK_EQ(out.n, 0);
        }
        text_deinit(&packed);
        text_deinit(&out);
    }
    text_deinit(&plain);
}

TEST(compression, a_byte_too_many_is_refused)
{
    struct bytes in = {(const uint8_t *)"records", 7};

    FOR_EACH_CODEC(c)
    {
        struct text packed = {0}, out = {0};

        if (*c == CODEC_NONE)
            continue;
        CHECK_EQ(compress(*c, codec_level_default(*c), in, &packed), 0);
        text_add(&packed, "x", 1);
        CHECK_EQ(decompress(*c, bytes_of_text(&packed), 100, &out), ERR_CORRUPT);
        CHECK_EQ(out.n, 0);
        text_deinit(&packed);
        text_deinit(&out);
    }
}

static void check_doubled(enum codec codec)
{
    struct text packed = {0}, out = {0};
    struct bytes in = {(const uint8_t *)"one ", 4};

    CHECK_EQ(compress(codec, codec_level_default(codec), in, &packed), 0);
    in.p = (const uint8_t *)"two ";
    CHECK_EQ(compress(codec, codec_level_default(codec), in, &packed), 0);
    CHECK_EQ(decompress(codec, bytes_of_text(&packed), 8, &out), 0);
    CHECK_TEXT(text_str(&out), "one two ");
    CHECK_EQ(decompress(codec, bytes_of_text(&packed), 7, &out), ERR_LIMIT);
    CHECK_TEXT(text_str(&out), "one two ");
    text_deinit(&packed);
    text_deinit(&out);
}

TEST(compression, gzip_members_zstd_frames_and_xerial_streams_follow_one_another)
{
    check_doubled(CODEC_GZIP);
    check_doubled(CODEC_ZSTD);
    check_doubled(CODEC_SNAPPY);
}

/* The first zstd frame tells the size of what it holds, not of what follows. */
TEST(compression, an_empty_stream_may_stand_before_another)
{
    static const enum codec able[] = {CODEC_GZIP, CODEC_ZSTD, CODEC_SNAPPY};

    for (size_t i = 0; i < array_count(able); i++) {
        struct text plain = {0}, packed = {0}, out = {0};
        struct prng g;

        prng_init(&g, 9);
        add_random(&plain, &g, 10000);
        CHECK_EQ(compress(able[i], codec_level_default(able[i]),
                          (struct bytes){(const uint8_t *)"", 0}, &packed),
                 0);
        CHECK_EQ(compress(able[i], codec_level_default(able[i]), bytes_of_text(&plain), &packed),
                 0);
        CHECK_EQ(decompress(able[i], bytes_of_text(&packed), 10000, &out), 0);
        CHECK_BYTES(out.p, out.n, plain.p, plain.n);
        CHECK_EQ(decompress(able[i], bytes_of_text(&packed), 0, &out), ERR_LIMIT);
        CHECK_EQ(decompress(able[i], bytes_of_text(&packed), 1, &out), ERR_LIMIT);
        CHECK_EQ(decompress(able[i], bytes_of_text(&packed), 9999, &out), ERR_LIMIT);
        text_deinit(&plain);
        text_deinit(&packed);
        text_deinit(&out);
    }
}

TEST(compression, bare_snappy_is_read)
{
    struct text raw = of_hex("05 10 68656c6c6f"), out = {0}; /* 5 bytes, literal of 5: hello */

    CHECK_EQ(decompress(CODEC_SNAPPY, bytes_of_text(&raw), 5, &out), 0);
    CHECK_TEXT(text_str(&out), "hello");
    text_deinit(&raw);
    text_deinit(&out);
}

static int lz4_result(const char *hex)
{
    struct text in = of_hex(hex), out = {0};
    int error = decompress(CODEC_LZ4, bytes_of_text(&in), 100, &out);

    if (error == 0)
        CHECK_TEXT(text_str(&out), "hello");
    text_deinit(&in);
    text_deinit(&out);
    return error;
}

/* Header checksums below are the second byte of XXH32 over FLG and what follows it. */
TEST(compression, lz4_headers_that_a_consumer_refuses_are_refused)
{
    CHECK_EQ(lz4_result("04224d18 60 40 82 05000080 68656c6c6f 00000000"), 0);
    CHECK_EQ(lz4_result("04224d18 60 40 83 05000080 68656c6c6f 00000000"), ERR_CORRUPT);
    /* blocks that depend on one another */
    CHECK_EQ(lz4_result("04224d18 40 40 c0 05000080 68656c6c6f 00000000"), ERR_CORRUPT);
    /* larger blocks are fine */
    CHECK_EQ(lz4_result("04224d18 60 70 73 05000080 68656c6c6f 00000000"), 0);
    /* a block size that nobody has defined */
    CHECK_EQ(lz4_result("04224d18 60 30 e1 05000080 68656c6c6f 00000000"), ERR_CORRUPT);
    /* the magic number of skippable frames */
    CHECK_EQ(lz4_result("502a4d18 05000000 68656c6c6f"), ERR_CORRUPT);
}

TEST(compression, changed_bytes_never_crash_and_never_pass_the_limit)
{
    struct text plain = {0};
    struct prng g;

    prng_init(&g, 6);
    add_random(&plain, &g, 3000);
    FOR_EACH_CODEC(c)
    {
        struct text packed = {0}, out = {0};

        CHECK_EQ(compress(*c, codec_level_default(*c), bytes_of_text(&plain), &packed), 0);
        for (int i = 0; i < 3000; i++) {
            size_t at = prng_below(&g, packed.n);
            char was = packed.p[at];

            packed.p[at] = (char)prng_u64(&g);
            if (decompress(*c, bytes_of_text(&packed), 4000, &out) < 0)
                CHECK_EQ(out.n, 0);
            CHECK(out.n <= 4000);
            packed.p[at] = was;
            text_clear(&out);
        }
        text_deinit(&packed);
        text_deinit(&out);
    }
    text_deinit(&plain);
}
