/* Members of a classic group, and ids that wait for their first join. */
#include "group/internal.h"

#include <stdlib.h>

struct str own_str(struct str s)
{
    return str_of_bytes(own_bytes(bytes_of_str(s)));
}

struct bytes own_bytes(struct bytes b)
{
    uint8_t *copy;

    if (b.n <= 0)
        return b.n < 0 ? BYTES_NULL : (struct bytes){NULL, 0};
    copy = malloc((size_t)b.n);
    ASSERT(copy != NULL);
    memcpy(copy, b.p, (size_t)b.n);
    return (struct bytes){copy, b.n};
}

void free_str(struct str *s)
{
    free((void *)s->p);
    *s = STR_NULL;
}

void free_bytes(struct bytes *b)
{
    free((void *)b->p);
    *b = BYTES_NULL;
}

/* ---- members -------------------------------------------------------------------------------- */

struct member *member_find(const struct group *g, struct str id)
{
    struct map_node *node = map_find(&g->members, str_hash(id), &id);

    return node == NULL ? NULL : container_of(node, struct member, node);
}

struct member *member_static_find(const struct group *g, struct str instance_id)
{
    struct map_node *node = map_find(&g->statics, str_hash(instance_id), &instance_id);

    return node == NULL ? NULL : container_of(node, struct member, static_node);
}

struct member *member_add(struct group *g, struct str id, struct str instance_id,
                          struct str client_id, struct str client_host)
{
    struct member *m = calloc(1, sizeof(*m));

    ASSERT(m != NULL);
    m->group = g;
    m->id = own_str(id);
    m->instance_id = own_str(instance_id);
    m->client_id = own_str(client_id);
    m->client_host = own_str(client_host);
    m->session.kind = TIMER_SESSION;
    map_add(&g->members, &m->node, str_hash(id));
    list_add_tail(&g->order, &m->in_order);
    if (!str_is_null(instance_id))
        map_add(&g->statics, &m->static_node, str_hash(instance_id));
    if (g->leader == NULL)
        g->leader = m;
    return m;
}

static void protocols_free(struct member *m)
{
    for (int32_t i = 0; i < m->protocol_count; i++) {
        free_str(&m->protocols[i].name);
        free_bytes(&m->protocols[i].metadata);
    }
    free(m->protocols);
    m->protocols = NULL;
    m->protocol_count = 0;
}

void member_remove(struct group_partition *p, struct member *m)
{
    struct group *g = m->group;

    join_answer(p, m, KERR_UNKNOWN_MEMBER_ID, false);
    sync_answer(p, m, KERR_UNKNOWN_MEMBER_ID);
    member_set_joined(m, false);
    member_set_owes_sync(m, false);
    timer_clear(p, &m->session);
    map_remove(&g->members, &m->node);
    if (!str_is_null(m->instance_id))
        map_remove(&g->statics, &m->static_node);
    list_remove(&m->in_order);
    if (g->leader == m)
        g->leader = LIST_FIRST(&g->order, struct member, in_order);
    protocols_free(m);
    free_bytes(&m->assignment);
    free_str(&m->id);
    free_str(&m->instance_id);
    free_str(&m->client_id);
    free_str(&m->client_host);
    free(m);
}

void member_rename(struct member *m, struct str id)
{
    map_remove(&m->group->members, &m->node);
    free_str(&m->id);
    m->id = own_str(id);
    map_add(&m->group->members, &m->node, str_hash(id));
}

void member_set_protocols(struct member *m, const struct join_group_request_protocols *protocols,
                          int32_t count)
{
    protocols_free(m);
    m->protocols = calloc((size_t)count + 1, sizeof(*m->protocols));
    ASSERT(m->protocols != NULL);
    for (int32_t i = 0; i < count; i++) {
        m->protocols[i].name = own_str(protocols[i].name);
        m->protocols[i].metadata = own_bytes(protocols[i].metadata);
    }
    m->protocol_count = count;
}

bool member_protocols_equal(const struct member *m,
                            const struct join_group_request_protocols *protocols, int32_t count)
{
    if (m->protocol_count != count)
        return false;
    for (int32_t i = 0; i < count; i++) {
        if (!str_equal(m->protocols[i].name, protocols[i].name) ||
            !bytes_equal(m->protocols[i].metadata, protocols[i].metadata))
            return false;
    }
    return true;
}

struct bytes member_metadata(const struct member *m, struct str protocol)
{
    for (int32_t i = 0; i < m->protocol_count; i++) {
        if (str_equal(m->protocols[i].name, protocol))
            return m->protocols[i].metadata;
    }
    return (struct bytes){NULL, 0};
}

void member_set_joined(struct member *m, bool joined)
{
    m->group->joined += (uint32_t)joined - (uint32_t)m->joined;
    m->joined = joined;
}

void member_set_owes_sync(struct member *m, bool owes)
{
    m->group->owing += (uint32_t)owes - (uint32_t)m->owes_sync;
    m->owes_sync = owes;
}

enum kerr member_check(const struct group *g, struct str member_id, struct str instance_id)
{
    if (!str_is_null(instance_id)) {
        const struct member *holder = member_static_find(g, instance_id);

        if (holder == NULL)
            return KERR_UNKNOWN_MEMBER_ID;
        /* Another process has taken the instance over (KIP-345). */
        if (!str_equal(holder->id, member_id))
            return KERR_FENCED_INSTANCE_ID;
    }
    return member_find(g, member_id) == NULL ? KERR_UNKNOWN_MEMBER_ID : KERR_NONE;
}

/* ---- ids without a join --------------------------------------------------------------------- */

struct pending_member *pending_find(const struct group *g, struct str id)
{
    struct map_node *node = map_find(&g->pending, str_hash(id), &id);

    return node == NULL ? NULL : container_of(node, struct pending_member, node);
}

struct pending_member *pending_add(struct group *g, struct str id)
{
    struct pending_member *m = calloc(1, sizeof(*m));

    ASSERT(m != NULL);
    m->group = g;
    m->id = own_str(id);
    m->timer.kind = TIMER_PENDING;
    map_add(&g->pending, &m->node, str_hash(id));
    return m;
}

void pending_remove(struct group_partition *p, struct pending_member *m)
{
    timer_clear(p, &m->timer);
    map_remove(&m->group->pending, &m->node);
    free_str(&m->id);
    free(m);
}
