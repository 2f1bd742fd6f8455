#include "telemetry/telemetry.h"

#include "check.h"

#include <stdio.h>

struct lines {
    struct telemetry_sink sink;
    struct text text;
};

static void keep(struct telemetry_sink *sink, enum log_level level, const char *room,
                 const char *line)
{
    struct lines *l = container_of(sink, struct lines, sink);

    text_printf(&l->text, "%s %s %s\n", log_level_name(level), room, line);
}

TEST(say, gives_whole_lines_to_the_sink)
{
    struct lines l = {.sink = {keep, LOG_INFO}};
    struct telemetry *t_ = telemetry_new(&l.sink);

    say(t_, LOG_DEBUG, "log", "not made");
    say(t_, LOG_INFO, "log", "opened %d segments", 3);
    say(t_, LOG_WARN, "config", "unknown setting: %s", "a\nERROR b\x7f\t");
    say(t_, LOG_ERROR, "io", "gr\xc3\xbc\xc3\x9f");
    CHECK_TEXT(text_str(&l.text), "INFO log opened 3 segments\n"
                                  "WARN config unknown setting: a?ERROR b??\n"
                                  "ERROR io gr\xc3\xbc\xc3\x9f\n");
    telemetry_free(t_);
    text_deinit(&l.text);
}

TEST(say, cuts_long_lines_between_letters)
{
    struct lines l = {.sink = {keep, LOG_DEBUG}};
    struct telemetry *t_ = telemetry_new(&l.sink);
    char line[TELEMETRY_LINE_MAX + 2];
    size_t head = strlen("INFO r ");

    memset(line, 'x', sizeof line);
    line[TELEMETRY_LINE_MAX] = '\0';
    say(t_, LOG_INFO, "r", "%s", line);
    CHECK_EQ(l.text.n, head + TELEMETRY_LINE_MAX + 1);
    CHECK(!str_ends(text_str(&l.text), STR("...\n")));

    text_clear(&l.text);
    line[TELEMETRY_LINE_MAX] = 'x';
    line[TELEMETRY_LINE_MAX + 1] = '\0';
    say(t_, LOG_INFO, "r", "%s", line);
    CHECK_EQ(l.text.n, head + TELEMETRY_LINE_MAX + 1);
    CHECK(str_ends(text_str(&l.text), STR("xxx...\n")));

    text_clear(&l.text);
    memcpy(line + TELEMETRY_LINE_MAX - 4, "\xc3\xbc", 2); /* the cut would split it */
    say(t_, LOG_INFO, "r", "%s", line);
    CHECK_EQ(l.text.n, head + TELEMETRY_LINE_MAX);
    CHECK(str_ends(text_str(&l.text), STR("xxx...\n")));
    telemetry_free(t_);
    text_deinit(&l.text);
}

TEST(say, without_a_sink_nothing_happens)
{
    struct telemetry *t_ = telemetry_new(NULL);

    say(t_, LOG_ERROR, "r", "lost");
    say(NULL, LOG_ERROR, "r", "lost");
    telemetry_free(t_);
    telemetry_free(NULL);
}

static void check_print(struct telemetry *const *shards, uint32_t count, const char *expected)
{
    struct text out = {0};

    telemetry_print(shards, count, &out);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(numbers, are_printed_by_name_then_labels)
{
    struct telemetry *t_ = telemetry_new(NULL);

    telemetry_gauge(t_, "z_gauge", "", "Last \\ of\nall.")->value = -5;
    telemetry_counter(t_, "a_total", "topic=\"b\"", "First.")->value = 2;
    telemetry_counter(t_, "a_total", "topic=\"a\"", "First.")->value += 1;
    telemetry_counter(t_, "a_total", NULL, "First.")->value = 18446744073709551615u;
    check_print(&t_, 1,
                "# HELP a_total First.\n"
                "# TYPE a_total counter\n"
                "a_total 18446744073709551615\n"
                "a_total{topic=\"a\"} 1\n"
                "a_total{topic=\"b\"} 2\n"
                "# HELP z_gauge Last \\\\ of\\nall.\n"
                "# TYPE z_gauge gauge\n"
                "z_gauge -5\n");
    telemetry_free(t_);
}

TEST(numbers, of_one_name_and_labels_are_one)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct counter *c = telemetry_counter(t_, "a", "k=\"1\"", "h");

    for (int i = 0; i < 1000; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        (void)telemetry_gauge(t_, "b", labels, "h"); /* makes the table grow */
    }
    CHECK(telemetry_counter(t_, "a", "k=\"1\"", "h") == c);
    CHECK(telemetry_counter(t_, "a", "k=\"2\"", "h") != c);
    CHECK_ASSERTS((void)telemetry_gauge(t_, "a", "k=\"1\"", "h"));
    CHECK_ASSERTS((void)telemetry_gauge(t_, "1a", "", "h"));
    CHECK_ASSERTS((void)telemetry_gauge(t_, "a-b", "", "h"));
    telemetry_free(t_);
}

