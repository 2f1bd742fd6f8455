/* The producer id, which any broker gives (KIP-98). */
#include "producer/sender.h"

static void fail_or_retry(struct producer *p, int16_t code)
{
    struct identity *id = &p->identity;

    if (code == KERR_CLUSTER_AUTHORIZATION_FAILED) {
        producer_fail(p, code, "the broker gives this client no producer id: grant it IdempotentWrite on the cluster, "
                               "or set enable.idempotence=false");
        return;
    }
    if (code == KERR_UNSUPPORTED_VERSION) {
        producer_fail(p, code, "the brokers know no idempotent producers: set enable.idempotence=false");
        return;
    }
    if (!kerr_is_retriable(code)) {
        producer_fail(p, code, "InitProducerId was refused with %s", kerr_name(code));
        return;
    }
    id->retry_at_ms = producer_now_ms(p) + client_backoff_ms(p->client, ++id->attempts);
}

static void asked(struct op *op, int64_t result)
{
    struct identity *id = container_of(op, struct identity, call.op);
    struct producer *p = container_of(id, struct producer, identity);
    const struct init_producer_id_response *r = id->call.response;

    producer_lock(p);
    id->asking = false;
    if (result == ERR_VERSION) {
        fail_or_retry(p, KERR_UNSUPPORTED_VERSION);
    } else if (result < 0) {
        fail_or_retry(p, KERR_NETWORK_EXCEPTION);
    } else if (r->error_code != KERR_NONE) {
        fail_or_retry(p, r->error_code);
    } else {
        id->who.producer_id = r->producer_id;
        id->who.producer_epoch = r->producer_epoch;
        id->attempts = 0;
    }
    producer_unlock(p);
    client_call_release(&id->call);
    producer_soon(p);
}

void sender_seek_identity(struct producer *p, int64_t now_ms)
{
    struct identity *id = &p->identity;

    if (!id->who.wanted || id->asking || p->fatal_code != KERR_NONE)
        return;
    if (now_ms < id->retry_at_ms) {
        producer_again_at(p, id->retry_at_ms);
        return;
    }
    id->who.wanted = false;
    id->asking = true;
    init_producer_id_request_init(&id->request);
    id->request.transactional_id = STR_NULL;
    id->request.transaction_timeout_ms = INT32_MAX; /* Kafka's own says so where there are no transactions */
    id->call = (struct client_call){
        .target = {.kind = CLIENT_ANY},
        .api_key = API_INIT_PRODUCER_ID,
        .version_high = 5, /* 6 is for two-phase commit */
        .request = &id->request,
    };
    op_init(&id->call.op, asked);
    client_send(p->client, &id->call);
}

void sender_cancel_identity(struct producer *p)
{
    if (p->identity.asking)
        client_cancel(&p->identity.call);
}
