/* One segment, or one metadata snapshot: its batches, and what they hold. */
#include "inspect/verify.h"

#include <stdio.h>

#include "quorum/quorum.h"

/* ---- records ------------------------------------------------------------------------------- */

static enum inspect_decoder decoder_of(struct str topic)
{
    if (str_equal(topic, STR("__cluster_metadata")))
        return DECODE_METADATA;
    if (str_equal(topic, STR("__consumer_offsets")))
        return DECODE_OFFSETS;
    if (str_equal(topic, STR("__transaction_state")))
        return DECODE_TRANSACTIONS;
    return str_equal(topic, STR("__share_group_state")) ? DECODE_SHARE : DECODE_TEXT;
}

static void check_record(struct verify *v, const struct record *record, int64_t above)
{
    const struct batch *b = &v->stored.batch;
    enum inspect_decoder decoder = decoder_of(v->log.topic);

    v->records++;
    if (record->offset <= above || record->offset > b->last_offset)
        verify_trouble(v, "byte %" PRIu64 ": the record of offset %" PRId64 " is out of order in its batch (%" PRId64
                       " to %" PRId64 ")", v->stored.position, record->offset, b->base_offset, b->last_offset);
    if (decoder == DECODE_TEXT || batch_is_control(b))
        return;
    decode_record(&v->decoded, decoder, record);
    if (v->decoded.error < 0)
        verify_trouble(v, "byte %" PRIu64 ": the record of offset %" PRId64 " is none that its topic may hold: %.*s",
                       v->stored.position, record->offset, STR_ARG(text_str(v->decoded.has_key ? &v->decoded.key
                                                                                               : &v->decoded.value)));
}

static void check_records(struct verify *v)
{
    struct records records;
    struct record record;
    int64_t above = v->stored.batch.base_offset - 1;
    int rc = records_begin(&records, &v->stored.batch, INSPECT_PLAIN_BYTES_MAX);

    if (rc == 0) {
        while ((rc = records_next(&records, &record)) == 1) {
            check_record(v, &record, above);
            above = record.offset;
        }
        records_end(&records);
    }
    if (rc < 0)
        verify_trouble(v, "byte %" PRIu64 ": the records of the batch of offsets %" PRId64 " to %" PRId64
                       " cannot be read, though its checksum is good: %s; its producer has sent it so",
                       v->stored.position, v->stored.batch.base_offset, v->stored.batch.last_offset, error_text(rc));
}

/* ---- a batch of a segment ------------------------------------------------------------------ */

static bool offsets_are_good(struct verify *v)
{
    const struct verify_log *log = &v->log;
    const struct batch *b = &v->stored.batch;
    const char *why = NULL;

    if (b->base_offset < log->base)
        why = "it begins below the offset in the file's name";
    else if (b->base_offset < log->end)
        why = "it does not come behind the batch before it";
    else if (b->last_offset - log->base > INT32_MAX || b->last_offset < b->base_offset)
        why = "it reaches too far for its segment";
    else if (log->next_base >= 0 && b->last_offset >= log->next_base)
        why = "it reaches into the next segment";
    if (why == NULL)
        return true;
    verify_trouble(v, "byte %" PRIu64 ": the batch of offsets %" PRId64 " to %" PRId64 ": %s; reads of it fail",
                   v->stored.position, b->base_offset, b->last_offset, why);
    return false;
}

static void check_epoch(struct verify *v)
{
    struct verify_log *log = &v->log;
    const struct batch *b = &v->stored.batch;

    if (log->epochs_said || !epochs_contradict(&log->epochs, b))
        return;
    log->epochs_said = true;
    verify_trouble(v, "byte %" PRIu64 ": the batch of offsets %" PRId64 " to %" PRId64 " is of leader epoch %d, where "
                   "leader-epoch-checkpoint says %d; that is made again at the next start", v->stored.position,
                   b->base_offset, b->last_offset, b->leader_epoch, epochs_at(&log->epochs, b->base_offset));
}

static void apply_producers(struct verify *v)
{
    struct txn_completed done;
    uint8_t e[34] = {0};

    if (!producers_apply(&v->log.producers, &v->stored.batch, &done) || !done.aborted)
        return;
    put_u64(e + 2, (uint64_t)done.producer_id);
    put_u64(e + 10, (uint64_t)done.first_offset);
    put_u64(e + 18, (uint64_t)done.last_offset);
    put_u64(e + 26, (uint64_t)done.last_stable_offset);
    text_add(&v->log.expected, e, sizeof(e));
}

