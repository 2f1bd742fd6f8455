/* Console producer and consumer before a real broker in the simulator. */
#include "../consumer/lab.h"
#include "pipes.h"

#include <stdio.h>

struct console {
    struct lab lab;
    struct pipes pipes;
    struct wait wait;
    int64_t status;
};

static void open_console(struct console *c)
{
    lab_open(&c->lab, 1);
    pipes_init(&c->pipes, c->lab.io);
    lab_topic(&c->lab, "t", 1);
}

static void end_console(struct console *c)
{
    pipes_deinit(&c->pipes);
    lab_end(&c->lab);
}

/* Start one command line, its words parted by blanks; "%20" stands for one. */
static void start(struct console *c, const char *line)
{
    static char copy[600];
    static char *argv[40];

    snprintf(copy, sizeof(copy), "%s", line);
    c->pipes.cli.argc = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[c->pipes.cli.argc++] = word;
    c->pipes.cli.argv = argv;
    cluster_tool_run(&c->pipes.cli, wait_begin(&c->wait));
}

static void finish(struct console *c)
{
    c->status = wait_end(&c->lab, &c->wait);
    CHECK(c->pipes.cli.interrupt == NULL);
}

static void run(struct console *c, const char *line)
{
    start(c, line);
    finish(c);
}

static void produce(struct console *c, const char *line, const char *in)
{
    pipes_feed(&c->pipes, in);
    run(c, line);
}

/* Standard output of a command line without input. */
static struct str output_of(struct console *c, const char *line)
{
    pipes_feed(&c->pipes, "");
    run(c, line);
    return text_str(&c->pipes.out);
}

#define PRODUCE "kafka-console-producer.sh --bootstrap-server broker:9092 --topic t "
#define CONSUME "kafka-console-consumer.sh --bootstrap-server broker:9092 --topic t "

TEST(cli_console, what_is_typed_is_what_is_printed)
{
    struct console c;

    open_console(&c);
    pipes_feed(&c.pipes, "one\ntwo\r\n\nfour\rlast");
    c.pipes.piece = 5; /* a CR at the end of a piece, and lines in several */
    run(&c, PRODUCE);
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(text_str(&c.pipes.cli.err), "");
    CHECK_TEXT(text_str(&c.pipes.out), "");
    CHECK_TEXT(output_of(&c, CONSUME "--from-beginning --max-messages 5"), "one\ntwo\n\nfour\nlast\n");
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(text_str(&c.pipes.cli.err), "Processed a total of 5 messages\n");
    CHECK_TEXT(output_of(&c, CONSUME "--partition 0 --offset 3 --max-messages 1"), "four\n");
    CHECK_TEXT(output_of(&c, CONSUME "--partition 0 --offset earliest --timeout-ms 500"), "one\ntwo\n\nfour\nlast\n");
    CHECK(strstr(c.pipes.cli.err.p, "TimeoutException\nProcessed a total of 5 messages\n") != NULL);
    CHECK_TEXT(output_of(&c, CONSUME "--timeout-ms 500"), ""); /* from the end on */
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(output_of(&c, "consume t -b broker:9092 --from-beginning --max-messages 2 --include x"), "");
    CHECK_EQ(c.status, 1);
    CHECK_TEXT(output_of(&c, "kafka-console-consumer.sh --bootstrap-server broker:9092 --include [s-z] "
                             "--from-beginning --max-messages 2"),
               "one\ntwo\n");
    end_console(&c);
}

TEST(cli_console, keys_and_headers_go_through)
{
    struct console c;

    open_console(&c);
    produce(&c, PRODUCE "--property parse.key=true --reader-property parse.headers=true", "x");
    CHECK_EQ(c.status, 1); /* two spellings of one option */
    produce(&c,
            PRODUCE
            "--reader-property parse.key=true --reader-property parse.headers=true --reader-property null.marker=N",
            "a:1,b:2\tk\tv\nN\tN\tN\n");
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(output_of(&c, CONSUME "--from-beginning --max-messages 2 --formatter-property print.key=true "
                                     "--formatter-property print.headers=true --formatter-property print.offset=true"),
               "Offset:0\ta:1,b:2\tk\tv\nOffset:1\tNO_HEADERS\tnull\tnull\n");
    produce(&c, PRODUCE "--reader-property parse.key=true", "k\tlast\nwrong\nnever\n");
    CHECK_EQ(c.status, 1);
    CHECK_TEXT(text_str(&c.pipes.cli.err),
               "kafka-console-producer.sh: No key separator found on line number 2: 'wrong'\n");
    CHECK_TEXT(output_of(&c, CONSUME "--partition 0 --offset 2 --timeout-ms 500"), "last\n");
    end_console(&c);
}

