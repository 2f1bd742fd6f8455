/* Power cuts and kills at every change of the disk, in the simulator: what was acknowledged is
 * there afterwards, byte for byte, and the states beside the log say what its batches say. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "log/epochs.h"
#include "sides.h"
#include "simulator/simulator.h"

#define TOPIC "t"
#define POINTS_PATH "/data/millrace.journal/points"
#define BATCHES_MAX 200
#define POWER SIM_CRASH_POWER
#define KILL SIM_CRASH_KILL
#define AFTER SIM_CRASH_AFTER

/* A batch as it must be found. */
struct entry {
    struct text bytes;
    int64_t base, last;
    int32_t epoch;
    int64_t producer_id;
    int32_t last_sequence;
    int64_t timestamp_ms; /* of its first record; the others +1 each */
};

struct story {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *log;
    struct entry entries[BATCHES_MAX];
    uint32_t count;
    int64_t acknowledged;     /* everything below it must be there */
    int64_t started;          /* the start may be raised to here */
    int64_t checkpoint_start; /* that was told to be durable */
    uint64_t point_bytes;     /* how often scan points move; 0: as ever, here never */
    bool loses_points;        /* with each crash: then logs are scanned from their recovery points on, as by Kafka */
    bool forgets;             /* a power cut may take what was acknowledged: relaxed */
    bool point_is_old;        /* the recovery point in the checkpoint may be of before a truncation */
    int32_t next_sequence[3];
    uint32_t distinct; /* so that no two batches are alike */
    uint32_t scale;    /* how much larger batches and segments are than small ones */
};

#define SMALL 1
#define LARGE 160 /* a batch is worth a direct write */

static bool step(void *world)
{
    return sim_step(world);
}

static void lab_restart(struct story *s)
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

static struct story *story_new(uint64_t seed, bool durable, uint32_t scale)
{
    struct story *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    struct sim_options options = {.names_subset = seed % 2 == 0,
                                  .trace = getenv("CRASH_TRACE") == NULL ? NULL : stderr};
    s->sim = sim_new(seed, &options);
    s->node = sim_node_new(s->sim, "a");
    s->scale = scale;
    lab_restart(s);
    s->lab.settings.segment_bytes = 1000 * scale;
    s->lab.settings.index_interval_bytes = 200;
    s->lab.settings.durable = durable;
    return s;
}

static void story_free(struct story *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        text_deinit(&s->entries[i].bytes);
    lab_deinit(&s->lab);
    sim_free(s->sim);
    free(s);
}

static bool is_up(const struct story *s)
{
    return sim_node_is_up(s->node);
}

/* ---- steps; each does nothing once the node is down ---------------------------------------- */

static void open_all(struct story *s)
{
    if (!is_up(s) || lab_dir_open(&s->lab) < 0)
        return;
    if (s->point_bytes > 0)
        s->lab.dir->point_bytes = s->point_bytes;
    s->log = lab_log_open(&s->lab, TOPIC, s->lab.dir->clean);
}

static void append(struct story *s, int64_t producer, int32_t epoch, int marker)
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

    if (s->log == NULL || !is_up(s))
        return;
    s->distinct++;
    if (producer > 0 && marker == 0) {
        b.sequence = s->next_sequence[producer];
        s->next_sequence[producer] += b.count;
    }
    enum kerr error = lab_append(&s->lab, s->log, &b, &done);
    if (error != KERR_NONE) {
        if (is_up(s) && !s->lab.dir->has_failed)
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
                        .last_sequence = marker != 0 ? -1 : b.sequence + b.count - 1};
    batch_stamp((uint8_t *)e->bytes.p, e->base, epoch);
    s->count++;
}

static void note_stable(struct story *s)
{
    if (s->log != NULL && log_stable(s->log) > s->acknowledged)
        s->acknowledged = log_stable(s->log);
}

static void until_stable(struct story *s)
{
    while (s->log != NULL && is_up(s) && log_stable(s->log) < log_end(s->log)) {
        CHECK(sim_step(s->sim));
        if (is_up(s))
            note_stable(s);
    }
}

static void begin_epoch(struct story *s, int32_t epoch)
{
    if (s->log != NULL && is_up(s))
        (void)WAIT(&s->lab, log_begin_epoch(s->log, epoch, op));
}

