/* Which segments go, and when; a start that is raised while appends go on. In the simulator: its clock is ours. */
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "simulator/simulator.h"

#define HOUR_MS INT64_C(3600000)
#define NO_TIMESTAMP (-1)

struct bench {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *log;
};

static bool step(void *world)
{
    return sim_step(world);
}

static void bench_start(struct bench *b)
{
    struct log_settings settings = b->lab.settings;

    sim_node_start(b->node, 1);
    lab_init(&b->lab, sim_node_io(b->node, 0), step, b->sim, "/data");
    b->lab.sink.level = LOG_INFO;
    if (settings.segment_bytes != 0)
        b->lab.settings = settings;
    CHECK_EQ(lab_dir_open(&b->lab), 0);
    b->log = lab_log(&b->lab, "t");
}

/* Three batches of 140 bytes fill a segment; nothing expires, and what is deleted is gone at once. */
static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof(*b));

    ASSERT(b != NULL);
    b->sim = sim_new(1, NULL);
    b->node = sim_node_new(b->sim, "a");
    b->lab.settings = (struct log_settings){
        .segment_bytes = 420,
        .segment_ms = INT64_MAX / 2,
        .index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .retention_ms = -1,
        .retention_bytes = -1,
        .producer_expiration_ms = INT64_MAX / 2,
        .durable = true,
    };
    bench_start(b);
    return b;
}

static void set(struct bench *b, int64_t retention_ms, int64_t retention_bytes)
{
    b->lab.settings.retention_ms = retention_ms;
    b->lab.settings.retention_bytes = retention_bytes;
    log_set_settings(b->log, &b->lab.settings);
}

static void bench_stop(struct bench *b)
{
    lab_stop(&b->lab, b->log, "t");
    lab_deinit(&b->lab);
    sim_node_kill(b->node);
}

static void bench_free(struct bench *b)
{
    bench_stop(b);
    sim_free(b->sim);
    free(b);
}

static void put(struct bench *b, int64_t timestamp_ms)
{
    struct lab_batch batch = {.producer_id = -1, .value_bytes = 70, .timestamp_ms = timestamp_ms};

    CHECK_EQ(lab_append(&b->lab, b->log, &batch, NULL), KERR_NONE);
}

static void put_of_age(struct bench *b, uint32_t n, int64_t age_ms)
{
    for (uint32_t i = 0; i < n; i++)
        put(b, io_wall_ms(b->lab.io) - age_ms);
    CHECK_EQ(WAIT(&b->lab, log_flush(b->log, op)), 0);
}

static int64_t retain(struct bench *b)
{
    return WAIT(&b->lab, log_retain(b->log, log_stable(b->log), op));
}

static void pass_time(struct bench *b, int64_t ms)
{
    sim_run_until(b->sim, sim_now_ns(b->sim) + ms * 1000000);
}

static int64_t count_said(const struct bench *b, const char *words)
{
    int64_t n = 0;

    for (const char *p = b->lab.said.p; p != NULL && (p = strstr(p, words)) != NULL; p++)
        n++;
    return n;
}

/* ---- by time ------------------------------------------------------------------------------- */

TEST(log_retention, segments_older_than_retention_ms_go)
{
    struct bench *b = bench_new();
    struct text files;

    put_of_age(b, 3, 10 * HOUR_MS);
    put_of_age(b, 3, 2 * HOUR_MS);
    put_of_age(b, 1, 0);
    set(b, 5 * HOUR_MS, -1);
    CHECK_EQ(retain(b), 1);
    CHECK_EQ(log_start(b->log), 3);
    CHECK_EQ(log_segment_count(b->log), 2);
    CHECK_EQ(log_size_bytes(b->log), 560);
    CHECK_EQ(count_said(b, "[UnifiedLog partition=t-0, dir=/data] Deleting segment LogSegment(baseOffset=0, size=420, "), 1);
    CHECK_EQ(count_said(b, "due to log retention time 18000000ms breach based on the largest record timestamp in the segment"), 1);
    CHECK_EQ(count_said(b, "start offset"), 0); /* one line each */
    CHECK_EQ(retain(b), 0);
    pass_time(b, 1);
    files = lab_files(&b->lab, "t-0");
    CHECK(strstr(files.p, "00000000000000000000.") == NULL);
    text_deinit(&files);
    bench_free(b);
}

