#include "check.h"
#include "support.h"

#include <stdio.h>

static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

/* Build anew what `b` says, through the door only. */
static void rebuild(const struct batch *b, enum codec codec, struct text *out)
{
    struct batch raw = *b; /* without LogAppendTime: the records' own timestamps show */
    struct batch_builder builder;
    struct records r;
    struct record record;

    raw.attributes &= (uint16_t)~BATCH_LOG_APPEND_TIME;
    batch_builder_init(&builder);
    builder.base_offset = b->base_offset;
    builder.leader_epoch = b->leader_epoch;
    builder.producer_id = b->producer_id;
    builder.producer_epoch = b->producer_epoch;
    builder.base_sequence = b->base_sequence;
    builder.attributes = (uint16_t)((b->attributes & ~BATCH_CODEC_MASK) | codec);
    builder.level = codec_level_default(codec);
    if ((b->attributes & BATCH_DELETE_HORIZON) != 0)
        builder.base_timestamp_ms = b->base_timestamp_ms;
    CHECK_EQ(records_begin(&r, &raw, PLAIN_BYTES_MAX), 0);
    while (records_next(&r, &record) == 1)
        batch_builder_add_at(&builder, record.offset_delta, record.timestamp_ms, record.key,
                             record.value, record.headers, record.header_count);
    records_end(&r);
    if ((b->attributes & BATCH_LOG_APPEND_TIME) != 0 || b->count == 0)
        builder.max_timestamp_ms = b->max_timestamp_ms;
    builder.last_offset_delta = b->last_offset_delta;
    CHECK_EQ(batch_builder_finish(&builder, out), 0);
    batch_builder_deinit(&builder);
}

TEST(build, uncompressed_golden_batches_come_out_byte_for_byte)
{
    int uncompressed = 0;

    for (size_t i = 0; i < golden_count; i++) {
        struct text bytes = of_hex(golden[i].hex);
        struct bytes rest = bytes_of_text(&bytes);
        struct batch b;

        while (batch_next(&rest, &b) == 1) {
            struct text again = {0};

            if (batch_codec(&b) == CODEC_NONE) {
                rebuild(&b, CODEC_NONE, &again);
                CHECK_BYTES(again.p, again.n, b.bytes.p, (size_t)b.bytes.n);
                uncompressed++;
            }
            text_deinit(&again);
        }
        text_deinit(&bytes);
    }
    CHECK_EQ(uncompressed, 18);
}

TEST(build, golden_records_come_back_from_every_codec)
{
    for (size_t i = 0; i < golden_count; i++) {
        struct text bytes = of_hex(golden[i].hex), expected = {0};
        struct bytes rest = bytes_of_text(&bytes);
        struct batch b;

        CHECK_EQ(batch_next(&rest, &b), 1);
        batch_dump_records(&b, &expected);
        for (size_t c = 0; c < array_count(codecs); c++) {
            struct text again = {0}, dump = {0};
            struct batch packed;

            rebuild(&b, codecs[c], &again);
            CHECK_EQ(batch_read(bytes_of_text(&again), &packed, NULL), again.n);
            CHECK(batch_crc_ok(&packed));
            CHECK_EQ(batch_codec(&packed), b.count == 0 ? CODEC_NONE : codecs[c]);
            CHECK_EQ(packed.last_offset, b.last_offset);
            CHECK_EQ(packed.max_timestamp_ms, b.max_timestamp_ms);
            batch_dump_records(&packed, &dump);
            CHECK_TEXT(text_str(&dump), text_str(&expected).p);
            text_deinit(&again);
            text_deinit(&dump);
        }
        text_deinit(&bytes);
        text_deinit(&expected);
    }
}

TEST(build, headers_timestamps_and_offsets_are_counted)
{
    struct record_header headers[] = {{STR("name"), bytes_of("value")}, {STR(""), BYTES_NULL}};
    struct batch_builder b;
    struct text out = {0}, dump = {0};

    batch_builder_init(&b);
    CHECK_EQ(batch_builder_size(&b), BATCH_HEADER_BYTES);
    batch_builder_add(&b, 1000, bytes_of("k"), bytes_of("v"), headers, 2);
    batch_builder_add(&b, 900, BYTES_NULL, bytes_of(""), NULL, 0);
    batch_builder_add(&b, 2000, bytes_of(""), BYTES_NULL, NULL, 0);
    b.producer_id = 12;
    b.producer_epoch = 3;
    b.base_sequence = 4;
    b.leader_epoch = 5;
    b.base_offset = 600;
    CHECK_EQ(batch_builder_size(&b), BATCH_HEADER_BYTES + 22 + 8 + 8);
    text_add(&out, "before", 6);
    CHECK_EQ(batch_builder_finish(&b, &out), 0);
    CHECK_BYTES(out.p, 6, "before", 6);
    batch_dump((struct bytes){(uint8_t *)out.p + 6, (int32_t)out.n - 6}, &dump);
    CHECK(strstr(dump.p, " attributes=00 last_delta=2 base=1000 max=2000 producer=12,3,4 count=3 "
                         "none create-time\n"
                         "  600 1000 4 \"k\" \"v\" \"name\"=\"value\" \"\"=~\n"
                         "  601 900 5 ~ \"\"\n"
                         "  602 2000 6 \"\" ~\n") != NULL);
    CHECK_EQ(out.n, 6 + BATCH_HEADER_BYTES + 38);
    text_deinit(&out);
    text_deinit(&dump);
    batch_builder_deinit(&b);
}

