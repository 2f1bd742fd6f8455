/* One partition's directory: its names, its small files, its segments; then what the checkpoints say of it. */
#include "inspect/verify.h"

#include <stdio.h>

#include "quorum/quorum.h"

#define NAME_DIGITS 20

/* ---- names --------------------------------------------------------------------------------- */

/* "<20 digits><suffix>". */
static bool name_split(const char *name, int64_t *offset, struct str *suffix)
{
    struct str all = str_of(name);

    if (all.n <= NAME_DIGITS || name[NAME_DIGITS] != '.')
        return false;
    if (str_to_i64((struct str){name, NAME_DIGITS}, 0, INT64_MAX, offset) < 0)
        return false;
    *suffix = (struct str){name + NAME_DIGITS, all.n - NAME_DIGITS};
    return true;
}

static bool is_kind(const struct io_entry *e, const char *wanted, int64_t *offset)
{
    struct str suffix;

    return !e->is_dir && name_split(e->name, offset, &suffix) && str_equal(suffix, str_of(wanted));
}

static int64_t next_base_of(const struct verify *v)
{
    int64_t base;

    for (uint32_t i = v->j + 1; i < v->entries.count; i++) {
        if (is_kind(&v->entries.entries[i], ".log", &base))
            return base;
    }
    return -1;
}

/* Names that a start of Kafka cannot read as an offset, and what a start clears away. */
static void check_name(struct verify *v)
{
    static const struct str suffixes[] = {{".log", 4},       {".index", 6},    {".timeindex", 10},
                                          {".txnindex", 9},  {".snapshot", 9}};
    static const struct str leftovers[] = {{".deleted", 8}, {".cleaned", 8}, {".swap", 5}, {".tmp", 4}, {".part", 5}};
    struct str name = str_of(v->entries.entries[v->j].name), suffix;
    int64_t offset;

    verify_file(v, name.p);
    for (size_t i = 0; i < array_count(leftovers); i++) {
        if (str_ends(name, leftovers[i]))
            verify_note(v, "waits to be removed or put in place; the next start does it");
    }
    for (size_t i = 0; i < array_count(suffixes); i++) {
        if (str_ends(name, suffixes[i]) && !name_split(name.p, &offset, &suffix))
            verify_trouble(v, "its name is no offset of 20 digits: Kafka does not start on it; move it out");
    }
}

/* ---- small files --------------------------------------------------------------------------- */

static void take_metadata(struct verify *v)
{
    struct str rest = text_str(&v->small), value, key;
    struct uuid id = UUID_ZERO;
    bool same_topic = str_equal(v->log.topic, str_of(v->topic_of_id));

    while (str_cut(&rest, '\n', &value)) {
        if (str_cut(&value, ':', &key) && str_equal(str_trim(key), STR("topic_id")) &&
            uuid_parse(str_trim(value), &id) < 0)
            id = UUID_ZERO;
    }
    if (!str_starts(text_str(&v->small), STR("version: 0\n")))
        verify_trouble(v, "its first line is not \"version: 0\": Kafka does not start on it");
    if (uuid_is_zero(id))
        verify_trouble(v, "no topic id of 22 letters is in it: the partition counts as a stray one. Its other partitions "
                       "and the metadata log have the id");
    else if (same_topic && !uuid_equal(id, v->topic_id))
        verify_trouble(v, "its topic id is another than that of the partition before: one of them is of an older topic "
                       "of that name");
    v->topic_id = id;
    snprintf(v->topic_of_id, sizeof(v->topic_of_id), "%.*s", STR_ARG(v->log.topic));
}

static void take_epochs(struct verify *v)
{
    struct fail f = {0};

    v->log.has_epochs = true;
    if (epochs_parse(&v->log.epochs, text_str(&v->small), &f) < 0)
        verify_trouble(v, "%s; it is made again from the batches at the next start", f.text);
}

static void take_quorum_state(struct verify *v)
{
    struct str all = str_trim(text_str(&v->small));

    if (all.n < 2 || all.p[0] != '{' || all.p[all.n - 1] != '}')
        verify_trouble(v, "it holds no JSON object: the node does not know how it voted, and does not start");
}

static void take_snapshot(struct verify *v, int64_t offset)
{
    struct producers read;

    producers_init(&read, INT64_MAX);
    if (producers_parse(&read, bytes_of_str(text_str(&v->small)), 0) < 0)
        verify_trouble(v, "fails its checksum, or is cut: it is removed, and an older one and the batches tell the "
                       "producers");
    else if (offset == v->log.first_base && offset > 0)
        v->log.producers_known = true;
    if (v->log.producers_known && offset == v->log.first_base) {
        producers_deinit(&v->log.producers);
        v->log.producers = read;
        return;
    }
    producers_deinit(&read);
}

static const struct {
    const char *name;
    void (*take)(struct verify *v);
    bool metadata_only;
    const char *missing; /* NULL: it may be */
} small_files[] = {
    {"partition.metadata", take_metadata, false, "is missing: Kafka takes the partition for a stray one"},
    {"leader-epoch-checkpoint", take_epochs, false, NULL},
    {"quorum-state", take_quorum_state, true, NULL},
};

