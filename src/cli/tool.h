/* cli/tool.h - what the tools share that ask a running cluster: options, help, one admin, a flow, an exit status.
 *
 *   tool_run ──► options_read ──► check ──► file of --command-config ──► admin_new ──► run ──► admin_close ──► status
 *
 * A tool is a `struct tool_info`, a table of options and a flow over a struct that begins with `struct tool`. One that
 * produces or consumes names its table of settings, has no admin, and makes what it needs of t->config.
 */
#pragma once

#include "admin/admin.h"
#include "cli/internal.h"

#define OPTIONS_MAX 48

struct tool;

/* What `millrace NAME ACTION` does, as an option of Kafka's tool. */
struct tool_action {
    const char *word;
    int option;
    const char *help;
};

/* Where an option may stand: a bit per action, in the order of an array of actions. */
struct option_rule {
    int option;
    uint32_t actions;
};

struct tool_info {
    const char *program; /* "kafka-topics.sh" */
    const char *usage;   /* one or more lines behind "usage: ", without the program */
    const char *purpose; /* some sentences, wrapped by the help */
    const struct arg_option *options;
    uint32_t option_count;
    uint32_t words_max;                /* words that are no option, subcommands; 0 = none */
    const char *commands;              /* subcommands, parted by blanks, for completion; NULL */
    const struct tool_action *actions; /* of `millrace NAME`: the first word; NULL = Kafka's tool */
    uint32_t action_count;
    bool native;        /* `millrace NAME` that does one thing: there are no actions */
    int8_t names;       /* with actions, or native: the option that the other words are values of */
    size_t state_bytes; /* of the struct that begins with `struct tool` */
    int8_t server, controller, config,
        old_config; /* where these options are in the table, by index; -1 = there is none */
    bool offline;   /* may do without a server: then `run` starts with t->admin NULL */
    bool streams;   /* standard streams as they go; may set cli->interrupt */
    const struct config_table *settings; /* NULL = those of an admin, which is made; else t->config alone is */
    int8_t property, old_property; /* with `settings`: the options that are NAME=VALUE of one; -1 = there is none */
    /* Look at what was asked before anything is sent. Negative: t->fail says what is wrong. */
    int (*check)(struct tool *t);
    void (*run)(struct flow *f);      /* of t->work */
    void (*end)(struct tool *t);      /* let go of what run has taken; NULL */
    void (*complain)(struct tool *t); /* print t->fail as Kafka does, set the status if not 1; NULL: tool_complain */
};

struct tool {
    struct cli *cli;
    const struct tool_info *info;
    struct io *io;
    struct arg_found found[OPTIONS_MAX];
    struct str words[ARG_VALUES_MAX];
    uint32_t word_count;
    struct admin *admin;
    struct admin_call call; /* for one call after the other */
    struct arena arena;     /* what lives as long as the tool */
    struct fail fail;       /* why it ends with 1 */
    bool native;            /* `millrace NAME`: for people, with statuses that say what happened */
    bool usage_is_wrong;    /* the mistake is one of words: the way to the help is said */
    int64_t status;         /* its exit status */
    struct flow work;       /* of info->run; it completes with the exit status, or a negative number and `fail` */

    struct telemetry *telemetry;
    struct config *config;       /* what file and words have said */

    struct text file;            /* private from here on */
    char *path;
    struct flow flow;
    struct op *parent;
    struct io_timer pause;
    struct op *paused;
};

/* All of them; tools.c has their names. */
extern const struct tool_info kafka_topics, kafka_configs, kafka_consumer_groups, kafka_get_offsets, kafka_delete_records,
    kafka_cluster, kafka_broker_api_versions, kafka_log_dirs, kafka_features, kafka_metadata_quorum, kafka_groups,
    kafka_leader_election, kafka_reassign_partitions, kafka_console_producer, kafka_console_consumer;
extern const struct tool_info kafka_producer_perf_test, kafka_consumer_perf_test, kafka_verifiable_producer,
    kafka_verifiable_consumer, millrace_bench;
extern const struct tool_info millrace_topic, millrace_config, millrace_group, millrace_offset, millrace_cluster,
    millrace_log_dirs, millrace_quorum, millrace_produce, millrace_consume, millrace_why;

/* Run the tool that `info` describes; completes with its exit status. */
void tool_run(struct cli *c, const struct tool_info *info, struct op *op);

/* Was the option given; its (first, or null) value; where it is a number, checked: -EINVAL and t->fail. */
static inline bool given(const struct tool *t, int option)
{
    return t->found[option].count > 0;
}
static inline struct str value_of(const struct tool *t, int option)
{
    return t->found[option].count > 0 ? t->found[option].values[0] : STR_NULL;
}
MUST int number_of(struct tool *t, int option, int64_t low, int64_t high, int64_t *out);

/* Mistakes in words: each sets t->fail and t->usage_is_wrong, and returns -EINVAL. */
int wrong_words(struct tool *t, const char *format, ...) PRINTF(2, 3);

