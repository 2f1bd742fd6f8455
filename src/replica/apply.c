/* Make the shard's replicas what an image says: what is missing, changed or gone is found at once;
 * then each has its work (work.c), several side by side. What goes, goes before anything comes: a
 * new topic may bear an old one's name, and its logs then lie in directories of the same name.
 */
#include "replica/internal.h"

#include <stdlib.h>

/* Logs that are opened, closed or deleted side by side: enough to keep the disk busy, few enough
 * that the io pool serves others in between. */
#define WORKERS_MAX 32

struct apply {
    struct replicas *rs;
    const struct image *image;
    bool removes_only;
    bool first;                /* no image was applied before */
    bool closes;               /* replicas_close */
    struct list going, coming; /* struct work that has not begun */
    bool gone;                 /* all that goes is gone */
    uint32_t running;
    int64_t result;            /* of the first that failed */
    struct op begin;
    struct op *waiter;
};

const struct image *work_image(const struct work *w)
{
    return w->apply->image;
}

bool work_is_first(const struct work *w)
{
    return w->apply->first;
}

struct replicas *work_set(const struct work *w)
{
    return w->apply->rs;
}

static struct work *add_work(struct apply *a, enum work_kind kind, struct replica *r)
{
    struct work *w = calloc(1, sizeof *w);
    bool comes = kind == WORK_OPEN || kind == WORK_CHANGE;

    ASSERT(w != NULL);
    w->apply = a;
    w->kind = kind;
    w->replica = r;
    if (r != NULL)
        replica_hold(r);
    list_add_tail(comes ? &a->coming : &a->going, &w->node);
    return w;
}

static struct work *next_work(struct apply *a)
{
    struct list *node = list_take_head(&a->going);

    if (node == NULL && !a->gone && a->running > 0)
        return NULL;
    if (node == NULL) {
        a->gone = true;
        node = list_take_head(&a->coming);
    }
    return node == NULL ? NULL : container_of(node, struct work, node);
}

static void finish(struct apply *a)
{
    struct replicas *rs = a->rs;
    struct op *waiter = a->waiter;
    int64_t result = a->result;

    if (a->closes && rs->asides > 0) {
        rs->asides_waiter = a;
        return;
    }
    rs->applying = false;
    free(a);
    fetchers_go_on(rs);
    waiter->done(waiter, result);
}

void apply_go_on(struct apply *a)
{
    finish(a);
}

static void start_more(struct apply *a)
{
    struct work *w;

    while (a->running < WORKERS_MAX && (w = next_work(a)) != NULL) {
        a->running++;
        work_start(w);
    }
    if (a->running == 0)
        finish(a);
}

void work_finished(struct work *w, int64_t result)
{
    struct apply *a = w->apply;

    if (result < 0 && a->result == 0)
        a->result = result;
    if (w->replica != NULL)
        replica_release(w->replica);
    free(w->from);
    free(w->to);
    free(w);
    a->running--;
    start_more(a);
}

static void begin_done(struct op *op, int64_t result)
{
    start_more(container_of(op, struct apply, begin));
}

static struct apply *apply_new(struct replicas *rs, const struct image *image, struct op *waiter)
{
    struct apply *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    ASSERT(!rs->applying);
    rs->applying = true;
    a->rs = rs;
    a->image = image;
    a->waiter = waiter;
    list_init(&a->going);
    list_init(&a->coming);
    return a;
}

/* In the next turn, also when there is nothing to do: the waiter never completes inside the
 * call. */
static void apply_begin(struct apply *a)
{
    op_init(&a->begin, begin_done);
    io_yield(a->rs->options.io, &a->begin);
}

/* ---- what differs --------------------------------------------------------------------------- */

static bool is_ours(const struct replicas *rs, const struct image_topic *topic, int32_t partition)
{
    const struct image_partition *p = &topic->partitions[partition];
    const struct io *io = rs->options.io;

    if (replica_shard(topic->id, partition, io_shard_count(io)) != io_shard(io))
        return false;
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == rs->options.node_id)
            return true;
    }
    return false;
}

static bool is_internal(struct str topic)
{
    return str_equal(topic, STR("__consumer_offsets")) ||
           str_equal(topic, STR("__transaction_state")) ||
           str_equal(topic, STR("__share_group_state"));
}

static struct replica *make(struct replicas *rs, const struct image_topic *topic, int32_t partition)
{
    struct replica *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    r->set = rs;
    r->topic = str_dup(topic->name);
    r->topic_id = topic->id;
    r->partition = partition;
    r->holds = 1;
    r->internal = is_internal(topic->name);
    list_init(&r->committed_waits);
    list_init(&r->stable_waits);
    list_init(&r->watches);
    list_init(&r->follower_watches);
    list_init(&r->ready);
    list_init(&r->acknowledged);
    list_init(&r->refused);
    list_init(&r->missed);
    map_add(&rs->by_id, &r->node, replica_hash(topic->id, partition));
    return r;
}

