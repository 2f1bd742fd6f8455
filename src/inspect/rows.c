#include "inspect/rows.h"

#define FLUSH_BYTES (64U << 10)

static struct text *out_of(struct row *r)
{
    return r->output->out;
}

/* Before a field: what parts it from the last one, and its name. */
static void field(struct row *r, const char *name, const char *separator)
{
    if (r->json)
        text_printf(out_of(r), "%s\"%s\":", r->begun ? "," : "", name);
    else
        text_printf(out_of(r), "%s%s%s", r->begun ? " " : "", name, separator);
    r->begun = true;
}

void row_begin(struct row *r, const char *type, const char *lead)
{
    r->begun = false;
    if (!r->json) {
        text_printf(out_of(r), "%s", lead);
        return;
    }
    text_printf(out_of(r), "{");
    row_word(r, "type", type);
    row_text(r, "file", str_of(r->file));
}

void row_number(struct row *r, const char *name, int64_t value)
{
    field(r, name, ": ");
    text_printf(out_of(r), "%" PRId64, value);
}

void row_bool(struct row *r, const char *name, bool value)
{
    field(r, name, ": ");
    text_printf(out_of(r), value ? "true" : "false");
}

void row_word(struct row *r, const char *name, const char *value)
{
    field(r, name, ": ");
    if (r->json)
        text_add_json(out_of(r), str_of(value));
    else if (value != NULL)
        text_printf(out_of(r), "%s", value);
}

void row_text(struct row *r, const char *name, struct str value)
{
    field(r, name, ": ");
    if (r->json)
        text_add_json(out_of(r), value);
    else
        text_add_utf8(out_of(r), value);
}

void row_json(struct row *r, const char *name, const char *separator, struct str json)
{
    field(r, name, separator);
    text_add_str(out_of(r), json);
}

void row_end(struct row *r)
{
    text_printf(out_of(r), r->json ? "}\n" : "\n");
}

void row_line(struct row *r, const char *type, const char *name, const char *format, ...)
{
    struct text line = {0};
    va_list args;

    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    row_begin(r, type, "");
    if (r->json)
        row_text(r, name, text_str(&line));
    else
        text_add_utf8(out_of(r), text_str(&line));
    row_end(r);
    text_deinit(&line);
}

void output_error(struct inspect_output *o, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_vprintf(o->err, format, args);
    va_end(args);
    text_printf(o->err, "\n");
}

bool output_goes_on(struct inspect_output *o)
{
    if (o->flush != NULL && !o->closed && o->out->n + o->err->n >= FLUSH_BYTES)
        o->closed = o->flush(o->ctx) < 0;
    return !o->closed;
}
