/* The brokers, as metadata and hints tell of them, and the connections that follow them. */
#include "client/internal.h"

#include <stdio.h>
#include <stdlib.h>

static struct str keep(char **at, struct str s)
{
    struct str kept = {*at, s.n};

    if (s.n <= 0)
        return s.n < 0 ? STR_NULL : STR("");
    memcpy(*at, s.p, (size_t)s.n);
    *at += s.n;
    return kept;
}

struct broker_block {
    struct broker_block *older; /* that were replaced by hints in this turn */
    struct client_broker brokers[];
};

static struct broker_block *block_new(const struct client_broker *brokers, uint32_t count)
{
    size_t bytes = sizeof(struct broker_block) + count * sizeof *brokers;

    for (uint32_t i = 0; i < count; i++)
        bytes += (size_t)(brokers[i].host.n > 0 ? brokers[i].host.n : 0) +
                 (size_t)(brokers[i].rack.n > 0 ? brokers[i].rack.n : 0);
    struct broker_block *block = malloc(bytes);
    ASSERT(block != NULL);
    block->older = NULL;
    char *text = (char *)(block->brokers + count);
    for (uint32_t i = 0; i < count; i++) {
        block->brokers[i] = brokers[i];
        block->brokers[i].host = keep(&text, brokers[i].host);
        block->brokers[i].rack = keep(&text, brokers[i].rack);
    }
    return block;
}

static void blocks_free(struct broker_block *block)
{
    for (struct broker_block *older; block != NULL; block = older) {
        older = block->older;
        free(block);
    }
}

void brokers_forget_replaced(struct client *c)
{
    if (c->metadata.block == NULL)
        return;
    blocks_free(c->metadata.block->older);
    c->metadata.block->older = NULL;
}

/* Connections to nodes that are gone end; one to a node that has moved is made to the new place, next time. */
static void links_follow(struct client *c)
{
    LIST_EACH (node, &c->links) {
        struct client_link *l = container_of(node, struct client_link, node);
        if (l->role != LINK_DATA || l->retired)
            continue;
        const struct client_broker *b = client_broker(c, l->id);
        if (b == NULL) {
            link_retire(l);
            continue;
        }
        struct io_address a = {.port = b->port};
        snprintf(a.host, sizeof a.host, "%.*s", STR_ARG(b->host));
        if (a.port != l->address.port || strcmp(a.host, l->address.host) != 0)
            link_set_address(l, &a);
    }
}

void brokers_deinit(struct client *c)
{
    blocks_free(c->metadata.block);
    free(c->metadata.cluster_id);
}

void brokers_set(struct client *c, const struct client_broker *brokers, uint32_t count)
{
    struct broker_block *old = c->metadata.block;

    c->metadata.block = block_new(brokers, count);
    c->metadata.brokers = c->metadata.block->brokers;
    c->metadata.broker_count = count;
    blocks_free(old);
    links_follow(c);
}

void cluster_id_set(struct client *c, struct str id)
{
    free(c->metadata.cluster_id);
    c->metadata.cluster_id = id.n > CLUSTER_ID_MAX ? NULL : str_dup(id);
}

const struct client_broker *client_broker(const struct client *c, int32_t id)
{
    for (uint32_t i = 0; i < c->metadata.broker_count; i++) {
        if (c->metadata.brokers[i].id == id)
            return &c->metadata.brokers[i];
    }
    return NULL;
}

const struct client_broker *client_brokers(const struct client *c, uint32_t *count)
{
    *count = c->metadata.broker_count;
    return c->metadata.brokers;
}

struct str client_cluster_id(const struct client *c)
{
    return str_of(c->metadata.cluster_id);
}

int32_t client_controller_id(const struct client *c)
{
    return c->metadata.controller_id;
}

/* The brokers, with this one new or moved. What was there is looked at by callers until the next turn. */
void broker_put(struct client *c, const struct client_broker *b)
{
    struct metadata *known = &c->metadata;
    struct client_broker *brokers = malloc((known->broker_count + 1) * sizeof *brokers);
    uint32_t i = 0;

    ASSERT(brokers != NULL);
    if (known->broker_count > 0)
        memcpy(brokers, known->brokers, known->broker_count * sizeof *brokers);
    while (i < known->broker_count && brokers[i].id != b->id)
        i++;
    brokers[i] = *b;
    known->broker_count += i == known->broker_count;
    struct broker_block *block = block_new(brokers, known->broker_count);
    free(brokers);
    block->older = known->block;
    known->block = block;
    known->brokers = block->brokers;
    links_follow(c);
}

void client_tell_node(struct client *c, int32_t id, struct str host, uint16_t port)
{
    const struct client_broker *known = client_broker(c, id);

    ASSERT(client_is_told(c) && host.n > 0 && host.n < IO_HOST_MAX && port > 0);
    if (known != NULL && known->port == port && str_equal(known->host, host))
        return;
    broker_put(c, &(struct client_broker){.id = id, .port = port, .host = host, .rack = STR_NULL});
    client_changed(c); /* then what it replaces is forgotten */
}

void client_forget_node(struct client *c, int32_t id)
{
    struct metadata *known = &c->metadata;
    uint32_t kept = 0;

    ASSERT(client_is_told(c));
    for (uint32_t i = 0; i < known->broker_count; i++) {
        if (known->brokers[i].id != id)
            known->brokers[kept++] = known->brokers[i];
    }
    known->broker_count = kept;
    links_follow(c);
}
