/* Three logs of one directory and their journal, with chunks of two pages: each is used again and again. Power cuts
 * and failures at every change of the disk: what was acknowledged is there afterwards, byte for byte. */
#include <stdlib.h>

#include "check.h"
#include "crash_case.h"
#include "lab.h"
#include "log/journal.h"
#include "simulator/simulator.h"

#define BATCHES_MAX 200
#define MODELS 4

/* What one log must hold. "c" is deleted and made anew, with another id. */
struct model {
    const char *topic;
    uint8_t id;
    struct log *log;
    struct text batches[BATCHES_MAX]; /* one record each: offset = index */
    uint32_t count;
    int64_t acknowledged;
    bool may_be_gone;
};

struct story {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct model models[MODELS];
    struct model *a, *b, *c, *d;
    uint32_t distinct;
    bool disk_was_full; /* once: then the journal may come later */
};

static bool step(void *world)
{
    return sim_step(world);
}

static void start(struct story *s)
{
    sim_node_start(s->node, 1);
    lab_init(&s->lab, sim_node_io(s->node, 0), step, s->sim, "/data");
    s->lab.settings.segment_bytes = 1000;
    s->lab.settings.index_interval_bytes = 200;
    s->lab.memory.limit_bytes = 128 * 1024; /* so chunks are as small as can be */
}

static struct story *story_new(uint64_t seed)
{
    static const char *const topics[MODELS] = {"a", "b", "c", "c"};
    struct story *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    seed = crash_seed(seed);
    struct sim_options options = {.names_subset = seed % 2 == 0,
                                  .trace = crash_trace()};
    s->sim = sim_new(seed, &options);
    s->node = sim_node_new(s->sim, "n");
    for (uint8_t i = 0; i < MODELS; i++)
        s->models[i] = (struct model){.topic = topics[i], .id = (uint8_t)(i + 1)};
    s->a = &s->models[0];
    s->b = &s->models[1];
    s->c = &s->models[2];
    s->d = &s->models[3];
    start(s);
    return s;
}

static void story_free(struct story *s)
{
    for (int i = 0; i < MODELS; i++) {
        for (uint32_t k = 0; k < s->models[i].count; k++)
            text_deinit(&s->models[i].batches[k]);
    }
    lab_deinit(&s->lab);
    sim_free(s->sim);
    free(s);
}

static bool goes_on(const struct story *s)
{
    return sim_node_is_up(s->node) && s->lab.dir != NULL && !s->lab.dir->has_failed;
}

static uint64_t commits(const struct story *s)
{
    return sim_node_counters(s->node)->done[SIM_WRITE_DURABLE];
}

/* ---- steps; each does nothing once the node is down ---------------------------------------- */

static void open_log(struct story *s, struct model *m)
{
    struct uuid id = UUID_ZERO;

    id.b[15] = m->id;
    if (goes_on(s))
        m->log = lab_log_open_as(&s->lab, m->topic, id, s->lab.dir->clean);
}

static const struct log_found *find_dir(const struct story *s, const struct model *m)
{
    for (uint32_t i = 0; i < s->lab.dir->found_count; i++) {
        const struct log_found *found = &s->lab.dir->found[i];
        if (strcmp(found->topic, m->topic) == 0 && found->topic_id.b[15] == m->id)
            return found;
    }
    return NULL;
}

/* Those that lie there; at the very first start a, b and c. */
static void open_all(struct story *s, bool first)
{
    if (!sim_node_is_up(s->node) || lab_dir_open(&s->lab) < 0)
        return;
    if (sim_seed(s->sim) % 2 == 0) /* scan points move all the time */
        s->lab.dir->point_bytes = 200;
    for (int i = 0; i < MODELS; i++) {
        if (first ? i < 3 : find_dir(s, &s->models[i]) != NULL)
            open_log(s, &s->models[i]);
    }
}

static void append(struct story *s, struct model *m)
{
    struct lab_batch b = {.producer_id = -1,
                          .value_bytes = 60 + s->distinct % 50,
                          .timestamp_ms = 5000 + s->distinct,
                          .leader_epoch = 1};
    struct log_appended done;

    if (m->log == NULL || !goes_on(s) || m->count == BATCHES_MAX)
        return;
    s->distinct++;
    if (lab_append(&s->lab, m->log, &b, &done) != KERR_NONE)
        return;
    CHECK_EQ(done.base_offset, m->count);
    m->batches[m->count] = lab_batch_bytes(&b, done.base_offset);
    batch_stamp((uint8_t *)m->batches[m->count].p, done.base_offset, 1);
    m->count++;
}

static void note_stable(struct story *s)
{
    for (int i = 0; i < MODELS; i++) {
        struct model *m = &s->models[i];
        if (m->log != NULL && log_stable(m->log) > m->acknowledged)
            m->acknowledged = log_stable(m->log);
    }
}

