/* The set of a shard's replicas. */
#include "replica/internal.h"

#include <stdlib.h>

struct replica_key {
    struct uuid topic_id;
    int32_t partition;
};

static bool key_equal(const struct map_node *node, const void *key)
{
    const struct replica *r = container_of(node, const struct replica, node);
    const struct replica_key *k = key;

    return r->partition == k->partition && uuid_equal(r->topic_id, k->topic_id);
}

static bool existing_equal(const struct map_node *node, const void *key)
{
    const struct log_found *found = container_of(node, const struct existing, node)->found;
    const struct replica_key *k = key;

    return found->partition == k->partition && uuid_equal(found->topic_id, k->topic_id);
}

struct existing *existing_find(const struct replicas *rs, struct uuid topic_id, int32_t partition)
{
    struct replica_key key = {topic_id, partition};
    struct map_node *node =
        map_find(&rs->existing_by_id, replica_hash(topic_id, partition), &key);

    return node == NULL ? NULL : container_of(node, struct existing, node);
}

void existing_settle(struct replicas *rs, struct existing *e)
{
    e->settled = true;
    if (e->mapped)
        map_remove(&rs->existing_by_id, &e->node);
}

void existing_replace(struct replicas *rs, struct existing *e, struct existing *by)
{
    map_remove(&rs->existing_by_id, &e->node);
    e->mapped = false;
    map_add(&rs->existing_by_id, &by->node, replica_hash(by->found->topic_id, by->found->partition));
    by->mapped = true;
    by->twin = NULL;
}

/* There are few: those that a crash has left. */
struct existing *existing_future(const struct replicas *rs, struct uuid topic_id, int32_t partition)
{
    for (uint32_t i = 0; rs->futures > 0 && i < rs->existing_count; i++) {
        struct existing *e = &rs->existing[i];
        if (e->is_future && !e->settled && e->found->partition == partition &&
            uuid_equal(e->found->topic_id, topic_id))
            return e;
    }
    return NULL;
}

static void existing_add(struct replicas *rs, struct log_dir *dir, const struct log_found *found)
{
    struct existing *e = &rs->existing[rs->existing_count];
    const struct io *io = rs->options.io;

    if (replica_shard(found->topic_id, found->partition, io_shard_count(io)) != io_shard(io))
        return;
    *e = (struct existing){.dir = dir, .found = found, .is_future = found->is_future};
    if (e->is_future) {
        rs->futures++;
        rs->existing_count++;
        return;
    }
    e->twin = existing_find(rs, found->topic_id, found->partition);
    e->mapped = e->twin == NULL && !uuid_is_zero(found->topic_id);
    if (e->mapped)
        map_add(&rs->existing_by_id, &e->node, replica_hash(found->topic_id, found->partition));
    rs->existing_count++;
}

static void existing_gather(struct replicas *rs)
{
    uint32_t most = 1;

    for (uint32_t d = 0; d < rs->options.dir_count; d++)
        most += rs->options.dirs[d]->found_count;
    rs->existing = calloc(most, sizeof *rs->existing);
    ASSERT(rs->existing != NULL);
    for (uint32_t d = 0; d < rs->options.dir_count; d++) {
        struct log_dir *dir = rs->options.dirs[d];
        for (uint32_t i = 0; i < dir->found_count; i++)
            existing_add(rs, dir, &dir->found[i]);
    }
}

struct replicas *replicas_new(const struct replicas_options *o)
{
    struct replicas *rs = calloc(1, sizeof *rs);

    ASSERT(rs != NULL);
    rs->options = *o;
    rs->broker = o->broker;
    rs->broker_epoch = -1;
    list_init(&rs->preferred);
    list_init(&rs->fetchers);
    map_init(&rs->by_id, key_equal);
    map_init(&rs->existing_by_id, existing_equal);
    existing_gather(rs);
    return rs;
}

void replicas_free(struct replicas *rs)
{
    ASSERT(rs->by_id.count == 0);
    ASSERT(!rs->applying);
    ASSERT(rs->asides == 0);
    preferred_free(rs);
    fetchers_free(rs);
    map_deinit(&rs->by_id);
    map_deinit(&rs->existing_by_id);
    free(rs->existing);
    free(rs);
}

struct replica *replica_lookup(const struct replicas *rs, struct uuid topic_id, int32_t partition)
{
    struct replica_key key = {topic_id, partition};
    struct map_node *node = map_find(&rs->by_id, replica_hash(topic_id, partition), &key);

    return node == NULL ? NULL : container_of(node, struct replica, node);
}

struct replica *replica_find(const struct replicas *rs, struct uuid topic_id, int32_t partition)
{
    struct replica *r = replica_lookup(rs, topic_id, partition);

    return r == NULL || r->log == NULL ? NULL : r; /* one that is being opened is not there yet */
}

enum kerr replica_absence(const struct replicas *rs, struct uuid topic_id, int32_t partition)
{
    const struct replica *r = replica_lookup(rs, topic_id, partition);

    return r != NULL && r->offline ? KERR_KAFKA_STORAGE_ERROR : KERR_NOT_LEADER_OR_FOLLOWER;
}

uint32_t replicas_offline(const struct replicas *rs)
{
    return rs->offline_count;
}

uint32_t replicas_count(const struct replicas *rs)
{
    return (uint32_t)rs->by_id.count;
}

struct replicas_isr_counts replicas_isr_counts(const struct replicas *rs)
{
    return rs->isr_counts;
}

void replicas_each(struct replicas *rs, void (*each)(void *ctx, struct replica *r), void *ctx)
{
    MAP_EACH(node, &rs->by_id) {
        struct replica *r = container_of(node, struct replica, node);
        if (r->log != NULL)
            each(ctx, r);
    }
}

static void add_entry(struct checkpoint *c, const struct replica *r, int64_t offset)
{
    if (c == NULL)
        return;
    checkpoint_add(c, str_of(r->topic), r->partition, offset);
}

void replicas_checkpoint(const struct replicas *rs, const struct log_dir *dir, bool closing,
                         struct checkpoint *recovery_point, struct checkpoint *log_starts,
                         struct checkpoint *high_watermark)
{
    MAP_EACH(node, &rs->by_id) {
        const struct replica *r = container_of(node, struct replica, node);
        const struct log *next = move_named(r, dir);
        if (next != NULL && log_start(next) > log_first_segment(next))
            add_entry(log_starts, r, log_start(next));
        if (r->log == NULL || r->dir != dir)
            continue;
        add_entry(recovery_point, r, closing ? log_end(r->log) : log_recovery_point(r->log));
        add_entry(high_watermark, r, r->replication.high_watermark);
        /* As Kafka: only where it is not simply the first segment's base. */
        if (log_start(r->log) > log_first_segment(r->log))
            add_entry(log_starts, r, log_start(r->log));
    }
}

/* min.insync.replicas may be among them, so that the high watermark moves. */
static void settings_changed(void *ctx, struct replica *r)
{
    struct replicas *rs = ctx;
    const struct image_topic *topic = image_topic_by_id(rs->image, r->topic_id);

    if (topic != NULL)
        replica_take_role(r, topic);
}

void replicas_set_broker(struct replicas *rs, const struct config *broker)
{
    rs->broker = broker;
    if (rs->image != NULL)
        replicas_each(rs, settings_changed, rs);
    fetchers_go_on(rs); /* their throttle may be another one */
}
