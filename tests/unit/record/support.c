#include "support.h"
#include "check.h"

struct text of_hex(const char *hex)
{
    struct text t = {0};
    int high = -1;

    for (; *hex != '\0'; hex++) {
        int digit = *hex <= '9' ? *hex - '0' : *hex - 'a' + 10;

        if (*hex == ' ')
            continue;
        if (high < 0) {
            high = digit;
            continue;
        }
        text_add(&t, &(char){(char)(high << 4 | digit)}, 1);
        high = -1;
    }
    CHECK_EQ(high, -1);
    return t;
}

static void add_bytes(struct text *t, struct bytes b)
{
    if (b.n < 0) {
        text_add(t, "~", 1);
        return;
    }
    text_add(t, "\"", 1);
    for (int32_t i = 0; i < b.n; i++) {
        if (b.p[i] >= 32 && b.p[i] < 127 && strchr("\"\\~", b.p[i]) == NULL)
            text_add(t, &b.p[i], 1);
        else
            text_printf(t, "\\x%02x", b.p[i]);
    }
    text_add(t, "\"", 1);
}

void batch_dump_records(const struct batch *batch, struct text *out)
{
    struct records r;
    struct record record;
    int rc;

    CHECK_EQ(records_begin(&r, batch, PLAIN_BYTES_MAX), 0);
    while ((rc = records_next(&r, &record)) == 1) {
        struct bytes rest = record.headers;
        struct record_header header;
        int32_t count = 0, sequence = -1;

        if (batch->base_sequence >= 0)
            sequence = sequence_add(batch->base_sequence, record.offset_delta);
        CHECK_EQ(record.offset, batch->base_offset + record.offset_delta);
        text_printf(out, "  %" PRId64 " %" PRId64 " %d ", record.offset, record.timestamp_ms,
                    sequence);
        add_bytes(out, record.key);
        text_add(out, " ", 1);
        add_bytes(out, record.value);
        while (record_header_next(&rest, &header) == 1) {
            text_add(out, " ", 1);
            add_bytes(out, bytes_of_str(header.key));
            text_add(out, "=", 1);
            add_bytes(out, header.value);
            count++;
        }
        CHECK_EQ(count, record.header_count);
        CHECK_EQ(rest.n, 0);
        text_add(out, "\n", 1);
    }
    CHECK_EQ(rc, 0);
    records_end(&r);
}

static void dump_batch(const struct batch *b, struct text *out)
{
    text_printf(out,
                "%" PRId64 "..%" PRId64 " bytes=%d epoch=%d crc=%08x attributes=%02x "
                "last_delta=%d base=%" PRId64 " max=%" PRId64 " producer=%" PRId64
                ",%d,%d count=%d ",
                b->base_offset, b->last_offset, b->bytes.n, b->leader_epoch, b->crc, b->attributes,
                b->last_offset_delta, b->base_timestamp_ms, b->max_timestamp_ms, b->producer_id,
                b->producer_epoch, b->base_sequence, b->count);
    text_add_str(out, codec_name(batch_codec(b)));
    text_printf(out, (b->attributes & BATCH_LOG_APPEND_TIME) ? " append-time" : " create-time");
    if (batch_is_transactional(b))
        text_printf(out, " transactional");
    if (batch_is_control(b))
        text_printf(out, " control");
    if ((b->attributes & BATCH_DELETE_HORIZON) != 0)
        text_printf(out, " horizon=%" PRId64, b->base_timestamp_ms);
    text_add(out, "\n", 1);
    batch_dump_records(b, out);
}

void batch_dump(struct bytes in, struct text *out)
{
    struct batch b;
    int rc;

    while ((rc = batch_next(&in, &b)) == 1) {
        CHECK(batch_crc_ok(&b));
        dump_batch(&b, out);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(in.n, 0);
}

void golden_expected(const struct golden *g, struct text *out)
{
    text_add_str(out, str_of(g->dump));
    if (g->records != GOLDEN_MANY)
        return;
    for (int i = 0; i < 300; i++)
        text_printf(out,
                    "  %" PRId64 " %" PRId64 " -1 \"key-%d\" \"value number %d of a batch that "
                    "compresses well\"\n",
                    INT64_C(5000000000) + i, INT64_C(1767225600000) + i, i % 17, i);
}

const struct golden *golden_get(const char *name)
{
    for (size_t i = 0; i < golden_count; i++) {
        if (strcmp(golden[i].name, name) == 0)
            return &golden[i];
    }
    check_fail(__FILE__, __LINE__, "no golden batch is called %s", name);
}
