/* kafka-storage.sh: which of its subcommands. */
#include "cli/internal.h"

static const char usage[] =
    "usage: kafka-storage [-h]\n"
    "                     {info,format,drain,version-mapping,feature-dependencies,random-uuid}\n"
    "                     ...\n";

static const char help[] =
    "\n"
    "The Kafka storage tool.\n"
    "\n"
    "positional arguments:\n"
    "  {info,format,drain,version-mapping,feature-dependencies,random-uuid}\n"
    "    info                 Say what the log directories of a settings file hold.\n"
    "    format               Prepare the log directories of a settings file.\n"
    "    drain                Bring the journal of a log directory into its segments.\n"
    "    version-mapping      Say which feature levels belong to a release, or to\n"
    "                         the latest one.\n"
    "    feature-dependencies\n"
    "                         Say which levels of other features a level needs.\n"
    "    random-uuid          Print a new id, fit for a cluster.\n"
    "\n"
    "optional arguments:\n"
    "  -h, --help             show this help message and exit\n";

int storage_random_uuid(struct cli *c, int argc, char **argv)
{
    static const char own_usage[] = "usage: kafka-storage random-uuid [-h]\n";
    char id[UUID_TEXT_BYTES];

    switch (args_read(argc - 1, argv + 1, PROGRAM, own_usage, NULL, 0, NULL, &c->err)) {
    case ARGS_WRONG:
        return 1;
    case ARGS_HELP:
        text_printf(&c->out,
                    "%s\noptional arguments:\n"
                    "  -h, --help             show this help message and exit\n",
                    own_usage);
        return 0;
    case ARGS_OK:
        break;
    }
    text_printf(&c->out, "%s\n", uuid_text(uuid_random(io_prng(c->io)), id));
    return 0;
}

static int run_at_once(struct cli *c, int argc, char **argv)
{
    if (argc < 1) {
        text_printf(&c->err, "%s" PROGRAM ": error: too few arguments\n", usage);
        return 1;
    }
    const char *command = argv[0];
    if (strcmp(command, "-h") == 0 || strcmp(command, "--help") == 0) {
        text_printf(&c->out, "%s%s", usage, help);
        return 0;
    }
    if (strcmp(command, "random-uuid") == 0)
        return storage_random_uuid(c, argc, argv);
    if (strcmp(command, "version-mapping") == 0)
        return storage_version_mapping(c, argc, argv);
    if (strcmp(command, "feature-dependencies") == 0)
        return storage_feature_dependencies(c, argc, argv);
    text_printf(&c->err,
                "%s" PROGRAM ": error: invalid choice: '%s' (choose from 'info', 'format', "
                "'drain', 'version-mapping', 'feature-dependencies', 'random-uuid')\n",
                usage, command);
    return 1;
}

void storage_run(struct cli *c, struct op *op)
{
    int argc = c->argc - 1;
    char **argv = c->argv + 1;

    ASSERT(c->argc >= 1);
    if (argc >= 1 && strcmp(argv[0], "format") == 0)
        storage_format_run(c, argc, argv, op);
    else if (argc >= 1 && strcmp(argv[0], "info") == 0)
        storage_info_run(c, argc, argv, op);
    else if (argc >= 1 && strcmp(argv[0], "drain") == 0)
        storage_drain_run(c, argc, argv, op);
    else
        io_complete(c->io, op, run_at_once(c, argc, argv));
}
