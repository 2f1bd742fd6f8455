/* AlterReplicaLogDirs (key 34): replicas of this broker move into other log directories while they serve; what is not here
 * yet shall be made there (KIP-113). The answer says that a move is under way, not that it has ended: that is seen in
 * DescribeLogDirs.
 */
#include "broker/api/api.h"
#include "broker/scatter.h"
#include "protocol/alter_replica_log_dirs.h"

struct move_item {
    struct log_dir *dir;
    struct str topic;
    struct uuid topic_id; /* zero: the topic is not known, so every shard remembers it */
    int32_t partition;
    struct alter_replica_log_dirs_response_results_partitions *answer;
};

static void item_run(struct scatter_part *part, const struct move_item *item)
{
    struct replicas *rs = part->shard->replicas;
    struct replica *r = replica_find(rs, item->topic_id, item->partition);
    enum kerr error;

    if (r != NULL)
        error = replica_move(r, item->dir);
    else if (replica_absence(rs, item->topic_id, item->partition) == KERR_KAFKA_STORAGE_ERROR)
        error = KERR_KAFKA_STORAGE_ERROR;
    else
        error = KERR_REPLICA_NOT_AVAILABLE;
    if (error == KERR_REPLICA_NOT_AVAILABLE)
        replicas_prefer(rs, item->topic, item->partition, item->dir);
    if (!uuid_is_zero(item->topic_id))
        item->answer->error_code = (int16_t)error;
}

static void part_run(struct scatter_part *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        item_run(part, part->items[i]);
    scatter_part_done(part);
}

static void joined(struct scatter *s)
{
    request_answer(s->request);
}

static bool is_missing(const struct broker *b, struct str path)
{
    for (uint32_t d = 0; d < b->missing_count; d++) {
        if (str_equal(str_of(b->missing[d]), path))
            return true;
    }
    return false;
}

static enum kerr find_dir(const struct broker *b, struct str path, struct log_dir **out)
{
    for (uint32_t d = 0; d < b->dir_count; d++) {
        if (!str_equal(str_of(b->paths[d]), path))
            continue;
        *out = b->dirs[d];
        return log_dir_is_online(b->dirs[d]) ? KERR_NONE : KERR_KAFKA_STORAGE_ERROR;
    }
    return is_missing(b, path) ? KERR_KAFKA_STORAGE_ERROR : KERR_LOG_DIR_NOT_FOUND;
}

static void add_partition(struct scatter *s, struct move_item *item)
{
    const struct broker *b = s->request->shard->broker;

    if (!uuid_is_zero(item->topic_id)) {
        scatter_add(s, shard_of(b, item->topic_id, item->partition), item);
        return;
    }
    item->answer->error_code = KERR_REPLICA_NOT_AVAILABLE;
    for (uint32_t i = 0; i < b->shard_count; i++)
        scatter_add(s, i, item);
}

static void add_topic(struct scatter *s, struct log_dir *dir, enum kerr error,
                      const struct alter_replica_log_dirs_request_dirs_topics *m)
{
    struct request *r = s->request;
    struct alter_replica_log_dirs_response *a = r->response;
    struct alter_replica_log_dirs_response_results *out = &a->results[a->results_count++];
    const struct image_topic *topic = image_topic_find(r->shard->image, m->name);

    alter_replica_log_dirs_response_results_init(out);
    out->topic_name = m->name;
    out->partitions_count = m->partitions_count;
    out->partitions = arena_take_array(&r->arena, (size_t)m->partitions_count, sizeof *out->partitions);
    for (int32_t i = 0; i < m->partitions_count; i++) {
        alter_replica_log_dirs_response_results_partitions_init(&out->partitions[i]);
        out->partitions[i].partition_index = m->partitions[i];
        out->partitions[i].error_code = (int16_t)error;
        if (error != KERR_NONE)
            continue;
        struct move_item *item = arena_take(&r->arena, sizeof *item);
        *item = (struct move_item){
            .dir = dir,
            .topic = m->name,
            .topic_id = topic == NULL ? UUID_ZERO : topic->id,
            .partition = m->partitions[i],
            .answer = &out->partitions[i],
        };
        add_partition(s, item);
    }
}

void alter_replica_log_dirs_handle(struct request *r)
{
    const struct alter_replica_log_dirs_request *m = r->message;
    struct alter_replica_log_dirs_response *a = r->response;
    bool may = request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, STR("kafka-cluster"));
    struct scatter *s = scatter_new(r, part_run, joined);
    size_t topics = 0;

    for (int32_t d = 0; d < m->dirs_count; d++)
        topics += (size_t)m->dirs[d].topics_count;
    a->results = arena_take_array(&r->arena, topics, sizeof *a->results);
    for (int32_t d = 0; d < m->dirs_count; d++) {
        struct log_dir *dir = NULL;
        enum kerr error = may ? find_dir(r->shard->broker, m->dirs[d].path, &dir)
                              : KERR_CLUSTER_AUTHORIZATION_FAILED;
        for (int32_t t = 0; t < m->dirs[d].topics_count; t++)
            add_topic(s, dir, error, &m->dirs[d].topics[t]);
    }
    scatter_run(s);
}
