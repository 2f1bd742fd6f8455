/* The member's requests to the coordinator. */
#include "consumer/membership.h"

#include <stdlib.h>

#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/sync_group.h"

/* JoinGroup may wait for as long as the other members have, and a little for the answer. */
#define JOIN_EXTRA_MS 5000

void membership_call_free(struct membership_call *call)
{
    if (call == NULL)
        return;
    client_call_release(&call->wire);
    arena_deinit(&call->arena);
    free(call);
}

static void call_done(struct op *op, int64_t result)
{
    struct membership_call *call = container_of(op, struct membership_call, wire.op);

    list_remove(&call->node);
    consumer_poke(call->group->consumer);
    membership_answered(call, result);
}

static struct membership_call *call_new(struct membership *g, enum member_act act, uint32_t ticket, int16_t api_key,
                                   int64_t timeout_ms)
{
    struct membership_call *call = calloc(1, sizeof *call);

    ASSERT(call != NULL);
    call->group = g;
    call->act = act;
    call->ticket = ticket;
    arena_init(&call->arena, 0);
    call->wire = (struct client_call){
        .target = {.kind = CLIENT_GROUP, .key = g->consumer->settings.group_id},
        .api_key = api_key,
        .timeout_ms = timeout_ms,
    };
    op_init(&call->wire.op, call_done);
    return call;
}

static void send(struct membership_call *call)
{
    list_add_tail(&call->group->calls, &call->node);
    client_send(call->group->consumer->client, &call->wire);
}

static void *take(struct membership_call *call, size_t count, size_t bytes)
{
    void *p = arena_take_array(&call->arena, count, bytes);

    ASSERT(p != NULL);
    return p;
}

/* Sets are in order, so a topic's partitions lie together. */
static void owned_in(struct membership_call *call, const struct tp_set *set,
                     struct consumer_protocol_assignment *out)
{
    struct consumer_protocol_assignment_assigned_partitions *t = NULL;

    consumer_protocol_assignment_init(out);
    out->assigned_partitions = take(call, set->count, sizeof *out->assigned_partitions);
    for (uint32_t i = 0; i < set->count; i++) {
        if (t == NULL || !str_equal(t->topic, set->items[i].topic)) {
            t = &out->assigned_partitions[out->assigned_partitions_count++];
            consumer_protocol_assignment_assigned_partitions_init(t);
            t->topic = arena_str(&call->arena, set->items[i].topic);
            t->partitions = take(call, set->count - i, sizeof *t->partitions);
        }
        t->partitions[t->partitions_count++] = set->items[i].partition;
    }
}

/* What the member tells the leader, for one assignor. */
static int subscription_for(struct membership *g, struct membership_call *call, enum assignor assignor,
                            struct bytes *out)
{
    struct consumer_protocol_assignment owned, last;
    struct consumer_protocol_subscription s;

    owned_in(call, &g->member.owned, &owned);
    owned_in(call, &g->last, &last);
    consumer_protocol_subscription_init(&s);
    s.topics = take(call, g->topics.count, sizeof *s.topics);
    for (uint32_t i = 0; i < g->topics.count; i++)
        s.topics[s.topics_count++] = g->topics.items[i].topic;
    s.owned_partitions = take(call, (size_t)owned.assigned_partitions_count, sizeof *s.owned_partitions);
    for (int32_t i = 0; i < owned.assigned_partitions_count; i++) {
        consumer_protocol_subscription_owned_partitions_init(&s.owned_partitions[i]);
        s.owned_partitions[i].topic = owned.assigned_partitions[i].topic;
        s.owned_partitions[i].partitions = owned.assigned_partitions[i].partitions;
        s.owned_partitions[i].partitions_count = owned.assigned_partitions[i].partitions_count;
    }
    s.owned_partitions_count = owned.assigned_partitions_count;
    s.generation_id = g->last_generation;
    if (g->consumer->settings.client.client_rack.n > 0)
        s.rack_id = g->consumer->settings.client.client_rack;
    TRY(assignor_user_data(assignor, &last, g->last_generation, &call->arena, &s.user_data));
    return subscription_write(&s, CONSUMER_PROTOCOL_VERSION, &call->arena, out);
}

