/* Records become state (C1). */
#include "group/internal.h"
#include "protocol/legacy_offset_commit_record.h"

static bool loading(const struct group_partition *p)
{
    return p->coordinator.phase == COORDINATOR_LOADING;
}

/* ---- a classic group ------------------------------------------------------------------------ */

static void member_apply(struct group *g, const struct group_metadata_value_member_metadata *from)
{
    struct member *m =
        member_add(g, from->member_id, from->group_instance_id, from->client_id, from->client_host);
    struct join_group_request_protocols spoken = {
        .name = str_is_null(g->protocol) ? STR("") : g->protocol,
        .metadata = from->subscription,
    };

    member_set_protocols(m, &spoken, 1);
    m->session_timeout_ms = from->session_timeout;
    m->rebalance_timeout_ms =
        from->rebalance_timeout < 0 ? from->session_timeout : from->rebalance_timeout;
    m->assignment = own_bytes(from->assignment);
}

static void group_rebuild(struct group_partition *p, struct group *g,
                          const struct group_metadata_value *value)
{
    LIST_EACH (it, &g->order)
        member_remove(p, container_of(it, struct member, in_order));
    free_str(&g->protocol_type);
    free_str(&g->protocol);
    g->protocol_type = value->protocol_type.n > 0 ? own_str(value->protocol_type) : STR_NULL;
    g->protocol = own_str(value->protocol);
    g->generation = value->generation;
    g->state = value->members_count == 0 ? GROUP_EMPTY : GROUP_STABLE;
    g->state_ms = value->current_state_timestamp;
    for (int32_t i = 0; i < value->members_count; i++) {
        if (member_find(g, value->members[i].member_id) == NULL &&
            (str_is_null(value->members[i].group_instance_id) ||
             member_static_find(g, value->members[i].group_instance_id) == NULL))
            member_apply(g, &value->members[i]);
    }
    if (!str_is_null(value->leader))
        g->leader = member_find(g, value->leader);
}

/* While we coordinate, memory holds more than the record (who waits, who is pending), and all of
 * the record but the assignments is there already. */
static void group_assign(struct group *g, const struct group_metadata_value *value)
{
    for (int32_t i = 0; i < value->members_count; i++) {
        struct member *m = member_find(g, value->members[i].member_id);
        struct bytes assignment;

        ASSERT(m != NULL);
        assignment = own_bytes(value->members[i].assignment);
        free_bytes(&m->assignment);
        m->assignment = assignment;
    }
}

/* Offsets without a group make one: "simple" consumers that only store offsets. */
static void group_forget(struct group_partition *p, struct group *g)
{
    if (g->topics.count == 0 && g->raw.count == 0) {
        group_free(p, g);
        return;
    }
    LIST_EACH (it, &g->order)
        member_remove(p, container_of(it, struct member, in_order));
    free_str(&g->protocol_type);
    free_str(&g->protocol);
    g->generation = 0;
    g->state = GROUP_EMPTY;
}

static void group_apply(struct group_partition *p, const struct group_metadata_key *key,
                        const struct group_metadata_value *value)
{
    struct group *g = group_find(p, key->group);

    if (value == NULL) {
        if (g != NULL && g->kind == GROUP_CLASSIC)
            group_forget(p, g);
        return;
    }
    if (g != NULL && g->kind != GROUP_CLASSIC) {
        say(p->telemetry, LOG_WARN, "group",
            "__consumer_offsets-%d at offset %" PRId64
            ": group %.*s is a %s group and has a record of a classic "
            "one, which is ignored",
            p->number, p->coordinator.offset, STR_ARG(key->group), group_kind_name(g));
        return;
    }
    g = group_get(p, key->group);
    if (loading(p))
        group_rebuild(p, g, value);
    else
        group_assign(g, value);
}

/* ---- the kinds of records ------------------------------------------------------------------- */

/* Whose records a type is; false for types 0 to 2. */
static bool raw_kind(int16_t type, enum group_kind *out)
{
    if (type <= group_metadata_key_message.key)
        return false;
    if ((type >= 3 && type <= 8) || type == 16)
        *out = GROUP_CONSUMER;
    else if (type >= 10 && type <= 15)
        *out = GROUP_SHARE;
    else
        *out = GROUP_STREAMS;
    return true;
}

/* The keys of all types begin with the group's id. */
static struct str key_group(struct bytes key)
{
    struct rd r = rd_of(key.p + 2, (size_t)key.n - 2);
    int16_t n = rd_i16(&r);

    ASSERT(!r.failed && n >= 0); /* it was read as a message before */
    return (struct str){(const char *)r.p, n};
}

static void apply_read(struct group_partition *p, int16_t type, const void *key, const void *value)
{
    if (type == group_metadata_key_message.key) {
        group_apply(p, key, value);
    } else if (type == offset_commit_key_message.key) {
        offset_apply(p, key, value);
    } else {
        const struct legacy_offset_commit_key *old = key;
        const struct legacy_offset_commit_value *old_value = value;
        struct offset_commit_key now = {
            .group = old->group, .topic = old->topic, .partition = old->partition};
        struct offset_commit_value now_value;

        offset_commit_value_init(&now_value);
        if (old_value != NULL) {
            now_value.offset = old_value->offset;
            now_value.metadata = old_value->metadata;
            now_value.commit_timestamp = old_value->commit_timestamp;
        }
        offset_apply(p, &now, old_value == NULL ? NULL : &now_value);
    }
}

static int record_apply(void *state, struct bytes key, struct bytes value, int64_t timestamp_ms,
                        struct fail *f)
{
    struct group_partition *p = state;
    struct message_framed k, v = {0};
    enum group_kind kind;
    int error;

    if (key.n < 2)
        return fail_set(f, ERR_CORRUPT, "it has no key");
    arena_reset(&p->record);
    error = message_key_read(key, MESSAGE_GROUP_KEY, &p->record, &k);
    if (error == ERR_VERSION) {
        say(p->telemetry, LOG_WARN, "group",
            "__consumer_offsets-%d at offset %" PRId64
            ": a record of unknown type %d is ignored; a newer version "
            "wrote it",
            p->number, p->coordinator.offset, get_i16(key.p));
        return 0;
    }
    if (error >= 0 && value.n >= 0)
        error = message_value_read(value, MESSAGE_GROUP_VALUE, k.message->key, &p->record, &v);
    if (error < 0)
        fail_set(f, error, "of type %d, value version %d: %s", get_i16(key.p),
                 value.n >= 2 ? get_i16(value.p) : -1, error_text(error));
    else if (raw_kind(k.message->key, &kind))
        raw_apply(p, kind, key_group(key), key, value);
    else
        apply_read(p, k.message->key, k.value, value.n < 0 ? NULL : v.value);
    return error < 0 ? error : 0;
}

static void loaded(void *state, int64_t now_ms)
{
    struct group_partition *p = state;

    p->now_ms = now_ms;
    MAP_EACH (node, &p->groups) {
        struct group *g = container_of(node, struct group, node);

        LIST_EACH (it, &g->order)
            session_restart(p, container_of(it, struct member, in_order));
        /* group.max.size was lowered: in a rebalance only so many find room. */
        if (g->members.count > (size_t)p->settings.size_max)
            rebalance_prepare(p, g);
    }
    timer_set(p, &p->retention, p->settings.retention_check_interval_ms);
}

const struct coordinator_machine group_machine = {
    .apply = record_apply,
    .loaded = loaded,
    .held = offset_held,
    .decided = offset_decided,
};
