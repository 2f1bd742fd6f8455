/* mr_consumer against a real server: groups, positions, what is done. */
#define _GNU_SOURCE
#include "lab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lab lab;

/* Sum of 0 .. n-1. */
static long sum_below(long n)
{
    return n * (n - 1) / 2;
}

static struct mr_consumer *open_consumer(const char *group, const struct mr_consumer_hooks *hooks)
{
    struct mr_settings *s = group == NULL
                                ? lab_settings(&lab, "auto.offset.reset", "earliest", NULL)
                                : lab_settings(&lab, "auto.offset.reset", "earliest", "group.id", group,
                                               "enable.auto.commit", "false", NULL);
    struct mr_consumer *c = mr_consumer_open(s, hooks, NULL, &lab.e);

    if (c == NULL)
        check_fail(__FILE__, __LINE__, "%s", lab.e.text);
    mr_settings_free(s);
    return c;
}

static void subscribe(struct mr_consumer *c, const char *topic)
{
    CHECK_OK(&lab, mr_subscribe(c, &topic, 1, &lab.e));
}

TEST(library_consumer, what_is_assigned_is_read_sought_and_paused)
{
    struct mr_partition p = {"t", 0};
    struct mr_place place;
    struct mr_chunk *k;

    lab_init(&lab);
    lab_write(&lab, "t", 1000);
    struct mr_consumer *c = open_consumer(NULL, NULL);
    CHECK_OK(&lab, mr_assign(c, &p, 1, &lab.e));
    CHECK_EQ(lab_read(c, 1000), sum_below(1000));
    CHECK_OK(&lab, mr_seek(c, p, 990, &lab.e));
    CHECK_EQ(lab_read(c, 10), sum_below(1000) - sum_below(990));
    CHECK_OK(&lab, mr_seek(c, p, MR_BEGINNING, &lab.e));
    CHECK_EQ(lab_read(c, 5), sum_below(5));
    CHECK_OK(&lab, mr_seek_time(c, p, 1000 + 700, &lab.e));
    CHECK_EQ(lab_read(c, 300), sum_below(1000) - sum_below(700));
    CHECK_OK(&lab, mr_pause(c, p, &lab.e));
    lab_write(&lab, "t", 3);
    CHECK_EQ(mr_poll(c, 500, &k, &lab.e), 0);
    CHECK_OK(&lab, mr_place(c, p, &place, &lab.e));
    CHECK_EQ(place.position, 1000);
    CHECK(place.paused);
    CHECK_OK(&lab, mr_resume(c, p, &lab.e));
    CHECK_EQ(lab_read(c, 3), 3);
    CHECK_EQ(mr_pause(c, (struct mr_partition){"t", 9}, &lab.e), MR_NOT_ASSIGNED);
    struct mr_offset at[3] = {{.topic = "t", .timestamp_ms = MR_END}, {.topic = "t", .timestamp_ms = MR_BEGINNING},
                              {.topic = "t", .timestamp_ms = 1500}};
    CHECK_OK(&lab, mr_offsets_for_times(c, at, 3, PATIENT_MS, &lab.e));
    CHECK_EQ(at[0].offset, 1003);
    CHECK_EQ(at[1].offset, 0);
    CHECK_EQ(at[2].offset, 500);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

/* ---- one batch, several threads ------------------------------------------------------------------- */

#define PARTS 40
#define PART_RECORDS 50 /* max.poll.records */

static struct mr_chunk *parts[PARTS];
static long part_sums[PARTS];

/* Every fourth part, from the last one to the first. */
static void *read_parts(void *arg)
{
    for (int i = PARTS - 1 - (int)(intptr_t)arg; i >= 0; i -= 4) {
        struct mr_read r;
        int count = 0;
        for (part_sums[i] = 0; mr_chunk_next(parts[i], &r, NULL) == 1; count++)
            part_sums[i] += strtol(r.value.p, NULL, 10);
        CHECK_EQ(count, PART_RECORDS);
    }
    return NULL;
}

static void write_one_batch(long count)
{
    struct mr_settings *s = lab_settings(&lab, "compression.type", "lz4", "batch.size", "1000000", "linger.ms", "60000",
                                         NULL);
    struct mr_producer *p = mr_producer_open(s, NULL, NULL, &lab.e);
    char value[16];

    mr_settings_free(s);
    CHECK(p != NULL);
    for (long i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%ld", i);
        struct mr_record r = {.topic = mr_producer_topic(p, "t"), .key = MR_NULL, .value = mr_text(value)};
        CHECK_OK(&lab, mr_produce(p, &r, PATIENT_MS, &lab.e));
    }
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
}

TEST(library_consumer, parts_of_a_batch_are_read_by_several_threads_at_once)
{
    struct mr_partition p = {"t", 0};
    pthread_t threads[4];
    long sum = 0;

    lab_init(&lab);
    write_one_batch(PARTS * PART_RECORDS);
    struct mr_settings *s = lab_settings(&lab, "auto.offset.reset", "earliest", "max.poll.records", "50", NULL);
    struct mr_consumer *c = mr_consumer_open(s, NULL, NULL, &lab.e);
    mr_settings_free(s);
    CHECK_OK(&lab, mr_assign(c, &p, 1, &lab.e));
    for (int i = 0; i < PARTS; i++)
        CHECK_EQ(mr_poll(c, PATIENT_MS, &parts[i], &lab.e), 1);
    for (intptr_t i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, read_parts, (void *)i), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PARTS; i++) {
        sum += part_sums[i];
        mr_chunk_release(parts[i], MR_DONE_ALL);
    }
    CHECK_EQ(sum, sum_below(PARTS * PART_RECORDS));
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

TEST(library_consumer, what_is_done_is_committed_and_nothing_else)
{
    struct mr_offset committed = {.topic = "t"};
    struct mr_chunk *k;

    lab_init(&lab);
    lab_write(&lab, "t", 100);
    struct mr_consumer *c = open_consumer("g", NULL);
    subscribe(c, "t");
    CHECK_EQ(lab_read(c, 40), sum_below(40));
    CHECK_OK(&lab, mr_commit(c, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_committed(c, &committed, 1, PATIENT_MS, &lab.e));
    CHECK_EQ(committed.offset, 40);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));

    c = open_consumer("g", NULL); /* goes on where the other one had done */
    subscribe(c, "t");
    CHECK_EQ(mr_poll(c, PATIENT_MS, &k, &lab.e), 1);
    struct mr_read r;
    CHECK_EQ(mr_chunk_next(k, &r, &lab.e), 1);
    CHECK_EQ(r.offset, 40);
    mr_chunk_release(k, MR_DONE_NONE);
    CHECK_OK(&lab, mr_commit(c, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_committed(c, &committed, 1, PATIENT_MS, &lab.e));
    CHECK_EQ(committed.offset, 40);
    committed.offset = 77;
    CHECK_OK(&lab, mr_commit_offsets(c, &committed, 1, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_committed(c, &committed, 1, PATIENT_MS, &lab.e));
    CHECK_EQ(committed.offset, 77);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

struct owner {
    int assigned, revoked;
};

static void count_partitions(void *ctx, struct mr_consumer *c, const struct mr_event *event)
{
    struct owner *o = ctx;

    if (event->kind == MR_ASSIGNED)
        o->assigned += (int)event->count;
    else if (event->kind == MR_REVOKED)
        o->revoked += (int)event->count;
    else
        check_fail(__FILE__, __LINE__, "event %d: %s", event->kind, event->error.text);
}

TEST(library_consumer, members_of_a_group_are_told_what_they_own)
{
    struct owner first = {0};
    struct mr_consumer_hooks hooks = {.ctx = &first, .event = count_partitions};
    struct mr_partition *owned;
    struct mr_chunk *k;
    uint32_t count;

    lab_init(&lab);
    lab_write(&lab, "t", 10);
    struct mr_consumer *c = open_consumer("g", &hooks);
    subscribe(c, "t");
    CHECK_EQ(lab_read(c, 10), sum_below(10));
    CHECK_EQ(first.assigned, 1);
    CHECK_OK(&lab, mr_assignment(c, &owned, &count, &lab.e));
    CHECK_EQ(count, 1);
    CHECK(strcmp(owned[0].topic, "t") == 0);
    mr_partitions_free(owned);
    CHECK_OK(&lab, mr_unsubscribe(c, &lab.e));
    for (int i = 0; i < 600 && first.revoked == 0; i++)
        CHECK_EQ(mr_poll(c, 100, &k, &lab.e), 0);
    CHECK_EQ(first.revoked, 1);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

static bool begins_with_a(void *ctx, const char *topic)
{
    return topic[0] == 'a';
}

TEST(library_consumer, topics_that_match_are_read)
{
    lab_init(&lab);
    lab_write(&lab, "apples", 10);
    lab_write(&lab, "berries", 1000);
    struct mr_consumer *c = open_consumer("g", NULL);
    CHECK_OK(&lab, mr_subscribe_matching(c, begins_with_a, NULL, &lab.e));
    CHECK_EQ(lab_read(c, 10), sum_below(10));
    struct mr_chunk *k;
    CHECK_EQ(mr_poll(c, 300, &k, &lab.e), 0);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

/* While one thread polls and releases, the loop's takes what comes: each release must arrive, or nothing behind it is
 * ever done. What went wrong once took two refills that met: so there are many, at the end of a log that grows. */
TEST(library_consumer, nothing_that_is_released_gets_lost_while_more_comes)
{
    enum { RECORDS = 4000 };
    struct mr_offset committed = {.topic = "t"};
    struct mr_error e;
    struct mr_chunk *k;
    long sum = 0, left = RECORDS;

    lab_init(&lab);
    lab_write(&lab, "t", 1);
    struct mr_consumer *c = open_consumer("g", NULL);
    subscribe(c, "t");
    CHECK_EQ(lab_read(c, 1), 0);
    struct mr_settings *s = lab_settings(&lab, "linger.ms", "0", "batch.size", "1", "compression.type", "lz4", NULL);
    struct mr_producer *p = mr_producer_open(s, NULL, NULL, &lab.e);
    mr_settings_free(s);
    CHECK(p != NULL);
    for (long i = 0; i < RECORDS; i++) {
        struct mr_record r = {.topic = mr_producer_topic(p, "t"), .key = MR_NULL, .value = mr_text("7")};
        CHECK_OK(&lab, mr_produce(p, &r, PATIENT_MS, &lab.e));
        while (mr_poll(c, 0, &k, &e) == 1)
            sum += lab_sum(k, &left);
    }
    sum += lab_read(c, left);
    CHECK_EQ(sum, 7 * RECORDS);
    CHECK_OK(&lab, mr_commit(c, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_committed(c, &committed, 1, PATIENT_MS, &lab.e));
    CHECK_EQ(committed.offset, RECORDS + 1);
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

/* More lies there than is kept ready: who polls asks for the rest. When all that is ready is thrown away, nobody does. */
TEST(library_consumer, goes_on_when_all_that_was_ready_is_thrown_away)
{
    struct mr_partition p = {"t", 0};
    struct mr_chunk *k;
    long left = 1;

    lab_init(&lab);
    lab_write(&lab, "t", 500);
    struct mr_settings *s = lab_settings(&lab, "auto.offset.reset", "earliest", "max.poll.records", "1", NULL);
    struct mr_consumer *c = mr_consumer_open(s, NULL, NULL, &lab.e);
    mr_settings_free(s);
    CHECK(c != NULL);
    CHECK_OK(&lab, mr_assign(c, &p, 1, &lab.e));
    CHECK_EQ(mr_poll(c, PATIENT_MS, &k, &lab.e), 1);
    CHECK_EQ(lab_sum(k, &left), 0);
    for (long at = 100; at < 500; at += 100) {
        CHECK_OK(&lab, mr_seek(c, p, at, &lab.e));
        left = 1;
        CHECK_EQ(mr_poll(c, PATIENT_MS, &k, &lab.e), 1);
        CHECK_EQ(lab_sum(k, &left), at);
    }
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

TEST(library_consumer, headers_and_nulls_come_as_they_were_sent)
{
    struct mr_header headers[] = {{mr_text("a"), mr_text("1")}, {mr_text("b"), MR_NULL}};
    struct mr_partition partition = {"h", 0};
    struct mr_chunk *k;
    struct mr_read read;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, "compression.type", "lz4", NULL);
    struct mr_producer *p = mr_producer_open(s, NULL, NULL, &lab.e);
    CHECK(p != NULL);
    struct mr_record r = {.topic = mr_producer_topic(p, "h"), .key = mr_text("k"), .value = MR_NULL,
                          .headers = headers, .header_count = 2, .timestamp_ms = 42};
    CHECK_OK(&lab, mr_produce(p, &r, 1000, &lab.e));
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    mr_settings_free(s);
    struct mr_consumer *c = open_consumer(NULL, NULL);
    CHECK_OK(&lab, mr_assign(c, &partition, 1, &lab.e));
    CHECK_EQ(mr_poll(c, PATIENT_MS, &k, &lab.e), 1);
    CHECK_EQ(mr_chunk_next(k, &read, &lab.e), 1);
    CHECK_EQ(read.value.n, -1);
    CHECK_EQ(read.key.n, 1);
    CHECK_EQ(read.timestamp_ms, 42);
    CHECK_EQ(read.header_count, 2);
    CHECK_EQ(*(const char *)mr_read_header(&read, 0).value.p, '1');
    CHECK_EQ(mr_read_header(&read, 1).value.n, -1);
    CHECK_EQ(*(const char *)mr_read_header(&read, 1).key.p, 'b');
    CHECK_EQ(mr_chunk_next(k, &read, &lab.e), 0);
    mr_chunk_release(k, MR_DONE_ALL);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

/* Since when it is as it is, and why nothing comes. */
TEST(library_consumer, health_tells_a_state_its_age_and_its_reason)
{
    struct mr_partition p = {"t", 0}, nowhere = {"t", 7};
    struct mr_health health, later;
    struct mr_chunk *k;

    lab_init(&lab);
    lab_write(&lab, "t", 10);
    struct mr_consumer *c = open_consumer(NULL, NULL);
    mr_consumer_health(c, &health);
    CHECK_EQ(health.state, MR_IDLE);
    CHECK_OK(&lab, mr_assign(c, &p, 1, &lab.e));
    CHECK_EQ(lab_read(c, 10), sum_below(10));
    mr_consumer_health(c, &health);
    CHECK_EQ(health.state, MR_UP);
    CHECK_TEXT(health.reason, "");
    later = health;
    for (int i = 0; i < 3000 && later.age_ms < health.age_ms + 50; i++) { /* as the loop's clock has it, which may lag */
        CHECK_EQ(mr_poll(c, 20, &k, &lab.e), 0);
        mr_consumer_health(c, &later);
        CHECK_EQ(later.state, MR_UP);
    }
    CHECK(later.age_ms >= health.age_ms + 50); /* it has not begun anew */
    CHECK_OK(&lab, mr_assign(c, &nowhere, 1, &lab.e));
    while (mr_poll(c, 20, &k, &lab.e) == 0 && health.reason[0] == '\0')
        mr_consumer_health(c, &health);
    CHECK(strstr(health.reason, "t-7") != NULL);
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}

TEST(library_consumer, a_child_of_a_fork_is_told_and_does_no_harm)
{
    struct mr_partition p = {"t", 0};
    struct mr_chunk *k;
    int status;

    lab_init(&lab);
    lab_write(&lab, "t", 10);
    struct mr_consumer *c = open_consumer("g", NULL);
    CHECK_OK(&lab, mr_assign(c, &p, 1, &lab.e));
    CHECK_EQ(lab_read(c, 10), sum_below(10));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct mr_health health;
        mr_consumer_health(c, &health);
        bool was_told = mr_poll(c, 0, &k, NULL) == MR_FORKED && mr_commit(c, 0, NULL) == MR_FORKED &&
                        mr_seek(c, p, 0, NULL) == MR_FORKED && mr_consumer_close(c, 0, NULL) == MR_FORKED;
        _exit(was_told && health.state == MR_FAILED ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    lab_write(&lab, "t", 3);
    CHECK_EQ(lab_read(c, 3), sum_below(3));
    CHECK_OK(&lab, mr_commit(c, PATIENT_MS, &lab.e));
    CHECK_OK(&lab, mr_consumer_close(c, PATIENT_MS, &lab.e));
    lab_deinit(&lab);
}
