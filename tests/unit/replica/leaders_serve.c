/* How the brokers of leaders.h answer Fetch and ListOffsets. */
#include "leaders.h"

#include <stdlib.h>

/* Interop 5.5. */
static struct epoch_end end_of_epoch(const struct leader_log *l, int32_t epoch)
{
    uint32_t i = l->epoch_count;

    if (epoch < 0 || i == 0 || epoch > l->epochs[i - 1].epoch)
        return (struct epoch_end){-1, -1};
    while (i > 0 && l->epochs[i - 1].epoch > epoch)
        i--;
    if (i == 0)
        return (struct epoch_end){epoch, l->epochs[0].end_offset};
    return (struct epoch_end){l->epochs[i - 1].epoch, i == l->epoch_count ? l->end : l->epochs[i].end_offset};
}

/* ---- a Fetch ---------------------------------------------------------------------------------- */

/* What a follower names is what it has on stable storage (F1). */
static void check_stable(struct rig *g, const struct leader_log *l, const struct leader_entry *e, int32_t broker)
{
    struct replica *r = g->lab.sets[0] == NULL ? NULL : lab_find(&g->lab, l->id, l->partition);

    if (r == NULL || replica_replication(r)->leader != broker ||
        replica_replication(r)->leader_epoch != e->asked.current_leader_epoch)
        return;
    if (e->asked.fetch_offset > log_stable(replica_log(r)))
        check_fail(__FILE__, __LINE__, "%s-%d is fetched from %lld on, but only %lld is stable", l->topic, l->partition,
                   (long long)e->asked.fetch_offset, (long long)log_stable(replica_log(r)));
}

static struct leader_entry *entry_find(struct leader *b, struct uuid id, int32_t partition)
{
    for (uint32_t i = 0; i < b->entry_count; i++) {
        const struct leader_log *l = b->entries[i].log;
        if (uuid_equal(topic_id(l->id), id) && l->partition == partition)
            return &b->entries[i];
    }
    return NULL;
}

static void take_entries(struct leader *b, const struct fetch_request *q)
{
    struct rig *g = b->rig;

    for (int32_t t = 0; t < q->topics_count; t++) {
        for (int32_t i = 0; i < q->topics[t].partitions_count; i++) {
            const struct fetch_request_topics_partitions *one = &q->topics[t].partitions[i];
            struct leader_log *l = leader_log_find(g, q->topics[t].topic_id, one->partition);
            struct leader_entry *e = entry_find(b, topic_id(l->id), l->partition);
            if (e == NULL) {
                e = &b->entries[b->entry_count++];
                *e = (struct leader_entry){.log = l, .told_mark = -1, .told_start = -1};
            }
            e->asked = *one;
            l->fetches++;
            b->mentioned++;
            check_stable(g, l, e, b->id);
        }
    }
}

static void forget_entries(struct leader *b, const struct fetch_request *q)
{
    for (int32_t t = 0; t < q->forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topics_data *one = &q->forgotten_topics_data[t];
        for (int32_t i = 0; i < one->partitions_count; i++) {
            struct leader_entry *e = entry_find(b, one->topic_id, one->partitions[i]);
            CHECK(e != NULL); /* what was never told need not be forgotten */
            *e = b->entries[--b->entry_count];
        }
    }
}

static int16_t take_session(struct leader *b, const struct fetch_request *q)
{
    if (q->session_epoch == 0) {
        CHECK_EQ(q->forgotten_topics_data_count, 0);
        b->entry_count = 0;
        b->session_id = b->rig->sessionless ? 0 : (int32_t)(1 + prng_below(sim_prng(b->rig->lab.sim), 1u << 30));
        b->session_epoch = 1;
        b->full++;
        return KERR_NONE;
    }
    if (b->session_id == 0 || q->session_id != b->session_id)
        return KERR_FETCH_SESSION_ID_NOT_FOUND;
    if (q->session_epoch != b->session_epoch)
        return KERR_INVALID_FETCH_SESSION_EPOCH;
    b->session_epoch++;
    b->incremental++;
    return KERR_NONE;
}

static int16_t trouble_of(struct leader *b, struct leader_log *l, const struct fetch_request_topics_partitions *asked)
{
    if (l->gone)
        return KERR_UNKNOWN_TOPIC_ID;
    if (asked->current_leader_epoch > l->epoch)
        return KERR_UNKNOWN_LEADER_EPOCH;
    if (asked->current_leader_epoch < l->epoch)
        return KERR_FENCED_LEADER_EPOCH;
    if (l->broker != b->id)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (l->errors > 0) {
        l->errors--;
        return l->error;
    }
    return asked->fetch_offset < l->start ? KERR_OFFSET_OUT_OF_RANGE : KERR_NONE;
}

