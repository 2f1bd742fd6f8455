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

/* ---- coordinators ----------------------------------------------------------------------------- */

static void to_coordinator(struct admin_call *call, const void *request, struct str key)
{
    struct admin_part *p = part_add(call, request);
    enum admin_route route = call->api->route;
    bool group = route == ROUTE_GROUP || route == ROUTE_GROUPS;

    ASSERT(!str_is_null(key));
    p->key = key;
    p->wire.target = (struct client_target){
        .kind = group ? CLIENT_GROUP : CLIENT_TRANSACTION, .node_id = -1, .key = key};
}

/* Each coordinator has its own; so has each key its own error. */
static void split_keys(struct admin_call *call, const void *request)
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

/* A copy of the request, in which the arrays may be others; and where its topics are. */
static void *own_request(struct admin_call *call, const void *request, void **start)
{
    const struct admin_list *outer = &call->api->request_outer;
    void *own = copy_of(call, request, message_struct_bytes(api_find(call->api->key)->request));

    if (outer->bytes > 0)
        list_set(outer, own, copy_of(call, list_first(outer, request), outer->bytes), 1);
    *start = outer->bytes > 0 ? list_first(outer, own) : own;
    return own;
}

/* The request with those of its partitions that this node leads. */
static void *pick(struct admin_call *call, const void *request, const int32_t *leaders, int32_t node_id)
{
    const struct admin_list *topics = &call->api->request.list, *partitions = &call->api->request.inner;
    void *start, *own = own_request(call, request, &start);
    int32_t topic_count = list_count(topics, start), kept = 0, n = 0;
    char *all_topics = list_first(topics, start);
    char *own_topics = copy_of(call, all_topics, (size_t)topic_count * topics->bytes);

    for (int32_t i = 0; i < topic_count; i++) {
        char *topic = all_topics + (size_t)i * topics->bytes;
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
    list_set(topics, start, own_topics, kept);
    return own;
}

/* What is said of one topic that nobody leads. */
static void answer_topic(struct admin_call *call, const char *asked_topic, char *topic)
{
    const struct admin_shape *asked = &call->api->request, *s = &call->api->response;
    int32_t count = list_count(&asked->inner, asked_topic), leader;
    struct str name = *element_name(&asked->list, asked_topic);
    char *partitions = arena_take_raw(&call->arena, (size_t)count * s->inner.bytes);

    ASSERT(partitions != NULL);
    memcpy(topic, s->list.defaults, s->list.bytes);
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

/* A3: the answer to what nobody leads. */
static const void *answer_here(struct admin_call *call, const void *request)
{
    const struct admin_shape *asked = &call->api->request, *s = &call->api->response;
    const struct admin_list *outer = &call->api->response_outer;
    const struct message *message = api_find(call->api->key)->response;
    const void *asked_start = shape_start(&call->api->request_outer, request);
    void *response = arena_take(&call->arena, message_struct_bytes(message)), *start = response;
    int32_t topic_count = list_count(&asked->list, asked_start);
    char *topics = arena_take_raw(&call->arena, (size_t)topic_count * s->list.bytes);

    ASSERT(response != NULL && topics != NULL);
    message_init(message, response);
    if (outer->bytes > 0) {
        start = copy_of(call, outer->defaults, outer->bytes);
        list_set(outer, response, start, 1);
    }
    list_set(&s->list, start, topics, topic_count);
    for (int32_t i = 0; i < topic_count; i++)
        answer_topic(call, list_element(&asked->list, asked_start, i), list_element(&s->list, start, i));
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
    const void *start = shape_start(&call->api->request_outer, request);
    int32_t total = 0, n = 0;
    int16_t error;

    for (int32_t i = 0; i < list_count(topics, start); i++)
        total += list_count(partitions, list_element(topics, start, i));
    int32_t *leaders = arena_take_array(&call->arena, (size_t)total + 1, sizeof(*leaders));
    ASSERT(leaders != NULL);
    for (int32_t i = 0; i < list_count(topics, start); i++) {
        char *topic = list_element(topics, start, i);
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

/* ---- resources -------------------------------------------------------------------------------- */

#define RESOURCE_BROKER 4
#define RESOURCE_BROKER_LOGGER 8

/* Whose settings they are: a broker answers for its own alone; -1 = anybody's. Controllers answer for all. */
static int32_t node_of_resource(const struct admin_call *call, const char *resource)
{
    int8_t type = *(const int8_t *)(resource + call->api->resource_type_at);
    int64_t id;

    if ((type != RESOURCE_BROKER && type != RESOURCE_BROKER_LOGGER) || admin_asks_controllers(call->admin) ||
        str_to_i64(*element_name(&call->api->request.list, resource), 0, INT32_MAX, &id) < 0)
        return -1;
    return (int32_t)id;
}

/* Any broker, or the controller. */
static void to_any(struct admin_call *call, const void *request)
{
    part_add(call, request)->wire.target.kind =
        call->api->route == ROUTE_CONTROLLER ? CLIENT_CONTROLLER : CLIENT_ANY;
}

/* Those resources that are this node's. */
static void take_resources(struct admin_call *call, const void *request, const int32_t *nodes, int32_t node_id)
{
    const struct admin_list *l = &call->api->request.list;
    void *own = copy_of(call, request, message_struct_bytes(api_find(call->api->key)->request));
    int32_t count = list_count(l, request), kept = 0;
    char *resources = arena_take_raw(&call->arena, (size_t)count * l->bytes);

    ASSERT(resources != NULL);
    for (int32_t i = 0; i < count; i++) {
        if (nodes[i] == node_id)
            memcpy(resources + (size_t)kept++ * l->bytes, list_element(l, request, i), l->bytes);
    }
    list_set(l, own, resources, kept);
    if (node_id >= 0)
        part_to_node(call, own, node_id);
    else
        to_any(call, own);
}

static void split_resources(struct admin_call *call, const void *request)
{
    const struct admin_list *l = &call->api->request.list;
    int32_t count = list_count(l, request);
    int32_t *nodes = arena_take_array(&call->arena, (size_t)count + 1, sizeof *nodes);

    ASSERT(nodes != NULL);
    for (int32_t i = 0; i < count; i++)
        nodes[i] = node_of_resource(call, list_element(l, request, i));
    int32_t *sorted = copy_of(call, nodes, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_nodes);
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1])
            take_resources(call, request, nodes, sorted[i]);
    }
    if (count == 0)
        to_any(call, request);
}

/* ---- all --------------------------------------------------------------------------------------- */

static void split_brokers(struct admin_call *call, const void *request)
{
    uint32_t count;
    const struct client_broker *brokers = client_brokers(admin_client(call->admin), &count);

    for (uint32_t i = 0; i < count; i++)
        part_to_node(call, request, brokers[i].id);
}

void admin_split(struct admin_call *call, const void *request, int32_t node_id, struct str key)
{
    if (node_id >= 0) {
        part_to_node(call, request, node_id);
        return;
    }
    switch (call->api->route) {
    case ROUTE_ANY:
    case ROUTE_CONTROLLER:
        if (call->api->resource_type_at > 0)
            split_resources(call, request);
        else
            to_any(call, request);
        break;
    case ROUTE_LEADERS:
        split_leaders(call, request);
        break;
    case ROUTE_GROUP:
    case ROUTE_TRANSACTION:
        to_coordinator(call, request, *(const struct str *)(const void *)((const char *)request + call->api->key_at));
        break;
    case ROUTE_GROUPS:
    case ROUTE_TRANSACTIONS:
        if (str_is_null(key))
            split_keys(call, request);
        else /* it is one key's already */
            to_coordinator(call, request, key);
        break;
    case ROUTE_BROKERS:
        split_brokers(call, request);
        break;
    case ROUTE_NODE:
        ASSERT(!"the caller names the node");
        break;
    }
}
