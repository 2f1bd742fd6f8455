/* SyncGroup (key 14): the leader hands in the assignment, every member gets its part. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/sync_group.h"

static void failed(struct request *r, enum kerr error)
{
    ((struct sync_group_response *)r->response)->error_code = (int16_t)error;
}

void sync_group_handle(struct request *r)
{
    const struct sync_group_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_READ, failed);
}

void sync_group_cancel(struct request *r)
{
    groups_cancel(r);
}
