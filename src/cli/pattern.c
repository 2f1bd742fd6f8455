/* Topics by a regular expression, as Kafka's tools take them. */
#include "cli/tool.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>

#define PATTERN_BYTES_MAX 4096

struct pattern {
    regex_t regex;
};

/* Java's words for classes, which POSIX does not have. */
static void add_escaped(struct text *t, char c)
{
    switch (c) {
    case 'd':
        text_printf(t, "[0-9]");
        break;
    case 'D':
        text_printf(t, "[^0-9]");
        break;
    default:
        text_printf(t, "\\%c", c);
        break;
    }
}

int pattern_new(struct str text, struct pattern **out, struct fail *f)
{
    struct pattern *p;
    struct text t = {0};
    char why[128];
    int rc;

    if (text.n > PATTERN_BYTES_MAX)
        return fail_set(f, ERR_LIMIT, "a pattern of more than %d letters", PATTERN_BYTES_MAX);
    text = str_trim(text);
    while (text.n > 0 && (text.p[0] == '"' || text.p[0] == '\''))
        text = (struct str){text.p + 1, text.n - 1};
    while (text.n > 0 && (text.p[text.n - 1] == '"' || text.p[text.n - 1] == '\''))
        text.n--;
    text_printf(&t, "^(");
    for (int32_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' && i + 1 < text.n)
            add_escaped(&t, text.p[++i]);
        else if (text.p[i] == ',')
            text_add(&t, "|", 1);
        else if (text.p[i] != ' ')
            text_add(&t, &text.p[i], 1);
    }
    text_printf(&t, ")$");
    p = malloc(sizeof(*p));
    ASSERT(p != NULL);
    rc = regcomp(&p->regex, t.p, REG_EXTENDED | REG_NOSUB);
    text_deinit(&t);
    if (rc != 0) {
        regerror(rc, &p->regex, why, sizeof(why));
        free(p);
        return fail_set(f, -EINVAL, "%.*s is an invalid regex: %s", STR_ARG(text), why);
    }
    *out = p;
    return 0;
}

bool pattern_matches(const struct pattern *p, struct str name)
{
    char *text = str_dup(name);
    bool matches;

    ASSERT(text != NULL);
    matches = regexec(&p->regex, text, 0, NULL, 0) == 0;
    free(text);
    return matches;
}

void pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    regfree(&p->regex);
    free(p);
}

bool topic_is_internal(struct str name)
{
    return str_equal(name, STR("__consumer_offsets")) || str_equal(name, STR("__transaction_state")) ||
           str_equal(name, STR("__share_group_state"));
}
