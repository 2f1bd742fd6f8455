/* Records of a mr_producer: taken by any thread under the handle's lock; waiting for room, and for their end. */
#include <stdlib.h>

#include "library/producer.h"

struct mr_topic *mr_producer_topic(struct mr_producer *p, const char *name)
{
    if (name == NULL || handle_check(&p->handle, NULL) < 0)
        return NULL;
    lock_take(&p->handle.lock);
    struct producer_topic *t = producer_topic(p->producer, str_of(name));
    lock_leave(&p->handle.lock);
    return (struct mr_topic *)t;
}

__attribute__((noinline)) static int refused(int rc, const struct mr_record *r, struct mr_error *e)
{
    switch (rc) {
    case -EAGAIN:
        return error_set(e, MR_FULL, MR_RETRY, true, "buffer.memory is taken by records that are not acknowledged yet");
    case ERR_LIMIT:
        return error_set(e, MR_TOO_LARGE, MR_REPAIR, true,
                         "a record of %d bytes is larger than max.request.size or buffer.memory allow",
                         (r->key.n > 0 ? r->key.n : 0) + (r->value.n > 0 ? r->value.n : 0));
    case -ERANGE:
        return error_set(e, MR_INVALID, MR_REPAIR, true, "the topic has no partition %d", r->partition);
    case -EINVAL:
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a timestamp below 0, or a header without a key");
    default:
        return error_of_trouble(e, rc, "mr_produce");
    }
}

/* It is full. With the lock held, which is let go of while it waits. `*until_ms` 0: not known yet. False: time is up. */
__attribute__((noinline)) static bool wait_for_room(struct mr_producer *p, int64_t timeout_ms, int64_t *until_ms)
{
    if (timeout_ms == 0)
        return false;
    if (*until_ms == 0)
        *until_ms = timeout_ms < 0 ? -1 : p->clocks.now_ms + timeout_ms;
    if (p->handle.loop->is_own)
        return changed_wait(&p->handle.changed, &p->handle.lock, *until_ms);
    int64_t left_ms = *until_ms < 0 ? -1 : *until_ms - clock_ms();
    if (*until_ms >= 0 && left_ms <= 0)
        return false;
    lock_leave(&p->handle.lock);
    mr_loop_run(p->handle.loop, left_ms, NULL);
    lock_take(&p->handle.lock);
    return true;
}

/* The caller's record is read as the room's: it would cost as much to copy it as to take the lock. */
#define SAME_PLACE(ours, theirs)                                                                     \
    _Static_assert(offsetof(struct producer_record, ours) == offsetof(struct mr_record, theirs) &&   \
                       sizeof((struct producer_record){0}.ours) == sizeof((struct mr_record){0}.theirs), \
                   #ours " is where the public struct has it")
SAME_PLACE(topic, topic);
SAME_PLACE(partition, partition);
SAME_PLACE(header_count, header_count);
SAME_PLACE(key, key);
SAME_PLACE(value, value);
SAME_PLACE(headers, headers);
SAME_PLACE(timestamp_ms, timestamp_ms);
SAME_PLACE(tag, tag);
_Static_assert(offsetof(struct bytes, n) == offsetof(struct mr_bytes, n), "bytes are the public ones");
_Static_assert(offsetof(struct record_header, value) == offsetof(struct mr_header, value) &&
                   sizeof(struct record_header) == sizeof(struct mr_header), "headers are the public ones");

static const struct producer_record *record_of(const struct mr_record *r)
{
    return (const struct producer_record *)(const void *)r;
}

int mr_produce(struct mr_producer *p, const struct mr_record *r, int64_t timeout_ms, struct mr_error *e)
{
    int64_t until_ms = 0;
    int rc;

    TRY(handle_check_wait(&p->handle, timeout_ms, e));
    if (UNLIKELY(r->topic == NULL || r->header_count < 0))
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a record needs a topic, and no less than 0 headers");
    lock_take(&p->handle.lock);
    do {
        clocks_read(&p->clocks);
        rc = producer_append(p->producer, record_of(r), p->clocks.now_ms, p->clocks.wall_ms);
    } while (UNLIKELY(rc == -EAGAIN) && wait_for_room(p, timeout_ms, &until_ms));
    lock_leave(&p->handle.lock);
    return LIKELY(rc == 0) ? 0 : refused(rc, r, e);
}

/* ---- flush and health ---------------------------------------------------------------------------- */

struct flush_job {
    struct job job;
    struct mr_producer *p;
    struct mr_health *health;
};

static void flush_begin(struct job *j)
{
    producer_flush(container_of(j, struct flush_job, job)->p->producer, &j->op);
}

int mr_producer_flush(struct mr_producer *p, int64_t timeout_ms, struct mr_error *e)
{
    TRY(handle_check_wait(&p->handle, timeout_ms, e));
    struct flush_job *f = job_new(p->handle.loop, sizeof *f, flush_begin);

    if (f == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_producer_flush");
    f->p = p;
    if (job_run(&f->job, timeout_ms) < 0)
        return error_set(e, MR_TIMED_OUT, MR_RETRY, false, "records are still under way");
    int64_t result = f->job.result;
    free(f);
    return result < 0 ? error_of_trouble(e, (int)result, "mr_producer_flush") : 0;
}

static void health_begin(struct job *j)
{
    struct flush_job *f = container_of(j, struct flush_job, job);
    struct client_health h;

    client_health(f->p->handle.client, &h);
    health_of(&h, io_now_ns(f->p->handle.loop->io), f->health);
    job_done(j, 0);
}

void mr_producer_health(struct mr_producer *p, struct mr_health *out)
{
    *out = (struct mr_health){.state = MR_FAILED};
    if (handle_check(&p->handle, NULL) < 0)
        return;
    struct flush_job *f = job_new(p->handle.loop, sizeof *f, health_begin);
    if (f == NULL)
        return;
    f->p = p;
    f->health = out;
    if (loop_is_here(p->handle.loop))
        health_begin(&f->job);
    else
        job_run(&f->job, -1);
    free(f);
}
