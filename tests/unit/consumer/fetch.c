/* What a fetcher must not believe, and what it must do about it: against scripted brokers. */
#include "cluster.h"

#include <stdio.h>

static const struct consumer_partition t_0 = {{"t", 1}, 0};

/* KIP-320: the new leader has less than what was read. */
static void lead_with_less(struct cluster *c)
{
    cluster_append(c, 5, CODEC_NONE);
    cluster_append(c, 5, CODEC_NONE);
    cluster_begin(c);
    READS(c, "0 1 2 3 4 5 6 7 8 9");
    cluster_cut_log(c, 5);
    c->epoch = 1;
    c->epoch_found = 0;
    c->epoch_end = 5;
    cluster_append(c, 7, CODEC_NONE); /* other records at 5 to 11 */
    script_move(c->script, "t", 0, 2);
    c->fetch_error = KERR_NOT_LEADER_OR_FOLLOWER;
}

TEST(consumer_fetch, truncated_log_is_read_on_from_where_it_parts)
{
    struct cluster c;

    cluster_open(&c, 2);
    lead_with_less(&c);
    READS(&c, "5 6 7 8 9 10 11");
    CHECK(script_count(c.script, 2, API_OFFSET_FOR_LEADER_EPOCH) == 1);
    CHECK_EQ(cluster_place(&c).done, 12);
    cluster_end(&c);
}

TEST(consumer_fetch, truncated_log_is_an_error_where_auto_offset_reset_is_none)
{
    struct cluster c;

    cluster_open(&c, 2);
    c.committed = 0;
    c.settings.auto_offset_reset = CONSUMER_RESET_NONE;
    lead_with_less(&c);
    SCRIPT_UNTIL(c.script, cluster_has(&c, "OFFSET_OUT_OF_RANGE at 5: t-0: the log was truncated"));
    cluster_take(&c);
    CHECK_EQ(cluster_place(&c).position, 10);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 5, 0), 0);
    READS(&c, "5 6 7 8 9 10 11");
    cluster_end(&c);
}

TEST(consumer_fetch, whole_log_under_another_leader_is_read_on)
{
    struct cluster c;

    cluster_open(&c, 2);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 2");
    c.epoch = 1;
    c.epoch_end = 3;
    cluster_append(&c, 2, CODEC_NONE);
    script_move(c.script, "t", 0, 2);
    c.fetch_error = KERR_NOT_LEADER_OR_FOLLOWER;
    READS(&c, "3 4");
    CHECK_EQ(script_count(c.script, 2, API_OFFSET_FOR_LEADER_EPOCH), 1);
    cluster_end(&c);
}

/* The commit's epoch is compared before anything is read. */
TEST(consumer_fetch, old_node_without_the_api_is_read_without_comparing)
{
    struct cluster c;

    cluster_open(&c, 1);
    script_versions(c.script, 0, API_OFFSET_FOR_LEADER_EPOCH, 0, -1);
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 1, 0), 0);
    READS(&c, "1 2");
    cluster_end(&c);
}

TEST(consumer_fetch, answer_from_before_a_seek_is_not_handed_out)
{
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    c.park = true;
    cluster_append(&c, 2, CODEC_NONE);
    SCRIPT_UNTIL(c.script, c.parked != NULL); /* an answer with 2 and 3 */
    CHECK_EQ(consumer_seek(c.consumer, t_0, 0, -1), 0);
    CHECK_EQ(cluster_place(&c).done, 0);
    script_reply(c.parked);
    READS(&c, "0 1 2 3");
    cluster_end(&c);
}

TEST(consumer_fetch, answer_for_a_partition_that_went_and_came_back_is_not_handed_out)
{
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    c.park = true;
    cluster_append(&c, 2, CODEC_NONE);
    SCRIPT_UNTIL(c.script, c.parked != NULL);
    CHECK_EQ(consumer_assign(c.consumer, NULL, 0, NULL), 0);
    CHECK_EQ(consumer_assign(c.consumer, &t_0, 1, NULL), 0);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 1, -1), 0);
    script_reply(c.parked);
    READS(&c, "1 2 3");
    cluster_end(&c);
}

