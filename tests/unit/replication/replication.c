/* Steps of one partition's replication, told one by one. */
#include "check.h"

#include <stdio.h>

#include "replication/replication.h"

#define ME 1

/* Metadata: who leads, epochs, who replicates, who is in sync. */
struct says {
    int32_t leader, leader_epoch, partition_epoch;
    int32_t replicas[4], isr[4]; /* 0 = no more */
    int32_t min_isr;
};

static int32_t count_of(const int32_t ids[4])
{
    int32_t n = 0;

    while (n < 4 && ids[n] != 0)
        n++;
    return n;
}

/* "leader follower role mark" of what moved, or "-". */
static const char *told(const struct replication_outcome *o)
{
    static char text[64];

    snprintf(text, sizeof text, "%s%s%s%s", o->became_leader ? "leader " : "",
             o->became_follower ? "follower " : "", o->role_changed ? "role " : "",
             o->high_watermark_moved ? "mark " : "");
    return text[0] == '\0' ? "-" : text;
}

static const char *apply(struct replication *r, const struct says *s, int64_t end, int64_t stable)
{
    struct replication_state state = {
        .leader = s->leader,
        .leader_epoch = s->leader_epoch,
        .partition_epoch = s->partition_epoch,
        .replicas = s->replicas,
        .isr = s->isr,
        .replica_count = count_of(s->replicas),
        .isr_count = count_of(s->isr),
        .min_isr = s->min_isr,
    };
    struct replication_outcome out;

    replication_apply(r, &state, end, stable, 1000, &out);
    return told(&out);
}

static const char *stable(struct replication *r, int64_t offset)
{
    struct replication_outcome out;

    replication_stable(r, offset, &out);
    return told(&out);
}

TEST(replication, begins_as_nothing)
{
    struct replication r;

    replication_init(&r, ME, 7);
    CHECK_EQ(r.role, REPLICATION_NONE);
    CHECK_EQ(r.leader, -1);
    CHECK_EQ(r.high_watermark, 7);
    CHECK_EQ(replication_can_append(&r, 1), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(replication_can_append(&r, -1), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(replication_check_leader(&r, -1), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_TEXT(stable(&r, 100), "-");
    CHECK_EQ(r.high_watermark, 7);
}

TEST(replication, only_replica_leads_and_its_stable_end_is_the_mark)
{
    struct replication r;

    replication_init(&r, ME, 3);
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 0, {1}, {1}, 1}, 10, 8), "leader role mark ");
    CHECK_EQ(r.role, REPLICATION_LEADER);
    CHECK_EQ(r.epoch_start, 10);
    CHECK_EQ(r.high_watermark, 8); /* not the end: it must survive the leader as well */
    CHECK_TEXT(stable(&r, 8), "-");
    CHECK_TEXT(stable(&r, 12), "mark ");
    CHECK_EQ(r.high_watermark, 12);
    CHECK_EQ(replication_can_append(&r, -1), KERR_NONE);
}

/* W1: a follower in the ISR that has fetched nothing holds the mark where it was. */
TEST(replication, slowest_of_the_isr_holds_the_mark)
{
    struct replication r;

    replication_init(&r, ME, 5);
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1, 2}, 1}, 9, 9), "leader role ");
    CHECK_TEXT(stable(&r, 20), "-");
    CHECK_EQ(r.high_watermark, 5);
    /* 2 leaves: 1 alone decides, 3 is a replica but not in sync */
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 1, {1, 2, 3}, {1}, 1}, 25, 22), "mark ");
    CHECK_EQ(r.high_watermark, 22);
    /* 2 comes back at 0: the mark does not */
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 2, {1, 2, 3}, {1, 2}, 1}, 30, 30), "-");
    CHECK_EQ(r.high_watermark, 22);
}

/* W2 */
TEST(replication, mark_stands_while_the_isr_is_too_small)
{
    struct replication r;

    replication_init(&r, ME, 0);
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1}, 2}, 9, 9), "leader role ");
    CHECK_EQ(replication_can_append(&r, -1), KERR_NOT_ENOUGH_REPLICAS);
    CHECK_EQ(replication_can_append(&r, 1), KERR_NONE);
    CHECK_EQ(replication_can_append(&r, 0), KERR_NONE);
    CHECK_TEXT(stable(&r, 12), "-");
    /* the setting is lowered: no new partition epoch, and it acts at once */
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1}, 1}, 12, 12), "mark ");
    CHECK_EQ(r.high_watermark, 12);
    CHECK_EQ(replication_can_append(&r, -1), KERR_NONE);
    /* and raised: what is committed stays so */
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1}, 3}, 14, 14), "-");
    CHECK_EQ(replication_can_append(&r, -1), KERR_NOT_ENOUGH_REPLICAS);
    CHECK_EQ(r.high_watermark, 12);
}