TEST(log_retention, deleted_files_stay_for_a_while)
{
    struct bench *b = bench_new();
    struct text files;

    b->lab.settings.file_delete_delay_ms = 60000;
    put_of_age(b, 4, 2 * HOUR_MS);
    put_of_age(b, 1, 0);
    set(b, HOUR_MS, -1);
    CHECK_EQ(retain(b), 1);
    pass_time(b, 59000);
    files = lab_files(&b->lab, "t-0");
    CHECK(strstr(files.p, "00000000000000000000.log.deleted 420") != NULL);
    CHECK(strstr(files.p, "00000000000000000000.index.deleted") != NULL);
    CHECK(strstr(files.p, "00000000000000000000.timeindex.deleted") != NULL);
    text_deinit(&files);
    pass_time(b, 2000);
    files = lab_files(&b->lab, "t-0");
    CHECK(strstr(files.p, ".deleted") == NULL);
    text_deinit(&files);
    bench_free(b);
}

/* The youngest record of a segment counts, and nothing goes before what is older than it has gone. */
TEST(log_retention, a_young_record_keeps_its_segment_and_those_behind)
{
    struct bench *b = bench_new();

    put_of_age(b, 1, 10 * HOUR_MS);
    put_of_age(b, 1, HOUR_MS);
    put_of_age(b, 4, 10 * HOUR_MS);
    put_of_age(b, 1, 0);
    set(b, 5 * HOUR_MS, -1);
    CHECK_EQ(retain(b), 0);
    CHECK_EQ(log_start(b->log), 0);
    pass_time(b, 4 * HOUR_MS + 1); /* now that record is too old, too */
    CHECK_EQ(retain(b), 2);
    CHECK_EQ(log_start(b->log), 6);
    bench_free(b);
}

TEST(log_retention, exactly_retention_ms_is_not_too_old)
{
    struct bench *b = bench_new();
    int64_t now = io_wall_ms(b->lab.io);

    for (int i = 0; i < 4; i++)
        put(b, now);
    CHECK_EQ(WAIT(&b->lab, log_flush(b->log, op)), 0);
    pass_time(b, 1000);
    set(b, io_wall_ms(b->lab.io) + 1 - now, -1);
    CHECK_EQ(retain(b), 0);
    pass_time(b, 1000);
    CHECK_EQ(retain(b), 2);
    bench_free(b);
}

TEST(log_retention, minus_one_is_for_ever)
{
    struct bench *b = bench_new();

    put_of_age(b, 7, 100000 * HOUR_MS);
    CHECK_EQ(retain(b), 0);
    CHECK_EQ(log_segment_count(b->log), 3);
    bench_free(b);
}

TEST(log_retention, a_timestamp_in_the_future_keeps_its_segment)
{
    struct bench *b = bench_new();

    put_of_age(b, 3, -HOUR_MS);
    put_of_age(b, 3, 10 * HOUR_MS);
    put_of_age(b, 1, 0);
    set(b, 0, -1);
    pass_time(b, 10);
    CHECK_EQ(retain(b), 0);
    CHECK_EQ(count_said(b, "baseOffset=0, size=420"), 1);
    CHECK_EQ(count_said(b, "contains future timestamp(s), making it ineligible to be deleted"), 1);
    bench_free(b);
}

/* Records without a timestamp are as old as the last append to their segment, or its file. */
TEST(log_retention, without_timestamps_the_last_change_counts)
{
    struct bench *b = bench_new();

    for (int i = 0; i < 4; i++)
        put(b, NO_TIMESTAMP);
    set(b, HOUR_MS, -1);
    CHECK_EQ(WAIT(&b->lab, log_flush(b->log, op)), 0);
    CHECK_EQ(retain(b), 0);
    bench_stop(b);
    bench_start(b);
    pass_time(b, HOUR_MS / 2);
    CHECK_EQ(retain(b), 0);
    pass_time(b, HOUR_MS / 2 + 1000);
    CHECK_EQ(retain(b), 2);
    CHECK_EQ(count_said(b, "based on the last modified time of the segment"), 2);
    bench_free(b);
}

/* A start that trusts the files knows no timestamps of closed segments: they are read when they are asked for. */
TEST(log_retention, timestamps_are_read_after_a_restart)
{
    struct bench *b = bench_new();

    put_of_age(b, 6, 10 * HOUR_MS);
    put_of_age(b, 4, 0);
    bench_stop(b);
    bench_start(b);
    set(b, 5 * HOUR_MS, -1);
    CHECK_EQ(retain(b), 2);
    CHECK_EQ(log_start(b->log), 6);
    bench_free(b);
}

