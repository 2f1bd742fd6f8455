/* cli/internal.h - what the files of this room share. */
#pragma once

#include "cli/cli.h"
#include "cli/scram.h"
#include "config/config.h"
#include "quorum/quorum.h"

/* ---- args.c: words into options ---------------------------------------------------------- */

#define ARG_VALUES_MAX 64

struct arg_option {
    const char *name; /* without the dashes */
    char letter;
    bool has_value, required;
    int group;           /* options of one group other than 0 exclude each other */
    bool may_lack_value; /* "--state" and "--state stable" are both right: options.c only */
    const char *value;   /* what its value is called: "TOPIC"; for help and completion */
    const char *help;    /* words for help; NULL = not shown: an old name of another option */
};

struct arg_found {
    struct str values[ARG_VALUES_MAX]; /* in the order given; one that is repeated may be so */
    uint32_t count;                    /* how often it was given */
};

enum args_end { ARGS_OK, ARGS_HELP, ARGS_WRONG };

/* Read `argc` words. What is wrong goes to `err`, with `usage` before it, as argparse4j says it. */
enum args_end args_read(int argc, char **argv, const char *program, const char *usage, const struct arg_option *options,
                        uint32_t count, struct arg_found *found, struct text *err);

/* Part `argc` words: those that are an option or an option's value come first, in their order, for args_read;
 * behind them `*words` others. Behind "--", which goes away, there are no options. Returns how many come first. */
int args_part(int argc, char **argv, const struct arg_option *options, uint32_t count, int *words);

/* ---- settings.c: the file of --config ---------------------------------------------------- */

struct settings_load {
    struct cli *cli;
    const char *path;
    struct text text;
    struct fail *f;
    struct config *config; /* the result; owned by the caller */
    struct flow flow;
};

/* Read a settings file into a broker's settings. A file that names no roles is one whole node, as
 * for the server. Completes with 0; `f` says what is wrong. */
void settings_load(struct settings_load *s, struct cli *cli, const char *path, struct fail *f, struct op *op);

/* The log directories and metadata.log.dir, sorted, each once. */
#define DIRS_MAX 256
struct settings_dirs {
    char *paths[DIRS_MAX]; /* owned */
    uint32_t count;
    uint32_t metadata; /* which of them holds the metadata log */
};
MUST int settings_dirs(const struct config *c, struct settings_dirs *out, struct fail *f);
void settings_dirs_deinit(struct settings_dirs *d);

/* ---- the subcommands --------------------------------------------------------------------- */

/* Each completes with the exit status. argv[0] is the subcommand. */
void storage_format_run(struct cli *c, int argc, char **argv, struct op *op);
void storage_info_run(struct cli *c, int argc, char **argv, struct op *op);
void storage_drain_run(struct cli *c, int argc, char **argv, struct op *op);
int storage_version_mapping(struct cli *c, int argc, char **argv);
int storage_feature_dependencies(struct cli *c, int argc, char **argv);
int storage_random_uuid(struct cli *c, int argc, char **argv);

#define PROGRAM "kafka-storage"

/* A metadata.version by what a user writes: "4.0", "4.0-IV1". NULL, and `f` lists those that may be
 * used, when there is none. */
const struct metadata_version *storage_release(struct str name, struct fail *f);
