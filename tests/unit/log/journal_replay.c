/* What journals hold comes into the segments before a directory opens: where it belongs, once and for all, whatever
 * happens meanwhile; and nothing is given up when something is missing. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "journal_lab.h"
#include "simulator/simulator.h"

#define FOLDER "/data/millrace.journal"
#define METADATA "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAACQ"
#define FIRST "00000000000000000000.log"

struct place {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct hand *hand;
    struct journal_replayed replayed;
};

static bool step(void *world)
{
    return sim_step(world);
}

static void place_start(struct place *p)
{
    sim_node_start(p->node, 1);
    lab_init(&p->lab, sim_node_io(p->node, 0), step, p->sim, "/data");
}

static void put(struct place *p, const char *path, const void *bytes, size_t n)
{
    CHECK_EQ(sim_disk_put(p->node, path, (struct bytes){bytes, (int32_t)n}), 0);
}

static void put_text(struct place *p, const char *path, const char *text)
{
    put(p, path, text, strlen(text));
}

/* Two partitions of one topic: t-0 with "abc", t-1 without a segment. */
static struct place *place_new(uint64_t seed)
{
    struct place *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    struct sim_options options = {.names_subset = seed % 2 == 0};
    p->sim = sim_new(seed, &options);
    p->node = sim_node_new(p->sim, "a");
    p->hand = malloc(sizeof(*p->hand));
    ASSERT(p->hand != NULL);
    hand_init(p->hand, 1);
    put_text(p, "/data/t-0/partition.metadata", METADATA);
    put_text(p, "/data/t-0/" FIRST, "abc");
    put_text(p, "/data/t-1/partition.metadata", METADATA);
    place_start(p);
    return p;
}

static void place_free(struct place *p)
{
    lab_deinit(&p->lab);
    sim_free(p->sim);
    free(p->hand);
    free(p);
}

/* The journals of `count` hands, shards 0, 1, ... */
static void put_journals(struct place *p, const struct hand *const *hands, uint32_t count)
{
    struct journal_line lines[4];
    struct text meta = {0};

    for (uint32_t i = 0; i < count; i++) {
        lines[i] = (struct journal_line){i, HAND_CHUNKS, HAND_CHUNK_BYTES, hands[i]->id};
        for (uint32_t c = 0; c < HAND_CHUNKS; c++) {
            char path[100], name[JOURNAL_NAME_BYTES];
            snprintf(path, sizeof(path), FOLDER "/%s", journal_chunk_name(i, c, name));
            put(p, path, hands[i]->chunks[c], HAND_CHUNK_BYTES);
        }
    }
    journal_meta_print(lines, count, &meta);
    put(p, FOLDER "/meta", meta.p, meta.n);
    text_deinit(&meta);
}

static void put_journal(struct place *p)
{
    const struct hand *hands[1] = {p->hand};

    put_journals(p, hands, 1);
}

static int64_t drain(struct place *p)
{
    p->lab.fail = (struct fail){0};
    return WAIT(&p->lab, log_dir_drain(p->lab.io, p->lab.telemetry, "/data", &p->replayed, &p->lab.fail, op));
}

static bool has(struct place *p, const char *path)
{
    struct text t = {0};
    bool there;

    sim_disk_dump(p->node, &t);
    there = t.n > 0 && strstr(t.p, path) != NULL;
    text_deinit(&t);
    return there;
}

static void check_file(struct place *p, const char *path, const char *content)
{
    struct text t = {0};

    CHECK_EQ(sim_disk_get(p->node, path, &t), 0);
    CHECK_TEXT(text_str(&t), content);
    text_deinit(&t);
}

/* ---- what it does -------------------------------------------------------------------------- */

TEST(journal_replay, without_a_folder_nothing_happens)
{
    struct place *p = place_new(1);

    CHECK_EQ(drain(p), 0);
    CHECK(!p->replayed.found);
    check_file(p, "/data/t-0/" FIRST, "abc");
    place_free(p);
}

static void make_some(struct place *p)
{
    struct hand *h = p->hand;

    hand_append(h, 0, 0, 3, "defg");
    hand_append(h, 1, 0, 0, "new");
    hand_append(h, 0, 0, 7, "hij");
    hand_append(h, 0, 7, 0, "segment");
    hand_append(h, 1, 0, 3, " one");
    put_journal(p);
}

static void check_some(struct place *p)
{
    check_file(p, "/data/t-0/" FIRST, "abcdefghij");
    check_file(p, "/data/t-0/00000000000000000007.log", "segment");
    check_file(p, "/data/t-1/" FIRST, "new one");
    CHECK(!has(p, FOLDER));
}

