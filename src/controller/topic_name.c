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

static struct str metric_name(struct decision *d, struct str name)
{
    char *p = arena_take_raw(&d->c->scratch, (size_t)name.n);

    for (int32_t i = 0; i < name.n; i++)
        p[i] = name.p[i] == '.' ? '_' : name.p[i];
    return (struct str){p, name.n};
}

/* From here on a request that makes many topics has all names sorted; for a few, looking through them costs
 * less. */
#define LOOKS_MAX 16

static void sort_metrics(struct decision *d)
{
    uint32_t count = image_topic_count(d->image);

    tally_make(&d->metrics, &d->c->scratch, (int32_t)count);
    for (uint32_t i = 0; i < count; i++)
        tally_add(&d->metrics,
                  (struct named){.name = metric_name(d, image_topic_at(d->image, i)->name)});
    tally_sort(&d->metrics);
}

/* `name` itself is not there: who asks has looked. */
const struct image_topic *find_colliding_topic(struct decision *d, struct str name)
{
    bool marked =
        memchr(name.p, '.', (size_t)name.n) != NULL || memchr(name.p, '_', (size_t)name.n) != NULL;

    if (!marked)
        return NULL;
    if (++d->collisions_asked > LOOKS_MAX) {
        if (d->metrics.rows == NULL)
            sort_metrics(d);
        int32_t at = tally_first(&d->metrics, (struct named){.name = metric_name(d, name)});
        return at < 0 ? NULL : image_topic_at(d->image, (uint32_t)at);
    }
    for (uint32_t i = 0; i < image_topic_count(d->image); i++) {
        const struct image_topic *t = image_topic_at(d->image, i);
        if (same_metric(t->name, name))
            return t;
    }
    return NULL;
}
