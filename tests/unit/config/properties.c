#include "config/config.h"

#include "check.h"

/* All pairs as [key][value], or ERROR behind those before it. */
static void check_pairs(struct str content, const char *expected)
{
    struct properties p;
    struct str key, value;
    struct text out = {0};
    struct fail f = {0};
    int more;

    properties_begin(&p, content);
    while ((more = properties_next(&p, &key, &value, &f)) > 0)
        text_printf(&out, "[%.*s][%.*s]", STR_ARG(key), STR_ARG(value));
    if (more < 0)
        text_printf(&out, "ERROR %s", f.text);
    properties_end(&p);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

/* The right side is what java.util.Properties of Java 17 makes of the left one. */
static const char *const as_java[][2] = {
    {"", ""},
    {"a", "[a][]"},
    {"a=b", "[a][b]"},
    {"a=b\\", "[a][b]"},
    {"a\\", "[a][]"},
    {"\\\n#c", ""},
    {"\\\n\nb=c", "[b][c]"},
    {" a = b ", "[a][b ]"},
    {"a\\ b=c", "[a b][c]"},
    {"a\\=b=c", "[a=b][c]"},
    {"a\\:b:c", "[a:b][c]"},
    {"a b c", "[a][b c]"},
    {"a==b", "[a][=b]"},
    {"a = = b", "[a][= b]"},
    {"a:=b", "[a][=b]"},
    {"#x\\\ny=z", "[y][z]"},
    {"!x", ""},
    {"  # x\na", "[a][]"},
    {"a=\\\n  b", "[a][b]"},
    {"a=\\\n\\\n  b", "[a][b]"},
    {"a=\\\n#b", "[a][#b]"},
    {"a=\\\n\nb", "[a][][b][]"},
    {"a\r\nb", "[a][][b][]"},
    {"a\rb", "[a][][b][]"},
    {"a=b\\\\\nc", "[a][b\\][c][]"},
    {"a=\\u0041", "[a][A]"},
    {"a=\\u004", "ERROR line 1: \\u needs four hexadecimal digits"},
    {"a=\\uD83D\\uDE00", "[a][😀]"},
    {"a=\\q", "[a][q]"},
    {"a=\\\\", "[a][\\]"},
    {"a=\\t\\n\\r\\f", "[a][\t\n\r\f]"},
    {"=b", "[][b]"},
    {":", "[][]"},
    {"  ", ""},
    {"\\u0061=1", "[a][1]"},
    {"a=b\\\r\n c", "[a][bc]"},
    {"a\\\n =b", "[a][b]"},
    {"a=\\\r\n\\\r\n", "[a][]"},
};

TEST(properties, are_read_as_java_reads_them)
{
    for (size_t i = 0; i < array_count(as_java); i++)
        check_pairs(str_of(as_java[i][0]), as_java[i][1]);
}

TEST(properties, a_broken_escape_names_its_line)
{
    check_pairs(STR("a=1\n\n# c\nb=\\\n  \\u00x1\n"),
                "[a][1]ERROR line 5: \\u needs four hexadecimal digits");
    check_pairs(STR("a=\\u0000"), "ERROR line 1: the character \\u0000 is not allowed");
    check_pairs((struct str){"a=\0b", 4}, "ERROR line 1: the character NUL is not allowed");
}

TEST(properties, half_a_pair_is_no_character)
{
    check_pairs(STR("a=\\ud83d"), "[a][\xef\xbf\xbd]");
    check_pairs(STR("a=\\ud83d\\u0041"), "[a][\xef\xbf\xbd"
                                         "A]");
    check_pairs(STR("a=\\ude00x"), "[a][\xef\xbf\xbdx]");
}

TEST(properties, bytes_above_127_are_utf_8_or_else_latin_1)
{
    check_pairs(STR("a=gr\xc3\xbc\xc3\x9f"), "[a][gr\xc3\xbc\xc3\x9f]");
    check_pairs(STR("a=gr\xfc\xdf"), "[a][gr\xc3\xbc\xc3\x9f]");
    check_pairs(STR("\xfc\\t=1\nb=\xc3\xbc"), "[\xc3\xbc\t][1][b][\xc3\xbc]");
}

TEST(properties, a_lone_backslash_at_the_end_is_nothing)
{
    check_pairs(STR("\\"), "");
    check_pairs(STR("a=b\n\\\n"), "[a][b]");
    check_pairs(STR("\\\r\n"), "");
}
