/* log/head.h - a batch header where the rest of the batch is not at hand. */
#pragma once

#include "record/record.h"

/* Read BATCH_HEADER_BYTES at `p`. `out->bytes` is {p, size of the whole batch}, of which only the
 * header need be there.
 * Fails  ERR_VERSION  magic 0 or 1: written before Kafka 0.11
 *        ERR_CORRUPT  no batch can have such a header */
MUST int head_read(const uint8_t *p, struct batch *out);