/* Zeros at the end of an index that a crash left are no time: what is not known is not too old. */
TEST(log_retention, zeros_in_a_time_index_are_no_reason)
{
    struct bench *b = bench_new();
    static const uint8_t zeros[24];

    put_of_age(b, 4, 0);
    bench_stop(b);
    CHECK_EQ(sim_disk_put(b->node, "/data/t-0/00000000000000000000.timeindex", (struct bytes){zeros, sizeof zeros}), 0);
    bench_start(b);
    set(b, HOUR_MS, -1);
    CHECK_EQ(retain(b), 0);
    CHECK_EQ(log_start(b->log), 0);
    bench_free(b);
}

/* ---- by size ------------------------------------------------------------------------------- */

TEST(log_retention, the_oldest_go_while_enough_is_left)
{
    struct bench *b = bench_new();

    put_of_age(b, 10, 0); /* 420 420 420 140 */
    set(b, -1, 981);
    CHECK_EQ(retain(b), 0); /* without the first, 980 would be left */
    set(b, -1, 980);
    CHECK_EQ(retain(b), 1);
    CHECK_EQ(log_start(b->log), 3);
    CHECK_EQ(count_said(b, "due to log retention size 980 breach. Log size after deletion will be 980."), 1);
    set(b, -1, 200);
    CHECK_EQ(retain(b), 1);
    CHECK_EQ(log_size_bytes(b->log), 560);
    bench_free(b);
}

TEST(log_retention, by_size_and_then_by_time)
{
    struct bench *b = bench_new();

    put_of_age(b, 6, 10 * HOUR_MS);
    put_of_age(b, 4, 0);
    set(b, HOUR_MS, 900);
    CHECK_EQ(retain(b), 2);
    CHECK_EQ(count_said(b, "retention size"), 1);
    CHECK_EQ(count_said(b, "retention time"), 1);
    CHECK_EQ(log_start(b->log), 6);
    bench_free(b);
}

/* ---- the last segment ---------------------------------------------------------------------- */

static void check_empty_at(struct bench *b, int64_t offset)
{
    CHECK_EQ(log_start(b->log), offset);
    CHECK_EQ(log_end(b->log), offset);
    CHECK_EQ(log_size_bytes(b->log), 0);
    CHECK_EQ(log_segment_count(b->log), 1);
}

TEST(log_retention, when_all_is_too_old_an_empty_segment_begins_at_the_end)
{
    struct bench *b = bench_new();

    put_of_age(b, 4, 10 * HOUR_MS);
    set(b, HOUR_MS, -1);
    CHECK_EQ(retain(b), 2);
    check_empty_at(b, 4);
    CHECK_EQ(retain(b), 0); /* an empty segment stays */
    bench_stop(b);
    bench_start(b);
    check_empty_at(b, 4);
    put_of_age(b, 2, 10 * HOUR_MS);
    CHECK_EQ(log_end(b->log), 6);
    CHECK_EQ(retain(b), 1);
    check_empty_at(b, 6);
    bench_free(b);
}

TEST(log_retention, a_power_cut_after_all_has_gone_keeps_the_end)
{
    struct bench *b = bench_new();

    put_of_age(b, 4, 10 * HOUR_MS);
    set(b, -1, 0);
    CHECK_EQ(retain(b), 2);
    sim_node_power_cut(b->node);
    (void)WAIT(&b->lab, log_close(b->log, op));
    (void)WAIT(&b->lab, log_dir_close(b->lab.dir, false, 1, op));
    lab_deinit(&b->lab);
    bench_start(b);
    check_empty_at(b, 4);
    bench_free(b);
}

TEST(log_retention, nothing_goes_that_the_high_watermark_has_not_passed)
{
    struct bench *b = bench_new();

    put_of_age(b, 7, 10 * HOUR_MS);
    set(b, HOUR_MS, 0);
    CHECK_EQ(WAIT(&b->lab, log_retain(b->log, 2, op)), 0);
    CHECK_EQ(WAIT(&b->lab, log_retain(b->log, 5, op)), 1);
    CHECK_EQ(log_start(b->log), 3);
    CHECK_EQ(WAIT(&b->lab, log_retain(b->log, 6, op)), 1);
    CHECK_EQ(log_start(b->log), 6);
    bench_free(b);
}

/* A follower hears that its leader has committed what its own disk does not have yet. */
TEST(log_retention, nothing_goes_that_is_not_stable)
{
    struct bench *b = bench_new();

    for (int i = 0; i < 7; i++)
        put(b, io_wall_ms(b->lab.io) - 10 * HOUR_MS);
    set(b, HOUR_MS, 0);
    CHECK_EQ(WAIT(&b->lab, log_retain(b->log, log_end(b->log), op)), 0);
    CHECK(log_stable(b->log) < log_end(b->log));
    CHECK_EQ(WAIT(&b->lab, log_flush(b->log, op)), 0);
    CHECK_EQ(WAIT(&b->lab, log_retain(b->log, log_end(b->log), op)), 3);
    CHECK_EQ(log_start(b->log), 7);
    bench_free(b);
}

