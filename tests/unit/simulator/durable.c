/* Durable writes: what a power cut may do to them, and to what stands beside them. */
#include "lab.h"

#include <stdlib.h>

#define SEEDS 300
#define BLOCK IO_ALIGN_BYTES
#define BYTES (8 * BLOCK)

/* How many bytes of the content are each letter; '\0' counts as '0'. */
struct tally {
    uint32_t of[128];
};

static struct tally tally(const struct text *t, size_t from, size_t to)
{
    struct tally result = {{0}};

    CHECK(to <= t->n);
    for (size_t i = from; i < to; i++)
        result.of[t->p[i] == '\0' ? '0' : t->p[i] & 127]++;
    return result;
}

/* A file of synced 'd'. */
static struct io_file *old_file(struct lab *l)
{
    struct io_file *file = lab_file(l, "/f", IO_WRITE | IO_CREATE);

    CHECK_EQ(lab_fill(l, file, 0, 'd', BYTES), BYTES);
    CHECK_EQ(DO(l->sim, io_sync(file, op)), 0);
    CHECK_EQ(DO(l->sim, io_sync_dir(l->io, "/", op)), 0);
    return file;
}

/* Around it everything is written and nothing synced. */
static struct text cut_after_durable(uint64_t seed, uint32_t at, uint32_t n)
{
    struct lab l = lab_open(seed, NULL);
    struct io_file *file = old_file(&l);
    struct text left;

    CHECK_EQ(lab_fill(&l, file, 0, 'n', BYTES), BYTES);
    CHECK_EQ(lab_fill_durable(&l, file, at, 'w', n), n);
    CHECK_EQ(lab_fill(&l, file, BYTES, 'n', BYTES), BYTES);
    sim_node_power_cut(l.node);
    left = lab_content(&l, "/f");
    sim_free(l.sim);
    return left;
}

TEST(write_durable, survives_when_it_has_completed)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint32_t at = seed % 2 == 0 ? 2 * BLOCK : 5000;
        uint32_t n = seed % 2 == 0 ? 3 * BLOCK : 9001;
        struct text left = cut_after_durable(seed, at, n);
        CHECK(left.n >= BYTES);
        CHECK_EQ(tally(&left, at, at + n).of['w'], n);
        CHECK_EQ(tally(&left, 0, left.n).of['w'], n);
        text_deinit(&left);
    }
}

TEST(write_durable, leaves_the_bytes_beside_it_as_they_were)
{
    uint32_t lost = 0, kept = 0, same_page = 0, shorter = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct text left = cut_after_durable(seed, 5000, 9000);
        struct tally before = tally(&left, 0, 5000);
        CHECK_EQ(before.of['d'] + before.of['n'], 5000);
        lost += before.of['n'] == 0;
        kept += before.of['d'] == 0;
        same_page += tally(&left, BLOCK, 5000).of['d'] > 0;
        shorter += left.n < 2 * BYTES;
        text_deinit(&left);
    }
    CHECK(lost > 20);
    CHECK(kept > 20);
    CHECK(same_page > 20);
    CHECK(shorter > 20);
}

/* ---- in flight --------------------------------------------------------------------------- */

struct outcomes {
    uint32_t none, all, some, sector_torn;
};

/* 'w' over 'd': each sector is the one or the other. */
static void note_outcome(struct outcomes *o, struct lab *l)
{
    struct text left = lab_content(l, "/f");
    struct tally t = tally(&left, 0, left.n);

    CHECK_EQ(left.n, BYTES);
    CHECK_EQ(t.of['w'] + t.of['d'], BYTES);
    o->none += t.of['w'] == 0;
    o->all += t.of['d'] == 0;
    o->some += t.of['w'] != 0 && t.of['d'] != 0;
    for (size_t i = 0; i < BYTES; i += 512)
        o->sector_torn += i % BLOCK != 0 && left.p[i] != left.p[i - 1];
    text_deinit(&left);
}

