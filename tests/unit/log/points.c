/* Scan points: what a start after a crash reads does not grow with the logs. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "log/points.h"
#include "log/state.h"
#include "sides.h"
#include "simulator/simulator.h"

#define FOLDER "millrace.journal"
#define BATCH_VALUE_BYTES 950 /* one record of it is about 1 KiB */
#define POINT_BYTES (64 * 1024)

struct place {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    bool durable;
};

static bool step(void *world)
{
    return sim_step(world);
}

static void start(struct place *p)
{
    sim_node_start(p->node, 1);
    lab_init(&p->lab, sim_node_io(p->node, 0), step, p->sim, "/data");
    p->lab.settings.segment_bytes = 64 << 20;
    p->lab.settings.durable = p->durable;
    p->lab.memory.limit_bytes = 512 * 1024; /* so the journal has a quarter of a MiB at most */
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    p->lab.dir->point_bytes = POINT_BYTES;
}

static struct place *place_new(bool durable, uint64_t seed)
{
    struct place *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->sim = sim_new(seed, NULL);
    p->node = sim_node_new(p->sim, "a");
    p->durable = durable;
    start(p);
    return p;
}

static void place_free(struct place *p)
{
    lab_deinit(&p->lab);
    sim_free(p->sim);
    free(p);
}

static void fill(struct place *p, struct log *log, uint32_t batches)
{
    for (uint32_t i = 0; i < batches; i++) {
        struct lab_batch b = {.producer_id = 3,
                              .sequence = (int32_t)log_end(log),
                              .value_bytes = BATCH_VALUE_BYTES,
                              .timestamp_ms = 1000 + log_end(log)};
        CHECK_EQ(lab_append(&p->lab, log, &b, NULL), KERR_NONE);
        while (i % 7 == 6 && log_stable(log) < log_end(log))
            CHECK(sim_step(p->sim));
    }
    while (log_stable(log) < log_end(log))
        CHECK(sim_step(p->sim));
}

static void crash(struct place *p, struct log *log, bool power)
{
    if (power && sim_node_is_up(p->node))
        sim_node_power_cut(p->node);
    else if (sim_node_is_up(p->node))
        sim_node_kill(p->node);
    if (log != NULL)
        (void)WAIT(&p->lab, log_close(log, op));
    (void)WAIT(&p->lab, log_dir_close(p->lab.dir, false, 1, op));
    lab_deinit(&p->lab);
}

/* What a start reads after a crash of a log of so many batches. */
static uint64_t read_after(uint32_t batches, bool durable, bool power)
{
    struct place *p = place_new(durable, 5);
    struct log *log = lab_log(&p->lab, "t");

    fill(p, log, batches);
    sim_run_until(p->sim, sim_now_ns(p->sim) + INT64_C(100000000));
    crash(p, log, power);
    uint64_t before = sim_node_counters(p->node)->read_bytes;
    start(p);
    log = lab_log(&p->lab, "t");
    CHECK(!p->lab.dir->clean);
    uint64_t read = sim_node_counters(p->node)->read_bytes - before;
    if (!power || durable)
        CHECK_EQ(log_end(log), batches);
    lab_stop(&p->lab, log, "t");
    CHECK(check_sides(p->node, "/data/t-0/") > 0);
    place_free(p);
    return read;
}

TEST(log_points, what_a_start_reads_is_independent_of_the_size)
{
    for (int i = 0; i < 4; i++) {
        uint64_t small = read_after(700, i % 2 == 0, i / 2 == 0), large = read_after(6000, i % 2 == 0, i / 2 == 0);
        if (small > 640 * 1024 || large > 640 * 1024)
            check_fail(__FILE__, __LINE__, "%s, %s: %llu and %llu bytes", i % 2 == 0 ? "durable" : "relaxed",
                       i / 2 == 0 ? "power cut" : "killed", (unsigned long long)small, (unsigned long long)large);
    }
}

/* What a start reads of a log that was written to as fast as it takes, until the process was killed. */
static uint64_t read_after_haste(bool durable, uint32_t segment_bytes, uint32_t batches)
{
    struct place *p = place_new(durable, 5);

    p->lab.settings.segment_bytes = segment_bytes;
    struct log *log = lab_log(&p->lab, "t");
    for (uint32_t i = 0; i < batches && log_dir_is_online(p->lab.dir); i += 50) {
        lab_fill(&p->lab, log, 50, BATCH_VALUE_BYTES);
        while (log_stable(log) < log_end(log))
            CHECK(sim_step(p->sim));
    }
    crash(p, log, false);
    uint64_t before = sim_node_counters(p->node)->read_bytes;
    start(p);
    log = lab_log(&p->lab, "t");
    uint64_t read = sim_node_counters(p->node)->read_bytes - before;
    CHECK_EQ(log_end(log), batches);
    lab_stop(&p->lab, log, "t");
    place_free(p);
    return read;
}

