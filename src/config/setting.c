/* One setting: found by name, its value read as Kafka's ConfigDef.parseType reads it. */
#include "config/internal.h"

#include <stdarg.h>
#include <stdio.h>

#define VALUE_SHOWN_MAX 100 /* bytes of a bad value in a message: enough to find it */

int setting_find(const struct config_table *table, struct str name)
{
    uint32_t low = 0, high = table->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = str_compare(str_of(table->settings[middle].name), name);
        if (order == 0)
            return (int)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

bool list_has(struct str list, struct str wanted)
{
    struct str part;

    while (str_cut(&list, ',', &part)) {
        if (str_equal(part, wanted))
            return true;
    }
    return false;
}

bool setting_is_prefixed(struct str name)
{
    /* Kafka hands names under these to plugins, unchecked. */
    static const char *const plugins[] = {
        "config.providers.",
        "group.streams.topology.description.plugin.",
        "rlmm.config.",
        "rsm.config.",
    };

    for (size_t i = 0; i < array_count(plugins); i++) {
        if (str_starts(name, str_of(plugins[i])))
            return true;
    }
    struct str prefix = STR("listener.name."), listener, rest = name;
    if (!str_starts(name, prefix))
        return false;
    rest.p += prefix.n;
    rest.n -= prefix.n;
    if (!str_cut(&rest, '.', &listener) || listener.n == 0)
        return false;
    if (setting_find(&broker_settings, rest) >= 0)
        return true;
    /* listener.name.external.scram-sha-256.sasl.jaas.config */
    struct str mechanism;
    return str_cut(&rest, '.', &mechanism) && mechanism.n > 0 &&
           setting_find(&broker_settings, rest) >= 0;
}

struct str trim(struct str s)
{
    while (s.n > 0 && (uint8_t)s.p[0] <= ' ') {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (uint8_t)s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

int fail_value(struct fail *f, const struct setting *s, struct str value, const char *format, ...)
{
    char why[300];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (s->type == SETTING_PASSWORD)
        return fail_set(f, -EINVAL, "Invalid value [hidden] for configuration %s: %s", s->name,
                        why);
    if (value.n <= VALUE_SHOWN_MAX)
        return fail_set(f, -EINVAL, "Invalid value %.*s for configuration %s: %s", STR_ARG(value),
                        s->name, why);
    return fail_set(f, -EINVAL, "Invalid value %.*s... for configuration %s: %s", VALUE_SHOWN_MAX,
                    value.p, s->name, why);
}

static int parse_boolean(const struct setting *s, struct str value, union setting_number *number,
                         struct fail *f)
{
    if (str_equal_nocase(value, STR("true")))
        number->i64 = 1;
    else if (str_equal_nocase(value, STR("false")))
        number->i64 = 0;
    else
        return fail_value(f, s, value, "Expected value to be either true or false");
    return 0;
}

static int parse_whole(const struct setting *s, struct str value, union setting_number *number,
                       struct fail *f)
{
    int64_t low = s->type == SETTING_LONG  ? INT64_MIN
                  : s->type == SETTING_INT ? INT32_MIN
                                           : INT16_MIN;
    int64_t high = s->type == SETTING_LONG  ? INT64_MAX
                   : s->type == SETTING_INT ? INT32_MAX
                                            : INT16_MAX;
    const char *type = s->type == SETTING_LONG ? "LONG" : s->type == SETTING_INT ? "INT" : "SHORT";
    int error = str_to_i64(value, low, high, &number->i64);

    if (error == -ERANGE)
        return fail_value(f, s, value, "Not a number of type %s, which is %" PRId64 " to %" PRId64,
                          type, low, high);
    if (error < 0)
        return fail_value(f, s, value, "Not a number of type %s", type);
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Parts joined by commas, without the blanks around them: Java's split by \s*,\s* that keeps empty
 * parts. Empty text is no part. */
static void parse_list(struct str value, struct text *canonical)
{
    int32_t at = 0;

    while (at < value.n) {
        int32_t end = at;
        while (end < value.n && value.p[end] != ',' && !is_space(value.p[end]))
            end++;
        text_add(canonical, value.p + at, (size_t)(end - at));
        int32_t next = end;
        while (next < value.n && is_space(value.p[next]))
            next++;
        if (next < value.n && value.p[next] == ',') {
            text_add(canonical, ",", 1);
            for (next++; next < value.n && is_space(value.p[next]);)
                next++;
        } else {
            text_add(canonical, value.p + end, (size_t)(next - end));
        }
        at = next;
    }
}

/* Leave out parts that came before, as Kafka does where its rule is a list of single values. */
static void drop_repeated(const struct setting *s, struct text *canonical)
{
    struct text kept = {0};
    struct str rest = text_str(canonical), part;
    bool ends_empty = str_ends(rest, STR(","));

    if (s->valid == NULL || !str_starts(str_of(s->valid), STR("list")))
        return;
    while (str_cut(&rest, ',', &part)) {
        if (part.n > 0 && list_has(text_str(&kept), part))
            continue;
        if (kept.n > 0 || part.p > canonical->p)
            text_add(&kept, ",", 1);
        text_add_str(&kept, part);
    }
    if (ends_empty)
        text_add(&kept, ",", 1);
    text_deinit(canonical);
    *canonical = kept;
}

int setting_parse(const struct setting *s, struct str value, struct text *canonical,
                  union setting_number *number, struct fail *f)
{
    *number = (union setting_number){.i64 = INT64_MIN};
    if (str_is_null(value))
        return fail_set(f, -EINVAL, "%s: needs a value", s->name);
    value = trim(value);
    switch (s->type) {
    case SETTING_BOOLEAN:
        TRY(parse_boolean(s, value, number, f));
        text_printf(canonical, "%s", number->i64 != 0 ? "true" : "false");
        return 0;
    case SETTING_INT:
    case SETTING_SHORT:
    case SETTING_LONG:
        TRY(parse_whole(s, value, number, f));
        text_printf(canonical, "%" PRId64, number->i64);
        return 0;
    case SETTING_DOUBLE:
        if (double_parse(value, &number->f64) < 0)
            return fail_value(f, s, value, "Not a number of type DOUBLE");
        double_print(number->f64, canonical);
        return 0;
    case SETTING_LIST:
        parse_list(value, canonical);
        drop_repeated(s, canonical);
        return 0;
    case SETTING_CLASS:
        if (value.n == 0)
            return fail_value(f, s, value, "The name of a class is missing");
        text_add_str(canonical, value);
        return 0;
    case SETTING_STRING:
    case SETTING_PASSWORD:
        text_add_str(canonical, value);
        return 0;
    }
    UNREACHABLE("setting type");
}

int setting_check(const struct setting *s, struct str value, struct fail *f)
{
    struct text canonical = {0};
    union setting_number number;

    int error = setting_parse(s, value, &canonical, &number, f);
    if (error == 0)
        error = rules_check(s, text_str(&canonical), number, f);
    text_deinit(&canonical);
    return error;
}