TEST(build, a_finished_builder_is_as_new)
{
    struct batch_builder b, fresh;
    struct text first = {0}, second = {0};

    batch_builder_init(&b);
    b.producer_id = 9;
    b.attributes = BATCH_TRANSACTIONAL | CODEC_ZSTD;
    batch_builder_add(&b, 5, bytes_of("k"), bytes_of("v"), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &first), 0);
    CHECK_EQ(batch_builder_size(&b), BATCH_HEADER_BYTES);
    batch_builder_init(&fresh);
    batch_builder_add(&b, 7, bytes_of("a"), BYTES_NULL, NULL, 0);
    batch_builder_add(&fresh, 7, bytes_of("a"), BYTES_NULL, NULL, 0);
    text_clear(&first);
    CHECK_EQ(batch_builder_finish(&b, &first), 0);
    CHECK_EQ(batch_builder_finish(&fresh, &second), 0);
    CHECK_BYTES(first.p, first.n, second.p, second.n);
    text_deinit(&first);
    text_deinit(&second);
    batch_builder_deinit(&b);
    batch_builder_deinit(&fresh);
}

/* The other types are among the batches that come out byte for byte. */
TEST(build, commit_marker_is_kafkas)
{
    static const uint8_t coordinator_epoch_9[] = {0, 0, 0, 0, 0, 9};
    struct text expected = of_hex(golden_get("v2-control-commit")->hex), out = {0};
    struct batch_builder b;

    batch_builder_init(&b);
    b.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    b.producer_id = 4002;
    b.producer_epoch = 0;
    b.base_offset = 10;
    b.leader_epoch = 4;
    batch_builder_add_control(&b, CONTROL_COMMIT, INT64_C(1767225600000),
                              (struct bytes){coordinator_epoch_9, 6});
    CHECK_EQ(batch_builder_finish(&b, &out), 0);
    CHECK_BYTES(out.p, out.n, expected.p, expected.n);
    text_deinit(&out);
    text_deinit(&expected);
    batch_builder_deinit(&b);
}

static void add_control_to_data(struct batch_builder *b)
{
    batch_builder_add_control(b, CONTROL_ABORT, 0, BYTES_NULL);
}

TEST(build, a_control_record_needs_a_control_batch)
{
    struct batch_builder b;

    batch_builder_init(&b);
    CHECK_ASSERTS(add_control_to_data(&b));
}

static void add_at(struct batch_builder *b, int32_t offset_delta)
{
    batch_builder_add_at(b, offset_delta, 0, BYTES_NULL, BYTES_NULL, BYTES_NULL, 0);
}

TEST(build, offsets_only_rise)
{
    struct batch_builder b;

    batch_builder_init(&b);
    add_at(&b, 5);
    CHECK_ASSERTS(add_at(&b, 5));
    batch_builder_deinit(&b);
}

/* ---- random batches ------------------------------------------------------------------------- */

static struct bytes random_bytes(struct prng *g, uint8_t *buffer, size_t most)
{
    size_t n = prng_chance(g, 100000) ? prng_below(g, most) : prng_below(g, 40);

    if (prng_chance(g, 150000))
        return BYTES_NULL;
    for (size_t i = 0; i < n; i++)
        buffer[i] = prng_chance(g, 300000) ? (uint8_t)prng_u64(g) : 'a';
    return (struct bytes){buffer, (int32_t)n};
}