TEST(replication, no_more_in_sync_replicas_are_asked_than_there_are_replicas)
{
    static const struct {
        int32_t replicas[4], isr[4], min_isr;
        enum kerr error;
    } rows[] = {
        {{1}, {1}, 1, KERR_NONE},
        {{1}, {1}, 2, KERR_NONE},
        {{1}, {1}, INT32_MAX, KERR_NONE},
        {{1}, {1}, 0, KERR_NONE},
        {{1, 2}, {1}, 0, KERR_NONE},
        {{1, 2}, {1}, -5, KERR_NONE},
        {{1, 2}, {1, 2}, 5, KERR_NONE},
        {{1, 2}, {1}, 5, KERR_NOT_ENOUGH_REPLICAS},
        {{1, 2, 3}, {1, 3}, 2, KERR_NONE},
        {{1, 2, 3}, {1, 3}, 3, KERR_NOT_ENOUGH_REPLICAS},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct replication r;
        struct says s = {.leader = 1, .min_isr = rows[i].min_isr};
        memcpy(s.replicas, rows[i].replicas, sizeof s.replicas);
        memcpy(s.isr, rows[i].isr, sizeof s.isr);
        replication_init(&r, ME, 0);
        apply(&r, &s, 0, 0);
        CHECK_EQ(replication_can_append(&r, -1), rows[i].error);
    }
}

TEST(replication, roles_change_with_metadata)
{
    struct replication r;

    replication_init(&r, ME, 4);
    CHECK_TEXT(apply(&r, &(struct says){2, 3, 7, {1, 2}, {1, 2}, 1}, 9, 9), "follower role ");
    CHECK_EQ(replication_can_append(&r, 1), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_TEXT(stable(&r, 50), "-"); /* its own progress is no mark */
    CHECK_EQ(r.high_watermark, 4);
    CHECK_TEXT(apply(&r, &(struct says){2, 4, 8, {1, 2}, {2, 1}, 1}, 9, 9), "follower role ");
    CHECK_TEXT(apply(&r, &(struct says){2, 4, 9, {1, 2}, {2}, 1}, 9, 9), "-");
    CHECK_TEXT(apply(&r, &(struct says){1, 5, 10, {1, 2}, {1}, 1}, 60, 55), "leader role mark ");
    CHECK_EQ(r.epoch_start, 60);
    /* the same leader in a new epoch begins anew */
    CHECK_TEXT(apply(&r, &(struct says){1, 6, 11, {1, 2}, {1}, 1}, 70, 66), "leader role mark ");
    CHECK_EQ(r.epoch_start, 70);
    /* the ISR alone: the same epoch */
    CHECK_TEXT(apply(&r, &(struct says){1, 6, 12, {1, 2}, {1, 2}, 1}, 80, 80), "-");
    CHECK_EQ(r.epoch_start, 70);
    /* nobody leads */
    CHECK_TEXT(apply(&r, &(struct says){-1, 7, 13, {1, 2}, {1}, 1}, 80, 80), "follower role ");
    CHECK_EQ(r.leader, -1);
    CHECK_EQ(r.high_watermark, 66);
}

TEST(replication, older_metadata_is_ignored)
{
    struct replication r;

    replication_init(&r, ME, 0);
    CHECK_TEXT(apply(&r, &(struct says){1, 5, 10, {1, 2}, {1}, 1}, 8, 8), "leader role mark ");
    CHECK_TEXT(apply(&r, &(struct says){2, 4, 9, {1, 2}, {2}, 1}, 8, 8), "-");
    CHECK_TEXT(apply(&r, &(struct says){2, 6, 10, {1, 2}, {2}, 1}, 8, 8), "-");
    CHECK_EQ(r.role, REPLICATION_LEADER);
    CHECK_EQ(r.leader_epoch, 5);
    CHECK_EQ(r.count, 2);
}

TEST(replication, requests_are_held_against_the_leader_epoch)
{
    static const struct {
        int32_t leader, asked;
        enum kerr error;
    } rows[] = {
        {1, -1, KERR_NONE},
        {1, 5, KERR_NONE},
        {1, 4, KERR_FENCED_LEADER_EPOCH},
        {1, 0, KERR_FENCED_LEADER_EPOCH},
        {1, 6, KERR_UNKNOWN_LEADER_EPOCH},
        {1, INT32_MAX, KERR_UNKNOWN_LEADER_EPOCH},
        {2, -1, KERR_NOT_LEADER_OR_FOLLOWER},
        {2, 5, KERR_NOT_LEADER_OR_FOLLOWER},
        {2, 4, KERR_FENCED_LEADER_EPOCH},
        {2, 6, KERR_UNKNOWN_LEADER_EPOCH},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct replication r;
        replication_init(&r, ME, 0);
        apply(&r, &(struct says){rows[i].leader, 5, 1, {1, 2}, {1, 2}, 1}, 0, 0);
        CHECK_EQ(replication_check_leader(&r, rows[i].asked), rows[i].error);
        bool old = rows[i].error == KERR_NOT_LEADER_OR_FOLLOWER;
        CHECK_EQ(replication_check_any(&r, rows[i].asked), old ? KERR_NONE : rows[i].error);
    }
}

/* KIP-392 */
TEST(replication, followers_are_read_as_long_as_somebody_leads)
{
    struct replication r;

    replication_init(&r, ME, 0);
    CHECK_EQ(replication_check_any(&r, -1), KERR_NOT_LEADER_OR_FOLLOWER);
    apply(&r, &(struct says){2, 0, 0, {1, 2}, {1, 2}, 1}, 0, 0);
    CHECK_EQ(replication_check_any(&r, -1), KERR_NONE);
    apply(&r, &(struct says){-1, 1, 1, {1, 2}, {1, 2}, 1}, 0, 0);
    CHECK_EQ(replication_check_any(&r, -1), KERR_NOT_LEADER_OR_FOLLOWER);
}

/* W3: with these two questions an answer to acks=all is safe when the mark has passed it. */
TEST(replication, mark_that_has_passed_says_that_enough_replicas_have_it)
{
    struct replication r;

    replication_init(&r, ME, 0);
    apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1, 2}, 2}, 0, 0);
    CHECK_EQ(replication_can_append(&r, -1), KERR_NONE);
    CHECK_TEXT(stable(&r, 10), "-"); /* 2 has not got it */
    /* 2 leaves before it has: the answer must not go out on the leader's word alone */
    CHECK_TEXT(apply(&r, &(struct says){1, 0, 1, {1, 2, 3}, {1}, 2}, 10, 10), "-");
    CHECK_EQ(r.high_watermark, 0);
}

