/* Drains on the real file system: past the page cache, and read back through it. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "real.h"

static uint64_t file_bytes(struct real *r, const char *name)
{
    struct text file = lab_file(&r->lab, name);
    uint64_t n = file.n;

    text_deinit(&file);
    return n;
}

/* Batches of `value_bytes` and more, so that no drain ends where a page does. */
static void fill(struct real *r, struct log *log, int i, uint32_t value_bytes)
{
    struct lab_batch b = {.producer_id = -1,
                          .value_bytes = value_bytes + (uint32_t)i * 37,
                          .timestamp_ms = 1000 + i};
    struct log_appended done;

    CHECK_EQ(lab_append(&r->lab, log, &b, &done), KERR_NONE);
}

static void check_count(struct real *r, struct log *log, int64_t from, int64_t count)
{
    struct text found = lab_batches(&r->lab, log, from), expected = {0};

    for (int64_t i = from; i < count; i++)
        text_printf(&expected, "%lld..%lld ", (long long)i, (long long)i);
    CHECK_TEXT(text_str(&found), expected.p);
    text_deinit(&found);
    text_deinit(&expected);
}

/* No block stays in memory: each drain reads the page that it begins in, and readers have the file, whose last page is
 * in the page cache when the next drain writes it. */
static void drains_are_read_back(bool durable)
{
    struct real *r = real_open();
    r->lab.settings.durable = durable;
    r->lab.settings.segment_bytes = 300000;
    struct log *log = real_log(r);

    for (int i = 0; i < 40; i++) {
        fill(r, log, i, 20000);
        real_until_stable(r, log);
        log_memory_give(&r->lab.memory, r->lab.memory.used_bytes);
        check_count(r, log, i > 2 ? i - 2 : 0, i + 1);
    }
    check_count(r, log, 0, 40);
    CHECK(log_segment_count(log) > 2);
    log = real_crash(r, log);
    check_count(r, log, 0, 40);
    real_close(r, log);
}

TEST(log_drain, past_the_page_cache_is_read_back_through_it)
{
    drains_are_read_back(true);
}

TEST(log_drain, of_a_relaxed_log_too)
{
    drains_are_read_back(false);
}

/* A small drain in between goes the other way. */
TEST(log_drain, large_and_small_ones_take_turns)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    for (int i = 0; i < 30; i++) {
        fill(r, log, i, i % 3 == 0 ? 70000 : 100);
        if (i % 4 == 1)
            CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
        real_until_stable(r, log);
        log_memory_give(&r->lab.memory, r->lab.memory.used_bytes);
        check_count(r, log, 0, i + 1);
    }
    real_close(r, log);
}

/* L7: what a drain adds to fill a page is cut off at a roll and at a close. */
TEST(log_drain, files_get_their_sizes)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 150000;
    struct log *log = real_log(r);
    uint64_t size;

    for (int i = 0; i < 6; i++)
        fill(r, log, i, 40000);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_EQ(log_segment_count(log), 2);
    size = log_size_bytes(log);
    CHECK_EQ(file_bytes(r, "t-0/00000000000000000003.log") % IO_ALIGN_BYTES, 0);
    CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    CHECK_EQ(file_bytes(r, "t-0/00000000000000000000.log") + file_bytes(r, "t-0/00000000000000000003.log"), size);
    log = real_log(r);
    check_count(r, log, 0, 6);
    real_close(r, log);
}
