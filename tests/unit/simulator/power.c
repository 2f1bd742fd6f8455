/* What a power cut may do, and what it never does. */
#include "lab.h"

#include <stdlib.h>

#define SEEDS 400

/* ---- content ---------------------------------------------------------------------------- */

/* 16 KiB of 'd' are synced, then 16 KiB of 'n' are written over them and behind them. Returns
 * what is left after the cut. */
static struct text cut_after_overwrite(uint64_t seed, struct sim_counters *sum)
{
    struct lab l = lab_open(seed, NULL);
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct text left;

    CHECK_EQ(lab_fill(&l, file, 0, 'd', 16384), 16384);
    CHECK_EQ(DO(l.sim, io_sync(file, op)), 0);
    CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
    CHECK_EQ(lab_fill(&l, file, 8192, 'n', 16384), 16384);
    sim_node_power_cut(l.node);
    left = lab_content(&l, "/f");
    sum->files_kept += sim_node_counters(l.node)->files_kept;
    sum->files_lost += sim_node_counters(l.node)->files_lost;
    sum->files_torn += sim_node_counters(l.node)->files_torn;
    sum->sizes_lost += sim_node_counters(l.node)->sizes_lost;
    sim_free(l.sim);
    return left;
}

/* How the bytes [from, to) look: 'd', 'n', '0', or '*' for a mixture. */
static char look(const struct text *t, size_t from, size_t to)
{
    char c = t->p[from];

    for (size_t i = from; i < to && i < t->n; i++) {
        if (t->p[i] != c)
            return '*';
    }
    return c == '\0' ? '0' : c;
}

TEST(power_cut, keeps_what_was_synced)
{
    struct sim_counters sum = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct text left = cut_after_overwrite(seed, &sum);
        CHECK(left.n >= 16384);
        CHECK(left.n <= 24576);
        CHECK_EQ(look(&left, 0, 8192), 'd');
        for (size_t i = 8192; i < left.n; i += 512) {
            char c = look(&left, i, i + 512);
            CHECK(c == 'n' || (i < 16384 ? c == 'd' : c == '0'));
        }
        text_deinit(&left);
    }
}

/* Each way to lose data is met, or the simulator proves less than it says. */
TEST(power_cut, reaches_every_kind_of_loss)
{
    enum {
        ALL_KEPT,
        ALL_LOST,
        SECTOR_TORN,
        LATER_ONLY,
        EARLIER_ONLY,
        SIZE_SHORT,
        SIZE_ODD,
        HOLE_OF_ZEROS,
        KINDS
    };
    uint32_t seen[KINDS] = {0};
    struct sim_counters sum = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct text left = cut_after_overwrite(seed, &sum);
        char pages[4] = {look(&left, 8192, 12288), look(&left, 12288, 16384), '-', '-'};
        if (left.n >= 20480)
            pages[2] = look(&left, 16384, 20480);
        if (left.n == 24576)
            pages[3] = look(&left, 20480, 24576);
        seen[ALL_KEPT] += memcmp(pages, "nnnn", 4) == 0;
        seen[ALL_LOST] += memcmp(pages, "dd--", 4) == 0 && left.n == 16384;
        seen[SECTOR_TORN] += pages[0] == '*' || pages[1] == '*';
        seen[LATER_ONLY] += pages[0] == 'd' && pages[3] == 'n';
        seen[EARLIER_ONLY] += pages[0] == 'n' && pages[3] != 'n';
        seen[SIZE_SHORT] += left.n > 16384 && left.n < 24576;
        seen[SIZE_ODD] += left.n % 512 != 0;
        seen[HOLE_OF_ZEROS] += pages[2] == '0' || pages[3] == '0';
        text_deinit(&left);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        if (seen[kind] < 2)
            check_fail(__FILE__, __LINE__, "kind %d of loss seen %u times", kind, seen[kind]);
    }
    CHECK_EQ(sum.files_kept + sum.files_lost + sum.files_torn, SEEDS);
    CHECK(sum.sizes_lost > 0);
}

/* A kill is not a power cut: the kernel has the bytes. */
TEST(kill, keeps_what_was_written)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct text left;
        CHECK_EQ(lab_fill(&l, file, 0, 'x', 10000), 10000);
        sim_node_kill(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(left.n, 10000);
        CHECK_EQ(look(&left, 0, 10000), 'x');
        text_deinit(&left);
        sim_free(l.sim);
    }
}

/* A write that was in flight when a kill came may be there, in part, or not at all. */
TEST(kill, meets_writes_half_done)
{
    uint32_t none = 0, part = 0, all = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct call write;
        struct bytes piece = {(const uint8_t *)"0123456789", 10};
        struct text left;
        io_write(file, 0, &piece, 1, call_begin(&write));
        sim_node_kill(l.node);
        CHECK_EQ(call_wait(l.sim, &write), -ECANCELED);
        left = lab_content(&l, "/f");
        none += left.n == 0;
        part += left.n > 0 && left.n < 10;
        all += left.n == 10;
        CHECK(left.n == 0 || memcmp(left.p, "0123456789", left.n) == 0);
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(none > 0);
    CHECK(part > 0);
    CHECK(all > 0);
}