/* Add records to `b` and, in the words of batch_dump, to `model`. */
static void add_random(struct batch_builder *b, struct prng *g, struct text *model)
{
    static uint8_t key[1000], value[20000];
    int32_t count = 1 + (int32_t)prng_below(g, 60);

    for (int32_t i = 0; i < count; i++) {
        char name[3][8], text[3][24];
        struct record_header headers[3];
        int32_t header_count = prng_chance(g, 300000) ? (int32_t)prng_below(g, 4) : 0;
        int64_t timestamp_ms = INT64_C(1767225600000) + (int64_t)prng_below(g, 100000) - 50000;
        struct bytes k = random_bytes(g, key, sizeof(key));
        struct bytes v = random_bytes(g, value, sizeof(value));
        uint32_t sum = crc32c(0, k.p, k.n < 0 ? 0 : (size_t)k.n);

        sum = crc32c(sum, v.p, v.n < 0 ? 0 : (size_t)v.n);
        if (prng_chance(g, 20000))
            timestamp_ms = (int64_t)prng_u64(g);
        text_printf(model, "%d %" PRId64 " %d %d %08x", i, timestamp_ms, k.n, v.n, sum);
        for (int32_t h = 0; h < header_count; h++) {
            snprintf(name[h], sizeof(name[h]), "h%d", (int)prng_below(g, 100));
            snprintf(text[h], sizeof(text[h]), "%" PRIu64, prng_u64(g));
            headers[h].key = str_of(name[h]);
            headers[h].value = prng_chance(g, 200000) ? BYTES_NULL : bytes_of(text[h]);
            text_printf(model, " %s=%.*s", name[h], STR_ARG(str_of_bytes(headers[h].value)));
        }
        text_add(model, "\n", 1);
        batch_builder_add(b, timestamp_ms, k, v, headers, header_count);
    }
}

static void describe(const struct batch *batch, struct text *out)
{
    struct records r;
    struct record record;
    int rc;

    CHECK_EQ(records_begin(&r, batch, PLAIN_BYTES_MAX), 0);
    while ((rc = records_next(&r, &record)) == 1) {
        uint32_t sum = crc32c(0, record.key.p, record.key.n < 0 ? 0 : (size_t)record.key.n);
        struct record_header header;

        sum = crc32c(sum, record.value.p, record.value.n < 0 ? 0 : (size_t)record.value.n);
        text_printf(out, "%d %" PRId64 " %d %d %08x", record.offset_delta, record.timestamp_ms,
                    record.key.n, record.value.n, sum);
        while (record_header_next(&record.headers, &header) == 1)
            text_printf(out, " %.*s=%.*s", STR_ARG(header.key),
                        STR_ARG(str_of_bytes(header.value)));
        text_add(out, "\n", 1);
    }
    CHECK_EQ(rc, 0);
    records_end(&r);
}

TEST(build, random_records_come_back_from_every_codec)
{
    struct prng g;

    prng_init(&g, 7);
    for (int i = 0; i < 300; i++) {
        struct batch_builder b;
        struct text model = {0}, out = {0}, said = {0};
        struct batch batch;
        enum codec codec = codecs[i % array_count(codecs)];

        batch_builder_init(&b);
        add_random(&b, &g, &model);
        b.attributes = (uint16_t)codec;
        b.level = codec_level_default(codec);
        if (codec == CODEC_NONE) {
            size_t size = batch_builder_size(&b);

            CHECK_EQ(batch_builder_finish(&b, &out), 0);
            CHECK_EQ(out.n, size);
        } else {
            CHECK_EQ(batch_builder_finish(&b, &out), 0);
        }
        CHECK_EQ(batch_read(bytes_of_text(&out), &batch, NULL), out.n);
        CHECK(batch_crc_ok(&batch));
        CHECK_EQ(batch.last_offset_delta + 1, batch.count);
        describe(&batch, &said);
        CHECK_TEXT(text_str(&said), model.p);
        text_deinit(&model);
        text_deinit(&out);
        text_deinit(&said);
        batch_builder_deinit(&b);
    }
}

/* The length of a record takes one byte more at 64, 8192 and 1048576: both encoders agree on each side of these. */
TEST(record_put, writes_what_the_builder_writes)
{
    static const int32_t near[] = {0, 1, 20, 40, 64, 8192, 1048576};
    static uint8_t value[1048576 + 200], got[sizeof value + 100];
    static const struct record_header header = {STR("h"), {(const uint8_t *)"v", 1}};

    for (size_t i = 0; i < array_count(near); i++) {
        for (int32_t n = near[i] - 20; n <= near[i] + 20; n++) {
            struct bytes key = n % 3 == 0 ? BYTES_NULL : (struct bytes){value, n % 3}, v = {value, n < -1 ? -1 : n};
            struct batch_builder b;
            uint8_t *end, *raw;
            batch_builder_init(&b);
            batch_builder_add(&b, 1000, BYTES_NULL, BYTES_NULL, NULL, 0);
            size_t before = b.records.n;
            batch_builder_add(&b, 1000 + (int64_t)n * n, key, v, &header, n & 1);
            end = record_put(got, 1, (int64_t)n * n, key, v, &header, n & 1);
            CHECK_BYTES(got, (size_t)(end - got), b.records.p + before, b.records.n - before);
            memset(got, 0, 100);
            raw = record_put_raw(got, 1, (int64_t)n * n, key, v,
                                 (struct bytes){(const uint8_t *)"\2h\2v", n & 1 ? 4 : 0}, n & 1);
            CHECK_BYTES(got, (size_t)(raw - got), b.records.p + before, b.records.n - before);
            batch_builder_deinit(&b);
        }
    }
}
