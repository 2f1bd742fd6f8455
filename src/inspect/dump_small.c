/* Files that are read whole: producer snapshots, transaction indexes, checkpoints, who owns a directory. */
#include "inspect/dump.h"

#include <stdio.h>

#include "log/epochs.h"
#include "log/log.h"
#include "log/points.h"
#include "quorum/quorum.h"

#define TXN_ENTRY_BYTES 34
#define SNAPSHOT_HEAD_BYTES 10
#define SNAPSHOT_ENTRY_BYTES 46

static struct bytes content(const struct dump *d)
{
    return bytes_of_str(text_str(&d->small));
}

/* ---- .txnindex ----------------------------------------------------------------------------- */

static void print_txn_index(struct dump *d)
{
    struct bytes in = content(d);
    struct rd r = rd_of(in.p, (size_t)in.n);

    while (r.end - r.p >= TXN_ENTRY_BYTES && output_goes_on(d->output)) {
        int16_t version = rd_i16(&r);
        if (version != 0) {
            dump_trouble(d, "entry at byte %td has version %d; known is 0",
                         r.p - 2 - in.p, version);
            return;
        }
        row_begin(&d->row, "txnindex", "");
        row_number(&d->row, "version", version);
        row_number(&d->row, "producerId", rd_i64(&r));
        row_number(&d->row, "firstOffset", rd_i64(&r));
        row_number(&d->row, "lastOffset", rd_i64(&r));
        row_number(&d->row, "lastStableOffset", rd_i64(&r));
        row_end(&d->row);
    }
    if (r.p < r.end)
        dump_trouble(d, "%td bytes at its end are no whole entry", r.end - r.p);
}

/* ---- .snapshot ----------------------------------------------------------------------------- */

static void print_producer(struct dump *d, struct rd *r)
{
    int64_t id = rd_i64(r);
    int16_t epoch = rd_i16(r);
    int32_t last_sequence = rd_i32(r);
    int64_t last_offset = rd_i64(r);
    int32_t offset_delta = rd_i32(r);
    int64_t timestamp_ms = rd_i64(r);
    int32_t coordinator_epoch = rd_i32(r);
    struct row *row = &d->row;

    row_begin(row, "producer", "");
    row_number(row, "producerId", id);
    row_number(row, "producerEpoch", epoch);
    row_number(row, "coordinatorEpoch", coordinator_epoch);
    row_optional(row, "currentTxnFirstOffset", rd_i64(r));
    row_number(row, "lastTimestamp", timestamp_ms);
    if (last_offset >= 0) {
        row_number(row, "firstSequence",
                   sequence_add(last_sequence, (int32_t)(0U - (uint32_t)offset_delta)));
        row_number(row, "lastSequence", last_sequence);
        row_number(row, "lastOffset", last_offset);
        row_number(row, "offsetDelta", offset_delta);
        row_number(row, "timestamp", timestamp_ms);
    }
    row_end(row);
}

