/* A request into the parts that different nodes answer. */
#include "admin/api.h"

#include <stdlib.h>

static struct admin_part *part_add(struct admin_call *call, const void *request)
{
    struct admin_part *p = calloc(1, sizeof(*p));

    if (call->part_count == call->part_capacity) {
        call->part_capacity = call->part_capacity == 0 ? 4 : 2 * call->part_capacity;
        call->parts = realloc(call->parts, call->part_capacity * sizeof(struct admin_part *));
    }
    ASSERT(p != NULL && call->parts != NULL);
    p->call = call;
    p->request = request;
    p->node_id = -1;
    p->wire.target.node_id = -1;
    call->parts[call->part_count++] = p;
    return p;
}

static struct admin_part *part_to_node(struct admin_call *call, const void *request, int32_t node_id)
{
    struct admin_part *p = part_add(call, request);

    p->wire.target = (struct client_target){.kind = CLIENT_NODE, .node_id = node_id};
    return p;
}

static void *copy_of(struct admin_call *call, const void *p, size_t bytes)
{
    void *copy = arena_take_raw(&call->arena, bytes);

    ASSERT(copy != NULL); /* the arena has no limit: requests are the caller's, and no larger than that */
    return memcpy(copy, p, bytes);
}

/* ---- groups ----------------------------------------------------------------------------------- */

static void to_coordinator(struct admin_call *call, const void *request, struct str group)
{
    struct admin_part *p = part_add(call, request);

    p->group = group;
    p->wire.target = (struct client_target){.kind = CLIENT_GROUP, .node_id = -1, .key = group};
}

static void split_groups(struct admin_call *call, const void *request)
{
    const struct admin_list *l = &call->api->request.list;
    size_t bytes = message_struct_bytes(api_find(call->api->key)->request);

    for (int32_t i = 0; i < list_count(l, request); i++) {
        char *element = list_element(l, request, i);
        void *own = copy_of(call, request, bytes);
        list_set(l, own, element, 1);
        to_coordinator(call, own, *element_name(l, element));
    }
}

/* ---- leaders ---------------------------------------------------------------------------------- */

/* Who leads it, or -1 with the error that says why nobody does. */
static int32_t leader_of(struct client *c, struct str topic, int32_t partition, int16_t *error)
{
    const struct client_topic *t = client_topic(c, topic);

    *error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (t == NULL)
        return -1;
    if (t->error != KERR_NONE) {
        *error = t->error;
        return -1;
    }
    if (partition < 0 || partition >= t->partition_count)
        return -1;
    *error = KERR_LEADER_NOT_AVAILABLE;
    return t->partitions[partition].leader;
}

/* The request with those of its partitions that `keep` names, or NULL when there are none. */
static void *pick(struct admin_call *call, const void *request, const int32_t *leaders, int32_t node_id)
{
    const struct admin_list *topics = &call->api->request.list, *partitions = &call->api->request.inner;
    void *own = copy_of(call, request, message_struct_bytes(api_find(call->api->key)->request));
    int32_t topic_count = list_count(topics, request), kept = 0, n = 0;
    char *own_topics = copy_of(call, list_first(topics, request), (size_t)topic_count * topics->bytes);

    for (int32_t i = 0; i < topic_count; i++) {
        char *topic = list_element(topics, request, i);
        int32_t count = list_count(partitions, topic), own_count = 0;
        char *first = arena_take_raw(&call->arena, (size_t)count * partitions->bytes);
        ASSERT(first != NULL);
        for (int32_t j = 0; j < count; j++) {
            if (leaders[n++] == node_id)
                memcpy(first + (size_t)own_count++ * partitions->bytes, list_element(partitions, topic, j),
                       partitions->bytes);
        }
        if (own_count == 0)
            continue;
        char *own_topic = own_topics + (size_t)kept++ * topics->bytes;
        memcpy(own_topic, topic, topics->bytes);
        list_set(partitions, own_topic, first, own_count);
    }
    list_set(topics, own, own_topics, kept);
    return own;
}

