/* Dates by Java's SimpleDateFormat, in UTC: what --date-format takes. */
#include "cli/load.h"

#include <errno.h>

#define MS_PER_DAY INT64_C(86400000)

struct date {
    int64_t year;
    int month, day, day_of_year; /* from 1 */
    int weekday;                 /* 0 = Sunday */
    int hour, minute, second, ms;
};

/* By eras of 400 years that begin with March: the day that may be missing is the last of its year. */
static struct date date_of(int64_t wall_ms)
{
    int64_t days = wall_ms / MS_PER_DAY - (wall_ms % MS_PER_DAY < 0);
    int64_t rest = wall_ms - days * MS_PER_DAY;
    int64_t shifted = days + 719468; /* from 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t from_march = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * from_march + 2) / 153;
    struct date d = {
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(from_march - (153 * month + 2) / 5 + 1),
        .weekday = (int)(((days + 4) % 7 + 7) % 7),
        .hour = (int)(rest / 3600000),
        .minute = (int)(rest / 60000 % 60),
        .second = (int)(rest / 1000 % 60),
        .ms = (int)(rest % 1000),
    };

    d.year = year + era * 400 + (d.month <= 2);
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    d.day_of_year = (int)(from_march < 306 ? from_march + 60 + leap : from_march - 305);
    return d;
}

static void name_add(struct text *out, const char *name, int32_t letters)
{
    text_add(out, name, letters < 4 ? 3 : strlen(name));
}

/* `letter`, `n` times. false: it has no meaning here. */
static bool field_add(struct text *out, const struct date *d, char letter, int32_t n)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                           "Thursday", "Friday", "Saturday"};
    int64_t number;

    switch (letter) {
    case 'y':
        number = n == 2 ? d->year % 100 : d->year;
        break;
    case 'M':
        if (n >= 3) {
            name_add(out, months[d->month - 1], n);
            return true;
        }
        number = d->month;
        break;
    case 'E':
        name_add(out, weekdays[d->weekday], n);
        return true;
    case 'a':
        text_printf(out, d->hour < 12 ? "AM" : "PM");
        return true;
    case 'z':
        text_printf(out, "UTC");
        return true;
    case 'Z':
        text_printf(out, "+0000");
        return true;
    case 'X':
        text_printf(out, "Z");
        return true;
    case 'd':
        number = d->day;
        break;
    case 'D':
        number = d->day_of_year;
        break;
    case 'H':
        number = d->hour;
        break;
    case 'k':
        number = d->hour == 0 ? 24 : d->hour;
        break;
    case 'K':
        number = d->hour % 12;
        break;
    case 'h':
        number = d->hour % 12 == 0 ? 12 : d->hour % 12;
        break;
    case 'm':
        number = d->minute;
        break;
    case 's':
        number = d->second;
        break;
    case 'S':
        number = d->ms;
        break;
    default:
        return false;
    }
    text_printf(out, "%0*lld", (int)(n < 20 ? n : 20), (long long)number);
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 0, or the letter that has no meaning; a quote: it is not closed. */
static char format(struct text *out, struct str pattern, const struct date *d)
{
    for (int32_t i = 0, n; i < pattern.n; i += n) {
        const char *p = pattern.p + i;
        n = 1;
        if (*p == '\'') { /* text; two of them are one */
            while (i + n < pattern.n && p[n] != '\'')
                n++;
            if (i + n == pattern.n)
                return '\'';
            text_add(out, n == 1 ? "'" : p + 1, n == 1 ? 1 : (size_t)(n - 1));
            n++;
        } else if (is_letter(*p)) {
            while (i + n < pattern.n && p[n] == *p)
                n++;
            if (!field_add(out, d, *p, n))
                return *p;
        } else {
            text_add(out, p, 1);
        }
    }
    return '\0';
}

int date_check(struct str pattern, struct fail *f)
{
    const struct date d = date_of(0);
    struct text out = {0};
    char wrong = format(&out, pattern, &d);

    text_deinit(&out);
    if (wrong == '\'')
        return fail_set(f, -EINVAL, "--date-format %.*s: a quote is not closed", STR_ARG(pattern));
    if (wrong != '\0')
        return fail_set(f, -EINVAL, "--date-format %.*s: %c has no meaning here; G, w, W, F, u, L and Y are not known",
                        STR_ARG(pattern), wrong);
    return 0;
}

void date_add(struct text *out, struct str pattern, int64_t wall_ms)
{
    const struct date d = date_of(wall_ms);

    (void)format(out, pattern, &d);
}
