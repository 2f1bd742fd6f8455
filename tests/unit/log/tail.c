/* What memory holds of a log's end: at least every batch that the files do not hold as a whole. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "simulator/simulator.h"

#define BATCHES 60
#define VALUE_BYTES 150000 /* so that drains of 4 MiB end inside of batches */

static bool step(void *world)
{
    return sim_step(world);
}

/* The batch that the drain has come to is answered for by memory. */
static void check_drained(struct lab *lab, struct log *log)
{
    int64_t offset = log_drained(log);
    struct log_read r = {
        .offset = offset, .limit = log_end(log), .max_bytes = 1, .first_whole = true, .arena = &lab->arena};
    struct log_spans spans;

    CHECK(log_read_tail(log, &r, &spans));
    CHECK(spans.count > 0);
    CHECK_EQ(get_i64(spans.spans[0].p), offset);
    log_spans_release(&spans);
    arena_reset(&lab->arena);
    struct text found = lab_read(lab, log, offset, log_end(log), 1); /* takes its time */
    CHECK_EQ(get_i64(found.p), offset);
    text_deinit(&found);
}

static void drains_that_end_inside_of_batches(bool durable)
{
    struct sim *sim = sim_new(4, NULL);
    struct sim_node *node = sim_node_new(sim, "a");
    struct lab lab;

    sim_node_start(node, 1);
    lab_init(&lab, sim_node_io(node, 0), step, sim, "/data");
    lab.settings.durable = durable;
    lab.memory.limit_bytes = 0; /* what is only a cache goes at once */
    CHECK_EQ(lab_dir_open(&lab), 0);
    struct log *log = lab_log(&lab, "t");
    lab_fill(&lab, log, BATCHES, VALUE_BYTES);
    while (log_drained(log) < log_end(log)) {
        check_drained(&lab, log);
        CHECK(sim_step(sim));
    }
    struct text batches = lab_batches(&lab, log, 0);
    CHECK(batches.n > 0);
    text_deinit(&batches);
    CHECK_EQ(WAIT(&lab, log_close(log, op)), 0);
    CHECK_EQ(lab.memory.used_bytes, 0);
    lab_dir_close(&lab, false);
    lab_deinit(&lab);
    sim_free(sim);
}

TEST(log_tail, answers_for_a_batch_that_is_drained_in_part)
{
    drains_that_end_inside_of_batches(true);
    drains_that_end_inside_of_batches(false);
}
