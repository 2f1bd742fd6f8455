/* mr_consumer: what is read waits here for the threads that poll; everything else is asked of the loop's thread.
 *
 *   loop:   hooks.ready ─► consumer_take ─► ready ──┐            hooks.event ─► events ──┐
 *   caller:                                         └─► mr_poll ─► chunk                 └─► hook ─► consent
 *   loop:   consumer_chunk_release ◄── by message ── mr_chunk_release
 */
#include <stdio.h>
#include <stdlib.h>

#include "library/consumer.h"

/* Taken before somebody polls, so that a thread that polls need not wait for the loop's. */
#define READY_MAX 16
#define READY_LOW 4
/* How exactly the group knows that somebody polls; max.poll.interval.ms is minutes. */
#define POLLED_MS 200

/* ---- errors ----------------------------------------------------------------------------------- */

void consumer_error_of(const struct consumer_error *from, struct mr_error *e)
{
    static const enum mr_advice advices[] = {
        [CONSUMER_WAIT] = MR_RETRY,
        [CONSUMER_SEEK] = MR_SEEK,
        [CONSUMER_REJOINED] = MR_REJOINED,
        [CONSUMER_REPAIR] = MR_REPAIR,
        [CONSUMER_GIVE_UP] = MR_CLOSE,
    };
    enum mr_code code = from->code != KERR_NONE ? MR_BROKER : code_of_trouble(from->trouble);

    *e = (struct mr_error){0};
    if (code == MR_OK)
        return;
    error_set(e, code, advices[from->advice], from->definite, "%s", from->text);
    e->kafka_code = from->code;
}

/* ---- chunks ----------------------------------------------------------------------------------- */

static void chunk_arrived_back(struct io *io, struct io_message *m)
{
    struct mr_chunk *k = container_of(m, struct mr_chunk, message);

    consumer_chunk_release(k->chunk, k->done_to);
    free(k);
}

/* On the loop's thread. */
static struct mr_chunk *chunk_new(struct mr_consumer *c, struct consumer_chunk *chunk)
{
    struct mr_chunk *k = calloc(1, sizeof *k + (size_t)chunk->topic.n + 1);

    ASSERT(k != NULL);
    k->consumer = c;
    k->chunk = chunk;
    k->message.run = chunk_arrived_back;
    memcpy(k->topic, chunk->topic.p, (size_t)chunk->topic.n);
    return k;
}

const char *mr_chunk_topic(const struct mr_chunk *k)
{
    return k->topic;
}

int32_t mr_chunk_partition(const struct mr_chunk *k)
{
    return k->chunk->partition;
}

static struct mr_bytes bytes_to(struct bytes b)
{
    return mr_bytes(b.p, b.n);
}

int mr_chunk_next(struct mr_chunk *k, struct mr_read *r, struct mr_error *e)
{
    int rc = consumer_chunk_next(k->chunk, &k->record);

    if (UNLIKELY(rc < 0)) {
        r->offset = k->record.offset;
        return error_set(e, rc == -ENOMEM ? MR_MEMORY : MR_DAMAGED, rc == -ENOMEM ? MR_RETRY : MR_SEEK, true,
                         "%s-%d: the batch at offset %" PRId64 " cannot be read: %s", k->topic, k->chunk->partition,
                         k->record.offset, error_text(rc));
    }
    if (rc == 0)
        return 0;
    *r = (struct mr_read){
        .offset = k->record.offset,
        .timestamp_ms = k->record.timestamp_ms,
        .key = bytes_to(k->record.key),
        .value = bytes_to(k->record.value),
        .header_count = k->record.header_count,
        .headers = &k->record,
    };
    return 1;
}

struct mr_header mr_read_header(const struct mr_read *r, int32_t i)
{
    struct bytes rest = ((const struct record *)r->headers)->headers;
    struct record_header h = {STR_NULL, BYTES_NULL};

    while (i-- >= 0 && record_header_next(&rest, &h) == 1) {
    }
    return (struct mr_header){mr_bytes(h.key.p, h.key.n), bytes_to(h.value)};
}

