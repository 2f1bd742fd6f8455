/* A replica that leads others: their fetches, its proposals, who waits for them. */
#include "lab.h"

#include <stdlib.h>

#include "protocol/broker_registration_change_record.h"
#include "protocol/partition_change_record.h"
#include "protocol/register_broker_record.h"

static struct lab lab;
static struct replica *r;
static const int32_t all[] = {ME, 2, 3};

static void meta_record(const struct message *message, int16_t version, const void *record)
{
    int64_t n = message_metadata_size(message, version, record);
    struct image_edit *e = image_edit_begin(lab.image);
    struct fail f = {0};
    uint8_t *bytes = malloc((size_t)n);

    message_metadata_write(message, version, record, bytes);
    if (image_edit_apply(e, (struct bytes){bytes, (int32_t)n}, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    free(bytes);
    struct image *next = image_edit_finish(e, image_offset(lab.image) + 1, 1, 1000);
    image_unref(lab.image);
    lab.image = next;
}

/* Its replicas lie in the directory that the lab gives to all. */
static void meta_member_that(int32_t id, int64_t epoch, bool fenced, bool leaves)
{
    struct uuid dirs[] = {topic_id(250), topic_id(251)};
    struct register_broker_record m;

    register_broker_record_init(&m);
    m.broker_id = id;
    m.broker_epoch = epoch;
    m.incarnation_id = topic_id((uint8_t)epoch);
    m.fenced = fenced;
    m.in_controlled_shutdown = leaves;
    m.log_dirs = dirs;
    m.log_dirs_count = 2;
    meta_record(&register_broker_record_message, 3, &m);
}

static void meta_member(int32_t id, int64_t epoch, bool fenced)
{
    meta_member_that(id, epoch, fenced, false);
}

/* Leads a topic that is replicated by brokers 1 to 3 of epochs 71 to 73; the first `isr_count` are in sync. */
static void begin(int32_t isr_count)
{
    lab_init(&lab, 1, NULL, 1, 1);
    for (int32_t id = 1; id <= 3; id++)
        meta_member(id, 70 + id, false);
    meta_topic(&lab, "orders", 1, 1);
    meta_replicas(&lab, 1, 0, all, 3);
    meta_isr(&lab, 1, 0, all, isr_count);
    CHECK_EQ(lab_start(&lab), 0);
    r = lab_get(&lab, 1, 0);
}

static void end(void)
{
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

static int64_t append(void)
{
    struct replica_appended a;

    CHECK_EQ(lab_append(r, "x", -1, &a), KERR_NONE);
    return a.last_offset + 1;
}

static void fetch(int32_t id, int64_t offset)
{
    struct replica_follower f = {.id = id, .broker_epoch = 70 + id, .leader_epoch = -1, .offset = offset};

    CHECK_EQ(replica_check_follower(r, &f), KERR_NONE);
    replica_fetched(r, &f, log_end(replica_log(r)));
}

static void answer(enum kerr error, const int32_t *isr, int32_t isr_count)
{
    const struct replication *m = replica_replication(r);
    struct replication_state s = {
        .leader = ME,
        .leader_epoch = m->leader_epoch,
        .partition_epoch = m->partition_epoch + 1,
        .isr = isr,
        .isr_count = isr_count,
    };

    replica_proposed(r, &lab.proposal, error, error == KERR_NONE ? &s : NULL);
}

static struct str proposed(void)
{
    static struct text text;

    text_clear(&text);
    for (uint32_t i = 0; i < lab.proposal.count; i++)
        text_printf(&text, "%d@%lld ", lab.proposal.ids[i], (long long)lab.proposal.broker_epochs[i]);
    return text_str(&text);
}

struct commit {
    struct replica_wait wait;
    int told, error;
};

static void commit_ready(struct replica_wait *wait, enum kerr error)
{
    struct commit *c = container_of(wait, struct commit, wait);

    c->told++;
    c->error = (int)error;
}

static void commit_wait(struct commit *c, int64_t offset)
{
    *c = (struct commit){.wait.ready = commit_ready};
    replica_wait_committed(r, &c->wait, offset);
}

TEST(replica_leader, acks_all_waits_for_all_that_are_in_sync)
{
    struct commit c;

    begin(2);
    commit_wait(&c, append());
    lab_pass(&lab, SEC);
    CHECK_EQ(c.told, 0);
    CHECK_EQ(replica_high_watermark(r), 0);
    fetch(3, 1); /* not in sync: it does not matter, but joins */
    CHECK_TEXT(proposed(), "1@71 2@-1 3@73 ");
    fetch(2, 1);
    CHECK_EQ(replica_high_watermark(r), 1);
    CHECK_EQ(c.told, 0); /* not inside the call */
    UNTIL(&lab, c.told == 1);
    CHECK_EQ(c.error, KERR_NONE);
    end();
}

/* W3: the setting is raised between the append and its commit. */
TEST(replica_leader, append_that_too_few_have_in_the_end_is_told_so)
{
    struct commit waits, late;

    begin(2);
    commit_wait(&waits, append());
    meta_config(&lab, "orders", "min.insync.replicas", "3");
    CHECK_EQ(lab_apply(&lab), 0);
    fetch(2, 1);
    lab_pass(&lab, SEC);
    CHECK_EQ(replica_high_watermark(r), 0); /* W2 */
    meta_config(&lab, "orders", "min.insync.replicas", "2");
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(replica_high_watermark(r), 1);
    CHECK_EQ(waits.error, KERR_NONE);
    CHECK_EQ(waits.told, 1);
    meta_isr(&lab, 1, 0, all, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    commit_wait(&late, 1);
    UNTIL(&lab, late.told == 1);
    CHECK_EQ(late.error, KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    end();
}

struct seen {
    struct replica_watch watch;
    int told, only_mark;
};

static void seen_moved(struct replica_watch *w)
{
    struct seen *s = container_of(w, struct seen, watch);

    s->told += !w->only_mark;
    s->only_mark += w->only_mark;
}

static void look(struct seen *s, int32_t follower, const int64_t *heard_ms)
{
    *s = (struct seen){.watch = {.follower = follower >= 0, .follower_id = follower, .heard_ms = heard_ms}};
    s->watch.moved = seen_moved;
    replica_watch(r, &s->watch);
}

TEST(replica_leader, followers_are_told_of_the_end_and_consumers_of_the_mark)
{
    struct seen follower, consumer;
    int64_t heard_ms = 0;

    begin(2);
    look(&follower, 2, &heard_ms);
    look(&consumer, -1, NULL);
    append();
    CHECK_EQ(follower.told, 1);
    lab_pass(&lab, SEC);
    CHECK_EQ(consumer.told, 0);
    look(&follower, 2, &heard_ms);
    fetch(2, 1);
    UNTIL(&lab, consumer.told == 1);
    CHECK_EQ(follower.told, 0);
    CHECK_EQ(follower.only_mark, 1);
    append();
    CHECK_EQ(follower.told, 1); /* it has watched on */
    look(&follower, 2, &heard_ms);
    look(&consumer, -1, NULL);
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(follower.told, 1);
    CHECK_EQ(consumer.told, 1);
    end();
}

/* KIP-392 */
TEST(replica_leader, consumers_may_watch_one_that_follows)
{
    struct seen any = {.watch = {.any_role = true, .moved = seen_moved}}, leader;

    begin(2);
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    replica_watch(r, &any.watch);
    look(&leader, -1, NULL);
    UNTIL(&lab, leader.told == 1);
    CHECK_EQ(any.told, 0);
    meta_leader(&lab, 1, 0, ME);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(any.told, 1);
    end();
}

TEST(replica_leader, who_lags_is_proposed_to_leave)
{
    static const int32_t left[] = {ME, 3};
    struct commit c;

    begin(3);
    commit_wait(&c, append());
    for (int i = 0; i < 3; i++) {
        lab_pass(&lab, 15 * SEC);
        fetch(3, 1);
        CHECK_EQ(lab.proposals, 0);
        replicas_check_isr(lab.sets[0]);
    }
    CHECK_EQ(lab.proposals, 1); /* replica.lag.time.max.ms is 30 seconds */
    CHECK_TEXT(proposed(), "1@71 3@73 ");
    replicas_check_isr(lab.sets[0]);
    CHECK_EQ(lab.proposals, 1);
    CHECK_EQ(c.told, 0);
    answer(KERR_NONE, left, 2);
    CHECK_EQ(c.told, 1);
    CHECK_EQ(c.error, KERR_NONE);
    CHECK_EQ(replication_isr_size(replica_replication(r)), 2);
    end();
}

/* A follower whose Fetch waits for records says nothing meanwhile. */
TEST(replica_leader, quiet_partition_does_not_make_its_followers_lag)
{
    struct seen follower;
    int64_t heard_ms;

    begin(2);
    append();
    lab_pass(&lab, SEC);
    fetch(2, 1);
    look(&follower, 2, &heard_ms);
    lab_pass(&lab, 3000 * SEC);
    CHECK_EQ(follower.only_mark, 1);
    heard_ms = io_now_ms(lab.io) - 400;
    append();
    replicas_check_isr(lab.sets[0]);
    CHECK_EQ(lab.proposals, 0);
    lab_pass(&lab, 31 * SEC);
    replicas_check_isr(lab.sets[0]);
    CHECK_EQ(lab.proposals, 1);
    end();
}

TEST(replica_leader, commit_waits_for_one_that_joins_until_its_broker_is_fenced)
{
    struct commit c;

    begin(1);
    fetch(3, 0);
    CHECK_EQ(lab.proposals, 1);
    answer(KERR_INELIGIBLE_REPLICA, NULL, 0);
    commit_wait(&c, append());
    lab_pass(&lab, SEC);
    CHECK_EQ(c.told, 0);
    meta_member(3, 73, true);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(c.told, 1);
    end();
}

TEST(replica_leader, replica_whose_directory_has_failed_is_not_proposed)
{
    struct broker_registration_change_record m;
    struct uuid left = topic_id(251);

    begin(1);
    fetch(2, 0);
    CHECK_TEXT(proposed(), "1@71 2@72 ");
    answer(KERR_INELIGIBLE_REPLICA, NULL, 0); /* the controller knows already */
    broker_registration_change_record_init(&m);
    m.broker_id = 2;
    m.broker_epoch = 72;
    m.log_dirs = &left;
    m.log_dirs_count = 1;
    meta_record(&broker_registration_change_record_message, 2, &m);
    CHECK_EQ(lab_apply(&lab), 0);
    replicas_check_isr(lab.sets[0]);
    fetch(2, 0); /* was on its way */
    CHECK_EQ(lab.proposals, 1);
    end();
}

TEST(replica_leader, only_replicas_may_fetch_and_only_from_a_leader)
{
    static const struct {
        int32_t id, leader_epoch;
        int64_t broker_epoch;
        enum kerr error;
    } rows[] = {
        {2, 0, 72, KERR_NONE},
        {2, -1, -1, KERR_NONE},
        {2, 0, 71, KERR_NOT_LEADER_OR_FOLLOWER},
        {2, 1, 72, KERR_UNKNOWN_LEADER_EPOCH},
        {4, 0, 74, KERR_UNKNOWN_LEADER_EPOCH},
        {4, -1, 74, KERR_NOT_LEADER_OR_FOLLOWER},
    };

    begin(2);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct replica_follower f = {rows[i].id, rows[i].broker_epoch, rows[i].leader_epoch, 0, 0};
        CHECK_EQ(replica_check_follower(r, &f), rows[i].error);
    }
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(replica_check_follower(r, &(struct replica_follower){2, 72, 0, 0, 0}), KERR_FENCED_LEADER_EPOCH);
    CHECK_EQ(replica_check_follower(r, &(struct replica_follower){2, 72, 1, 0, 0}), KERR_NOT_LEADER_OR_FOLLOWER);
    end();
}

TEST(replica_leader, one_that_was_elected_uncleanly_says_that_it_has_recovered)
{
    struct partition_change_record m;

    begin(2);
    partition_change_record_init(&m);
    m.topic_id = topic_id(1);
    m.partition_id = 0;
    m.leader = ME;
    m.isr = (int32_t *)(uintptr_t)all;
    m.isr_count = 1;
    m.leader_recovery_state = REPLICATION_RECOVERING;
    meta_record(&partition_change_record_message, 0, &m);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab.proposals, 1);
    CHECK_EQ(lab.proposal.recovery, REPLICATION_RECOVERED);
    CHECK_TEXT(proposed(), "1@71 ");
    end();
}

TEST(replica_leader, answers_that_come_when_it_leads_no_more_change_nothing)
{
    begin(1);
    fetch(2, 0);
    CHECK_EQ(lab.proposals, 1);
    replica_hold(r);
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    answer(KERR_NONE, all, 2);
    CHECK_EQ(replication_isr_size(replica_replication(r)), 1);
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    answer(KERR_NONE, all, 2);
    replica_release(r);
    end();
}

/* Its registration is told by an image, also one that comes after the partitions. */
TEST(replica_leader, own_broker_epoch_is_that_of_the_newest_registration)
{
    begin(1);
    meta_member(ME, 99, false);
    CHECK_EQ(lab_apply(&lab), 0);
    fetch(2, 0);
    CHECK_TEXT(proposed(), "1@99 2@72 ");
    end();
}

/* ---- why the ISR is as it is ------------------------------------------------------------------ */

static void add_cause(void *ctx, int64_t wall_ms, const char *words)
{
    text_printf(ctx, "%s\n", words);
}

static struct str causes(void)
{
    static struct text text;

    text_clear(&text);
    telemetry_causes_each(lab.telemetry, STR("orders"), 0, add_cause, &text);
    return text_str(&text);
}

TEST(replica_leader, says_who_has_left_and_come_and_why)
{
    static const int32_t left[] = {ME, 3};

    begin(3);
    append();
    append();
    for (int i = 0; i < 3; i++) {
        lab_pass(&lab, 15 * SEC);
        fetch(3, 2);
    }
    fetch(2, 1);
    lab_pass(&lab, SEC);
    replicas_check_isr(lab.sets[0]);
    answer(KERR_NONE, left, 2);
    CHECK_TEXT(causes(), "broker 2 leaves the ISR [1,2,3]: it lacks 1 records (its end is 1, ours 2), its last Fetch "
                         "was 1000 ms ago, it had all 46000 ms ago (replica.lag.time.max.ms is 30000)\n");
    fetch(2, 2);
    answer(KERR_NONE, all, 3);
    CHECK(str_ends(causes(), STR("\nbroker 2 joins the ISR [1,3]: it has all up to offset 2, our end is 2\n")));
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).shrinks, 1);
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).expands, 1);
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).failed, 0);
    end();
}

