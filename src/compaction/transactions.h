/* compaction/transactions.h - which batches of a pass belong to aborted transactions, and which
 * markers are needed.
 *
 * A pass begins in the middle of nothing: transactions that began below it are unknown, and their
 * markers may go.
 */
#pragma once

#include "compaction/compaction.h"

struct transactions {
    struct map open; /* by producer: what was met since its last marker */
    struct compaction_aborted
        *aborted;          /* that the pass has not come to, ascending by first offset */
    uint32_t count, taken; /* entries; how many of them are in `open` or were passed over */
};

void transactions_init(struct transactions *t);
void transactions_deinit(struct transactions *t);

void transactions_add(struct transactions *t, const struct compaction_aborted *aborted,
                      uint32_t count);

/* A batch of data is met. True when it belongs to an aborted transaction. */
bool transactions_batch(struct transactions *t, const struct batch *b);

/* A control batch is met. True when it may go: no batch of its transaction was met. `*ended` is
 * written, and `*is_set` true, when it ended an aborted transaction of which some batch was; both
 * may be NULL. */
bool transactions_marker(struct transactions *t, const struct batch *b,
                         struct compaction_aborted *ended, bool *is_set);
