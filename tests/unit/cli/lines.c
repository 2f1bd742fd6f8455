/* Records as lines, both ways: as Kafka's reader and formatters, and as JSON. */
#include "check.h"

#include "cli/console.h"

static struct console_record record;

/* "KEY|VALUE|NAME=VALUE,...", null as ~; or what is wrong. */
static const char *shown(int rc, const struct fail *f)
{
    static struct text out;

    text_clear(&out);
    if (rc < 0) {
        text_printf(&out, "! %s", f->text);
        return out.p;
    }
    text_printf(&out, "%.*s|%.*s|", STR_ARG(record.key.n < 0 ? STR("~") : str_of_bytes(record.key)),
                STR_ARG(record.value.n < 0 ? STR("~") : str_of_bytes(record.value)));
    for (int32_t i = 0; i < record.header_count; i++) {
        struct str value = record.headers[i].value.n < 0 ? STR("~") : str_of_bytes(record.headers[i].value);
        text_printf(&out, "%s%.*s=%.*s", i == 0 ? "" : ",", STR_ARG(record.headers[i].key), STR_ARG(value));
    }
    return out.p;
}

/* `rules` is "NAME=VALUE NAME=VALUE". */
static const char *read_line(const char *rules, const char *line)
{
    struct line_rules r;
    struct str rest = str_of(rules), word, name, value;
    struct fail f = {0};

    line_rules_init(&r);
    while (str_cut(&rest, ' ', &word)) {
        pair_cut(word, &name, &value);
        line_rules_set(&r, name, value);
    }
    if (line_rules_check(&r, &f) < 0)
        return shown(f.error, &f);
    return shown(line_read(&r, str_of(line), 7, &record, &f), &f);
}

TEST(cli_lines, line_is_a_value_unless_more_is_asked_for)
{
    CHECK_TEXT(read_line("", "a\tb"), "~|a\tb|");
    CHECK_TEXT(read_line("", ""), "~||");
    CHECK_TEXT(read_line("parse.key=TRUE", "a\tb\tc"), "a|b\tc|");
    CHECK_TEXT(read_line("parse.key=true key.separator=::", "a::"), "a||");
    CHECK_TEXT(read_line("parse.key=true key.separator=:", "ab"), "! No key separator found on line number 7: 'ab'");
    CHECK_TEXT(read_line("parse.key=true ignore.error=true", "ab"), "~|ab|");
    CHECK_TEXT(read_line("parse.key=true null.marker=NIL", "NIL\tNIL"), "~|~|");
}

