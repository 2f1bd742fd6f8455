/* From a topic's settings to what the log and the validation of batches need. */
#include "replica/internal.h"

struct config *settings_of(const struct replicas *rs, const struct image_topic *topic)
{
    return config_topic(rs->broker, topic->config);
}

bool cleanup_has(const struct config *topic, struct str policy)
{
    struct str rest = config_str(topic, TOPIC_CLEANUP_POLICY), part;

    while (str_cut(&rest, ',', &part)) {
        if (str_equal(str_trim(part), policy))
            return true;
    }
    return false;
}

/* A compacted topic's segments must be closed before their records may stay no longer uncompacted. */
static int64_t segment_ms_of(const struct config *topic)
{
    int64_t segment_ms = config_i64(topic, TOPIC_SEGMENT_MS);
    int64_t lag_ms = config_i64(topic, TOPIC_MAX_COMPACTION_LAG_MS);

    return cleanup_has(topic, STR("compact")) && lag_ms < segment_ms ? lag_ms : segment_ms;
}

struct log_settings log_settings_of(const struct config *topic, const struct config *broker)
{
    bool deletes = cleanup_has(topic, STR("delete"));

    return (struct log_settings){
        .segment_bytes = (uint32_t)config_i64(topic, TOPIC_SEGMENT_BYTES),
        .segment_ms = segment_ms_of(topic),
        .segment_jitter_ms = config_i64(topic, TOPIC_SEGMENT_JITTER_MS),
        .index_bytes = (uint32_t)config_i64(topic, TOPIC_SEGMENT_INDEX_BYTES),
        .index_interval_bytes = (uint32_t)config_i64(topic, TOPIC_INDEX_INTERVAL_BYTES),
        .retention_ms = deletes ? config_i64(topic, TOPIC_RETENTION_MS) : -1,
        .retention_bytes = deletes ? config_i64(topic, TOPIC_RETENTION_BYTES) : -1,
        .file_delete_delay_ms = config_i64(topic, TOPIC_FILE_DELETE_DELAY_MS),
        .producer_expiration_ms = config_i64(broker, BROKER_PRODUCER_ID_EXPIRATION_MS),
        .preallocate = config_bool(topic, TOPIC_PREALLOCATE),
        .durable = config_durable(topic, broker),
        .sync_ms = config_i64(topic, TOPIC_FLUSH_MS),
    };
}

/* compression.type: -1 = as the producer chose. */
static int codec_of(const struct config *topic)
{
    struct str type = config_str(topic, TOPIC_COMPRESSION_TYPE);
    enum codec codec;

    if (str_equal(type, STR("producer")) || codec_find(type, &codec) < 0)
        return -1;
    return (int)codec;
}

static int level_of(const struct config *topic, int codec)
{
    switch (codec) {
    case CODEC_GZIP:
        return (int)config_i64(topic, TOPIC_COMPRESSION_GZIP_LEVEL);
    case CODEC_LZ4:
        return (int)config_i64(topic, TOPIC_COMPRESSION_LZ4_LEVEL);
    case CODEC_ZSTD:
        return (int)config_i64(topic, TOPIC_COMPRESSION_ZSTD_LEVEL);
    default:
        return 0;
    }
}

void validate_rules_of(const struct config *topic, struct validate_rules *out)
{
    int codec = codec_of(topic);

    *out = (struct validate_rules){
        .batch_bytes_max = (int32_t)config_i64(topic, TOPIC_MAX_MESSAGE_BYTES),
        .timestamp_before_max_ms = config_i64(topic, TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        .timestamp_after_max_ms = config_i64(topic, TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        .plain_bytes_max = (size_t)config_i64(topic, TOPIC_MAX_DECOMPRESSED_MESSAGE_BYTES),
        .codec = codec,
        .level = level_of(topic, codec),
        .log_append_time = str_equal(config_str(topic, TOPIC_MESSAGE_TIMESTAMP_TYPE),
                                     STR("LogAppendTime")),
        .keys_required = cleanup_has(topic, STR("compact")),
    };
}
