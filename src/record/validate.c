/* What a leader does with a batch from a producer.
 *
 *   frame -> header -> (records, for a cause) -> changed in place, or made anew
 *
 * The order of the checks is Kafka's, so that a batch with several faults gets the same answer.
 */
#include "record/record.h"
#include "record/layout.h"

#define ZSTD_PRODUCE_VERSION_MIN 7 /* KIP-110 */

/* Attributes that a meaning is known for. Others are stored as they came, except in a batch that is
 * changed anyway, as in Kafka. */
#define ATTRIBUTES_KNOWN                                                              \
    (BATCH_CODEC_MASK | BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL | \
     BATCH_DELETE_HORIZON)

/* What the records told. */
struct findings {
    int64_t max_timestamp_ms;
    bool offsets_sequential; /* the deltas are 0, 1, 2, ... */
};

static enum kerr refuse(struct validated *out, enum kerr answer, const char *message)
{
    out->message = message;
    return answer;
}

/* One whole batch of magic 2 and nothing else. */
static enum kerr frame_check(struct bytes records, struct validated *out)
{
    struct bytes rest = records;
    struct batch second;
    int rc = batch_next(&rest, &out->batch);

    if (rc == 0)
        return refuse(out, KERR_INVALID_RECORD, "there is no record batch for the partition");
    if (rc == ERR_VERSION)
        return refuse(out, KERR_INVALID_RECORD, "record batches must be of magic 2");
    if (rc < 0)
        return refuse(out, KERR_CORRUPT_MESSAGE,
                      "the record batch is cut, or has a length that no batch can have");
    rc = batch_next(&rest, &second);
    if (rc == 0)
        return KERR_NONE;
    if (rc == 1 || rc == ERR_VERSION)
        return refuse(out, KERR_INVALID_RECORD,
                      "there must be exactly one record batch for a partition");
    return refuse(out, KERR_CORRUPT_MESSAGE, "bytes that are no batch follow the record batch");
}

static enum kerr codec_check(const struct validate_rules *rules, struct validated *out)
{
    enum codec codec = batch_codec(&out->batch);

    if (codec >= CODEC_COUNT)
        return refuse(out, KERR_UNSUPPORTED_COMPRESSION_TYPE,
                      "the record batch has a codec that nobody has defined");
    if (codec == CODEC_ZSTD && rules->produce_version < ZSTD_PRODUCE_VERSION_MIN)
        return refuse(out, KERR_UNSUPPORTED_COMPRESSION_TYPE,
                      "zstd may be used with Produce requests from version 7 on");
    return KERR_NONE;
}

static enum kerr header_check(const struct validate_rules *rules, struct validated *out)
{
    const struct batch *b = &out->batch;

    if (b->base_offset != 0)
        return refuse(out, KERR_INVALID_RECORD, "a producer's base offset must be 0");
    if (b->bytes.n > rules->batch_bytes_max)
        return refuse(out, KERR_MESSAGE_TOO_LARGE,
                      "the record batch is larger than max.message.bytes allows");
    if (!batch_crc_ok(b))
        return refuse(out, KERR_CORRUPT_MESSAGE, "the record batch does not have its checksum");
    if (b->count <= 0)
        return refuse(out, KERR_INVALID_RECORD, "the record batch counts no records");
    if ((int64_t)b->last_offset_delta + 1 != b->count)
        return refuse(out, KERR_INVALID_RECORD,
                      "the last offset delta does not fit the count of records");
    if (batch_is_control(b))
        return refuse(out, KERR_INVALID_RECORD, "producers must not write control records");
    if (batch_has_producer(b) && b->base_sequence < 0)
        return refuse(out, KERR_INVALID_RECORD, "a producer id needs a sequence number");
    if (batch_has_producer(b) && b->producer_epoch < 0)
        return refuse(out, KERR_INVALID_RECORD, "a producer id needs a producer epoch");
    return KERR_NONE;
}

/* Rule: KIP-937. No timestamp is no bad timestamp. */
static bool timestamp_ok(int64_t timestamp_ms, const struct validate_rules *rules)
{
    uint64_t now = (uint64_t)rules->now_ms, t = (uint64_t)timestamp_ms;

    if (timestamp_ms == NO_TIMESTAMP)
        return true;
    if (timestamp_ms > rules->now_ms)
        return t - now <= (uint64_t)rules->timestamp_after_max_ms;
    return now - t <= (uint64_t)rules->timestamp_before_max_ms;
}

