#include "replica/internal.h"

#include <stdlib.h>

uint64_t replica_hash(struct uuid topic_id, int32_t partition)
{
    uint64_t h = (uint64_t)(uint32_t)partition * UINT64_C(0x9e3779b97f4a7c15);

    h ^= uuid_hash(topic_id);
    /* The low bits choose the shard and the slot: mix the high ones in. */
    return h ^ (h >> 29);
}

uint32_t replica_shard(struct uuid topic_id, int32_t partition, uint32_t shard_count)
{
    return (uint32_t)(replica_hash(topic_id, partition) % shard_count);
}

void replica_hold(struct replica *r)
{
    r->holds++;
}

void replica_release(struct replica *r)
{
    ASSERT(r->holds > 0);
    if (--r->holds > 0)
        return;
    ASSERT(r->log == NULL);
    ASSERT(!r->turning);
    config_free(r->settings);
    free(r->topic);
    free(r);
}

struct str replica_topic(const struct replica *r) { return str_of(r->topic); }
struct uuid replica_topic_id(const struct replica *r) { return r->topic_id; }
int32_t replica_partition(const struct replica *r) { return r->partition; }
struct log *replica_log(const struct replica *r) { return r->log; }
const struct config *replica_settings(const struct replica *r) { return r->settings; }

const struct replication *replica_replication(const struct replica *r)
{
    return &r->replication;
}

bool replica_is_uncleanable(const struct replica *r) { return r->uncleanable; }
const struct log_dir *replica_dir(const struct replica *r) { return r->dir; }

int64_t replica_high_watermark(const struct replica *r)
{
    return r->replication.high_watermark;
}

int64_t replica_last_stable_offset(const struct replica *r)
{
    return log_last_stable_offset(r->log, r->replication.high_watermark);
}

bool replica_leads(const struct replica *r)
{
    return r->log != NULL && r->replication.role == REPLICATION_LEADER;
}

void replica_validate_rules(const struct replica *r, int16_t produce_version,
                            struct validate_rules *out)
{
    *out = r->rules;
    out->produce_version = produce_version;
    out->now_ms = io_wall_ms(r->set->options.io);
}

/* What the answer says of a batch's time: that of the log, where the topic wants it. A duplicate is
 * answered with the first one's time in any case, as Kafka does. */
static int64_t append_time_ms(const struct replica *r, const struct batch *batch,
                              const struct log_appended *appended)
{
    if (appended->duplicate)
        return appended->append_time_ms;
    return r->rules.log_append_time ? batch->max_timestamp_ms : -1;
}

enum kerr replica_append(struct replica *r, const struct batch *batch, int16_t acks,
                         struct replica_appended *out)
{
    struct log_appended appended;

    if (r->log == NULL)
        return r->offline ? KERR_KAFKA_STORAGE_ERROR : KERR_NOT_LEADER_OR_FOLLOWER;
    if (r->paused)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    enum kerr error = replication_can_append(&r->replication, acks);
    if (error != KERR_NONE)
        return error;
    error = log_append(r->log, batch, r->replication.leader_epoch, io_wall_ms(r->set->options.io),
                       &appended);
    if (error != KERR_NONE)
        return error;
    *out = (struct replica_appended){
        .base_offset = appended.base_offset,
        .last_offset = appended.last_offset,
        .append_time_ms = append_time_ms(r, batch, &appended),
        .log_start_offset = appended.start_offset,
        .duplicate = appended.duplicate,
    };
    if (!appended.duplicate)
        waits_end_moved(r, appended.base_offset);
    return KERR_NONE;
}

/* Rule: Kafka's Partition.deleteRecordsOnLeader, its checks in its order. */
enum kerr replica_delete_records(struct replica *r, int64_t offset, int64_t *low_watermark)
{
    int64_t mark = r->replication.high_watermark;

    if (!replica_leads(r))
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (mark > log_stable(r->log)) /* as a follower it has heard of it */
        mark = log_stable(r->log);
    if (cleanup_has(r->settings, STR("compact")) && !cleanup_has(r->settings, STR("delete")))
        return KERR_POLICY_VIOLATION;
    if (offset == DELETE_TO_HIGH_WATERMARK)
        offset = mark;
    if (offset < 0 || offset > mark)
        return KERR_OFFSET_OUT_OF_RANGE;
    log_raise_start(r->log, offset, NULL);
    *low_watermark = log_start(r->log);
    return KERR_NONE;
}

void replica_stable_moved(void *ctx)
{
    struct replica *r = ctx;
    struct replication_outcome out;

    if (r->log == NULL)
        return;
    replication_stable(&r->replication, log_stable(r->log), &out);
    replica_told(r, &out);
    fetcher_stable_moved(r);
}
