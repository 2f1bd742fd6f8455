/* `millrace bench`: its table, and how far it is meanwhile. */
#include "cli/bench.h"

#include <errno.h>

#define NS_PER_S INT64_C(1000000000)

static struct str number(struct bench *x, double value, int digits)
{
    return arena_printf(&x->tool.arena, "%.*f", digits, value);
}

static struct str milliseconds(struct bench *x, const struct bench_end *e, uint32_t ppm)
{
    if (e->latency.count == 0)
        return STR("-");
    return number(x, (double)latency_quantile(&e->latency, ppm) / 1000.0, 3);
}

static void add_row(struct bench *x, struct table *t, struct str what, const struct bench_end *e)
{
    double seconds = (double)(e->last_ns - e->begin_ns) / 1e9;
    bool any = e->records > 0 && seconds > 0;
    const struct str cells[] = {
        what,
        arena_printf(&x->tool.arena, "%llu", (unsigned long long)e->records),
        number(x, any ? seconds : 0, 3),
        any ? number(x, (double)e->records / seconds, 0) : STR("-"),
        any ? number(x, (double)e->bytes / seconds / 1e6, 3) : STR("-"),
        milliseconds(x, e, 500000),
        milliseconds(x, e, 990000),
        milliseconds(x, e, 999000),
        milliseconds(x, e, 1000000),
    };

    table_row(t, cells);
}

void bench_print(struct bench *x)
{
    static const struct column columns[] = {
        {"", .grows = true, .key = "what"},
        {"RECORDS", .grows = true, .key = "records", .number = true},
        {"SECONDS", .grows = true, .key = "seconds", .number = true},
        {"RECORDS/S", .grows = true, .key = "records_per_second", .number = true},
        {"MB/S", .grows = true, .key = "mb_per_second", .number = true},
        {"P50-MS", .grows = true, .key = "p50_ms", .number = true},
        {"P99-MS", .grows = true, .key = "p99_ms", .number = true},
        {"P99.9-MS", .grows = true, .key = "p999_ms", .number = true},
        {"MAX-MS", .grows = true, .key = "max_ms", .number = true},
    };
    struct tool *t = &x->tool;
    struct table table;

    table_begin(&table, &t->arena, columns, array_count(columns));
    if (x->mode != BENCH_CONSUME)
        add_row(x, &table, STR("acknowledged"), &x->acknowledged);
    if (x->mode != BENCH_PRODUCE)
        add_row(x, &table, STR("received"), &x->arrived);
    if (given(t, BENCH_JSON))
        table_json(&table, &t->cli->out);
    else
        table_show(&table, t);
    if (x->feed.failed > 0 && x->result == 0)
        x->result = fail_set(&t->fail, -EPROTO, "%llu records were not acknowledged; the first: %s",
                             (unsigned long long)x->feed.failed, x->first_error);
}

/* ---- progress ------------------------------------------------------------------------------------ */

static void show(struct io_timer *timer)
{
    struct bench *x = container_of(timer, struct bench, progress);
    uint64_t records = x->mode == BENCH_CONSUME && x->arrived.records > 0 ? x->arrived.records : x->feed.acknowledged;

    text_printf(&x->tool.cli->err, "\r%llu records, %llu a second\033[K", (unsigned long long)records,
                (unsigned long long)(records - (records < x->shown_records ? records : x->shown_records)));
    x->shown = true;
    x->shown_records = records;
    complaints_go(&x->tool);
    io_timer_set(x->tool.io, &x->progress, io_now_ns(x->tool.io) + NS_PER_S, show);
}

void bench_progress_begin(struct bench *x)
{
    if (x->tool.cli->err_is_terminal)
        io_timer_set(x->tool.io, &x->progress, io_now_ns(x->tool.io) + NS_PER_S, show);
}

void bench_progress_end(struct bench *x)
{
    io_timer_clear(&x->progress);
    if (x->shown)
        text_printf(&x->tool.cli->err, "\r\033[K");
}
