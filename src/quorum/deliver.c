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
#ifndef MUTANT_QUORUM_DELIVERS_UNCOMMITTED
    ASSERT(next <= q->high_watermark); /* Q2 */
#endif
    q->delivered = next;
    q->bytes_since_snapshot += (uint64_t)all.n;
    q->listener.committed(q->listener.ctx, all);
    return 0;
}

/* The batch that begins this node's epoch was delivered, and with it all before. */
static bool may_claim(const struct quorum *q)
{
#ifdef MUTANT_QUORUM_CLAIMS_EARLY
    return q->accepts && q->claimed_epoch != q->election.epoch;
#endif
    return q->accepts && q->claimed_epoch != q->election.epoch && q->delivered > q->epoch_start;
}

static bool is_caught_up_anew(const struct quorum *q)
{
    return q->high_watermark >= 0 && q->delivered >= q->high_watermark && q->caught_up != q->high_watermark;
}

/* Tell the listener how far it is. Any of its functions may call back into this room. */
static void report(struct quorum *q)
{
    if (may_claim(q)) {
        q->claimed_epoch = q->election.epoch;
        q->listener.claim(q->listener.ctx, q->election.epoch);
    }
    if (quorum_is_over(q) || !is_caught_up_anew(q))
        return;
    q->caught_up = q->high_watermark;
    q->listener.caught_up(q->listener.ctx, q->high_watermark);
}

/* Below what is committed. */
static int64_t limit(const struct quorum *q)
{
#ifdef MUTANT_QUORUM_DELIVERS_UNCOMMITTED
    return log_end(q->log);
#endif
    return q->high_watermark;
}

static bool has_more(const struct quorum *q)
{
    return !quorum_is_over(q) && !q->cutting && q->delivered < limit(q);
}

static bool has_news(const struct quorum *q)
{
    return !quorum_is_over(q) && !q->cutting && (may_claim(q) || is_caught_up_anew(q));
}

static void deliver_run(struct flow *f)
{
    struct quorum *q = container_of(f, struct quorum, deliver);

    FLOW_BEGIN(f);
    while (has_more(q) || has_news(q)) {
        if (!has_more(q)) {
            FLOW_WAIT(f, "turn", io_yield(q->io, &f->op));
            if (!has_more(q) && has_news(q))
                report(q);
            continue;
        }
        text_clear(&q->batches);
        q->read_cuts = q->cuts;
        quorum_read_from(q, q->delivered, limit(q));
        FLOW_WAIT(f, "read what is committed",
                  log_read_bytes(q->log, &q->read, &q->batches, &f->op));
        if (quorum_is_over(q))
            break;
        if (q->read_cuts != q->cuts) /* another log lies there now, or what was read is in a snapshot */
            continue;
        if (f->result < 0)
            goto failed;
        f->result = hand_over(q);
        if (f->result < 0)
            goto failed;
        if (!has_more(q) && has_news(q))
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
    if (q->delivering || (!has_more(q) && !has_news(q)) || !gate_enter(&q->gate))
        return;
    q->delivering = true;
    flow_start(&q->deliver, deliver_run, NULL);
}
