/* The follower's side: its mark, and where it cuts a log that diverges. */
#include "check.h"

#include "replication/replication.h"

#define ME 1

static struct replication r;
static struct replication_outcome out;

static void follow_with(int64_t mark)
{
    static const int32_t both[] = {1, 2};
    struct replication_state s = {.leader = 2, .leader_epoch = 3, .partition_epoch = 1, .replicas = both, .isr = both,
                                  .replica_count = 2, .isr_count = 2, .min_isr = 1};

    replication_init(&r, ME, mark);
    replication_apply(&r, &s, 100, 100, 0, &out);
}

TEST(replication_follower, mark_is_the_leaders_up_to_the_own_end)
{
    follow_with(5);
    replication_follow(&r, 20, 10, &out);
    CHECK(out.high_watermark_moved);
    CHECK_EQ(r.high_watermark, 10);
    replication_follow(&r, 12, 30, &out);
    CHECK_EQ(r.high_watermark, 12);
    replication_follow(&r, 8, 30, &out); /* a leader that knows less, yet */
    CHECK(!out.high_watermark_moved);
    CHECK_EQ(r.high_watermark, 12);
    replication_follow(&r, -1, 30, &out);
    CHECK_EQ(r.high_watermark, 12);
    replication_cut(&r, 40);
    CHECK_EQ(r.high_watermark, 12);
    replication_cut(&r, 7);
    CHECK_EQ(r.high_watermark, 7);
    replication_started(&r, 3);
    CHECK_EQ(r.high_watermark, 7);
    replication_started(&r, 9); /* what is gone was committed */
    CHECK_EQ(r.high_watermark, 9);
}

/* Rows of KIP-101 and KIP-279; the own mark is 6. */
TEST(replication_follower, log_that_diverges_is_cut_where_both_are_the_same)
{
    static const struct {
        struct replication_end leader, own;
        int64_t log_end, cut;
        bool again;
    } rows[] = {
        {{-1, -1}, {-1, -1}, 10, 6, false}, /* the leader knows nothing: what is committed stays */
        {{-1, -1}, {-1, -1}, 4, 4, false},
        {{-1, 8}, {-1, -1}, 10, 8, false},
        {{-1, 12}, {-1, -1}, 10, 10, false},
        {{3, 8}, {3, 9}, 10, 8, false},     /* we have more of the epoch */
        {{3, 9}, {3, 8}, 10, 8, false},     /* we have less of it, and then others' */
        {{3, 5}, {3, 9}, 10, 5, false},     /* also below the mark, when the leader says so */
        {{3, 12}, {3, 11}, 10, 10, false},
        {{3, 8}, {2, 7}, 10, 7, true},      /* we do not know the epoch: the one before may diverge as well */
        {{3, 8}, {2, 9}, 10, 9, true},
        {{3, 8}, {2, 12}, 10, 10, true},
        {{3, 8}, {-1, -1}, 10, 8, false},   /* we know no epochs */
        {{3, 12}, {-1, -1}, 10, 10, false},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        bool again;
        follow_with(6);
        CHECK_EQ(replication_truncation(&r, rows[i].leader, rows[i].own, rows[i].log_end, &again), rows[i].cut);
        CHECK_EQ(again, rows[i].again);
    }
}

TEST(replication_follower, leader_that_follows_is_a_bug)
{
    static const int32_t me[] = {ME};
    struct replication_state s = {.leader = ME, .leader_epoch = 1, .partition_epoch = 1, .replicas = me, .isr = me,
                                  .replica_count = 1, .isr_count = 1, .min_isr = 1};

    replication_init(&r, ME, 0);
    CHECK_ASSERTS(replication_follow(&r, 1, 1, &out));
    replication_apply(&r, &s, 1, 1, 0, &out);
    CHECK_ASSERTS(replication_follow(&r, 1, 1, &out));
    CHECK_ASSERTS(replication_cut(&r, 0));
}