/* S2: a write that completes while a sync is in flight is not covered by it. */
TEST(sync, covers_only_what_was_complete_when_it_began)
{
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct call sync;
        struct text left;
        bool within;
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(lab_fill(&l, file, 0, 'a', 4096), 4096);
        io_sync(file, call_begin(&sync));
        CHECK_EQ(lab_fill(&l, file, 0, 'b', 2048), 2048);
        within = !sync.over;
        CHECK_EQ(call_wait(l.sim, &sync), 0);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(left.n, 4096);
        CHECK_EQ(look(&left, 2048, 4096), 'a');
        for (size_t i = 0; i < 2048; i += 512)
            CHECK(look(&left, i, i + 512) == 'a' || look(&left, i, i + 512) == 'b');
        lost += within && look(&left, 0, 2048) == 'a';
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 40); /* one sync in four has had its effect at its start: they alone are fewer */
}

TEST(sync, that_fails_may_lose_for_ever)
{
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct text left;
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(lab_fill(&l, file, 0, 'a', 4096), 4096);
        sim_fail_at(l.node, 1, -EIO);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), -EIO);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), 0); /* says so, but the page is no longer tried */
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK_EQ(left.n, 4096);
        lost += look(&left, 0, 4096) != 'a';
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 10);
}

TEST(sync, that_lies_is_counted)
{
    struct sim_options options = {.lying_sync_ppm = 1000000};
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct lab l = lab_open(seed, &options);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct text left;
        CHECK_EQ(lab_fill(&l, file, 0, 'a', 512), 512);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), 0);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(sim_node_counters(l.node)->lying_syncs, 2);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        lost += left.n != 512 || left.p[0] != 'a';
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 10);
}

/* A file that is cut short and grows again never shows old bytes where it was cut. */
TEST(truncate, survives_whole_or_not_at_all)
{
    uint32_t old = 0, cut = 0, again = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
        struct text left;
        CHECK_EQ(lab_fill(&l, file, 0, 'd', 20000), 20000);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), 0);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(DO(l.sim, io_truncate(file, 5000, op)), 0);
        CHECK_EQ(lab_fill(&l, file, 12000, 'n', 4000), 4000);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/f");
        CHECK(left.n >= 5000);
        CHECK_EQ(look(&left, 0, 5000), 'd');
        if (left.n > 16000) {
            old++;
            CHECK_EQ(left.n, 20000);
            CHECK_EQ(look(&left, 0, 20000), 'd');
        }
        cut += left.n == 5000;
        again += left.n == 16000;
        for (size_t i = 5000; left.n <= 16000 && i < left.n; i++)
            CHECK(left.p[i] == 0 || (i >= 12000 && left.p[i] == 'n'));
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(old > 0);
    CHECK(cut > 0);
    CHECK(again > 0);
}

/* ---- names ------------------------------------------------------------------------------ */

TEST(names, are_durable_after_sync_dir_only)
{
    uint32_t there = 0, gone = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct io_file *file;
        struct text left;
        CHECK_EQ(DO(l.sim, io_mkdir(l.io, "/d", op)), 0);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        file = lab_file(&l, "/d/synced", IO_WRITE | IO_CREATE);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/d", op)), 0);
        file = lab_file(&l, "/d/not", IO_WRITE | IO_CREATE);
        CHECK_EQ(lab_fill(&l, file, 0, 'x', 100), 100);
        CHECK_EQ(DO(l.sim, io_sync(file, op)), 0); /* of the file: not of its name */
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/d/synced");
        CHECK_TEXT(text_str(&left), "");
        text_deinit(&left);
        left = lab_content(&l, "/d/not");
        gone += str_equal(text_str(&left), STR("-2"));
        there += left.n == 100;
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(there > 0);
    CHECK(gone > 0);
    CHECK_EQ(there + gone, 100);
}

/* S2 of a directory: a name that comes while its sync is in flight is not covered. */
TEST(sync_dir, covers_only_what_was_complete_when_it_began)
{
    uint32_t lost = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct call sync;
        struct text left;
        bool within;
        CHECK_EQ(sim_disk_mkdir(l.node, "/d"), 0);
        (void)lab_file(&l, "/d/before", IO_WRITE | IO_CREATE);
        io_sync_dir(l.io, "/d", call_begin(&sync));
        (void)lab_file(&l, "/d/within", IO_WRITE | IO_CREATE);
        within = !sync.over;
        CHECK_EQ(call_wait(l.sim, &sync), 0);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/d/before");
        CHECK_TEXT(text_str(&left), "");
        text_deinit(&left);
        left = lab_content(&l, "/d/within");
        lost += within && left.n > 0;
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(lost > 10);
}

static void put(struct lab *l, const char *path, const char *content)
{
    CHECK_EQ(sim_disk_put(l->node, path, bytes_of_str(str_of(content))), 0);
}

