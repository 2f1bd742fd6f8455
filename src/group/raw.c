/* Groups of protocols that are not served here (consumer, share, streams): their records are kept
 * as they are, so that they can be listed and nothing of them is lost or taken for something else.
 */
#include "group/internal.h"
#include "protocol/consumer_group_current_member_assignment_record.h"
#include "protocol/consumer_group_member_metadata_record.h"
#include "protocol/consumer_group_metadata_record.h"
#include "protocol/consumer_group_target_assignment_metadata_record.h"
#include "protocol/share_group_member_metadata_record.h"
#include "protocol/streams_group_current_member_assignment_record.h"
#include "protocol/streams_group_member_metadata_record.h"
#include "protocol/streams_group_metadata_record.h"
#include "protocol/streams_group_target_assignment_metadata_record.h"
#include "protocol/streams_group_topology_record.h"

#include <stdlib.h>

struct raw_record {
    struct map_node node;
    struct bytes key, value; /* owned */
};

static bool raw_equal(const struct map_node *node, const void *key)
{
    return bytes_equal(container_of(node, const struct raw_record, node)->key,
                       *(const struct bytes *)key);
}

static void raw_free(struct group *g, struct raw_record *r)
{
    map_remove(&g->raw, &r->node);
    free_bytes(&r->key);
    free_bytes(&r->value);
    free(r);
}

static void raw_remove(struct group_partition *p, struct group *g, struct bytes key)
{
    struct map_node *node = map_find(&g->raw, str_hash(str_of_bytes(key)), &key);

    if (node == NULL)
        return;
    raw_free(g, container_of(node, struct raw_record, node));
    if (g->raw.count > 0)
        return;
    /* Its last record is gone; offsets without a group are a classic group's. */
    g->kind = GROUP_CLASSIC;
    if (g->topics.count == 0)
        group_free(p, g);
}

static void raw_set(struct group *g, struct bytes key, struct bytes value)
{
    uint64_t hash = str_hash(str_of_bytes(key));
    struct map_node *node = map_find(&g->raw, hash, &key);
    struct raw_record *r;

    if (node != NULL) {
        r = container_of(node, struct raw_record, node);
        free_bytes(&r->value);
        r->value = own_bytes(value);
        return;
    }
    r = calloc(1, sizeof(*r));
    ASSERT(r != NULL);
    r->key = own_bytes(key);
    r->value = own_bytes(value);
    if (g->raw.equal == NULL)
        map_init(&g->raw, raw_equal);
    map_add(&g->raw, &r->node, hash);
}

void raw_apply(struct group_partition *p, enum group_kind kind, struct str group_id,
               struct bytes key, struct bytes value)
{
    struct group *g = value.n < 0 ? group_find(p, group_id) : group_get(p, group_id);

    if (g == NULL)
        return;
    if (value.n < 0) {
        if (g->kind == kind)
            raw_remove(p, g, key);
        return;
    }
    if (g->raw.count > 0 && g->kind != kind)
        say(p->telemetry, LOG_WARN, "group",
            "__consumer_offsets-%d at offset %" PRId64
            ": group %.*s has records of two protocols; it counts as "
            "a %s group",
            p->number, p->coordinator.offset, STR_ARG(group_id), group_kind_name(g));
    else
        g->kind = kind;
    raw_set(g, key, value);
}

void raw_free_all(struct group *g)
{
    MAP_EACH (node, &g->raw)
        raw_free(g, container_of(node, struct raw_record, node));
    map_deinit(&g->raw);
}

/* ---- states, as far as records tell --------------------------------------------------------- */

static bool raw_has(const struct group *g, const struct message *key)
{
    MAP_EACH (node, &g->raw) {
        if (get_i16(container_of(node, struct raw_record, node)->key.p) == key->key)
            return true;
    }
    return false;
}

bool raw_has_members(const struct group *g)
{
    return raw_has(g, &consumer_group_member_metadata_key_message) ||
           raw_has(g, &share_group_member_metadata_key_message) ||
           raw_has(g, &streams_group_member_metadata_key_message);
}

/* The numbers that make up the state of a consumer or a streams group. */
struct epochs {
    int32_t group, target;
    bool members_differ; /* somebody is not yet where the target assignment wants it */
};

static void epochs_read(const struct message_framed *v, struct epochs *e)
{
    if (v->message == &consumer_group_metadata_value_message)
        e->group = ((const struct consumer_group_metadata_value *)v->value)->epoch;
    else if (v->message == &streams_group_metadata_value_message)
        e->group = ((const struct streams_group_metadata_value *)v->value)->epoch;
    else if (v->message == &consumer_group_target_assignment_metadata_value_message)
        e->target = ((const struct consumer_group_target_assignment_metadata_value *)v->value)
                        ->assignment_epoch;
    else if (v->message == &streams_group_target_assignment_metadata_value_message)
        e->target = ((const struct streams_group_target_assignment_metadata_value *)v->value)
                        ->assignment_epoch;
}

/* A member is settled when its state is stable (consumer 0, streams 1) at the target's epoch. */
static void members_read(const struct message_framed *v, struct epochs *e)
{
    if (v->message == &consumer_group_current_member_assignment_value_message) {
        const struct consumer_group_current_member_assignment_value *at = v->value;
        e->members_differ |= at->member_epoch != e->target || at->state != 0;
    } else if (v->message == &streams_group_current_member_assignment_value_message) {
        const struct streams_group_current_member_assignment_value *at = v->value;
        e->members_differ |= at->member_epoch != e->target || at->state != 1;
    }
}

static struct epochs epochs_of(struct group_partition *p, const struct group *g)
{
    void (*const passes[])(const struct message_framed *, struct epochs *) = {epochs_read,
                                                                              members_read};
    struct epochs e = {0};

    for (size_t i = 0; i < array_count(passes); i++) {
        MAP_EACH (node, &g->raw) {
            const struct raw_record *r = container_of(node, struct raw_record, node);
            struct message_framed v;

            if (message_value_read(r->value, MESSAGE_GROUP_VALUE, get_i16(r->key.p), &p->arena,
                                   &v) >= 0)
                passes[i](&v, &e);
        }
    }
    return e;
}

const char *raw_state_name(struct group_partition *p, const struct group *g)
{
    struct epochs e;

    if (!raw_has_members(g))
        return "Empty";
    if (g->kind == GROUP_SHARE)
        return "Stable";
    if (g->kind == GROUP_STREAMS && !raw_has(g, &streams_group_topology_key_message))
        return "NotReady";
    e = epochs_of(p, g);
    if (e.group > e.target)
        return "Assigning";
    return e.members_differ ? "Reconciling" : "Stable";
}
