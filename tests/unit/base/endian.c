#include "check.h"

TEST(endian, numbers_are_big_endian)
{
    uint8_t b[8];

    put_u16(b, 0x0102);
    CHECK_BYTES(b, 2, "\x01\x02", 2);
    put_u32(b, 0x01020304);
    CHECK_BYTES(b, 4, "\x01\x02\x03\x04", 4);
    put_u64(b, 0xf102030405060708);
    CHECK_BYTES(b, 8, "\xf1\x02\x03\x04\x05\x06\x07\x08", 8);
    CHECK_EQ(get_u64(b), 0xf102030405060708);
    CHECK_EQ(get_i64(b), (int64_t)0xf102030405060708);
    CHECK_EQ(get_u32(b), 0xf1020304);
    CHECK_EQ(get_i32(b), (int32_t)0xf1020304);
    CHECK_EQ(get_u16(b), 0xf102);
    CHECK_EQ(get_i16(b), (int16_t)0xf102);
}

TEST(endian, zigzag_keeps_small_numbers_small)
{
    CHECK_EQ(zigzag_32(0), 0);
    CHECK_EQ(zigzag_32(-1), 1);
    CHECK_EQ(zigzag_32(1), 2);
    CHECK_EQ(zigzag_32(INT32_MAX), UINT32_MAX - 1);
    CHECK_EQ(zigzag_32(INT32_MIN), UINT32_MAX);
    CHECK(zigzag_64(INT64_MAX) == UINT64_MAX - 1);
    CHECK(zigzag_64(INT64_MIN) == UINT64_MAX);
    CHECK_EQ(unzigzag_32(UINT32_MAX), INT32_MIN);
    CHECK_EQ(unzigzag_32(UINT32_MAX - 1), INT32_MAX);
    CHECK_EQ(unzigzag_64(UINT64_MAX), INT64_MIN);
    CHECK_EQ(unzigzag_64(UINT64_MAX - 1), INT64_MAX);
    CHECK_EQ(unzigzag_64(3), -2);
}

static void check_varint(uint64_t v)
{
    uint8_t b[16];
    uint8_t *end = put_uvarint(b, v);
    uint64_t read_64 = 0;
    uint32_t read_32 = 0;

    CHECK_EQ(end - b, uvarint_size_64(v));
    CHECK(get_uvarint_64(b, end, &read_64) == end);
    CHECK(read_64 == v);
    if (v <= UINT32_MAX) {
        CHECK_EQ(end - b, uvarint_size_32((uint32_t)v));
        CHECK(get_uvarint_32(b, end, &read_32) == end);
        CHECK_EQ(read_32, v);
    } else {
        CHECK(get_uvarint_32(b, end, &read_32) == NULL);
        CHECK_EQ(read_32, 0);
    }
    /* Cut anywhere it is refused, and `out` stays. */
    for (const uint8_t *cut = b; cut < end; cut++) {
        read_64 = 77;
        read_32 = 77;
        CHECK(get_uvarint_64(b, cut, &read_64) == NULL);
        CHECK(get_uvarint_32(b, cut, &read_32) == NULL);
        CHECK_EQ(read_64, 77);
        CHECK_EQ(read_32, 77);
    }
}

TEST(endian, varints_round_trip_at_every_limit)
{
    struct prng g;

    for (uint32_t shift = 0; shift < 64; shift++) {
        uint64_t power = (uint64_t)1 << shift;
        check_varint(power - 1);
        check_varint(power);
        check_varint(power + 1);
    }
    check_varint(UINT64_MAX);
    check_varint(UINT64_MAX - 1);
    prng_init(&g, 3);
    for (int i = 0; i < 10000; i++)
        check_varint(prng_u64(&g) >> prng_below(&g, 64));
}

TEST(endian, varint_bytes_are_those_of_the_protocol)
{
    uint8_t b[16];

    CHECK_BYTES(b, (size_t)(put_uvarint(b, 300) - b), "\xac\x02", 2);
    CHECK_BYTES(b, (size_t)(put_uvarint(b, UINT32_MAX) - b), "\xff\xff\xff\xff\x0f", 5);
    CHECK_BYTES(b, (size_t)(put_uvarint(b, UINT64_MAX) - b),
                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
}

static bool refused_32(const char *bytes, size_t n)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint32_t out = 5;

    return get_uvarint_32(p, p + n, &out) == NULL && out == 5;
}

static bool refused_64(const char *bytes, size_t n)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint64_t out = 5;

    return get_uvarint_64(p, p + n, &out) == NULL && out == 5;
}

TEST(endian, hostile_varints_are_refused)
{
    const uint8_t padded[] = {0x81, 0x80, 0x80, 0x80, 0x00};
    uint32_t out = 0;

    CHECK(refused_32("", 0));
    CHECK(refused_32("\xff\xff\xff\xff\x10", 5));     /* bit 33 */
    CHECK(refused_32("\xff\xff\xff\xff\x8f\x00", 6)); /* six bytes */
    CHECK(refused_32("\x80\x80\x80\x80\x80\x80\x80\x80", 8));
    CHECK(refused_64("", 0));
    CHECK(refused_64("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
    CHECK(refused_64("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11));
    /* Longer than needed, yet within five bytes: Java's writer never does this, its reader
     * accepts it. */
    CHECK(get_uvarint_32(padded, padded + 5, &out) == padded + 5);
    CHECK_EQ(out, 1);
}

TEST(endian, reader_yields_zeros_after_its_first_error)
{
    const uint8_t b[] = {1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0xac, 0x02, 1, 3, 9};
    struct rd r = rd_of(b, sizeof(b));

    CHECK_EQ(rd_i8(&r), 1);
    CHECK_EQ(rd_i16(&r), 2);
    CHECK_EQ(rd_i32(&r), 3);
    CHECK_EQ(rd_i64(&r), 4);
    CHECK_EQ(rd_uvarint(&r), 300);
    CHECK_EQ(rd_varint(&r), -1);
    CHECK_EQ(rd_varlong(&r), -2);
    CHECK(!r.failed);
    CHECK(rd_take(&r, SIZE_MAX) == NULL);
    CHECK(r.failed);
    CHECK_EQ(rd_i8(&r), 0); /* though one byte is left */
    CHECK_EQ(rd_i16(&r), 0);
    CHECK_EQ(rd_i32(&r), 0);
    CHECK_EQ(rd_i64(&r), 0);
    CHECK_EQ(rd_uvarint(&r), 0);
    CHECK_EQ(rd_varint(&r), 0);
    CHECK_EQ(rd_varlong(&r), 0);
    CHECK(rd_take(&r, 0) == NULL);
}

TEST(endian, reader_fails_on_each_cut_number)
{
    const uint8_t b[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    struct rd r;

    r = rd_of(b, 0);
    CHECK(rd_i8(&r) == 0 && r.failed);
    r = rd_of(b, 1);
    CHECK(rd_i16(&r) == 0 && r.failed);
    r = rd_of(b, 3);
    CHECK(rd_i32(&r) == 0 && r.failed);
    r = rd_of(b, 7);
    CHECK(rd_i64(&r) == 0 && r.failed);
    r = rd_of(b, 7);
    CHECK(rd_uvarint(&r) == 0 && r.failed);
    r = rd_of(b, 7);
    CHECK(rd_varlong(&r) == 0 && r.failed);
    r = rd_of(b, 7);
    CHECK(rd_take(&r, 7) == b && !r.failed);
    CHECK(rd_take(&r, 0) == b + 7 && !r.failed);
}
