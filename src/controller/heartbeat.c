/* Heartbeats: a broker asks to be unfenced, fenced, or let go (KIP-631).
 *
 *   FENCED ── wants none, has seen its registration ──► UNFENCED ── wants to shut down ──►
 *     CONTROLLED_SHUTDOWN ── leads nothing, all have seen that ──► SHUTDOWN_NOW (fenced)
 */
#include "controller/internal.h"

#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration_change_record.h"

enum control_state { STATE_FENCED, STATE_UNFENCED, STATE_CONTROLLED_SHUTDOWN, STATE_SHUTDOWN_NOW };

static bool leads_anything(const struct image *i, int32_t id)
{
    for (uint32_t t = 0; t < image_topic_count(i); t++) {
        const struct image_topic *topic = image_topic_at(i, t);
        for (int32_t p = 0; p < topic->partition_count; p++) {
            if (topic->partitions[p].leader == id)
                return true;
        }
    }
    return false;
}

static enum control_state state_of(const struct image_broker *b)
{
    if (b->fenced)
        return STATE_FENCED;
    return b->in_controlled_shutdown ? STATE_CONTROLLED_SHUTDOWN : STATE_UNFENCED;
}

static enum control_state next_state(struct decision *d, const struct image_broker *b,
                                     const struct session *s,
                                     const struct broker_heartbeat_request *m)
{
    enum control_state state = state_of(b);

    switch (state) {
    case STATE_FENCED:
        if (m->want_shut_down)
            return STATE_SHUTDOWN_NOW;
        /* Whoever began to shut down does not come back: only a new incarnation leads again. */
        if (!m->want_fence && !b->in_controlled_shutdown &&
            m->current_metadata_offset >= s->registration_offset && !session_is_held(d, s))
            return STATE_UNFENCED;
        return STATE_FENCED;
    case STATE_UNFENCED:
        if (m->want_fence)
            return m->want_shut_down ? STATE_SHUTDOWN_NOW : STATE_FENCED;
        if (m->want_shut_down)
            return leads_anything(d->image, b->id) ? STATE_CONTROLLED_SHUTDOWN : STATE_SHUTDOWN_NOW;
        return STATE_UNFENCED;
    case STATE_CONTROLLED_SHUTDOWN:
#ifndef MUTANT_CONTROLLER_LEAVES_EARLY
        if (s->shutdown_offset > sessions_lowest_offset(d->c))
            return STATE_CONTROLLED_SHUTDOWN;
#endif
        if (leads_anything(d->image, b->id))
            return STATE_CONTROLLED_SHUTDOWN;
        return STATE_SHUTDOWN_NOW;
    case STATE_SHUTDOWN_NOW:
        break;
    }
    UNREACHABLE("a broker is never registered as shut down");
}

static void move(struct decision *d, const struct image_broker *b, enum control_state to)
{
    switch (to) {
    case STATE_FENCED:
        decide_because(d, true, "broker %d is fenced: it asks to be", b->id);
        decide_fence(d, b);
        return;
    case STATE_SHUTDOWN_NOW:
        decide_because(d, true, "broker %d is let go: its controlled shutdown ends", b->id);
        d->in_order = true;
        if (!b->fenced)
            decide_fence(d, b);
        return;
    case STATE_UNFENCED:
        decide_because(d, true, "broker %d is unfenced: it asks to be, and knows the metadata", b->id);
        decide_unfence(d, b);
        return;
    case STATE_CONTROLLED_SHUTDOWN:
        decide_because(d, true, "broker %d begins a controlled shutdown", b->id);
        d->in_order = true;
        add_broker_change(d, b, 0, 1);
        decide_partition_changes(d, &(struct broker_change){b->id, NO_LEADER, NO_LEADER});
        return;
    }
}

/* ---- directories -------------------------------------------------------------------------------
 */

static bool has(const struct uuid *list, int32_t count, struct uuid id)
{
    for (int32_t i = 0; i < count; i++) {
        if (uuid_equal(list[i], id))
            return true;
    }
    return false;
}