TEST(consumer_fetch, damaged_batch_is_told_with_its_offset_and_skipped_by_a_seek)
{
    struct cluster c;
    size_t at;

    cluster_open(&c, 1);
    cluster_append(&c, 2, CODEC_NONE);
    at = cluster_append(&c, 2, CODEC_NONE);
    cluster_append(&c, 2, CODEC_NONE);
    c.log.p[at + BATCH_HEADER_BYTES + 3] ^= 1;
    cluster_begin(&c);
    READS(&c, "0 1");
    cluster_take(&c);
    SCRIPT_UNTIL(c.script, (cluster_take(&c), c.events.n > 0));
    CHECK(cluster_has(&c, "CORRUPT_MESSAGE at 2: t-0: the batch at offset 2 fails its checksum"));
    script_pass(c.script, 1000);
    cluster_take(&c);
    CHECK_TEXT(text_str(&c.read), "0 1");
    CHECK_EQ(cluster_place(&c).done, 2);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 4, -1), 0);
    READS(&c, "4 5");
    cluster_end(&c);
}

TEST(consumer_fetch, damage_inside_a_compressed_batch_is_met_by_its_reader)
{
    struct consumer_chunk *k;
    struct record record;
    struct cluster c;
    size_t at;

    cluster_open(&c, 1);
    c.settings.check_crcs = false;
    at = cluster_append(&c, 2, CODEC_ZSTD);
    memset(c.log.p + at + BATCH_HEADER_BYTES, 0x55, 8);
    cluster_begin(&c);
    SCRIPT_UNTIL(c.script, (k = consumer_take(c.consumer)) != NULL);
    CHECK_EQ(consumer_chunk_next(k, &record), ERR_CORRUPT);
    CHECK_EQ(record.offset, 0);
    CHECK_EQ(consumer_chunk_next(k, &record), ERR_CORRUPT);
    consumer_chunk_release(k, k->first);
    CHECK_EQ(cluster_place(&c).done, 0);
    cluster_end(&c);
}

TEST(consumer_fetch, aborted_transactions_and_markers_are_hidden_from_read_committed)
{
    struct cluster c;

    cluster_open(&c, 1);
    c.settings.read_committed = true;
    c.aborted_producer = 7;
    c.aborted_first = 1;
    cluster_append(&c, 1, CODEC_NONE);         /* 0 */
    cluster_append_of(&c, 7, 2);               /* 1 2: aborted */
    cluster_append_of(&c, 8, 1);               /* 3 */
    cluster_mark(&c, 7, CONTROL_ABORT);        /* 4 */
    cluster_append_of(&c, 7, 1);               /* 5: the next transaction of 7 */
    cluster_mark(&c, 8, CONTROL_COMMIT);       /* 6 */
    cluster_mark(&c, 7, CONTROL_COMMIT);       /* 7 */
    cluster_begin(&c);
    READS(&c, "0 3 5");
    SCRIPT_UNTIL(c.script, (cluster_take(&c), cluster_place(&c).done == 8)); /* also what was hidden is done */
    cluster_end(&c);
}

