/* Who has been heard of, and when. */
#include "controller/internal.h"

#include <stdlib.h>

struct session *session_find(const struct controller *c, int32_t id)
{
    for (struct list *it = c->sessions.next; it != &c->sessions; it = it->next) {
        struct session *s = container_of(it, struct session, node);
        if (s->id == id)
            return s;
    }
    return NULL;
}

struct session *session_begin(struct controller *c, int32_t id, int64_t epoch, int64_t now_ms)
{
    struct session *s = session_find(c, id);

    if (s == NULL) {
        s = malloc(sizeof(*s));
        ASSERT(s != NULL);
        *s = (struct session){.id = id};
        list_add_tail(&c->sessions, &s->node);
    }
    if (s->epoch != epoch)
        s->silences = 0; /* another process: what made the last one hang may be gone */
    if (s->silences == 0)
        s->held_until_ms = INT64_MIN;
    s->epoch = epoch;
    s->contact_ms = now_ms;
    s->given_ms = 0;
    s->spoke_ms = now_ms;
    s->gone = false;
    s->metadata_offset = -1;
    s->registration_offset = epoch; /* an epoch is the offset of the record that brought it */
    s->shutdown_offset = INT64_MAX;
    return s;
}

void session_end(struct controller *c, int32_t id)
{
    struct session *s = session_find(c, id);

    if (s == NULL)
        return;
    list_remove(&s->node);
    free(s);
}

void sessions_end_all(struct controller *c)
{
    for (struct list *node; (node = list_take_head(&c->sessions)) != NULL;)
        free(container_of(node, struct session, node));
}

static int64_t ends_ms(const struct controller *c, const struct session *s)
{
    return s->contact_ms + s->given_ms + c->settings.session_timeout_ms;
}

bool session_is_valid(const struct controller *c, const struct session *s, int64_t now_ms)
{
    return now_ms < ends_ms(c, s);
}

void controller_stood_still(struct controller *c, int64_t ms)
{
    LIST_EACH (it, &c->sessions)
        container_of(it, struct session, node)->given_ms += ms;
}

int64_t sessions_lowest_offset(const struct controller *c)
{
    int64_t lowest = INT64_MAX;

    LIST_EACH (it, &c->sessions) {
        const struct session *s = container_of(it, struct session, node);
        if (broker_is_active(c->latest, s->id) && s->metadata_offset < lowest)
            lowest = s->metadata_offset;
    }
    return lowest;
}

static const struct image_broker *first_stale(const struct controller *c, int64_t now_ms)
{
    LIST_EACH (it, &c->sessions) {
        const struct session *s = container_of(it, struct session, node);
        const struct image_broker *b = image_broker_find(c->latest, s->id);
        if (b != NULL && !b->fenced && !session_is_valid(c, s, now_ms))
            return b;
    }
    return NULL;
}

static void say_why(struct decision *d, const struct image_broker *b, enum session_end end)
{
    const struct session *session = session_find(d->c, b->id); /* there is one for each registered broker */
    int64_t beat_ms = d->now_ms - session->contact_ms, hold_ms = session_hold_ms(session);
    struct str held = STR("");

    switch (end) {
    case SESSION_TIMED_OUT:
        decide_because(d, true,
                       "broker %d is fenced: no heartbeat for %" PRId64
                       " ms (broker.session.timeout.ms is %" PRId64 ")",
                       b->id, beat_ms, d->c->settings.session_timeout_ms);
        break;
    case SESSION_REFUSED: /* who has found out that it is gone has said so */
        decide_because(d, false,
                       "broker %d is fenced: no heartbeat for %" PRId64 " ms, and its listener refuses connections",
                       b->id, beat_ms);
        break;
    case SESSION_SILENT:
        if (hold_ms > 0)
            held = arena_printf(&d->c->scratch, "; so it was %u times in a short time: it is taken back in %" PRId64
                                " ms, sooner where a partition needs it", session->silences, hold_ms);
        decide_because(d, true,
                       "broker %d is fenced: nothing has come of it for %" PRId64
                       " ms, and it does not answer (millrace.broker.silence.ms)%.*s",
                       b->id, d->now_ms - session_heard_ms(d->c, session), STR_ARG(held));
        break;
    }
    d->bad = true;
}

bool session_fence(struct controller *c, const struct image_broker *b, enum session_end end, int64_t now_ms)
{
    struct decision d;
    enum kerr error;

    decision_begin(&d, c, NULL, now_ms);
    say_why(&d, b, end);
    decide_fence(&d, b);
    error = decision_commit(&d);
    decision_end(&d);
    return error == KERR_NONE;
}

/* One at a time: each changes what the next decision starts from. */
void sessions_expire(struct controller *c, int64_t now_ms)
{
    const struct image_broker *b;

    while (c->active && (b = first_stale(c, now_ms)) != NULL) {
        if (!session_fence(c, b, SESSION_TIMED_OUT, now_ms))
            return;
    }
}

/* ---- a process that is gone -------------------------------------------------------------------- */

int64_t controller_broker_heard_ms(const struct controller *c, int32_t id, int64_t epoch)
{
    const struct session *s = c->active ? session_find(c, id) : NULL;
    const struct image_broker *b = c->active ? image_broker_find(c->latest, id) : NULL;

    if (s == NULL || b == NULL || s->epoch != epoch || b->epoch != epoch || b->fenced || s->gone)
        return -1;
    return s->contact_ms;
}

void controller_broker_gone(struct controller *c, int32_t id, int64_t epoch, int64_t now_ms)
{
    if (controller_broker_heard_ms(c, id, epoch) < 0)
        return;
    session_find(c, id)->gone = true;
    session_fence(c, image_broker_find(c->latest, id), SESSION_REFUSED, now_ms);
}

int64_t sessions_due_ms(const struct controller *c)
{
    int64_t due = INT64_MAX;

    LIST_EACH (it, &c->sessions) {
        const struct session *s = container_of(it, struct session, node);
        const struct image_broker *b = image_broker_find(c->latest, s->id);
        if (b != NULL && !b->fenced && ends_ms(c, s) < due)
            due = ends_ms(c, s);
    }
    return due;
}
