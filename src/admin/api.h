/* admin/api.h - what this room knows of each API: whom it belongs to, what may be repeated, where its errors are. */
#pragma once

#include "admin/admin.h"

enum admin_route {
    ROUTE_ANY,
    ROUTE_CONTROLLER,
    ROUTE_LEADERS, /* `request.list` are topics, `request.inner` their partitions: split by leader */
    ROUTE_GROUP,   /* the coordinator of the group at `key_at` */
    ROUTE_GROUPS,  /* `request.list` are groups: one part for each */
    ROUTE_TRANSACTION,  /* likewise of transactional ids */
    ROUTE_TRANSACTIONS,
    ROUTE_BROKERS, /* the same to every broker */
    ROUTE_NODE,    /* whom the caller names */
};

#define NOWHERE UINT16_MAX

/* An array inside a struct of a message, and what of its elements is looked at. */
struct admin_list {
    uint16_t at, count_at, bytes; /* bytes 0: there is no such array */
    uint16_t name_at;             /* a struct str; NOWHERE */
    uint16_t index_at;            /* an int32_t; NOWHERE */
    uint16_t error_at;            /* an int16_t; NOWHERE */
    const void *defaults;         /* one element; where elements are made here */
};

struct admin_shape {
    uint16_t error_at; /* of the whole; NOWHERE */
    struct admin_list list, inner;
};

struct admin_api {
    int16_t key;
    enum admin_route route;
    int16_t version_low, version_high; /* 0 = what the API has */
    bool repeatable;                   /* doing it twice is doing it once */
    uint16_t key_at;
    uint16_t resource_type_at;         /* of elements of `request.list`, an int8_t: what is a broker's goes to that
                                          broker, the others by `route`. 0 = they are no resources */
    struct admin_shape request, response;
    struct admin_list request_outer, response_outer; /* where they are inside of the one element of an array */
};

/* NULL for an API that this room does not have. */
const struct admin_api *admin_api_find(int16_t key);

static inline void *list_first(const struct admin_list *l, const void *of)
{
    return *(void *const *)(const void *)((const char *)of + l->at);
}

static inline int32_t list_count(const struct admin_list *l, const void *of)
{
    return l->bytes == 0 ? 0 : *(const int32_t *)(const void *)((const char *)of + l->count_at);
}

static inline char *list_element(const struct admin_list *l, const void *of, int32_t i)
{
    return (char *)list_first(l, of) + (size_t)i * l->bytes;
}

static inline void list_set(const struct admin_list *l, void *of, void *first, int32_t count)
{
    *(void **)(void *)((char *)of + l->at) = first;
    *(int32_t *)(void *)((char *)of + l->count_at) = count;
}

/* Where `shape` begins: in the message, or in the one element of `outer`. NULL: there is none. */
static inline const void *shape_start(const struct admin_list *outer, const void *message)
{
    if (outer->bytes == 0)
        return message;
    return list_count(outer, message) == 0 ? NULL : list_element(outer, message, 0);
}

static inline struct str *element_name(const struct admin_list *l, const void *element)
{
    return (struct str *)(void *)((char *)(uintptr_t)element + l->name_at);
}

static inline int32_t *element_index(const struct admin_list *l, const void *element)
{
    return (int32_t *)(void *)((char *)(uintptr_t)element + l->index_at);
}

static inline int16_t *error_of(const void *of, uint16_t at)
{
    return (int16_t *)(void *)((char *)(uintptr_t)of + at);
}

/* ---- admin.c ------------------------------------------------------------------------------ */

/* Its nodes are controllers (KIP-919): each answers for all brokers. */
bool admin_asks_controllers(const struct admin *a);

/* ---- outcome.c ---------------------------------------------------------------------------- */

/* Trouble of a call in the words of `call->fail`; `sent`: the node may have acted. Returns it. */
int admin_explain(struct admin_call *call, int trouble, bool sent);
/* Of a call whose parts have come to their end: 0, or what is wrong with the first part that has trouble. */
int admin_outcome(struct admin_call *call);

/* ---- judge.c ------------------------------------------------------------------------------ */

/* Whether the answer says "not now" in such a way that asking again is right (A2). */
bool admin_not_now(const struct admin_api *api, const void *response);

/* ---- split.c ------------------------------------------------------------------------------ */

/* Append to the call's parts those that `request` makes: who is asked, with what. `node_id` -1: whom the API belongs
 * to. `key` null: of all groups or transactional ids that the request names; else it is that one's. */
void admin_split(struct admin_call *call, const void *request, int32_t node_id, struct str key);
