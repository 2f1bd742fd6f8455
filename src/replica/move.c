/* A replica moves into another log directory while it serves (KIP-113).
 *
 *   TOPIC-PARTITION.<hex>-future ─ copy ─► caught up ─► the controller names the new directory
 *     ─► appends are refused (a moment) ─ copy the rest ─► durable ─► it takes the partition's name
 *     ─► it is the log ─► the old one is deleted
 *
 * A crash on the way leaves the old log and a future one, which the next start fills anew; or, after the renaming, two
 * logs with the same bytes, of which the one that the metadata names is kept (apply.c).
 */
#include "replica/move.h"

#include <stdio.h>
#include <stdlib.h>

/* That copy at the same time in a shard: the others wait. */
#define MOVES_MAX 4
#define FILE_NAME_MAX 255

struct io *move_io(const struct move *m)
{
    return m->replica->set->options.io;
}

bool move_goes_on(const struct move *m)
{
    return !m->cancelled && m->replica->log != NULL && log_dir_is_online(m->to);
}

static void pause_over(struct io_timer *t)
{
    struct move *m = container_of(t, struct move, timer);

    m->paused->done(m->paused, 0);
}

void move_pause(struct move *m, int64_t ms, struct op *op)
{
    m->paused = op;
    io_timer_set(move_io(m), &m->timer, io_now_ns(move_io(m)) + ms * 1000000, pause_over);
}

void move_tell(struct move *m, struct uuid directory)
{
    const struct replicas_options *o = &m->replica->set->options;

    m->told = true;
    if (o->placed != NULL)
        o->placed(o->ctx, m->replica, directory);
}

static void prepare(struct move *m)
{
    struct replica *r = m->replica;
    const struct replicas_options *o = &r->set->options;

    m->open = (struct log_open){
        .io = o->io,
        .telemetry = o->telemetry,
        .dir = m->to,
        .memory = o->memory,
        .topic = str_of(r->topic),
        .partition = r->partition,
        .topic_id = r->topic_id,
        .directory = m->name,
        .settings = log_settings_of(r->settings, r->set->broker),
        .start_offset = -1,
        .stable_moved = replica_stable_moved, /* also before it is the log: then nothing has moved */
        .ctx = r,
    };
    /* Its appends are flushed together; and no journal speaks of a log that has yet to take its name. */
    m->open.settings.durable = false;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Epochs without records, and a start within a batch. */
static void copy_marks(struct move *m, struct op *op)
{
    const struct log *from = m->replica->log;

    log_note_epoch(m->log, log_latest_epoch(from));
    log_raise_start(m->log, log_start(from) < log_end(m->log) ? log_start(from) : log_end(m->log), op);
}

/* It has been raised meanwhile (DeleteRecords), or lies within a segment, where only a checkpoint tells it. */
static bool start_is_to_be_saved(const struct move *m)
{
    int64_t start = log_start(m->log);

    return start < log_start(m->replica->log) || (start > log_first_segment(m->log) && start != m->saved_start);
}

static void save_start(struct move *m, struct op *op)
{
    const struct replicas_options *o = &m->replica->set->options;

    m->saving_start = log_start(m->log);
    o->save_starts(o->ctx, op);
}

static bool may_run(struct move *m)
{
    struct replicas *rs = m->replica->set;

    if (!m->runs && rs->moves < MOVES_MAX) {
        m->runs = true;
        rs->moves++;
    }
    return m->runs;
}

static void not_opened(struct move *m)
{
    const struct replicas_options *o = &m->replica->set->options;
    struct fail why = {0};

    fail_set(&why, (int)m->flow.result, "cannot open %s: %s", m->name,
             m->fail.error < 0 ? m->fail.text : error_text((int)m->flow.result));
    log_dir_fail(m->to, o->io, o->telemetry, &why);
}

/* From here on it is the replica's log: nothing was appended to either since they were the same. */
static void exchange(struct move *m)
{
    struct replica *r = m->replica;
    struct log *old = r->log;
    struct log_settings s = log_settings_of(r->settings, r->set->broker);

    ASSERT(log_end(m->log) == log_end(old));
    ASSERT(log_stable(m->log) == log_stable(old));
    say(r->set->options.telemetry, LOG_INFO, "replica", "%s-%d has moved from %s to %s", r->topic, r->partition,
        r->dir->path, m->to->path);
    (void)log_dir_partitions(r->dir, -1);
    (void)log_dir_partitions(m->to, 1);
    r->dir = m->to;
    r->log = m->log;
    r->paused = false;
    m->log = old;
    m->exchanged = true;
    log_set_settings(r->log, &s);
}

/* What the controller was told of the new directory holds no more. The copy of a log that has failed stays. */
static void called_off(struct move *m, int64_t error)
{
    struct replica *r = m->replica;

    r->paused = false;
    m->keeps |= r->offline;
    if (error != -ECANCELED)
        say(r->set->options.telemetry, LOG_ERROR, "replica", "%s-%d cannot be moved from %s to %s: %s", r->topic,
            r->partition, r->dir->path, m->to->path, error_text((int)error));
    if (m->told && r->set->image != NULL)
        move_tell(m, r->dir->directory_id);
}

static void let_go(struct move *m, struct op *op)
{
    if (m->keeps && !m->exchanged)
        log_close(m->log, op);
    else
        log_delete(m->log, op);
}

static void finish(struct move *m)
{
    struct replica *r = m->replica;
    struct replicas *rs = r->set;
    struct op *ended = m->ended;
    struct log_dir *next = r->next_dir;

    r->move = NULL;
    r->next_dir = NULL;
    rs->moves -= m->runs ? 1 : 0;
    arena_deinit(&m->arena);
    text_deinit(&m->bytes);
    free(m->name);
    free(m);
    if (ended != NULL)
        io_complete(rs->options.io, ended, 0);
    else if (next != NULL)
        (void)replica_move(r, next);
    replica_release(r);
    aside_ended(rs);
}

/* ---- the flow -------------------------------------------------------------------------------- */

/* What the copy is besides its batches, durable; then its name. */
static void end_run(struct flow *f)
{
    struct move *m = container_of(f, struct move, copy);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "copy the marks", copy_marks(m, &f->op));
    m->ends = true; /* now checkpoints tell of it: a log of that name is believed after a crash, and its start with it */
    for (;;) {
        while (move_goes_on(m) && start_is_to_be_saved(m)) {
            FLOW_TRY(f, "copy the start", copy_marks(m, &f->op));
            FLOW_WAIT(f, "save the start", save_start(m, &f->op));
            if (f->result >= 0)
                m->saved_start = m->saving_start;
            else
                FLOW_WAIT(f, "wait to save the start", move_pause(m, MOVE_TURN_MS, &f->op));
        }
        if (m->named || !move_goes_on(m))
            break;
        FLOW_TRY(f, "take its name", log_take_name(m->log, &f->op));
        m->named = true;
    }
    FLOW_END(f);
    flow_done(f, move_goes_on(m) ? 0 : -ECANCELED);
    return;
failed:
    flow_done(f, f->result);
}