static void flush(struct story *s)
{
    if (s->log == NULL || !is_up(s))
        return;
    if (WAIT(&s->lab, log_flush(s->log, op)) == 0)
        s->acknowledged = log_end(s->log);
}

static void save_checkpoints(struct story *s)
{
    if (s->log == NULL || !is_up(s))
        return;
    struct checkpoint_entry point = {(char *)(uintptr_t)TOPIC, 0, log_recovery_point(s->log)};
    struct checkpoint_entry start = {(char *)(uintptr_t)TOPIC, 0, log_start(s->log)};
    struct checkpoint points = {&point, 1}, starts = {&start, 1};
    if (WAIT(&s->lab, log_dir_checkpoint(s->lab.dir, &points, &starts, NULL, op)) < 0)
        return;
    s->checkpoint_start = start.offset;
    s->point_is_old = false;
}

/* Cut at the base of the n-th batch from the end. */
static void truncate_last(struct story *s, uint32_t n)
{
    if (s->log == NULL || !is_up(s))
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
    save_checkpoints(s);
}

static void raise_start(struct story *s, int64_t offset)
{
    if (s->log == NULL || !is_up(s))
        return;
    s->started = offset;
    (void)WAIT(&s->lab, log_raise_start(s->log, offset, op));
    save_checkpoints(s);
}

/* The oldest segments go until no more than `bytes` need stay; once that is told, they stay gone. */
static void retain(struct story *s, int64_t bytes)
{
    if (s->log == NULL || !is_up(s))
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

static void close_all(struct story *s, bool clean)
{
    if (clean)
        flush(s);
    if (clean)
        save_checkpoints(s);
    if (s->log != NULL && WAIT(&s->lab, log_close(s->log, op)) < 0)
        clean = false;
    s->log = NULL;
    if (s->lab.dir != NULL)
        (void)WAIT(&s->lab, log_dir_close(s->lab.dir, clean, 1, op));
    s->lab.dir = NULL;
}

/* ---- what must hold ------------------------------------------------------------------------ */

static struct text read_all(struct story *s)
{
    struct text all = {0};
    int64_t offset = log_start(s->log);

    while (offset < log_end(s->log)) {
        struct text some = lab_read(&s->lab, s->log, offset, log_end(s->log), 700 * s->scale);
        struct batch b;
        CHECK(some.n > 0);
        for (struct bytes rest = bytes_of_str(text_str(&some)); rest.n > 0;) {
            int n = batch_read(rest, &b, NULL);
            CHECK(n > 0);
            rest.p += n;
            rest.n -= n;
        }
        offset = b.last_offset + 1;
        text_add(&all, some.p, some.n);
        text_deinit(&some);
    }
    return all;
}

static void check_producers(struct story *s)
{
    struct log_producer found[8];
    uint32_t count = log_producers(s->log, found, 8);
    int32_t last[3] = {-2, -2, -2};

    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        if (s->entries[i].producer_id > 0 && s->entries[i].last_sequence >= 0)
            last[s->entries[i].producer_id] = s->entries[i].last_sequence;
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(found[i].last_sequence, last[found[i].producer_id]);
        last[found[i].producer_id] = -2;
    }
    CHECK_EQ(last[1], -2);
    CHECK_EQ(last[2], -2);
}

/* The first record with a timestamp that is not below `timestamp_ms`, as the batches say; -1 none. */
static int64_t first_since(const struct story *s, int64_t timestamp_ms)
{
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        const struct entry *e = &s->entries[i];
        for (int64_t k = 0; k <= e->last - e->base; k++) {
            if (e->timestamp_ms + k >= timestamp_ms && e->base + k >= log_start(s->log))
                return e->base + k;
        }
    }
    return -1;
}

/* Time indexes lead to what the batches say. */
static void check_times(struct story *s)
{
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i += 5) {
        struct log_time_found found = {.offset = -1};
        int64_t expected = first_since(s, s->entries[i].timestamp_ms);
        if (WAIT(&s->lab, log_find_time(s->log, s->entries[i].timestamp_ms, log_end(s->log), &found, op)) >= 0)
            CHECK_EQ(found.offset, expected);
        else
            CHECK(!is_up(s));
    }
}

