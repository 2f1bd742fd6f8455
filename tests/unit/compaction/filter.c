/* What stays, case by case. */
#include <stdio.h>

#include "check.h"
#include "support.h"

#define MAP_BYTES (1 << 16)

static struct compaction_rules rules_at(int64_t now_ms, int64_t first_uncleanable)
{
    return (struct compaction_rules){.first_uncleanable = first_uncleanable,
                                     .now_ms = now_ms,
                                     .delete_retention_ms = 1000,
                                     .map_bytes_max = MAP_BYTES,
                                     .load_factor = 0.9};
}

static void check_dump(struct text *log, const char *expected)
{
    struct text out = {0};

    dump(log, &out);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(compaction_filter, keeps_the_last_value_of_each_key)
{
    struct text log = {0};
    struct compaction_counts counts;
    int64_t end = 0;

    end = add_one(&log, end, "a", "1");
    end = add_one(&log, end, "b", "1");
    end = add_one(&log, end, "a", "2");
    end = add_one(&log, end, "c", "1");
    CHECK_EQ(compact(&log, rules_at(5000, end), NULL, 0, NULL, NULL, &counts, NULL), end);
    check_dump(&log, "1..1 max=1001\n  1 1001 b=1\n"
                     "2..2 max=1002\n  2 1002 a=2\n"
                     "3..3 max=1003\n  3 1003 c=1\n");
    CHECK_EQ(counts.records_read, 4);
    CHECK_EQ(counts.records_kept, 3);
    CHECK_EQ(counts.keys, 3);
    CHECK(counts.bytes_kept < counts.bytes_read);
    text_deinit(&log);
}

/* Offsets, ends, producer fields, times and codec of a batch are those that it had. */
TEST(compaction_filter, leaves_a_batch_its_offsets_and_fields)
{
    static const struct test_record three[] = {{"a", "1"}, {"b", "1"}, {"a", "2"}};
    static const struct test_record later[] = {{"b", "2"}, {"a", "3"}};
    struct test_batch b = {.producer_id = 7,
                           .sequence = 40,
                           .codec = CODEC_ZSTD,
                           .timestamp_ms = 100,
                           .records = three,
                           .count = 3};
    struct text log = {0};
    int64_t end = add_batch(&log, 10, &b);

    b.log_append_time = true;
    b.sequence = 43;
    b.records = later;
    b.count = 2;
    end = add_batch(&log, end, &b);
    end = add_one(&log, end, "a", "4");
    struct compaction_rules rules = rules_at(5000, end);
    rules.first_dirty = 10;
    CHECK_EQ(compact(&log, rules, NULL, 0, NULL, NULL, NULL, NULL), end);
    check_dump(&log, "13..14 pid=7 seq=43 zstd max=200\n  13 200 b=2\n"
                     "15..15 max=1015\n  15 1015 a=4\n");
    text_deinit(&log);
}

/* KIP-534: first a horizon, then nothing. */
TEST(compaction_filter, lets_a_tombstone_go_in_two_steps)
{
    struct text log = {0};
    int64_t end = add_one(&log, 0, "a", "1");

    end = add_one(&log, end, "a", NULL);
    end = add_one(&log, end, "b", "1");
    compact(&log, rules_at(5000, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "1..1 horizon=6000 max=1001\n  1 1001 a=~\n"
                     "2..2 max=1002\n  2 1002 b=1\n");
    compact(&log, rules_at(5999, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "1..1 horizon=6000 max=1001\n  1 1001 a=~\n"
                     "2..2 max=1002\n  2 1002 b=1\n");
    compact(&log, rules_at(6000, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "2..2 max=1002\n  2 1002 b=1\n");
    text_deinit(&log);
}

/* The horizon of a batch stays when other records of it go, and values keep their times under it.
 */
TEST(compaction_filter, keeps_a_horizon_that_is_there)
{
    static const struct test_record three[] = {{"a", "1"}, {"b", NULL}, {"c", "1"}};
    struct test_batch b = {.timestamp_ms = 100, .records = three, .count = 3, .codec = CODEC_LZ4};
    struct text log = {0};
    int64_t end = add_batch(&log, 0, &b);

    end = add_one(&log, end, "d", "1");
    compact(&log, rules_at(5000, end), NULL, 0, NULL, NULL, NULL, NULL);
    end = add_one(&log, end, "a", "2");
    compact(&log, rules_at(5500, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "0..2 lz4 horizon=6000 max=102\n  1 101 b=~\n  2 102 c=1\n"
                     "3..3 max=1003\n  3 1003 d=1\n"
                     "4..4 max=1004\n  4 1004 a=2\n");
    compact(&log, rules_at(6500, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "0..2 lz4 horizon=6000 max=102\n  2 102 c=1\n"
                     "3..3 max=1003\n  3 1003 d=1\n"
                     "4..4 max=1004\n  4 1004 a=2\n");
    text_deinit(&log);
}

static bool keep_producer(void *ctx, const struct batch *b)
{
    return b->last_offset == *(const int64_t *)ctx;
}

/* What a producer needs to go on, and what tells how far the log was cleaned, stays. */
TEST(compaction_filter, empties_the_last_batch_of_a_producer)
{
    static const struct test_record one[] = {{"a", "1"}, {"b", "1"}};
    struct test_batch b = {.producer_id = 7,
                           .sequence = 5,
                           .timestamp_ms = 100,
                           .records = one,
                           .count = 2,
                           .codec = CODEC_GZIP};
    struct text log = {0};
    int64_t last = 1, end = add_batch(&log, 0, &b);

    end = add_one(&log, end, "a", "2");
    end = add_one(&log, end, "b", "2");
    end = add_one(&log, end, NULL, "no key");
    struct compaction_counts counts;
    compact(&log, rules_at(5000, end), NULL, 0, keep_producer, &last, &counts, NULL);
    check_dump(&log, "0..1 pid=7 seq=5 max=101\n"
                     "2..2 max=1002\n  2 1002 a=2\n"
                     "3..3 max=1003\n  3 1003 b=2\n"
                     "4..4 max=1004\n");
    CHECK_EQ(counts.without_key, 1);
    end = add_one(&log, end, "c", "1");
    last = -1;
    compact(&log, rules_at(5000, end), NULL, 0, keep_producer, &last, NULL, NULL);
    check_dump(&log, "2..2 max=1002\n  2 1002 a=2\n"
                     "3..3 max=1003\n  3 1003 b=2\n"
                     "5..5 max=1005\n  5 1005 c=1\n");
    text_deinit(&log);
}

TEST(compaction_filter, drops_what_was_aborted)
{
    static const struct test_record bad[] = {{"a", "bad"}}, good[] = {{"b", "good"}};
    struct test_batch b = {
        .producer_id = 7, .transactional = true, .timestamp_ms = 100, .records = bad, .count = 1};
    struct test_batch marker = {.producer_id = 7, .marker = 2, .timestamp_ms = 110};
    struct compaction_aborted aborted = {7, 1, 2, 3};
    struct text log = {0}, kept = {0};
    int64_t end = add_one(&log, 0, "a", "1");

    end = add_batch(&log, end, &b);
    end = add_batch(&log, end, &marker);
    b.records = good;
    marker.marker = 1;
    end = add_batch(&log, end, &b);
    end = add_batch(&log, end, &marker);
    end = add_one(&log, end, "z", "1");
    compact(&log, rules_at(5000, end), &aborted, 1, NULL, NULL, NULL, &kept);
    check_dump(&log, "0..0 max=1000\n  0 1000 a=1\n"
                     "2..2 pid=7 seq=-1 txn control max=110\n  2 110 abort\n"
                     "3..3 pid=7 seq=0 txn max=100\n  3 100 b=good\n"
                     "4..4 pid=7 seq=-1 txn control max=110\n  4 110 commit\n"
                     "5..5 max=1005\n  5 1005 z=1\n");
    CHECK_BYTES(kept.p, kept.n, &aborted, sizeof(aborted));
    /* its records are gone: it gets a horizon, and is not in the index any more */
    text_clear(&kept);
    end = add_one(&log, end, "b", "2");
    compact(&log, rules_at(6000, end), &aborted, 1, NULL, NULL, NULL, &kept);
    CHECK_EQ(kept.n, 0);
    compact(&log, rules_at(6500, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "0..0 max=1000\n  0 1000 a=1\n"
                     "2..2 pid=7 seq=-1 txn control horizon=7000 max=110\n  2 110 abort\n"
                     "4..4 pid=7 seq=-1 txn control horizon=7500 max=110\n  4 110 commit\n"
                     "5..5 max=1005\n  5 1005 z=1\n"
                     "6..6 max=1006\n  6 1006 b=2\n");
    compact(&log, rules_at(7499, end), NULL, 0, NULL, NULL, NULL, NULL);
    check_dump(&log, "0..0 max=1000\n  0 1000 a=1\n"
                     "4..4 pid=7 seq=-1 txn control horizon=7500 max=110\n  4 110 commit\n"
                     "5..5 max=1005\n  5 1005 z=1\n"
                     "6..6 max=1006\n  6 1006 b=2\n");
    text_deinit(&kept);
    text_deinit(&log);
}

/* A value that is worth nothing hides none that is. */
TEST(compaction_filter, does_not_learn_from_aborted_records)
{
    static const struct test_record tombstone[] = {{"a", NULL}};
    struct test_batch b = {.producer_id = 7,
                           .transactional = true,
                           .timestamp_ms = 100,
                           .records = tombstone,
                           .count = 1};
    struct test_batch marker = {.producer_id = 7, .marker = 2, .timestamp_ms = 110};
    struct compaction_aborted aborted = {7, 1, 2, 3};
    struct text log = {0};
    int64_t end = add_one(&log, 0, "a", "1");

    end = add_batch(&log, end, &b);
    end = add_batch(&log, end, &marker);
    CHECK_EQ(compact(&log, rules_at(5000, end), &aborted, 1, NULL, NULL, NULL, NULL), 3);
    check_dump(&log, "0..0 max=1000\n  0 1000 a=1\n"
                     "2..2 pid=7 seq=-1 txn control max=110\n  2 110 abort\n");
    text_deinit(&log);
}

/* K5, and the next compaction begins where this one ended. */
TEST(compaction_filter, goes_as_far_as_the_map)
{
    struct text log = {0};
    char key[16];
    int64_t end = 0;

    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "%d", i % 20);
        end = add_one(&log, end, key, "v");
    }
    struct compaction_rules rules = rules_at(5000, end);
    rules.map_bytes_max = 0; /* the least that there is: 14 keys */
    int64_t learned = compact(&log, rules, NULL, 0, NULL, NULL, NULL, NULL);
    CHECK_EQ(learned, 14);
    rules.first_dirty = learned;
    learned = compact(&log, rules, NULL, 0, NULL, NULL, NULL, NULL);
    CHECK_EQ(learned, 28);
    rules.first_dirty = learned;
    learned = compact(&log, rules, NULL, 0, NULL, NULL, NULL, NULL);
    CHECK_EQ(learned, 40);
    struct bytes rest = bytes_of_str(text_str(&log));
    struct batch b;
    int64_t next = 20;
    while (batch_next(&rest, &b) == 1)
        CHECK_EQ(b.base_offset, next++);
    CHECK_EQ(next, 40);
    text_deinit(&log);
}

/* Damage is said, not carried on. */
TEST(compaction_filter, refuses_records_that_make_no_sense)
{
    struct text log = {0}, out = {0};
    struct compaction_rules rules = rules_at(5000, 10);
    struct compaction *c = compaction_new(&rules);
    struct batch b;

    (void)add_one(&log, 0, "key", "value");
    struct bytes rest = bytes_of_str(text_str(&log));
    CHECK_EQ(batch_next(&rest, &b), 1);
    log.p[BATCH_HEADER_BYTES + 3] = 8; /* an offset delta behind the batch's end */
    CHECK_EQ(compaction_learn(c, &b), ERR_CORRUPT);
    CHECK_EQ(compaction_filter(c, &b, true, &out, NULL, NULL), ERR_CORRUPT);
    log.p[BATCH_HEADER_BYTES] = 100; /* a length behind the batch's end */
    CHECK_EQ(compaction_learn(c, &b), ERR_CORRUPT);
    CHECK_EQ(compaction_filter(c, &b, false, &out, NULL, NULL), ERR_CORRUPT);
    CHECK_EQ(out.n, 0);
    text_deinit(&log);
    compaction_free(c);
}