static void partition_changed(struct apply *a, const struct image_topic *topic, int32_t partition)
{
    struct replica *r = replica_lookup(a->rs, topic->id, partition);
    bool ours = is_ours(a->rs, topic, partition);

    if (r != NULL && !ours)
        add_work(a, WORK_DELETE, r);
    if (!ours || a->removes_only)
        return;
    if (r == NULL)
        add_work(a, WORK_OPEN, make(a->rs, topic, partition));
    else
        add_work(a, WORK_CHANGE, r);
}

static void topic_gone(struct apply *a, const struct image_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct replica *r = replica_lookup(a->rs, topic->id, i);
        if (r != NULL)
            add_work(a, WORK_DELETE, r);
    }
}

static void topic_changed(void *ctx, const struct image_topic *before,
                          const struct image_topic *after)
{
    struct apply *a = ctx;

    /* A topic of the same name and another id is another topic. */
    if (before != NULL && (after == NULL || !uuid_equal(before->id, after->id)))
        topic_gone(a, before);
    for (int32_t i = 0; after != NULL && i < after->partition_count; i++)
        partition_changed(a, after, i);
}

/* Two directories of one partition, `e` and its twin: a crash at the end of a move leaves them, with the same bytes. The
 * one that the metadata names is right; where it names neither, that cannot be told. */
static void twins_find(struct apply *a, struct existing *e, const struct image_partition *p)
{
    struct replicas *rs = a->rs;
    struct existing *twin = e->twin;
    struct uuid named = replica_assigned_to(rs, p);

    if (uuid_equal(named, twin->dir->directory_id)) {
        add_work(a, WORK_STRAY, NULL)->existing = e;
        return;
    }
    if (uuid_equal(named, e->dir->directory_id)) {
        existing_replace(rs, twin, e);
        add_work(a, WORK_STRAY, NULL)->existing = twin;
        return;
    }
    if (a->removes_only)
        return;
    say(rs->options.telemetry, LOG_ERROR, "replica",
        "%s/%s and %s/%s are the same partition: move one of them out of the log directories", twin->dir->path,
        twin->found->name, e->dir->path, e->found->name);
    a->result = -EEXIST;
}

/* Directories of partitions that the metadata does not give to this node: as a Kafka broker at its
 * start, set them aside instead of serving or deleting what may still be wanted. */
static void strays_find(struct apply *a)
{
    struct replicas *rs = a->rs;

    for (uint32_t i = 0; i < rs->existing_count; i++) {
        struct existing *e = &rs->existing[i];
        const struct image_topic *topic = image_topic_by_id(a->image, e->found->topic_id);
        bool ours = topic != NULL && e->found->partition < topic->partition_count &&
                    is_ours(rs, topic, e->found->partition);
        if (e->settled || !log_dir_is_online(e->dir))
            continue;
        if (!ours)
            add_work(a, WORK_STRAY, NULL)->existing = e;
        else if (e->twin != NULL && !e->twin->settled)
            twins_find(a, e, &topic->partitions[e->found->partition]);
    }
}

static void find_and_begin(struct apply *a, const struct image *before)
{
    a->first = before == NULL;
    if (before == NULL) {
        const struct image *empty = image_empty();
        image_topics_changed(empty, a->image, topic_changed, a);
        image_unref(empty);
        strays_find(a);
    } else {
        image_topics_changed(before, a->image, topic_changed, a);
    }
    apply_begin(a);
}

void replicas_remove(struct replicas *rs, const struct image *before, const struct image *after,
                     struct op *op)
{
    struct apply *a = apply_new(rs, after, op);

    a->removes_only = true;
    find_and_begin(a, before);
}

void replicas_apply(struct replicas *rs, const struct image *before, const struct image *after,
                    struct op *op)
{
    struct apply *a = apply_new(rs, image_ref(after), op);

    image_unref(rs->image);
    rs->image = after;
    leaders_see_brokers(rs, before);
    fetchers_tell_nodes(rs, before, after);
    find_and_begin(a, before);
}

void replicas_close(struct replicas *rs, struct op *op)
{
    struct apply *a = apply_new(rs, NULL, op);

    a->closes = true;
    fetchers_close(rs);
    image_unref(rs->image);
    rs->image = NULL;
    MAP_EACH(node, &rs->by_id)
        add_work(a, WORK_CLOSE, container_of(node, struct replica, node));
    apply_begin(a);
}