TEST(numbers, of_shards_are_added_up)
{
    struct telemetry *shards[3] = {telemetry_new(NULL), telemetry_new(NULL), telemetry_new(NULL)};

    telemetry_counter(shards[0], "c", "", "C.")->value = 1;
    telemetry_counter(shards[2], "c", "", "C.")->value = 10;
    telemetry_gauge(shards[1], "g", "x=\"1\"", "G.")->value = -3;
    telemetry_gauge(shards[2], "g", "x=\"1\"", "G.")->value = 1;
    histogram_add(telemetry_histogram(shards[0], "h", "", 1, "H."), 1);
    histogram_add(telemetry_histogram(shards[1], "h", "", 1, "H."), 9);
    check_print(shards, 3,
                "# HELP c C.\n"
                "# TYPE c counter\n"
                "c 11\n"
                "# HELP g G.\n"
                "# TYPE g gauge\n"
                "g{x=\"1\"} -2\n"
                "# HELP h H.\n"
                "# TYPE h summary\n"
                "h{quantile=\"0.5\"} 1\n"
                "h{quantile=\"0.75\"} 9\n"
                "h{quantile=\"0.95\"} 9\n"
                "h{quantile=\"0.98\"} 9\n"
                "h{quantile=\"0.99\"} 9\n"
                "h{quantile=\"0.999\"} 9\n"
                "h_sum 10\n"
                "h_count 2\n");
    CHECK_EQ(telemetry_counter(shards[0], "c", "", "C.")->value, 1); /* printing changes nothing */
    check_print(shards, 0, "");
    for (int i = 0; i < 3; i++)
        telemetry_free(shards[i]);
}

TEST(numbers, of_peaks_the_largest_counts)
{
    struct telemetry *shards[3] = {telemetry_new(NULL), telemetry_new(NULL), telemetry_new(NULL)};

    telemetry_peak(shards[0], "p", "", "P.")->value = 3;
    telemetry_peak(shards[1], "p", "", "P.")->value = 7;
    telemetry_peak(shards[2], "p", "", "P.")->value = 5;
    check_print(shards, 3,
                "# HELP p P.\n"
                "# TYPE p gauge\n"
                "p 7\n");
    for (int i = 0; i < 3; i++)
        telemetry_free(shards[i]);
}

TEST(numbers, are_printed_in_their_units)
{
    struct telemetry *shards[2] = {telemetry_new(NULL), telemetry_new(NULL)};

    telemetry_gauge_in(shards[0], "a", "", 1000, "A.")->value = 1250;
    telemetry_gauge_in(shards[1], "a", "", 1000, "A.")->value = 1;
    telemetry_gauge_in(shards[1], "b", "", 1000, "B.")->value = -5;
    telemetry_gauge_in(shards[1], "c", "", 1, "C.")->value = INT64_MIN;
    check_print(shards, 2,
                "# HELP a A.\n"
                "# TYPE a gauge\n"
                "a 1.251\n"
                "# HELP b B.\n"
                "# TYPE b gauge\n"
                "b -0.005\n"
                "# HELP c C.\n"
                "# TYPE c gauge\n"
                "c -9223372036854775808\n");
    CHECK_ASSERTS((void)telemetry_gauge_in(shards[0], "d", "", 60, "D."));
    for (int i = 0; i < 2; i++)
        telemetry_free(shards[i]);
}

TEST(numbers, of_a_thing_that_is_gone_go)
{
    struct telemetry *t_ = telemetry_new(NULL);

    (void)telemetry_gauge(t_, "g", "topic=\"a\"", "G.");
    (void)telemetry_gauge(t_, "g", "topic=\"a\",partition=\"0\"", "G.");
    (void)telemetry_gauge(t_, "g", "topic=\"ab\"", "G.");
    (void)telemetry_gauge(t_, "g", "name=\"topic=\"", "G.");
    histogram_add(telemetry_histogram(t_, "h", "topic=\"a\"", 1, "H."), 1);
    telemetry_forget(t_, "topic=\"a\"");
    check_print(&t_, 1,
                "# HELP g G.\n"
                "# TYPE g gauge\n"
                "g{name=\"topic=\"} 0\n"
                "g{topic=\"ab\"} 0\n");
    telemetry_free(t_);
}

TEST(labels, are_escaped)
{
    struct text labels = {0};

    telemetry_label(&labels, "topic", STR("a"));
    telemetry_label(&labels, "client", STR("q\"b\\s\nn"));
    telemetry_label(&labels, "utf", STR("gr\xc3\xbc\xc3\x9f"));
    telemetry_label(&labels, "bad", STR("x\xff"));
    telemetry_label(&labels, "nul", (struct str){"x\0y", 3});
    telemetry_label(&labels, "none", STR_NULL);
    CHECK_TEXT(text_str(&labels),
               "topic=\"a\",client=\"q\\\"b\\\\s\\nn\",utf=\"gr\xc3\xbc\xc3\x9f\","
               "bad=\"x\xef\xbf\xbd\",nul=\"x\xef\xbf\xbdy\",none=\"\"");
    text_deinit(&labels);
}
