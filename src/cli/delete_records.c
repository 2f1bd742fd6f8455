/* kafka-delete-records.sh: partitions begin later. */
#include "cli/json.h"
#include "cli/tool.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (16 << 20)
#define TIMEOUT_MS 60000

enum { DR_SERVER, DR_COMMAND_CONFIG, DR_FILE, DR_OPTIONS };

static const struct arg_option options[DR_OPTIONS] = {
    [DR_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [DR_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [DR_FILE] =
        {"offset-json-file", .has_value = true, .value = "FILE",
         .help = "Which records go: those below `offset`; -1 is all of them. {\"partitions\": [{\"topic\": \"orders\", "
                 "\"partition\": 0, \"offset\": 1000}], \"version\": 1}"},
};

/* A line of the file. */
struct cut {
    struct str topic;
    int32_t partition;
    int64_t offset;
};

struct delete_records {
    struct tool tool;
    struct text file;
    char *path;
    struct cut *cuts;
    uint32_t count, capacity;
    struct delete_records_request ask;
};

static int delete_records_check(struct tool *t)
{
    return needs(t, DR_FILE);
}

/* ---- the file --------------------------------------------------------------------------------- */

static void add_cut(struct delete_records *x, struct cut cut)
{
    if (x->count == x->capacity) {
        x->capacity = x->capacity == 0 ? 16 : 2 * x->capacity;
        x->cuts = realloc(x->cuts, x->capacity * sizeof(*x->cuts));
        ASSERT(x->cuts != NULL);
    }
    x->cuts[x->count++] = cut;
}

static void read_cut(struct delete_records *x, struct json *j)
{
    struct cut cut = {.topic = STR_NULL, .offset = -2};
    int64_t partition = -1;
    bool first = true;

    if (!json_enter(j, '{'))
        return;
    while (json_next(j, '}', &first)) {
        struct str name = json_name(j);
        if (str_equal(name, STR("topic")))
            cut.topic = json_string(j);
        else if (str_equal(name, STR("partition")))
            partition = json_number(j);
        else if (str_equal(name, STR("offset")))
            cut.offset = json_number(j);
        else
            json_skip(j);
    }
    if (str_is_null(cut.topic) || partition < 0 || partition > INT32_MAX || cut.offset < -1)
        j->wrong = true;
    cut.partition = (int32_t)partition;
    add_cut(x, cut);
}

static int read_file(struct delete_records *x)
{
    struct json j;
    bool first = true, first_cut = true;

    json_begin(&j, text_str(&x->file));
    if (json_enter(&j, '{')) {
        while (json_next(&j, '}', &first)) {
            struct str name = json_name(&j);
            if (!str_equal(name, STR("partitions")))
                json_skip(&j);
            else if (json_enter(&j, '['))
                while (json_next(&j, ']', &first_cut))
                    read_cut(x, &j);
        }
    }
    if (!json_end(&j))
        return fail_set(&x->tool.fail, -EINVAL,
                        "The input string is not a valid JSON of partitions: %s, byte %d. Expected is {\"partitions\": "
                        "[{\"topic\": "
                        "\"orders\", \"partition\": 0, \"offset\": 1000}]}",
                        x->path, j.at);
    return 0;
}

static int compare_cuts(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int make_ask(struct delete_records *x)
{
    if (x->count > 0)
        qsort(x->cuts, x->count, sizeof(*x->cuts), compare_cuts);
    delete_records_request_init(&x->ask);
    x->ask.timeout_ms = TIMEOUT_MS;
    x->ask.topics = arena_take_array(&x->tool.arena, x->count + 1, sizeof(*x->ask.topics));
    ASSERT(x->ask.topics != NULL);
    for (uint32_t i = 0; i < x->count; i++) {
        const struct cut *c = &x->cuts[i];
        struct delete_records_request_topics *topic = &x->ask.topics[x->ask.topics_count];
        if (i > 0 && compare_cuts(c, c - 1) == 0)
            return fail_set(&x->tool.fail, -EINVAL, "Offset json file contains duplicate topic partitions: %.*s-%d",
                            STR_ARG(c->topic), c->partition);
        if (i > 0 && str_equal(c->topic, c[-1].topic)) {
            topic--;
        } else {
            delete_records_request_topics_init(topic);
            topic->name = c->topic;
            topic->partitions = arena_take_array(&x->tool.arena, x->count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
            x->ask.topics_count++;
        }
        struct delete_records_request_topics_partitions *p = &topic->partitions[topic->partitions_count++];
        delete_records_request_topics_partitions_init(p);
        p->partition_index = c->partition;
        p->offset = c->offset;
    }
    return 0;
}

/* ---- the flow ------------------------------------------------------------------------------------- */

static void print(struct delete_records *x)
{
    struct text *out = &x->tool.cli->out;

    text_printf(out, "Records delete operation completed:\n");
    for (uint32_t i = 0; i < x->tool.call.part_count; i++) {
        const struct delete_records_response *r = admin_delete_records_answer(&x->tool.call, i);
        for (int32_t k = 0; r != NULL && k < r->topics_count; k++) {
            for (int32_t p = 0; p < r->topics[k].partitions_count; p++) {
                const struct delete_records_response_topics_partitions *done = &r->topics[k].partitions[p];
                struct str words = answer_words(done->error_code, STR_NULL);
                text_printf(out, "partition: %.*s-%d\t", STR_ARG(r->topics[k].name), done->partition_index);
                if (done->error_code == KERR_NONE)
                    text_printf(out, "low_watermark: %lld\n", (long long)done->low_watermark);
                else
                    text_printf(out, "error: %.*s\n", STR_ARG(words));
            }
        }
    }
}

static void delete_records_run(struct flow *f)
{
    struct delete_records *x = container_of(f, struct delete_records, tool.work);

    FLOW_BEGIN(f);
    x->path = str_dup(value_of(&x->tool, DR_FILE));
    FLOW_WAIT(f, "file", file_read_all(x->tool.io, x->path, FILE_BYTES_MAX, &x->file, &f->op));
    if (f->result < 0)
        fail_set(&x->tool.fail, (int)f->result, "Unable to read file %s: %s", x->path, error_text((int)f->result));
    else
        f->result = read_file(x);
    if (f->result >= 0 && (f->result = make_ask(x)) == 0) {
        text_printf(&x->tool.cli->out, "Executing records delete operation\n");
        FLOW_WAIT(f, "delete", admin_delete_records(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->tool.call);
        else
            print(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

static void delete_records_end(struct tool *t)
{
    struct delete_records *x = container_of(t, struct delete_records, tool);

    text_deinit(&x->file);
    free(x->path);
    free(x->cuts);
}

const struct tool_info kafka_delete_records = {
    .program = "kafka-delete-records.sh",
    .usage = "-b HOST:PORT --offset-json-file FILE",
    .purpose = "Delete the oldest records of partitions, below an offset each.",
    .options = options,
    .option_count = DR_OPTIONS,
    .state_bytes = sizeof(struct delete_records),
    .server = DR_SERVER,
    .controller = -1,
    .config = DR_COMMAND_CONFIG,
    .old_config = -1,
    .check = delete_records_check,
    .run = delete_records_run,
    .end = delete_records_end,
};
