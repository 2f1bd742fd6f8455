/* One test per rule of what a leader refuses, accepts or changes (KIP-32, 98, 467, 724, 937). */
#include "check.h"
#include "support.h"

#include <stdio.h>

#define NOW_MS INT64_C(1767225600000)
#define HOUR_MS 3600000

static struct validate_rules rules_default(void)
{
    return (struct validate_rules){
        .batch_bytes_max = 1048588,
        .now_ms = NOW_MS,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = HOUR_MS,
        .plain_bytes_max = PLAIN_BYTES_MAX,
        .codec = -1,
        .produce_version = 12,
    };
}

/* A batch of `count` records, one a millisecond from `first_ms` on: key "kN", value "value N". */
static struct text batch_of(enum codec codec, int32_t count, int64_t first_ms)
{
    struct batch_builder b;
    struct text out = {0};

    batch_builder_init(&b);
    for (int32_t i = 0; i < count; i++) {
        char key[16], value[32];

        snprintf(key, sizeof(key), "k%d", i);
        snprintf(value, sizeof(value), "value %d", i);
        batch_builder_add(&b, first_ms + i, bytes_of(key), bytes_of(value), NULL, 0);
    }
    b.attributes = (uint16_t)codec;
    b.level = codec_level_default(codec);
    CHECK_EQ(batch_builder_finish(&b, &out), 0);
    batch_builder_deinit(&b);
    return out;
}

static void seal(struct text *batch)
{
    put_u32(batch->p + 17, crc32c(0, batch->p + 21, batch->n - 21));
}

/* The answer, its words, and the records that it is about, each in a line. Takes `batch`. */
static struct text answer_to(struct text batch, const struct validate_rules *rules)
{
    struct validated v;
    struct text said = {0};
    enum kerr answer = records_validate((uint8_t *)batch.p, (int32_t)batch.n, rules, &v);

    text_printf(&said, "%s", kerr_name(answer));
    if (v.message != NULL)
        text_printf(&said, ": %s", v.message);
    text_add(&said, "\n", 1);
    for (int32_t i = 0; i < v.error_count; i++)
        text_printf(&said, "  %d %s\n", v.errors[i].index, v.errors[i].message);
    CHECK_EQ(v.message == NULL, answer == KERR_NONE);
    if (answer == KERR_NONE)
        CHECK(batch_crc_ok(&v.batch));
    validated_deinit(&v);
    text_deinit(&batch);
    return said;
}

#define CHECK_ANSWER(batch, rules, expected)             \
    do {                                                 \
        struct text said_ = answer_to((batch), (rules)); \
        CHECK_TEXT(text_str(&said_), (expected));        \
        text_deinit(&said_);                             \
    } while (0)

/* A batch with an i32 of its header set, checksum good. */
static struct text batch_with_i32(size_t at, int32_t value)
{
    struct text batch = batch_of(CODEC_NONE, 2, NOW_MS);

    put_u32(batch.p + at, (uint32_t)value);
    seal(&batch);
    return batch;
}

static struct text batch_with_attributes(enum codec codec, uint16_t more)
{
    struct text batch = batch_of(codec, 2, NOW_MS);

    put_u16(batch.p + 21, (uint16_t)(codec | more));
    seal(&batch);
    return batch;
}

TEST(validate, a_good_batch_is_appended_as_it_is)
{
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4,
                                        CODEC_ZSTD};

    for (int look = LOOK_FOR_CAUSE; look <= LOOK_ALL; look++) {
        for (size_t i = 0; i < array_count(codecs); i++) {
            struct validate_rules rules = rules_default();
            struct text batch = batch_of(codecs[i], 3, NOW_MS), before = {0};
            struct validated v;

            rules.look = (enum look)look;
            text_add(&before, batch.p, batch.n);
            CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
            CHECK_BYTES(v.batch.bytes.p, v.batch.bytes.n, before.p, before.n);
            CHECK(v.batch.bytes.p == (uint8_t *)batch.p);
            CHECK_EQ(v.rebuilt.n, 0);
            CHECK_EQ(v.max_timestamp_ms, NOW_MS + 2);
            CHECK_EQ(v.append_time_ms, -1);
            CHECK_EQ(v.error_count, 0);
            CHECK(v.message == NULL);
            validated_deinit(&v);
            text_deinit(&batch);
            text_deinit(&before);
        }
    }
}

