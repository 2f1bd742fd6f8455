/* Directories that Kafka 4.3.1 and 4.4.0 left: we find in them what Kafka found, leave them as they
 * were, and write the same bytes from the same batches. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "real.h"

static const char *const versions[] = {"kafka-4.3.1", "kafka-4.4.0"};

/* Unpack data/ of a version into the world's directory. */
static void unpack(struct real *r, const char *version)
{
    char command[1200];

    snprintf(command, sizeof(command),
             "tar -C %s --zstd -xf %s/../../interop/golden/%s/data.tar.zst", r->world->directory,
             TEST_DIR, version);
    CHECK_EQ(system(command), 0);
}

static struct text table_of(const char *version, const char *name)
{
    struct text out = {0};
    char path[1000], bytes[4096];
    size_t n;

    snprintf(path, sizeof(path), "%s/../../interop/golden/%s/%s", TEST_DIR, version, name);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
        text_add(&out, bytes, n);
    fclose(f);
    return out;
}

static void lab_at(struct real *r, const char *name)
{
    snprintf(r->lab.directory, sizeof(r->lab.directory), "%s/%s", r->world->directory, name);
    r->lab.settings.index_interval_bytes = 256;
    CHECK_EQ(lab_dir_open(&r->lab), 0);
}

static struct log *open_found(struct real *r, const struct log_found *found, bool clean)
{
    struct log_open o = {
        .io = r->lab.io,
        .telemetry = r->lab.telemetry,
        .dir = r->lab.dir,
        .memory = &r->lab.memory,
        .topic = str_of(found->topic),
        .partition = found->partition,
        .topic_id = found->topic_id,
        .settings = r->lab.settings,
        .recovery_point =
            checkpoint_find(&r->lab.dir->recovery_point, str_of(found->topic), found->partition, 0),
        .start_offset =
            checkpoint_find(&r->lab.dir->log_start, str_of(found->topic), found->partition, -1),
        .clean = clean,
    };
    struct log *log;

    r->lab.fail = (struct fail){0};
    if (WAIT(&r->lab, log_open(&o, &log, &r->lab.fail, op)) < 0)
        check_fail(__FILE__, __LINE__, "%s", r->lab.fail.text);
    return log;
}

/* "topic id partition start lso hw\n", as in topics.tsv. */
static void describe(struct real *r, const struct log_found *found, struct log *log,
                     struct text *out)
{
    int64_t high_watermark =
        checkpoint_find(&r->lab.dir->high_watermark, str_of(found->topic), found->partition, -1);
    char id[UUID_TEXT_BYTES];

    CHECK_EQ(high_watermark, log_end(log)); /* one replica: all is replicated */
    CHECK(uuid_equal(found->topic_id, log_topic_id(log)));
    text_printf(out, "%s\t%s\t%d\t%lld\t%lld\t%lld\n", found->topic, uuid_text(found->topic_id, id),
                found->partition, (long long)log_start(log),
                (long long)log_last_stable_offset(log, high_watermark), (long long)log_end(log));
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines sorted, without the first one when `header`. */
static struct text sorted(struct text in, bool header)
{
    char *lines[500];
    size_t count = 0;
    struct text out = {0};