void mr_chunk_release(struct mr_chunk *k, int64_t done_to)
{
    struct mr_consumer *c;

    if (k == NULL || handle_check(&k->consumer->handle, NULL) < 0)
        return;
    c = k->consumer;
    k->done_to = done_to > k->chunk->next ? k->chunk->next : done_to < k->chunk->first ? k->chunk->first : done_to;
    io_epoll_post(c->handle.loop->world, 0, &k->message);
}

/* ---- on the loop's thread: what is ready, what happens ------------------------------------------- */

/* Somebody who polls, or waits to poll, has something to look at. */
static void tell(struct mr_consumer *c)
{
    changed_tell(&c->handle.changed);
}

static void refill(struct mr_consumer *c)
{
    struct consumer_chunk *chunk;
    bool was_empty, some = false;

    lock_take(&c->handle.lock);
    was_empty = list_empty(&c->ready);
    while (c->ready_count < READY_MAX && (chunk = consumer_take(c->consumer)) != NULL) {
        list_add_tail(&c->ready, &chunk_new(c, chunk)->node);
        c->ready_count++;
        some = true;
    }
    if (some)
        tell(c);
    lock_leave(&c->handle.lock);
    if (some && was_empty && c->hooks.ready != NULL)
        c->hooks.ready(c->hooks.ctx);
}

static void told_ready(void *ctx)
{
    refill(ctx);
}

/* Only now may the message be posted again: told_ready refills while it is under way. */
static void refill_asked(struct io *io, struct io_message *m)
{
    struct mr_consumer *c = container_of(m, struct mr_consumer, refill);

    lock_take(&c->handle.lock);
    c->refilling = false;
    lock_leave(&c->handle.lock);
    refill(c);
}

static bool is_of(const struct mr_chunk *k, struct consumer_partition p)
{
    return k->chunk->partition == p.partition && str_equal(k->chunk->topic, p.topic);
}

void consumer_purge(struct mr_consumer *c, struct consumer_partition p)
{
    struct list purged = LIST_INIT(purged);

    lock_take(&c->handle.lock);
    LIST_EACH(it, &c->ready) {
        struct mr_chunk *k = container_of(it, struct mr_chunk, node);
        if (!is_of(k, p))
            continue;
        list_remove(&k->node);
        list_add_tail(&purged, &k->node);
        c->ready_count--;
    }
    lock_leave(&c->handle.lock);
    if (!list_empty(&purged))
        consumer_tell_again(c->consumer); /* nobody may be left who asks for more by taking one */
    for (struct list *node; (node = list_take_head(&purged)) != NULL;) {
        struct mr_chunk *k = container_of(node, struct mr_chunk, node);
        consumer_chunk_release(k->chunk, k->chunk->first);
        free(k);
    }
}

/* An event, until somebody polls. */
struct queued {
    struct list node;
    struct mr_event event;
    uint64_t consent; /* 0 = none is wanted */
    /* struct mr_partition partitions[], then their names */
};

static struct queued *queued_new(const struct consumer_event *e)
{
    static const enum mr_event_kind kinds[] = {
        [CONSUMER_REVOKED] = MR_REVOKED,
        [CONSUMER_ASSIGNED] = MR_ASSIGNED,
        [CONSUMER_LOST] = MR_LOST,
        [CONSUMER_PARTITION_ERROR] = MR_PARTITION_ERROR,
        [CONSUMER_GROUP_ERROR] = MR_GROUP_ERROR,
    };
    struct queued *q = calloc(1, sizeof *q);

    ASSERT(q != NULL);
    q->event.kind = kinds[e->kind];
    q->event.count = e->count;
    q->event.partitions = partitions_copy(e->partitions, e->count);
    ASSERT(q->event.partitions != NULL);
    q->consent = e->consent;
    consumer_error_of(&e->error, &q->event.error);
    return q;
}

static void queued_free(struct queued *q)
{
    free((void *)(uintptr_t)q->event.partitions);
    free(q);
}

