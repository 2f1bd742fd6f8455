/* `millrace bench`: its table, its topic, its end. */
#include "load_lab.h"

#include <stdio.h>

#define SERVER " -b broker:9092 "

/* The numbers of a row: what, records, seconds ... */
struct row {
    unsigned long long records;
    double seconds, rate, mb, p50, p99, p999, longest;
};

static struct row row_of(const char *out, const char *what)
{
    struct row r = {0};
    const char *at = strstr(out, what);

    CHECK(at != NULL);
    int n = sscanf(at + strlen(what), " %llu %lf %lf %lf %lf %lf %lf %lf", &r.records, &r.seconds, &r.rate, &r.mb,
                   &r.p50, &r.p99, &r.p999, &r.longest);
    CHECK(n == 4 || n == 8);
    return r;
}

static const char *outcome(struct load_lab *l, const char *line)
{
    load_lab_run(l, line);
    return text_str(&l->pipes.cli.out).p;
}

TEST(cli_bench, topic_comes_and_goes)
{
    struct load_lab l;

    load_lab_open(&l);
    const char *out = outcome(&l, "bench produce" SERVER "--records 500 --size 100 --partitions 2");
    struct row r = row_of(out, "acknowledged");
    CHECK_EQ(l.status, 0);
    CHECK_EQ(r.records, 500);
    CHECK(r.p50 <= r.p99 && r.p99 <= r.p999 && r.p999 <= r.longest && r.longest > 0);
    CHECK(strstr(load_lab_err(&l), "made topic millrace-bench-") != NULL);
    CHECK(strstr(load_lab_err(&l), ", 2 partitions\n") != NULL);
    CHECK(strstr(load_lab_err(&l), "removed topic millrace-bench-") != NULL);
    CHECK_TEXT(outcome(&l, "topic list" SERVER), "");
    load_lab_end(&l);
}

TEST(cli_bench, open_loop_sees_a_broker_that_stands_still)
{
    struct load_lab l;

    load_lab_open(&l);
    load_lab_start(&l, "bench produce" SERVER "--rate 100 --seconds 4 --warmup 1 --size 50 --topic t");
    lab_pass(&l.lab, 3 * SEC);
    sim_net_cut(l.lab.machine, l.lab.node);
    sim_net_cut(l.lab.node, l.lab.machine);
    lab_pass(&l.lab, SEC);
    sim_net_heal_all(l.lab.sim);
    load_lab_finish(&l);
    CHECK_EQ(l.status, 0);
    struct row r = row_of(text_str(&l.pipes.cli.out).p, "acknowledged");
    CHECK(r.records >= 395 && r.records <= 405);
    CHECK(r.longest >= 900); /* records that were due meanwhile count from then, not from when they could be sent */
    CHECK(r.p50 < 100);
    load_lab_end(&l);
}

TEST(cli_bench, both_ends_see_each_record)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 3);
    lab_produce(&l.lab, "t", 0, 0, 10, CODEC_NONE); /* somebody else's */
    const char *out = outcome(&l, "bench both" SERVER "--topic t --rate 200 --seconds 2 --warmup 1 --size 64");
    CHECK_EQ(l.status, 0);
    struct row acknowledged = row_of(out, "acknowledged"), received = row_of(out, "received");
    CHECK_EQ(acknowledged.records, received.records);
    CHECK(acknowledged.records >= 395 && acknowledged.records <= 405);
    CHECK(strstr(load_lab_err(&l), "topic t is there already, and stays\n") != NULL);
    CHECK_TEXT(outcome(&l, "topic list" SERVER), "t\n");
    load_lab_end(&l);
}

TEST(cli_bench, consume_reads_what_is_there)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 2);
    lab_produce(&l.lab, "t", 1, 0, 40, CODEC_LZ4);
    CHECK_EQ(row_of(outcome(&l, "bench consume" SERVER "--topic t"), "received").records, 40);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(row_of(outcome(&l, "bench consume" SERVER "--topic t --records 15"), "received").records, 15);
    CHECK_EQ(row_of(outcome(&l, "bench consume" SERVER "--records 3000 --size 20"), "received").records, 3000);
    CHECK(strstr(load_lab_err(&l), "removed topic ") != NULL);
    load_lab_run(&l, "bench consume" SERVER "--topic nosuch");
    CHECK_EQ(l.status, 1);
    CHECK(strstr(load_lab_err(&l), "UNKNOWN_TOPIC_OR_PARTITION") != NULL);
    load_lab_end(&l);
}

TEST(cli_bench, json_has_the_same_numbers)
{
    struct load_lab l;

    load_lab_open(&l);
    const char *out = outcome(&l, "bench produce" SERVER "--records 100 --json --topic kept --keep");
    CHECK(strncmp(out, "[\n  {\"what\": \"acknowledged\", \"records\": 100, \"seconds\": ", 56) == 0);
    CHECK(strstr(out, ", \"p999_ms\": ") != NULL);
    CHECK(strstr(load_lab_err(&l), "removed") == NULL);
    CHECK_TEXT(outcome(&l, "topic list" SERVER), "kept\n");
    load_lab_end(&l);
}

TEST(cli_bench, interrupted_it_still_says_and_removes)
{
    static const char *const lines[] = {"bench produce" SERVER "--seconds 1000",
                                        "bench both" SERVER "--seconds 1000 --rate 50"};
    struct load_lab l;

    load_lab_open(&l);
    for (size_t i = 0; i < array_count(lines); i++) {
        load_lab_start(&l, lines[i]);
        lab_pass(&l.lab, 3 * SEC);
        l.pipes.cli.interrupt(&l.pipes.cli);
        load_lab_finish(&l);
        CHECK_EQ(l.status, 0);
        CHECK(row_of(text_str(&l.pipes.cli.out).p, "acknowledged").records > 0);
        CHECK(strstr(load_lab_err(&l), "removed topic ") != NULL);
    }
    load_lab_end(&l);
}

TEST(cli_bench, failures_are_counted_and_end_with_1)
{
    struct load_lab l;

    load_lab_open(&l);
    load_lab_run(&l, "bench produce" SERVER "--records 3 --size 5000 --config max.message.bytes=1000");
    CHECK_EQ(l.status, 1);
    CHECK(strstr(load_lab_err(&l), "3 records were not acknowledged; the first: ") != NULL);
    CHECK(strstr(load_lab_err(&l), "removed topic ") != NULL);
    load_lab_run(&l, "bench produce" SERVER "--records 1 --size 2000000"); /* the last record is refused at once */
    CHECK_EQ(l.status, 1);
    CHECK(strstr(load_lab_err(&l), "1 records were not acknowledged; the first: ") != NULL);
    load_lab_run(&l, "bench");
    CHECK_EQ(l.status, 1);
    load_lab_run(&l, "bench produce --rate 5 --in-flight 5");
    CHECK_EQ(l.status, 1);
    load_lab_run(&l, "bench produce" SERVER "--producer-property nosuch=1");
    CHECK_EQ(l.status, 1);
    CHECK(strstr(load_lab_err(&l), "nosuch") != NULL);
    load_lab_end(&l);
}
