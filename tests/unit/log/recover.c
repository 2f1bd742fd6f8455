/* What is found after stops that were not clean, and after clean ones that were not what they say.
 * Files are put and looked at through the simulator's disk. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "simulator/simulator.h"

struct disk {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    uint32_t failures; /* calls of log_dir.failed */
};

static bool step(void *world)
{
    return sim_step(world);
}

static void disk_start(struct disk *d)
{
    sim_node_start(d->node, 1);
    lab_init(&d->lab, sim_node_io(d->node, 0), step, d->sim, "/data");
    d->lab.settings.segment_bytes = 1000;
    d->lab.settings.index_interval_bytes = 200;
}

static struct disk *disk_new(void)
{
    struct disk *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    d->sim = sim_new(11, NULL);
    d->node = sim_node_new(d->sim, "a");
    disk_start(d);
    return d;
}

static void disk_free(struct disk *d)
{
    while (sim_node_in_flight(d->node) > 0 && sim_step(d->sim)) {
        /* files of a log that did not open are being closed */
    }
    lab_deinit(&d->lab);
    sim_free(d->sim);
    free(d);
}

/* A log with 13 batches of 140 bytes (producer 3, epochs 1 from 0 and 2 from 9), stopped cleanly:
 * segments 0 and 7, the last with 6 batches. */
static void make_log(struct disk *d)
{
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    struct log *log = lab_log(&d->lab, "t");
    for (int i = 0; i < 13; i++) {
        struct lab_batch b = {.producer_id = 3,
                              .sequence = i,
                              .value_bytes = 70,
                              .timestamp_ms = 1000 + i,
                              .leader_epoch = i < 9 ? 1 : 2};
        CHECK_EQ(lab_append(&d->lab, log, &b, NULL), KERR_NONE);
    }
    lab_stop(&d->lab, log, "t");
}

static struct text disk_file(struct disk *d, const char *name)
{
    struct text t = {0};
    char path[200];

    snprintf(path, sizeof(path), "/data/%.190s", name);
    (void)sim_disk_get(d->node, path, &t);
    return t;
}

static void disk_put(struct disk *d, const char *name, const void *p, size_t n)
{
    char path[200];

    snprintf(path, sizeof(path), "/data/%.190s", name);
    CHECK_EQ(sim_disk_put(d->node, path, (struct bytes){p, (int32_t)n}), 0);
}

static void disk_remove(struct disk *d, const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), "/data/%.190s", name);
    CHECK_EQ(WAIT(&d->lab, io_remove(d->lab.io, path, op)), 0);
}

#define LAST_LOG "t-0/00000000000000000007.log"
#define LAST_INDEX "t-0/00000000000000000007.index"
#define LAST_TIME "t-0/00000000000000000007.timeindex"

struct image {
    struct text names, files[40];
    char name[40][80];
    uint32_t count;
};

/* Everything in t-0, and back: so that each case begins with the same files. */
static struct image image_of(struct disk *d)
{
    struct image image = {0};
    struct io_entries entries = {0};

    CHECK(WAIT(&d->lab, io_list(d->lab.io, "/data/t-0", &entries, op)) > 0);
    for (uint32_t i = 0; i < entries.count; i++) {
        snprintf(image.name[i], 80, "t-0/%.70s", entries.entries[i].name);
        image.files[i] = disk_file(d, image.name[i]);
    }
    image.count = entries.count;
    io_entries_free(&entries);
    return image;
}

static void image_put(struct disk *d, const struct image *image, bool clean)
{
    struct io_entries entries = {0};
    char path[200];

    CHECK(WAIT(&d->lab, io_list(d->lab.io, "/data/t-0", &entries, op)) >= 0);
    for (uint32_t i = 0; i < entries.count; i++) {
        snprintf(path, sizeof(path), "t-0/%.70s", entries.entries[i].name);
        disk_remove(d, path);
    }
    io_entries_free(&entries);
    for (uint32_t i = 0; i < image->count; i++)
        disk_put(d, image->name[i], image->files[i].p, image->files[i].n);
    disk_put(d, "recovery-point-offset-checkpoint", "0\n1\nt 0 7\n", 10);
    disk_put(d, ".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":7}", 29);
    if (!clean)
        disk_remove(d, ".kafka_cleanshutdown");
}

