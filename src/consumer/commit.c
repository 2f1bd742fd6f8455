/* Commits, one after the other: so they take effect in the order of the calls.
 *
 * A request whose answer is lost may yet take effect, when a later commit has been acknowledged already. It is sent
 * again until it is answered; and because the lost copy may still come, the group is joined anew before another
 * commit is made: the coming generation shuts the old one's requests out. */
#include "consumer/internal.h"

#include <stdlib.h>

#include "protocol/offset_commit.h"

/* v10 names topics by id, which a topic that is committed for may not have any more. */
#define VERSION_LOW 2
#define VERSION_HIGH 9

static struct commit *commit_new(struct consumer *c, int64_t timeout_ms)
{
    struct commit *m = calloc(1, sizeof *m);

    ASSERT(m != NULL);
    m->consumer = c;
    m->deadline_ns = io_now_ns(c->io) + timeout_ms * NS_PER_MS;
    arena_init(&m->arena, 0);
    list_add_tail(&c->commits, &m->node);
    consumer_poke(c);
    return m;
}

void commit_done(struct consumer *c, int64_t timeout_ms, void (*ended)(struct consumer *c, int64_t result))
{
    struct commit *m = commit_new(c, timeout_ms);

    m->all = true;
    m->ended = ended;
}

void consumer_commit(struct consumer *c, struct consumer_call *call)
{
    struct commit *m = commit_new(c, call->timeout_ms > 0 ? call->timeout_ms : c->settings.default_api_timeout_ms);

    call->consumer = c;
    m->call = call;
    m->offsets = call->offsets;
    m->count = call->count;
    m->all = call->count == 0;
    if (str_is_null(c->settings.group_id))
        m->end = -EINVAL;
    if (c->closing)
        m->end = ERR_CLOSED;
}

static bool is_uncommitted(const struct part *p)
{
    return p->done >= 0 && (p->done > p->committed || (p->put_back && p->done != p->committed));
}

bool commit_is_due(const struct consumer *c)
{
    LIST_EACH(it, &c->part_list) {
        if (is_uncommitted(container_of(it, struct part, node)))
            return true;
    }
    return false;
}

/* ---- its end -------------------------------------------------------------------------------- */

void commit_end(struct commit *m, int64_t result)
{
    struct consumer *c = m->consumer;
    struct consumer_call *call = m->call;
    void (*ended)(struct consumer *c, int64_t result) = m->ended;

    ASSERT(!m->in_flight);
    list_remove(&m->node);
#ifndef MUTANT_CONSUMER_NEVER_DOUBTS
    if (m->doubt && m->generation >= 0) {
        c->doubt_generation = m->generation;
        membership_rejoin(c, STR("a commit may take effect late"));
    }
#endif
    client_call_release(&m->wire);
    arena_deinit(&m->arena);
    free(m);
    consumer_poke(c);
    if (ended != NULL)
        ended(c, result);
    if (call != NULL)
        call->op.done(&call->op, result);
}

/* All of it has this outcome. */
void commit_fail(struct commit *m, int64_t result, const struct consumer_error *e)
{
    for (uint32_t i = 0; i < m->count; i++)
        m->offsets[i].error = *e;
    if (m->call != NULL)
        m->call->error = *e;
    commit_end(m, result);
}

static void fail_trouble(struct commit *m, int trouble)
{
    struct consumer_error e;

    error_trouble(&e, trouble, trouble == ERR_CLOSED ? CONSUMER_GIVE_UP : CONSUMER_WAIT, "commit for group %.*s",
                  STR_ARG(m->consumer->settings.group_id));
    e.definite = !m->doubt;
    commit_fail(m, trouble, &e);
}

/* The last commit of a consumer that closes is made in the next generation, if that has begun: what it kept is its own there. */
static bool next_generation(struct commit *m)
{
    struct consumer *c = m->consumer;
    int32_t generation;
    struct str member_id;

    if (!c->closing || m->ended == NULL || !membership_generation(c, &generation, &member_id) ||
        generation <= m->generation)
        return false;
    m->begun = false;
    m->count = 0;
    commit_again(m);
    return true;
}

