#include "producer/sender.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- when ------------------------------------------------------------------------------------------------ */

static void timer_fired(struct io_timer *timer)
{
    producer_run(container_of(timer, struct producer, timer));
}

void producer_soon(struct producer *p)
{
    io_timer_set(p->io, &p->timer, io_now_ns(p->io), timer_fired);
}

/* ---- failing ---------------------------------------------------------------------------------------------- */

static void fail_waiting(struct producer_batch *b, enum batch_why why, int16_t code)
{
    if (b->fate.done)
        return;
    b->why = why;
    b->fate.code = code;
    b->fate.done = b->fate.definite = true;
}

void producer_fail_waiting(struct producer_topic *t, enum batch_why why, int16_t code)
{
    LIST_EACH(it, &t->waiting)
        fail_waiting(container_of(it, struct producer_batch, node), why, code);
}

static void fail_everything(struct producer *p, enum batch_why why, int16_t code)
{
    LIST_EACH(it, &p->accumulator.active)
        producer_lane_fail(container_of(it, struct producer_partition, active), why, code, true);
    LIST_EACH(it, &p->accumulator.waiting)
        producer_fail_waiting(container_of(it, struct producer_topic, waits), why, code);
}

void producer_fail(struct producer *p, int16_t code, const char *format, ...)
{
    va_list args;

    if (p->fatal_code != KERR_NONE)
        return;
    p->fatal_code = code;
    va_start(args, format);
    vsnprintf(p->fatal_text, sizeof p->fatal_text, format, args);
    va_end(args);
    p->accumulator.refuses = true;
}

static void tell_fatal(struct producer *p)
{
    struct producer_error error = {
        .code = p->fatal_code,
        .advice = PRODUCER_ABORT,
        .definite = true,
        .text = str_of(p->fatal_text),
    };

    if (p->fatal_code == KERR_NONE || p->fatal_told)
        return;
    p->fatal_told = true;
    if (p->hooks.fatal != NULL)
        p->hooks.fatal(p->ctx, &error);
}

/* ---- what is done ------------------------------------------------------------------------------------------- */

static void tell(struct producer *p, struct producer_batch *b)
{
    struct producer_ack ack = {
        .topic = b->topic,
        .topic_name = b->topic->name,
        .partition = b->part == NULL ? -1 : b->part->index,
        .count = b->count - b->placed,
        .base_offset = b->fate.base_offset,
        .append_time_ms = b->fate.append_time_ms,
        .tags_end = b->has_tags ? batch_tags_end(b) - b->placed : NULL,
    };

    error_of_batch(p, b, &ack.error);
    if (b->why == WHY_NONE)
        p->records_acked += (uint64_t)ack.count;
    else
        p->records_failed += (uint64_t)ack.count;
    p->cut_short = p->cut_short || b->why == WHY_CLOSED;
    p->hooks.acked(p->ctx, &ack);
}

/* Tell of all that is done; batches whose request is still on its way are freed when it ends. */
static void tell_done(struct producer *p)
{
    struct list told;

    if (list_empty(&p->done))
        return;
    list_init(&told);
    LIST_EACH(it, &p->done) {
        struct producer_batch *b = container_of(it, struct producer_batch, node);
        list_remove(it);
        tell(p, b);
        list_add_tail(&told, it);
    }
    producer_lock(p);
    LIST_EACH(it, &told) {
        struct producer_batch *b = container_of(it, struct producer_batch, node);
        list_remove(it);
        b->fate.told = true;
        if (!b->fate.on_its_way)
            accumulator_free(&p->accumulator, b);
    }
    producer_unlock(p);
}

/* ---- a run -------------------------------------------------------------------------------------------------- */

/* Deadlines, and what is done; a partition without batches is not active any more. */
static void look_at_partitions(struct producer *p, int64_t now_ms)
{
    LIST_EACH(it, &p->accumulator.active) {
        struct producer_partition *part = container_of(it, struct producer_partition, active);
        struct producer_batch *b;
        producer_again_at(p, producer_lane_expire(part, &p->rules, now_ms));
        while ((b = producer_lane_take(part)) != NULL)
            list_add_tail(&p->done, &b->node);
        if (part->open == NULL && part->queued == 0 && list_empty(&part->lane.unacked))
            list_remove(it);
    }
}

