/* A node that belongs to another cluster: it is asked which, so that an operator is told both ids, once. */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/describe_cluster.h"

#define ENDPOINTS_OF_CONTROLLERS 2 /* EndpointType of DescribeCluster */

struct quorum_stranger {
    struct quorum *q;
    int32_t id;
    struct client_call call;
    struct describe_cluster_request request;
};

static bool is_told(const struct quorum *q, int32_t id)
{
    for (uint32_t i = 0; i < q->stranger_count; i++) {
        if (q->strangers[i] == id)
            return true;
    }
    return false;
}

static void tell(struct quorum *q, int32_t id, struct str theirs)
{
    const struct client_broker *b = client_broker(q->client, id);
    char who[24] = "the node";

    if (id >= 0)
        snprintf(who, sizeof who, "node %" PRId32, id);
    snprintf(q->obstacle, sizeof q->obstacle,
             "%s at %.*s:%u belongs to cluster %.*s, this node to cluster %s (meta.properties of its log directories): "
             "correct controller.quorum.voters or controller.quorum.bootstrap.servers, or format this node for that cluster",
             who, STR_ARG(b == NULL ? STR("?") : b->host), b == NULL ? 0 : b->port,
             STR_ARG(theirs.n > 0 && theirs.n < (int32_t)sizeof q->cluster_id ? theirs : STR("(not said)")), q->cluster_id);
    say(q->telemetry, LOG_ERROR, "quorum", "%s", q->obstacle);
}

static void answered(struct op *op, int64_t result)
{
    struct quorum_stranger *s = container_of(op, struct quorum_stranger, call.op);
    const struct describe_cluster_response *m = s->call.response;
    struct quorum *q = s->q;

    if (result != -ECANCELED)
        tell(q, s->id, result == 0 && m->error_code == KERR_NONE ? m->cluster_id : STR_NULL);
    client_call_release(&s->call);
    free(s);
    q->asking = NULL;
    gate_leave(&q->gate);
}

void quorum_stranger_found(struct quorum *q, int32_t id)
{
    struct quorum_stranger *s;

    if (q->asking != NULL || is_told(q, id) || q->stranger_count == array_count(q->strangers) || !gate_enter(&q->gate))
        return;
    q->strangers[q->stranger_count++] = id;
    s = calloc(1, sizeof(*s));
    ASSERT(s != NULL);
    s->q = q;
    s->id = id;
    describe_cluster_request_init(&s->request);
    s->request.endpoint_type = ENDPOINTS_OF_CONTROLLERS;
    s->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = id},
                                   .api_key = API_DESCRIBE_CLUSTER,
                                   .version_low = 1,
                                   .request = &s->request};
    op_init(&s->call.op, answered);
    q->asking = s;
    client_send(q->client, &s->call);
}

void quorum_stranger_cancel(struct quorum *q)
{
    if (q->asking != NULL)
        client_cancel(&q->asking->call);
}

const char *quorum_obstacle(const struct quorum *q)
{
    return q->obstacle[0] == '\0' ? NULL : q->obstacle;
}
