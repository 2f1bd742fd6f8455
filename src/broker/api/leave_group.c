/* LeaveGroup (key 13): members leave at once instead of by timeout. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/leave_group.h"

static void failed(struct request *r, enum kerr error)
{
    ((struct leave_group_response *)r->response)->error_code = (int16_t)error;
}

void leave_group_handle(struct request *r)
{
    const struct leave_group_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_READ, failed);
}
