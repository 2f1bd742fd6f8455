/* kafka-get-offsets.sh and `millrace offset`: where the logs of partitions begin and end. */
#include "cli/tool.h"

#include <errno.h>
#include <stdlib.h>

enum {
    GO_SERVER,
    GO_COMMAND_CONFIG,
    GO_EXCLUDE,
    GO_JSON,
    GO_LIST,
    GO_PARTITIONS,
    GO_TIME,
    GO_TOPIC,
    GO_SPECS,
    GO_OPTIONS
};

static const struct arg_option options[GO_OPTIONS] = {
    [GO_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [GO_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [GO_EXCLUDE] = {"exclude-internal-topics", .help = "Leave out Kafka's own topics, like __consumer_offsets."},
    [GO_JSON] = {"json", .help = "Print JSON."},
    [GO_LIST] = {"list", .help = NULL}, /* what `millrace offset list` says; the only thing that Kafka's tool does */
    [GO_PARTITIONS] = {"partitions", .has_value = true, .value = "N,...", .help = "Only these partitions."},
    [GO_TIME] =
        {"time", .has_value = true, .value = "TIME",
         .help =
             "latest (-1, the default), earliest (-2), max-timestamp (-3), earliest-local (-4), latest-tiered (-5), "
             "earliest-pending-upload (-6), or a timestamp in ms: the first record that is not older."},
    [GO_TOPIC] = {"topic", .has_value = true, .value = "PATTERN",
                  .help = "Only topics whose whole name fits this regular expression."},
    [GO_SPECS] = {"topic-partitions", .has_value = true, .value = "PATTERN[:P],...",
                  .help =
                      "Topics and partitions: 'a:1', 'a:0-3' (3 is out), 'a:2-', 'a:-3', 'a', ':0' (of all topics)."},
};

/* One of --topic-partitions: partitions [low, high) of topics. */
struct spec {
    struct pattern *pattern; /* NULL = all */
    int64_t low, high;
};

struct get_offsets {
    struct tool tool;
    int64_t time;
    struct spec specs[ARG_VALUES_MAX];
    uint32_t spec_count;
    struct admin_call topics;
    struct metadata_request ask_topics;
    struct list_offsets_request ask;
    struct table table;
    uint32_t chosen;
};

/* ---- words ------------------------------------------------------------------------------------ */

static int take_time(struct get_offsets *x)
{
    static const struct {
        const char *word;
        int64_t time;
    } times[] = {{"latest", -1},         {"earliest", -2},      {"max-timestamp", -3},
                 {"earliest-local", -4}, {"latest-tiered", -5}, {"earliest-pending-upload", -6}};
    struct str word = value_of(&x->tool, GO_TIME);

    x->time = -1;
    if (!given(&x->tool, GO_TIME) || str_to_i64(word, -6, INT64_MAX, &x->time) == 0)
        return 0;
    for (size_t i = 0; i < array_count(times); i++) {
        x->time = times[i].time;
        if (str_equal(word, str_of(times[i].word)))
            return 0;
    }
    return fail_set(
        &x->tool.fail, -EINVAL,
        "Malformed time argument %.*s. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or "
        "earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp",
        STR_ARG(word));
}

static int add_spec(struct get_offsets *x, struct str topic, int64_t low, int64_t high)
{
    struct spec *s = &x->specs[x->spec_count];

    if (x->spec_count == array_count(x->specs))
        return fail_set(&x->tool.fail, ERR_LIMIT, "more than %d topics and partitions are named", ARG_VALUES_MAX);
    s->low = low;
    s->high = high;
    if (topic.n > 0)
        TRY(pattern_new(topic, &s->pattern, &x->tool.fail));
    x->spec_count++;
    return 0;
}

/* "3", "0-3", "2-", "-3" */
static int take_range(struct get_offsets *x, struct str text, int64_t *low, int64_t *high)
{
    struct str rest = text, first;
    const char *dash = text.n > 0 ? memchr(text.p, '-', (size_t)text.n) : NULL;

    *low = 0;
    *high = INT32_MAX;
    if (text.n <= 0)
        return 0;
    if (dash == NULL) {
        if (str_to_i64(text, 0, INT32_MAX - 1, low) == 0) {
            *high = *low + 1;
            return 0;
        }
    } else {
        first = (struct str){text.p, (int32_t)(dash - text.p)};
        rest = (struct str){dash + 1, text.n - first.n - 1};
        if ((first.n == 0 || str_to_i64(first, 0, INT32_MAX, low) == 0) &&
            (rest.n == 0 || str_to_i64(rest, 0, INT32_MAX, high) == 0))
            return 0;
    }
    return fail_set(&x->tool.fail, -EINVAL, "Invalid partition specification: %.*s; 1, 0-3, 2- and -3 are right",
                    STR_ARG(text));
}

static int take_specs(struct get_offsets *x)
{
    struct tool *t = &x->tool;
    struct str rest = value_of(t, GO_SPECS), part;
    int64_t low, high;

    while (given(t, GO_SPECS) && str_cut(&rest, ',', &part)) {
        struct str topic;
        if (!str_cut(&part, ':', &topic))
            continue;
        TRY(take_range(x, part, &low, &high));
        TRY(add_spec(x, topic, low, high));
    }
    for (uint32_t i = 0; i < t->found[GO_TOPIC].count || (i == 0 && !given(t, GO_SPECS)); i++) {
        struct str topic = given(t, GO_TOPIC) ? t->found[GO_TOPIC].values[i] : STR("");
        rest = value_of(t, GO_PARTITIONS);
        if (!given(t, GO_PARTITIONS))
            TRY(add_spec(x, topic, 0, INT32_MAX));
        while (given(t, GO_PARTITIONS) && str_cut(&rest, ',', &part)) {
            TRY(take_range(x, str_trim(part), &low, &high));
            TRY(add_spec(x, topic, low, high));
        }
    }
    return 0;
}

static int get_offsets_check(struct tool *t)
{
    struct get_offsets *x = container_of(t, struct get_offsets, tool);

    if (given(t, GO_SPECS) && (given(t, GO_TOPIC) || given(t, GO_PARTITIONS)))
        return fail_set(&t->fail, -EINVAL, "--topic-partitions cannot be used with --topic or --partitions");
    TRY(take_time(x));
    return take_specs(x);
}

/* ---- partitions --------------------------------------------------------------------------------- */

static bool is_chosen(const struct get_offsets *x, struct str topic, int32_t partition)
{
    for (uint32_t i = 0; i < x->spec_count; i++) {
        const struct spec *s = &x->specs[i];
        if (partition >= s->low && partition < s->high && (s->pattern == NULL || pattern_matches(s->pattern, topic)))
            return true;
    }
    return false;
}

static int choose(struct get_offsets *x)
{
    const struct metadata_response *m = admin_metadata_answer(&x->topics, 0);

    list_offsets_request_init(&x->ask);
    x->ask.replica_id = -1;
    x->ask.topics = arena_take_array(&x->tool.arena, (size_t)m->topics_count + 1, sizeof(*x->ask.topics));
    ASSERT(x->ask.topics != NULL);
    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct metadata_response_topics *topic = &m->topics[i];
        struct list_offsets_request_topics *asked = &x->ask.topics[x->ask.topics_count];
        if (given(&x->tool, GO_EXCLUDE) && (topic->is_internal || topic_is_internal(topic->name)))
            continue;
        list_offsets_request_topics_init(asked);
        asked->name = topic->name;
        asked->partitions =
            arena_take_array(&x->tool.arena, (size_t)topic->partitions_count + 1, sizeof(*asked->partitions));
        ASSERT(asked->partitions != NULL);
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            if (!is_chosen(x, topic->name, p))
                continue;
            struct list_offsets_request_topics_partitions *part = &asked->partitions[asked->partitions_count++];
            list_offsets_request_topics_partitions_init(part);
            part->partition_index = p;
            part->timestamp = x->time;
            x->chosen++;
        }
        x->ask.topics_count += asked->partitions_count > 0;
    }
    if (x->chosen == 0)
        return fail_set(&x->tool.fail, -EPROTO, "Could not match any topic-partitions with the specified filters");
    return 0;
}