static void look_at_waiting(struct producer *p, int64_t now_ms)
{
    LIST_EACH(it, &p->accumulator.waiting) {
        struct producer_topic *t = container_of(it, struct producer_topic, waits);
        accumulator_place(t, now_ms, &p->failed);
        LIST_EACH(batch, &t->waiting) {
            struct producer_batch *b = container_of(batch, struct producer_batch, node);
            if (now_ms - b->created_ms < p->rules.delivery_timeout_ms) {
                producer_again_at(p, b->created_ms + p->rules.delivery_timeout_ms);
                break;
            }
            fail_waiting(b, WHY_LATE, t->error != KERR_NONE ? t->error : KERR_REQUEST_TIMED_OUT);
        }
    }
}

static bool has_placed(const struct producer_topic *t)
{
#ifdef MUTANT_PRODUCER_FORGETS_PLACED
    return false;
#endif
    for (int32_t i = 0; i < t->part_count; i++) {
        if (list_linked(&t->parts[i]->active))
            return true;
    }
    return false;
}

/* Records that have waited in vain follow others of their topic that have their place already, and are told of behind
 * them: one that is being taken back has not ended yet. New ones wait behind them meanwhile (A3). */
static void look_at_failed(struct producer *p)
{
    LIST_EACH(it, &p->accumulator.waiting) {
        struct producer_topic *t = container_of(it, struct producer_topic, waits);
        if (has_placed(t))
            continue;
        LIST_EACH(batch, &t->waiting) {
            if (!container_of(batch, struct producer_batch, node)->fate.done)
                break;
            list_remove(batch);
            list_add_tail(&p->failed, batch);
        }
        if (list_empty(&t->waiting))
            list_remove(&t->waits);
    }
    list_move_all(&p->done, &p->failed);
}

/* false: nothing is to be sent any more. */
static bool look_at_end(struct producer *p, int64_t now_ms)
{
    if (p->fatal_code != KERR_NONE) {
        fail_everything(p, WHY_FATAL, p->fatal_code);
        return false;
    }
    if (p->closing == NULL)
        return true;
    if (now_ms < p->close_at_ms) {
        producer_again_at(p, p->close_at_ms);
        return true;
    }
    fail_everything(p, WHY_CLOSED, KERR_REQUEST_TIMED_OUT);
    return false;
}

/* Everything under the lock. */
static void decide(struct producer *p, int64_t now_ms, struct list *ready)
{
    struct accumulator *a = &p->accumulator;
    bool goes_on;

    a->woken = false;
    a->timer_ms = INT64_MAX; /* whatever comes while this run is made wants another one */
    sender_want_topics(p);
    sender_read_topics(p);
    sender_forget_topics(p, now_ms);
    produce_calls_note(p, now_ms);
    goes_on = look_at_end(p, now_ms);
    look_at_waiting(p, now_ms);
    look_at_partitions(p, now_ms);
    look_at_failed(p);
    if (goes_on) {
        produce_calls_fill(p, now_ms, ready);
        sender_seek_identity(p, now_ms);
    }
}

/* There is room for what was refused, and half of all is free, so that those who are told do not come back for one
 * record each. With the lock held. */
static bool take_room(struct accumulator *a)
{
    uint64_t half = a->memory.limit_bytes / 2;

    if (!a->full || a->memory.used_bytes + (a->missed_bytes > half ? a->missed_bytes : half) > a->memory.limit_bytes)
        return false;
    a->full = false;
    a->missed_bytes = 0;
    return true;
}

/* With the lock held. */
static bool is_at_end(const struct producer *p)
{
    return p->closing != NULL && list_empty(&p->calls) && !p->identity.asking && p->accumulator.batches == 0;
}

static void end(struct producer *p)
{
    struct op *op = p->closing;
    int result = p->fatal_code != KERR_NONE ? ERR_CLOSED : p->cut_short ? -ETIMEDOUT : 0;

    io_timer_clear(&p->timer);
    client_unwatch(&p->watch);
    sender_close_topics(p);
    accumulator_deinit(&p->accumulator);
    text_deinit(&p->scratch);
    io_complete(p->io, op, result);
    free(p);
}

static void flushed(struct producer *p)
{
    struct list ops;

    if (p->flushes == 0)
        return;
    list_init(&ops);
    producer_lock(p);
    accumulator_flushed(&p->accumulator, &ops);
    producer_unlock(p);
    LIST_EACH(it, &ops) {
        list_remove(it);
        p->flushes--;
        io_complete(p->io, container_of(it, struct op, node), 0);
    }
}

/* A run is over: the timer for the next one, or the end. Records that came meanwhile have asked for a run by `wake`; and
 * where memory has come back, those that wait for their partitions may go on. */
