/* In which log directory a replica lies.
 *
 *   found there at the start ─► there            the metadata names one of ours ─► that one
 *   else, a new one ─► where the fewest are      it may lie in one that is not there ─► nowhere: offline
 */
#include "replica/internal.h"

static const struct uuid directory_unassigned = {{[15] = 1}};
static const struct uuid directory_lost = {{[15] = 2}};

/* What the metadata says; zero where it knows no directories. */
static struct uuid assigned_to(const struct replicas *rs, const struct image_partition *p)
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
 * since the start cannot be in one (interop: DirectoryId, createLogInAssignedDirectoryId). */
static bool may_be_elsewhere(const struct work *w, struct uuid directory)
{
    if (all_are_online(work_set(w)))
        return false;
    return work_is_first(w) || !names_none(directory);
}

void replica_place(struct work *w, const struct image_partition *p)
{
    struct replica *r = w->replica;
    struct replicas *rs = r->set;
    struct uuid directory = assigned_to(rs, p);

    w->existing = existing_find(rs, r->topic_id, r->partition);
    r->dir = w->existing != NULL ? w->existing->dir : dir_find(rs, directory);
    if (r->dir == NULL && !may_be_elsewhere(w, directory))
        r->dir = dir_emptiest(rs);
    if (r->dir != NULL)
        (void)log_dir_partitions(r->dir, 1);
    if (r->dir != NULL && log_dir_is_online(r->dir))
        return;
    replica_go_offline(r);
    /* Which of the directories is not known: so that another replica leads, or nobody. */
    if (r->dir == NULL && names_none(directory) && rs->options.placed != NULL)
        rs->options.placed(rs->options.ctx, r, directory_lost);
}

void replica_unplace(struct replica *r)
{
    if (r->dir != NULL)
        (void)log_dir_partitions(r->dir, -1);
}

void replica_tell_placed(struct replica *r, const struct image_partition *p)
{
    const struct replicas_options *o = &r->set->options;

    if (o->placed != NULL && !uuid_equal(assigned_to(r->set, p), r->dir->directory_id))
        o->placed(o->ctx, r, r->dir->directory_id);
}
