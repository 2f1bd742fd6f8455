/* Which answers mean "not now". */
#include "admin/api.h"

/* The node could not do it at this moment and did nothing; a little later, or elsewhere, it will be done. */
static bool says_not_now(int16_t error)
{
    switch (error) {
    case KERR_LEADER_NOT_AVAILABLE:
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_BROKER_NOT_AVAILABLE:
    case KERR_COORDINATOR_LOAD_IN_PROGRESS:
    case KERR_COORDINATOR_NOT_AVAILABLE:
    case KERR_NOT_COORDINATOR:
    case KERR_NOT_CONTROLLER:
    case KERR_FENCED_LEADER_EPOCH:
    case KERR_UNKNOWN_LEADER_EPOCH:
    case KERR_OFFSET_NOT_AVAILABLE:
    case KERR_UNSTABLE_OFFSET_COMMIT:
    case KERR_CONCURRENT_TRANSACTIONS:
        return true;
    default:
        return false;
    }
}

struct tally {
    int32_t not_now, others;
};

static void count(struct tally *t, const void *of, uint16_t error_at)
{
    if (error_at == NOWHERE)
        return;
    if (says_not_now(*error_of(of, error_at)))
        t->not_now++;
    else
        t->others++;
}

bool admin_not_now(const struct admin_api *api, const void *response)
{
    const struct admin_shape *s = &api->response;
    const void *start = shape_start(&api->response_outer, response);
    struct tally t = {0};

    if (s->error_at != NOWHERE && says_not_now(*error_of(response, s->error_at)))
        return true; /* the whole */
    for (int32_t i = 0; start != NULL && i < list_count(&s->list, start); i++) {
        const char *element = list_element(&s->list, start, i);
        count(&t, element, s->list.error_at);
        for (int32_t j = 0; j < list_count(&s->inner, element); j++)
            count(&t, list_element(&s->inner, element, j), s->inner.error_at);
    }
    /* What may not be done twice is asked again only where no part of it was done. */
    return t.not_now > 0 && (api->repeatable || t.others == 0);
}