static void check_batch(struct verify *v)
{
    const struct batch *b = &v->stored.batch;

    v->batches++;
    if (!v->stored.crc_ok) {
        verify_trouble(v, "byte %" PRIu64 ": the batch of offsets %" PRId64 " to %" PRId64 ", %d bytes, fails its "
                       "checksum: consumers refuse it; the records are lost unless a replica has them",
                       v->stored.position, b->base_offset, b->last_offset, b->bytes.n);
        v->log.producers_known = false;
    }
    if (v->stored.magic < BATCH_MAGIC)
        verify_trouble(v, "byte %" PRIu64 ": a message of magic %d at offset %" PRId64
                       ": servers older than Kafka 4 wrote such, this one cannot read them",
                       v->stored.position, v->stored.magic, b->last_offset);
    if (!offsets_are_good(v))
        return;
    v->log.end = b->last_offset + 1;
    sides_batch(v);
    if (!v->stored.crc_ok || v->stored.magic < BATCH_MAGIC)
        return;
    check_epoch(v);
    if (batch_has_producer(b))
        apply_producers(v);
    if (v->o->deep)
        check_records(v);
}

/* ---- what is no batch ---------------------------------------------------------------------- */

/* Go on at the next batch that the index knows. */
static bool skip_damage(struct verify *v)
{
    uint64_t next = sides_next_position(v, v->scan.position);

    if (next == 0 || next >= v->scan.end)
        return false;
    verify_trouble(v, "bytes %" PRIu64 " to %" PRIu64 ", from offset %" PRId64 " on, are no batches: %s; reads of them "
                   "fail, and the log ends here at a start that reads this segment anew",
                   v->scan.position, next - 1, v->log.end, error_text(v->rc));
    v->scan.position = next;
    v->log.producers_known = false;
    return true;
}

static void say_rest(struct verify *v)
{
    uint64_t at = v->scan.position, n = v->scan.end - at;
    bool last = v->log.next_base < 0;

    if (v->zero == 1 && last)
        verify_unless_killed(v, "from byte %" PRIu64 " on %" PRIu64 " bytes are zero: reserved, or never written; the next "
                             "start cuts them off", at, n);
    else if (last)
        verify_unless_killed(v, "byte %" PRIu64 ": %" PRIu64 " bytes behind offset %" PRId64 " are no whole batch (%s); the "
                             "next start cuts them off", at, n, v->log.end - 1, error_text(v->rc));
    else
        verify_trouble(v, "byte %" PRIu64 ": %" PRIu64 " bytes behind offset %" PRId64 " are %s; offsets up to %" PRId64
                       " cannot be read", at, n, v->log.end - 1, v->zero == 1 ? "zero" : "no batch", v->log.next_base - 1);
}

/* ---- a segment ----------------------------------------------------------------------------- */

static const char *const side_suffixes[] = {".index", ".timeindex", ".txnindex"};

static struct side_check *side_of(struct verify *v, int side)
{
    struct side_check *all[] = {&v->log.index, &v->log.time, &v->log.txn};

    return all[side];
}

static void side_path(struct verify *v)
{
    snprintf(v->path, sizeof(v->path), "%s/%s/%020" PRId64 "%s", v->o->dir, v->log.name, v->log.base,
             side_suffixes[v->zero]);
    text_clear(&side_of(v, v->zero)->content);
}

static void side_read(struct verify *v, int64_t result)
{
    side_of(v, v->zero)->missing = result == -ENOENT;
    if (result < 0 && result != -ENOENT)
        verify_trouble(v, "%s cannot be read: %s", side_suffixes[v->zero], error_text((int)result));
}

static void segment_begin(struct verify *v)
{
    v->segments++;
    v->log.segments++;
    v->bytes += v->reader.size_bytes;
    journal_segment(v, v->log.base, v->reader.size_bytes);
    v->zero = 0;
    if (v->log.end < v->log.base)
        v->log.end = v->log.base;
    sides_begin(v);
    stored_begin(&v->scan, &v->reader, v->reader.size_bytes);
}

