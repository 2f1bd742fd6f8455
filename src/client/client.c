/* A client's life, and whom it tells of changes. */
#include "client/internal.h"

#include <stdlib.h>

static void copy_settings(struct client *c, const struct client_settings *settings)
{
    arena_init(&c->texts, 0);
    c->settings = *settings;
    c->settings.bootstrap_servers = arena_str(&c->texts, settings->bootstrap_servers);
    c->settings.client_id = arena_str(&c->texts, settings->client_id);
    c->settings.client_rack = arena_str(&c->texts, settings->client_rack);
}

struct client *client_new(struct io *io, struct telemetry *t, const struct client_settings *settings, struct fail *f)
{
    struct client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        fail_set(f, -ENOMEM, "there is no memory for a client");
        return NULL;
    }
    c->io = io;
    c->telemetry = t;
    copy_settings(c, settings);
    if (bootstrap_parse(c, f) < 0) {
        arena_deinit(&c->texts);
        free(c);
        return NULL;
    }
    list_init(&c->links);
    list_init(&c->unresolved);
    list_init(&c->watches);
    c->bootstrapping = !client_is_told(c);
    c->state_since_ns = io_now_ns(io);
    metadata_init(c);
    coordinators_init(c);
    return c;
}

/* ---- end -------------------------------------------------------------------------------------- */

static bool is_over(const struct client *c)
{
    return c->closed != NULL && c->call_count == 0 && list_empty(&c->links);
}

static void gone(struct io_timer *timer)
{
    struct client *c = container_of(timer, struct client, gone);
    struct op *closed = c->closed;

    if (!is_over(c)) /* a call was sent meanwhile: its end comes here again */
        return;
    io_timer_clear(&c->changed);
    metadata_deinit(c);
    coordinators_deinit(c);
    arena_deinit(&c->texts);
    free(c->bootstrap);
    free(c);
    closed->done(closed, 0);
}

void client_check_gone(struct client *c)
{
    if (is_over(c))
        io_timer_set(c->io, &c->gone, io_now_ns(c->io), gone);
}

void client_close(struct client *c, struct op *op)
{
    ASSERT(c->closed == NULL);
    c->closed = op;
    metadata_close(c);
    coordinators_close(c);
    LIST_EACH (node, &c->unresolved)
        call_end_soon(container_of(node, struct client_call, node), ERR_CLOSED);
    LIST_EACH (node, &c->links)
        link_retire(container_of(node, struct client_link, node));
    client_check_gone(c);
}

/* ---- watches ----------------------------------------------------------------------------------- */

static void tell(struct io_timer *timer)
{
    struct client *c = container_of(timer, struct client, changed);
    struct list told = LIST_INIT(told);

    brokers_forget_replaced(c);
    list_move_all(&told, &c->watches); /* who is told may end others, and add some */
    for (struct list *node; (node = list_take_head(&told)) != NULL;) {
        struct client_watch *w = container_of(node, struct client_watch, node);
        list_add_tail(&c->watches, node);
        w->changed(w);
    }
}

void client_changed(struct client *c)
{
    if (c->closed == NULL && !io_timer_is_set(&c->changed))
        io_timer_set(c->io, &c->changed, io_now_ns(c->io), tell);
}

void client_watch(struct client *c, struct client_watch *w)
{
    list_add_tail(&c->watches, &w->node);
}

void client_unwatch(struct client_watch *w)
{
    list_remove(&w->node);
}

/* ---- back-off ---------------------------------------------------------------------------------- */

#define JITTER_PERCENT 20

int64_t client_backoff_ms(struct client *c, uint32_t attempt)
{
    int64_t ms = c->settings.retry_backoff_ms, max_ms = c->settings.retry_backoff_max_ms;

    for (; attempt > 1 && ms < max_ms; attempt--)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    int64_t spread = ms * JITTER_PERCENT / 100;
    return ms - spread + (int64_t)prng_below(io_prng(c->io), (uint64_t)(2 * spread + 1));
}
