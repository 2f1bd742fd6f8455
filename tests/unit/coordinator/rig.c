#include "rig.h"

/* ---- the machine ----
 *
 * "5:k=v " applied, "[7 5:k=v] " held of producer 7, "{7 commit} " decided, "loaded ". */

static int state_apply(void *state, struct bytes key, struct bytes value, int64_t timestamp_ms,
                       struct fail *f)
{
    struct rig *r = state;

    if (str_equal(str_of_bytes(value), STR("new")))
        return fail_set(f, ERR_VERSION, "value version 9 is not known");
    text_printf(&r->state, "%d:%.*s=%.*s ", (int)r->c.offset, STR_ARG(str_of_bytes(key)),
                STR_ARG(value.n < 0 ? STR("-") : str_of_bytes(value)));
    return 0;
}

static void state_loaded(void *state, int64_t now_ms)
{
    text_printf(&((struct rig *)state)->state, "loaded ");
}

static void state_held(void *state, int64_t producer_id, struct bytes key, struct bytes value)
{
    struct rig *r = state;

    text_printf(&r->state, "[%d %d:%.*s=%.*s] ", (int)producer_id, (int)r->c.offset,
                STR_ARG(str_of_bytes(key)), STR_ARG(str_of_bytes(value)));
}

static void state_decided(void *state, int64_t producer_id, bool commit)
{
    text_printf(&((struct rig *)state)->state, "{%d %s} ", (int)producer_id,
                commit ? "commit" : "abort");
}

static const struct coordinator_machine machine = {state_apply, state_loaded, state_held,
                                                   state_decided};

/* ---- the log -------------------------------------------------------------------------------- */

static void write_batch(struct rig *r, struct batch_builder *b)
{
    size_t at = r->log.n;
    struct batch written;

    CHECK(batch_builder_finish(b, &r->log) == 0);
    batch_stamp((uint8_t *)r->log.p + at, r->end, 1);
    CHECK(batch_read((struct bytes){(const uint8_t *)r->log.p + at, (int32_t)(r->log.n - at)},
                     &written, NULL) > 0);
    r->end = written.last_offset + 1;
}

static enum kerr log_append(void *log, struct batch_builder *batch, int64_t *end)
{
    struct rig *r = log;

    if (r->refuses != KERR_NONE)
        return r->refuses;
    write_batch(r, batch);
    *end = r->end;
    return KERR_NONE;
}

static int64_t log_end(void *log)
{
    return ((struct rig *)log)->end;
}

static int64_t log_start(void *log)
{
    return ((struct rig *)log)->start;
}

static int64_t log_high_watermark(void *log)
{
    return ((struct rig *)log)->high_watermark;
}

/* One batch a read, so that every load has several chunks. */
static void log_read(void *log, int64_t offset, uint32_t max_bytes, struct text *out, struct op *op)
{
    struct rig *r = log;
    struct bytes rest = {(const uint8_t *)r->log.p, (int32_t)r->log.n};
    struct batch b;
    size_t before = out->n;

    while (r->log.n > 0 && batch_next(&rest, &b) > 0) {
        if (b.last_offset < offset || b.last_offset >= r->high_watermark)
            continue;
        text_add(out, b.bytes.p, (size_t)b.bytes.n - (r->torn ? 1 : 0));
        break;
    }
    CHECK(r->reading == NULL);
    r->reads++;
    r->reading = op;
    r->reading_result = r->read_error != 0 ? r->read_error : (int64_t)(out->n - before);
}

static void fill(struct batch_builder *b, const char *records, int64_t producer)
{
    struct str rest = str_of(records), pair, key;

    batch_builder_init(b);
    b->producer_id = producer;
    if (producer >= 0)
        b->attributes = BATCH_TRANSACTIONAL;
    while (str_cut(&rest, ' ', &pair)) {
        str_cut(&pair, '=', &key);
        batch_builder_add(b, 5, bytes_of_str(key),
                          str_equal(pair, STR("-")) ? BYTES_NULL : bytes_of_str(pair), NULL, 0);
    }
}

void rig_write(struct rig *r, const char *records, int64_t producer)
{
    struct batch_builder b;

    fill(&b, records, producer);
    write_batch(r, &b);
    batch_builder_deinit(&b);
    r->high_watermark = r->end;
}

void rig_write_marker(struct rig *r, int64_t producer, bool commit)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.producer_id = producer;
    b.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    batch_builder_add_control(&b, commit ? CONTROL_COMMIT : CONTROL_ABORT, 5,
                              (struct bytes){(const uint8_t *)"\0\0\0\0\0\0", 6});
    write_batch(r, &b);
    batch_builder_deinit(&b);
    r->high_watermark = r->end;
}

int64_t rig_append(struct rig *r, const char *records, int64_t producer)
{
    struct batch_builder b;
    int64_t end = 0;
    enum kerr error;

    fill(&b, records, producer);
    error = coordinator_append(&r->c, &b, 0, &end);
    CHECK_EQ(b.count, 0);
    batch_builder_deinit(&b);
    return error == KERR_NONE ? end : -(int64_t)error;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void load_done(struct op *op, int64_t result)
{
    container_of(op, struct rig, op)->loaded = result;
}

void rig_init(struct rig *r)
{
    struct coordinator_log log = {log_append, log_end, log_start, log_high_watermark, log_read, r};

    *r = (struct rig){0};
    coordinator_init(&r->c, &machine, r, &log);
}

void rig_end(struct rig *r)
{
    coordinator_unload(&r->c);
    while (rig_read(r))
        ;
    coordinator_deinit(&r->c);
    text_deinit(&r->log);
    text_deinit(&r->state);
}

void rig_start(struct rig *r)
{
    op_init(&r->op, load_done);
    r->loaded = 1;
    coordinator_load(&r->c, 0, &r->op);
}

bool rig_read(struct rig *r)
{
    struct op *op = r->reading;

    if (op == NULL)
        return false;
    r->reading = NULL;
    op->done(op, r->reading_result);
    return true;
}

int64_t rig_load(struct rig *r)
{
    rig_start(r);
    for (int i = 0; i < 1000 && rig_read(r); i++)
        ;
    return r->loaded;
}

/* ---- who waits ------------------------------------------------------------------------------ */

void waiter_ready(struct parked *p, enum kerr error)
{
    struct waiter *w = container_of(p, struct waiter, parked);

    if (error == KERR_NONE)
        text_printf(w->trace, "%s ", w->name);
    else
        text_printf(w->trace, "%s!%s ", w->name, kerr_name((int16_t)error));
}

void waiter_park(struct rig *r, struct waiter *w, struct text *trace, const char *name)
{
    *w = (struct waiter){.parked.ready = waiter_ready, .trace = trace, .name = name};
    coordinator_park(&r->c, &w->parked);
}
