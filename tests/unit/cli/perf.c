/* kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh. */
#include "load_lab.h"

#include "cli/load.h"

#include <stdio.h>

#define PRODUCE "kafka-producer-perf-test.sh --bootstrap-server broker:9092 --topic t "
#define CONSUME "kafka-consumer-perf-test.sh --bootstrap-server broker:9092 --topic t "

TEST(cli_perf, what_is_produced_is_consumed)
{
    struct load_lab l;
    unsigned long long records, p50, p95, p99, p999;
    double rate, mb, average, longest, read_mb, read_rate;
    char date[4][40];
    int end = 0;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 3);
    const char *out = load_lab_run(&l, PRODUCE "--num-records 2000 --record-size 100 --throughput -1");
    CHECK_EQ(l.status, 0);
    CHECK_EQ(sscanf(out,
                    "%llu records sent, %lf records/sec (%lf MB/sec), %lf ms avg latency, %lf ms max latency, "
                    "%llu ms 50th, %llu ms 95th, %llu ms 99th, %llu ms 99.9th.\n%n",
                    &records, &rate, &mb, &average, &longest, &p50, &p95, &p99, &p999, &end),
             9);
    CHECK_EQ(out[end], '\0');
    CHECK_EQ(records, 2000);
    CHECK(rate > 0 && average <= longest && p50 <= p95 && p95 <= p99 && p99 <= p999 && (double)p999 <= longest);
    CHECK_TEXT(load_lab_err(&l), "");

    out = load_lab_run(&l, CONSUME "--num-records 2000");
    CHECK_EQ(l.status, 0);
    out = strchr(out, '\n') + 1;
    CHECK_EQ(sscanf(out, "%39s %39[^,], %39s %39[^,], %lf, %lf, %llu, ", date[0], date[1], date[2], date[3], &read_mb,
                    &read_rate, &records),
             7);
    CHECK_EQ(records, 2000);
    CHECK(read_mb > 0.1906 && read_mb < 0.1908); /* 2,000 times 100 bytes, in MiB */
    CHECK_EQ(times_in(out, ", "), 9);
    load_lab_end(&l);
}

TEST(cli_perf, rate_is_kept_and_lines_come_at_intervals)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    int64_t begin = sim_now_ns(l.lab.sim);
    const char *out = load_lab_run(&l, PRODUCE "--num-records 1000 --record-size 10 --throughput 500 "
                                               "--reporting-interval 400");
    int64_t took = sim_now_ns(l.lab.sim) - begin;
    CHECK(took >= 1998 * MS && took < 2500 * MS);
    CHECK_EQ(times_in(out, " ms max latency.\n"), 4);
    CHECK_EQ(times_in(out, "1000 records sent, "), 1);
    load_lab_end(&l);
}

TEST(cli_perf, warmup_has_a_summary_of_its_own)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    const char *out = load_lab_run(&l, PRODUCE "--num-records 100 --record-size 10 --throughput 100 "
                                               "--warmup-records 40 --reporting-interval 200");
    CHECK(strncmp(out, "Warmup first 40 records. Steady state results will print", 56) == 0);
    CHECK_EQ(times_in(out, "In steady state.\n"), 1);
    CHECK_EQ(times_in(out, "\n100 records sent, "), 1);
    CHECK_EQ(times_in(out, "\n60 steady state records sent, "), 1);
    load_lab_end(&l);
}

TEST(cli_perf, properties_come_in_several_words)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    const char *out =
        load_lab_run(&l, "kafka-producer-perf-test.sh --topic t --num-records 5 --throughput -1 --payload-monotonic "
                         "--producer-props bootstrap.servers=broker:9092 acks=1 client.id=mine --print-metrics");
    CHECK_EQ(l.status, 0);
    CHECK(strstr(out, "5 records sent, ") != NULL);
    CHECK(strstr(out, "producer-metrics:record-send-total:{client-id=mine}") != NULL);
    CHECK(strstr(load_lab_err(&l), "--producer-props is deprecated") != NULL);
    load_lab_run(&l, PRODUCE "--num-records 1 --record-size 5 --throughput -1 --command-property acks=many");
    CHECK_EQ(l.status, 1);
    CHECK(strstr(load_lab_err(&l), "acks") != NULL);
    load_lab_end(&l);
}

TEST(cli_perf, mistakes_end_before_anything_is_sent)
{
    static const char *const lines[] = {
        "--num-records 5 --throughput -1",
        "--num-records 5 --throughput -1 --record-size 5 --payload-monotonic",
        "--num-records 0 --throughput -1 --record-size 5",
        "--num-records 5 --throughput fast --record-size 5",
        "--num-records 5 --throughput -1 --record-size 0",
        "--num-records 5 --throughput -1 --record-size 5 --warmup-records 5",
        "--num-records 5 --throughput -1 --record-size 5 --transactional-id x",
        "--num-records 5 --throughput -1 --record-size 5 --command-property transactional.id=x",
        "--num-records 5 --throughput -1 --record-size 5 --reporting-interval 0",
        "--num-records 5 --throughput -1 --record-size 5 acks=1",
        "--num-records 5 --throughput -1 --payload-file /nosuch",
    };
    struct load_lab l;
    char line[300];

    load_lab_open(&l);
    for (size_t i = 0; i < array_count(lines); i++) {
        snprintf(line, sizeof(line), PRODUCE "%s", lines[i]);
        load_lab_run(&l, line);
        CHECK_EQ(l.status, 1);
        CHECK(l.pipes.cli.err.n > 0);
    }
    load_lab_end(&l);
}

