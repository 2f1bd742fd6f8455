/* Loading: the whole log, chunk by chunk, through the same apply as everything else (C1). */
#include "coordinator/internal.h"

/* A chunk is at least one whole batch, and large enough that reading is not what load waits for; a shard may load
 * all partitions of an internal topic at once, 50 by default, each with a chunk and a copy of it. */
#define CHUNK_BYTES (256u << 10)

static int apply_chunk(struct coordinator *c)
{
    struct bytes rest = bytes_of_str(text_str(&c->chunk));
    struct batch b;
    int more;

    while ((more = batch_next(&rest, &b)) > 0) {
#ifdef MUTANT_COORDINATOR_FORGETS_THE_LAST
        c->next = b.last_offset + 1;
        if (rest.n == 0)
            break;
#endif
        if (!batch_crc_ok(&b))
            return fail_set(&c->fail, ERR_CORRUPT, "the batch at offset %" PRId64 ": %s",
                            b.base_offset, error_text(ERR_CORRUPT));
        TRY(apply_batch(c, &b, c->next));
        c->next = b.last_offset + 1;
    }
    if (more < 0)
        return fail_set(&c->fail, more, "the batch behind offset %" PRId64 ": %s", c->next,
                        error_text(more));
    return 0;
}

static void load_end(struct coordinator *c, enum coordinator_state phase, int64_t result)
{
    c->phase = phase;
    text_deinit(&c->chunk); /* much larger than appends need it */
    if (phase == COORDINATOR_ACTIVE) {
        parking_advance(&c->parking, c->log.high_watermark(c->log.log));
        c->machine->loaded(c->state, c->now_ms);
    }
    flow_done(&c->load, result);
}

static void load_run(struct flow *f)
{
    struct coordinator *c = container_of(f, struct coordinator, load);

    FLOW_BEGIN(f);
    do {
        text_clear(&c->chunk);
        c->read_limit = c->log.high_watermark(c->log.log);
        FLOW_TRY(f, "read the log",
                 c->log.read(c->log.log, c->next, CHUNK_BYTES, &c->chunk, &f->op));
        if (c->unloading)
            goto unloaded;
        /* Nothing below the high watermark, as it was then, where that lies ahead: the cleaner left no batch there. */
        if (c->chunk.n == 0 && c->next < c->read_limit)
            c->next = c->read_limit;
        f->result = apply_chunk(c);
        if (f->result < 0)
            goto failed;
        if (c->next >= c->log.high_watermark(c->log.log) && c->next < c->log.end(c->log.log)) {
            FLOW_WAIT(f, "wait for the high watermark", c->waits_for_commit = true);
            if (c->unloading)
                goto unloaded;
        }
    } while (c->next < c->log.end(c->log.log));
    FLOW_END(f);

    load_end(c, COORDINATOR_ACTIVE, 0);
    return;
failed:
    if (c->unloading)
        goto unloaded;
    if (c->fail.error == 0)
        fail_set(&c->fail, (int)f->result, "reading at offset %" PRId64 ": %s", c->next,
                 error_text((int)f->result));
    load_end(c, COORDINATOR_FAILED, f->result);
    return;
unloaded:
    load_end(c, COORDINATOR_FAILED, -ECANCELED);
}

void coordinator_load(struct coordinator *c, int64_t now_ms, struct op *op)
{
    ASSERT(c->phase == COORDINATOR_LOADING && !c->unloading);
    c->next = c->log.start(c->log.log);
    c->now_ms = now_ms;
    flow_start(&c->load, load_run, op);
}
