/* Files that were garbled, cut or deleted beside a log, or in it: what is served stays right, and what cannot be served is
 * named. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "log/state.h"
#include "real.h"

/* Three segments of 30 batches, an entry for each second one; two records a batch. */
#define BATCHES 90
#define RECORDS 2
#define BATCH_BYTES 115
#define FIRST_SEGMENT "t-0/00000000000000000000"
#define MIDDLE_SEGMENT "t-0/00000000000000000060"
#define LAST_SEGMENT "t-0/00000000000000000120"

static void fill(struct real *r, struct log *log, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct lab_batch b = {.producer_id = 5,
                              .sequence = (int32_t)log_end(log),
                              .count = RECORDS,
                              .value_bytes = 20,
                              .timestamp_ms = 1000 + 10 * log_end(log),
                              .leader_epoch = log_end(log) < 40 ? 3 : 7};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
}

static struct real *begin(void)
{
    struct real *r = real_open();

    r->lab.settings.segment_bytes = 30 * BATCH_BYTES;
    r->lab.settings.index_interval_bytes = 200;
    return r;
}

static struct log *reopen(struct real *r)
{
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    return real_log(r);
}

/* A log of BATCHES that was stopped, cleanly or as by kill -9. */
static void make(struct real *r, bool clean)
{
    struct log *log = real_log(r);

    fill(r, log, BATCHES);
    CHECK_EQ(log_size_bytes(log), BATCHES * BATCH_BYTES);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    real_until_stable(r, log);
    if (clean) {
        lab_stop(&r->lab, log, "t");
        return;
    }
    log = real_crash(r, log);
    CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    lab_dir_close(&r->lab, false);
}

/* The whole log, as those see it who begin at each offset, at each time, and ask for each epoch. */
static void check_all(struct real *r, struct log *log)
{
    CHECK_EQ(log_end(log), BATCHES * RECORDS);
    for (int64_t offset = 0; offset < log_end(log); offset++) {
        struct text some = lab_read(&r->lab, log, offset, log_end(log) - 8, 400);
        struct bytes rest = bytes_of_str(text_str(&some));
        struct batch b;
        int64_t next = offset - offset % RECORDS;
        CHECK(rest.n > 0 || offset >= log_end(log) - 8);
        while (rest.n > 0) {
            CHECK_EQ(batch_next(&rest, &b), 1);
            CHECK(batch_crc_ok(&b));
            CHECK_EQ(b.base_offset, next);
            next = b.last_offset + 1;
            CHECK(next <= log_end(log) - 8);
        }
        text_deinit(&some);
    }
    for (int64_t offset = 0; offset < log_end(log); offset += RECORDS) {
        struct log_time_found found;
        CHECK_EQ(WAIT(&r->lab, log_find_time(log, 1000 + 10 * offset, log_end(log), &found, op)), 1);
        CHECK_EQ(found.offset, offset);
    }
    CHECK_EQ(log_epoch_end(log, 3).end_offset, 40);
    CHECK_EQ(log_epoch_end(log, 7).end_offset, log_end(log));
    CHECK_EQ(log_latest_epoch(log), 7);
    struct log_producer producer;
    CHECK_EQ(log_producers(log, &producer, 1), 1);
    CHECK_EQ(producer.last_sequence, log_end(log) - 1);
}

static void stop(struct real *r, struct log *log)
{
    CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    lab_dir_close(&r->lab, false);
}

static void keep(struct real *r, const char *command)
{
    char line[3400];

    snprintf(line, sizeof(line), command, r->lab.directory, r->lab.directory, r->lab.directory);
    CHECK_EQ(system(line), 0);
}
#define KEEP "rm -rf %s.kept && cp -r %s %s.kept"
#define BRING_BACK "rm -rf %s && cp -r %s.kept %s"

/* Bytes of a file garbled, one after the other: each place of an entry (of 8 and of 12 bytes), and each bit. */
static void garble_each(const char *name, bool clean)
{
    struct real *r = begin();

    make(r, clean);
    keep(r, KEEP);
    struct text content = lab_file(&r->lab, name);
    CHECK(content.n > 0);
    for (size_t i = 0; i < content.n; i += content.n < 30 ? 1 : 5) {
        uint8_t was = (uint8_t)content.p[i];
        content.p[i] = (char)(was ^ (1 << (i * 3 % 8)));
        lab_write(&r->lab, name, content.p, content.n);
        content.p[i] = (char)was;
        struct log *log = reopen(r);
        check_all(r, log);
        stop(r, log);
        keep(r, BRING_BACK);
    }
    text_deinit(&content);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    real_close(r, NULL);
}

TEST(log_damage, a_garbled_index_changes_nothing)
{
    garble_each(MIDDLE_SEGMENT ".index", true);
}

TEST(log_damage, a_garbled_index_changes_nothing_after_a_crash)
{
    garble_each(MIDDLE_SEGMENT ".index", false);
}