static void image_free(struct image *image)
{
    for (uint32_t i = 0; i < image->count; i++)
        text_deinit(&image->files[i]);
}

/* The log holds exactly the batches below `end`, and everything beside it says so. */
static void check_found(struct disk *d, struct log *log, int64_t end)
{
    struct log_producer producer;
    struct text batches = lab_batches(&d->lab, log, 0), expected = {0};

    for (int64_t i = 0; i < end; i++)
        text_printf(&expected, "%lld..%lld ", (long long)i, (long long)i);
    text_add(&expected, "", 1);
    CHECK_EQ(log_end(log), end);
    CHECK_EQ(log_stable(log), end);
    CHECK_TEXT(text_str(&batches), expected.p);
    CHECK_EQ(log_producers(log, &producer, 1), 1);
    CHECK_EQ(producer.last_sequence, end - 1);
    CHECK_EQ(log_latest_epoch(log), end > 9 ? 2 : 1);
    CHECK_EQ(log_epoch_start(log, 1), 0);
    CHECK_EQ(log_epoch_start(log, 2), end > 9 ? 9 : -1);
    CHECK_EQ(log_max_timestamp_ms(log), 1000 + end - 1);
    text_deinit(&batches);
    text_deinit(&expected);
}

/* Open, check, stop cleanly, and compare the files with those of a log that never had more. */
static void check_opens_with(struct disk *d, int64_t end)
{
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    struct log *log = lab_log_open(&d->lab, "t", d->lab.dir->clean);
    if (log == NULL)
        check_fail(__FILE__, __LINE__, "%s", d->lab.fail.text);
    check_found(d, log, end);
    lab_stop(&d->lab, log, "t");
    text_clear(&d->lab.said);
}

TEST(log_recover, every_cut_of_the_last_batches)
{
    struct disk *d = disk_new();

    make_log(d);
    struct image image = image_of(d);
    struct text last = disk_file(d, LAST_LOG);
    CHECK_EQ(last.n, 840);
    for (uint32_t n = 0; n <= 840; n += n < 420 ? 7 : 1) {
        image_put(d, &image, false);
        disk_put(d, LAST_LOG, last.p, n);
        check_opens_with(d, 7 + n / 140);
    }
    text_deinit(&last);
    image_free(&image);
    disk_free(d);
}

/* Any flipped bit ends the log before its batch. */
/* Of a torn write a length may be left and zeros behind it, which is how a message of magic 0 looks. */
TEST(log_recover, zeros_behind_a_torn_header_are_no_old_message)
{
    struct disk *d = disk_new();
    uint8_t torn[200] = {[11] = 120};

    make_log(d);
    struct image image = image_of(d);
    struct text last = disk_file(d, LAST_LOG);
    text_add(&last, torn, sizeof(torn));
    image_put(d, &image, false);
    disk_put(d, LAST_LOG, last.p, last.n);
    check_opens_with(d, 13);
    text_deinit(&last);
    image_free(&image);
    disk_free(d);
}

/* offset 13, size 14, CRC-32, magic 0, no key, no value: as brokers before 0.10 wrote it. */
TEST(log_recover, a_real_old_message_is_refused_and_kept)
{
    struct disk *d = disk_new();
    uint8_t old[26] = {[7] = 13, [11] = 14, [18] = 0xff, [19] = 0xff, [20] = 0xff, [21] = 0xff,
                       [22] = 0xff, [23] = 0xff, [24] = 0xff, [25] = 0xff};

    make_log(d);
    struct image image = image_of(d);
    struct text last = disk_file(d, LAST_LOG);
    put_u32(old + 12, 0xa7ec6803); /* of the ten bytes behind it */
    text_add(&last, old, sizeof(old));
    image_put(d, &image, false);
    disk_put(d, LAST_LOG, last.p, last.n);
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    CHECK(lab_log_open(&d->lab, "t", false) == NULL);
    CHECK(strstr(d->lab.fail.text, "magic 0 and 1 cannot be read yet") != NULL);
    lab_dir_close(&d->lab, false);
    struct text kept = disk_file(d, LAST_LOG);
    CHECK_EQ(kept.n, last.n);
    text_deinit(&kept);
    text_deinit(&last);
    image_free(&image);
    disk_free(d);
}

