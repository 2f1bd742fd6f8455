/* CreateTopics (key 19): the controller decides; the answer leaves when the topics are committed.
 */
#include "broker/api/api.h"
#include "broker/forward.h"
#include "protocol/create_topics.h"

static void failed(struct request *r, enum kerr error)
{
    const struct create_topics_request *m = r->message;
    struct create_topics_response *a = r->response;

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        create_topics_response_topics_init(&a->topics[i]);
        a->topics[i].name = m->topics[i].name;
        a->topics[i].error_code = (int16_t)error;
        if (error == KERR_POLICY_VIOLATION) /* the controller's bound on one request */
            a->topics[i].error_message = STR("Excessively large number of partitions per request.");
    }
}

void create_topics_handle(struct request *r)
{
    forward_whole(r, failed);
}
