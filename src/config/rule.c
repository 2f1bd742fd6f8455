/* What is valid: the rules that the tables give each setting, held against a value.
 *
 *   range:LOW..HIGH or:N     a number; an end left out is open; N is allowed beside the range
 *   one-of:A,B               that text, exactly     one-of-nocase:A,B   in any case
 *   list, list:A,B           no part is empty; each one of A, B. Repeated parts do not count
 *   nonempty, nonnull        nonnull is about defaults: a value that is set is never null
 *   rule:NAME                a rule of its own, below
 *
 * Refusals begin with the words of Kafka's validators: scripts around its tools look for them.
 */
#include "config/internal.h"

/* Cut the next rule off `*rules`: "NAME:ARGUMENT"; the argument is empty where there is none. */
static bool next_rule(struct str *rules, struct str *name, struct str *argument)
{
    struct str rule;

    if (!str_cut(rules, ' ', &rule))
        return false;
    *argument = rule;
    (void)str_cut(argument, ':', name);
    return true;
}

struct range {
    struct str low, high; /* short decimals, as the table gives them; empty = open */
};

static struct range range_of(struct str text)
{
    int32_t dots = 0;

    while (!(text.p[dots] == '.' && text.p[dots + 1] == '.'))
        dots++;
    return (struct range){{text.p, dots}, {text.p + dots + 2, text.n - dots - 2}};
}

/* -1, 0, 1: the number is below, at, above an end of its range. */
static int compare_end(const struct setting *s, union setting_number number, struct str end)
{
    if (s->type == SETTING_DOUBLE) {
        double e;
        ASSERT(double_parse(end, &e) == 0);
        return number.f64 >= e ? number.f64 > e : -1; /* NaN is refused, as below */
    }
    int64_t e;
    ASSERT(str_to_i64(end, INT64_MIN, INT64_MAX, &e) == 0);
    return number.i64 < e ? -1 : number.i64 > e;
}

static int check_range(const struct setting *s, struct str text, struct str value,
                       union setting_number number, struct fail *f)
{
    struct str rest = str_of(s->valid), name, argument;
    struct range range = range_of(text);
    int64_t beside = INT64_MIN;

    while (next_rule(&rest, &name, &argument)) {
        if (str_equal(name, STR("or")))
            ASSERT(str_to_i64(argument, INT64_MIN, INT64_MAX, &beside) == 0);
    }
    bool below = range.low.n > 0 && compare_end(s, number, range.low) < 0;
    bool above = range.high.n > 0 && compare_end(s, number, range.high) > 0;
    if (!below && !above)
        return 0;
    if (beside == INT64_MIN)
        return fail_value(f, s, value, "Value must be %s %.*s", below ? "at least" : "no more than",
                          STR_ARG(below ? range.low : range.high));
    if (number.i64 == beside)
        return 0;
    return fail_value(f, s, value, "Value must be between %.*s and %.*s or equal to %" PRId64,
                      STR_ARG(range.low), STR_ARG(range.high), beside);
}

/* "String must be one of: A, B" */
static int fail_one_of(struct fail *f, const struct setting *s, struct str value,
                       const char *remark, struct str allowed)
{
    struct text shown = {0};
    struct str part;

    while (str_cut(&allowed, ',', &part))
        text_printf(&shown, "%s%.*s", shown.n == 0 ? "" : ", ", STR_ARG(part));
    int error =
        fail_value(f, s, value, "String must be one of%s: %.*s", remark, STR_ARG(text_str(&shown)));
    text_deinit(&shown);
    return error;
}

static int check_list(const struct setting *s, struct str allowed, struct str value, struct fail *f)
{
    struct str rest = value, part;
    bool has_empty = str_ends(value, STR(","));

    while (!has_empty && str_cut(&rest, ',', &part)) {
        has_empty = part.n == 0;
        if (!has_empty && allowed.n > 0 && !list_has(allowed, part))
            return fail_one_of(f, s, part, "", allowed);
    }
    if (has_empty)
        return fail_set(f, -EINVAL, "Configuration '%s' values must not be empty.", s->name);
    return 0;
}

