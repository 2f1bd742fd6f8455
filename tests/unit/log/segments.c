/* When a segment ends; cutting a log at either end; deletion; questions by time. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "real.h"

static struct text segments_of(struct real *r)
{
    struct io_entries entries = {0};
    struct text out = {0};
    char path[1200];

    snprintf(path, sizeof(path), "%s/t-0", r->lab.directory);
    CHECK(WAIT(&r->lab, io_list(r->lab.io, path, &entries, op)) >= 0);
    for (uint32_t i = 0; i < entries.count; i++) {
        const char *name = entries.entries[i].name;
        if (str_ends(str_of(name), STR(".log")))
            text_printf(&out, "%d:%llu ", atoi(name),
                        (unsigned long long)entries.entries[i].size_bytes);
    }
    io_entries_free(&entries);
    return out;
}

#define CHECK_SEGMENTS(r, expected)              \
    do {                                         \
        struct text found_ = segments_of(r);     \
        CHECK_TEXT(text_str(&found_), expected); \
        text_deinit(&found_);                    \
    } while (0)

#define CHECK_BATCHES(r, log, offset, expected)                     \
    do {                                                            \
        struct text batches_ = lab_batches(&(r)->lab, log, offset); \
        CHECK_TEXT(text_str(&batches_), expected);                  \
        text_deinit(&batches_);                                     \
    } while (0)

/* 140 bytes a batch. The file of the last segment is allocated ahead, by whole pages. */
static void fill(struct real *r, struct log *log, uint32_t n)
{
    lab_fill(&r->lab, log, n, 70);
}

TEST(log_roll, a_batch_that_does_not_fit_starts_the_next_segment)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    struct log *log = real_log(r);

    fill(r, log, 7);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:420 3:420 6:4096 ");
    struct lab_batch large = {.producer_id = -1, .value_bytes = 500};
    CHECK_EQ(lab_append(&r->lab, log, &large, NULL), KERR_RECORD_LIST_TOO_LARGE);
    real_close(r, log);
}

/* A scan after a crash must look at every segment whose indexes are not durable: the last one, too. */
TEST(log_roll, keeps_the_recovery_point_inside_until_indexes_are_durable)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    struct log *log = real_log(r);

    CHECK_EQ(log_recovery_point(log), 0);
    fill(r, log, 3);
    real_until_stable(r, log);
    CHECK_EQ(log_recovery_point(log), 2);
    fill(r, log, 1); /* in the next segment */
    CHECK_EQ(log_recovery_point(log), 2);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_EQ(log_recovery_point(log), 3);
    real_close(r, log);
}