/* ---- the frame ------------------------------------------------------------------------------ */

TEST(validate, exactly_one_batch)
{
    struct validate_rules rules = rules_default();
    struct text two = batch_of(CODEC_NONE, 1, NOW_MS), one = batch_of(CODEC_NONE, 1, NOW_MS);

    CHECK_ANSWER((struct text){0}, &rules,
                 "INVALID_RECORD: there is no record batch for the partition\n");
    text_add(&two, one.p, one.n);
    CHECK_ANSWER(two, &rules,
                 "INVALID_RECORD: there must be exactly one record batch for a partition\n");
    two = batch_of(CODEC_NONE, 1, NOW_MS);
    text_add(&two, one.p, one.n - 1);
    CHECK_ANSWER(two, &rules, "CORRUPT_MESSAGE: bytes that are no batch follow the record batch\n");
    text_deinit(&one);
}

TEST(validate, null_records_are_no_batch)
{
    struct validate_rules rules = rules_default();
    struct validated v;

    CHECK_EQ(records_validate(NULL, -1, &rules, &v), KERR_INVALID_RECORD);
    validated_deinit(&v);
}

TEST(validate, only_magic_2)
{
    struct validate_rules rules = rules_default();

    for (size_t i = 0; i < golden_old_count; i++)
        CHECK_ANSWER(of_hex(golden_old[i].hex), &rules,
                     "INVALID_RECORD: record batches must be of magic 2\n");
    struct text batch = batch_of(CODEC_NONE, 1, NOW_MS);
    batch.p[16] = 3;
    CHECK_ANSWER(batch, &rules, "INVALID_RECORD: record batches must be of magic 2\n");
}

TEST(validate, every_cut_is_corrupt)
{
    struct validate_rules rules = rules_default();

    for (size_t n = 1; n < 60; n++) {
        struct text batch = batch_of(CODEC_NONE, 1, NOW_MS);
        batch.n = n;
        CHECK_ANSWER(batch, &rules,
                     "CORRUPT_MESSAGE: the record batch is cut, or has a length that no batch can "
                     "have\n");
    }
    struct text batch = batch_of(CODEC_NONE, 1, NOW_MS);
    put_u32(batch.p + 8, 20); /* shorter than a header */
    CHECK_ANSWER(batch, &rules,
                 "CORRUPT_MESSAGE: the record batch is cut, or has a length that no batch can "
                 "have\n");
}

/* ---- the header ----------------------------------------------------------------------------- */

TEST(validate, checksum)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_NONE, 1, NOW_MS);

    batch.p[batch.n - 2] ^= 1;
    CHECK_ANSWER(batch, &rules, "CORRUPT_MESSAGE: the record batch does not have its checksum\n");
}

TEST(validate, size_has_a_limit)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_NONE, 5, NOW_MS);

    rules.batch_bytes_max = (int32_t)batch.n;
    CHECK_ANSWER(batch, &rules, "NONE\n");
    rules.batch_bytes_max--;
    batch = batch_of(CODEC_NONE, 5, NOW_MS);
    batch.p[batch.n - 2] ^= 1; /* too large is said before corrupt, as in Kafka */
    CHECK_ANSWER(batch, &rules,
                 "MESSAGE_TOO_LARGE: the record batch is larger than max.message.bytes allows\n");
}

