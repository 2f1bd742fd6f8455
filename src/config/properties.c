/* Java properties, read as java.util.Properties.load reads them, with three differences: bytes
 * above 127 are UTF-8 where they are UTF-8 (Java takes each as a Latin-1 letter, which garbles what
 * people write today); U+0000 is refused; and a lone backslash at the end of the file is nothing
 * (Java makes a pair of empty texts of it, unless CR LF follows). */
#include "config/internal.h"

void properties_begin(struct properties *p, struct str content)
{
    *p = (struct properties){.rest = content};
}

void properties_end(struct properties *p)
{
    text_deinit(&p->key);
    text_deinit(&p->value);
    *p = (struct properties){0};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static void skip(struct properties *p, int32_t n)
{
    p->rest.p += n;
    p->rest.n -= n;
}

static void skip_blanks(struct properties *p)
{
    while (p->rest.n > 0 && is_blank(p->rest.p[0]))
        skip(p, 1);
}

/* Take the rest of this line with its end: LF, CR or CR LF. */
static struct str take_line(struct properties *p)
{
    int32_t n = 0;

    while (n < p->rest.n && !is_line_end(p->rest.p[n]))
        n++;
    struct str line = {p->rest.p, n};
    int32_t end = n < p->rest.n ? 1 : 0;
    if (end == 1 && n + 1 < p->rest.n && p->rest.p[n] == '\r' && p->rest.p[n + 1] == '\n')
        end = 2;
    skip(p, n + end);
    p->line++;
    return line;
}

/* An odd number of backslashes at its end continues a line. */
static bool is_continued(struct str line)
{
    int32_t n = 0;

    while (n < line.n && line.p[line.n - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

/* Put the next line together with those that continue it; false at the end of the file. Blank lines
 * and comments are none, also where they continue a line that is empty so far. */
static bool take_logical_line(struct properties *p, struct text *line)
{
    text_clear(line);
    while (p->rest.n > 0) {
        skip_blanks(p);
        bool comment =
            line->n == 0 && p->rest.n > 0 && (p->rest.p[0] == '#' || p->rest.p[0] == '!');
        struct str part = take_line(p);
        if (comment)
            continue;
        bool continued = is_continued(part);
        text_add(line, part.p, (size_t)(part.n - (continued ? 1 : 0)));
        if (!continued && line->n > 0)
            return true;
    }
    return line->n > 0;
}

static void add_utf8(struct text *out, uint32_t c)
{
    char b[4];
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (int i = n - 1; i > 0; i--, c >>= 6)
        b[i] = (char)(0x80 | (c & 0x3f));
    b[0] = (char)(first[n] | c);
    text_add(out, b, (size_t)n);
}

/* Read the four digits of \uXXXX. */
static bool take_unit(struct str *s, uint32_t *unit)
{
    uint32_t v = 0;

    if (s->n < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = s->p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    s->p += 4;
    s->n -= 4;
    *unit = v;
    return true;
}

/* Take what stands behind \u: one UTF-16 unit, or two that make one character. */
static int take_unicode(struct properties *p, struct str *s, struct text *out, struct fail *f)
{
    uint32_t c, low;

    if (!take_unit(s, &c))
        return fail_set(f, -EINVAL, "line %u: \\u needs four hexadecimal digits", p->line);
    if (c == 0)
        return fail_set(f, -EINVAL, "line %u: the character \\u0000 is not allowed", p->line);
    struct str behind = *s;
    if (c >= 0xd800 && c < 0xdc00 && behind.n >= 2 && behind.p[0] == '\\' && behind.p[1] == 'u') {
        behind.p += 2;
        behind.n -= 2;
        if (take_unit(&behind, &low) && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            *s = behind;
        }
    }
    add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c); /* half a pair is no character */
    return 0;
}

static int unescape(struct properties *p, struct str s, bool latin_1, struct text *out,
                    struct fail *f)
{
    text_clear(out);
    while (s.n > 0) {
        bool escaped = s.p[0] == '\\' && s.n > 1;
        if (escaped) {
            s.p++;
            s.n--;
        }
        char c = s.p[0];
        s.p++;
        s.n--;
        if (escaped && c == 'u') {
            TRY(take_unicode(p, &s, out, f));
            continue;
        }
        if (c == '\0')
            return fail_set(f, -EINVAL, "line %u: the character NUL is not allowed", p->line);
        if (escaped && (c == 't' || c == 'r' || c == 'n' || c == 'f'))
            c = c == 't' ? '\t' : c == 'r' ? '\r' : c == 'n' ? '\n' : '\f';
        if (latin_1)
            add_utf8(out, (uint8_t)c);
        else
            text_add(out, &c, 1);
    }
    return 0;
}

/* Split at the first `=`, `:` or blank that no backslash stands before; blanks around the one
 * separator belong to neither side. */
static void split(struct str line, struct str *key, struct str *value)
{
    int32_t n = 0;
    bool backslash = false;

    while (n < line.n) {
        char c = line.p[n];
        if (!backslash && (c == '=' || c == ':' || is_blank(c)))
            break;
        backslash = c == '\\' && !backslash;
        n++;
    }
    *key = (struct str){line.p, n};
    while (n < line.n && is_blank(line.p[n]))
        n++;
    if (n < line.n && (line.p[n] == '=' || line.p[n] == ':'))
        n++;
    while (n < line.n && is_blank(line.p[n]))
        n++;
    *value = (struct str){line.p + n, line.n - n};
}

int properties_next(struct properties *p, struct str *key, struct str *value, struct fail *f)
{
    struct text line = {0};
    struct str key_part, value_part;

    if (!take_logical_line(p, &line)) {
        text_deinit(&line);
        return 0;
    }
    split(text_str(&line), &key_part, &value_part);
    bool latin_1 = !str_is_utf8(text_str(&line)) && memchr(line.p, '\0', line.n) == NULL;
    int error = unescape(p, key_part, latin_1, &p->key, f);
    if (error == 0)
        error = unescape(p, value_part, latin_1, &p->value, f);
    text_deinit(&line);
    TRY(error);
    *key = text_str(&p->key);
    *value = text_str(&p->value);
    return 1;
}
