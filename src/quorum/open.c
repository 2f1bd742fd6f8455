/* Opening: snapshot, election state, log; whether they fit together; who the voters are. */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SEGMENT_BYTES (1 << 30)
#define SEGMENT_MS (7 * INT64_C(86400000))
#define ELECTION_BYTES_MAX (64 << 10)

struct opening {
    const struct quorum_open *o;
    struct quorum **out;
    struct quorum *q;
    struct fail *f;
    struct flow flow;
    struct op done;
    struct op *parent;
    struct io_entries entries;
    uint32_t index;
    char path[4096];
    struct text text;
    struct snapshot snapshot; /* the newest, when there is one */
    struct raft_snapshot_id newest;
    bool has_snapshot; /* and it is not that of the format tool */
    struct log_open log_open;
    int64_t scan_at;
    int64_t trouble;
};

static void begin(struct op *op, int64_t result)
{
    struct quorum *q = container_of(op, struct quorum, begin);

    if (!gate_is_closing(&q->gate))
        quorum_begin(q);
    gate_leave(&q->gate);
}

static struct quorum *quorum_new(const struct quorum_open *o)
{
    struct quorum *q = calloc(1, sizeof(*q));
    struct text path = {0};

    ASSERT(q != NULL);
    q->io = o->io;
    q->telemetry = o->telemetry;
    q->dir = o->dir;
    q->listener = o->listener;
    q->node_id = o->node_id;
    q->directory_id = o->directory_id;
    q->snapshot_bytes = o->snapshot_bytes;
    q->snapshot_interval_ms = o->snapshot_interval_ms;
    q->retention_bytes = o->retention_bytes;
    q->retention_ms = o->retention_ms;
    q->election = (struct raft_election){.leader_id = -1, .voted_id = -1};
    q->voters = o->static_voters;
    q->voters.kraft_version = 0;
    q->high_watermark = -1;
    q->caught_up = -1;
    q->claimed_epoch = -1;
    q->snapshot_taken_ns = io_now_ns(o->io);
    text_printf(&path, "%s/" METADATA_DIR, o->dir->path);
    q->path = path.p;
    return q;
}

/* What a snapshot that was not finished, or not wholly removed, leaves behind. */
static bool is_leftover(const char *name)
{
    struct str s = str_of(name);

    return str_ends(s, STR(SNAPSHOT_SUFFIX ".part")) ||
           str_ends(s, STR(SNAPSHOT_SUFFIX ".deleted"));
}

/* Check the newest snapshot and take its voters. The format tool's checkpoint (0-0) holds voters
 * and bootstrap records, no state: it is not delivered. */
static int take_snapshot(struct opening *s)
{
    struct quorum *q = s->q;

    s->snapshot.content = s->text;
    s->text = (struct text){0};
    if (metadata_snapshot_check(&s->snapshot, s->f) < 0)
        return fail_wrap(s->f, "snapshot %s", s->path);
    s->has_snapshot = !snapshot_is_bootstrap(s->newest);
    if (s->snapshot.voters.kraft_version > 0) {
        q->voters = s->snapshot.voters;
        q->voters.from_bootstrap = !s->has_snapshot;
    }
    return 0;
}

static int take_election(struct opening *s)
{
    if (election_parse(text_str(&s->text), &s->q->election, s->f) < 0)
        return fail_wrap(s->f, "%s", s->path);
    return 0;
}

static void describe_log(struct opening *s)
{
    const struct quorum_open *o = s->o;

    s->log_open = (struct log_open){
        .io = o->io,
        .telemetry = o->telemetry,
        .dir = o->dir,
        .memory = o->memory,
        .topic = STR(METADATA_TOPIC),
        .topic_id = METADATA_TOPIC_ID,
        .settings = {.segment_bytes = o->segment_bytes == 0 ? SEGMENT_BYTES : o->segment_bytes,
                     .segment_ms = o->segment_ms == 0 ? SEGMENT_MS : o->segment_ms,
                     .retention_ms = -1, /* snapshots decide */
                     .retention_bytes = -1,
                     .index_bytes = 10 << 20,
                     .index_interval_bytes = 4096,
                     .file_delete_delay_ms = 60000,
                     .producer_expiration_ms = 86400000,
                     .durable = true},
        .start_offset = -1,
        .is_metadata = true,
        .stable_moved = quorum_stable_moved,
        .ctx = s->q,
    };
}