TEST(cli_perf, record_that_is_too_large_is_said)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    const char *out = load_lab_run(&l, PRODUCE "--num-records 2 --record-size 2000000 --throughput -1");
    CHECK_EQ(l.status, 0); /* as Kafka's */
    CHECK(strncmp(out, "0 records sent, ", 16) == 0);
    CHECK_EQ(times_in(out, ", NaN ms avg latency, 0.00 ms max latency, 0 ms 50th, "), 1);
    CHECK_EQ(times_in(load_lab_err(&l), "max.request.size"), 2);
    load_lab_end(&l);
}

TEST(cli_perf, unreachable_broker_is_said_after_ten_seconds)
{
    static const char *const lines[] = {
        "kafka-producer-perf-test.sh -b nobody:9092 --topic t --num-records 1 --record-size 5 --throughput -1",
        "kafka-consumer-perf-test.sh -b nobody:9092 --topic t --num-records 1 --timeout 60000",
    };
    struct load_lab l;

    load_lab_open(&l);
    for (size_t i = 0; i < array_count(lines); i++) {
        int64_t begin = sim_now_ns(l.lab.sim);
        load_lab_run(&l, lines[i]);
        CHECK_EQ(l.status, 1);
        CHECK(strstr(load_lab_err(&l), "no broker can be reached: ") != NULL);
        CHECK(sim_now_ns(l.lab.sim) - begin < 12 * SEC);
    }
    load_lab_end(&l);
}

TEST(cli_perf, consumer_waits_no_longer_than_it_is_told)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_run(&l, PRODUCE "--num-records 10 --record-size 10 --throughput -1");
    const char *out = load_lab_run(&l, CONSUME "--messages 20 --timeout 1500 --hide-header");
    CHECK_EQ(l.status, 0);
    CHECK(strncmp(out, "WARNING: Exiting before consuming the expected number of records: timeout (1500 ms)", 83) == 0);
    CHECK(strstr(out, ", 0.0001, ") != NULL);
    CHECK(strstr(out, ", 10, ") != NULL);
    load_lab_end(&l);
}

TEST(cli_perf, consumer_takes_no_more_than_it_was_asked_for)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_run(&l, PRODUCE "--num-records 100 --record-size 10 --throughput -1");
    const char *out = load_lab_run(&l, CONSUME "--num-records 30 --group g --hide-header");
    CHECK(strstr(out, ", 30, ") != NULL);
    out = load_lab_run(&l, CONSUME "--num-records 70 --group g --hide-header"); /* it has committed what it took */
    CHECK(strstr(out, ", 70, ") != NULL);
    CHECK(strstr(out, "WARNING") == NULL);
    load_lab_end(&l);
}

TEST(cli_perf, detailed_lines_say_what_came_since_the_last_one)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_start(&l, CONSUME "--num-records 3 --show-detailed-stats --reporting-interval 100 --timeout 60000");
    for (int i = 0; i < 3; i++) {
        lab_pass(&l.lab, 2 * SEC);
        lab_produce(&l.lab, "t", 0, i, 1, CODEC_NONE);
    }
    load_lab_finish(&l);
    const char *out = text_str(&l.pipes.out).p;
    CHECK(strncmp(out, "time, threadId, data.consumed.in.MB, ", 37) == 0);
    CHECK_EQ(times_in(out, "\n"), 4);
    CHECK_EQ(times_in(out, ", 0, 0.0000, 0.0000, 3, "), 1);
    load_lab_end(&l);
}

/* ---- what they stand on ------------------------------------------------------------------------- */

static void check_date(const char *pattern, int64_t wall_ms, const char *expected)
{
    struct text out = {0};

    CHECK_EQ(date_check(str_of(pattern), NULL), 0);
    date_add(&out, str_of(pattern), wall_ms);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(cli_perf, dates_are_as_patterns_say)
{
    check_date("yyyy-MM-dd HH:mm:ss:SSS", 0, "1970-01-01 00:00:00:000");
    check_date("yyyy-MM-dd HH:mm:ss:SSS", 1709210096789, "2024-02-29 12:34:56:789");
    check_date("yy/M/d h:mm a, EEE D", 1709251199000, "24/2/29 11:59 PM, Thu 60");
    check_date("EEEE MMMM ''d'th' kk KK", 1735603200000, "Tuesday December '31th 24 00");
    check_date("D MMM", 1704067200000, "1 Jan");
    check_date("D", 1735603200000, "366");
    check_date("D", 1709251200000, "61"); /* the first of March of a leap year */
    check_date("D", 1677628800000, "60"); /* of another one */
    check_date("yyyy-MM-dd HH", -1, "1969-12-31 23");
    check_date("yyyy-MM-dd", 951782400000, "2000-02-29");
    check_date("yyyy-MM-dd z Z X", 4107542400000, "2100-03-01 UTC +0000 Z");
    CHECK_EQ(date_check(STR("yyyy 'x"), NULL), -EINVAL);
    CHECK_EQ(date_check(STR("YYYY"), NULL), -EINVAL);
}

TEST(cli_perf, numbers_are_as_java_prints_them)
{
    struct text out = {0};

    decimal_add(&out, 2, 1.0 / 3);
    text_printf(&out, " ");
    decimal_add(&out, 1, 0.0 / 0.0);
    text_printf(&out, " ");
    decimal_add(&out, 1, 1.0 / 0.0);
    CHECK_TEXT(text_str(&out), "0.33 NaN Infinity");
    text_deinit(&out);
}
