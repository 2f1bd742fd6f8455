#define _GNU_SOURCE
/* Rows in columns: padded for eyes, JSON for programs. */
#include "cli/tool.h"

#include <stdlib.h>

void table_begin(struct table *t, struct arena *arena, const struct column *columns, uint32_t count)
{
    ASSERT(count <= COLUMNS_MAX);
    *t = (struct table){.arena = arena, .columns = columns, .column_count = count};
}

void table_row(struct table *t, const struct str *cells)
{
    size_t row_bytes = t->column_count * sizeof(*cells);

    if (t->row_count == t->row_capacity) {
        uint32_t capacity = t->row_capacity == 0 ? 16 : 2 * t->row_capacity;
        struct str *more = arena_take_raw(t->arena, capacity * row_bytes);
        ASSERT(more != NULL); /* a tool's arena has no limit: answers have one */
        if (t->row_count > 0)
            memcpy(more, t->cells, t->row_count * row_bytes);
        t->cells = more;
        t->row_capacity = capacity;
    }
    memcpy(t->cells + (size_t)t->row_count++ * t->column_count, cells, row_bytes);
}

static int letters(struct str s)
{
    int n = 0;

    for (int32_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80; /* each letter of UTF-8 has one other byte */
    return n;
}

/* The first `count` letters. */
static struct str first_letters(struct str s, int count)
{
    int32_t n = 0;

    while (n < s.n && (count > 0 || ((unsigned char)s.p[n] & 0xc0) == 0x80))
        count -= ((unsigned char)s.p[n++] & 0xc0) != 0x80;
    return (struct str){s.p, n};
}

/* A group or client may be called anything: its name makes no lines of its own, and moves no cursor. */
static void add_cell(struct text *out, struct str s, int letters_max)
{
    static const char cut[] = "\xe2\x80\xa6"; /* … */
    size_t at = out->n;

    if (letters(s) > letters_max) {
        text_add_str(out, first_letters(s, letters_max - 1));
        text_add_str(out, str_of(cut));
    } else if (s.n > 0) {
        text_add_str(out, s);
    }
    for (; at < out->n; at++) {
        if ((unsigned char)out->p[at] < 0x20 || out->p[at] == 0x7f)
            out->p[at] = '?';
    }
}

static void line(const struct table *t, const struct str *cells, const int *widths, const char *separator,
                 const char *end, struct text *out)
{
    static const char blanks[] = "                                                                ";

    for (uint32_t i = 0; i < t->column_count; i++) {
        bool bare = t->width_max > 0 && i + 1 == t->column_count; /* a blank too many would begin a new line */
        int pad = bare ? 0 : widths[i] - letters(cells[i]);
        if (i > 0)
            text_add_str(out, str_of(separator));
        add_cell(out, cells[i], t->width_max > 0 ? widths[i] : INT32_MAX);
        for (; pad > 0; pad -= (int)sizeof(blanks) - 1)
            text_add(out, blanks, (size_t)pad < sizeof(blanks) - 1 ? (size_t)pad : sizeof(blanks) - 1);
    }
    text_add_str(out, str_of(end));
    text_add(out, "\n", 1);
}

/* Shorten the widest columns, one letter after the other, as long as their names stay. */
static void shorten(const struct table *t, int separator, int *widths)
{
    int all = -separator;

    for (uint32_t i = 0; i < t->column_count; i++)
        all += widths[i] + separator;
    while (all > t->width_max) {
        uint32_t widest = t->column_count;
        for (uint32_t i = 0; i < t->column_count; i++) {
            if (!t->columns[i].number && widths[i] > str_of(t->columns[i].name).n &&
                (widest == t->column_count || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == t->column_count)
            return;
        widths[widest]--;
        all--;
    }
}

void table_print(const struct table *t, const char *separator, const char *end, bool header, struct text *out)
{
    struct str names[COLUMNS_MAX];
    int widths[COLUMNS_MAX];

    for (uint32_t i = 0; i < t->column_count; i++) {
        names[i] = str_of(t->columns[i].name);
        widths[i] = t->columns[i].least;
        if (!t->columns[i].grows && t->width_max == 0)
            continue;
        if (header && names[i].n > widths[i])
            widths[i] = names[i].n;
        for (uint32_t r = 0; r < t->row_count; r++) {
            int n = letters(t->cells[(size_t)r * t->column_count + i]);
            widths[i] = n > widths[i] ? n : widths[i];
        }
    }
    if (t->width_max > 0)
        shorten(t, str_of(separator).n, widths);
    if (header)
        line(t, names, widths, separator, end, out);
    for (uint32_t r = 0; r < t->row_count; r++)
        line(t, t->cells + (size_t)r * t->column_count, widths, separator, end, out);
}

void table_show(struct table *t, const struct tool *tool)
{
    t->width_max = tool->cli->out_width;
    table_print(t, "  ", "", true, &tool->cli->out);
}

void table_json(const struct table *t, struct text *out)
{
    text_printf(out, "[");
    for (uint32_t r = 0; r < t->row_count; r++) {
        text_printf(out, "%s\n  {", r == 0 ? "" : ",");
        for (uint32_t i = 0; i < t->column_count; i++) {
            struct str cell = t->cells[(size_t)r * t->column_count + i];
            text_printf(out, "%s\"%s\": ", i == 0 ? "" : ", ", t->columns[i].key);
            if (str_is_null(cell) || str_equal(cell, STR("-")))
                text_printf(out, "null");
            else if (t->columns[i].number)
                text_add_str(out, cell);
            else
                text_add_json(out, cell);
        }
        text_printf(out, "}");
    }
    text_printf(out, "%s]\n", t->row_count == 0 ? "" : "\n");
}

static int compare_cells(struct str a, struct str b)
{
    int64_t x, y;

    if (str_to_i64(a, INT64_MIN, INT64_MAX, &x) == 0 && str_to_i64(b, INT64_MIN, INT64_MAX, &y) == 0)
        return (x > y) - (x < y);
    return str_compare(a, b);
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
    const struct table *t = ctx;
    int order = 0;

    for (uint32_t i = 0; i < t->column_count && order == 0; i++)
        order = compare_cells(((const struct str *)a)[i], ((const struct str *)b)[i]);
    return order;
}

void table_sort(struct table *t)
{
    if (t->row_count > 0)
        qsort_r(t->cells, t->row_count, t->column_count * sizeof(struct str), compare_rows, t);
}