TEST(validate, offsets_and_count_fit)
{
    static const char *const unfit =
        "INVALID_RECORD: the last offset delta does not fit the count of records\n";
    static const char *const none = "INVALID_RECORD: the record batch counts no records\n";
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_NONE, 2, NOW_MS);

    put_u64(batch.p, 1);
    CHECK_ANSWER(batch, &rules, "INVALID_RECORD: a producer's base offset must be 0\n");
    CHECK_ANSWER(batch_with_i32(23, 0), &rules, unfit);
    CHECK_ANSWER(batch_with_i32(23, 2), &rules, unfit);
    CHECK_ANSWER(batch_with_i32(23, -1), &rules, unfit);
    CHECK_ANSWER(batch_with_i32(23, INT32_MAX), &rules, unfit);
    CHECK_ANSWER(batch_with_i32(57, 0), &rules, none);
    CHECK_ANSWER(batch_with_i32(57, -2), &rules, none);
    CHECK_ANSWER(batch_with_i32(57, INT32_MIN), &rules, none);
    CHECK_ANSWER(batch_with_i32(57, 3), &rules, unfit);
}

TEST(validate, control_records_are_not_for_producers)
{
    struct validate_rules rules = rules_default();

    CHECK_ANSWER(batch_with_attributes(CODEC_NONE, BATCH_CONTROL), &rules,
                 "INVALID_RECORD: producers must not write control records\n");
    CHECK_ANSWER(batch_with_attributes(CODEC_NONE, BATCH_CONTROL | BATCH_TRANSACTIONAL), &rules,
                 "INVALID_RECORD: producers must not write control records\n");
}

static struct text batch_from_producer(int64_t id, int16_t epoch, int32_t sequence)
{
    struct text batch = batch_of(CODEC_NONE, 2, NOW_MS);

    put_u64(batch.p + 43, (uint64_t)id);
    put_u16(batch.p + 51, (uint16_t)epoch);
    put_u32(batch.p + 53, (uint32_t)sequence);
    seal(&batch);
    return batch;
}

TEST(validate, a_producer_id_needs_epoch_and_sequence)
{
    struct validate_rules rules = rules_default();

    CHECK_ANSWER(batch_from_producer(0, 0, 0), &rules, "NONE\n");
    CHECK_ANSWER(batch_from_producer(INT64_MAX, 32767, INT32_MAX), &rules, "NONE\n");
    CHECK_ANSWER(batch_from_producer(7, 0, -1), &rules,
                 "INVALID_RECORD: a producer id needs a sequence number\n");
    CHECK_ANSWER(batch_from_producer(7, -1, 0), &rules,
                 "INVALID_RECORD: a producer id needs a producer epoch\n");
    /* without an id the other two mean nothing */
    CHECK_ANSWER(batch_from_producer(-1, 3, 4), &rules, "NONE\n");
    CHECK_ANSWER(batch_from_producer(-1, -1, -1), &rules, "NONE\n");
}

TEST(validate, zstd_needs_produce_7)
{
    struct validate_rules rules = rules_default();

    rules.produce_version = 6;
    CHECK_ANSWER(
        batch_of(CODEC_ZSTD, 2, NOW_MS), &rules,
        "UNSUPPORTED_COMPRESSION_TYPE: zstd may be used with Produce requests from version "
        "7 on\n");
    CHECK_ANSWER(batch_of(CODEC_LZ4, 2, NOW_MS), &rules, "NONE\n");
    rules.produce_version = 7;
    CHECK_ANSWER(batch_of(CODEC_ZSTD, 2, NOW_MS), &rules, "NONE\n");
}

TEST(validate, unknown_codecs_are_refused)
{
    struct validate_rules rules = rules_default();

    for (int codec = 5; codec <= 7; codec++) {
        struct text batch = batch_of(CODEC_NONE, 2, NOW_MS);

        put_u16(batch.p + 21, (uint16_t)codec);
        seal(&batch);
        CHECK_ANSWER(batch, &rules,
                     "UNSUPPORTED_COMPRESSION_TYPE: the record batch has a codec that nobody has "
                     "defined\n");
    }
}

/* ---- timestamps ----------------------------------------------------------------------------- */

