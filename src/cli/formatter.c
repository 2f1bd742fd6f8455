/* Records as Kafka's console consumer prints them. */
#include "cli/console.h"

void format_init(struct format *f)
{
    *f = (struct format){
        .print_value = true,
        .key_separator = STR("\t"),
        .line_separator = STR("\n"),
        .headers_separator = STR(","),
        .null_literal = STR("null"),
    };
}

int format_set_class(struct format *f, struct str name, struct fail *fail)
{
    static const struct {
        struct str name;
        enum format_kind kind;
    } known[] = {
        {STR("DefaultMessageFormatter"), FORMAT_DEFAULT},
        {STR("LoggingMessageFormatter"), FORMAT_LOGGING},
        {STR("NoOpMessageFormatter"), FORMAT_NOTHING},
        {STR("OffsetsMessageFormatter"), FORMAT_OFFSETS},
        {STR("GroupMetadataMessageFormatter"), FORMAT_GROUPS},
        {STR("TransactionLogMessageFormatter"), FORMAT_TRANSACTIONS},
    };
    struct str last = name, rest = name;

    while (str_cut(&rest, '.', &last)) {
    }
    for (size_t i = 0; i < array_count(known); i++) {
        if (str_equal(last, known[i].name)) {
            f->kind = known[i].kind;
            return 0;
        }
    }
    return fail_set(
        fail, -EINVAL,
        "there is no formatter %.*s here; there are those named Default, Logging, NoOp, Offsets, GroupMetadata "
        "and TransactionLogMessageFormatter",
        STR_ARG(name));
}

static int set_bytes(enum format_bytes *out, struct str name, struct fail *fail)
{
    static const struct {
        struct str name;
        enum format_bytes bytes;
    } known[] = {
        {STR("StringDeserializer"), BYTES_AS_THEY_ARE}, {STR("ByteArrayDeserializer"), BYTES_AS_THEY_ARE},
        {STR("BytesDeserializer"), BYTES_AS_THEY_ARE},  {STR("ShortDeserializer"), BYTES_SHORT},
        {STR("IntegerDeserializer"), BYTES_INTEGER},    {STR("LongDeserializer"), BYTES_LONG},
        {STR("UUIDDeserializer"), BYTES_UUID},
    };
    struct str last = name, rest = name;

    while (str_cut(&rest, '.', &last)) {
    }
    for (size_t i = 0; i < array_count(known); i++) {
        if (str_equal(last, known[i].name)) {
            *out = known[i].bytes;
            return 0;
        }
    }
    return fail_set(fail, -EINVAL,
                    "there is no deserializer %.*s here; there are those of strings, bytes, short, integer, "
                    "long and UUID",
                    STR_ARG(name));
}

int format_set(struct format *f, struct str name, struct str value, struct fail *fail)
{
    const struct {
        struct str name;
        bool *flag;
        struct str *text;
        enum format_bytes *bytes;
    } known[] = {
        {STR("print.timestamp"), &f->print_timestamp, NULL, NULL},
        {STR("print.key"), &f->print_key, NULL, NULL},
        {STR("print.value"), &f->print_value, NULL, NULL},
        {STR("print.partition"), &f->print_partition, NULL, NULL},
        {STR("print.offset"), &f->print_offset, NULL, NULL},
        {STR("print.delivery"), &f->print_delivery, NULL, NULL},
        {STR("print.epoch"), &f->print_epoch, NULL, NULL},
        {STR("print.headers"), &f->print_headers, NULL, NULL},
        {STR("key.separator"), NULL, &f->key_separator, NULL},
        {STR("line.separator"), NULL, &f->line_separator, NULL},
        {STR("headers.separator"), NULL, &f->headers_separator, NULL},
        {STR("null.literal"), NULL, &f->null_literal, NULL},
        {STR("key.deserializer"), NULL, NULL, &f->key},
        {STR("value.deserializer"), NULL, NULL, &f->value},
        {STR("headers.deserializer"), NULL, NULL, &f->headers},
    };

    for (size_t i = 0; i < array_count(known); i++) {
        if (!str_equal(name, known[i].name))
            continue;
        if (known[i].flag != NULL)
            *known[i].flag = str_equal_nocase(str_trim(value), STR("true"));
        else if (known[i].text != NULL)
            *known[i].text = value;
        else
            return set_bytes(known[i].bytes, value, fail);
    }
    return 0;
}

/* ---- one record -------------------------------------------------------------------------------------- */

static void add_uuid(struct text *out, const uint8_t *p)
{
    for (int i = 0; i < 16; i++)
        text_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", p[i]);
}

