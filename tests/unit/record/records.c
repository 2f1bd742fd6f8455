#include "check.h"
#include "support.h"

#include <stdlib.h>

/* A batch of one header and `records`, whose count is `count`. */
static struct text batch_around(uint16_t attributes, int32_t count, const char *records_hex)
{
    struct text batch = of_hex(golden_get("v2-none-single")->hex), records = of_hex(records_hex);

    batch.n = BATCH_HEADER_BYTES;
    text_add(&batch, records.p, records.n);
    put_u32(batch.p + 8, (uint32_t)batch.n - 12);
    put_u16(batch.p + 21, attributes);
    put_u32(batch.p + 57, (uint32_t)count);
    put_u32(batch.p + 17, crc32c(0, batch.p + 21, batch.n - 21));
    text_deinit(&records);
    return batch;
}

/* What comes after the last good record: 0 or an error. */
static int end_of(uint16_t attributes, int32_t count, const char *records_hex)
{
    struct text bytes = batch_around(attributes, count, records_hex);
    struct batch b;
    struct records r = {0};
    struct record record;
    int rc;

    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    rc = records_begin(&r, &b, 1000);
    if (rc == 0)
        do
            rc = records_next(&r, &record);
        while (rc == 1);
    records_end(&r);
    text_deinit(&bytes);
    return rc;
}