/* Points follow, in one long segment and in many short ones. */
TEST(log_points, cannot_be_outrun)
{
    for (int i = 0; i < 4; i++) {
        uint64_t read = read_after_haste(i % 2 == 0, i / 2 == 0 ? 64 << 20 : 32 << 10, 6000);
        if (getenv("POINTS_SAY") != NULL || read > 4 * POINT_BYTES + 256 * 1024)
            check_fail(__FILE__, __LINE__, "%s, %s segments: %llu bytes", i % 2 == 0 ? "durable" : "relaxed",
                       i / 2 == 0 ? "long" : "short", (unsigned long long)read);
    }
}

#define QUIET 12

/* Those that nobody has written to since a clean stop are not read, whatever happened to others; also next time. */
TEST(log_points, untouched_logs_are_not_read)
{
    struct place *p = place_new(true, 5);
    struct log *logs[QUIET];
    char topic[10];

    for (int i = 0; i < QUIET; i++) {
        snprintf(topic, sizeof(topic), "q%d", i);
        logs[i] = lab_log_open_as(&p->lab, topic, (struct uuid){{1, (uint8_t)i}}, false);
        fill(p, logs[i], 300);
    }
    for (int i = 0; i < QUIET; i++)
        CHECK_EQ(WAIT(&p->lab, log_close(logs[i], op)), 0);
    lab_dir_close(&p->lab, true);
    sim_node_kill(p->node);
    lab_deinit(&p->lab);
    start(p);
    CHECK(p->lab.dir->clean);
    struct log *log = lab_log(&p->lab, "t");
    fill(p, log, 10);
    for (int time = 0; time < 2; time++) {
        crash(p, log, true);
        start(p);
        uint64_t before = sim_node_counters(p->node)->read_bytes;
        for (int i = 0; i < QUIET; i++) {
            snprintf(topic, sizeof(topic), "q%d", i);
            logs[i] = lab_log(&p->lab, topic);
            CHECK_EQ(log_end(logs[i]), 300);
        }
        CHECK(sim_node_counters(p->node)->read_bytes - before < QUIET * UINT64_C(20000)); /* of 300 KB each */
        log = lab_log(&p->lab, "t");
        CHECK_EQ(log_end(log), 10);
        for (int i = 0; i < QUIET; i++)
            CHECK_EQ(WAIT(&p->lab, log_close(logs[i], op)), 0);
    }
    lab_stop(&p->lab, log, "t");
    place_free(p);
}

/* Pages of a relaxed log may be lost, in any order: but below its point nothing is. */
TEST(log_points, what_is_below_a_point_is_durable)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct place *p = place_new(false, seed);
        struct log *log = lab_log(&p->lab, "t");
        p->lab.dir->point_bytes = 24 * 1024;
        sim_crash_at_io(p->node, 5 + seed % 60, SIM_CRASH_POWER);
        for (int i = 0; i < 12 && sim_node_is_up(p->node); i++) {
            lab_fill(&p->lab, log, 10, BATCH_VALUE_BYTES);
            while (sim_node_is_up(p->node) && log_drained(log) < log_end(log))
                CHECK(sim_step(p->sim));
            if (sim_node_is_up(p->node))
                sim_run_until(p->sim, sim_now_ns(p->sim) + INT64_C(30000000));
        }
        sim_crash_at_io(p->node, 0, SIM_CRASH_POWER);
        crash(p, log, true);
        start(p);
        log = lab_log(&p->lab, "t");
        struct text batches = lab_batches(&p->lab, log, 0); /* looks at each checksum */
        text_deinit(&batches);
        lab_stop(&p->lab, log, "t");
        (void)check_sides(p->node, "/data/t-0/");
        place_free(p);
    }
}

static void damage(struct place *p, struct str name, int how)
{
    char *path = str_dup(name);
    struct text content = {0};

    CHECK_EQ(sim_disk_get(p->node, path, &content), 0);
    if (how == 0)
        for (size_t i = content.n / 2; i < content.n; i += 3)
            content.p[i] ^= 0x21;
    else if (how == 1)
        content.n /= 2;
    else
        content.n = 0;
    if (content.n > 0 || how > 0)
        CHECK_EQ(sim_disk_put(p->node, path, bytes_of_str(text_str(&content))), 0);
    text_deinit(&content);
    free(path);
}

/* The n-th file beside the log, or the points themselves; false: there are not so many. */
static bool damage_one(struct place *p, int n, int how)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".snapshot", "/points"};
    struct text all = {0};
    struct str rest, line, path;
    bool found = false;

    sim_disk_dump(p->node, &all);
    rest = text_str(&all);
    while (!found && str_cut(&rest, '\n', &line)) {
        if (!str_cut(&line, ' ', &path))
            continue;
        for (uint32_t i = 0; i < array_count(suffixes); i++) {
            if (str_ends(path, str_of(suffixes[i])) && n-- == 0) {
                damage(p, path, how);
                found = true;
            }
        }
    }
    text_deinit(&all);
    return found;
}

