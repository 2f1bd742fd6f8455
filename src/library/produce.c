/* Records of a mr_producer: taken by any thread under the handle's lock; waiting for room, and for their end. */
#include <stdlib.h>

#include "library/producer.h"

#define HEADERS_ON_STACK 16

static struct producer_topic *topic_of(struct mr_topic *t)
{
    return (struct producer_topic *)t;
}

struct mr_topic *mr_producer_topic(struct mr_producer *p, const char *name)
{
    if (name == NULL || handle_check(&p->handle, NULL) < 0)
        return NULL;
    lock_take(&p->handle.lock);
    struct producer_topic *t = producer_topic(p->producer, str_of(name));
    lock_leave(&p->handle.lock);
    return (struct mr_topic *)t;
}

static inline struct bytes bytes_of(struct mr_bytes b)
{
    return (struct bytes){b.p, b.n};
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

static int append_now(struct mr_producer *p, const struct producer_record *r)
{
    clocks_read(&p->clocks);
    return producer_append(p->producer, r, p->clocks.now_ms, p->clocks.wall_ms);
}

/* It is full. With the lock held, which is let go of while it waits. */
__attribute__((noinline)) static int append_later(struct mr_producer *p, const struct producer_record *r, int64_t timeout_ms)
{
    int64_t until_ms = timeout_ms < 0 ? -1 : p->clocks.now_ms + timeout_ms;
    int rc;

    do {
        if (p->handle.loop->is_own) {
            if (!changed_wait(&p->handle.changed, &p->handle.lock, until_ms))
                return -EAGAIN;
        } else {
            int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_ms();
            if (until_ms >= 0 && left_ms <= 0)
                return -EAGAIN;
            lock_leave(&p->handle.lock);
            mr_loop_run(p->handle.loop, left_ms, NULL);
            lock_take(&p->handle.lock);
        }
        rc = append_now(p, r);
    } while (rc == -EAGAIN);
    return rc;
}

static inline int take(struct mr_producer *p, const struct mr_record *r, const struct record_header *headers,
                       int64_t timeout_ms, struct mr_error *e)
{
    struct producer_record record = {
        .topic = topic_of(r->topic),
        .partition = r->partition,
        .header_count = r->header_count,
        .key = bytes_of(r->key),
        .value = bytes_of(r->value),
        .headers = headers,
        .timestamp_ms = r->timestamp_ms,
        .tag = r->tag,
    };

    lock_take(&p->handle.lock);
    int rc = append_now(p, &record);
    if (UNLIKELY(rc == -EAGAIN) && timeout_ms != 0)
        rc = append_later(p, &record, timeout_ms);
    lock_leave(&p->handle.lock);
    return LIKELY(rc == 0) ? 0 : refused(rc, r, e);
}

__attribute__((noinline)) static int take_with_headers(struct mr_producer *p, const struct mr_record *r,
                                                       int64_t timeout_ms, struct mr_error *e)
{
    struct record_header on_stack[HEADERS_ON_STACK], *headers = on_stack;

    if (r->header_count > HEADERS_ON_STACK) {
        headers = malloc((size_t)r->header_count * sizeof *headers);
        if (headers == NULL)
            return error_of_trouble(e, -ENOMEM, "mr_produce");
    }
    for (int32_t i = 0; i < r->header_count; i++) {
        headers[i].key = str_of_bytes(bytes_of(r->headers[i].key));
        headers[i].value = bytes_of(r->headers[i].value);
    }
    int rc = take(p, r, headers, timeout_ms, e);
    if (headers != on_stack)
        free(headers);
    return rc;
}

int mr_produce(struct mr_producer *p, const struct mr_record *r, int64_t timeout_ms, struct mr_error *e)
{
    TRY(handle_check_wait(&p->handle, timeout_ms, e));
    if (UNLIKELY(r->topic == NULL || r->header_count < 0))
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a record needs a topic, and no less than 0 headers");
    return r->header_count == 0 ? take(p, r, NULL, timeout_ms, e) : take_with_headers(p, r, timeout_ms, e);
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