/* Directories that failed leave the registration; what lay in them loses its replica. */
static void drop_offline(struct decision *d, const struct image_broker *b,
                         const struct broker_heartbeat_request *m)
{
    struct broker_registration_change_record r;

    if (m->offline_log_dirs_count <= 0 || d->version->level < METADATA_VERSION_DIRECTORIES)
        return;
    broker_registration_change_record_init(&r);
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.log_dirs = arena_take_array(&d->c->scratch, (size_t)b->directory_count, sizeof(*r.log_dirs));
    for (int32_t i = 0; i < b->directory_count; i++) {
        if (!has(m->offline_log_dirs, m->offline_log_dirs_count, b->directories[i]))
            r.log_dirs[r.log_dirs_count++] = b->directories[i];
    }
    /* A broker without any directory stops by itself; an empty list would mean "unchanged". */
    if (r.log_dirs_count == b->directory_count || r.log_dirs_count == 0)
        return;
    decision_add(d, &broker_registration_change_record_message, 2, &r);
    decide_because(d, true, "log directories of broker %d have failed, %d are left", b->id, r.log_dirs_count);
    d->bad = true;
    decide_partition_changes(d, &(struct broker_change){b->id, NO_LEADER, NO_LEADER,
                                                        m->offline_log_dirs,
                                                        m->offline_log_dirs_count});
}

static bool same_cordoned(const struct image_broker *b, const struct broker_heartbeat_request *m)
{
    if (b->cordoned_count != m->cordoned_log_dirs_count)
        return false;
    for (int32_t i = 0; i < b->cordoned_count; i++) {
        if (!has(m->cordoned_log_dirs, m->cordoned_log_dirs_count, b->cordoned[i]))
            return false;
    }
    return true;
}

/* KIP-1066. */
static void note_cordoned(struct decision *d, const struct image_broker *b,
                          const struct broker_heartbeat_request *m)
{
    struct broker_registration_change_record r;

    if (d->call->api_version < 2 || m->cordoned_log_dirs_count < 0 ||
        d->version->level < METADATA_VERSION_CORDONED || same_cordoned(b, m))
        return;
    broker_registration_change_record_init(&r);
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.cordoned_log_dirs = m->cordoned_log_dirs;
    r.cordoned_log_dirs_count = m->cordoned_log_dirs_count;
    decision_add(d, &broker_registration_change_record_message, 3, &r);
}

/* ---- the request -------------------------------------------------------------------------------
 */

enum kerr decide_broker_heartbeat(struct decision *d, const void *request, void *response)
{
    const struct broker_heartbeat_request *m = request;
    struct broker_heartbeat_response *a = response;
    const struct image_broker *b = image_broker_find(d->image, m->broker_id);
    struct session *s = session_find(d->c, m->broker_id);
    enum control_state before, next;
    enum kerr error;

    if (b == NULL || b->epoch != m->broker_epoch) {
        a->error_code = KERR_STALE_BROKER_EPOCH;
        return KERR_NONE;
    }
    ASSERT(s != NULL); /* there is one for each registered broker */
    before = state_of(b);
    next = next_state(d, b, s, m);
    note_cordoned(d, b, m);
    drop_offline(d, b, m);
    error = decision_commit(d); /* `move` starts from what the directories' loss has left */
    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    if (next != before)
        move(d, image_broker_find(d->image, m->broker_id), next);
    error = decision_commit(d);
    if (error != KERR_NONE)
        return error;
    decision_cut(d, 0);
    s->contact_ms = d->now_ms;
    s->given_ms = 0;
    s->metadata_offset = m->current_metadata_offset;
    if (next == STATE_CONTROLLED_SHUTDOWN && before != next)
        s->shutdown_offset = d->c->end - 1;
    a->is_caught_up = m->current_metadata_offset >= s->registration_offset;
    a->is_fenced = next == STATE_FENCED || next == STATE_SHUTDOWN_NOW;
    a->should_shut_down = next == STATE_SHUTDOWN_NOW;
    return KERR_NONE;
}
