#include "check.h"
#include "support.h"

#include <stdlib.h>

TEST(batch, golden_headers_records_and_checksums_are_read)
{
    for (size_t i = 0; i < golden_count; i++) {
        struct text bytes = of_hex(golden[i].hex), dump = {0}, expected = {0};

        batch_dump(bytes_of_text(&bytes), &dump);
        golden_expected(&golden[i], &expected);
        CHECK_TEXT(text_str(&dump), expected.p);
        text_deinit(&bytes);
        text_deinit(&dump);
        text_deinit(&expected);
    }
}

/* A transactional batch with a tombstone and a commit marker, once more from another node. */
TEST(batch, transactional_batch_and_marker_of_a_log_are_read)
{
    struct text bytes = of_hex(
        "0000000000000000 00000043 00000003 02 b007400b 0010 00000001 00000000000003e8"
        "00000000000003ed 0000000000000007 0001 00000000 00000002"
        "10 00 00 00 02 6b 02 76 00   10 00 0a 02 04 6b32 01 00"
        "000000000000002a000000420000000502eb95ae6700300000000000000000000004d200000000000004d2"
        "00000000000000070001ffffffff000000012000000008000000010c00000000000900");
    struct text dump = {0};

    batch_dump(bytes_of_text(&bytes), &dump);
    CHECK_TEXT(text_str(&dump),
               "0..1 bytes=79 epoch=3 crc=b007400b attributes=10 last_delta=1 base=1000 max=1005 "
               "producer=7,1,0 count=2 none create-time transactional\n"
               "  0 1000 0 \"k\" \"v\"\n"
               "  1 1005 1 \"k2\" ~\n"
               "42..42 bytes=78 epoch=5 crc=eb95ae67 attributes=30 last_delta=0 base=1234 max=1234 "
               "producer=7,1,-1 count=1 none create-time transactional control\n"
               "  42 1234 -1 \"\\x00\\x00\\x00\\x01\" \"\\x00\\x00\\x00\\x00\\x00\\x09\"\n");
    text_deinit(&bytes);
    text_deinit(&dump);
}

/* A reader that has too little learns how much would be enough, and never has to ask twice once the
 * length is there. */
TEST(batch, every_cut_says_how_many_bytes_are_needed)
{
    for (size_t i = 0; i < golden_count; i++) {
        struct text bytes = of_hex(golden[i].hex);
        struct batch b;
        int total = batch_read(bytes_of_text(&bytes), &b, NULL);

        CHECK(total > 0);
        for (int n = 0; n < total; n++) {
            uint8_t *cut = malloc(n == 0 ? 1 : (size_t)n);
            uint32_t need = 0;

            memcpy(cut, bytes.p, (size_t)n);
            CHECK_EQ(batch_read((struct bytes){cut, n}, &b, &need), ERR_SHORT);
            CHECK_EQ(need, n <= 16 ? BATCH_HEADER_BYTES : total);
            CHECK_EQ(batch_read((struct bytes){cut, n}, &b, NULL), ERR_SHORT);
            free(cut);
        }
        text_deinit(&bytes);
    }
}

TEST(batch, other_magics_are_known_as_such)
{
    for (size_t i = 0; i < golden_old_count; i++) {
        struct text bytes = of_hex(golden_old[i].hex);
        struct bytes rest = bytes_of_text(&bytes);
        struct batch b;

        CHECK_EQ(batch_read(rest, &b, NULL), ERR_VERSION);
        CHECK_EQ(batch_next(&rest, &b), ERR_VERSION);
        CHECK_EQ(rest.n, bytes.n);
        text_deinit(&bytes);
    }
}

static int read_with_length(uint32_t length)
{
    struct text bytes = of_hex(golden_get("v2-none-single")->hex);
    struct batch b;
    int rc;

    put_u32(bytes.p + 8, length);
    rc = batch_read(bytes_of_text(&bytes), &b, NULL);
    text_deinit(&bytes);
    return rc;
}

