/* assignor/assignor.h - who of a classic consumer group reads which partition.
 *
 * The leader of a generation gets every member's subscription from JoinGroup, asks here, and gives
 * the assignments to SyncGroup. Pure: the same group gives the same answer, on every machine.
 *
 *   topics and their partitions ─┐
 *   members: what they want,     ├─► assignor_assign ─► an assignment for each member
 *   what they had, where they are┘
 *
 *   A1  Every partition of a topic that a member wants is given to exactly one member that wants the topic
 *       (cooperative-sticky: to at most one, see A3).
 *   A2  No member gets a topic that it does not want, or a partition that there is not.
 *   A3  cooperative-sticky gives no partition to a new owner while an old one may still have it: it is withheld, the
 *       old owner sees that it lost it, and joins again.
 *
 * Rule: the Java client's RangeAssignor, RoundRobinAssignor, StickyAssignor and
 * CooperativeStickyAssignor, 4.3 (KIP-54, KIP-341, KIP-429, KIP-792, KIP-881). The README says
 * where ours differ.
 */
#pragma once

#include "base/base.h"
#include "protocol/consumer_protocol_assignment.h"
#include "protocol/consumer_protocol_subscription.h"

enum assignor {
    ASSIGNOR_RANGE,
    ASSIGNOR_ROUNDROBIN,
    ASSIGNOR_STICKY,
    ASSIGNOR_COOPERATIVE_STICKY,
    ASSIGNOR_COUNT,
};

/* Who gives up what when a group rebalances, the stronger one last (KIP-429). */
enum rebalance_protocol {
    REBALANCE_EAGER,       /* everything, before joining */
    REBALANCE_COOPERATIVE, /* only what the new assignment takes away */
};

/* As in partition.assignment.strategy of librdkafka, and in JoinGroup: "range", "roundrobin",
 * "sticky", "cooperative-sticky". */
struct str assignor_name(enum assignor assignor);

/* The assignor of that name; false when there is none. */
bool assignor_find(struct str name, enum assignor *out);

/* All support the eager protocol. */
bool assignor_supports(enum assignor assignor, enum rebalance_protocol protocol);

/* The strongest protocol that all of `assignors` (count > 0) support: what a member with this list
 * must follow, whichever of them the group chooses. */
enum rebalance_protocol rebalance_protocol_of(const enum assignor *assignors, int32_t count);

/* The user data that a member sends in its subscription, NULL where the assignor sends none.
 *
 *   owned       what the last assignment gave it; only sticky sends it
 *   generation  of that assignment; -1 when there was none yet
 *   out         from the arena
 *
 * Fails  ERR_LIMIT  the arena's limit, or a topic's name over 32,767 bytes */
MUST int assignor_user_data(enum assignor assignor,
                            const struct consumer_protocol_assignment *owned, int32_t generation,
                            struct arena *arena, struct bytes *out);

/* Racks of a partition's replicas, of all of them, in sync or not. */
struct assignor_racks {
    const struct str *racks; /* null: the broker has no rack */
    int32_t count;
};

struct assignor_topic {
    struct str name;
    int32_t partition_count;            /* 0 = not known; 0..n-1 are its partitions */
    const struct assignor_racks *racks; /* of each partition; NULL = not known */
};

struct assignor_member {
    struct str id;
    struct str instance_id;                             /* group.instance.id; null = not static */
    struct consumer_protocol_subscription subscription; /* subscription_read has read it */
};

struct assignor_group {
    const struct assignor_topic *topics;   /* at least those that members want and that exist */
    const struct assignor_member *members; /* in the order of the JoinGroup response */
    int32_t topic_count;
    int32_t member_count;
};

/* Assign.
 *
 *   out    one assignment for each member, in the order of group->members: topics in order of their
 *          names, partitions ascending, no user data. From the arena; names are those of
 *          group->topics
 *   arena  also holds what is needed meanwhile, a small multiple of partitions, subscriptions and
 *          owned partitions
 *
 * User data and owned partitions of others are foreign: what cannot be read counts as nothing, and
 * so does a partition that there is not. When two members of a generation claim a partition, none
 * has it.
 *
 * Fails  ERR_LIMIT  the arena's limit, or more than 2^30 partitions */
MUST int assignor_assign(enum assignor assignor, const struct assignor_group *group,
                         struct arena *arena, struct consumer_protocol_assignment **out);
