#include "base/base.h"

void ledger_init(struct ledger *l, uint64_t limit_bytes)
{
    *l = (struct ledger){.limit_bytes = limit_bytes, .requests_max_bytes = limit_bytes};
    list_init(&l->waiting);
}

/* How many bytes are missing for `bytes` more. */
static uint64_t lacking(const struct ledger *l, uint64_t bytes)
{
    uint64_t wanted = l->used_bytes + bytes;

    return wanted > l->limit_bytes ? wanted - l->limit_bytes : 0;
}

static void shrink(struct ledger *l, uint64_t bytes)
{
    if (bytes > 0 && l->shrink != NULL)
        l->shrink(l->ctx, bytes);
}

/* Somebody waits, and something has changed for the better. */
static void serve_soon(struct ledger *l)
{
    if (list_empty(&l->waiting) || l->serving_soon || l->serve_soon == NULL)
        return;
    l->serving_soon = true;
    l->serve_soon(l->ctx);
}

void ledger_charge(struct ledger *l, enum ledger_use use, uint64_t bytes)
{
    if (l == NULL)
        return;
    l->uses[use] += bytes;
    l->used_bytes += bytes;
}

void ledger_return(struct ledger *l, enum ledger_use use, uint64_t bytes)
{
    if (l == NULL)
        return;
    ASSERT(l->uses[use] >= bytes);
    l->uses[use] -= bytes;
    l->used_bytes -= bytes;
    if (bytes > 0)
        serve_soon(l);
}

/* Of requests alone there may be fewer; but one is always let in, however large. */
static bool fits_requests(const struct ledger *l, uint64_t bytes)
{
    uint64_t now = l->uses[LEDGER_REQUESTS];

    return now == 0 || now + bytes <= l->requests_max_bytes;
}

/* M5. The one before it must have given back what it had beyond the bound, not only have ended. */
static bool may_favour(const struct ledger *l, const struct ledger_wait *w)
{
    return w->has_bytes > 0 && l->favoured == NULL &&
           l->uses[LEDGER_REQUESTS] <= l->requests_max_bytes;
}

/* Take `bytes` for `w`, where they are there and it may have them. */
static bool take(struct ledger *l, struct ledger_wait *w, uint64_t bytes)
{
    bool favoured = false;

    if (!fits_requests(l, bytes)) {
        favoured = l->favoured == w || may_favour(l, w);
        if (!favoured)
            return false;
    }
    shrink(l, lacking(l, bytes));
    if (lacking(l, bytes) > 0)
        return false;
    if (favoured)
        l->favoured = w;
    ledger_charge(l, LEDGER_REQUESTS, bytes);
    w->has_bytes += bytes;
    return true;
}

static void tell_short(struct ledger *l)
{
    uint64_t bytes = ledger_short_bytes(l);

    if (bytes > 0 && l->is_short != NULL)
        l->is_short(l->ctx, bytes);
}

/* Behind those that have begun, where `w` has; else behind all. */
static void wait_for(struct ledger *l, struct ledger_wait *w, uint64_t bytes)
{
    struct list *before = &l->waiting;

    w->bytes = bytes;
    if (w->has_bytes > 0) {
        before = l->waiting.next;
        while (before != &l->waiting && container_of(before, struct ledger_wait, node)->has_bytes > 0)
            before = before->next;
    }
    list_insert_before(before, &w->node);
    tell_short(l);
}

static bool is_plenty(const struct ledger *l, uint64_t bytes)
{
    return l->uses[LEDGER_REQUESTS] + bytes <= l->requests_max_bytes / 2;
}

uint64_t ledger_take(struct ledger *l, struct ledger_wait *w, uint64_t needed_bytes)
{
    uint64_t step;
    bool first;

    if (l == NULL)
        return needed_bytes;
    first = list_empty(&l->waiting) || l->favoured == w;
    step = w->has_bytes == 0 ? LEDGER_STEP_BYTES : w->has_bytes;
    if (step > needed_bytes)
        step = needed_bytes;
    if (first && is_plenty(l, needed_bytes) && take(l, w, needed_bytes))
        return needed_bytes;
    if (first && take(l, w, step))
        return step;
    wait_for(l, w, step);
    return 0;
}

void ledger_take_end(struct ledger *l, struct ledger_wait *w)
{
    w->has_bytes = 0;
    if (list_linked(&w->node))
        list_remove(&w->node);
    else if (l == NULL || l->favoured != w)
        return;
    if (l->favoured == w)
        l->favoured = NULL;
    serve_soon(l); /* the next may need less */
}

void ledger_serve(struct ledger *l)
{
    l->serving_soon = false;
    while (!list_empty(&l->waiting)) {
        struct ledger_wait *w = container_of(l->waiting.next, struct ledger_wait, node);
        if (!take(l, w, w->bytes)) {
            tell_short(l);
            return;
        }
        list_remove(&w->node);
        w->granted(w);
    }
}

void ledger_eased(struct ledger *l)
{
    if (l != NULL)
        serve_soon(l);
}

uint64_t ledger_free_bytes(const struct ledger *l)
{
    if (l == NULL)
        return UINT64_MAX;
    return l->used_bytes < l->limit_bytes ? l->limit_bytes - l->used_bytes : 0;
}

uint64_t ledger_short_bytes(const struct ledger *l)
{
    if (list_empty(&l->waiting))
        return 0;
    return lacking(l, container_of(l->waiting.next, struct ledger_wait, node)->bytes);
}

void ledger_move_limit(struct ledger *l, int64_t by_bytes)
{
    ASSERT(by_bytes >= 0 || l->limit_bytes >= (uint64_t)-by_bytes);
    l->limit_bytes += (uint64_t)by_bytes;
    shrink(l, lacking(l, 0));
    if (by_bytes > 0)
        serve_soon(l);
}
