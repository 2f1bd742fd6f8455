/* What a crash left half done in a log's directory is finished or undone, as Kafka's loader does
 * it.
 *
 * A replacement of segments (compact_swap.c, or a JVM's) is committed when none of its files bears
 * .cleaned any more: then what it replaces goes and it gets its names; else it goes itself. A crash
 * here must leave the same choice to the next start, whatever order the disk gives to names: so
 * each pass is durable before the next begins, and .log.swap, which says what is replaced, keeps
 * its name until that is gone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log/recover.h"
#include "log/scan.h"

struct tidy {
    struct flow flow, part;
    struct log *log;
    const struct io_entries *entries;
    uint32_t pass, i;
    uint64_t changes, changes_before; /* so far; before the pass */
    int64_t cleaned_low;              /* smallest base of a .cleaned file */
    int64_t swap_low, swap_high;      /* offsets that committed replacements cover */
    struct segment *swap, *held;
    struct scan scan;
    struct batch batch;
    int rc;
    char from[LOG_PATH_BYTES], to[LOG_PATH_BYTES];
};

/* "<base>.log.swap" when `ending` is ".swap". */
static bool ends_as(const struct io_entry *e, struct str ending, int64_t *base)
{
    struct str suffix;

    return name_parse(e->name, base, &suffix) && str_ends(suffix, ending) &&
           !str_starts(suffix, STR(".checkpoint"));
}

static bool is_data_suffix(struct str suffix)
{
    return str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".index")) ||
           str_equal(suffix, STR(".timeindex")) || str_equal(suffix, STR(".txnindex"));
}

static void tidy_path(const struct tidy *t, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s/%s", t->log->path, t->entries->entries[t->i].name);
}

/* Names are sorted: those of one base are neighbours. */
static bool has_log(const struct tidy *t, int64_t base)
{
    const struct io_entries *all = t->entries;
    struct str suffix;
    int64_t other;

    for (uint32_t i = t->i; i < all->count; i++) {
        if (!name_parse(all->entries[i].name, &other, &suffix) || other != base)
            break;
        if (str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".log.swap")))
            return true;
    }
    for (uint32_t i = t->i; i-- > 0;) {
        if (!name_parse(all->entries[i].name, &other, &suffix) || other != base)
            break;
        if (str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".log.swap")))
            return true;
    }
    return false;
}

static bool is_orphan(const struct tidy *t)
{
    struct str suffix;
    int64_t base;

    if (!name_parse(t->entries->entries[t->i].name, &base, &suffix) || !is_data_suffix(suffix))
        return false;
    return !has_log(t, base);
}

/* A replacement that did not come to its end: some of its files still wait to be renamed. */
static bool is_uncommitted(const struct tidy *t)
{
    int64_t base;

    return ends_as(&t->entries->entries[t->i], STR(".swap"), &base) && base >= t->cleaned_low;
}

/* Whether the entry is only in the way: waits for deletion, or is not committed. */
static bool is_leftover(const struct tidy *t)
{
    const struct io_entry *e = &t->entries->entries[t->i];
    int64_t base;

    if (ends_as(e, STR(".deleted"), &base) || ends_as(e, STR(".cleaned"), &base))
        return true;
    return ends_as(e, STR(".snapshot.tmp"), &base) || is_orphan(t) || is_uncommitted(t);
}

static bool is_log_swap(const struct tidy *t)
{
    int64_t base;

    return ends_as(&t->entries->entries[t->i], STR(".log.swap"), &base) && !is_uncommitted(t);
}

static bool is_side_swap(const struct tidy *t)
{
    int64_t base;

    return ends_as(&t->entries->entries[t->i], STR(".swap"), &base) && !is_uncommitted(t) &&
           !is_log_swap(t);
}

static bool is_replaced(const struct tidy *t)
{
    struct str suffix;
    int64_t base;

    if (!name_parse(t->entries->entries[t->i].name, &base, &suffix) || !is_data_suffix(suffix))
        return false;
    if (is_leftover(t))
        return false; /* gone already */
    return base >= t->swap_low && base < t->swap_high;
}

