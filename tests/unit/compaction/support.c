#include "support.h"

#include "check.h"

static struct bytes bytes_of(const char *text)
{
    return text == NULL ? BYTES_NULL : bytes_of_str(str_of(text));
}

int64_t add_batch(struct text *log, int64_t base_offset, const struct test_batch *b)
{
    static const uint8_t marker[6];
    struct batch_builder builder;
    int64_t last;

    batch_builder_init(&builder);
    builder.base_offset = base_offset;
    builder.leader_epoch = 3;
    builder.attributes = (uint16_t)b->codec;
    builder.level = codec_level_default(b->codec);
    if (b->producer_id != 0) {
        builder.producer_id = b->producer_id;
        builder.producer_epoch = 1;
        builder.base_sequence = b->marker != 0 ? -1 : b->sequence;
    }
    if (b->transactional || b->marker != 0)
        builder.attributes |= BATCH_TRANSACTIONAL;
    if (b->log_append_time)
        builder.attributes |= BATCH_LOG_APPEND_TIME;
    if (b->marker != 0) {
        builder.attributes |= BATCH_CONTROL;
        batch_builder_add_control(&builder, b->marker == 1 ? CONTROL_COMMIT : CONTROL_ABORT,
                                  b->timestamp_ms, (struct bytes){marker, 6});
    }
    for (int32_t i = 0; i < b->count; i++)
        batch_builder_add(&builder, b->timestamp_ms + i, bytes_of(b->records[i].key),
                          bytes_of(b->records[i].value), NULL, 0);
    if (b->log_append_time)
        builder.max_timestamp_ms = b->timestamp_ms + 100;
    last = base_offset + builder.last_offset_delta;
    CHECK_EQ(batch_builder_finish(&builder, log), 0);
    batch_builder_deinit(&builder);
    return last + 1;
}

int64_t add_one(struct text *log, int64_t base_offset, const char *key, const char *value)
{
    struct test_record r = {key, value};
    struct test_batch b = {.timestamp_ms = 1000 + base_offset, .records = &r, .count = 1};

    return add_batch(log, base_offset, &b);
}

static void dump_bytes(struct text *out, struct bytes b)
{
    if (b.n < 0)
        text_printf(out, "~");
    else
        text_printf(out, "%.*s", b.n, (const char *)b.p);
}

static void dump_batch(const struct batch *b, struct text *out)
{
    struct records records;
    struct record r;
    int rc;

    text_printf(out, "%lld..%lld", (long long)b->base_offset, (long long)b->last_offset);
    if (b->producer_id >= 0)
        text_printf(out, " pid=%lld seq=%d", (long long)b->producer_id, b->base_sequence);
    text_printf(out, "%s%s", batch_is_transactional(b) ? " txn" : "",
                batch_is_control(b) ? " control" : "");
    if (batch_codec(b) != CODEC_NONE)
        text_printf(out, " %.*s", STR_ARG(codec_name(batch_codec(b))));
    if ((b->attributes & BATCH_DELETE_HORIZON) != 0)
        text_printf(out, " horizon=%lld", (long long)b->base_timestamp_ms);
    text_printf(out, " max=%lld\n", (long long)b->max_timestamp_ms);
    CHECK_EQ(records_begin(&records, b, 1 << 20), 0);
    while ((rc = records_next(&records, &r)) == 1) {
        text_printf(out, "  %lld %lld ", (long long)r.offset, (long long)r.timestamp_ms);
        if (batch_is_control(b)) {
            text_printf(out, "%s\n", get_i16(r.key.p + 2) == CONTROL_COMMIT ? "commit" : "abort");
            continue;
        }
        dump_bytes(out, r.key);
        text_printf(out, "=");
        dump_bytes(out, r.value);
        text_printf(out, "\n");
    }
    CHECK_EQ(rc, 0);
    records_end(&records);
}

void dump(const struct text *log, struct text *out)
{
    struct bytes rest = bytes_of_str(text_str(log));
    struct batch b;
    int rc;

    while ((rc = batch_next(&rest, &b)) == 1) {
        CHECK(batch_crc_ok(&b));
        CHECK_EQ(b.leader_epoch, 3);
        dump_batch(&b, out);
    }
    CHECK_EQ(rc, 0);
}

static void learn(struct compaction *c, const struct text *log,
                  const struct compaction_rules *rules)
{
    struct bytes rest = bytes_of_str(text_str(log));
    struct batch b;

    while (batch_next(&rest, &b) == 1 && b.base_offset < rules->first_uncleanable) {
        if (b.last_offset < rules->first_dirty)
            continue;
        int rc = compaction_learn(c, &b);
        CHECK(rc == 0 || rc == COMPACTION_FULL);
        if (rc == COMPACTION_FULL)
            return;
    }
}

int64_t compact(struct text *log, struct compaction_rules rules,
                const struct compaction_aborted *aborted, uint32_t aborted_count,
                bool (*keep)(void *ctx, const struct batch *b), void *ctx,
                struct compaction_counts *counts, struct text *aborted_kept)
{
    struct compaction *c = compaction_new(&rules);
    struct bytes rest = bytes_of_str(text_str(log));
    struct text out = {0};
    struct batch b;

    CHECK(c != NULL);
    compaction_add_aborted(c, aborted, aborted_count);
    learn(c, log, &rules);
    compaction_begin_filter(c);
    int64_t end = compaction_learned_end(c);
    compaction_add_aborted(c, aborted, aborted_count);
    while (batch_next(&rest, &b) == 1) {
        struct compaction_aborted ended;
        bool is_set = false, keep_empty = b.last_offset + 1 == rules.first_uncleanable;
        if (b.base_offset >= rules.first_uncleanable) {
            text_add(&out, b.bytes.p, (size_t)b.bytes.n);
            continue;
        }
        keep_empty |= keep != NULL && keep(ctx, &b);
        CHECK(compaction_filter(c, &b, keep_empty, &out, &ended, &is_set) >= 0);
        if (is_set && aborted_kept != NULL)
            text_add(aborted_kept, &ended, sizeof(ended));
    }
    if (counts != NULL)
        *counts = compaction_counts(c);
    compaction_free(c);
    text_deinit(log);
    *log = out;
    return end;
}
