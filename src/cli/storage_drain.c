/* drain: bring what lies in the journal of a log directory into its segments, while no server runs. Not one of Kafka's:
 * its brokers have no journal. */
#include "cli/internal.h"

#include "log/log.h"

#include <stdlib.h>

static const char usage[] = "usage: kafka-storage drain [-h] DIR\n";
static const char help[] =
    "\n"
    "After a stop that was not clean the newest records may lie only in DIR/millrace.journal. millrace brings\n"
    "them into the segment files when it starts; drain does that alone, so that a Kafka broker or another tool\n"
    "finds all of them in the segments. It refuses while a server has the directory.\n"
    "\n"
    "positional arguments:\n"
    "  DIR                    A log directory (one of log.dirs).\n"
    "\n"
    "optional arguments:\n"
    "  -h, --help             show this help message and exit\n";

struct drain {
    struct cli *cli;
    struct op op;
    struct op *parent;
    struct telemetry_sink sink; /* warnings of the room log */
    struct telemetry *telemetry;
    struct journal_replayed replayed;
    struct fail fail;
    char *dir;
};

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room, const char *line)
{
    struct drain *d = container_of(sink, struct drain, sink);

    text_printf(&d->cli->err, "%s\n", line);
}

static void drain_done(struct op *op, int64_t result)
{
    struct drain *d = container_of(op, struct drain, op);
    const struct journal_replayed *r = &d->replayed;
    struct op *parent = d->parent;

    if (result < 0)
        text_printf(&d->cli->err, "%s\n", d->fail.text);
    else if (!r->found)
        text_printf(&d->cli->out, "%s has no journal: its segments hold everything.\n", d->dir);
    else
        text_printf(&d->cli->out,
                    "Drained the journal of %s: %" PRIu64 " bytes written to %" PRIu32 " segment%s of %" PRIu32
                    " partition%s, from %" PRIu64 " commit%s. The journal is removed.\n",
                    d->dir, r->bytes, r->segments, r->segments == 1 ? "" : "s", r->partitions,
                    r->partitions == 1 ? "" : "s", r->commits, r->commits == 1 ? "" : "s");
    telemetry_free(d->telemetry);
    free(d->dir);
    free(d);
    parent->done(parent, result < 0 ? 1 : 0);
}

void storage_drain_run(struct cli *c, int argc, char **argv, struct op *op)
{
    struct drain *d;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") != 0 && strcmp(argv[i], "--help") != 0)
            continue;
        text_printf(&c->out, "%s%s", usage, help);
        io_complete(c->io, op, 0);
        return;
    }
    if (argc != 2 || argv[1][0] == '-') {
        text_printf(&c->err, "%s" PROGRAM ": error: one log directory is expected\n", usage);
        io_complete(c->io, op, 1);
        return;
    }
    d = calloc(1, sizeof(*d));
    ASSERT(d != NULL);
    d->cli = c;
    d->parent = op;
    d->dir = str_dup(str_of(argv[1]));
    d->sink = (struct telemetry_sink){.write = sink_write, .level = LOG_WARN};
    d->telemetry = telemetry_new(&d->sink);
    op_init(&d->op, drain_done);
    log_dir_drain(c->io, d->telemetry, d->dir, &d->replayed, &d->fail, &d->op);
}
