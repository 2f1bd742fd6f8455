#include "check.h"

TEST(text, grows_and_is_always_terminated)
{
    struct text out = {0};

    CHECK_TEXT(text_str(&out), "");
    for (int i = 0; i < 1000; i++) {
        text_printf(&out, "%d,", i);
        CHECK_EQ(out.p[out.n], 0);
        CHECK(out.n < out.capacity);
    }
    CHECK_EQ(out.n, 3890);
    CHECK_TEXT(out.p + out.n - 8, "998,999,");
    text_clear(&out);
    CHECK_EQ(out.n, 0);
    CHECK_TEXT(out.p, "");
    text_add_str(&out, STR("abc"));
    text_add_str(&out, STR_NULL);
    text_add(&out, NULL, 0);
    text_add(&out, "d\0e", 3);
    CHECK_BYTES(out.p, out.n + 1, "abcd\0e", 7);
    text_deinit(&out);
    CHECK(out.p == NULL);
}

/* Each size around the places where memory is taken, first as the only one, then behind others. */
TEST(text, every_size_fits)
{
    for (int before = 0; before < 3; before++) {
        for (int n = 0; n < 300; n++) {
            struct text out = {0};
            for (int i = 0; i < before; i++)
                text_add(&out, "0123456789", 10);
            text_printf(&out, "%.*s", n, "");
            text_printf(&out, "%*s", n, "");
            CHECK_EQ(out.n, 10 * before + n);
            if (out.p != NULL)
                CHECK_EQ(strlen(out.p), out.n);
            text_deinit(&out);
        }
    }
}

TEST(text, larger_than_a_str_is_a_bug)
{
    struct text out = {0};

    text_add(&out, "a", 1);
    CHECK_ASSERTS(text_add(&out, "b", INT32_MAX));
    CHECK_ASSERTS(text_add(&out, "b", SIZE_MAX));
    text_deinit(&out);
}

static const char *json(struct text *t, struct str s)
{
    text_clear(t);
    text_add_json(t, s);
    return t->p;
}

TEST(text, json_strings_are_escaped)
{
    struct text out = {0};

    CHECK_TEXT(json(&out, STR("")), "\"\"");
    CHECK_TEXT(json(&out, STR("orders-0")), "\"orders-0\"");
    CHECK_TEXT(json(&out, STR("a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
    CHECK_TEXT(json(&out, STR("\n\r\t\b\0\x1f\x7f")), "\"\\n\\r\\t\\u0008\\u0000\\u001f\x7f\"");
    CHECK_TEXT(json(&out, STR("gr\xc3\xbc\xc3\x9f"
                              "e \xf0\x9f\x98\x80")),
               "\"gr\xc3\xbc\xc3\x9f"
               "e \xf0\x9f\x98\x80\"");
    CHECK_TEXT(json(&out, STR("\xff")), "\"\xef\xbf\xbd\"");
    CHECK_TEXT(json(&out, STR("a\xe2\x82")), "\"a\xef\xbf\xbd\"");
    CHECK_TEXT(json(&out, STR("\xe2\x82"
                              "b\"")),
               "\"\xef\xbf\xbd"
               "b\\\"\"");
    /* As Java counts them: one for a surrogate, of a cut character one for all that is there of it. */
    CHECK_TEXT(json(&out, STR("\xed\xa0\x80|\xed\xbf\xbf|\xed\xa0|\xe0\x80\x80|\xf0\x9f\x98|\xf4\x90")),
               "\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|"
               "\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(json(&out, STR_NULL), "null");
    text_deinit(&out);
}

/* Whatever the bytes, the result is a quoted string of valid UTF-8 without a bare control byte,
 * and ends only where it ends. */
TEST(text, json_of_any_bytes_is_well_formed)
{
    struct text out = {0};
    struct prng g;

    prng_init(&g, 12);
    for (int round = 0; round < 20000; round++) {
        char b[16];
        int32_t n = (int32_t)prng_below(&g, sizeof(b) + 1);
        for (int32_t i = 0; i < n; i++)
            b[i] = (char)prng_u64(&g);
        json(&out, (struct str){b, n});
        CHECK(str_is_utf8(text_str(&out)));
        CHECK_EQ(out.p[0], '"');
        for (size_t i = 1; i < out.n; i++) {
            CHECK((uint8_t)out.p[i] >= 0x20);
            if (out.p[i] == '\\')
                i++;
            else
                CHECK_EQ(out.p[i] == '"', i == out.n - 1);
        }
    }
    text_deinit(&out);
}
