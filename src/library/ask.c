/* What is asked of a consumer, on the loop's thread: subscriptions, positions, offsets. */
#include <stdio.h>
#include <stdlib.h>

#include "library/consumer.h"

/* ---- acts: done at once ---------------------------------------------------------------------------- */

struct act {
    struct job job;
    struct mr_consumer *c;
    int (*run)(struct act *a);     /* on the loop's thread */
    struct fail fail;
    const struct consumer_partition *partitions;
    const struct str *topics;
    uint32_t count;
    struct consumer_partition partition;
    int64_t number;
    bool (*wants)(void *ctx, const char *topic);
    void *ctx;
    void *out;
};

static void act_begin(struct job *j)
{
    struct act *a = container_of(j, struct act, job);

    job_done(j, a->run(a));
}

/* Runs `what` on the loop's thread, or here if this is it. */
static int act_run(const struct act *what, const char *name, struct mr_error *e)
{
    TRY(handle_check(&what->c->handle, e));
    struct act *a = job_new(what->c->handle.loop, sizeof *a, act_begin);
    if (a == NULL)
        return error_of_trouble(e, -ENOMEM, name);
    struct job job = a->job;
    *a = *what;
    a->job = job;
    if (loop_is_here(what->c->handle.loop))
        a->job.result = a->run(a);
    else
        job_run(&a->job, -1);
    int rc = (int)a->job.result;
    if (rc < 0)
        rc = a->fail.error < 0 ? error_fail(e, &a->fail) : error_of_trouble(e, rc, name);
    free(a);
    return rc;
}

static struct consumer_partition partition_of(struct mr_partition p)
{
    return (struct consumer_partition){str_of(p.topic), p.partition};
}

/* ---- what is to be read ------------------------------------------------------------------------------ */

static int subscribe_run(struct act *a)
{
    return consumer_subscribe(a->c->consumer, a->topics, a->count, &a->fail);
}

int mr_subscribe(struct mr_consumer *c, const char *const *topics, uint32_t count, struct mr_error *e)
{
    struct str *names = calloc(count + 1u, sizeof *names);

    if (names == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_subscribe");
    for (uint32_t i = 0; i < count; i++)
        names[i] = str_of(topics[i]);
    int rc = act_run(&(struct act){.c = c, .run = subscribe_run, .topics = names, .count = count}, "mr_subscribe", e);
    free(names);
    return rc;
}

/* The consumer's names are not terminated. */
static bool wants_topic(void *ctx, struct str topic)
{
    struct mr_consumer *c = ctx;
    char *name = str_dup(topic);
    bool wants = c->wants(c->wants_ctx, name);

    free(name);
    return wants;
}

static int matching_run(struct act *a)
{
    a->c->wants = a->wants;
    a->c->wants_ctx = a->ctx;
    return consumer_subscribe_matching(a->c->consumer, wants_topic, a->c, &a->fail);
}

int mr_subscribe_matching(struct mr_consumer *c, bool (*wants)(void *ctx, const char *topic), void *ctx,
                          struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = matching_run, .wants = wants, .ctx = ctx}, "mr_subscribe_matching", e);
}

static int unsubscribe_run(struct act *a)
{
    consumer_unsubscribe(a->c->consumer);
    return 0;
}

int mr_unsubscribe(struct mr_consumer *c, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = unsubscribe_run}, "mr_unsubscribe", e);
}

/* What was read of partitions that are no longer assigned is not to be polled. */
static int assign_run(struct act *a)
{
    uint32_t count;
    const struct consumer_partition *before = consumer_assignment(a->c->consumer, &count);

    for (uint32_t i = 0; i < count; i++) {
        bool stays = false;
        for (uint32_t k = 0; k < a->count && !stays; k++)
            stays = a->partitions[k].partition == before[i].partition &&
                    str_equal(a->partitions[k].topic, before[i].topic);
        if (!stays)
            consumer_purge(a->c, before[i]);
    }
    return consumer_assign(a->c->consumer, a->partitions, a->count, &a->fail);
}

