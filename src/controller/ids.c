/* Lists of broker ids: replicas, in-sync ones, eligible ones. Short: at most as many as a partition has replicas. */
#include "controller/internal.h"

bool ids_have(const int32_t *p, int32_t n, int32_t id)
{
    for (int32_t i = 0; i < n; i++) {
        if (p[i] == id)
            return true;
    }
    return false;
}

bool ids_have_all(struct ids ids, const int32_t *p, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (!ids_have(ids.p, ids.n, p[i]))
            return false;
    }
    return true;
}

bool ids_equal(struct ids a, const int32_t *p, int32_t n)
{
    return a.n == n && (n == 0 || memcmp(a.p, p, (size_t)n * sizeof(*p)) == 0);
}

struct ids ids_new(struct decision *d, int32_t capacity)
{
    return (struct ids){arena_take_array(&d->c->scratch, (size_t)capacity, sizeof(int32_t)), 0};
}

void ids_add(struct ids *ids, int32_t id)
{
    if (!ids_have(ids->p, ids->n, id))
        ids->p[ids->n++] = id;
}

struct ids ids_without(struct decision *d, const int32_t *p, int32_t n, struct ids gone)
{
    struct ids rest = ids_new(d, n);

    for (int32_t i = 0; i < n; i++) {
        if (!ids_have(gone.p, gone.n, p[i]))
            ids_add(&rest, p[i]);
    }
    return rest;
}

struct ids ids_of(struct decision *d, const int32_t *p, int32_t n)
{
    return ids_without(d, p, n, (struct ids){0});
}
