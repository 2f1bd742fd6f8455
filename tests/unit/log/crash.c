/* Power cuts and kills at every change of the disk, in the simulator: what was acknowledged is
 * there afterwards, byte for byte, and the states beside the log say what its batches say. */

#include "check.h"
#include "crash_case.h"
#include "crash_story.h"
#include "sides.h"

/* ---- stories ------------------------------------------------------------------------------- */

static void tell_first_part(struct story *s)
{
    story_open(s);
    story_begin_epoch(s, 1);
    for (int i = 0; i < 6; i++)
        story_append(s, 1, 1, 0);
    story_until_stable(s);
    for (int i = 0; i < 12 && s->scale > SMALL; i++) { /* as many drains: then also a relaxed log goes direct */
        story_append(s, 1, 1, 0);
        story_until_stable(s);
    }
    for (int i = 0; i < 10; i++)
        story_append(s, i % 2, 1, 0);
    story_flush(s);
    story_begin_epoch(s, 2);
    story_append(s, 2, 2, 0);
    story_append(s, 1, 2, 0);
    story_append(s, 2, 2, 0);
    story_append(s, 2, 2, 2);
    story_until_stable(s);
    story_save_checkpoints(s);
}

static void tell_second_part(struct story *s)
{
    story_append(s, 2, 4, 0);
    for (int i = 0; i < 8; i++)
        story_append(s, 0, 4, 0);
    story_until_stable(s);
    story_truncate(s, 6);
    for (int i = 0; i < 5; i++)
        story_append(s, 1, 5, 0);
    story_until_stable(s);
    if (s->log != NULL && story_is_up(s))
        story_raise_start(s, s->entries[8].base);
    story_append(s, 1, 5, 0);
    story_retain(s, 1500);
    story_append(s, 1, 5, 0);
    story_until_stable(s);
    story_retain(s, 0);
    story_append(s, 1, 5, 0);
    story_append(s, 0, 5, 0);
    story_until_stable(s);
    story_close(s, true);
}

static void tell_last_part(struct story *s)
{
    story_open(s);
    if (story_is_up(s)) {
        CHECK(s->log != NULL);
        story_check(s);
    }
    for (int i = 0; i < 4; i++)
        story_append(s, 1, 6, 0);
    story_until_stable(s);
    story_close(s, true);
}

static void tell(struct story *s)
{
    tell_first_part(s);
    tell_second_part(s);
    tell_last_part(s);
}

static void check_after_crash(struct story *s)
{
    if (s->lab.dir == NULL || s->log == NULL)
        check_fail(__FILE__, __LINE__, "%s", s->lab.fail.text);
    story_check(s);
    story_adopt(s);
    /* it goes on as ever, and a clean stop and start find the same */
    for (int i = 0; i < 5; i++)
        story_append(s, i % 2, 7, 0);
    story_until_stable(s);
    story_close(s, true);
    (void)check_sides(s->node, "/data/t-0/");
    story_open(s);
    CHECK(s->lab.dir->clean);
    CHECK(s->log != NULL);
    story_check(s);
    story_close(s, true);
}

/* Each change of the disk is in turn the last one; where much is written, every other one, those before which and those
 * after which power goes. Returns how many there are. */
static uint32_t crash_everywhere(bool durable, uint32_t scale, uint32_t how, uint64_t seed_step, bool twice,
                                 uint64_t point_bytes)
{
    uint32_t from = scale > SMALL && (how & AFTER) ? 2 : 1;

    for (uint32_t n = crash_first(from);; n += scale > SMALL ? 2 : 1) {
        struct story *s = story_new(n * seed_step + how, durable, scale);

        s->started = 0;
        s->point_bytes = point_bytes;
        s->loses_points = point_bytes == 0;
        s->forgets = !durable && (how & POWER) != 0;
        if (point_bytes > 0) /* so that points lie inside of segments */
            s->lab.settings.segment_bytes = 3000;
        sim_crash_at_io(s->node, n, how);
        tell(s);
        bool crashed = !story_is_up(s);
        crash_says(n);
        if (crashed) {
            story_check_epochs(s);
            if (s->forgets)
                s->acknowledged = 0;
            story_close(s, false);
            if (twice) { /* and the recovery does not get to its end either */
                story_lose_points(s);
                lab_deinit(&s->lab);
                story_restart(s);
                sim_crash_at_io(s->node, 1 + n % 12, how);
                story_open(s);
                if (story_is_up(s) && s->log != NULL)
                    story_adopt(s);
                sim_crash_at_io(s->node, 0, how);
                story_close(s, false);
                if (story_is_up(s))
                    sim_node_power_cut(s->node);
            }
            story_open_after_crash(s);
            check_after_crash(s);
        }
        story_free(s);
        if (!crashed)
            return n - 1;
    }
}

