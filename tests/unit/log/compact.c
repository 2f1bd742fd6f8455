/* Compaction of a log: what is kept, who reads meanwhile, and every crash on the way. */
#include <string.h>

#include "check.h"
#include "compact_story.h"
#include "crash_case.h"

#define FIRST_SEGMENT "/data/t-0/00000000000000000000.log"

static void tell_some(struct keyed_story *s, int batches)
{
    for (int i = 0; i < batches; i++) {
        keyed_append(s, 1 + (int)prng_below(&s->g, 3));
        if (prng_below(&s->g, 4) == 0)
            keyed_end_transaction(s, prng_below(&s->g, 2) == 0);
        if (prng_below(&s->g, 4) == 0)
            keyed_until_stable(s);
    }
    keyed_end_transaction(s, false);
    keyed_until_stable(s);
    keyed_flush(s);
}

TEST(log_compact, keeps_the_last_value_of_each_key)
{
    struct keyed_story *s = keyed_new(3);

    keyed_open(s);
    tell_some(s, 60);
    uint64_t before = log_size_bytes(s->log);
    CHECK_EQ(keyed_compact(s, NULL), 0);
    CHECK(log_size_bytes(s->log) < before / 2);
    keyed_check(s);
    keyed_check_names(s);
    keyed_close(s, true);
    keyed_open(s);
    CHECK(s->lab.dir->clean);
    CHECK(s->log != NULL);
    CHECK_EQ(log_first_dirty(s->log), s->compacted_to);
    keyed_check(s);
    keyed_close(s, true);
    keyed_free(s);
}

/* Tombstones, aborted transactions and their markers, old producers: in the end one record a key.
 */
TEST(log_compact, leaves_no_tombstones_behind_their_horizon)
{
    struct keyed_story *s = keyed_new(5);

    keyed_open(s);
    s->retention_ms = 0;
    for (int i = 0; i < 4; i++) {
        tell_some(s, 30);
        CHECK_EQ(keyed_compact(s, NULL), 0);
        keyed_check(s);
    }
    struct text all = lab_read(&s->lab, s->log, 0, s->compacted_to, 1 << 20);
    struct bytes rest = bytes_of_str(text_str(&all));
    struct batch b;
    int records = 0;
    while (batch_next(&rest, &b) == 1)
        records += b.base_offset < s->compacted_to / 2 ? b.count : 0;
    CHECK(records <= STORY_KEYS);
    text_deinit(&all);
    keyed_close(s, true);
    keyed_free(s);
}

static void look_and_append(struct keyed_story *s)
{
    if (prng_below(&s->g, 4) != 0)
        keyed_look(s);
    else
        keyed_append(s, 1);
}

/* Whoever reads, asks for a time or appends while segments are replaced finds what is there. */
TEST(log_compact, disturbs_nobody)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct keyed_story *s = keyed_new(seed);
        s->lab.memory.limit_bytes = seed % 3 * 4096;
        s->lab.memory.files_max = 3;
        keyed_open(s);
        for (int i = 0; i < 3; i++) {
            tell_some(s, 20);
            CHECK_EQ(keyed_compact(s, look_and_append), 0);
            keyed_until_stable(s);
            keyed_check(s);
        }
        keyed_check_names(s);
        keyed_close(s, true);
        keyed_free(s);
    }
}

/* A new segment waits for its place on the disk, and meanwhile the one before it becomes part of another: the journal goes
 * on where the log does. */
TEST(log_compact, comes_between_a_roll_and_the_first_commit_behind_it)
{
    int waited = 0;

    for (uint64_t n = 1; n <= 120; n++) {
        struct keyed_story *s = keyed_new(9);
        s->may_fail = true;
        s->lab.settings.segment_bytes = 1 << 20;
        s->lab.settings.index_bytes = 36; /* full before the segment is: so segments are small enough to become one */
        keyed_open(s);
        tell_some(s, 12);
        sim_fail_at(s->node, n, -ENOSPC); /* that of an allocation only makes it wait */
        for (int i = 0; i < 20 && !s->lab.dir->has_failed && log_stable(s->log) == log_end(s->log); i++) {
            keyed_append(s, 1);
            keyed_end_transaction(s, true); /* or its segment is not compacted */
            sim_run_until(s->sim, sim_now_ns(s->sim) + 100000000);
        }
        sim_fail_at(s->node, 0, 0);
        if (!s->lab.dir->has_failed && log_stable(s->log) < log_end(s->log)) {
            CHECK_EQ(keyed_compact(s, NULL), 0);
            keyed_until_stable(s);
            keyed_check(s);
            waited++;
        }
        keyed_close(s, false);
        keyed_free(s);
    }
    CHECK(waited > 0);
}