/* The records from offset 0 on are in the log, or below its start in a snapshot. */
static int check_positions(struct opening *s)
{
    int64_t start = log_start(s->q->log);

    if (start == 0 || (s->has_snapshot && s->newest.end_offset >= start))
        return 0;
    return fail_set(s->f, ERR_CORRUPT,
                    "%s: the log starts at offset %" PRId64
                    " and no snapshot holds what was before it; restore the missing "
                    "%020" PRId64 "-*.checkpoint",
                    s->q->path, start, start);
}

/* Voters are in force from where they stand in the log on, committed or not (KIP-853). */
static int scan_batches(struct opening *s)
{
    struct bytes rest = bytes_of_str(text_str(&s->text));
    struct control_seen seen = {0};
    struct batch batch;
    int64_t before = s->scan_at;
    int more;

    while ((more = batch_next(&rest, &batch)) == 1) {
        s->scan_at = batch.last_offset + 1;
        if (!batch_is_control(&batch))
            continue;
        if (control_read(&batch, &s->q->voters, &seen, s->f) < 0)
            return fail_wrap(s->f, "%s", s->q->path);
    }
    if (more < 0 || s->scan_at <= before)
        return fail_set(s->f, ERR_CORRUPT, "%s: the log cannot be read at offset %" PRId64,
                        s->q->path, s->scan_at);
    return 0;
}

static int check_voters(struct opening *s)
{
    const struct quorum_open *o = s->o;
    const struct raft_voters *v = &s->q->voters;
    char directory[UUID_TEXT_BYTES];

    if (!o->can_vote)
        return fail_set(s->f, -ENOTSUP,
                        "node %" PRId32
                        " is no controller: this release serves only nodes that are "
                        "broker and controller in one (process.roles=broker,controller)",
                        o->node_id);
    if (v->count == 0)
        return fail_set(s->f, -ENOTSUP,
                        "%s: no voters are known: the directory was formatted to join a quorum, "
                        "which this release cannot; format it with --standalone, or set "
                        "controller.quorum.voters",
                        s->q->path);
    if (v->count > 1)
        return fail_set(s->f, -ENOTSUP,
                        "%s: the quorum has %" PRIu32 " voters; this release serves quorums of one",
                        s->q->path, v->count);
    if (!raft_is_voter(v, o->node_id, o->directory_id))
        return fail_set(s->f, -ENOTSUP,
                        "%s: the quorum's voter is node %" PRId32
                        " with directory %s, this is node "
                        "%" PRId32 "; check node.id and meta.properties",
                        s->q->path, v->voters[0].id,
                        uuid_text(v->voters[0].directory_id, directory), o->node_id);
    return 0;
}

static void make_machine(struct opening *s)
{
    const struct quorum_open *o = s->o;
    struct quorum *q = s->q;
    int32_t log_epoch = log_latest_epoch(q->log);

    if (s->has_snapshot && s->newest.epoch > log_epoch)
        log_epoch = s->newest.epoch; /* the log may be empty behind it */
    q->start_epoch = log_epoch < 0 ? 0 : log_epoch;
    q->raft = raft_new(&(struct raft_options){.node_id = o->node_id,
                                              .directory_id = o->directory_id,
                                              .can_vote = o->can_vote,
                                              .voters = q->voters,
                                              .election = q->election,
                                              .log_epoch = q->start_epoch,
                                              .election_timeout_ms = o->election_timeout_ms,
                                              .fetch_timeout_ms = o->fetch_timeout_ms,
                                              .seed = prng_u64(io_prng(o->io))});
}

static void deliver_snapshot(struct opening *s)
{
    struct quorum *q = s->q;

    q->delivered = log_start(q->log);
    if (!s->has_snapshot)
        return;
    q->delivered = s->newest.end_offset;
    q->listener.snapshot(q->listener.ctx, s->newest);
    q->listener.committed(q->listener.ctx, bytes_of_str(text_str(&s->snapshot.content)));
}