void commit_generation_gone(struct commit *m, int16_t code)
{
    struct consumer_error e;

    if (next_generation(m))
        return;
    error_code(&e, code, CONSUMER_REJOINED,
               "commit for group %.*s in generation %d: the partitions are shared out anew",
               STR_ARG(m->consumer->settings.group_id), m->generation);
    e.definite = !m->doubt;
    commit_fail(m, -EIO, &e);
}

void commit_stop(struct commit *m, int trouble)
{
    if (m->end == 0)
        m->end = trouble;
    if (m->in_flight)
        client_cancel(&m->wire);
    consumer_poke(m->consumer);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void gather(struct commit *m)
{
    struct consumer *c = m->consumer;
    uint32_t count = 0;

    LIST_EACH(it, &c->part_list)
        count += is_uncommitted(container_of(it, struct part, node));
    m->offsets = arena_take_array(&m->arena, count, sizeof *m->offsets);
    ASSERT(m->offsets != NULL);
    LIST_EACH(it, &c->part_list) {
        const struct part *p = container_of(it, struct part, node);
        if (!is_uncommitted(p))
            continue;
        m->offsets[m->count++] = (struct consumer_offset){
            .partition = {arena_str(&m->arena, p->id.topic), p->id.partition},
#ifdef MUTANT_CONSUMER_COMMITS_HANDED_OUT
            .offset = p->position,
#else
            .offset = p->done,
#endif
            .leader_epoch = p->done_epoch,
            .metadata = STR(""),
        };
    }
}

static void fill(struct commit *m, struct offset_commit_request *q)
{
    struct offset_commit_request_topics_partitions *ones =
        arena_take_array(&m->arena, m->count, sizeof *ones);
    struct offset_commit_request_topics *t = NULL;

    q->topics = arena_take_array(&m->arena, m->count, sizeof *q->topics);
    ASSERT(ones != NULL && q->topics != NULL);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct consumer_offset *o = &m->offsets[i];
        if (t == NULL || !str_equal(t->name, o->partition.topic)) {
            t = &q->topics[q->topics_count++];
            offset_commit_request_topics_init(t);
            t->name = o->partition.topic;
            t->partitions = &ones[i];
        }
        offset_commit_request_topics_partitions_init(&ones[i]);
        ones[i].partition_index = o->partition.partition;
        ones[i].committed_offset = o->offset;
        ones[i].committed_leader_epoch = o->leader_epoch;
        ones[i].committed_metadata = str_is_null(o->metadata) ? STR("") : o->metadata;
        t->partitions_count++;
    }
}

static void wire_done(struct op *op, int64_t result)
{
    struct commit *m = container_of(op, struct commit, wire.op);

    m->in_flight = false;
    commit_answered(m, result);
}

static void send(struct commit *m, struct str member_id)
{
    struct consumer *c = m->consumer;
    struct offset_commit_request *q = arena_take(&m->arena, sizeof *q);

    ASSERT(q != NULL);
    offset_commit_request_init(q);
    q->group_id = c->settings.group_id;
    q->generation_id_or_member_epoch = m->generation;
    q->member_id = arena_str(&m->arena, member_id);
    fill(m, q);
    client_call_release(&m->wire);
    m->wire = (struct client_call){
        .target = {.kind = CLIENT_GROUP, .key = c->settings.group_id},
        .api_key = API_OFFSET_COMMIT,
        .version_low = VERSION_LOW,
        .version_high = VERSION_HIGH,
        .request = q,
        .timeout_ms = c->settings.client.request_timeout_ms,
        .prepare = NULL,
    };
    if (m->generation >= 0 && !str_is_null(c->settings.group_instance_id)) {
        q->group_instance_id = c->settings.group_instance_id;
        m->wire.version_low = 7; /* without the name a coordinator could not fence it (KIP-345) */
    }
    op_init(&m->wire.op, wire_done);
    m->in_flight = true;
    client_send(c->client, &m->wire);
}

