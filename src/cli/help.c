/* What a tool says about itself: --help, and words for shells. */
#include "cli/tool.h"

#define HELP_WIDTH 100
#define HELP_INDENT 30

/* Words of `text`, wrapped; the first line begins at column `at`, the others at `indent`. */
static void wrapped(struct text *out, const char *text, int at, int indent)
{
    struct str rest = str_of(text), word;
    int column = at;

    while (str_cut(&rest, ' ', &word)) {
        if (column > indent && column + 1 + word.n > HELP_WIDTH) {
            text_printf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            text_printf(out, " ");
            column++;
        }
        text_add_str(out, word);
        column += word.n;
    }
    text_printf(out, "\n");
}

static void option_help(const struct arg_option *o, struct text *out)
{
    size_t begin = out->n;

    if (o->letter != '\0')
        text_printf(out, "  -%c, --%s", o->letter, o->name);
    else
        text_printf(out, "  --%s", o->name);
    if (o->has_value)
        text_printf(out, o->may_lack_value ? " [%s]" : " %s", o->value);
    int used = (int)(out->n - begin);
    if (used > HELP_INDENT - 2)
        text_printf(out, "\n%*s", HELP_INDENT, "");
    else
        text_printf(out, "%*s", HELP_INDENT - used, "");
    wrapped(out, o->help, HELP_INDENT, HELP_INDENT);
}

/* Said by a word already. */
static bool is_action(const struct tool_info *info, int option)
{
    for (uint32_t i = 0; i < info->action_count; i++) {
        if (info->actions[i].option == option)
            return true;
    }
    return false;
}

void tool_help(const struct tool_info *info, struct text *out)
{
    struct str rest = str_of(info->usage), line;
    bool first = true;

    while (str_cut(&rest, '\n', &line)) {
        text_printf(out, "%s %s %.*s\n", first ? "usage:" : "      ", info->program, STR_ARG(line));
        first = false;
    }
    text_printf(out, "\n");
    wrapped(out, info->purpose, 0, 0);
    text_printf(out, "\n");
    for (uint32_t i = 0; i < info->action_count; i++) {
        text_printf(out, "  %-*s", HELP_INDENT - 2, info->actions[i].word);
        wrapped(out, info->actions[i].help, HELP_INDENT, HELP_INDENT);
    }
    for (uint32_t i = 0; i < info->option_count; i++) {
        if (info->options[i].help != NULL && !is_action(info, (int)i))
            option_help(&info->options[i], out);
    }
    static const struct arg_option help = {"help", .letter = 'h', .help = "Print this and end."};
    static const struct arg_option version = {
        "version", .help = "Print the version of Kafka's tools that this one is like, and millrace's."};
    option_help(&help, out);
    option_help(&version, out);
}

void tool_words_print(const struct tool_info *info, struct text *out)
{
    if (info->commands != NULL)
        text_printf(out, "%s ", info->commands);
    for (uint32_t i = 0; i < info->action_count; i++)
        text_printf(out, "%s ", info->actions[i].word);
    for (uint32_t i = 0; i < info->option_count; i++) {
        if (info->options[i].help != NULL && !is_action(info, (int)i))
            text_printf(out, "--%s ", info->options[i].name);
    }
    text_printf(out, "--help --version");
}

void tool_completion(const struct tool_info *info, const char *name, struct text *out)
{
    text_printf(out, "complete -o default -W '");
    tool_words_print(info, out);
    text_printf(out, "' %s\n", name);
}