/* ---- what must hold on the disk, whenever the power goes ----------------------------------- */

/* The files of t-0 that end in `suffix`, ascending; their paths, one a line. */
static struct text disk_files(struct story *s, struct str suffix)
{
    struct text all = {0}, out = {0};
    struct str rest, line, path;

    sim_disk_dump(s->node, &all);
    rest = text_str(&all);
    while (str_cut(&rest, '\n', &line)) {
        if (str_cut(&line, ' ', &path) && str_starts(path, STR("/data/t-0/")) &&
            str_ends(path, suffix))
            text_printf(&out, "%.*s\n", STR_ARG(path));
    }
    text_deinit(&all);
    return out;
}

/* L4: each batch that can be read lies in the epoch that the checkpoint tells. */
static void check_disk_epochs(struct story *s)
{
    struct text file = {0}, paths = disk_files(s, STR(".log"));
    struct epochs epochs = {0};
    struct str rest = text_str(&paths), line;

    (void)sim_disk_get(s->node, "/data/t-0/leader-epoch-checkpoint", &file);
    CHECK_EQ(epochs_parse(&epochs, text_str(&file), NULL), 0);
    while (str_cut(&rest, '\n', &line)) {
        char *path = str_dup(line);
        struct bytes bytes;
        struct batch b;
        int64_t next = 0;
        int n;
        text_clear(&file);
        CHECK_EQ(sim_disk_get(s->node, path, &file), 0);
        free(path);
        for (bytes = bytes_of_str(text_str(&file)); (n = batch_read(bytes, &b, NULL)) > 0;
             bytes.p += n, bytes.n -= n) {
            if (!batch_crc_ok(&b) || b.base_offset < next)
                break; /* torn; the checksum does not cover the offset */
            next = b.last_offset + 1;
            if (b.base_offset >= s->started)
                CHECK_EQ(epochs_at(&epochs, b.base_offset), b.leader_epoch);
        }
    }
    epochs_deinit(&epochs);
    text_deinit(&file);
    text_deinit(&paths);
}

/* The log holds the first batches that were appended, whole, up to an end that is not below what
 * was acknowledged. */
static void check_log(struct story *s)
{
    struct text found = read_all(s), expected = {0};

    CHECK(log_end(s->log) >= s->acknowledged);
    CHECK_EQ(log_stable(s->log), log_end(s->log));
    CHECK(log_start(s->log) >= s->checkpoint_start);
    CHECK(log_start(s->log) <= s->started);
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        const struct entry *e = &s->entries[i];
        if (e->last < log_start(s->log))
            continue;
        text_add(&expected, e->bytes.p, e->bytes.n);
        CHECK(e->last < log_end(s->log));
        /* a start that was raised is told to the epochs before it is durable itself */
        if (e->base >= log_start(s->log) && e->base >= s->started)
            CHECK_EQ(log_epoch_at(s->log, e->base), e->epoch);
    }
    CHECK_BYTES(found.p, found.n, expected.p, expected.n);
    check_producers(s);
    if (!s->point_is_old)
        check_times(s);
    text_deinit(&found);
    text_deinit(&expected);
}

/* Forget what the crash took with it. */
static void adopt(struct story *s)
{
    s->next_sequence[1] = s->next_sequence[2] = 0;
    while (s->count > 0 && s->entries[s->count - 1].base >= log_end(s->log))
        text_deinit(&s->entries[--s->count].bytes);
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->entries[i].producer_id > 0 && s->entries[i].last_sequence >= 0)
            s->next_sequence[s->entries[i].producer_id] = s->entries[i].last_sequence + 1;
    }
    s->acknowledged = log_end(s->log);
}

/* ---- stories ------------------------------------------------------------------------------- */