#define OUTSIDE                                                     \
    "the timestamp is outside message.timestamp.before.max.ms and " \
    "message.timestamp.after.max.ms\n"
#define REFUSED "INVALID_TIMESTAMP: records have a timestamp that is not allowed\n"

TEST(validate, create_time_may_not_be_too_far_ahead)
{
    struct validate_rules rules = rules_default();

    CHECK_ANSWER(batch_of(CODEC_NONE, 3, NOW_MS + HOUR_MS - 2), &rules, "NONE\n");
    CHECK_ANSWER(batch_of(CODEC_NONE, 3, NOW_MS + HOUR_MS - 1), &rules, REFUSED "  2 " OUTSIDE);
    CHECK_ANSWER(batch_of(CODEC_GZIP, 3, NOW_MS + HOUR_MS), &rules,
                 REFUSED "  1 " OUTSIDE "  2 " OUTSIDE);
    rules.timestamp_after_max_ms = INT64_MAX;
    CHECK_ANSWER(batch_of(CODEC_NONE, 1, INT64_MAX), &rules, "NONE\n");
}

TEST(validate, create_time_may_not_be_too_old)
{
    struct validate_rules rules = rules_default();

    rules.timestamp_before_max_ms = 1000;
    CHECK_ANSWER(batch_of(CODEC_NONE, 3, NOW_MS - 1000), &rules, "NONE\n");
    CHECK_ANSWER(batch_of(CODEC_ZSTD, 3, NOW_MS - 1002), &rules,
                 REFUSED "  0 " OUTSIDE "  1 " OUTSIDE);
    CHECK_ANSWER(batch_of(CODEC_NONE, 1, 0), &rules, REFUSED "  0 " OUTSIDE);
    CHECK_ANSWER(batch_of(CODEC_NONE, 1, INT64_MIN + 5), &rules, REFUSED "  0 " OUTSIDE);
    /* no timestamp is none that is too old */
    CHECK_ANSWER(batch_of(CODEC_NONE, 1, -1), &rules, "NONE\n");
    /* and any age will do by default */
    rules.timestamp_before_max_ms = INT64_MAX;
    CHECK_ANSWER(batch_of(CODEC_NONE, 1, 0), &rules, "NONE\n");
}

TEST(validate, only_the_first_refused_records_are_named)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_SNAPPY, 100, NOW_MS + 2 * HOUR_MS);
    struct validated v;

    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v),
             KERR_INVALID_TIMESTAMP);
    CHECK_EQ(v.error_count, RECORD_ERRORS_MAX);
    CHECK_EQ(v.errors[RECORD_ERRORS_MAX - 1].index, RECORD_ERRORS_MAX - 1);
    validated_deinit(&v);
    text_deinit(&batch);
}

/* A batch whose header says `max_ms`; its records say NOW_MS to NOW_MS + 2. */
static struct text batch_with_max(enum codec codec, int64_t max_ms)
{
    struct text batch = batch_of(codec, 3, NOW_MS);

    put_u64(batch.p + 35, (uint64_t)max_ms);
    seal(&batch);
    return batch;
}

static int64_t max_after(enum codec codec, int64_t max_ms, enum look look)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_with_max(codec, max_ms);
    struct validated v;

    rules.look = look;
    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_EQ(v.batch.max_timestamp_ms, v.max_timestamp_ms);
    CHECK_EQ(get_i64(batch.p + 35), v.max_timestamp_ms);
    CHECK_EQ(v.batch.base_timestamp_ms, NOW_MS);
    CHECK(batch_crc_ok(&v.batch));
    max_ms = v.max_timestamp_ms;
    validated_deinit(&v);
    text_deinit(&batch);
    return max_ms;
}

/* Kafka corrects any wrong max timestamp. We do where it cannot be true, or where it would have the
 * batch refused, or where the rules have us look anyway. */
