/* How a call ended, in words. */
#include "admin/api.h"

#include <errno.h>

static bool any_sent(const struct admin_call *call)
{
    for (uint32_t i = 0; i < call->part_count; i++) {
        if (call->parts[i]->wire.sent)
            return true;
    }
    return false;
}

int admin_explain(struct admin_call *call, int trouble, bool sent)
{
    const char *name = api_name(call->api->key);
    struct client_health health;

    client_health(admin_client(call->admin), &health);
    call->indefinite = !call->api->repeatable && (sent || (call->cancelled && any_sent(call)));
    if (call->cancelled)
        return fail_set(&call->fail, -ECANCELED, "%s: given up by who asked%s", name,
                        call->indefinite ? "; it may have been carried out or not" : "");
    if (health.state != CLIENT_UP && trouble != ERR_VERSION)
        return fail_set(&call->fail, trouble, "%s: is the broker up, and is this the address of one of its listeners?",
                        health.reason[0] == '\0' ? "no broker can be reached" : health.reason);
    if (trouble == ERR_VERSION)
        return fail_set(&call->fail, trouble, "The node does not support %s in a version that is known here%s", name,
                        call->api->key == API_METADATA ? "; is it a controller's listener?" : "");
    if (trouble == -ENOENT)
        return fail_set(&call->fail, trouble, "%s: there is no such node in the cluster", name);
    if (call->indefinite)
        return fail_set(&call->fail, trouble,
                        "%s was sent, but no answer has come (%s): it may have been carried out or not", name,
                        error_text(trouble));
    return fail_set(&call->fail, trouble, "%s: %s", name, error_text(trouble));
}

int admin_outcome(struct admin_call *call)
{
    if (call->cancelled)
        return admin_explain(call, -ECANCELED, false);
    for (uint32_t i = 0; i < call->part_count; i++) {
        if (call->parts[i]->trouble < 0)
            return admin_explain(call, call->parts[i]->trouble, call->parts[i]->wire.sent);
    }
    return 0;
}
