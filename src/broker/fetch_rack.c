/* Consumers read from a replica near them (KIP-392): Kafka's RackAwareReplicaSelector. */
#include "broker/fetch_set.h"
#include "broker/session.h"

static bool has_listener(const struct image_broker *b, struct str name)
{
    for (int32_t i = 0; i < b->endpoint_count; i++) {
        if (str_equal(b->endpoints[i].name, name))
            return true;
    }
    return false;
}

/* In the rack, to be reached by the listener that the consumer came by, in sync, and with what is asked for. */
static bool may_serve(const struct scatter_part *part, const struct fetch_item *item,
                      const struct replication_replica *one)
{
    const struct fetch_pass *pass = part->scatter->state;
    const struct image_broker *b = image_broker_find(part->shard->image, one->id);

    return one->in_isr && b != NULL && !b->fenced && str_equal(b->rack, pass->rack) &&
           has_listener(b, str_of(request_listener(part->scatter->request)->bound->name)) &&
           one->stable_end >= item->offset && one->log_start <= item->offset;
}

/* The one that has the most; of those with as much the one that caught up last. */
static bool is_better(const struct replication_replica *one, const struct replication_replica *than)
{
    if (one->stable_end != than->stable_end)
        return one->stable_end > than->stable_end;
    if (one->caught_up_ms != than->caught_up_ms)
        return one->caught_up_ms > than->caught_up_ms;
    return one->id > than->id;
}

int32_t fetch_preferred(const struct scatter_part *part, const struct fetch_item *item, const struct replica *replica)
{
    const struct fetch_pass *pass = part->scatter->state;
    const struct replication *state = replica_replication(replica);
    const struct replication_replica *best = NULL;
    const struct image_broker *self;

    if (!pass->set->by_rack || pass->set->reader >= 0 || pass->rack.n <= 0 || state->role != REPLICATION_LEADER)
        return -1;
    self = image_broker_find(part->shard->image, state->node_id);
    if (self != NULL && str_equal(self->rack, pass->rack))
        return -1;
    for (uint32_t i = 0; i < state->count; i++) {
        const struct replication_replica *one = &state->replicas[i];
        if (one->id != state->node_id && may_serve(part, item, one) && (best == NULL || is_better(one, best)))
            best = one;
    }
    return best == NULL ? -1 : best->id;
}