TEST(log_damage, a_garbled_time_index_changes_nothing)
{
    garble_each(MIDDLE_SEGMENT ".timeindex", true);
}

TEST(log_damage, garbled_indexes_of_the_last_segment_change_nothing)
{
    garble_each(LAST_SEGMENT ".index", true);
    garble_each(LAST_SEGMENT ".timeindex", true);
}

TEST(log_damage, garbled_leader_epochs_change_nothing)
{
    garble_each("t-0/leader-epoch-checkpoint", true);
    garble_each("t-0/leader-epoch-checkpoint", false);
}

TEST(log_damage, a_garbled_producer_snapshot_changes_nothing)
{
    garble_each("t-0/00000000000000000180.snapshot", true);
}

/* Each side file gone, or cut in its middle. */
TEST(log_damage, files_that_are_gone_or_cut_change_nothing)
{
    static const char *const names[] = {
        FIRST_SEGMENT ".index", FIRST_SEGMENT ".timeindex", MIDDLE_SEGMENT ".index",
        MIDDLE_SEGMENT ".timeindex", MIDDLE_SEGMENT ".snapshot", LAST_SEGMENT ".index",
        LAST_SEGMENT ".timeindex", "t-0/00000000000000000180.snapshot", "t-0/leader-epoch-checkpoint",
        "recovery-point-offset-checkpoint", "replication-offset-checkpoint",
    };

    for (int clean = 0; clean < 2; clean++) {
        struct real *r = begin();
        make(r, clean);
        keep(r, KEEP);
        for (size_t i = 0; i < array_count(names) * 2; i++) {
            const char *name = names[i / 2];
            struct text content = lab_file(&r->lab, name);
            char path[1200];
            snprintf(path, sizeof(path), "%s/%s", r->lab.directory, name);
            if (i % 2 == 0)
                remove(path);
            else if (content.n > 0)
                lab_write(&r->lab, name, content.p, content.n / 2);
            text_deinit(&content);
            struct log *log = reopen(r);
            check_all(r, log);
            stop(r, log);
            keep(r, BRING_BACK);
        }
        CHECK_EQ(lab_dir_open(&r->lab), 0);
        real_close(r, NULL);
    }
}

static void garble(struct real *r, const char *name, size_t at, uint8_t by)
{
    struct text content = lab_file(&r->lab, name);

    CHECK(at < content.n);
    content.p[at] ^= (char)by;
    lab_write(&r->lab, name, content.p, content.n);
    text_deinit(&content);
}

/* The message, and then the job that writes what was made: another job, which does nothing, waits behind it. */
static void until_made_again(struct real *r, struct log *log)
{
    for (int turns = 0; turns < 1000000; turns++) {
        struct str said = text_str(&r->lab.said);
        if (said.n > 0 && log->segments[log->segment_count > 1]->index_doubted == false)
            break;
        (void)WAIT(&r->lab, io_yield(r->lab.io, op));
    }
    CHECK_EQ(WAIT(&r->lab, log_truncate(log, log_end(log), op)), 0);
}

/* An index that goes wrong under a log that is open is noticed by who reads, said once, and made again. */
TEST(log_damage, a_damaged_index_is_made_again)
{
    static const char *const names[] = {MIDDLE_SEGMENT ".index", MIDDLE_SEGMENT ".timeindex"};
    struct real *r = begin();
    struct text was[2];

    make(r, true);
    struct log *log = reopen(r);
    for (int i = 0; i < 2; i++) {
        was[i] = lab_file(&r->lab, names[i]);
        struct text zeros = {0};
        while (zeros.n < was[i].n)
            text_add(&zeros, "\7", 1);
        lab_write(&r->lab, names[i], zeros.p, zeros.n);
        text_deinit(&zeros);
        check_all(r, log);
        CHECK(strstr(r->lab.said.p, MIDDLE_SEGMENT ".log are damaged") != NULL);
        CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
        until_made_again(r, log);

        struct text is = lab_file(&r->lab, names[i]);
        CHECK_BYTES(is.p, is.n, was[i].p, was[i].n);
        text_deinit(&is);
        text_deinit(&was[i]);
    }
    check_all(r, log);
    real_close(r, log);
}

