/* See crash_story.h. */
#include "crash_story.h"

#include <stdlib.h>

#include "check.h"
#include "crash_case.h"

#define POINTS_PATH "/data/millrace.journal/points"

static bool step(void *world)
{
    return sim_step(world);
}

void story_restart(struct story *s)
{
    struct log_settings settings = s->lab.settings;
    uint64_t limit_bytes = s->lab.memory.limit_bytes;

    sim_node_start(s->node, 1);
    lab_init(&s->lab, sim_node_io(s->node, 0), step, s->sim, "/data");
    if (settings.segment_bytes == 0)
        return;
    s->lab.settings = settings;
    s->lab.memory.limit_bytes = limit_bytes;
}

struct story *story_new(uint64_t seed, bool durable, uint32_t scale)
{
    struct story *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    seed = crash_seed(seed);
    struct sim_options options = {.names_subset = seed % 2 == 0,
                                  .trace = crash_trace()};
    s->sim = sim_new(seed, &options);
    s->node = sim_node_new(s->sim, "a");
    s->scale = scale;
    story_restart(s);
    s->lab.settings.segment_bytes = 1000 * scale;
    s->lab.settings.index_interval_bytes = 200;
    s->lab.settings.durable = durable;
    return s;
}

void story_free(struct story *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        text_deinit(&s->entries[i].bytes);
    lab_deinit(&s->lab);
    sim_free(s->sim);
    free(s);
}

bool story_is_up(const struct story *s)
{
    return sim_node_is_up(s->node);
}

/* ---- steps ------------------------------------------------------------------------------- */

void story_open(struct story *s)
{
    if (!story_is_up(s) || lab_dir_open(&s->lab) < 0)
        return;
    if (s->point_bytes > 0)
        s->lab.dir->point_bytes = s->point_bytes;
    s->log = lab_log_open(&s->lab, TOPIC, s->lab.dir->clean);
}

void story_append(struct story *s, int64_t producer, int32_t epoch, int marker)
{
    struct entry *e = &s->entries[s->count];
    struct lab_batch b = {
        .producer_id = producer > 0 ? producer : -1,
        .count = marker != 0 ? 1 : 1 + (int32_t)(s->distinct % 3),
        .value_bytes = (60 + s->distinct % 50) * s->scale,
        .timestamp_ms = 5000 + s->distinct,
        .transactional = producer == 2,
        .marker = marker,
        .leader_epoch = epoch,
    };
    struct log_appended done;

    if (s->log == NULL || !story_is_up(s))
        return;
    s->distinct++;
    if (producer > 0 && marker == 0) {
        b.sequence = s->next_sequence[producer];
        s->next_sequence[producer] += b.count;
    }
    enum kerr error = lab_append(&s->lab, s->log, &b, &done);
    if (error != KERR_NONE) {
        if (story_is_up(s) && !s->lab.dir->has_failed)
            check_fail(__FILE__, __LINE__, "seed %llu: error %d for sequence %d",
                       (unsigned long long)sim_seed(s->sim), error, b.sequence);
        return;
    }
    *e = (struct entry){.bytes = lab_batch_bytes(&b, done.base_offset),
                        .base = done.base_offset,
                        .last = done.last_offset,
                        .epoch = epoch,
                        .producer_id = producer > 0 ? producer : -1,
                        .timestamp_ms = b.timestamp_ms,
                        .marker = marker,
                        .last_sequence = marker != 0 ? -1 : b.sequence + b.count - 1};
    batch_stamp((uint8_t *)e->bytes.p, e->base, epoch);
    s->count++;
}

static void note_stable(struct story *s)
{
    if (s->log != NULL && log_stable(s->log) > s->acknowledged)
        s->acknowledged = log_stable(s->log);
}

void story_until_stable(struct story *s)
{
    while (s->log != NULL && story_is_up(s) && log_stable(s->log) < log_end(s->log)) {
        CHECK(sim_step(s->sim));
        if (story_is_up(s))
            note_stable(s);
    }
}

void story_begin_epoch(struct story *s, int32_t epoch)
{
    if (s->log != NULL && story_is_up(s))
        (void)WAIT(&s->lab, log_begin_epoch(s->log, epoch, op));
}