TEST(journal_replay, bytes_come_to_their_places_and_the_journals_go)
{
    struct place *p = place_new(1);

    make_some(p);
    CHECK_EQ(drain(p), 0);
    CHECK(p->replayed.found);
    CHECK_EQ(p->replayed.bytes, 21);
    CHECK_EQ(p->replayed.partitions, 2);
    CHECK_EQ(p->replayed.segments, 3);
    CHECK_EQ(p->replayed.commits, 5);
    check_some(p);
    CHECK_EQ(drain(p), 0);
    CHECK(!p->replayed.found);
    place_free(p);
}

TEST(journal_replay, all_shards_journals_are_replayed)
{
    struct place *p = place_new(1);
    struct hand *other = malloc(sizeof(*other));

    ASSERT(other != NULL);
    hand_init(other, 2);
    hand_append(p->hand, 0, 0, 3, "one");
    hand_append(other, 1, 0, 0, "two");
    const struct hand *hands[2] = {p->hand, other};
    put_journals(p, hands, 2);
    CHECK_EQ(drain(p), 0);
    check_file(p, "/data/t-0/" FIRST, "abcone");
    check_file(p, "/data/t-1/" FIRST, "two");
    CHECK(!has(p, FOLDER));
    free(other);
    place_free(p);
}

TEST(journal_replay, a_directory_of_another_topic_is_left_alone)
{
    struct place *p = place_new(1);

    put_text(p, "/data/t-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABQ");
    hand_append(p->hand, 0, 0, 3, "old");
    put_journal(p);
    CHECK_EQ(drain(p), 0);
    check_file(p, "/data/t-0/" FIRST, "abc");
    CHECK(strstr(p->lab.said.p, "which has no directory any more") != NULL);
    CHECK(!has(p, FOLDER));
    place_free(p);
}

TEST(journal_replay, what_is_longer_than_the_journal_says_stays)
{
    struct place *p = place_new(1);

    put_text(p, "/data/t-0/" FIRST, "abcdefXYZ"); /* written, not journalled: the scan looks at it */
    hand_append(p->hand, 0, 0, 3, "def");
    put_journal(p);
    CHECK_EQ(drain(p), 0);
    check_file(p, "/data/t-0/" FIRST, "abcdefXYZ");
    place_free(p);
}

/* ---- what is refused ----------------------------------------------------------------------- */

/* Nothing is given up: everything lies there as before. */
static void check_refused(struct place *p, const char *why)
{
    CHECK_EQ(drain(p), ERR_CORRUPT);
    if (strstr(p->lab.fail.text, why) == NULL)
        check_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", why, p->lab.fail.text);
    CHECK(strstr(p->lab.fail.text, "move the folder millrace.journal away") != NULL);
    CHECK(has(p, FOLDER "/0.00"));
    CHECK_EQ(lab_dir_open(&p->lab), ERR_CORRUPT);
}

TEST(journal_replay, a_missing_chunk_is_corruption)
{
    struct place *p = place_new(1);

    make_some(p);
    CHECK_EQ(WAIT(&p->lab, io_remove(p->lab.io, FOLDER "/0.01", op)), 0);
    check_refused(p, "/data/millrace.journal/0.01 is missing, though meta names it");
    place_free(p);
}

TEST(journal_replay, a_short_chunk_is_corruption)
{
    struct place *p = place_new(1);

    make_some(p);
    put(p, FOLDER "/0.02", p->hand->chunks[2], HAND_CHUNK_BYTES - 1);
    check_refused(p, "/data/millrace.journal/0.02 has not the 32768 bytes that meta says");
    place_free(p);
}

TEST(journal_replay, missing_meta_is_corruption)
{
    struct place *p = place_new(1);

    make_some(p);
    CHECK_EQ(WAIT(&p->lab, io_remove(p->lab.io, FOLDER "/meta", op)), 0);
    check_refused(p, "/data/millrace.journal/meta is missing, but there are chunks");
    place_free(p);
}

TEST(journal_replay, a_hole_is_corruption)
{
    struct place *p = place_new(1);

    make_some(p);
    CHECK_EQ(sim_disk_rot(p->node, FOLDER "/0.00", 2 * JOURNAL_PAGE_BYTES + 66), 0);
    check_refused(p, "commit 3, behind byte 8192 of 0.00");
    check_file(p, "/data/t-0/" FIRST, "abc");
    place_free(p);
}

TEST(journal_replay, a_segment_that_lacks_what_lies_before_is_corruption)
{
    struct place *p = place_new(1);

    hand_append(p->hand, 0, 0, 5, "far");
    put_journal(p);
    check_refused(p, "00000000000000000000.log ends at byte 3, but the journal continues it from byte 5");
    place_free(p);
    p = place_new(1);
    hand_append(p->hand, 1, 0, 5, "far");
    put_journal(p);
    check_refused(p, "ends at byte 0, but the journal continues it from byte 5");
    place_free(p);
}

