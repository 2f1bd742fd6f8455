/* kafka-leader-election.sh: leaders are elected because somebody asks for it. */
#include "cli/placements.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (16 << 20)
#define TIMEOUT_MS 30000

enum {
    LE_ADMIN_CONFIG,
    LE_ALL,
    LE_SERVER,
    LE_COMMAND_CONFIG,
    LE_TYPE,
    LE_PARTITION,
    LE_FILE,
    LE_TOPIC,
    LE_OPTIONS,
};

static const struct arg_option options[LE_OPTIONS] = {
    [LE_ADMIN_CONFIG] = {"admin.config", .has_value = true, .value = "FILE",
                         .help = "The old name of --command-config."},
    [LE_ALL] = {"all-topic-partitions", .help = "All partitions for which such an election makes sense."},
    [LE_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [LE_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [LE_TYPE] = {"election-type", .has_value = true, .value = "preferred|unclean",
                 .help = "preferred: the first of the replicas is to lead, when it is in sync. "
                         "unclean: where nobody leads, "
                         "a replica that lives, whatever it has; acknowledged records may be lost."},
    [LE_PARTITION] = {"partition", .has_value = true, .value = "N", .help = "With --topic: its partition."},
    [LE_FILE] = {"path-to-json-file", .has_value = true, .value = "FILE",
                 .help = "Which partitions: {\"partitions\": [{\"topic\": \"orders\", \"partition\": 0}]}"},
    [LE_TOPIC] = {"topic", .has_value = true, .value = "NAME", .help = "The topic of one partition."},
};

/* ElectLeaders' types, and their names in what is printed. */
enum { PREFERRED, UNCLEAN };
static const char *const type_names[] = {[PREFERRED] = "PREFERRED", [UNCLEAN] = "UNCLEAN"};

struct election {
    struct tool tool;
    struct text file;
    char *path;
    struct placements asked, done, valid;
    struct elect_leaders_request ask;
    uint32_t failed;
};

static int take_type(struct election *x)
{
    struct str type = value_of(&x->tool, LE_TYPE);

    if (str_equal_nocase(type, STR("preferred")))
        x->ask.election_type = PREFERRED;
    else if (str_equal_nocase(type, STR("unclean")))
        x->ask.election_type = UNCLEAN;
    else
        return wrong_words(&x->tool, "--election-type %.*s: preferred or unclean is expected", STR_ARG(type));
    return 0;
}

static int election_check(struct tool *t)
{
    static const int whose[] = {LE_TOPIC, LE_ALL, LE_FILE, -1};
    struct election *x = container_of(t, struct election, tool);
    int64_t partition;

    elect_leaders_request_init(&x->ask);
    x->ask.timeout_ms = TIMEOUT_MS;
    x->ask.topic_partitions_count = -1;
    x->asked.arena = x->done.arena = x->valid.arena = &t->arena;
    TRY(one_spelling(t, LE_COMMAND_CONFIG, LE_ADMIN_CONFIG));
    if (!given(t, LE_SERVER) || !given(t, LE_TYPE))
        return fail_set(&t->fail, -EINVAL, "Missing required option(s): %s%s%s",
                        given(t, LE_SERVER) ? "" : "bootstrap-server",
                        given(t, LE_SERVER) || given(t, LE_TYPE) ? "" : ", ", given(t, LE_TYPE) ? "" : "election-type");
    TRY(take_type(x));
    if (only_one(t, whose) < 0)
        return fail_set(&t->fail, -EINVAL,
                        "One and only one of the following options is required: topic, "
                        "all-topic-partitions, path-to-json-file");
    if (given(t, LE_TOPIC) && !given(t, LE_PARTITION))
        return fail_set(&t->fail, -EINVAL, "Missing required option(s): partition");
    if (!given(t, LE_TOPIC) && given(t, LE_PARTITION))
        return fail_set(&t->fail, -EINVAL, "Option partition is only allowed if topic is used");
    if (given(t, LE_TOPIC)) {
        TRY(number_of(t, LE_PARTITION, 0, INT32_MAX, &partition));
        placements_add(&x->asked, value_of(t, LE_TOPIC), (int32_t)partition);
    }
    return 0;
}

static int read_file(struct election *x)
{
    TRY(placements_read(&x->asked, text_str(&x->file), false, &x->tool.fail));
    placements_sort(&x->asked);
    const struct placement *twice = placements_twice(&x->asked);
    if (twice == NULL)
        return 0;
    return fail_set(&x->tool.fail, -EINVAL, "Replica election data contains duplicate partitions: [%.*s-%d]",
                    STR_ARG(twice->topic), twice->partition);
}

/* ---- the answer -------------------------------------------------------------------------------
 */

static void sort_answer(struct election *x, const struct elect_leaders_response *r, struct text *failed)
{
    const char *type = type_names[x->ask.election_type];

    for (int32_t t = 0; t < r->replica_election_results_count; t++) {
        const struct elect_leaders_response_replica_election_results *topic = &r->replica_election_results[t];
        for (int32_t i = 0; i < topic->partition_result_count; i++) {
            const struct elect_leaders_response_replica_election_results_partition_result *p =
                &topic->partition_result[i];
            struct str words = answer_words(p->error_code, p->error_message);
            if (p->error_code == KERR_NONE) {
                placements_add(&x->done, topic->topic, p->partition_id);
            } else if (p->error_code == KERR_ELECTION_NOT_NEEDED) {
                placements_add(&x->valid, topic->topic, p->partition_id);
            } else {
                text_printf(failed, "Error completing leader election (%s) for partition: %.*s-%d: %.*s\n", type,
                            STR_ARG(topic->topic), p->partition_id, STR_ARG(words));
                x->failed++;
            }
        }
    }
}

static int print(struct election *x)
{
    const struct elect_leaders_response *r = admin_elect_leaders_answer(&x->tool.call, 0);
    struct text *out = &x->tool.cli->out, failed = {0};

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, STR_NULL);
    sort_answer(x, r, &failed);
    placements_sort(&x->done);
    placements_sort(&x->valid);
    if (x->done.count > 0)
        text_printf(out, "Successfully completed leader election (%s) for partitions %.*s\n",
                    type_names[x->ask.election_type], STR_ARG(placements_names(&x->done, ", ")));
    if (x->valid.count > 0)
        text_printf(out, "Valid replica already elected for partitions %.*s\n",
                    STR_ARG(placements_names(&x->valid, ", ")));
    text_add_str(out, text_str(&failed));
    text_deinit(&failed);
    return x->failed == 0 ? 0 : fail_set(&x->tool.fail, -EPROTO, "%u replica(s) could not be elected", x->failed);
}

static void election_run(struct flow *f)
{
    struct election *x = container_of(f, struct election, tool.work);

    FLOW_BEGIN(f);
    if (given(&x->tool, LE_FILE)) {
        x->path = str_dup(value_of(&x->tool, LE_FILE));
        FLOW_WAIT(f, "file", file_read_all(x->tool.io, x->path, FILE_BYTES_MAX, &x->file, &f->op));
        if (f->result < 0)
            fail_set(&x->tool.fail, (int)f->result, "Unable to read file %s: %s", x->path, error_text((int)f->result));
        else
            f->result = read_file(x);
        if (f->result < 0) {
            flow_done(f, f->result);
            return;
        }
    }
    if (!given(&x->tool, LE_ALL))
        placements_elect(&x->asked, &x->ask);
    FLOW_WAIT(f, "elect", admin_elect_leaders(x->tool.admin, &x->tool.call, &x->ask, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : print(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

static void election_end(struct tool *t)
{
    struct election *x = container_of(t, struct election, tool);

    text_deinit(&x->file);
    free(x->path);
}

const struct tool_info kafka_leader_election = {
    .program = "kafka-leader-election.sh",
    .usage = "-b HOST:PORT --election-type preferred|unclean --topic NAME --partition N\n"
             "-b HOST:PORT --election-type preferred|unclean --path-to-json-file FILE\n"
             "-b HOST:PORT --election-type preferred|unclean --all-topic-partitions",
    .purpose = "Elect leaders of partitions: the preferred ones after a broker has come back, or "
               "any that lives where all "
               "replicas in sync are lost.",
    .options = options,
    .option_count = LE_OPTIONS,
    .state_bytes = sizeof(struct election),
    .server = LE_SERVER,
    .controller = -1,
    .config = LE_COMMAND_CONFIG,
    .old_config = LE_ADMIN_CONFIG,
    .offline = true, /* what is missing, it says itself */
    .check = election_check,
    .run = election_run,
    .end = election_end,
};
