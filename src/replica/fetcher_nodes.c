/* Which brokers there are, and where: from the images, for the shard's client. */
#include "replica/fetcher.h"

#include <stdlib.h>

/* NULL: it does not listen there. */
static const struct image_endpoint *endpoint_of(const struct replicas *rs, const struct image_broker *b)
{
    for (int32_t i = 0; b != NULL && i < b->endpoint_count; i++) {
        const struct image_endpoint *e = &b->endpoints[i];
        if (str_equal(e->name, rs->options.listener) && e->host.n > 0 && e->host.n < IO_HOST_MAX && e->port > 0)
            return e;
    }
    return NULL;
}

static const struct image_broker *broker_of(const struct image *image, int32_t id)
{
    return image == NULL ? NULL : image_broker_find(image, id);
}

bool fetcher_node_is_known(const struct replicas *rs, int32_t id)
{
    return endpoint_of(rs, broker_of(rs->image, id)) != NULL;
}

/* The broker is another process now, or elsewhere: what its connections wait for will never come, and a machine that is
 * gone does not even say so. */
static void fetcher_renew(struct fetcher *f)
{
    f->attempts = 0;
    f->retry_ns = 0;
    f->renews = f->busy;
    if (f->busy)
        client_cancel(&f->call);
    else
        session_break(f, true);
    if (f->offsets_busy)
        client_cancel(&f->offsets);
}

static void known(struct replicas *rs, int32_t id, bool known)
{
    LIST_EACH (it, &rs->fetchers) {
        struct fetcher *f = container_of(it, struct fetcher, node);
        if (f->leader != id)
            continue;
        f->known = known;
        fetcher_renew(f);
    }
}

static bool is_same(const struct image_endpoint *a, int64_t epoch_a, const struct image_endpoint *b, int64_t epoch_b)
{
    return a->port == b->port && str_equal(a->host, b->host) && epoch_a == epoch_b;
}

static void tell(struct replicas *rs, const struct image *before, const struct image_broker *b)
{
    const struct image_broker *old = broker_of(before, b->id);
    const struct image_endpoint *was = endpoint_of(rs, old), *is = endpoint_of(rs, b);
    struct client *c = rs->options.brokers;

    if (b->id == rs->options.node_id || (was == NULL && is == NULL))
        return;
    if (was != NULL && is != NULL && is_same(was, old->epoch, is, b->epoch))
        return;
    if (was != NULL)
        client_forget_node(c, b->id);
    if (is != NULL)
        client_tell_node(c, b->id, is->host, is->port);
    known(rs, b->id, is != NULL);
}

void fetchers_tell_nodes(struct replicas *rs, const struct image *before, const struct image *after)
{
    if (rs->options.brokers == NULL)
        return;
    for (uint32_t i = 0; before != NULL && i < image_broker_count(before); i++) {
        const struct image_broker *b = image_broker_at(before, i);
        if (image_broker_find(after, b->id) != NULL || endpoint_of(rs, b) == NULL)
            continue;
        client_forget_node(rs->options.brokers, b->id);
        known(rs, b->id, false);
    }
    for (uint32_t i = 0; i < image_broker_count(after); i++)
        tell(rs, before, image_broker_at(after, i));
}
