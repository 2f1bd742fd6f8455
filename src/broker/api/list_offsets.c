/* ListOffsets (key 2): the offset at a time, or at one of the special times.
 *
 *   -1 latest: the high watermark, or the last stable offset for read_committed
 *   -2 earliest           -4 earliest that is held locally: the same without tiered storage
 *   -3 the record with the largest timestamp (KIP-734)
 *   -5 latest that is tiered (KIP-1005), -6 earliest that is not yet tiered: nothing is tiered
 */
#include "broker/api/api.h"
#include "broker/scatter.h"
#include "protocol/list_offsets.h"

#define TIME_LATEST (-1)
#define TIME_EARLIEST (-2)
#define TIME_MAX (-3)
#define TIME_EARLIEST_LOCAL (-4)
#define TIME_LATEST_TIERED (-5)
#define TIME_EARLIEST_PENDING_UPLOAD (-6)

struct offset_item {
    const struct list_offsets_request_topics_partitions *asked;
    struct list_offsets_response_topics_partitions *answer;
    struct uuid topic_id;
    struct scatter_part *part;
    struct log_time_found found;
    struct op op;
};

struct offset_part {
    uint32_t left;
};

/* Before version 4 an answer has no place for the epoch. */
static void answer_at(struct offset_item *item, int64_t offset, int32_t leader_epoch)
{
    item->answer->offset = offset;
    if (item->part->scatter->request->version >= 4)
        item->answer->leader_epoch = leader_epoch;
}

static void item_ended(struct scatter_part *part)
{
    struct offset_part *p = part->state;

    if (--p->left == 0)
        scatter_part_done(part);
}

static void found_done(struct op *op, int64_t result)
{
    struct offset_item *item = container_of(op, struct offset_item, op);

    if (result < 0) {
        item->answer->error_code = KERR_KAFKA_STORAGE_ERROR;
    } else if (result == 1) {
        answer_at(item, item->found.offset, item->found.leader_epoch);
        item->answer->timestamp = item->found.timestamp_ms;
    }
    item_ended(item->part);
}

static int64_t mark_of(const struct request *r, const struct replica *replica)
{
    const struct list_offsets_request *m = r->message;

    if (m->replica_id >= 0) /* another broker: it may read everything */
        return log_end(replica_log(replica));
    return m->isolation_level == READ_COMMITTED ? replica_last_stable_offset(replica)
                                                : replica_high_watermark(replica);
}

/* The time asked for; a search ends later and counts. */
static void item_ask(struct offset_item *item, struct replica *replica)
{
    struct offset_part *p = item->part->state;
    struct log *log = replica_log(replica);
    int64_t mark = mark_of(item->part->scatter->request, replica);

    switch (item->asked->timestamp) {
    case TIME_LATEST:
        answer_at(item, mark, log_latest_epoch(log));
        return;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL:
        answer_at(item, log_start(log), log_epoch_at(log, log_start(log)));
        return;
    case TIME_LATEST_TIERED:
    case TIME_EARLIEST_PENDING_UPLOAD:
        return; /* offset -1: there is none */
    case TIME_MAX:
        p->left++;
        op_init(&item->op, found_done);
        log_find_max_time(log, mark, &item->found, &item->op);
        return;
    default:
        p->left++;
        op_init(&item->op, found_done);
        log_find_time(log, item->asked->timestamp, mark, &item->found, &item->op);
    }
}

/* A new leader may know a lower high watermark than the one before it, until it has heard of its followers: consumers
 * must not be told an end that goes back (KIP-207). */
static enum kerr item_check(const struct scatter_part *part, const struct offset_item *item,
                            const struct replica *replica)
{
    const struct list_offsets_request *m = part->scatter->request->message;
    const struct replication *state = replica_replication(replica);
    enum kerr error = replication_check_leader(state, item->asked->current_leader_epoch);

    if (error != KERR_NONE || m->replica_id >= 0 || state->high_watermark >= state->epoch_start)
        return error;
    if (item->asked->timestamp < TIME_LATEST) /* not of the end */
        return KERR_NONE;
    return part->scatter->request->version >= 5 ? KERR_OFFSET_NOT_AVAILABLE : KERR_LEADER_NOT_AVAILABLE;
}

static void item_run(struct scatter_part *part, struct offset_item *item)
{
    struct replica *r = replica_find(part->shard->replicas, item->topic_id,
                                     item->asked->partition_index);
    enum kerr error = r == NULL ? replica_absence(part->shard->replicas, item->topic_id,
                                                  item->asked->partition_index)
                                : item_check(part, item, r);

    item->part = part;
    item->answer->error_code = (int16_t)error;
    if (error == KERR_NONE)
        item_ask(item, r);
}

static void part_run(struct scatter_part *part)
{
    struct offset_part *p = arena_take(&part->arena, sizeof *p);

    part->state = p;
    p->left = 1;
    for (uint32_t i = 0; i < part->count; i++)
        item_run(part, part->items[i]);
    item_ended(part);
}

static void joined(struct scatter *s)
{
    request_answer(s->request);
}

/* Versions learned of the special times one by one. */
static bool time_is_known(int16_t version, int64_t time)
{
    if (time >= TIME_EARLIEST)
        return true;
    switch (time) {
    case TIME_MAX:
        return version >= 7;
    case TIME_EARLIEST_LOCAL:
        return version >= 8;
    case TIME_LATEST_TIERED:
        return version >= 9;
    case TIME_EARLIEST_PENDING_UPLOAD:
        return version >= 11;
    default:
        return false;
    }
}

static void add_partition(struct scatter *s, const struct image_topic *topic, enum kerr error,
                          const struct list_offsets_request_topics_partitions *asked,
                          struct list_offsets_response_topics_partitions *a)
{
    struct request *r = s->request;

    list_offsets_response_topics_partitions_init(a);
    a->partition_index = asked->partition_index;
    if (error == KERR_NONE &&
        (asked->partition_index < 0 || asked->partition_index >= topic->partition_count))
        error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error == KERR_NONE && !time_is_known(r->version, asked->timestamp))
        error = KERR_UNSUPPORTED_VERSION;
    a->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return;
    struct offset_item *item = arena_take(&r->arena, sizeof *item);
    item->asked = asked;
    item->answer = a;
    item->topic_id = topic->id;
    scatter_add(s, shard_of(r->shard->broker, topic->id, asked->partition_index), item);
}

static void add_topic(struct scatter *s, const struct list_offsets_request_topics *asked,
                      struct list_offsets_response_topics *a)
{
    struct request *r = s->request;
    const struct image_topic *topic = image_topic_find(r->shard->image, asked->name);
    enum kerr error = topic == NULL ? KERR_UNKNOWN_TOPIC_OR_PARTITION : KERR_NONE;

    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, asked->name))
        error = KERR_TOPIC_AUTHORIZATION_FAILED;
    list_offsets_response_topics_init(a);
    a->name = asked->name;
    a->partitions_count = asked->partitions_count;
    a->partitions = arena_take_array(&r->arena, (size_t)asked->partitions_count, sizeof *a->partitions);
    for (int32_t i = 0; i < asked->partitions_count; i++)
        add_partition(s, topic, error, &asked->partitions[i], &a->partitions[i]);
}

void list_offsets_handle(struct request *r)
{
    const struct list_offsets_request *m = r->message;
    struct list_offsets_response *a = r->response;
    struct scatter *s = scatter_new(r, part_run, joined);

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_topic(s, &m->topics[i], &a->topics[i]);
    scatter_run(s);
}