TEST(write_durable, may_be_torn_while_it_is_in_flight)
{
    struct outcomes now = {0}, at_io = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static uint8_t bytes[BYTES];
        struct bytes piece = {memset(bytes, 'w', BYTES), BYTES};
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = old_file(&l);
        struct call write;
        if (seed % 2 == 0)
            sim_crash_at_io(l.node, 1, SIM_CRASH_POWER | SIM_CRASH_AFTER);
        io_write_durable(file, 0, &piece, 1, call_begin(&write));
        if (seed % 2 == 1)
            sim_node_power_cut(l.node);
        CHECK(call_wait(l.sim, &write) != BYTES || seed % 2 == 1);
        note_outcome(seed % 2 == 0 ? &at_io : &now, &l);
        sim_free(l.sim);
    }
    CHECK(now.none > 5 && now.all > 5 && now.some > 5 && now.sector_torn > 5);
    CHECK(at_io.none > 5 && at_io.all > 5 && at_io.some > 5 && at_io.sector_torn > 5);
}

/* The process ends in it, and nothing has failed: what the file has then, a sync makes durable. */
TEST(write_durable, that_a_kill_cuts_off_can_be_synced)
{
    struct outcomes after_kill = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static uint8_t bytes[BYTES];
        struct bytes piece = {memset(bytes, 'w', BYTES), BYTES};
        struct lab l = lab_open(seed, NULL);
        struct call write;
        io_write_durable(old_file(&l), 0, &piece, 1, call_begin(&write));
        sim_node_kill(l.node);
        (void)call_wait(l.sim, &write);
        note_outcome(&after_kill, &l);
        struct text before = lab_content(&l, "/f");
        lab_restart(&l);
        CHECK_EQ(DO(l.sim, io_sync(lab_file(&l, "/f", IO_WRITE), op)), 0);
        sim_node_power_cut(l.node);
        struct text left = lab_content(&l, "/f");
        CHECK_BYTES(left.p, left.n, before.p, before.n);
        text_deinit(&before);
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(after_kill.none > 5 && after_kill.all > 5 && after_kill.some > 5);
}

/* A kill loses nothing that has completed, durable or only past the page cache. */
TEST(write_direct, is_in_the_disk_after_a_kill_and_perhaps_not_after_a_cut)
{
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *plain = old_file(&l), *file = lab_file(&l, "/f", IO_WRITE | IO_DIRECT);
        struct text left;
        CHECK(io_file_is_direct(file));
        CHECK_EQ(lab_fill(&l, file, 0, 'w', BYTES), BYTES);
        CHECK_EQ(DO(l.sim, io_size(plain, op)), BYTES);
        if (seed % 2 == 0)
            sim_node_kill(l.node);
        else
            sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        if (seed % 2 == 0)
            CHECK_EQ(tally(&left, 0, left.n).of['w'], BYTES);
        lost += tally(&left, 0, left.n).of['w'] == 0;
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 5);
}

/* ---- sizes ------------------------------------------------------------------------------- */

TEST(write_durable, makes_the_size_durable_that_it_needs)
{
    uint32_t cut = 0, grown = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct text left;
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(DO(l.sim, io_allocate(file, 0, BYTES, op)), 0);
        CHECK_EQ(lab_fill_durable(&l, file, BLOCK, 'a', BLOCK), BLOCK);
        CHECK_EQ(lab_fill_durable(&l, file, 0, 'b', 100), 100);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(tally(&left, 0, 2 * BLOCK).of['a'], BLOCK);
        CHECK_EQ(tally(&left, 0, left.n).of['b'], 100);
        cut += left.n < BYTES;
        grown += left.n == BYTES;
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(cut > 5);
    CHECK(grown > 5);
}

