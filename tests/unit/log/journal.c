/* What goes to the journal and what does not; what that costs; what happens without space and with several shards. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "log/journal_format.h"
#include "simulator/simulator.h"

#define LOGS_MAX 20
#define SECOND INT64_C(1000000000)

struct place {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *logs[LOGS_MAX];
    uint32_t count;
};

static bool step(void *world)
{
    return sim_step(world);
}

static struct place *place_new(uint32_t shards, bool durable)
{
    struct place *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->sim = sim_new(5, NULL);
    p->node = sim_node_new(p->sim, "a");
    sim_node_start(p->node, shards);
    lab_init(&p->lab, sim_node_io(p->node, 0), step, p->sim, "/data");
    p->lab.settings.durable = durable;
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    return p;
}

static struct log *add_log(struct place *p, bool is_metadata)
{
    char topic[20];
    struct log *log = NULL;
    struct log_open o = {
        .io = p->lab.io,
        .telemetry = p->lab.telemetry,
        .dir = p->lab.dir,
        .memory = &p->lab.memory,
        .settings = p->lab.settings,
        .start_offset = -1,
        .is_metadata = is_metadata,
        .topic_id.b[15] = (uint8_t)(p->count + 1),
    };

    snprintf(topic, sizeof(topic), "t%u", p->count);
    o.topic = str_of(topic);
    CHECK_EQ(WAIT(&p->lab, log_open(&o, &log, &p->lab.fail, op)), 0);
    p->logs[p->count++] = log;
    return log;
}

static void until_stable(struct place *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        while (log_stable(p->logs[i]) < log_end(p->logs[i]))
            CHECK(sim_step(p->sim));
    }
}

/* The first append has the journal made. */
static void warm(struct place *p)
{
    lab_fill(&p->lab, p->logs[0], 1, 10);
    until_stable(p);
    sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
}

static void place_free(struct place *p, bool clean)
{
    for (uint32_t i = 0; i < p->count; i++)
        CHECK_EQ(WAIT(&p->lab, log_close(p->logs[i], op)), 0);
    lab_dir_close(&p->lab, clean);
    lab_deinit(&p->lab);
    sim_free(p->sim);
    free(p);
}

static uint64_t done(const struct place *p, enum sim_kind kind)
{
    return sim_node_counters(p->node)->done[kind];
}

static bool has(const struct place *p, const char *path)
{
    struct text t = {0};
    bool there;

    sim_disk_dump(p->node, &t);
    there = strstr(t.p, path) != NULL;
    text_deinit(&t);
    return there;
}

TEST(journal, small_appends_of_many_logs_cost_one_write)
{
    struct place *p = place_new(1, true);

    for (int i = 0; i < LOGS_MAX; i++)
        add_log(p, false);
    warm(p);
    for (int i = 1; i < LOGS_MAX; i++)
        lab_fill(&p->lab, p->logs[i], 1, 10); /* the first of an epoch: that is saved in a file of its own */
    until_stable(p);
    uint64_t syncs = done(p, SIM_SYNC), writes = done(p, SIM_WRITE), commits = done(p, SIM_WRITE_DURABLE);
    for (int i = 0; i < LOGS_MAX; i++)
        lab_fill(&p->lab, p->logs[i], 3, 100);
    until_stable(p);
    CHECK_EQ(done(p, SIM_WRITE_DURABLE), commits + 1);
    CHECK_EQ(done(p, SIM_SYNC), syncs);
    CHECK_EQ(done(p, SIM_WRITE), writes);
    for (int i = 1; i < LOGS_MAX; i++) {
        CHECK_EQ(log_drained(p->logs[i]), 0); /* memory serves them */
        struct text batches = lab_batches(&p->lab, p->logs[i], 0);
        CHECK_TEXT(text_str(&batches), "0..0 1..1 2..2 3..3 ");
        text_deinit(&batches);
    }
    CHECK(has(p, JOURNAL_FOLDER_NAME "/0.01"));
    place_free(p, true);
}