/* ---- at the same time ---------------------------------------------------------------------- */

static void while_appends_never_pause(struct bench *b, struct wait *w)
{
    for (int i = 0; !w->done && i < 500; i++) {
        put(b, io_wall_ms(b->lab.io));
        CHECK(sim_step(b->sim));
    }
    CHECK(w->done);
}

/* Removal does not wait until nothing is left to be written: under load that time never comes. */
TEST(log_raise_start, segments_go_although_appends_never_pause)
{
    struct bench *b = bench_new();
    struct wait w;

    put_of_age(b, 7, 0);
    log_raise_start(b->log, 5, wait_begin(&w));
    CHECK_EQ(log_start(b->log), 5);
    while_appends_never_pause(b, &w);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(log_first_segment(b->log), 3);
    CHECK_EQ(count_said(b, "Deleting segments due to log start offset 5 breach: LogSegment(baseOffset=0, size=420, "), 1);
    bench_free(b);
}

TEST(log_retention, goes_on_although_appends_never_pause)
{
    struct bench *b = bench_new();
    struct wait w;

    put_of_age(b, 7, 10 * HOUR_MS);
    set(b, HOUR_MS, -1);
    log_retain(b->log, log_stable(b->log), wait_begin(&w));
    while_appends_never_pause(b, &w);
    CHECK(w.result >= 2);
    CHECK(log_start(b->log) >= 6);
    bench_free(b);
}

TEST(log_retention, a_log_that_is_deleted_meanwhile_ends_it)
{
    struct bench *b = bench_new();
    struct wait retained, deleted;

    put_of_age(b, 7, 10 * HOUR_MS);
    bench_stop(b);
    bench_start(b);
    set(b, HOUR_MS, -1);
    log_retain(b->log, log_stable(b->log), wait_begin(&retained));
    log_delete(b->log, wait_begin(&deleted));
    CHECK_EQ(wait_end(&b->lab, &retained), 0);
    CHECK_EQ(wait_end(&b->lab, &deleted), 0);
    b->log = lab_log(&b->lab, "t");
    CHECK_EQ(log_end(b->log), 0);
    bench_free(b);
}

TEST(log_retention, a_log_that_is_closed_after_it_began_loses_nothing_else)
{
    struct bench *b = bench_new();
    struct wait w;

    put_of_age(b, 6, 10 * HOUR_MS);
    put_of_age(b, 1, 0);
    set(b, HOUR_MS, -1);
    log_retain(b->log, log_stable(b->log), wait_begin(&w));
    for (int i = 0; i < 3; i++)
        CHECK(sim_step(b->sim));
    bench_stop(b);
    CHECK(w.done);
    bench_start(b);
    CHECK_EQ(log_start(b->log), 6);
    CHECK_EQ(log_end(b->log), 7);
    bench_free(b);
}

TEST(log_retention, trouble_ends_it)
{
    struct bench *b = bench_new();

    put_of_age(b, 7, 10 * HOUR_MS);
    set(b, HOUR_MS, -1);
    sim_fail_at(b->node, 1, -EIO);
    CHECK(retain(b) < 0);
    CHECK(b->lab.dir->has_failed);
    CHECK_EQ(log_start(b->log), 7);
    (void)WAIT(&b->lab, log_close(b->log, op));
    (void)WAIT(&b->lab, log_dir_close(b->lab.dir, false, 1, op));
    lab_deinit(&b->lab);
    sim_node_kill(b->node);
    bench_start(b);
    CHECK_EQ(log_end(b->log), 7);
    bench_free(b);
}

/* ---- producers ----------------------------------------------------------------------------- */

TEST(log_producers, silent_ones_are_forgotten_when_it_is_asked_for)
{
    struct bench *b = bench_new();
    struct lab_batch batch = {.producer_id = 7, .timestamp_ms = io_wall_ms(b->lab.io)};
    struct log_producer found;

    b->lab.settings.producer_expiration_ms = HOUR_MS;
    log_set_settings(b->log, &b->lab.settings);
    CHECK_EQ(lab_append(&b->lab, b->log, &batch, NULL), KERR_NONE);
    pass_time(b, HOUR_MS - 1);
    log_expire_producers(b->log);
    CHECK_EQ(log_producers(b->log, &found, 1), 1);
    pass_time(b, 1);
    CHECK_EQ(log_producers(b->log, &found, 1), 1); /* not by itself */
    log_expire_producers(b->log);
    CHECK_EQ(log_producers(b->log, &found, 1), 0);
    bench_free(b);
}
