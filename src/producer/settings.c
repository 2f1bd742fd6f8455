#include "producer/sender.h"

void producer_settings_init(struct producer_settings *s)
{
    *s = (struct producer_settings){
        .acks = -1,
        .idempotence = true,
        .batch_size = 16384,
        .linger_ms = 5,
        .buffer_memory = 33554432,
        .max_request_size = 1048576,
        .max_in_flight = 5,
        .retries = INT32_MAX,
        .request_timeout_ms = 30000,
        .delivery_timeout_ms = 120000,
        .metadata_max_idle_ms = 300000,
        .codec = CODEC_NONE,
        .adaptive_partitioning = true,
    };
}

int producer_settings_check(const struct producer_settings *s, struct fail *f)
{
    if (s->idempotence && s->acks != -1)
        return fail_set(f, -EINVAL, "enable.idempotence=true needs acks=all, not %d", s->acks);
    if (s->idempotence && s->max_in_flight > LANE_UNACKED_MAX)
        return fail_set(f, -EINVAL,
                        "max.in.flight.requests.per.connection is %u: with enable.idempotence=true at most %u",
                        s->max_in_flight, LANE_UNACKED_MAX);
    if (s->idempotence && s->retries == 0)
        return fail_set(f, -EINVAL, "retries is 0: with enable.idempotence=true at least 1");
    if (s->max_in_flight == 0)
        return fail_set(f, -EINVAL, "max.in.flight.requests.per.connection is 0, needs 1 or more");
    if (s->delivery_timeout_ms < s->linger_ms + s->request_timeout_ms)
        return fail_set(f, -EINVAL,
                        "delivery.timeout.ms is %lld: must not be below linger.ms + request.timeout.ms = %lld",
                        (long long)s->delivery_timeout_ms, (long long)(s->linger_ms + s->request_timeout_ms));
    if (s->buffer_memory == 0)
        return fail_set(f, -EINVAL, "buffer.memory is 0, needs 1 or more");
    return 0;
}

/* ---- from a config -------------------------------------------------------------------------------------- */

/* Unset in the file or by the caller. */
static bool is_default(const struct config *c, uint32_t id)
{
    return config_source(c, id) == CONFIG_DEFAULT;
}

static int16_t read_acks(const struct config *c)
{
    struct str acks = config_str(c, PRODUCER_ACKS);

    if (str_equal(acks, STR("0")))
        return 0;
    return str_equal(acks, STR("1")) ? 1 : -1;
}

static int level_of(const struct config *c, enum codec codec)
{
    static const int ids[CODEC_COUNT] = {
        [CODEC_NONE] = -1,
        [CODEC_GZIP] = PRODUCER_COMPRESSION_GZIP_LEVEL,
        [CODEC_SNAPPY] = -1,
        [CODEC_LZ4] = PRODUCER_COMPRESSION_LZ4_LEVEL,
        [CODEC_ZSTD] = PRODUCER_COMPRESSION_ZSTD_LEVEL,
    };

    return ids[codec] < 0 ? codec_level_default(codec) : (int)config_i64(c, (uint32_t)ids[codec]);
}

/* TOPIC:TYPE,... */
static int read_topic_compressions(const struct config *c, struct producer_settings *s, struct fail *f)
{
    struct str rest = config_str(c, PRODUCER_MILLRACE_TOPIC_COMPRESSION_TYPE), part, topic;

    while (str_cut(&rest, ',', &part)) {
        struct producer_compression *to = &s->compressions[s->compression_count];
        struct str type = part;
        if (s->compression_count == PRODUCER_COMPRESSIONS_MAX)
            return fail_set(f, -EINVAL, "millrace.topic.compression.type names more than %d patterns",
                            PRODUCER_COMPRESSIONS_MAX);
        if (!str_cut(&type, ':', &topic) || str_trim(topic).n == 0 || codec_find(str_trim(type), &to->codec) < 0)
            return fail_set(f, -EINVAL,
                            "millrace.topic.compression.type: \"%.*s\" is not TOPIC:TYPE; in TOPIC, * stands for any "
                            "letters and ? for one; TYPE is none, gzip, snappy, lz4 or zstd",
                            STR_ARG(part));
        to->topic = str_trim(topic);
        to->level = level_of(c, to->codec);
        s->compression_count++;
    }
    return 0;
}