/* No fetch of it can be answered with records; it is not taken for one that fits. */
static bool diverges(const struct leader_log *l, const struct fetch_request_topics_partitions *asked,
                     struct fetch_response_responses_partitions *out)
{
    struct epoch_end end = end_of_epoch(l, asked->last_fetched_epoch);

    bool fits = asked->last_fetched_epoch < 0 ||
                (end.epoch == asked->last_fetched_epoch && end.end_offset >= asked->fetch_offset);

    if (fits && asked->fetch_offset <= l->end)
        return false;
    if (fits || end.epoch < 0) {
        out->error_code = KERR_OFFSET_OUT_OF_RANGE;
        return true;
    }
    out->diverging_epoch.epoch = end.epoch;
    out->diverging_epoch.end_offset = end.end_offset;
    return true;
}

/* Whole batches, the first however large it is. */
static struct bytes read_batches(struct rig *g, struct leader_log *l, struct arena *arena, int64_t offset,
                                 int32_t max_bytes)
{
    uint32_t first = 0, after;
    int32_t n = 0;

    while (first < l->count && l->batches[first].last < offset)
        first++;
    for (after = first; after < l->count && (after == first || n + l->batches[after].n <= max_bytes); after++)
        n += l->batches[after].n;
    if (n == 0)
        return BYTES_NULL;
    uint8_t *bytes = arena_take_raw(arena, (size_t)n), *at = bytes;
    for (uint32_t i = first; i < after; i++) {
        memcpy(at, l->batches[i].bytes, (size_t)l->batches[i].n);
        at += l->batches[i].n;
    }
    if (l->damages > 0) {
        l->damages--;
        /* the checksum does not cover offset and epoch */
        bytes[16 + prng_below(sim_prng(g->lab.sim), (uint64_t)(l->batches[first].n - 16))] ^= 16;
    }
    return (struct bytes){bytes, n};
}

static void fitted(struct leader_log *l, int64_t offset)
{
    if (offset > l->acknowledged)
        l->acknowledged = offset;
    if (offset > l->high_watermark)
        l->high_watermark = offset; /* the only one whom it waits for */
}

/* True when the partition belongs into the answer. */
static bool answer_entry(struct leader *b, struct script_request *r, struct leader_entry *e, int32_t *bytes_left,
                         struct fetch_response_responses_partitions *out)
{
    struct leader_log *l = e->log;

    fetch_response_responses_partitions_init(out);
    out->partition_index = l->partition;
    out->error_code = trouble_of(b, l, &e->asked);
    out->records = BYTES_NULL;
    l->refused += out->error_code != KERR_NONE;
    bool refused = out->error_code != KERR_NONE || diverges(l, &e->asked, out);
    l->out_of_ranges += out->error_code == KERR_OFFSET_OUT_OF_RANGE;
    l->divergences += out->diverging_epoch.epoch >= 0;
    if (refused) {
        out->high_watermark = -1;
        return true;
    }
    fitted(l, e->asked.fetch_offset);
    out->high_watermark = l->high_watermark;
    out->log_start_offset = l->start;
    if (*bytes_left > 0) {
        int32_t most = e->asked.partition_max_bytes < *bytes_left ? e->asked.partition_max_bytes : *bytes_left;
        out->records = read_batches(b->rig, l, &r->arena, e->asked.fetch_offset, most);
        *bytes_left -= out->records.n > 0 ? out->records.n : 0;
    }
    if (out->records.n <= 0 && e->told_mark == out->high_watermark && e->told_start == out->log_start_offset)
        return false;
    e->told_mark = out->high_watermark;
    e->told_start = out->log_start_offset;
    return true;
}

static bool answer_entries(struct leader *b, struct script_request *r)
{
    const struct fetch_request *q = r->message;
    struct fetch_response *a = r->response;
    int32_t left = b->rig->max_bytes != 0 ? (int32_t)b->rig->max_bytes : q->max_bytes;
    bool something = false;

    a->session_id = b->session_id;
    a->responses = arena_take_array(&r->arena, b->entry_count, sizeof *a->responses);
    a->responses_count = 0;
    for (uint32_t i = 0; i < b->entry_count; i++) {
        struct fetch_response_responses_partitions *one = arena_take(&r->arena, sizeof *one);
        if (!answer_entry(b, r, &b->entries[i], &left, one))
            continue;
        struct fetch_response_responses *t = &a->responses[a->responses_count++];
        fetch_response_responses_init(t);
        t->topic_id = topic_id(b->entries[i].log->id);
        t->partitions = one;
        t->partitions_count = 1;
        something |= one->records.n > 0 || one->error_code != 0 || one->diverging_epoch.epoch >= 0;
    }
    /* Who had nothing is asked first the next time. */
    if (b->entry_count > 1) {
        struct leader_entry first = b->entries[0];
        memmove(b->entries, b->entries + 1, (b->entry_count - 1) * sizeof first);
        b->entries[b->entry_count - 1] = first;
    }
    return something || a->responses_count > 0;
}

