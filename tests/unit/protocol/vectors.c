/* vectors.c - see vectors.h. */

#include "vectors.h"

#include <jansson.h>
#include <stdlib.h>

#include "protocol/layout.h"
#include "protocol/protocol.h"

#define COLUMNS 8
#define ARENA_LIMIT_BYTES (64u << 20)
#define LINE_WORDS_BYTES 400

/* One row, by the names of the columns; parts that the table lacks are null. */
struct row {
    struct str kind, log, part, name, sample, hex, json;
    int16_t version, type, header_version;
};

struct check {
    const char *file;
    bool thorough;
    struct str full_hex[2]; /* of the message at hand: sample "default", "full" */
    struct str full_name;
    int16_t full_version;
    bool failed; /* the row at hand */
    const struct row *row;
};

static void complain(struct check *c, const char *format, ...) PRINTF(2, 3);

static void complain(struct check *c, const char *format, ...)
{
    char words[LINE_WORDS_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    fprintf(stderr, "%s: %.*s version %d, %.*s: %s\n", c->file, STR_ARG(c->row->name),
            c->row->version, STR_ARG(c->row->sample), words);
    c->failed = true;
}

static int nibble(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* Heap copy of exactly the row's bytes, so that the address sanitizer sees one byte too far. */
static struct bytes unhex(struct str hex)
{
    uint8_t *p = malloc(hex.n > 1 ? (size_t)hex.n / 2 : 1);

    ASSERT(p != NULL);
    for (int32_t i = 0; i < hex.n / 2; i++)
        p[i] = (uint8_t)(nibble(hex.p[2 * i]) << 4 | nibble(hex.p[2 * i + 1]));
    return (struct bytes){p, hex.n / 2};
}

static struct bytes exact_copy(const uint8_t *p, int32_t n)
{
    uint8_t *copy = malloc(n > 0 ? (size_t)n : 1);

    ASSERT(copy != NULL);
    if (n > 0)
        memcpy(copy, p, (size_t)n);
    return (struct bytes){copy, n};
}

static void *struct_of(const struct message *message, struct arena *arena)
{
    void *m = arena_take(arena, message_struct_bytes(message));

    ASSERT(m != NULL);
    return m;
}

/* ---- what every codec of a message must do ---- */

struct codec {
    const char *name;
    const struct message *message;
    const struct message_hot *hot; /* NULL = by tables */
};

static int codec_read(const struct codec *k, struct bytes in, int16_t version, struct arena *arena,
                      void *out)
{
    return k->hot ? k->hot->read(in, version, arena, out)
                  : tables_read(k->message, in, version, arena, out);
}

static int64_t codec_size(const struct codec *k, const void *m, int16_t version)
{
    return k->hot ? k->hot->size(m, version) : tables_size(k->message, version, m);
}

static void codec_write(const struct codec *k, const void *m, int16_t version, uint8_t *out)
{
    if (k->hot)
        k->hot->write(m, version, out);
    else
        tables_write(k->message, version, m, out);
}

static void check_encoded(struct check *c, const struct codec *k, const void *m,
                          struct bytes expected)
{
    int64_t size = codec_size(k, m, c->row->version);

    if (size != expected.n) {
        complain(c, "%s: size is %" PRId64 ", expected %d", k->name, size, expected.n);
        return;
    }
    uint8_t *out = malloc(size > 0 ? (size_t)size : 1);
    ASSERT(out != NULL);
    codec_write(k, m, c->row->version, out);
    if (size > 0 && memcmp(out, expected.p, (size_t)size) != 0)
        complain(c, "%s: other bytes are written", k->name);
    free(out);
}

/* The message in pieces, put together again. */
static void check_pieces(struct check *c, const struct codec *k, const void *m,
                         struct bytes expected)
{
    struct message_extent extent;
    struct text whole = {0};
    uint32_t from = 0;

    bool own = k->hot != NULL && k->hot->measure != NULL;
    int error = own ? k->hot->measure(m, c->row->version, &extent)
                    : tables_measure(k->message, c->row->version, m, &extent);
    if (error < 0)
        return; /* check_encoded has said it */
    uint8_t *head = malloc(extent.head_bytes > 0 ? (size_t)extent.head_bytes : 1);
    struct message_cut *cuts = calloc(extent.cuts + 1, sizeof(*cuts));
    ASSERT(head != NULL && cuts != NULL);
    if (own)
        k->hot->write_pieces(m, c->row->version, head, cuts);
    else
        tables_write_pieces(k->message, c->row->version, m, head, cuts);
    for (uint32_t i = 0; i < extent.cuts; i++) {
        text_add(&whole, head + from, cuts[i].at - from);
        text_add(&whole, cuts[i].records.p, (size_t)cuts[i].records.n);
        from = cuts[i].at;
    }
    text_add(&whole, head + from, (size_t)extent.head_bytes - from);
    if (whole.n != (size_t)expected.n || (whole.n > 0 && memcmp(whole.p, expected.p, whole.n) != 0))
        complain(c, "the pieces are not the whole");
    text_deinit(&whole);
    free(head);
    free(cuts);
}

static void check_json(struct check *c, const struct codec *k, const void *m, struct str expected)
{
    struct text printed = {0};
    json_error_t error;

    message_print(k->message, c->row->version, m, &printed);
    json_t *ours = json_loadb(printed.p, printed.n, JSON_DECODE_ANY, &error);
    if (ours == NULL)
        complain(c, "%s prints no JSON: %s", k->name, error.text);
    json_t *theirs = json_loadb(expected.p, (size_t)expected.n, JSON_DECODE_ANY, &error);
    if (theirs == NULL)
        complain(c, "the row's JSON cannot be read: %s", error.text);
    if (ours != NULL && theirs != NULL && !json_equal(ours, theirs))
        complain(c, "%s: other content: %.*s", k->name, (int)printed.n, printed.p);
    json_decref(ours);
    json_decref(theirs);
    text_deinit(&printed);
}

/* No cut may be taken for the whole. */
static void check_cuts(struct check *c, const struct codec *k, struct bytes in)
{
    struct arena arena;

    arena_init(&arena, ARENA_LIMIT_BYTES);
    for (int32_t n = 0; n < in.n; n++) {
        struct bytes cut = exact_copy(in.p, n);
        int used = codec_read(k, cut, c->row->version, &arena, struct_of(k->message, &arena));
        if (used >= 0)
            complain(c, "%s: a cut to %d bytes is read", k->name, n);
        arena_reset(&arena);
        free((void *)(uintptr_t)cut.p);
    }
    arena_deinit(&arena);
}

/* A changed byte makes other content or an error; the tables and the specialised code agree. */
static void check_changes(struct check *c, const struct codec *k, struct bytes in)
{
    static const uint8_t changes[] = {0xff, 0x01, 0x80};
    struct bytes changed = exact_copy(in.p, in.n);
    uint8_t *p = (uint8_t *)(uintptr_t)changed.p;
    struct text text = {0};
    struct codec tables = {"tables", k->message, NULL};
    struct arena arena;

    arena_init(&arena, ARENA_LIMIT_BYTES);
    for (int32_t i = 0; i < in.n * (int32_t)array_count(changes); i++) {
        uint8_t *at = p + i / (int32_t)array_count(changes);
        uint8_t before = *at;

        *at ^= changes[(size_t)i % array_count(changes)];
        void *m = struct_of(k->message, &arena);
        int used = codec_read(k, changed, c->row->version, &arena, m);
        if (used >= 0) {
            text_clear(&text);
            if (i % (int32_t)array_count(changes) == 0) /* the slowest part: once a byte */
                message_print(k->message, c->row->version, m, &text);
            if (codec_size(k, m, c->row->version) < 0)
                complain(c, "%s: read, but cannot be written (byte %d)", k->name, i);
        }
        void *other = struct_of(k->message, &arena);
        if (k->hot != NULL &&
            (codec_read(&tables, changed, c->row->version, &arena, other) != used ||
             !message_equal(k->message, m, other)))
            complain(c, "%s: not read as by tables (byte %d)", k->name, i);
        arena_reset(&arena);
        *at = before;
    }
    arena_deinit(&arena);
    text_deinit(&text);
    free(p);
}

static void drop_unknown(const struct message_layout *layout, void *m)
{
    if (layout->unknown_tags_offset != FIELD_NOWHERE)
        *(struct bytes *)(void *)((char *)m + layout->unknown_tags_offset) =
            (struct bytes){NULL, 0};
    for (int i = 0; i < layout->field_count; i++) {
        const struct message_field *f = &layout->fields[i];
        char *at = (char *)m + f->offset;

        if (f->kind != FIELD_STRUCT)
            continue;
        if (f->flags & FIELD_ARRAY) {
            int32_t count = *(int32_t *)(void *)((char *)m + f->count_offset);
            for (int32_t j = 0; j < count; j++)
                drop_unknown(f->layout, *(char **)(void *)at + (size_t)j * f->layout->struct_bytes);
        } else if (!(f->flags & FIELD_POINTER)) {
            drop_unknown(f->layout, at);
        } else if (*(void **)(void *)at != NULL) {
            drop_unknown(f->layout, *(void **)(void *)at);
        }
    }
}

/* The row "unknown" without what nobody knows is the row "full", or "default" if that is all. */
static void check_without_unknown(struct check *c, const struct codec *k, void *m)
{
    struct str hex = str_is_null(c->full_hex[1]) ? c->full_hex[0] : c->full_hex[1];

    if (str_is_null(hex)) {
        complain(c, "there is no row to compare with");
        return;
    }
    struct bytes expected = unhex(hex);
    drop_unknown(k->message->layout, m);
    check_encoded(c, k, m, expected);
    free((void *)(uintptr_t)expected.p);
}

static void check_codec(struct check *c, const struct codec *k, struct bytes in, struct str json)
{
    struct arena arena;

    arena_init(&arena, ARENA_LIMIT_BYTES);
    void *m = struct_of(k->message, &arena);
    int used = codec_read(k, in, c->row->version, &arena, m);
    if (used < 0)
        complain(c, "%s: %s", k->name, error_text(used));
    else if (used != in.n)
        complain(c, "%s: %d of %d bytes are used", k->name, used, in.n);
    if (used == in.n) {
        check_json(c, k, m, json);
        check_encoded(c, k, m, in);
        check_pieces(c, k, m, in);
        if (str_equal(c->row->sample, STR("unknown")))
            check_without_unknown(c, k, m);
    }
    check_cuts(c, k, in);
    if (c->thorough || str_equal(c->row->sample, STR("full")) ||
        str_equal(c->row->sample, STR("unknown")))
        check_changes(c, k, in);
    arena_deinit(&arena);
}

static void check_message(struct check *c, const struct message *message, struct bytes in,
                          struct str json)
{
    struct codec tables = {"tables", message, NULL};

    check_codec(c, &tables, in, json);
    for (int i = 0; i < message_hot_count; i++) {
        if (message_hot[i].message != message)
            continue;
        struct codec hot = {"specialised", message, &message_hot[i]};
        check_codec(c, &hot, in, json);
    }
}

/* ---- the three kinds of rows ---- */

static void note_full(struct check *c, const struct row *row)
{
    if (!str_equal(c->full_name, row->name) || c->full_version != row->version) {
        c->full_name = row->name;
        c->full_version = row->version;
        c->full_hex[0] = c->full_hex[1] = STR_NULL;
    }
    if (str_equal(row->sample, STR("default")))
        c->full_hex[0] = row->hex;
    if (str_equal(row->sample, STR("full")))
        c->full_hex[1] = row->hex;
}

static void check_plain(struct check *c, struct bytes in)
{
    const struct message *message = message_find_by_name(c->row->name);

    if (message == NULL)
        complain(c, "no such message is known");
    else
        check_message(c, message, in, c->row->json);
}

static void check_framed(struct check *c, const struct message_framed *framed, int error,
                         struct bytes in)
{
    struct text json = {0};
    json_error_t trouble;
    bool metadata = error == 0 && (framed->message->kind == MESSAGE_METADATA ||
                                   framed->message->kind == MESSAGE_TIERED);

    if (error < 0) {
        complain(c, "%s", error_text(error));
        return;
    }
    if (!str_equal(str_of(framed->message->name), c->row->name))
        complain(c, "taken for %s", framed->message->name);
    message_print(framed->message, framed->version, framed->value, &json);
    json_t *ours = json_loadb(json.p, json.n, 0, &trouble);
    json_t *theirs = json_loadb(c->row->json.p, (size_t)c->row->json.n, 0, &trouble);
    if (!json_equal(ours, theirs))
        complain(c, "other content: %.*s", (int)json.n, json.p);
    json_decref(ours);
    json_decref(theirs);
    text_deinit(&json);

    int64_t size = metadata
                       ? message_metadata_size(framed->message, framed->version, framed->value)
                       : message_coordinator_size(framed->message, framed->version, framed->value);
    uint8_t *out = malloc((size_t)in.n);
    ASSERT(out != NULL);
    if (size != in.n) {
        complain(c, "size is %" PRId64 ", expected %d", size, in.n);
    } else {
        if (metadata)
            message_metadata_write(framed->message, framed->version, framed->value, out);
        else
            message_coordinator_write(framed->message, framed->version, framed->value, out);
        if (memcmp(out, in.p, (size_t)in.n) != 0)
            complain(c, "other bytes are written");
    }
    free(out);
}

static int read_log_record(const struct row *row, struct bytes in, struct arena *arena,
                           struct message_framed *out)
{
    static const struct {
        const char *log;
        enum message_kind key, value;
    } logs[] = {
        {"group-coordinator", MESSAGE_GROUP_KEY, MESSAGE_GROUP_VALUE},
        {"share-coordinator", MESSAGE_SHARE_KEY, MESSAGE_SHARE_VALUE},
        {"transaction-coordinator", MESSAGE_TRANSACTION_KEY, MESSAGE_TRANSACTION_VALUE},
    };

    for (size_t i = 0; i < array_count(logs); i++) {
        if (!str_equal(row->log, str_of(logs[i].log)))
            continue;
        if (str_equal(row->part, STR("key")))
            return message_key_read(in, logs[i].key, arena, out);
        return message_value_read(in, logs[i].value, row->type, arena, out);
    }
    bool tiered = str_equal(row->log, STR("storage"));
    return message_metadata_read(in, tiered ? MESSAGE_TIERED : MESSAGE_METADATA, arena, out);
}

static void check_log_record(struct check *c, struct bytes in)
{
    struct message_framed framed;
    struct arena arena;

    arena_init(&arena, ARENA_LIMIT_BYTES);
    int error = read_log_record(c->row, in, &arena, &framed);
    check_framed(c, &framed, error, in);
    for (int32_t n = 0; n < in.n; n++) {
        struct bytes cut = exact_copy(in.p, n);
        if (read_log_record(c->row, cut, &arena, &framed) == 0)
            complain(c, "a cut to %d bytes is read", n);
        free((void *)(uintptr_t)cut.p);
    }
    arena_deinit(&arena);
}

/* The frame's header, and the body behind it, whose JSON is one member of the row's. */
static void check_frame_parts(struct check *c, const struct message *message, struct bytes frame,
                              int header_bytes, json_t *json)
{
    char *body = json_dumps(json_object_get(json, "body"), JSON_COMPACT);

    ASSERT(body != NULL);
    struct bytes in = exact_copy(frame.p + header_bytes, frame.n - header_bytes);
    check_message(c, message, in, str_of(body));
    free((void *)(uintptr_t)in.p);
    free(body);
}

static void check_request_header(struct check *c, struct bytes frame, int used,
                                 const struct request_header *h, json_t *header)
{
    uint8_t out[400];
    const char *client = json_string_value(json_object_get(header, "clientId"));

    if (h->correlation_id != json_integer_value(json_object_get(header, "correlationId")) ||
        !str_equal(h->client_id, str_of(client)) || h->request_api_version != c->row->version)
        complain(c, "another header is read");
    if (request_header_size(h) != used)
        complain(c, "the header would be written in another size");
    request_header_write(h, out);
    if (memcmp(out, frame.p, (size_t)used) != 0)
        complain(c, "the header is written otherwise");
}

static void check_response_header(struct check *c, struct bytes frame, int16_t key, json_t *header)
{
    uint8_t out[5];
    int32_t correlation_id;
    int used = response_header_read(frame, key, c->row->version, &correlation_id);

    if (used < 0 || correlation_id != json_integer_value(json_object_get(header, "correlationId")))
        complain(c, "another header is read");
    if ((int)response_header_size(key, c->row->version) != used)
        complain(c, "the header would be written in another size");
    response_header_write(key, c->row->version, correlation_id, out);
    if (used > 0 && memcmp(out, frame.p, (size_t)used) != 0)
        complain(c, "the header is written otherwise");
}

static void check_frame(struct check *c, struct bytes in)
{
    const struct message *message = message_find_by_name(c->row->name);
    json_error_t error;
    json_t *json = json_loadb(c->row->json.p, (size_t)c->row->json.n, 0, &error);
    struct bytes frame = {in.p + 4, in.n - 4};
    struct request_header h;

    if (message == NULL || json == NULL || in.n < 4 || get_i32(in.p) != frame.n) {
        complain(c, "the row makes no sense");
    } else if (message->kind == MESSAGE_REQUEST) {
        int used = request_header_read(frame, &h);
        if (used < 0 ||
            request_header_version(message->key, c->row->version) != c->row->header_version) {
            complain(c, "the header cannot be read");
        } else {
            check_request_header(c, frame, used, &h, json_object_get(json, "header"));
            check_frame_parts(c, message, frame, used, json);
        }
    } else {
        check_response_header(c, frame, message->key, json_object_get(json, "header"));
        if (response_header_version(message->key, c->row->version) != c->row->header_version)
            complain(c, "the header has another version");
        check_frame_parts(c, message, frame,
                          (int)response_header_size(message->key, c->row->version), json);
    }
    json_decref(json);
}

/* ---- the table ---- */

static int16_t number_of(struct str s)
{
    int64_t v = -1;

    return str_to_i64(s, INT16_MIN, INT16_MAX, &v) < 0 ? -1 : (int16_t)v;
}

static void row_set(struct row *row, struct str column, struct str value)
{
    struct {
        const char *name;
        struct str *text;
        int16_t *number;
    } const columns[] = {
        {"kind", &row->kind, NULL},     {"log", &row->log, NULL},
        {"part", &row->part, NULL},     {"name", &row->name, NULL},
        {"sample", &row->sample, NULL}, {"hex", &row->hex, NULL},
        {"json", &row->json, NULL},     {"version", NULL, &row->version},
        {"type", NULL, &row->type},     {"headerVersion", NULL, &row->header_version},
    };

    for (size_t i = 0; i < array_count(columns); i++) {
        if (!str_equal(column, str_of(columns[i].name)))
            continue;
        if (columns[i].text != NULL)
            *columns[i].text = value;
        else
            *columns[i].number = number_of(value);
    }
}

/* The part of `line` before its next tab; an empty part at the end counts. */
static bool cell_next(struct str *line, struct str *cell)
{
    if (line->n < 0)
        return false;
    const char *tab = memchr(line->p, '\t', (size_t)line->n);
    int32_t n = tab == NULL ? line->n : (int32_t)(tab - line->p);
    *cell = (struct str){line->p, n};
    line->p += tab == NULL ? n : n + 1;
    line->n -= n + 1;
    return true;
}

static struct row row_of(struct str head, struct str line)
{
    struct row row = {.kind = STR_NULL,
                      .log = STR_NULL,
                      .part = STR_NULL,
                      .name = STR_NULL,
                      .sample = STR_NULL,
                      .hex = STR_NULL,
                      .json = STR_NULL,
                      .version = -1,
                      .type = -1,
                      .header_version = -1};
    struct str column, cell;

    while (cell_next(&head, &column) && cell_next(&line, &cell))
        row_set(&row, column, cell);
    return row;
}

static bool is_table(struct str head)
{
    struct row row = row_of(head, head);

    return !str_is_null(row.name) && !str_is_null(row.hex) && !str_is_null(row.json) &&
           !str_is_null(row.sample);
}

static void check_row(struct check *c, const struct row *row)
{
    struct bytes in = unhex(row->hex);

    c->row = row;
    c->failed = false;
    note_full(c, row);
    if (!str_is_null(row->log))
        check_log_record(c, in);
    else if (row->header_version >= 0)
        check_frame(c, in);
    else
        check_plain(c, in);
    free((void *)(uintptr_t)in.p);
}

int vectors_check(struct str table, const char *name, bool thorough, struct vector_totals *totals)
{
    struct check c = {
        .file = name, .thorough = thorough, .full_name = STR_NULL, .full_version = -1};
    struct str head, line;

    if (!str_cut(&table, '\n', &head))
        head = STR("");
    if (str_equal(head, STR("name\thex\tjson"))) {
        fprintf(stderr, "%s: record batches, not messages: passed over\n", name);
        return 0;
    }
    if (!is_table(head)) {
        fprintf(stderr,
                "%s: not a table of messages: its first line does not name the columns "
                "name, sample, hex and json\n",
                name);
        return -EINVAL;
    }
    while (str_cut(&table, '\n', &line)) {
        if (line.n == 0)
            continue;
        struct row row = row_of(head, line);
        check_row(&c, &row);
        if (c.failed)
            totals->failed++;
        else
            totals->passed++;
    }
    return 0;
}