/* Waited = the new batch's timestamp less the segment's first. */
TEST(log_roll, after_segment_ms)
{
    struct real *r = real_open();
    r->lab.settings.segment_ms = 1000;
    struct log *log = real_log(r);
    static const int64_t timestamps[] = {5000, 6000, 4000, 6001, 6500, 7002};

    for (size_t i = 0; i < array_count(timestamps); i++) {
        struct lab_batch b = {.producer_id = -1, .timestamp_ms = timestamps[i]};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:204 3:136 5:4096 ");
    real_close(r, log);
}

/* Without timestamps the wait is counted from the segment's beginning. */
TEST(log_roll, after_segment_ms_without_timestamps)
{
    struct real *r = real_open();
    r->lab.settings.segment_ms = 0;
    struct log *log = real_log(r);

    for (int i = 0; i < 2; i++) {
        struct lab_batch b = {.producer_id = -1, .timestamp_ms = -1};
        int64_t now_ms = io_now_ms(r->lab.io);
        while (io_now_ms(r->lab.io) <= now_ms + 1)
            (void)WAIT(&r->lab, io_yield(r->lab.io, op));
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:68 1:4096 ");
    real_close(r, log);
}

/* However large segment.jitter.ms is, records of one time share a segment, and none waits longer than segment.ms. */
TEST(log_roll, by_jitter_no_later_than_segment_ms)
{
    struct real *r = real_open();
    r->lab.settings.segment_ms = 100;
    r->lab.settings.segment_jitter_ms = 100000;
    struct log *log = real_log(r);
    static const int64_t timestamps[] = {5000, 5000, 5000, 5101, 5101, 5202};

    for (size_t i = 0; i < array_count(timestamps); i++) {
        struct lab_batch b = {.producer_id = -1, .timestamp_ms = timestamps[i]};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:204 3:136 5:4096 ");
    real_close(r, log);
}

/* The time index keeps one place for the last entry: it is full first when both are as large. */
TEST(log_roll, when_an_index_is_full)
{
    struct real *r = real_open();
    r->lab.settings.index_bytes = 36;
    r->lab.settings.index_interval_bytes = 1;
    struct log *log = real_log(r);

    fill(r, log, 8);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:420 3:420 6:4096 ");
    real_close(r, log);
}

/* An index cannot say that an offset lies more than 2^31 - 1 above the base. */
TEST(log_roll, when_offsets_do_not_fit)
{
    struct real *r = real_open();
    struct log *log = real_log(r);
    static const int64_t offsets[] = {0, INT32_MAX, INT64_C(1) << 31, (INT64_C(1) << 31) + 5};

    for (size_t i = 0; i < array_count(offsets); i++) {
        struct lab_batch b = {.producer_id = -1};
        struct text bytes = lab_batch_bytes(&b, offsets[i]);
        CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&bytes)), 0), 0);
        text_deinit(&bytes);
    }
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_SEGMENTS(r, "0:136 -2147483648:4096 ");
    CHECK_BATCHES(r, log, 1,
                  "2147483647..2147483647 2147483648..2147483648 "
                  "2147483653..2147483653 ");
    real_close(r, log);
}

TEST(log_append, stamped_batches_never_go_back)
{
    struct real *r = real_open();
    struct log *log = real_log(r);
    struct lab_batch b = {.producer_id = -1, .count = 3, .leader_epoch = 4};
    struct text bytes = lab_batch_bytes(&b, 10), more = lab_batch_bytes(&b, 12);

    CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&bytes)), 0), 0);
    CHECK_EQ(log_end(log), 13);
    CHECK_EQ(log_latest_epoch(log), 4);
    CHECK_EQ(log_epoch_start(log, 4), 10);
    CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&more)), 0), ERR_CORRUPT);
    text_deinit(&more);
    more = lab_batch_bytes(&b, 20);
    more.p[more.n - 1] ^= 1;
    CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&more)), 0), ERR_CORRUPT);
    more.p[more.n - 1] ^= 1;
    more.n--; /* cut off, as the end of a fetch may be */
    CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&more)), 0), 0);
    CHECK_EQ(log_end(log), 13);
    more.n++;
    CHECK_EQ(log_append_stamped(log, bytes_of_str(text_str(&more)), 0), 0);
    CHECK_EQ(log_end(log), 23);
    text_deinit(&more);
    text_deinit(&bytes);
    CHECK_BATCHES(r, log, 0, "10..12 20..22 ");
    CHECK_BATCHES(r, log, 15, "20..22 ");
    real_close(r, log);
}

/* ---- truncation ---------------------------------------------------------------------------- */

TEST(log_truncate, cuts_memory_files_and_states)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    r->lab.settings.index_interval_bytes = 1;
    struct log *log = real_log(r);

    fill(r, log, 5);
    CHECK_EQ(WAIT(&r->lab, log_begin_epoch(log, 3, op)), 0);
    for (int i = 0; i < 3; i++) {
        struct lab_batch b = {.producer_id = 8,
                              .sequence = i,
                              .value_bytes = 70,
                              .leader_epoch = 3,
                              .timestamp_ms = 2000 + i};
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    CHECK_EQ(log_max_timestamp_ms(log), 2002);
    CHECK_EQ(WAIT(&r->lab, log_truncate(log, 7, op)), 0);
    CHECK_EQ(log_end(log), 7);
    CHECK_SEGMENTS(r, "0:420 3:420 6:140 ");
    CHECK_EQ(log_max_timestamp_ms(log), 2001);
    struct log_producer producer;
    CHECK_EQ(log_producers(log, &producer, 1), 1);
    CHECK_EQ(producer.last_sequence, 1);

    CHECK_EQ(WAIT(&r->lab, log_truncate(log, 4, op)), 0);
    CHECK_SEGMENTS(r, "0:420 3:140 ");
    CHECK_EQ(log_latest_epoch(log), 0);
    CHECK_EQ(log_producers(log, &producer, 1), 0);
    CHECK_EQ(log_max_timestamp_ms(log), 1003);
    CHECK_EQ(log_stable(log), 4);
    fill(r, log, 3);
    CHECK_BATCHES(r, log, 2, "2..2 3..3 4..4 5..5 6..6 ");
    log = real_crash(r, log);
    CHECK(log_end(log) >= 4);
    real_close(r, log);
}