TEST(log_recover, every_flipped_byte_under_the_checksum)
{
    struct disk *d = disk_new();

    make_log(d);
    struct image image = image_of(d);
    struct text last = disk_file(d, LAST_LOG);
    for (uint32_t at = 280; at < 420; at++) {
        if (at - 280 < 8 || (at - 280 >= 12 && at - 280 < 16))
            continue; /* base offset and leader epoch are stamped outside the checksum */
        image_put(d, &image, false);
        last.p[at] ^= 0x20;
        disk_put(d, LAST_LOG, last.p, last.n);
        last.p[at] ^= 0x20;
        check_opens_with(d, 9);
    }
    text_deinit(&last);
    image_free(&image);
    disk_free(d);
}

/* ---- a clean marker that is not true ------------------------------------------------------- */

/* The rows of "situation at load": what a JVM broker believes or trips over is repaired. */
TEST(log_recover, a_clean_marker_is_not_believed_blindly)
{
    struct disk *d = disk_new();
    uint8_t zeros[8192] = {0};

    make_log(d);
    struct image image = image_of(d);
    struct text last = disk_file(d, LAST_LOG), index = disk_file(d, LAST_INDEX);
    struct text time = disk_file(d, LAST_TIME), padded = {0};

    image_put(d, &image, true); /* nothing is wrong */
    check_opens_with(d, 13);

    image_put(d, &image, true); /* a partial batch at the tail */
    disk_put(d, LAST_LOG, last.p, last.n - 5);
    check_opens_with(d, 12);

    image_put(d, &image, true); /* zeros at the tail */
    text_add(&padded, last.p, last.n);
    text_add(&padded, zeros, sizeof(zeros));
    disk_put(d, LAST_LOG, padded.p, padded.n);
    check_opens_with(d, 13);

    image_put(d, &image, true); /* indexes that were not cut to size */
    text_clear(&padded);
    text_add(&padded, index.p, index.n);
    text_add(&padded, zeros, sizeof(zeros));
    disk_put(d, LAST_INDEX, padded.p, padded.n);
    check_opens_with(d, 13);
    image_put(d, &image, true);
    text_clear(&padded);
    text_add(&padded, time.p, time.n);
    text_add(&padded, zeros, 12 * 600);
    disk_put(d, LAST_TIME, padded.p, padded.n);
    check_opens_with(d, 13);

    image_put(d, &image, true); /* empty or missing indexes, of the last segment and of an old one */
    disk_put(d, LAST_INDEX, "", 0);
    disk_put(d, LAST_TIME, "", 0);
    check_opens_with(d, 13);
    image_put(d, &image, true);
    disk_remove(d, LAST_TIME);
    disk_remove(d, "t-0/00000000000000000000.timeindex");
    disk_remove(d, "t-0/00000000000000000000.index");
    check_opens_with(d, 13);

    image_put(d, &image, true); /* no leader epochs, or nonsense in them */
    disk_remove(d, "t-0/leader-epoch-checkpoint");
    check_opens_with(d, 13);
    image_put(d, &image, true);
    disk_put(d, "t-0/leader-epoch-checkpoint", "0\n9\n", 4);
    check_opens_with(d, 13);

    image_put(d, &image, true); /* no producer snapshot, an old one, a damaged one */
    disk_remove(d, "t-0/00000000000000000007.snapshot");
    disk_remove(d, "t-0/00000000000000000013.snapshot");
    check_opens_with(d, 13);
    image_put(d, &image, true);
    disk_remove(d, "t-0/00000000000000000013.snapshot");
    check_opens_with(d, 13);
    image_put(d, &image, true);
    disk_put(d, "t-0/00000000000000000013.snapshot", zeros, 56);
    check_opens_with(d, 13);

    text_deinit(&last);
    text_deinit(&index);
    text_deinit(&time);
    text_deinit(&padded);
    image_free(&image);
    disk_free(d);
}

