/* FindCoordinator (key 10): which broker coordinates a group. The broker that leads the group's partition of
 * __consumer_offsets; the topic is made when the first group asks.
 */
#include "broker/api/api.h"
#include "broker/autocreate.h"
#include "broker/groups.h"
#include "broker/view.h"
#include "protocol/find_coordinator.h"

#define KEY_GROUP 0
#define KEY_TRANSACTION 1
#define KEY_SHARE 2

struct found {
    const struct image_endpoint *endpoint;
    int32_t node_id;
};

static enum kerr find_group(struct request *r, struct str group, struct found *out)
{
    const struct image *image = r->shard->image;
    const struct image_topic *topic = image_topic_find(image, STR("__consumer_offsets"));
    int32_t partition = groups_partition(image, group);
    const struct image_broker *b;

    if (topic == NULL)
        return KERR_COORDINATOR_NOT_AVAILABLE;
    b = image_broker_find(image, topic->partitions[partition].leader);
    if (b == NULL || b->fenced)
        return KERR_COORDINATOR_NOT_AVAILABLE;
    out->endpoint = view_endpoint(r, b);
    out->node_id = b->id;
    return out->endpoint == NULL ? KERR_COORDINATOR_NOT_AVAILABLE : KERR_NONE;
}

static enum kerr find(struct request *r, int8_t type, struct str key, struct found *out)
{
    switch (type) {
    case KEY_GROUP:
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, key))
            return KERR_GROUP_AUTHORIZATION_FAILED;
        return find_group(r, key, out);
    case KEY_TRANSACTION:
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TRANSACTIONAL_ID, key))
            return KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return KERR_COORDINATOR_NOT_AVAILABLE; /* no transaction coordinator is served */
    case KEY_SHARE:
        return KERR_COORDINATOR_NOT_AVAILABLE; /* no share coordinator is served */
    default:
        return KERR_INVALID_REQUEST;
    }
}

static void answer_many(struct request *r)
{
    const struct find_coordinator_request *m = r->message;
    struct find_coordinator_response *a = r->response;

    a->coordinators_count = m->coordinator_keys_count;
    a->coordinators = arena_take_array(&r->arena, (size_t)m->coordinator_keys_count, sizeof *a->coordinators);
    for (int32_t i = 0; i < m->coordinator_keys_count; i++) {
        struct find_coordinator_response_coordinators *out = &a->coordinators[i];
        struct found found;
        find_coordinator_response_coordinators_init(out);
        out->key = m->coordinator_keys[i];
        out->error_code = (int16_t)find(r, m->key_type, out->key, &found);
        out->node_id = -1;
        out->port = -1;
        if (out->error_code != KERR_NONE)
            continue;
        out->node_id = found.node_id;
        out->host = arena_str(&r->arena, found.endpoint->host);
        out->port = found.endpoint->port;
    }
}

static void answer_one(struct request *r)
{
    const struct find_coordinator_request *m = r->message;
    struct find_coordinator_response *a = r->response;
    struct found found;

    a->error_code = (int16_t)find(r, m->key_type, m->key, &found);
    a->node_id = -1;
    a->port = -1;
    if (a->error_code != KERR_NONE)
        return;
    a->node_id = found.node_id;
    a->host = arena_str(&r->arena, found.endpoint->host);
    a->port = found.endpoint->port;
}

static void answer(struct request *r)
{
    if (r->version >= 4)
        answer_many(r);
    else
        answer_one(r);
    request_answer(r);
}

void find_coordinator_handle(struct request *r)
{
    const struct find_coordinator_request *m = r->message;
    struct str *name;

    if (m->key_type != KEY_GROUP ||
        image_topic_find(r->shard->image, STR("__consumer_offsets")) != NULL) {
        answer(r);
        return;
    }
    name = arena_take(&r->arena, sizeof *name);
    *name = STR("__consumer_offsets");
    autocreate(r, name, 1, answer);
}