/* Whether the header's timestamps call for a look at every record's. */
static bool timestamps_suspect(const struct batch *b, const struct validate_rules *rules)
{
    bool stamped = (b->attributes & BATCH_LOG_APPEND_TIME) != 0;

    if (rules->log_append_time)
        return stamped; /* not a producer's to say; the answer lists the records */
    if (!timestamp_ok(b->max_timestamp_ms, rules))
        return true;
    if (stamped) /* every record's time is the max timestamp */
        return b->max_timestamp_ms == NO_TIMESTAMP;
    if ((b->attributes & BATCH_DELETE_HORIZON) != 0)
        return true; /* the base timestamp tells nothing about records */
    return b->max_timestamp_ms < b->base_timestamp_ms || !timestamp_ok(b->base_timestamp_ms, rules);
}

static enum codec target_codec(const struct batch *b, const struct validate_rules *rules)
{
    return rules->codec < 0 ? batch_codec(b) : (enum codec)rules->codec;
}

static bool must_look(const struct batch *b, const struct validate_rules *rules)
{
    if (rules->keys_required || target_codec(b, rules) != batch_codec(b))
        return true;
    if (rules->look == LOOK_ALL)
        return true;
    if (rules->look == LOOK_PLAIN && batch_codec(b) == CODEC_NONE)
        return true;
    return timestamps_suspect(b, rules);
}

/* NULL, or why the record's timestamp is refused. */
static const char *timestamp_fault(const struct batch *b, const struct record *record,
                                   const struct validate_rules *rules)
{
    if (!rules->log_append_time && record->timestamp_ms != NO_TIMESTAMP)
        return timestamp_ok(record->timestamp_ms, rules)
                   ? NULL
                   : "the timestamp is outside message.timestamp.before.max.ms and "
                     "message.timestamp.after.max.ms";
    if ((b->attributes & BATCH_LOG_APPEND_TIME) != 0)
        return "a producer must not set the timestamp type to LogAppendTime";
    return NULL;
}

/* Look at every record. Bad timestamps outweigh missing keys. */
static enum kerr records_check(struct records *r, const struct validate_rules *rules,
                               struct validated *out, struct findings *findings)
{
    struct findings found = {NO_TIMESTAMP, true};
    enum kerr answer = KERR_NONE;
    struct record record;
    int32_t index = 0;
    int rc;

    for (; (rc = records_next(r, &record)) == 1; index++) {
        bool keyless = rules->keys_required && record.key.n < 0;
        const char *fault = keyless ? "a compacted topic needs a key in every record"
                                    : timestamp_fault(r->batch, &record, rules);

        if (record.offset_delta != index)
            found.offsets_sequential = false;
        if (record.timestamp_ms > found.max_timestamp_ms)
            found.max_timestamp_ms = record.timestamp_ms;
        if (fault == NULL)
            continue;
        if (!keyless)
            answer = KERR_INVALID_TIMESTAMP;
        else if (answer == KERR_NONE)
            answer = KERR_INVALID_RECORD;
        if (out->error_count < RECORD_ERRORS_MAX)
            out->errors[out->error_count++] = (struct record_error){index, fault};
    }
    if (rc < 0) {
        out->error_count = 0;
        return refuse(out, KERR_INVALID_RECORD,
                      "the records are malformed, or not as many as the batch counts");
    }
    if (answer == KERR_INVALID_TIMESTAMP)
        return refuse(out, answer, "records have a timestamp that is not allowed");
    if (answer == KERR_INVALID_RECORD)
        return refuse(out, answer, "records have no key, and the topic is compacted");
    *findings = found;
    return KERR_NONE;
}

static void batch_reread(struct bytes bytes, struct validated *out)
{
    int rc = batch_read(bytes, &out->batch, NULL);

    ASSERT(rc == bytes.n);
}

/* The batch stays, at most its timestamp type and max timestamp change. The base timestamp is kept:
 * a record's own time is still to be read from the log, by whoever ignores the type. */
static void keep(uint8_t *p, int64_t max_timestamp_ms, const struct validate_rules *rules,
                 struct validated *out)
{
    const struct batch *b = &out->batch;
    uint16_t attributes = b->attributes & (uint16_t)~BATCH_LOG_APPEND_TIME;

    if (rules->log_append_time) {
        attributes |= BATCH_LOG_APPEND_TIME;
        max_timestamp_ms = rules->now_ms;
    }
    out->max_timestamp_ms = max_timestamp_ms;
    if (attributes == b->attributes && max_timestamp_ms == b->max_timestamp_ms)
        return;
    put_u16(p + AT_ATTRIBUTES, attributes & ATTRIBUTES_KNOWN);
    put_u64(p + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp_ms);
    put_u32(p + AT_CRC, batch_crc(p, (size_t)b->bytes.n));
    batch_reread(b->bytes, out);
}

