/* Who coordinates which group, transactional id, share partition: asked for by FindCoordinator when a call wants to
 * know it, many keys at once where the broker can (KIP-699), and again until nobody waits for it any more.
 *
 *   UNKNOWN ─ a call ─► NEEDED ─► ASKED ─ answer ─► KNOWN ─ NOT_COORDINATOR, lost connection ─► forgotten
 *                         ▲         │
 *                         └─ later ─┘   refused (authorization): the calls end with -EACCES, forgotten
 */
#include "client/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/find_coordinator.h"

#define KEYS_MAX 1000 /* of one request */
#define BATCH_VERSION 4
static const int16_t version_low[COORDINATOR_TYPES] = {0, 1, 6};

enum coordinator_phase { COORDINATOR_NEEDED, COORDINATOR_ASKED, COORDINATOR_KNOWN };

struct coordinator {
    struct map_node by_key;
    struct list node; /* in needed or asked of its finder; not when known */
    int8_t type;
    uint8_t phase;
    char *key_text;
    struct str key;
    int32_t node_id;
    struct io_address address;
};

/* ---- known -------------------------------------------------------------------------------------- */

struct coordinator_key {
    int8_t type;
    struct str key;
};

static bool has_key(const struct map_node *node, const void *key)
{
    const struct coordinator *co = container_of(node, const struct coordinator, by_key);
    const struct coordinator_key *k = key;

    return co->type == k->type && str_equal(co->key, k->key);
}

static uint64_t hash_of(const struct coordinator_key *k)
{
    return str_hash(k->key) + (uint64_t)k->type;
}

static struct coordinator_key key_of(const struct client_target *target)
{
    int8_t type = target->kind == CLIENT_GROUP ? 0 : target->kind == CLIENT_TRANSACTION ? 1 : 2;

    return (struct coordinator_key){type, target->key};
}

static struct coordinator *find(const struct client *c, const struct coordinator_key *k)
{
    struct map_node *node = map_find(&c->coordinators.known, hash_of(k), k);

    return node == NULL ? NULL : container_of(node, struct coordinator, by_key);
}

static void drop(struct client *c, struct coordinator *co)
{
    if (list_linked(&co->node))
        list_remove(&co->node);
    map_remove(&c->coordinators.known, &co->by_key);
    free(co->key_text);
    free(co);
}

void coordinator_forget(struct client *c, const struct client_target *target)
{
    struct coordinator_key k = key_of(target);
    struct coordinator *co = find(c, &k);

    if (co != NULL && co->phase == COORDINATOR_KNOWN)
        drop(c, co);
}

/* ---- asking -------------------------------------------------------------------------------------- */

static void found(struct op *op, int64_t result);

/* Before version 4 a request has one key. */
static void prepare(struct client_call *call)
{
    struct finder *f = container_of(call, struct finder, call);
    struct find_coordinator_request *m = (struct find_coordinator_request *)(uintptr_t)call->request;

    f->one_key = call->version < BATCH_VERSION;
    if (!f->one_key)
        return;
    m->key = m->coordinator_keys[0];
    m->coordinator_keys = NULL;
    m->coordinator_keys_count = 0;
}

static void ask(struct finder *f)
{
    struct client *c = f->client;
    int32_t room = f->one_key ? 1 : KEYS_MAX;

    arena_deinit(&f->arena);
    struct find_coordinator_request *m = arena_take(&f->arena, sizeof *m);
    struct str *keys = arena_take_array(&f->arena, KEYS_MAX, sizeof *keys);
    ASSERT(m != NULL && keys != NULL);
    find_coordinator_request_init(m);
    m->key_type = f->type;
    m->coordinator_keys = keys;
    m->coordinator_keys_count = 0;
    while (m->coordinator_keys_count < room && !list_empty(&f->needed)) {
        struct coordinator *co = container_of(list_take_head(&f->needed), struct coordinator, node);
        co->phase = COORDINATOR_ASKED;
        list_add_tail(&f->asked, &co->node);
        keys[m->coordinator_keys_count++] = arena_str(&f->arena, co->key);
    }
    f->asking = true;
    f->call = (struct client_call){
        .target.kind = CLIENT_ANY,
        .api_key = API_FIND_COORDINATOR,
        .version_low = version_low[f->type],
        .request = m,
        .prepare = prepare,
    };
    op_init(&f->call.op, found);
    client_send(c, &f->call);
}

static void go(struct finder *f)
{
    if (!f->asking && !io_timer_is_set(&f->timer) && !list_empty(&f->needed) && f->client->closed == NULL)
        ask(f);
}

static bool is_waited_for(const struct client *c, const struct coordinator *co)
{
    LIST_EACH (node, &c->unresolved) {
        const struct client_call *call = container_of(node, struct client_call, node);
        struct coordinator_key k = key_of(&call->target);
        if (call->target.kind >= CLIENT_GROUP && k.type == co->type && str_equal(k.key, co->key))
            return true;
    }
    return false;
}

