#include "rig.h"

TEST(load, an_empty_log_is_read_once)
{
    struct rig r;

    rig_init(&r);
    CHECK_EQ(coordinator_check(&r.c), KERR_COORDINATOR_LOAD_IN_PROGRESS);
    rig_start(&r);
    CHECK_EQ(r.loaded, 1);
    CHECK(rig_read(&r));
    CHECK_EQ(r.loaded, 0);
    CHECK_EQ(coordinator_check(&r.c), KERR_NONE);
    CHECK_TEXT(text_str(&r.state), "loaded ");
    rig_end(&r);
}

TEST(load, records_come_in_order_chunk_by_chunk)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1 b=2", -1);
    rig_write(&r, "a=3", -1);
    rig_write(&r, "b=-", -1);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(r.reads, 3);
    CHECK_TEXT(text_str(&r.state), "0:a=1 1:b=2 2:a=3 3:b=- loaded ");
    rig_end(&r);
}

TEST(load, begins_at_the_start_inside_a_batch)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1 b=2", -1);
    r.start = 1;
    CHECK_EQ(rig_load(&r), 0);
    CHECK_TEXT(text_str(&r.state), "1:b=2 loaded ");
    rig_end(&r);
}

TEST(load, what_is_written_meanwhile_is_read_too)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    rig_start(&r);
    rig_write(&r, "a=2", -1);
    while (rig_read(&r))
        ;
    CHECK_TEXT(text_str(&r.state), "0:a=1 1:a=2 loaded ");
    rig_end(&r);
}

/* An older leader wrote, and its records are not committed yet: they will be. */
TEST(load, waits_until_the_end_is_committed)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    rig_write(&r, "a=2", -1);
    r.high_watermark = 1;
    CHECK_EQ(rig_load(&r), 1);
    CHECK_EQ(coordinator_check(&r.c), KERR_COORDINATOR_LOAD_IN_PROGRESS);
    r.high_watermark = 2;
    coordinator_committed(&r.c, 2);
    CHECK(rig_read(&r));
    CHECK_EQ(r.loaded, 0);
    CHECK_TEXT(text_str(&r.state), "0:a=1 1:a=2 loaded ");
    rig_end(&r);
}

/* A read that began before the mark moved has seen nothing of what is below it now. */
TEST(load, what_is_committed_while_a_read_finds_nothing_is_read_too)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    rig_write(&r, "a=2", -1);
    r.high_watermark = 1;
    rig_start(&r);
    CHECK(rig_read(&r)); /* a=1; now it waits */
    coordinator_committed(&r.c, 1); /* an answer that changes nothing: it reads up to there once more */
    r.high_watermark = 2;
    coordinator_committed(&r.c, 2);
    while (rig_read(&r))
        ;
    CHECK_EQ(r.loaded, 0);
    CHECK_TEXT(text_str(&r.state), "0:a=1 1:a=2 loaded ");
    rig_end(&r);
}

/* The cleaner may leave no batch below the high watermark. */
TEST(load, a_log_that_is_empty_up_to_its_end_loads)
{
    struct rig r;

    rig_init(&r);
    r.end = r.high_watermark = 10;
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(rig_append(&r, "a=1", -1), 11);
    CHECK_TEXT(text_str(&r.state), "loaded 10:a=1 ");
    rig_end(&r);
}

TEST(load, a_record_of_the_future_fails)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1 b=new c=2", -1);
    CHECK_EQ(rig_load(&r), ERR_VERSION);
    CHECK_EQ(coordinator_check(&r.c), KERR_NOT_COORDINATOR);
    CHECK_TEXT(text_str(&r.state), "0:a=1 ");
    CHECK_TEXT(str_of(r.c.fail.text), "the record at offset 1: value version 9 is not known");
    rig_end(&r);
}

TEST(load, a_broken_batch_fails)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    r.log.p[r.log.n - 1] ^= 1;
    CHECK_EQ(rig_load(&r), ERR_CORRUPT);
    CHECK_TEXT(text_str(&r.state), "");
    CHECK(str_starts(str_of(r.c.fail.text), STR("the batch at offset 0: ")));
    rig_end(&r);
}