TEST(validate, a_wrong_max_timestamp_is_corrected_in_place)
{
    CHECK_EQ(max_after(CODEC_NONE, 0, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_LZ4, 0, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_NONE, -1, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_NONE, NOW_MS - 1, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_NONE, NOW_MS + 2 * HOUR_MS, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_ZSTD, INT64_MAX, LOOK_FOR_CAUSE), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_NONE, NOW_MS + 1, LOOK_PLAIN), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_NONE, NOW_MS + 77, LOOK_PLAIN), NOW_MS + 2);
    CHECK_EQ(max_after(CODEC_GZIP, NOW_MS + 77, LOOK_ALL), NOW_MS + 2);
    /* not noticed: plausible, and nobody looks */
    CHECK_EQ(max_after(CODEC_NONE, NOW_MS + 77, LOOK_FOR_CAUSE), NOW_MS + 77);
    CHECK_EQ(max_after(CODEC_GZIP, NOW_MS + 77, LOOK_PLAIN), NOW_MS + 77);
}

TEST(validate, log_append_time_replaces_the_type_and_the_max_timestamp)
{
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_ZSTD};

    for (size_t i = 0; i < array_count(codecs); i++) {
        struct validate_rules rules = rules_default();
        struct text batch = batch_of(codecs[i], 2, 5), dump = {0};
        struct validated v;
        size_t size = batch.n;

        rules.log_append_time = true;
        rules.timestamp_before_max_ms = 0; /* not asked */
        CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
        CHECK_EQ(v.batch.attributes, codecs[i] | BATCH_LOG_APPEND_TIME);
        CHECK_EQ(v.max_timestamp_ms, NOW_MS);
        CHECK_EQ(v.append_time_ms, NOW_MS);
        CHECK_EQ(v.batch.max_timestamp_ms, NOW_MS);
        CHECK_EQ(v.batch.base_timestamp_ms, 5);
        CHECK_EQ(v.batch.bytes.n, size);
        CHECK(v.batch.bytes.p == (uint8_t *)batch.p);
        CHECK(batch_crc_ok(&v.batch));
        batch_dump_records(&v.batch, &dump);
        CHECK_TEXT(text_str(&dump), "  0 1767225600000 -1 \"k0\" \"value 0\"\n"
                                    "  1 1767225600000 -1 \"k1\" \"value 1\"\n");
        text_deinit(&dump);
        validated_deinit(&v);
        text_deinit(&batch);
    }
}

/* A producer that sets the bit is put right where the topic has CreateTime, refused where it has
 * LogAppendTime. */
TEST(validate, log_append_time_of_a_producer)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_with_attributes(CODEC_NONE, BATCH_LOG_APPEND_TIME);
    struct validated v;

    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_EQ(v.batch.attributes, 0);
    CHECK_EQ(v.max_timestamp_ms, NOW_MS + 1);
    CHECK(batch_crc_ok(&v.batch));
    validated_deinit(&v);
    text_deinit(&batch);

    /* Every record's time is the header's max. */
    batch = batch_with_attributes(CODEC_NONE, BATCH_LOG_APPEND_TIME);
    put_u64(batch.p + 35, NOW_MS + 2 * HOUR_MS);
    seal(&batch);
    CHECK_ANSWER(batch, &rules, REFUSED "  0 " OUTSIDE "  1 " OUTSIDE);

#define NOT_YOURS "a producer must not set the timestamp type to LogAppendTime\n"
    batch = batch_with_attributes(CODEC_NONE, BATCH_LOG_APPEND_TIME);
    put_u64(batch.p + 35, UINT64_MAX); /* no timestamp */
    seal(&batch);
    CHECK_ANSWER(batch, &rules, REFUSED "  0 " NOT_YOURS "  1 " NOT_YOURS);
    rules.log_append_time = true;
    CHECK_ANSWER(batch_with_attributes(CODEC_GZIP, BATCH_LOG_APPEND_TIME), &rules,
                 REFUSED "  0 " NOT_YOURS "  1 " NOT_YOURS);
}

/* ---- leniences ------------------------------------------------------------------------------ */