TEST(journal, a_large_append_goes_to_its_segment_at_once)
{
    struct place *p = place_new(1, true);
    struct log *log = add_log(p, false);

    warm(p);
    uint64_t writes = done(p, SIM_WRITE_DURABLE), syncs = done(p, SIM_SYNC);
    lab_fill(&p->lab, log, 1, 70000);
    until_stable(p);
    CHECK_EQ(done(p, SIM_WRITE_DURABLE), writes + 1);
    CHECK_EQ(done(p, SIM_SYNC), syncs); /* one access to the disk is all */
    CHECK_EQ(log_drained(log), log_end(log));
    lab_fill(&p->lab, log, 1, 100); /* and the next small one does not */
    until_stable(p);
    CHECK_EQ(done(p, SIM_WRITE_DURABLE), writes + 2);
    CHECK(log_drained(log) < log_stable(log));
    place_free(p, true);
}

/* What memory alone has beside the journal is written when there is much of it, and not synced for that. */
TEST(journal, segments_follow_without_a_sync)
{
    struct place *p = place_new(1, true);
    struct log *log = add_log(p, false);

    warm(p);
    uint64_t syncs = done(p, SIM_SYNC);
    for (int i = 0; i < 30; i++) {
        lab_fill(&p->lab, log, 1, 20000);
        until_stable(p);
    }
    sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
    CHECK(log_drained(log) > 20);
    CHECK_EQ(done(p, SIM_SYNC), syncs);
    CHECK(log_recovery_point(log) <= 1);
    CHECK_EQ(WAIT(&p->lab, log_flush(log, op)), 0);
    CHECK_EQ(log_drained(log), log_end(log));
    CHECK_EQ(log_recovery_point(log), log_end(log) - 1); /* never the end of the last segment */
    place_free(p, true);
}

TEST(journal, memory_under_pressure_is_drained)
{
    struct place *p = place_new(1, true);

    for (int i = 0; i < LOGS_MAX; i++)
        add_log(p, false);
    warm(p);
    for (int i = 0; i < LOGS_MAX; i++)
        lab_fill(&p->lab, p->logs[i], 1, 3000);
    until_stable(p);
    CHECK(p->lab.memory.used_bytes >= LOGS_MAX * 4096);
    p->lab.memory.limit_bytes = 20000;
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < LOGS_MAX; k++)
            lab_fill(&p->lab, p->logs[k], 1, 3000);
        until_stable(p);
        sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
    }
    CHECK(p->lab.memory.used_bytes <= 40000);
    place_free(p, true);
}

struct waiting {
    struct place *p;
    struct ledger ledger;
    struct ledger_wait wait;
    bool granted;
};

static void give(void *ctx, uint64_t bytes)
{
    log_memory_give(&((struct waiting *)ctx)->p->lab.memory, bytes);
}

static void serve_soon(void *ctx)
{
    (void)ctx; /* the test sees `serving_soon` */
}

static void granted(struct ledger_wait *w)
{
    container_of(w, struct waiting, wait)->granted = true;
}

/* Memory below its own limit, but somebody else on the shard waits for it: one log after the other is drained. */
TEST(journal, memory_that_somebody_waits_for_is_drained)
{
    struct place *p = place_new(1, true);
    struct waiting w = {.p = p, .wait.granted = granted};

    ledger_init(&w.ledger, 100000);
    w.ledger.shrink = give;
    w.ledger.serve_soon = serve_soon;
    w.ledger.ctx = &w;
    p->lab.memory.ledger = &w.ledger;
    for (int i = 0; i < LOGS_MAX; i++)
        add_log(p, false);
    warm(p);
    for (int i = 0; i < LOGS_MAX; i++)
        lab_fill(&p->lab, p->logs[i], 1, 3000);
    until_stable(p);
    CHECK(w.ledger.uses[LEDGER_TAILS] >= LOGS_MAX * 4096);
    CHECK_EQ(ledger_take(&w.ledger, &w.wait, 60000), 0);
    while (!w.granted) {
        CHECK(sim_step(p->sim));
        if (w.ledger.serving_soon)
            ledger_serve(&w.ledger);
    }
    CHECK(w.ledger.used_bytes <= 100000);
    place_free(p, true);
}

