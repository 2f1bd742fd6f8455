/* coordinator/internal.h - between the files of this room. */
#pragma once

#include "coordinator/coordinator.h"

/* Decompressed size that a batch of a coordinator's log may have: Kafka's largest message.max.bytes
 * would still fit, and a broken one does not take the machine down. */
#define BATCH_PLAIN_BYTES_MAX ((size_t)256 << 20)

/* Apply or hold the records of a batch, from offset `from` on; control batches decide a
 * transaction. */
int apply_batch(struct coordinator *c, const struct batch *b, int64_t from);
/* Apply the records of a batch, whatever its kind. */
int apply_records(struct coordinator *c, const struct batch *b, int64_t from);

int pending_hold(struct coordinator *c, const struct batch *b, int64_t from);
int pending_decide(struct coordinator *c, int64_t producer_id, bool commit);
void pending_free(struct coordinator *c);
bool pending_equal(const struct map_node *node, const void *key); /* for the map */
