/* movements.h - who has given partitions to whom while balance is sought: private to this room.
 *
 * When a partition of a topic would go from A to B, and another one of the topic went from B to A
 * before, that one goes back instead: less moves in all. A partition that has moved more than once
 * counts as moved from where it was first.
 */
#pragma once

#include "assignor/view.h"

struct movements {
    struct view *v;
    struct map pairs; /* struct movement_pair by topic, source and destination */
    int32_t *source;  /* partition -> where it was first; NOBODY = has not moved */
    int32_t *next;    /* partition -> the next one of its pair, NOBODY */
};

MUST int movements_init(struct movements *m, struct view *v);
void movements_deinit(struct movements *m); /* also after movements_init failed */

/* The partition that should go when `partition` would go from its owner to `member`. */
int32_t movements_choose(const struct movements *m, int32_t partition, int32_t member);

/* Give `partition` to `member`, who does not have it, and remember. Fails ERR_LIMIT. */
MUST int movements_move(struct movements *m, int32_t partition, int32_t member);