/* Whatever happens to the files beside a log: it costs time, nothing else. */
TEST(log_points, damaged_files_cost_time_only)
{
    bool goes_on = true;

    for (int n = 0; goes_on; n++) {
        for (int how = 0; how < 3 && goes_on; how++) {
            struct place *p = place_new(true, 5);
            struct log *log = lab_log(&p->lab, "t");
            struct log_producer producer;
            fill(p, log, 400);
            sim_run_until(p->sim, sim_now_ns(p->sim) + INT64_C(100000000));
            crash(p, log, false);
            goes_on = damage_one(p, n, how);
            start(p);
            log = lab_log(&p->lab, "t");
            CHECK_EQ(log_end(log), 400);
            struct text batches = lab_batches(&p->lab, log, 0); /* looks at each checksum */
            CHECK(batches.n > 400);
            text_deinit(&batches);
            for (int64_t offset = 0; offset < 400; offset += 13) {
                struct log_time_found found;
                CHECK_EQ(WAIT(&p->lab, log_find_time(log, 1000 + offset, log_end(log), &found, op)), 1);
                CHECK_EQ(found.offset, offset);
            }
            CHECK_EQ(log_producers(log, &producer, 1), 1);
            CHECK_EQ(producer.last_sequence, 399);
            lab_stop(&p->lab, log, "t");
            CHECK(!goes_on || n < 10);
            place_free(p);
        }
    }
}

/* Without space for the file a start goes on, and its logs are as they were. */
TEST(log_points, a_full_disk_is_no_obstacle)
{
    uint32_t starts = 0;

    for (uint64_t n = 1; n < 12; n++) {
        struct place *p = place_new(true, 5);
        struct log *log = lab_log(&p->lab, "t");
        fill(p, log, 20);
        lab_stop(&p->lab, log, "t");
        sim_fail_at(p->node, n, -ENOSPC); /* from making the directory to syncing the one with the file */
        int64_t rc = lab_dir_open(&p->lab);
        sim_fail_at(p->node, 0, 0);
        if (rc < 0) {
            sim_node_kill(p->node);
            lab_deinit(&p->lab);
            start(p);
        }
        starts += rc == 0;
        log = lab_log(&p->lab, "t");
        CHECK_EQ(log_end(log), 20);
        fill(p, log, 20);
        crash(p, log, true);
        start(p);
        log = lab_log(&p->lab, "t");
        CHECK_EQ(log_end(log), 40);
        lab_stop(&p->lab, log, "t");
        place_free(p);
    }
    CHECK(starts >= 6);
}

/* ---- the file ------------------------------------------------------------------------------ */

static struct scan_point sample(uint8_t id, int32_t partition)
{
    return (struct scan_point){.topic_id = {{id}},
                               .partition = partition,
                               .none = partition == 3,
                               .has_producers = partition == 1,
                               .base = 100 + id,
                               .position = 0x7ffffffe,
                               .offset = INT64_C(1) << 40,
                               .side_bytes = {8, 12, 34},
                               .bytes_since_entry = 99,
                               .max_timestamp_ms = -1,
                               .max_timestamp_offset = 5,
                               .last_time_entry_ms = 77};
}

TEST(log_points, a_file_says_what_was_written)
{
    struct points out, in;
    struct text text = {0};
    struct fail f = {0};

    points_init(&out);
    for (int32_t i = 0; i < 5; i++) {
        struct scan_point x = sample((uint8_t)(i / 2), i);
        points_set(&out, &x);
        x.position = 4;
        points_set(&out, &x);
    }
    points_remove(&out, (struct uuid){{2}}, 4);
    out.rest_is_clean = true;
    points_print(&out, &text);
    points_init(&in);
    CHECK_EQ(points_parse(bytes_of_str(text_str(&text)), &in, &f), 0);
    CHECK(in.rest_is_clean);
    CHECK_EQ(in.by_id.count, 4);
    CHECK(points_find(&in, (struct uuid){{2}}, 4) == NULL);
    for (int32_t i = 0; i < 4; i++) {
        struct scan_point x = sample((uint8_t)(i / 2), i);
        const struct scan_point *found = &points_find(&in, x.topic_id, i)->point;
        CHECK_EQ(found->none, x.none);
        CHECK_EQ(found->has_producers, x.has_producers);
        CHECK_EQ(found->base, x.base);
        CHECK_EQ(found->position, 4);
        CHECK_EQ(found->offset, x.offset);
        CHECK_EQ(found->side_bytes[2], 34);
        CHECK_EQ(found->bytes_since_entry, 99);
        CHECK_EQ(found->max_timestamp_ms, -1);
        CHECK_EQ(found->max_timestamp_offset, 5);
        CHECK_EQ(found->last_time_entry_ms, 77);
    }
    points_deinit(&in);
    for (size_t i = 0; i < text.n; i++) { /* each bit matters */
        struct points other;
        points_init(&other);
        text.p[i] ^= (char)(1 << i % 8);
        CHECK(points_parse(bytes_of_str(text_str(&text)), &other, &f) < 0);
        text.p[i] ^= (char)(1 << i % 8);
        CHECK(points_parse((struct bytes){(const uint8_t *)text.p, (int32_t)i}, &other, &f) < 0);
        CHECK_EQ(other.by_id.count, 0);
        points_deinit(&other);
    }
    points_deinit(&out);
    text_deinit(&text);
}
