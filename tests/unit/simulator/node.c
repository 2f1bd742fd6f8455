/* Processes: their ends, their afterlife, their clocks; crash points and fault sweeps. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- afterlife -------------------------------------------------------------------------- */

static void count_fire(struct io_timer *t)
{
    t->fire = NULL;
}

/* Everything that touches the world is canceled, so that the owner can free its things. */
TEST(afterlife, cancels_what_touches_the_world_and_keeps_the_rest)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct io_file *other = NULL;
        struct io_timer timer = {.fire = NULL};
        struct call write, yield, close;
        struct bytes piece = {(const uint8_t *)"x", 1};
        io_write(file, 0, &piece, 1, call_begin(&write));
        io_complete(l.io, call_begin(&yield), 7);
        if (seed % 2 == 0)
            sim_node_kill(l.node);
        else
            sim_node_power_cut(l.node);
        CHECK(!sim_node_is_up(l.node));
        CHECK(!write.over); /* never inside a call */
        CHECK_EQ(call_wait(l.sim, &write), -ECANCELED);
        CHECK_EQ(call_wait(l.sim, &yield), 7);
        CHECK_EQ(DO(l.sim, io_open(l.io, "/g", IO_WRITE | IO_CREATE, &other, op)), -ECANCELED);
        CHECK(other == NULL);
        io_timer_set(l.io, &timer, io_now_ns(l.io) + SEC, count_fire);
        io_close(file, call_begin(&close));
        CHECK_EQ(call_wait(l.sim, &close), 0);
        while (timer.fire != NULL)
            CHECK(sim_step(l.sim));
        CHECK_EQ(sim_node_in_flight(l.node), 0);
        sim_free(l.sim);
    }
}

/* The old process is torn down while the new one runs already. */
TEST(afterlife, goes_on_beside_the_next_process)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *old_file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct io_file *new_file;

    CHECK_EQ(DO(l.sim, io_lock(old_file, op)), 0);
    sim_node_kill(l.node);
    lab_restart(&l);
    new_file = lab_file(&l, "/f", IO_WRITE);
    CHECK_EQ(DO(l.sim, io_lock(new_file, op)), 0); /* a dead process holds no lock */
    CHECK_EQ(lab_fill(&l, old_file, 0, 'x', 100), -ECANCELED);
    CHECK_EQ(DO(l.sim, io_close(old_file, op)), 0);
    CHECK_EQ(DO(l.sim, io_size(new_file, op)), 0);
    sim_free(l.sim);
}

static void never_done(struct op *op, int64_t result)
{
    UNREACHABLE("a forgotten operation completed");
}

static void never_fire(struct io_timer *t)
{
    UNREACHABLE("a forgotten timer fired");
}

TEST(forget, delivers_nothing_any_more)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct op ops[3];
    struct io_timer timers[50] = {{.fire = NULL}};

    for (size_t i = 0; i < array_count(ops); i++)
        op_init(&ops[i], never_done);
    for (size_t i = 0; i < array_count(timers); i++)
        io_timer_set(l.io, &timers[i], (int64_t)(i * 7919 % 50) * MS + SEC, never_fire);
    io_sync(file, &ops[0]);
    io_yield(l.io, &ops[1]);
    io_open(l.io, "/g", IO_READ, &file, &ops[2]);
    sim_node_kill(l.node);
    sim_node_forget(l.node);
    sim_run_until(l.sim, 100 * SEC);
    CHECK_EQ(sim_node_in_flight(l.node), 0);
    lab_restart(&l);
    CHECK_EQ(DO(l.sim, io_yield(l.io, op)), 0);
    sim_free(l.sim);
}

/* ---- crash points and sweeps ------------------------------------------------------------ */

/* Replace a file as a careful program does. Stops at the first trouble. */
static int64_t replace(struct lab *l, const char *content)
{
    struct io_file *file;
    struct bytes piece = bytes_of_str(str_of(content));
    uint32_t flags = IO_WRITE | IO_CREATE | IO_TRUNCATE;
    int64_t result = DO(l->sim, io_open(l->io, "/d/f.tmp", flags, &file, op));

    if (result < 0)
        return result;
    result = DO(l->sim, io_write(file, 0, &piece, 1, op));
    if (result >= 0)
        result = DO(l->sim, io_sync(file, op));
    (void)DO(l->sim, io_close(file, op));
    if (result >= 0)
        result = DO(l->sim, io_rename(l->io, "/d/f.tmp", "/d/f", op));
    if (result >= 0)
        result = DO(l->sim, io_sync_dir(l->io, "/d", op));
    return result;
}

#define OLD "old content"
#define NEW "content that is new"

/* Power cut before and after each change, over seeds: the old or the new, and the new for sure
 * once it was said. */