static void again(struct io_timer *timer)
{
    struct finder *f = container_of(timer, struct finder, timer);

    LIST_EACH (node, &f->needed) {
        struct coordinator *co = container_of(node, struct coordinator, node);
        if (!is_waited_for(f->client, co))
            drop(f->client, co);
    }
    go(f);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void need_again(struct finder *f, struct coordinator *co)
{
    list_remove(&co->node);
    co->phase = COORDINATOR_NEEDED;
    list_add_tail(&f->needed, &co->node);
}

/* Nobody will be found: whoever waits is told. */
static void refuse(struct finder *f, struct coordinator *co, int16_t error)
{
    struct client *c = f->client;

    LIST_EACH (node, &c->unresolved) {
        struct client_call *call = container_of(node, struct client_call, node);
        struct coordinator_key k = key_of(&call->target);
        if (call->target.kind < CLIENT_GROUP || k.type != co->type || !str_equal(k.key, co->key))
            continue;
        call->lookup_error = error;
        call_end_soon(call, -EACCES);
    }
    drop(c, co);
}

struct place {
    int16_t error;
    int32_t node_id;
    struct str host;
    int32_t port;
};

/* false: it is to be asked for again. */
static bool take_place(struct finder *f, struct coordinator *co, const struct place *p)
{
    bool sane = p->node_id >= 0 && p->host.n > 0 && p->host.n < IO_HOST_MAX && p->port > 0 && p->port <= UINT16_MAX;

    if (p->error != KERR_NONE && !kerr_is_retriable(p->error)) {
        refuse(f, co, p->error);
        return true;
    }
    if (p->error != KERR_NONE || !sane) {
        need_again(f, co);
        return false;
    }
    list_remove(&co->node);
    co->phase = COORDINATOR_KNOWN;
    co->node_id = p->node_id;
    co->address = (struct io_address){.port = (uint16_t)p->port};
    snprintf(co->address.host, sizeof co->address.host, "%.*s", STR_ARG(p->host));
    return true;
}

static struct coordinator *asked_for(struct finder *f, struct str key)
{
    struct coordinator_key k = {f->type, key};
    struct coordinator *co = find(f->client, &k);

    return co != NULL && co->phase == COORDINATOR_ASKED ? co : NULL;
}

/* Whether all that was asked for is known now, or refused. */
static bool take(struct finder *f, const struct find_coordinator_response *m)
{
    bool all = true;

    if (f->one_key) {
        struct coordinator *co = LIST_FIRST(&f->asked, struct coordinator, node);
        struct place p = {m->error_code, m->node_id, m->host, m->port};
        return co == NULL || take_place(f, co, &p);
    }
    for (int32_t i = 0; i < m->coordinators_count; i++) {
        const struct find_coordinator_response_coordinators *each = &m->coordinators[i];
        struct coordinator *co = asked_for(f, each->key);
        struct place p = {each->error_code, each->node_id, each->host, each->port};
        if (co != NULL)
            all &= take_place(f, co, &p);
    }
    return all;
}

static void found(struct op *op, int64_t result)
{
    struct finder *f = container_of(op, struct finder, call.op);
    struct client *c = f->client;
    bool all = false;

    f->asking = false;
    if (c->closed != NULL)
        return;
    if (result == 0)
        all = take(f, f->call.response);
    LIST_EACH (node, &f->asked) {
        struct coordinator *co = container_of(node, struct coordinator, node);
        if (result == ERR_VERSION)
            refuse(f, co, KERR_UNSUPPORTED_VERSION);
        else
            need_again(f, co);
    }
    client_call_release(&f->call);
    f->attempts = all ? 0 : f->attempts + 1;
    if (!all)
        io_timer_set(c->io, &f->timer, after_ns(c, client_backoff_ms(c, f->attempts)), again);
    go(f);
    calls_place_unresolved(c);
}

/* ---- links --------------------------------------------------------------------------------------- */

static struct client_link *link_to(struct client *c, const struct coordinator *co)
{
    struct client_link *l = link_get(c, LINK_COORDINATOR, co->node_id, &co->address);

    if (l->address.port != co->address.port || strcmp(l->address.host, co->address.host) != 0)
        link_set_address(l, &co->address);
    return l;
}

struct client_link *coordinator_link(struct client *c, struct client_call *call, int *error)
{
    struct coordinator_key k = key_of(&call->target);
    struct coordinator *co = find(c, &k);

    if (co != NULL)
        return co->phase == COORDINATOR_KNOWN ? link_to(c, co) : NULL;
    if (k.key.n < 0) {
        *error = -EINVAL;
        return NULL;
    }
    struct finder *f = &c->coordinators.finders[k.type];
    co = calloc(1, sizeof *co);
    ASSERT(co != NULL);
    co->type = k.type;
    co->phase = COORDINATOR_NEEDED;
    co->key_text = str_dup(k.key);
    co->key = (struct str){co->key_text, k.key.n};
    map_add(&c->coordinators.known, &co->by_key, hash_of(&k));
    list_add_tail(&f->needed, &co->node);
    go(f);
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------------------- */

void coordinators_init(struct client *c)
{
    map_init(&c->coordinators.known, has_key);
    for (int8_t type = 0; type < COORDINATOR_TYPES; type++) {
        struct finder *f = &c->coordinators.finders[type];
        f->client = c;
        f->type = type;
        list_init(&f->needed);
        list_init(&f->asked);
    }
}

void coordinators_close(struct client *c)
{
    for (int type = 0; type < COORDINATOR_TYPES; type++)
        io_timer_clear(&c->coordinators.finders[type].timer);
}

void coordinators_deinit(struct client *c)
{
    MAP_EACH (node, &c->coordinators.known)
        drop(c, container_of(node, struct coordinator, by_key));
    map_deinit(&c->coordinators.known);
    for (int type = 0; type < COORDINATOR_TYPES; type++) {
        client_call_release(&c->coordinators.finders[type].call);
        arena_deinit(&c->coordinators.finders[type].arena);
    }
}
