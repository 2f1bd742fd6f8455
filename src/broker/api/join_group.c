/* JoinGroup (key 11): a member enters its group, or says what it can do now. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/join_group.h"

static void failed(struct request *r, enum kerr error)
{
    ((struct join_group_response *)r->response)->error_code = (int16_t)error;
}

void join_group_handle(struct request *r)
{
    const struct join_group_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_READ, failed);
}

void join_group_cancel(struct request *r)
{
    groups_cancel(r);
}