/* The sync was started when the file was shorter, and ends later. */
TEST(write_durable, outlives_a_sync_that_was_started_before_it)
{
    uint32_t within = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct call sync;
        struct text left;
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(lab_fill(&l, file, 0, 'a', 1000), 1000);
        io_sync(file, call_begin(&sync));
        CHECK_EQ(lab_fill_durable(&l, file, 500, 'b', 2 * BLOCK), 2 * BLOCK);
        within += !sync.over;
        CHECK_EQ(call_wait(l.sim, &sync), 0);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(left.n, 500 + 2 * BLOCK);
        CHECK_EQ(tally(&left, 0, 500).of['a'], 500);
        CHECK_EQ(tally(&left, 500, left.n).of['b'], 2 * BLOCK);
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(within > 20);
}

/* Nothing older survives in its place, not even what a sync in flight was about to write. */
TEST(write_durable, survives_a_cut_with_a_sync_in_flight)
{
    uint32_t within = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = old_file(&l);
        struct call sync;
        struct text left;
        CHECK_EQ(lab_fill(&l, file, 0, 'n', BLOCK), BLOCK);
        io_sync(file, call_begin(&sync));
        CHECK_EQ(lab_fill_durable(&l, file, 100, 'w', 1000), 1000);
        within += !sync.over;
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(tally(&left, 100, 1100).of['w'], 1000);
        CHECK_EQ(tally(&left, 0, BYTES).of['w'], 1000);
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(within > 20);
}

/* Behind a truncation nobody has synced: the new bytes are there, the old ones are gone. */
TEST(write_durable, never_shows_what_was_cut_off_before_it)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = old_file(&l);
        struct text left;
        CHECK_EQ(DO(l.sim, io_truncate(file, 5000, op)), 0);
        CHECK_EQ(lab_fill_durable(&l, file, 2 * BLOCK, 'w', BLOCK), BLOCK);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(left.n, 3 * BLOCK);
        CHECK_EQ(tally(&left, 0, 5000).of['d'], 5000);
        CHECK_EQ(tally(&left, 5000, 2 * BLOCK).of['0'], 2 * BLOCK - 5000);
        CHECK_EQ(tally(&left, 2 * BLOCK, 3 * BLOCK).of['w'], BLOCK);
        text_deinit(&left);
        sim_free(l.sim);
    }
}

/* ---- faults ------------------------------------------------------------------------------ */

TEST(write_durable, that_fails_may_lose_for_ever)
{
    uint32_t lost = 0, kept = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = old_file(&l);
        struct text left;
        sim_fail_at(l.node, 1, -EIO);
        CHECK_EQ(lab_fill_durable(&l, file, 0, 'w', BYTES), -EIO);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), 0); /* says so, but some pages are not tried */
        sim_node_power_cut(l.node);
        CHECK_EQ(sim_node_counters(l.node)->failed[SIM_WRITE_DURABLE], 1);
        left = lab_content(&l, "/f");
        lost += tally(&left, 0, BYTES).of['d'] == BYTES;
        kept += tally(&left, 0, BYTES).of['w'] > BYTES / 2;
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 10);
    CHECK(kept > 10);
}

TEST(write_durable, that_lies_is_counted)
{
    struct sim_options options = {.lying_sync_ppm = 1000000};
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct lab l = lab_open(seed, &options);
        struct io_file *file;
        struct text left;
        CHECK_EQ(sim_disk_put(l.node, "/f", bytes_of_str(STR("old!"))), 0);
        file = lab_file(&l, "/f", IO_WRITE);
        CHECK_EQ(lab_fill_durable(&l, file, 0, 'w', 4), 4);
        CHECK_EQ(sim_node_counters(l.node)->lying_syncs, 1);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        lost += str_equal(text_str(&left), STR("old!"));
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 10);
}

TEST(write_direct, a_world_without_it_says_so)
{
    struct sim_options options = {.no_direct = true};
    struct lab l = lab_open(1, &options);
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE | IO_DIRECT);

    CHECK(!io_file_is_direct(file));
    CHECK_ASSERTS(lab_fill(&l, file, 1, 'x', 1)); /* I6 holds all the same */
    sim_free(l.sim);
}
