/* assignor/consumer_protocol.h - what members of a classic consumer group send each other through
 * the coordinator, which does not look at it: the subscription in JoinGroup's metadata, the
 * assignment in SyncGroup's.
 *
 *   [i16 version][ConsumerProtocolSubscription | ConsumerProtocolAssignment]
 *
 * What is read was written by others: a version that is newer than ours is read as our newest,
 * bytes behind it are not looked at, and owned partitions may repeat. Rule: the Java client's
 * ConsumerProtocol, 4.3; a leader that cannot read a subscription fails its generation there.
 */
#pragma once

#include "base/base.h"
#include "protocol/consumer_protocol_assignment.h"
#include "protocol/consumer_protocol_subscription.h"

#define CONSUMER_PROTOCOL_TYPE STR("consumer") /* JoinGroup's protocol_type */
#define CONSUMER_PROTOCOL_VERSION 3            /* the newest that we know */

/* Read a subscription. Text and bytes in `out` are slices of `in`, arrays come from the arena. An
 * empty rack becomes null, a negative generation -1.
 *
 * Fails  ERR_SHORT    `in` ends before the subscription does (an empty one is too short)
 *        ERR_CORRUPT  a length or null that cannot be
 *        ERR_VERSION  a negative version
 *        ERR_LIMIT    the arena's limit */
MUST int subscription_read(struct bytes in, struct arena *arena,
                           struct consumer_protocol_subscription *out);

/* Write a subscription in `version` (0 to CONSUMER_PROTOCOL_VERSION), with its version in front.
 * Topics and owned partitions are written in order, so that equal subscriptions are equal bytes:
 * the coordinator compares them. What the version lacks is left out.
 *
 *   out  from the arena
 *
 * Fails  ERR_LIMIT  the arena's limit, or a name over 32,767 bytes */
MUST int subscription_write(const struct consumer_protocol_subscription *subscription,
                            int16_t version, struct arena *arena, struct bytes *out);

/* Read an assignment; as subscription_read. */
MUST int assignment_read(struct bytes in, struct arena *arena,
                         struct consumer_protocol_assignment *out);

/* Write an assignment in `version`, as it is given; as subscription_write. The versions differ in
 * nothing but their number, and everybody reads all: a leader takes CONSUMER_PROTOCOL_VERSION. */
MUST int assignment_write(const struct consumer_protocol_assignment *assignment, int16_t version,
                          struct arena *arena, struct bytes *out);
