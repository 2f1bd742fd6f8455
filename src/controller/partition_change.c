/* A partition that changes, and its record. What is wanted (another ISR, other replicas, an election) is said by
 * who begins; what follows from it is the same for all, in the order of Kafka's PartitionChangeBuilder:
 *
 *   a reassignment that is done ends ─► who is eligible (KIP-966) ─► who leads ─► only what differs is written
 */
#include "controller/internal.h"

#include "protocol/partition_change_record.h"

#define LEADER_UNCHANGED (-2)

void partition_change_begin(struct partition_change *c, struct decision *d,
                            const struct image_topic *topic,
                            const struct image_partition *p)
{
    const struct config *broker = effective_broker(d);

    *c = (struct partition_change){
        .d = d,
        .topic = topic,
        .partition = p,
        .cause = {NO_LEADER, NO_LEADER, NO_LEADER, NULL, 0},
        .election = effective_unclean(broker, topic) ? ELECTION_UNCLEAN : ELECTION_ONLINE,
        .elr_on = elr_is_on(d->image),
        .recovery = p->recovery_state,
        .isr = ids_of(d, p->isr, p->isr_count),
        .replicas = ids_of(d, p->replicas, p->replica_count),
        .adding = ids_of(d, p->adding, p->adding_count),
        .removing = ids_of(d, p->removing, p->removing_count),
        .leader = p->leader,
    };
}

int32_t replication_factor(const struct image_partition *p)
{
    int32_t factor = 0;

    for (int32_t i = 0; i < p->replica_count; i++)
        factor += !ids_have(p->removing, p->removing_count, p->replicas[i]);
    return factor;
}

/* ---- a reassignment ends (KIP-455) --------------------------------------------------------------
 */

/* When all that are added are in sync; where there will be fewer replicas than before, all that stay. */
static void complete_reassignment(struct partition_change *c)
{
    struct ids replicas = ids_without(c->d, c->replicas.p, c->replicas.n, c->removing);
    struct ids isr = ids_without(c->d, c->isr.p, c->isr.n, c->removing);

    if (c->adding.n == 0 && c->removing.n == 0)
        return;
    if (replicas.n == 0 || isr.n == 0)
        return;
#ifndef MUTANT_CONTROLLER_REASSIGNS_EARLY
    if (!ids_have_all(isr, c->adding.p, c->adding.n))
        return;
#endif
    if (c->adding.n < c->removing.n && !ids_have_all(isr, replicas.p, replicas.n))
        return;
    c->replicas = replicas;
    c->isr = isr;
    c->adding.n = 0;
    c->removing.n = 0;
}

/* ---- who is eligible ----------------------------------------------------------------------------
 */

static int32_t min_isr(const struct partition_change *c)
{
    return effective_min_isr(c->d, effective_broker(c->d), c->topic, c->replicas.n);
}

static void add_eligible(struct partition_change *c, const int32_t *p, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (ids_have(c->isr.p, c->isr.n, p[i]) || !ids_have(c->replicas.p, c->replicas.n, p[i]))
            continue;
#ifndef MUTANT_CONTROLLER_DEAD_STAYS_ELIGIBLE
        if (p[i] == c->cause.died)
            continue;
#endif
        ids_add(&c->elr, p[i]);
    }
}

/* While there are fewer in-sync replicas than min.insync.replicas, those that leave the ISR are
 * eligible still: they hold all that was committed, as nothing new can be. Once ELR is switched off nobody becomes
 * eligible; but where nobody leads, who was so is all that there is. */
static void fill_elr(struct partition_change *c)
{
    const struct image_partition *p = c->partition;

    c->elr = ids_new(c->d, p->elr_count + p->isr_count);
    if (c->isr.n >= min_isr(c))
        return;
    if (c->elr_on || p->isr_count == 0)
        add_eligible(c, p->elr, p->elr_count);
    if (c->elr_on)
        add_eligible(c, p->isr, p->isr_count);
}

/* A leader from the ELR, or one elected unclean, is alone in the ISR at first. */
static void settle_isr(struct partition_change *c)
{
    struct ids leader = {&c->leader, 1};

    if (c->leader == c->partition->leader || c->leader == NO_LEADER ||
        ids_have(c->isr.p, c->isr.n, c->leader))
        return;
    c->elr = ids_without(c->d, c->elr.p, c->unclean ? 0 : c->elr.n, leader);
    c->isr = ids_of(c->d, leader.p, leader.n);
    if (c->unclean)
        c->recovery = 1;
}

