/* print.c - struct to JSON, by tables. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/layout.h"

struct printing {
    struct text *out;
    int16_t version;
};

static void print_struct(struct printing *p, const struct message_layout *layout, const void *m);

static void print_base64(struct text *out, struct bytes b)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    text_add(out, "\"", 1);
    for (int32_t i = 0; i < b.n; i += 3) {
        int32_t left = b.n - i;
        uint32_t v = (uint32_t)b.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)b.p[i + 1] << 8;
        if (left > 2)
            v |= b.p[i + 2];
        char four[4] = {letters[v >> 18], letters[v >> 12 & 63],
                        left > 1 ? letters[v >> 6 & 63] : '=', left > 2 ? letters[v & 63] : '='};
        text_add(out, four, 4);
    }
    text_add(out, "\"", 1);
}

/* As Java's Double.toString, which Kafka's tools print: the fewest digits that read back as the same number,
 * always with a point; with an exponent below 0.001 and from 10,000,000 on. JSON has no text for the three
 * numbers that are none. */
static void print_f64(struct text *out, double v)
{
    double size = fabs(v);
    char number[32];
    int digits = 1;

    if (!isfinite(v)) {
        text_printf(out, "%s", isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (; digits < 17; digits++) {
        snprintf(number, sizeof number, "%.*e", digits - 1, v);
        if (strtod(number, NULL) == v)
            break;
    }
    snprintf(number, sizeof number, "%.*e", digits > 1 ? digits - 1 : 1, v);
    char *e = strchr(number, 'e');
    int exponent = atoi(e + 1);
    if (size == 0 || (size >= 1e-3 && size < 1e7)) {
        int decimals = digits - 1 - exponent;
        text_printf(out, "%.*f", decimals > 1 ? decimals : 1, v);
        return;
    }
    *e = '\0';
    text_printf(out, "%sE%d", number, exponent);
}

static void print_bytes(struct text *out, struct bytes b)
{
    if (b.n < 0)
        text_printf(out, "null");
    else if (b.p == NULL && b.n > 0)
        text_printf(out, "\"(%d bytes elsewhere)\"", b.n);
    else
        print_base64(out, b);
}

static void print_value(struct printing *p, const struct message_field *f, const void *m)
{
    char uuid[UUID_TEXT_BYTES];

    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        text_printf(p->out, *(const bool *)m ? "true" : "false");
        return;
    case FIELD_I8:
        text_printf(p->out, "%d", *(const int8_t *)m);
        return;
    case FIELD_I16:
        text_printf(p->out, "%d", *(const int16_t *)m);
        return;
    case FIELD_U16:
        text_printf(p->out, "%u", *(const uint16_t *)m);
        return;
    case FIELD_I32:
        text_printf(p->out, "%" PRId32, *(const int32_t *)m);
        return;
    case FIELD_U32:
        text_printf(p->out, "%" PRIu32, *(const uint32_t *)m);
        return;
    case FIELD_I64:
        text_printf(p->out, "%" PRId64, *(const int64_t *)m);
        return;
    case FIELD_F64:
        print_f64(p->out, *(const double *)m);
        return;
    case FIELD_UUID:
        text_printf(p->out, "\"%s\"", uuid_text(*(const struct uuid *)m, uuid));
        return;
    case FIELD_STRING:
        if (((const struct str *)m)->n < 0)
            text_printf(p->out, "null");
        else
            text_add_json(p->out, *(const struct str *)m);
        return;
    case FIELD_BYTES:
    case FIELD_RECORDS:
        print_bytes(p->out, *(const struct bytes *)m);
        return;
    case FIELD_STRUCT:
        print_struct(p, f->layout, m);
        return;
    }
}

static void print_array(struct printing *p, const struct message_field *f, const void *m)
{
    const char *elements = *(const char *const *)((const char *)m + f->offset);
    int32_t count = *(const int32_t *)((const char *)m + f->count_offset);

    if (count < 0) {
        text_printf(p->out, "null");
        return;
    }
    text_add(p->out, "[", 1);
    for (int32_t i = 0; i < count; i++) {
        if (i > 0)
            text_add(p->out, ",", 1);
        print_value(p, f, elements + (size_t)i * field_element_bytes(f));
    }
    text_add(p->out, "]", 1);
}

static void print_field(struct printing *p, const struct message_field *f, const void *m)
{
    if (f->flags & FIELD_ARRAY) {
        print_array(p, f, m);
        return;
    }
    const void *at = (const char *)m + f->offset;
    if (f->flags & FIELD_POINTER)
        at = *(const void *const *)at;
    if (at == NULL)
        text_printf(p->out, "null");
    else
        print_value(p, f, at);
}

static void print_struct(struct printing *p, const struct message_layout *layout, const void *m)
{
    const char *before = "";

    text_add(p->out, "{", 1);
    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];

        if (!field_in_version(f, p->version))
            continue;
        if (f->tag >= 0 && field_is_default(f, layout, m))
            continue;
        text_printf(p->out, "%s\"%s\":", before, f->name);
        print_field(p, f, m);
        before = ",";
    }
    text_add(p->out, "}", 1);
}

void message_print(const struct message *message, int16_t version, const void *m, struct text *out)
{
    struct printing p = {out, version};

    print_struct(&p, message->layout, m);
}
