/* Leaders, in-sync replicas and eligible leader replicas after a change of brokers (KIP-841,
 * KIP-966; the order of the steps is Kafka's PartitionChangeBuilder's). */
#include "controller/internal.h"

#include "protocol/broker_registration_change_record.h"
#include "protocol/partition_change_record.h"

#define LEADER_UNCHANGED (-2)
#define METADATA_VERSION_ISR_SHRINK_WITHOUT_EPOCH 12

bool broker_is_active(const struct image *i, int32_t id)
{
    const struct image_broker *b = image_broker_find(i, id);

    return b != NULL && !b->fenced && !b->in_controlled_shutdown;
}

/* ---- lists of brokers --------------------------------------------------------------------------
 */

struct ids {
    int32_t *p;
    int32_t n;
};

static bool ids_have(const int32_t *p, int32_t n, int32_t id)
{
    for (int32_t i = 0; i < n; i++) {
        if (p[i] == id)
            return true;
    }
    return false;
}

static bool ids_equal(const struct ids *a, const int32_t *p, int32_t n)
{
    return a->n == n && (n == 0 || memcmp(a->p, p, (size_t)n * sizeof(*p)) == 0);
}

static struct ids ids_new(struct decision *d, int32_t capacity)
{
    return (struct ids){arena_take_array(&d->c->scratch, (size_t)capacity, sizeof(int32_t)), 0};
}

static void ids_add(struct ids *ids, int32_t id)
{
    if (!ids_have(ids->p, ids->n, id))
        ids->p[ids->n++] = id;
}

/* ---- one partition -----------------------------------------------------------------------------
 */

struct change {
    struct decision *d;
    const struct broker_change *cause;
    const struct image_topic *topic;
    const struct image_partition *partition;
    const struct config *broker; /* settings in force */
    bool elr_on;
    struct ids isr, elr; /* that it will have */
    int32_t leader;
    bool unclean; /* the leader may lack records */
};

static bool in_list(const struct uuid *list, int32_t count, struct uuid id)
{
    for (int32_t i = 0; i < count; i++) {
        if (uuid_equal(list[i], id))
            return true;
    }
    return false;
}

/* Whether a replica of the partition goes, by this change. */
static bool is_leaving(const struct broker_change *cause, const struct image_partition *p,
                       int32_t id)
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

static bool may_lead(const struct change *c, int32_t id)
{
    const struct image_partition *p = c->partition;
    const struct image_broker *b = image_broker_find(c->d->image, id);

    if (b == NULL || is_leaving(c->cause, p, id))
        return false;
    if (id != c->cause->joins && (b->fenced || b->in_controlled_shutdown))
        return false;
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == id)
            return image_broker_has_online(b, p->directories[i]);
    }
    return false;
}

/* Whether it holds all that was committed: in the ISR, or when that is empty in the ELR. */
static bool is_complete(const struct change *c, int32_t id)
{
    return ids_have(c->isr.p, c->isr.n, id) || (c->isr.n == 0 && ids_have(c->elr.p, c->elr.n, id));
}

/* While there are fewer in-sync replicas than min.insync.replicas, those that leave the ISR are
 * eligible still: they hold all that was committed, as nothing new can be. */
static void fill_elr(struct change *c)
{
    const struct image_partition *p = c->partition;
    int32_t min = effective_min_isr(c->d, c->broker, c->topic, p->replica_count);

    c->elr = ids_new(c->d, p->elr_count + p->isr_count);
    if (!c->elr_on || c->isr.n >= min)
        return;
    for (int32_t i = 0; i < p->elr_count; i++) {
        if (!ids_have(c->isr.p, c->isr.n, p->elr[i]) && p->elr[i] != c->cause->died)
            ids_add(&c->elr, p->elr[i]);
    }
    for (int32_t i = 0; i < p->isr_count; i++) {
        if (!ids_have(c->isr.p, c->isr.n, p->isr[i]) && p->isr[i] != c->cause->died)
            ids_add(&c->elr, p->isr[i]);
    }
}

/* Nobody is known to be complete, but one was the last to lead: it has the most. */
static bool elect_last_known(struct change *c)
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

static void elect(struct change *c)
{
    const struct image_partition *p = c->partition;

    c->leader = p->leader;
    if (is_complete(c, p->leader) && may_lead(c, p->leader))
        return;
    for (int32_t i = 0; i < p->replica_count; i++) {
        c->leader = p->replicas[i];
        if (is_complete(c, c->leader) && may_lead(c, c->leader))
            return;
    }
    if (elect_last_known(c))
        return;
    for (int32_t i = 0; effective_unclean(c->broker, c->topic) && i < p->replica_count; i++) {
        c->leader = p->replicas[i];
        c->unclean = true;
        if (may_lead(c, c->leader))
            return;
    }
    c->leader = NO_LEADER;
    c->unclean = false;
}

