/* InitProducerId (key 22): a new id for an idempotent producer, from this shard's block of ids; the controller
 * gives out blocks. Transactional producers need a transaction coordinator, which is not there yet.
 */
#include "broker/api/api.h"
#include "broker/producer_ids.h"
#include "protocol/init_producer_id.h"

static void taken(struct request *r, int64_t id)
{
    struct init_producer_id_response *a = r->response;

    if (id < 0) {
        a->error_code = KERR_COORDINATOR_NOT_AVAILABLE; /* retriable: no controller can be asked now */
    } else {
        a->producer_id = id;
        a->producer_epoch = 0;
    }
    request_answer(r);
}

void init_producer_id_handle(struct request *r)
{
    const struct init_producer_id_request *m = r->message;
    struct init_producer_id_response *a = r->response;
    enum kerr error = KERR_NONE;

    if (!str_is_null(m->transactional_id)) {
        if (m->transactional_id.n == 0)
            error = KERR_INVALID_REQUEST;
        else if (!request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, m->transactional_id))
            error = KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        else
            error = KERR_COORDINATOR_NOT_AVAILABLE;
    } else if (!request_authorize(r, ACL_IDEMPOTENT_WRITE, RESOURCE_CLUSTER,
                                  STR("kafka-cluster"))) {
        error = KERR_CLUSTER_AUTHORIZATION_FAILED;
    }
    if (error != KERR_NONE) {
        a->error_code = (int16_t)error;
        request_answer(r);
        return;
    }
    producer_id_take(r, taken);
}