void commit_again(struct commit *m)
{
    m->retry_ns = consumer_after(m->consumer, ++m->attempt);
    consumer_poke(m->consumer);
}

/* ---- when ----------------------------------------------------------------------------------- */

/* Whether the commit may be sent now; else it waits, or it has ended. */
static bool may_go(struct commit *m, struct str *member_id)
{
    struct consumer *c = m->consumer;
    int32_t generation;

    if (!membership_generation(c, &generation, member_id)) {
        if (m->begun || m->all)
            commit_generation_gone(m, KERR_REBALANCE_IN_PROGRESS);
        return false; /* a commit of offsets of the caller's waits for the next generation */
    }
#ifndef MUTANT_CONSUMER_ANY_GENERATION
    if (m->begun && generation != m->generation) {
        commit_generation_gone(m, KERR_ILLEGAL_GENERATION);
        return false;
    }
#endif
    m->generation = generation;
    if (m->begun || generation < 0 || generation != c->doubt_generation)
        return true;
    if (m->ended != NULL || (m->call != NULL && m->all)) /* who waits here does not poll, as the next one wants */
        commit_generation_gone(m, KERR_REBALANCE_IN_PROGRESS);
    return false;
}

/* One of the consumer's own has nothing left to do: a commit before it did it all. For that no generation is needed.
 * Where that one was left out because its generation is in doubt, it is not so. */
static bool has_come_to_nothing(const struct commit *m)
{
    struct consumer *c = m->consumer;
    int32_t generation;
    struct str member_id;

    if (m->call != NULL || m->begun || commit_is_due(c))
        return false;
    return !membership_generation(c, &generation, &member_id) || generation < 0 || generation != c->doubt_generation;
}

static void advance(struct commit *m)
{
    struct consumer *c = m->consumer;
    int64_t now_ns = io_now_ns(c->io);
    struct str member_id;

    if (m->in_flight)
        return;
    if (m->end < 0 || now_ns >= m->deadline_ns) {
        fail_trouble(m, m->end < 0 ? m->end : -ETIMEDOUT);
        return;
    }
    consumer_wake_at(c, m->deadline_ns);
    if (m->retry_ns > now_ns) {
        consumer_wake_at(c, m->retry_ns);
        return;
    }
    if (has_come_to_nothing(m)) {
        commit_end(m, 0);
        return;
    }
    if (!may_go(m, &member_id))
        return;
    if (m->all && !m->begun)
        gather(m);
    m->begun = true;
    if (m->count == 0)
        commit_end(m, 0);
    else
        send(m, member_id);
}

static void auto_commit(struct consumer *c)
{
    int64_t now_ns = io_now_ns(c->io);

    if (!c->settings.enable_auto_commit || str_is_null(c->settings.group_id) || c->closing)
        return;
    if (now_ns >= c->auto_commit_ns) {
        c->auto_commit_ns = now_ns + c->settings.auto_commit_interval_ms * NS_PER_MS;
        if (commit_is_due(c) && list_empty(&c->commits))
            commit_done(c, c->settings.default_api_timeout_ms, NULL);
    }
    if (c->assigned.count > 0)
        consumer_wake_at(c, c->auto_commit_ns);
}

void commit_pump(struct consumer *c)
{
    struct commit *m;

    auto_commit(c);
    LIST_EACH(it, &c->commits) {
        m = container_of(it, struct commit, node);
        if (!m->in_flight && (m->end < 0 || io_now_ns(c->io) >= m->deadline_ns))
            fail_trouble(m, m->end < 0 ? m->end : -ETIMEDOUT);
    }
#ifdef MUTANT_CONSUMER_COMMITS_OVERTAKE
    LIST_EACH(it, &c->commits)
        advance(container_of(it, struct commit, node));
#endif
    m = LIST_FIRST(&c->commits, struct commit, node);
    if (m != NULL)
        advance(m);
}