/* Also under the active segment, while it is written to. */
TEST(log_damage, a_damaged_index_of_the_active_segment_is_made_again)
{
    struct real *r = begin();

    r->lab.settings.segment_bytes = 1 << 20;
    struct log *log = real_log(r);
    fill(r, log, BATCHES / 2);
    lab_stop(&r->lab, log, "t");
    garble(r, FIRST_SEGMENT ".index", 4, 0x40);
    log = reopen(r);
    struct text some = lab_read(&r->lab, log, 10, log_end(log), 300);
    CHECK_EQ(get_i64(some.p), 10);
    text_deinit(&some);
    fill(r, log, BATCHES / 2);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    until_made_again(r, log);
    check_all(r, log);
    lab_stop(&r->lab, log, "t");
    CHECK(strstr(r->lab.said.p, "are damaged") != NULL);

    struct text remade = lab_file(&r->lab, FIRST_SEGMENT ".index");
    struct real *other = begin();
    other->lab.settings.segment_bytes = 1 << 20;
    struct log *same = real_log(other);
    fill(other, same, BATCHES);
    lab_stop(&other->lab, same, "t");
    struct text expected = lab_file(&other->lab, FIRST_SEGMENT ".index");
    CHECK_BYTES(remade.p, remade.n, expected.p, expected.n);
    text_deinit(&remade);
    text_deinit(&expected);
    CHECK_EQ(lab_dir_open(&other->lab), 0);
    real_close(other, NULL);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    real_close(r, NULL);
}

/* Offsets between the entries of two pieces of a long index. */
TEST(log_damage, a_long_index_answers_for_each_offset)
{
    struct real *r = begin();

    r->lab.settings.segment_bytes = 1 << 20;
    r->lab.settings.index_interval_bytes = 1;
    struct log *log = real_log(r);
    fill(r, log, 5000);
    lab_stop(&r->lab, log, "t");
    log = reopen(r);
    for (int64_t offset = 4080; offset < 4120; offset++) {
        struct text some = lab_read(&r->lab, log, offset, log_end(log), 100);
        CHECK_EQ(get_i64(some.p), offset - offset % RECORDS);
        text_deinit(&some);
    }
    real_close(r, log);
}

static int64_t read_status(struct real *r, struct log *log, int64_t offset)
{
    struct text out = {0};
    struct log_read read = {.offset = offset,
                            .limit = log_end(log),
                            .max_bytes = 200,
                            .first_whole = true,
                            .arena = &r->lab.arena};
    int64_t n = WAIT(&r->lab, log_read_bytes(log, &read, &out, op));

    text_deinit(&out);
    arena_reset(&r->lab.arena);
    return n;
}

/* A header that makes no sense is an error for who reads it, and named once; the rest is served. */
TEST(log_damage, a_damaged_header_is_named_and_the_rest_is_served)
{
    struct real *r = begin();

    make(r, true);
    struct text content = lab_file(&r->lab, MIDDLE_SEGMENT ".log");
    size_t batch_bytes = content.n / 30;
    text_deinit(&content);
    static const struct {
        size_t at;
        uint8_t by;
    } rows[] = {
        {0, 0x40},  /* the base offset */
        {7, 0x20},  /* ... a little */
        {8, 0x80},  /* the length */
        {16, 0x04}, /* the magic */
        {23, 0x80}, /* the last offset delta */
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        garble(r, MIDDLE_SEGMENT ".log", 3 * batch_bytes + rows[i].at, rows[i].by);
        text_clear(&r->lab.said);
        struct log *log = reopen(r);
        CHECK(read_status(r, log, 66) < 0);
        CHECK(read_status(r, log, 67) < 0);
        CHECK(strstr(r->lab.said.p, MIDDLE_SEGMENT ".log: at byte ") != NULL);
        CHECK(strstr(strstr(r->lab.said.p, "at byte ") + 1, "at byte ") == NULL);
        for (int64_t offset = 0; offset < 180; offset++)
            CHECK(offset == 66 || offset == 67 || offset / 60 == 1 || read_status(r, log, offset) > 0);
        CHECK(read_status(r, log, 64) > 0);
        lab_stop(&r->lab, log, "t");
        garble(r, MIDDLE_SEGMENT ".log", 3 * batch_bytes + rows[i].at, rows[i].by);
    }
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    real_close(r, NULL);
}

/* A file that was cut under the log is found before it is sent: a span beyond its end would break the connection. */
TEST(log_damage, a_file_that_was_cut_is_named_before_it_is_sent)
{
    struct real *r = begin();

    make(r, true);
    struct log *log = reopen(r);
    struct text content = lab_file(&r->lab, MIDDLE_SEGMENT ".log");
    lab_write(&r->lab, MIDDLE_SEGMENT ".log", content.p, content.n - 1);
    text_deinit(&content);
    CHECK_EQ(read_status(r, log, 118), ERR_SHORT);
    CHECK(strstr(r->lab.said.p, MIDDLE_SEGMENT ".log: at byte ") != NULL);
    CHECK(read_status(r, log, 60) > 0);
    CHECK(read_status(r, log, 120) > 0);
    real_close(r, log);
}

TEST(log_damage, a_garbled_log_start_is_not_guessed)
{
    struct real *r = begin();

    make(r, true);
    lab_write(&r->lab, "log-start-offset-checkpoint", "0\n7\n", 4);
    CHECK_EQ(lab_dir_open(&r->lab), ERR_CORRUPT);
    CHECK(strstr(r->lab.fail.text, "log-start-offset-checkpoint: line 2 is not as it should be") != NULL);
    real_close(r, NULL);
}