TEST(batch, impossible_lengths_are_refused)
{
    CHECK_EQ(read_with_length(0), ERR_CORRUPT);
    CHECK_EQ(read_with_length(48), ERR_CORRUPT);
    CHECK_EQ(read_with_length(49), 61);
    CHECK_EQ(read_with_length(58), ERR_SHORT);
    CHECK_EQ(read_with_length(INT32_MAX - 12), ERR_SHORT);
    CHECK_EQ(read_with_length(INT32_MAX - 11), ERR_CORRUPT);
    CHECK_EQ(read_with_length(UINT32_MAX), ERR_CORRUPT);
}

TEST(batch, a_row_of_batches_ends_or_shows_its_cut)
{
    struct text bytes = of_hex(golden_get("v2-three-batches")->hex);
    struct bytes rest = bytes_of_text(&bytes);
    struct batch b;

    rest.n--;
    CHECK_EQ(batch_next(&rest, &b), 1);
    CHECK_EQ(b.base_offset, 0);
    CHECK_EQ(batch_next(&rest, &b), 1);
    CHECK_EQ(b.last_offset, 2);
    CHECK_EQ(batch_next(&rest, &b), ERR_SHORT);
    CHECK_EQ(b.last_offset, 2);
    rest.n++;
    CHECK_EQ(batch_next(&rest, &b), 1);
    CHECK_EQ(b.leader_epoch, 1);
    CHECK_EQ(batch_next(&rest, &b), 0);
    rest = BYTES_NULL;
    CHECK_EQ(batch_next(&rest, &b), 0);
    text_deinit(&bytes);
}

TEST(batch, stamping_leaves_the_checksum_good)
{
    struct text bytes = of_hex(golden_get("v2-lz4-mixed")->hex);
    struct batch b;

    batch_stamp((uint8_t *)bytes.p, INT64_C(0x0123456789abcdef), 77);
    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    CHECK_EQ(b.base_offset, INT64_C(0x0123456789abcdef));
    CHECK_EQ(b.last_offset, INT64_C(0x0123456789abcdef) + 6);
    CHECK_EQ(b.leader_epoch, 77);
    CHECK(batch_crc_ok(&b));
    text_deinit(&bytes);
}

TEST(batch, every_changed_byte_behind_the_checksum_is_noticed)
{
    struct text bytes = of_hex(golden_get("v2-none-mixed")->hex);
    struct batch b;

    for (size_t i = 17; i < bytes.n; i++) {
        bytes.p[i] ^= 0x10;
        CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
        CHECK(!batch_crc_ok(&b));
        bytes.p[i] ^= 0x10;
    }
    text_deinit(&bytes);
}

TEST(batch, sequences_wrap_to_zero)
{
    struct batch b = {.base_sequence = INT32_MAX - 1, .last_offset_delta = 3};

    CHECK_EQ(batch_last_sequence(&b), 1);
    b.last_offset_delta = 1;
    CHECK_EQ(batch_last_sequence(&b), INT32_MAX);
    b.base_sequence = -1;
    CHECK_EQ(batch_last_sequence(&b), -1);
    CHECK_EQ(sequence_add(5, 10), 15);
    CHECK_EQ(sequence_add(INT32_MAX, 1), 0);
    CHECK_EQ(sequence_add(INT32_MAX, INT32_MAX), INT32_MAX - 1);
}

TEST(batch, hostile_numbers_do_not_overflow)
{
    struct text bytes = of_hex(golden_get("v2-none-single")->hex);
    struct batch b;
    struct records r;
    struct record record;

    memset(bytes.p, 0x7f, 8);
    memset(bytes.p + 23, 0x7f, 4);
    memset(bytes.p + 27, 0x80, 8);
    CHECK(batch_read(bytes_of_text(&bytes), &b, NULL) > 0);
    CHECK_EQ(records_begin(&r, &b, 0), 0);
    CHECK_EQ(records_next(&r, &record), 1);
    CHECK_EQ(records_next(&r, &record), 0);
    records_end(&r);
    text_deinit(&bytes);
}
