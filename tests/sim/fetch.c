/* One Fetch, and what must be true of its answer. */
#include "fetch.h"

#include "protocol/fetch.h"
#include "protocol/list_offsets.h"

#define TIME_EARLIEST (-2)

static bool by_id(const struct fetcher *f)
{
    return f->version >= 13;
}

static struct fetch_slot *slot_of(struct fetcher *f, const struct fetch_response_responses *topic,
                                  int32_t partition)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct part *p = f->slots[i].part;
        bool same = by_id(f) ? uuid_equal(p->topic->id, topic->topic_id)
                             : str_equal(str_of(p->topic->name), topic->topic);
        if (same && p->partition == partition)
            return &f->slots[i];
    }
    broken(f->rpc.client->world, "a Fetch was answered with a partition that was not asked for");
}

/* Whole batches in a row, the last of which may be cut. */
static void take_records(struct fetcher *f, struct fetch_slot *s, struct bytes rest)
{
    struct world *w = f->rpc.client->world;
    const char *topic = s->part->topic->name;
    struct batch batch;
    int rc;

    while ((rc = batch_next(&rest, &batch)) == 1) {
        if (batch.last_offset < s->position)
            continue; /* a reader may be given what lies before */
        if (batch.base_offset > s->position && !s->part->topic->compacted)
            broken(w, "%s-%d: a read at %" PRId64 " gave a batch at %" PRId64, topic,
                   s->part->partition, s->position, batch.base_offset);
        if (batch.last_offset >= s->high_watermark)
            broken(w, "%s-%d: a read gave offset %" PRId64 ", but the high watermark is %" PRId64,
                   topic, s->part->partition, batch.last_offset, s->high_watermark);
        truth_batch(w->truth, s->part, &batch, s->position);
        f->records += (uint64_t)(batch.last_offset + 1 - s->position);
        s->position = batch.last_offset + 1;
    }
    if (rc < 0 && rc != ERR_SHORT)
        broken(w, "%s-%d: a read at %" PRId64 " gave what is no batch: %s", topic, s->part->partition,
               s->position, error_text(rc));
}

static void take_partition(struct fetcher *f, struct fetch_slot *s,
                           const struct fetch_response_responses_partitions *p)
{
    struct client *c = f->rpc.client;
    bool going = s->part->topic->state != TOPIC_LIVES;

    if (p->error_code == KERR_UNKNOWN_TOPIC_OR_PARTITION || p->error_code == KERR_UNKNOWN_TOPIC_ID) {
        if (!going && !f->any_replica)
            broken(c->world, "%s-%d: %s: Fetch was answered %s, but the topic is there", s->part->topic->name,
                   s->part->partition, c->name, kerr_name(p->error_code));
        return;
    }
    if (going)
        return; /* a topic of the same name may have come */
    if (p->error_code == KERR_OFFSET_OUT_OF_RANGE && f->any_replica) {
        s->position = 0;
        return;
    }
    if (p->error_code != KERR_NONE) {
        s->is_lost = p->error_code == KERR_OFFSET_OUT_OF_RANGE &&
                     (s->position < s->part->start_high || c->world->plan.lossy);
        if (s->is_lost)
            return;
        if (p->error_code == KERR_OFFSET_OUT_OF_RANGE)
            broken(c->world, "%s-%d: offset %" PRId64 " is out of range (high watermark %" PRId64
                   "), but records below %" PRId64 " were acknowledged or seen", s->part->topic->name,
                   s->part->partition, s->position, p->high_watermark, s->floor);
        expect_passing(c, "Fetch", p->error_code);
        return;
    }
    truth_high_watermark(c->world->truth, s->part, p->high_watermark, s->floor);
    truth_start(c->world->truth, s->part, s->position, f->version >= 5 ? p->log_start_offset : -1, s->start_low);
    s->high_watermark = p->high_watermark;
    take_records(f, s, p->records);
}

/* The next Fetch is whole, and begins a new session in place of the old one. */
static void begin_session(struct fetcher *f)
{
    f->session_epoch = 0;
    for (uint32_t i = 0; i < f->count; i++)
        f->slots[i].is_told = false;
}

/* The session is over, on whichever side. */
static void forget_session(struct fetcher *f)
{
    f->session_id = 0;
    begin_session(f);
}

static void take_session(struct fetcher *f, int32_t session_id)
{
    if (session_id == 0)
        forget_session(f);
    else if (f->session_epoch > 0 && session_id != f->session_id)
        broken(f->rpc.client->world, "Fetch session %d was answered as %d", f->session_id, session_id);
    else
        f->session_epoch++;
    f->session_id = session_id;
}

static void take_answer(struct fetcher *f)
{
    const struct fetch_response *a = f->rpc.answer;

    if (a->error_code == KERR_FETCH_SESSION_ID_NOT_FOUND && f->session_id != 0) {
        forget_session(f); /* it has ended with its connection */
        return;
    }
    if (a->error_code != KERR_NONE) {
        expect_passing(f->rpc.client, "Fetch", a->error_code);
        return;
    }
    take_session(f, a->session_id);
    for (int32_t t = 0; t < a->responses_count; t++) {
        for (int32_t p = 0; p < a->responses[t].partitions_count; p++) {
            const struct fetch_response_responses_partitions *one = &a->responses[t].partitions[p];
            take_partition(f, slot_of(f, &a->responses[t], one->partition_index), one);
        }
    }
}