/* A3: the answer to what nobody leads. */
static const void *answer_here(struct admin_call *call, const void *request)
{
    const struct admin_shape *asked = &call->api->request, *s = &call->api->response;
    const struct message *message = api_find(call->api->key)->response;
    void *response = arena_take(&call->arena, message_struct_bytes(message));
    int32_t topic_count = list_count(&asked->list, request), leader;

    ASSERT(response != NULL);
    message_init(message, response);
    char *topics = arena_take_raw(&call->arena, (size_t)topic_count * s->list.bytes);
    ASSERT(topics != NULL);
    list_set(&s->list, response, topics, topic_count);
    for (int32_t i = 0; i < topic_count; i++) {
        const char *asked_topic = list_element(&asked->list, request, i);
        char *topic = memcpy(list_element(&s->list, response, i), s->list.defaults, s->list.bytes);
        int32_t count = list_count(&asked->inner, asked_topic);
        struct str name = *element_name(&asked->list, asked_topic);
        char *partitions = arena_take_raw(&call->arena, (size_t)count * s->inner.bytes);
        ASSERT(partitions != NULL);
        *element_name(&s->list, topic) = name;
        list_set(&s->inner, topic, partitions, count);
        for (int32_t j = 0; j < count; j++) {
            char *partition = memcpy(list_element(&s->inner, topic, j), s->inner.defaults, s->inner.bytes);
            *element_index(&s->inner, partition) =
                *element_index(&asked->inner, list_element(&asked->inner, asked_topic, j));
            leader = leader_of(admin_client(call->admin), name, *element_index(&s->inner, partition),
                               error_of(partition, s->inner.error_at));
            ASSERT(leader < 0);
        }
    }
    return response;
}

static int compare_nodes(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void split_leaders(struct admin_call *call, const void *request)
{
    const struct admin_list *topics = &call->api->request.list, *partitions = &call->api->request.inner;
    int32_t total = 0, n = 0;
    int16_t error;

    for (int32_t i = 0; i < list_count(topics, request); i++)
        total += list_count(partitions, list_element(topics, request, i));
    int32_t *leaders = arena_take_array(&call->arena, (size_t)total + 1, sizeof(*leaders));
    ASSERT(leaders != NULL);
    for (int32_t i = 0; i < list_count(topics, request); i++) {
        char *topic = list_element(topics, request, i);
        for (int32_t j = 0; j < list_count(partitions, topic); j++)
            leaders[n++] = leader_of(admin_client(call->admin), *element_name(topics, topic),
                                     *element_index(partitions, list_element(partitions, topic, j)), &error);
    }
    int32_t *nodes = copy_of(call, leaders, (size_t)total * sizeof(*nodes));
    qsort(nodes, (size_t)total, sizeof(*nodes), compare_nodes);
    for (int32_t i = 0; i < total; i++) {
        if (i > 0 && nodes[i] == nodes[i - 1])
            continue;
        struct admin_part *p = part_to_node(call, pick(call, request, leaders, nodes[i]), nodes[i]);
        if (nodes[i] < 0) {
            p->asked = true;
            p->version = api_find(call->api->key)->response->high;
            p->response = answer_here(call, p->request);
            p->again = admin_not_now(call->api, p->response);
        }
    }
}

/* ---- all --------------------------------------------------------------------------------------- */

static void split_brokers(struct admin_call *call, const void *request)
{
    uint32_t count;
    const struct client_broker *brokers = client_brokers(admin_client(call->admin), &count);

    for (uint32_t i = 0; i < count; i++)
        part_to_node(call, request, brokers[i].id);
}

void admin_split(struct admin_call *call, const void *request, int32_t node_id, struct str group)
{
    if (node_id >= 0) {
        part_to_node(call, request, node_id);
        return;
    }
    switch (call->api->route) {
    case ROUTE_ANY:
        part_add(call, request)->wire.target.kind = CLIENT_ANY;
        break;
    case ROUTE_CONTROLLER:
        part_add(call, request)->wire.target.kind = CLIENT_CONTROLLER;
        break;
    case ROUTE_LEADERS:
        split_leaders(call, request);
        break;
    case ROUTE_GROUP:
        to_coordinator(call, request, *(const struct str *)(const void *)((const char *)request + call->api->group_at));
        break;
    case ROUTE_GROUPS:
        if (str_is_null(group))
            split_groups(call, request);
        else /* it is one group's already */
            to_coordinator(call, request, group);
        break;
    case ROUTE_BROKERS:
        split_brokers(call, request);
        break;
    }
}
