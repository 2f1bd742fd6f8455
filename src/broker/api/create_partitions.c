/* CreatePartitions (key 37): a topic grows; the controller decides. */
#include "broker/api/api.h"
#include "broker/forward.h"
#include "protocol/create_partitions.h"

static void failed(struct request *r, enum kerr error)
{
    const struct create_partitions_request *m = r->message;
    struct create_partitions_response *a = r->response;

    a->results_count = m->topics_count;
    a->results = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->results);
    for (int32_t i = 0; i < m->topics_count; i++) {
        create_partitions_response_results_init(&a->results[i]);
        a->results[i].name = m->topics[i].name;
        a->results[i].error_code = (int16_t)error;
        if (error == KERR_POLICY_VIOLATION) /* the controller's bound on one request */
            a->results[i].error_message =
                STR("Excessively large number of partitions per request.");
    }
}

void create_partitions_handle(struct request *r)
{
    forward_whole(r, failed);
}