/* ---- crashes ----------------------------------------------------------------------------------
 */

static void tell(struct keyed_story *s)
{
    keyed_open(s);
    tell_some(s, 12);
    (void)keyed_compact(s, NULL);
    tell_some(s, 6);
    (void)keyed_compact(s, NULL);
    keyed_close(s, true);
}

static void go_on(struct keyed_story *s, uint64_t seed)
{
    keyed_open(s);
    if (s->log == NULL)
        check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed, s->lab.fail.text);
    keyed_check_names(s);
    keyed_check(s);
    tell_some(s, 6);
    CHECK(keyed_compact(s, NULL) >= 0);
    keyed_check(s);
    keyed_close(s, true);
    keyed_open(s);
    CHECK(s->log != NULL);
    keyed_check(s);
    keyed_close(s, true);
}

static void restart(struct keyed_story *s)
{
    lab_deinit(&s->lab);
    keyed_restart(s);
}

/* Each change of the disk is in turn the last one; with `twice`, recovery does not come to its end
 * either. */
static uint32_t crash_everywhere(uint32_t how, uint64_t seed_step, bool twice)
{
    for (uint32_t n = crash_first(1);; n++) {
        struct keyed_story *s = keyed_new(n * seed_step + how);
        prng_init(&s->g, 7); /* the story is the same */
        sim_crash_at_io(s->node, n, how);
        tell(s);
        bool crashed = !keyed_is_up(s);
        crash_says(n);
        if (crashed) {
            keyed_close(s, false);
            if (twice) {
                restart(s);
                sim_crash_at_io(s->node, 1 + n % 14, how);
                keyed_open(s);
                if (s->log != NULL && keyed_is_up(s))
                    keyed_adopt(s);
                sim_crash_at_io(s->node, 0, how);
                keyed_close(s, false);
                if (keyed_is_up(s))
                    sim_node_power_cut(s->node);
            }
            restart(s);
            go_on(s, n * seed_step + how);
        }
        keyed_free(s);
        if (!crashed)
            return n - 1;
    }
}

TEST(log_compact, survives_a_power_cut_before_each_change)
{
    CHECK(crash_everywhere(SIM_CRASH_POWER, 1, false) > 150);
}

TEST(log_compact, survives_a_power_cut_after_each_change)
{
    CHECK(crash_everywhere(SIM_CRASH_POWER | SIM_CRASH_AFTER, 3, false) > 150);
}

TEST(log_compact, survives_a_kill_before_each_change)
{
    CHECK(crash_everywhere(SIM_CRASH_KILL, 5, false) > 150);
}

TEST(log_compact, survives_power_cuts_in_the_recovery_too)
{
    CHECK(crash_everywhere(SIM_CRASH_POWER, 7, true) > 150);
}

/* An operation of the disk that fails ends the directory; what is there is whole. */
TEST(log_compact, survives_each_failing_operation)
{
    bool failed = true;

    for (uint32_t n = 1; failed; n++) {
        struct keyed_story *s = keyed_new(n);
        prng_init(&s->g, 7);
        keyed_open(s);
        tell_some(s, 12);
        s->may_fail = true;
        sim_fail_at(s->node, n, -EIO);
        failed = keyed_compact(s, NULL) < 0 || s->lab.dir->has_failed;
        sim_fail_at(s->node, 0, 0);
        s->may_fail = false;
        keyed_close(s, false);
        sim_node_power_cut(s->node);
        restart(s);
        go_on(s, n);
        keyed_free(s);
    }
}

/* ---- ends that come early ----------------------------------------------------------------------
 */

enum interruption { CANCEL, CLOSE, DELETE, RAISE, RAISE_TO_END, CUT, BEGIN_ANEW, INTERRUPTIONS };

static void interrupt(struct keyed_story *s, struct keyed_run *run, enum interruption what)
{
    switch (what) {
    case CANCEL:
        run->how.cancelled = true;
        break;
    case CLOSE:
        keyed_close(s, false);
        break;
    case DELETE:
        CHECK_EQ(WAIT(&s->lab, log_delete(s->log, op)), 0);
        s->log = NULL;
        break;
    case CUT:
        keyed_cut(s, run->dirt.first_uncleanable / 3);
        break;
    case BEGIN_ANEW:
        s->started = log_end(s->log);
        CHECK_EQ(WAIT(&s->lab, log_restart_at(s->log, s->started, op)), 0);
        break;
    default:
        s->started = what == RAISE_TO_END ? log_end(s->log) : run->dirt.first_uncleanable / 2;
        CHECK_EQ(WAIT(&s->lab, log_raise_start(s->log, s->started, op)), 0);
    }
}

