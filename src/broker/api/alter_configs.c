/* AlterConfigs (key 33): all settings of a resource at once, from clients that do not know key 44; the controller
 * decides. */
#include "broker/api/api.h"
#include "broker/forward.h"
#include "protocol/alter_configs.h"

static void failed(struct request *r, enum kerr error)
{
    const struct alter_configs_request *m = r->message;
    struct alter_configs_response *a = r->response;

    a->responses_count = m->resources_count;
    a->responses = arena_take_array(&r->arena, (size_t)m->resources_count, sizeof *a->responses);
    for (int32_t i = 0; i < m->resources_count; i++) {
        alter_configs_response_responses_init(&a->responses[i]);
        a->responses[i].resource_type = m->resources[i].resource_type;
        a->responses[i].resource_name = m->resources[i].resource_name;
        a->responses[i].error_code = (int16_t)error;
    }
}

void alter_configs_handle(struct request *r)
{
    forward_whole(r, failed);
}