/* The option `action`, which is actions[n], is given: refuse those that do not go with it. */
MUST int check_rules(struct tool *t, const int *actions, int action, const struct option_rule *rules, uint32_t count);
/* The option is given, too. */
MUST int needs(struct tool *t, int option);

/* At most one of two spellings of an option may be given. The older one is said to be old. */
MUST int one_spelling(struct tool *t, int option, int old_option);

/* Exactly one of the options named by index (-1 ends the list) is given: its index, or -1. */
int only_one(const struct tool *t, const int *options);
/* "--list, --describe": those options' names. */
struct str names_of(struct tool *t, const int *options);

/* Completes after `ms`. One at a time. */
void tool_pause(struct tool *t, int64_t ms, struct op *op);

/* A call has ended with trouble: its words become the tool's. Returns the trouble. */
int call_trouble(struct tool *t, const struct admin_call *call);

/* What an answer says is wrong: its own words, or those of the code. */
struct str answer_words(int16_t error, struct str message);
/* As answer_words, into t->fail; returns -EPROTO. */
int answer_fails(struct tool *t, int16_t error, struct str message);

void tool_complain(struct tool *t);

/* ---- tool_settings.c -------------------------------------------------------------------------- */

/* The file of settings that the words name; null = none. */
struct str tool_config_path(const struct tool *t);
/* Set in `c` what the text of that file says. What `c` has not got is for another client. */
MUST int tool_file_take(struct tool *t, struct config *c);
/* Settings from the text of that file, NAME=VALUE words, and addresses: each over the one before. Negative: t->fail. */
MUST int tool_settings_take(struct tool *t);
/* An option stands for a setting: its value where it is given, else, where file and properties say nothing of the
 * setting, `otherwise` (NULL: it stays as it is). */
MUST int setting_merge(struct tool *t, int option, const char *name, const char *otherwise);
/* Set it where file and properties say nothing of it. */
MUST int setting_default(struct tool *t, const char *name, const char *value);
/* "NAME=VALUE", "NAME=" and "NAME" in two. */
void pair_cut(struct str word, struct str *name, struct str *value);

/* The help; the words that may come next; a line with them for bash. */
void tool_help(const struct tool_info *info, struct text *out);
void tool_words_print(const struct tool_info *info, struct text *out);
void tool_completion(const struct tool_info *info, const char *name, struct text *out);

/* ---- options.c ------------------------------------------------------------------------------- */

/* Read words as Kafka's newer tools do: "--name value", "--name=value", an unambiguous beginning of a name, one dash
 * for two, "-n value" for a letter. `found` has one entry per option. Other words go to `words`. 0, READ_HELP or
 * READ_VERSION when that is asked for; -EINVAL and `f`. */
enum { READ_HELP = 1, READ_VERSION = 2 };
MUST int options_read(int argc, char **argv, const struct arg_option *options, uint32_t count, struct arg_found *found,
                      struct str *words, uint32_t words_max, uint32_t *word_count, struct fail *f);

/* ---- pattern.c ------------------------------------------------------------------------------- */

/* Names that a pattern chooses: a comma-separated list of regular expressions, as --topic takes it. Blanks and quotes
 * around it do not count, a comma is "or". */
struct pattern;
MUST int pattern_new(struct str text, struct pattern **out, struct fail *f);
bool pattern_matches(const struct pattern *p, struct str name); /* whole */
void pattern_free(struct pattern *p);

/* Kafka's own topics. */
bool topic_is_internal(struct str name);

/* ---- table.c: rows for eyes and scripts --------------------------------------------------- */

#define COLUMNS_MAX 16

struct column {
    const char *name;
    int least;       /* letters wide at least; 0 = never padded */
    bool grows;      /* as wide as its longest cell; else a longer cell stands out */
    const char *key; /* in JSON */
    bool number;     /* in JSON: as it is; "-" and null are null */
};
struct table {
    struct arena *arena;
    const struct column *columns;
    uint32_t column_count;
    struct str *cells; /* row after row */
    uint32_t row_count, row_capacity;
    int width_max;     /* letters in a line: longer text is cut, which "…" says; 0 = no limit */
};
void table_begin(struct table *t, struct arena *arena, const struct column *columns, uint32_t count);
/* A row of column_count cells; their text is borrowed. */
void table_row(struct table *t, const struct str *cells);
/* Lines: cells padded, `separator` between them, `end` behind the last one. With `header` its line first. */
void table_print(const struct table *t, const char *separator, const char *end, bool header, struct text *out);
/* For eyes, to the tool's output: with a header, and in lines no longer than the terminal that it goes to. */
void table_show(struct table *t, const struct tool *tool);
/* An array of objects, a line each. */
void table_json(const struct table *t, struct text *out);
/* By the first column, then the second ..., numbers as numbers. */
void table_sort(struct table *t);
