#include "main/tool.h"

#include <stdio.h>

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

static int tool_main(int argc, char **argv, void (*run)(struct cli *c, struct op *op))
{
    struct tool t = {
        .run = run,
        .cli = {.argc = argc, .argv = argv, .look = settings_look},
        .exit_code = 1,
    };
    int rc = io_epoll_new(1, NULL, &t.world);

    if (rc == 0)
        rc = io_epoll_run(t.world, start, &t);
    io_epoll_free(t.world);
    if (rc < 0)
        fprintf(stderr, "millrace: cannot start: %s\n", error_text(rc));
    if (t.cli.out.n > 0)
        fwrite(t.cli.out.p, 1, t.cli.out.n, stdout);
    fflush(stdout);
    if (t.cli.err.n > 0)
        fwrite(t.cli.err.p, 1, t.cli.err.n, stderr);
    text_deinit(&t.cli.out);
    text_deinit(&t.cli.err);
    return t.exit_code;
}

int storage_main(int argc, char **argv)
{
    return tool_main(argc, argv, storage_run);
}