TEST(consumer_fetch, read_uncommitted_hides_markers_only)
{
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append_of(&c, 7, 2);
    cluster_mark(&c, 7, CONTROL_ABORT);
    cluster_append(&c, 1, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1 3");
    cluster_end(&c);
}

TEST(consumer_fetch, preferred_replica_is_read_and_left_when_it_lags)
{
    struct cluster c;

    cluster_open(&c, 2);
    c.prefer = 2;
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    CHECK(script_count(c.script, 2, API_FETCH) > 0);
    c.fetch_error = KERR_OFFSET_OUT_OF_RANGE; /* of broker 2: the leader is asked, and nothing is reset */
    cluster_append(&c, 1, CODEC_NONE);
    READS(&c, "2");
    CHECK_EQ(c.events.n, 0);
    cluster_end(&c);
}

/* KIP-951: the answer says who leads now; nobody has to ask for metadata. */
TEST(consumer_fetch, leader_that_an_answer_names_is_asked_next)
{
    struct cluster c;
    uint32_t asked;

    cluster_open(&c, 2);
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    asked = script_count(c.script, 0, API_METADATA);
    script_move(c.script, "t", 0, 2);
    c.hint_leader = 2;
    c.hint_epoch = 1;
    c.epoch_end = 2;
    c.fetch_error = KERR_NOT_LEADER_OR_FOLLOWER;
    cluster_append(&c, 1, CODEC_NONE);
    READS(&c, "2");
    CHECK_EQ(script_count(c.script, 0, API_METADATA), asked);
    cluster_end(&c);
}

TEST(consumer_fetch, session_tells_what_has_changed_and_begins_anew_when_it_is_lost)
{
    struct cluster c;

    cluster_open(&c, 1);
    c.session_id = 77;
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    SCRIPT_UNTIL(c.script, strstr(c.fetches.p, "1: session 0/0: from 0\n"
                                               "1: session 77/1: from 2\n"
                                               "1: session 77/2:\n") != NULL);
    CHECK_EQ(consumer_pause(c.consumer, t_0), 0);
    text_clear(&c.fetches);
    script_pass(c.script, 500);
    CHECK_EQ(consumer_resume(c.consumer, t_0), 0);
    script_pass(c.script, 100);
    c.top_error = KERR_FETCH_SESSION_ID_NOT_FOUND;
    script_pass(c.script, 100);
    CHECK(strstr(c.fetches.p, "1: session 0/0: from 2\n") != NULL);
    cluster_append(&c, 1, CODEC_NONE);
    script_fault(c.script, 1, API_FETCH, SCRIPT_CUT, 0);
    text_clear(&c.fetches);
    script_pass(c.script, 500);
    CHECK(strstr(c.fetches.p, "1: session 77/0: from 2\n") != NULL); /* close that one, begin anew */
    READS(&c, "2");
    cluster_end(&c);
}

TEST(consumer_fetch, answers_that_cannot_be_read_are_asked_for_again)
{
    static const enum script_fault faults[] = {SCRIPT_GARBAGE, SCRIPT_SHORT, SCRIPT_CORRELATION, SCRIPT_CUT_AFTER,
                                               SCRIPT_SILENT};
    struct cluster c;

    cluster_open(&c, 1);
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "0 1");
    for (uint32_t i = 0; i < array_count(faults); i++) {
        char value[24];
        snprintf(value, sizeof value, "%d", (int)c.end);
        script_fault(c.script, 1, API_FETCH, faults[i], 3);
        cluster_append(&c, 1, CODEC_NONE);
        READS(&c, value);
    }
    CHECK_EQ(c.events.n, 0);
    cluster_end(&c);
}

TEST(consumer_fetch, unstable_commit_is_waited_for)
{
    struct cluster c;

    cluster_open(&c, 1);
    c.offsets_error = KERR_UNSTABLE_OFFSET_COMMIT;
    c.committed = 1;
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "1 2");
    CHECK_EQ(script_count(c.script, 1, API_OFFSET_FETCH), 2);
    cluster_end(&c);
}

TEST(consumer_fetch, missing_right_is_told_once_and_tried_again)
{
    struct cluster c;

    cluster_open(&c, 1);
    c.offsets_error = KERR_GROUP_AUTHORIZATION_FAILED;
    c.committed = 1;
    cluster_append(&c, 3, CODEC_NONE);
    cluster_begin(&c);
    READS(&c, "1 2");
    CHECK(cluster_has(&c, "GROUP_AUTHORIZATION_FAILED at -1: t-0: its committed offset"));
    text_clear(&c.events);
    c.fetch_error = KERR_TOPIC_AUTHORIZATION_FAILED;
    c.hint_leader = -1;
    cluster_append(&c, 1, CODEC_NONE);
    READS(&c, "3");
    CHECK(cluster_has(&c, "TOPIC_AUTHORIZATION_FAILED at 3"));
    cluster_end(&c);
}
