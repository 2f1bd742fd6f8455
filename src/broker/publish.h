/* broker/publish.h - a new image reaches every shard (internal).
 *
 *   1  every shard makes its replicas what the image says (removes before it opens), and replies
 *   2  every shard shows it to its clients, and replies
 *
 * So no client learns of a partition that its shard cannot serve yet. With the first image clients, and brokers that
 * follow, are let in.
 */
#pragma once

#include "broker/shard.h"

/* node_options.publish; ctx is the broker. One at a time. */
void publish(void *ctx, const struct image *before, const struct image *after, struct op *op);
