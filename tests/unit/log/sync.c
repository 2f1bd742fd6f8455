/* Syncs of a segment that fail. */
#include "check.h"
#include "lab.h"
#include "log/state.h"
#include "simulator/simulator.h"

static bool step(void *world)
{
    return sim_step(world);
}

static struct log *open_log(struct lab *lab, struct sim *sim, struct sim_node *node)
{
    lab_init(lab, sim_node_io(node, 0), step, sim, "/data");
    lab->settings.durable = false; /* nothing is synced before it is asked for */
    CHECK_EQ(lab_dir_open(lab), 0);
    return lab_log(lab, "t");
}

static void close_log(struct lab *lab, struct log *log)
{
    (void)WAIT(lab, log_close(log, op));
    (void)WAIT(lab, log_dir_close(lab->dir, false, 1, op));
    lab->dir = NULL;
    lab_deinit(lab);
}

/* The first or the second of two syncs fails, and the power goes. */
static void one_of_two_fails(uint64_t seed, uint32_t which)
{
    struct sim *sim = sim_new(seed, &(struct sim_options){0});
    struct sim_node *node = sim_node_new(sim, "n");
    struct lab lab = {0};
    struct wait waits[2];
    bool said_well;

    sim_node_start(node, 1);
    struct log *log = open_log(&lab, sim, node);
    lab_fill(&lab, log, 1, 100);
    while (log_stable(log) < log_end(log))
        CHECK(sim_step(sim));
    struct segment *s = log_last_segment(log);
    CHECK_EQ(WAIT(&lab, segment_use(s, op)), 0);
    sim_fail_at(node, which, -EIO);
    for (int i = 0; i < 2; i++)
        segment_sync(s, wait_begin(&waits[i]));
    int64_t first = wait_end(&lab, &waits[0]), second = wait_end(&lab, &waits[1]);
    said_well = first == 0 || second == 0;
    CHECK(first < 0 || second < 0);
    segment_unuse(s);
    sim_node_power_cut(node);
    close_log(&lab, log);
    sim_node_start(node, 1);
    log = open_log(&lab, sim, node);
    CHECK(log_end(log) == 1 || !said_well);
    close_log(&lab, log);
    sim_free(sim);
}

/* The system tells one of them of a page that it could not write, and the other that all is well. */
TEST(segment_sync, of_two_at_once_none_says_well_when_the_other_failed_before)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        one_of_two_fails(seed, 1);
        one_of_two_fails(seed, 2);
    }
}