static bool all_stable(const struct story *s)
{
    for (int i = 0; i < MODELS; i++) {
        const struct model *m = &s->models[i];
        if (m->log != NULL && log_stable(m->log) < log_end(m->log))
            return false;
    }
    return true;
}

static void until_stable(struct story *s)
{
    while (goes_on(s) && !all_stable(s)) {
        CHECK(sim_step(s->sim));
        if (goes_on(s))
            note_stable(s);
    }
}

/* The first append has the journal made, which takes a while. */
static void until_journal(struct story *s)
{
    uint64_t before;

    append(s, s->a);
    until_stable(s);
    sim_run_until(s->sim, sim_now_ns(s->sim) + INT64_C(1000000000));
    before = commits(s);
    append(s, s->a);
    until_stable(s);
    if (goes_on(s) && s->a->log != NULL && !s->disk_was_full)
        CHECK(commits(s) > before);
}

static void truncate_last(struct story *s, struct model *m, uint32_t n)
{
    if (m->log == NULL || !goes_on(s))
        return;
    int64_t offset = (int64_t)m->count - n;
    if (m->acknowledged > offset)
        m->acknowledged = offset;
    if (WAIT(&s->lab, log_truncate(m->log, offset, op)) < 0)
        return; /* all of them may still be there */
    while (m->count > offset)
        text_deinit(&m->batches[--m->count]);
}

static void delete_log(struct story *s, struct model *m)
{
    struct log *log = m->log;

    if (log == NULL || !goes_on(s))
        return;
    m->may_be_gone = true;
    m->log = NULL;
    (void)WAIT(&s->lab, log_delete(log, op));
}

static void flush(struct story *s, struct model *m)
{
    if (m->log != NULL && goes_on(s) && WAIT(&s->lab, log_flush(m->log, op)) == 0)
        m->acknowledged = log_end(m->log);
}

static void close_all(struct story *s, bool clean)
{
    struct checkpoint none = {0};

    for (int i = 0; i < MODELS; i++) {
        struct log *log = s->models[i].log;
        s->models[i].log = NULL;
        if (log != NULL && WAIT(&s->lab, log_close(log, op)) < 0)
            clean = false;
        else if (log != NULL && clean)
            s->models[i].acknowledged = s->models[i].count;
    }
    if (s->lab.dir == NULL)
        return;
    if (goes_on(s) && clean && WAIT(&s->lab, log_dir_checkpoint(s->lab.dir, &none, &none, NULL, op)) < 0)
        clean = false;
    (void)WAIT(&s->lab, log_dir_close(s->lab.dir, clean, 1, op));
    s->lab.dir = NULL;
}

/* ---- what must hold ------------------------------------------------------------------------ */

static void check_model(struct story *s, struct model *m)
{
    struct text found = {0}, expected = {0};
    int64_t end = m->log == NULL ? 0 : log_end(m->log);

    if (m->log == NULL && m->may_be_gone)
        return;
    CHECK(end >= m->acknowledged);
    CHECK(end <= m->count);
    if (end > 0)
        found = lab_read(&s->lab, m->log, 0, end, 1 << 20);
    while ((int64_t)found.n > 0) {
        struct batch last;
        struct bytes rest = bytes_of_str(text_str(&found));
        for (int n; rest.n > 0; rest.p += n, rest.n -= n) {
            n = batch_read(rest, &last, NULL);
            CHECK(n > 0);
        }
        if (last.last_offset + 1 == end)
            break;
        struct text more = lab_read(&s->lab, m->log, last.last_offset + 1, end, 1 << 20);
        CHECK(more.n > 0);
        text_add(&found, more.p, more.n);
        text_deinit(&more);
    }
    for (int64_t i = 0; i < end; i++)
        text_add(&expected, m->batches[i].p, m->batches[i].n);
    CHECK_BYTES(found.p, found.n, expected.p, expected.n);
    text_deinit(&found);
    text_deinit(&expected);
}

/* What the crash took was not acknowledged. */
static void check_and_adopt(struct story *s)
{
    for (int i = 0; i < MODELS; i++) {
        struct model *m = &s->models[i];
        check_model(s, m);
        int64_t end = m->log == NULL ? 0 : log_end(m->log);
        while (m->count > end)
            text_deinit(&m->batches[--m->count]);
        m->acknowledged = end;
    }
}

/* ---- the story ----------------------------------------------------------------------------- */

static void rounds(struct story *s, int n)
{
    for (int i = 0; i < n; i++) {
        append(s, s->a);
        append(s, i % 3 == 0 ? s->b : s->d);
        if (i % 5 == 0)
            append(s, s->c);
        if (i % 2 == 0)
            until_stable(s);
    }
    until_stable(s);
}

