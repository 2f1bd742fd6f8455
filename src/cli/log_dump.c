/* log dump, kafka-dump-log.sh: options into what inspect_dump is asked for. */
#include "cli/internal.h"

#include "inspect/inspect.h"

#include <stdlib.h>

#define DUMP_PROGRAM "millrace log dump"

static const char usage[] =
    "usage: millrace log dump [OPTION]... FILE...\n"
    "       kafka-dump-log.sh [OPTION]... --files FILE,FILE...\n";

static const char help[] =
    "\n"
    "Print files of a log directory, each by its name:\n"
    "\n"
    "  .log                     batches; with --deep-iteration their records\n"
    "  .checkpoint              the same, of a metadata snapshot\n"
    "  .index, .timeindex       entries, held against the .log beside them\n"
    "  .txnindex, .snapshot     aborted transactions; producers\n"
    "  leader-epoch-checkpoint, *-offset-checkpoint, partition.metadata, meta.properties,\n"
    "  quorum-state, .kafka_cleanshutdown\n"
    "\n"
    "The lines are those of Kafka's DumpLogSegments where it prints the file. What is wrong goes to\n"
    "standard error. The files of a running server may be read; their ends are still changing.\n"
    "\n"
    "options:\n"
    "  --files FILE,FILE...     more files, parted by commas\n"
    "  --deep-iteration         records too, not only batches\n"
    "  --print-data-log         records with their keys and values, as text\n"
    "  --offsets-decoder        ... as what __consumer_offsets holds, in JSON\n"
    "  --transaction-log-decoder      ... __transaction_state\n"
    "  --share-group-state-decoder    ... __share_group_state\n"
    "  --cluster-metadata-decoder     ... __cluster_metadata, and its snapshots\n"
    "  --skip-record-metadata   of records only keys and values\n"
    "  --max-bytes N            only the first N bytes of each .log\n"
    "  --verify-index-only      of indexes only what is wrong\n"
    "  --index-sanity-check     of indexes only what Kafka looks at when it starts\n"
    "  --json                   a JSON object per line, for programs\n"
    "  --key-decoder-class, --value-decoder-class CLASS\n"
    "                           org.apache.kafka.tools.api.StringDecoder, which is the default\n"
    "  --max-message-size N     for Kafka's scripts; a batch is read whole whatever its size\n"
    "\n"
    "Exit status: 0; 1 when a file cannot be read or is not what its name says.\n"
    "\n"
    "  millrace log dump --print-data-log data/orders-0/00000000000000000000.log\n"
    "  millrace log dump --json --cluster-metadata-decoder data/__cluster_metadata-0/*.log\n";

enum {
    ARG_FILES,
    ARG_PRINT,
    ARG_DEEP,
    ARG_OFFSETS,
    ARG_TRANSACTIONS,
    ARG_METADATA,
    ARG_SHARE,
    ARG_SKIP_METADATA,
    ARG_MAX_BYTES,
    ARG_MAX_MESSAGE_SIZE,
    ARG_VERIFY_ONLY,
    ARG_SANITY,
    ARG_KEY_DECODER,
    ARG_VALUE_DECODER,
    ARG_JSON,
    ARG_COUNT,
};

static const struct arg_option options[ARG_COUNT] = {
    [ARG_FILES] = {"files", .has_value = true},
    [ARG_PRINT] = {"print-data-log"},
    [ARG_DEEP] = {"deep-iteration"},
    [ARG_OFFSETS] = {"offsets-decoder", .group = 1},
    [ARG_TRANSACTIONS] = {"transaction-log-decoder", .group = 1},
    [ARG_METADATA] = {"cluster-metadata-decoder", .group = 1},
    [ARG_SHARE] = {"share-group-state-decoder", .group = 1},
    [ARG_SKIP_METADATA] = {"skip-record-metadata"},
    [ARG_MAX_BYTES] = {"max-bytes", .has_value = true},
    [ARG_MAX_MESSAGE_SIZE] = {"max-message-size", .has_value = true},
    [ARG_VERIFY_ONLY] = {"verify-index-only"},
    [ARG_SANITY] = {"index-sanity-check"},
    [ARG_KEY_DECODER] = {"key-decoder-class", .has_value = true},
    [ARG_VALUE_DECODER] = {"value-decoder-class", .has_value = true},
    [ARG_JSON] = {"json"},
};

struct log_dump {
    struct cli *cli;
    struct op done;
    struct op *parent;
    struct arg_found found[ARG_COUNT];
    struct inspect_output output;
    struct dump_options o;
    const char **files; /* those of argv, and owned ones from `first_owned` on */
    uint32_t first_owned;
};

static bool given(const struct log_dump *x, int arg)
{
    return x->found[arg].count > 0;
}

static struct str last(const struct log_dump *x, int arg)
{
    return x->found[arg].values[x->found[arg].count - 1];
}

