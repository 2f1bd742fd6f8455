/* What a leader answers: records are appended, marks follow, trouble is one partition's own. */
#include "replica/fetcher.h"

#include <stdio.h>

/* ---- records ---------------------------------------------------------------------------------- */

/* What an operator need not know of, unless it goes on: a leader that hears of its role a moment later. */
#define QUIET_ATTEMPTS 2

/* Something is wrong with what came for one partition. Said once, until it goes well again. */
static void trouble(struct following *p, enum log_level level, const char *what)
{
    const struct replica *r = p->replica;

    if (p->attempts == (level > LOG_INFO ? 0 : QUIET_ATTEMPTS))
        say(r->set->options.telemetry, level, "replica",
            "%s-%d cannot be fetched from its leader, broker %d, at offset %lld: %s; it is tried again", r->topic,
            r->partition, p->fetcher->leader, (long long)log_end(r->log), what);
    following_wait(p);
}

static bool is_sound(const struct batch *b, int64_t end)
{
    return b->base_offset >= end && b->last_offset_delta >= 0 && b->last_offset >= b->base_offset &&
           b->last_offset < INT64_MAX;
}

/* The batches that are to be appended at `end`: whole ones, up to the first of an epoch that this node has not heard of
 * (its leader may be an older one's by now). ERR_CORRUPT, ERR_VERSION: `*bad` says where. */
static int sound_batches(const struct following *p, struct bytes records, int64_t end, struct bytes *out, int64_t *bad)
{
    struct bytes rest = records;
    struct batch b;
    int rc;

    while ((rc = batch_next(&rest, &b)) > 0) {
#ifndef MUTANT_FETCHER_ANY_EPOCH
        if (b.leader_epoch > p->leader_epoch) { /* KAFKA-18723 */
            rest.p = b.bytes.p;
            break;
        }
#endif
        if (!is_sound(&b, end)) {
            *bad = end;
            return ERR_CORRUPT;
        }
        end = b.last_offset + 1;
    }
    *bad = end;
    if (rc < 0 && rc != ERR_SHORT)
        return rc;
    *out = (struct bytes){records.p, (int32_t)(rest.p - records.p)};
    return 0;
}

static void damaged(struct following *p, int error, int64_t at)
{
    char what[160];

    snprintf(what, sizeof what, "the batch that it sent for offset %lld is not sound (%s)", (long long)at,
             error_text(error));
    trouble(p, LOG_ERROR, what);
}

void following_append(struct following *p, struct bytes records)
{
    struct replica *r = p->replica;
    int64_t end = log_end(r->log);
    int error;

    if (!log_dir_take_room(r->dir, records.n)) {
        trouble(p, LOG_WARN, "the log directory is full");
        return;
    }
    error = log_append_stamped(r->log, records, io_wall_ms(r->set->options.io));
    if (error < 0) {
        damaged(p, error, end);
        return;
    }
    p->fetcher->bytes_in->value += (uint64_t)records.n;
    if (r->throttled[THROTTLE_FOLLOWER])
        replicas_copied(r->set, THROTTLE_FOLLOWER, (uint64_t)records.n);
    p->attempts = 0;
    following_begin(p);
}

/* The leader's log begins in the middle of a batch, and ours is empty: it begins with the whole batch, then. */
static bool begins_inside(const struct replica *r, struct bytes records)
{
    struct batch b;

    if (log_start(r->log) != log_end(r->log) || batch_next(&records, &b) <= 0)
        return false;
    return b.base_offset >= 0 && b.base_offset < log_end(r->log) && b.last_offset >= log_end(r->log);
}

static void take_records(struct following *p, struct bytes records)
{
    struct replica *r = p->replica;
    bool anew = begins_inside(r, records);
    int64_t end = anew ? get_i64(records.p) : log_end(r->log), bad;
    int error = sound_batches(p, records, end, &records, &bad);

    if (error < 0) {
        damaged(p, error, bad);
    } else if (records.n == 0) {
        trouble(p, LOG_INFO, "it sent no whole batch of an epoch that this broker has heard of");
    } else if (anew) {
        following_cut(p, end, true, records);
    } else {
        following_append(p, records);
    }
}

/* ---- marks ------------------------------------------------------------------------------------ */

static void follow_marks(struct following *p, const struct fetch_response_responses_partitions *one)
{
    struct replica *r = p->replica;
    struct replication_outcome out;
    int64_t start = one->log_start_offset;

    p->attempts = 0;
    p->lag = one->high_watermark > log_end(r->log) ? one->high_watermark - log_end(r->log) : 0;
    if (one->high_watermark >= 0) {
        replication_follow(&r->replication, one->high_watermark, log_end(r->log), &out);
        replica_told(r, &out);
    }
    if (start > r->replication.high_watermark)
        start = r->replication.high_watermark;
    if (start > log_stable(r->log))
        start = log_stable(r->log);
    if (start <= log_start(r->log))
        return;
    log_raise_start(r->log, start, NULL);
    fetcher_start_moved(r);
}

