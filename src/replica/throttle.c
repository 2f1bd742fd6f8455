/* What is copied no faster than an operator allows (KIP-73, KIP-113): to followers, from leaders, between directories.
 *
 *   setting of the broker  bytes per second ─► replicas_throttle_ms ─┬─► replica_held_ms    a follower's Fetch (broker)
 *   setting of the topic   which replicas                            ├─► fetcher_hold_back  what is asked of a leader
 *   replicas_copied ─► one sum of all shards ─► a window of each     └─► copy.c             every move
 */
#include "replica/internal.h"

static struct throttle_rule rule_of(const struct replicas *rs, enum replica_throttle which)
{
    static const uint32_t rates[THROTTLES] = {
        [THROTTLE_LEADER] = BROKER_LEADER_REPLICATION_THROTTLED_RATE,
        [THROTTLE_FOLLOWER] = BROKER_FOLLOWER_REPLICATION_THROTTLED_RATE,
        [THROTTLE_MOVES] = BROKER_REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND,
    };
    bool moves = which == THROTTLE_MOVES;

    return (struct throttle_rule){
        .rate = config_i64(rs->broker, rates[which]),
        .samples = config_i64(rs->broker, moves ? BROKER_ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM
                                                : BROKER_REPLICATION_QUOTA_WINDOW_NUM),
        .sample_seconds = config_i64(rs->broker, moves ? BROKER_ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS
                                                       : BROKER_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS),
    };
}

static uint64_t copied_so_far(const struct replicas *rs, enum replica_throttle which)
{
    return __atomic_load_n(&rs->options.copied->bytes[which], __ATOMIC_RELAXED);
}

void replicas_copied(struct replicas *rs, enum replica_throttle which, uint64_t bytes)
{
    (void)__atomic_add_fetch(&rs->options.copied->bytes[which], bytes, __ATOMIC_RELAXED);
}

int64_t replicas_throttle_ms(struct replicas *rs, enum replica_throttle which)
{
    struct throttle_rule rule = rule_of(rs, which);

    return throttle_wait_ms(&rs->throttles[which], &rule, copied_so_far(rs, which), io_now_ms(rs->options.io));
}

int64_t replicas_copy_rate(struct replicas *rs, enum replica_throttle which)
{
    struct throttle_rule rule = rule_of(rs, which);

    return throttle_rate(&rs->throttles[which], &rule, copied_so_far(rs, which), io_now_ms(rs->options.io));
}

/* ---- which replicas --------------------------------------------------------------------------- */

void replica_take_throttles(struct replica *r)
{
    static const uint32_t lists[] = {
        [THROTTLE_LEADER] = TOPIC_LEADER_REPLICATION_THROTTLED_REPLICAS,
        [THROTTLE_FOLLOWER] = TOPIC_FOLLOWER_REPLICATION_THROTTLED_REPLICAS,
    };

    for (uint32_t i = 0; i < array_count(lists); i++)
        r->throttled[i] = throttle_lists(config_str(r->settings, lists[i]), r->partition, r->set->options.node_id);
}

bool replica_is_throttled(const struct replica *r)
{
    return r->throttled[THROTTLE_LEADER];
}

int64_t replica_held_ms(struct replica *r, int32_t follower)
{
    int64_t wait_ms;

    if (!r->throttled[THROTTLE_LEADER])
        return 0;
    wait_ms = replicas_throttle_ms(r->set, THROTTLE_LEADER); /* also counts what those in sync get */
#ifndef MUTANT_THROTTLE_LEADER_HOLDS_ISR
    if (replication_counts(&r->replication, follower))
        return 0;
#endif
    return wait_ms;
}