static void tell_first_part(struct story *s)
{
    open_all(s);
    begin_epoch(s, 1);
    for (int i = 0; i < 6; i++)
        append(s, 1, 1, 0);
    until_stable(s);
    for (int i = 0; i < 12 && s->scale > SMALL; i++) { /* as many drains: then also a relaxed log goes direct */
        append(s, 1, 1, 0);
        until_stable(s);
    }
    for (int i = 0; i < 10; i++)
        append(s, i % 2, 1, 0);
    flush(s);
    begin_epoch(s, 2);
    append(s, 2, 2, 0);
    append(s, 1, 2, 0);
    append(s, 2, 2, 0);
    append(s, 2, 2, 2);
    until_stable(s);
    save_checkpoints(s);
}

static void tell_second_part(struct story *s)
{
    append(s, 2, 4, 0);
    for (int i = 0; i < 8; i++)
        append(s, 0, 4, 0);
    until_stable(s);
    truncate_last(s, 6);
    for (int i = 0; i < 5; i++)
        append(s, 1, 5, 0);
    until_stable(s);
    if (s->log != NULL && is_up(s))
        raise_start(s, s->entries[8].base);
    append(s, 1, 5, 0);
    retain(s, 1500);
    append(s, 1, 5, 0);
    until_stable(s);
    retain(s, 0);
    append(s, 1, 5, 0);
    append(s, 0, 5, 0);
    until_stable(s);
    close_all(s, true);
}

static void tell_last_part(struct story *s)
{
    open_all(s);
    if (is_up(s)) {
        CHECK(s->log != NULL);
        check_log(s);
    }
    for (int i = 0; i < 4; i++)
        append(s, 1, 6, 0);
    until_stable(s);
    close_all(s, true);
}

static void tell(struct story *s)
{
    tell_first_part(s);
    tell_second_part(s);
    tell_last_part(s);
}

static void lose_points(struct story *s)
{
    struct text content = {0};

    if (s->loses_points && sim_disk_get(s->node, POINTS_PATH, &content) == 0)
        CHECK_EQ(sim_disk_put(s->node, POINTS_PATH, bytes_of_str(STR("gone"))), 0);
    text_deinit(&content);
}

static void open_after_crash(struct story *s)
{
    lose_points(s);
    lab_deinit(&s->lab);
    lab_restart(s);
    open_all(s);
}

static void check_after_crash(struct story *s)
{
    if (s->lab.dir == NULL || s->log == NULL)
        check_fail(__FILE__, __LINE__, "%s", s->lab.fail.text);
    check_log(s);
    adopt(s);
    /* it goes on as ever, and a clean stop and start find the same */
    for (int i = 0; i < 5; i++)
        append(s, i % 2, 7, 0);
    until_stable(s);
    close_all(s, true);
    (void)check_sides(s->node, "/data/t-0/");
    open_all(s);
    CHECK(s->lab.dir->clean);
    CHECK(s->log != NULL);
    check_log(s);
    close_all(s, true);
}

/* Each change of the disk is in turn the last one; where much is written, every other one, those before which and those
 * after which power goes. Returns how many there are. */
static uint32_t crash_everywhere(bool durable, uint32_t scale, uint32_t how, uint64_t seed_step, bool twice,
                                 uint64_t point_bytes)
{
    const char *only = getenv("CRASH_ONLY"); /* the n of one run, to look at it */
    uint32_t from = scale > SMALL && (how & AFTER) ? 2 : 1;

    for (uint32_t n = only == NULL ? from : (uint32_t)atoi(only);; n += scale > SMALL ? 2 : 1) {
        struct story *s = story_new(n * seed_step + how, durable, scale);

        s->started = 0;
        s->point_bytes = point_bytes;
        s->loses_points = point_bytes == 0;
        s->forgets = !durable && (how & POWER) != 0;
        if (point_bytes > 0) /* so that points lie inside of segments; a relaxed one may lose the end of each */
            s->lab.settings.segment_bytes = s->forgets ? 1 << 20 : 3000;
        sim_crash_at_io(s->node, n, how);
        tell(s);
        bool crashed = !is_up(s);
        if (getenv("CRASH_SAYS") != NULL)
            fprintf(stderr, "crash at change %u\n", n);
        if (crashed) {
            check_disk_epochs(s);
            if (s->forgets)
                s->acknowledged = 0;
            close_all(s, false);
            if (twice) { /* and the recovery does not get to its end either */
                lose_points(s);
                lab_deinit(&s->lab);
                lab_restart(s);
                sim_crash_at_io(s->node, 1 + n % 12, how);
                open_all(s);
                if (is_up(s) && s->log != NULL)
                    adopt(s);
                sim_crash_at_io(s->node, 0, how);
                close_all(s, false);
                if (is_up(s))
                    sim_node_power_cut(s->node);
            }
            open_after_crash(s);
            check_after_crash(s);
        }
        story_free(s);
        if (!crashed)
            return n - 1;
    }
}

