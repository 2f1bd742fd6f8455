/* Reading partitions that were assigned by hand, from a real broker. */
#include "lab.h"

struct bed {
    struct lab lab;
    struct reader r;
    struct consumer_settings s;
    struct text out;
};

static void bed_open(struct bed *b)
{
    *b = (struct bed){0};
    lab_open(&b->lab, 1);
    lab_topic(&b->lab, "orders", 2);
    b->s = reader_settings(&b->lab);
}

static void bed_read(struct bed *b)
{
    reader_open(&b->r, &b->lab, &b->s);
    reader_assign(&b->r, "orders", 0);
}

static void bed_end(struct bed *b)
{
    text_deinit(&b->out);
    if (b->r.consumer != NULL)
        CHECK_EQ(reader_close(&b->r), 0);
    lab_end(&b->lab);
}

static const struct consumer_partition orders_0 = {{"orders", 6}, 0};

TEST(consumer_read, partition_is_read_from_its_start_in_order)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 3, 2, CODEC_GZIP);
    bed_read(&b);
    reader_read(&b.r, 5, &b.out);
    CHECK_TEXT(text_str(&b.out), "0 1 2 3 4");
    lab_produce(&b.lab, "orders", 0, 5, 1, CODEC_NONE);
    reader_read(&b.r, 1, &b.out);
    CHECK_TEXT(text_str(&b.out), "5");
    CHECK_EQ(reader_place(&b.r, "orders", 0).position, 6);
    CHECK_EQ(reader_place(&b.r, "orders", 0).done, 6);
    CHECK_TEXT(reader_place(&b.r, "orders", 0).why_not, "");
    bed_end(&b);
}

/* max.poll.records: a run of batches ends before it; a batch that has more comes in parts. */
TEST(consumer_read, a_chunk_has_no_more_records_than_a_poll_may_give)
{
    static const int64_t ends[] = {4, 6, 10, 11, 13};
    struct consumer_chunk *k;
    struct bed b;

    bed_open(&b);
    b.s.max_poll_records = 4;
    lab_produce(&b.lab, "orders", 0, 0, 2, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 2, 2, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 4, 2, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 6, 5, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 11, 2, CODEC_NONE);
    bed_read(&b);
    for (size_t i = 0; i < array_count(ends); i++) {
        UNTIL(&b.lab, (k = consumer_take(b.r.consumer)) != NULL);
        CHECK_EQ(k->first, i == 0 ? 0 : ends[i - 1]);
        CHECK_EQ(k->next, ends[i]);
        consumer_chunk_release(k, k->next);
    }
    bed_end(&b);
}

TEST(consumer_read, uncompressed_batches_are_one_chunk_and_a_compressed_one_its_own)
{
    struct consumer_chunk *k;
    struct record record;
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 2, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 2, 2, CODEC_NONE);
    lab_produce(&b.lab, "orders", 0, 4, 2, CODEC_LZ4);
    bed_read(&b);
    UNTIL(&b.lab, (k = consumer_take(b.r.consumer)) != NULL);
    CHECK_EQ(k->first, 0);
    CHECK_EQ(k->next, 4);
    for (int64_t i = 0; i < 4; i++) {
        CHECK_EQ(consumer_chunk_next(k, &record), 1);
        CHECK_EQ(record.offset, i);
        CHECK_EQ(record.timestamp_ms, 1000 + i);
    }
    CHECK_EQ(consumer_chunk_next(k, &record), 0);
    consumer_chunk_rewind(k);
    CHECK_EQ(consumer_chunk_next(k, &record), 1);
    CHECK_EQ(record.offset, 0);
    consumer_chunk_release(k, k->next);
    k = consumer_take(b.r.consumer);
    CHECK(k != NULL);
    CHECK_EQ(k->first, 4);
    CHECK_EQ(k->next, 6);
    CHECK_EQ(consumer_chunk_next(k, &record), 1);
    consumer_chunk_rewind(k);
    CHECK_EQ(consumer_chunk_next(k, &record), 1);
    CHECK_EQ(record.offset, 4);
    consumer_chunk_release(k, k->next);
    bed_end(&b);
}

