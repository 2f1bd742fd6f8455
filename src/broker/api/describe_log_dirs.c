/* DescribeLogDirs (key 35): what lies in each log directory, and how much room it has (KIP-113, KIP-827).
 *
 *   every shard: its replicas, or those that were asked for ─► sorted by directory, topic, partition
 *   ─► the space of one directory after another ─► answer
 *
 * As in Kafka the metadata log is not among them, and a directory that has failed has only its error.
 */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/scatter.h"
#include "protocol/describe_log_dirs.h"

/* One log in a directory. */
struct log_entry {
    const struct log_dir *dir;
    struct str topic;
    int32_t partition;
    int64_t size_bytes, lag;
    bool is_future;
};

/* One partition that was asked for. */
struct asked {
    struct uuid topic_id;
    int32_t partition;
};

/* What a shard found; in its part's arena. */
struct found {
    struct arena *arena;
    struct log_entry *entries;
    uint32_t count, capacity;
};

struct describing {
    struct flow flow;
    struct request *request;
    struct log_entry *entries; /* of all shards, sorted */
    uint32_t count, at;
    uint32_t dir;
    struct io_space space;
};

/* ---- on every shard -------------------------------------------------------------------------- */

static struct log_entry *add(struct found *f)
{
    if (f->count == f->capacity) {
        uint32_t capacity = f->capacity == 0 ? 16 : f->capacity * 2;
        struct log_entry *grown = arena_take_array(f->arena, capacity, sizeof *grown);
        if (f->count > 0)
            memcpy(grown, f->entries, f->count * sizeof *grown);
        f->entries = grown;
        f->capacity = capacity;
    }
    return &f->entries[f->count++];
}

static void add_future(struct found *f, const struct replica *r)
{
    const struct log_dir *dir;
    const struct log *log = replica_future(r, &dir);

    if (log == NULL)
        return;
    *add(f) = (struct log_entry){
        .dir = dir,
        .topic = arena_str(f->arena, replica_topic(r)),
        .partition = replica_partition(r),
        .size_bytes = (int64_t)log_size_bytes(log),
        .lag = log_end(replica_log(r)) - log_end(log),
        .is_future = true,
    };
}

static void add_replica(void *ctx, struct replica *r)
{
    struct found *f = ctx;
    int64_t lag = replica_high_watermark(r) - log_end(replica_log(r));

    add_future(f, r);
    *add(f) = (struct log_entry){
        .dir = replica_dir(r),
        .topic = arena_str(f->arena, replica_topic(r)),
        .partition = replica_partition(r),
        .size_bytes = (int64_t)log_size_bytes(replica_log(r)),
        .lag = lag < 0 ? 0 : lag,
    };
}

static void part_run(struct scatter_part *part)
{
    struct found *f = arena_take(&part->arena, sizeof *f);
    const struct describe_log_dirs_request *m = part->scatter->request->message;
    struct replicas *rs = part->shard->replicas;

    *f = (struct found){.arena = &part->arena};
    part->state = f;
    if (m->topics_count < 0)
        replicas_each(rs, add_replica, f);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct asked *a = part->items[i];
        struct replica *r = replica_find(rs, a->topic_id, a->partition);
        if (r != NULL)
            add_replica(f, r);
    }
    scatter_part_done(part);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    const struct log_entry *x = a, *y = b;
    int order = strcmp(x->dir->path, y->dir->path);

    if (order == 0)
        order = str_compare(x->topic, y->topic);
    if (order == 0)
        order = x->partition < y->partition ? -1 : x->partition > y->partition;
    return order != 0 ? order : (int)x->is_future - (int)y->is_future;
}

static void gather(struct describing *d, const struct scatter *s)
{
    uint32_t shards = s->home->broker->shard_count, total = 0;

    for (uint32_t i = 0; i < shards; i++)
        total += ((const struct found *)s->parts[i].state)->count;
    d->entries = arena_take_array(&d->request->arena, total, sizeof *d->entries);
    for (uint32_t i = 0; i < shards; i++) {
        const struct found *f = s->parts[i].state;
        if (f->count > 0)
            memcpy(d->entries + d->count, f->entries, f->count * sizeof *f->entries);
        d->count += f->count;
    }
    if (d->count > 0)
        qsort(d->entries, d->count, sizeof *d->entries, compare);
}

static bool is_same_topic(const struct log_entry *a, const struct log_entry *b)
{
    return a->dir == b->dir && str_equal(a->topic, b->topic);
}

