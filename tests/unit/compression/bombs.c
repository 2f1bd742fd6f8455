/* A few kilobytes that would become gigabytes. */
#include "check.h"
#include "compression/compression.h"

#include <stdlib.h>
#include <sys/resource.h>

#define LIMIT_BYTES (1 << 20)
/* Every bomb would become this large. Built in pieces, so that the building takes no memory and
 * the process's peak shows what the decoder took. */
#define BOMB_PIECES 10000
#define PIECE_BYTES 65536
/* What the process may grow by while it refuses a bomb: the output, a decoder's state, and slack
 * for the allocator and the sanitizers. */
#define GROWTH_KB_MAX (24 * 1024)

static long resident_kb_max(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void check_bomb(enum codec codec, const struct text *bomb)
{
    struct text out = {0};
    long before_kb = resident_kb_max();
    struct bytes in = bytes_of_str(text_str(bomb));

    CHECK_EQ(decompress(codec, in, LIMIT_BYTES, &out), ERR_LIMIT);
    CHECK_EQ(out.n, 0);
    CHECK(out.capacity <= LIMIT_BYTES + 1);
    CHECK(resident_kb_max() - before_kb <= GROWTH_KB_MAX);
    text_deinit(&out);
}

static void add_zeros_packed(struct text *t, enum codec codec, size_t plain_bytes)
{
    uint8_t *zeros = calloc(plain_bytes, 1);
    struct bytes in = {zeros, (int32_t)plain_bytes};

    CHECK(zeros != NULL);
    CHECK_EQ(compress(codec, codec_level_default(codec), in, t), 0);
    free(zeros);
}

/* One stream: the first `head` bytes of a small one, what stands between them and the last `tail`
 * bytes again and again, and these. */
static void make_bomb(struct text *bomb, enum codec codec, size_t head, size_t tail)
{
    struct text piece = {0};

    add_zeros_packed(&piece, codec, PIECE_BYTES);
    CHECK(piece.n > head + tail);
    text_add(bomb, piece.p, head);
    for (int i = 0; i < BOMB_PIECES; i++)
        text_add(bomb, piece.p + head, piece.n - head - tail);
    text_add(bomb, piece.p + piece.n - tail, tail);
    text_deinit(&piece);
}

TEST(bombs, gzip_ends_at_the_limit)
{
    struct text bomb = {0};

    add_zeros_packed(&bomb, CODEC_GZIP, 4 << 20);
    CHECK(bomb.n < 10000);
    check_bomb(CODEC_GZIP, &bomb);
    text_deinit(&bomb);
}

TEST(bombs, gzip_in_many_members_ends_at_the_limit)
{
    struct text bomb = {0};

    make_bomb(&bomb, CODEC_GZIP, 0, 0);
    check_bomb(CODEC_GZIP, &bomb);
    text_deinit(&bomb);
}

TEST(bombs, lz4_ends_at_the_limit)
{
    struct text bomb = {0};

    make_bomb(&bomb, CODEC_LZ4, 7, 4);
    check_bomb(CODEC_LZ4, &bomb);
    text_deinit(&bomb);
}

TEST(bombs, zstd_that_tells_its_size_is_refused_at_once)
{
    struct text bomb = {0}, out = {0};

    add_zeros_packed(&bomb, CODEC_ZSTD, 4 << 20);
    check_bomb(CODEC_ZSTD, &bomb);
    CHECK_EQ(decompress(CODEC_ZSTD, bytes_of_str(text_str(&bomb)), LIMIT_BYTES, &out), ERR_LIMIT);
    CHECK_EQ(out.capacity, 0);
    text_deinit(&bomb);
}

/* A frame with a window of `window_log` and `blocks` blocks that repeat a byte 128 KB long. */
static void add_zstd_frame(struct text *t, int window_log, int blocks)
{
    uint8_t header[6] = {0x28, 0xb5, 0x2f, 0xfd, 0, (uint8_t)((window_log - 10) << 3)};

    text_add(t, header, sizeof(header));
    for (int i = 0; i < blocks; i++) {
        uint32_t word = 131072u << 3 | 1u << 1 | (i == blocks - 1); /* size, "repeat", last */
        uint8_t block[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), 'x'};

        text_add(t, block, sizeof(block));
    }
}

TEST(bombs, zstd_that_hides_its_size_ends_at_the_limit)
{
    struct text bomb = {0};

    add_zstd_frame(&bomb, 21, 10000); /* 40 KB become 1.3 GB */
    check_bomb(CODEC_ZSTD, &bomb);
    text_clear(&bomb);
    for (int i = 0; i < 9; i++)
        add_zstd_frame(&bomb, 21, 1);
    check_bomb(CODEC_ZSTD, &bomb);
    text_deinit(&bomb);
}

/* Clients at high levels ask for 128 MB of window; what comes out is small all the same. */
TEST(bombs, zstd_gets_no_window)
{
    struct text in = {0}, out = {0};
    long before_kb = resident_kb_max();

    add_zstd_frame(&in, 27, 2);
    CHECK_EQ(decompress(CODEC_ZSTD, bytes_of_str(text_str(&in)), LIMIT_BYTES, &out), 0);
    CHECK_EQ(out.n, 2 * 131072);
    CHECK_EQ(out.p[2 * 131072 - 1], 'x');
    CHECK(resident_kb_max() - before_kb <= GROWTH_KB_MAX);
    text_clear(&in);
    text_clear(&out);
    add_zstd_frame(&in, 31, 1);
    CHECK_EQ(decompress(CODEC_ZSTD, bytes_of_str(text_str(&in)), LIMIT_BYTES, &out), 0);
    CHECK_EQ(out.n, 131072);
    text_deinit(&in);
    text_deinit(&out);
}

TEST(bombs, snappy_ends_at_the_limit)
{
    struct text bomb = {0};

    make_bomb(&bomb, CODEC_SNAPPY, 16, 0);
    check_bomb(CODEC_SNAPPY, &bomb);
    text_clear(&bomb);
    /* A bare block that claims 4 GB less one byte. */
    text_add(&bomb, "\xff\xff\xff\xff\x0f\x00x", 7);
    check_bomb(CODEC_SNAPPY, &bomb);
    text_deinit(&bomb);
}

/* A claim within the limit costs no memory either, when the block does not keep it. */
TEST(bombs, snappy_claims_are_not_believed)
{
    struct text in = {0}, out = {0};

    text_add(&in, "\xff\xff\x3f\x00x", 5); /* 1 MB less one byte, then one literal byte */
    CHECK_EQ(decompress(CODEC_SNAPPY, bytes_of_str(text_str(&in)), LIMIT_BYTES, &out), ERR_CORRUPT);
    CHECK_EQ(out.capacity, 0);
    text_deinit(&in);
    text_deinit(&out);
}
