/* kafka-consumer-groups.sh and `millrace group`: options, checks. */
#include "cli/cgroups.h"

#include <errno.h>
#include <stdlib.h>

static const struct arg_option options[CG_OPTIONS] = {
    [CG_ALL_GROUPS] = {"all-groups", .help = "All consumer groups of the cluster."},
    [CG_ALL_TOPICS] = {"all-topics", .help = "Reset: all topics that the group has offsets of."},
    [CG_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [CG_DURATION] = {"by-duration", .has_value = true, .value = "PnDTnHnMnS",
                     .help = "Reset to the first records not older than this: PT30M, P1DT12H."},
    [CG_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [CG_DELETE] = {"delete", .help = "Delete groups that have no members, with their offsets."},
    [CG_DELETE_OFFSETS] = {"delete-offsets", .help = "Delete a group's offsets of topics that it does not consume."},
    [CG_DESCRIBE] = {"describe", .help = "Show a group's offsets and lag, its members, or its state."},
    [CG_DRY_RUN] = {"dry-run", .help = "Reset: only show what would be."},
    [CG_EXECUTE] = {"execute", .help = "Reset: do it. The group must have no members."},
    [CG_EXPORT] = {"export", .help = "Reset: print CSV, for --from-file."},
    [CG_FILE] = {"from-file", .has_value = true, .value = "FILE",
                 .help = "Reset to the offsets in a CSV file: topic,partition,offset, or with "
                         "the group before them."},
    [CG_GROUP] = {"group", .has_value = true, .value = "GROUP", .help = "The group; may be repeated."},
    [CG_JSON] = {"json", .help = "List, describe and reset as JSON."},
    [CG_LIST] = {"list", .help = "Print the names of consumer groups."},
    [CG_MEMBERS] = {"members", .help = "Describe members; with --verbose what each is assigned."},
    [CG_OFFSETS] =
        {"offsets",
         .help = "Describe offsets: where the group is, where logs end, and what lies between (lag). The default."},
    [CG_RESET] =
        {"reset-offsets",
         .help =
             "Move a group's offsets. One scope (--topic, --all-topics, --from-file) and one target are to be named."},
    [CG_SHIFT] = {"shift-by", .has_value = true, .value = "N",
                  .help = "Reset by so many records forward, or back where negative."},
    [CG_STATE] = {"state", .has_value = true, .may_lack_value = true, .value = "STATE,...",
                  .help = "Describe the state; with --list show states, or only groups in these."},
    [CG_TIMEOUT] = {"timeout", .has_value = true, .value = "MS",
                    .help = "How long a call may take, repetitions included (30000)."},
    [CG_CURRENT] = {"to-current", .help = "Reset to where the group is; to the end where it has no offset."},
    [CG_DATETIME] =
        {"to-datetime", .has_value = true, .value = "TIME",
         .help =
             "Reset to the first records from then on: YYYY-MM-DDThh:mm:ss.sss, UTC, or with Z or +hh:mm behind it."},
    [CG_EARLIEST] = {"to-earliest", .help = "Reset to the beginning of logs."},
    [CG_LATEST] = {"to-latest", .help = "Reset to the end of logs."},
    [CG_OFFSET] = {"to-offset", .has_value = true, .value = "N",
                   .help = "Reset to this offset, or the nearest that there is."},
    [CG_TOPIC] = {"topic", .has_value = true, .value = "TOPIC[:P,...]",
                  .help = "Reset, delete offsets: the topic, or some of its partitions; may be repeated."},
    [CG_TYPE] = {"type", .has_value = true, .may_lack_value = true, .value = "TYPE,...",
                 .help = "List: show types (classic, consumer), or only groups of these."},
    [CG_VERBOSE] = {"verbose", .help = "Describe more."},
};

static const int actions[] = {CG_LIST, CG_DESCRIBE, CG_DELETE, CG_RESET, CG_DELETE_OFFSETS, -1};
enum { FOR_LIST = 1, FOR_DESCRIBE = 2, FOR_DELETE = 4, FOR_RESET = 8, FOR_DELETE_OFFSETS = 16 };

static const struct option_rule rules[] = {
    {CG_GROUP, FOR_DESCRIBE | FOR_DELETE | FOR_RESET | FOR_DELETE_OFFSETS},
    {CG_ALL_GROUPS, FOR_DESCRIBE | FOR_DELETE | FOR_RESET},
    {CG_TOPIC, FOR_RESET | FOR_DELETE_OFFSETS | FOR_DELETE},
    {CG_ALL_TOPICS, FOR_RESET},
    {CG_MEMBERS, FOR_DESCRIBE},
    {CG_OFFSETS, FOR_DESCRIBE},
    {CG_STATE, FOR_DESCRIBE | FOR_LIST},
    {CG_TYPE, FOR_LIST},
    {CG_VERBOSE, FOR_DESCRIBE},
    {CG_DRY_RUN, FOR_RESET},
    {CG_EXECUTE, FOR_RESET},
    {CG_EXPORT, FOR_RESET},
    {CG_FILE, FOR_RESET},
    {CG_SHIFT, FOR_RESET},
    {CG_DURATION, FOR_RESET},
    {CG_CURRENT, FOR_RESET},
    {CG_DATETIME, FOR_RESET},
    {CG_EARLIEST, FOR_RESET},
    {CG_LATEST, FOR_RESET},
    {CG_OFFSET, FOR_RESET},
    {CG_JSON, FOR_LIST | FOR_DESCRIBE | FOR_RESET},
};

static const int targets[] = {CG_OFFSET, CG_SHIFT,   CG_DATETIME, CG_DURATION, CG_EARLIEST,
                              CG_LATEST, CG_CURRENT, CG_FILE,     -1};

static int check_reset(struct cgroups *x)
{
    struct tool *t = &x->tool;
    int target = only_one(t, targets);

    if (given(t, CG_JSON) && given(t, CG_EXPORT))
        return wrong_words(t, "Option [reset-offsets] only accepts one of [json], [export]");
    if (given(t, CG_DRY_RUN) && given(t, CG_EXECUTE))
        return wrong_words(t, "Option [reset-offsets] only accepts one of [dry-run], [execute]");
    if (!given(t, CG_DRY_RUN) && !given(t, CG_EXECUTE) && !t->native)
        text_printf(
            &t->cli->err,
            "WARN: No action will be performed as the --execute option is missing. Say --dry-run in scripts: a later "
            "version of Kafka's tool wants one of the two.\n");
    if (target < 0)
        return wrong_words(t, "Option '[reset-offsets]' requires one of the following scenarios: [[shift-by], "
                              "[to-offset], [to-earliest], "
                              "[to-current], [to-latest], [by-duration], [to-datetime], [from-file]]");
    if (given(t, CG_TOPIC) && given(t, CG_ALL_TOPICS))
        return wrong_words(t, "Option \"[all-topics]\" can't be used with option \"[topic]\"");
    if (target != CG_FILE && !given(t, CG_TOPIC) && !given(t, CG_ALL_TOPICS))
        return wrong_words(t, "One of the reset scopes should be defined: --all-topics, --topic.");
    if (target == CG_OFFSET)
        return number_of(t, CG_OFFSET, 0, INT64_MAX, &x->number);
    if (target == CG_SHIFT)
        return number_of(t, CG_SHIFT, INT64_MIN, INT64_MAX, &x->number);
    if (target == CG_DATETIME)
        return datetime_ms(value_of(t, CG_DATETIME), &x->number, &t->fail);
    if (target == CG_DURATION)
        return duration_ms(value_of(t, CG_DURATION), &x->number, &t->fail);
    return 0;
}

static int check_groups(struct cgroups *x)
{
    struct tool *t = &x->tool;

    if (given(t, CG_GROUP) == given(t, CG_ALL_GROUPS))
        return wrong_words(t, "Option [%s] takes one of these options: [all-groups], [group]",
                           t->info->options[x->action].name);
    if (x->action == CG_DELETE && given(t, CG_TOPIC))
        return wrong_words(t, "The consumer does not support topic-specific offset deletion from a consumer group; "
                              "--delete-offsets does");
    return 0;
}

static int check_names(struct tool *t, int option, const char *what, const char *const *names)
{
    struct str rest = value_of(t, option), part, known = STR("");

    while (str_cut(&rest, ',', &part)) {
        bool found = false;
        known = STR("");
        for (int i = 0; names[i] != NULL; i++) {
            found |= str_equal_nocase(str_trim(part), str_of(names[i]));
            known = arena_printf(&t->arena, "%.*s%s%s", STR_ARG(known), i == 0 ? "" : ", ", names[i]);
        }
        if (!found)
            return wrong_words(t, "Invalid %s list '%.*s'. Valid %ss are: %.*s", what, STR_ARG(value_of(t, option)),
                               what, STR_ARG(known));
    }
    return 0;
}

static int cgroups_check(struct tool *t)
{
    static const int views[] = {CG_MEMBERS, CG_OFFSETS, CG_STATE, -1};
    static const char *const states[] = {
        "Empty", "Stable", "Dead", "CompletingRebalance", "PreparingRebalance", "Assigning", "Reconciling", NULL};
    static const char *const types[] = {"Classic", "Consumer", NULL};
    struct cgroups *x = container_of(t, struct cgroups, tool);

    x->action = only_one(t, actions);
    if (x->action < 0)
        return wrong_words(
            t,
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets");
    TRY(check_rules(t, actions, x->action, rules, array_count(rules)));
    if (given(t, CG_TIMEOUT))
        TRY(number_of(t, CG_TIMEOUT, 1, INT32_MAX, &x->timeout_ms));
    if (x->action == CG_LIST) {
        TRY(check_names(t, CG_STATE, "state", states));
        return check_names(t, CG_TYPE, "type", types);
    }
    if (x->action == CG_DESCRIBE && (given(t, CG_MEMBERS) || given(t, CG_OFFSETS) || given(t, CG_STATE)) &&
        only_one(t, views) < 0)
        return wrong_words(t, "Option [describe] takes at most one of these options: [members], [offsets], [state]");
    if (x->action == CG_DELETE_OFFSETS) {
        TRY(needs(t, CG_GROUP));
        TRY(needs(t, CG_TOPIC));
        if (t->found[CG_GROUP].count > 1)
            return wrong_words(t, "--delete-offsets takes one group");
        return 0;
    }
    TRY(check_groups(x));
    return x->action == CG_RESET ? check_reset(x) : 0;
}

/* ---- the tool ----------------------------------------------------------------------------------------- */

static void cgroups_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);
    struct admin_call *const calls[] = {&x->list,   &x->modern, &x->classic, &x->offsets,
                                        &x->starts, &x->ends,   &x->topics,  &x->tool.call};

    for (size_t i = 0; i < array_count(calls); i++)
        calls[i]->timeout_ms = x->timeout_ms > 0 ? x->timeout_ms : 30000; /* the tool's own, not the client's */
    switch (x->action) {
    case CG_LIST:
        f->run = cgroups_list_run;
        break;
    case CG_DESCRIBE:
        f->run = cgroups_describe_run;
        break;
    case CG_DELETE:
        f->run = cgroups_delete_run;
        break;
    case CG_RESET:
        f->run = cgroups_reset_run;
        break;
    default:
        f->run = cgroups_delete_offsets_run;
        break;
    }
    f->run(f);
}

static void cgroups_end(struct tool *t)
{
    struct cgroups *x = container_of(t, struct cgroups, tool);

    admin_call_release(&x->list);
    admin_call_release(&x->modern);
    admin_call_release(&x->classic);
    admin_call_release(&x->offsets);
    admin_call_release(&x->starts);
    admin_call_release(&x->ends);
    admin_call_release(&x->topics);
    text_deinit(&x->file);
    free(x->file_path);
}

/* Kafka's tool ends with 0 here, whatever has happened. */
static void cgroups_complain(struct tool *t)
{
    text_printf(&t->cli->out, "\nError: Executing consumer group command failed due to %s\n", t->fail.text);
    t->status = t->admin == NULL ? 1 : 0;
}

#define COMMON                                                                                                   \
    .options = options, .option_count = CG_OPTIONS, .state_bytes = sizeof(struct cgroups), .server = CG_SERVER,  \
    .controller = -1, .config = CG_COMMAND_CONFIG, .old_config = -1, .check = cgroups_check, .run = cgroups_run, \
    .end = cgroups_end, .complain = cgroups_complain

const struct tool_info kafka_consumer_groups = {
    .program = "kafka-consumer-groups.sh",
    .usage = "-b HOST:PORT --list [--state [STATE,...]] [--type [TYPE,...]]\n"
             "-b HOST:PORT --describe GROUPS [--offsets | --members | --state] [--verbose]\n"
             "-b HOST:PORT --reset-offsets GROUPS SCOPE TARGET (--dry-run | --execute) [--export]\n"
             "-b HOST:PORT --delete GROUPS\n"
             "-b HOST:PORT --delete-offsets --group GROUP --topic TOPIC",
    .purpose = "Consumer groups: what there is, how far each is, and moving or deleting its offsets. GROUPS are "
               "--group GROUP, as "
               "often as wanted, or --all-groups.",
    COMMON,
};

static const struct tool_action group_actions[] = {
    {"list", CG_LIST, "Consumer groups with type and state."},
    {"describe", CG_DESCRIBE, "Offsets and lag; --members, --state."},
    {"reset", CG_RESET, "Move offsets; shows what would be, until --execute is said."},
    {"delete", CG_DELETE, "Groups without members go, with their offsets."},
    {"delete-offsets", CG_DELETE_OFFSETS, "A group's offsets of --topic go."},
};

const struct tool_info millrace_group = {
    .program = "millrace group",
    .usage = "ACTION [GROUP]... [OPTION]...",
    .purpose = "Consumer groups. Without -b the broker on 127.0.0.1:9092 is asked.",
    .actions = group_actions,
    .action_count = array_count(group_actions),
    .names = CG_GROUP,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
