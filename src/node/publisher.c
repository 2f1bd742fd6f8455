/* Images reach the shards one at a time, in order (P1); answers of the controller leave when what
 * they say can be seen here. */
#include "node/internal.h"

#include <stdlib.h>

static void tell_answered(struct node *n)
{
    while (!list_empty(&n->answered)) {
        struct ask *a = container_of(n->answered.next, struct ask, node);
        if (n->published == NULL || a->offset > image_offset(n->published))
            return;
        ask_end(a, a->error);
    }
}

static void publication_done(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, publication);
    struct fail why = {0};

    image_unref(n->published);
    n->published = n->publishing;
    n->publishing = NULL;
    if (result < 0) {
        fail_set(&why, (int)result,
                 "the metadata at offset %" PRId64 " cannot be applied to the logs: %s",
                 image_offset(n->published), error_text((int)result));
        node_fail(n, &why);
    }
    if (n->quiet) {
        membership_rest(n);
        return;
    }
    tell_answered(n);
    publisher_advance(n);
    membership_advance(n);
}

void publisher_advance(struct node *n)
{
    if (!n->may_publish || n->publishing != NULL || n->failed || n->quiet)
        return;
    if (n->published != NULL && image_offset(n->published) >= image_offset(n->loaded))
        return;
    n->publishing = image_ref(n->loaded);
    op_init(&n->publication, publication_done);
    n->options.publish(n->options.ctx, n->published, n->publishing, &n->publication);
}

void publisher_answer(struct ask *a)
{
    struct node *n = a->node_of;

    a->phase = ASK_ANSWERED;
    a->offset = image_offset(n->loaded);
#ifdef MUTANT_NODE_ANSWER_BEFORE_VISIBLE
    a->offset = -1;
#endif
    list_remove(&a->node);
    list_add_tail(&n->answered, &a->node);
    if (n->failed || n->quiet)
        publisher_answer_all(n);
    else
        tell_answered(n);
}

void publisher_answer_all(struct node *n)
{
    while (!list_empty(&n->answered)) {
        struct ask *a = container_of(n->answered.next, struct ask, node);
        ask_end(a, a->error);
    }
}