/* An answer that is on its way from the file would go on with what is written there next. */
TEST(log_truncate, withdraws_what_readers_have_of_the_file)
{
    struct real *r = real_open();
    struct log *log = real_log(r);
    struct log_spans before, after;

    fill(r, log, 3);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    struct log_read read = {.offset = 0, .limit = 3, .max_bytes = 1000, .arena = &r->lab.arena};
    CHECK_EQ(WAIT(&r->lab, log_read_cold(log, &read, &before, op)), 420);
    CHECK(!io_is_withdrawn(before.spans[0].file));
    CHECK_EQ(WAIT(&r->lab, log_truncate(log, 2, op)), 0);
    CHECK(io_is_withdrawn(before.spans[0].file));
    CHECK_EQ(WAIT(&r->lab, log_read_cold(log, &read, &after, op)), 280);
    CHECK(!io_is_withdrawn(after.spans[0].file));
    log_spans_release(&before);
    log_spans_release(&after);
    real_close(r, log);
}

TEST(log_truncate, to_the_end_forgets_an_epoch_without_batches)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    fill(r, log, 2);
    CHECK_EQ(WAIT(&r->lab, log_begin_epoch(log, 3, op)), 0);
    CHECK_EQ(log_latest_epoch(log), 3);
    CHECK_EQ(WAIT(&r->lab, log_truncate(log, 2, op)), 0);
    CHECK_EQ(log_latest_epoch(log), 0);
    struct text file = lab_file(&r->lab, "t-0/leader-epoch-checkpoint");
    CHECK_TEXT(text_str(&file), "0\n1\n0 0\n");
    text_deinit(&file);
    real_close(r, log);
}

TEST(log_restart_at, drops_everything)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    struct log *log = real_log(r);

    fill(r, log, 7);
    CHECK_EQ(WAIT(&r->lab, log_restart_at(log, 1000, op)), 0);
    CHECK_EQ(log_start(log), 1000);
    CHECK_EQ(log_end(log), 1000);
    CHECK_EQ(log_latest_epoch(log), -1);
    CHECK_EQ(log_size_bytes(log), 0);
    CHECK_SEGMENTS(r, "1000:0 ");
    fill(r, log, 2);
    CHECK_BATCHES(r, log, 1000, "1000..1000 1001..1001 ");
    real_close(r, log);
}

/* A job finds everything drained, also what came while leader epochs were saved. */
TEST(log_truncate, waits_for_what_came_while_epochs_were_saved)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    fill(r, log, 3);
    for (int32_t turns = 0; turns < 8; turns++) {
        struct wait epoch;
        log_begin_epoch(log, turns + 1, wait_begin(&epoch));
        for (int32_t i = 0; i < turns; i++)
            CHECK(world_turn(r->world));
        fill(r, log, 2);
        CHECK_EQ(WAIT(&r->lab, log_truncate(log, 4, op)), 0);
        CHECK_EQ(wait_end(&r->lab, &epoch), 0);
        CHECK_BATCHES(r, log, 0, "0..0 1..1 2..2 3..3 ");
        CHECK_EQ(WAIT(&r->lab, log_truncate(log, 3, op)), 0);
    }
    real_close(r, log);
}