/* ---- one partition ---------------------------------------------------------------------------- */

static void take_error(struct following *p, int16_t code)
{
    switch (code) {
    case KERR_OFFSET_OUT_OF_RANGE:
        following_lose(p);
        return;
    case KERR_FENCED_LEADER_EPOCH: /* metadata brings the newer epoch, and with it a new beginning */
        following_set_state(p, FOLLOWING_FENCED);
        return;
    default:
        trouble(p, LOG_INFO, kerr_name(code));
    }
}

static void diverged(struct following *p, struct replication_end leader)
{
    struct replica *r = p->replica;
    struct epoch_end e = log_epoch_end(r->log, leader.epoch);
    struct replication_end own = {e.epoch, e.end_offset};
    bool again; /* what is left to be cut, the next Fetch finds */
    int64_t offset = replication_truncation(&r->replication, leader, own, log_end(r->log), &again);

    if (offset < log_start(r->log))
        offset = log_start(r->log);
    if (offset < log_end(r->log)) /* else its end was in question, and is right */
        say(r->set->options.telemetry, LOG_INFO, "replica",
            "%s-%d is cut from %lld to %lld: broker %d, which leads it, says that epoch %d ended at %lld", r->topic,
            r->partition, (long long)log_end(r->log), (long long)offset, p->fetcher->leader, leader.epoch,
            (long long)leader.end_offset);
    following_cut(p, offset, false, BYTES_NULL);
}

static void take_partition(struct following *p, const struct fetch_response_responses_partitions *one)
{
    struct fetcher *f = p->fetcher;

    if (one->error_code != KERR_NONE) {
        take_error(p, one->error_code);
        return;
    }
    if (one->diverging_epoch.epoch >= 0) {
        diverged(p, (struct replication_end){one->diverging_epoch.epoch, one->diverging_epoch.end_offset});
        return;
    }
    if (p->replica->paused && one->records.n > 0) { /* the end of a move */
        following_wait(p);
        return;
    }
    if (one->records.n > 0) {
        list_remove(&p->all); /* of a leader without sessions, the others are asked for before it */
        list_add_tail(&f->all, &p->all);
        take_records(p, one->records);
    }
    if (p->state == FOLLOWING_READY || p->state == FOLLOWING_UNSTABLE)
        follow_marks(p, one);
}

/* What has changed since the partition was asked for makes the answer one to another question (F4). */
static bool counts(const struct following *p)
{
#ifdef MUTANT_FETCHER_OLD_ANSWER
    return p != NULL && p->replica != NULL && p->state == FOLLOWING_READY;
#endif
    return p != NULL && p->asked;
}

static void take_partitions(struct fetcher *f, const struct fetch_response *a)
{
    for (int32_t t = 0; t < a->responses_count; t++) {
        const struct fetch_response_responses *topic = &a->responses[t];
        for (int32_t i = 0; i < topic->partitions_count; i++) {
            struct following *p = following_find(f, topic->topic_id, topic->partitions[i].partition_index);
            if (counts(p))
                take_partition(p, &topic->partitions[i]);
        }
    }
}

/* ---- the answer ------------------------------------------------------------------------------- */

static bool is_of_session(int16_t code)
{
    return code == KERR_FETCH_SESSION_ID_NOT_FOUND || code == KERR_INVALID_FETCH_SESSION_EPOCH ||
           code == KERR_FETCH_SESSION_TOPIC_ID_ERROR;
}

/* Nobody knows what the leader has heard: the next Fetch begins a session. After a session that is only forgotten at
 * once, else later. */
static void failed(struct fetcher *f, int64_t result, const struct fetch_response *a)
{
    int16_t code = result == 0 ? a->error_code : KERR_NONE;

    session_break(f, code == KERR_FETCH_SESSION_ID_NOT_FOUND || f->renews);
    if (f->renews || f->set->fetchers_closed)
        return;
    if (f->attempts++ == 0) {
        if (is_of_session(code))
            return;
        say(f->set->options.telemetry, LOG_WARN, "replica", "cannot fetch from broker %d: %s; it is tried again",
            f->leader, result < 0 ? error_text((int)result) : kerr_name(code));
    }
    f->retry_ns = io_now_ns(fetcher_io(f)) + fetcher_backoff_ns(f, f->attempts);
}

void fetcher_answered(struct op *op, int64_t result)
{
    struct fetcher *f = container_of(op, struct fetcher, call.op);
    struct replicas *rs = f->set;
    const struct fetch_response *a = f->call.response;

    f->busy = false;
    f->stable_by_ns = io_now_ns(fetcher_io(f)) + FETCHER_STABLE_WAIT_NS;
    if (result < 0 || a->error_code != KERR_NONE) {
        failed(f, result, a);
    } else {
        f->attempts = 0;
        take_partitions(f, a);
        session_go_on(f, a);
    }
    client_call_release(&f->call);
    fetcher_pump(f);
    aside_ended(rs); /* the last: the set may be gone then */
}
