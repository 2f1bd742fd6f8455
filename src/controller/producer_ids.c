/* Blocks of producer ids (KIP-730). */
#include "controller/internal.h"

#include "protocol/allocate_producer_ids.h"
#include "protocol/producer_ids_record.h"

#define BLOCK_IDS 1000

enum kerr decide_allocate_producer_ids(struct decision *d, const void *request, void *response)
{
    const struct allocate_producer_ids_request *m = request;
    struct allocate_producer_ids_response *a = response;
    const struct image_broker *b = image_broker_find(d->image, m->broker_id);
    int64_t first = image_next_producer_id(d->image);
    struct producer_ids_record r;

    if (b == NULL || b->epoch != m->broker_epoch) {
        a->error_code = KERR_STALE_BROKER_EPOCH;
        return KERR_NONE;
    }
    if (first > INT64_MAX - BLOCK_IDS) {
        a->error_code = KERR_UNKNOWN_SERVER_ERROR;
        return KERR_NONE;
    }
    producer_ids_record_init(&r);
    r.broker_id = m->broker_id;
    r.broker_epoch = m->broker_epoch;
    r.next_producer_id = first + BLOCK_IDS;
    decision_add(d, &producer_ids_record_message, 0, &r);
    a->producer_id_start = first;
    a->producer_id_len = BLOCK_IDS;
    return KERR_NONE;
}
