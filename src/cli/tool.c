/* The life of a tool that asks a cluster. */
#include "cli/tool.h"

#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1 << 20)

/* Kafka's tools try for a minute to reach a broker that is not there; who waits for an answer knows sooner. */
#define UNREACHABLE_MS 10000

/* Where `millrace NAME` looks for a broker when it is told nothing: where `millrace server` is by default. */
#define SERVER_DEFAULT "127.0.0.1:9092"

/* ---- words ------------------------------------------------------------------------------------ */

int wrong_words(struct tool *t, const char *format, ...)
{
    va_list args;

    t->usage_is_wrong = true;
    va_start(args, format);
    vsnprintf(t->fail.text, sizeof(t->fail.text), format, args);
    va_end(args);
    return t->fail.error = -EINVAL;
}

int number_of(struct tool *t, int option, int64_t low, int64_t high, int64_t *out)
{
    if (str_to_i64(value_of(t, option), low, high, out) == 0)
        return 0;
    return wrong_words(t, "--%s %.*s: a number from %lld to %lld is expected", t->info->options[option].name,
                       STR_ARG(value_of(t, option)), (long long)low, (long long)high);
}

int check_rules(struct tool *t, const int *actions, int action, const struct option_rule *rules, uint32_t count)
{
    uint32_t bit = 0;

    while (actions[bit] != action)
        bit++;
    for (uint32_t i = 0; i < count; i++) {
        if (given(t, rules[i].option) && (rules[i].actions >> bit & 1) == 0)
            return wrong_words(t, "Option \"[%s]\" can't be used with option \"[%s]\"",
                               t->info->options[rules[i].option].name, t->info->options[action].name);
    }
    return 0;
}

int needs(struct tool *t, int option)
{
    if (given(t, option))
        return 0;
    return wrong_words(t, "Missing required argument \"[%s]\"", t->info->options[option].name);
}

int one_spelling(struct tool *t, int option, int old_option)
{
    const char *old_name = t->info->options[old_option].name, *name = t->info->options[option].name;

    if (!given(t, old_option))
        return 0;
    if (given(t, option))
        return wrong_words(t, "Options --%s and --%s cannot be specified together.", old_name, name);
    text_printf(&t->cli->err, "Option --%s is deprecated and will be removed in a future version. Use --%s instead.\n",
                old_name, name);
    return 0;
}

int only_one(const struct tool *t, const int *options)
{
    int found = -1;

    for (int i = 0; options[i] >= 0; i++) {
        if (!given(t, options[i]))
            continue;
        if (found >= 0)
            return -1;
        found = options[i];
    }
    return found;
}

struct str names_of(struct tool *t, const int *options)
{
    struct str s = STR("");

    for (int i = 0; options[i] >= 0; i++)
        s = arena_printf(&t->arena, "%.*s%s--%s", STR_ARG(s), i == 0 ? "" : ", ", t->info->options[options[i]].name);
    return s;
}

static void pause_over(struct io_timer *timer)
{
    struct tool *t = container_of(timer, struct tool, pause);

    t->paused->done(t->paused, 0);
}

void tool_pause(struct tool *t, int64_t ms, struct op *op)
{
    t->paused = op;
    io_timer_set(t->io, &t->pause, io_now_ns(t->io) + ms * 1000000, pause_over);
}

/* ---- what went wrong ------------------------------------------------------------------------------ */

int call_trouble(struct tool *t, const struct admin_call *call)
{
    t->fail = call->fail;
    return t->fail.error;
}