int mr_assign(struct mr_consumer *c, const struct mr_partition *partitions, uint32_t count, struct mr_error *e)
{
    struct consumer_partition *copies = calloc(count + 1u, sizeof *copies);

    if (copies == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_assign");
    for (uint32_t i = 0; i < count; i++)
        copies[i] = partition_of(partitions[i]);
    int rc = act_run(&(struct act){.c = c, .run = assign_run, .partitions = copies, .count = count}, "mr_assign", e);
    free(copies);
    return rc;
}

/* ---- positions ----------------------------------------------------------------------------------------- */

static int seek_run(struct act *a)
{
    consumer_purge(a->c, a->partition);
    return consumer_seek(a->c->consumer, a->partition, a->number, -1);
}

int mr_seek(struct mr_consumer *c, struct mr_partition p, int64_t offset, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = seek_run, .partition = partition_of(p), .number = offset}, "mr_seek", e);
}

static int seek_time_run(struct act *a)
{
    consumer_purge(a->c, a->partition);
    return consumer_seek_time(a->c->consumer, a->partition, a->number);
}

int mr_seek_time(struct mr_consumer *c, struct mr_partition p, int64_t timestamp_ms, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = seek_time_run, .partition = partition_of(p), .number = timestamp_ms},
                   "mr_seek_time", e);
}

static int pause_run(struct act *a)
{
    return consumer_pause(a->c->consumer, a->partition);
}

int mr_pause(struct mr_consumer *c, struct mr_partition p, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = pause_run, .partition = partition_of(p)}, "mr_pause", e);
}

static int resume_run(struct act *a)
{
    return consumer_resume(a->c->consumer, a->partition);
}

int mr_resume(struct mr_consumer *c, struct mr_partition p, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = resume_run, .partition = partition_of(p)}, "mr_resume", e);
}

static int place_run(struct act *a)
{
    struct consumer_place place;
    struct mr_place *out = a->out;

    TRY(consumer_place(a->c->consumer, a->partition, &place));
    *out = (struct mr_place){
        .position = place.position,
        .committed = place.committed,
        .high_watermark = place.high_watermark,
        .log_start = place.log_start,
        .paused = place.paused,
    };
    memcpy(out->why_not, place.why_not, sizeof out->why_not);
    return 0;
}

int mr_place(struct mr_consumer *c, struct mr_partition p, struct mr_place *out, struct mr_error *e)
{
    return act_run(&(struct act){.c = c, .run = place_run, .partition = partition_of(p), .out = out}, "mr_place", e);
}

struct mr_partition *partitions_copy(const struct consumer_partition *partitions, uint32_t count)
{
    size_t bytes = sizeof(struct mr_partition);

    for (uint32_t i = 0; i < count; i++)
        bytes += sizeof(struct mr_partition) + (size_t)partitions[i].topic.n + 1;
    struct mr_partition *copies = calloc(1, bytes);
    char *names = (char *)(copies + count);
    for (uint32_t i = 0; copies != NULL && i < count; i++) {
        copies[i] = (struct mr_partition){names, partitions[i].partition};
        memcpy(names, partitions[i].topic.p, (size_t)partitions[i].topic.n);
        names += partitions[i].topic.n + 1;
    }
    return copies;
}

static int assignment_run(struct act *a)
{
    uint32_t count;
    const struct consumer_partition *assigned = consumer_assignment(a->c->consumer, &count);
    struct mr_partition **out = a->out;

    *out = partitions_copy(assigned, count);
    return *out == NULL ? -ENOMEM : (int)count;
}

int mr_assignment(struct mr_consumer *c, struct mr_partition **out, uint32_t *count, struct mr_error *e)
{
    int rc = act_run(&(struct act){.c = c, .run = assignment_run, .out = out}, "mr_assignment", e);

    if (rc < 0)
        return rc;
    *count = (uint32_t)rc;
    return 0;
}

void mr_partitions_free(struct mr_partition *partitions)
{
    free(partitions);
}

static int health_run(struct act *a)
{
    static const enum mr_state states[] = {[CONSUMER_IDLE] = MR_IDLE, [CONSUMER_JOINING] = MR_JOINING,
                                           [CONSUMER_READING] = MR_UP, [CONSUMER_FAILED] = MR_FAILED};
    struct consumer_health h;
    struct mr_health *out = a->out;

    consumer_health(a->c->consumer, &h);
    health_of(&h.cluster, io_now_ns(a->c->handle.loop->io), out);
    if (h.cluster.state == CLIENT_UP || h.state == CONSUMER_FAILED)
        out->state = (int32_t)states[h.state];
    if (h.reason[0] != '\0')
        memcpy(out->reason, h.reason, sizeof out->reason);
    return 0;
}

