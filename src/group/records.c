/* What is written to __consumer_offsets, in the versions that Kafka 4.3 writes: every node of a
 * cluster that it can be part of reads them. */
#include "group/internal.h"

/* Group metadata 3, not 4, and offset commits 4: with a topic's id. An offset with a time of its
 * own needs 1. */
#define GROUP_VALUE_VERSION 3
#define OFFSET_VALUE_VERSION 4
#define OFFSET_VALUE_VERSION_EXPIRES 1

static struct bytes framed(struct group_partition *p, const struct message *message,
                           int16_t version, const void *value)
{
    int64_t n = message_coordinator_size(message, version, value);
    struct bytes out;

    ASSERT(n > 0 && n <= INT32_MAX); /* what came in by a request fits a record */
    out = (struct bytes){arena_take_raw(&p->arena, (size_t)n), (int32_t)n};
    message_coordinator_write(message, version, value, (uint8_t *)out.p);
    return out;
}

static struct str or_empty(struct str s)
{
    return s.n <= 0 ? STR("") : s;
}

static struct bytes assignment_of(const struct member *m, const struct sync_group_request *sync)
{
    for (int32_t i = 0; sync != NULL && i < sync->assignments_count; i++) {
        if (str_equal(sync->assignments[i].member_id, m->id))
            return sync->assignments[i].assignment;
    }
    return sync != NULL || m->assignment.n <= 0 ? (struct bytes){(const uint8_t *)"", 0}
                                                : m->assignment;
}

static void add_members(struct group_partition *p, const struct group *g,
                        const struct sync_group_request *sync, struct group_metadata_value *value)
{
    value->members = arena_take_array(&p->arena, g->members.count, sizeof(*value->members));
    LIST_EACH (it, &g->order) {
        const struct member *m = container_of(it, struct member, in_order);
        struct group_metadata_value_member_metadata *to = &value->members[value->members_count++];

        group_metadata_value_member_metadata_init(to);
        to->member_id = m->id;
        to->group_instance_id = m->instance_id;
        to->client_id = or_empty(m->client_id);
        to->client_host = or_empty(m->client_host);
        to->rebalance_timeout = m->rebalance_timeout_ms;
        to->session_timeout = m->session_timeout_ms;
        to->subscription = member_metadata(m, g->protocol);
        to->assignment = assignment_of(m, sync);
    }
}

void record_group(struct group_partition *p, const struct group *g,
                  const struct sync_group_request *sync)
{
    struct group_metadata_key key = {.group = g->id};
    struct group_metadata_value value;

    group_metadata_value_init(&value);
    value.protocol_type = or_empty(g->protocol_type);
    value.generation = g->generation;
    value.protocol = g->protocol;
    value.leader = g->leader == NULL ? STR_NULL : g->leader->id;
    value.current_state_timestamp = g->state_ms;
    add_members(p, g, sync, &value);
    batch_builder_add(&p->batch, p->wall_ms, framed(p, &group_metadata_key_message, 0, &key),
                      framed(p, &group_metadata_value_message, GROUP_VALUE_VERSION, &value), NULL,
                      0);
}

void record_group_tombstone(struct group_partition *p, struct str group_id)
{
    struct group_metadata_key key = {.group = group_id};

    batch_builder_add(&p->batch, p->wall_ms, framed(p, &group_metadata_key_message, 0, &key),
                      BYTES_NULL, NULL, 0);
}

static struct bytes offset_key(struct group_partition *p, struct str group_id, struct str topic,
                               int32_t partition)
{
    struct offset_commit_key key = {.group = group_id, .topic = topic, .partition = partition};

    return framed(p, &offset_commit_key_message, 0, &key);
}

void record_offset(struct group_partition *p, struct str group_id, struct str topic,
                   int32_t partition, const struct offset_commit_value *value, bool expires)
{
    int16_t version = expires ? OFFSET_VALUE_VERSION_EXPIRES : OFFSET_VALUE_VERSION;

    batch_builder_add(&p->batch, p->wall_ms, offset_key(p, group_id, topic, partition),
                      framed(p, &offset_commit_value_message, version, value), NULL, 0);
}

void record_offset_tombstone(struct group_partition *p, const struct committed *c)
{
    batch_builder_add(&p->batch, p->wall_ms,
                      offset_key(p, c->topic->group->id, c->topic->name, c->partition), BYTES_NULL,
                      NULL, 0);
}

/* Kafka's translation of what a log may say to what clients of a coordinator understand. */
static enum kerr coordinator_error(enum kerr error)
{
    switch (error) {
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_NOT_ENOUGH_REPLICAS:
    case KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case KERR_REQUEST_TIMED_OUT:
        return KERR_COORDINATOR_NOT_AVAILABLE;
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_KAFKA_STORAGE_ERROR:
        return KERR_NOT_COORDINATOR;
    case KERR_MESSAGE_TOO_LARGE:
    case KERR_RECORD_LIST_TOO_LARGE:
    case KERR_INVALID_FETCH_SIZE:
        return KERR_UNKNOWN_SERVER_ERROR;
    default:
        return error;
    }
}

enum kerr records_append(struct group_partition *p)
{
    int64_t end;

    return coordinator_error(coordinator_append(&p->coordinator, &p->batch, p->now_ms, &end));
}