TEST(validate, delete_horizon_and_unknown_attributes_are_stored_as_sent)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_with_attributes(CODEC_LZ4, BATCH_DELETE_HORIZON | 0xff80);
    struct text before = {0};
    struct validated v;

    text_add(&before, batch.p, batch.n);
    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_BYTES(v.batch.bytes.p, v.batch.bytes.n, before.p, before.n);
    validated_deinit(&v);
    text_deinit(&batch);
    text_deinit(&before);
}

/* But not in a batch that is changed anyway. */
TEST(validate, unknown_attributes_do_not_survive_a_change)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_with_attributes(CODEC_LZ4, BATCH_TRANSACTIONAL | 0xff80);
    struct validated v;

    rules.log_append_time = true;
    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_EQ(v.batch.attributes, CODEC_LZ4 | BATCH_TRANSACTIONAL | BATCH_LOG_APPEND_TIME);
    validated_deinit(&v);
    text_deinit(&batch);
}

/* Records 0, 1, 2 under the offset deltas 0, 2, 7. */
static struct text batch_with_gaps(enum codec codec)
{
    static const int32_t deltas[] = {0, 2, 7};
    struct batch_builder b;
    struct text out = {0};

    batch_builder_init(&b);
    b.producer_id = 4;
    b.producer_epoch = 5;
    b.base_sequence = 6;
    for (int i = 0; i < 3; i++)
        batch_builder_add_at(&b, deltas[i], NOW_MS + i, bytes_of("k"), bytes_of("v"), BYTES_NULL,
                             0);
    b.attributes = (uint16_t)(codec | BATCH_TRANSACTIONAL);
    b.level = codec_level_default(codec);
    b.last_offset_delta = 2;
    CHECK_EQ(batch_builder_finish(&b, &out), 0);
    batch_builder_deinit(&b);
    return out;
}

TEST(validate, wrong_offset_deltas_of_an_uncompressed_batch_are_kept)
{
    struct validate_rules rules = rules_default();

    for (int look = LOOK_FOR_CAUSE; look <= LOOK_ALL; look++) {
        struct text batch = batch_with_gaps(CODEC_NONE), before = {0};
        struct validated v;

        rules.look = (enum look)look;
        text_add(&before, batch.p, batch.n);
        CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
        CHECK_BYTES(v.batch.bytes.p, v.batch.bytes.n, before.p, before.n);
        validated_deinit(&v);
        text_deinit(&batch);
        text_deinit(&before);
    }
}

TEST(validate, wrong_offset_deltas_of_a_compressed_batch_are_put_right_where_they_are_seen)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_with_gaps(CODEC_SNAPPY), dump = {0};
    struct validated v;

    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_EQ(v.rebuilt.n, 0); /* nobody looked */
    validated_deinit(&v);

    rules.keys_required = true;
    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK(v.batch.bytes.p == (uint8_t *)v.rebuilt.p);
    CHECK(batch_crc_ok(&v.batch));
    CHECK_EQ(v.batch.attributes, CODEC_SNAPPY | BATCH_TRANSACTIONAL);
    CHECK_EQ(v.batch.producer_id, 4);
    CHECK_EQ(v.batch.producer_epoch, 5);
    CHECK_EQ(v.batch.base_sequence, 6);
    CHECK_EQ(v.batch.last_offset_delta, 2);
    batch_dump_records(&v.batch, &dump);
    CHECK_TEXT(text_str(&dump), "  0 1767225600000 6 \"k\" \"v\"\n"
                                "  1 1767225600001 7 \"k\" \"v\"\n"
                                "  2 1767225600002 8 \"k\" \"v\"\n");
    text_deinit(&dump);
    validated_deinit(&v);
    text_deinit(&batch);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Keys: k, none, k, none. The records from `late` on are an hour and more too far ahead. */
static struct text batch_without_keys(enum codec codec, int late)
{
    struct batch_builder b;
    struct text out = {0};