/* Logs d->at .. end of one topic in one directory. What was asked for twice is told once. */
static void answer_topic(struct describing *d, uint32_t end, struct describe_log_dirs_response_results_topics *t)
{
    describe_log_dirs_response_results_topics_init(t);
    t->name = d->entries[d->at].topic;
    t->partitions = arena_take_array(&d->request->arena, end - d->at, sizeof *t->partitions);
    for (; d->at < end; d->at++) {
        const struct log_entry *e = &d->entries[d->at];
        if (t->partitions_count > 0 && compare(e - 1, e) == 0)
            continue;
        struct describe_log_dirs_response_results_topics_partitions *p = &t->partitions[t->partitions_count++];
        describe_log_dirs_response_results_topics_partitions_init(p);
        p->partition_index = e->partition;
        p->partition_size = e->size_bytes;
        p->offset_lag = e->lag;
        p->is_future_key = e->is_future;
    }
}

static struct describe_log_dirs_response_results *add_result(struct describing *d, const char *path)
{
    struct describe_log_dirs_response *a = d->request->response;
    struct describe_log_dirs_response_results *out = &a->results[a->results_count++];

    describe_log_dirs_response_results_init(out);
    out->log_dir = str_of(path);
    return out;
}

/* The first log of the directory; the end of the run of entries that lie in it. */
static uint32_t dir_range(struct describing *d, const struct log_dir *dir)
{
    uint32_t end;

    for (d->at = 0; d->at < d->count && d->entries[d->at].dir != dir;)
        d->at++;
    for (end = d->at; end < d->count && d->entries[end].dir == dir;)
        end++;
    return end;
}

static void answer_dir(struct describing *d)
{
    const struct broker *b = d->request->shard->broker;
    const struct log_dir *dir = b->dirs[d->dir];
    struct describe_log_dirs_response_results *out = add_result(d, b->paths[d->dir]);
    uint32_t end = dir_range(d, dir);

    if (!log_dir_is_online(dir) || d->flow.result < 0) {
        out->error_code = KERR_KAFKA_STORAGE_ERROR;
        return;
    }
    out->total_bytes = (int64_t)d->space.total_bytes;
    out->usable_bytes = (int64_t)d->space.free_bytes;
    out->topics = arena_take_array(&d->request->arena, end - d->at, sizeof *out->topics);
    while (d->at < end) {
        uint32_t next = d->at + 1;
        while (next < end && is_same_topic(&d->entries[d->at], &d->entries[next]))
            next++;
        answer_topic(d, next, &out->topics[out->topics_count++]);
    }
}

static void answer_run(struct flow *f)
{
    struct describing *d = container_of(f, struct describing, flow);
    struct request *r = d->request;
    const struct broker *b = r->shard->broker;

    FLOW_BEGIN(f);
    for (d->dir = 0; d->dir < b->dir_count; d->dir++) {
        if (log_dir_is_online(b->dirs[d->dir]))
            FLOW_WAIT(f, "ask for space", io_space(r->shard->io, b->paths[d->dir], &d->space, &f->op));
        answer_dir(d);
    }
    FLOW_END(f);
    for (d->dir = 0; d->dir < b->missing_count; d->dir++)
        add_result(d, b->missing[d->dir])->error_code = KERR_KAFKA_STORAGE_ERROR;
    request_answer(r);
}

static void joined(struct scatter *s)
{
    struct request *r = s->request;
    struct describe_log_dirs_response *a = r->response;
    struct describing *d = arena_take(&r->arena, sizeof *d);
    const struct broker *b = r->shard->broker;

    *d = (struct describing){.request = r};
    gather(d, s);
    a->results = arena_take_array(&r->arena, b->dir_count + b->missing_count, sizeof *a->results);
    flow_start(&d->flow, answer_run, NULL);
}

static void add_asked(struct scatter *s, const struct describe_log_dirs_request_topics *t)
{
    struct request *r = s->request;
    const struct image_topic *topic = image_topic_find(r->shard->image, t->topic);

    for (int32_t i = 0; topic != NULL && i < t->partitions_count; i++) {
        struct asked *a = arena_take(&r->arena, sizeof *a);
        *a = (struct asked){topic->id, t->partitions[i]};
        scatter_add(s, shard_of(r->shard->broker, topic->id, t->partitions[i]), a);
    }
}

void describe_log_dirs_handle(struct request *r)
{
    const struct describe_log_dirs_request *m = r->message;
    struct describe_log_dirs_response *a = r->response;

    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, STR("kafka-cluster"))) {
        a->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
        request_answer(r);
        return;
    }
    struct scatter *s = scatter_new(r, part_run, joined);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_asked(s, &m->topics[i]);
    scatter_everywhere(s);
    scatter_run(s);
}