/* ---- what is shown --------------------------------------------------------------------------------- */

static void collect(struct get_offsets *x)
{
    static const struct column columns[] = {
        {"TOPIC", .least = 15, .grows = true, .key = "topic"},
        {"PARTITION", .least = 9, .key = "partition", .number = true},
        {"OFFSET", .key = "offset", .number = true},
    };
    struct tool *t = &x->tool;

    table_begin(&x->table, &t->arena, columns, array_count(columns));
    for (uint32_t i = 0; i < t->call.part_count; i++) {
        const struct list_offsets_response *r = admin_list_offsets_answer(&t->call, i);
        for (int32_t k = 0; r != NULL && k < r->topics_count; k++) {
            for (int32_t p = 0; p < r->topics[k].partitions_count; p++) {
                const struct list_offsets_response_topics_partitions *found = &r->topics[k].partitions[p];
                if (found->error_code != KERR_NONE)
                    text_printf(&t->cli->err, "Skip getting offsets for topic-partition %.*s-%d due to error: %s\n",
                                STR_ARG(r->topics[k].name), found->partition_index, kerr_name(found->error_code));
                else if (found->offset >= 0)
                    table_row(&x->table,
                              (struct str[]){r->topics[k].name, arena_printf(&t->arena, "%d", found->partition_index),
                                             arena_printf(&t->arena, "%lld", (long long)found->offset)});
            }
        }
    }
}