static void move_run(struct flow *f)
{
    struct move *m = container_of(f, struct move, flow);

    FLOW_BEGIN(f);
    prepare(m);
    FLOW_WAIT(f, "open the future log", log_open(&m->open, &m->log, &m->fail, &f->op));
    if (f->result < 0) {
        not_opened(m);
    } else {
        while (!may_run(m) && move_goes_on(m))
            FLOW_WAIT(f, "wait for its turn", move_pause(m, MOVE_TURN_MS, &f->op));
        FLOW_WAIT(f, "copy", move_copy(m, &f->op));
        if (f->result >= 0)
            FLOW_WAIT(f, "end", flow_start(&m->copy, end_run, &f->op));
        if (f->result >= 0)
            exchange(m);
        else
            called_off(m, f->result);
        FLOW_WAIT(f, "let go of the other log", let_go(m, &f->op));
    }
    FLOW_END(f);
    finish(m);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void begin(struct replica *r, struct log_dir *to, char *name)
{
    struct move *m = calloc(1, sizeof *m);

    ASSERT(m != NULL);
    ASSERT(r->move == NULL);
    m->replica = r;
    m->to = to;
    m->name = name;
    m->saved_start = -1;
    arena_init(&m->arena, 0);
    r->move = m;
    replica_hold(r);
    aside_begun(r->set);
    flow_start(&m->flow, move_run, NULL);
}

static char *future_name(const struct replica *r)
{
    struct uuid unique = uuid_random(io_prng(r->set->options.io));
    struct text name = {0};

    text_printf(&name, "%s-%d.", r->topic, r->partition);
    for (int i = 0; i < 16; i++)
        text_printf(&name, "%02x", unique.b[i]);
    text_printf(&name, "-future");
    return name.p;
}

struct log_dir *move_target(const struct replica *r)
{
    return r->move->to;
}

enum kerr replica_move(struct replica *r, struct log_dir *dir)
{
    if (r->log == NULL)
        return r->offline ? KERR_KAFKA_STORAGE_ERROR : KERR_REPLICA_NOT_AVAILABLE;
    if (!log_dir_is_online(dir))
        return KERR_KAFKA_STORAGE_ERROR;
    if (r->cut != NULL) {
        cut_then_move(r, dir);
        return KERR_NONE;
    }
    if (r->move != NULL && (r->move->to != dir || r->move->cancelled)) {
        r->next_dir = dir;
        move_cancel(r, false);
    }
    if (r->move != NULL || dir == r->dir)
        return KERR_NONE;
    char *name = future_name(r);
    if (strlen(name) > FILE_NAME_MAX) {
        free(name);
        return KERR_INVALID_TOPIC_EXCEPTION;
    }
    begin(r, dir, name);
    return KERR_NONE;
}

void replica_move_on(struct replica *r, const struct existing *e)
{
    begin(r, e->dir, str_dup(str_of(e->found->name)));
}

void move_cancel(struct replica *r, bool keeps)
{
    struct move *m = r->move;

    m->cancelled = true;
    m->keeps |= keeps;
    if (io_timer_is_set(&m->timer))
        io_timer_set(r->set->options.io, &m->timer, 0, pause_over);
}

void move_end(struct replica *r, bool keeps, struct op *op)
{
    r->move->ended = op;
    move_cancel(r, keeps);
}

void moves_dir_failed(struct replica *r, const struct log_dir *dir)
{
    if (r->move != NULL && r->move->to == dir)
        move_cancel(r, false);
}

const struct log *replica_future(const struct replica *r, const struct log_dir **dir)
{
    /* Before it has begun, an old one's bytes are in it; after the exchange it is the old log. */
    if (r->move == NULL || !r->move->begun || r->move->exchanged)
        return NULL;
    *dir = r->move->to;
    return r->move->log;
}

const struct log *move_named(const struct replica *r, const struct log_dir *dir)
{
    if (r->move == NULL || !r->move->ends || r->move->exchanged || r->move->to != dir)
        return NULL;
    return r->move->log;
}
