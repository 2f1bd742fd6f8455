/* The place of a log on the disk: allocated before anything is acknowledged, and no more than is of use. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "real.h"
#include "simulator/simulator.h"

#define SECOND 1000000000LL
#define MB (1000 * 1000)
#define SEGMENT_PATH "/data/t-0/00000000000000000000.log"

struct rig {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *log;
};

static bool step(void *world)
{
    return sim_step(world);
}

static struct rig *rig_new(bool durable)
{
    struct rig *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->sim = sim_new(3, NULL);
    r->node = sim_node_new(r->sim, "a");
    sim_node_start(r->node, 1);
    lab_init(&r->lab, sim_node_io(r->node, 0), step, r->sim, "/data");
    r->lab.settings.durable = durable;
    r->lab.settings.segment_bytes = 1 << 20;
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    return r;
}

static void rig_free(struct rig *r)
{
    if (r->log != NULL)
        CHECK_EQ(WAIT(&r->lab, log_close(r->log, op)), 0);
    lab_dir_close(&r->lab, false);
    lab_deinit(&r->lab);
    sim_free(r->sim);
    free(r);
}

static void rest(struct rig *r)
{
    sim_run_until(r->sim, sim_now_ns(r->sim) + 3 * SECOND);
}

static uint64_t file_bytes(struct rig *r)
{
    struct text file = {0};
    uint64_t n;

    CHECK_EQ(sim_disk_get(r->node, SEGMENT_PATH, &file), 0);
    n = file.n;
    text_deinit(&file);
    return n;
}

/* The journal is there, or relaxed batches have been drained. */
static void warm(struct rig *r)
{
    r->log = lab_log(&r->lab, "t");
    lab_fill(&r->lab, r->log, 1, 10);
    rest(r);
    CHECK_EQ(log_stable(r->log), log_end(r->log));
}

static void waits_for_space(bool durable)
{
    struct rig *r = rig_new(durable);
    struct lab_batch b = {.producer_id = -1, .value_bytes = 10};

    warm(r);
    sim_disk_limit(r->node, 1);
    lab_fill(&r->lab, r->log, 40, 100);
    CHECK(log_size_bytes(r->log) > file_bytes(r));
    int64_t end = log_end(r->log);
    rest(r);
    CHECK_EQ(log_stable(r->log), 1);
    CHECK(log_dir_is_online(r->lab.dir));
    CHECK(strstr(r->lab.said.p, "no space") != NULL);
    CHECK_EQ(lab_append(&r->lab, r->log, &b, NULL), KERR_KAFKA_STORAGE_ERROR);
    CHECK_EQ(log_end(r->log), end);

    sim_disk_limit(r->node, 1ULL << 40);
    rest(r);
    CHECK_EQ(log_stable(r->log), end);
    CHECK_EQ(lab_append(&r->lab, r->log, &b, NULL), KERR_NONE);
    rest(r);
    CHECK_EQ(log_stable(r->log), end + 1);
    rig_free(r);
}

TEST(log_place, is_there_before_the_journal_acknowledges)
{
    waits_for_space(true);
}

TEST(log_place, is_there_before_a_relaxed_log_drains)
{
    waits_for_space(false);
}

TEST(log_place, is_not_waited_for_by_a_close)
{
    struct rig *r = rig_new(false);

    warm(r);
    sim_disk_limit(r->node, 1);
    lab_fill(&r->lab, r->log, 40, 100);
    rest(r);
    CHECK(log_dir_is_online(r->lab.dir));
    CHECK(WAIT(&r->lab, log_close(r->log, op)) < 0);
    CHECK(!log_dir_is_online(r->lab.dir)); /* what a write that failed has left, nobody knows */
    r->log = NULL;
    rig_free(r);
}

/* What waits for space is not wanted any more, and nothing has failed. */
static void is_not_needed_for_a_deletion(bool durable, bool rests)
{
    struct rig *r = rig_new(durable);

    warm(r);
    sim_disk_limit(r->node, 1);
    lab_fill(&r->lab, r->log, 40, 100);
    if (rests)
        rest(r);
    CHECK_EQ(log_stable(r->log), 1);
    CHECK_EQ(WAIT(&r->lab, log_delete(r->log, op)), 0);
    r->log = NULL;
    rest(r);
    CHECK(log_dir_is_online(r->lab.dir));
    rig_free(r);
}

TEST(log_place, is_not_waited_for_by_a_deletion)
{
    for (int i = 0; i < 4; i++)
        is_not_needed_for_a_deletion(i % 2 == 0, i / 2 == 0);
}

