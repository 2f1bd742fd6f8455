/* Dates and durations as --to-datetime and --by-duration take them (ISO 8601). */
#include "cli/cgroups.h"

#include <errno.h>

static int wrong(struct fail *f, struct str text, const char *form)
{
    return fail_set(f, -EINVAL, "\"%.*s\": %s is expected", STR_ARG(text), form);
}

/* Exactly `digits` digits at the front of `*rest`, and `end` behind them ('\0' = nothing wanted). */
static bool take(struct str *rest, int digits, char end, int64_t high, int64_t *out)
{
    int64_t n = 0;

    if (rest->n < digits + (end != '\0'))
        return false;
    for (int i = 0; i < digits; i++) {
        if (rest->p[i] < '0' || rest->p[i] > '9')
            return false;
        n = n * 10 + rest->p[i] - '0';
    }
    if (n > high || (end != '\0' && rest->p[digits] != end))
        return false;
    *out = n;
    digits += end != '\0';
    *rest = (struct str){rest->p + digits, rest->n - digits};
    return true;
}

/* Days from 1970-01-01 in the Gregorian calendar, of years from 1970 on. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    static const int16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t last = year - 1;
    int64_t leaps = (last / 4 - last / 100 + last / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return (year - 1970) * 365 + leaps + before[month - 1] + (leap && month > 2) + day - 1;
}

/* Nothing or "Z" is UTC; else "+hh:mm", "-hhmm", "+hh". */
static bool take_zone(struct str rest, int64_t *minutes)
{
    int64_t hours, rest_minutes = 0;
    bool west;

    *minutes = 0;
    if (rest.n == 0 || str_equal(rest, STR("Z")))
        return true;
    if (rest.p[0] != '+' && rest.p[0] != '-')
        return false;
    west = rest.p[0] == '-';
    rest = (struct str){rest.p + 1, rest.n - 1};
    if (!take(&rest, 2, '\0', 18, &hours))
        return false;
    if (rest.n > 0 && rest.p[0] == ':')
        rest = (struct str){rest.p + 1, rest.n - 1};
    if (rest.n > 0 && !take(&rest, 2, '\0', 59, &rest_minutes))
        return false;
    *minutes = (hours * 60 + rest_minutes) * (west ? -1 : 1);
    return rest.n == 0;
}

int datetime_ms(struct str text, int64_t *out, struct fail *f)
{
    static const char form[] = "YYYY-MM-DDThh:mm:ss.sss";
    struct str rest = text;
    int64_t year, month, day, hour, minute, second, fraction = 0, scale = 100, zone;

    if (!take(&rest, 4, '-', 9999, &year) || !take(&rest, 2, '-', 12, &month) || !take(&rest, 2, 'T', 31, &day))
        return wrong(f, text, form);
    if (!take(&rest, 2, ':', 23, &hour) || !take(&rest, 2, ':', 59, &minute) || !take(&rest, 2, '\0', 59, &second))
        return wrong(f, text, form);
    if (rest.n > 0 && rest.p[0] == '.') {
        for (rest = (struct str){rest.p + 1, rest.n - 1}; rest.n > 0 && rest.p[0] >= '0' && rest.p[0] <= '9';
             rest = (struct str){rest.p + 1, rest.n - 1}) {
            fraction += (rest.p[0] - '0') * scale;
            scale /= 10;
        }
    }
    if (year < 1970 || month < 1 || day < 1 || !take_zone(rest, &zone))
        return wrong(f, text, form);
    *out = (((days_of(year, month, day) * 24 + hour) * 60 + minute - zone) * 60 + second) * 1000 + fraction;
    return 0;
}

int duration_ms(struct str text, int64_t *out, struct fail *f)
{
    static const char form[] = "a duration as PnDTnHnMnS (PT30M, P1DT12H)";
    int64_t total = 0;
    bool time = false, any = false;

    if (text.n < 2 || text.p[0] != 'P')
        return wrong(f, text, form);
    for (int32_t i = 1; i < text.n;) {
        int32_t begin = i;
        int64_t n, unit_ms;
        if (text.p[i] == 'T' && !time) {
            time = true;
            i++;
            continue;
        }
        while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9')
            i++;
        if (i == text.n || str_to_i64((struct str){text.p + begin, i - begin}, 0, INT64_MAX, &n) < 0)
            return wrong(f, text, form);
        switch (text.p[i++]) {
        case 'D':
            unit_ms = time ? 0 : 86400000;
            break;
        case 'H':
            unit_ms = time ? 3600000 : 0;
            break;
        case 'M':
            unit_ms = time ? 60000 : 0;
            break;
        case 'S':
            unit_ms = time ? 1000 : 0;
            break;
        default:
            unit_ms = 0;
            break;
        }
        if (unit_ms == 0 || n > INT64_MAX / unit_ms || __builtin_add_overflow(total, n * unit_ms, &total))
            return wrong(f, text, form);
        any = true;
    }
    if (!any)
        return wrong(f, text, form);
    *out = total;
    return 0;
}
