/* millrace: one executable, several programs. This file chooses the one that is asked for. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "main/server.h"
#include "main/stop.h"
#include "main/tool.h"

static const char usage[] =
    "millrace - a streaming platform that speaks Kafka's protocol\n"
    "\n"
    "usage: millrace COMMAND [ARGUMENT]...\n"
    "\n"
    "  server [FILE] [--override KEY=VALUE]...\n"
    "      Run a node. FILE is a server.properties with Kafka's keys. Without FILE: one whole node on\n"
    "      127.0.0.1:9092 with its data in ./data, which is formatted when it is empty.\n"
    "\n"
    "  storage format -t CLUSTER_ID -c FILE\n"
    "  storage random-uuid | info | version-mapping | feature-dependencies\n"
    "      Prepare log directories; the words and flags of kafka-storage.sh.\n"
    "  storage drain DIR\n"
    "      Bring the journal of a server that is down into Kafka's files.\n"
    "\n"
    "  log dump [OPTION]... FILE...\n"
    "      Print segments, indexes, snapshots and checkpoints; the output of kafka-dump-log.sh.\n"
    "  log verify [--topic TOPIC] [--deep] DIR\n"
    "      Check a log directory whose server is down.\n"
    "\n"
    "  produce TOPIC [--json]     write each line of standard input to a topic\n"
    "  consume TOPIC [--from-beginning] [--group GROUP] [--json]     print records as they come\n"
    "\n"
    "  topic | group | config ACTION [NAME]... [-b HOST:PORT] [--json]\n"
    "      Ask a running cluster, and change it. Kafka's names are there as well, with Kafka's flags and output:\n"
    "      kafka-topics.sh, kafka-consumer-groups.sh, kafka-configs.sh ...\n"
    "  offset list [TOPIC]... [--time TIME],  log-dirs list [-b HOST:PORT] [--json]\n"
    "      Where logs end, begin, or are at a time; what lies in the brokers' log directories.\n"
    "  cluster status | balance | decommission ID,  quorum status | add | remove [-b HOST:PORT]\n"
    "      Brokers of a cluster and their shares, controllers of its quorum.\n"
    "  why partition TOPIC-NUMBER [-b HOST:PORT] [--json]\n"
    "      Why its leader moved, its ISR shrank or grew, or nobody leads it.\n"
    "  bench produce | consume | both [-b HOST:PORT] [--rate N] [--json]\n"
    "      Put load on a running cluster: how much goes through, and how long it takes.\n"
    "  completion\n"
    "      Print completion of these words for bash.\n"
    "\n"
    "  settings [WORD]\n"
    "      List the settings that act, with what they do; all whose name has WORD in it.\n"
    "\n"
    "  version\n"
    "\n"
    "First steps:\n"
    "  millrace server &\n"
    "  echo hello | millrace produce greetings\n"
    "  millrace consume greetings --from-beginning\n"
    "\n"
    "`millrace COMMAND --help` says more.\n";

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* The links beside the executable carry the names of Kafka's tools. */
static const char *command_of(int argc, char **argv)
{
    static const struct {
        const char *link, *command;
    } links[] = {
        {"kafka-server-start.sh", "server"},
        {"kafka-storage.sh", "storage"},
        {"kafka-dump-log.sh", "dump-log"},
        {"kafka-run-class.sh", "run-class"},
        {"kafka-server-stop.sh", "server-stop"},
    };
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash == NULL ? argv[0] : slash + 1;

    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (strcmp(name, links[i].link) == 0)
            return links[i].command;
    }
    if (strcmp(name, "millrace") != 0 && cluster_tool_is(name))
        return name;
    return argc > 1 ? NULL : "help";
}

/* Kafka's run-class names a class; what it is here. argv[0] becomes that. */
static const char *class_command(int *argc, char ***argv)
{
    static const struct {
        const char *name, *command;
    } classes[] = {
        {"kafka.Kafka", "server"},
        {"kafka.tools.StorageTool", "storage"},
        {"kafka.tools.DumpLogSegments", "dump-log"},
    };

    if (*argc < 2)
        return "help";
    const char *name = (*argv)[1];
    --*argc;
    ++*argv;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(name, classes[i].name) == 0)
            return classes[i].command;
    }
    return tool_of_class(name) == NULL ? name : tool_of_class(name);
}

int main(int argc, char **argv)
{
    const char *command = command_of(argc, argv);

    if (command == NULL) { /* its first word names it */
        command = argv[1];
        argc--;
        argv++;
    }
    if (strcmp(command, "run-class") == 0)
        command = class_command(&argc, &argv);
    if (cluster_tool_is(command))
        return cluster_tool_main(argc, argv, command);
    if (strcmp(command, "completion") == 0)
        return completion_main();
    if (asks_for_help(command)) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(command, "server-stop") == 0)
        return stop_main(argc, argv);
    if (strcmp(command, "server") == 0)
        return server_main(argc, argv);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        printf("millrace %s\n", MILLRACE_VERSION);
        return 0;
    }
    if (strcmp(command, "storage") == 0)
        return storage_main(argc, argv);
    if (strcmp(command, "log") == 0)
        return log_main(argc, argv);
    if (strcmp(command, "dump-log") == 0)
        return log_dump_main(argc, argv);
    if (strcmp(command, "settings") == 0)
        return settings_main(argc, argv);
    fprintf(stderr, "millrace: there is no command \"%s\"; `millrace --help` lists them\n", command);
    return 2;
}
