/* What a record costs from producer_append to its batch being ready to leave: count it by
 *
 *     valgrind --tool=callgrind --toggle-collect=cost build/debug/tests/producer_cost [RECORDS [BYTES]]
 *
 * and divide by the records. Requests and answers come to some thousand instructions a batch on top of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "producer/accumulator.h"

void cost(struct accumulator *a, struct producer_topic *t, struct bytes value, int64_t records);

static void leave(struct accumulator *a, struct producer_partition *part, struct lane_identity *who,
                  const struct lane_rules *rules)
{
    struct lane_answer ok = {.base_offset = 1};
    struct text scratch = {0};
    struct producer_batch *b;

    while ((b = producer_lane_next(part, who, rules, false, 0)) != NULL) {
        producer_lane_sent(part, b, who);
        batch_seal(b, 0, &scratch);
        producer_lane_answered(part, b, rules, &ok, 0);
        accumulator_free(a, producer_lane_take(part));
    }
}

void cost(struct accumulator *a, struct producer_topic *t, struct bytes value, int64_t records)
{
    uint64_t bumps = 0;
    struct lane_identity who = {.idempotent = true, .producer_id = 1};
    struct lane_rules rules = {.retries = 1, .delivery_timeout_ms = 1000, .acks = -1, .bumps = &bumps};

    for (int64_t i = 0; i < records; i++) {
        struct producer_record r = {
            .topic = t,
            .partition = -1,
            .key = BYTES_NULL,
            .value = value,
            .timestamp_ms = -1,
            .tag = (uint64_t)i + 1,
        };
        if (accumulator_append(a, &r, i / 1000, 1767225600000 + i / 1000) < 0)
            abort();
        if (i % 100 != 0)
            continue;
        for (int32_t k = 0; k < t->partition_count; k++)
            leave(a, t->parts[k], &who, &rules);
    }
}

int main(int argc, char **argv)
{
    static uint8_t bytes[65536];
    int64_t records = argc > 1 ? atoll(argv[1]) : 100000;
    struct bytes value = {bytes, argc > 2 ? atoi(argv[2]) : 100};
    struct producer_settings s;
    struct accumulator a;
    struct producer_topic *t;

    producer_settings_init(&s);
    if (accumulator_init(&a, &s, 1) < 0)
        return 1;
    t = accumulator_topic(&a, STR("topic"));
    if (t == NULL || accumulator_partitions(t, 6) < 0)
        return 1;
    cost(&a, t, value, records);
    printf("%lld records\n", (long long)records);
    return 0;
}
