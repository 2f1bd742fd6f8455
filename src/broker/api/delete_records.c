/* DeleteRecords (key 21): the start of partitions is raised, so that what lies below is no longer served.
 *
 *   raise on each partition's shard ─► joined ─► home: log starts durable ─► answer
 *
 * The answer waits for the checkpoint of log starts, so that a start that a client was told of never goes back. All
 * partitions of a request, and requests that come while it is written, share one write (checkpoint.c).
 */
#include "broker/api/api.h"
#include "broker/checkpoint.h"
#include "broker/scatter.h"
#include "broker/view.h"
#include "protocol/delete_records.h"

struct delete_item {
    const struct delete_records_request_topics_partitions *asked;
    struct delete_records_response_topics_partitions *answer;
    struct uuid topic_id;
    const struct log_dir *dir; /* where it was raised */
};

/* What is made durable at home, for all items. */
struct saving {
    struct op op;
    const struct scatter *raised;
    struct scatter_part *part;
    int64_t result;
};

static void item_run(struct scatter_part *part, struct delete_item *item)
{
    struct replica *r = replica_find(part->shard->replicas, item->topic_id,
                                     item->asked->partition_index);
    int64_t low_watermark;
    enum kerr error = r == NULL ? replica_absence(part->shard->replicas, item->topic_id,
                                                  item->asked->partition_index)
                                : replica_delete_records(r, item->asked->offset, &low_watermark);

    item->answer->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return;
    item->answer->low_watermark = low_watermark;
    item->dir = replica_dir(r);
}

static void part_raise(struct scatter_part *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        item_run(part, part->items[i]);
    scatter_part_done(part);
}

/* ---- durable --------------------------------------------------------------------------------- */

static void saved(struct op *op, int64_t result)
{
    struct saving *s = container_of(op, struct saving, op);

    s->result = result;
    scatter_part_done(s->part);
}

/* On the home shard. */
static void part_save(struct scatter_part *part)
{
    struct saving *s = part->items[0];

    s->part = part;
    op_init(&s->op, saved);
    checkpoints_save_starts(part->shard->broker->checkpoints, &s->op);
}

/* Trouble: the start is raised, and may be found lower after a restart; who hears of it asks again. */
static void item_check(const struct delete_item *item, int64_t result)
{
    if (item->answer->error_code != KERR_NONE || (result >= 0 && log_dir_is_online(item->dir)))
        return;
    item->answer->error_code = KERR_KAFKA_STORAGE_ERROR;
    item->answer->low_watermark = -1;
}

static void joined_saved(struct scatter *s)
{
    const struct saving *saving = s->state;

    for (uint32_t i = 0; i < s->home->broker->shard_count; i++) {
        const struct scatter_part *part = &saving->raised->parts[i];
        for (uint32_t n = 0; n < part->count; n++)
            item_check(part->items[n], saving->result);
    }
    request_answer(s->request);
}

static bool any_raised(const struct delete_records_response *a)
{
#ifdef MUTANT_BROKER_DELETES_BEFORE_DURABLE
    return false;
#endif
    for (int32_t i = 0; i < a->topics_count; i++) {
        for (int32_t j = 0; j < a->topics[i].partitions_count; j++) {
            if (a->topics[i].partitions[j].error_code == KERR_NONE)
                return true;
        }
    }
    return false;
}

static void joined_raised(struct scatter *raised)
{
    struct request *r = raised->request;

    if (!any_raised(r->response)) {
        request_answer(r);
        return;
    }
    struct scatter *s = scatter_new(r, part_save, joined_saved);
    struct saving *saving = arena_take(&r->arena, sizeof *saving);
    saving->raised = raised;
    s->state = saving;
    scatter_add(s, 0, saving);
    scatter_run(s);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void add_partition(struct scatter *s, const struct image_topic *topic, enum kerr error,
                          const struct delete_records_request_topics_partitions *asked,
                          struct delete_records_response_topics_partitions *a)
{
    struct request *r = s->request;

    delete_records_response_topics_partitions_init(a);
    a->partition_index = asked->partition_index;
    a->low_watermark = -1;
    if (error == KERR_NONE &&
        (asked->partition_index < 0 || asked->partition_index >= topic->partition_count))
        error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error == KERR_NONE && view_is_internal(topic->name))
        error = KERR_INVALID_TOPIC_EXCEPTION;
    a->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return;
    struct delete_item *item = arena_take(&r->arena, sizeof *item);
    *item = (struct delete_item){asked, a, topic->id};
    scatter_add(s, shard_of(r->shard->broker, topic->id, asked->partition_index), item);
}

static void add_topic(struct scatter *s, const struct delete_records_request_topics *asked,
                      struct delete_records_response_topics *a)
{
    struct request *r = s->request;
    const struct image_topic *topic = image_topic_find(r->shard->image, asked->name);
    enum kerr error = topic == NULL ? KERR_UNKNOWN_TOPIC_OR_PARTITION : KERR_NONE;

    if (!request_authorize(r, ACL_DELETE, RESOURCE_TOPIC, asked->name))
        error = KERR_TOPIC_AUTHORIZATION_FAILED;
    delete_records_response_topics_init(a);
    a->name = asked->name;
    a->partitions_count = asked->partitions_count;
    a->partitions = arena_take_array(&r->arena, (size_t)asked->partitions_count, sizeof *a->partitions);
    for (int32_t i = 0; i < asked->partitions_count; i++)
        add_partition(s, topic, error, &asked->partitions[i], &a->partitions[i]);
}

void delete_records_handle(struct request *r)
{
    const struct delete_records_request *m = r->message;
    struct delete_records_response *a = r->response;
    struct scatter *s = scatter_new(r, part_raise, joined_raised);

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_topic(s, &m->topics[i], &a->topics[i]);
    scatter_run(s);
}
