/* What tools make of words: options, patterns, columns, help. */
#include "check.h"

#include "cli/tool.h"

#include <errno.h>
#include <stdio.h>

/* ---- options ---------------------------------------------------------------------------------- */

enum { O_TOPIC, O_TOPICS_ALL, O_SERVER, O_STATE, O_TIME, O_COUNT };
static const struct arg_option options[O_COUNT] = {
    [O_TOPIC] = {"topic", .has_value = true, .help = "x"},
    [O_TOPICS_ALL] = {"topics-all", .help = "x"},
    [O_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .help = "x"},
    [O_STATE] = {"state", .has_value = true, .may_lack_value = true, .help = "x"},
    [O_TIME] = {"time", .has_value = true, .help = "x"},
};

static struct arg_found found[O_COUNT];
static struct str words[2];
static uint32_t word_count;
static struct fail failure;

static int read_words(const char *line)
{
    static char copy[200];
    char *argv[20];
    int argc = 0;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
        argv[argc++] = w;
    memset(found, 0, sizeof(found));
    failure = (struct fail){0};
    return options_read(argc, argv, options, O_COUNT, found, words, 2, &word_count, &failure);
}

TEST(cli_options, are_read_as_kafkas_tools_read_them)
{
    CHECK_EQ(read_words("--topic a --topic=b -b h:1 --time -2 one --state --topics-all two"), 0);
    CHECK_EQ(found[O_TOPIC].count, 2);
    CHECK_TEXT(found[O_TOPIC].values[1], "b");
    CHECK_TEXT(found[O_SERVER].values[0], "h:1");
    CHECK_TEXT(found[O_TIME].values[0], "-2");
    CHECK_TEXT(found[O_STATE].values[0], "");
    CHECK_EQ(word_count, 2);
    CHECK_TEXT(words[1], "two");
    CHECK_EQ(read_words("--state stable,empty -topic x"), 0);
    CHECK_TEXT(found[O_STATE].values[0], "stable,empty");
    CHECK_TEXT(found[O_TOPIC].values[0], "x");
}

TEST(cli_options, beginning_is_enough_where_it_is_the_only_one)
{
    CHECK_EQ(read_words("--boot h:1"), 0);
    CHECK_TEXT(found[O_SERVER].values[0], "h:1");
    CHECK_EQ(read_words("--topic h"), 0); /* whole, although --topics-all begins so too */
    CHECK_EQ(read_words("--topi h"), -EINVAL);
    CHECK_TEXT(failure.text, "topi is not a whole option: --topic or --topics-all?");
}

TEST(cli_options, unknown_one_names_the_nearest)
{
    CHECK_EQ(read_words("--bootstrap-serevr h"), -EINVAL);
    CHECK_TEXT(failure.text, "bootstrap-serevr is not a recognized option; is it --bootstrap-server?");
    CHECK_EQ(read_words("--nothing-like-it"), -EINVAL);
    CHECK_TEXT(failure.text, "nothing-like-it is not a recognized option");
}

TEST(cli_options, mistakes_of_values_are_said)
{
    CHECK_EQ(read_words("--topic"), -EINVAL);
    CHECK_TEXT(failure.text, "Option topic requires an argument");
    CHECK_EQ(read_words("--topics-all=1"), -EINVAL);
    CHECK_TEXT(failure.text, "Option topics-all takes no value");
    CHECK_EQ(read_words("a b c"), -EINVAL);
    CHECK_TEXT(failure.text, "\"c\" is no option, and this tool takes no further words");
    CHECK_EQ(read_words("--topic a --help"), READ_HELP);
    CHECK_EQ(read_words("--version"), READ_VERSION);
}

/* ---- patterns --------------------------------------------------------------------------------- */

static bool fits(const char *pattern, const char *name)
{
    struct pattern *p;
    struct fail f = {0};

    CHECK_EQ(pattern_new(str_of(pattern), &p, &f), 0);
    bool yes = pattern_matches(p, str_of(name));
    pattern_free(p);
    return yes;
}

TEST(cli_pattern, chooses_whole_names)
{
    CHECK(fits("orders", "orders"));
    CHECK(!fits("orders", "orders2"));
    CHECK(!fits("orders", "my-orders"));
    CHECK(fits("or.*", "orders"));
    CHECK(fits("a.b", "a.b"));
    CHECK(fits("a\\.b", "a.b"));
    CHECK(!fits("a\\.b", "axb"));
    CHECK(fits("t\\d+", "t12"));
    CHECK(!fits("t\\D", "t1"));
    CHECK(fits(" 'one, two' ", "two"));
    CHECK(!fits("one,two", "one,two"));
}

TEST(cli_pattern, that_is_none_is_said)
{
    struct pattern *p;
    struct fail f = {0};

    CHECK_EQ(pattern_new(STR("a(b"), &p, &f), -EINVAL);
    CHECK(strstr(f.text, "a(b is an invalid regex") != NULL);
}

/* ---- columns ---------------------------------------------------------------------------------- */

