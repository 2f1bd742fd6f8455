/* A node: what it does with outcomes, and what a crash leaves of it. */
#include "history.h"

#include <stdlib.h>

struct raft_key key_of(int32_t id, bool is_dynamic)
{
    struct raft_key key = {.id = id};

    if (is_dynamic)
        key.directory_id.b[0] = (uint8_t)(100 + id);
    return key;
}

const struct raft_voters *voters_of(uint32_t bits)
{
    static struct raft_voters made[1 << (NODES_MAX + 1)];
    struct raft_voters *v = &made[bits];
    bool is_dynamic = (bits & STATIC_BIT) == 0;

    if (v->count > 0)
        return v;
    v->kraft_version = is_dynamic;
    for (int32_t id = 1; id <= NODES_MAX; id++) {
        if ((bits & 1u << id) == 0)
            continue;
        struct raft_voter *voter = &v->voters[v->count++];
        voter->id = id;
        voter->directory_id = key_of(id, is_dynamic).directory_id;
        voter->kraft_version_max = 1;
        voter->endpoint_count = 1;
        memcpy(voter->endpoints[0].name, "CONTROLLER", sizeof("CONTROLLER"));
    }
    return v;
}

uint32_t bits_of(const struct raft_voters *voters)
{
    uint32_t bits = voters->kraft_version == 0 ? STATIC_BIT : 0;

    for (uint32_t i = 0; i < voters->count; i++)
        bits |= 1u << voters->voters[i].id;
    return bits;
}

int64_t node_now(const struct world *w, const struct node *n)
{
    return w->now * n->rate / 1000;
}

int64_t node_tick_at(const struct world *w, const struct node *n)
{
    if (!n->up || n->deadline_ms == NEVER)
        return NEVER;
    int64_t at = (n->deadline_ms * 1000 + n->rate - 1) / n->rate;
    return at > w->now ? at : w->now;
}

uint32_t node_voters(const struct world *w, const struct node *n, int64_t *end)
{
    for (int64_t i = n->end - 1; i >= 0; i--) {
        if (n->log[i].voters == 0)
            continue;
        *end = i < n->start ? 0 : i + 1;
        return n->log[i].voters;
    }
    *end = 0;
    return w->bootstrap;
}

static int32_t end_epoch(const struct node *n)
{
    return n->end > 0 ? n->log[n->end - 1].epoch : 0;
}

/* ---- outcomes ------------------------------------------------------------------------------ */

void node_append(struct world *w, struct node *n, struct entry e)
{
    struct raft_outcome out;
    int64_t voters_end;

    CHECK(n->end < LOG_MAX);
    n->log[n->end++] = e;
    if (n->sync_at == NEVER) {
        n->sync_at = w->now + 1 + (int64_t)below(w, 60);
        n->sync_end = n->end;
    }
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_APPENDED, .end_offset = n->end, .end_epoch = e.epoch}, &out);
    if (!n->up || e.voters == 0)
        return;
    const struct raft_voters *voters = voters_of(node_voters(w, n, &voters_end));
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = voters, .voters_end = voters_end}, &out);
}

static void send_all(struct world *w, struct node *n, const struct raft_outcome *out)
{
    struct raft_key successors[RAFT_VOTERS_MAX];

    for (uint32_t i = 0; i < out->send_count; i++) {
        const struct raft_send *s = &out->sends[i];
        struct letter m = {.kind = LETTER_REQUEST, .from = n->id, .to = s->to.id};
        m.request = (struct raft_request){.rpc = s->rpc,
                                          .from = key_of(n->id, true),
                                          .to = s->to,
                                          .epoch = s->epoch,
                                          .pre_vote = s->pre_vote,
                                          .last_epoch = s->last_epoch,
                                          .last_offset = s->last_offset};
        if (s->rpc == RAFT_END) {
            m.request.preferred_count = raft_successors(n->raft, successors);
            for (uint32_t k = 0; k < m.request.preferred_count; k++)
                m.preferred[k] = successors[k].id;
        }
        if (s->rpc == RAFT_VOTE && !s->pre_vote)
            check_vote(w, n->id, s->epoch, key_of(n->id, true));
        struct raft_answer answer = {.rpc = s->rpc, .from = s->to.id, .sent_epoch = s->epoch, .pre_vote = s->pre_vote};
        (void)net_call(w, n, &m, answer);
    }
}

/* As room quorum: what must be durable, what is appended, what is sent. */
static void carry_out(struct world *w, struct node *n, const struct raft_outcome *out)
{
    bool may_die = !w->calm && out->persist;
    uint32_t voters = bits_of(raft_voters(n->raft));

    if (may_die && below(w, 60) == 0) {
        node_crash(w, n); /* before anything is durable */
        return;
    }
    if (out->persist) {
        CHECK(out->election.epoch >= n->election.epoch);
        n->election = out->election;
    }
    if (may_die && below(w, 60) == 0) {
        node_crash(w, n); /* and nobody has heard of it */
        return;
    }
    if (out->append_leader_change)
        node_append(w, n, (struct entry){.epoch = out->election.epoch, .value = ++w->last_value});
    if (out->append_voters && n->up) {
        int32_t epoch = raft_election(n->raft)->epoch;
        node_append(w, n, (struct entry){.epoch = epoch, .value = ++w->last_value, .voters = voters});
    }
    if (n->up)
        send_all(w, n, out);
}