/* ---- the end ------------------------------------------------------------------------------- */

/* `end` is the log's, with what the journal brings. */
static void check_epochs_end(struct verify *v, int64_t end)
{
    const struct verify_log *log = &v->log;

    verify_file(v, "leader-epoch-checkpoint");
    if (!log->has_epochs && log->end > log->first_base)
        verify_unless_killed(v, "is missing; it is made again from the batches at the next start");
    if (log->epochs.count > 0 && log->epochs.entries[log->epochs.count - 1].start > end)
        verify_unless_killed(v, "epoch %d starts at offset %" PRId64 ", behind the log's end %" PRId64
                             "; the next start drops it", epochs_latest(&log->epochs),
                             log->epochs.entries[log->epochs.count - 1].start, end);
}

static void check_offsets(struct verify *v, int64_t end)
{
    const struct verify_log *log = &v->log;
    int64_t recovery = checkpoint_find(&v->recovery_point, log->topic, log->partition, -1);
    int64_t mark = checkpoint_find(&v->high_watermark, log->topic, log->partition, -1);
    int64_t start = checkpoint_find(&v->log_start, log->topic, log->partition, -1);

    verify_file(v, "");
    if (recovery > end)
        verify_trouble(v, "the log ends at %" PRId64 ", but had been synced up to %" PRId64
                       " (recovery-point-offset-checkpoint): records are lost", end, recovery);
    if (mark > end)
        verify_trouble(v, "the log ends at %" PRId64 ", but its high watermark was %" PRId64
                       " (replication-offset-checkpoint): records are lost", end, mark);
    if (start > end)
        verify_trouble(v, "the log ends at %" PRId64 ", below its start %" PRId64
                       " (log-start-offset-checkpoint): the next start drops all of it", end, start);
}

static void check_end(struct verify *v)
{
    int64_t end = journal_end(v);

    if (v->log.segments == 0 && end == v->log.end) {
        verify_file(v, "");
        verify_note(v, "has no segment; the next start makes one");
        return;
    }
    check_epochs_end(v, end);
    if (!v->log.is_metadata)
        check_offsets(v, end);
}

/* ---- the directory ------------------------------------------------------------------------- */

static void note_first(struct verify *v)
{
    v->log.first_base = -1;
    for (uint32_t i = 0; i < v->entries.count && v->log.first_base < 0; i++)
        (void)is_kind(&v->entries.entries[i], ".log", &v->log.first_base);
    if (v->log.first_base < 0)
        v->log.first_base = 0;
    v->log.end = v->log.first_base;
    v->log.producers_known = v->log.first_base == 0;
}

static bool is_checkpoint(const struct verify *v)
{
    struct raft_snapshot_id id;

    return v->log.is_metadata && metadata_snapshot_name_parse(str_of(v->entries.entries[v->j].name), &id);
}

/* Snapshots first: the one at the log's beginning tells the producers that its batches go on from. */
static void snapshots_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, segment);
    int64_t offset;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(v->io, &f->op));
    for (v->j = 0; v->j < v->entries.count; v->j++) {
        if (!is_kind(&v->entries.entries[v->j], ".snapshot", &offset))
            continue;
        text_clear(&v->small);
        verify_file(v, v->entries.entries[v->j].name);
        FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
        (void)is_kind(&v->entries.entries[v->j], ".snapshot", &offset);
        if (f->result < 0)
            verify_trouble(v, "cannot be read: %s", error_text((int)f->result));
        else
            take_snapshot(v, offset);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

static void small_files_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, segment);

    FLOW_BEGIN(f);
    for (v->j = 0; v->j < array_count(small_files); v->j++) {
        if (small_files[v->j].metadata_only && !v->log.is_metadata)
            continue;
        text_clear(&v->small);
        verify_file(v, small_files[v->j].name);
        FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
        if (f->result >= 0)
            small_files[v->j].take(v);
        else if (f->result != -ENOENT)
            verify_trouble(v, "cannot be read: %s", error_text((int)f->result));
        else if (small_files[v->j].missing != NULL)
            verify_trouble(v, "%s", small_files[v->j].missing);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

void verify_log_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, part);

    FLOW_BEGIN(f);
    verify_file(v, "");
    FLOW_TRY(f, "list", io_list(v->io, v->path, &v->entries, &f->op));
    note_first(v);
    FLOW_WAIT(f, "small files", flow_start(&v->segment, small_files_run, &f->op));
    journal_find(v);
    FLOW_WAIT(f, "producers", flow_start(&v->segment, snapshots_run, &f->op));
    for (v->j = 0; v->j < v->entries.count && output_goes_on(v->output); v->j++) {
        check_name(v);
        if (is_kind(&v->entries.entries[v->j], ".log", &v->log.base)) {
            v->log.next_base = next_base_of(v);
            FLOW_WAIT(f, "a segment", flow_start(&v->segment, verify_segment_run, &f->op));
        } else if (is_checkpoint(v)) {
            FLOW_WAIT(f, "a snapshot", flow_start(&v->segment, verify_checkpoint_run, &f->op));
        }
    }
    check_end(v);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    verify_trouble(v, "cannot be listed: %s", error_text((int)f->result));
    flow_done(f, 0);
}