static void tell(struct story *s)
{
    open_all(s, true);
    until_journal(s);
    rounds(s, 24);
    truncate_last(s, s->b, 2);
    append(s, s->b);
    until_stable(s);
    delete_log(s, s->c);
    open_log(s, s->d);
    rounds(s, 30);
    flush(s, s->b);
    rounds(s, 8);
    close_all(s, true);
}

static bool is_there(struct story *s, const char *name)
{
    struct text t = {0};
    bool there;

    sim_disk_dump(s->node, &t);
    there = t.n > 0 && strstr(t.p, name) != NULL;
    text_deinit(&t);
    return there;
}

static void open_after_crash(struct story *s)
{
    static const char points[] = "/data/" JOURNAL_FOLDER_NAME "/points";

    if (sim_seed(s->sim) % 2 != 0 && is_there(s, points)) /* logs are scanned from their recovery points on */
        CHECK_EQ(sim_disk_put(s->node, points, bytes_of_str(STR("gone"))), 0);
    lab_deinit(&s->lab);
    start(s);
    open_all(s, false);
    if (s->lab.dir == NULL)
        check_fail(__FILE__, __LINE__, "%s", s->lab.fail.text);
}

static void check_after_crash(struct story *s)
{
    CHECK(!is_there(s, JOURNAL_FOLDER_NAME "/0."));
    check_and_adopt(s);
    if (s->a->log == NULL)
        open_log(s, s->a);
    s->disk_was_full = false;
    until_journal(s);
    rounds(s, 3);
    close_all(s, true);
    CHECK(!is_there(s, JOURNAL_FOLDER_NAME));
    open_all(s, false);
    CHECK(s->lab.dir->clean);
    check_and_adopt(s);
    close_all(s, true);
}

TEST(journal_crash, the_story_without_a_crash)
{
    struct story *s = story_new(1);

    tell(s);
    CHECK(commits(s) > 50);
    CHECK(s->a->count > 60);
    CHECK(!is_there(s, JOURNAL_FOLDER_NAME));
    open_all(s, false);
    CHECK(s->lab.dir->clean);
    check_and_adopt(s);
    close_all(s, true);
    story_free(s);
}

/* Each change of the disk is in turn the last one. */
static void crash_everywhere(uint32_t how, uint64_t seed_step, bool twice)
{
    for (uint32_t n = crash_first(1);; n++) {
        struct story *s = story_new(n * seed_step + how);

        crash_says(n);
        sim_crash_at_io(s->node, n, how);
        tell(s);
        bool crashed = !sim_node_is_up(s->node);
        sim_crash_at_io(s->node, 0, how);
        if (crashed) {
            close_all(s, false);
            if (twice) { /* and the recovery does not get to its end either */
                lab_deinit(&s->lab);
                start(s);
                sim_crash_at_io(s->node, 1 + n % 40, how);
                open_all(s, false);
                sim_crash_at_io(s->node, 0, how);
                close_all(s, false);
                if (sim_node_is_up(s->node))
                    sim_node_power_cut(s->node);
            }
            open_after_crash(s);
            check_after_crash(s);
        }
        story_free(s);
        if (!crashed) {
            CHECK(n > 300);
            return;
        }
    }
}

TEST(journal_crash, power_cut_before_each_change)
{
    crash_everywhere(SIM_CRASH_POWER, 1, false);
}

TEST(journal_crash, power_cut_after_each_change)
{
    crash_everywhere(SIM_CRASH_POWER | SIM_CRASH_AFTER, 3, false);
}

TEST(journal_crash, kill_before_each_change)
{
    crash_everywhere(SIM_CRASH_KILL, 5, false);
}

TEST(journal_crash, power_cut_in_the_recovery_too)
{
    crash_everywhere(SIM_CRASH_POWER, 7, true);
}

/* Each call fails once: either nothing is acknowledged any more, or it was no trouble. */
TEST(journal_crash, each_call_fails_once)
{
    bool struck = true;

    for (uint32_t n = crash_first(1); struck; n++) {
        struct story *s = story_new(n);
        crash_says(n);
        s->disk_was_full = n % 2 != 0;
        sim_fail_at(s->node, n, n % 2 == 0 ? -EIO : -ENOSPC);
        tell(s);
        sim_fail_at(s->node, 0, 0);
        struck = false;
        for (int kind = 0; kind < SIM_KINDS; kind++)
            struck |= sim_node_counters(s->node)->failed[kind] > 0;
        close_all(s, false);
        sim_node_power_cut(s->node);
        open_after_crash(s);
        check_after_crash(s);
        story_free(s);
    }
}
