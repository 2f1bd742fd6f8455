#include "cli/json.h"

#define DEPTH_MAX 32

void json_begin(struct json *j, struct str text)
{
    *j = (struct json){.text = text};
}

static char look(struct json *j)
{
    while (j->at < j->text.n && strchr(" \t\r\n", j->text.p[j->at]) != NULL && j->text.p[j->at] != '\0')
        j->at++;
    return j->wrong || j->at == j->text.n ? '\0' : j->text.p[j->at];
}

static bool take(struct json *j, char c)
{
    if (look(j) == c && c != '\0') {
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
    if (look(j) == close && !j->wrong) {
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

    (void)look(j);
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

void json_skip(struct json *j)
{
    bool first = true;
    char c = look(j);

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
    return look(j) == '\0' && !j->wrong && j->at == j->text.n;
}