void story_flush(struct story *s)
{
    if (s->log == NULL || !story_is_up(s))
        return;
    if (WAIT(&s->lab, log_flush(s->log, op)) == 0)
        s->acknowledged = log_end(s->log);
}

void story_save_checkpoints(struct story *s)
{
    if (s->log == NULL || !story_is_up(s))
        return;
    struct checkpoint_entry point = {(char *)(uintptr_t)TOPIC, 0, log_recovery_point(s->log)};
    struct checkpoint_entry start = {(char *)(uintptr_t)TOPIC, 0, log_start(s->log)};
    struct checkpoint points = {&point, 1}, starts = {&start, 1};
    if (WAIT(&s->lab, log_dir_checkpoint(s->lab.dir, &points, &starts, NULL, op)) < 0)
        return;
    s->checkpoint_start = start.offset;
    s->point_is_old = false;
}

void story_truncate(struct story *s, uint32_t n)
{
    if (s->log == NULL || !story_is_up(s))
        return;
    int64_t offset = s->entries[s->count - n].base;
    if (s->acknowledged > offset)
        s->acknowledged = offset;
    s->point_is_old = true;
    if (WAIT(&s->lab, log_truncate(s->log, offset, op)) < 0)
        return; /* all of them may still be there */
    CHECK_EQ(log_end(s->log), offset);
    for (; n > 0; n--)
        text_deinit(&s->entries[--s->count].bytes);
    s->next_sequence[1] = s->next_sequence[2] = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->entries[i].producer_id > 0 && s->entries[i].last_sequence >= 0)
            s->next_sequence[s->entries[i].producer_id] = s->entries[i].last_sequence + 1;
    }
    if (!s->saves_late)
        story_save_checkpoints(s);
}

void story_raise_start(struct story *s, int64_t offset)
{
    if (s->log == NULL || !story_is_up(s))
        return;
    s->started = offset;
    (void)WAIT(&s->lab, log_raise_start(s->log, offset, op));
    story_save_checkpoints(s);
}

void story_retain(struct story *s, int64_t bytes)
{
    if (s->log == NULL || !story_is_up(s))
        return;
    int64_t before = s->started;
    s->lab.settings.retention_bytes = bytes * s->scale;
    log_set_settings(s->log, &s->lab.settings);
    s->started = log_end(s->log);
    if (WAIT(&s->lab, log_retain(s->log, log_stable(s->log), op)) < 0)
        return;
    s->started = before > log_start(s->log) ? before : log_start(s->log);
    if (log_start(s->log) == log_first_segment(s->log))
        s->checkpoint_start = log_start(s->log);
}

void story_close(struct story *s, bool clean)
{
    if (clean)
        story_flush(s);
    if (clean)
        story_save_checkpoints(s);
    if (s->log != NULL && WAIT(&s->lab, log_close(s->log, op)) < 0)
        clean = false;
    s->log = NULL;
    if (s->lab.dir != NULL)
        (void)WAIT(&s->lab, log_dir_close(s->lab.dir, clean, 1, op));
    s->lab.dir = NULL;
}

/* ---- after a crash --------------------------------------------------------------------------- */

void story_lose_points(struct story *s)
{
    struct text content = {0};

    if (s->loses_points && sim_disk_get(s->node, POINTS_PATH, &content) == 0)
        CHECK_EQ(sim_disk_put(s->node, POINTS_PATH, bytes_of_str(STR("gone"))), 0);
    text_deinit(&content);
}

void story_open_after_crash(struct story *s)
{
    story_lose_points(s);
    lab_deinit(&s->lab);
    story_restart(s);
    story_open(s);
}

void story_adopt(struct story *s)
{
    s->next_sequence[1] = s->next_sequence[2] = 0;
    while (s->count > 0 && s->entries[s->count - 1].base >= log_end(s->log))
        text_deinit(&s->entries[--s->count].bytes);
    for (uint32_t i = 0; i < s->count; i++) {
        if (story_has_lost_all(s))
            s->entries[i].producer_id = -1;
        if (s->entries[i].producer_id > 0 && s->entries[i].last_sequence >= 0)
            s->next_sequence[s->entries[i].producer_id] = s->entries[i].last_sequence + 1;
    }
    s->acknowledged = log_end(s->log);
}
