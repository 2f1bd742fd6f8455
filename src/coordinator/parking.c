/* Answers that wait until the high watermark passes the end that they saw (C2). */
#include "coordinator/coordinator.h"

void parking_init(struct parking *p)
{
    *p = (struct parking){0};
    list_init(&p->waiting);
}

void parking_add(struct parking *p, struct parked *answer, int64_t offset)
{
    const struct parked *last = LIST_LAST(&p->waiting, struct parked, node);

    ASSERT(last == NULL || last->offset <= offset);
    answer->offset = offset;
    list_add_tail(&p->waiting, &answer->node);
}

/* `ready` may add and remove others, so each look is at the head as it is then. */
void parking_advance(struct parking *p, int64_t committed)
{
    struct parked *first;

    if (committed > p->committed)
        p->committed = committed;
    while ((first = LIST_FIRST(&p->waiting, struct parked, node)) != NULL &&
           first->offset <= p->committed) {
        list_remove(&first->node);
        first->ready(first, KERR_NONE);
    }
}

void parking_fail(struct parking *p, enum kerr error)
{
    struct list failing;

    /* Those that `ready` parks anew are not of this failure. */
    list_init(&failing);
    list_move_all(&failing, &p->waiting);
    for (struct list *node; (node = list_take_head(&failing)) != NULL;) {
        struct parked *answer = container_of(node, struct parked, node);

        answer->ready(answer, error);
    }
}
