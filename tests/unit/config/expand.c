#include "config/config.h"

#include "check.h"

/* Knows env:HOME and file:/etc/secret[:key]; anything else of theirs is missing. */
static int look(void *ctx, struct str source, struct str name, struct text *out)
{
    if (str_equal(source, STR("env")) && str_equal(name, STR("HOME"))) {
        text_printf(out, "/root");
        return 0;
    }
    if (str_equal(source, STR("file")) && str_starts(name, STR("/etc/secret"))) {
        text_printf(out, "<%.*s>${env:HOME}", STR_ARG(name));
        return 0;
    }
    bool known = str_equal(source, STR("env")) || str_equal(source, STR("file"));
    return known ? -ENOENT : -ENOTSUP;
}

static void check_expand(const char *value, const char *expected)
{
    struct text out = {0};
    struct fail f = {0};

    if (config_expand(str_of(value), look, NULL, &out, &f) < 0)
        CHECK_TEXT(f.text, expected);
    else
        CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(expand, references_are_replaced)
{
    check_expand("${env:HOME}", "/root");
    check_expand("a${env:HOME}b${env:HOME}", "a/rootb/root");
    check_expand("plain", "plain");
    check_expand("", "");
}

TEST(expand, all_behind_the_first_colon_is_the_name)
{
    check_expand("${file:/etc/secret:key}", "</etc/secret:key>${env:HOME}");
    check_expand("${file:/etc/secret}", "</etc/secret>${env:HOME}");
}

TEST(expand, what_is_no_reference_stays)
{
    check_expand("$HOME ${HOME} ${} $ {env:HOME}", "$HOME ${HOME} ${} $ {env:HOME}");
    check_expand("${vault:a:b}", "${vault:a:b}");
    check_expand("${env:HOME", "${env:HOME");
    check_expand("$", "$");
    check_expand("a${", "a${");
}

TEST(expand, a_missing_one_is_named)
{
    check_expand("x${env:NOBODY}", "${env:NOBODY}: No such file or directory");
}