/* Damage in the middle of what was durable is said, not cut away with all that follows it. */
TEST(log_recover, does_not_cut_below_the_recovery_point)
{
    struct disk *d = disk_new();

    make_log(d);
    struct image image = image_of(d);
    struct text first = disk_file(d, "t-0/00000000000000000000.log");
    image_put(d, &image, false);
    first.p[300] ^= 1;
    disk_put(d, "t-0/00000000000000000000.log", first.p, first.n);
    disk_remove(d, "t-0/00000000000000000000.index"); /* so that it is read */
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    CHECK(lab_log_open(&d->lab, "t", false) == NULL);
    CHECK_EQ(d->lab.fail.error, ERR_CORRUPT);
    CHECK(strstr(d->lab.fail.text, "00000000000000000000.log") != NULL);
    lab_dir_close(&d->lab, false);
    text_deinit(&first);
    image_free(&image);
    disk_free(d);
}

/* ---- half-done replacements ---------------------------------------------------------------- */

/* Rule: interop 1.8. */
TEST(log_recover, finishes_swaps_and_removes_leftovers)
{
    struct disk *d = disk_new();

    make_log(d);
    struct image image = image_of(d);
    struct text first = disk_file(d, "t-0/00000000000000000000.log");
    struct text index = disk_file(d, "t-0/00000000000000000000.index");
    struct text time = disk_file(d, "t-0/00000000000000000000.timeindex");

    image_put(d, &image, true);
    disk_put(d, "t-0/00000000000000000000.log.swap", first.p, first.n); /* committed */
    disk_put(d, "t-0/00000000000000000000.index.swap", index.p, index.n);
    disk_put(d, "t-0/00000000000000000000.timeindex.swap", time.p, time.n);
    disk_put(d, "t-0/00000000000000000003.log", "junk", 4);         /* replaced by it */
    disk_put(d, "t-0/00000000000000000007.log.cleaned", "junk", 4); /* not committed */
    disk_put(d, "t-0/00000000000000000007.log.swap", "junk", 4);    /* of the same split */
    disk_put(d, "t-0/00000000000000000002.log.deleted", "junk", 4);
    disk_put(d, "t-0/00000000000000000005.index", "junkjunk", 8);             /* without its log */
    disk_put(d, "t-0/00000000000000000070-0000000001.checkpoint", "raft", 4); /* not ours */
    disk_put(d, "t-0/00000000000000000060-0000000001.checkpoint.deleted", "raft", 4);
    check_opens_with(d, 13);
    struct text files = lab_files(&d->lab, "t-0");
    CHECK_TEXT(text_str(&files), "00000000000000000000.index 24\n"
                                 "00000000000000000000.log 980\n"
                                 "00000000000000000000.timeindex 36\n"
                                 "00000000000000000007.index 16\n"
                                 "00000000000000000007.log 840\n"
                                 "00000000000000000007.snapshot 240\n"
                                 "00000000000000000007.timeindex 36\n"
                                 "00000000000000000013.snapshot 240\n"
                                 "00000000000000000060-0000000001.checkpoint.deleted 4\n"
                                 "00000000000000000070-0000000001.checkpoint 4\n"
                                 "leader-epoch-checkpoint 12\n"
                                 "partition.metadata 43\n");
    text_deinit(&files);
    text_deinit(&first);
    text_deinit(&index);
    text_deinit(&time);
    image_free(&image);
    disk_free(d);
}

TEST(log_recover, begins_empty_when_all_lies_below_the_start)
{
    struct disk *d = disk_new();

    make_log(d);
    disk_put(d, "log-start-offset-checkpoint", "0\n1\nt 0 50\n", 11);
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    struct log *log = lab_log(&d->lab, "t");
    CHECK_EQ(log_start(log), 50);
    CHECK_EQ(log_end(log), 50);
    CHECK_EQ(log_latest_epoch(log), -1);
    CHECK_EQ(log_producers(log, NULL, 0), 0);
    lab_fill(&d->lab, log, 2, 10);
    lab_stop(&d->lab, log, "t");
    disk_free(d);
}

TEST(log_recover, another_topics_directory_is_refused)
{
    struct disk *d = disk_new();

    make_log(d);
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    CHECK(lab_log_open_as(&d->lab, "t", (struct uuid){{77}}, true) == NULL);
    CHECK(strstr(d->lab.fail.text, "belongs to topic id") != NULL);
    lab_dir_close(&d->lab, false);
    disk_free(d);
}

