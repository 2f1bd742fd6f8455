/* Standard output as it goes: what is said while a write is under way goes with the next one. */
#include "pipes.h"

#include "cli/output.h"
#include "script.h"

struct bench {
    struct script *script;
    struct pipes pipes;
    struct output output;
    uint32_t rooms;
};

static void room(struct output *o)
{
    container_of(o, struct bench, output)->rooms++;
}

static void begin(struct bench *b)
{
    *b = (struct bench){.script = script_new(1, 1)};
    pipes_init(&b->pipes, script_io(b->script));
    output_init(&b->output, &b->pipes.cli, room);
}

static int64_t flush(struct bench *b)
{
    struct script_wait w;

    output_flush(&b->output, script_wait_begin(&w));
    return script_wait_end(b->script, &w);
}

static void end(struct bench *b)
{
    output_deinit(&b->output);
    pipes_deinit(&b->pipes);
    script_free(b->script);
}

TEST(cli_output, few_writes_carry_what_is_said_often)
{
    struct bench b;

    begin(&b);
    CHECK_EQ(flush(&b), 0);
    for (int i = 0; i < 100; i++) {
        text_printf(&b.output.text, "%d\n", i % 10);
        output_go(&b.output);
    }
    CHECK_EQ(output_end(&b.output), 200);
    CHECK_EQ(b.output.written, 0);
    CHECK_EQ(flush(&b), 0);
    CHECK_EQ(b.output.written, 200);
    CHECK_EQ(b.pipes.writes, 2);
    CHECK_EQ(b.rooms, 2);
    CHECK_EQ(b.pipes.out.n, 200);
    CHECK_TEXT(((struct str){b.pipes.out.p, 8}), "0\n1\n2\n3\n");
    end(&b);
}

TEST(cli_output, nobody_who_reads_is_told_and_takes_no_more)
{
    struct bench b;

    begin(&b);
    b.pipes.out_max = 3;
    text_printf(&b.output.text, "one");
    CHECK_EQ(flush(&b), 0);
    text_printf(&b.output.text, "two");
    output_go(&b.output);
    text_printf(&b.output.text, "three");
    CHECK_EQ(flush(&b), -EPIPE);
    CHECK_EQ(b.output.trouble, -EPIPE);
    CHECK_EQ(b.output.written, 3);
    text_printf(&b.output.text, "four");
    CHECK_EQ(flush(&b), -EPIPE);
    CHECK_TEXT(text_str(&b.pipes.out), "one");
    CHECK_EQ(b.pipes.writes, 2);
    end(&b);
}