/* The controller has fenced the broker of one: no proposal of ours. Nor is one that was refused. */
TEST(replica_leader, says_that_the_controller_has_decided)
{
    begin(2);
    fetch(3, 0);
    answer(KERR_INELIGIBLE_REPLICA, NULL, 0);
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).failed, 1);
    meta_member(2, 72, true);
    meta_isr(&lab, 1, 0, all, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(causes(), "broker 2 leaves the ISR [1,2]: the controller has decided so, the broker is fenced\n");
    CHECK(strstr(lab.said.p, "broker 2 leaves the ISR") != NULL);
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).shrinks, 0);
    end();
}

TEST(replica_leader, does_not_warn_of_who_stops_in_order)
{
    begin(2);
    meta_member_that(2, 72, true, true);
    meta_isr(&lab, 1, 0, all, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(causes(), "broker 2 leaves the ISR [1,2]: the controller has decided so, the broker shuts down\n");
    CHECK(lab.said.p == NULL || strstr(lab.said.p, "leaves the ISR") == NULL);
    end();
}

/* Metadata may come before the answer. */
TEST(replica_leader, what_metadata_says_first_was_proposed_all_the_same)
{
    begin(2);
    fetch(3, 0);
    CHECK_EQ(lab.proposals, 1);
    meta_isr(&lab, 1, 0, all, 3);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(causes(), "broker 3 joins the ISR [1,2]: it has all up to offset 0, our end is 0\n");
    answer(KERR_NONE, all, 3);
    CHECK_EQ(replicas_isr_counts(lab.sets[0]).expands, 1);
    end();
}

/* ---- more replicas than the machine takes ------------------------------------------------------- */

static void meta_many(int32_t count)
{
    struct partition_change_record m;
    struct uuid directories[REPLICAS_MAX + 1];
    int32_t replicas[REPLICAS_MAX + 1];

    ASSERT(count <= REPLICAS_MAX + 1);
    for (int32_t i = 0; i < count; i++) {
        replicas[i] = i + 1;
        directories[i] = topic_id(250);
    }
    partition_change_record_init(&m);
    m.topic_id = topic_id(1);
    m.partition_id = 0;
    m.replicas = replicas;
    m.replicas_count = count;
    m.directories = directories;
    m.directories_count = count;
    meta_record(&partition_change_record_message, 1, &m);
}

/* No controller of ours makes such a partition, but Kafka's may: it is refused in words, nothing is lost. */
TEST(replica_leader, partition_of_too_many_replicas_is_offline_until_it_has_fewer)
{
    begin(1);
    meta_many(REPLICAS_MAX);
    CHECK_EQ(lab_apply(&lab), 0);
    append();
    meta_many(REPLICAS_MAX + 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(lab_find(&lab, 1, 0) == NULL);
    CHECK_EQ(replica_absence(lab.sets[0], topic_id(1), 0), KERR_KAFKA_STORAGE_ERROR);
    CHECK(strstr(lab.said.p, "orders-0 has 33 replicas, and this broker serves partitions of 32 at most") != NULL);
    CHECK(strstr(lab.placed.p, "orders-0 in -2; ") != NULL);
    meta_many(3);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab_start(&lab), 0);
    r = lab_get(&lab, 1, 0);
    CHECK_EQ(log_end(replica_log(r)), 1);
    meta_many(REPLICAS_MAX + 1);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab_start(&lab), 0); /* also when it is found so */
    CHECK(lab_find(&lab, 1, 0) == NULL);
    end();
}
