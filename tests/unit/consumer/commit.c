/* Commits of a consumer that assigns by hand, before a coordinator that fails. */
#include "cluster.h"

static const struct consumer_partition t_0 = {{"t", 1}, 0};

struct asking {
    struct consumer_call call;
    bool done;
    int64_t result;
};

static void asking_done(struct op *op, int64_t result)
{
    struct asking *a = container_of(op, struct asking, call.op);

    a->done = true;
    a->result = result;
}

static void commit(struct cluster *c, struct asking *a)
{
    *a = (struct asking){0};
    op_init(&a->call.op, asking_done);
    consumer_commit(c->consumer, &a->call);
}

TEST(consumer_commit, commit_is_tried_again_until_it_is_answered)
{
    struct asking a;
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    script_fault(c.script, 1, API_OFFSET_COMMIT, SCRIPT_CUT_AFTER, 0);
    c.commit_error = KERR_COORDINATOR_LOAD_IN_PROGRESS;
    commit(&c, &a);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(c.committed, 3);
    CHECK_EQ(c.commits, 2);
    cluster_end(&c);
}

TEST(consumer_commit, refused_commit_says_what_may_be_done)
{
    struct asking a;
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    c.commit_error = KERR_GROUP_AUTHORIZATION_FAILED;
    commit(&c, &a);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(a.result, -EIO);
    CHECK_EQ(a.call.error.code, KERR_GROUP_AUTHORIZATION_FAILED);
    CHECK_EQ(a.call.error.advice, CONSUMER_REPAIR);
    CHECK(a.call.error.definite);
    c.commit_error = KERR_UNKNOWN_MEMBER_ID;
    commit(&c, &a);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(a.call.error.advice, CONSUMER_REJOINED);
    CHECK(a.call.error.definite);
    CHECK_EQ(c.committed, -1);
    cluster_end(&c);
}

TEST(consumer_commit, commits_of_several_calls_take_effect_in_their_order)
{
    struct asking first, second;
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    script_fault(c.script, 1, API_OFFSET_COMMIT, SCRIPT_SILENT, 0);
    commit(&c, &first);
    script_pass(c.script, 100);
    cluster_append(&c, 2, CODEC_NONE);
    READS(&c, "3 4");
    commit(&c, &second);
    SCRIPT_UNTIL(c.script, second.done);
    CHECK(first.done);
    CHECK_EQ(c.committed, 5);
    cluster_end(&c);
}

TEST(consumer_commit, seek_back_may_be_committed_and_nothing_else_goes_back)
{
    struct consumer_offset o = {.partition = t_0, .offset = 2, .leader_epoch = -1, .metadata = STR("")};
    struct asking a;
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    o.offset = 7; /* the caller knows better */
    a = (struct asking){.call = {.offsets = &o, .count = 1}};
    op_init(&a.call.op, asking_done);
    consumer_commit(c.consumer, &a.call);
    SCRIPT_UNTIL(c.script, a.done);
    commit(&c, &a);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(c.committed, 7); /* what is done is less */
    CHECK_EQ(consumer_seek(c.consumer, t_0, 1, -1), 0);
    commit(&c, &a);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(c.committed, 1);
    cluster_end(&c);
}

TEST(consumer_commit, commit_that_nobody_answers_ends_by_its_limit_and_says_that_it_may_have_happened)
{
    struct asking a;
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    for (int i = 0; i < 4; i++)
        script_fault(c.script, 1, API_OFFSET_COMMIT, SCRIPT_SILENT, 0);
    a = (struct asking){.call = {.timeout_ms = 3000}};
    op_init(&a.call.op, asking_done);
    consumer_commit(c.consumer, &a.call);
    SCRIPT_UNTIL(c.script, a.done);
    CHECK_EQ(a.result, -ETIMEDOUT);
    CHECK(!a.call.error.definite);
    cluster_end(&c);
}

/* The first one is refused and has to wait: the second one would be undone by it. */
TEST(consumer_commit, commit_that_has_to_wait_is_not_overtaken)
{
    struct consumer_offset o = {.partition = t_0, .offset = 5, .leader_epoch = -1, .metadata = STR("")};
    struct asking first, second = {.call = {.offsets = &o, .count = 1}};
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    c.commit_error = KERR_COORDINATOR_LOAD_IN_PROGRESS;
    commit(&c, &first);
    SCRIPT_UNTIL(c.script, c.commits == 1);
    op_init(&second.call.op, asking_done);
    consumer_commit(c.consumer, &second.call);
    SCRIPT_UNTIL(c.script, first.done && second.done);
    CHECK_EQ(c.committed, 5);
    cluster_end(&c);
}
