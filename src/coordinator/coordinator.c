#include "coordinator/internal.h"

void coordinator_init(struct coordinator *c, const struct coordinator_machine *machine, void *state,
                      const struct coordinator_log *log)
{
    *c = (struct coordinator){
        .machine = machine,
        .state = state,
        .log = *log,
        .phase = COORDINATOR_LOADING,
    };
    parking_init(&c->parking);
    map_init(&c->pending, pending_equal);
}

enum kerr coordinator_check(const struct coordinator *c)
{
    if (c->unloading || c->phase == COORDINATOR_FAILED)
        return KERR_NOT_COORDINATOR;
    return c->phase == COORDINATOR_LOADING ? KERR_COORDINATOR_LOAD_IN_PROGRESS : KERR_NONE;
}

/* A copy of the batch as it will stand in the log, into c->chunk: the log takes the builder's. */
static void copy_batch(struct coordinator *c, const struct batch_builder *batch)
{
    struct batch_builder copy = *batch;

    ASSERT((batch->attributes & BATCH_CODEC_MASK) == CODEC_NONE);
    copy.records = (struct text){0};
    text_add(&copy.records, batch->records.p, batch->records.n);
    text_clear(&c->chunk);
    int error = batch_builder_finish(&copy, &c->chunk);
    ASSERT(error == 0);
    batch_builder_deinit(&copy);
}

/* The copy is in the log and ends at `end`. Records of our own making always apply; if not, memory
 * and log would differ from here on. */
static void apply_copy(struct coordinator *c, int64_t end)
{
    struct bytes bytes = bytes_of_str(text_str(&c->chunk));
    struct batch b;
    int n = batch_read(bytes, &b, NULL);

    ASSERT(n == bytes.n);
    b.base_offset = end - 1 - b.last_offset_delta;
    batch_stamp((uint8_t *)c->chunk.p, b.base_offset, b.leader_epoch);
    n = batch_read(bytes, &b, NULL);
    ASSERT(n == bytes.n);
    n = apply_batch(c, &b, b.base_offset);
    ASSERT(n == 0);
}

static void builder_clear(struct batch_builder *b)
{
    struct text memory = b->records;

    text_clear(&memory);
    batch_builder_init(b);
    b->records = memory;
}

enum kerr coordinator_append(struct coordinator *c, struct batch_builder *batch, int64_t now_ms,
                             int64_t *end)
{
    enum kerr error = coordinator_check(c);
    int64_t end_after;

    if (error == KERR_NONE && batch->count == 0) {
        *end = c->log.end(c->log.log);
        return KERR_NONE;
    }
    if (error == KERR_NONE) {
        copy_batch(c, batch);
        error = c->log.append(c->log.log, batch, &end_after);
    }
    builder_clear(batch); /* who refuses may have left it full */
    if (error != KERR_NONE)
        return error;
    apply_copy(c, end_after);
    *end = end_after;
    return KERR_NONE;
}

void coordinator_park(struct coordinator *c, struct parked *answer)
{
    parking_add(&c->parking, answer, c->log.end(c->log.log));
}

void coordinator_committed(struct coordinator *c, int64_t high_watermark)
{
    if (c->waits_for_commit) {
        c->waits_for_commit = false;
        flow_continue(&c->load.op, 0);
        return;
    }
    parking_advance(&c->parking, high_watermark);
}

void coordinator_marker(struct coordinator *c, int64_t producer_id, bool commit, int64_t now_ms)
{
    int error;

    if (coordinator_check(c) != KERR_NONE)
        return; /* the load reads it, or nobody asks any more */
    error = pending_decide(c, producer_id, commit);
    ASSERT(error == 0);
}

void coordinator_unload(struct coordinator *c)
{
    c->unloading = true;
    if (c->waits_for_commit) {
        /* The load must end, but not inside this call: a read brings it back. */
        c->waits_for_commit = false;
        c->log.read(c->log.log, c->next, 0, &c->chunk, &c->load.op);
    }
    parking_fail(&c->parking, KERR_NOT_COORDINATOR);
}

void coordinator_deinit(struct coordinator *c)
{
    ASSERT(c->load.run == NULL && list_empty(&c->parking.waiting));
    pending_free(c);
    text_deinit(&c->chunk);
}
