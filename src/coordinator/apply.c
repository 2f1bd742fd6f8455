/* Batches become state: the one way for load, append and markers. */
#include "coordinator/internal.h"

int apply_records(struct coordinator *c, const struct batch *b, int64_t from)
{
    struct records records;
    struct record record;
    int more = records_begin(&records, b, BATCH_PLAIN_BYTES_MAX);

    if (more < 0)
        return fail_set(&c->fail, more, "the batch at offset %" PRId64 ": %s", b->base_offset,
                        error_text(more));
    while ((more = records_next(&records, &record)) > 0) {
        if (record.offset < from)
            continue;
        c->offset = record.offset;
        more = c->machine->apply(c->state, record.key, record.value, record.timestamp_ms, &c->fail);
        if (more < 0) {
            if (c->fail.error == 0)
                fail_set(&c->fail, more, "%s", error_text(more));
            fail_wrap(&c->fail, "the record at offset %" PRId64, record.offset);
            break;
        }
    }
    records_end(&records);
    if (more < 0 && c->fail.error == 0)
        fail_set(&c->fail, more, "the batch at offset %" PRId64 ": %s", b->base_offset,
                 error_text(more));
    return more;
}

/* The marker of a transaction; other control records mean nothing to a coordinator. */
static int apply_control(struct coordinator *c, const struct batch *b)
{
    struct records records;
    struct record record;
    int16_t type = -1;
    int more;

    if (b->count == 0)
        return 0; /* the cleaner took the marker, and with it all that it decided about */
    more = records_begin(&records, b, BATCH_PLAIN_BYTES_MAX);
    if (more == 0) {
        more = records_next(&records, &record);
        if (more > 0)
            more = control_type_read(record.key, &type);
        records_end(&records);
    }
    if (more < 0)
        return fail_set(&c->fail, more, "the control batch at offset %" PRId64 ": %s",
                        b->base_offset, error_text(more));
    if (type != CONTROL_COMMIT && type != CONTROL_ABORT)
        return 0;
    return pending_decide(c, b->producer_id, type == CONTROL_COMMIT);
}

int apply_batch(struct coordinator *c, const struct batch *b, int64_t from)
{
    if (batch_is_control(b))
        return apply_control(c, b);
    if (batch_is_transactional(b))
        return pending_hold(c, b, from);
    return apply_records(c, b, from);
}
