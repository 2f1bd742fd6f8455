/* What a leader knows of the others: the high watermark, who is alive, who shall be next. */
#include "lab.h"

/* F4 */
TEST(raft_leader, commits_what_a_majority_holds_with_an_offset_of_its_own_epoch)
{
    struct lab l = lab_at(RAFT_LEADER); /* 1 holds 11 */

    lab_fetched(&l, 2, 10); /* all that older epochs have: not enough */
    lab_fetched(&l, 3, 11);
    lab_append(&l, 15);
    lab_fetched(&l, 2, 13);
    lab_fetched(&l, 3, 12);
    lab_fetched(&l, 2, 12); /* it has lost something; the watermark stays */
    CHECK_TEXT(lab_said(&l), "\nwatermark 11; \n\n\nwatermark 13; \n\n\n");
    lab_free(&l);
}

TEST(raft_leader, counts_of_its_own_log_what_is_stable)
{
    struct lab l = lab_at(RAFT_LEADER);

    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_APPENDED, .end_offset = 14, .end_epoch = LAB_EPOCH});
    lab_fetched(&l, 2, 14);
    lab_fetched(&l, 3, 12); /* 2 and 3 are a majority without it */
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STABLE, .stable_offset = 14});
    CHECK_TEXT(lab_said(&l), "\nwatermark 11; \nwatermark 12; \nwatermark 14; \n");
    lab_free(&l);
}

TEST(raft_leader, does_not_count_observers)
{
    struct lab l = lab_at(RAFT_LEADER);

    lab_fetched(&l, 4, 11);
    lab_fetched(&l, 5, 11);
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_FETCHED,
                                     .from = {.id = 2, .directory_id = lab_directory(7)},
                                     .fetch_offset = 11});
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_FETCHED, .from = {.id = -1}, .fetch_offset = 11});
    CHECK_TEXT(lab_said(&l), "\n\n\n\n");
    lab_free(&l);
}

TEST(raft_leader, tells_those_that_do_not_fetch_and_only_those)
{
    struct lab l = lab_at(RAFT_LEADER);

    lab_answer(&l, RAFT_BEGIN, 2, false);
    lab_answer(&l, RAFT_BEGIN, 3, false);
    (void)lab_said(&l);
    l.now += 500;
    lab_fetched(&l, 2, 10);
    CHECK_EQ(l.out.deadline_ms, 2000); /* half the fetch timeout after it was told */
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "\nbegin 3; \n");
    lab_tick(&l); /* 2 has not fetched for half the timeout; 3 has not answered yet */
    CHECK_EQ(l.now, 2500);
    CHECK_TEXT(lab_said(&l), "begin 2; \n");
    lab_free(&l);
}

TEST(raft_leader, resigns_when_no_majority_has_fetched_for_one_and_a_half_timeouts)
{
    struct lab l = lab_at(RAFT_LEADER);

    for (int i = 0; i < 10; i++) { /* one of three is enough */
        lab_pass(&l, 2900);
        lab_fetched(&l, 2, 10);
        CHECK_EQ(raft_role(l.raft), RAFT_LEADER);
    }
    (void)lab_said(&l);
    lab_pass(&l, 2999);
    CHECK_EQ(raft_role(l.raft), RAFT_LEADER);
    lab_pass(&l, 1);
    CHECK_EQ(raft_role(l.raft), RAFT_RESIGNED);
    lab_free(&l);
}

TEST(raft_leader, names_its_successors_by_their_logs)
{
    struct lab l = lab_at(RAFT_LEADER);
    struct raft_key next[RAFT_VOTERS_MAX];

    lab_fetched(&l, 2, 9);
    lab_fetched(&l, 3, 11);
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STOP});
    CHECK_EQ(raft_successors(l.raft, next), 2); /* it still knows when it has resigned */
    CHECK_EQ(next[0].id, 3);
    CHECK_EQ(next[1].id, 2);
    lab_free(&l);
}

