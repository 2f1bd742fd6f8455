#include "broker/view.h"

#include "broker/session.h"

#define TOPIC_NAME_MAX 249

const struct image_endpoint *view_endpoint(const struct request *r, const struct image_broker *b)
{
    struct str name = str_of(request_listener(r)->bound->name);

    for (int32_t i = 0; i < b->endpoint_count; i++) {
        if (str_equal(b->endpoints[i].name, name))
            return &b->endpoints[i];
    }
    return NULL;
}

bool view_is_alive(const struct request *r, int32_t broker_id)
{
    const struct image_broker *b = image_broker_find(r->shard->image, broker_id);

    return b != NULL && !b->fenced && view_endpoint(r, b) != NULL;
}

int32_t *view_ids(struct request *r, const int32_t *ids, int32_t count)
{
    int32_t *copy = arena_take_array(&r->arena, (size_t)count, sizeof *copy);

    if (count > 0)
        memcpy(copy, ids, (size_t)count * sizeof *copy);
    return copy;
}

static bool replica_is_offline(const struct request *r, const struct image_partition *p, int32_t replica)
{
    int32_t id = p->replicas[replica];

    return !view_is_alive(r, id) ||
           !image_broker_has_online(image_broker_find(r->shard->image, id), p->directories[replica]);
}

int32_t *view_offline(struct request *r, const struct image_partition *p, int32_t *offline_count)
{
    int32_t *offline = arena_take_array(&r->arena, (size_t)p->replica_count, sizeof *offline);

    *offline_count = 0;
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (replica_is_offline(r, p, i))
            offline[(*offline_count)++] = p->replicas[i];
    }
    return offline;
}

enum kerr view_partition_error(const struct request *r, const struct image_partition *p)
{
    const struct image_broker *b = image_broker_find(r->shard->image, p->leader);

    if (b == NULL || b->fenced)
        return KERR_LEADER_NOT_AVAILABLE;
    return view_endpoint(r, b) == NULL ? KERR_LISTENER_NOT_FOUND : KERR_NONE;
}

static void name_broker(struct request *r, struct view_leaders *named, int32_t id)
{
    const struct image *image = r->shard->image;

    for (uint32_t i = 0; i < named->count; i++) {
        if (named->brokers[i]->id == id)
            return;
    }
    if (named->brokers == NULL)
        named->brokers = arena_take_array(&r->arena, image_broker_count(image), sizeof(*named->brokers));
    named->brokers[named->count++] = image_broker_find(image, id);
}

void view_name_leader(struct request *r, struct view_leaders *named, struct uuid topic_id, int32_t partition,
                      int32_t *leader_id, int32_t *leader_epoch)
{
    const struct image_partition *p = image_partition_find(r->shard->image, topic_id, partition);

    if (p == NULL)
        return;
    *leader_id = p->leader;
    *leader_epoch = p->leader_epoch;
    if (view_is_alive(r, p->leader))
        name_broker(r, named, p->leader);
}

static int32_t first_alive(const struct request *r)
{
    const struct image *image = r->shard->image;

    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        if (view_is_alive(r, image_broker_at(image, i)->id))
            return image_broker_at(image, i)->id;
    }
    return -1;
}

bool view_is_named(const struct request *r, const struct image_broker *b)
{
    if (view_endpoint(r, b) == NULL)
        return false;
    return !b->fenced || (b->id == r->shard->broker->node_id && first_alive(r) < 0);
}

int32_t view_controller(const struct request *r)
{
    int32_t self = r->shard->broker->node_id;
    const struct image_broker *b = image_broker_find(r->shard->image, self);

    return b != NULL && view_is_named(r, b) ? self : first_alive(r);
}

bool view_is_internal(struct str topic)
{
    return str_equal(topic, STR("__consumer_offsets")) ||
           str_equal(topic, STR("__transaction_state")) ||
           str_equal(topic, STR("__share_group_state"));
}

static bool is_name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool view_topic_name_is_valid(struct str name)
{
    if (name.n < 1 || name.n > TOPIC_NAME_MAX || str_equal(name, STR(".")) ||
        str_equal(name, STR("..")))
        return false;
    for (int32_t i = 0; i < name.n; i++) {
        if (!is_name_letter(name.p[i]))
            return false;
    }
    return true;
}