/* The log is cut inside of its first segment and grows again, beyond the recovery point that the checkpoint has from
 * before. */
static void tell_of_an_old_checkpoint(struct story *s)
{
    story_open(s);
    story_begin_epoch(s, 1);
    for (int i = 0; i < 20; i++)
        story_append(s, 1, 1, 0);
    story_flush(s);
    story_save_checkpoints(s);
    story_truncate(s, 14);
    for (int i = 0; i < 24; i++)
        story_append(s, i < 8 ? 2 : 1, 1, i == 2 || i == 5 ? 2 : 0);
    story_until_stable(s);
}

static void crash_with_an_old_checkpoint(uint64_t seed_step, bool durable, uint32_t how)
{
    bool crashed = true;

    for (uint32_t n = crash_first(1); crashed; n++) {
        struct story *s = story_new(n * seed_step, durable, SMALL);
        s->saves_late = true;
        s->lab.settings.segment_bytes = 3000;
        sim_crash_at_io(s->node, n, how);
        tell_of_an_old_checkpoint(s);
        crashed = !story_is_up(s);
        CHECK(crashed || n > 50);
        if (crashed) {
            story_close(s, false);
            story_open_after_crash(s);
            check_after_crash(s);
        } else {
            story_close(s, true);
        }
        story_free(s);
    }
}

TEST(log_crash, an_old_checkpoint_is_not_believed)
{
    crash_with_an_old_checkpoint(1, true, POWER);
    crash_with_an_old_checkpoint(2, true, KILL);
    crash_with_an_old_checkpoint(3, false, KILL | AFTER);
}

TEST(log_crash, the_story_without_a_crash)
{
    struct story *s = story_new(1, true, SMALL);

    tell(s);
    story_open(s);
    CHECK(s->log != NULL);
    story_check(s);
    story_close(s, true);
    story_free(s);
}

TEST(log_crash, power_cut_before_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 1, false, 0) > 100);
}

TEST(log_crash, power_cut_after_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER | AFTER, 3, false, 0) > 100);
}

TEST(log_crash, kill_before_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, KILL, 5, false, 0) > 80);
}

/* It may lose its end, but never the end of a segment before the last, or all of one: that would be a hole. */
TEST(log_crash, power_cut_before_each_change_of_a_relaxed_log)
{
    for (uint64_t step = 2; step < 9; step += 2)
        CHECK(crash_everywhere(false, SMALL, POWER, step, false, 0) > 80);
}

TEST(log_crash, power_cut_after_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, POWER | AFTER, 7, false, 0) > 80);
}

TEST(log_crash, power_cut_in_the_recovery_too)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 7, true, 0) > 100);
}

TEST(log_crash, power_cut_before_each_change_of_direct_drains)
{
    CHECK(crash_everywhere(true, LARGE, POWER, 11, false, 0) > 100);
}

TEST(log_crash, power_cut_after_each_change_of_direct_drains)
{
    CHECK(crash_everywhere(true, LARGE, POWER | AFTER, 13, false, 0) > 100);
}

TEST(log_crash, kill_after_each_change_of_a_relaxed_log_that_drains_directly)
{
    CHECK(crash_everywhere(false, LARGE, KILL | AFTER, 17, false, 0) > 100);
}

/* ---- the same while scan points move: they are believed, and what is below them is not read again --------------- */

#define OFTEN 200

TEST(log_points, power_cut_before_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 11, false, OFTEN) > 200);
}

TEST(log_points, power_cut_after_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, POWER | AFTER, 13, false, OFTEN) > 200);
}

TEST(log_points, kill_before_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, KILL, 17, false, OFTEN) > 200);
}

TEST(log_points, power_cut_in_the_recovery_too)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 19, true, OFTEN) > 200);
}

TEST(log_points, power_cut_of_a_relaxed_log_in_the_recovery_too)
{
    CHECK(crash_everywhere(false, SMALL, POWER, 23, true, OFTEN) > 200);
}