static int read_compression(const struct config *c, struct producer_settings *s, struct fail *f)
{
    struct str name = config_str(c, PRODUCER_COMPRESSION_TYPE);

    if (codec_find(name, &s->codec) < 0)
        return fail_set(f, -EINVAL, "compression.type=%.*s: no such codec", STR_ARG(name));
    s->level = level_of(c, s->codec);
    return read_topic_compressions(c, s, f);
}

/* What was not asked for gives way to what was, as in Kafka. */
static void reconcile(const struct config *c, struct producer_settings *s)
{
    if (is_default(c, PRODUCER_ENABLE_IDEMPOTENCE) &&
        (s->acks != -1 || s->max_in_flight > LANE_UNACKED_MAX || s->retries == 0))
        s->idempotence = false;
    if (is_default(c, PRODUCER_DELIVERY_TIMEOUT_MS) && s->delivery_timeout_ms < s->linger_ms + s->request_timeout_ms)
        s->delivery_timeout_ms = s->linger_ms + s->request_timeout_ms;
}

int producer_settings_read(const struct config *c, struct producer_settings *out, struct fail *f)
{
    struct producer_settings s = {
        .acks = read_acks(c),
        .idempotence = config_bool(c, PRODUCER_ENABLE_IDEMPOTENCE),
        .batch_size = (uint32_t)config_i64(c, PRODUCER_BATCH_SIZE),
        .linger_ms = config_i64(c, PRODUCER_LINGER_MS),
        .buffer_memory = (uint64_t)config_i64(c, PRODUCER_BUFFER_MEMORY),
        .max_request_size = (uint32_t)config_i64(c, PRODUCER_MAX_REQUEST_SIZE),
        .max_in_flight = (uint32_t)config_i64(c, PRODUCER_MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION),
        .retries = (uint32_t)config_i64(c, PRODUCER_RETRIES),
        .request_timeout_ms = config_i64(c, PRODUCER_REQUEST_TIMEOUT_MS),
        .delivery_timeout_ms = config_i64(c, PRODUCER_DELIVERY_TIMEOUT_MS),
        .metadata_max_idle_ms = config_i64(c, PRODUCER_METADATA_MAX_IDLE_MS),
        .adaptive_partitioning = config_bool(c, PRODUCER_PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE),
        .availability_timeout_ms = config_i64(c, PRODUCER_PARTITIONER_AVAILABILITY_TIMEOUT_MS),
        .ignore_keys = config_bool(c, PRODUCER_PARTITIONER_IGNORE_KEYS),
        .rack = config_bool(c, PRODUCER_PARTITIONER_RACK_AWARE) ? config_str(c, PRODUCER_CLIENT_RACK) : STR(""),
    };

    if (config_str(c, PRODUCER_TRANSACTIONAL_ID).n > 0)
        return fail_set(f, -EINVAL, "transactional.id is set: transactions are not built yet for clients");
    TRY(read_compression(c, &s, f));
    reconcile(c, &s);
    TRY(producer_settings_check(&s, f));
    *out = s;
    return 0;
}

/* ---- for a topic ---------------------------------------------------------------------------------------- */

/* * = any letters, ? = one letter. */
static bool name_fits(struct str name, struct str pattern)
{
    int32_t n = 0, p = 0, star = -1, star_n = 0;

    while (n < name.n) {
        if (p < pattern.n && (pattern.p[p] == '?' || (pattern.p[p] != '*' && pattern.p[p] == name.p[n]))) {
            n++, p++;
        } else if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            star_n = n;
        } else if (star >= 0) {
            p = star + 1;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

void producer_settings_codec(const struct producer_settings *s, struct str topic, enum codec *codec, int *level)
{
    *codec = s->codec;
    *level = s->level;
    for (uint32_t i = 0; i < s->compression_count; i++) {
        if (!name_fits(topic, s->compressions[i].topic))
            continue;
        *codec = s->compressions[i].codec;
        *level = s->compressions[i].level;
        return;
    }
}
