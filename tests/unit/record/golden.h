/* golden.h - batches of magic 2 as Kafka 4.4 makes them: with every codec, idempotent, transactional,
 * control batches, with LogAppendTime, and as the log cleaner leaves them; and what Kafka reads from
 * them, in the words of batch_dump. */
#pragma once

#include "base/base.h"

enum golden_records {
    GOLDEN_TOLD, /* `dump` is everything */
    GOLDEN_MANY, /* `dump` is the batch; 300 records follow that golden_expected makes */
};

struct golden {
    const char *name;
    const char *dump;
    enum golden_records records;
    const char *hex;
};

extern const struct golden golden[];
extern const size_t golden_count;

/* Sets of magic 0 and 1. */
extern const struct golden golden_old[];
extern const size_t golden_old_count;
