/* Records as JSON, one object a line, so that what was consumed can be produced again, byte for byte. */
#include "cli/console.h"

#include "cli/json.h"

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- print ---------------------------------------------------------------------------------------- */

static void print_base64(struct text *out, struct bytes b)
{
    text_printf(out, "{\"base64\": \"");
    for (int32_t i = 0; i < b.n; i += 3) {
        int32_t left = b.n - i;
        uint32_t v = (uint32_t)b.p[i] << 16 | (left > 1 ? (uint32_t)b.p[i + 1] << 8 : 0) | (left > 2 ? b.p[i + 2] : 0);
        char four[4] = {base64_letters[v >> 18], base64_letters[v >> 12 & 63],
                        left > 1 ? base64_letters[v >> 6 & 63] : '=', left > 2 ? base64_letters[v & 63] : '='};
        text_add(out, four, 4);
    }
    text_printf(out, "\"}");
}

static void print_bytes(struct text *out, struct bytes b)
{
    if (b.n > 0 && !str_is_utf8(str_of_bytes(b)))
        print_base64(out, b);
    else
        text_add_json(out, str_of_bytes(b));
}

void record_json_print(struct text *out, struct str topic, int32_t partition, const struct record *r)
{
    struct bytes rest = r->headers;
    struct record_header h;

    text_printf(out, "{\"topic\": ");
    text_add_json(out, topic);
    text_printf(out, ", \"partition\": %d, \"offset\": %lld, \"timestamp\": %lld, \"key\": ", partition,
                (long long)r->offset, (long long)r->timestamp_ms);
    print_bytes(out, r->key);
    text_printf(out, ", \"value\": ");
    print_bytes(out, r->value);
    text_printf(out, ", \"headers\": [");
    for (int32_t i = 0; i < r->header_count && record_header_next(&rest, &h) == 1; i++) {
        text_printf(out, "%s{\"key\": ", i == 0 ? "" : ", ");
        print_bytes(out, bytes_of_str(h.key));
        text_printf(out, ", \"value\": ");
        print_bytes(out, h.value);
        text_printf(out, "}");
    }
    text_printf(out, "]}");
}

/* ---- read ----------------------------------------------------------------------------------------- */

struct reading {
    struct json json;
    struct arena *arena;
    struct fail *f;
};

/* With padding, as RFC 4648 has it. */
static int decode(struct reading *r, struct str in, struct bytes *out)
{
    int32_t padding = str_ends(in, STR("==")) ? 2 : str_ends(in, STR("=")) ? 1 : 0, letters = in.n - padding;
    uint8_t *p = arena_take_raw(r->arena, (size_t)in.n / 4 * 3 + 1), *to = p;
    uint32_t v = 0;

    ASSERT(p != NULL);
    if (in.n % 4 != 0)
        letters = in.n; /* none of which is padding */
    for (int32_t i = 0; i < letters; i++) {
        const char *letter = in.p[i] == '\0' ? NULL : strchr(base64_letters, in.p[i]);
        if (letter == NULL || in.n % 4 != 0)
            return fail_set(r->f, -EINVAL, "\"base64\" is not base64 with padding");
        v = v << 6 | (uint32_t)(letter - base64_letters);
        if (i % 4 > 0)
            *to++ = (uint8_t)(v >> (6 - i % 4 * 2));
    }
    *out = (struct bytes){p, (int32_t)(to - p)};
    return 0;
}

static int read_base64(struct reading *r, const char *what, struct bytes *out)
{
    bool first = true;

    if (!json_enter(&r->json, '{') || !json_next(&r->json, '}', &first) ||
        !str_equal(json_name(&r->json), STR("base64")))
        return fail_set(r->f, -EINVAL, "\"%s\" is an object, but not {\"base64\": \"...\"}", what);
    TRY(decode(r, json_string(&r->json), out));
    if (json_next(&r->json, '}', &first))
        return fail_set(r->f, -EINVAL, "\"%s\" has more beside \"base64\"", what);
    return 0;
}

