/* OffsetDelete (key 47): forget committed offsets of a group's topics. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/offset_delete.h"

static void failed(struct request *r, enum kerr error)
{
    ((struct offset_delete_response *)r->response)->error_code = (int16_t)error;
}

void offset_delete_handle(struct request *r)
{
    const struct offset_delete_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_DELETE, failed);
}