TEST(log_crash, the_story_without_a_crash)
{
    struct story *s = story_new(1, true, SMALL);

    tell(s);
    open_all(s);
    CHECK(s->log != NULL);
    check_log(s);
    close_all(s, true);
    story_free(s);
}

TEST(log_crash, power_cut_before_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 1, false, 0) > 100);
}

TEST(log_crash, power_cut_after_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER | AFTER, 3, false, 0) > 100);
}

TEST(log_crash, kill_before_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, KILL, 5, false, 0) > 80);
}

TEST(log_crash, power_cut_in_the_recovery_too)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 7, true, 0) > 100);
}

TEST(log_crash, power_cut_before_each_change_of_direct_drains)
{
    CHECK(crash_everywhere(true, LARGE, POWER, 11, false, 0) > 100);
}

TEST(log_crash, power_cut_after_each_change_of_direct_drains)
{
    CHECK(crash_everywhere(true, LARGE, POWER | AFTER, 13, false, 0) > 100);
}

TEST(log_crash, kill_after_each_change_of_a_relaxed_log_that_drains_directly)
{
    CHECK(crash_everywhere(false, LARGE, KILL | AFTER, 17, false, 0) > 100);
}

/* ---- the same while scan points move: they are believed, and what is below them is not read again --------------- */

#define OFTEN 200

TEST(log_points, power_cut_before_each_change)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 11, false, OFTEN) > 200);
}

TEST(log_points, power_cut_after_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, POWER | AFTER, 13, false, OFTEN) > 200);
}

TEST(log_points, kill_before_each_change_of_a_relaxed_log)
{
    CHECK(crash_everywhere(false, SMALL, KILL, 17, false, OFTEN) > 200);
}

TEST(log_points, power_cut_in_the_recovery_too)
{
    CHECK(crash_everywhere(true, SMALL, POWER, 19, true, OFTEN) > 200);
}

TEST(log_points, power_cut_of_a_relaxed_log_in_the_recovery_too)
{
    CHECK(crash_everywhere(false, SMALL, POWER, 23, true, OFTEN) > 200);
}

/* ---- any story ----------------------------------------------------------------------------- */

/* Any run of batches, read at any offset, is what was appended. */
static void read_somewhere(struct story *s, struct prng *g)
{
    if (s->log == NULL || !is_up(s) || log_end(s->log) == log_start(s->log))
        return;
    uint64_t span = (uint64_t)(log_end(s->log) - log_start(s->log));
    int64_t offset = log_start(s->log) + (int64_t)prng_below(g, span);
    struct log_read r = {.offset = offset,
                         .limit = log_end(s->log),
                         .first_whole = true,
                         .max_bytes = (uint32_t)prng_below(g, 3000) * s->scale,
                         .arena = &s->lab.arena};
    struct text found = {0};
    uint32_t i = 0;
    size_t at = 0;

    if (WAIT(&s->lab, log_read_bytes(s->log, &r, &found, op)) >= 0) {
        while (s->entries[i].last < offset)
            i++;
        CHECK(found.n > 0);
        for (; at < found.n; i++) {
            CHECK_BYTES(found.p + at, s->entries[i].bytes.n, s->entries[i].bytes.p,
                        s->entries[i].bytes.n);
            at += s->entries[i].bytes.n;
        }
    } else {
        CHECK(!is_up(s));
    }
    arena_reset(&s->lab.arena);
    text_deinit(&found);
}