TEST(crash_at_io, sweeps_a_replacement)
{
    uint32_t points = 0, old = 0, new = 0, acknowledged = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        for (uint64_t n = 1; n <= 12; n++) {
            struct lab l = lab_open(seed, NULL);
            struct text left;
            int64_t result;
            uint32_t how = seed % 3 == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER;
            CHECK_EQ(sim_disk_put(l.node, "/d/f", bytes_of_str(STR(OLD))), 0);
            sim_crash_at_io(l.node, (n + 1) / 2, how | (n % 2 ? 0 : SIM_CRASH_AFTER));
            result = replace(&l, NEW);
            points += !sim_node_is_up(l.node);
            left = lab_content(&l, "/d/f");
            if (result >= 0) {
                acknowledged++;
                CHECK_TEXT(text_str(&left), NEW);
            }
            old += str_equal(text_str(&left), STR(OLD));
            new += str_equal(text_str(&left), STR(NEW));
            text_deinit(&left);
            sim_free(l.sim);
        }
    }
    CHECK_EQ(old + new, 40 * 12);
    CHECK_EQ(points, 40 * 10); /* open, write, sync, rename, sync_dir; before and after each */
    CHECK_EQ(acknowledged, 40 * 2);
    CHECK(old > 0);
    CHECK(new > acknowledged);
}

TEST(fail_at, fails_each_call_once)
{
    uint32_t failed = 0;

    for (uint64_t n = 1; n <= 8; n++) {
        struct lab l = lab_open(n, NULL);
        struct text left;
        CHECK_EQ(sim_disk_put(l.node, "/d/f", bytes_of_str(STR(OLD))), 0);
        sim_fail_at(l.node, n, -ENOSPC);
        int64_t result = replace(&l, NEW);
        uint64_t close_is_fourth = n == 4; /* whose trouble is not looked at */
        CHECK_EQ(result, n <= 6 && !close_is_fourth ? -ENOSPC : 0);
        failed += result < 0;
        left = lab_content(&l, "/d/f");
        CHECK_TEXT(text_str(&left), n <= 5 && !close_is_fourth ? OLD : NEW);
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK_EQ(failed, 5);
}

/* What lies in it, also what was open before; not what only has a name that begins alike. */
TEST(fail_in, fails_all_that_is_done_in_one_directory)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *file, *inside, *beside;

    for (int i = 0; i < 2; i++)
        CHECK_EQ(sim_disk_mkdir(l.node, i == 0 ? "/d" : "/dd"), 0);
    inside = lab_file(&l, "/d/f", IO_WRITE | IO_CREATE);
    beside = lab_file(&l, "/dd/f", IO_WRITE | IO_CREATE);
    sim_fail_in(l.node, "/d");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(DO(l.sim, io_sync(inside, op)), -EIO);
    CHECK_EQ(DO(l.sim, io_open(l.io, "/d/g", IO_WRITE | IO_CREATE, &file, op)), -EIO);
    CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/d", op)), -EIO);
    CHECK_EQ(DO(l.sim, io_sync(beside, op)), 0);
    CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/dd", op)), 0);
    sim_fail_in(l.node, NULL);
    CHECK_EQ(DO(l.sim, io_sync(inside, op)), 0);
    CHECK_EQ(DO(l.sim, io_close(inside, op)), 0);
    CHECK_EQ(DO(l.sim, io_close(beside, op)), 0);
    sim_free(l.sim);
}

TEST(disk, can_be_full)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct io_space space;

    sim_disk_limit(l.node, 8 * 4096);
    CHECK_EQ(DO(l.sim, io_allocate(file, 0, 9 * 4096, op)), -ENOSPC);
    CHECK_EQ(DO(l.sim, io_allocate(file, 0, 6 * 4096, op)), 0);
    CHECK_EQ(lab_fill(&l, file, 0, 'x', 6 * 4096), 6 * 4096); /* it is reserved */
    CHECK_EQ(DO(l.sim, io_space(l.io, "/", &space, op)), 0);
    CHECK_EQ(space.free_bytes, 2 * 4096);
    CHECK_EQ(space.total_bytes, 8 * 4096);
    CHECK_EQ(lab_fill(&l, file, 6 * 4096, 'x', 3 * 4096), -ENOSPC);
    CHECK_EQ(DO(l.sim, io_truncate(file, 0, op)), 0);
    CHECK_EQ(DO(l.sim, io_sync(file, op)), 0);
    CHECK_EQ(DO(l.sim, io_space(l.io, "/", &space, op)), 0);
    CHECK_EQ(space.free_bytes, 8 * 4096);
    CHECK_EQ(DO(l.sim, io_close(file, op)), 0);
    sim_free(l.sim);
}

