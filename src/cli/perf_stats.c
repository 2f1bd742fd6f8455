#define _GNU_SOURCE
/* kafka-producer-perf-test.sh: values of records, and its lines. */
#include "cli/perf_producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- values ------------------------------------------------------------------------------------ */

static void add_value(struct perf_producer *x, struct str value)
{
    if ((x->value_count & (x->value_count - 1)) == 0) { /* a power of two: full */
        uint32_t capacity = x->value_count == 0 ? 1 : 2 * x->value_count;
        x->values = realloc(x->values, capacity * sizeof(*x->values));
        ASSERT(x->values != NULL);
    }
    x->values[x->value_count++] = value;
}

static void split(struct perf_producer *x, struct str delimiter)
{
    struct str rest = text_str(&x->file);

    while (rest.n > 0) {
        const char *at = delimiter.n == 0 ? NULL : memmem(rest.p, (size_t)rest.n, delimiter.p, (size_t)delimiter.n);
        int32_t n = at == NULL ? rest.n : (int32_t)(at - rest.p);
        add_value(x, (struct str){rest.p, n});
        n += at == NULL ? 0 : delimiter.n;
        rest = (struct str){rest.p + n, rest.n - n};
    }
}

int perf_payloads_take(struct perf_producer *x, int read)
{
    struct tool *t = &x->tool;
    struct str delimiter = given(t, PP_DELIMITER) ? value_of(t, PP_DELIMITER) : STR("\\n");

    text_printf(&x->output.text, "Reading payloads from: %s\n", x->path);
    if (read == -ENOENT || (read >= 0 && x->file.n == 0))
        return fail_set(&t->fail, -EINVAL, "File does not exist or empty file provided.");
    if (read < 0)
        return fail_set(&t->fail, read, "Unable to read file %s: %s", x->path, error_text(read));
    split(x, str_equal(delimiter, STR("\\n")) ? STR("\n") : delimiter);
    text_printf(&x->output.text, "Number of records read: %u\n", x->value_count);
    return 0;
}

struct bytes perf_payload(struct perf_producer *x, uint64_t n)
{
    if (x->letters == NULL) {
        x->letters = malloc(x->size > 32 ? (size_t)x->size : 32);
        ASSERT(x->letters != NULL);
        prng_init(&x->random, 0);
    }
    if (x->value_count > 0) {
        struct str value = x->values[prng_below(&x->random, x->value_count)];
        return (struct bytes){(const uint8_t *)value.p, value.n};
    }
    if (x->size > 0) {
        letters_fill(&x->random, x->letters, (size_t)x->size);
        return (struct bytes){x->letters, (int32_t)x->size};
    }
    int digits = snprintf((char *)x->letters, 32, "%llu", (unsigned long long)n);
    return (struct bytes){x->letters, digits};
}

/* ---- lines --------------------------------------------------------------------------------------- */

static void begin_window(struct perf_stats *s, int64_t now_ms)
{
    s->window_count = s->window_bytes = s->window_sum = s->window_longest = 0;
    s->window_begin_ms = now_ms;
}

void perf_stats_begin(struct perf_stats *s, int64_t now_ms)
{
    s->begin_ms = now_ms;
    begin_window(s, now_ms);
}

/* "N records sent, R records/sec (M MB/sec), ", of `ms`. */
static void rates_add(struct text *out, uint64_t count, const char *what, uint64_t bytes, int64_t ms, int digits)
{
    text_printf(out, "%llu%s records sent, ", (unsigned long long)count, what);
    decimal_add(out, digits, 1000.0 * (double)count / (double)ms);
    text_printf(out, " records/sec (");
    decimal_add(out, 2, 1000.0 * (double)bytes / (double)ms / (1024.0 * 1024.0));
    text_printf(out, " MB/sec), ");
}

static void times_add(struct text *out, uint64_t sum, uint64_t count, uint64_t longest, int digits)
{
    decimal_add(out, digits, (double)sum / (double)count);
    text_printf(out, " ms avg latency, ");
    decimal_add(out, digits, (double)longest);
    text_printf(out, " ms max latency");
}

static void end_window(struct perf_stats *s, int64_t now_ms, struct text *out)
{
    if (s->steady && s->latency.count == s->window_count)
        text_printf(out, "In steady state.\n");
    if (!s->quiet) {
        rates_add(out, s->window_count, "", s->window_bytes, now_ms - s->window_begin_ms, 1);
        times_add(out, s->window_sum, s->window_count, s->window_longest, 1);
        text_printf(out, ".\n");
    }
    begin_window(s, now_ms);
}

void perf_stats_record(struct perf_stats *s, int64_t ms, uint32_t bytes, int64_t now_ms, int64_t interval_ms,
                       struct text *out)
{
    latency_add(&s->latency, ms);
    s->bytes += bytes;
    s->window_count++;
    s->window_bytes += bytes;
    s->window_sum += (uint64_t)ms;
    if ((uint64_t)ms > s->window_longest)
        s->window_longest = (uint64_t)ms;
    if (now_ms - s->window_begin_ms >= interval_ms)
        end_window(s, now_ms, out);
}

void perf_stats_total(const struct perf_stats *s, int64_t now_ms, struct text *out)
{
    const struct latency *l = &s->latency;

    rates_add(out, l->count, s->steady ? " steady state" : "", s->bytes, now_ms - s->begin_ms, 6);
    times_add(out, l->sum, l->count, l->longest, 2);
    text_printf(out, ", %llu ms 50th, %llu ms 95th, %llu ms 99th, %llu ms 99.9th.\n",
                (unsigned long long)latency_quantile(l, 500000), (unsigned long long)latency_quantile(l, 950000),
                (unsigned long long)latency_quantile(l, 990000), (unsigned long long)latency_quantile(l, 999000));
}