/* A leader from the ELR, or one elected unclean, is alone in the ISR at first. */
static void settle_isr(struct change *c)
{
    const struct image_partition *p = c->partition;

    if (c->leader == p->leader || c->leader == NO_LEADER || ids_have(c->isr.p, c->isr.n, c->leader))
        return;
    if (c->unclean) {
        c->elr.n = 0;
    } else {
        struct ids rest = ids_new(c->d, c->elr.n);
        for (int32_t i = 0; i < c->elr.n; i++) {
            if (c->elr.p[i] != c->leader)
                ids_add(&rest, c->elr.p[i]);
        }
        c->elr = rest;
    }
    c->isr = ids_new(c->d, 1);
    ids_add(&c->isr, c->leader);
}

static void fill_last_known(const struct change *c, struct partition_change_record *r)
{
    const struct image_partition *p = c->partition;
    int32_t *leader = arena_take(&c->d->c->scratch, sizeof(*leader));

    if (!c->elr_on)
        return;
    if (r->isr_count == 0 && p->leader != NO_LEADER &&
        (p->last_elr_count != 1 || p->last_elr[0] != p->leader)) {
        *leader = p->leader;
        r->last_known_elr = leader;
        r->last_known_elr_count = 1;
    } else if (p->last_elr_count > 0 &&
               (r->leader >= 0 || (p->leader != NO_LEADER && r->leader != NO_LEADER))) {
        r->last_known_elr = leader;
        r->last_known_elr_count = 0;
    }
}

static bool lost_one(const struct change *c)
{
    for (int32_t i = 0; i < c->partition->isr_count; i++) {
        if (!ids_have(c->isr.p, c->isr.n, c->partition->isr[i]))
            return true;
    }
    return false;
}

static void add_change(struct change *c)
{
    const struct image_partition *p = c->partition;
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = c->topic->id;
    r.partition_id = p->partition;
    if (c->leader != p->leader)
        r.leader = c->leader;
    if (c->unclean && p->recovery_state == 0)
        r.leader_recovery_state = 1;
    if (!ids_equal(&c->elr, p->elr, p->elr_count)) {
        r.eligible_leader_replicas = c->elr.p;
        r.eligible_leader_replicas_count = c->elr.n;
    }
    if ((c->isr.n > 0 || c->elr_on) && !ids_equal(&c->isr, p->isr, p->isr_count)) {
        r.isr = c->isr.p;
        r.isr_count = c->isr.n;
        if (r.leader == LEADER_UNCHANGED && lost_one(c) &&
            c->d->version->level < METADATA_VERSION_ISR_SHRINK_WITHOUT_EPOCH)
            r.leader = p->leader;
    }
    fill_last_known(c, &r);
    if (r.leader == LEADER_UNCHANGED && r.isr_count < 0 && r.eligible_leader_replicas_count < 0 &&
        r.last_known_elr_count < 0 && r.leader_recovery_state < 0)
        return;
    decision_add(c->d, &partition_change_record_message, c->d->version->partition_change_record,
                 &r);
}

static void change_partition(struct change *c)
{
    const struct image_partition *p = c->partition;

    c->isr = ids_new(c->d, p->isr_count);
    for (int32_t i = 0; i < p->isr_count; i++) {
        if (!is_leaving(c->cause, p, p->isr[i]))
            ids_add(&c->isr, p->isr[i]);
    }
    c->unclean = false;
    fill_elr(c);
    elect(c);
    settle_isr(c);
    add_change(c);
}

/* ---- all of a broker ---------------------------------------------------------------------------
 */

static bool concerns(const struct broker_change *cause, const struct image_partition *p)
{
    if (cause->joins != NO_LEADER)
        return p->leader == NO_LEADER && ids_have(p->replicas, p->replica_count, cause->joins);
    if (cause->leaves != NO_LEADER)
        return ids_have(p->isr, p->isr_count, cause->leaves);
    return ids_have(p->isr, p->isr_count, cause->died) ||
           ids_have(p->elr, p->elr_count, cause->died);
}

void decide_partition_changes(struct decision *d, const struct broker_change *cause)
{
    struct change c = {.d = d, .cause = cause, .elr_on = elr_is_on(d->image), .broker = effective_broker(d)};

    for (uint32_t t = 0; t < image_topic_count(d->image); t++) {
        c.topic = image_topic_at(d->image, t);
        for (int32_t i = 0; i < c.topic->partition_count; i++) {
            c.partition = &c.topic->partitions[i];
            if (c.partition->replica_count > 0 && concerns(cause, c.partition))
                change_partition(&c);
        }
    }
}

void add_broker_change(struct decision *d, const struct image_broker *b, int8_t fenced,
                       int8_t in_controlled_shutdown)
{
    struct broker_registration_change_record r;

    broker_registration_change_record_init(&r);
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.fenced = fenced;
    r.in_controlled_shutdown = in_controlled_shutdown;
    decision_add(d, &broker_registration_change_record_message, in_controlled_shutdown != 0, &r);
}

void decide_fence(struct decision *d, const struct image_broker *b)
{
    decide_partition_changes(d, &(struct broker_change){b->id, NO_LEADER, NO_LEADER});
    add_broker_change(d, b, 1, 0);
}

void decide_unfence(struct decision *d, const struct image_broker *b)
{
    add_broker_change(d, b, -1, 0);
    decide_partition_changes(d, &(struct broker_change){NO_LEADER, b->id, NO_LEADER});
}
