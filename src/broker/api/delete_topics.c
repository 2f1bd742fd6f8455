/* DeleteTopics (key 20): by name, from version 6 on also by id; the controller decides. */
#include "broker/api/api.h"
#include "broker/forward.h"
#include "protocol/delete_topics.h"

static void failed(struct request *r, enum kerr error)
{
    const struct delete_topics_request *m = r->message;
    struct delete_topics_response *a = r->response;
    int32_t n = r->version >= 6 ? m->topics_count : m->topic_names_count;

    a->responses_count = n;
    a->responses = arena_take_array(&r->arena, (size_t)n, sizeof *a->responses);
    for (int32_t i = 0; i < n; i++) {
        delete_topics_response_responses_init(&a->responses[i]);
        a->responses[i].name = r->version >= 6 ? m->topics[i].name : m->topic_names[i];
        a->responses[i].topic_id = r->version >= 6 ? m->topics[i].topic_id : UUID_ZERO;
        a->responses[i].error_code = (int16_t)error;
    }
}

void delete_topics_handle(struct request *r)
{
    forward_whole(r, failed);
}