static void open_run(struct flow *f)
{
    struct opening *s = container_of(f, struct opening, flow);
    struct quorum *q = s->q;
    struct io *io = s->o->io;
    char name[64];

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "make the directory", io_mkdir(io, q->path, &f->op));
    if (f->result < 0 && f->result != -EEXIST)
        goto failed;
    /* Also when it was there: who made it may have been killed before its name was durable. */
    FLOW_TRY(f, "sync the log directory", io_sync_dir(io, s->o->dir->path, &f->op));
    FLOW_TRY(f, "list the directory", io_list(io, q->path, &s->entries, &f->op));
    for (s->index = 0; s->index < s->entries.count; s->index++) {
        if (!is_leftover(s->entries.entries[s->index].name))
            continue;
        snprintf(s->path, sizeof(s->path), "%s/%s", q->path, s->entries.entries[s->index].name);
        FLOW_TRY(f, "remove what a snapshot left behind", io_remove(io, s->path, &f->op));
    }
    metadata_snapshot_files_of(&s->entries, &q->snapshots);
    if (q->snapshots.count > 0) {
        s->newest = q->snapshots.files[q->snapshots.count - 1].id;
        metadata_snapshot_name(s->newest, name);
        snprintf(s->path, sizeof(s->path), "%s/%s", q->path, name);
        FLOW_TRY(f, "read a snapshot",
                 file_read_all(io, s->path, SNAPSHOT_BYTES_MAX, &s->text, &f->op));
        if ((f->result = take_snapshot(s)) < 0)
            goto failed;
    }

    text_clear(&s->text);
    snprintf(s->path, sizeof(s->path), "%s/quorum-state", q->path);
    FLOW_WAIT(f, "read quorum-state",
              file_read_all(io, s->path, ELECTION_BYTES_MAX, &s->text, &f->op));
    if (f->result >= 0)
        f->result = take_election(s);
    if (f->result < 0 && f->result != -ENOENT)
        goto failed;

    describe_log(s);
    FLOW_TRY(f, "open the log", log_open(&s->log_open, &q->log, s->f, &f->op));
    if (s->has_snapshot && s->newest.end_offset > log_end(q->log))
        FLOW_TRY(f, "begin the log anew behind the snapshot",
                 log_restart_at(q->log, s->newest.end_offset, &f->op));
    if ((f->result = check_positions(s)) < 0)
        goto failed;

    s->scan_at = log_start(q->log);
    if (s->has_snapshot && s->newest.end_offset > s->scan_at)
        s->scan_at = s->newest.end_offset;
    while (s->scan_at < log_end(q->log)) {
        text_clear(&s->text);
        quorum_read_from(q, s->scan_at, log_end(q->log));
        FLOW_TRY(f, "read the log", log_read_bytes(q->log, &q->read, &s->text, &f->op));
        if ((f->result = scan_batches(s)) < 0)
            goto failed;
    }
    if ((f->result = check_voters(s)) < 0)
        goto failed;
    make_machine(s);
    deliver_snapshot(s);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    s->trouble = f->result;
    if (s->f->error == 0)
        fail_set(s->f, (int)f->result, "%s: %s: %s", q->path, f->step, error_text((int)f->result));
    flow_done(f, f->result);
}

static void opening_end(struct opening *s, int64_t result)
{
    struct op *parent = s->parent;
    struct quorum *q = s->q;

    io_entries_free(&s->entries);
    text_deinit(&s->text);
    metadata_snapshot_deinit(&s->snapshot);
    if (result < 0) {
        quorum_free(q);
    } else {
        *s->out = q;
        bool entered = gate_enter(&q->gate);
        ASSERT(entered);
        op_init(&q->begin, begin);
        io_yield(q->io, &q->begin);
    }
    free(s);
    parent->done(parent, result);
}

/* Trouble after the log was opened: it must be closed before the memory goes. */
static void log_closed(struct op *op, int64_t result)
{
    struct opening *s = container_of(op, struct opening, done);

    opening_end(s, s->trouble);
}

static void open_done(struct op *op, int64_t result)
{
    struct opening *s = container_of(op, struct opening, done);

    if (result < 0 && s->q->log != NULL) {
        op_init(&s->done, log_closed);
        log_close(s->q->log, &s->done);
        return;
    }
    opening_end(s, result);
}

void quorum_open(const struct quorum_open *o, struct quorum **out, struct fail *f, struct op *op)
{
    struct opening *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    s->o = o;
    s->out = out;
    s->f = f;
    s->parent = op;
    s->q = quorum_new(o);
    *f = (struct fail){0};
    op_init(&s->done, open_done);
    flow_start(&s->flow, open_run, &s->done);
}
