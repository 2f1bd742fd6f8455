/* A line into a record: "h1:v1,h2:v2<TAB>key<TAB>value", or parts of it. */
#define _GNU_SOURCE /* memmem */
#include "cli/console.h"

void line_rules_init(struct line_rules *r)
{
    *r = (struct line_rules){
        .key_separator = STR("\t"),
        .headers_delimiter = STR("\t"),
        .headers_separator = STR(","),
        .headers_key_separator = STR(":"),
        .null_marker = STR_NULL,
    };
}

void line_rules_set(struct line_rules *r, struct str name, struct str value)
{
    const struct {
        struct str name;
        bool *flag;
        struct str *text;
    } known[] = {
        {STR("parse.key"), &r->parse_key, NULL},
        {STR("parse.headers"), &r->parse_headers, NULL},
        {STR("ignore.error"), &r->ignore_error, NULL},
        {STR("key.separator"), NULL, &r->key_separator},
        {STR("headers.delimiter"), NULL, &r->headers_delimiter},
        {STR("headers.separator"), NULL, &r->headers_separator},
        {STR("headers.key.separator"), NULL, &r->headers_key_separator},
        {STR("null.marker"), NULL, &r->null_marker},
    };

    for (size_t i = 0; i < array_count(known); i++) {
        if (!str_equal(name, known[i].name))
            continue;
        if (known[i].flag != NULL)
            *known[i].flag = str_equal_nocase(str_trim(value), STR("true"));
        else
            *known[i].text = value;
    }
}

int line_rules_check(const struct line_rules *r, struct fail *f)
{
    const struct {
        const char *a, *b;
        struct str x, y;
    } pairs[] = {
        {"headers.delimiter", "headers.separator", r->headers_delimiter, r->headers_separator},
        {"headers.delimiter", "headers.key.separator", r->headers_delimiter, r->headers_key_separator},
        {"headers.separator", "headers.key.separator", r->headers_separator, r->headers_key_separator},
        {"null.marker", "key.separator", r->null_marker, r->key_separator},
        {"null.marker", "headers.separator", r->null_marker, r->headers_separator},
        {"null.marker", "headers.delimiter", r->null_marker, r->headers_delimiter},
        {"null.marker", "headers.key.separator", r->null_marker, r->headers_key_separator},
    };

    for (size_t i = 0; i < array_count(pairs); i++) {
        if (str_equal(pairs[i].x, pairs[i].y))
            return fail_set(f, -EINVAL, "%s and %s may not be equal", pairs[i].a, pairs[i].b);
    }
    return 0;
}

/* Where `what` begins in `s`; -1 = nowhere. An empty one is at the front. */
static int32_t find(struct str s, struct str what)
{
    const char *at = what.n == 0 ? s.p : s.n == 0 ? NULL : memmem(s.p, (size_t)s.n, what.p, (size_t)what.n);

    return at == NULL ? -1 : (int32_t)(at - s.p);
}

/* Cut what is before `separator` from `*rest`: 1, or 0 when it is not there and that may be. */
static int cut(const struct line_rules *r, struct str *rest, struct str separator, const char *name, int64_t number,
               struct str line, struct str *out, struct fail *f)
{
    int32_t at = find(*rest, separator);

    if (at < 0 && r->ignore_error)
        return 0;
    if (at < 0)
        return fail_set(f, -EINVAL, "No %s found on line number %lld: '%.*s'", name, (long long)number, STR_ARG(line));
    *out = (struct str){rest->p, at};
    rest->p += at + separator.n;
    rest->n -= at + separator.n;
    return 1;
}

static struct bytes unless_null(const struct line_rules *r, struct str s)
{
    return str_equal(s, r->null_marker) ? BYTES_NULL : bytes_of_str(s);
}

static int take_header(const struct line_rules *r, struct str pair, int64_t number, struct console_record *out,
                       struct fail *f)
{
    int32_t at = find(pair, r->headers_key_separator);

    if (out->header_count == CONSOLE_HEADERS_MAX)
        return fail_set(f, ERR_LIMIT, "More than %d headers on line number %lld", CONSOLE_HEADERS_MAX,
                        (long long)number);
    struct record_header *h = &out->headers[out->header_count];
    *h = (struct record_header){pair, BYTES_NULL};
    if (at < 0 && !r->ignore_error)
        return fail_set(f, -EINVAL, "No header key separator found in pair '%.*s' on line number %lld", STR_ARG(pair),
                        (long long)number);
    if (at >= 0) {
        int32_t value_at = at + r->headers_key_separator.n;
        h->key.n = at;
        h->value = unless_null(r, (struct str){pair.p + value_at, pair.n - value_at});
        if (str_equal(h->key, r->null_marker))
            return fail_set(f, -EINVAL,
                            "Header keys should not be equal to the null marker '%.*s' as they can't be null",
                            STR_ARG(r->null_marker));
    }
    out->header_count++;
    return 0;
}

/* Empty pairs at the end do not count, as where Java splits text. */
static int take_headers(const struct line_rules *r, struct str all, int64_t number, struct console_record *out,
                        struct fail *f)
{
    bool only = all.n == 0;

    if (r->headers_separator.n > 0) {
        while (all.n >= r->headers_separator.n && str_ends(all, r->headers_separator))
            all.n -= r->headers_separator.n;
    }
    while (only || all.n > 0) {
        int32_t at = r->headers_separator.n == 0 ? -1 : find(all, r->headers_separator);
        struct str pair = {all.p, at < 0 ? all.n : at};
        TRY(take_header(r, pair, number, out, f));
        all.p += at < 0 ? all.n : at + r->headers_separator.n;
        all.n -= at < 0 ? all.n : at + r->headers_separator.n;
        only = false;
    }
    return 0;
}

int line_read(const struct line_rules *r, struct str line, int64_t number, struct console_record *out, struct fail *f)
{
    struct str rest = line, headers = STR_NULL, key = STR_NULL;

    out->topic = STR_NULL;
    out->partition = -1;
    out->timestamp_ms = -1;
    out->header_count = 0;
    if (r->parse_headers)
        TRY(cut(r, &rest, r->headers_delimiter, "headers delimiter", number, line, &headers, f));
    if (r->parse_key)
        TRY(cut(r, &rest, r->key_separator, "key separator", number, line, &key, f));
    out->key = unless_null(r, key);
    out->value = unless_null(r, rest);
    if (!str_is_null(headers) && !str_equal(headers, r->null_marker))
        return take_headers(r, headers, number, out, f);
    return 0;
}
