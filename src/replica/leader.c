/* The leader's side: followers that fetch, and the ISR that the controller is asked for. */
#include "replica/internal.h"

static void propose(struct replica *r, const struct replication_outcome *out)
{
    const struct replicas_options *o = &r->set->options;

    if (out->propose && o->propose != NULL)
        o->propose(o->ctx, r, &r->replication.proposal);
}

void replica_told(struct replica *r, const struct replication_outcome *out)
{
    propose(r, out);
    waits_advance(r, out->high_watermark_moved);
}

/* ---- followers -------------------------------------------------------------------------------- */

static struct replication_broker broker_in(const struct image *image, int32_t id)
{
    const struct image_broker *b = image == NULL ? NULL : image_broker_find(image, id);

    if (b == NULL)
        return (struct replication_broker){.epoch = -1};
    return (struct replication_broker){.epoch = b->epoch, .eligible = !b->fenced && !b->in_controlled_shutdown};
}

/* The same, as a replica of `r`: also its directory is there. */
static struct replication_broker member_of(const struct replica *r, int32_t id)
{
    const struct image *image = r->set->image;
    const struct image_partition *p = image == NULL ? NULL : image_partition_find(image, r->topic_id, r->partition);
    struct replication_broker broker = broker_in(image, id);

    broker.eligible = broker.eligible && p != NULL && image_partition_is_online(p, image_broker_find(image, id));
    return broker;
}

enum kerr replica_check_follower(const struct replica *r, const struct replica_follower *f)
{
    struct replication_broker broker = broker_in(r->set->image, f->id);

    return replication_check_follower(&r->replication, f->id, f->leader_epoch, f->broker_epoch, &broker);
}

void replica_fetched(struct replica *r, const struct replica_follower *f, int64_t log_end)
{
    struct replication_fetch fetch = {
        .id = f->id,
        .broker_epoch = f->broker_epoch,
        .offset = f->offset,
        .log_start = f->log_start,
        .log_end = log_end,
        .now_ms = io_now_ms(r->set->options.io),
        .broker = member_of(r, f->id),
    };
    struct replication_outcome out;

    replication_fetched(&r->replication, &fetch, &out);
    propose(r, &out);
#ifndef MUTANT_REPLICA_BELIEVES_LATE_FETCHES
    if (out.went_back)
        waits_look_again(r);
#endif
    if (out.high_watermark_moved)
        waits_advance_later(r);
}

/* ---- the ISR ---------------------------------------------------------------------------------- */

static void tick(struct replica *r)
{
    const struct replicas *rs = r->set;
    struct replication_outcome out;

    replication_tick(&r->replication, log_end(r->log), config_i64(rs->broker, BROKER_REPLICA_LAG_TIME_MAX_MS),
                     io_now_ms(rs->options.io), &out);
    replica_told(r, &out);
}

void leader_begin(struct replica *r)
{
    replication_started(&r->replication, log_start(r->log));
    tick(r);
}

static void tick_leader(void *ctx, struct replica *r)
{
    if (replica_leads(r))
        tick(r);
}

void replicas_check_isr(struct replicas *rs)
{
    replicas_each(rs, tick_leader, NULL);
}

void replica_proposed(struct replica *r, const struct replication_proposal *proposal, enum kerr error,
                      const struct replication_state *state)
{
    struct replication_outcome out;
    struct isr_before before;

    if (r->log == NULL)
        return;
    isr_before(r, &before);
    replication_answered(&r->replication, proposal, error, state, &out);
    isr_after(r, &before);
    r->set->isr_counts.failed += error != KERR_NONE && error != KERR_OPERATION_NOT_ATTEMPTED;
    replica_told(r, &out);
}

/* ---- what the images say of brokers ----------------------------------------------------------- */

static void see_broker(struct replicas *rs, int32_t id)
{
    MAP_EACH(node, &rs->by_id) {
        struct replica *r = container_of(node, struct replica, node);
        struct replication_broker broker;
        struct replication_outcome out;
        if (!replica_leads(r))
            continue;
        broker = member_of(r, id);
        replication_broker_changed(&r->replication, id, &broker, &out);
        replica_told(r, &out);
    }
}

/* Of the same process: it may have lost some. */
static bool has_other_dirs(const struct image_broker *a, const struct image_broker *b)
{
    return a != NULL && b != NULL && a->directory_count != b->directory_count;
}

/* It may have been in one of the images only. */
static void compare_broker(struct replicas *rs, const struct image *before, int32_t id)
{
    struct replication_broker old = broker_in(before, id), now = broker_in(rs->image, id);

    if (old.epoch != now.epoch || old.eligible != now.eligible ||
        has_other_dirs(image_broker_find(before, id), image_broker_find(rs->image, id)))
        see_broker(rs, id);
}

static void see_own_epoch(struct replicas *rs)
{
    int64_t epoch = broker_in(rs->image, rs->options.node_id).epoch;

    if (epoch == rs->broker_epoch)
        return;
    rs->broker_epoch = epoch;
    MAP_EACH(node, &rs->by_id)
        replication_set_broker_epoch(&container_of(node, struct replica, node)->replication, epoch);
}

void leaders_see_brokers(struct replicas *rs, const struct image *before)
{
    see_own_epoch(rs);
    if (before == NULL)
        return;
    for (uint32_t i = 0; i < image_broker_count(rs->image); i++)
        compare_broker(rs, before, image_broker_at(rs->image, i)->id);
    for (uint32_t i = 0; i < image_broker_count(before); i++) {
        int32_t id = image_broker_at(before, i)->id;
        if (image_broker_find(rs->image, id) == NULL)
            compare_broker(rs, before, id);
    }
}