void node_step(struct world *w, struct node *n, struct raft_event event, struct raft_outcome *out)
{
    event.now_ms = node_now(w, n);
    raft_step(n->raft, &event, out);
    n->deadline_ms = out->deadline_ms;
    if (out->role_changed) {
        static const char *const names[] = {"unattached", "prospective", "candidate", "leader", "follower", "resigned"};
        world_trace(w, "%d becomes %s epoch=%d leader=%d end=%d", n->id, names[out->role],
                    raft_election(n->raft)->epoch, raft_election(n->raft)->leader_id, (int)n->end);
        n->role = out->role;
        n->fetch_call = 0;
        n->fetch_at = w->now;
    }
    check_step(w, n, out);
    carry_out(w, n, out);
}

/* ---- life ---------------------------------------------------------------------------------- */

void node_start(struct world *w, struct node *n)
{
    struct raft_outcome out;
    int64_t voters_end;
    static struct raft_options o;

    o = (struct raft_options){.node_id = n->id,
                              .directory_id = key_of(n->id, true).directory_id,
                              .can_vote = n->can_vote,
                              .election = n->election,
                              .log_epoch = end_epoch(n),
                              .election_timeout_ms = 1000,
                              .election_backoff_max_ms = 1000,
                              .fetch_timeout_ms = 2000,
                              .retry_backoff_ms = 20,
                              .seed = prng_u64(&w->g)};
    o.voters = *voters_of(node_voters(w, n, &voters_end));
    o.voters.from_bootstrap = (w->bootstrap & STATIC_BIT) == 0;
    o.voters_end = voters_end;
    o.was_voter = (w->bootstrap & 1u << n->id) != 0;
    for (int64_t i = 0; i < n->end; i++) {
        o.voters.from_bootstrap = o.voters.from_bootstrap && n->log[i].voters == 0;
        o.was_voter = o.was_voter || (n->log[i].voters & 1u << n->id) != 0;
    }
    o.self = voters_of(1u << n->id)->voters[0];
    world_trace(w, "%d starts epoch=%d leader=%d voted=%d end=%d", n->id, n->election.epoch, n->election.leader_id,
                n->election.voted_id, (int)n->end);
    n->raft = raft_new(&o);
    n->up = true;
    n->stable = n->end;
    n->high_watermark = -1;
    n->sync_at = n->start_at = NEVER;
    n->fetch_at = w->now;
    n->fetch_call = 0;
    memset(n->calls, 0, sizeof(n->calls));
    bool led = n->election.leader_id == n->id && n->election.epoch >= end_epoch(n);
    struct raft_event start = {
        .type = RAFT_EVENT_START, .end_offset = n->end, .stable_offset = n->end, .end_epoch = end_epoch(n)};
    node_step(w, n, start, &out);
    if (led) /* F5 */
        CHECK(out.role == RAFT_RESIGNED || (out.role == RAFT_LEADER && o.voters.count == 1));
}

static void node_end(struct world *w, struct node *n)
{
    raft_free(n->raft);
    n->raft = NULL;
    n->up = false;
    n->role = RAFT_UNATTACHED;
    n->sync_at = n->fetch_at = NEVER;
    n->start_at = w->now + 1 + (int64_t)below(w, 6000);
}

/* Of what is not stable, a beginning may be there. */
void node_crash(struct world *w, struct node *n)
{
    n->end = n->stable + (int64_t)below(w, (uint64_t)(n->end - n->stable) + 1);
    if (n->end < n->start)
        n->end = n->start;
    world_trace(w, "%d crashes end=%d", n->id, (int)n->end);
    node_end(w, n);
}

void node_stop(struct world *w, struct node *n)
{
    struct raft_outcome out;

    world_trace(w, "%d stops", n->id);
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_STOP}, &out);
    if (n->up)
        node_end(w, n);
}

void node_synced(struct world *w, struct node *n)
{
    struct raft_outcome out;

    n->sync_at = NEVER;
    if (n->sync_end < n->stable || n->sync_end > n->end)
        n->sync_end = n->stable; /* it was cut meanwhile */
    n->stable = n->sync_end;
    if (n->stable < n->end) {
        n->sync_at = w->now + 1 + (int64_t)below(w, 60);
        n->sync_end = n->end;
    }
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_STABLE, .stable_offset = n->stable}, &out);
}

void node_write(struct world *w, struct node *n)
{
    if (n->end < LOG_FULL || w->calm)
        node_append(w, n, (struct entry){.epoch = raft_election(n->raft)->epoch, .value = ++w->last_value});
}

enum kerr node_change(struct world *w, struct node *n, enum raft_change_kind kind, int32_t id)
{
    static const char *const names[] = {"adds", "removes", "updates", "upgrades by"};
    static struct raft_change change;
    struct raft_outcome out;
    uint32_t before = bits_of(raft_voters(n->raft));
    int64_t high_watermark = n->high_watermark;

    change = (struct raft_change){.kind = kind, .voter = voters_of(1u << id)->voters[0]};
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_CHANGE, .change = &change}, &out);
    if (out.append_voters) {
        w->changes++;
        check_change(w, n, high_watermark);
        w->upgrades += kind == RAFT_UPGRADE;
        world_trace(w, "%d %s %d of %x", n->id, names[kind], id, before);
    }
    return out.reply.error;
}
