#include "cli/json.h"

#define DEPTH_MAX 32

void json_begin(struct json *j, struct str text)
{
    *j = (struct json){.text = text};
}

char json_look(struct json *j)
{
    while (j->at < j->text.n && strchr(" \t\r\n", j->text.p[j->at]) != NULL && j->text.p[j->at] != '\0')
        j->at++;
    return j->wrong || j->at == j->text.n ? '\0' : j->text.p[j->at];
}

static bool take(struct json *j, char c)
{
    if (json_look(j) == c && c != '\0') {
        j->at++;
        return true;
    }
    j->wrong = true;
    return false;
}

bool json_enter(struct json *j, char open)
{
    if (++j->depth > DEPTH_MAX)
        j->wrong = true;
    return take(j, open);
}

bool json_next(struct json *j, char close, bool *first)
{
    if (json_look(j) == close && !j->wrong) {
        j->at++;
        j->depth--;
        return false;
    }
    if (!*first && !take(j, ','))
        return false;
    *first = false;
    return !j->wrong;
}

struct str json_string(struct json *j)
{
    int32_t begin;

    if (!take(j, '"'))
        return STR("");
    for (begin = j->at; j->at < j->text.n && j->text.p[j->at] != '"'; j->at++) {
        if (j->text.p[j->at] == '\\')
            j->at++;
    }
    if (j->at >= j->text.n) {
        j->at = j->text.n;
        j->wrong = true;
        return STR("");
    }
    return (struct str){j->text.p + begin, j->at++ - begin};
}

/* Four digits of \u; -1. */
static int32_t code_unit(struct str s, int32_t at)
{
    int32_t unit = 0;

    if (s.n - at < 6 || s.p[at] != '\\' || s.p[at + 1] != 'u')
        return -1;
    for (int32_t i = at + 2; i < at + 6; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static char *put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* The escape at `*at`, which moves behind it. NULL: it is none. */
static char *put_escape(struct str raw, int32_t *at, char *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name = *at + 1 < raw.n && raw.p[*at + 1] != '\0' ? strchr(names, raw.p[*at + 1]) : NULL;
    int32_t c = code_unit(raw, *at);

    if (name != NULL) {
        *to = values[name - names];
        *at += 2;
        return to + 1;
    }
    if (c < 0 || (c >= 0xdc00 && c < 0xe000))
        return NULL;
    *at += 6;
    if (c >= 0xd800 && c < 0xdc00) {
        int32_t low = code_unit(raw, *at);
        if (low < 0xdc00 || low >= 0xe000)
            return NULL;
        *at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(to, c);
}

int json_text(struct arena *a, struct str raw, struct str *out)
{
    if (raw.n == 0 || memchr(raw.p, '\\', (size_t)raw.n) == NULL) {
        *out = raw;
        return 0;
    }
    char *text = arena_take_raw(a, (size_t)raw.n), *to = text; /* an escape is longer than what it says */
    ASSERT(text != NULL);
    for (int32_t at = 0; at < raw.n;) {
        if (raw.p[at] != '\\') {
            *to++ = raw.p[at++];
            continue;
        }
        to = put_escape(raw, &at, to);
        if (to == NULL)
            return -EINVAL;
    }
    *out = (struct str){text, (int32_t)(to - text)};
    return 0;
}

struct str json_name(struct json *j)
{
    struct str s = json_string(j);

    (void)take(j, ':');
    return s;
}

/* A word without quotes: a number, true, false, null. */
static struct str bare(struct json *j)
{
    int32_t begin;

    (void)json_look(j);
    for (begin = j->at; j->at < j->text.n; j->at++) {
        char c = j->text.p[j->at];
        bool in_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '-' || c == '+' || c == '.';
        if (!in_word)
            break;
    }
    if (begin == j->at)
        j->wrong = true;
    return (struct str){j->text.p + begin, j->at - begin};
}

int64_t json_number(struct json *j)
{
    int64_t n = 0;

    if (str_to_i64(bare(j), INT64_MIN, INT64_MAX, &n) < 0)
        j->wrong = true;
    return n;
}

bool json_word(struct json *j, const char *word)
{
    struct str rest;

    (void)json_look(j);
    rest = (struct str){j->text.p + j->at, j->text.n - j->at};
    if (j->wrong || !str_starts(rest, str_of(word)))
        return false;
    j->at += (int32_t)strlen(word);
    return true;
}

void json_skip(struct json *j)
{
    bool first = true;
    char c = json_look(j);

    if (c == '"') {
        (void)json_string(j);
    } else if (c == '{' && json_enter(j, '{')) {
        while (json_next(j, '}', &first)) {
            (void)json_name(j);
            json_skip(j);
        }
    } else if (c == '[' && json_enter(j, '[')) {
        while (json_next(j, ']', &first))
            json_skip(j);
    } else {
        (void)bare(j);
    }
}

bool json_end(struct json *j)
{
    return json_look(j) == '\0' && !j->wrong && j->at == j->text.n;
}
