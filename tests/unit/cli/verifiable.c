#define _GNU_SOURCE
/* kafka-verifiable-producer.sh and kafka-verifiable-consumer.sh: their events. */
#include "load_lab.h"

#include <stdio.h>

#define PRODUCE "kafka-verifiable-producer.sh --bootstrap-server broker:9092 --topic t "
#define CONSUME "kafka-verifiable-consumer.sh --bootstrap-server broker:9092 --topic t --group-id g "

#define SENT "\"name\":\"producer_send_success\","
#define READ "\"name\":\"record_data\","

/* What was written, without times and rates. */
static struct str events(struct load_lab *l, struct text *out)
{
    struct str rest = text_str(&l->pipes.out), line;

    text_clear(out);
    while (str_cut(&rest, '\n', &line)) {
        const char *name = strstr(line.p, "\"name\":");
        CHECK(strncmp(line.p, "{\"timestamp\":", 13) == 0 && name != NULL);
        int32_t n = line.n - (int32_t)(name - line.p);
        const char *rate = memmem(name, (size_t)n, ",\"avg_throughput\":", 18);
        text_printf(out, "%.*s\n", rate == NULL ? n : (int)(rate - name), name);
    }
    return text_str(out);
}

TEST(cli_verifiable, each_record_is_told_of)
{
    struct load_lab l;
    struct text out = {0};

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_run(&l, PRODUCE "--max-messages 3 --value-prefix 7 --repeating-keys 2");
    CHECK_EQ(l.status, 0);
    CHECK_TEXT(events(&l, &out),
               "\"name\":\"startup_complete\"}\n"
               SENT "\"key\":\"0\",\"value\":\"7.0\",\"offset\":0,\"topic\":\"t\",\"partition\":0}\n"
               SENT "\"key\":\"1\",\"value\":\"7.1\",\"offset\":1,\"topic\":\"t\",\"partition\":0}\n"
               SENT "\"key\":\"0\",\"value\":\"7.2\",\"offset\":2,\"topic\":\"t\",\"partition\":0}\n"
               "\"name\":\"shutdown_complete\"}\n"
               "\"name\":\"tool_data\",\"sent\":3,\"acked\":3,\"target_throughput\":-1\n");
    load_lab_run(&l, CONSUME "--max-messages 2 --verbose");
    CHECK_EQ(l.status, 0);
    CHECK_TEXT(events(&l, &out),
               "\"name\":\"startup_complete\"}\n"
               "\"name\":\"partitions_assigned\",\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}\n"
               READ "\"key\":\"0\",\"value\":\"7.0\",\"topic\":\"t\",\"partition\":0,\"offset\":0}\n"
               READ "\"key\":\"1\",\"value\":\"7.1\",\"topic\":\"t\",\"partition\":0,\"offset\":1}\n"
               "\"name\":\"records_consumed\",\"count\":2,\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"count\":2,"
               "\"minOffset\":0,\"maxOffset\":1}]}\n"
               "\"name\":\"offsets_committed\",\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":2}],"
               "\"success\":true}\n"
               "\"name\":\"partitions_revoked\",\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}\n"
               "\"name\":\"shutdown_complete\"}\n");
    load_lab_run(&l, CONSUME "--max-messages 1 --enable-autocommit"); /* it goes on where the last one has committed */
    CHECK(strstr(events(&l, &out).p, "\"minOffset\":2,\"maxOffset\":2") != NULL);
    CHECK(strstr(out.p, "offsets_committed") == NULL);
    text_deinit(&out);
    load_lab_end(&l);
}

TEST(cli_verifiable, what_cannot_be_sent_is_told_of)
{
    struct load_lab l;
    struct text out = {0};

    load_lab_open(&l);
    load_lab_run(&l, PRODUCE "--max-messages 2 --acks 1"); /* there is no such topic, and none is made */
    CHECK_EQ(l.status, 0);
    CHECK_EQ(times_in(events(&l, &out).p, "\"name\":\"producer_send_error\",\"key\":null,\"value\":\""), 2);
    CHECK_EQ(times_in(out.p, "\"exception\":\"UNKNOWN_TOPIC_OR_PARTITION\",\"message\":\""), 2);
    CHECK(strstr(out.p, "\"sent\":2,\"acked\":0,") != NULL);
    text_deinit(&out);
    load_lab_end(&l);
}

TEST(cli_verifiable, interrupted_ones_end_as_they_should)
{
    struct load_lab l;
    struct text out = {0};

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_start(&l, PRODUCE "--throughput 10");
    lab_pass(&l.lab, SEC);
    l.pipes.cli.interrupt(&l.pipes.cli);
    load_lab_finish(&l);
    int acked = times_in(events(&l, &out).p, "producer_send_success");
    CHECK(acked >= 9 && acked <= 11);
    CHECK(strstr(out.p, "\"name\":\"shutdown_complete\"}\n\"name\":\"tool_data\"") != NULL);

    load_lab_start(&l, CONSUME);
    lab_pass(&l.lab, 5 * SEC);
    l.pipes.cli.interrupt(&l.pipes.cli);
    load_lab_finish(&l);
    CHECK(strstr(events(&l, &out).p, "\"name\":\"shutdown_requested\"}\n\"name\":\"partitions_revoked\"") != NULL);
    CHECK(strstr(out.p, "\"success\":true}\n") != NULL);
    CHECK(str_ends(text_str(&out), STR("\"name\":\"shutdown_complete\"}\n")));
    text_deinit(&out);
    load_lab_end(&l);
}

TEST(cli_verifiable, nobody_reads_any_more)
{
    struct load_lab l;

    load_lab_open(&l);
    lab_topic(&l.lab, "t", 1);
    load_lab_start(&l, PRODUCE);
    l.pipes.out_max = 1000;
    load_lab_finish(&l); /* it ends, though it was to go on for ever */
    load_lab_start(&l, CONSUME "--verbose");
    l.pipes.out_max = 500;
    load_lab_finish(&l);
    load_lab_end(&l);
}