    text_add(&in, "", 1);
    for (char *line = strtok(in.p, "\n"); line != NULL; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines + header, count - header, sizeof(lines[0]), compare_lines);
    for (size_t i = header; i < count; i++)
        text_printf(&out, "%s\n", lines[i]);
    text_deinit(&in);
    return out;
}

/* Clean or with the full scan, the tables' offsets are found. */
static void check_offsets(const char *version, bool clean)
{
    static const char *const dirs[] = {"data/a", "data/b"};
    struct real *r = real_open();
    struct text found = {0};

    lab_dir_close(&r->lab, false);
    unpack(r, version);
    for (int i = 0; i < 2; i++) {
        lab_at(r, dirs[i]);
        CHECK(r->lab.dir->clean);
        CHECK_EQ(r->lab.dir->broker_epoch, 14);
        for (uint32_t k = 0; k < r->lab.dir->found_count; k++) {
            struct log *log = open_found(r, &r->lab.dir->found[k], clean);
            describe(r, &r->lab.dir->found[k], log, &found);
            CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
        }
        lab_dir_close(&r->lab, false);
    }
    CHECK_TEXT(text_str(&r->lab.said), "");
    struct text actual = sorted(found, false);
    struct text expected = sorted(table_of(version, "topics.tsv"), true);
    text_add(&expected, "", 1);
    CHECK_TEXT(text_str(&actual), expected.p);
    text_deinit(&actual);
    text_deinit(&expected);
    real_close(r, NULL);
}

TEST(golden, offsets_after_a_clean_stop)
{
    for (size_t i = 0; i < array_count(versions); i++)
        check_offsets(versions[i], true);
}

TEST(golden, offsets_after_a_scan)
{
    for (size_t i = 0; i < array_count(versions); i++)
        check_offsets(versions[i], false);
}

/* Files of ours and of Kafka, but those that wait for deletion, and `but`. */
static void check_same(const char *ours, const char *theirs, const char *but)
{
    char command[2500];

    snprintf(command, sizeof(command), "diff -r -x '*.deleted' -x '%s' %s %s", but, theirs, ours);
    if (system(command) != 0)
        check_fail(__FILE__, __LINE__, "%s and %s differ", ours, theirs);
}

/* Opening and closing a directory of Kafka's changes nothing in its partitions, and a scan makes
 * of them what was there. */
static void check_unchanged(const char *version, bool clean)
{
    static const char *const dirs[] = {"a", "b"};
    struct real *r = real_open();
    char name[64], ours[1000], theirs[1000], command[2500];

    lab_dir_close(&r->lab, false);
    unpack(r, version);
    snprintf(command, sizeof(command), "cp -r %s/data %s/kept", r->world->directory,
             r->world->directory);
    CHECK_EQ(system(command), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "data/%s", dirs[i]);
        lab_at(r, name);
        for (uint32_t k = 0; k < r->lab.dir->found_count; k++) {
            const struct log_found *found = &r->lab.dir->found[k];
            bool internal = found->topic[0] == '_';
            r->lab.settings.index_interval_bytes = internal ? 4096 : 256;
            struct log *log = open_found(r, found, clean);
            bool empty = log_end(log) == 0;
            CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
            snprintf(ours, sizeof(ours), "%s/data/%s/%s", r->world->directory, dirs[i],
                     found->name);
            snprintf(theirs, sizeof(theirs), "%s/kept/%s/%s", r->world->directory, dirs[i],
                     found->name);
            /* an epoch without a batch is forgotten, as by Kafka */
            check_same(ours, theirs, empty ? "leader-epoch-checkpoint" : "");
        }
        struct log_dir *dir = r->lab.dir;
        CHECK_EQ(WAIT(&r->lab, log_dir_close(dir, true, 14, op)), 0);
        r->lab.dir = NULL;
        snprintf(ours, sizeof(ours), "%s/data/%s/.kafka_cleanshutdown", r->world->directory,
                 dirs[i]);
        snprintf(theirs, sizeof(theirs), "%s/kept/%s/.kafka_cleanshutdown", r->world->directory,
                 dirs[i]);
        check_same(ours, theirs, "");
    }
    real_close(r, NULL);
}

TEST(golden, open_and_close_change_nothing)
{
    for (size_t i = 0; i < array_count(versions); i++)
        check_unchanged(versions[i], true);
}

TEST(golden, a_scan_makes_the_same_files)
{
    for (size_t i = 0; i < array_count(versions); i++)
        check_unchanged(versions[i], false);
}

/* The metadata log: always scanned, also with indexes that were not cut; snapshots of raft's are
 * left alone; the indexes are those that the other version cuts. */
TEST(golden, the_metadata_log)
{
    static const struct {
        const char *version;
        int64_t end;
        const char *files;
    } cases[] = {
        {"kafka-4.3.1", 131,
         "00000000000000000000-0000000000.checkpoint 241\n"
         "00000000000000000000.index 16\n"
         "00000000000000000000.log 8823\n"
         "00000000000000000000.timeindex 24\n"
         "00000000000000000070-0000000001.checkpoint 3409\n"
         "00000000000000000131.snapshot 10\n"
         "leader-epoch-checkpoint 8\n"
         "partition.metadata 43\n"
         "quorum-state 104\n"},
        {"kafka-4.4.0", 130,
         "00000000000000000000-0000000000.checkpoint 595\n"
         "00000000000000000000.index 16\n"
         "00000000000000000000.log 8812\n"
         "00000000000000000000.timeindex 24\n"
         "00000000000000000070-0000000001.checkpoint 3409\n"
         "00000000000000000130.snapshot 10\n"
         "leader-epoch-checkpoint 8\n"
         "partition.metadata 43\n"
         "quorum-state 104\n"},
    };

    for (size_t i = 0; i < array_count(cases); i++) {
        struct real *r = real_open();
        struct log *log;
        lab_dir_close(&r->lab, false);
        unpack(r, cases[i].version);
        lab_at(r, "data/a");
        struct log_open o = {
            .io = r->lab.io,
            .telemetry = r->lab.telemetry,
            .dir = r->lab.dir,
            .memory = &r->lab.memory,
            .topic = STR("__cluster_metadata"),
            .settings = r->lab.settings,
            .start_offset = -1,
            .clean = true,
            .is_metadata = true,
        };
        o.settings.index_interval_bytes = 4096;
        CHECK_EQ(WAIT(&r->lab, log_open(&o, &log, &r->lab.fail, op)), 0);
        CHECK_EQ(log_start(log), 0);
        CHECK_EQ(log_end(log), cases[i].end);
        CHECK_EQ(log_latest_epoch(log), 1);
        CHECK_EQ(log_topic_id(log).b[15], 1);
        CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
        struct text files = lab_files(&r->lab, "__cluster_metadata-0");
        CHECK_TEXT(text_str(&files), cases[i].files);
        text_deinit(&files);
        lab_dir_close(&r->lab, false);
        real_close(r, NULL);
    }
}