TEST(log_raise_start, removes_whole_segments_below)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    r->lab.settings.file_delete_delay_ms = 0;
    struct log *log = real_log(r);

    fill(r, log, 10);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    CHECK_EQ(WAIT(&r->lab, log_raise_start(log, 5, op)), 0);
    CHECK_EQ(log_start(log), 5);
    CHECK_SEGMENTS(r, "3:420 6:420 9:4096 ");
    CHECK_EQ(log_size_bytes(log), 980);
    CHECK_EQ(log_epoch_start(log, 0), 5);
    struct log_read read = {.offset = 4, .limit = 10, .arena = &r->lab.arena};
    struct log_spans spans;
    CHECK_EQ(WAIT(&r->lab, log_read_cold(log, &read, &spans, op)), -ERANGE);
    CHECK_BATCHES(r, log, 5, "5..5 6..6 7..7 8..8 9..9 ");
    real_close(r, log);
}

/* ---- deletion ------------------------------------------------------------------------------ */

TEST(log_delete, leaves_spans_alive)
{
    struct real *r = real_open();
    r->lab.settings.file_delete_delay_ms = 0;
    struct log *log = real_log(r);
    struct log_spans tail, cold;
    uint8_t bytes[140];

    fill(r, log, 3);
    real_until_stable(r, log);
    struct log_read read = {.offset = 1, .limit = 3, .max_bytes = 1000, .arena = &r->lab.arena};
    CHECK(log_read_tail(log, &read, &tail));
    CHECK_EQ(tail.total_bytes, 280);
    CHECK_EQ(WAIT(&r->lab, log_read_cold(log, &read, &cold, op)), 280);
    CHECK_EQ(WAIT(&r->lab, log_delete(log, op)), 0);
    bool there = true; /* the files go in their own time */
    for (int i = 0; i < 10000 && there; i++) {
        CHECK(world_turn(r->world));
        struct text files = lab_files(&r->lab, "");
        there = strstr(files.p, "t-0") != NULL;
        text_deinit(&files);
    }
    CHECK(!there);
    CHECK_EQ(WAIT(&r->lab, io_read(cold.spans[0].file, cold.spans[0].position, bytes, 140, op)),
             140);
    CHECK_BYTES(tail.spans[0].p, 140, bytes, 140);
    log_spans_release(&tail);
    log_spans_release(&cold);
    while (r->lab.memory.files_open > 0)
        CHECK(world_turn(r->world));
    real_close(r, NULL);
}

TEST(log_delete, is_finished_by_the_next_start)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    CHECK_EQ(WAIT(&r->lab, log_delete(log, op)), 0);
    struct text files = lab_files(&r->lab, "");
    CHECK(strstr(files.p, "t-0.") != NULL);
    CHECK(strstr(files.p, "-delete") != NULL);
    text_deinit(&files);
    log = real_log(r); /* the name is free again */
    CHECK_EQ(log_end(log), 0);
    CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    lab_dir_close(&r->lab, false);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    files = lab_files(&r->lab, "");
    CHECK(strstr(files.p, "-delete") == NULL);
    CHECK_EQ(r->lab.dir->found_count, 1);
    text_deinit(&files);
    real_close(r, NULL);
}

/* ---- by time ------------------------------------------------------------------------------- */

static const char *time_found(struct real *r, struct log *log, int64_t timestamp_ms, int64_t limit)
{
    static char text[80];
    struct log_time_found found;
    int64_t n = timestamp_ms < 0
                    ? WAIT(&r->lab, log_find_max_time(log, limit, &found, op))
                    : WAIT(&r->lab, log_find_time(log, timestamp_ms, limit, &found, op));

    CHECK(n >= 0);
    if (n == 0)
        return "none";
    snprintf(text, sizeof(text), "%lld@%lld", (long long)found.offset,
             (long long)found.timestamp_ms);
    return text;
}

