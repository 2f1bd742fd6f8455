/* The numbers as Prometheus reads them: text format 0.0.4. */
#include "telemetry/internal.h"

#include <stdlib.h>

void telemetry_label(struct text *labels, const char *key, struct str value)
{
    bool utf8 = str_is_utf8(value);

    text_printf(labels, "%s%s=\"", labels->n > 0 ? "," : "", key);
    for (int32_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '"')
            text_printf(labels, "\\%c", c);
        else if (c == '\n')
            text_add(labels, "\\n", 2);
        else if (c == '\0' || (!utf8 && (uint8_t)c >= 0x80))
            text_add(labels, "\xef\xbf\xbd", 3); /* U+FFFD: the format is UTF-8 */
        else
            text_add(labels, &c, 1);
    }
    text_add(labels, "\"", 1);
}

static int compare(const void *a, const void *b)
{
    const struct number *x = *(const struct number *const *)a;
    const struct number *y = *(const struct number *const *)b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->labels, y->labels);
}

static const char *type_name(enum kind kind)
{
    switch (kind) {
    case COUNTER:
        return "counter";
    case GAUGE:
    case PEAK:
        return "gauge";
    case HISTOGRAM:
        return "summary";
    }
    UNREACHABLE("kind of number");
}

static void print_head(const struct number *n, struct text *out)
{
    text_printf(out, "# HELP %s ", n->name);
    for (const char *p = n->help == NULL ? "" : n->help; *p != '\0'; p++) {
        if (*p == '\\' || *p == '\n')
            text_add(out, *p == '\\' ? "\\\\" : "\\n", 2);
        else
            text_add(out, p, 1);
    }
    text_printf(out, "\n# TYPE %s %s\n", n->name, type_name(n->kind));
}

/* value / unit, exactly, without zeros behind. */
static void print_divided(uint64_t value, uint64_t unit, struct text *out)
{
    uint64_t fraction = value % unit;

    text_printf(out, "%" PRIu64, value / unit);
    if (fraction == 0)
        return;
    text_add(out, ".", 1);
    for (uint64_t digit = unit / 10; fraction > 0; digit /= 10) {
        text_printf(out, "%d", (int)(fraction / digit));
        fraction %= digit;
    }
}

static void print_histogram(const struct number *n, struct text *out)
{
    static const struct {
        const char *name;
        uint32_t ppm;
    } quantiles[] = {{"0.5", 500000},  {"0.75", 750000}, {"0.95", 950000},
                     {"0.98", 980000}, {"0.99", 990000}, {"0.999", 999000}};
    const struct histogram *h = &n->histogram;
    bool bare = n->labels[0] == '\0';

    for (size_t i = 0; i < array_count(quantiles); i++) {
        text_printf(out, "%s{%s%squantile=\"%s\"} ", n->name, n->labels, bare ? "" : ",",
                    quantiles[i].name);
        if (h->count == 0)
            text_add(out, "NaN", 3);
        else
            print_divided(histogram_quantile(h, quantiles[i].ppm), n->unit, out);
        text_add(out, "\n", 1);
    }
    const char *open = bare ? "" : "{", *close = bare ? "" : "}";
    text_printf(out, "%s_sum%s%s%s ", n->name, open, n->labels, close);
    print_divided(h->sum, n->unit, out);
    text_printf(out, "\n%s_count%s%s%s %" PRIu64 "\n", n->name, open, n->labels, close, h->count);
}

static void print_number(const struct number *n, struct text *out)
{
    if (n->kind == HISTOGRAM) {
        print_histogram(n, out);
        return;
    }
    text_printf(out, n->labels[0] == '\0' ? "%s%s " : "%s{%s} ", n->name, n->labels);
    bool negative = n->kind != COUNTER && n->gauge.value < 0;
    uint64_t value = n->kind == COUNTER ? n->counter.value : (uint64_t)n->gauge.value;
    if (negative)
        text_add(out, "-", 1);
    print_divided(negative ? 0 - value : value, n->unit, out);
    text_add(out, "\n", 1);
}

static void print_all(const struct telemetry *t, struct text *out)
{
    const struct number **sorted = malloc((t->numbers.count + 1) * sizeof *sorted);
    size_t count = 0;

    ASSERT(sorted != NULL);
    MAP_EACH (node, &t->numbers)
        sorted[count++] = container_of(node, const struct number, node);
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || strcmp(sorted[i]->name, sorted[i - 1]->name) != 0;
        if (first)
            print_head(sorted[i], out);
        ASSERT(first || sorted[i]->kind == sorted[i - 1]->kind);
        print_number(sorted[i], out);
    }
    free(sorted);
}

void telemetry_print(struct telemetry *const *shards, uint32_t count, struct text *out)
{
    if (count == 1) {
        print_all(shards[0], out);
        return;
    }
    struct telemetry *sum = telemetry_new(NULL);
    for (uint32_t i = 0; i < count; i++)
        telemetry_merge(sum, shards[i]);
    print_all(sum, out);
    telemetry_free(sum);
}