TEST(journal_replay, damaged_meta_is_corruption)
{
    struct place *p = place_new(1);

    make_some(p);
    put_text(p, FOLDER "/meta", "version: 1\njournals: 1\n");
    CHECK_EQ(drain(p), ERR_CORRUPT);
    CHECK(strstr(p->lab.fail.text, "/data/millrace.journal/meta: line 3 is not as it should be") != NULL);
    CHECK(has(p, FOLDER "/0.00"));
    place_free(p);
}

TEST(journal_replay, nobody_drains_a_directory_in_use)
{
    struct place *p = place_new(1);

    CHECK_EQ(lab_dir_open(&p->lab), 0);
    CHECK_EQ(drain(p), -EAGAIN);
    CHECK_TEXT(p->lab.fail.text, "log directory /data is in use by another process: stop it first");
    lab_dir_close(&p->lab, false);
    place_free(p);
}

/* ---- crashes ------------------------------------------------------------------------------- */

static void restart(struct place *p)
{
    if (sim_node_is_up(p->node))
        sim_node_power_cut(p->node);
    while (sim_node_in_flight(p->node) > 0 && sim_step(p->sim)) {
        /* its afterlife */
    }
    lab_deinit(&p->lab);
    place_start(p);
}

/* Cut the power at each change of the disk, then do it again, which may be cut too. */
static void crash_everywhere(uint32_t how, bool twice)
{
    for (uint32_t n = 1;; n++) {
        struct place *p = place_new(n + how);
        make_some(p);
        sim_crash_at_io(p->node, n, how);
        (void)drain(p);
        bool crashed = !sim_node_is_up(p->node);
        sim_crash_at_io(p->node, 0, how);
        if (crashed && twice) {
            restart(p);
            sim_crash_at_io(p->node, 1 + n % 9, how);
            (void)drain(p);
            sim_crash_at_io(p->node, 0, how);
        }
        restart(p);
        if (drain(p) < 0)
            check_fail(__FILE__, __LINE__, "crash at change %u: %s", n, p->lab.fail.text);
        restart(p); /* all of it is durable */
        check_some(p);
        place_free(p);
        if (!crashed) {
            CHECK(n > 20);
            return;
        }
    }
}

TEST(journal_replay, can_be_cut_anywhere_and_done_again)
{
    crash_everywhere(SIM_CRASH_POWER, false);
    crash_everywhere(SIM_CRASH_POWER | SIM_CRASH_AFTER, false);
    crash_everywhere(SIM_CRASH_POWER, true);
    crash_everywhere(SIM_CRASH_KILL, true);
}

TEST(journal_replay, any_failed_call_fails_it_and_nothing_is_lost)
{
    for (uint64_t n = 1;; n++) {
        struct place *p = place_new(n);
        make_some(p);
        sim_fail_at(p->node, n, -EIO);
        int64_t rc = drain(p);
        bool failed = sim_node_counters(p->node)->calls >= n;
        sim_fail_at(p->node, 0, 0);
        if (failed && rc >= 0) /* only of what was there no more: a leftover that went anyway */
            check_some(p);
        restart(p);
        if (drain(p) < 0)
            check_fail(__FILE__, __LINE__, "failure of call %u: %s", (unsigned)n, p->lab.fail.text);
        check_some(p);
        place_free(p);
        if (!failed) {
            CHECK(n > 40);
            return;
        }
    }
}

/* ---- as part of a start -------------------------------------------------------------------- */

TEST(journal_replay, a_log_that_opens_has_what_the_journal_held)
{
    struct place *p = place_new(3);
    struct lab_batch first = {.producer_id = -1, .value_bytes = 50, .timestamp_ms = 1},
                     second = {.producer_id = -1, .value_bytes = 60, .timestamp_ms = 2};
    struct text a = lab_batch_bytes(&first, 0), b = lab_batch_bytes(&second, 1);

    put(p, "/data/t-0/" FIRST, a.p, a.n);
    put_text(p, "/data/.kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":7}");
    hand_add(p->hand, JOURNAL_APPEND, 0, 0, a.n, b.p, b.n);
    hand_commit(p->hand);
    put_journal(p);
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    CHECK(!p->lab.dir->clean); /* whatever the marker says */
    struct log *log = lab_log(&p->lab, "t");
    struct text batches = lab_batches(&p->lab, log, 0);
    CHECK_TEXT(text_str(&batches), "0..0 1..1 ");
    lab_stop(&p->lab, log, "t");
    text_deinit(&a);
    text_deinit(&b);
    text_deinit(&batches);
    place_free(p);
}
