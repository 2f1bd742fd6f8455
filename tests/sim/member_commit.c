/* How far the group came: what was committed, and committing more. */
#include "member.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_fetch.h"

/* ---- what was committed ------------------------------------------------------------------------------ */

static void begin_by_group(struct member *m, struct offset_fetch_request *q)
{
    struct offset_fetch_request_groups_topics topics[FETCH_PARTITIONS_MAX];
    struct offset_fetch_request_groups group;

    offset_fetch_request_groups_init(&group);
    group.group_id = STR(GROUP);
    group.topics = topics;
    group.topics_count = (int32_t)m->fetch.count;
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        struct part *p = m->fetch.slots[i].part;
        offset_fetch_request_groups_topics_init(&topics[i]);
        topics[i].name = str_of(p->topic->name);
        topics[i].topic_id = p->topic->id;
        topics[i].partition_indexes = &p->partition;
        topics[i].partition_indexes_count = 1;
    }
    q->groups = &group;
    q->groups_count = 1;
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_OFFSET_FETCH, m->version, q, &m->flow.op);
}

static void begin_plain(struct member *m, struct offset_fetch_request *q)
{
    struct offset_fetch_request_topics topics[FETCH_PARTITIONS_MAX];

    q->group_id = STR(GROUP);
    q->topics = topics;
    q->topics_count = (int32_t)m->fetch.count;
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        struct part *p = m->fetch.slots[i].part;
        offset_fetch_request_topics_init(&topics[i]);
        topics[i].name = str_of(p->topic->name);
        topics[i].partition_indexes = &p->partition;
        topics[i].partition_indexes_count = 1;
    }
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_OFFSET_FETCH, m->version, q, &m->flow.op);
}

/* Version 10 names topics by id: a leader of another make may share out one whose id nobody here was told yet. */
static int16_t by_id_max(const struct member *m)
{
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        if (uuid_is_zero(m->fetch.slots[i].part->topic->id))
            return 9;
    }
    return 10;
}

void member_committed_begin(struct member *m)
{
    struct offset_fetch_request q;

    offset_fetch_request_init(&q);
    m->version = client_draw_version(&m->client, API_OFFSET_FETCH, 1, by_id_max(m));
    for (uint32_t i = 0; i < m->fetch.count; i++)
        m->committed[i] = m->fetch.slots[i].part->committed;
    if (m->version >= 8)
        begin_by_group(m, &q);
    else
        begin_plain(m, &q);
}

static uint32_t slot_of(struct member *m, struct str name, struct uuid id, int32_t partition)
{
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        const struct part *p = m->fetch.slots[i].part;
        bool same = m->version >= 10 ? uuid_equal(p->topic->id, id) : str_equal(str_of(p->topic->name), name);
        if (same && p->partition == partition)
            return i;
    }
    broken(m->client.world, "%s was answered for %.*s-%d, which it did not ask for", m->client.name,
           STR_ARG(name), partition);
}

static bool take_one(struct member *m, struct str name, struct uuid id, int32_t partition, int64_t offset,
                     int16_t error)
{
    uint32_t i = slot_of(m, name, id, partition);

    if (error != KERR_NONE) {
        member_error(m, "OffsetFetch of a partition", error);
        return false;
    }
    truth_committed(m->client.world->truth, m->fetch.slots[i].part, offset, m->committed[i]);
    m->fetch.slots[i].position = offset < 0 ? 0 : offset;
    m->committed[i] = offset;
    return true;
}

static bool take_by_group(struct member *m, const struct offset_fetch_response *a)
{
    const struct offset_fetch_response_groups *g = a->groups;
    uint32_t taken = 0;

    if (a->groups_count != 1)
        broken(m->client.world, "OffsetFetch of one group was answered with %d", a->groups_count);
    if (g->error_code != KERR_NONE) {
        member_error(m, "OffsetFetch", g->error_code);
        return false;
    }
    for (int32_t t = 0; t < g->topics_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_groups_topics_partitions *one = &g->topics[t].partitions[p];
            if (take_one(m, g->topics[t].name, g->topics[t].topic_id, one->partition_index,
                         one->committed_offset, one->error_code))
                taken++;
        }
    }
    return taken == m->fetch.count;
}