TEST(disk, can_be_slow_and_can_rot)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct text left;
    int64_t began_ns;

    sim_disk_slow(l.node, 1000, 10 * SEC);
    began_ns = sim_now_ns(l.sim);
    CHECK_EQ(lab_fill(&l, file, 0, 'x', 10), 10);
    CHECK(sim_now_ns(l.sim) - began_ns >= 8 * MS);
    CHECK_EQ(sim_disk_rot(l.node, "/f", 3), 0);
    CHECK_EQ(sim_disk_rot(l.node, "/f", 10), -EINVAL);
    left = lab_content(&l, "/f");
    CHECK_TEXT(text_str(&left), "xxxyxxxxxx");
    text_deinit(&left);
    sim_free(l.sim);
}

TEST(disk, refuses_what_the_modes_forbid)
{
    struct lab l = lab_open(1, NULL);
    struct io_file *file = NULL;

    CHECK_EQ(sim_disk_mkdir(l.node, "/d"), 0);
    CHECK_EQ(DO(l.sim, io_chmod(l.io, "/d", 0555, op)), 0);
    CHECK_EQ(DO(l.sim, io_open(l.io, "/d/f", IO_WRITE | IO_CREATE, &file, op)), -EACCES);
    CHECK_EQ(DO(l.sim, io_mkdir(l.io, "/d/e", op)), -EACCES);
    CHECK(file == NULL);
    sim_free(l.sim);
}

/* ---- clocks, watching ------------------------------------------------------------------- */

TEST(clock, monotonic_starts_anew_with_a_process_and_wall_is_off)
{
    struct lab l = lab_open(1, NULL);
    int64_t wall_ms = io_wall_ms(l.io);
    bool jumped = false;

    sim_run_until(l.sim, 10 * SEC);
    CHECK_EQ(io_now_ns(l.io), 10 * SEC);
    CHECK_EQ(io_wall_ms(l.io), wall_ms + 10000);
    sim_node_wall(l.node, -5000, 100);
    CHECK_EQ(io_wall_ms(l.io), wall_ms + 5000);
    sim_run_until(l.sim, 110 * SEC);
    CHECK_EQ(io_wall_ms(l.io), wall_ms + 105010); /* 100 ppm of 100 s */
    for (int i = 0; i < 8; i++) {
        sim_node_kill(l.node);
        lab_restart(&l);
        CHECK(io_now_ns(l.io) >= 0);
        jumped = jumped || io_now_ns(l.io) > 110 * SEC;
    }
    CHECK(jumped);
    sim_free(l.sim);
}

/* A timer of the process is late, also what completes meanwhile; a process that starts anew is not held up. */
TEST(pause, holds_up_the_process_and_not_the_next_one)
{
    struct lab l = lab_open(1, NULL);
    struct call call;

    io_yield(l.io, call_begin(&call));
    sim_node_pause(l.node, 2 * SEC);
    sim_node_pause(l.node, SEC);
    sim_run_until(l.sim, 2 * SEC - 1);
    CHECK(!call.over);
    sim_run_until(l.sim, 3 * SEC);
    CHECK(call.over);

    sim_node_pause(l.node, 10 * SEC);
    sim_node_kill(l.node);
    lab_restart(&l);
    io_yield(l.io, call_begin(&call));
    sim_run_until(l.sim, 4 * SEC);
    CHECK(call.over);
    sim_free(l.sim);
}

static void note_down(struct sim_node *node, void *arg)
{
    ++*(uint32_t *)arg;
    sim_node_start(node, 1);
}

TEST(watch, hears_of_each_end)
{
    struct lab l = lab_open(1, NULL);
    uint32_t downs = 0;

    sim_node_watch(l.node, note_down, &downs);
    sim_node_kill(l.node);
    CHECK_EQ(downs, 0);
    sim_run_until(l.sim, SEC);
    CHECK_EQ(downs, 1);
    CHECK(sim_node_is_up(l.node));
    sim_node_power_cut(l.node);
    sim_run_until(l.sim, 2 * SEC);
    CHECK_EQ(downs, 2);
    sim_free(l.sim);
}

TEST(assertion, prints_the_seed)
{
    struct sim_options options = {.replay = "run it again"};
    struct sim *sim = sim_new(424242, &options);
    char text[400] = "";
    FILE *out = tmpfile();
    FILE *kept = stderr;

    CHECK(out != NULL);
    CHECK(assert_hook != NULL);
    stderr = out;
    assert_hook();
    stderr = kept;
    rewind(out);
    CHECK(fread(text, 1, sizeof(text) - 1, out) > 0);
    CHECK(strstr(text, "seed 424242") != NULL);
    CHECK(strstr(text, "run it again") != NULL);
    fclose(out);
    sim_free(sim);
    CHECK(assert_hook == NULL);
}
