/* What the coordinator answers, for the member. */
#include "consumer/membership.h"

#include <stdlib.h>

#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/sync_group.h"

/* The coordinator must have chosen one of ours. */
static bool is_ours(const struct membership *g, struct str protocol)
{
    for (uint32_t i = 0; i < g->assignor_count; i++) {
        if (str_equal(assignor_name(g->assignors[i]), protocol))
            return true;
    }
    return false;
}

/* The call is held: SyncGroup names its protocol, and the leader needs its list. */
static void take_join(struct membership *g, struct membership_call *call, int64_t now_ns)
{
    const struct join_group_response *a = call->wire.response;
    struct member_joined joined = {
        .code = a->error_code,
        .member_id = a->member_id,
        .generation = a->generation_id,
        .leads = str_equal(a->leader, a->member_id),
    };

    if (a->error_code == KERR_NONE && !is_ours(g, a->protocol_name))
        joined.code = KERR_INCONSISTENT_GROUP_PROTOCOL;
    membership_assign_end(g);
    g->join = call;
    member_joined(&g->member, now_ns, call->ticket, &joined);
}

static void take_sync(struct membership *g, struct membership_call *call, int64_t now_ns)
{
    const struct sync_group_response *a = call->wire.response;
    struct consumer_protocol_assignment given;
    struct consumer_partition *all;
    struct tp_set set = {0};
    int16_t code = a->error_code;
    uint32_t n = 0;

    consumer_protocol_assignment_init(&given);
    /* Nothing at all: there was nothing for this member. */
    if (code == KERR_NONE && a->assignment.n > 0 && assignment_read(a->assignment, &call->arena, &given) < 0) {
        say(g->consumer->telemetry, LOG_WARN, "consumer", "group %.*s: an assignment that cannot be read; joins anew",
            STR_ARG(g->consumer->settings.group_id));
        code = KERR_REBALANCE_IN_PROGRESS;
    }
    for (int32_t t = 0; t < given.assigned_partitions_count; t++)
        n += (uint32_t)given.assigned_partitions[t].partitions_count;
    all = arena_take_array(&call->arena, n, sizeof *all);
    ASSERT(all != NULL);
    n = 0;
    for (int32_t t = 0; t < given.assigned_partitions_count; t++) {
        for (int32_t i = 0; i < given.assigned_partitions[t].partitions_count; i++) {
            if (given.assigned_partitions[t].partitions[i] >= 0)
                all[n++] = (struct consumer_partition){given.assigned_partitions[t].topic,
                                                       given.assigned_partitions[t].partitions[i]};
        }
    }
    set = tp_set_of(all, n);
    member_synced(&g->member, now_ns, call->ticket, code, &set);
    tp_set_free(&set);
}

static int16_t code_of(const struct membership_call *call)
{
    const struct heartbeat_response *a = call->wire.response;

    return a->error_code;
}

/* There was no answer. */
static void take_trouble(struct membership *g, struct membership_call *call, int64_t now_ns, int trouble)
{
    struct member_joined none = {.code = KERR_NETWORK_EXCEPTION, .member_id = STR("")};
    const struct tp_set nothing = {0};

    if (trouble == -EACCES) /* nor will there be one */
        none.code = call->wire.lookup_error;
    if (trouble == ERR_VERSION)
        none.code = KERR_UNSUPPORTED_VERSION;

    switch (call->act) {
    case MEMBER_SEND_JOIN:
        member_joined(&g->member, now_ns, call->ticket, &none);
        return;
    case MEMBER_SEND_SYNC:
        member_synced(&g->member, now_ns, call->ticket, none.code, &nothing);
        return;
    case MEMBER_SEND_HEARTBEAT:
        member_heard(&g->member, now_ns, call->ticket, none.code);
        return;
    default:
        member_left(&g->member, call->ticket); /* its session will end */
    }
}

void membership_answered(struct membership_call *call, int64_t result)
{
    struct membership *g = call->group;
    int64_t now_ns = io_now_ns(g->consumer->io);

    if (result != 0) {
        take_trouble(g, call, now_ns, (int)result);
        membership_call_free(call);
        return;
    }
    switch (call->act) {
    case MEMBER_SEND_JOIN:
        if (call->ticket == g->member.join_ticket) {
            take_join(g, call, now_ns);
            return;
        }
        break;
    case MEMBER_SEND_SYNC:
        take_sync(g, call, now_ns);
        break;
    case MEMBER_SEND_HEARTBEAT:
        member_heard(&g->member, now_ns, call->ticket, code_of(call));
        break;
    default:
        member_left(&g->member, call->ticket);
    }
    membership_call_free(call);
}
