/* Snapshots: written, read back, kept, refused. */
#include "rig.h"
#include "quorum/internal.h"

#include <stdio.h>
#include <sys/stat.h>

#define DIR "__cluster_metadata-0"

/* Write a snapshot at the high watermark that holds `values`. */
static int64_t write_snapshot(struct rig *r, const char *const *values, uint32_t count)
{
    struct text framed[16] = {{0}};
    struct bytes bytes[16];
    struct wait w;

    for (uint32_t i = 0; i < count; i++) {
        frame_text(values[i], &framed[i]);
        bytes[i] = bytes_of_str(text_str(&framed[i]));
    }
    quorum_snapshot(r->q, (struct raft_snapshot_id){r->high_watermark, r->claimed}, 1234, bytes,
                    count, wait_begin(&w));
    for (uint32_t i = 0; i < count; i++)
        text_deinit(&framed[i]);
    return wait_end(r->place, &w);
}

static const char *const state[] = {"x=1", "y=2"};
static const char *const more[] = {"more"};

TEST(quorum_snapshot, a_restart_begins_with_the_newest)
{
    struct place p;
    struct rig r;
    struct text text = {0};
    struct stat status;
    char path[512];

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK(!quorum_snapshot_due(r.q) || r.options.snapshot_bytes == 0);
    CHECK_EQ(rig_append(&r, state, 2), 2);
    rig_until(&r, 3);
    CHECK_EQ(write_snapshot(&r, state, 2), 0);
    CHECK_EQ(write_snapshot(&r, state, 2), -EEXIST);
    CHECK_EQ(rig_append(&r, more, 1), 3);
    rig_until(&r, 4);
    CHECK_EQ(rig_deinit(&r, true), 0);
    snprintf(path, sizeof(path), "%s/" DIR "/00000000000000000003-0000000001.checkpoint", p.dir);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0400);

    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_TEXT(text_str(&r.trace), "snapshot 3-1\n"
                                   "  0..0 epoch 1 control\n"
                                   "  1..2 epoch 1\n"
                                   "  3..3 epoch 1 control\n"
                                   "leader 1 epoch 2\n"
                                   "3..3 epoch 1\n"
                                   "4..4 epoch 2 control\n"
                                   "claim 2\n");
    print_records(bytes_of_str(text_str(&r.delivered)), &text);
    CHECK_TEXT(text_str(&text), "1 x=1\n2 y=2\n3 more\n");
    text_deinit(&text);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum_snapshot, only_of_what_is_committed_and_in_its_epoch)
{
    struct place p;
    struct rig r;
    struct wait w;
    const struct raft_snapshot_id wrong[] = {{9, 1}, {0, 1}, {3, 2}, {3, 0}};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(rig_append(&r, state, 2), 2);
    rig_until(&r, 3);
    for (size_t i = 0; i < array_count(wrong); i++) {
        quorum_snapshot(r.q, wrong[i], 0, NULL, 0, wait_begin(&w));
        CHECK_EQ(wait_end(&p, &w), -EINVAL);
    }
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

/* By bytes, by time, and never when nothing is new. */
TEST(quorum_snapshot, is_due_by_bytes_or_time)
{
    struct place p;
    struct rig r;

    place_sim(&p, 1, NULL);
    rig_init(&r, &p);
    r.options.snapshot_bytes = 400;
    r.options.snapshot_interval_ms = 1000;
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK(!quorum_snapshot_due(r.q));
    CHECK_EQ(rig_append(&r, state, 2), 2);
    CHECK_EQ(rig_append(&r, state, 2), 4);
    CHECK_EQ(rig_append(&r, state, 2), 6);
    CHECK_EQ(rig_append(&r, state, 2), 8);
    rig_until(&r, 9);
    CHECK(quorum_snapshot_due(r.q));
    CHECK_EQ(write_snapshot(&r, state, 2), 0);
    sim_run_until(p.sim, sim_now_ns(p.sim) + 5000000000);
    CHECK(!quorum_snapshot_due(r.q)); /* nothing is new */
    CHECK_EQ(rig_append(&r, more, 1), 9);
    rig_until(&r, 10);
    CHECK(quorum_snapshot_due(r.q));
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

/* Old snapshots go, and the log below those that stay; the newest always stays. */
TEST(quorum_snapshot, retention_keeps_the_newest_and_cuts_the_log)
{
    struct place p;
    struct rig r;
    struct text names = {0};

    place_real(&p);
    rig_init(&r, &p);
    r.options.retention_bytes = 1;
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    for (int i = 0; i < 4; i++) {
        CHECK(rig_append(&r, state, 2) > 0);
        rig_until(&r, quorum_end(r.q));
        CHECK_EQ(write_snapshot(&r, state, 2), 0);
    }
    place_list(&p, DIR, &names);
    CHECK(strstr(names.p, "00000000000000000009-0000000001.checkpoint") != NULL);
    CHECK(strstr(names.p, "00000000000000000007-0000000001.checkpoint") == NULL);
    CHECK(strstr(names.p, "00000000000000000003-0000000001.checkpoint") == NULL);
    CHECK_EQ(rig_append(&r, more, 1), 9);
    rig_until(&r, 10);
    CHECK_EQ(rig_deinit(&r, true), 0);

    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(r.high_watermark, 11);
    CHECK(str_starts(text_str(&r.trace), STR("snapshot 9-1\n")));
    text_deinit(&names);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

/* ---- what is refused --------------------------------------------------------------------- */

/* Put `content` where the newest snapshot lies and open. */
static void check_refused(struct place *p, struct bytes content, const char *words)
{
    struct rig r;

    place_write(p, DIR "/00000000000000000003-0000000001.checkpoint", content);
    rig_init(&r, p);
    CHECK(rig_open(&r) < 0);
    if (strstr(r.fail.text, words) == NULL)
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.fail.text, words);
    CHECK(strstr(r.fail.text, "00000000000000000003-0000000001.checkpoint") != NULL);
    CHECK_TEXT(text_str(&r.trace), "");
    (void)rig_deinit(&r, false);
}

TEST(quorum_snapshot, torn_and_wrong_files_are_refused_in_words)
{
    struct place p;
    struct rig r;
    struct text whole = {0};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(rig_append(&r, state, 2), 2);
    rig_until(&r, 3);
    CHECK_EQ(write_snapshot(&r, state, 2), 0);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_read(&p, DIR "/00000000000000000003-0000000001.checkpoint", &whole);

    struct bytes all = bytes_of_str(text_str(&whole));
    for (int32_t n = 0; n < all.n; n++)
        check_refused(&p, (struct bytes){all.p, n}, "");
    check_refused(&p, (struct bytes){all.p, 0}, "no footer");
    check_refused(&p, (struct bytes){all.p, all.n - 75}, "no footer: the file was cut");
    check_refused(&p, (struct bytes){all.p, all.n - 1}, "is no batch");
    check_refused(&p, (struct bytes){all.p + 83, all.n - 83}, "does not begin with");

    struct text wrong = {0};
    text_add(&wrong, all.p, (size_t)all.n);
    text_add(&wrong, all.p, (size_t)all.n);
    check_refused(&p, bytes_of_str(text_str(&wrong)), "behind its footer");
    text_clear(&wrong);
    text_add(&wrong, all.p, (size_t)all.n);
    text_add(&wrong, "\0\0\0\0", 4);
    check_refused(&p, bytes_of_str(text_str(&wrong)), "is no batch");
    text_clear(&wrong);
    text_add(&wrong, all.p, (size_t)all.n);
    wrong.p[all.n / 2] ^= 1;
    check_refused(&p, bytes_of_str(text_str(&wrong)), "fails its checksum");
    text_deinit(&wrong);

    place_write(&p, DIR "/00000000000000000003-0000000001.checkpoint", all);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(rig_deinit(&r, true), 0);
    text_deinit(&whole);
    place_end(&p);
}

TEST(quorum_snapshot, parts_are_removed_at_the_start)
{
    struct place p;
    struct rig r;
    struct text names = {0};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_write(&p, DIR "/00000000000000000003-0000000001-77.checkpoint.part",
                bytes_of_str(STR("half")));
    place_write(&p, DIR "/00000000000000000003-0000000001.checkpoint.deleted",
                bytes_of_str(STR("half")));
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    place_list(&p, DIR, &names);
    CHECK(strstr(names.p, "checkpoint.part") == NULL);
    CHECK(strstr(names.p, "checkpoint.deleted") == NULL);
    text_deinit(&names);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum_snapshot, names_are_read_strictly)
{
    struct raft_snapshot_id id;
    char name[64];

    CHECK(metadata_snapshot_name_parse(STR("00000000000000000070-0000000001.checkpoint"), &id));
    CHECK_EQ(id.end_offset, 70);
    CHECK_EQ(id.epoch, 1);
    metadata_snapshot_name((struct raft_snapshot_id){INT64_MAX, INT32_MAX}, name);
    CHECK_TEXT(name, "09223372036854775807-2147483647.checkpoint");
    CHECK(metadata_snapshot_name_parse(str_of(name), &id));
    CHECK(
        !metadata_snapshot_name_parse(STR("00000000000000000070-0000000001.checkpoint.part"), &id));
    CHECK(!metadata_snapshot_name_parse(STR("0000000000000000007-00000000010.checkpoint"), &id));
    CHECK(!metadata_snapshot_name_parse(STR("-0000000000000000070-0000000001.checkpoint"), &id));
    CHECK(!metadata_snapshot_name_parse(STR("bootstrap.checkpoint"), &id));
    CHECK(!metadata_snapshot_name_parse(STR("leader-epoch-checkpoint"), &id));
}

/* Many records make several data batches, none larger than a reader takes at a time. */
TEST(quorum_snapshot, is_cut_into_batches)
{
    enum { COUNT = 40 };
    static uint8_t value[100 << 10];
    struct bytes framed[COUNT];
    const struct raft_voters none = {0};
    struct snapshot s = {0};
    struct fail f = {0};
    struct batch b;
    int64_t next = 0;
    int batches = 0;

    for (int i = 0; i < COUNT; i++)
        framed[i] = (struct bytes){value, sizeof(value)};
    CHECK_EQ(metadata_snapshot_build((struct raft_snapshot_id){7, 3}, &none, 5, 6, framed, COUNT,
                                     &s.content),
             0);
    struct bytes rest = bytes_of_str(text_str(&s.content));
    while (batch_next(&rest, &b) == 1) {
        CHECK_EQ(b.base_offset, next);
        CHECK_EQ(b.leader_epoch, 3);
        CHECK(b.bytes.n < (2 << 20));
        next = b.last_offset + 1;
        batches++;
    }
    CHECK_EQ(next, COUNT + 2);
    CHECK_EQ(batches, 6);
    CHECK_EQ(metadata_snapshot_check(&s, &f), 0);
    CHECK_EQ(s.last_timestamp_ms, 5);
    CHECK(s.has_records);
    metadata_snapshot_deinit(&s);
}
