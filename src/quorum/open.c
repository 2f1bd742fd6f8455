/* Opening: snapshot, election state, log; whether they fit together; who the voters are. */
#include "quorum/opening.h"

#include <stdio.h>
#include <stdlib.h>

#define SEGMENT_BYTES (1 << 30)
#define SEGMENT_MS (7 * INT64_C(86400000))
#define ELECTION_BYTES_MAX (64 << 10)

/* Kafka's defaults of controller.quorum.request.timeout.ms, retry.backoff.ms, fetch.max.bytes and
 * fetch.snapshot.max.bytes. */
#define REQUEST_TIMEOUT_MS 2000
#define RETRY_BACKOFF_MS 20
#define FETCH_BYTES_MAX (1 << 20)

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
    snprintf(q->cluster_id, sizeof(q->cluster_id), "%.*s", STR_ARG(o->cluster_id));
    q->self = o->self;
    q->self.id = o->node_id;
    q->self.directory_id = o->directory_id;
    q->can_vote = o->can_vote;
    q->auto_join = o->auto_join;
    q->fetch_timeout_ms = o->fetch_timeout_ms;
    q->request_timeout_ms = o->request_timeout_ms > 0 ? o->request_timeout_ms : REQUEST_TIMEOUT_MS;
    q->retry_backoff_ms = o->retry_backoff_ms > 0 ? o->retry_backoff_ms : RETRY_BACKOFF_MS;
    q->fetch_bytes_max = o->fetch_bytes_max > 0 ? o->fetch_bytes_max : FETCH_BYTES_MAX;
    q->snapshot_fetch_bytes_max = o->snapshot_fetch_bytes_max > 0 ? o->snapshot_fetch_bytes_max : FETCH_BYTES_MAX;
    q->snapshot_bytes = o->snapshot_bytes;
    q->snapshot_interval_ms = o->snapshot_interval_ms;
    q->retention_bytes = o->retention_bytes;
    q->retention_ms = o->retention_ms;
    q->election = (struct raft_election){.leader_id = -1, .voted_id = -1};
    q->left_epoch = -1;
    q->high_watermark = -1;
    q->caught_up = -1;
    q->epoch_start = -1;
    q->claimed_epoch = -1;
    q->told_leader = -1;
    q->told_epoch = -1;
    q->updated_epoch = -1;
    q->hint.id = -1;
    q->served_high_watermark = -1;
    list_init(&q->events);
    list_init(&q->sends);
    list_init(&q->parked);
    list_init(&q->changes);
    q->snapshot_taken_ns = io_now_ns(o->io);
    q->voters = o->static_voters;
    q->voters.kraft_version = 0;
    quorum_voters_set(q, &q->voters);
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
        s->snapshot.voters.from_bootstrap = !s->has_snapshot;
        quorum_voters_set(q, &s->snapshot.voters);
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
    if (opening_begins_behind_snapshot(s))
        FLOW_TRY(f, "begin the log anew behind the snapshot",
                 log_restart_at(q->log, s->newest.end_offset, &f->op));
    if ((f->result = opening_check_positions(s)) < 0)
        goto failed;

    s->scan_at = log_start(q->log);
    if (s->has_snapshot && s->newest.end_offset > s->scan_at)
        s->scan_at = s->newest.end_offset;
    while (s->scan_at < log_end(q->log)) {
        text_clear(&s->text);
        quorum_read_from(q, s->scan_at, log_end(q->log));
        FLOW_TRY(f, "read the log", log_read_bytes(q->log, &q->read, &s->text, &f->op));
        if ((f->result = opening_scan_batches(s)) < 0)
            goto failed;
    }
    if ((f->result = opening_check_voters(s)) < 0 || (f->result = quorum_nodes_open(q, s->o->bootstrap_servers, s->f)) < 0)
        goto failed;
    opening_make_machine(s);
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

static void client_closed(struct op *op, int64_t result)
{
    struct opening *s = container_of(op, struct opening, done);

    if (s->q->log == NULL) {
        opening_end(s, s->trouble);
        return;
    }
    op_init(&s->done, log_closed);
    log_close(s->q->log, &s->done);
}

static void open_done(struct op *op, int64_t result)
{
    struct opening *s = container_of(op, struct opening, done);

    if (result >= 0) {
        opening_end(s, result);
    } else if (s->q->client != NULL) {
        op_init(&s->done, client_closed);
        client_close(s->q->client, &s->done);
    } else {
        client_closed(op, result);
    }
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
