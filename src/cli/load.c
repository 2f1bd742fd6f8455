/* What tools that put load on a cluster share: how long things took, numbers as Java prints them, settings. */
#include "cli/load.h"

#include <math.h>

void latency_init(struct latency *l, struct telemetry *t, const char *name)
{
    *l = (struct latency){.histogram = telemetry_histogram(t, name, "", 1, "of a load")};
}

void latency_add(struct latency *l, int64_t value)
{
    uint64_t v = value < 0 ? 0 : (uint64_t)value;

    histogram_add(l->histogram, v);
    l->count++;
    l->sum += v;
    if (v > l->longest)
        l->longest = v;
}

uint64_t latency_quantile(const struct latency *l, uint32_t ppm)
{
    uint64_t value = histogram_quantile(l->histogram, ppm);

    return value < l->longest ? value : l->longest; /* the middle of the longest one's bucket may be above it */
}

void decimal_add(struct text *out, int digits, double value)
{
    if (isnan(value))
        text_printf(out, "NaN");
    else if (isinf(value))
        text_printf(out, value < 0 ? "-Infinity" : "Infinity");
    else
        text_printf(out, "%.*f", digits, value);
}

void metrics_add(struct text *out, const struct metric *metrics, uint32_t count, struct str client_id)
{
    int width = 0;

    for (uint32_t i = 0; i < count; i++) {
        int n = (int)strlen(metrics[i].name) + client_id.n + (int)strlen(":{client-id=}");
        width = n > width ? n : width;
    }
    text_printf(out, "\n%-*s   Value\n", width, "Metric Name");
    for (uint32_t i = 0; i < count; i++) {
        int pad = width - (int)strlen(metrics[i].name) - client_id.n - (int)strlen(":{client-id=}");
        text_printf(out, "%s:{client-id=%.*s}%*s : ", metrics[i].name, STR_ARG(client_id), pad, "");
        decimal_add(out, 3, metrics[i].value);
        text_printf(out, "\n");
    }
}

int setting_force(struct tool *t, const char *name, struct str value)
{
    return config_set(t->config, CONFIG_STATIC_BROKER, str_of(name), value, &t->fail);
}

void complaints_go(struct tool *t)
{
    if (t->cli->flush != NULL)
        (void)t->cli->flush(t->cli); /* nobody hears them: no reason to end */
}

void letters_fill(struct prng *random, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t bits = prng_u64(random);
        for (size_t k = 0; k < 8 && i + k < n; k++, bits >>= 8)
            p[i + k] = (uint8_t)('A' + ((bits & 0xff) * 26 >> 8));
    }
}
