/* Numbers with a fraction, as Java reads and writes them. */
#include "config/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX 17 /* tell any two doubles apart */

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Whether `p` is [digits][.digits][e[sign]digits][fFdD] with a digit before the exponent. */
static bool is_decimal(const char *p)
{
    const char *start = p;
    p = skip_digits(p);
    bool any = p > start;
    if (*p == '.') {
        start = ++p;
        p = skip_digits(p);
        any |= p > start;
    }
    if (!any)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        start = p;
        p = skip_digits(p);
        if (p == start)
            return false;
    }
    if (*p != '\0' && strchr("fFdD", *p) != NULL)
        p++;
    return *p == '\0';
}

/* Java's hexadecimal form is not read: no settings file has it. */
int double_parse(struct str s, double *out)
{
    char copy[400];
    const char *p = copy;

    if (s.n <= 0 || (size_t)s.n >= sizeof copy || memchr(s.p, '\0', (size_t)s.n) != NULL)
        return -EINVAL;
    memcpy(copy, s.p, (size_t)s.n);
    copy[s.n] = '\0';
    if (*p == '+' || *p == '-')
        p++;
    if (strcmp(p, "NaN") != 0 && strcmp(p, "Infinity") != 0 && !is_decimal(p))
        return -EINVAL;
    *out = strtod(copy, NULL);
    return 0;
}

void double_print(double d, struct text *out)
{
    char digits[DIGITS_MAX + 10];

    if (isnan(d) || isinf(d)) {
        text_printf(out, "%s", isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (signbit(d))
        text_add(out, "-", 1);
    d = fabs(d);
    if (d == 0) {
        text_add(out, "0.0", 3);
        return;
    }
    /* The fewest digits that give this number again: D.DDDe[+-]XX. */
    int precision = 0;
    do
        snprintf(digits, sizeof digits, "%.*e", precision, d);
    while (strtod(digits, NULL) != d && ++precision < DIGITS_MAX);
    char *e = strchr(digits, 'e');
    int exponent = atoi(e + 1);
    *e = '\0';
    char *fraction = digits[1] == '.' ? digits + 2 : digits + 1;
    if (exponent < -3 || exponent >= 7) {
        text_printf(out, "%c.%sE%d", digits[0], *fraction == '\0' ? "0" : fraction, exponent);
    } else if (exponent < 0) {
        text_printf(out, "0.%.*s%c%s", -exponent - 1, "00", digits[0], fraction);
    } else {
        int n = (int)strlen(fraction);
        int whole = n < exponent ? n : exponent;
        text_printf(out, "%c%.*s%.*s.%s", digits[0], whole, fraction, exponent - whole, "000000",
                    n > exponent ? fraction + exponent : "0");
    }
}