/* Against all records, in memory and in files, with timestamps that go up and down. */
TEST(log_find_time, gives_the_first_record_that_is_not_older)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 3000;
    r->lab.settings.index_interval_bytes = 300;
    struct log *log = real_log(r);
    int64_t timestamps[400], end = 0;
    struct prng g;

    prng_init(&g, 5);
    for (int i = 0; i < 100; i++) {
        struct lab_batch b = {.producer_id = -1,
                              .count = 1 + i % 3,
                              .value_bytes = 60,
                              .timestamp_ms = 1000 + i * 10 + (int64_t)prng_below(&g, 200)};
        for (int k = 0; k < b.count; k++)
            timestamps[end++] = b.timestamp_ms + k;
        CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    }
    for (int pass = 0; pass < 3; pass++) {
        for (int64_t at = 990; at < 2300; at += 7) {
            int64_t limit = at % 3 == 0 ? end : end - (int64_t)prng_below(&g, 150);
            char expected[80] = "none";
            for (int64_t i = limit; i-- > 0;) {
                if (timestamps[i] >= at)
                    snprintf(expected, sizeof(expected), "%lld@%lld", (long long)i,
                             (long long)timestamps[i]);
            }
            CHECK_TEXT(time_found(r, log, at, limit), expected);
        }
        for (int64_t limit = 0; limit <= end; limit += 5) {
            char expected[80] = "none";
            int64_t max = -1;
            for (int64_t i = 0; i < limit; i++) {
                if (timestamps[i] <= max)
                    continue;
                max = timestamps[i];
                snprintf(expected, sizeof(expected), "%lld@%lld", (long long)i, (long long)max);
            }
            /* a batch that reaches over the limit does not count */
            const char *found = time_found(r, log, -1, limit);
            if (limit == end)
                CHECK_TEXT(found, expected);
        }
        if (pass == 0) {
            real_until_stable(r, log);
            r->lab.memory.limit_bytes = 0;
            log_memory_shrink_for_test(&r->lab.memory);
        }
        if (pass == 1) { /* closed segments' timestamps are read from their indexes */
            lab_stop(&r->lab, log, "t");
            CHECK_EQ(lab_dir_open(&r->lab), 0);
            log = real_log(r);
        }
    }
    real_close(r, log);
}

/* ---- aborted transactions ------------------------------------------------------------------ */

static const char *aborted(struct real *r, struct log *log, int64_t from, int64_t to)
{
    static char text[300];
    struct log_aborted *found;
    int64_t n = WAIT(&r->lab, log_aborted_between(log, from, to, &r->lab.arena, &found, op));
    size_t at = 0;

    CHECK(n >= 0);
    text[0] = '\0';
    for (int64_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%lld:%lld-%lld ",
                               (long long)found[i].producer_id, (long long)found[i].first_offset,
                               (long long)found[i].last_offset);
    return text;
}

TEST(log_aborted, are_found_by_offset_in_every_segment)
{
    struct real *r = real_open();
    r->lab.settings.segment_bytes = 420;
    struct log *log = real_log(r);
    int32_t sequence = 0;

    CHECK(log_never_aborted(log));
    for (int i = 0; i < 6; i++) { /* 3 offsets each: data, data, marker; each second aborts */
        for (int k = 0; k < 2; k++) {
            struct lab_batch b = {
                .producer_id = 7, .sequence = sequence++, .transactional = true, .value_bytes = 60};
            CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
        }
        struct lab_batch end = {.producer_id = 7, .marker = 1 + i % 2};
        CHECK_EQ(lab_append(&r->lab, log, &end, NULL), KERR_NONE);
    }
    for (int pass = 0; pass < 3; pass++) {
        CHECK(!log_never_aborted(log));
        CHECK_TEXT(aborted(r, log, 0, 18), "7:3-5 7:9-11 7:15-17 ");
        CHECK_TEXT(aborted(r, log, 0, 3), "");
        CHECK_TEXT(aborted(r, log, 0, 4), "7:3-5 ");
        CHECK_TEXT(aborted(r, log, 5, 9), "7:3-5 ");
        CHECK_TEXT(aborted(r, log, 6, 10), "7:9-11 ");
        CHECK_TEXT(aborted(r, log, 12, 15), "");
        CHECK_EQ(log_last_stable_offset(log, 18), 18);
        if (pass == 0)
            CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
        if (pass == 1)
            log = real_crash(r, log);
    }
    real_close(r, log);
}