static void told_event(void *ctx, const struct consumer_event *e)
{
    struct mr_consumer *c = ctx;

    if (e->kind == CONSUMER_REVOKED || e->kind == CONSUMER_LOST) {
        for (uint32_t i = 0; i < e->count; i++)
            consumer_purge(c, e->partitions[i]);
    }
    lock_take(&c->handle.lock);
    list_add_tail(&c->events, &queued_new(e)->node);
    tell(c);
    lock_leave(&c->handle.lock);
    if (c->hooks.ready != NULL)
        c->hooks.ready(c->hooks.ctx);
}

static void polled_arrived(struct io *io, struct io_message *m)
{
    struct mr_consumer *c = container_of(m, struct mr_consumer, polled);

    lock_take(&c->handle.lock);
    c->polled_posted = false;
    lock_leave(&c->handle.lock);
    consumer_polled(c->consumer);
}

/* ---- poll --------------------------------------------------------------------------------------- */

static void consent_begin(struct job *j)
{
    struct consumer_job *job = container_of(j, struct consumer_job, job);

    consumer_consent(job->c->consumer, job->consent);
    job_done(j, 0);
}

/* Posted, not waited for: what the caller has released before comes first. */
static void consent(struct mr_consumer *c, uint64_t number)
{
    struct consumer_job *j = job_new(c->handle.loop, sizeof *j, consent_begin);

    ASSERT(j != NULL);
    j->c = c;
    j->consent = number;
    job_start(&j->job);
}

/* The group takes for dead who does not poll. With the lock held. */
static void say_polled(struct mr_consumer *c)
{
    int64_t now_ms = clock_ms();

    if (c->polled_posted || now_ms < c->polled_ms + POLLED_MS)
        return;
    c->polled_posted = true;
    c->polled_ms = now_ms;
    io_epoll_post(c->handle.loop->world, 0, &c->polled);
}

static int tell_event(struct mr_consumer *c, struct queued *q, struct mr_error *e)
{
    int rc = 0;

    if (c->hooks.event != NULL) {
        c->hooks.event(c->hooks.ctx, c, &q->event);
    } else if (q->event.error.code != MR_OK) {
        rc = q->event.error.code;
        if (e != NULL)
            *e = q->event.error;
    }
    if (q->consent != 0)
        consent(c, q->consent);
    queued_free(q);
    return rc;
}

/* With the lock held: a chunk, or NULL. */
static struct mr_chunk *take_chunk(struct mr_consumer *c)
{
    struct list *node = list_take_head(&c->ready);

    if (node == NULL)
        return NULL;
    c->ready_count--;
    if (c->ready_count <= READY_LOW && !c->refilling) {
        c->refilling = true;
        io_epoll_post(c->handle.loop->world, 0, &c->refill);
    }
    return container_of(node, struct mr_chunk, node);
}

/* Wait for a change, with the lock held. False: the time is up. */
static bool wait_more(struct mr_consumer *c, int64_t until_ms)
{
    int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_ms();

    if (until_ms >= 0 && left_ms <= 0)
        return false;
    if (c->handle.loop->is_own) {
        (void)changed_wait(&c->handle.changed, &c->handle.lock, until_ms);
        return true;
    }
    lock_leave(&c->handle.lock);
    mr_loop_run(c->handle.loop, left_ms, NULL);
    lock_take(&c->handle.lock);
    return true;
}

int mr_poll(struct mr_consumer *c, int64_t timeout_ms, struct mr_chunk **out, struct mr_error *e)
{
    int64_t until_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
    struct mr_chunk *k = NULL;
    struct list *event;
    int rc = 0;

    TRY(handle_check_wait(&c->handle, timeout_ms, e));
    lock_take(&c->handle.lock);
    do {
        say_polled(c);
        event = list_take_head(&c->events);
        if (event != NULL) {
            lock_leave(&c->handle.lock);
            rc = tell_event(c, container_of(event, struct queued, node), e);
            lock_take(&c->handle.lock);
        }
    } while (rc == 0 && (event != NULL || ((k = take_chunk(c)) == NULL && wait_more(c, until_ms))));
    lock_leave(&c->handle.lock);
    if (rc < 0 || k == NULL)
        return rc;
    *out = k;
    return 1;
}