static void print_snapshot(struct dump *d)
{
    struct bytes in = content(d);
    struct rd r = rd_of(in.p, (size_t)in.n);
    int16_t version = rd_i16(&r);
    uint32_t stored = (uint32_t)rd_i32(&r);
    int64_t count = rd_i32(&r);

    if (r.failed || count < 0 || r.end - r.p != count * SNAPSHOT_ENTRY_BYTES) {
        dump_trouble(d, "%d bytes are no producer snapshot: %d and %d for each producer", in.n,
                     SNAPSHOT_HEAD_BYTES, SNAPSHOT_ENTRY_BYTES);
        return;
    }
    if (version != 1) {
        dump_trouble(d, "Snapshot contained an unknown file version %d", version);
        return;
    }
    uint32_t computed = crc32c(0, in.p + 6, (size_t)in.n - 6);
    if (stored != computed) {
        dump_trouble(d,
                     "Snapshot is corrupt (CRC is no longer valid). Stored crc: %u. Computed crc: %u",
                     stored, computed);
        return;
    }
    while (r.p < r.end && output_goes_on(d->output))
        print_producer(d, &r);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void print_epochs(struct dump *d)
{
    struct epochs epochs = {0};
    struct fail f = {0};

    if (epochs_parse(&epochs, text_str(&d->small), &f) < 0) {
        dump_trouble(d, "%s (0, the count, then EPOCH START_OFFSET, both ascending)", f.text);
        return;
    }
    for (uint32_t i = 0; i < epochs.count; i++) {
        row_begin(&d->row, "epoch", "");
        row_number(&d->row, "epoch", epochs.entries[i].epoch);
        row_number(&d->row, "startOffset", epochs.entries[i].start);
        row_end(&d->row);
    }
    epochs_deinit(&epochs);
}

static void print_offsets(struct dump *d)
{
    struct checkpoint checkpoint;
    struct fail f = {0};

    if (checkpoint_parse(text_str(&d->small), &checkpoint, &f) < 0) {
        dump_trouble(d, "%s", f.text);
        return;
    }
    for (uint32_t i = 0; i < checkpoint.count && output_goes_on(d->output); i++) {
        row_begin(&d->row, "offset", "");
        row_text(&d->row, "topic", str_of(checkpoint.entries[i].topic));
        row_number(&d->row, "partition", checkpoint.entries[i].partition);
        row_number(&d->row, "offset", checkpoint.entries[i].offset);
        row_end(&d->row);
    }
    checkpoint_free(&checkpoint);
}

static void print_meta(struct dump *d)
{
    struct meta_properties m;
    struct fail f = {0};
    char id[UUID_TEXT_BYTES];

    if (meta_properties_parse(text_str(&d->small), &m, &f) < 0) {
        dump_trouble(d, "%s", f.text);
        return;
    }
    row_begin(&d->row, "meta", "");
    row_number(&d->row, "version", m.version);
    row_word(&d->row, "cluster.id", m.cluster_id);
    row_number(&d->row, "node.id", m.node_id);
    row_word(&d->row, "directory.id",
             uuid_is_zero(m.directory_id) ? NULL : uuid_text(m.directory_id, id));
    row_end(&d->row);
}

static void print_point(struct dump *d, const struct scan_point *x)
{
    char id[UUID_TEXT_BYTES];

    row_begin(&d->row, "point", "");
    row_word(&d->row, "topic_id", uuid_text(x->topic_id, id));
    row_number(&d->row, "partition", x->partition);
    row_word(&d->row, "known", x->none ? "no" : "yes");
    if (!x->none) {
        row_number(&d->row, "segment", x->base);
        row_number(&d->row, "position", (int64_t)x->position);
        row_number(&d->row, "offset", x->offset);
        row_number(&d->row, "index_bytes", x->side_bytes[0]);
        row_number(&d->row, "timeindex_bytes", x->side_bytes[1]);
        row_number(&d->row, "txnindex_bytes", x->side_bytes[2]);
        row_word(&d->row, "producers", x->has_producers ? "snapshot" : "none");
    }
    row_end(&d->row);
}

/* Where the next start begins to read each log. */
static void print_points(struct dump *d)
{
    struct points points;
    struct fail f = {0};

    points_init(&points);
    if (points_parse(bytes_of_str(text_str(&d->small)), &points, &f) < 0) {
        dump_trouble(d, "%s", f.text);
    } else {
        row_begin(&d->row, "points", "");
        row_word(&d->row, "others", points.rest_is_clean ? "clean" : "unknown");
        row_end(&d->row);
    }
    MAP_EACH (node, &points.by_id) {
        if (output_goes_on(d->output))
            print_point(d, &container_of(node, struct points_entry, node)->point);
    }
    points_deinit(&points);
}

/* "version: 0", "topic_id: ..." */
static void print_partition(struct dump *d)
{
    struct str rest = text_str(&d->small), line, key;
    struct uuid id;
    bool found = false;

    row_begin(&d->row, "partition", "");
    while (str_cut(&rest, '\n', &line)) {
        if (!str_cut(&line, ':', &key))
            continue;
        line = str_trim(line);
        if (str_equal(str_trim(key), STR("version")))
            row_text(&d->row, "version", line);
        if (!str_equal(str_trim(key), STR("topic_id")))
            continue;
        row_text(&d->row, "topic_id", line);
        found = uuid_parse(line, &id) == 0;
    }
    row_end(&d->row);
    if (!found)
        dump_trouble(d, "no topic id of 22 letters is in it");
}

static void print_json(struct dump *d)
{
    struct str all = str_trim(text_str(&d->small));

    if (all.n < 2 || all.p[0] != '{' || all.p[all.n - 1] != '}') {
        dump_trouble(d, "it holds no JSON object");
        return;
    }
    row_line(&d->row, "text", "text", "%.*s", STR_ARG(all));
}

static void print_small(struct dump *d)
{
    switch (d->kind) {
    case FILE_TXN_INDEX:
        print_txn_index(d);
        break;
    case FILE_SNAPSHOT:
        print_snapshot(d);
        break;
    case FILE_EPOCHS:
        print_epochs(d);
        break;
    case FILE_OFFSETS:
        print_offsets(d);
        break;
    case FILE_PARTITION:
        print_partition(d);
        break;
    case FILE_META:
        print_meta(d);
        break;
    case FILE_POINTS:
        print_points(d);
        break;
    default:
        print_json(d);
        break;
    }
}

void dump_small_run(struct flow *f)
{
    struct dump *d = container_of(f, struct dump, part);

    FLOW_BEGIN(f);
    text_clear(&d->small);
    FLOW_TRY(f, "read",
             file_read_all(d->io, d->path, INSPECT_SIDE_BYTES_MAX, &d->small, &f->op));
    print_small(d);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    dump_failed(d);
}