/* ---- the same bytes from the same batches -------------------------------------------------- */

#define SNAPSHOT_HEAD_BYTES 10
#define SNAPSHOT_ENTRY_BYTES 46

/* What Kafka's reader keeps of a producer snapshot: of each producer the last entry. Ours has one for each batch. */
static void keep_last_entries(const char *path)
{
    uint8_t in[4096], out[4096];
    FILE *f = fopen(path, "r+");
    size_t n, kept = SNAPSHOT_HEAD_BYTES;

    CHECK(f != NULL);
    n = fread(in, 1, sizeof(in), f);
    CHECK(n >= SNAPSHOT_HEAD_BYTES && n < sizeof(in));
    memcpy(out, in, SNAPSHOT_HEAD_BYTES);
    for (size_t at = SNAPSHOT_HEAD_BYTES; at < n; at += SNAPSHOT_ENTRY_BYTES) {
        if (at + SNAPSHOT_ENTRY_BYTES < n && get_i64(in + at) == get_i64(in + at + SNAPSHOT_ENTRY_BYTES))
            continue;
        memcpy(out + kept, in + at, SNAPSHOT_ENTRY_BYTES);
        kept += SNAPSHOT_ENTRY_BYTES;
    }
    put_u32(out + 6, (uint32_t)((kept - SNAPSHOT_HEAD_BYTES) / SNAPSHOT_ENTRY_BYTES));
    put_u32(out + 2, crc32c(0, out + 6, kept - 6));
    rewind(f);
    CHECK_EQ(fwrite(out, 1, kept, f), kept);
    CHECK_EQ(ftruncate(fileno(f), (off_t)kept), 0);
    fclose(f);
}

static void as_kafka_reads_snapshots(const char *directory)
{
    char pattern[1100];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/*.snapshot", directory);
    CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        keep_last_entries(found.gl_pathv[i]);
    globfree(&found);
}

static void copy_log(struct real *r, const char *dir_name, const struct log_found *found,
                     struct log *from)
{
    struct log *to;
    struct log_found fresh = *found;
    struct log_dir *source = r->lab.dir;
    char ours[1000], theirs[1000];

    snprintf(r->lab.directory, sizeof(r->lab.directory), "%s/copy", r->world->directory);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    to = open_found(r, &fresh, false);
    for (int64_t offset = log_start(from); offset < log_end(from);) {
        struct text bytes = lab_read(&r->lab, from, offset, log_end(from), 300);
        struct batch b;
        CHECK(bytes.n > 0);
        CHECK_EQ(log_append_stamped(to, bytes_of_str(text_str(&bytes)), 0), 0);
        for (struct bytes rest = bytes_of_str(text_str(&bytes)); rest.n > 0;) {
            int n = batch_read(rest, &b, NULL);
            CHECK(n > 0);
            rest.p += n;
            rest.n -= n;
        }
        offset = b.last_offset + 1;
        text_deinit(&bytes);
    }
    CHECK_EQ(log_end(to), log_end(from));
    CHECK_EQ(WAIT(&r->lab, log_close(to, op)), 0);
    lab_dir_close(&r->lab, false);
    snprintf(ours, sizeof(ours), "%s/copy/%s", r->world->directory, found->name);
    snprintf(theirs, sizeof(theirs), "%s/%s/%s", r->world->directory, dir_name, found->name);
    as_kafka_reads_snapshots(ours);
    check_same(ours, theirs, "");
    r->lab.dir = source;
}

/* Compacted, deleted from, or without an epoch because nothing was appended: not to be made by
 * appends alone. */
static bool can_be_made(const struct log_found *found, const struct log *log)
{
    return strcmp(found->topic, "profiles") != 0 && log_start(log) == 0 && log_end(log) > 0;
}

TEST(golden, the_same_batches_make_the_same_files)
{
    for (size_t v = 0; v < array_count(versions); v++) {
        static const char *const dirs[] = {"data/a", "data/b"};
        struct real *r = real_open();
        uint32_t compared = 0;

        lab_dir_close(&r->lab, false);
        unpack(r, versions[v]);
        for (int i = 0; i < 2; i++) {
            lab_at(r, dirs[i]);
            for (uint32_t k = 0; k < r->lab.dir->found_count; k++) {
                struct log_found *found = &r->lab.dir->found[k];
                bool internal = found->topic[0] == '_';
                r->lab.settings.index_interval_bytes = internal ? 4096 : 256;
                r->lab.settings.segment_bytes =
                    strcmp(found->topic, "orders") == 0 ? 4096 : 100 << 20;
                struct log *log = open_found(r, found, true);
                if (can_be_made(found, log)) {
                    copy_log(r, dirs[i], found, log);
                    compared++;
                }
                CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
            }
            lab_dir_close(&r->lab, false);
        }
        CHECK_EQ(compared, 12);
        real_close(r, NULL);
    }
}
