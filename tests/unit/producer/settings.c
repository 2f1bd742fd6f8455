/* Settings from a config. */
#include "check.h"
#include "producer/producer.h"

#include <stdio.h>

static int read_settings(const char *lines, struct producer_settings *out, struct fail *f)
{
    struct config *c = config_new(&producer_settings);
    struct str rest = str_of(lines), line;
    int result;

    *f = (struct fail){0};
    while (str_cut(&rest, '\n', &line)) {
        struct str value = line, name;
        CHECK(str_cut(&value, '=', &name));
        CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, name, value, f), 0);
    }
    result = producer_settings_read(c, out, f);
    config_free(c);
    return result;
}

TEST(producer_settings, defaults_are_kafkas)
{
    struct producer_settings read, init;
    struct fail f;

    CHECK_EQ(read_settings("", &read, &f), 0);
    producer_settings_init(&init);
    CHECK_EQ(read.acks, init.acks);
    CHECK_EQ(read.idempotence, init.idempotence);
    CHECK_EQ(read.batch_size, init.batch_size);
    CHECK_EQ(read.linger_ms, init.linger_ms);
    CHECK_EQ(read.buffer_memory, init.buffer_memory);
    CHECK_EQ(read.max_request_size, init.max_request_size);
    CHECK_EQ(read.max_in_flight, init.max_in_flight);
    CHECK_EQ(read.retries, init.retries);
    CHECK_EQ(read.request_timeout_ms, init.request_timeout_ms);
    CHECK_EQ(read.delivery_timeout_ms, init.delivery_timeout_ms);
    CHECK_EQ(read.metadata_max_idle_ms, init.metadata_max_idle_ms);
    CHECK_EQ(read.codec, init.codec);
    CHECK_EQ(read.adaptive_partitioning, init.adaptive_partitioning);
    CHECK_EQ(read.availability_timeout_ms, init.availability_timeout_ms);
    CHECK_EQ(read.ignore_keys, init.ignore_keys);
}

TEST(producer_settings, what_was_not_asked_for_gives_way)
{
    struct producer_settings s;
    struct fail f;

    CHECK_EQ(read_settings("acks=1", &s, &f), 0);
    CHECK(!s.idempotence);
    CHECK_EQ(s.acks, 1);
    CHECK_EQ(read_settings("acks=-1\nmax.in.flight.requests.per.connection=6", &s, &f), 0);
    CHECK(!s.idempotence);
    CHECK_EQ(read_settings("linger.ms=200000", &s, &f), 0);
    CHECK_EQ(s.delivery_timeout_ms, 230000);
    CHECK_EQ(read_settings("compression.type=zstd\ncompression.zstd.level=7", &s, &f), 0);
    CHECK_EQ(s.codec, CODEC_ZSTD);
    CHECK_EQ(s.level, 7);
}

TEST(producer_settings, what_was_asked_for_must_fit)
{
    static const struct { const char *lines, *words; } cases[] = {
        {"acks=1\nenable.idempotence=true", "enable.idempotence=true needs acks=all, not 1"},
        {"retries=0\nenable.idempotence=true", "retries is 0: with enable.idempotence=true at least 1"},
        {"max.in.flight.requests.per.connection=6\nenable.idempotence=true",
         "max.in.flight.requests.per.connection is 6: with enable.idempotence=true at most 5"},
        {"delivery.timeout.ms=30000\nlinger.ms=7",
         "delivery.timeout.ms is 30000: must not be below linger.ms + request.timeout.ms = 30007"},
        {"buffer.memory=0", "buffer.memory is 0, needs 1 or more"},
        {"transactional.id=x", "transactional.id is set: transactions are not built yet for clients"},
    };
    struct producer_settings s;
    struct fail f;

    for (size_t i = 0; i < array_count(cases); i++) {
        CHECK_EQ(read_settings(cases[i].lines, &s, &f), -EINVAL);
        CHECK_TEXT(f.text, cases[i].words);
    }
}

TEST(producer_settings, topics_may_be_compressed_each_in_its_way)
{
    struct producer_settings s;
    char many[70 * 8] = "millrace.topic.compression.type=";
    struct fail f;

    CHECK_EQ(read_settings("compression.type=lz4\ncompression.zstd.level=7\n"
                           "millrace.topic.compression.type=logs-*:zstd, metrics-?:none",
                           &s, &f),
             0);
    CHECK_EQ(s.codec, CODEC_LZ4);
    CHECK_EQ(s.compression_count, 2);
    CHECK_EQ(s.compressions[0].codec, CODEC_ZSTD);
    CHECK_EQ(s.compressions[0].level, 7);
    CHECK_EQ(s.compressions[1].codec, CODEC_NONE);
    CHECK_EQ(read_settings("millrace.topic.compression.type=logs", &s, &f), -EINVAL);
    CHECK(strstr(f.text, "\"logs\" is not TOPIC:TYPE") != NULL);
    CHECK_EQ(read_settings("millrace.topic.compression.type=logs:zip", &s, &f), -EINVAL);
    CHECK_EQ(read_settings("millrace.topic.compression.type=:zstd", &s, &f), -EINVAL);
    for (int i = 0; i <= PRODUCER_COMPRESSIONS_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%st%d:lz4", i == 0 ? "" : ",", i);
    CHECK_EQ(read_settings(many, &s, &f), -EINVAL);
    CHECK(strstr(f.text, "more than 64") != NULL);
}