/* Words for answers that carry none. */
static const char *words_of(int16_t error)
{
    switch (error) {
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
        return "UNKNOWN_TOPIC_OR_PARTITION: there is no such topic or partition";
    case KERR_LEADER_NOT_AVAILABLE:
        return "LEADER_NOT_AVAILABLE: nobody leads the partition now";
    case KERR_OFFSET_OUT_OF_RANGE:
        return "OFFSET_OUT_OF_RANGE: the log does not reach so far";
    case KERR_GROUP_ID_NOT_FOUND:
        return "GROUP_ID_NOT_FOUND: there is no such group";
    case KERR_NON_EMPTY_GROUP:
        return "NON_EMPTY_GROUP: the group has members";
    case KERR_GROUP_SUBSCRIBED_TO_TOPIC:
        return "GROUP_SUBSCRIBED_TO_TOPIC: the group consumes the topic, so its offsets stay";
    case KERR_UNKNOWN_MEMBER_ID:
        return "UNKNOWN_MEMBER_ID: the group has members now, whose offsets these are";
    case KERR_REQUEST_TIMED_OUT:
        return "REQUEST_TIMED_OUT: it may have been done or not";
    default:
        return kerr_name(error);
    }
}

struct str answer_words(int16_t error, struct str message)
{
    return message.n > 0 ? message : str_of(words_of(error));
}

int answer_fails(struct tool *t, int16_t error, struct str message)
{
    struct str words = answer_words(error, message);

    return fail_set(&t->fail, -EPROTO, "%.*s", STR_ARG(words));
}

void tool_complain(struct tool *t)
{
    text_printf(&t->cli->err, "%s%s%s\n", t->native ? t->info->program : "", t->native ? ": " : "", t->fail.text);
}

static void complain(struct tool *t)
{
    t->status = 1;
    if (t->usage_is_wrong)
        text_printf(&t->cli->err, "%s: %s\n`%s --help` says more.\n", t->info->program, t->fail.text, t->info->program);
    else if (t->info->complain != NULL && !t->native)
        t->info->complain(t);
    else
        tool_complain(t);
}

/* ---- the flow ------------------------------------------------------------------------------------------- */

static int connect_admin(struct tool *t)
{
    struct admin_options options;

    TRY(admin_options_read(t->config, &options, &t->fail));
    if (options.unreachable_ms > UNREACHABLE_MS)
        options.unreachable_ms = UNREACHABLE_MS;
    t->admin = admin_new(t->io, t->telemetry, &options, &t->fail);
    return t->admin == NULL ? t->fail.error : 0;
}

static bool wants_cluster(const struct tool *t)
{
    return (t->info->server >= 0 && given(t, t->info->server)) ||
           (t->info->controller >= 0 && given(t, t->info->controller)) || !t->info->offline;
}

static void tool_ended(struct tool *t)
{
    struct op *parent = t->parent;
    int64_t status = t->status;

    t->cli->interrupt = NULL;
    if (t->info->end != NULL)
        t->info->end(t);
    telemetry_free(t->telemetry);
    config_free(t->config);
    text_deinit(&t->file);
    arena_deinit(&t->arena);
    free(t->path);
    free(t);
    parent->done(parent, status);
}

static void tool_flow(struct flow *f)
{
    struct tool *t = container_of(f, struct tool, flow);

    FLOW_BEGIN(f);
    t->config = config_new(t->info->settings == NULL ? &admin_settings : t->info->settings);
    t->telemetry = telemetry_new(NULL);
    t->path = str_dup(tool_config_path(t));
    if (t->path != NULL) {
        FLOW_WAIT(f, "settings", file_read_all(t->io, t->path, FILE_BYTES_MAX, &t->file, &f->op));
        if (f->result < 0) {
            fail_set(&t->fail, (int)f->result, "Unable to read file %s: %s", t->path, error_text((int)f->result));
            goto failed;
        }
    } else {
        FLOW_WAIT(f, "start", io_yield(t->io, &f->op));
    }
    if (tool_settings_take(t) < 0 || (t->info->settings == NULL && wants_cluster(t) && connect_admin(t) < 0))
        goto failed;
    if (t->info->streams && t->cli->flush != NULL) /* what was said of the words is not for the end */
        (void)t->cli->flush(t->cli);
    FLOW_WAIT(f, "work", flow_start(&t->work, t->info->run, &f->op));
    t->status = f->result;
    if (t->status < 0)
        complain(t);
    admin_call_release(&t->call);
    if (t->admin != NULL)
        FLOW_WAIT(f, "close", admin_close(t->admin, &f->op));
    FLOW_END(f);
    tool_ended(t);
    return;
failed:
    t->usage_is_wrong = true;
    complain(t);
    tool_ended(t);
}

