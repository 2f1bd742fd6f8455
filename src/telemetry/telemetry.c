/* Numbers under names, and lines to the sink. */
#include "telemetry/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct number_key {
    const char *name, *labels;
};

static bool number_equal(const struct map_node *node, const void *key)
{
    const struct number *n = container_of(node, const struct number, node);
    const struct number_key *k = key;

    return strcmp(n->name, k->name) == 0 && strcmp(n->labels, k->labels) == 0;
}

struct telemetry *telemetry_new(struct telemetry_sink *sink)
{
    struct telemetry *t = calloc(1, sizeof *t);

    ASSERT(t != NULL);
    t->sink = sink;
    causes_init(&t->causes);
    map_init(&t->numbers, number_equal);
    return t;
}

static void number_free(struct number *n)
{
    if (n->kind == HISTOGRAM)
        histogram_deinit(&n->histogram);
    free(n->name);
    free(n->labels);
    free(n);
}

void telemetry_free(struct telemetry *t)
{
    if (t == NULL)
        return;
    MAP_EACH (node, &t->numbers)
        number_free(container_of(node, struct number, node));
    map_deinit(&t->numbers);
    causes_deinit(&t->causes);
    free(t);
}

static bool is_metric_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        bool letter =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || *p == ':';
        bool digit = *p >= '0' && *p <= '9';
        if (!letter && !(digit && p > name))
            return false;
    }
    return *name != '\0';
}

static bool is_power_of_ten(uint64_t unit)
{
    uint64_t power = 1;

    while (power < unit)
        power *= 10;
    return power == unit;
}

static uint64_t hash_of(const struct number_key *k)
{
    return str_hash(str_of(k->name)) * 31 + str_hash(str_of(k->labels));
}

/* The number of that name and those labels, made when it is new. */
static struct number *number_get(struct telemetry *t, enum kind kind, const char *name, const char *labels, uint64_t unit,
                                 const char *help)
{
    struct number_key key = {name, labels == NULL ? "" : labels};
    uint64_t hash = hash_of(&key);
    struct map_node *node = map_find(&t->numbers, hash, &key);

    if (node != NULL) {
        struct number *n = container_of(node, struct number, node);
        ASSERT(n->kind == kind && n->unit == unit);
        return n;
    }
    ASSERT(is_metric_name(name) && is_power_of_ten(unit));
    struct number *n = calloc(1, sizeof *n);
    ASSERT(n != NULL);
    n->kind = kind;
    n->unit = unit;
    n->help = help;
    n->name = str_dup(str_of(key.name));
    n->labels = str_dup(str_of(key.labels));
    map_add(&t->numbers, &n->node, hash);
    return n;
}

struct counter *telemetry_counter(struct telemetry *t, const char *name, const char *labels,
                                  const char *help)
{
    return &number_get(t, COUNTER, name, labels, 1, help)->counter;
}

struct gauge *telemetry_gauge(struct telemetry *t, const char *name, const char *labels,
                              const char *help)
{
    return telemetry_gauge_in(t, name, labels, 1, help);
}

struct gauge *telemetry_gauge_in(struct telemetry *t, const char *name, const char *labels, uint64_t unit, const char *help)
{
    return &number_get(t, GAUGE, name, labels, unit, help)->gauge;
}

struct gauge *telemetry_peak(struct telemetry *t, const char *name, const char *labels, const char *help)
{
    return &number_get(t, PEAK, name, labels, 1, help)->gauge;
}

struct histogram *telemetry_histogram(struct telemetry *t, const char *name, const char *labels,
                                      uint64_t unit, const char *help)
{
    return &number_get(t, HISTOGRAM, name, labels, unit, help)->histogram;
}

void telemetry_merge(struct telemetry *sum, const struct telemetry *from)
{
    MAP_EACH (node, &from->numbers) {
        const struct number *n = container_of(node, const struct number, node);
        struct number *to = number_get(sum, n->kind, n->name, n->labels, n->unit, n->help);
        switch (n->kind) {
        case COUNTER:
            to->counter.value += n->counter.value;
            break;
        case GAUGE:
            to->gauge.value += n->gauge.value;
            break;
        case PEAK:
            if (n->gauge.value > to->gauge.value)
                to->gauge.value = n->gauge.value;
            break;
        case HISTOGRAM:
            histogram_merge(&to->histogram, &n->histogram);
            break;
        }
    }
}

void telemetry_forget(struct telemetry *t, const char *labels)
{
    size_t length = strlen(labels);

    ASSERT(length > 0);
    MAP_EACH (node, &t->numbers) {
        struct number *n = container_of(node, struct number, node);
        if (strncmp(n->labels, labels, length) != 0)
            continue;
        if (n->labels[length] != '\0' && n->labels[length] != ',')
            continue;
        map_remove(&t->numbers, node);
        number_free(n);
    }
}

void telemetry_forget_one(struct telemetry *t, const char *name, const char *labels)
{
    struct number_key key = {name, labels};
    struct map_node *node = map_find(&t->numbers, hash_of(&key), &key);

    if (node == NULL)
        return;
    map_remove(&t->numbers, node);
    number_free(container_of(node, struct number, node));
}

void telemetry_forget_named(struct telemetry *t, const char *name)
{
    MAP_EACH (node, &t->numbers) {
        struct number *n = container_of(node, struct number, node);
        if (strcmp(n->name, name) != 0)
            continue;
        map_remove(&t->numbers, node);
        number_free(n);
    }
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

    return names[level];
}

void make_one_line(char *line)
{
    for (char *p = line; *p != '\0'; p++) {
        if ((uint8_t)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
}

void say(struct telemetry *t, enum log_level level, const char *room, const char *format, ...)
{
    char line[TELEMETRY_LINE_MAX + 1];
    va_list args;

    if (t == NULL || t->sink == NULL || level < t->sink->level)
        return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > TELEMETRY_LINE_MAX) {
        int cut = TELEMETRY_LINE_MAX - 3;
        while (cut > 0 && ((uint8_t)line[cut] & 0xc0) == 0x80) /* not inside a letter */
            cut--;
        strcpy(line + cut, "...");
    }
    make_one_line(line);
    t->sink->write(t->sink, level, room, line);
}
