/* Words of a command line into options, with the habits of Kafka's newer tools (joptsimple). */
#include "cli/tool.h"

#include <errno.h>

/* How many single letters lie between two words; more than `most` is not counted out. */
static int distance(struct str a, struct str b)
{
    int row[64];

    if (a.n >= 63 || b.n >= 63)
        return 63;
    for (int j = 0; j <= b.n; j++)
        row[j] = j;
    for (int i = 1; i <= a.n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= b.n; j++) {
            int best = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
        }
    }
    return row[b.n];
}

static int unknown(const struct arg_option *options, uint32_t count, struct str name, struct fail *f)
{
    const char *nearest = NULL;
    int least = name.n / 3 + 2;

    for (uint32_t i = 0; i < count; i++) {
        int n = distance(name, str_of(options[i].name));
        if (options[i].help != NULL && n < least) {
            least = n;
            nearest = options[i].name;
        }
    }
    if (nearest == NULL)
        return fail_set(f, -EINVAL, "%.*s is not a recognized option", STR_ARG(name));
    return fail_set(f, -EINVAL, "%.*s is not a recognized option; is it --%s?", STR_ARG(name), nearest);
}

/* The option of this name, or of this beginning when it is the only one. -1, and `f`. */
static int find(const struct arg_option *options, uint32_t count, struct str name, bool two_dashes, struct fail *f)
{
    int found = -1;

    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(str_of(options[i].name), name))
            return (int)i;
        if (!two_dashes && name.n == 1 && options[i].letter == name.p[0])
            return (int)i;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (name.n == 0 || !str_starts(str_of(options[i].name), name))
            continue;
        if (found >= 0) {
            fail_set(f, -EINVAL, "%.*s is not a whole option: --%s or --%s?", STR_ARG(name), options[found].name,
                     options[i].name);
            return -1;
        }
        found = (int)i;
    }
    if (found < 0)
        unknown(options, count, name, f);
    return found;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

struct reading {
    int argc, at;
    char **argv;
};

/* The value of option `o`: attached, or the next word. 0, -EINVAL. */
static int take_value(struct reading *r, const struct arg_option *o, struct str attached, struct arg_found *found,
                      struct fail *f)
{
    bool next = r->at + 1 < r->argc;

    if (!o->has_value) {
        if (!str_is_null(attached))
            return fail_set(f, -EINVAL, "Option %s takes no value", o->name);
        attached = STR("");
    } else if (str_is_null(attached) && o->may_lack_value && (!next || is_option(r->argv[r->at + 1]))) {
        attached = STR("");
    } else if (str_is_null(attached)) {
        if (!next)
            return fail_set(f, -EINVAL, "Option %s requires an argument", o->name);
        attached = str_of(r->argv[++r->at]);
    }
    if (found->count == ARG_VALUES_MAX)
        return fail_set(f, ERR_LIMIT, "--%s is given more than %d times", o->name, ARG_VALUES_MAX);
    found->values[found->count++] = attached;
    return 0;
}

int options_read(int argc, char **argv, const struct arg_option *options, uint32_t count, struct arg_found *found,
                 struct str *words, uint32_t words_max, uint32_t *word_count, struct fail *f)
{
    struct reading r = {.argc = argc, .argv = argv};

    *word_count = 0;
    for (; r.at < argc; r.at++) {
        const char *word = argv[r.at];
        if (!is_option(word)) {
            if (*word_count == words_max)
                return fail_set(f, -EINVAL, "\"%s\" is no option, and this tool takes no further words", word);
            words[(*word_count)++] = str_of(word);
            continue;
        }
        bool two = word[1] == '-';
        struct str name, rest = str_of(word + (two ? 2 : 1)), attached = STR_NULL;
        if (str_equal(rest, STR("help")) || (!two && str_equal(rest, STR("h"))))
            return READ_HELP;
        if (str_equal(rest, STR("version")))
            return READ_VERSION;
        const char *equals = memchr(rest.p, '=', (size_t)rest.n);
        name = rest;
        if (equals != NULL) {
            name.n = (int32_t)(equals - rest.p);
            attached = (struct str){equals + 1, rest.n - name.n - 1};
        }
        int i = find(options, count, name, two, f);
        if (i < 0)
            return -EINVAL;
        TRY(take_value(&r, &options[i], attached, &found[i], f));
    }
    return 0;
}
