/* log verify: a log directory is checked while its server is down. */
#include "cli/internal.h"

#include "inspect/inspect.h"

#include <stdlib.h>

#define VERIFY_PROGRAM "millrace log verify"

static const char usage[] = "usage: millrace log verify [--topic TOPIC] [--deep] DIR\n";

static const char help[] =
    "\n"
    "Check a log directory whose server is down. Nothing is written.\n"
    "\n"
    "  --topic TOPIC   only the partitions of this topic\n"
    "  --deep          records too: decompressed and read; those of Kafka's own topics decoded\n"
    "\n"
    "Looked at: segments (lengths, magic, checksums, ascending offsets), indexes against them, transaction\n"
    "indexes, producer snapshots, leader epochs, checkpoints, topic ids, meta.properties, the metadata log and its\n"
    "snapshots, the journal and where each log ends with it. A line each:\n"
    "\n"
    "  trouble FILE: what, where (byte, offsets), and what it means\n"
    "  note FILE:    odd but harmless: what a killed server leaves, space that was reserved\n"
    "\n"
    "Exit status: 0 no trouble; 1 trouble; 2 not checked: a server has the directory, or it cannot be read.\n";

enum { ARG_TOPIC, ARG_DEEP, ARG_COUNT };

static const struct arg_option options[ARG_COUNT] = {
    [ARG_TOPIC] = {"topic", .has_value = true},
    [ARG_DEEP] = {"deep"},
};

struct log_verify {
    struct op done;
    struct op *parent;
    struct arg_found found[ARG_COUNT];
    struct inspect_output output;
    struct verify_options o;
};

static void log_verify_done(struct op *op, int64_t status)
{
    struct log_verify *x = container_of(op, struct log_verify, done);
    struct op *parent = x->parent;

    free(x);
    parent->done(parent, status);
}

void log_verify_run(struct cli *c, struct op *op)
{
    struct log_verify *x = calloc(1, sizeof(*x));
    int words, front = args_part(c->argc - 1, c->argv + 1, options, ARG_COUNT, &words);
    enum args_end end;

    ASSERT(x != NULL);
    end = args_read(front, c->argv + 1, VERIFY_PROGRAM, usage, options, ARG_COUNT, x->found, &c->err);
    if (end == ARGS_OK && words != 1) {
        text_printf(&c->err, "%s" VERIFY_PROGRAM ": error: name one log directory\n", usage);
        end = ARGS_WRONG;
    }
    if (end != ARGS_OK) {
        if (end == ARGS_HELP)
            text_printf(&c->out, "%s%s", usage, help);
        free(x);
        io_complete(c->io, op, end == ARGS_HELP ? 0 : 2);
        return;
    }
    x->parent = op;
    x->o = (struct verify_options){
        .dir = c->argv[1 + front],
        .topic = x->found[ARG_TOPIC].count > 0 ? x->found[ARG_TOPIC].values[0] : STR_NULL,
        .deep = x->found[ARG_DEEP].count > 0,
    };
    x->output = (struct inspect_output){
        .out = &c->out, .err = &c->err, .flush = c->flush, .ctx = c, .progress = c->err_is_terminal};
    op_init(&x->done, log_verify_done);
    inspect_verify(c->io, &x->o, &x->output, &x->done);
}
