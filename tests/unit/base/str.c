#include "check.h"

#include <stdlib.h>

TEST(str, equal_tells_null_from_empty)
{
    CHECK(str_equal(STR("abc"), str_of("abc")));
    CHECK(!str_equal(STR("abc"), STR("abd")));
    CHECK(!str_equal(STR("abc"), STR("ab")));
    CHECK(str_equal(STR_NULL, str_of(NULL)));
    CHECK(!str_equal(STR_NULL, STR("")));
    CHECK(str_equal(STR(""), (struct str){NULL, 0}));
    CHECK(bytes_equal(BYTES_NULL, BYTES_NULL));
    CHECK(!bytes_equal(BYTES_NULL, bytes_of_str(STR(""))));
    CHECK(bytes_equal(bytes_of_str(STR("a\0b")), bytes_of_str(STR("a\0b"))));
    CHECK(!bytes_equal(bytes_of_str(STR("a\0b")), bytes_of_str(STR("a\0c"))));
}

TEST(str, equal_nocase_folds_ascii_only)
{
    CHECK(str_equal_nocase(STR("SASL_Plaintext"), STR("sasl_pLAINTEXT")));
    CHECK(!str_equal_nocase(STR("abc"), STR("abcd")));
    CHECK(!str_equal_nocase(STR("@"), STR("`"))); /* 0x40 and 0x60: beside the letters */
    CHECK(!str_equal_nocase(STR("["), STR("{")));
    CHECK(!str_equal_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    CHECK(str_equal_nocase(STR_NULL, STR_NULL));
    CHECK(!str_equal_nocase(STR(""), STR_NULL));
}

TEST(str, compare_orders_by_bytes_then_length_null_first)
{
    struct str in_order[] = {STR_NULL,  STR(""),   STR("A"), STR("a"),    STR("a\0"),
                             STR("aa"), STR("ab"), STR("b"), STR("\x7f"), STR("\x80")};

    for (size_t i = 0; i < array_count(in_order); i++) {
        for (size_t j = 0; j < array_count(in_order); j++) {
            int order = str_compare(in_order[i], in_order[j]);
            CHECK_EQ((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

TEST(str, starts_and_ends)
{
    CHECK(str_starts(STR("retention.ms"), STR("retention.")));
    CHECK(str_starts(STR("a"), STR("")));
    CHECK(str_starts(STR("a"), STR("a")));
    CHECK(!str_starts(STR("a"), STR("ab")));
    CHECK(!str_starts(STR("ba"), STR("a")));
    CHECK(!str_starts(STR_NULL, STR("")));
    CHECK(!str_starts(STR("a"), STR_NULL));
    CHECK(str_ends(STR("00000000000000000000.log"), STR(".log")));
    CHECK(str_ends(STR("a"), STR("")));
    CHECK(str_ends((struct str){NULL, 0}, STR("")));
    CHECK(!str_ends(STR("log"), STR(".log")));
    CHECK(!str_ends(STR("a.logs"), STR(".log")));
    CHECK(!str_ends(STR_NULL, STR("")));
}

TEST(str, trim_takes_blanks_from_both_ends)
{
    CHECK_TEXT(str_trim(STR(" \t a b\r\n")), "a b");
    CHECK_TEXT(str_trim(STR(" \n\t ")), "");
    CHECK_TEXT(str_trim(STR("")), "");
    CHECK(str_is_null(str_trim(STR_NULL)));
}

static const char *cut_all(struct text *t, struct str rest)
{
    struct str part;

    text_clear(t);
    text_add_str(t, STR("="));
    while (str_cut(&rest, ',', &part))
        text_printf(t, "<%.*s>", STR_ARG(part));
    return t->p;
}

TEST(str, cut_gives_part_after_part)
{
    struct text out = {0};

    CHECK_TEXT(cut_all(&out, STR("a,bc,d")), "=<a><bc><d>");
    CHECK_TEXT(cut_all(&out, STR("a")), "=<a>");
    CHECK_TEXT(cut_all(&out, STR(",a,,b")), "=<><a><><b>");
    CHECK_TEXT(cut_all(&out, STR("a,")), "=<a>");
    CHECK_TEXT(cut_all(&out, STR(",")), "=<>");
    CHECK_TEXT(cut_all(&out, STR("")), "=");
    CHECK_TEXT(cut_all(&out, STR_NULL), "=");
    text_deinit(&out);
}

/* The number, or the error when `out` stayed as it was. */
static int64_t number(struct str s, int64_t low, int64_t high)
{
    int64_t out = 12345;
    int error = str_to_i64(s, low, high, &out);

    if (error == 0)
        return out;
    CHECK_EQ(out, 12345);
    return error;
}

TEST(str, numbers_are_whole_and_in_range)
{
    CHECK_EQ(number(STR("0"), 0, 10), 0);
    CHECK_EQ(number(STR("+7"), 0, 10), 7);
    CHECK_EQ(number(STR("-0"), 0, 10), 0);
    CHECK_EQ(number(STR("0010"), 0, 10), 10);
    CHECK_EQ(number(STR("9223372036854775807"), INT64_MIN, INT64_MAX), INT64_MAX);
    CHECK_EQ(number(STR("-9223372036854775808"), INT64_MIN, INT64_MAX), INT64_MIN);
    CHECK_EQ(number(STR("9223372036854775808"), INT64_MIN, INT64_MAX), -ERANGE);
    CHECK_EQ(number(STR("-9223372036854775809"), INT64_MIN, INT64_MAX), -ERANGE);
    CHECK_EQ(number(STR("18446744073709551617"), INT64_MIN, INT64_MAX), -ERANGE);
    CHECK_EQ(number(STR("11"), 0, 10), -ERANGE);
    CHECK_EQ(number(STR("-1"), 0, 10), -ERANGE);
}

TEST(str, what_is_no_number_is_invalid)
{
    const char *const texts[] = {"",   "-",  "+",   "--1", "1 ",  " 1",
                                 "1x", "x1", "0x1", "1.0", "1e3", "99999999999999999999x"};

    for (size_t i = 0; i < array_count(texts); i++)
        CHECK_EQ(number(str_of(texts[i]), INT64_MIN, INT64_MAX), -EINVAL);
    CHECK_EQ(number(STR_NULL, INT64_MIN, INT64_MAX), -EINVAL);
    CHECK_EQ(number(STR("1\0"), INT64_MIN, INT64_MAX), -EINVAL);
}

TEST(str, dup_ends_with_a_terminator)
{
    char *copy = str_dup((struct str){"abcdef", 3});
    char *empty = str_dup((struct str){NULL, 0});

    CHECK_TEXT(copy, "abc");
    CHECK_TEXT(empty, "");
    CHECK(str_dup(STR_NULL) == NULL);
    free(copy);
    free(empty);
}

TEST(str, utf8_is_checked_strictly)
{
    const char *const good[] = {"a",
                                "\x7f",
                                "\xc2\x80",
                                "\xdf\xbf",
                                "\xe0\xa0\x80",
                                "\xed\x9f\xbf",
                                "\xee\x80\x80",
                                "\xef\xbf\xbf",
                                "\xf0\x90\x80\x80",
                                "\xf4\x8f\xbf\xbf",
                                ("gr\xc3\xbc\xc3\x9f"
                                 "e")};
    const char *const bad[] = {"\x80",
                               "\xbf",
                               "\xc0\x80",
                               "\xc1\xbf",
                               "\xc2",
                               "\xc2\x41",
                               "\xc2\xc2",
                               "\xe0\x9f\xbf",
                               "\xe0\xa0",
                               "\xe1\x80\x41",
                               "\xed\xa0\x80",
                               "\xed\xbf\xbf",
                               "\xf0\x8f\xbf\xbf",
                               "\xf0\x90\x80",
                               "\xf4\x90\x80\x80",
                               "\xf5\x80\x80\x80",
                               "\xff",
                               "a\xfe"};

    CHECK(str_is_utf8(STR("")));
    CHECK(!str_is_utf8(STR_NULL));
    CHECK(!str_is_utf8(STR("a\0b")));
    for (size_t i = 0; i < array_count(good); i++)
        CHECK(str_is_utf8(str_of(good[i])));
    for (size_t i = 0; i < array_count(bad); i++)
        CHECK(!str_is_utf8(str_of(bad[i])));
}

/* Every character there is, and every surrogate, in plain three and four byte form. */
TEST(str, utf8_knows_every_character)
{
    for (uint32_t c = 0x800; c < 0x120000; c++) {
        uint8_t b[4];
        int32_t n = 3;
        if (c < 0x10000) {
            b[0] = (uint8_t)(0xe0 | c >> 12);
        } else {
            n = 4;
            b[0] = (uint8_t)(0xf0 | c >> 18);
            b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        }
        b[n - 2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        b[n - 1] = (uint8_t)(0x80 | (c & 0x3f));
        if (str_is_utf8((struct str){(char *)b, n}) != (c < 0x110000 && (c < 0xd800 || c > 0xdfff)))
            check_fail(__FILE__, __LINE__, "wrong about U+%04X", c);
    }
}

TEST(str, hash_is_fnv_1a)
{
    CHECK(str_hash(STR("")) == 0xcbf29ce484222325);
    CHECK(str_hash(STR("a")) == 0xaf63dc4c8601ec8c);
    CHECK(str_hash(STR("foobar")) == 0x85944171f73967e8);
}

static int32_t partition_of_50(struct str group)
{
    return abs(str_java_hash(group)) % 50;
}

/* Coordinator partitions that a JVM broker chose. */
TEST(str, java_hash_is_that_of_utf16)
{
    CHECK_EQ(str_java_hash(STR("")), 0);
    CHECK_EQ(str_java_hash(STR("hello")), 99162322);
    CHECK_EQ(str_java_hash(STR("polygenelubricants")), INT32_MIN);
    CHECK_EQ(str_java_hash(STR("\xf0\x9f\x98\x80")), 31 * 0xd83d + 0xde00);
    CHECK_EQ(partition_of_50(STR("my-group")), 12);
    CHECK_EQ(partition_of_50(STR("gr\xc3\xbc\xc3\x9f"
                                 "e-\xf0\x9f\x98\x80")),
             27);
    CHECK_EQ(partition_of_50(STR("g:J8aAPcfLQt2bqs1JT_rMgQ:3")), 47);
}

/* Java's decoder makes one U+FFFD of each run of bytes that begins a character and breaks off. */
TEST(str, java_hash_of_invalid_bytes)
{
    int32_t once = str_java_hash(STR("a\xef\xbf\xbd"
                                     "b"));
    int32_t twice = str_java_hash(STR("a\xef\xbf\xbd\xef\xbf\xbd"
                                      "b"));

    CHECK_EQ(str_java_hash(STR("a\xff"
                               "b")),
             once);
    CHECK_EQ(str_java_hash(STR("a\xe2\x82"
                               "b")),
             once);
    CHECK_EQ(str_java_hash(STR("a\xf0\x9f\x98"
                               "b")),
             once);
    CHECK_EQ(str_java_hash(STR("a\xc0\x80"
                               "b")),
             twice);
}