    batch_builder_init(&b);
    for (int i = 0; i < 4; i++)
        batch_builder_add(&b, i < late ? NOW_MS : NOW_MS + HOUR_MS + 1,
                          i % 2 == 0 ? bytes_of("k") : BYTES_NULL, bytes_of("v"), NULL, 0);
    b.attributes = (uint16_t)codec;
    b.level = codec_level_default(codec);
    CHECK_EQ(batch_builder_finish(&b, &out), 0);
    batch_builder_deinit(&b);
    return out;
}

TEST(validate, a_compacted_topic_needs_keys)
{
#define KEYLESS "a compacted topic needs a key in every record\n"
    struct validate_rules rules = rules_default();

    CHECK_ANSWER(batch_without_keys(CODEC_NONE, 4), &rules, "NONE\n");
    rules.keys_required = true;
    CHECK_ANSWER(batch_of(CODEC_GZIP, 3, NOW_MS), &rules, "NONE\n");
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++)
        CHECK_ANSWER(batch_without_keys((enum codec)codec, 4), &rules,
                     "INVALID_RECORD: records have no key, and the topic is compacted\n"
                     "  1 " KEYLESS "  3 " KEYLESS);
}

TEST(validate, among_several_faults_the_timestamp_gives_the_answer)
{
    struct validate_rules rules = rules_default();

    rules.keys_required = true;
    CHECK_ANSWER(batch_without_keys(CODEC_NONE, 2), &rules,
                 REFUSED "  1 " KEYLESS "  2 " OUTSIDE "  3 " KEYLESS);
}

/* ---- codecs --------------------------------------------------------------------------------- */

TEST(validate, a_topic_with_a_codec_has_every_batch_in_it)
{
    for (int from = CODEC_NONE; from <= CODEC_ZSTD; from++) {
        for (int to = CODEC_NONE; to <= CODEC_ZSTD; to++) {
            struct validate_rules rules = rules_default();
            struct text batch = batch_of((enum codec)from, 50, NOW_MS), dump = {0}, expected = {0};
            struct validated v;
            struct batch source;

            rules.codec = to;
            rules.level = codec_level_default((enum codec)to);
            CHECK(batch_read(bytes_of_text(&batch), &source, NULL) > 0);
            batch_dump_records(&source, &expected);
            CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
            CHECK_EQ(batch_codec(&v.batch), to);
            CHECK_EQ(v.rebuilt.n == 0, from == to);
            CHECK(batch_crc_ok(&v.batch));
            CHECK_EQ(v.max_timestamp_ms, NOW_MS + 49);
            CHECK_EQ(v.batch.count, 50);
            batch_dump_records(&v.batch, &dump);
            CHECK_TEXT(text_str(&dump), expected.p);
            validated_deinit(&v);
            text_deinit(&batch);
            text_deinit(&dump);
            text_deinit(&expected);
        }
    }
}

TEST(validate, a_rebuilt_batch_gets_log_append_time_too)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_LZ4, 2, 5);
    struct validated v;

    rules.codec = CODEC_GZIP;
    rules.level = 9;
    rules.log_append_time = true;
    CHECK_EQ(records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v), KERR_NONE);
    CHECK_EQ(v.batch.attributes, CODEC_GZIP | BATCH_LOG_APPEND_TIME);
    CHECK_EQ(v.max_timestamp_ms, NOW_MS);
    CHECK_EQ(v.batch.max_timestamp_ms, NOW_MS);
    CHECK_EQ(v.batch.base_timestamp_ms, 5);
    validated_deinit(&v);
    text_deinit(&batch);
}

TEST(validate, what_grows_by_another_codec_is_measured_again)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_ZSTD, 300, NOW_MS),
                plain = batch_of(CODEC_NONE, 300, NOW_MS);

    rules.codec = CODEC_NONE;
    rules.batch_bytes_max = (int32_t)plain.n - 1;
    CHECK_ANSWER(batch, &rules,
                 "MESSAGE_TOO_LARGE: the record batch, compressed as the topic wants it, is larger "
                 "than max.message.bytes allows\n");
    rules.batch_bytes_max++;
    CHECK_ANSWER(batch_of(CODEC_ZSTD, 300, NOW_MS), &rules, "NONE\n");
    text_deinit(&plain);
}