/* Copy the records, numbered anew. ERR_LIMIT when they are more than any batch can hold. */
static int records_copy(struct records *r, struct batch_builder *builder)
{
    struct record record;
    int rc;

    records_rewind(r);
    while ((rc = records_next(r, &record)) == 1) {
        size_t needs = (size_t)(record.key.n > 0 ? record.key.n : 0) +
                       (size_t)(record.value.n > 0 ? record.value.n : 0) +
                       (size_t)record.headers.n + RECORD_OVERHEAD_MAX;

        if (batch_builder_size(builder) + needs > INT32_MAX)
            return ERR_LIMIT;
        batch_builder_add_at(builder, builder->count, record.timestamp_ms, record.key, record.value,
                             record.headers, record.header_count);
    }
    ASSERT(rc == 0); /* records_check has seen them all */
    return 0;
}

/* Make the batch anew: another codec, or offsets put right (KIP-98 lets a leader renumber). */
static enum kerr make_anew(struct records *r, const struct validate_rules *rules,
                           struct validated *out)
{
    const struct batch *b = r->batch;
    enum codec codec = target_codec(b, rules);
    struct batch_builder builder;
    int error;

    batch_builder_init(&builder);
    builder.producer_id = b->producer_id;
    builder.producer_epoch = b->producer_epoch;
    builder.base_sequence = b->base_sequence;
    builder.leader_epoch = b->leader_epoch;
    builder.attributes = (uint16_t)((b->attributes & BATCH_TRANSACTIONAL) | codec);
    builder.level = rules->codec < 0 ? codec_level_default(codec) : rules->level;
    error = records_copy(r, &builder);
    if (rules->log_append_time) {
        builder.attributes |= BATCH_LOG_APPEND_TIME;
        builder.max_timestamp_ms = rules->now_ms;
    }
    out->max_timestamp_ms = builder.max_timestamp_ms;
    if (error == 0)
        error = batch_builder_finish(&builder, &out->rebuilt);
    batch_builder_deinit(&builder);
    if (error == -ENOMEM)
        return refuse(out, KERR_UNKNOWN_SERVER_ERROR, "no memory to compress the record batch");
    if (error < 0 || out->rebuilt.n > (size_t)rules->batch_bytes_max)
        return refuse(out, KERR_MESSAGE_TOO_LARGE,
                      "the record batch, compressed as the topic wants it, is larger than "
                      "max.message.bytes allows");
    batch_reread(bytes_of_str(text_str(&out->rebuilt)), out);
    return KERR_NONE;
}

static enum kerr records_begin_answer(int error, struct validated *out)
{
    if (error == ERR_LIMIT)
        return refuse(out, KERR_INVALID_RECORD,
                      "the decompressed records are larger than max.decompressed.message.bytes "
                      "and millrace.memory.bytes allow");
    if (error == -ENOMEM)
        return refuse(out, KERR_UNKNOWN_SERVER_ERROR, "no memory to decompress the record batch");
    return refuse(out, KERR_INVALID_RECORD, "the records cannot be decompressed");
}

static enum kerr look_and_settle(uint8_t *p, const struct validate_rules *rules,
                                 struct validated *out)
{
    struct batch source = out->batch; /* make_anew replaces the one in `out` */
    bool same_codec = target_codec(&source, rules) == batch_codec(&source);
    struct findings found;
    struct records r;
    enum kerr answer;
    int error = records_begin(&r, &source, rules->plain_bytes_max);

    if (error < 0)
        return records_begin_answer(error, out);
    answer = records_check(&r, rules, out, &found);
    if (answer == KERR_NONE) {
        /* Uncompressed batches keep wrong offset deltas: Kafka does not look at them either. */
        bool renumber = batch_codec(&source) != CODEC_NONE && !found.offsets_sequential;

        if (same_codec && !renumber)
            keep(p, found.max_timestamp_ms, rules, out);
        else
            answer = make_anew(&r, rules, out);
    }
    records_end(&r);
    return answer;
}

enum kerr records_validate(uint8_t *records, int32_t n, const struct validate_rules *rules,
                           struct validated *out)
{
    enum kerr answer;

    *out = (struct validated){
        .max_timestamp_ms = NO_TIMESTAMP,
        .append_time_ms = rules->log_append_time ? rules->now_ms : -1,
    };
    answer = frame_check((struct bytes){records, n}, out);
    if (answer == KERR_NONE)
        answer = codec_check(rules, out);
    if (answer == KERR_NONE)
        answer = header_check(rules, out);
    if (answer != KERR_NONE)
        return answer;
    if (must_look(&out->batch, rules))
        return look_and_settle(records, rules, out);
    keep(records, out->batch.max_timestamp_ms, rules, out);
    return KERR_NONE;
}

void validated_deinit(struct validated *v)
{
    text_deinit(&v->rebuilt);
    *v = (struct validated){0};
}