/* As Kafka's tool orders them: by the letters of "TOPIC-PARTITION". */
static int compare_rows(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int order = str_compare(x[0], y[0]);

    return order != 0 ? order : str_compare(x[1], y[1]);
}

static void print(struct get_offsets *x)
{
    struct text *out = &x->tool.cli->out;

    collect(x);
    if (given(&x->tool, GO_JSON) || x->tool.native) {
        table_sort(&x->table);
        if (given(&x->tool, GO_JSON))
            table_json(&x->table, out);
        else
            table_show(&x->table, &x->tool);
        return;
    }
    if (x->table.row_count > 0)
        qsort(x->table.cells, x->table.row_count, 3 * sizeof(struct str), compare_rows);
    table_print(&(struct table){.columns = (const struct column[]){{"TOPIC"}, {"PARTITION"}, {"OFFSET"}},
                                .column_count = 3,
                                .cells = x->table.cells,
                                .row_count = x->table.row_count},
                ":", "", false, out);
}

static void get_offsets_run(struct flow *f)
{
    struct get_offsets *x = container_of(f, struct get_offsets, tool.work);

    FLOW_BEGIN(f);
    metadata_request_init(&x->ask_topics);
    x->ask_topics.topics_count = -1;
    x->ask_topics.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "topics", admin_metadata(x->tool.admin, &x->topics, &x->ask_topics, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->topics) : choose(x);
    if (f->result == 0) {
        FLOW_WAIT(f, "offsets", admin_list_offsets(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->tool.call);
        else
            print(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

static void get_offsets_end(struct tool *t)
{
    struct get_offsets *x = container_of(t, struct get_offsets, tool);

    admin_call_release(&x->topics);
    for (uint32_t i = 0; i < x->spec_count; i++)
        pattern_free(x->specs[i].pattern);
}

static void get_offsets_complain(struct tool *t)
{
    text_printf(&t->cli->err, "Error occurred: %s\n", t->fail.text);
}

#define COMMON                                                                                                      \
    .options = options, .option_count = GO_OPTIONS, .state_bytes = sizeof(struct get_offsets), .server = GO_SERVER, \
    .controller = -1, .config = GO_COMMAND_CONFIG, .old_config = -1, .check = get_offsets_check,                    \
    .run = get_offsets_run, .end = get_offsets_end, .complain = get_offsets_complain

const struct tool_info kafka_get_offsets = {
    .program = "kafka-get-offsets.sh",
    .usage = "-b HOST:PORT [--topic PATTERN] [--partitions N,...] [--time TIME]\n"
             "-b HOST:PORT --topic-partitions PATTERN[:P],... [--time TIME]",
    .purpose = "Offsets of partitions at a time: a line TOPIC:PARTITION:OFFSET each.",
    COMMON,
};

static const struct tool_action offset_actions[] = {
    {"list", GO_LIST, "Offsets of partitions, at the end of logs or at --time."}};

const struct tool_info millrace_offset = {
    .program = "millrace offset",
    .usage = "list [TOPIC]... [--partitions N,...] [--time TIME] [--json]",
    .purpose = "Where logs end, begin, or are at a time. A TOPIC may be a regular expression. Without -b the broker on "
               "127.0.0.1:9092 is "
               "asked.",
    .actions = offset_actions,
    .action_count = array_count(offset_actions),
    .names = GO_TOPIC,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