static bool is_number(struct str s)
{
    for (int32_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return s.n > 0;
}

/* "*", or PARTITION:BROKER,PARTITION:BROKER... */
static int check_throttled_replicas(const struct setting *s, struct str value, struct fail *f)
{
    struct str rest = value, part, partition;

    if (str_equal(value, STR("*")))
        return 0;
    while (str_cut(&rest, ',', &part)) {
        if (part.n == 0)
            continue;
        bool cut = str_cut(&part, ':', &partition);
        if (!cut || !is_number(partition) || !is_number(part))
            return fail_value(f, s, value,
                              "%s must be the literal '*' or a list of replicas: "
                              "PARTITION:BROKER,PARTITION:BROKER,...",
                              s->name);
    }
    return 0;
}

static int check_quorum_voters(const struct setting *s, struct str value, struct fail *f)
{
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    struct fail why = {0};

    if (quorum_voters_parse(value, voters, QUORUM_VOTERS_MAX, &why) < 0)
        return fail_value(f, s, value, "%s", why.text);
    return 0;
}

static int check_host_ports(const struct setting *s, struct str value, struct fail *f)
{
    struct str rest = value, part;
    char host[256];
    uint16_t port;

    while (str_cut(&rest, ',', &part)) {
        if (host_port_parse(part, host, &port) < 0)
            return fail_value(f, s, value, "\"%.*s\" is not HOST:PORT", STR_ARG(part));
    }
    return 0;
}

static int check_host_port(const struct setting *s, struct str value, struct fail *f)
{
    char host[256];
    uint16_t port;

    if (value.n > 0 && host_port_parse(value, host, &port) < 0)
        return fail_value(f, s, value, "It must be HOST:PORT");
    return 0;
}

/* Take a decimal number and the letter behind it, in any case, off the front of `*rest`. */
static bool take_amount(struct str *rest, char letter)
{
    int32_t i = rest->n > 0 && (rest->p[0] == '+' || rest->p[0] == '-') ? 1 : 0;
    int32_t first = i;

    while (i < rest->n && rest->p[i] >= '0' && rest->p[i] <= '9')
        i++;
    if (i == first)
        return false;
    if (letter == 'S' && i < rest->n && (rest->p[i] == '.' || rest->p[i] == ',')) {
        int32_t point = i++;
        while (i < rest->n && rest->p[i] >= '0' && rest->p[i] <= '9')
            i++;
        if (i - point > 10) /* nanoseconds are the least */
            return false;
    }
    if (i == rest->n || (rest->p[i] & ~0x20) != letter)
        return false;
    *rest = (struct str){rest->p + i + 1, rest->n - i - 1};
    return true;
}

/* A duration of ISO 8601 that is not negative, PnDTnHnMn.nS, as Java's Duration.parse takes it. */
static bool is_duration(struct str s)
{
    if (s.n > 0 && s.p[0] == '+') {
        s.p++;
        s.n--;
    }
    if (s.n < 2 || (s.p[0] & ~0x20) != 'P' || memchr(s.p, '-', (size_t)s.n) != NULL)
        return false;
    struct str rest = {s.p + 1, s.n - 1};
    bool any = take_amount(&rest, 'D');
    if (rest.n == 0)
        return any;
    if ((rest.p[0] & ~0x20) != 'T')
        return false;
    rest.p++;
    rest.n--;
    any = take_amount(&rest, 'H');
    any |= take_amount(&rest, 'M');
    any |= take_amount(&rest, 'S');
    return any && rest.n == 0;
}

static bool is_offset_reset(struct str value)
{
    struct str prefix = STR("by_duration:");

    if (str_equal(value, STR("latest")) || str_equal(value, STR("earliest")))
        return true;
    return str_starts(value, prefix) && is_duration((struct str){value.p + prefix.n, value.n - prefix.n});
}

/* Of consumers; groups that share have no `none`. */
static int check_offset_reset(const struct setting *s, struct str value, struct fail *f)
{
    if (str_equal(value, STR("none")) || is_offset_reset(value))
        return 0;
    return fail_value(f, s, value, "It must be latest, earliest, none or by_duration:PnDTnHnMn.nS");
}

static int check_share_offset_reset(const struct setting *s, struct str value, struct fail *f)
{
    if (is_offset_reset(value))
        return 0;
    return fail_value(f, s, value, "It must be latest, earliest or by_duration:PnDTnHnMn.nS");
}

static int check_own_rule(const struct setting *s, struct str rule, struct str value,
                          struct fail *f)
{
    static const struct {
        const char *name;
        int (*check)(const struct setting *s, struct str value, struct fail *f);
    } rules[] = {
        {"throttled-replicas", check_throttled_replicas},
        {"quorum-voters", check_quorum_voters},
        {"quorum-servers", check_host_ports},
        {"host-port", check_host_port},
        {"offset-reset", check_offset_reset},
        {"share-offset-reset", check_share_offset_reset},
    };

    for (size_t i = 0; i < array_count(rules); i++) {
        if (str_equal(rule, str_of(rules[i].name)))
            return rules[i].check(s, value, f);
    }
    UNREACHABLE("a rule that no code knows");
}

static int check_one_of(const struct setting *s, struct str allowed, struct str value, bool nocase,
                        struct fail *f)
{
    struct str rest = allowed, part;

    while (str_cut(&rest, ',', &part)) {
        if (nocase ? str_equal_nocase(part, value) : str_equal(part, value))
            return 0;
    }
    return fail_one_of(f, s, value, nocase ? " (case insensitive)" : "", allowed);
}

int rules_check(const struct setting *s, struct str canonical, union setting_number number,
                struct fail *f)
{
    struct str rest = str_of(s->valid), name, argument;

    while (next_rule(&rest, &name, &argument)) {
        if (str_equal(name, STR("range")))
            TRY(check_range(s, argument, canonical, number, f));
        else if (str_equal(name, STR("one-of")))
            TRY(check_one_of(s, argument, canonical, false, f));
        else if (str_equal(name, STR("one-of-nocase")))
            TRY(check_one_of(s, argument, canonical, true, f));
        else if (str_equal(name, STR("list")))
            TRY(check_list(s, argument, canonical, f));
        else if (str_equal(name, STR("rule")))
            TRY(check_own_rule(s, argument, canonical, f));
        else if (str_equal(name, STR("nonempty")) && canonical.n == 0)
            return s->type == SETTING_LIST
                       ? fail_set(f, -EINVAL, "Configuration '%s' must not be empty.", s->name)
                       : fail_value(f, s, canonical, "String must be non-empty");
    }
    return 0;
}
