/* log/epochs.h - which leader epoch starts at which offset (KIP-101, KIP-279).
 *
 * Epochs and start offsets both strictly increase. File leader-epoch-checkpoint:
 * "0\n<count>\n" and a line "<epoch> <start offset>\n" each.
 */
#pragma once

#include "log/log.h"

struct epoch_entry {
    int32_t epoch;
    int64_t start;
};

struct epochs {
    struct epoch_entry *entries; /* ascending */
    uint32_t count, capacity;
    uint32_t version;            /* counts changes */
    uint32_t saved_version;      /* that is in the file */
};

void epochs_deinit(struct epochs *e);
static inline bool epochs_are_dirty(const struct epochs *e)
{
    return e->version != e->saved_version;
}

/* `epoch` starts at `start`, if it is not the latest already. What contradicts it goes away (Kafka:
 * entries at the end with a greater or equal epoch or start). */
void epochs_assign(struct epochs *e, int32_t epoch, int64_t start);
static inline void epochs_apply(struct epochs *e, const struct batch *b)
{
    if (b->leader_epoch >= 0)
        epochs_assign(e, b->leader_epoch, b->base_offset);
}

/* Remove entries that start at or above `end`. */
void epochs_truncate(struct epochs *e, int64_t end);
/* Entries below `start` become one that starts there. */
void epochs_raise_start(struct epochs *e, int64_t start);
void epochs_clear(struct epochs *e);
/* They say another epoch for the batch than it has. */
bool epochs_contradict(const struct epochs *e, const struct batch *b);

int32_t epochs_latest(const struct epochs *e);
int32_t epochs_at(const struct epochs *e, int64_t offset);
int64_t epochs_start(const struct epochs *e, int32_t epoch);
struct epoch_end epochs_end(const struct epochs *e, int32_t epoch, int64_t log_end);

void epochs_print(const struct epochs *e, struct text *out);
/* Replaces what is there. ERR_CORRUPT, `f` naming the line. */
MUST int epochs_parse(struct epochs *e, struct str text, struct fail *f);
