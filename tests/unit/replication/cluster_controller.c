/* The controller of the histories: registrations, elections, and the table of AlterPartition's errors. */
#include "cluster.h"

const struct news *controller_now(const struct cluster *c)
{
    return &c->news[c->news_count - 1];
}

/* The next news begins as the last. */
static struct news *change(struct cluster *c)
{
    ASSERT(c->news_count < NEWS);
    c->news[c->news_count] = *controller_now(c);
    return &c->news[c->news_count];
}

static void publish(struct cluster *c)
{
    c->news_count++;
}

static int32_t find(const int32_t *ids, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return i;
    }
    return -1;
}

static void take_out(int32_t *ids, int32_t *count, int32_t id)
{
    int32_t at = find(ids, *count, id);

    if (at < 0)
        return;
    memmove(&ids[at], &ids[at + 1], (size_t)(*count - at - 1) * sizeof *ids);
    (*count)--;
}

static void lead(struct cluster *c, struct news *n, int32_t leader)
{
    n->leader = leader;
    n->leader_epoch++;
    n->partition_epoch++;
    c->elections++;
}

/* One of the ISR that is active, not `except`; -1 none. */
static int32_t candidate(struct cluster *c, const struct news *n, int32_t except)
{
    int32_t found[BROKERS], count = 0;

    for (int32_t i = 0; i < n->isr_count; i++) {
        if (n->isr[i] != except && n->brokers[n->isr[i]].eligible)
            found[count++] = n->isr[i];
    }
    return count == 0 ? -1 : found[below(c, (uint32_t)count)];
}

void controller_begin(struct cluster *c)
{
    struct news *n = &c->news[0];

    *n = (struct news){.leader = 1, .min_isr = 1 + (int32_t)below(c, 3)};
    for (int32_t id = 1; id <= c->broker_count; id++) {
        n->replicas[n->replica_count++] = id;
        n->isr[n->isr_count++] = id;
        n->brokers[id] = (struct replication_broker){.epoch = ++c->broker_epochs, .eligible = true};
    }
    c->news_count = 1;
}

/* It leaves the ISR, if it is not the last there, and leads no more. */
static void drop(struct cluster *c, struct news *n, int32_t id)
{
    int32_t before = n->isr_count;

    if (n->isr_count > 1)
        take_out(n->isr, &n->isr_count, id);
    if (n->leader == id)
        lead(c, n, candidate(c, n, id));
    else if (n->isr_count != before)
        n->partition_epoch++;
}

void controller_fence(struct cluster *c, int32_t id)
{
    struct news *n = change(c);

    n->brokers[id].eligible = false;
    drop(c, n, id);
    publish(c);
}

void controller_register(struct cluster *c, int32_t id)
{
    struct news *n = change(c);

    n->brokers[id] = (struct replication_broker){.epoch = ++c->broker_epochs, .eligible = false};
    drop(c, n, id);
    publish(c);
}

void controller_unfence(struct cluster *c, int32_t id)
{
    struct news *n = change(c);

    n->brokers[id].eligible = true;
    if (n->leader < 0 && find(n->isr, n->isr_count, id) >= 0) {
        lead(c, n, id);
        n->recovery = REPLICATION_RECOVERED;
    }
    publish(c);
}

static bool elect(struct cluster *c)
{
    int32_t next = candidate(c, controller_now(c), controller_now(c)->leader);

    if (next < 0)
        return false;
    lead(c, change(c), next);
    publish(c);
    return true;
}

void controller_elect(struct cluster *c)
{
    elect(c);
}

void controller_elect_unclean(struct cluster *c)
{
    struct news *n = change(c);
    int32_t id = n->replicas[below(c, (uint32_t)n->replica_count)];

    if (n->leader >= 0 || !n->brokers[id].eligible)
        return;
    n->isr[0] = id;
    n->isr_count = 1;
    n->recovery = REPLICATION_RECOVERING;
    lead(c, n, id);
    publish(c);
    c->unclean_elections++;
}

/* A replica more, or one less that does not lead and is not the last in sync. */
void controller_reassign(struct cluster *c)
{
    struct news *n = change(c);
    int32_t id = 1 + (int32_t)below(c, (uint32_t)c->broker_count);

    if (find(n->replicas, n->replica_count, id) < 0) {
        n->replicas[n->replica_count++] = id;
        n->partition_epoch++;
        publish(c);
        return;
    }
    if (n->replica_count <= 2 || id == n->leader || n->leader < 0)
        return;
    take_out(n->replicas, &n->replica_count, id);
    take_out(n->isr, &n->isr_count, id);
    lead(c, n, n->leader);
    publish(c);
}

/* Rows of AlterPartition's table, in its order. */
static enum kerr judge(const struct news *n, const struct letter *l)
{
    const struct replication_proposal *p = &l->proposal;

    if (n->brokers[l->from].epoch != l->broker_epoch)
        return KERR_STALE_BROKER_EPOCH;
    if (p->leader_epoch > n->leader_epoch || p->partition_epoch > n->partition_epoch)
        return KERR_NOT_CONTROLLER;
    if (p->leader_epoch < n->leader_epoch)
        return KERR_FENCED_LEADER_EPOCH;
    if (l->from != n->leader)
        return KERR_INVALID_REQUEST;
    if (p->partition_epoch < n->partition_epoch)
        return KERR_INVALID_UPDATE_VERSION;
    for (uint32_t i = 0; i < p->count; i++) {
        if (find(n->replicas, n->replica_count, p->ids[i]) < 0 ||
            find(p->ids, (int32_t)i, p->ids[i]) >= 0)
            return KERR_INVALID_REQUEST;
    }
    if (find(p->ids, (int32_t)p->count, n->leader) < 0)
        return KERR_INVALID_REQUEST;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct replication_broker *b = &n->brokers[p->ids[i]];
        if (!b->eligible || (p->broker_epochs[i] >= 0 && p->broker_epochs[i] != b->epoch))
            return KERR_INELIGIBLE_REPLICA;
    }
    return KERR_NONE;
}

static void accept(struct cluster *c, const struct replication_proposal *p)
{
    struct news *n = change(c);

    c->expansions += (int32_t)p->count > n->isr_count;
    c->shrinks += (int32_t)p->count < n->isr_count;
    n->isr_count = (int32_t)p->count;
    memcpy(n->isr, p->ids, p->count * sizeof p->ids[0]);
    n->recovery = p->recovery;
    n->partition_epoch++;
    publish(c);
}

void controller_proposed(struct cluster *c, const struct letter *l)
{
    enum kerr error = judge(controller_now(c), l);
    struct letter answer = {.kind = DECISION, .to = l->from, .to_life = l->from_life, .proposal = l->proposal};

    if (error == KERR_STALE_BROKER_EPOCH) /* of the whole request: tried again */
        return;
    if (error == KERR_NONE && below(c, 20) == 0)
        error = KERR_OPERATION_NOT_ATTEMPTED;
    if (error == KERR_NONE) {
        accept(c, &l->proposal);
        if (below(c, 20) == 0) /* as a reassignment that completes: it is in force, and yet an error is told */
            error = elect(c) ? KERR_NEW_LEADER_ELECTED : KERR_NONE;
    } else {
        c->refused++;
    }
    answer.error = error;
    answer.state = *controller_now(c);
    letter_post(c, &answer);
}
