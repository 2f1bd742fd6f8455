/* A directory that Kafka 4.3.1 left is clean; whatever is done to it is found. */
#include "rig.h"

#include "check.h"
#include "log/log.h"
#include "log/points.h"

#include <stdio.h>

/* In DIR/data: a topic with two segments, one with transactions, the metadata log; DIR/kept is the same. */
static void begin(struct rig *r)
{
    rig_begin(r);
    rig_shell(r, "tar --zstd -xf %s/../../interop/golden/kafka-4.3.1/data.tar.zst", TEST_DIR);
    rig_shell(r, "mkdir kept && cd data/a && mv orders-1 payments-0 __cluster_metadata-0 meta.properties "
                 ".kafka_cleanshutdown log-start-offset-checkpoint ../../kept");
    rig_shell(r, "cd kept && printf '0\\n2\\norders 1 100\\npayments 0 11\\n' | tee replication-offset-checkpoint > "
                 "recovery-point-offset-checkpoint && rm -rf ../data && cp -a . ../data");
}

static void bring_back(struct rig *r)
{
    rig_shell(r, "rm -rf data && cp -a kept data");
}

#define COUNTED "3 partitions, 5 segments, 61 batches, 17795 bytes"

TEST(verify, a_clean_directory_is_clean)
{
    struct rig r;

    begin(&r);
    CHECK_TEXT(rig_verify(&r, true, NULL),
               "DIR/data: stopped cleanly; " COUNTED ", 293 records: 0 troubles, 0 notes\nstatus 0\n");
    CHECK_TEXT(rig_verify(&r, false, "orders"),
               "DIR/data: stopped cleanly; 1 partitions, 2 segments, 15 batches, 4730 bytes: 0 troubles, 0 notes\n"
               "status 0\n");
    rig_end(&r);
}

#define ORDERS "orders-1/00000000000000000000"
#define LAST "orders-1/00000000000000000080"
#define PAYMENTS "payments-0/00000000000000000003"

TEST(verify, each_trouble_is_named)
{
    static const struct {
        const char *shell, *says;
    } rows[] = {
        {"printf X | dd of=" ORDERS ".log bs=1 seek=900 conv=notrunc",
         "trouble " ORDERS ".log: byte 682: the batch of offsets 10 to 18, 655 bytes, fails its checksum: "
         "consumers refuse it; the records are lost unless a replica has them"},
        {"printf '\\377' | dd of=" ORDERS ".log bs=1 seek=690 conv=notrunc", /* a length */
         "trouble " ORDERS ".log: bytes 682 to 1336, from offset 10 on, are no batches: the bytes fail their checksum or "
         "make no sense; reads of them fail, and the log ends here at a start that reads this segment anew"},
        {"truncate -s -1 " LAST ".log",
         "trouble " LAST ".log: byte 587: 195 bytes behind offset 96 are no whole batch (the input ends before the value "
         "does); the next start cuts them off\n"
         "trouble " LAST ".log: .index: 1 entries speak of what lies behind the last batch; they are not used, and "
         "dropped when it is made again"},
        {"truncate -s -1 " LAST ".log && rm .kafka_cleanshutdown *-offset-checkpoint",
         "note " LAST ".log: byte 587: 195 bytes behind offset 96 are no whole batch (the input ends before the value "
         "does); the next start cuts them off"},
        {"truncate -s +100000 " LAST ".log",
         "trouble " LAST ".log: from byte 783 on 100000 bytes are zero: reserved, or never written; the next start cuts "
         "them off"},
        {"truncate -s -1 " ORDERS ".log",
         "trouble " ORDERS ".log: byte 3746: 200 bytes behind offset 76 are no batch; offsets up to 79 cannot be read"},
        {"printf '\\1' | dd of=" ORDERS ".index bs=1 seek=7 conv=notrunc",
         "trouble " ORDERS ".log: .index: entry 0 (offset 18, byte 513): no batch begins there; reads notice it and go "
         "through the segment, and it is made again"},
        {"truncate -s +800 " ORDERS ".index",
         "note " ORDERS ".log: .index: 800 bytes of zeros behind its last entry were reserved and not cut"},
        {"printf '\\1' | dd of=" ORDERS ".timeindex bs=1 seek=7 conv=notrunc",
         "trouble " ORDERS ".log: .timeindex: entry 0 (timestamp 1767225654785, offset 18): the largest timestamp of the "
         "batch is 1767225655000; reads notice it and go through the segment, and it is made again"},
        {"rm " LAST ".index", "trouble " LAST ".log: .index is missing; it is made again at the next start"},
        {"rm " PAYMENTS ".txnindex",
         "trouble " PAYMENTS ".log: .txnindex: the aborted transaction of producer 6, offsets 4 to 7, is not its entry 0: "
         "read_committed would show it. Remove this segment's .index, and all is made again at the next start"},
        {"printf X | dd of=" LAST ".snapshot bs=1 seek=20 conv=notrunc",
         "trouble " LAST ".snapshot: fails its checksum, or is cut: it is removed, and an older one and the batches tell "
         "the producers"},
        {"printf '0\\n1\\n4 0\\n' > payments-0/leader-epoch-checkpoint",
         "trouble payments-0/00000000000000000000.log: byte 0: the batch of offsets 0 to 2 is of leader epoch 0, where "
         "leader-epoch-checkpoint says 4; that is made again at the next start"},
        {"printf '0\\n1\\norders 1 101\\n' > recovery-point-offset-checkpoint",
         "trouble orders-1: the log ends at 100, but had been synced up to 101 (recovery-point-offset-checkpoint): records "
         "are lost"},
        {"truncate -s -75 __cluster_metadata-0/00000000000000000000-0000000000.checkpoint",
         "trouble __cluster_metadata-0/00000000000000000000-0000000000.checkpoint: it has no footer: it is not whole; "
         "remove it only if an older one is there"},
        {"mkdir lost+found",
         "trouble lost+found: is not the directory of a partition; no server starts on it: move it out"},
        {"rm meta.properties",
         "trouble meta.properties: is missing; a server does not start on it: `storage format` writes it"},
        {"printf 'x' > orders-1/odd.snapshot",
         "trouble orders-1/odd.snapshot: its name is no offset of 20 digits: Kafka does not start on it; move it out"},
    };
    struct rig r;

    begin(&r);
    for (size_t i = 0; i < array_count(rows); i++) {
        bring_back(&r);
        rig_shell(&r, "cd data && (%s) 2>/dev/null", rows[i].shell);
        struct str all = rig_verify(&r, false, NULL);
        if (strstr(all.p, rows[i].says) == NULL)
            CHECK_TEXT(all, rows[i].says); /* shows both */
        CHECK(str_ends(all, rows[i].says[0] == 't' ? STR("status 1\n") : STR("status 0\n")));
    }
    rig_end(&r);
}