void mr_consumer_health(struct mr_consumer *c, struct mr_health *out)
{
    *out = (struct mr_health){.state = MR_FAILED};
    (void)act_run(&(struct act){.c = c, .run = health_run, .out = out}, "mr_consumer_health", NULL);
}

/* ---- offsets: asked of brokers --------------------------------------------------------------------------- */

struct offsets_job {
    struct job job;
    struct mr_consumer *c;
    struct consumer_call call;
    void (*ask)(struct consumer *c, struct consumer_call *call);
};

static void offsets_done(struct op *op, int64_t result)
{
    struct offsets_job *o = container_of(op, struct offsets_job, call.op);

    job_done(&o->job, result);
}

static void offsets_begin(struct job *j)
{
    struct offsets_job *o = container_of(j, struct offsets_job, job);

    op_init(&o->call.op, offsets_done);
    o->ask(o->c->consumer, &o->call);
}

static void offset_to(const struct mr_offset *from, struct consumer_offset *to)
{
    *to = (struct consumer_offset){
        .partition = {str_of(from->topic), from->partition},
        .offset = from->offset,
        .leader_epoch = -1,
        .metadata = STR_NULL,
        .timestamp_ms = from->timestamp_ms,
    };
}

static void offset_back(const struct consumer_offset *from, struct mr_offset *to)
{
    to->offset = from->offset;
    to->timestamp_ms = from->timestamp_ms;
    consumer_error_of(&from->error, &to->error);
}

static int offsets_result(const struct offsets_job *o, const char *name, struct mr_error *e)
{
    struct mr_error error;
    int64_t result = o->job.result;

    if (result >= 0)
        return 0;
    consumer_error_of(&o->call.error, &error);
    if (error.code == MR_OK && result == -EIO)
        return error_set(e, MR_BROKER, MR_RETRY, false, "%s: some partitions have failed: their errors say why", name);
    if (error.code == MR_OK)
        return error_of_trouble(e, (int)result, name);
    if (e != NULL)
        *e = error;
    return error.code;
}

static int offsets_ask(struct mr_consumer *c, void (*ask)(struct consumer *c, struct consumer_call *call),
                       struct mr_offset *offsets, uint32_t count, int64_t timeout_ms, const char *name,
                       struct mr_error *e)
{
    TRY(handle_check_wait(&c->handle, -1, e));
    struct offsets_job *o = job_new(c->handle.loop, sizeof *o, offsets_begin);
    struct consumer_offset *asked = calloc(count + 1u, sizeof *asked);
    if (o == NULL || asked == NULL) {
        free(o);
        free(asked);
        return error_of_trouble(e, -ENOMEM, name);
    }
    for (uint32_t i = 0; i < count; i++)
        offset_to(&offsets[i], &asked[i]);
    o->c = c;
    o->ask = ask;
    o->call.offsets = asked;
    o->call.count = count;
    o->call.timeout_ms = timeout_ms < 0 ? INT32_MAX : timeout_ms == 0 ? 1 : timeout_ms;
    job_run(&o->job, -1); /* the call has a limit of its own */
    for (uint32_t i = 0; i < count; i++)
        offset_back(&asked[i], &offsets[i]);
    int rc = offsets_result(o, name, e);
    free(asked);
    free(o);
    return rc;
}

int mr_commit(struct mr_consumer *c, int64_t timeout_ms, struct mr_error *e)
{
    TRY(handle_check_wait(&c->handle, timeout_ms, e));
    struct offsets_job *o = job_new(c->handle.loop, sizeof *o, offsets_begin);

    if (o == NULL)
        return error_of_trouble(e, -ENOMEM, "mr_commit");
    o->c = c;
    o->ask = consumer_commit;
    o->call.timeout_ms = timeout_ms > 0 ? timeout_ms : 0;
    if (timeout_ms == 0) {
        job_start(&o->job);
        return 0;
    }
    job_run(&o->job, -1);
    int rc = offsets_result(o, "mr_commit", e);
    free(o);
    return rc;
}

int mr_commit_offsets(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                      struct mr_error *e)
{
    return count == 0 ? 0 : offsets_ask(c, consumer_commit, offsets, count, timeout_ms, "mr_commit_offsets", e);
}

int mr_committed(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                 struct mr_error *e)
{
    return offsets_ask(c, consumer_committed, offsets, count, timeout_ms, "mr_committed", e);
}

int mr_offsets_for_times(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                         struct mr_error *e)
{
    return offsets_ask(c, consumer_offsets_for, offsets, count, timeout_ms, "mr_offsets_for_times", e);
}
