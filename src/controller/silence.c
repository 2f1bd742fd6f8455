/* Brokers that stand still: their connections are open, and nothing comes from them. */
#include "controller/internal.h"

/* Where the version stands in an id. */
#define VERSION_BYTE 6
#define VERSION_CUSTOM 0x80

struct uuid controller_incarnation(struct prng *g)
{
    struct uuid u = uuid_random(g);

    u.b[VERSION_BYTE] = (u.b[VERSION_BYTE] & 0x0f) | VERSION_CUSTOM;
    return u;
}

/* A JVM may stand still for longer than ours ever does, to collect its garbage: it has the whole of its session. */
static bool is_of_this_program(const struct image_broker *b)
{
    return (b->incarnation.b[VERSION_BYTE] & 0xf0) == VERSION_CUSTOM;
}

void controller_broker_speaks(struct controller *c, int32_t id, int64_t now_ms)
{
    struct session *s = c->active ? session_find(c, id) : NULL;

    if (s != NULL)
        s->spoke_ms = now_ms;
}

void controller_silence_anew(struct controller *c, int64_t now_ms)
{
    c->silence_since_ms = now_ms;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t session_heard_ms(const struct controller *c, const struct session *s)
{
    return later(c->silence_since_ms, later(s->contact_ms, s->spoke_ms));
}

/* NULL: nobody asks whether it is silent. Our own process knows of itself; who leaves may be long in its last steps. */
static const struct image_broker *watched(const struct controller *c, const struct session *s)
{
    const struct image_broker *b = image_broker_find(c->latest, s->id);

    if (b == NULL || b->id == c->settings.node_id || b->fenced || b->in_controlled_shutdown || !is_of_this_program(b))
        return NULL;
    return b;
}

uint32_t controller_silent(const struct controller *c, int64_t since_ms, struct controller_silent *out, uint32_t max,
                           int64_t *first_ms)
{
    uint32_t n = 0;

    *first_ms = INT64_MAX;
    if (!c->active)
        return 0;
    LIST_EACH (it, &c->sessions) {
        const struct session *s = container_of(it, struct session, node);
        int64_t at_ms = session_heard_ms(c, s);
        if (watched(c, s) == NULL)
            continue;
        if (at_ms > since_ms)
            *first_ms = at_ms < *first_ms ? at_ms : *first_ms;
        else if (n < max)
            out[n++] = (struct controller_silent){s->id, s->epoch};
    }
    return n;
}

static bool most_are_silent(const struct controller *c, int64_t since_ms)
{
    uint32_t silent = 0, all = 0;

#ifdef MUTANT_CONTROLLER_ALL_ARE_SILENT
    return false;
#endif
    for (uint32_t i = 0; i < image_broker_count(c->latest); i++)
        all += !image_broker_at(c->latest, i)->fenced;
    LIST_EACH (it, &c->sessions) {
        const struct session *s = container_of(it, struct session, node);
        silent += watched(c, s) != NULL && session_heard_ms(c, s) <= since_ms;
    }
    return silent > all / 2;
}

/* ---- again and again ---------------------------------------------------------------------------------
 *
 * A broker that hangs, goes on and hangs makes leaders move and ISRs shrink each time, and holds up whoever waits for
 * acks=all: at the third silence it is taken back after five seconds, then after twice as long, up to half a minute.
 */

#define SILENCES_FREE 2               /* what stalls a machine once may do so twice */
#define SILENCE_FORGOTTEN_MS 300000   /* one that did not hang for so long is well again */
#define HOLD_MS 5000
#define HOLDS_DOUBLED_MAX 3           /* up to CONTROLLER_HOLD_MS_MAX */

static void note_silence(struct session *s, int64_t now_ms)
{
    uint32_t doubled;
    int64_t hold_ms;

    if (s->silences > 0 && now_ms - s->silenced_ms >= SILENCE_FORGOTTEN_MS)
        s->silences = 0;
    s->silences++;
    s->silenced_ms = now_ms;
    s->held_until_ms = now_ms;
    if (s->silences <= SILENCES_FREE)
        return;
    doubled = s->silences - SILENCES_FREE - 1;
    hold_ms = (int64_t)HOLD_MS << (doubled < HOLDS_DOUBLED_MAX ? doubled : HOLDS_DOUBLED_MAX);
    s->held_until_ms = now_ms + (hold_ms < CONTROLLER_HOLD_MS_MAX ? hold_ms : CONTROLLER_HOLD_MS_MAX);
}

int64_t session_hold_ms(const struct session *s)
{
    return s->silences > SILENCES_FREE ? s->held_until_ms - s->silenced_ms : 0;
}

/* Nobody leads, or producers with acks=all are refused. */
static bool is_short(struct decision *d, const struct image_topic *t, const struct image_partition *p)
{
    return p->leader == NO_LEADER ||
           p->isr_count < effective_min_isr(d, effective_broker(d), t, p->replica_count);
}

static bool is_needed(struct decision *d, int32_t id)
{
    for (uint32_t i = 0; i < image_topic_count(d->image); i++) {
        const struct image_topic *t = image_topic_at(d->image, i);
        for (int32_t n = 0; n < t->partition_count; n++) {
            const struct image_partition *p = &t->partitions[n];
            if (ids_have(p->replicas, p->replica_count, id) && is_short(d, t, p))
                return true;
        }
    }
    return false;
}

bool session_is_held(struct decision *d, const struct session *s)
{
    return d->now_ms < s->held_until_ms && !is_needed(d, s->id);
}

bool controller_broker_silent(struct controller *c, const struct controller_silent *silent, int64_t since_ms,
                              int64_t now_ms)
{
    struct session *s = c->active ? session_find(c, silent->id) : NULL;
    const struct image_broker *b = s != NULL ? watched(c, s) : NULL;

    if (b == NULL || b->epoch != silent->epoch || session_heard_ms(c, s) > since_ms || most_are_silent(c, since_ms))
        return false;
    note_silence(s, now_ms);
    return session_fence(c, b, SESSION_SILENT, now_ms);
}
