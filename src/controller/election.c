/* Who leads a partition (KIP-841, KIP-966; the order in which candidates are asked is Kafka's). */
#include "controller/internal.h"

bool broker_is_active(const struct image *i, int32_t id)
{
    const struct image_broker *b = image_broker_find(i, id);

    return b != NULL && !b->fenced && !b->in_controlled_shutdown;
}

static bool in_list(const struct uuid *list, int32_t count, struct uuid id)
{
    for (int32_t i = 0; i < count; i++) {
        if (uuid_equal(list[i], id))
            return true;
    }
    return false;
}

bool is_leaving(const struct broker_change *cause, const struct image_partition *p, int32_t id)
{
    if (id == cause->died)
        return true;
    if (id != cause->leaves)
        return false;
    if (cause->lost == NULL)
        return true;
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == id)
            return in_list(cause->lost, cause->lost_count, p->directories[i]);
    }
    return false;
}

bool may_lead(const struct partition_change *c, int32_t id)
{
    const struct image_partition *p = c->partition;
    const struct image_broker *b = image_broker_find(c->d->image, id);

    if (b == NULL || is_leaving(&c->cause, p, id))
        return false;
    if (id != c->cause.joins && (b->fenced || b->in_controlled_shutdown))
        return false;
    return image_partition_is_online(p, b);
}

/* Whether it holds all that was committed, and can lead: in the ISR, or when that is empty in the ELR. */
static bool is_fit(const struct partition_change *c, int32_t id)
{
    if (!ids_have(c->isr.p, c->isr.n, id) &&
        (c->isr.n > 0 || !ids_have(c->elr.p, c->elr.n, id)))
        return false;
    return may_lead(c, id);
}

/* Nobody is known to be complete, but one was the last to lead: it has the most. */
static bool elect_last_known(struct partition_change *c)
{
    const struct image_partition *p = c->partition;

    if (!c->elr_on || c->isr.n > 0 || c->elr.n > 0 || p->last_elr_count != 1)
        return false;
    if (!may_lead(c, p->last_elr[0]))
        return false;
    c->leader = p->last_elr[0];
    c->unclean = true;
    return true;
}

static bool elect_unclean(struct partition_change *c)
{
    for (int32_t i = 0; i < c->replicas.n; i++) {
        if (!may_lead(c, c->replicas.p[i]))
            continue;
        c->leader = c->replicas.p[i];
        c->unclean = true;
        return true;
    }
    return false;
}

void elect(struct partition_change *c)
{
    c->unclean = false;
    c->leader = c->replicas.p[0];
    if (c->election == ELECTION_PREFERRED && is_fit(c, c->leader))
        return;
    c->leader = c->partition->leader;
#ifdef MUTANT_CONTROLLER_OLD_LEADER_STAYS
    if (may_lead(c, c->leader))
        return;
#endif
    if (is_fit(c, c->leader))
        return;
    for (int32_t i = 0; i < c->replicas.n; i++) {
        c->leader = c->replicas.p[i];
        if (is_fit(c, c->leader))
            return;
    }
    if (elect_last_known(c))
        return;
    if (c->election == ELECTION_UNCLEAN && elect_unclean(c))
        return;
    c->leader = NO_LEADER;
}