static void print_replicas(struct lab *l, struct text *out)
{
    struct raft_replica rows[8];
    uint32_t n = raft_replicas(l->raft, l->now, rows, 8);

    for (uint32_t i = 0; i < n; i++)
        text_printf(out, "%d %s end=%d fetched=%d caught_up=%d\n", rows[i].key.id,
                    rows[i].is_voter ? "voter" : "observer", (int)rows[i].end_offset, (int)rows[i].fetched_ms,
                    (int)rows[i].caught_up_ms);
}

TEST(raft_leader, knows_who_is_how_far_and_since_when)
{
    struct lab l = lab_at(RAFT_LEADER);
    struct text rows = {0};

    lab_fetched(&l, 2, 11); /* at 1000: all of it */
    l.now = 1100;
    lab_fetched(&l, 4, 5);
    lab_append(&l, 20);
    l.now = 1200;
    lab_fetched(&l, 2, 15); /* not all, but all that there was when it asked the last time */
    lab_fetched(&l, 4, 11);
    print_replicas(&l, &rows);
    CHECK_TEXT(text_str(&rows), "1 voter end=20 fetched=1200 caught_up=1200\n"
                                "2 voter end=15 fetched=1200 caught_up=1000\n"
                                "3 voter end=-1 fetched=-1 caught_up=-1\n"
                                "4 observer end=11 fetched=1200 caught_up=1100\n");
    text_clear(&rows);
    CHECK_EQ(raft_observers(l.raft, l.now), 1);
    l.now = 1200 + 300000; /* five minutes: an observer is forgotten, a voter is not */
    print_replicas(&l, &rows);
    CHECK_TEXT(text_str(&rows), "1 voter end=20 fetched=301200 caught_up=301200\n"
                                "2 voter end=15 fetched=1200 caught_up=1000\n"
                                "3 voter end=-1 fetched=-1 caught_up=-1\n");
    CHECK_EQ(raft_observers(l.raft, l.now), 0);
    lab_fetched(&l, 4, 12);
    CHECK_EQ(raft_observers(l.raft, l.now), 1);
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STOP});
    CHECK_EQ(raft_observers(l.raft, l.now), 0); /* it leads no more */
    text_deinit(&rows);
    lab_free(&l);
}

TEST(raft_leader, remembers_a_thousand_observers_and_the_newest_ones)
{
    struct lab l = lab_at(RAFT_LEADER);
    static struct raft_replica rows[RAFT_OBSERVERS_MAX + 10];

    for (int32_t id = 10; id < 10 + RAFT_OBSERVERS_MAX + 5; id++) {
        l.now++;
        lab_step(&l, (struct raft_event){.type = RAFT_EVENT_FETCHED, .from = {.id = id}, .fetch_offset = 1});
    }
    CHECK_EQ(raft_replicas(l.raft, l.now, rows, RAFT_OBSERVERS_MAX + 10), 3 + RAFT_OBSERVERS_MAX);
    for (uint32_t i = 3; i < 3 + RAFT_OBSERVERS_MAX; i++)
        CHECK(rows[i].key.id >= 15);
    lab_free(&l);
}

TEST(raft_leader, a_fetch_that_is_decided_after_it_has_lost_is_nothing)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    lab_fetched(&l, 3, 99);
    CHECK_TEXT(lab_said(&l), "\n");
    lab_free(&l);
}

TEST(raft_leader, keeps_the_watermark_that_it_had_as_a_follower)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    lab_fetch_done(&l, 8);
    lab_tick(&l);
    lab_answer(&l, RAFT_VOTE, 3, true);
    lab_answer(&l, RAFT_VOTE, 3, true);
    CHECK_EQ(raft_role(l.raft), RAFT_LEADER);
    CHECK_EQ(raft_high_watermark(l.raft), 8);
    (void)lab_said(&l);
    lab_append(&l, 11);
    lab_fetched(&l, 2, 10);
    lab_fetched(&l, 2, 11);
    CHECK_TEXT(lab_said(&l), "\n\n\nwatermark 11; \n");
    lab_free(&l);
}