TEST(cli_table, cells_are_padded_or_json)
{
    static const struct column columns[] = {{"NAME", .least = 6, .grows = true, .key = "name"},
                                            {"N", .least = 3, .key = "n", .number = true},
                                            {"LAST", .key = "last"}};
    struct arena arena;
    struct table rows;
    struct text out = {0};

    arena_init(&arena, 0);
    table_begin(&rows, &arena, columns, array_count(columns));
    table_row(&rows, (struct str[]){STR("\xc3\xa4-longer"), STR("10"), STR("a\"b")});
    table_row(&rows, (struct str[]){STR("short"), STR("9"), STR("-")});
    table_row(&rows, (struct str[]){STR("short"), STR("-"), STR_NULL});
    table_sort(&rows);
    table_print(&rows, " ", ".", true, &out);
    table_json(&rows, &out);
    CHECK_TEXT(text_str(&out), "NAME     N   LAST.\n"
                               "short    -   .\n"
                               "short    9   -.\n"
                               "\xc3\xa4-longer 10  a\"b.\n"
                               "[\n"
                               "  {\"name\": \"short\", \"n\": null, \"last\": null},\n"
                               "  {\"name\": \"short\", \"n\": 9, \"last\": null},\n"
                               "  {\"name\": \"\xc3\xa4-longer\", \"n\": 10, \"last\": \"a\\\"b\"}\n"
                               "]\n");
    text_deinit(&out);
    arena_deinit(&arena);
}

/* Text gives way, the widest first, as far as its name allows; numbers never do. */
TEST(cli_table, lines_fit_the_terminal)
{
    static const struct column columns[] = {{"ID", .grows = true, .key = "id"},
                                            {"OFFSET", .grows = true, .key = "offset", .number = true},
                                            {"HOST", .key = "host"}};
    static const struct {
        int width;
        const char *lines;
    } cases[] = {
        {0, "ID                         OFFSET  HOST\nconsumer-\xc3\xa4-0123456789abcd  12345   /127.0.0.1\n"},
        {45, "ID                         OFFSET  HOST\nconsumer-\xc3\xa4-0123456789abcd  12345   /127.0.0.1\n"},
        {30, "ID          OFFSET  HOST\nconsumer-\xe2\x80\xa6  12345   /127.0.0.1\n"},
        {24, "ID       OFFSET  HOST\nconsum\xe2\x80\xa6  12345   /127.0\xe2\x80\xa6\n"},
        {10, "ID  OFFSET  HOST\nc\xe2\x80\xa6  12345   /12\xe2\x80\xa6\n"},
    };
    struct arena arena;
    struct table rows;

    arena_init(&arena, 0);
    table_begin(&rows, &arena, columns, array_count(columns));
    table_row(&rows, (struct str[]){STR("consumer-\xc3\xa4-0123456789abcd"), STR("12345"), STR("/127.0.0.1")});
    for (size_t i = 0; i < array_count(cases); i++) {
        struct cli cli = {.out_width = cases[i].width};
        struct tool tool = {.cli = &cli};
        table_show(&rows, &tool);
        CHECK_TEXT(text_str(&cli.out), cases[i].lines);
        text_deinit(&cli.out);
    }
    arena_deinit(&arena);
}

TEST(cli_table, foreign_names_make_no_lines)
{
    static const struct column columns[] = {{"NAME", .key = "name"}};
    struct arena arena;
    struct table rows;
    struct text out = {0};

    arena_init(&arena, 0);
    table_begin(&rows, &arena, columns, array_count(columns));
    table_row(&rows, (struct str[]){STR("a\nb\x1b[2J\tc")});
    table_print(&rows, " ", "", false, &out);
    CHECK_TEXT(text_str(&out), "a?b?[2J?c\n");
    text_deinit(&out);
    arena_deinit(&arena);
}

/* ---- help ------------------------------------------------------------------------------------- */

TEST(cli_help, fits_a_terminal_and_names_each_option)
{
    static const struct tool_info *const tools[] = {&kafka_topics,
                                                    &kafka_configs,
                                                    &kafka_consumer_groups,
                                                    &kafka_get_offsets,
                                                    &kafka_delete_records,
                                                    &kafka_cluster,
                                                    &kafka_broker_api_versions,
                                                    &kafka_log_dirs,
                                                    &kafka_features,
                                                    &kafka_metadata_quorum,
                                                    &kafka_groups,
                                                    &kafka_leader_election,
                                                    &kafka_reassign_partitions,
                                                    &millrace_quorum,
                                                    &millrace_topic,
                                                    &millrace_group};

    for (size_t i = 0; i < array_count(tools); i++) {
        struct text out = {0};
        char name[64];
        CHECK(tools[i]->option_count <= OPTIONS_MAX);
        tool_help(tools[i], &out);
        struct str rest = text_str(&out), line;
        while (str_cut(&rest, '\n', &line))
            CHECK(line.n <= 120);
        for (uint32_t o = 0; o < tools[i]->option_count; o++) {
            snprintf(name, sizeof(name), "--%s", tools[i]->options[o].name);
            CHECK(tools[i]->options[o].help == NULL || tools[i]->actions != NULL || strstr(out.p, name) != NULL);
        }
        text_deinit(&out);
    }
}