static void swap_open(struct tidy *t)
{
    const struct io_entry *e = &t->entries->entries[t->i];
    struct str suffix;
    int64_t base = 0;

    (void)name_parse(e->name, &base, &suffix);
    t->swap = segment_new(t->log, base);
    tidy_path(t, t->from);
    free(t->swap->path);
    t->swap->path = str_dup(str_of(t->from));
    t->swap->closed = true; /* only read */
    segment_set_bytes(t->swap, e->size_bytes);
    scan_init(&t->scan, t->swap, 0, e->size_bytes, false, SCAN_WINDOW_BYTES);
    if (base < t->swap_low)
        t->swap_low = base;
    if (base + 1 > t->swap_high) /* an empty one replaces at least the segment of its name */
        t->swap_high = base + 1;
}

static void swap_close(struct tidy *t)
{
    scan_deinit(&t->scan);
    segment_release(&t->held);
    segment_drop(t->swap);
    t->swap = NULL;
}

static void tidy_begin(struct tidy *t)
{
    int64_t base;

    t->cleaned_low = INT64_MAX;
    t->swap_low = INT64_MAX;
    t->swap_high = -1;
    for (uint32_t i = 0; i < t->entries->count; i++) {
        if (ends_as(&t->entries->entries[i], STR(".cleaned"), &base) && base < t->cleaned_low)
            t->cleaned_low = base;
    }
}

static void tidy_end(struct tidy *t, int64_t result)
{
    flow_done(&t->flow, result);
    free(t);
}

static const struct {
    bool (*is_meant)(const struct tidy *t);
    bool renames; /* else removes */
} passes[] = {
    {is_uncommitted, false}, /* before .cleaned, which tells that it is */
    {is_leftover, false},    {is_replaced, false},
    {is_log_swap, true}, /* with it in its place, what else there is of its base belongs to it */
    {is_side_swap, true},
};

/* The first two passes have removed what is not committed. */
#define PASSES_BEFORE_SWAPS 2

static bool pass_means(const struct tidy *t)
{
    /* a leftover of the first pass is gone */
    return passes[t->pass].is_meant(t) && (t->pass != 1 || !is_uncommitted(t));
}

static void change_name(struct tidy *t, struct op *op)
{
    struct io *io = t->log->io;

    t->changes++;
    tidy_path(t, t->from);
    if (!passes[t->pass].renames) {
        io_remove(io, t->from, op);
        return;
    }
    tidy_path(t, t->to);
    t->to[strlen(t->to) - strlen(".swap")] = '\0';
    io_rename(io, t->from, t->to, op);
}

/* How far the replacements reach. */
static void measure_run(struct flow *f)
{
    struct tidy *t = container_of(f, struct tidy, part);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(t->log->io, &f->op));
    for (t->i = 0; t->i < t->entries->count; t->i++) {
        if (!is_log_swap(t))
            continue;
        swap_open(t);
        FLOW_TRY(f, "open a replacement", segment_use(t->swap, &f->op));
        t->held = t->swap;
        while ((t->rc = scan_next(&t->scan, &t->batch)) > 0) {
            if (t->rc == SCAN_FILL)
                FLOW_TRY(f, "read a replacement", scan_fill(&t->scan, &f->op));
            else if (t->batch.last_offset + 1 > t->swap_high)
                t->swap_high = t->batch.last_offset + 1;
        }
        swap_close(t);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    swap_close(t);
    flow_done(f, f->result);
}

static void tidy_run(struct flow *f)
{
    struct tidy *t = container_of(f, struct tidy, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(t->log->io, &f->op));
    tidy_begin(t);
    for (t->pass = 0; t->pass < array_count(passes); t->pass++) {
        if (t->pass == PASSES_BEFORE_SWAPS)
            FLOW_TRY(f, "measure replacements", flow_start(&t->part, measure_run, &f->op));
        t->changes_before = t->changes;
        for (t->i = 0; t->i < t->entries->count; t->i++) {
            if (pass_means(t))
                FLOW_TRY(f, "tidy a name", change_name(t, &f->op));
        }
        if (t->changes > t->changes_before)
            FLOW_TRY(f, "sync the directory", io_sync_dir(t->log->io, t->log->path, &f->op));
    }
    FLOW_END(f);
    tidy_end(t, (int64_t)t->changes);
    return;
failed:
    tidy_end(t, f->result);
}

void log_tidy(struct log *log, const struct io_entries *entries, struct op *op)
{
    struct tidy *t = calloc(1, sizeof(*t));

    ASSERT(t != NULL);
    t->log = log;
    t->entries = entries;
    flow_start(&t->flow, tidy_run, op);
}
