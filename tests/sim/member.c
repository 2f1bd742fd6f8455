/* A member of the group: joins, is given partitions, reads them, commits how far it came.
 *
 *   seek the coordinator ─► join ─► sync ─► fetch commits ─► work ─► leave, vanish, freeze, or told to
 *            ▲                                                 │     rebalance: join again
 *            └─────────────────────────────────────────────────┘
 *
 * A commit whose fate is unknown may take effect late. So its member goes and comes back as a new one:
 * the coming generation shuts the old one's requests out. */
#include <stdlib.h>

#include "clients.h"
#include "fetch.h"
#include "protocol/find_coordinator.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "member.h"

struct client *member_client(struct member *m) { return &m->client; }

/* ---- where it stands -------------------------------------------------------------------------------- */

void member_error(struct member *m, const char *what, int16_t error)
{
    m->joined = false;
    switch (error) {
    case KERR_REBALANCE_IN_PROGRESS:
    case KERR_ILLEGAL_GENERATION:
        return;
    case KERR_UNKNOWN_MEMBER_ID:
        m->member_id[0] = 0;
        return;
    default:
        m->coordinator_known = false;
        expect_passing(&m->client, what, error);
    }
}

static void lost_touch(struct member *m)
{
    m->joined = false;
    m->coordinator_known = false;
}

/* ---- coordinator ---------------------------------------------------------------------------------------- */

static void begin_find(struct member *m)
{
    struct find_coordinator_request q;
    struct str group = STR(GROUP);

    find_coordinator_request_init(&q);
    m->version = client_draw_version(&m->client, API_FIND_COORDINATOR, 0, 6);
    q.key = m->version < 4 ? group : STR("");
    q.coordinator_keys = &group;
    q.coordinator_keys_count = m->version < 4 ? 0 : 1;
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_FIND_COORDINATOR, m->version, &q, &m->flow.op);
}

static void take_find(struct member *m)
{
    const struct find_coordinator_response *a = m->rpc.answer;
    int16_t error = a->error_code;
    int32_t node = a->node_id;

    if (m->version >= 4) {
        if (a->coordinators_count != 1)
            broken(m->client.world, "FindCoordinator of one group was answered with %d", a->coordinators_count);
        error = a->coordinators[0].error_code;
        node = a->coordinators[0].node_id;
    }
    if (error != KERR_NONE) {
        if (!m->first_find || !error_is_passing(error)) /* the first one makes the topic */
            expect_passing(&m->client, "FindCoordinator", error);
        return;
    }
    if (node != 1)
        broken(m->client.world, "FindCoordinator names node %d", node);
    m->coordinator_known = true;
    m->first_find = false;
}

/* ---- join ------------------------------------------------------------------------------------------------- */

static void begin_join(struct member *m)
{
    struct join_group_request_protocols protocol;
    struct join_group_request q;

    join_group_request_init(&q);
    join_group_request_protocols_init(&protocol);
    protocol.name = STR("range");
    protocol.metadata = m->subscription;
    q.group_id = STR(GROUP);
    q.session_timeout_ms = m->client.world->plan.session_ms;
    q.rebalance_timeout_ms = m->rebalance_ms;
    q.member_id = str_of(m->member_id);
    q.protocol_type = STR("consumer");
    q.protocols = &protocol;
    q.protocols_count = 1;
    rpc_begin(&m->join, &m->client, m->coordinator, API_JOIN_GROUP, m->join_version, &q, &m->flow.op);
}

/* It has a generation. */
static bool take_join(struct member *m)
{
    const struct join_group_response *a = m->join.answer;

    if (a->error_code == KERR_MEMBER_ID_REQUIRED && m->member_id[0] == 0 && a->member_id.n > 0) {
        snprintf(m->member_id, sizeof m->member_id, "%.*s", STR_ARG(a->member_id));
        return false;
    }
    if (a->error_code != KERR_NONE) {
        member_error(m, "JoinGroup", a->error_code);
        return false;
    }
    if (m->member_id[0] != 0 && !str_equal(str_of(m->member_id), a->member_id))
        broken(m->client.world, "%s joined as %s and is answered as %.*s", m->client.name, m->member_id,
               STR_ARG(a->member_id));
    snprintf(m->member_id, sizeof m->member_id, "%.*s", STR_ARG(a->member_id));
    m->generation = a->generation_id;
    m->leads = str_equal(a->leader, a->member_id);
    m->partitions_led = group_partitions(m);
    if (m->leads != (a->members_count > 0))
        broken(m->client.world, "%s: JoinGroup told %d members to a %s", m->client.name, a->members_count,
               m->leads ? "leader" : "follower");
    return true;
}

/* ---- heartbeat, leave ---------------------------------------------------------------------------------------- */

static void begin_heartbeat(struct member *m)
{
    struct heartbeat_request q;

    heartbeat_request_init(&q);
    q.group_id = STR(GROUP);
    q.member_id = str_of(m->member_id);
    q.generation_id = m->generation;
    m->heartbeat_ns = world_now_ns(m->client.world);
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_HEARTBEAT,
              client_draw_version(&m->client, API_HEARTBEAT, 0, 4), &q, &m->flow.op);
}

static void take_heartbeat(struct member *m)
{
    const struct heartbeat_response *a = m->rpc.answer;

    if (a->error_code != KERR_NONE)
        member_error(m, "Heartbeat", a->error_code);
}

static bool heartbeat_due(const struct member *m)
{
    return world_now_ns(m->client.world) - m->heartbeat_ns >
           (int64_t)m->client.world->plan.session_ms * 1000000 / 5;
}