static void rest(struct producer *p, bool told)
{
    struct accumulator *a = &p->accumulator;
    bool at_once, at_end, room;

    producer_lock(p);
    room = take_room(a);
    at_end = is_at_end(p);
    a->timer_ms = p->next_ms;
    at_once = a->woken || (told && !list_empty(&a->waiting));
    producer_unlock(p);
    if (at_once)
        producer_soon(p);
    else if (p->next_ms < INT64_MAX)
        io_timer_set(p->io, &p->timer, p->next_ms * 1000000, timer_fired);
    if (room && p->hooks.room != NULL)
        p->hooks.room(p->ctx); /* it may append, and so ask for the next run sooner */
    if (at_end)
        end(p);
}

void producer_run(struct producer *p)
{
    int64_t now_ms = producer_now_ms(p);
    struct list ready;
    bool told;

    if (p->running) { /* inside a hook */
        producer_soon(p);
        return;
    }
    p->running = true;
    p->next_ms = INT64_MAX;
    list_init(&ready);
    io_timer_clear(&p->timer);
    producer_lock(p);
    decide(p, now_ms, &ready);
    producer_unlock(p);
    produce_calls_send(p, &ready);
    if (p->fatal_code != KERR_NONE || (p->closing != NULL && now_ms >= p->close_at_ms)) {
        produce_calls_cancel(p, true);
        sender_cancel_identity(p);
    }
    told = !list_empty(&p->done);
    tell_fatal(p);
    tell_done(p);
    flushed(p);
    p->running = false;
    rest(p, told);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void woken(struct accumulator *a)
{
    struct producer *p = container_of(a, struct producer, accumulator);

    if (p->hooks.wake != NULL)
        p->hooks.wake(p->ctx);
    else
        producer_soon(p);
}

static void metadata_changed(struct client_watch *w)
{
    struct producer *p = container_of(w, struct producer, watch);

    p->metadata_changed = true;
    producer_soon(p);
}

struct producer *producer_new(struct io *io, struct client *client, const struct producer_settings *settings,
                              const struct producer_hooks *hooks, void *ctx, struct fail *f)
{
    struct producer *p;

    if (producer_settings_check(settings, f) < 0)
        return NULL;
    p = calloc(1, sizeof *p);
    if (p == NULL || accumulator_init(&p->accumulator, settings, prng_u64(io_prng(io))) < 0) {
        fail_set(f, -ENOMEM, "no memory for a producer");
        free(p);
        return NULL;
    }
    p->io = io;
    p->client = client;
    p->hooks = *hooks;
    p->ctx = ctx;
    p->accumulator.wake = woken;
    p->identity.who = (struct lane_identity){.idempotent = settings->idempotence, .producer_id = -1};
    p->rules = (struct lane_rules){
        .retries = settings->retries,
        .delivery_timeout_ms = settings->delivery_timeout_ms,
        .acks = settings->acks,
        .bumps = &p->epochs_bumped,
    };
    p->idle_check_ms = INT64_MAX;
    list_init(&p->calls);
    list_init(&p->done);
    list_init(&p->failed);
    p->watch.changed = metadata_changed;
    client_watch(client, &p->watch);
    return p;
}

void producer_close(struct producer *p, int64_t timeout_ms, struct op *op)
{
    ASSERT(p->closing == NULL);
    producer_lock(p);
    p->accumulator.refuses = true;
    producer_unlock(p);
    p->closing = op;
    p->close_at_ms = producer_now_ms(p) + timeout_ms;
    producer_soon(p);
}

struct producer_topic *producer_topic(struct producer *p, struct str name)
{
    return accumulator_topic(&p->accumulator, name);
}

int32_t producer_partitions(const struct producer_topic *t)
{
    return t->partition_count;
}

int producer_append(struct producer *p, const struct producer_record *r, int64_t now_ms, int64_t wall_ms)
{
    return accumulator_append(&p->accumulator, r, now_ms, wall_ms);
}

void producer_flush(struct producer *p, struct op *op)
{
    int error;

    producer_lock(p);
    error = accumulator_flush(&p->accumulator, op);
    producer_unlock(p);
    if (error < 0) {
        io_complete(p->io, op, error);
        return;
    }
    p->flushes++;
    producer_soon(p);
}

void producer_stats(struct producer *p, struct producer_stats *out)
{
    producer_lock(p);
    *out = (struct producer_stats){
        .memory_bytes = p->accumulator.memory.used_bytes,
        .batches = p->accumulator.batches,
        .records_acked = p->records_acked,
        .records_failed = p->records_failed,
        .batches_retried = p->batches_retried,
        .epochs_bumped = p->epochs_bumped,
    };
    producer_unlock(p);
}
