/* Index entries are written late, and never for batches that are not in the file (L3). */
#include <stdlib.h>

#include "check.h"
#include "crash_story.h"

#define MAGIC_AT 16

/* Behind the batches there are zeros: the file is allocated ahead. */
static bool has_batch(const struct text *log, uint32_t position)
{
    return position + MAGIC_AT < log->n && log->p[position + MAGIC_AT] == 2;
}

static void check_index_lags(struct story *s)
{
    struct text index = {0}, log = {0};

    (void)sim_disk_get(s->node, "/data/t-0/00000000000000000000.index", &index);
    (void)sim_disk_get(s->node, "/data/t-0/00000000000000000000.log", &log);
    if (index.n >= 8)
        CHECK(has_batch(&log, get_u32(index.p + index.n - 4)));
    text_deinit(&index);
    text_deinit(&log);
}

/* Entries for batches that still wait in memory are not written. */
TEST(log_index, never_leads_the_log)
{
    struct story *s = story_new(2, true, SMALL);
    uint64_t written = 0;

    s->lab.settings.segment_bytes = 1 << 30;
    s->lab.settings.index_interval_bytes = 1;
    story_open(s);
    for (int i = 0; i < 6000; i++) {
        lab_fill(&s->lab, s->log, 1, 10);
        if (i % 20 != 0)
            continue;
        CHECK(sim_step(s->sim));
        check_index_lags(s);
    }
    struct text index = {0};
    CHECK_EQ(WAIT(&s->lab, log_flush(s->log, op)), 0);
    (void)sim_disk_get(s->node, "/data/t-0/00000000000000000000.index", &index);
    written = index.n;
    CHECK(written >= 4096);
    text_deinit(&index);
    story_close(s, true);
    story_free(s);
}

/* Entries that may not be written yet are waited for, not asked for again and again. */
TEST(log_index, waits_for_a_slow_disk)
{
    struct story *s = story_new(2, true, SMALL);

    s->lab.settings.segment_bytes = 1 << 30;
    s->lab.settings.index_interval_bytes = 1;
    story_open(s);
    sim_disk_slow(s->node, 1000, INT64_MAX);
    for (int i = 0; i < 30; i++) {
        lab_fill(&s->lab, s->log, 300, 10);
        CHECK(sim_step(s->sim));
        CHECK(sim_step(s->sim));
    }
    story_until_stable(s);
    CHECK(sim_events(s->sim) < 300);
    story_close(s, true);
    story_free(s);
}