/* ---- the directory ------------------------------------------------------------------------- */

TEST(log_dir, refuses_what_a_jvm_broker_refuses)
{
    struct disk *d = disk_new();

    CHECK_EQ(sim_disk_mkdir(d->node, "/data/lost+found"), 0);
    CHECK_EQ(lab_dir_open(&d->lab), -EINVAL);
    CHECK(strstr(d->lab.fail.text, "lost+found") != NULL);
    disk_free(d);

    d = disk_new();
    disk_put(d, "log-start-offset-checkpoint", "0\n2\nt 0 1\n", 10);
    CHECK_EQ(lab_dir_open(&d->lab), ERR_CORRUPT);
    CHECK(strstr(d->lab.fail.text, "log-start-offset-checkpoint") != NULL);
    CHECK_EQ(lab_dir_open(&d->lab), ERR_CORRUPT); /* the lock is not held */
    disk_free(d);
}

TEST(log_dir, knows_the_kinds_of_directories)
{
    struct disk *d = disk_new();
    static const char *const names[] = {"/data/a-b.c-12",
                                        "/data/.hidden-1",
                                        "/data/__cluster_metadata-0",
                                        "/data/gone-0.0123456789abcdef0123456789abcdef-delete",
                                        "/data/odd-0.0123456789abcdef0123456789abcdef-stray",
                                        "/data/next-0.0123456789abcdef0123456789abcdef-future"};

    for (size_t i = 0; i < array_count(names); i++)
        CHECK_EQ(sim_disk_mkdir(d->node, names[i]), 0);
    disk_put(d, "gone-0.0123456789abcdef0123456789abcdef-delete/00000000000000000000.log", "x", 1);
    disk_put(d, "a-b.c-12/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", 43);
    disk_put(d, "any file", "x", 1);
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    CHECK_EQ(d->lab.dir->found_count, 3);
    CHECK_TEXT(d->lab.dir->found[0].topic, ".hidden");
    CHECK_TEXT(d->lab.dir->found[1].topic, "a-b.c");
    CHECK_TEXT(d->lab.dir->found[2].topic, "next");
    CHECK(!d->lab.dir->found[1].is_future && d->lab.dir->found[2].is_future);
    CHECK_EQ(d->lab.dir->found[1].partition, 12);
    CHECK_EQ(d->lab.dir->found[1].topic_id.b[15], 1);
    CHECK(uuid_is_zero(d->lab.dir->found[0].topic_id));
    struct text files = lab_files(&d->lab, "");
    CHECK(strstr(files.p, "-delete") == NULL);
    CHECK(strstr(files.p, "-stray") != NULL);
    text_deinit(&files);
    lab_dir_close(&d->lab, true);
    struct text marker = disk_file(d, ".kafka_cleanshutdown");
    CHECK_TEXT(text_str(&marker), "{\"version\":0,\"brokerEpoch\":7}");
    text_deinit(&marker);
    disk_free(d);
}

TEST(log_dir, an_unreadable_marker_still_means_clean)
{
    struct disk *d = disk_new();

    disk_put(d, ".kafka_cleanshutdown", "", 0);
    CHECK_EQ(lab_dir_open(&d->lab), 0);
    CHECK(d->lab.dir->clean);
    CHECK_EQ(d->lab.dir->broker_epoch, -1);
    CHECK_EQ(sim_disk_get(d->node, "/data/.kafka_cleanshutdown", &d->lab.said), -ENOENT);
    struct log_dir *second;
    struct fail fail = {0};
    CHECK_EQ(WAIT(&d->lab, log_dir_open(d->lab.io, d->lab.telemetry, "/data", &second, &fail, op)),
             -EAGAIN);
    CHECK(strstr(fail.text, "in use") != NULL);
    lab_dir_close(&d->lab, false);
    disk_free(d);
}

/* ---- every operation fails once ------------------------------------------------------------ */

static void on_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct disk *d = ctx;

    d->failures++;
    CHECK(why->error < 0);
    CHECK(strstr(why->text, "/data") != NULL);
}

