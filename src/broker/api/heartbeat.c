/* Heartbeat (key 12): a member lives; is its generation still the group's? */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/heartbeat.h"

static void failed(struct request *r, enum kerr error)
{
    ((struct heartbeat_response *)r->response)->error_code = (int16_t)error;
}

void heartbeat_handle(struct request *r)
{
    const struct heartbeat_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_READ, failed);
}
