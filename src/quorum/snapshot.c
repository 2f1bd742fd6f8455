/* A snapshot's content: header, data batches, footer.
 *
 *   [ SnapshotHeader (KRaftVersion Voters) ][ data ][ data ]...[ SnapshotFooter ]
 *    control batch, base offset 0            base offsets go on      control batch
 *
 * Offsets in it are its own and say nothing about the log; every batch carries the snapshot's
 * epoch.
 */
#include "quorum/internal.h"

/* A data batch is closed when it holds this much: readers take a batch at a time. */
#define DATA_BATCH_BYTES (1 << 20)

int framed_batch(const struct bytes *framed, uint32_t count, int64_t base_offset, int32_t epoch,
                 int64_t wall_ms, struct text *out)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.base_offset = base_offset;
    b.leader_epoch = epoch;
    for (uint32_t i = 0; i < count; i++)
        batch_builder_add(&b, wall_ms, BYTES_NULL, framed[i], NULL, 0);
    int error = batch_builder_finish(&b, out);
    batch_builder_deinit(&b);
    return error;
}

int metadata_snapshot_build(struct raft_snapshot_id id, const struct raft_voters *voters,
                            int64_t last_timestamp_ms, int64_t wall_ms, const struct bytes *framed,
                            uint32_t count, struct text *out)
{
    int64_t offset = 1;

    if (voters->kraft_version > 0)
        offset += voters->count > 0 ? 2 : 1;
    TRY(control_snapshot_header(voters, last_timestamp_ms, 0, id.epoch, wall_ms, out));
    for (uint32_t begin = 0, end; begin < count; begin = end) {
        int64_t bytes = 0;
        for (end = begin; end < count && (end == begin || bytes < DATA_BATCH_BYTES); end++)
            bytes += framed[end].n;
        TRY(framed_batch(framed + begin, end - begin, offset, id.epoch, wall_ms, out));
        offset += end - begin;
    }
    return control_snapshot_footer(offset, id.epoch, wall_ms, out);
}

void metadata_snapshot_deinit(struct snapshot *s)
{
    text_deinit(&s->content);
}

/* A JVM takes a file that was cut before its footer for a whole one; we do not: what is not there
 * would be missing from the image for ever. */
int metadata_snapshot_check(struct snapshot *s, struct fail *f)
{
    struct bytes rest = bytes_of_str(text_str(&s->content));
    struct control_seen seen = {0};
    struct batch batch;
    int more;
    bool first = true;

    if (s->content.n > SNAPSHOT_BYTES_MAX)
        return fail_set(f, ERR_LIMIT, "it has %zu bytes, more than this program takes",
                        s->content.n);
    while ((more = batch_next(&rest, &batch)) == 1) {
        if (!batch_crc_ok(&batch))
            return fail_set(f, ERR_CORRUPT, "the batch at offset %" PRId64 " fails its checksum",
                            batch.base_offset);
        if (seen.footer)
            return fail_set(f, ERR_CORRUPT, "there are batches behind its footer");
        if (batch_is_control(&batch))
            TRY(control_read(&batch, &s->voters, &seen, f));
        else
            s->has_records = true;
        if (first && !seen.header)
            return fail_set(f, ERR_CORRUPT, "it does not begin with a snapshot's header");
        first = false;
    }
    if (more < 0)
        return fail_set(f, more, "%zu bytes before its end is no batch: %s", (size_t)rest.n,
                        error_text(more));
#ifndef MUTANT_QUORUM_SNAPSHOT_CUT
    if (!seen.footer)
        return fail_set(f, ERR_CORRUPT, "it has no footer: the file was cut");
#endif
    s->last_timestamp_ms = seen.last_timestamp_ms;
    s->has_voters = seen.voters;
    return 0;
}

void metadata_snapshot_data_batches(const struct snapshot *s, struct text *out)
{
    struct bytes rest = bytes_of_str(text_str(&s->content));
    struct batch batch;

    while (batch_next(&rest, &batch) == 1) {
        if (!batch_is_control(&batch))
            text_add(out, batch.bytes.p, (size_t)batch.bytes.n);
    }
}
