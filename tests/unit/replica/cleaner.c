/* Which logs of a shard are compacted, and when. */
#include "lab.h"

#include <stdio.h>

struct watch {
    struct lab *lab;
    struct cleaner *cleaner;
    uint32_t cleaned;
};

static void note_cleaned(void *ctx, struct log_dir *dir)
{
    ((struct watch *)ctx)->cleaned++;
}

/* Topics 1, 2 and 3 are compacted; each batch that comes a second later begins a segment. */
static void begin(struct lab *lab, struct watch *w)
{
    static const char *const names[] = {"a", "b", "c"};

    lab_init(lab, 41, NULL, 1, 1);
    for (uint8_t i = 0; i < 3; i++) {
        meta_topic(lab, names[i], (uint8_t)(i + 1), 1);
        meta_config(lab, names[i], "cleanup.policy", "compact");
        meta_config(lab, names[i], "segment.ms", "1");
    }
    meta_topic(lab, "plain", 4, 1);
    meta_config(lab, "plain", "segment.ms", "1");
    CHECK_EQ(config_set(lab->broker, CONFIG_STATIC_BROKER, STR("log.cleaner.backoff.ms"), STR("1000"), NULL), 0);
    CHECK_EQ(lab_start(lab), 0);
    *w = (struct watch){.lab = lab};
}

static void put(struct lab *lab, uint8_t id, const char *key, int64_t timestamp_ms)
{
    struct replica *r = lab_get(lab, id, 0);
    struct replica_appended done;
    struct batch_builder b;
    struct text bytes = {0};
    struct batch batch;

    batch_builder_init(&b);
    batch_builder_add(&b, timestamp_ms, bytes_of_str(str_of(key)), bytes_of_str(STR("some value or other")), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    CHECK_EQ(replica_append(r, &batch, -1, &done), KERR_NONE);
    UNTIL(lab, replica_high_watermark(r) > done.last_offset);
    batch_builder_deinit(&b);
    text_deinit(&bytes);
}

/* `n` values of the same key, each in a segment of its own. */
static void fill(struct lab *lab, uint8_t id, int n)
{
    for (int i = 0; i < n; i++)
        put(lab, id, "key", 1000000 + log_end(replica_log(lab_get(lab, id, 0))) * 1000);
    lab_pass(lab, SEC); /* rolled segments are closed aside */
}

static uint32_t segments(struct lab *lab, uint8_t id)
{
    return log_segment_count(replica_log(lab_get(lab, id, 0)));
}

static void start(struct watch *w)
{
    w->cleaner = cleaner_start(w->lab->sets[0], note_cleaned, w);
}

static void stop(struct watch *w)
{
    struct wait wait;

    cleaner_stop(w->cleaner, wait_begin(&wait));
    CHECK_EQ(wait_end(w->lab, &wait), 0);
}

TEST(cleaner, compacts_what_is_dirty_enough)
{
    struct checkpoint lines = {0};
    struct text out = {0};
    struct watch w;
    struct lab lab;

    begin(&lab, &w);
    fill(&lab, 1, 5);
    fill(&lab, 4, 5);
    start(&w);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(w.cleaned, 1);
    CHECK_EQ(segments(&lab, 1), 2); /* what was compacted, and the one that is written to */
    CHECK_EQ(segments(&lab, 4), 5);
    CHECK_EQ(log_first_dirty(replica_log(lab_get(&lab, 1, 0))), 4);
    /* one more value is less than half of it */
    meta_config(&lab, "a", "min.cleanable.dirty.ratio", "0.6");
    CHECK_EQ(lab_apply(&lab), 0);
    fill(&lab, 1, 1);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(w.cleaned, 1);
    meta_config(&lab, "a", "min.cleanable.dirty.ratio", "0.1");
    CHECK_EQ(lab_apply(&lab), 0);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(w.cleaned, 2);
    replicas_cleaner_checkpoint(lab.sets[0], lab.dirs[0], &lines);
    checkpoint_print(&lines, &out);
    CHECK_TEXT(text_str(&out), "0\n1\na 0 5\n");
    stop(&w);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_TEXT(text_str(&lab.said), "");
    checkpoint_free(&lines);
    text_deinit(&out);
    lab_deinit(&lab);
}

/* min.compaction.lag.ms keeps records from it, max.compaction.lag.ms makes it come. The clock is in 2025. */
TEST(cleaner, obeys_the_lags)
{
    struct watch w;
    struct lab lab;

    begin(&lab, &w);
    meta_config(&lab, "a", "min.compaction.lag.ms", "9000000000000");
    meta_config(&lab, "b", "min.cleanable.dirty.ratio", "1");
    CHECK_EQ(lab_apply(&lab), 0);
    fill(&lab, 1, 5);
    fill(&lab, 2, 5);
    start(&w);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(w.cleaned, 0);
    meta_config(&lab, "b", "max.compaction.lag.ms", "1000");
    CHECK_EQ(lab_apply(&lab), 0);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(w.cleaned, 1);
    CHECK_EQ(segments(&lab, 1), 5);
    CHECK_EQ(segments(&lab, 2), 2);
    stop(&w);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* One that is damaged is said and left alone; the others are compacted. */
TEST(cleaner, leaves_a_damaged_log_alone)
{
    struct watch w;
    struct lab lab;

    begin(&lab, &w);
    fill(&lab, 1, 9);
    fill(&lab, 2, 5);
    CHECK_EQ(sim_disk_rot(lab.node, "/data0/a-0/00000000000000000000.log", 70), 0);
    lab.memory[0].limit_bytes = 0; /* what memory still has of it is good */
    fill(&lab, 2, 1);
    start(&w);
    lab_pass(&lab, 5 * SEC);
    CHECK_EQ(segments(&lab, 1), 9);
    CHECK_EQ(segments(&lab, 2), 2);
    CHECK(replica_is_uncleanable(lab_get(&lab, 1, 0)));
    CHECK(!replica_is_uncleanable(lab_get(&lab, 2, 0)));
    CHECK_TEXT(text_str(&lab.said),
               "Marking a-0 in /data0 as uncleanable: it is not compacted until the next start, but served: "
               "/data0/a-0/00000000000000000000.log, the batch at byte 0: the bytes fail their checksum or make no "
               "sense\n");
    stop(&w);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* A topic goes, and the cleaner is stopped, wherever it is. */
TEST(cleaner, ends_whenever_it_must)
{
    for (int steps = 0; steps < 120; steps += 3) {
        struct watch w;
        struct lab lab;

        begin(&lab, &w);
        fill(&lab, 1, 5);
        fill(&lab, 2, 5);
        start(&w);
        for (int i = 0; i < steps; i++)
            CHECK(sim_step(lab.sim));
        meta_remove(&lab, 1);
        CHECK_EQ(lab_apply(&lab), 0);
        stop(&w);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_TEXT(text_str(&lab.said), "");
        lab_deinit(&lab);
    }
}