TEST(journal, relaxed_and_metadata_logs_have_none)
{
    struct place *p = place_new(1, false);

    warm((add_log(p, false), p));
    lab_fill(&p->lab, p->logs[0], 1, 10);
    until_stable(p);
    CHECK(!has(p, JOURNAL_FOLDER_NAME "/0.00"));
    p->lab.settings.durable = true;
    struct log *log = add_log(p, true);
    for (int i = 0; i < 5; i++) {
        lab_fill(&p->lab, log, 1, 10);
        until_stable(p);
        sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
    }
    CHECK(!has(p, JOURNAL_FOLDER_NAME "/0.00"));
    place_free(p, true);
}

/* A log that is relaxed from now on has no bytes that only the journal holds for long. */
TEST(journal, a_log_that_becomes_relaxed_is_drained)
{
    struct place *p = place_new(1, true);
    struct log *log = add_log(p, false);
    struct log_settings settings = p->lab.settings;

    warm(p);
    lab_fill(&p->lab, log, 1, 100);
    until_stable(p);
    CHECK(log_drained(log) < log_end(log));
    settings.durable = false;
    log_set_settings(log, &settings);
    sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
    CHECK_EQ(log_drained(log), log_end(log));
    place_free(p, true);
}

static uint32_t chunks(const struct place *p, uint64_t bytes)
{
    char path[64];
    uint32_t n = 0;

    for (;; n++) {
        struct text t = {0};
        snprintf(path, sizeof(path), "/data/" JOURNAL_FOLDER_NAME "/0.%02u", n);
        int rc = sim_disk_get(p->node, path, &t);
        CHECK(rc < 0 || t.n == bytes);
        text_deinit(&t);
        if (rc < 0)
            return n;
    }
}

/* millrace.journal.bytes: its chunks are used again and again instead of becoming more. */
TEST(journal, takes_no_more_than_it_may)
{
    struct place *p = place_new(1, true);

    p->lab.dir->journal_bytes = 16 * 2 * JOURNAL_PAGE_BYTES;
    struct log *log = add_log(p, false);
    for (int i = 0; i < 300; i++) { /* a page each */
        lab_fill(&p->lab, log, 1, 100);
        until_stable(p);
    }
    CHECK(done(p, SIM_WRITE_DURABLE) > 200);
    CHECK(chunks(p, 2 * JOURNAL_PAGE_BYTES) > 4);
    CHECK(chunks(p, 2 * JOURNAL_PAGE_BYTES) <= 16);
    place_free(p, true);
}

TEST(journal, without_space_logs_go_on_as_before)
{
    struct place *p = place_new(1, true);
    struct log *log = add_log(p, false);

    sim_disk_limit(p->node, 1 << 20);
    for (int i = 0; i < 10; i++) {
        lab_fill(&p->lab, log, 1, 100);
        until_stable(p);
    }
    CHECK_EQ(done(p, SIM_WRITE_DURABLE), 0);
    CHECK(strstr(p->lab.said.p, "no space for a journal") != NULL);
    CHECK(!p->lab.dir->has_failed);
    sim_disk_limit(p->node, (uint64_t)1 << 34);
    sim_run_until(p->sim, sim_now_ns(p->sim) + 20 * SECOND);
    warm(p);
    lab_fill(&p->lab, log, 1, 100);
    until_stable(p);
    CHECK(done(p, SIM_WRITE_DURABLE) > 0);
    place_free(p, true);
}

/* ---- shards -------------------------------------------------------------------------------- */

struct there {
    struct io_message message;
    struct place *p;
    struct log_open o;
    struct log_memory memory;
    struct log *log;
    struct wait wait;
    bool sent;
};