/* A string, null, or base64. */
static int read_bytes(struct reading *r, const char *what, struct bytes *out)
{
    struct str text;

    if (json_word(&r->json, "null")) {
        *out = BYTES_NULL;
        return 0;
    }
    if (json_look(&r->json) == '{')
        return read_base64(r, what, out);
    if (json_look(&r->json) != '"')
        return fail_set(r->f, -EINVAL, "\"%s\" must be a string, null, or {\"base64\": \"...\"}", what);
    if (json_text(r->arena, json_string(&r->json), &text) < 0)
        return fail_set(r->f, -EINVAL, "\"%s\" has an escape that is none", what);
    *out = bytes_of_str(text);
    return 0;
}

static int read_header(struct reading *r, struct record_header *h)
{
    struct bytes key = BYTES_NULL;
    bool first = true;

    h->value = BYTES_NULL;
    if (!json_enter(&r->json, '{'))
        return fail_set(r->f, -EINVAL, "a header must be {\"key\": ..., \"value\": ...}");
    while (json_next(&r->json, '}', &first)) {
        struct str name = json_name(&r->json);
        if (str_equal(name, STR("key")))
            TRY(read_bytes(r, "key", &key));
        else if (str_equal(name, STR("value")))
            TRY(read_bytes(r, "value", &h->value));
        else
            json_skip(&r->json);
    }
    if (key.n < 0)
        return fail_set(r->f, -EINVAL, "a header without a key");
    h->key = str_of_bytes(key);
    return 0;
}

static int read_headers(struct reading *r, struct console_record *out)
{
    bool first = true;

    out->header_count = 0;
    if (json_word(&r->json, "null"))
        return 0;
    if (!json_enter(&r->json, '['))
        return fail_set(r->f, -EINVAL, "\"headers\" must be an array");
    while (json_next(&r->json, ']', &first)) {
        if (out->header_count == CONSOLE_HEADERS_MAX)
            return fail_set(r->f, ERR_LIMIT, "more than %d headers", CONSOLE_HEADERS_MAX);
        TRY(read_header(r, &out->headers[out->header_count]));
        out->header_count++;
    }
    return 0;
}

static int read_number(struct reading *r, const char *what, int64_t high, int64_t *out)
{
    int64_t n = json_number(&r->json);

    if (r->json.wrong || n < -1 || n > high)
        return fail_set(r->f, -EINVAL, "\"%s\" must be a number from -1 to %lld", what, (long long)high);
    *out = n;
    return 0;
}

static int read_member(struct reading *r, struct str name, struct console_record *out)
{
    struct bytes topic;
    int64_t n = -1;

    if (str_equal(name, STR("topic"))) {
        TRY(read_bytes(r, "topic", &topic));
        out->topic = str_of_bytes(topic);
    } else if (str_equal(name, STR("partition"))) {
        TRY(read_number(r, "partition", INT32_MAX, &n));
        out->partition = (int32_t)n;
    } else if (str_equal(name, STR("timestamp"))) {
        TRY(read_number(r, "timestamp", INT64_MAX, &out->timestamp_ms));
    } else if (str_equal(name, STR("key"))) {
        TRY(read_bytes(r, "key", &out->key));
    } else if (str_equal(name, STR("value"))) {
        TRY(read_bytes(r, "value", &out->value));
    } else if (str_equal(name, STR("headers"))) {
        TRY(read_headers(r, out));
    } else {
        json_skip(&r->json);
    }
    return 0;
}

int record_json_read(struct str line, struct arena *arena, struct console_record *out, struct fail *f)
{
    struct reading r = {.arena = arena, .f = f};
    bool first = true;

    out->topic = STR_NULL;
    out->partition = -1;
    out->timestamp_ms = -1;
    out->key = out->value = BYTES_NULL;
    out->header_count = 0;
    json_begin(&r.json, line);
    if (!json_enter(&r.json, '{'))
        return fail_set(f, -EINVAL, "this is no JSON object");
    while (json_next(&r.json, '}', &first))
        TRY(read_member(&r, json_name(&r.json), out));
    if (!json_end(&r.json))
        return fail_set(f, -EINVAL, "the JSON is wrong near letter %d", r.json.at + 1);
    return 0;
}