static void give(struct tool *t, int option, struct str value)
{
    struct arg_found *found = &t->found[option];

    if (found->count < ARG_VALUES_MAX)
        found->values[found->count++] = value;
}

/* `millrace NAME ACTION NAME...` in the words of Kafka's tool. */
static int take_action(struct tool *t)
{
    const struct tool_info *info = t->info;
    struct str known = STR("");

    t->native = true;
    if (!given(t, info->server) && (info->controller < 0 || !given(t, info->controller)))
        give(t, info->server, STR(SERVER_DEFAULT));
    for (uint32_t i = 0; i < info->action_count; i++) {
        known = arena_printf(&t->arena, "%.*s%s%s", STR_ARG(known), i == 0 ? "" : ", ", info->actions[i].word);
        if (t->word_count == 0 || !str_equal(t->words[0], str_of(info->actions[i].word)))
            continue;
        give(t, info->actions[i].option, STR(""));
        if (t->word_count > 1 && info->names < 0)
            return wrong_words(t, "%s takes no names", info->actions[i].word);
        for (uint32_t w = 1; w < t->word_count; w++)
            give(t, info->names, t->words[w]);
        return 0;
    }
    if (t->word_count == 0)
        return wrong_words(t, "say what to do: %.*s", STR_ARG(known));
    return wrong_words(t, "there is no \"%.*s\" here, but %.*s", STR_ARG(t->words[0]), STR_ARG(known));
}

/* `millrace NAME NAME...`: likewise, where there is one thing to do. */
static void take_names(struct tool *t)
{
    t->native = true;
    if (!given(t, t->info->server))
        give(t, t->info->server, STR(SERVER_DEFAULT));
    for (uint32_t w = 0; w < t->word_count; w++)
        give(t, t->info->names, t->words[w]);
}

/* Without a cluster: what the words alone decide. 1 = go on. */
static int tool_words(struct tool *t)
{
    const struct tool_info *info = t->info;
    int rc = options_read(t->cli->argc - 1, t->cli->argv + 1, info->options, info->option_count, t->found, t->words,
                          info->words_max, &t->word_count, &t->fail);

    if (rc == READ_HELP) {
        tool_help(info, &t->cli->out);
        return 0;
    }
    if (rc == READ_VERSION) {
        text_printf(&t->cli->out, KAFKA_VERSION " (millrace " MILLRACE_VERSION ")\n");
        return 0;
    }
    if (rc < 0) {
        t->usage_is_wrong = true;
        return rc;
    }
    if (info->actions != NULL)
        TRY(take_action(t));
    else if (info->native)
        take_names(t);
    if (info->check != NULL)
        TRY(info->check(t));
    if (wants_cluster(t) && !given(t, info->server) && (info->controller < 0 || !given(t, info->controller)))
        return wrong_words(t, "Missing required argument \"[bootstrap-server]\": the broker to ask, as HOST:PORT");
    return 1;
}

void tool_run(struct cli *c, const struct tool_info *info, struct op *op)
{
    struct tool *t = calloc(1, info->state_bytes);
    int rc;

    ASSERT(t != NULL);
    ASSERT(info->option_count <= OPTIONS_MAX);
    t->cli = c;
    t->info = info;
    t->io = c->io;
    t->parent = op;
    arena_init(&t->arena, 0);
    rc = tool_words(t);
    if (rc == 1) {
        flow_start(&t->flow, tool_flow, NULL);
        return;
    }
    if (rc < 0)
        complain(t);
    io_complete(c->io, op, t->status);
    arena_deinit(&t->arena);
    free(t);
}