TEST(cli_console, json_is_taken_back_into_another_topic)
{
    struct console c;
    struct text first = {0};

    open_console(&c);
    lab_topic(&c.lab, "u", 1);
    produce(&c, "produce --json -b broker:9092",
            "{\"topic\": \"t\", \"timestamp\": 12, \"key\": {\"base64\": \"/wA=\"}, \"value\": \"a\\nb\", \"headers\": "
            "[{\"key\": \"h\", \"value\": null}]}\n{\"topic\": \"t\", \"timestamp\": 13, \"value\": null}\n");
    CHECK_EQ(c.status, 0);
    text_add_str(&first, output_of(&c, "consume t -b broker:9092 --json --from-beginning --max-messages 2"));
    CHECK_TEXT(text_str(&first), "{\"topic\": \"t\", \"partition\": 0, \"offset\": 0, \"timestamp\": 12, \"key\": "
                                 "{\"base64\": \"/wA=\"}, \"value\": "
                                 "\"a\\nb\", \"headers\": [{\"key\": \"h\", \"value\": null}]}\n"
                                 "{\"topic\": \"t\", \"partition\": 0, \"offset\": 1, \"timestamp\": 13, \"key\": "
                                 "null, \"value\": null, \"headers\": []}\n");
    produce(&c, "produce u --json -b broker:9092", first.p);
    CHECK_EQ(c.status, 0);
    for (size_t i = 0; i + 4 < first.n; i++) {
        if (memcmp(first.p + i, "\"t\"", 3) == 0)
            first.p[i + 1] = 'u';
    }
    CHECK_TEXT(output_of(&c, "consume u -b broker:9092 --json --from-beginning --max-messages 2"), first.p);
    produce(&c, "produce --json -b broker:9092", "{\"value\": \"x\"}\n");
    CHECK_EQ(c.status, 1);
    CHECK_TEXT(text_str(&c.pipes.cli.err), "millrace produce: line 1 names no topic, nor do the words\n");
    produce(&c, "produce t --json -b broker:9092", "{\"value\": \"x\", \"partition\": 7}\n");
    CHECK_EQ(c.status, 1);
    CHECK(strstr(c.pipes.cli.err.p, "partition 7") != NULL);
    text_deinit(&first);
    end_console(&c);
}

TEST(cli_console, group_goes_on_behind_what_was_printed)
{
    struct console c;

    open_console(&c);
    produce(&c, PRODUCE "--sync --compression-codec", "1\n2\n3\n4\n");
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(output_of(&c, CONSUME "--group g --from-beginning --max-messages 2"), "1\n2\n");
    CHECK_TEXT(output_of(&c, CONSUME "--group g --max-messages 1 --consumer-property client.id=x"), "3\n");
    CHECK(strstr(c.pipes.cli.err.p, "Option --consumer-property is deprecated") == c.pipes.cli.err.p);
    CHECK_TEXT(output_of(&c, CONSUME "--group g --max-messages 1 --command-property group.id=h"), "");
    CHECK_EQ(c.status, 1);
    CHECK_TEXT(output_of(&c, CONSUME "--group g --max-messages 1"), "4\n");
    end_console(&c);
}

TEST(cli_console, what_a_closed_pipe_did_not_take_is_not_done)
{
    struct console c;

    open_console(&c);
    produce(&c, PRODUCE, "1\n2\n");
    CHECK_EQ(c.status, 0);
    pipes_feed(&c.pipes, "");
    c.pipes.out_max = 3;
    run(&c, CONSUME "--group g --from-beginning");
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(text_str(&c.pipes.cli.err), "Processed a total of 2 messages\n");
    CHECK_TEXT(output_of(&c, CONSUME "--group g --from-beginning --max-messages 2"), "1\n2\n");
    end_console(&c);
}

