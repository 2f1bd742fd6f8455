/* Logs that change under a reader: it passes over nothing, and believes only who leads. */
#include "cluster.h"

TEST(consumer_moves, start_that_moves_takes_nothing_of_what_was_fetched)
{
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 5, CODEC_NONE);
    cluster_begin(&c);
    SCRIPT_UNTIL(c.script, strstr(c.fetches.n == 0 ? "" : c.fetches.p, "from 5") != NULL); /* 0 to 4 are here */
    cluster_append(&c, 2, CODEC_NONE);
    c.start = 7;
    cluster_append(&c, 1, CODEC_NONE);
    script_pass(c.script, 1000);
    READS(&c, "0 1 2 3 4 7");
    CHECK_EQ(c.events.n, 0);
    cluster_end(&c);
}

/* The leader of epoch 1 has all, and says so when it leads no more; the one of epoch 2 has less. */
TEST(consumer_moves, answer_of_a_leader_that_has_gone_is_not_enough)
{
    struct cluster c;

    cluster_open(&c, 2);
    c.settings.client.metadata_max_age_ms = 50;
    cluster_append(&c, 3, CODEC_NONE);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2 3 4 5");
    c.epoch_end = 6;
    script_fault(c.script, 2, API_OFFSET_FOR_LEADER_EPOCH, SCRIPT_DELAY, 400);
    script_move(c.script, "t", 0, 2);
    SCRIPT_UNTIL(c.script, script_count(c.script, 2, API_OFFSET_FOR_LEADER_EPOCH) == 1);
    script_move(c.script, "t", 0, 1);
    cluster_cut_log(&c, 3);
    c.epoch = 2;
    c.epoch_end = 3;
    cluster_append(&c, 5, CODEC_NONE);
    READS(&c, "3 4 5 6 7");
    CHECK(script_count(c.script, 1, API_OFFSET_FOR_LEADER_EPOCH) > 0);
    cluster_end(&c);
}

/* What was committed is answered late, and is about the topic that there was. */
TEST(consumer_moves, commit_for_a_topic_says_nothing_of_its_successor)
{
    struct cluster c;

    cluster_open(&c, 1);
    c.settings.client.metadata_max_age_ms = 50;
    c.committed = 2;
    cluster_append(&c, 4, CODEC_NONE);
    script_fault(c.script, 1, API_OFFSET_FETCH, SCRIPT_DELAY, 500);
    cluster_begin(&c);
    SCRIPT_UNTIL(c.script, script_count(c.script, 1, API_OFFSET_FETCH) == 1);
    c.committed = -1;
    script_topic(c.script, "t", 1);
    READS(&c, "0 1 2 3");
    cluster_end(&c);
}

struct asking {
    struct consumer_call call;
    bool done;
};

static void asking_done(struct op *op, int64_t result)
{
    container_of(op, struct asking, call.op)->done = true;
}

static void commit(struct cluster *c)
{
    struct asking a = {0};

    op_init(&a.call.op, asking_done);
    consumer_commit(c->consumer, &a.call);
    SCRIPT_UNTIL(c->script, a.done);
}

/* 0 to 2 were handed out and are not done when the log turns out to end at 3: they are still to be done. */
TEST(consumer_moves, cut_does_not_do_what_was_handed_out_below_it)
{
    struct consumer_chunk *first, *second;
    struct cluster c;

    cluster_open(&c, 2);
    cluster_append(&c, 3, CODEC_LZ4);
    cluster_append(&c, 3, CODEC_LZ4);
    cluster_begin(&c);
    SCRIPT_UNTIL(c.script, (first = consumer_take(c.consumer)) != NULL);
    SCRIPT_UNTIL(c.script, (second = consumer_take(c.consumer)) != NULL);
    CHECK_EQ(second->next, 6);
    script_move(c.script, "t", 0, 2);
    cluster_cut_log(&c, 3);
    c.epoch = 1;
    c.epoch_end = 3;
    cluster_append(&c, 1, CODEC_NONE);
    c.fetch_error = KERR_NOT_LEADER_OR_FOLLOWER;
    READS(&c, "3");
    commit(&c);
    CHECK_EQ(c.committed, 0);
    consumer_chunk_release(second, second->next); /* of what there was */
    commit(&c);
    CHECK_EQ(c.committed, 0);
    consumer_chunk_release(first, first->next);
    commit(&c);
    CHECK_EQ(c.committed, 4);
    cluster_end(&c);
}