/* At every moment: the log is appended to, waits, or is told that there is space again. */
TEST(log_place, a_deletion_may_come_at_any_time)
{
    for (int steps = 0; steps < 60; steps++) {
        struct rig *r = rig_new(steps % 2 == 0);
        warm(r);
        sim_disk_limit(r->node, 1);
        lab_fill(&r->lab, r->log, 40, 100);
        for (int i = 0; i < steps / 2; i++)
            (void)sim_step(r->sim);
        if (steps % 3 == 0)
            sim_disk_limit(r->node, 1ULL << 40);
        CHECK_EQ(WAIT(&r->lab, log_delete(r->log, op)), 0);
        r->log = NULL;
        CHECK(log_dir_is_online(r->lab.dir));
        rig_free(r);
    }
}

TEST(log_place, grows_with_the_log)
{
    struct rig *r = rig_new(false);
    uint64_t size;

    warm(r);
    CHECK_EQ(file_bytes(r), 4096);
    for (int i = 0; i < 300; i++) {
        lab_fill(&r->lab, r->log, 1, 100);
        rest(r);
        size = log_size_bytes(r->log);
        CHECK(file_bytes(r) >= size);
        CHECK(file_bytes(r) <= 2 * size + 4096);
    }
    for (int i = 0; i < 60; i++) {
        lab_fill(&r->lab, r->log, 1, 10000);
        rest(r);
        CHECK(file_bytes(r) >= log_size_bytes(r->log));
    }
    CHECK(file_bytes(r) <= log_size_bytes(r->log) * 9 / 8 + 65536 + 4096);
    CHECK_EQ(WAIT(&r->lab, log_flush(r->log, op)), 0);
    size = log_size_bytes(r->log);
    CHECK_EQ(WAIT(&r->lab, log_close(r->log, op)), 0);
    r->log = NULL;
    CHECK_EQ(file_bytes(r), size);
    rig_free(r);
}

/* An idle log is left as the last stop left it. */
TEST(log_place, is_not_taken_by_a_log_that_is_opened)
{
    struct rig *r = rig_new(true);

    warm(r);
    CHECK_EQ(WAIT(&r->lab, log_close(r->log, op)), 0);
    uint64_t size = file_bytes(r);
    CHECK(size < 4096);
    r->log = lab_log(&r->lab, "t");
    CHECK_EQ(WAIT(&r->lab, log_retain(r->log, log_end(r->log), op)), 0);
    CHECK_EQ(WAIT(&r->lab, log_flush(r->log, op)), 0);
    CHECK_EQ(WAIT(&r->lab, log_truncate(r->log, log_end(r->log), op)), 0);
    rest(r);
    CHECK_EQ(file_bytes(r), size);
    rig_free(r);
}

TEST(log_place, is_a_whole_segment_where_preallocate_says_so)
{
    struct rig *r = rig_new(true);

    r->lab.settings.preallocate = true;
    warm(r);
    CHECK_EQ(file_bytes(r), 1 << 20);
    rig_free(r);
}

/* Much is not left to the timer. */
TEST(log_sync, of_a_relaxed_log_comes_after_much_was_drained)
{
    struct rig *r = rig_new(false);

    r->lab.settings.segment_bytes = 1 << 30;
    warm(r);
    rest(r);
    rest(r);
    uint64_t syncs = sim_node_counters(r->node)->done[SIM_SYNC];
    int64_t from_ns = sim_now_ns(r->sim);
    for (int i = 0; i < 80; i++) {
        lab_fill(&r->lab, r->log, 1, MB);
        while (log_stable(r->log) < log_end(r->log))
            CHECK(sim_step(r->sim));
    }
    sim_run_until(r->sim, sim_now_ns(r->sim) + SECOND / 10);
    CHECK(sim_now_ns(r->sim) - from_ns < LOG_SYNC_MS_MAX / 1000 * SECOND);
    CHECK_EQ(sim_node_counters(r->node)->done[SIM_SYNC], syncs + 2); /* one where drains began to be direct */
    CHECK(log_recovery_point(r->log) >= 60);
    rig_free(r);
}

/* A kill leaves zeros behind the batches: they are no damage, and nothing is said of any. */
TEST(log_place, that_was_not_used_is_given_back_at_a_start)
{
    struct real *r = real_open();
    struct log *log = real_log(r);

    lab_fill(&r->lab, log, 5, 3000);
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
    uint64_t size = log_size_bytes(log);
    text_clear(&r->lab.said);
    log = real_crash(r, log);
    CHECK_EQ(log_end(log), 5);
    CHECK_EQ(log_size_bytes(log), size);
    CHECK_EQ(r->lab.said.n, 0);
    struct text file = lab_file(&r->lab, "t-0/00000000000000000000.log");
    CHECK_EQ(file.n, size);
    text_deinit(&file);
    real_close(r, log);
}