/* W3: the ISR, or the setting, may have changed after the append. */
TEST(replication, acknowledges_only_with_enough_in_sync)
{
    struct replication r;

    replication_init(&r, ME, 0);
    apply(&r, &(struct says){1, 0, 0, {1, 2, 3}, {1, 2}, 2}, 0, 0);
    CHECK_EQ(replication_acknowledge(&r), KERR_NONE);
    apply(&r, &(struct says){1, 0, 1, {1, 2, 3}, {1}, 2}, 0, 0);
    CHECK_EQ(replication_acknowledge(&r), KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    apply(&r, &(struct says){1, 0, 1, {1, 2, 3}, {1}, 1}, 0, 0);
    CHECK_EQ(replication_acknowledge(&r), KERR_NONE);
    apply(&r, &(struct says){2, 1, 2, {1, 2, 3}, {1, 2}, 1}, 0, 0);
    CHECK_EQ(replication_acknowledge(&r), KERR_NOT_LEADER_OR_FOLLOWER);
}

TEST(replication, impossible_steps_are_bugs)
{
    struct replication r;

    CHECK_ASSERTS(replication_init(&r, ME, -1));
    replication_init(&r, ME, 0);
    apply(&r, &(struct says){1, 5, 1, {1}, {1}, 1}, 8, 8);
    CHECK_ASSERTS(stable(&r, 7));                                             /* stable went back */
    CHECK_ASSERTS(apply(&r, &(struct says){1, 4, 2, {1}, {1}, 1}, 8, 8));     /* the epoch did */
    CHECK_ASSERTS(apply(&r, &(struct says){1, 6, 3, {2}, {2}, 1}, 8, 8));     /* no replica leads */
    CHECK_ASSERTS(apply(&r, &(struct says){1, 7, 4, {1, 2}, {2}, 1}, 8, 8));  /* not in sync */
}
