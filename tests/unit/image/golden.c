/* Metadata logs and snapshots that Kafka 4.3.1 and 4.4.0 wrote (node.id=1, one node). */
#include <stdio.h>
#include <stdlib.h>

#include "record/record.h"
#include "world.h"

static struct text file_read(const char *name)
{
    struct text content = {0};
    char path[500], piece[4096];
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "%s/golden/%s", TEST_DIR, name);
    file = fopen(path, "rb");
    if (file == NULL)
        check_fail(__FILE__, __LINE__, "cannot open %s", path);
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        text_add(&content, piece, n);
    fclose(file);
    return content;
}

static void apply_batch(struct image_edit *e, const struct batch *batch, int64_t end, int *applied)
{
    struct records records = {0};
    struct record record;
    struct fail f = {0};

    CHECK_EQ(records_begin(&records, batch, 1 << 20), 0);
    while (records_next(&records, &record) == 1) {
        if (record.offset >= end)
            break;
        if (image_edit_apply(e, record.value, &f) < 0)
            check_fail(__FILE__, __LINE__, "offset %" PRId64 ": %s", record.offset, f.text);
        *applied += 1;
    }
    records_end(&records);
}

/* The image of a file's records below `end`; `*applied` counts them. */
static struct image *image_of_file(const char *name, int64_t end, int *applied)
{
    struct text content = file_read(name);
    struct bytes rest = bytes_of_str(text_str(&content));
    struct image *i = image_empty();
    struct batch batch;

    *applied = 0;
    while (batch_next(&rest, &batch) == 1) {
        struct image_edit *e;
        struct image *next;

        if (batch_is_control(&batch))
            continue;
        e = image_edit_begin(i);
        apply_batch(e, &batch, end, applied);
        next = image_edit_finish(e, batch.last_offset, batch.leader_epoch, batch.max_timestamp_ms);
        image_unref(i);
        i = next;
    }
    CHECK_EQ(rest.n, 0);
    text_deinit(&content);
    return i;
}

static void check_rewrite(const struct image *i)
{
    struct image *again = world_rewrite(i);
    struct str expected = world_print(i, false);

    CHECK(str_equal(world_print(again, false), expected));
    image_unref(again);
}

static void check_golden(const char *log, const char *snapshot, int records)
{
    int applied;
    struct image *i = image_of_file(log, 70, &applied), *from_snapshot;

    from_snapshot = image_of_file(snapshot, INT64_MAX, &applied);
    CHECK_EQ(image_topic_count(i), 7);
    check_text(world_print(i, true), world_print(from_snapshot, true), snapshot, __FILE__,
               __LINE__);
    check_rewrite(i);
    image_unref(i);
    image_unref(from_snapshot);

    i = image_of_file(log, INT64_MAX, &applied);
    CHECK_EQ(applied, records);
    check_rewrite(i);
    image_unref(i);
    world_end();
}

/* What the log says up to offset 70 is what Kafka's own snapshot of that offset says. */
TEST(image_golden, log_and_snapshot_of_4_3_1_agree)
{
    check_golden("metadata-4.3.1.log", "snapshot-70-4.3.1.checkpoint", 128);
}

TEST(image_golden, log_and_snapshot_of_4_4_0_agree)
{
    check_golden("metadata-4.4.0.log", "snapshot-70-4.4.0.checkpoint", 127);
}