static void one_step(struct story *s, struct prng *g, int32_t *epoch)
{
    uint64_t n = 1 + prng_below(g, 6);

    switch (prng_below(g, 12)) {
    case 0:
        begin_epoch(s, ++*epoch);
        break;
    case 1:
        flush(s);
        break;
    case 2:
        if (s->count > n + 2 && s->log != NULL && s->entries[s->count - n].base >= s->started)
            truncate_last(s, (uint32_t)n);
        break;
    case 3:
        if (s->count > 8 && s->log != NULL && s->entries[s->count / 2].base > s->started &&
            s->entries[s->count / 2].base <= log_stable(s->log))
            raise_start(s, s->entries[s->count / 2].base);
        break;
    case 4:
        save_checkpoints(s);
        break;
    case 5:
        close_all(s, true);
        open_all(s);
        break;
    case 6:
        until_stable(s);
        break;
    case 7:
        read_somewhere(s, g);
        break;
    case 8:
        retain(s, (int64_t)prng_below(g, 3000));
        break;
    default:
        for (; n > 0 && s->count < BATCHES_MAX; n--)
            append(s, (int64_t)prng_below(g, 2), *epoch, 0);
        read_somewhere(s, g);
    }
}

/* A relaxed log may lose to a power cut what was not flushed. */
static void random_story(uint64_t seed)
{
    bool durable = seed % 4 != 0;
    struct story *s = story_new(seed, durable, seed % 3 == 0 ? LARGE : SMALL);
    struct prng g;
    int32_t epoch = 1;

    prng_init(&g, seed);
    s->lab.settings.segment_bytes = (600 + (uint32_t)prng_below(&g, 4000)) * s->scale;
    s->lab.memory.limit_bytes = prng_below(&g, 2) * 20000 * s->scale;
    s->point_bytes = prng_below(&g, 3) * 150;
    s->loses_points = prng_below(&g, 3) == 0;
    open_all(s);
    for (int crash = 0; crash < 3; crash++) {
        uint32_t how = !durable || prng_below(&g, 3) == 0 ? KILL : POWER;
        sim_crash_at_io(s->node, 1 + prng_below(&g, 150), how | (prng_below(&g, 2) ? AFTER : 0));
        for (int i = 0; i < 200 && is_up(s) && s->count < BATCHES_MAX; i++)
            one_step(s, &g, &epoch);
        if (is_up(s))
            sim_node_power_cut(s->node);
        if (!durable)
            s->acknowledged = how == KILL ? s->acknowledged : 0;
        check_disk_epochs(s);
        close_all(s, false);
        open_after_crash(s);
        if (s->log == NULL)
            check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed,
                       s->lab.fail.text);
        check_log(s);
        adopt(s);
    }
    close_all(s, true);
    story_free(s);
}

TEST(log_crash, any_story)
{
    const char *only = getenv("STORY_SEED"); /* one story, to look at it */
    const char *count = getenv("STORIES");

    for (uint64_t seed = 1; seed <= (count == NULL ? 300 : strtoull(count, NULL, 10)); seed++) {
        if (getenv("CRASH_SAYS") != NULL)
            fprintf(stderr, "story %llu\n", (unsigned long long)seed);
        random_story(only == NULL ? seed : strtoull(only, NULL, 10));
    }
}

/* ---- L3 ------------------------------------------------------------------------------------ */

static void check_index_lags(struct story *s)
{
    struct text index = {0}, log = {0};

    (void)sim_disk_get(s->node, "/data/t-0/00000000000000000000.index", &index);
    (void)sim_disk_get(s->node, "/data/t-0/00000000000000000000.log", &log);
    if (index.n >= 8)
        CHECK(get_u32(index.p + index.n - 4) < log.n);
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
    open_all(s);
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
    close_all(s, true);
    story_free(s);
}

/* Entries that may not be written yet are waited for, not asked for again and again. */
TEST(log_index, waits_for_a_slow_disk)
{
    struct story *s = story_new(2, true, SMALL);

    s->lab.settings.segment_bytes = 1 << 30;
    s->lab.settings.index_interval_bytes = 1;
    open_all(s);
    sim_disk_slow(s->node, 1000, INT64_MAX);
    for (int i = 0; i < 30; i++) {
        lab_fill(&s->lab, s->log, 300, 10);
        CHECK(sim_step(s->sim));
        CHECK(sim_step(s->sim));
    }
    until_stable(s);
    CHECK(sim_events(s->sim) < 300);
    close_all(s, true);
    story_free(s);
}