static int add_files(struct log_dump *x, char **words, int count)
{
    uint32_t most = (uint32_t)count;

    for (uint32_t i = 0; i < x->found[ARG_FILES].count; i++) {
        struct str list = x->found[ARG_FILES].values[i];
        for (int32_t at = 0; at < list.n; at++)
            most += list.p[at] == ',';
        most++;
    }
    x->files = calloc((size_t)most + 1, sizeof(*x->files));
    ASSERT(x->files != NULL);
    for (int i = 0; i < count; i++)
        x->files[x->o.file_count++] = words[i];
    x->first_owned = x->o.file_count;
    for (uint32_t i = 0; i < x->found[ARG_FILES].count; i++) {
        struct str list = x->found[ARG_FILES].values[i], file;
        while (str_cut(&list, ',', &file)) {
            if (file.n > 0)
                x->files[x->o.file_count++] = str_dup(file);
        }
    }
    x->o.files = x->files;
    if (x->o.file_count > 0)
        return 0;
    text_printf(&x->cli->err, "%s" DUMP_PROGRAM ": error: name the files to print\n", usage);
    return -EINVAL;
}

/* A number that is given must be one, whether or not it is used. */
static int take_number(struct log_dump *x, int arg, uint64_t *out)
{
    int64_t number;

    if (!given(x, arg))
        return 0;
    if (str_to_i64(last(x, arg), 0, INT64_MAX, &number) < 0) {
        text_printf(&x->cli->err, DUMP_PROGRAM ": error: --%s is \"%.*s\", must be a number of bytes\n",
                    options[arg].name, STR_ARG(last(x, arg)));
        return -EINVAL;
    }
    *out = (uint64_t)number;
    return 0;
}

static int take_decoder_class(struct log_dump *x, int arg)
{
    if (!given(x, arg) || str_ends(last(x, arg), STR("StringDecoder")))
        return 0;
    text_printf(&x->cli->err,
                DUMP_PROGRAM ": error: --%s %.*s: Java classes cannot be loaded here; there is "
                             "StringDecoder, and the decoders of Kafka's own topics (--help)\n",
                options[arg].name, STR_ARG(last(x, arg)));
    return -EINVAL;
}

static int take_all(struct log_dump *x, char **words, int count)
{
    static const enum inspect_decoder decoders[ARG_COUNT] = {
        [ARG_OFFSETS] = DECODE_OFFSETS,
        [ARG_TRANSACTIONS] = DECODE_TRANSACTIONS,
        [ARG_METADATA] = DECODE_METADATA,
        [ARG_SHARE] = DECODE_SHARE,
    };
    uint64_t unused;

    x->o.max_bytes = UINT64_MAX;
    TRY(take_number(x, ARG_MAX_BYTES, &x->o.max_bytes));
    TRY(take_number(x, ARG_MAX_MESSAGE_SIZE, &unused));
    TRY(take_decoder_class(x, ARG_KEY_DECODER));
    TRY(take_decoder_class(x, ARG_VALUE_DECODER));
    for (int i = 0; i < ARG_COUNT; i++) {
        if (decoders[i] != DECODE_TEXT && given(x, i))
            x->o.decoder = decoders[i];
    }
    x->o.contents = given(x, ARG_PRINT) || x->o.decoder != DECODE_TEXT ||
                    given(x, ARG_KEY_DECODER) || given(x, ARG_VALUE_DECODER);
    x->o.deep = x->o.contents || given(x, ARG_DEEP);
    x->o.skip_metadata = given(x, ARG_SKIP_METADATA);
    x->o.verify_only = given(x, ARG_VERIFY_ONLY);
    x->o.sanity_only = given(x, ARG_SANITY);
    x->o.json = given(x, ARG_JSON);
    return add_files(x, words, count);
}

static void log_dump_free(struct log_dump *x)
{
    for (uint32_t i = x->first_owned; i < x->o.file_count; i++)
        free((char *)(uintptr_t)x->files[i]);
    free(x->files);
    free(x);
}

static void log_dump_done(struct op *op, int64_t status)
{
    struct log_dump *x = container_of(op, struct log_dump, done);
    struct op *parent = x->parent;

    log_dump_free(x);
    parent->done(parent, status);
}

void log_dump_run(struct cli *c, struct op *op)
{
    struct log_dump *x = calloc(1, sizeof(*x));
    int words, front = args_part(c->argc - 1, c->argv + 1, options, ARG_COUNT, &words);
    enum args_end end;

    ASSERT(x != NULL);
    x->cli = c;
    x->parent = op;
    x->output = (struct inspect_output){.out = &c->out, .err = &c->err, .flush = c->flush, .ctx = c};
    end = args_read(front, c->argv + 1, DUMP_PROGRAM, usage, options, ARG_COUNT, x->found, &c->err);
    if (end == ARGS_HELP)
        text_printf(&c->out, "%s%s", usage, help);
    if (end != ARGS_OK || take_all(x, c->argv + 1 + front, words) < 0) {
        log_dump_free(x);
        io_complete(c->io, op, end == ARGS_HELP ? 0 : 1);
        return;
    }
    op_init(&x->done, log_dump_done);
    inspect_dump(c->io, &x->o, &x->output, &x->done);
}