static int add_bytes(const struct format *f, enum format_bytes as, struct bytes b, struct text *out, struct fail *fail)
{
    static const int32_t sizes[] = {[BYTES_SHORT] = 2, [BYTES_INTEGER] = 4, [BYTES_LONG] = 8, [BYTES_UUID] = 16};

    if (b.n < 0 || as == BYTES_AS_THEY_ARE) {
        text_add_str(out, b.n < 0 ? f->null_literal : str_of_bytes(b));
        return 0;
    }
    if (b.n != sizes[as])
        return fail_set(fail, -EINVAL, "%d bytes are there where its deserializer takes %d", b.n, sizes[as]);
    switch (as) {
    case BYTES_SHORT:
        text_printf(out, "%d", get_i16(b.p));
        break;
    case BYTES_INTEGER:
        text_printf(out, "%d", get_i32(b.p));
        break;
    case BYTES_LONG:
        text_printf(out, "%lld", (long long)get_i64(b.p));
        break;
    case BYTES_UUID:
        add_uuid(out, b.p);
        break;
    case BYTES_AS_THEY_ARE:
        break;
    }
    return 0;
}

static int add_headers(const struct format *f, const struct record *r, struct text *out, struct fail *fail)
{
    struct bytes rest = r->headers;
    struct record_header h;

    if (r->header_count == 0)
        text_printf(out, "NO_HEADERS");
    for (int32_t i = 0; i < r->header_count && record_header_next(&rest, &h) == 1; i++) {
        if (i > 0)
            text_add_str(out, f->headers_separator);
        text_add_str(out, h.key);
        text_add(out, ":", 1);
        TRY(add_bytes(f, f->headers, h.value, out, fail));
    }
    return 0;
}

static const char *time_name(const struct format_place *where)
{
    return where->log_append_time ? "LogAppendTime" : "CreateTime";
}

/* Columns in Kafka's order: a separator behind each but the last, which ends the line. */
static int add_columns(const struct format *f, const struct format_place *where, const struct record *r,
                       struct text *out, struct fail *fail)
{
    const bool wanted[] = {f->print_timestamp, f->print_partition, f->print_offset, f->print_delivery,
                           f->print_epoch,     f->print_headers,   f->print_key,    f->print_value};
    size_t last = array_count(wanted);

    while (last > 0 && !wanted[last - 1])
        last--;
    for (size_t i = 0; i < last; i++) {
        if (!wanted[i])
            continue;
        switch (i) {
        case 0:
            text_printf(out, "%s:%lld", time_name(where), (long long)r->timestamp_ms);
            break;
        case 1:
            text_printf(out, "Partition:%d", where->partition);
            break;
        case 2:
            text_printf(out, "Offset:%lld", (long long)r->offset);
            break;
        case 3:
            text_printf(out, "Delivery:NOT_PRESENT"); /* of share groups */
            break;
        case 4:
            text_printf(out, where->leader_epoch < 0 ? "Epoch:NOT_PRESENT" : "Epoch:%d", where->leader_epoch);
            break;
        case 5:
            TRY(add_headers(f, r, out, fail));
            break;
        case 6:
            TRY(add_bytes(f, f->key, r->key, out, fail));
            break;
        default:
            TRY(add_bytes(f, f->value, r->value, out, fail));
            break;
        }
        text_add_str(out, i + 1 == last ? f->line_separator : f->key_separator);
    }
    return 0;
}

static void log_record(const struct format_place *where, const struct record *r, struct text *log)
{
    text_printf(log, "%s:%lld, key:", time_name(where), (long long)r->timestamp_ms);
    if (r->key.n < 0)
        text_printf(log, "null ");
    else
        text_add_utf8(log, str_of_bytes(r->key));
    text_printf(log, "%svalue:", r->key.n < 0 ? "" : ", ");
    text_add_utf8(log, r->value.n < 0 ? STR("null") : str_of_bytes(r->value));
    text_add(log, "\n", 1);
}

int format_record(const struct format *f, const struct format_place *where, const struct record *r, struct text *out,
                  struct text *log, struct fail *fail)
{
    size_t begin = out->n;

    if (f->kind == FORMAT_NOTHING)
        return 0;
    if (f->kind == FORMAT_JSON) {
        record_json_print(out, where->topic, where->partition, r);
        text_add(out, "\n", 1);
        return 0;
    }
    int rc =
        f->kind >= FORMAT_OFFSETS ? format_coordinator(f->kind, r, out, fail) : add_columns(f, where, r, out, fail);
    if (rc < 0)
        out->n = begin;
    else if (f->kind == FORMAT_LOGGING)
        log_record(where, r, log);
    return rc;
}