static bool take_plain(struct member *m, const struct offset_fetch_response *a)
{
    uint32_t taken = 0;

    if (a->error_code != KERR_NONE) {
        member_error(m, "OffsetFetch", a->error_code);
        return false;
    }
    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_topics_partitions *one = &a->topics[t].partitions[p];
            if (take_one(m, a->topics[t].name, UUID_ZERO, one->partition_index, one->committed_offset,
                         one->error_code))
                taken++;
        }
    }
    return taken == m->fetch.count;
}

bool member_committed_take(struct member *m)
{
    return m->version >= 8 ? take_by_group(m, m->rpc.answer) : take_plain(m, m->rpc.answer);
}

/* ---- committing more ------------------------------------------------------------------------------------ */

bool member_commit_due(const struct member *m)
{
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        if (m->fetch.slots[i].position > 0 && m->fetch.slots[i].position != m->committed[i])
            return true;
    }
    return false;
}

void member_commit_begin(struct member *m)
{
    struct offset_commit_request_topics_partitions partitions[FETCH_PARTITIONS_MAX];
    struct offset_commit_request_topics topics[FETCH_PARTITIONS_MAX];
    struct offset_commit_request q;
    struct truth *t = m->client.world->truth;

    offset_commit_request_init(&q);
    m->version = client_draw_version(&m->client, API_OFFSET_COMMIT, 2, by_id_max(m));
    m->generation_known = t->generation;
    /* As if it had not heard that the group has moved on. */
    m->stale = m->generation > 1 && m->client.world->calm_ns == 0 && client_below(&m->client, 6) == 0;
    q.group_id = STR(GROUP);
    q.member_id = str_of(m->member_id);
    q.generation_id_or_member_epoch = m->stale ? m->generation - 1 : m->generation;
    q.topics = topics;
    for (uint32_t i = 0; i < m->fetch.count; i++) {
        struct fetch_slot *s = &m->fetch.slots[i];
        int32_t n = q.topics_count;
        m->committing[i] = -1;
        if (s->position <= 0 || s->position == m->committed[i])
            continue;
        m->committing[i] = s->position;
        truth_commit_tried(t, s->part, s->position);
        offset_commit_request_topics_partitions_init(&partitions[n]);
        partitions[n].partition_index = s->part->partition;
        partitions[n].committed_offset = s->position;
        partitions[n].committed_metadata = STR("sim");
        offset_commit_request_topics_init(&topics[n]);
        topics[n].name = str_of(s->part->topic->name);
        topics[n].topic_id = s->part->topic->id;
        topics[n].partitions = &partitions[n];
        topics[n].partitions_count = 1;
        q.topics_count++;
    }
    rpc_begin(&m->rpc, &m->client, m->coordinator, API_OFFSET_COMMIT, m->version, &q, &m->flow.op);
}

/* Errors that say surely that nothing was written. */
static bool is_definite(int16_t error)
{
    return error == KERR_ILLEGAL_GENERATION || error == KERR_UNKNOWN_MEMBER_ID ||
           error == KERR_REBALANCE_IN_PROGRESS || error == KERR_COORDINATOR_LOAD_IN_PROGRESS;
}

static void take_commit(struct member *m, uint32_t i, int16_t error)
{
    if (m->committing[i] < 0)
        broken(m->client.world, "OffsetCommit was answered for what was not committed");
    if (m->stale && is_definite(error))
        return;
    if (error == KERR_NONE) {
        truth_commit_acked(m->client.world->truth, m->fetch.slots[i].part, m->committing[i],
                           m->stale ? m->generation - 1 : m->generation, m->generation_known);
        m->committed[i] = m->committing[i];
        return;
    }
    if (!is_definite(error))
        m->in_doubt = true;
    member_error(m, "OffsetCommit", error);
}

void member_commit_take(struct member *m)
{
    const struct offset_commit_response *a = m->rpc.answer;

    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
            const struct offset_commit_response_topics_partitions *one = &a->topics[t].partitions[p];
            take_commit(m, slot_of(m, a->topics[t].name, a->topics[t].topic_id, one->partition_index),
                        one->error_code);
        }
    }
}
