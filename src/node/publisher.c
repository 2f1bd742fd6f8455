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

/* ---- what becomes of brokers ---------------------------------------------------------------- */

static void say_broker(struct node *n, const struct image_broker *was, const struct image_broker *b)
{
    bool was_fenced = was == NULL || was->fenced, was_stopping = was != NULL && was->in_controlled_shutdown;

    if (was == NULL || was->epoch != b->epoch)
        say(n->telemetry, LOG_INFO, "node", "broker %" PRId32 " has registered", b->id);
    if (was_fenced && !b->fenced)
        say(n->telemetry, LOG_INFO, "node", "broker %" PRId32 " is unfenced: it may lead", b->id);
    if (!was_stopping && b->in_controlled_shutdown)
        say(n->telemetry, LOG_INFO, "node", "broker %" PRId32 " wants to stop: it leads nothing any more", b->id);
    if (!was_fenced && b->fenced)
        say(n->telemetry, was_stopping ? LOG_INFO : LOG_WARN, "node", "broker %" PRId32 " is fenced: %s", b->id,
            was_stopping                ? "it has stopped"
            : was->epoch != b->epoch    ? "it is another process now"
                                        : "it was not heard of for broker.session.timeout.ms, or wants it so");
}

/* The one that decides tells it, once, when it is committed. */
static void say_brokers(struct node *n, const struct image *before, const struct image *after)
{
    if (before == NULL || n->controller == NULL || !controller_is_active(n->controller))
        return;
    for (uint32_t i = 0; i < image_broker_count(after); i++) {
        const struct image_broker *b = image_broker_at(after, i);
        say_broker(n, image_broker_find(before, b->id), b);
    }
    for (uint32_t i = 0; i < image_broker_count(before); i++) {
        const struct image_broker *b = image_broker_at(before, i);
        if (image_broker_find(after, b->id) == NULL)
            say(n->telemetry, LOG_INFO, "node", "broker %" PRId32 " is unregistered", b->id);
    }
}

/* ---- images -------------------------------------------------------------------------------- */

static void publication_done(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, publication);
    struct fail why = {0};

    say_brokers(n, n->published, n->publishing);
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
