/* admin/api.h - what this room knows of each API: whom it belongs to, what may be repeated, where its errors are. */
#pragma once

#include "admin/admin.h"

enum admin_route {
    ROUTE_ANY,
    ROUTE_CONTROLLER,
    ROUTE_LEADERS, /* `request.list` are topics, `request.inner` their partitions: split by leader */
    ROUTE_GROUP,   /* the coordinator of the group at `group_at` */
    ROUTE_GROUPS,  /* `request.list` are groups: one part for each */
    ROUTE_BROKERS, /* the same to every broker */
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
    uint16_t group_at;
    struct admin_shape request, response;
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

/* ---- judge.c ------------------------------------------------------------------------------ */

/* Whether the answer says "not now" in such a way that asking again is right (A2). */
bool admin_not_now(const struct admin_api *api, const void *response);

/* ---- split.c ------------------------------------------------------------------------------ */

/* Append to the call's parts those that `request` makes: who is asked, with what. */
void admin_split(struct admin_call *call, const void *request, int32_t node_id, struct str group);