/* Wherever it is interrupted, it ends soon and leaves a log that is whole, and no names of its own.
 */
static bool interrupt_after(uint32_t steps, enum interruption what)
{
    struct keyed_story *s = keyed_new(steps + 1);
    struct keyed_run run;

    prng_init(&s->g, 7);
    keyed_open(s);
    tell_some(s, 20);
    s->lab.settings.segment_bytes = 4000; /* several become one */
    log_set_settings(s->log, &s->lab.settings);
    CHECK(keyed_compact_begin(s, &run));
    run.how.bytes_per_second = 10000; /* it naps */
    for (uint32_t i = 0; i < steps && !run.wait.done; i++)
        CHECK(sim_step(s->sim));
    bool early = !run.wait.done;
    interrupt(s, &run, what);
    int64_t began_ns = sim_now_ns(s->sim), rc = wait_end(&s->lab, &run.wait);
    CHECK(rc >= 0 || rc == -ECANCELED);
    if (what != RAISE || rc < 0)
        CHECK(sim_now_ns(s->sim) - began_ns < 2000000000);
    if (what == DELETE) {
        keyed_close(s, false);
        sim_run_until(s->sim, sim_now_ns(s->sim) + 2000000000); /* its files are closed and gone */
        keyed_free(s);
        return early;
    }
    if (s->log == NULL)
        keyed_open(s);
    CHECK(s->log != NULL);
    keyed_check_names(s);
    keyed_check(s);
    CHECK(keyed_compact(s, NULL) >= 0);
    keyed_check(s);
    keyed_close(s, true);
    keyed_free(s);
    return early;
}

TEST(log_compact, ends_when_it_is_interrupted)
{
    for (enum interruption what = 0; what < INTERRUPTIONS; what++) {
        for (uint32_t steps = 0; interrupt_after(steps, what); steps += what == RAISE_TO_END ? 1 : 5)
            ;
    }
}

/* Between the two another log may be measured, and this one is cut: what is left of it is compacted, if anything. */
static int64_t compact_cut(int64_t cut)
{
    struct keyed_story *s = keyed_new(13);
    struct keyed_run run;

    keyed_open(s);
    tell_some(s, 20);
    CHECK(keyed_measure(s, &run));
    int64_t measured = run.dirt.first_uncleanable;
    keyed_cut(s, cut);
    if (run.dirt.first_uncleanable > log_end(s->log))
        run.dirt.first_uncleanable = log_end(s->log);
    keyed_compact_measured(s, &run);
    int64_t rc = wait_end(&s->lab, &run.wait);
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK_EQ(log_first_dirty(s->log), rc < 0 ? 0 : run.done.first_dirty);
    CHECK(log_first_dirty(s->log) <= log_end(s->log));
    s->started = 0;
    keyed_check(s);
    keyed_append(s, 30);
    keyed_until_stable(s);
    keyed_check(s);
    keyed_close(s, true);
    keyed_free(s);
    return measured;
}

TEST(log_compact, leaves_what_was_cut_since_it_was_measured)
{
    int64_t measured = 1;

    for (int64_t cut = 0; cut < measured; cut += 3)
        measured = compact_cut(cut);
}

/* The rate is kept: of reading and writing together. */
TEST(log_compact, keeps_to_its_rate)
{
    struct keyed_story *s = keyed_new(9);
    struct keyed_run run;

    keyed_open(s);
    tell_some(s, 40);
    CHECK(keyed_compact_begin(s, &run));
    run.how.bytes_per_second = 1000;
    int64_t began_ns = sim_now_ns(s->sim);
    CHECK_EQ(wait_end(&s->lab, &run.wait), 0);
    int64_t took_ns = sim_now_ns(s->sim) - began_ns;
    int64_t bytes = (int64_t)(run.done.counts.bytes_read + run.done.counts.bytes_kept);
    CHECK(took_ns > (bytes - 8192) * 1000000);
    CHECK(took_ns < bytes * 3 * 1000000);
    keyed_close(s, true);
    keyed_free(s);
}