TEST(cli_lines, headers_come_first)
{
    CHECK_TEXT(read_line("parse.headers=true", "a:1,b:,c:x:y\tv"), "~|v|a=1,b=,c=x:y");
    CHECK_TEXT(read_line("parse.headers=true parse.key=true", "a:1\tk\tv"), "k|v|a=1");
    CHECK_TEXT(read_line("parse.headers=true null.marker=N", "a:N\tv"), "~|v|a=~");
    CHECK_TEXT(read_line("parse.headers=true null.marker=N", "N\tv"), "~|v|");
    CHECK_TEXT(read_line("parse.headers=true", "a:1,,\tv"), "~|v|a=1");
    CHECK_TEXT(read_line("parse.headers=true", ",\tv"), "~|v|");
    CHECK_TEXT(read_line("parse.headers=true", "\tv"), "! No header key separator found in pair '' on line number 7");
    CHECK_TEXT(read_line("parse.headers=true", "a:1,,b:2\tv"),
               "! No header key separator found in pair '' on line number 7");
    CHECK_TEXT(read_line("parse.headers=true ignore.error=true", "a\tv"), "~|v|a=~");
    CHECK_TEXT(read_line("parse.headers=true", "v"), "! No headers delimiter found on line number 7: 'v'");
    CHECK_TEXT(read_line("parse.headers=true null.marker=a", "a:1\tv"),
               "! Header keys should not be equal to the null marker 'a' as they can't be null");
    CHECK_TEXT(read_line("headers.separator=:", "v"), "! headers.separator and headers.key.separator may not be equal");
    CHECK_TEXT(read_line("null.marker=,", "v"), "! null.marker and headers.separator may not be equal");
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static struct arena arena;

static const char *read_json(const char *line)
{
    struct fail f = {0};

    arena_deinit(&arena);
    arena_init(&arena, 0);
    return shown(record_json_read(str_of(line), &arena, &record, &f), &f);
}

TEST(cli_lines, json_says_all_of_a_record)
{
    CHECK_TEXT(
        read_json(
            "{\"topic\": \"t\", \"partition\": 3, \"offset\": 9, \"timestamp\": 77, \"key\": null, "
            "\"value\": \"v\", \"headers\": [{\"key\": \"a\", \"value\": null}, {\"key\": \"b\", \"value\": \"x\"}]}"),
        "~|v|a=~,b=x");
    CHECK_TEXT(record.topic, "t");
    CHECK_EQ(record.partition, 3);
    CHECK_EQ(record.timestamp_ms, 77);
    CHECK_TEXT(read_json(" { } "), "~|~|");
    CHECK_EQ(record.partition, -1);
    CHECK_EQ(record.timestamp_ms, -1);
    CHECK(str_is_null(record.topic));
    CHECK_TEXT(read_json("{\"value\": \"\\u00e4\\ud83d\\ude00\\n\\\"\", \"more\": [1, {\"x\": 2}]}"),
               "~|\u00e4\U0001F600\n\"|");
    CHECK_TEXT(read_json("{\"value\": {\"base64\": \"aGk=\"}, \"key\": {\"base64\": \"\"}}"), "|hi|");
    arena_deinit(&arena);
}

TEST(cli_lines, json_that_is_wrong_is_said_where)
{
    CHECK_TEXT(read_json("[1]"), "! this is no JSON object");
    CHECK_TEXT(read_json("{\"value\": 5}"), "! \"value\" must be a string, null, or {\"base64\": \"...\"}");
    CHECK_TEXT(read_json("{\"value\": \"\\ud800\"}"), "! \"value\" has an escape that is none");
    CHECK_TEXT(read_json("{\"value\": {\"base64\": \"abc\"}}"), "! \"base64\" is not base64 with padding");
    CHECK_TEXT(read_json("{\"value\": {\"text\": \"abc\"}}"),
               "! \"value\" is an object, but not {\"base64\": \"...\"}");
    CHECK_TEXT(read_json("{\"headers\": [{\"value\": \"x\"}]}"), "! a header without a key");
    CHECK_TEXT(read_json("{\"partition\": \"x\"}"), "! \"partition\" must be a number from -1 to 2147483647");
    CHECK_TEXT(read_json("{\"value\": \"v\"} x"), "! the JSON is wrong near letter 16");
    CHECK_TEXT(read_json("{\"value\": \"v\""), "! the JSON is wrong near letter 14");
    arena_deinit(&arena);
}

/* ---- formatters --------------------------------------------------------------------------------------- */

static struct text printed, logged;

/* A record "k" -> "v" at offset 7 of t-2, with one header unless `bare`; by "NAME=VALUE ..." */
static const char *format(const char *class, const char *properties, struct bytes value, bool bare)
{
    static const uint8_t header[] = {2, 'h', 4, 'x', 'y'};
    const struct format_place where = {STR("t"), 2, 5, false};
    const struct record r = {
        .offset = 7,
        .timestamp_ms = 99,
        .key = bare ? BYTES_NULL : (struct bytes){(const uint8_t *)"k", 1},
        .value = value,
        .headers = {header, bare ? 0 : (int32_t)sizeof(header)},
        .header_count = bare ? 0 : 1,
    };
    struct format f;
    struct fail fail = {0};
    struct str rest = str_of(properties), word, name, text;

    text_clear(&printed);
    text_clear(&logged);
    format_init(&f);
    CHECK_EQ(format_set_class(&f, str_of(class), &fail), 0);
    while (str_cut(&rest, ' ', &word)) {
        pair_cut(word, &name, &text);
        if (format_set(&f, name, text, &fail) < 0)
            return fail.text[0] == 't' ? "no such" : "?";
    }
    text_printf(&printed, "<");
    if (format_record(&f, &where, &r, &printed, &logged, &fail) < 0)
        text_printf(&printed, "refused");
    return printed.p;
}

#define ALL                                                                                                            \
    "print.timestamp=true print.key=true print.partition=true print.offset=true print.delivery=true print.epoch=true " \
    "print.headers=true"
#define DEFAULT "org.apache.kafka.tools.consumer.DefaultMessageFormatter"

TEST(cli_lines, formatter_prints_columns_in_kafkas_order)
{
    static const uint8_t bytes[] = {'v', 0xff, 0, 'w', 0, 0, 1, 0};
    struct bytes v = {bytes, 1}, eight = {bytes, 8}, raw = {bytes, 4};

    CHECK_TEXT(format(DEFAULT, "", v, false), "<v\n");
    CHECK_TEXT(format(DEFAULT, "", BYTES_NULL, false), "<null\n");
    CHECK_TEXT(format(DEFAULT, "null.literal=~ print.key=true", BYTES_NULL, true), "<~\t~\n");
    CHECK_TEXT(format(DEFAULT, ALL, v, false),
               "<CreateTime:99\tPartition:2\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:5\th:xy\tk\tv\n");
    CHECK_TEXT(format(DEFAULT, "print.headers=true key.separator=; line.separator=.", v, true), "<NO_HEADERS;v.");
    CHECK_TEXT(format(DEFAULT, "print.value=false print.offset=true", v, false), "<Offset:7\n");
    CHECK_TEXT(format(DEFAULT, "print.value=false", v, false), "<");
    CHECK_TEXT(
        format(DEFAULT, "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer", eight, false),
        "<8574572726637822208\n");
    CHECK_TEXT(format(DEFAULT, "value.deserializer=LongDeserializer print.key=true", raw, false), "<refused");
    CHECK_TEXT(format(DEFAULT, "value.deserializer=org.example.Mine", v, false), "no such");
    (void)format(DEFAULT, "", raw, false);
    CHECK_BYTES(printed.p, printed.n, "<v\377\0w\n", 6);
    CHECK_TEXT(format("NoOpMessageFormatter", ALL, v, false), "<");
    CHECK_TEXT(format("LoggingMessageFormatter", "", v, true), "<v\n");
    CHECK_TEXT(text_str(&logged), "CreateTime:99, key:null value:v\n");
    text_deinit(&printed);
    text_deinit(&logged);
}

TEST(cli_lines, commits_and_groups_are_json)
{
    static const uint8_t key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 2}, group[] = {0, 2, 0, 1, 'g'};
    static const uint8_t value[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 'm', 0, 0, 0, 0, 0, 0, 0, 9}, later[] = {0, 99};
    struct record r = {.key = {key, sizeof(key)}, .value = {value, sizeof(value)}};
    struct text out = {0};
    struct fail f = {0};

    CHECK_EQ(format_coordinator(FORMAT_OFFSETS, &r, &out, &f), 0);
    CHECK_TEXT(text_str(&out),
               "{\"key\":{\"type\":1,\"data\":{\"group\":\"g\",\"topic\":\"t\",\"partition\":2}},"
               "\"value\":{\"version\":0,\"data\":{\"offset\":5,\"metadata\":\"m\",\"commitTimestamp\":9}}}\n");
    text_clear(&out);
    CHECK_EQ(format_coordinator(FORMAT_GROUPS, &r, &out, &f), 0);
    CHECK_EQ(out.n, 0);
    r.value.n = 4;
    CHECK_EQ(format_coordinator(FORMAT_OFFSETS, &r, &out, &f), -EINVAL);
    CHECK(strstr(f.text, "the record is none of") == f.text);
    r.key = (struct bytes){group, sizeof(group)};
    r.value = BYTES_NULL;
    text_clear(&out);
    CHECK_EQ(format_coordinator(FORMAT_GROUPS, &r, &out, &f), 0);
    CHECK_TEXT(text_str(&out), "{\"key\":{\"type\":2,\"data\":{\"group\":\"g\"}},\"value\":null}\n");
    text_clear(&out);
    r.key = (struct bytes){later, sizeof(later)}; /* of a type that is not known */
    CHECK_EQ(format_coordinator(FORMAT_OFFSETS, &r, &out, &f), 0);
    CHECK_EQ(out.n, 0);
    text_deinit(&out);
}

TEST(cli_lines, json_of_a_record_is_read_back)
{
    static const uint8_t header[] = {4, 'h', '"', 4, 0xc3, 0x28};
    const struct record r = {
        .offset = 7,
        .timestamp_ms = 99,
        .key = {(const uint8_t *)"k\0", 2},
        .value = BYTES_NULL,
        .headers = {header, sizeof(header)},
        .header_count = 1,
    };
    struct text out = {0};

    record_json_print(&out, STR("t"), 2, &r);
    CHECK_TEXT(
        text_str(&out),
        "{\"topic\": \"t\", \"partition\": 2, \"offset\": 7, \"timestamp\": 99, \"key\": {\"base64\": \"awA=\"}, "
        "\"value\": null, \"headers\": [{\"key\": \"h\\\"\", \"value\": {\"base64\": \"wyg=\"}}]}");
    (void)read_json(out.p);
    CHECK_BYTES(record.key.p, (size_t)record.key.n, "k\0", 2);
    CHECK_EQ(record.value.n, -1);
    CHECK_TEXT(record.headers[0].key, "h\"");
    CHECK_BYTES(record.headers[0].value.p, (size_t)record.headers[0].value.n, "\303(", 2);
    arena_deinit(&arena);
    text_deinit(&out);
}