void verify_segment_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, segment);

    FLOW_BEGIN(f);
    verify_file(v, v->entries.entries[v->j].name);
    FLOW_TRY(f, "open", reader_open(&v->reader, v->io, v->path, &f->op));
    for (v->zero = 0; v->zero < (int)array_count(side_suffixes); v->zero++) {
        side_path(v);
        FLOW_WAIT(f, "read a side file",
                  file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &side_of(v, v->zero)->content, &f->op));
        side_read(v, f->result);
    }
    segment_begin(v);
    for (;;) {
        v->rc = stored_next(&v->scan, &v->stored);
        if (v->rc == STORED_FILL)
            FLOW_TRY(f, "read", reader_fill(&v->reader, &f->op));
        else if (v->rc == STORED_BATCH)
            check_batch(v);
        else if (v->rc == STORED_END || !skip_damage(v))
            break;
    }
    while (v->rc < 0 && (v->zero = stored_rest_is_zero(&v->scan)) == STORED_FILL)
        FLOW_TRY(f, "read", reader_fill(&v->reader, &f->op));
    if (v->rc < 0)
        say_rest(v);
    sides_end(v);
    FLOW_WAIT(f, "close", reader_close(&v->reader, &f->op));
    flow_done(f, 0);
    return;
failed:
    verify_trouble(v, "cannot be read: %s", error_text((int)f->result));
    FLOW_WAIT(f, "close", reader_close(&v->reader, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

/* ---- a metadata snapshot ------------------------------------------------------------------- */

/* A control batch begins with a header and the last one with a footer (KIP-630). */
static void check_control(struct verify *v)
{
    struct records records;
    struct record record;
    int16_t type = -1;
    int32_t epoch;

    if (records_begin(&records, &v->stored.batch, INSPECT_PLAIN_BYTES_MAX) < 0)
        return;
    while (records_next(&records, &record) == 1) {
        int rc = decode_control(&v->decoded, &record, &type, &epoch);
        if (rc < 0)
            verify_trouble(v, "byte %" PRIu64 ": a control record that cannot be read: %s", v->stored.position,
                           error_text(rc));
        v->header_seen |= v->stored.position == 0 && type == CONTROL_SNAPSHOT_HEADER;
        v->footer_seen = type == CONTROL_SNAPSHOT_FOOTER;
    }
    records_end(&records);
}

/* Offsets count from 0, and every batch is of the epoch in the file's name; neither is under a checksum. */
static void check_snapshot_place(struct verify *v)
{
    const struct batch *b = &v->stored.batch;
    struct raft_snapshot_id id = {0};

    (void)metadata_snapshot_name_parse(str_of(v->entries.entries[v->j].name), &id);
    if (b->base_offset != v->log.end || b->leader_epoch != id.epoch)
        verify_trouble(v, "byte %" PRIu64 ": a batch of offset %" PRId64 " and epoch %d, where %" PRId64
                       " and %d must be", v->stored.position, b->base_offset, b->leader_epoch, v->log.end, id.epoch);
    v->log.end = b->last_offset + 1;
}

static void check_snapshot_batch(struct verify *v)
{
    v->batches++;
    v->footer_seen = false;
    if (!v->stored.crc_ok || v->stored.magic != BATCH_MAGIC) {
        verify_trouble(v, "byte %" PRIu64 ": a batch fails its checksum; a controller does not load this snapshot",
                       v->stored.position);
        return;
    }
    check_snapshot_place(v);
    if (batch_is_control(&v->stored.batch))
        check_control(v);
    else if (v->o->deep)
        check_records(v);
}

void verify_checkpoint_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, segment);

    FLOW_BEGIN(f);
    verify_file(v, v->entries.entries[v->j].name);
    FLOW_TRY(f, "open", reader_open(&v->reader, v->io, v->path, &f->op));
    v->bytes += v->reader.size_bytes;
    v->header_seen = v->footer_seen = false;
    v->log_end = v->log.end; /* the log's own: counted on behind this */
    v->log.end = 0;
    stored_begin(&v->scan, &v->reader, v->reader.size_bytes);
    while ((v->rc = stored_next(&v->scan, &v->stored)) > 0) {
        if (v->rc == STORED_FILL)
            FLOW_TRY(f, "read", reader_fill(&v->reader, &f->op));
        else
            check_snapshot_batch(v);
    }
    v->log.end = v->log_end;
    if (v->rc < 0)
        verify_trouble(v, "byte %" PRIu64 " is no batch: %s; a controller does not load this snapshot", v->scan.position,
                       error_text(v->rc));
    else if (!v->header_seen || !v->footer_seen)
        verify_trouble(v, "it has no %s: it is not whole; remove it only if an older one is there",
                       v->header_seen ? "footer" : "header");
    FLOW_WAIT(f, "close", reader_close(&v->reader, &f->op));
    flow_done(f, 0);
    return;
failed:
    verify_trouble(v, "cannot be read: %s", error_text((int)f->result));
    FLOW_WAIT(f, "close", reader_close(&v->reader, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}
