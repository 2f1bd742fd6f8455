/* May a partition be read, by this reader and from this offset on? And what a follower says of itself by asking. */
#include "broker/fetch_set.h"

static struct replica_follower follower_of(const struct fetch_pass *pass, const struct fetch_item *item)
{
    return (struct replica_follower){
        .id = pass->set->reader,
        .broker_epoch = pass->reader_epoch,
        .leader_epoch = item->leader_epoch,
        .offset = item->offset,
        .log_start = item->asked_log_start,
    };
}

static enum kerr check_reader(const struct fetch_pass *pass, const struct fetch_item *item,
                              const struct replica *replica)
{
    struct replica_follower f = follower_of(pass, item);

    if (pass->set->reader >= 0)
        return replica_check_follower(replica, &f);
    if (pass->may_follow)
        return replication_check_any(replica_replication(replica), item->leader_epoch);
    return replication_check_leader(replica_replication(replica), item->leader_epoch);
}

/* NONE also where the reader's last record is not in this log: then item->diverging says from where on it is another
 * one. A follower's log that is longer than ours may be another one, too, so our end comes last. */
static enum kerr find_place(struct fetch_item *item, const struct log *log)
{
    struct epoch_end end = log_epoch_end(log, item->last_epoch);

    if (item->last_epoch >= 0 && (end.epoch < 0 || end.end_offset < 0))
        return KERR_OFFSET_OUT_OF_RANGE;
    if (item->offset < log_start(log))
        return KERR_OFFSET_OUT_OF_RANGE;
    if (item->last_epoch >= 0 && (end.epoch < item->last_epoch || end.end_offset < item->offset)) {
        item->diverging = end;
        return KERR_NONE;
    }
    return item->offset > log_end(log) ? KERR_OFFSET_OUT_OF_RANGE : KERR_NONE;
}

/* A follower has, on stable storage, what lies before the offset that it asks for. */
static void note_follower(const struct fetch_pass *pass, const struct fetch_item *item, struct replica *replica)
{
    struct replica_follower f = follower_of(pass, item);
    int64_t end = log_end(replica_log(replica));

#ifdef MUTANT_BROKER_FETCH_DIVERGING_COUNTS
    f.offset = f.offset < end ? f.offset : end;
#else
    if (item->diverging.epoch >= 0) /* not of our log */
        return;
#endif
    replica_fetched(replica, &f, end);
}

enum kerr fetch_admit(const struct fetch_pass *pass, struct fetch_item *item, struct replica *replica)
{
    enum kerr error = check_reader(pass, item, replica);

    if (error == KERR_NONE)
        error = find_place(item, replica_log(replica));
    if (error == KERR_NONE && pass->set->reader >= 0)
        note_follower(pass, item, replica);
    return error;
}
