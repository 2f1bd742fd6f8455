/* Segments and metadata snapshots: batches, and their records. */
#include "inspect/dump.h"

#include <stdio.h>

#include "log/log.h"
#include "quorum/quorum.h"

/* ---- a batch ------------------------------------------------------------------------------- */

static const char *time_type(const struct stored *s)
{
    if (s->magic == 0)
        return "NoTimestampType";
    return (s->batch.attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime" : "CreateTime";
}

/* "CreateTime: 5", or two fields in JSON. */
static void row_time(struct row *r, const struct stored *s, int64_t timestamp_ms)
{
    if (r->json)
        row_word(r, "timestampType", time_type(s));
    row_number(r, r->json ? "timestamp" : time_type(s), timestamp_ms);
}

static const char *codec_text(const struct batch *b)
{
    enum codec codec = batch_codec(b);

    return codec < CODEC_COUNT ? codec_name(codec).p : "unknown";
}

static void print_batch_2(struct row *r, const struct batch *b)
{
    row_number(r, "baseOffset", b->base_offset);
    row_number(r, "lastOffset", b->last_offset);
    row_number(r, "count", b->count);
    row_number(r, "baseSequence", b->base_sequence);
    row_number(r, "lastSequence", batch_last_sequence(b));
    row_number(r, "producerId", b->producer_id);
    row_number(r, "producerEpoch", b->producer_epoch);
    row_number(r, "partitionLeaderEpoch", b->leader_epoch);
    row_bool(r, "isTransactional", batch_is_transactional(b));
    row_bool(r, "isControl", batch_is_control(b));
    row_optional(r, "deleteHorizonMs",
                 (b->attributes & BATCH_DELETE_HORIZON) != 0 ? b->base_timestamp_ms : -1);
}

static void print_batch(struct dump *d)
{
    const struct stored *s = &d->stored;
    struct row *r = &d->row;

    row_begin(r, "batch", "");
    if (s->magic == BATCH_MAGIC)
        print_batch_2(r, &s->batch);
    else
        row_number(r, "offset", s->batch.last_offset);
    row_number(r, "position", (int64_t)s->position);
    row_time(r, s, s->batch.max_timestamp_ms);
    row_number(r, "size", s->batch.bytes.n);
    row_number(r, "magic", s->magic);
    row_word(r, "compresscodec", codec_text(&s->batch));
    row_number(r, "crc", s->batch.crc);
    row_bool(r, "isvalid", s->crc_ok);
    row_end(r);
}

/* ---- its records --------------------------------------------------------------------------- */

/* "[a,b]", or a JSON array. */
static void print_header_keys(struct row *r, const struct record *record)
{
    struct text keys = {0};
    struct bytes rest = record->headers;
    struct record_header header;

    text_printf(&keys, "[");
    while (record_header_next(&rest, &header) == 1) {
        if (keys.n > 1)
            text_printf(&keys, ",");
        if (r->json)
            text_add_json(&keys, header.key);
        else
            text_add_utf8(&keys, header.key);
    }
    text_printf(&keys, "]");
    row_json(r, "headerKeys", ": ", text_str(&keys));
    text_deinit(&keys);
}

static void print_metadata(struct row *r, const struct stored *s, const struct record *record)
{
    const struct batch *b = &s->batch;

    row_number(r, "offset", record->offset);
    row_time(r, s, record->timestamp_ms);
    row_number(r, "keySize", record->key.n);
    row_number(r, "valueSize", record->value.n);
    row_number(r, "sequence",
               b->base_sequence < 0 ? -1 : sequence_add(b->base_sequence, record->offset_delta));
    print_header_keys(r, record);
}

static void print_control(struct dump *d, const struct record *record)
{
    /* As Kafka's tool: only one of them has a colon behind it. */
    static const struct {
        const char *name, *separator;
    } names[] = {
        [CONTROL_LEADER_CHANGE] = {"LeaderChange", ": "},
        [CONTROL_SNAPSHOT_HEADER] = {"SnapshotHeader", " "},
        [CONTROL_SNAPSHOT_FOOTER] = {"SnapshotFooter", " "},
        [CONTROL_KRAFT_VERSION] = {"KRaftVersion", " "},
        [CONTROL_KRAFT_VOTERS] = {"KRaftVoters", " "},
    };
    struct row *r = &d->row;
    char unknown[KAFKA_NUMBER_BYTES];
    int16_t type = -1;
    int32_t epoch = -1;
    int rc = decode_control(&d->decoded, record, &type, &epoch);

    if (rc < 0) {
        dump_trouble(d, "the control record at offset %" PRId64 " cannot be read: %s", record->offset,
                     error_text(rc));
        return;
    }
    if (type == CONTROL_ABORT || type == CONTROL_COMMIT) {
        row_word(r, "endTxnMarker", type == CONTROL_COMMIT ? "COMMIT" : "ABORT");
        row_number(r, "coordinatorEpoch", epoch);
    } else if (d->decoded.has_value) {
        row_json(r, names[type].name, names[type].separator, text_str(&d->decoded.value));
    } else {
        snprintf(unknown, sizeof(unknown), "UNKNOWN(%d)", type);
        row_word(r, "controlType", unknown);
    }
}

static void print_part(struct row *r, const char *name, bool is_there, bool is_json, struct str text)
{
    if (!is_there) {
        if (r->json)
            row_word(r, name, NULL);
        return;
    }
    if (is_json)
        row_json(r, name, ": ", text);
    else
        row_text(r, name, text);
}

static void print_record(struct dump *d, const struct record *record)
{
    bool control = batch_is_control(&d->stored.batch);
    bool contents = d->o->contents && !control;
    struct decoded *x = &d->decoded;
    struct row *r = &d->row;

    if (contents)
        decode_record(x, d->o->decoder, record);
    bool begins = !d->o->skip_metadata || (contents && (x->has_key || x->has_value));
    row_begin(r, "record", begins ? "| " : "");
    if (!d->o->skip_metadata) {
        print_metadata(r, &d->stored, record);
        if (control)
            print_control(d, record);
    }
    if (contents) {
        print_part(r, "key", x->has_key, x->is_json[0], text_str(&x->key));
        print_part(r, "payload", x->has_value, x->is_json[1], text_str(&x->value));
    }
    row_end(r);
}

static void print_records(struct dump *d)
{
    struct records records;
    struct record record;
    int rc;

    if (d->stored.magic != BATCH_MAGIC) {
        dump_trouble(d, "records of magic 0 and 1 are not printed (offset %" PRId64 ")",
                     d->stored.batch.last_offset);
        return;
    }
    rc = records_begin(&records, &d->stored.batch, INSPECT_PLAIN_BYTES_MAX);
    if (rc == 0) {
        while ((rc = records_next(&records, &record)) == 1 && output_goes_on(d->output)) {
            if (record.offset != d->last_offset + 1)
                dump_note(&d->gaps, "  %" PRId64 " is followed by %" PRId64 "\n", d->last_offset,
                          record.offset);
            d->last_offset = record.offset;
            print_record(d, &record);
        }
        records_end(&records);
    }
    if (rc < 0)
        dump_trouble(d, "the records of the batch at byte %" PRIu64 ", offsets %" PRId64 " to %" PRId64
                     ", cannot be read: %s",
                     d->stored.position, d->stored.batch.base_offset, d->stored.batch.last_offset,
                     error_text(rc));
}

/* ---- the file ------------------------------------------------------------------------------ */

static void print_title(struct dump *d)
{
    struct raft_snapshot_id id;

    if (d->o->json)
        return;
    if (d->kind == FILE_LOG)
        text_printf(d->output->out, "Log starting offset: %" PRId64 "\n", d->base);
    else if (str_equal(d->name, STR("bootstrap.checkpoint")))
        text_printf(d->output->out, "KRaft bootstrap snapshot\n");
    else if (metadata_snapshot_name_parse(d->name, &id))
        text_printf(d->output->out, "Snapshot end offset: %" PRId64 ", epoch: %d\n", id.end_offset,
                    id.epoch);
}

/* Behind the last whole batch. */
static void print_rest(struct dump *d)
{
    uint64_t n = d->scan.end - d->scan.position;

    if (n == 0 || d->o->max_bytes != UINT64_MAX)
        return;
    row_line(&d->row, "rest", "text", "Found %" PRIu64 " invalid bytes at the end of %.*s", n,
             STR_ARG(d->name));
    if (d->zero == 1)
        output_error(d->output, "%s: from byte %" PRIu64 " on all is zero: space that was reserved",
                     d->path, d->scan.position);
    else if (d->rc == ERR_SHORT)
        output_error(d->output, "%s: at byte %" PRIu64 " begins a batch that is cut off", d->path,
                     d->scan.position);
    else
        dump_trouble(d, "at byte %" PRIu64 " is no batch: %s", d->scan.position, error_text(d->rc));
}

void dump_log_run(struct flow *f)
{
    struct dump *d = container_of(f, struct dump, part);

    FLOW_BEGIN(f);
    print_title(d);
    FLOW_TRY(f, "open", reader_open(&d->reader, d->io, d->path, &f->op));
    d->last_offset = -1;
    d->zero = 0;
    stored_begin(&d->scan, &d->reader,
                 d->reader.size_bytes < d->o->max_bytes ? d->reader.size_bytes : d->o->max_bytes);
    while ((d->rc = stored_next(&d->scan, &d->stored)) > 0) {
        if (d->rc == STORED_FILL) {
            FLOW_TRY(f, "read", reader_fill(&d->reader, &f->op));
            continue;
        }
        print_batch(d);
        if (d->o->deep)
            print_records(d);
        if (!output_goes_on(d->output))
            break;
    }
    while (d->rc < 0 && (d->zero = stored_rest_is_zero(&d->scan)) == STORED_FILL)
        FLOW_TRY(f, "read", reader_fill(&d->reader, &f->op));
    if (d->rc < 0)
        print_rest(d);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    dump_failed(d);
}
