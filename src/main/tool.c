#include "main/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "io_epoll/io_epoll.h"
#include "main/load.h"
#include "main/streams.h"

struct tool {
    struct io_epoll_world *world;
    void (*run)(struct cli *c, struct op *op);
    struct cli cli;
    struct op op;
    int exit_code;
    int signal; /* that has ended it; 0 = none */
};

static void ended(struct op *op, int64_t result)
{
    struct tool *t = container_of(op, struct tool, op);

    t->exit_code = (int)result;
    streams_end();
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

static void on_signal(struct io *io, int signal, void *arg)
{
    struct tool *t = arg;

    if (t->signal != 0 || t->cli.interrupt == NULL)
        _exit(128 + signal);
    t->signal = signal;
    t->cli.interrupt(&t->cli);
}

static int tool_run_in(struct tool *t, bool streams)
{
    TRY(io_epoll_new(1, NULL, &t->world));
    if (streams) {
        TRY(io_epoll_on_signal(t->world, on_signal, t));
        streams_begin(t->world);
        t->cli.streams = &standard_streams;
    }
    return io_epoll_run(t->world, start, t);
}

/* 0 where standard output is no terminal. */
static int width_of_terminal(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int tool_main(int argc, char **argv, void (*run)(struct cli *c, struct op *op), bool streams)
{
    struct tool t = {
        .run = run,
        .cli = {.argc = argc,
                .argv = argv,
                .look = settings_look,
                .flush = flush,
                .in_is_terminal = isatty(STDIN_FILENO) == 1,
                .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                .err_is_terminal = isatty(STDERR_FILENO) == 1,
                .out_width = width_of_terminal()},
        .exit_code = 1,
    };
    int rc = tool_run_in(&t, streams);

    io_epoll_free(t.world);
    if (rc < 0)
        fprintf(stderr, "millrace: cannot start: %s\n", error_text(rc));
    if (flush(&t.cli) < 0 && t.exit_code == 0)
        t.exit_code = 1;
    text_deinit(&t.cli.out);
    text_deinit(&t.cli.err);
    return t.signal != 0 ? 128 + t.signal : t.exit_code; /* as a shell says it, and a JVM */
}

int storage_main(int argc, char **argv)
{
    return tool_main(argc, argv, storage_run, false);
}

int log_dump_main(int argc, char **argv)
{
    return tool_main(argc, argv, log_dump_run, false);
}

int cluster_tool_main(int argc, char **argv, const char *name)
{
    argv[0] = (char *)(uintptr_t)name; /* nobody writes to it */
    return tool_main(argc, argv, cluster_tool_run, cluster_tool_streams(name));
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
        return tool_main(argc - 1, argv + 1, log_verify_run, false);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(log_usage, stdout);
        return 0;
    }
    fputs(log_usage, stderr);
    return 2;
}