TEST(records, only_what_is_sound_to_the_last_byte_is_read)
{
    CHECK_EQ(end_of(0, 1, "0e 00 00 00 02 61 00 00"), 0);
    CHECK_EQ(end_of(0, 2, "0e 00 00 00 02 61 00 00 0e 00 00 00 02 61 00 00"), 0);
    CHECK_EQ(end_of(0, 0, ""), 0);
    /* fewer and more records than counted */
    CHECK_EQ(end_of(0, 2, "0e 00 00 00 02 61 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "0e 00 00 00 02 61 00 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 0, "00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, -1, "0e 00 00 00 02 61 00 00"), ERR_CORRUPT);
    /* a record that is shorter or longer than its fields */
    CHECK_EQ(end_of(0, 1, "0c 00 00 00 02 61 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "10 00 00 00 02 61 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "10 00 00 00 02 61 00 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "01"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "ff ff ff ff ff 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "fe ff ff ff 0f 00"), ERR_CORRUPT);
    /* key and value: any negative length is null, too long is not */
    CHECK_EQ(end_of(0, 1, "0c 00 00 00 01 01 00"), 0);
    CHECK_EQ(end_of(0, 1, "0c 00 00 00 03 05 00"), 0);
    CHECK_EQ(end_of(0, 1, "0e 00 00 00 02 61 02 00"), ERR_CORRUPT);
    /* headers: a name is needed, a value is not */
    CHECK_EQ(end_of(0, 1, "10 00 00 00 01 01 02 00 01"), 0);
    CHECK_EQ(end_of(0, 1, "10 00 00 00 01 01 02 01 01"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "10 00 00 00 01 01 04 00 01"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "10 00 00 00 01 01 00 00 01"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "0c 00 00 00 01 01 01"), ERR_CORRUPT);
    CHECK_EQ(end_of(0, 1, "14 00 00 00 01 01 fe ff ff ff 0f"), ERR_CORRUPT);
    /* a codec that nobody has defined, and one whose bytes are none */
    CHECK_EQ(end_of(5, 1, "0e 00 00 00 02 61 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(7, 0, ""), ERR_CORRUPT);
    CHECK_EQ(end_of(1, 1, "0e 00 00 00 02 61 00 00"), ERR_CORRUPT);
    CHECK_EQ(end_of(4, 0, ""), 0);
}

TEST(records, attributes_of_a_record_are_ignored)
{
    CHECK_EQ(end_of(0, 1, "0e ff 00 00 02 61 00 00"), 0);
}

TEST(records, decompression_is_bounded)
{
    struct text bytes = of_hex(golden_get("v2-zstd-mixed")->hex);
    struct text plain = of_hex(golden_get("v2-none-mixed")->hex);
    size_t plain_bytes = plain.n - BATCH_HEADER_BYTES;
    struct batch b;
    struct records r = {0};

    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    CHECK_EQ(records_begin(&r, &b, plain_bytes - 1), ERR_LIMIT);
    CHECK_EQ(records_begin(&r, &b, plain_bytes), 0);
    records_end(&r);
    records_end(&r);
    text_deinit(&bytes);
    text_deinit(&plain);
}

TEST(records, can_be_read_twice)
{
    struct text bytes = of_hex(golden_get("v2-gzip-mixed")->hex);
    struct batch b;
    struct records r;
    struct record record;

    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    CHECK_EQ(records_begin(&r, &b, 10000), 0);
    for (int pass = 0; pass < 2; pass++) {
        int count = 0;

        while (records_next(&r, &record) == 1)
            CHECK_EQ(record.offset, 1000 + count++);
        CHECK_EQ(count, 7);
        CHECK_EQ(records_next(&r, &record), 0);
        records_rewind(&r);
    }
    records_end(&r);
    text_deinit(&bytes);
}

/* Several may go through what one has decompressed, and go on where another one is. */
TEST(records, are_shared_passed_over_and_gone_on_with)
{
    struct text bytes = of_hex(golden_get("v2-gzip-mixed")->hex);
    struct batch b;
    struct records r, other;
    struct record record;

    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    CHECK_EQ(records_begin(&r, &b, 10000), 0);
    CHECK_EQ(records_skip(&r, 3), 0);
    CHECK_EQ(records_next(&r, &record), 1);
    CHECK_EQ(record.offset, 1003);
    CHECK_EQ(records_place(&r).number, 4);
    records_share(&other, &r);
    CHECK_EQ(records_next(&other, &record), 1);
    CHECK_EQ(record.offset, 1000);
    records_go(&other, records_place(&r));
    CHECK_EQ(records_next(&other, &record), 1);
    CHECK_EQ(record.offset, 1004);
    CHECK_EQ(records_skip(&other, 3), ERR_CORRUPT); /* there are two more */
    CHECK_EQ(records_skip(&other, 2), 0);
    CHECK_EQ(records_next(&other, &record), 0);
    records_end(&other);
    CHECK_EQ(records_next(&r, &record), 1);
    CHECK_EQ(record.offset, 1004);
    records_end(&r);
    text_deinit(&bytes);
}

TEST(records, control_types_are_read)
{
    static const uint8_t commit[] = {0, 0, 0, 1}, newer[] = {0, 1, 0, 6, 9},
                         unknown[] = {0, 0, 0, 99}, negative[] = {0xff, 0xff, 0, 1};
    int16_t type = -5;

    CHECK_EQ(control_type_read((struct bytes){commit, 4}, &type), 0);
    CHECK_EQ(type, CONTROL_COMMIT);
    CHECK_EQ(control_type_read((struct bytes){newer, 5}, &type), 0);
    CHECK_EQ(type, CONTROL_KRAFT_VOTERS);
    CHECK_EQ(control_type_read((struct bytes){unknown, 4}, &type), 0);
    CHECK_EQ(type, 99);
    CHECK_EQ(control_type_read((struct bytes){negative, 4}, &type), ERR_CORRUPT);
    CHECK_EQ(control_type_read((struct bytes){commit, 3}, &type), ERR_CORRUPT);
    CHECK_EQ(control_type_read(BYTES_NULL, &type), ERR_CORRUPT);
    CHECK_EQ(type, 99);
}

/* Every golden batch, its records cut at each byte and its length made to fit: never read beyond
 * the end (exact heap copies let the address sanitizer see that), never taken for whole. */
TEST(records, every_cut_inside_a_batch_is_noticed)
{
    for (size_t i = 0; i < golden_count; i++) {
        struct text bytes = of_hex(golden[i].hex);
        struct batch b;
        int total = batch_read(bytes_of_text(&bytes), &b, NULL);

        for (int n = BATCH_HEADER_BYTES; n < total && b.count > 0; n++) {
            uint8_t *cut = malloc((size_t)n);
            struct records r = {0};
            struct record record;
            int rc;

            memcpy(cut, bytes.p, (size_t)n);
            put_u32(cut + 8, (uint32_t)n - 12);
            CHECK_EQ(batch_read((struct bytes){cut, n}, &b, NULL), n);
            rc = records_begin(&r, &b, PLAIN_BYTES_MAX);
            while (rc >= 0 && (rc = records_next(&r, &record)) == 1)
                ;
            CHECK_EQ(rc, ERR_CORRUPT);
            records_end(&r);
            free(cut);
        }
        text_deinit(&bytes);
    }
}