/* The old file or the new one, never none and never both. */
TEST(names, a_rename_is_atomic)
{
    uint32_t old = 0, new = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_options options = {.names_subset = seed % 2 == 0};
        struct lab l = lab_open(seed, &options);
        struct text left, moved;
        put(&l, "/d/f", "old");
        put(&l, "/d/f.tmp", "new");
        CHECK_EQ(DO(l.sim, io_rename(l.io, "/d/f.tmp", "/d/f", op)), 0);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/d/f");
        moved = lab_content(&l, "/d/f.tmp");
        if (str_equal(text_str(&left), STR("old"))) {
            old++;
            CHECK_TEXT(text_str(&moved), "new");
        } else {
            new ++;
            CHECK_TEXT(text_str(&left), "new");
            CHECK_TEXT(text_str(&moved), "-2");
        }
        text_deinit(&left);
        text_deinit(&moved);
        sim_free(l.sim);
    }
    CHECK(old > 0);
    CHECK(new > 0);
}

/* Whatever survives of a chain of renames, the file has one name. */
TEST(names, a_file_has_one_of_its_names)
{
    static const char *const names[] = {"/d/a", "/d/b", "/d/c"};
    struct sim_options options = {.names_subset = true};
    uint32_t seen[3] = {0};

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct lab l = lab_open(seed, &options);
        uint32_t count = 0;
        put(&l, names[0], "content");
        CHECK_EQ(DO(l.sim, io_rename(l.io, names[0], names[1], op)), 0);
        CHECK_EQ(DO(l.sim, io_rename(l.io, names[1], names[2], op)), 0);
        sim_node_power_cut(l.node);
        for (int i = 0; i < 3; i++) {
            struct text left = lab_content(&l, names[i]);
            bool there = str_equal(text_str(&left), STR("content"));
            count += there;
            seen[i] += there;
            text_deinit(&left);
        }
        CHECK_EQ(count, 1);
        sim_free(l.sim);
    }
    CHECK(seen[0] > 0);
    CHECK(seen[1] > 0);
    CHECK(seen[2] > 0);
}

/* Three names are created one after another; what survives is a prefix, or with the option any
 * subset. */
static uint32_t survivors(uint64_t seed, bool subset)
{
    struct sim_options options = {.names_subset = subset};
    struct lab l = lab_open(seed, &options);
    static const char *const names[] = {"/d/0", "/d/1", "/d/2"};
    uint32_t set = 0;

    CHECK_EQ(sim_disk_mkdir(l.node, "/d"), 0);
    for (int i = 0; i < 3; i++)
        (void)lab_file(&l, names[i], IO_WRITE | IO_CREATE);
    sim_node_power_cut(l.node);
    for (int i = 0; i < 3; i++) {
        struct text left = lab_content(&l, names[i]);
        set |= (uint32_t)(left.n == 0) << i;
        text_deinit(&left);
    }
    sim_free(l.sim);
    return set;
}

TEST(names, survive_as_a_prefix_or_as_any_subset)
{
    uint32_t prefix[8] = {0}, subset[8] = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        prefix[survivors(seed, false)]++;
        subset[survivors(seed, true)]++;
    }
    for (uint32_t set = 0; set < 8; set++) {
        bool is_prefix = (set & (set + 1)) == 0;
        CHECK_EQ(prefix[set] > 0, is_prefix);
        CHECK(subset[set] > 0);
    }
}

/* A removed file comes back with its content when its removal was not made durable. */
TEST(names, a_removal_may_be_undone)
{
    uint32_t back = 0;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct text left;
        put(&l, "/d/f", "content");
        CHECK_EQ(DO(l.sim, io_remove(l.io, "/d/f", op)), 0);
        sim_node_power_cut(l.node);
        left = lab_content(&l, "/d/f");
        if (left.n == 7) {
            back++;
            CHECK_TEXT(text_str(&left), "content");
        }
        text_deinit(&left);
        sim_free(l.sim);
    }
    CHECK(back > 0);
    CHECK(back < 50);
}

/* Out of a directory that is then removed: what is durable of it must not depend on it. */
TEST(names, a_rename_outlives_the_directory_it_left)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct lab l = lab_open(seed, NULL);
        struct text left;
        CHECK_EQ(sim_disk_mkdir(l.node, "/to"), 0);
        CHECK_EQ(DO(l.sim, io_mkdir(l.io, "/from", op)), 0);
        CHECK_EQ(DO(l.sim, io_close(lab_file(&l, "/from/f", IO_WRITE | IO_CREATE), op)), 0);
        CHECK_EQ(DO(l.sim, io_rename(l.io, "/from/f", "/to/f", op)), 0);
        CHECK_EQ(DO(l.sim, io_rmdir(l.io, "/from", op)), 0);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
        CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/to", op)), 0);
        sim_node_power_cut(l.node);
        left = (struct text){NULL};
        sim_disk_dump(l.node, &left);
        CHECK_TEXT(text_str(&left), "/to/\n/to/f 0\n");
        text_deinit(&left);
        sim_free(l.sim);
    }
}
