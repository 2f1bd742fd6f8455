/* From the high watermark to the listener: committed batches, read back from the log in order. */
#include "quorum/internal.h"

#define READ_BYTES (1 << 20)

void quorum_read_from(struct quorum *q, int64_t offset, int64_t limit)
{
    arena_reset(&q->read_arena);
    q->read = (struct log_read){.offset = offset,
                                .limit = limit,
                                .max_bytes = READ_BYTES,
                                .first_whole = true,
                                .arena = &q->read_arena};
}

/* Hand over what was read. Whole batches; the first one holds `delivered`. */
static int hand_over(struct quorum *q)
{
    struct bytes all = bytes_of_str(text_str(&q->batches)), rest = all;
    struct batch batch;
    int64_t next = q->delivered;
    int more;

    while ((more = batch_next(&rest, &batch)) == 1) {
        if (batch.last_offset < next)
            return ERR_CORRUPT;
        next = batch.last_offset + 1;
    }
    if (more < 0)
        return more;
    if (next == q->delivered)
        return ERR_CORRUPT;            /* something committed cannot be read */
    ASSERT(next <= q->high_watermark); /* Q2 */
    q->delivered = next;
    q->bytes_since_snapshot += (uint64_t)all.n;
    q->listener.committed(q->listener.ctx, all);
    return 0;
}

/* Tell the listener how far it is. Any of its functions may call back into this room. */
static void report(struct quorum *q)
{
    if (q->accepts && q->claimed_epoch != q->election.epoch) {
        q->claimed_epoch = q->election.epoch;
        q->listener.claim(q->listener.ctx, q->election.epoch);
    }
    if (gate_is_closing(&q->gate) || q->caught_up == q->high_watermark)
        return;
    q->caught_up = q->high_watermark;
    q->listener.caught_up(q->listener.ctx, q->high_watermark);
}

static bool has_more(const struct quorum *q)
{
    return !q->failed && !gate_is_closing(&q->gate) && q->delivered < q->high_watermark;
}

static void deliver_run(struct flow *f)
{
    struct quorum *q = container_of(f, struct quorum, deliver);

    FLOW_BEGIN(f);
    while (has_more(q)) {
        text_clear(&q->batches);
        quorum_read_from(q, q->delivered, q->high_watermark);
        FLOW_TRY(f, "read what is committed",
                 log_read_bytes(q->log, &q->read, &q->batches, &f->op));
        if (gate_is_closing(&q->gate))
            break;
        f->result = hand_over(q);
        if (f->result < 0)
            goto failed;
        if (!has_more(q) && !q->failed && !gate_is_closing(&q->gate))
            report(q);
    }
    FLOW_END(f);
    q->delivering = false;
    flow_done(f, 0);
    gate_leave(&q->gate);
    return;
failed:
    q->delivering = false;
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, 0);
    gate_leave(&q->gate);
}

void quorum_deliver(struct quorum *q)
{
    if (q->delivering || !has_more(q) || !gate_enter(&q->gate))
        return;
    q->delivering = true;
    flow_start(&q->deliver, deliver_run, NULL);
}
