/* cli/cli.h - the tools that Kafka's users know, over a `struct io` that main makes.
 *
 *   main ── words ──► storage_run ──► quorum_format, files ──► text of outputs, exit status
 *
 *   C1  Flags, output and refusals are Kafka's; where ours differ, the README says so.
 *   C2  A tool prints nothing itself: main writes `out` and `err` when it has completed, and when a tool that
 *       has much to say calls `flush`. What runs for as long as records come has `streams` instead of `out`.
 *
 * A tool takes the words behind its name: `millrace storage format` and `kafka-storage.sh format`
 * are the same call with argv[0] "storage" and "kafka-storage.sh".
 */
#pragma once

#include "base/base.h"
#include "io/io.h"

/* The release whose tools these are like. */
#define KAFKA_VERSION "4.3.1"

struct cli;

/* Standard input and output as they come and go: of the process, or of a test. I1 and I2 of io/io.h hold. One of each
 * may be in flight, and the shard never waits for them: whoever is behind a pipe may be slow. */
struct cli_streams {
    /* Read at least one and at most `n` bytes. Completes with the count; 0 = the end; trouble. One that is in flight
     * when the tool completes is dropped, and nothing is written to `into` from then on. */
    void (*read)(struct cli *c, void *into, uint32_t n, struct op *op);
    /* Write all `n` bytes. Completes with 0; -EPIPE: nobody reads them any more; trouble. A tool waits for it. */
    void (*write)(struct cli *c, const void *p, size_t n, struct op *op);
};

struct cli {
    struct io *io;
    int argc;
    char **argv; /* argv[0] is the tool's own name: not looked at */
    /* As config_expand: what ${env:X} and ${file:...} in a settings file stand for. NULL: they stay
     * as they are. */
    int (*look)(void *ctx, struct str source, struct str name, struct text *out);
    void *ctx;
    struct text out, err; /* for standard output and error; main writes and ends them */
    /* Write both out and empty them. Negative: nobody reads them any more. NULL: they stay until the end. */
    int (*flush)(void *cli);
    const struct cli_streams *streams; /* for a tool of which cluster_tool_streams is true */
    /* Such a tool sets it, when it can end by itself. Called between two operations by the first SIGINT or SIGTERM: the
     * tool is to complete soon. Until it is set, and by a second signal, the process ends at once. */
    void (*interrupt)(struct cli *c);
    void *tool;                                            /* the tool's own, for `interrupt` */
    bool in_is_terminal, out_is_terminal, err_is_terminal; /* somebody watches */
    int out_width;                                         /* letters in a line of that terminal; 0 = not known */
};

/* kafka-storage.sh: format, info, random-uuid, version-mapping, feature-dependencies. Completes
 * with the exit status: 0, or 1 for whatever did not work. `c` lives until then. */
void storage_run(struct cli *c, struct op *op);

/* `millrace log dump`, and kafka-dump-log.sh: print what files of a log directory hold, as Kafka's
 * DumpLogSegments. argv[0] is the tool's name. Completes with the exit status as inspect_dump. */
void log_dump_run(struct cli *c, struct op *op);

/* Tools that ask a running cluster: kafka-topics.sh, kafka-configs.sh, kafka-consumer-groups.sh ..., and `millrace
 * topic`, `config`, `group` ...: whether `name` is one; run the one that argv[0] names. Completes with the exit status:
 * Kafka's for its names; for ours 0, or 1 for whatever did not work. */
bool cluster_tool_is(const char *name);
void cluster_tool_run(struct cli *c, struct op *op);
/* Whether it uses standard streams as they go, and ends by itself when it is interrupted. */
bool cluster_tool_streams(const char *name);
/* The name under which the Java class `name` is known here ("org.apache.kafka.tools.TopicCommand" is kafka-topics.sh),
 * NULL when it is not. */
const char *tool_of_class(const char *name);
/* Completion of all tools' words for bash. */
void completion_print(struct text *out);

/* `millrace log verify`: check a log directory whose server is down. Completes with the exit status as
 * inspect_verify. */
void log_verify_run(struct cli *c, struct op *op);