static void begin_leave(struct member *m)
{
    int16_t version = client_draw_version(&m->client, API_LEAVE_GROUP, 0, 5);
    struct leave_group_request_members one;
    struct leave_group_request q;

    leave_group_request_init(&q);
    leave_group_request_members_init(&one);
    one.member_id = str_of(m->member_id);
    q.group_id = STR(GROUP);
    q.member_id = version < 3 ? one.member_id : STR("");
    q.members = &one;
    q.members_count = version < 3 ? 0 : 1;
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_LEAVE_GROUP, version, &q, &m->flow.op);
}

/* ---- what it feels like doing ------------------------------------------------------------------------------ */

enum mood { MOOD_WORK, MOOD_LEAVE, MOOD_VANISH, MOOD_FREEZE };

static enum mood draw_mood(struct member *m)
{
    struct client *c = &m->client;

    if (c->stop)
        return MOOD_LEAVE;
    if (c->world->calm_ns != 0 || client_below(c, 40) != 0)
        return MOOD_WORK;
    return (enum mood)(1 + client_below(c, 3));
}

static int64_t freeze_ns(struct member *m)
{
    return (int64_t)(m->client.world->plan.session_ms / 2 +
                     (int64_t)client_below(&m->client, 2 * (uint64_t)m->client.world->plan.session_ms)) *
           1000000;
}

static void be_new(struct member *m)
{
    m->member_id[0] = 0;
    m->joined = false;
    m->in_doubt = false;
}

/* ---- its life -------------------------------------------------------------------------------------------------- */

static void member_run(struct flow *f)
{
    struct member *m = container_of(f, struct member, flow);
    struct client *c = &m->client;

    FLOW_BEGIN(f);
    while (group_partitions(m) == 0 && !c->stop)
        FLOW_WAIT(f, "topics", client_sleep(c, client_ms(c, 5, 40), &f->op));
    while (!c->stop) {
        if (!m->coordinator_known) {
            FLOW_WAIT(f, "find", begin_find(m));
            if (f->result == 0)
                take_find(m);
        }
        if (m->coordinator_known && !m->joined) {
            fetch_drop_all(&m->fetch);
            FLOW_WAIT(f, "join", begin_join(m));
            if (f->result < 0)
                lost_touch(m);
            else
                m->joined = take_join(m);
            if (m->joined) {
                FLOW_WAIT(f, "sync", member_sync_begin(m));
                if (f->result < 0)
                    lost_touch(m);
                else
                    member_sync_take(m);
            }
            while (m->joined && m->fetch.count > 0) {
                FLOW_WAIT(f, "commits", member_committed_begin(m));
                if (f->result == 0 && member_committed_take(m))
                    break;
                if (f->result < 0)
                    lost_touch(m);
            }
        }
        if (m->joined && m->fetch.count > 0 && client_below(c, 4) != 0)
            FLOW_WAIT(f, "fetch", fetch_once(&m->fetch, c, m->data, &f->op));
        m->mood = draw_mood(m);
        if (m->joined && m->mood == MOOD_FREEZE)
            FLOW_WAIT(f, "freeze", client_sleep(c, freeze_ns(m), &f->op));
        if (m->joined && (m->mood == MOOD_FREEZE || client_below(c, 3) == 0) && member_commit_due(m)) {
            FLOW_WAIT(f, "commit", member_commit_begin(m));
            if (f->result < 0) {
                m->in_doubt = true;
                lost_touch(m);
            } else {
                member_commit_take(m);
            }
        }
        if (m->joined && heartbeat_due(m)) {
            FLOW_WAIT(f, "heartbeat", begin_heartbeat(m));
            if (f->result < 0)
                lost_touch(m);
            else
                take_heartbeat(m);
        }
        if (m->joined && m->leads && m->partitions_led != group_partitions(m))
            m->joined = false; /* there are more to give away */
        if (m->member_id[0] != 0 && (m->mood == MOOD_LEAVE || m->in_doubt)) {
            FLOW_WAIT(f, "leave", begin_leave(m));
            be_new(m);
        }
        if (m->mood == MOOD_VANISH)
            be_new(m);
        if (m->mood == MOOD_LEAVE || m->mood == MOOD_VANISH)
            FLOW_WAIT(f, "away", client_sleep(c, client_ms(c, 1, c->stop ? 1 : 400), &f->op));
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 2, 40), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(m->coordinator, &f->op));
    FLOW_WAIT(f, "close", peer_close(m->data, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct member *member_new(struct world *w, uint32_t number)
{
    struct member *m = calloc(1, sizeof *m);
    struct client *c;
    char name[16];

    ASSERT(m != NULL);
    c = &m->client;
    snprintf(name, sizeof name, "member-%u", number);
    client_init(c, w, name, true);
    m->first_find = true;
    m->join_version = client_draw_version(c, API_JOIN_GROUP, 2, 9);
    m->rebalance_ms = 300 + (int32_t)client_below(c, 1200);
    fetch_draw(&m->fetch, c);
    m->fetch.max_wait_ms = 20;
    m->fetch.min_bytes = 1;
    m->fetch.partition_bytes_max = 1 << 20;
    m->coordinator = client_connect(c, 2 * w->plan.session_ms + m->rebalance_ms + 1500, 1);
    m->data = client_connect(c, 400 + (int64_t)client_below(c, 600), 1);
    member_subscription(m);
    return m;
}

void member_begin(struct member *m)
{
    flow_start(&m->flow, member_run, NULL);
}

void member_free(struct member *m)
{
    if (m == NULL)
        return;
    rpc_deinit(&m->rpc);
    rpc_deinit(&m->join);
    rpc_deinit(&m->fetch.rpc);
    client_deinit(&m->client);
    free((void *)(uintptr_t)m->subscription.p);
    free(m);
}
