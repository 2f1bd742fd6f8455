/* In which log directory a replica lies. The first of these that holds:
 *
 *   found there at the start ─► there            an operator prefers one ─► that one
 *   it may lie in one that is not there ─►       the metadata names one of ours ─► that one
 *     nowhere: offline                           else, a new one ─► where the fewest are
 */
#include "replica/internal.h"

#include <stdlib.h>

static const struct uuid directory_unassigned = {{[15] = 1}};
static const struct uuid directory_lost = {{[15] = 2}};

struct uuid replica_assigned_to(const struct replicas *rs, const struct image_partition *p)
{
    for (int32_t i = 0; p->directories != NULL && i < p->replica_count; i++) {
        if (p->replicas[i] == rs->options.node_id)
            return p->directories[i];
    }
    return UUID_ZERO;
}

static bool names_none(struct uuid directory)
{
    return uuid_is_zero(directory) || uuid_equal(directory, directory_unassigned);
}

static struct log_dir *dir_find(const struct replicas *rs, struct uuid directory)
{
    for (uint32_t d = 0; d < rs->options.dir_count; d++) {
        if (uuid_equal(rs->options.dirs[d]->directory_id, directory))
            return rs->options.dirs[d];
    }
    return NULL;
}

static bool all_are_online(const struct replicas *rs)
{
    for (uint32_t d = 0; d < rs->options.dir_count; d++) {
        if (!log_dir_is_online(rs->options.dirs[d]))
            return false;
    }
    return !rs->options.dirs_missing;
}

/* Of those that are equal each shard begins with another. NULL when none is online. */
static struct log_dir *dir_emptiest(const struct replicas *rs)
{
    uint32_t count = rs->options.dir_count, first = io_shard(rs->options.io) % count;
    struct log_dir *best = NULL;

    for (uint32_t i = 0; i < count; i++) {
        struct log_dir *dir = rs->options.dirs[(first + i) % count];
        if (!log_dir_is_online(dir))
            continue;
        if (best == NULL || log_dir_partitions(dir, 0) < log_dir_partitions(best, 0))
            best = dir;
    }
    return best;
}

/* Making it anew would hide the records in a directory that has failed, or is not there: only what was created
 * since the start cannot be in one (interop: DirectoryId, createLogInAssignedDirectoryId). The metadata names the
 * directory that a replica moves to already before the copy is whole. */
static bool may_be_elsewhere(const struct work *w, struct uuid directory)
{
    const struct replicas *rs = work_set(w);

    if (all_are_online(rs))
        return false;
    if (dir_find(rs, directory) != NULL)
        return existing_future(rs, w->replica->topic_id, w->replica->partition) != NULL;
    return work_is_first(w) || !names_none(directory);
}

/* ---- what an operator prefers ---------------------------------------------------------------- */

/* As Kafka remembers it (AlterReplicaLogDirs of what is not there): until the partition comes, or the broker stops. */
struct preferred {
    struct list node;
    char *topic;
    int32_t partition;
    struct log_dir *dir;
};

/* A request may name what never comes: the oldest go then. */
#define PREFERRED_MAX 1000

static struct preferred *preferred_find(const struct replicas *rs, struct str topic, int32_t partition)
{
    LIST_EACH (it, &rs->preferred) {
        struct preferred *p = container_of(it, struct preferred, node);
        if (p->partition == partition && str_equal(str_of(p->topic), topic))
            return p;
    }
    return NULL;
}

static void preferred_drop(struct replicas *rs, struct preferred *p)
{
    list_remove(&p->node);
    rs->preferred_count--;
    free(p->topic);
    free(p);
}

void preferred_free(struct replicas *rs)
{
    while (!list_empty(&rs->preferred))
        preferred_drop(rs, container_of(rs->preferred.next, struct preferred, node));
}

void replicas_prefer(struct replicas *rs, struct str topic, int32_t partition, struct log_dir *dir)
{
    struct preferred *p = preferred_find(rs, topic, partition);

    if (p != NULL)
        preferred_drop(rs, p);
    if (rs->preferred_count == PREFERRED_MAX)
        preferred_drop(rs, container_of(rs->preferred.next, struct preferred, node));
    p = calloc(1, sizeof *p);
    ASSERT(p != NULL);
    *p = (struct preferred){.topic = str_dup(topic), .partition = partition, .dir = dir};
    list_add_tail(&rs->preferred, &p->node);
    rs->preferred_count++;
}

/* NULL: none, or it has failed. */
static struct log_dir *take_preferred(struct replica *r)
{
    struct preferred *p = preferred_find(r->set, str_of(r->topic), r->partition);
    struct log_dir *dir = p == NULL ? NULL : p->dir;

    if (p != NULL)
        preferred_drop(r->set, p);
    return dir != NULL && log_dir_is_online(dir) ? dir : NULL;
}

/* ---- choose ---------------------------------------------------------------------------------- */

/* NULL: nowhere. */
static struct log_dir *choose(struct work *w, struct uuid directory)
{
    struct replica *r = w->replica;
    struct log_dir *preferred, *named = dir_find(r->set, directory);

    if (w->existing != NULL)
        return w->existing->dir;
    if (may_be_elsewhere(w, directory))
        return NULL;
    preferred = take_preferred(r);
    if (preferred != NULL)
        return preferred;
    return named != NULL ? named : dir_emptiest(r->set);
}

void replica_place(struct work *w, const struct image_partition *p)
{
    struct replica *r = w->replica;
    struct replicas *rs = r->set;
    struct uuid directory = replica_assigned_to(rs, p);

    w->existing = existing_find(rs, r->topic_id, r->partition);
    r->dir = choose(w, directory);
    if (r->dir != NULL)
        (void)log_dir_partitions(r->dir, 1);
    if (r->dir != NULL && log_dir_is_online(r->dir))
        return;
    replica_go_offline(r);
    /* Which of the directories is not known: so that another replica leads, or nobody. */
    if (r->dir == NULL && names_none(directory) && rs->options.placed != NULL)
        rs->options.placed(rs->options.ctx, r, directory_lost);
}

void replica_refuse(struct replica *r, int32_t replica_count)
{
    const struct replicas_options *o = &r->set->options;

    if (r->offline)
        return;
    say(o->telemetry, LOG_ERROR, "replica",
        "%s-%d has %d replicas, and this broker serves partitions of %d at most: its replica here is offline; reassign the "
        "partition to fewer, then start this broker again", r->topic, r->partition, replica_count, REPLICAS_MAX);
    replica_go_offline(r);
    if (o->placed != NULL)
        o->placed(o->ctx, r, directory_lost); /* so that another replica leads */
}

void replica_unplace(struct replica *r)
{
    if (r->dir != NULL)
        (void)log_dir_partitions(r->dir, -1);
}

void replica_tell_placed(struct replica *r, const struct image_partition *p)
{
    const struct replicas_options *o = &r->set->options;

    if (o->placed != NULL && !uuid_equal(replica_assigned_to(r->set, p), r->dir->directory_id))
        o->placed(o->ctx, r, r->dir->directory_id);
}