static void open_there(struct io *io, struct io_message *m)
{
    struct there *t = container_of(m, struct there, message);

    t->sent = true;
    log_open(&t->o, &t->log, NULL, wait_begin(&t->wait));
}

static void close_there(struct io *io, struct io_message *m)
{
    struct there *t = container_of(m, struct there, message);

    t->sent = true;
    log_close(t->log, wait_begin(&t->wait));
}

static void run_there(struct there *t, void (*run)(struct io *io, struct io_message *m))
{
    t->sent = false;
    t->message.run = run;
    io_post(t->p->lab.io, 1, &t->message);
    while (!t->sent)
        CHECK(sim_step(t->p->sim));
    CHECK_EQ(wait_end(&t->p->lab, &t->wait), 0);
}

static void open_on_second_shard(struct there *t, struct place *p)
{
    *t = (struct there){.p = p, .memory.limit_bytes = 64 << 20};
    t->o = (struct log_open){.io = sim_node_io(p->node, 1),
                             .dir = p->lab.dir,
                             .memory = &t->memory,
                             .topic = STR("other"),
                             .settings = p->lab.settings,
                             .start_offset = -1,
                             .topic_id.b[15] = 200};
    run_there(t, open_there);
}

static void fill_there(struct there *t)
{
    for (int i = 0; i < 3; i++) {
        lab_fill(&t->p->lab, t->log, 1, 100);
        while (log_stable(t->log) < log_end(t->log))
            CHECK(sim_step(t->p->sim));
        sim_run_until(t->p->sim, sim_now_ns(t->p->sim) + SECOND);
    }
}

TEST(journal, each_shard_has_its_own)
{
    struct place *p = place_new(2, true);
    struct there other;

    add_log(p, false);
    warm(p);
    open_on_second_shard(&other, p);
    fill_there(&other);
    CHECK(has(p, JOURNAL_FOLDER_NAME "/0.01"));
    CHECK(has(p, JOURNAL_FOLDER_NAME "/1.01"));
    CHECK(log_drained(other.log) < log_stable(other.log));
    run_there(&other, close_there);
    log_memory_deinit(&other.memory);
    CHECK_EQ(WAIT(&p->lab, log_close(p->logs[0], op)), 0);
    p->count = 0;
    lab_dir_close(&p->lab, true);
    CHECK(!has(p, JOURNAL_FOLDER_NAME));
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    CHECK(p->lab.dir->clean);
    place_free(p, true);
}

/* The number of shards may have changed since. */
TEST(journal, one_shard_replays_those_of_two)
{
    struct place *p = place_new(2, true);
    struct there other;

    add_log(p, false);
    warm(p);
    lab_fill(&p->lab, p->logs[0], 2, 100);
    until_stable(p);
    open_on_second_shard(&other, p);
    fill_there(&other);
    int64_t ends[2] = {log_end(p->logs[0]), log_end(other.log)};
    sim_node_power_cut(p->node);
    (void)WAIT(&p->lab, log_close(p->logs[0], op));
    log_close(other.log, wait_begin(&other.wait));
    (void)wait_end(&p->lab, &other.wait);
    log_memory_deinit(&other.memory);
    (void)WAIT(&p->lab, log_dir_close(p->lab.dir, false, 1, op));
    lab_deinit(&p->lab);

    sim_node_start(p->node, 1);
    lab_init(&p->lab, sim_node_io(p->node, 0), step, p->sim, "/data");
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    CHECK(!has(p, JOURNAL_FOLDER_NAME "/0.00") && !has(p, JOURNAL_FOLDER_NAME "/1.00"));
    p->logs[0] = lab_log_open(&p->lab, "t0", false);
    p->logs[1] = lab_log_open(&p->lab, "other", false);
    p->count = 2;
    CHECK_EQ(log_end(p->logs[0]), ends[0]);
    CHECK_EQ(log_end(p->logs[1]), ends[1]);
    place_free(p, false);
}