/* ---- open and close ------------------------------------------------------------------------------- */

struct open_job {
    struct job job;
    struct mr_consumer *c;
    const struct config *config;
    struct fail fail;
};

static void open_begin(struct job *j)
{
    struct open_job *o = container_of(j, struct open_job, job);
    struct mr_consumer *c = o->c;
    struct mr_loop *l = c->handle.loop;
    struct consumer_settings settings;
    const struct consumer_hooks hooks = {.event = told_event, .ready = told_ready, .ctx = c};
    int rc = consumer_settings_read(o->config, &settings, &o->fail);

    settings.rebalance_wait = true; /* revocations happen while somebody polls */
    if (rc == 0)
        c->consumer = consumer_new(l->io, l->telemetry, &settings, &hooks, &o->fail);
    if (c->consumer == NULL && o->fail.error == 0)
        fail_set(&o->fail, -ENOMEM, "no memory for a consumer");
    job_done(j, o->fail.error);
}

static int open_on_loop(struct mr_consumer *c, const struct config *config, struct mr_error *e)
{
    struct open_job *o = job_new(c->handle.loop, sizeof *o, open_begin);

    if (o == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_consumer_open");
    o->c = c;
    o->config = config;
    job_run(&o->job, -1);
    int rc = o->job.result < 0 ? error_fail(e, &o->fail) : 0;
    free(o);
    return rc;
}

struct mr_consumer *mr_consumer_open(const struct mr_settings *s, const struct mr_consumer_hooks *hooks,
                                     struct mr_loop *loop, struct mr_error *e)
{
    struct config *config = settings_config(s, &consumer_settings, e);
    struct mr_consumer *c = config == NULL ? NULL : calloc(1, sizeof *c);

    if (c == NULL || handle_init(&c->handle, loop, e) < 0) {
        free(c);
        config_free(config);
        return NULL;
    }
    if (hooks != NULL)
        c->hooks = *hooks;
    list_init(&c->ready);
    list_init(&c->events);
    c->refill.run = refill_asked;
    c->polled.run = polled_arrived;
    int rc = open_on_loop(c, config, e);
    config_free(config);
    if (rc == 0)
        return c;
    handle_deinit(&c->handle);
    free(c);
    return NULL;
}

static void close_begin(struct job *j)
{
    struct consumer_job *job = container_of(j, struct consumer_job, job);
    struct mr_consumer *c = job->c;

    for (struct list *node; (node = list_take_head(&c->ready)) != NULL;) {
        struct mr_chunk *k = container_of(node, struct mr_chunk, node);
        consumer_chunk_release(k->chunk, k->chunk->first);
        free(k);
    }
    c->ready_count = READY_MAX; /* no more is taken */
    consumer_close(c->consumer, job->timeout_ms < 0 ? INT32_MAX : job->timeout_ms, &j->op);
}

int mr_consumer_close(struct mr_consumer *c, int64_t timeout_ms, struct mr_error *e)
{
    if (c == NULL)
        return 0;
    TRY(handle_check(&c->handle, e));
    if (loop_is_here(c->handle.loop))
        return error_set(e, MR_INVALID, MR_REPAIR, true, "a hook must not close its handle");
    struct consumer_job *j = job_new(c->handle.loop, sizeof *j, close_begin);
    if (j == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_consumer_close");
    j->c = c;
    j->timeout_ms = timeout_ms;
    job_run(&j->job, -1); /* its own deadline ends it */
    int64_t result = j->job.result;
    free(j);
    for (struct list *node; (node = list_take_head(&c->events)) != NULL;)
        queued_free(container_of(node, struct queued, node));
    handle_deinit(&c->handle);
    free(c);
    if (result == -EIO)
        return error_set(e, MR_BROKER, MR_CLOSE, false,
                         "the last commit was refused, or left out because the group was joined anew in this moment: the "
                         "group reads again what was done since the one before");
    return result < 0 ? error_of_end(e, (int)result, "mr_consumer_close") : 0;
}
