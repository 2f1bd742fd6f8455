/* Append, drain, read, close, open on the real file system. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "real.h"

#define CHECK_BATCHES(real, log, offset, expected)                     \
    do {                                                               \
        struct text batches_ = lab_batches(&(real)->lab, log, offset); \
        CHECK_TEXT(text_str(&batches_), expected);                     \
        text_deinit(&batches_);                                        \
    } while (0)

TEST(log, is_made_empty)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    CHECK_EQ(log_start(log), 0);
    CHECK_EQ(log_end(log), 0);
    CHECK_EQ(log_stable(log), 0);
    CHECK_EQ(log_max_timestamp_ms(log), -1);
    struct text files = lab_files(&r->lab, "t-0");
    CHECK_TEXT(text_str(&files), "00000000000000000000.index 0\n"
                                 "00000000000000000000.log 0\n"
                                 "00000000000000000000.timeindex 0\n"
                                 "partition.metadata 43\n");
    text_deinit(&files);
    real_close(r, log);
}

/* An append is not stable before a turn of the loop; then it is on the disk. */
TEST(log, append_becomes_stable)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    lab_fill(&r->lab, log, 3, 100);
    CHECK_EQ(log_end(log), 3);
    CHECK_EQ(log_stable(log), 0);
    CHECK_BATCHES(r, log, 0, "0..0 1..1 2..2 ");
    real_until_stable(r, log);
    CHECK_EQ(log_drained(log), 3);
    CHECK(r->lab.stable_calls >= 1);
    CHECK_BATCHES(r, log, 1, "1..1 2..2 ");
    real_close(r, log);
}

TEST(log, comes_back_after_a_clean_stop)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    lab_fill(&r->lab, log, 10, 1000);
    CHECK_EQ(WAIT(&r->lab, log_begin_epoch(log, 0, op)), 0);
    lab_stop(&r->lab, log, "t");
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    CHECK(r->lab.dir->clean);
    CHECK_EQ(r->lab.dir->broker_epoch, 7);
    log = lab_log(&r->lab, "t");
    CHECK_EQ(log_end(log), 10);
    CHECK_EQ(log_stable(log), 10);
    CHECK_EQ(log_latest_epoch(log), 0);
    CHECK_EQ(log_max_timestamp_ms(log), 1009);
    CHECK_BATCHES(r, log, 4, "4..4 5..5 6..6 7..7 8..8 9..9 ");
    real_close(r, log);
}

TEST(log, comes_back_without_a_stop)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    lab_fill(&r->lab, log, 10, 1000);
    real_until_stable(r, log);
    log = real_crash(r, log);
    CHECK(!r->lab.dir->clean);
    CHECK_EQ(log_end(log), 10);
    CHECK_EQ(log_latest_epoch(log), 0);
    CHECK_BATCHES(r, log, 7, "7..7 8..8 9..9 ");
    real_close(r, log);
}

/* Whatever lies in memory or not, each offset is read from its own batch on. */
TEST(log, every_offset_is_found_in_memory_and_in_files)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 40000;
    struct log *log = real_log(r);

    for (int i = 0; i < 60; i++) {
        struct lab_batch b = {.producer_id = -1,
                              .count = 1 + i % 3,
                              .value_bytes = 500 + 37U * i,
                              .timestamp_ms = 1000 + i};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    for (int pass = 0; pass < 3; pass++) {
        if (pass == 1)
            real_until_stable(r, log);
        if (pass == 2) {
            r->lab.memory.limit_bytes = 0;
            lab_fill(&r->lab, log, 1, 10); /* makes room: drops the cache */
            real_until_stable(r, log);
        }
        for (int64_t offset = 0; offset < log_end(log); offset++) {
            struct text bytes = lab_read(&r->lab, log, offset, log_end(log), 3000);
            struct batch b;
            CHECK(batch_read(bytes_of_str(text_str(&bytes)), &b, NULL) > 0);
            CHECK(b.base_offset <= offset && b.last_offset >= offset);
            text_deinit(&bytes);
        }
    }
    CHECK(r->lab.memory.used_bytes <= 8192);
    real_close(r, log);
}

/* A read stops before a batch that reaches the limit, and before one that is too much. */
TEST(log, reads_whole_batches_below_the_limit)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    for (int i = 0; i < 5; i++) {
        struct lab_batch b = {.producer_id = -1, .count = 2, .value_bytes = 1000};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    for (int pass = 0; pass < 2; pass++) {
        struct {
            int64_t offset, limit;
            uint32_t max;
            int32_t batches;
        } cases[] = {
            {0, 10, 1 << 20, 5}, {0, 4, 1 << 20, 2}, {0, 5, 1 << 20, 2}, {0, 1, 1 << 20, 0},
            {3, 10, 1 << 20, 4}, {0, 10, 10, 1},     {0, 10, 4300, 2},   {9, 10, 1, 1},
        };
        for (size_t i = 0; i < array_count(cases); i++) {
            struct text bytes =
                lab_read(&r->lab, log, cases[i].offset, cases[i].limit, cases[i].max);
            CHECK_EQ(bytes.n, (size_t)cases[i].batches * 2079);
            text_deinit(&bytes);
        }
        real_until_stable(r, log);
        r->lab.memory.limit_bytes = 0;
        log_memory_shrink_for_test(&r->lab.memory);
    }
    real_close(r, log);
}

/* What readers hold is counted once however many there are; beyond the bound they are sent from the file, where it
 * is there, and all is counted off in the end. */
TEST(log, readers_that_hold_much_are_sent_from_the_file)
{
    struct real *r = real_open();
    struct ledger ledger;
    struct log_spans first, again, more;
    struct arena arena;

    ledger_init(&ledger, 1 << 30);
    r->lab.memory.ledger = &ledger;
    r->lab.memory.read_bytes_max = 8192;
    struct log *log = real_log(r);
    struct log_read read = {.max_bytes = 1 << 20, .first_whole = true, .arena = &arena};
    arena_init(&arena, 0);
    for (int i = 0; i < 10; i++) {
        struct lab_batch b = {.producer_id = -1, .count = 2, .value_bytes = 1000};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    read.limit = log_end(log);
    CHECK(log_read_tail(log, &read, &first)); /* nothing is in a file yet */
    uint64_t held = r->lab.memory.read_bytes;
    CHECK(held >= 8192);
    CHECK(log_read_tail(log, &read, &again));
    CHECK_EQ(r->lab.memory.read_bytes, held);
    log_spans_release(&again);
    CHECK_EQ(r->lab.memory.read_bytes, held);
    real_until_stable(r, log);
    CHECK(!log_read_tail(log, &read, &more));
    CHECK_EQ(WAIT(&r->lab, log_read_cold(log, &read, &more, op)), first.total_bytes);
    CHECK(more.spans[0].file != NULL);
    log_spans_release(&more);
    log_spans_release(&first);
    CHECK_EQ(r->lab.memory.read_bytes, 0);
    CHECK(log_read_tail(log, &read, &again));
    CHECK(again.spans[0].p != NULL);
    CHECK_EQ(ledger.uses[LEDGER_TAILS], ledger.used_bytes);
    CHECK(ledger.used_bytes >= r->lab.memory.used_bytes);
    log_memory_give(&r->lab.memory, UINT64_MAX);
    CHECK(ledger.used_bytes > 0); /* the reader has them still */
    log_spans_release(&again);
    CHECK_EQ(ledger.used_bytes, 0);
    CHECK_EQ(r->lab.memory.used_bytes, 0);
    arena_deinit(&arena);
    real_close(r, log);
}