/* The last bit of each byte of the first batches, but of their epoch, which says nothing here and which no checksum covers. */
static void damage_is_said(uint64_t at)
{
    struct keyed_story *s = keyed_new(11);
    struct keyed_run run;
    struct text file = {0};
    struct batch b = {0};
    uint64_t begin = 0;
    char expected[200];

    keyed_open(s);
    tell_some(s, 20);
    keyed_close(s, true);
    CHECK_EQ(sim_disk_get(s->node, FIRST_SEGMENT, &file), 0);
    for (uint64_t end = 0; end <= at; end += (uint64_t)b.bytes.n) {
        begin = end;
        CHECK(batch_read((struct bytes){(uint8_t *)file.p + begin, (int32_t)(file.n - begin)}, &b, NULL) > 0);
    }
    text_deinit(&file);
    if (at - begin < 12 || at - begin >= 16) {
        CHECK_EQ(sim_disk_rot(s->node, FIRST_SEGMENT, at), 0);
        keyed_open(s);
        CHECK(keyed_compact_begin(s, &run));
        CHECK(wait_end(&s->lab, &run.wait) < 0);
        if (at - begin < 8) /* an offset that may be right by itself: the next batch's is not then */
            snprintf(expected, sizeof(expected), FIRST_SEGMENT ", the batch at byte ");
        else
            snprintf(expected, sizeof(expected), FIRST_SEGMENT ", the batch at byte %llu: ", (unsigned long long)begin);
        if (strncmp(run.fail.text, expected, strlen(expected)) != 0)
            check_fail(__FILE__, __LINE__, "byte %llu: %s", (unsigned long long)at, run.fail.text);
        CHECK_EQ(log_first_dirty(s->log), 0);
        CHECK(!s->lab.dir->has_failed);
        keyed_check_names(s);
        keyed_close(s, true);
    }
    keyed_free(s);
}

/* Damage in a closed segment is said, with its place, and changes nothing. */
TEST(log_compact, says_where_a_log_is_damaged)
{
    for (uint64_t at = 0; at < 250; at++)
        damage_is_said(at);
}

/* What was cut away was never compacted; nor is what a log has lost. */
TEST(log_compact, is_dirty_from_where_it_was_cut)
{
    struct keyed_story *s = keyed_new(13);

    keyed_open(s);
    tell_some(s, 40);
    CHECK_EQ(keyed_compact(s, NULL), 0);
    int64_t cut = log_first_dirty(s->log) / 2;
    CHECK_EQ(WAIT(&s->lab, log_truncate(s->log, cut, op)), 0);
    CHECK(log_first_dirty(s->log) <= cut);
    CHECK_EQ(WAIT(&s->lab, log_restart_at(s->log, 7, op)), 0);
    CHECK_EQ(log_first_dirty(s->log), 7);
    keyed_close(s, true);
    keyed_free(s);
}

/* min.compaction.lag.ms, the last stable offset, and the segment that is written to. */
TEST(log_dirt, ends_where_it_may)
{
    struct keyed_story *s = keyed_new(15);
    struct log_dirt dirt;

    keyed_open(s);
    tell_some(s, 40);
    int64_t active = log_end(s->log);
    struct log_dirt_rules rules = {
        .stable_end = active, .wall_ms = 10000 + active + 1000, .since = true};
    CHECK_EQ(WAIT(&s->lab, log_measure_dirt(s->log, &rules, &dirt, op)), 0);
    CHECK_EQ(dirt.first_dirty, 0);
    CHECK(dirt.first_uncleanable < active);
    CHECK_EQ(dirt.clean_bytes, 0);
    CHECK(dirt.cleanable_bytes < log_size_bytes(s->log));
    CHECK(dirt.dirty_since_ms >= 10000 && dirt.dirty_since_ms < 10010);
    int64_t all = dirt.first_uncleanable;

    rules.lag_min_ms = 1000 + active / 2; /* the newer half is too young */
    CHECK_EQ(WAIT(&s->lab, log_measure_dirt(s->log, &rules, &dirt, op)), 0);
    CHECK(dirt.first_uncleanable <= active / 2 + 1);
    CHECK(dirt.first_uncleanable > 0);
    rules.lag_min_ms = 0;
    rules.stable_end = active / 3;
    CHECK_EQ(WAIT(&s->lab, log_measure_dirt(s->log, &rules, &dirt, op)), 0);
    CHECK(dirt.first_uncleanable <= active / 3);
    CHECK(dirt.first_uncleanable > 0);
    CHECK(dirt.first_uncleanable < all);
    keyed_close(s, true);
    keyed_open(s); /* nobody knows the times any more: they are read */
    rules.stable_end = active;
    rules.since = true;
    CHECK_EQ(WAIT(&s->lab, log_measure_dirt(s->log, &rules, &dirt, op)), 0);
    CHECK(dirt.dirty_since_ms >= 10000 && dirt.dirty_since_ms < 10010);
    keyed_close(s, true);
    keyed_free(s);
}