void membership_send_join(struct membership *g, uint32_t ticket)
{
    const struct consumer_settings *settings = &g->consumer->settings;
    struct membership_call *call = call_new(g, MEMBER_SEND_JOIN, ticket, API_JOIN_GROUP,
                                             settings->max_poll_interval_ms + JOIN_EXTRA_MS);
    struct join_group_request *q = take(call, 1, sizeof *q);

    join_group_request_init(q);
    q->group_id = settings->group_id;
    q->session_timeout_ms = settings->session_timeout_ms;
    q->rebalance_timeout_ms = settings->max_poll_interval_ms;
    q->member_id = arena_str(&call->arena, str_of(g->member.id));
    q->group_instance_id = settings->group_instance_id;
    q->protocol_type = CONSUMER_PROTOCOL_TYPE;
    q->protocols = take(call, g->assignor_count, sizeof *q->protocols);
    q->reason = arena_str(&call->arena, g->reason);
    for (uint32_t i = 0; i < g->assignor_count; i++) {
        struct join_group_request_protocols *p = &q->protocols[q->protocols_count];
        join_group_request_protocols_init(p);
        p->name = assignor_name(g->assignors[i]);
        if (subscription_for(g, call, g->assignors[i], &p->metadata) == 0)
            q->protocols_count++;
    }
    g->reason = STR_NULL;
    call->wire.request = q;
    call->wire.version_low = str_is_null(settings->group_instance_id) ? 0 : 5;
    send(call);
}

void membership_send_sync(struct membership *g, uint32_t ticket)
{
    const struct consumer_settings *settings = &g->consumer->settings;
    struct membership_call *call = call_new(g, MEMBER_SEND_SYNC, ticket, API_SYNC_GROUP,
                                             settings->max_poll_interval_ms + JOIN_EXTRA_MS);
    const struct join_group_response *joined = g->join->wire.response;
    struct sync_group_request *q = take(call, 1, sizeof *q);

    sync_group_request_init(q);
    q->group_id = settings->group_id;
    q->generation_id = g->member.generation;
    q->member_id = arena_str(&call->arena, str_of(g->member.id));
    q->group_instance_id = settings->group_instance_id;
    q->protocol_type = CONSUMER_PROTOCOL_TYPE;
    q->protocol_name = arena_str(&call->arena, joined->protocol_name);
    if (g->sync != NULL) {
        q->assignments = g->sync->assignments;
        q->assignments_count = g->sync->assignments_count;
    }
    call->wire.request = q;
    call->wire.version_low = str_is_null(settings->group_instance_id) ? 0 : 3;
    send(call);
}

void membership_send_heartbeat(struct membership *g, uint32_t ticket)
{
    const struct consumer_settings *settings = &g->consumer->settings;
    struct membership_call *call = call_new(g, MEMBER_SEND_HEARTBEAT, ticket, API_HEARTBEAT,
                                             settings->session_timeout_ms);
    struct heartbeat_request *q = take(call, 1, sizeof *q);

    heartbeat_request_init(q);
    q->group_id = settings->group_id;
    q->generation_id = g->member.generation;
    q->member_id = arena_str(&call->arena, str_of(g->member.id));
    q->group_instance_id = settings->group_instance_id;
    call->wire.request = q;
    call->wire.version_low = str_is_null(settings->group_instance_id) ? 0 : 3;
    send(call);
}

/* Until v2 the request names the one who leaves, from v3 on a list. */
static void prepare_leave(struct client_call *wire)
{
    struct leave_group_request *q = (struct leave_group_request *)(uintptr_t)wire->request;

    if (wire->version < 3)
        q->members_count = 0;
    else
        q->member_id = STR("");
}

void membership_send_leave(struct membership *g, uint32_t ticket)
{
    const struct consumer_settings *settings = &g->consumer->settings;
    struct membership_call *call = call_new(g, MEMBER_SEND_LEAVE, ticket, API_LEAVE_GROUP,
                                             settings->client.request_timeout_ms);
    struct leave_group_request *q = take(call, 1, sizeof *q);

    leave_group_request_init(q);
    q->group_id = settings->group_id;
    q->member_id = arena_str(&call->arena, str_of(g->member.id));
    q->members = take(call, 1, sizeof *q->members);
    q->members_count = 1;
    leave_group_request_members_init(q->members);
    q->members->member_id = q->member_id;
    q->members->reason = g->member.away ? STR("the caller does not poll") : STR("the consumer leaves");
    call->wire.request = q;
    call->wire.prepare = prepare_leave;
    send(call);
}
