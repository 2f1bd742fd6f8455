#include "main/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "io_epoll/io_epoll.h"
#include "main/load.h"

struct tool {
    struct io_epoll_world *world;
    void (*run)(struct cli *c, struct op *op);
    struct cli cli;
    struct op op;
    int exit_code;
};

static void ended(struct op *op, int64_t result)
{
    struct tool *t = container_of(op, struct tool, op);

    t->exit_code = (int)result;
    io_epoll_stop(t->world);
}

static void start(struct io *io, void *arg)
{
    struct tool *t = arg;

    t->cli.io = io;
    op_init(&t->op, ended);
    t->run(&t->cli, &t->op);
}

/* What a tool has said so far. A reader that has gone away (head) ends it. */
static int flush(void *cli)
{
    struct cli *c = cli;
    size_t n = c->out.n == 0 ? 0 : fwrite(c->out.p, 1, c->out.n, stdout);
    bool failed = n < c->out.n || fflush(stdout) != 0;

    if (c->err.n > 0)
        fwrite(c->err.p, 1, c->err.n, stderr);
    text_clear(&c->out);
    text_clear(&c->err);
    return failed ? -EPIPE : 0;
}

static int tool_main(int argc, char **argv, void (*run)(struct cli *c, struct op *op))
{
    struct tool t = {
        .run = run,
        .cli = {.argc = argc,
                .argv = argv,
                .look = settings_look,
                .flush = flush,
                .err_is_terminal = isatty(STDERR_FILENO) == 1},
        .exit_code = 1,
    };
    int rc = io_epoll_new(1, NULL, &t.world);

    if (rc == 0)
        rc = io_epoll_run(t.world, start, &t);
    io_epoll_free(t.world);
    if (rc < 0)
        fprintf(stderr, "millrace: cannot start: %s\n", error_text(rc));
    if (flush(&t.cli) < 0 && t.exit_code == 0)
        t.exit_code = 1;
    text_deinit(&t.cli.out);
    text_deinit(&t.cli.err);
    return t.exit_code;
}

int storage_main(int argc, char **argv)
{
    return tool_main(argc, argv, storage_run);
}

int log_dump_main(int argc, char **argv)
{
    return tool_main(argc, argv, log_dump_run);
}

int cluster_tool_main(int argc, char **argv, const char *name)
{
    argv[0] = (char *)(uintptr_t)name; /* nobody writes to it */
    return tool_main(argc, argv, cluster_tool_run);
}

int completion_main(void)
{
    struct text out = {0};

    completion_print(&out);
    fwrite(out.p, 1, out.n, stdout);
    text_deinit(&out);
    return fflush(stdout) == 0 ? 0 : 1;
}

static const char log_usage[] =
    "usage: millrace log dump [OPTION]... FILE...\n"
    "       millrace log verify [--topic TOPIC] [--deep] DIR\n"
    "\n"
    "  dump    print what the files of a log directory hold: segments, indexes, snapshots, checkpoints\n"
    "  verify  check a log directory whose server is down, and write nothing\n"
    "\n"
    "`millrace log COMMAND --help` says more.\n";

int log_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "dump") == 0)
        return log_dump_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return tool_main(argc - 1, argv + 1, log_verify_run);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(log_usage, stdout);
        return 0;
    }
    fputs(log_usage, stderr);
    return 2;
}
