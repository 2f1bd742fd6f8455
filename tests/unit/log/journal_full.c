/* A journal that has no room, and a log that its oldest chunk belongs to. */
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "log/journal_format.h"
#include "log/journal_internal.h"
#include "simulator/simulator.h"

#define SECOND INT64_C(1000000000)

struct pair {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *stays, *goes;
    struct wait gone;
};

static bool step(void *world)
{
    return sim_step(world);
}

static void until_stable(struct pair *p, const struct log *log)
{
    int64_t until_ns = sim_now_ns(p->sim) + 60 * SECOND;

    while (log_stable(log) < log_end(log)) {
        CHECK(sim_step(p->sim));
        CHECK(sim_now_ns(p->sim) < until_ns);
    }
}

/* Each takes a chunk of the journal. */
static void append(struct pair *p)
{
    lab_fill(&p->lab, p->stays, 1, 3000);
    until_stable(p, p->stays);
}

static void start(struct pair *p)
{
    sim_node_start(p->node, 1);
    lab_init(&p->lab, sim_node_io(p->node, 0), step, p->sim, "/data");
    p->lab.settings.durable = true;
    p->lab.settings.segment_bytes = 600;
    CHECK_EQ(lab_dir_open(&p->lab), 0);
    p->lab.dir->journal_bytes = 16 * 2 * JOURNAL_PAGE_BYTES;
    p->goes = lab_log_open_as(&p->lab, "goes", (struct uuid){{1}}, p->lab.dir->clean);
}

static void pair_init(struct pair *p)
{
    p->sim = sim_new(11, NULL);
    p->node = sim_node_new(p->sim, "a");
    start(p);
    p->lab.settings.segment_bytes = 1 << 20;
    p->stays = lab_log_open_as(&p->lab, "stays", (struct uuid){{2}}, true);
    for (int i = 0; i < 40; i++) /* the journal is made, and grows */
        append(p);
    lab_fill(&p->lab, p->goes, 1, 10);
    until_stable(p, p->goes);
    sim_run_until(p->sim, sim_now_ns(p->sim) + SECOND);
}

static void pair_deinit(struct pair *p)
{
    CHECK_EQ(WAIT(&p->lab, log_close(p->stays, op)), 0);
    lab_dir_close(&p->lab, true);
    lab_deinit(&p->lab);
    sim_free(p->sim);
}

/* The deletion waits for the side files of rolled segments, those for a note in the journal, that for a free chunk, and
 * the chunk for the log's last batches, which only memory and the journal have. */
static void goes_when_there_is_no_room(int steps, bool more)
{
    struct pair p = {0};

    pair_init(&p);
    for (int i = 0; i < 6; i++) {
        lab_fill(&p.lab, p.goes, 6, 500); /* a segment each */
        until_stable(&p, p.goes);
    }
    for (int i = 0; i < steps; i++)
        (void)sim_step(p.sim);
    for (int i = 0; more && i < 3; i++)
        lab_fill(&p.lab, p.goes, 6, 500);
    log_delete(p.goes, wait_begin(&p.gone));
    for (int i = 0; i < 100; i++)
        append(&p);
    CHECK_EQ(wait_end(&p.lab, &p.gone), 0);
    pair_deinit(&p);
}

TEST(journal_full, a_log_that_goes_gives_its_chunks_back)
{
    for (int steps = 0; steps < 60; steps += 3)
        goes_when_there_is_no_room(steps, false);
}

/* What came last has no place in a segment, and will get none; the journal does not wait for that. */
TEST(journal_full, a_log_that_goes_with_batches_that_have_no_place_gives_its_chunks_back)
{
    for (int steps = 0; steps < 60; steps += 3)
        goes_when_there_is_no_room(steps, true);
}

/* Its directory is gone, and the journal is to hear of that: it has no room for the note, and would wait for what the log has
 * in its oldest chunk. */
TEST(journal_full, a_log_whose_directory_is_gone_holds_up_nothing)
{
    for (int before = 0; before < 40; before++) {
        struct pair p = {0};

        pair_init(&p);
        lab_fill(&p.lab, p.goes, 1, 10);
        until_stable(&p, p.goes);
        for (int i = 0; i < before; i++)
            append(&p);
        CHECK(gate_enter(&p.goes->gate)); /* a reader, while the journal fills */
        log_delete(p.goes, wait_begin(&p.gone));
        while (p.goes->job == NULL)
            CHECK(sim_step(p.sim));
        for (int i = 0; i < 100; i++)
            append(&p);
        gate_leave(&p.goes->gate);
        CHECK_EQ(wait_end(&p.lab, &p.gone), 0);
        pair_deinit(&p);
    }
}

static void journal_waits_for(struct log *log)
{
    log->user.journal->settling++;
    log_settle(log);
}

/* The journal begins to wait for the log when its deletion is about to begin: then what memory alone has is drained after all,
 * and the journal does not forget it before. */
static void deletion_that_does_not_come_to_it(int steps)
{
    struct pair p = {0};

    pair_init(&p);
    lab_fill(&p.lab, p.goes, 1, 10);
    until_stable(&p, p.goes);
    int64_t acknowledged = log_stable(p.goes);
    CHECK(gate_enter(&p.goes->gate)); /* it waits for a reader before it renames the directory */
    log_delete(p.goes, wait_begin(&p.gone));
    for (int i = 0; i < steps && p.goes->job == NULL; i++)
        CHECK(sim_step(p.sim));
    if (p.goes->job == NULL)
        journal_waits_for(p.goes);
    while (p.goes->job == NULL)
        CHECK(sim_step(p.sim));
    sim_run_until(p.sim, sim_now_ns(p.sim) + SECOND);
    sim_node_power_cut(p.node);
    gate_leave(&p.goes->gate);
    CHECK(wait_end(&p.lab, &p.gone) < 0);
    (void)WAIT(&p.lab, log_close(p.stays, op));
    (void)WAIT(&p.lab, log_dir_close(p.lab.dir, false, 1, op));
    p.lab.dir = NULL;
    lab_deinit(&p.lab);
    start(&p);
    CHECK_EQ(log_end(p.goes), acknowledged);
    (void)WAIT(&p.lab, log_close(p.goes, op));
    lab_dir_close(&p.lab, false);
    lab_deinit(&p.lab);
    sim_free(p.sim);
}

TEST(journal_full, a_deletion_that_does_not_come_to_it_has_taken_nothing)
{
    for (int steps = 0; steps < 20; steps++)
        deletion_that_does_not_come_to_it(steps);
}

/* What has no place goes with the log: nothing of it is written for the journal's sake. */
TEST(journal_full, a_deletion_while_the_disk_is_full_needs_no_space)
{
    for (int steps = 0; steps < 20; steps++) {
        struct pair p = {0};

        pair_init(&p);
        log_set_settings(p.goes, &p.lab.settings); /* all in one segment: its side files need no space */
        lab_fill(&p.lab, p.goes, 1, 10);
        until_stable(&p, p.goes);
        sim_disk_limit(p.node, 1);
        lab_fill(&p.lab, p.goes, 40, 100);
        sim_run_until(p.sim, sim_now_ns(p.sim) + SECOND);
        log_delete(p.goes, wait_begin(&p.gone));
        for (int i = 0; i < steps && p.goes->job == NULL; i++)
            CHECK(sim_step(p.sim));
        if (p.goes->job == NULL)
            journal_waits_for(p.goes);
        CHECK_EQ(wait_end(&p.lab, &p.gone), 0);
        CHECK(log_dir_is_online(p.lab.dir));
        sim_disk_limit(p.node, 1ULL << 40);
        pair_deinit(&p);
    }
}