/* A flipped bit anywhere in a segment, or in a producer snapshot. */
static void flip_each(const char *name)
{
    struct rig r;

    begin(&r);
    char path[100];
    snprintf(path, sizeof(path), "data/%s", name);
    struct text content = rig_read(&r, path);
    CHECK(content.n > 0);
    for (size_t i = 0; i < content.n; i++) {
        content.p[i] ^= (char)(1 << (i * 5 % 8));
        rig_write(&r, path, content.p, content.n);
        struct str all = rig_verify(&r, false, str_starts(str_of(name), STR("orders")) ? "orders" : "payments");
        if (!str_ends(all, STR("status 1\n")))
            check_fail(__FILE__, __LINE__, "byte %zu of %s: %s", i, name, all.p);
        content.p[i] ^= (char)(1 << (i * 5 % 8));
    }
    text_deinit(&content);
    rig_end(&r);
}

TEST(verify, no_flipped_bit_is_missed)
{
    flip_each(LAST ".log");
    flip_each(LAST ".snapshot");
    flip_each(PAYMENTS ".log");
    flip_each(PAYMENTS ".txnindex");
}

TEST(verify, a_directory_in_use_is_not_looked_at)
{
    struct rig r;
    struct log_dir *dir;
    struct fail f = {0};
    struct wait w;

    begin(&r);
    log_dir_open(io_epoll_shard(r.world, 0), NULL, rig_path(&r, "data"), &dir, &f, wait_begin(&w));
    CHECK_EQ(wait_end(&r, &w), 0);
    CHECK_TEXT(rig_verify(&r, false, NULL),
               "--\nDIR/data is in use by a server: stop it first; its files change while it runs\nstatus 2\n");
    log_dir_close(dir, true, 14, wait_begin(&w));
    CHECK_EQ(wait_end(&r, &w), 0);
    CHECK(str_ends(rig_verify(&r, false, NULL), STR("status 0\n")));
    rig_shell(&r, "rm -rf data");
    CHECK_TEXT(rig_verify(&r, false, NULL),
               "--\nDIR/data cannot be listed: No such file or directory\nstatus 2\n");
    rig_end(&r);
}

/* Scan points, which a stop that was not clean leaves; they are printed, too. */
TEST(verify, scan_points_are_looked_at)
{
    struct points points;
    struct text text = {0};
    struct rig r;

    begin(&r);
    rig_shell(&r, "rm data/.kafka_cleanshutdown && mkdir data/millrace.journal");
    points_init(&points);
    points_set(&points, &(struct scan_point){.topic_id = {{1}}, .partition = 7, .none = true});
    points.rest_is_clean = true;
    points_print(&points, &text);
    rig_write(&r, "data/millrace.journal/points", text.p, text.n);
    CHECK(strstr(rig_verify(&r, false, "orders").p, "points") == NULL);
    CHECK_TEXT(rig_dump(&r, &(struct dump_options){0}, "data/millrace.journal/points"),
               "Dumping DIR/data/millrace.journal/points\nothers: clean\n"
               "topic_id: AQAAAAAAAAAAAAAAAAAAAA partition: 7 known: no\nstatus 0\n");
    text.p[30] ^= 1;
    rig_write(&r, "data/millrace.journal/points", text.p, text.n);
    CHECK(strstr(rig_verify(&r, false, "orders").p,
                 "trouble millrace.journal/points: its checksum is wrong; it is not used, and the next start reads") != NULL);
    points_deinit(&points);
    text_deinit(&text);
    rig_end(&r);
}
