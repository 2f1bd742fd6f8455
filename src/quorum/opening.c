/* What is judged at the opening: do snapshot and log fit together, who are the voters, can it work. */
#include "quorum/opening.h"

/* A snapshot was fetched, and the log before it was not dropped any more: it ends before, or is another one there. */
bool opening_begins_behind_snapshot(const struct opening *s)
{
    const struct log *log = s->q->log;

    if (!s->has_snapshot || s->newest.end_offset <= log_start(log))
        return false;
    int32_t epoch = log_epoch_at(log, s->newest.end_offset - 1); /* -1: the start was raised to the snapshot */
    return s->newest.end_offset > log_end(log) || (epoch >= 0 && epoch != s->newest.epoch);
}

int opening_check_positions(struct opening *s)
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
int opening_scan_batches(struct opening *s)
{
    struct bytes rest = bytes_of_str(text_str(&s->text));
    struct raft_voters voters = s->q->voters;
    struct batch batch;
    int64_t before = s->scan_at;
    int more;

    while ((more = batch_next(&rest, &batch)) == 1) {
        struct control_seen seen = {0};
        s->scan_at = batch.last_offset + 1;
        if (!batch_is_control(&batch))
            continue;
        if (control_read(&batch, &voters, &seen, s->f) < 0)
            return fail_wrap(s->f, "%s", s->q->path);
        if (seen.voters || seen.kraft_version)
            quorum_voters_push(s->q, &voters, s->scan_at);
    }
    if (more < 0 || s->scan_at <= before)
        return fail_set(s->f, ERR_CORRUPT, "%s: the log cannot be read at offset %" PRId64,
                        s->q->path, s->scan_at);
    return 0;
}

int opening_check_voters(struct opening *s)
{
    const struct quorum_open *o = s->o;
    const struct raft_voters *v = &s->q->voters;
    char directory[UUID_TEXT_BYTES];

    if (v->count == 0 && o->bootstrap_servers.n <= 0)
        return fail_set(s->f, -ENOTSUP,
                        "%s: no voters are known, and there is nobody to ask: set controller.quorum.bootstrap.servers "
                        "to the controllers of the cluster, or format the directory of its first one with --standalone",
                        s->q->path);
    if (!o->can_vote || raft_is_voter(v, o->node_id, o->directory_id))
        return 0;
    if (v->count > 0 && v->kraft_version == 0)
        return fail_set(s->f, -ENOTSUP,
                        "%s: controller.quorum.voters does not name node %" PRId32
                        ", which is a controller: add it there on every node, or check node.id",
                        s->q->path, o->node_id);
    if (v->count == 1 && v->voters[0].id == o->node_id)
        return fail_set(s->f, -ENOTSUP,
                        "%s: the quorum's voter is node %" PRId32
                        " with directory %s, this is node "
                        "%" PRId32 " with another one; check node.id and meta.properties",
                        s->q->path, v->voters[0].id,
                        uuid_text(v->voters[0].directory_id, directory), o->node_id);
    return 0;
}

/* By what stands before the voters in force. */
static bool was_voter(const struct quorum *q)
{
    for (uint32_t i = 0; i + 1 < q->history_count; i++) {
        if (raft_is_voter(&q->history[i].voters, q->node_id, q->directory_id))
            return true;
    }
    return false;
}

void opening_make_machine(struct opening *s)
{
    const struct quorum_open *o = s->o;
    struct quorum *q = s->q;
    int32_t log_epoch = log_latest_epoch(q->log);

    if (s->has_snapshot && s->newest.epoch > log_epoch)
        log_epoch = s->newest.epoch; /* the log may be empty behind it */
    q->end_epoch = log_epoch < 0 ? 0 : log_epoch;
    q->voters_changed = false; /* it begins with them */
    q->raft = raft_new(&(struct raft_options){.node_id = o->node_id,
                                              .directory_id = o->directory_id,
                                              .can_vote = o->can_vote,
                                              .voters = q->voters,
                                              .voters_end = q->history[q->history_count - 1].end,
                                              .was_voter = was_voter(q),
                                              .self = q->self,
                                              .election = q->election,
                                              .log_epoch = q->end_epoch,
                                              .election_timeout_ms = o->election_timeout_ms,
                                              .election_backoff_max_ms = o->election_backoff_max_ms,
                                              .fetch_timeout_ms = o->fetch_timeout_ms,
                                              .retry_backoff_ms = q->retry_backoff_ms,
                                              .seed = prng_u64(io_prng(o->io))});
}