/* Returns false when no operation was left to fail. What was acknowledged is found afterwards. */
static bool fail_once(uint32_t n, int error)
{
    struct disk *d = disk_new();
    int64_t acknowledged = 0;

    CHECK_EQ(lab_dir_open(&d->lab), 0);
    struct log *log = lab_log(&d->lab, "t");
    d->lab.dir->failed = on_failed;
    d->lab.dir->failed_ctx = d;
    sim_fail_at(d->node, n, error);
    for (int i = 0; i < 30; i++) {
        struct lab_batch b = {.producer_id = 3,
                              .sequence = i,
                              .value_bytes = 70,
                              .timestamp_ms = 1000 + i,
                              .leader_epoch = i / 10};
        enum kerr rc = lab_append(&d->lab, log, &b, NULL);
        CHECK(rc == KERR_NONE || rc == KERR_KAFKA_STORAGE_ERROR);
        CHECK((rc == KERR_NONE) == !d->lab.dir->has_failed);
        while (!d->lab.dir->has_failed && i % 3 == 0 && log_stable(log) < log_end(log))
            CHECK(sim_step(d->sim));
        acknowledged = log_stable(log);
    }
    bool failed = d->lab.dir->has_failed;
    int64_t flushed = WAIT(&d->lab, log_flush(log, op));
    CHECK(!failed || flushed < 0);
    if (flushed == 0)
        acknowledged = log_end(log);
    int64_t closed = WAIT(&d->lab, log_close(log, op));
    failed = d->lab.dir->has_failed;
    CHECK_EQ(d->failures, failed ? 1 : 0);
    CHECK(!failed || closed < 0);
    int64_t marked = WAIT(&d->lab, log_dir_close(d->lab.dir, true, 7, op));
    sim_fail_at(d->node, 0, 0);

    CHECK_EQ(lab_dir_open(&d->lab), 0);
    if (marked == 0)
        CHECK_EQ(d->lab.dir->clean, !failed); /* a directory that failed is never marked clean */
    log = lab_log(&d->lab, "t");
    CHECK(log_end(log) >= acknowledged);
    struct log_producer producer;
    if (log_end(log) > 0) {
        CHECK_EQ(log_producers(log, &producer, 1), 1);
        CHECK_EQ(producer.last_sequence, log_end(log) - 1);
        CHECK_EQ(log_epoch_at(log, log_end(log) - 1), (log_end(log) - 1) / 10);
    }
    lab_stop(&d->lab, log, "t");
    bool struck = false; /* not each failure ends the directory: a full disk does not when a chunk was to be made */
    for (int kind = 0; kind < SIM_KINDS; kind++)
        struck |= sim_node_counters(d->node)->failed[kind] > 0;
    CHECK(struck || (!failed && marked == 0));
    disk_free(d);
    return struck;
}

TEST(log_faults, each_operation_fails_once)
{
    static const int errors[] = {-EIO, -ENOSPC};

    for (size_t e = 0; e < array_count(errors); e++) {
        uint32_t n = 1;
        while (fail_once(n, errors[e]))
            n++;
        CHECK(n > 60);
    }
}

/* Whatever fails while a directory is opened: a partition is never listed without the id that its file holds,
 * because its records would then be set aside. And nothing is held that keeps who comes again out. */
TEST(log_faults, no_partition_loses_its_id_to_a_failed_read)
{
    bool opened = false;

    for (uint32_t n = 1; !opened; n++) {
        struct disk *d = disk_new();
        CHECK_EQ(sim_disk_mkdir(d->node, "/data/t-0"), 0);
        disk_put(d, "t-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", 43);
        sim_fail_at(d->node, n, -EIO);
        if (lab_dir_open(&d->lab) == 0) {
            CHECK_EQ(d->lab.dir->found_count, 1);
            CHECK_EQ(d->lab.dir->found[0].topic_id.b[15], 1);
            opened = true;
            sim_fail_at(d->node, 0, 0);
            lab_dir_close(&d->lab, false);
        } else {
            CHECK(strstr(d->lab.fail.text, "/data") != NULL);
            CHECK_EQ(lab_dir_open(&d->lab), 0);
            CHECK_EQ(d->lab.dir->found_count, 1);
            lab_dir_close(&d->lab, false);
        }
        disk_free(d);
        CHECK(n < 100);
    }
}