/* ---- records that lie ----------------------------------------------------------------------- */

#define MALFORMED "INVALID_RECORD: the records are malformed, or not as many as the batch counts\n"

TEST(validate, malformed_records_are_refused_where_they_are_seen)
{
    struct validate_rules rules = rules_default();
    struct text batch = batch_of(CODEC_NONE, 3, NOW_MS);

    put_u32(batch.p + 23, 3);
    put_u32(batch.p + 57, 4); /* one record more than there are */
    seal(&batch);
    struct text again = {0};
    text_add(&again, batch.p, batch.n);
    CHECK_ANSWER(batch, &rules, "NONE\n");
    rules.look = LOOK_PLAIN;
    CHECK_ANSWER(again, &rules, MALFORMED);
    batch = batch_without_keys(CODEC_NONE, 4);
    batch.p[batch.n - 1] = 2; /* a header that is not there; the faults before it are not listed */
    seal(&batch);
    rules.keys_required = true;
    CHECK_ANSWER(batch, &rules, MALFORMED);
}

TEST(validate, what_cannot_be_decompressed_is_refused_where_it_is_seen)
{
    struct validate_rules rules = rules_default();

    rules.keys_required = true;
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct text batch = batch_of(CODEC_NONE, 3, NOW_MS);

        put_u16(batch.p + 21, (uint16_t)codec);
        seal(&batch);
        CHECK_ANSWER(batch, &rules, "INVALID_RECORD: the records cannot be decompressed\n");
    }
}

TEST(validate, decompressed_records_have_a_limit)
{
    struct validate_rules rules = rules_default();
    struct text plain = batch_of(CODEC_NONE, 300, NOW_MS);

    rules.keys_required = true;
    rules.plain_bytes_max = plain.n - BATCH_HEADER_BYTES;
    CHECK_ANSWER(batch_of(CODEC_LZ4, 300, NOW_MS), &rules, "NONE\n");
    rules.plain_bytes_max--;
    CHECK_ANSWER(batch_of(CODEC_LZ4, 300, NOW_MS), &rules,
                 "INVALID_RECORD: the decompressed records are larger than "
                 "max.decompressed.message.bytes and millrace.memory.bytes allow\n");
    text_deinit(&plain);
}

/* Whatever is in a batch, the answer is some answer, and what is accepted can be read back. */
TEST(validate, changed_bytes_never_crash)
{
    struct prng g;

    prng_init(&g, 8);
    for (int i = 0; i < 20000; i++) {
        struct validate_rules rules = rules_default();
        struct text batch = batch_of((enum codec)(i % CODEC_COUNT), 4, NOW_MS);
        struct validated v;

        rules.look = (enum look)prng_below(&g, 3);
        rules.keys_required = prng_chance(&g, 300000);
        rules.log_append_time = prng_chance(&g, 300000);
        rules.codec = (int)prng_below(&g, CODEC_COUNT + 1) - 1;
        rules.level = rules.codec < 0 ? 0 : codec_level_default((enum codec)rules.codec);
        for (int change = 0; change < 2; change++)
            batch.p[8 + prng_below(&g, batch.n - 8)] = (char)prng_u64(&g);
        seal(&batch);
        if (records_validate((uint8_t *)batch.p, (int32_t)batch.n, &rules, &v) == KERR_NONE) {
            CHECK(batch_crc_ok(&v.batch));
            CHECK_EQ(v.batch.last_offset_delta + 1, v.batch.count);
            if (rules.look == LOOK_ALL) {
                struct text dump = {0};
                batch_dump_records(&v.batch, &dump);
                text_deinit(&dump);
            }
        } else {
            CHECK(v.message != NULL);
        }
        validated_deinit(&v);
        text_deinit(&batch);
    }
}