TEST(consumer_read, chunk_outlives_seek_and_close)
{
    struct consumer_chunk *k;
    struct record record;
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_ZSTD);
    bed_read(&b);
    UNTIL(&b.lab, (k = consumer_take(b.r.consumer)) != NULL);
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, 1, -1), 0);
    CHECK_EQ(reader_close(&b.r), 0);
    CHECK_EQ(consumer_chunk_next(k, &record), 1);
    CHECK_EQ(record.offset, 0);
    consumer_chunk_release(k, k->next);
    bed_end(&b);
}

TEST(consumer_read, seek_begins_in_the_middle_of_a_batch_and_forgets_what_was_fetched)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 10, CODEC_NONE);
    bed_read(&b);
    reader_read(&b.r, 10, &b.out);
    lab_produce(&b.lab, "orders", 0, 10, 5, CODEC_NONE);
    lab_pass(&b.lab, SEC); /* it has been fetched */
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, 7, -1), 0);
    CHECK(consumer_take(b.r.consumer) == NULL);
    reader_read(&b.r, 8, &b.out);
    CHECK_TEXT(text_str(&b.out), "7 8 9 10 11 12 13 14");
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, CONSUMER_BEGINNING, -1), 0);
    reader_read(&b.r, 15, &b.out);
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, CONSUMER_END, -1), 0);
    CHECK_EQ(reader_drain(&b.r, SEC), 0);
    CHECK_EQ(consumer_seek_time(b.r.consumer, orders_0, 1012), 0);
    reader_read(&b.r, 3, &b.out);
    CHECK_TEXT(text_str(&b.out), "12 13 14");
    CHECK_EQ(consumer_seek_time(b.r.consumer, orders_0, 99999), 0); /* later than all: the end */
    CHECK_EQ(reader_drain(&b.r, SEC), 0);
    CHECK_EQ(reader_place(&b.r, "orders", 0).position, 15);
    bed_end(&b);
}

TEST(consumer_read, paused_partition_keeps_what_was_fetched_and_hands_nothing_out)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    bed_read(&b);
    UNTIL(&b.lab, b.r.ready > 0);
    CHECK_EQ(consumer_pause(b.r.consumer, orders_0), 0);
    CHECK_EQ(reader_drain(&b.r, SEC), 0);
    CHECK(reader_place(&b.r, "orders", 0).paused);
    CHECK_TEXT(reader_place(&b.r, "orders", 0).why_not, "is paused");
    CHECK_EQ(consumer_resume(b.r.consumer, orders_0), 0);
    reader_read(&b.r, 3, &b.out);
    CHECK_TEXT(text_str(&b.out), "0 1 2");
    bed_end(&b);
}

TEST(consumer_read, position_outside_the_log_is_reset_or_told)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    bed_read(&b);
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, 1000, -1), 0);
    reader_read(&b.r, 3, &b.out);
    CHECK_TEXT(text_str(&b.out), "0 1 2");
    CHECK_EQ(reader_close(&b.r), 0);

    b.s.auto_offset_reset = CONSUMER_RESET_NONE;
    bed_read(&b);
    UNTIL(&b.lab, reader_has(&b.r, "error orders-0 OFFSET_OUT_OF_RANGE\n")); /* nothing was committed */
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, 1, -1), 0);
    reader_read(&b.r, 2, &b.out);
    CHECK_TEXT(text_str(&b.out), "1 2");
    text_clear(&b.r.events);
    CHECK_EQ(consumer_seek(b.r.consumer, orders_0, 1000, -1), 0);
    UNTIL(&b.lab, reader_has(&b.r, "error orders-0 OFFSET_OUT_OF_RANGE\n"));
    CHECK_EQ(reader_drain(&b.r, SEC), 0);
    bed_end(&b);
}

TEST(consumer_read, assignment_by_hand_keeps_what_stays)
{
    struct consumer_partition both[] = {{STR("orders"), 1}, {STR("orders"), 0}, {STR("orders"), 1}};
    const struct consumer_partition *now;
    struct bed b;
    uint32_t n;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 2, CODEC_NONE);
    bed_read(&b);
    reader_read(&b.r, 2, &b.out);
    CHECK_EQ(consumer_assign(b.r.consumer, both, 3, NULL), 0);
    now = consumer_assignment(b.r.consumer, &n);
    CHECK_EQ(n, 2);
    CHECK_EQ(now[1].partition, 1);
    lab_produce(&b.lab, "orders", 1, 100, 2, CODEC_NONE);
    reader_read(&b.r, 2, &b.out);
    CHECK_TEXT(text_str(&b.out), "100 101"); /* orders-0 was not read again */
    consumer_unsubscribe(b.r.consumer);
    consumer_assignment(b.r.consumer, &n);
    CHECK_EQ(n, 0);
    CHECK_EQ(consumer_pause(b.r.consumer, orders_0), -ENOENT);
    bed_end(&b);
}

