/* What is valid: the rules that the tables give each setting, held against a value.
 *
 *   range:LOW..HIGH or:N     a number; an end left out is open; N is allowed beside the range
 *   one-of:A,B               that text, exactly     one-of-nocase:A,B   in any case
 *   list, list:A,B           no part is empty; each one of A, B. Repeated parts do not count
 *   nonempty, nonnull        nonnull is about defaults: a value that is set is never null
 *   rule:NAME                a rule of its own, below
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

/* The ends of a range are short decimals that the tables give. */
static double range_end(struct str text, double open)
{
    double end = open;

    if (text.n > 0)
        ASSERT(double_parse(text, &end) == 0);
    return end;
}

static bool in_range(struct str range, const struct setting *s, union setting_number number)
{
    int32_t dots = 0;

    while (!(range.p[dots] == '.' && range.p[dots + 1] == '.'))
        dots++;
    struct str low = {range.p, dots};
    struct str high = {range.p + dots + 2, range.n - dots - 2};
    if (s->type == SETTING_DOUBLE)
        return number.f64 >= range_end(low, -__builtin_inf()) &&
               number.f64 <= range_end(high, __builtin_inf());
    int64_t least = INT64_MIN, most = INT64_MAX;
    if (low.n > 0)
        ASSERT(str_to_i64(low, INT64_MIN, INT64_MAX, &least) == 0);
    if (high.n > 0)
        ASSERT(str_to_i64(high, INT64_MIN, INT64_MAX, &most) == 0);
    return number.i64 >= least && number.i64 <= most;
}

static int check_range(const struct setting *s, struct str range, struct str value,
                       union setting_number number, struct fail *f)
{
    struct str rest = str_of(s->valid), name, argument;
    int64_t beside = INT64_MIN;

    while (next_rule(&rest, &name, &argument)) {
        if (str_equal(name, STR("or")))
            ASSERT(str_to_i64(argument, INT64_MIN, INT64_MAX, &beside) == 0);
    }
    if (beside != INT64_MIN && number.i64 == beside)
        return 0;
    if (in_range(range, s, number))
        return 0;
    if (beside != INT64_MIN)
        return fail_value(f, s, value, "is not allowed; it must be in %.*s, or %" PRId64,
                          STR_ARG(range), beside);
    if (str_ends(range, STR("..")))
        return fail_value(f, s, value, "is too small; it must be %.*s or more", range.n - 2,
                          range.p);
    return fail_value(f, s, value, "is not allowed; it must be in %.*s", STR_ARG(range));
}

static int check_list(const struct setting *s, struct str allowed, struct str value, struct fail *f)
{
    struct str rest = value, part;

    if (str_ends(value, STR(",")))
        return fail_value(f, s, value, "has an empty part");
    while (str_cut(&rest, ',', &part)) {
        if (part.n == 0)
            return fail_value(f, s, value, "has an empty part");
        if (allowed.n > 0 && !list_has(allowed, part))
            return fail_value(f, s, value, "is not allowed; its parts must be among %.*s",
                              STR_ARG(allowed));
    }
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
            return fail_value(
                f, s, value,
                "is not allowed; it must be * or PARTITION:BROKER,PARTITION:BROKER...");
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
            return fail_value(f, s, value, "is not HOST:PORT at \"%.*s\"", STR_ARG(part));
    }
    return 0;
}

static int check_host_port(const struct setting *s, struct str value, struct fail *f)
{
    char host[256];
    uint16_t port;

    if (value.n > 0 && host_port_parse(value, host, &port) < 0)
        return fail_value(f, s, value, "is not HOST:PORT");
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

static int check_share_offset_reset(const struct setting *s, struct str value, struct fail *f)
{
    struct str prefix = STR("by_duration:");

    if (str_equal(value, STR("latest")) || str_equal(value, STR("earliest")))
        return 0;
    if (str_starts(value, prefix) &&
        is_duration((struct str){value.p + prefix.n, value.n - prefix.n}))
        return 0;
    return fail_value(f, s, value,
                      "is not allowed; it must be latest, earliest or by_duration:PnDTnHnMn.nS");
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
    return fail_value(f, s, value, "is not allowed; it must be one of %.*s", STR_ARG(allowed));
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
            return fail_value(f, s, canonical, "is not allowed; it must not be empty");
    }
    return 0;
}
