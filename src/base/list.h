/* base/list.h - intrusive doubly linked list. A head is a node that points at itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(head) {&(head), &(head)}

static inline void list_init(struct list *head) { head->next = head->prev = head; }
static inline bool list_empty(const struct list *head) { return head->next == head; }

/* A zeroed node or one that was removed is not in a list. */
static inline bool list_linked(const struct list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_add_head(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* First node without it, or NULL. */
static inline struct list *list_take_head(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *node = head->next;
    list_remove(node);
    return node;
}

/* Move all nodes of `from` to the end of `to`. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_FIRST(head, type, member) \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))
#define LIST_LAST(head, type, member) \
    (list_empty(head) ? NULL : container_of((head)->prev, type, member))

/* `it` is a struct list *; the body may remove and free the current node. */
#define LIST_EACH(it, head)                                                            \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);          \
         it = it##_next, it##_next = it->next)
