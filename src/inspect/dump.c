/* Which file is what, one after the other. */
#include "inspect/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/points.h"

#define NOTES_BYTES_MAX ((size_t)1 << 20)

void dump_trouble(struct dump *d, const char *format, ...)
{
    va_list args;

    d->status = 1;
    text_printf(d->output->err, "%s: ", d->path);
    va_start(args, format);
    text_vprintf(d->output->err, format, args);
    va_end(args);
    text_printf(d->output->err, "\n");
}

void dump_failed(struct dump *d)
{
    dump_trouble(d, "cannot %s it: %s", d->part.step, error_text((int)d->part.result));
    flow_done(&d->part, 0);
}

void dump_note(struct text *notes, const char *format, ...)
{
    va_list args;

    if (notes->n > NOTES_BYTES_MAX)
        return;
    va_start(args, format);
    text_vprintf(notes, format, args);
    va_end(args);
    if (notes->n > NOTES_BYTES_MAX)
        text_printf(notes, "  ... and more of the kind\n");
}

const char *optional_text(int64_t value, char out[KAFKA_NUMBER_BYTES])
{
    if (value < 0)
        snprintf(out, KAFKA_NUMBER_BYTES, "OptionalLong.empty");
    else
        snprintf(out, KAFKA_NUMBER_BYTES, "OptionalLong[%" PRId64 "]", value);
    return out;
}

void row_optional(struct row *r, const char *name, int64_t value)
{
    char text[KAFKA_NUMBER_BYTES];

    if (!r->json)
        row_word(r, name, optional_text(value, text));
    else if (value < 0)
        row_word(r, name, NULL);
    else
        row_number(r, name, value);
}

/* ---- by name ------------------------------------------------------------------------------- */

static const struct {
    struct str ending;
    enum file_kind kind;
} endings[] = {
    {{".log", 4}, FILE_LOG},
    {{".checkpoint", 11}, FILE_CHECKPOINT},
    {{".index", 6}, FILE_INDEX},
    {{".timeindex", 10}, FILE_TIME_INDEX},
    {{".txnindex", 9}, FILE_TXN_INDEX},
    {{".snapshot", 9}, FILE_SNAPSHOT},
    {{"leader-epoch-checkpoint", 23}, FILE_EPOCHS},
    {{"-offset-checkpoint", 18}, FILE_OFFSETS},
    {{"partition.metadata", 18}, FILE_PARTITION},
    {{"meta.properties", 15}, FILE_META},
    {{POINTS_NAME, sizeof(POINTS_NAME) - 1}, FILE_POINTS},
    {{"quorum-state", 12}, FILE_JSON},
    {{".kafka_cleanshutdown", 20}, FILE_JSON},
};

/* What waits to be deleted or put in place is what it was, or will be. */
static const struct str states[] = {{".deleted", 8}, {".swap", 5}, {".cleaned", 8}, {".tmp", 4}, {".part", 5}};

static struct str base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash == NULL ? path : slash + 1);

    for (size_t i = 0; i < array_count(states); i++) {
        if (str_ends(name, states[i]))
            name.n -= states[i].n;
    }
    return name;
}

static enum file_kind kind_of(struct str name)
{
    for (size_t i = 0; i < array_count(endings); i++) {
        if (str_ends(name, endings[i].ending))
            return endings[i].kind;
    }
    return FILE_UNKNOWN;
}

static bool is_of_segment(enum file_kind kind)
{
    return kind == FILE_LOG || kind == FILE_INDEX || kind == FILE_TIME_INDEX;
}

/* The digits before the first point. */
static bool take_base(struct dump *d)
{
    struct str rest = d->name, digits;

    return str_cut(&rest, '.', &digits) && str_to_i64(digits, 0, INT64_MAX, &d->base) == 0;
}

static void (*run_of(enum file_kind kind))(struct flow *f)
{
    switch (kind) {
    case FILE_LOG:
    case FILE_CHECKPOINT:
        return dump_log_run;
    case FILE_INDEX:
        return dump_index_run;
    case FILE_TIME_INDEX:
        return dump_time_index_run;
    default:
        return dump_small_run;
    }
}

/* ---- one after the other -------------------------------------------------------------------- */

/* False when there is nothing to do for it. */
static bool file_begin(struct dump *d)
{
    d->path = d->o->files[d->i];
    d->name = base_name(d->path);
    d->kind = kind_of(d->name);
    d->row = (struct row){.output = d->output, .file = d->path, .json = d->o->json};
    if (!d->o->json)
        text_printf(d->output->out, "Dumping %s\n", d->path);
    if (d->kind == FILE_UNKNOWN) {
        output_error(d->output, "Ignoring unknown file %s", d->path);
        return false;
    }
    if (is_of_segment(d->kind) && !take_base(d)) {
        dump_trouble(d, "its name must begin with the offset of its segment: digits, then a point");
        return false;
    }
    return true;
}

static void move_notes(struct dump *d, struct text *notes, const char *title, bool with_path)
{
    if (notes->n == 0)
        return;
    text_printf(&d->later, "%s%s\n", title, with_path ? d->path : "");
    text_add_str(&d->later, text_str(notes));
    text_clear(notes);
}

static void file_end(struct dump *d)
{
    move_notes(d, &d->mismatches,
               d->kind == FILE_INDEX ? "Mismatches in :" : "Found timestamp mismatch in :", true);
    move_notes(d, &d->disorder, "Found out of order timestamp in :", true);
    move_notes(d, &d->missing, "The following indexed offsets are not found in the log.", false);
    move_notes(d, &d->gaps, "Non-consecutive offsets in ", true);
}

static void dump_end(struct dump *d)
{
    text_add_str(d->output->err, text_str(&d->later));
    decoded_deinit(&d->decoded);
    text_deinit(&d->small);
    text_deinit(&d->mismatches);
    text_deinit(&d->disorder);
    text_deinit(&d->missing);
    text_deinit(&d->gaps);
    text_deinit(&d->later);
    flow_done(&d->flow, d->status);
    free(d);
}

static void dump_run(struct flow *f)
{
    struct dump *d = container_of(f, struct dump, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(d->io, &f->op));
    for (d->i = 0; d->i < d->o->file_count && output_goes_on(d->output); d->i++) {
        if (!file_begin(d))
            continue;
        FLOW_WAIT(f, "print a file", flow_start(&d->part, run_of(d->kind), &f->op));
        file_end(d);
        FLOW_WAIT(f, "close", reader_close(&d->reader, &f->op));
        FLOW_WAIT(f, "close", reader_close(&d->log, &f->op));
    }
    FLOW_END(f);
    dump_end(d);
}

void inspect_dump(struct io *io, const struct dump_options *o, struct inspect_output *output,
                  struct op *op)
{
    struct dump *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    d->io = d->reader.io = d->log.io = io;
    d->o = o;
    d->output = output;
    decoded_init(&d->decoded);
    flow_start(&d->flow, dump_run, op);
}