TEST(load, a_cut_batch_fails)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    r.torn = true;
    CHECK_EQ(rig_load(&r), ERR_SHORT);
    rig_end(&r);
}

TEST(load, trouble_with_the_log_fails)
{
    struct rig r;

    rig_init(&r);
    r.read_error = -EIO;
    CHECK_EQ(rig_load(&r), -EIO);
    CHECK(str_starts(str_of(r.c.fail.text), STR("reading at offset 0: ")));
    rig_end(&r);
}

TEST(load, is_given_up_when_the_leadership_goes)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    rig_start(&r);
    coordinator_unload(&r.c);
    CHECK_EQ(r.loaded, 1);
    CHECK_EQ(coordinator_check(&r.c), KERR_NOT_COORDINATOR);
    CHECK(rig_read(&r));
    CHECK_EQ(r.loaded, -ECANCELED);
    CHECK_TEXT(text_str(&r.state), "");
    rig_end(&r);
}

TEST(load, is_given_up_while_it_waits_for_the_high_watermark)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    r.high_watermark = 0;
    CHECK_EQ(rig_load(&r), 1);
    coordinator_unload(&r.c);
    CHECK_EQ(r.loaded, 1); /* never inside */
    CHECK(rig_read(&r));
    CHECK_EQ(r.loaded, -ECANCELED);
    rig_end(&r);
}

/* ---- at work -------------------------------------------------------------------------------- */

TEST(append, accepted_records_are_applied_at_once_and_answers_wait)
{
    struct rig r;
    struct waiter before, after;
    struct text trace = {0};

    rig_init(&r);
    rig_write(&r, "a=1", -1);
    CHECK_EQ(rig_load(&r), 0);
    waiter_park(&r, &before, &trace, "before");
    CHECK_EQ(rig_append(&r, "a=2 b=1", -1), 3);
    CHECK_TEXT(text_str(&r.state), "0:a=1 loaded 1:a=2 2:b=1 ");
    waiter_park(&r, &after, &trace, "after");
    coordinator_committed(&r.c, 2); /* not the end that `after` saw */
    CHECK_TEXT(text_str(&trace), "before ");
    coordinator_committed(&r.c, 3);
    CHECK_TEXT(text_str(&trace), "before after ");
    text_deinit(&trace);
    rig_end(&r);
}

TEST(append, what_the_log_refuses_did_not_happen)
{
    struct rig r;

    rig_init(&r);
    CHECK_EQ(rig_load(&r), 0);
    r.refuses = KERR_NOT_ENOUGH_REPLICAS;
    CHECK_EQ(rig_append(&r, "a=1", -1), -(int64_t)KERR_NOT_ENOUGH_REPLICAS);
    r.refuses = KERR_NONE;
    CHECK_EQ(rig_append(&r, "a=2", -1), 1);
    CHECK_TEXT(text_str(&r.state), "loaded 0:a=2 ");
    rig_end(&r);
}

TEST(append, nothing_to_append_gives_the_end)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1 b=1", -1);
    CHECK_EQ(rig_append(&r, "", -1), -(int64_t)KERR_COORDINATOR_LOAD_IN_PROGRESS);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(rig_append(&r, "", -1), 2);
    rig_end(&r);
}

TEST(append, after_the_leadership_went_everybody_is_told)
{
    struct rig r;
    struct waiter w;
    struct text trace = {0};

    rig_init(&r);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(rig_append(&r, "a=1", -1), 1);
    waiter_park(&r, &w, &trace, "w");
    coordinator_unload(&r.c);
    CHECK_TEXT(text_str(&trace), "w!NOT_COORDINATOR ");
    CHECK_EQ(rig_append(&r, "a=2", -1), -(int64_t)KERR_NOT_COORDINATOR);
    text_deinit(&trace);
    rig_end(&r);
}
