/* Names of topics: what is allowed, and which would be one metric's name (KIP-4). */
#include "controller/internal.h"

#define TOPIC_NAME_BYTES_MAX 249

static bool is_name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

struct verdict check_topic_name(struct decision *d, struct str name)
{
    if (name.n <= 0)
        return refuse(d, KERR_INVALID_TOPIC_EXCEPTION,
                      "Topic name is invalid: the empty string is not allowed");
    if (str_equal(name, STR(".")) || str_equal(name, STR("..")))
        return refuse(d, KERR_INVALID_TOPIC_EXCEPTION,
                      "Topic name is invalid: '%.*s' is not allowed", STR_ARG(name));
    if (name.n > TOPIC_NAME_BYTES_MAX)
        return refuse(d, KERR_INVALID_TOPIC_EXCEPTION,
                      "Topic name is invalid: the length of '%.*s' is longer than the max allowed "
                      "length %d",
                      STR_ARG(name), TOPIC_NAME_BYTES_MAX);
    for (int32_t i = 0; i < name.n; i++) {
        if (!is_name_letter(name.p[i]))
            return refuse(
                d, KERR_INVALID_TOPIC_EXCEPTION,
                "Topic name is invalid: '%.*s' contains one or more characters other than "
                "ASCII alphanumerics, '.', '_' and '-'",
                STR_ARG(name));
    }
    return VERDICT_OK;
}

static bool same_metric(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (int32_t i = 0; i < a.n; i++) {
        char left = a.p[i] == '.' ? '_' : a.p[i];
        char right = b.p[i] == '.' ? '_' : b.p[i];
        if (left != right)
            return false;
    }
    return true;
}

const struct image_topic *find_colliding_topic(const struct decision *d, struct str name)
{
    bool marked =
        memchr(name.p, '.', (size_t)name.n) != NULL || memchr(name.p, '_', (size_t)name.n) != NULL;

    for (uint32_t i = 0; marked && i < image_topic_count(d->image); i++) {
        const struct image_topic *t = image_topic_at(d->image, i);
        if (same_metric(t->name, name) && !str_equal(t->name, name))
            return t;
    }
    return NULL;
}
