/* Foreign bytes as a Produce request's records, and as what lies in a log. */
#include "record/record.h"

#include <stdint.h>
#include <stdlib.h>

#define PLAIN_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct batch *b)
{
    struct records r;
    struct record record;
    struct record_header header;

    if (records_begin(&r, b, PLAIN_BYTES_MAX) < 0)
        return;
    while (records_next(&r, &record) == 1) {
        int32_t count = 0;

        while (record_header_next(&record.headers, &header) == 1)
            count++;
        ASSERT(count == record.header_count);
    }
    records_end(&r);
}

static void read_log(struct bytes in)
{
    struct batch b;

    while (batch_next(&in, &b) == 1)
        read_all(&b);
}

static struct validate_rules rules_of(const uint8_t choice[3])
{
    struct validate_rules rules = {
        .batch_bytes_max = 1 << 20,
        .now_ms = INT64_C(1767225600000),
        .timestamp_before_max_ms = choice[0] & 1 ? INT64_MAX : 3600000,
        .timestamp_after_max_ms = 3600000,
        .plain_bytes_max = PLAIN_BYTES_MAX,
        .codec = choice[1] % (CODEC_COUNT + 1) - 1,
        .look = (enum look)(choice[2] % 3),
        .produce_version = 12,
        .log_append_time = (choice[0] & 2) != 0,
        .keys_required = (choice[0] & 4) != 0,
    };

    if (rules.codec >= 0)
        rules.level = codec_level_default((enum codec)rules.codec);
    return rules;
}

/* The first three bytes choose the rules. The checksum is made good: else hardly anything would
 * come past it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct validate_rules rules;
    struct validated v;
    uint8_t *copy;
    int32_t n;

    if (size < 3 || size > 1 << 20)
        return 0;
    rules = rules_of(data);
    n = (int32_t)size - 3;
    read_log((struct bytes){data + 3, n});
    copy = malloc(n == 0 ? 1 : (size_t)n);
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 3, (size_t)n);
    if (n >= BATCH_HEADER_BYTES)
        put_u32(copy + 17, crc32c(0, copy + 21, (size_t)n - 21));
    if (records_validate(copy, n, &rules, &v) == KERR_NONE) {
        ASSERT(batch_crc_ok(&v.batch));
        read_all(&v.batch);
    }
    validated_deinit(&v);
    free(copy);
    return 0;
}