TEST(consumer_read, broker_that_restarts_is_read_on_from_where_it_was)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    bed_read(&b);
    reader_read(&b.r, 3, &b.out);
    lab_kill(&b.lab);
    lab_pass(&b.lab, 2 * SEC);
    lab_start(&b.lab);
    lab_produce(&b.lab, "orders", 0, 3, 2, CODEC_SNAPPY);
    reader_read(&b.r, 2, &b.out);
    CHECK_TEXT(text_str(&b.out), "3 4");
    bed_end(&b);
}

TEST(consumer_read, topic_that_comes_later_is_read)
{
    struct bed b;

    bed_open(&b);
    reader_open(&b.r, &b.lab, &b.s);
    reader_assign(&b.r, "late", 0);
    lab_pass(&b.lab, SEC);
    CHECK_EQ(reader_place(&b.r, "late", 0).position, -1);
    lab_topic(&b.lab, "late", 1);
    lab_produce(&b.lab, "late", 0, 0, 1, CODEC_NONE);
    reader_read(&b.r, 1, &b.out);
    CHECK_TEXT(text_str(&b.out), "0");
    bed_end(&b);
}

TEST(consumer_read, topic_that_was_made_anew_is_read_from_its_start)
{
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    bed_read(&b);
    reader_read(&b.r, 3, &b.out);
    lab_delete_topic(&b.lab, "orders");
    lab_topic(&b.lab, "orders", 1);
    lab_produce(&b.lab, "orders", 0, 70, 5, CODEC_NONE);
    reader_read(&b.r, 5, &b.out);
    CHECK_TEXT(text_str(&b.out), "70 71 72 73 74");
    bed_end(&b);
}

TEST(consumer_read, memory_for_records_is_bounded_whatever_waits)
{
    struct consumer_health h;
    struct bed b;

    bed_open(&b);
    for (int32_t i = 0; i < 200; i++)
        lab_produce(&b.lab, "orders", 0, 1000 * i, 1000, CODEC_NONE);
    b.s.buffer_bytes = 96 << 10;
    b.s.max_partition_fetch_bytes = 32 << 10;
    bed_read(&b);
    for (int i = 0; i < 50; i++) {
        lab_pass(&b.lab, 20 * MS);
        consumer_health(b.r.consumer, &h);
        CHECK(h.buffered_bytes <= 96 << 10);
    }
    CHECK(h.buffered_bytes > 0);
    CHECK_EQ(reader_drain(&b.r, 60 * SEC), 200000);
    bed_end(&b);
}

TEST(consumer_read, offsets_by_time_are_found_for_any_partition)
{
    struct consumer_offset o[] = {
        {.partition = {STR("orders"), 1}, .timestamp_ms = CONSUMER_END},
        {.partition = {STR("orders"), 0}, .timestamp_ms = 1001},
        {.partition = {STR("nothing"), 0}, .timestamp_ms = CONSUMER_END},
    };
    struct consumer_call call = {.offsets = o, .count = 2};
    struct bed b;

    bed_open(&b);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    lab_produce(&b.lab, "orders", 1, 0, 7, CODEC_NONE);
    reader_open(&b.r, &b.lab, &b.s);
    CHECK_EQ(reader_times(&b.r, &call), 0);
    CHECK_EQ(o[0].offset, 7);
    CHECK_EQ(o[1].offset, 1);
    CHECK_EQ(o[1].timestamp_ms, 1001);
    o[0].timestamp_ms = CONSUMER_BEGINNING;
    call = (struct consumer_call){.offsets = o, .count = 3, .timeout_ms = 500};
    CHECK_EQ(reader_times(&b.r, &call), -ETIMEDOUT);
    CHECK_EQ(o[0].offset, 0);
    CHECK_EQ(o[2].error.trouble, -ETIMEDOUT);
    bed_end(&b);
}