/* ---- where does it begin now? -------------------------------------------------------------------------- */

static void take_start(struct fetcher *f, struct fetch_slot *s,
                       const struct list_offsets_response_topics_partitions *p)
{
    struct client *c = f->rpc.client;

    if (s->part->topic->state != TOPIC_LIVES)
        return;
    if (p->error_code != KERR_NONE) {
        expect_passing(c, "ListOffsets", p->error_code);
        return;
    }
    truth_start(c->world->truth, s->part, p->offset, p->offset, s->start_low);
    if (s->position < p->offset)
        s->position = s->from = p->offset;
}

static void starts_done(struct op *op, int64_t result)
{
    struct fetcher *f = container_of(op, struct fetcher, op);
    const struct list_offsets_response *a = f->rpc.answer;
    int32_t n = 0;

    for (uint32_t i = 0; result == 0 && i < f->count; i++) {
        if (f->slots[i].is_lost)
            take_start(f, &f->slots[i], &a->topics[n++].partitions[0]);
    }
    f->waiter->done(f->waiter, result);
}

/* Of those that were read below their start. */
static void ask_starts(struct fetcher *f)
{
    struct list_offsets_request_topics topics[FETCH_PARTITIONS_MAX];
    struct list_offsets_request_topics_partitions partitions[FETCH_PARTITIONS_MAX];
    struct list_offsets_request m;
    struct client *c = f->rpc.client;

    list_offsets_request_init(&m);
    m.replica_id = -1;
    m.topics = topics;
    for (uint32_t i = 0; i < f->count; i++) {
        struct fetch_slot *s = &f->slots[i];
        int32_t n = m.topics_count;
        if (!s->is_lost)
            continue;
        s->start_low = s->part->start_low;
        list_offsets_request_topics_partitions_init(&partitions[n]);
        partitions[n].partition_index = s->part->partition;
        partitions[n].timestamp = TIME_EARLIEST;
        list_offsets_request_topics_init(&topics[n]);
        topics[n].name = str_of(s->part->topic->name);
        topics[n].partitions = &partitions[n];
        topics[n].partitions_count = 1;
        m.topics_count++;
    }
    op_init(&f->op, starts_done);
    rpc_begin(&f->rpc, c, f->peer, API_LIST_OFFSETS, client_draw_version(c, API_LIST_OFFSETS, 1, 11), &m, &f->op);
}

static bool any_is_lost(const struct fetcher *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->slots[i].is_lost)
            return true;
    }
    return false;
}

static void fetch_done(struct op *op, int64_t result)
{
    struct fetcher *f = container_of(op, struct fetcher, op);

    if (result == 0)
        take_answer(f);
    else
        forget_session(f);
    if (result == 0 && any_is_lost(f))
        ask_starts(f);
    else
        f->waiter->done(f->waiter, result);
}

void fetch_once(struct fetcher *f, struct client *c, struct peer *peer, struct op *op)
{
    struct fetch_request_topics topics[FETCH_PARTITIONS_MAX];
    struct fetch_request_topics_partitions partitions[FETCH_PARTITIONS_MAX];
    struct fetch_request m;

    fetch_request_init(&m);
    m.max_wait_ms = f->max_wait_ms;
    m.min_bytes = f->min_bytes;
    m.topics = topics;
    m.session_id = f->session_id;
    m.session_epoch = f->in_session ? f->session_epoch : -1;
    for (uint32_t i = 0; i < f->count; i++) {
        struct fetch_slot *s = &f->slots[i];
        int32_t n = m.topics_count;
        s->floor = s->part->floor;
        s->start_low = s->part->start_low;
        s->is_lost = false;
        if (by_id(f) && uuid_is_zero(s->part->topic->id))
            continue; /* nobody has heard of its id yet */
        if (f->session_epoch > 0 && s->is_told && s->told == s->position)
            continue;
        s->is_told = f->in_session;
        s->told = s->position;
        fetch_request_topics_partitions_init(&partitions[n]);
        partitions[n].partition = s->part->partition;
        partitions[n].fetch_offset = s->position;
        partitions[n].partition_max_bytes = f->partition_bytes_max;
        fetch_request_topics_init(&topics[n]);
        topics[n].topic = str_of(s->part->topic->name);
        topics[n].topic_id = s->part->topic->id;
        topics[n].partitions = &partitions[n];
        topics[n].partitions_count = 1;
        m.topics_count++;
    }
    f->waiter = op;
    f->peer = peer;
    op_init(&f->op, fetch_done);
    rpc_begin(&f->rpc, c, peer, API_FETCH, f->version, &m, &f->op);
}

void fetch_draw(struct fetcher *f, struct client *c)
{
    f->version = client_draw_version(c, API_FETCH, 4, 18);
    f->in_session = f->version >= 7 && client_below(c, 2) == 0;
    forget_session(f);
}

void fetch_drop_dying(struct fetcher *f)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        if (f->slots[i].part->topic->state == TOPIC_LIVES)
            f->slots[kept++] = f->slots[i];
    }
    if (kept == f->count)
        return;
    f->count = kept;
    begin_session(f);
}

void fetch_drop_all(struct fetcher *f)
{
    f->count = 0;
    begin_session(f);
}