TEST(cli_console, interrupt_ends_both_cleanly)
{
    struct console c;

    open_console(&c);
    pipes_feed(&c.pipes, "a\nb\nhalf");
    c.pipes.in_stays = true;
    start(&c, PRODUCE);
    lab_pass(&c.lab, 100 * MS);
    CHECK(!c.wait.done);
    c.pipes.cli.interrupt(&c.pipes.cli); /* long before linger.ms is over */
    finish(&c);
    CHECK_EQ(c.status, 0);
    pipes_feed(&c.pipes, "");
    start(&c, CONSUME "--group g --from-beginning");
    UNTIL(&c.lab, c.pipes.out.n == 4);
    CHECK_TEXT(text_str(&c.pipes.out), "a\nb\n");
    c.pipes.cli.interrupt(&c.pipes.cli);
    finish(&c);
    CHECK_EQ(c.status, 0);
    CHECK_TEXT(text_str(&c.pipes.cli.err), "Processed a total of 2 messages\n");
    produce(&c, PRODUCE, "c\n");
    CHECK_TEXT(output_of(&c, CONSUME "--group g --max-messages 1"), "c\n"); /* it had committed, and left */
    end_console(&c);
}

TEST(cli_console, prompt_is_for_terminals)
{
    struct console c;

    open_console(&c);
    pipes_feed(&c.pipes, "a\nb\n");
    c.pipes.cli.in_is_terminal = c.pipes.cli.out_is_terminal = true;
    run(&c, PRODUCE);
    CHECK_TEXT(text_str(&c.pipes.out), ">>>");
    end_console(&c);
}

TEST(cli_console, record_that_is_too_large_is_told_of)
{
    struct console c;

    open_console(&c);
    produce(&c, PRODUCE "--producer-property max.request.size=100 --command-property x=y", "");
    CHECK_EQ(c.status, 1); /* two spellings */
    produce(
        &c, PRODUCE "--command-property max.request.size=200 --command-property linger.mss=1",
        "a\n"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\nb\n");
    CHECK_EQ(c.status, 0); /* as Kafka's, which only says so */
    CHECK(strstr(c.pipes.cli.err.p, "linger.mss (did you mean linger.ms?)") != NULL);
    CHECK(strstr(c.pipes.cli.err.p, "Error when sending message to topic t: line 2 is larger") != NULL);
    CHECK_TEXT(output_of(&c, CONSUME "--from-beginning --max-messages 2"), "a\nb\n");
    end_console(&c);
}

TEST(cli_console, partitions_that_come_later_are_read)
{
    struct console c;

    open_console(&c);
    produce(&c, PRODUCE, "a\n");
    pipes_feed(&c.pipes, "");
    start(&c, CONSUME "--from-beginning --max-messages 2 --command-property metadata.max.age.ms=2000");
    UNTIL(&c.lab, c.pipes.out.n == 2);
    lab_grow_topic(&c.lab, "t", 2);
    (void)lab_produce(&c.lab, "t", 1, 5, 1, CODEC_NONE);
    finish(&c);
    CHECK_TEXT(text_str(&c.pipes.out), "a\n5\n");
    end_console(&c);
}

TEST(cli_console, broker_that_is_not_there_is_said_while_it_is_waited_for)
{
    struct console c;

    open_console(&c);
    pipes_feed(&c.pipes, "");
    start(&c, "kafka-console-consumer.sh --bootstrap-server nobody:9092 --topic t");
    lab_pass(&c.lab, 4 * SEC);
    CHECK(!c.wait.done);
    CHECK(strstr(c.pipes.cli.err.p, "cannot connect to nobody:9092") != NULL);
    c.pipes.cli.interrupt(&c.pipes.cli);
    finish(&c);
    CHECK_EQ(c.status, 0);
    end_console(&c);
}
