/* DescribeCluster (key 60): the nodes of the cluster, brokers or controllers (KIP-919). */
#include "broker/api/api.h"
#include "broker/scatter.h"
#include "broker/session.h"
#include "broker/view.h"
#include "protocol/describe_cluster.h"

#define ENDPOINT_BROKERS 1
#define ENDPOINT_CONTROLLERS 2

static void add(struct request *r, int32_t id, const struct image_endpoint *e, struct str rack,
                bool fenced)
{
    struct describe_cluster_response *a = r->response;
    struct describe_cluster_response_brokers *out = &a->brokers[a->brokers_count++];

    describe_cluster_response_brokers_init(out);
    out->broker_id = id;
    out->host = arena_str(&r->arena, e->host);
    out->port = e->port;
    out->rack = arena_str(&r->arena, rack);
    out->is_fenced = fenced;
}

static void answer_brokers(struct request *r)
{
    const struct describe_cluster_request *m = r->message;
    struct describe_cluster_response *a = r->response;
    const struct image *image = r->shard->image;
    uint32_t n = image_broker_count(image);

    a->controller_id = view_controller(r);
    a->brokers = arena_take_array(&r->arena, n, sizeof *a->brokers);
    for (uint32_t i = 0; i < n; i++) {
        const struct image_broker *b = image_broker_at(image, i);
        const struct image_endpoint *e = view_endpoint(r, b);
        if (view_is_named(r, b) || (e != NULL && m->include_fenced_brokers))
            add(r, b->id, e, b->rack, b->fenced);
    }
}

static void answer_controllers(struct request *r)
{
    struct describe_cluster_response *a = r->response;
    const struct image *image = r->shard->image;
    uint32_t n = image_controller_count(image);
    struct str name = str_of(request_listener(r)->bound->name);

    a->brokers = arena_take_array(&r->arena, n, sizeof *a->brokers);
    for (uint32_t i = 0; i < n; i++) {
        const struct image_controller *c = image_controller_at(image, i);
        for (int32_t e = 0; e < c->endpoint_count; e++) {
            if (str_equal(c->endpoints[e].name, name))
                add(r, c->id, &c->endpoints[e], STR_NULL, false);
        }
    }
}

/* On the home shard: which of the controllers is active. */
static void part_leader(struct scatter_part *part)
{
    int32_t *leader_id = part->items[0], epoch;
    struct node *node = part->shard->broker->node;

    if (node != NULL && node_quorum(node) != NULL)
        quorum_leader(node_quorum(node), leader_id, &epoch);
    scatter_part_done(part);
}

static void leader_joined(struct scatter *s)
{
    answer_controllers(s->request);
    request_answer(s->request);
}

static void ask_for_leader(struct request *r)
{
    struct describe_cluster_response *a = r->response;
    struct scatter *s = scatter_new(r, part_leader, leader_joined);

    a->controller_id = -1;
    scatter_add(s, 0, &a->controller_id);
    scatter_run(s);
}

/* The words are Kafka's: its Admin shows them to who has mixed up bootstrap servers and
 * controllers. */
static void refuse_endpoint_type(struct request *r, bool on_controller)
{
    const struct describe_cluster_request *m = r->message;
    struct describe_cluster_response *a = r->response;

    if (m->endpoint_type != ENDPOINT_BROKERS && m->endpoint_type != ENDPOINT_CONTROLLERS) {
        a->error_code = KERR_UNSUPPORTED_ENDPOINT_TYPE;
        a->error_message =
            arena_printf(&r->arena, "Unsupported endpoint type %d", m->endpoint_type);
        return;
    }
    a->error_code = KERR_MISMATCHED_ENDPOINT_TYPE;
    a->error_message =
        on_controller ? STR("The request was sent to an endpoint of type CONTROLLER, but we wanted "
                            "an endpoint of type BROKER")
                      : STR("The request was sent to an endpoint of type BROKER, but we wanted an "
                            "endpoint of type CONTROLLER");
}

void describe_cluster_handle(struct request *r)
{
    const struct describe_cluster_request *m = r->message;
    struct describe_cluster_response *a = r->response;
    bool on_controller = request_listener(r)->kind == LISTENER_CONTROLLER;

    a->cluster_id = str_of(r->shard->broker->cluster_id);
    a->endpoint_type = m->endpoint_type;
    if (m->endpoint_type != (on_controller ? ENDPOINT_CONTROLLERS : ENDPOINT_BROKERS)) {
        refuse_endpoint_type(r, on_controller);
        request_answer(r);
        return;
    }
    if (m->include_cluster_authorized_operations)
        a->cluster_authorized_operations =
            request_authorized_operations(r, RESOURCE_CLUSTER, STR("kafka-cluster"));
    if (on_controller) {
        ask_for_leader(r);
        return;
    }
    answer_brokers(r);
    request_answer(r);
}