/* Once more, with the leader alone in the ISR: what else is eligible is so only below min.insync.replicas. */
static void trim_elr(struct partition_change *c)
{
    struct ids all = c->elr;

    c->elr = ids_new(c->d, all.n);
    if (c->isr.n >= min_isr(c) || (!c->elr_on && c->isr.n > 0))
        return;
    for (int32_t i = 0; i < all.n; i++) {
        if (ids_have(c->replicas.p, c->replicas.n, all.p[i]))
            ids_add(&c->elr, all.p[i]);
    }
}

/* ---- the record --------------------------------------------------------------------------------
 */

static void fill_leader(const struct partition_change *c, struct partition_change_record *r)
{
    const struct image_partition *p = c->partition;
    bool shrinks_isr = r->isr_count >= 0 && !ids_have_all(c->isr, p->isr, p->isr_count);

    if (c->leader != p->leader)
        r->leader = c->leader;
    /* The same leader, in a new epoch: a replica that is none any more must not be followed, or fetched for. */
    else if (!ids_have_all(c->replicas, p->replicas, p->replica_count))
        r->leader = p->leader;
    else if (shrinks_isr && c->d->version->level < METADATA_VERSION_ISR_SHRINK_WITHOUT_EPOCH)
        r->leader = p->leader;
}

static void fill_last_known(const struct partition_change *c, struct partition_change_record *r)
{
    const struct image_partition *p = c->partition;
    int32_t *leader = arena_take(&c->d->c->scratch, sizeof(*leader));

    if (c->elr_on && r->isr_count == 0 && p->leader != NO_LEADER &&
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

static struct uuid directory_of(const struct partition_change *c, int32_t id)
{
    const struct image_partition *p = c->partition;

    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == id)
            return p->directories[i];
    }
    return default_directory(c->d, id);
}

static void fill_replicas(const struct partition_change *c, struct partition_change_record *r)
{
    const struct image_partition *p = c->partition;

    if (!ids_equal(c->removing, p->removing, p->removing_count)) {
        r->removing_replicas = c->removing.p;
        r->removing_replicas_count = c->removing.n;
    }
    if (!ids_equal(c->adding, p->adding, p->adding_count)) {
        r->adding_replicas = c->adding.p;
        r->adding_replicas_count = c->adding.n;
    }
    if (ids_equal(c->replicas, p->replicas, p->replica_count))
        return;
    r->replicas = c->replicas.p;
    r->replicas_count = c->replicas.n;
    if (c->d->version->level < METADATA_VERSION_DIRECTORIES)
        return;
    r->directories =
        arena_take_array(&c->d->c->scratch, (size_t)c->replicas.n, sizeof(*r->directories));
    r->directories_count = c->replicas.n;
    for (int32_t i = 0; i < c->replicas.n; i++)
        r->directories[i] = directory_of(c, c->replicas.p[i]);
}

static bool says_something(const struct partition_change_record *r)
{
    return r->leader != LEADER_UNCHANGED || r->isr_count >= 0 || r->replicas_count >= 0 ||
           r->removing_replicas_count >= 0 || r->adding_replicas_count >= 0 ||
           r->leader_recovery_state >= 0 || r->eligible_leader_replicas_count >= 0 ||
           r->last_known_elr_count >= 0;
}

static bool add_change(const struct partition_change *c)
{
    const struct image_partition *p = c->partition;
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = c->topic->id;
    r.partition_id = p->partition;
    if (!ids_equal(c->elr, p->elr, p->elr_count)) {
        r.eligible_leader_replicas = c->elr.p;
        r.eligible_leader_replicas_count = c->elr.n;
    }
    /* Without ELR the last in-sync replica stays one: nothing else says who has all. */
    if ((c->isr.n > 0 || c->elr_on) && !ids_equal(c->isr, p->isr, p->isr_count)) {
        r.isr = c->isr.p;
        r.isr_count = c->isr.n;
    }
    if (c->recovery != p->recovery_state)
        r.leader_recovery_state = c->recovery;
    fill_leader(c, &r);
    fill_last_known(c, &r);
    fill_replicas(c, &r);
    if (!says_something(&r))
        return false;
    decision_add(c->d, &partition_change_record_message, c->d->version->partition_change_record,
                 &r);
    news_note(c->d, c->topic->id, p->partition);
    return true;
}

bool partition_change_end(struct partition_change *c)
{
    complete_reassignment(c);
    fill_elr(c);
    elect(c);
    settle_isr(c);
    complete_reassignment(c); /* a partition that had no leader may have waited for one */
    trim_elr(c);
    return add_change(c);
}