static void late(struct io_timer *t)
{
    struct leader *b = container_of(t, struct leader, timer);
    struct script_request *r = b->parked;
    struct io *io = sim_node_io(script_node(b->rig->script, b->id), 0);

    if (!b->is_delayed)
        (void)answer_entries(b, r);
    b->is_delayed = b->delay_ms > 0;
    if (b->is_delayed) {
        io_timer_set(io, &b->timer, io_now_ns(io) + b->delay_ms * MS, late);
        b->delay_ms = 0;
        return;
    }
    b->parked = NULL;
    script_reply(r);
}

static void fetch(struct script_request *r, void *ctx)
{
    struct leader *b = &((struct rig *)ctx)->leaders[r->broker];
    const struct fetch_request *q = r->message;
    struct fetch_response *a = r->response;
    struct io *io = sim_node_io(script_node(b->rig->script, b->id), 0);

    CHECK_EQ(q->replica_state.replica_id, ME);
    CHECK(q->replica_state.replica_epoch >= 0);
    if (b->parked != NULL) { /* of a connection that has ended */
        b->delay_ms = 0;
        io_timer_clear(&b->timer);
        late(&b->timer);
    }
    bool is_current = q->replica_state.replica_epoch == b->rig->broker_epoch;
    a->error_code = is_current ? take_session(b, q) : KERR_UNKNOWN_SERVER_ERROR;
    if (a->error_code != KERR_NONE)
        return;
    take_entries(b, q);
    forget_entries(b, q);
    if (answer_entries(b, r) || q->session_epoch == 0)
        return;
    r->parked = true;
    b->parked = r;
    io_timer_set(io, &b->timer, io_now_ns(io) + q->max_wait_ms * MS, late);
}

void leaders_wake(struct rig *g)
{
    for (int32_t id = 2; id <= LEADERS_MAX; id++) {
        struct leader *b = &g->leaders[id];
        if (b->parked != NULL && !b->is_delayed)
            io_timer_set(sim_node_io(script_node(g->script, id), 0), &b->timer, 0, late);
    }
}

/* ---- ListOffsets ------------------------------------------------------------------------------ */

static void list_offsets(struct script_request *r, void *ctx)
{
    struct rig *g = ctx;
    struct leader *b = &g->leaders[r->broker];
    const struct list_offsets_request *q = r->message;
    struct list_offsets_response *a = r->response;

    CHECK_EQ(q->replica_id, ME);
    a->topics = arena_take_array(&r->arena, (size_t)q->topics_count, sizeof *a->topics);
    a->topics_count = q->topics_count;
    for (int32_t t = 0; t < q->topics_count; t++) {
        int32_t n = q->topics[t].partitions_count;
        list_offsets_response_topics_init(&a->topics[t]);
        a->topics[t].name = q->topics[t].name;
        a->topics[t].partitions = arena_take_array(&r->arena, (size_t)n, sizeof *a->topics[t].partitions);
        a->topics[t].partitions_count = n;
        const struct image_topic *topic = image_topic_find(g->lab.image, q->topics[t].name);
        for (int32_t i = 0; i < n; i++) {
            struct list_offsets_response_topics_partitions *one = &a->topics[t].partitions[i];
            const struct list_offsets_request_topics_partitions *asked = &q->topics[t].partitions[i];
            struct leader_log *l = topic == NULL ? NULL : leader_log_find(g, topic->id, asked->partition_index);
            list_offsets_response_topics_partitions_init(one);
            one->partition_index = asked->partition_index;
            if (l == NULL || l->broker != b->id)
                one->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
            else if (asked->current_leader_epoch != l->epoch)
                one->error_code = KERR_UNKNOWN_LEADER_EPOCH;
            else
                one->offset = asked->timestamp == -1 ? l->end : l->start;
        }
    }
}

void leaders_serve(struct rig *g)
{
    script_on(g->script, 0, API_FETCH, fetch, g);
    script_on(g->script, 0, API_LIST_OFFSETS, list_offsets, g);
}
