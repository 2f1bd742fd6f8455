/* Fetch (key 1): batches from where they lie, up to the high watermark or the last stable offset.
 *
 *   READING ── joined ──► enough, or an error, or time is up? ──► answer, spans sent, then released
 *      ▲                     no │
 *      │                     WAITING   every part watches its partitions; one timer
 *      │                        │ a mark moved, or the timer
 *      └──────────────── CANCELLING    the watches are taken back
 *
 * Fetch sessions (KIP-227) are declined: session id 0 means "none", and clients go on with full
 * requests.
 */
#include "broker/api/api.h"
#include "broker/metrics.h"
#include "broker/scatter.h"
#include "broker/session.h"
#include "protocol/fetch.h"

enum fetch_phase { FETCH_READING, FETCH_WAITING, FETCH_CANCELLING, FETCH_RELEASING };

/* One partition of the request. */
struct fetch_item {
    const struct fetch_request_topics_partitions *asked;
    struct fetch_response_responses_partitions *answer;
    struct str topic;        /* of the request's arena: the image may go */
    struct uuid topic_id;
    struct scatter_part *part;
    struct replica *replica; /* held from a pass's read to its release; NULL after an error */
    struct log_read read;
    struct log_spans spans;
    int64_t mark;            /* what `read` was limited by */
    struct op op;
    struct log_aborted *aborted;
    struct replica_watch watch;
};

struct fetch_part {
    uint32_t reading;        /* items whose read has not ended, +1 while they are begun */
    uint64_t bytes;
    bool failed;
    struct io_message wake;
    struct fetch *fetch;
    bool woken;
};

struct fetch {
    struct scatter *scatter;
    struct fetch_item **items; /* all with a partition to read, in the order of the answer */
    uint32_t count;
    enum fetch_phase phase;
    bool woken, failed_at_once;
    bool last;                 /* answer after this pass, whatever it brings */
    bool reading_last;         /* `last` as of its beginning: this is what other shards look at */
    struct io_timer timer;
    int64_t deadline_ns;
    uint32_t max_bytes;
};

static const struct fetch_request *fetch_of(const struct request *r)
{
    return r->message;
}

/* ---- on the partition's shard: read ---------------------------------------------------------- */

static void watch_moved(struct replica_watch *w);

static int64_t mark_of(const struct request *r, const struct replica *replica)
{
#ifdef MUTANT_BROKER_READS_PAST_WATERMARK
    return log_end(replica_log(replica));
#endif
    return fetch_of(r)->isolation_level == READ_COMMITTED ? replica_last_stable_offset(replica)
                                                          : replica_high_watermark(replica);
}

/* The part has enough to be sent, or must not wait. */
static bool part_is_enough(const struct fetch *f, const struct fetch_part *p)
{
    const struct fetch_request *m = fetch_of(f->scatter->request);

    return p->failed || f->reading_last ||
           p->bytes >= (uint64_t)(m->min_bytes < 0 ? 0 : m->min_bytes);
}

/* Something may have happened to the partition while others of the part were read. */
static bool item_has_moved(const struct scatter_part *part, const struct fetch_item *item)
{
    return replica_log(item->replica) == NULL ||
           mark_of(part->scatter->request, item->replica) != item->mark;
}

/* Watch all partitions of the part; one that has moved since it was read wakes at once. */
static void part_watch(struct scatter_part *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        struct fetch_item *item = part->items[i];
        if (item->replica == NULL)
            continue;
        item->watch.moved = watch_moved;
        replica_watch(item->replica, &item->watch);
        if (item_has_moved(part, item))
            watch_moved(&item->watch);
    }
}

static void part_read_ended(struct scatter_part *part)
{
    struct fetch_part *p = part->state;

    if (--p->reading > 0)
        return;
    if (!part_is_enough(part->scatter->state, p))
        part_watch(part);
    scatter_part_done(part);
}

/* Let go of what a pass has read. */
static void item_release(struct fetch_item *item)
{
    replica_watch_cancel(&item->watch);
    log_spans_release(&item->spans);
    item->spans = (struct log_spans){0};
    if (item->replica != NULL)
        replica_release(item->replica);
    item->replica = NULL;
}

static void item_fail(struct fetch_item *item, enum kerr error)
{
    struct fetch_part *p = item->part->state;

    item->answer->error_code = (int16_t)error;
    item_release(item);
    p->failed = true;
    metrics_fetch_failed(item->part->shard, item->topic);
}

static void aborted_done(struct op *op, int64_t result)
{
    struct fetch_item *item = container_of(op, struct fetch_item, op);
    struct fetch_response_responses_partitions *a = item->answer;

    if (result < 0) {
        item_fail(item, KERR_KAFKA_STORAGE_ERROR);
        part_read_ended(item->part);
        return;
    }
    a->aborted_transactions_count = (int32_t)result;
    a->aborted_transactions = arena_take_array(&item->part->arena, (size_t)result,
                                               sizeof *a->aborted_transactions);
    for (int64_t i = 0; i < result; i++) {
        fetch_response_responses_partitions_aborted_transactions_init(&a->aborted_transactions[i]);
        a->aborted_transactions[i].producer_id = item->aborted[i].producer_id;
        a->aborted_transactions[i].first_offset = item->aborted[i].first_offset;
    }
    part_read_ended(item->part);
}

/* The spans are there: count them, and say which transactions in them were aborted. */
static void item_read(struct fetch_item *item)
{
    struct fetch_part *p = item->part->state;
    const struct request *r = item->part->scatter->request;
    struct log *log = replica_log(item->replica);

    if (log == NULL) { /* it was closed or deleted while it was read, or its directory has failed */
        item_fail(item, replica_absence(item->part->shard->replicas, item->topic_id,
                                        item->asked->partition));
        part_read_ended(item->part);
        return;
    }
    p->bytes += item->spans.total_bytes;
    if (fetch_of(r)->isolation_level != READ_COMMITTED || item->spans.total_bytes == 0 ||
        log_never_aborted(log)) {
        part_read_ended(item->part);
        return;
    }
    op_init(&item->op, aborted_done);
    log_aborted_between(log, item->read.offset, item->read.limit, &item->part->arena,
                        &item->aborted, &item->op);
}

static void cold_done(struct op *op, int64_t result)
{
    struct fetch_item *item = container_of(op, struct fetch_item, op);

    if (result >= 0) {
        item_read(item);
        return;
    }
    if (result == -ERANGE) /* the log's start has moved past it meanwhile */
        item_fail(item, KERR_OFFSET_OUT_OF_RANGE);
    else
        item_fail(item, result == ERR_CORRUPT ? KERR_CORRUPT_MESSAGE : KERR_KAFKA_STORAGE_ERROR);
    part_read_ended(item->part);
}

/* A reader whose last record is not in this log (KIP-595, KIP-320). */
static bool item_diverges(struct fetch_item *item, const struct log *log)
{
    const struct fetch_request_topics_partitions *asked = item->asked;

    if (asked->last_fetched_epoch < 0)
        return false;
    struct epoch_end end = log_epoch_end(log, asked->last_fetched_epoch);
    if (end.end_offset < 0)
        return false;
    if (end.epoch >= asked->last_fetched_epoch && end.end_offset >= asked->fetch_offset)
        return false;
    item->answer->diverging_epoch.epoch = end.epoch;
    item->answer->diverging_epoch.end_offset = end.end_offset;
    return true;
}

static void answer_marks(struct fetch_item *item, const struct replica *replica)
{
    item->answer->high_watermark = replica_high_watermark(replica);
    item->answer->last_stable_offset = replica_last_stable_offset(replica);
    item->answer->log_start_offset = log_start(replica_log(replica));
}

/* May the partition be read at this offset, by this reader? */
static enum kerr item_check(struct scatter_part *part, struct fetch_item *item,
                            struct replica *replica)
{
    const struct fetch_request *m = fetch_of(part->scatter->request);
    int32_t reader = part->scatter->request->version >= 15 ? m->replica_state.replica_id
                                                           : m->replica_id;
    enum kerr error = replication_check_leader(replica_replication(replica),
                                               item->asked->current_leader_epoch);

    if (error != KERR_NONE)
        return error;
    if (reader >= 0) /* a broker that is not among the partition's replicas */
        return item->asked->current_leader_epoch >= 0 ? KERR_UNKNOWN_LEADER_EPOCH
                                                      : KERR_NOT_LEADER_OR_FOLLOWER;
    if (item->asked->fetch_offset < log_start(replica_log(replica)) ||
        item->asked->fetch_offset > log_end(replica_log(replica)))
        return KERR_OFFSET_OUT_OF_RANGE;
    return KERR_NONE;
}

static uint32_t budget(const struct fetch *f, const struct fetch_part *p, int32_t partition_max)
{
    uint64_t left = f->max_bytes > p->bytes ? f->max_bytes - p->bytes : 0;

    return partition_max < 0 ? 0 : (uint64_t)partition_max < left ? (uint32_t)partition_max
                                                                  : (uint32_t)left;
}

static void item_begin(struct scatter_part *part, struct fetch_item *item)
{
    struct fetch *f = part->scatter->state;
    struct fetch_part *p = part->state;
    struct replica *replica = replica_find(part->shard->replicas, item->topic_id,
                                           item->asked->partition);
    enum kerr error = replica == NULL ? replica_absence(part->shard->replicas, item->topic_id,
                                                        item->asked->partition)
                                      : item_check(part, item, replica);

    item->part = part;
    /* Those of the pass before lie in memory that is gone. */
    if (item->answer->aborted_transactions_count > 0)
        item->answer->aborted_transactions_count = 0;
    if (error != KERR_NONE) {
        item_fail(item, error);
        return;
    }
    item->replica = replica;
    replica_hold(replica);
    answer_marks(item, replica);
    struct log *log = replica_log(replica);
    if (item_diverges(item, log)) {
        p->failed = true; /* to be answered at once */
        return;
    }
    item->mark = mark_of(part->scatter->request, replica);
    item->read = (struct log_read){
        .offset = item->asked->fetch_offset,
        .limit = item->mark,
        .max_bytes = budget(f, p, item->asked->partition_max_bytes),
        .first_whole = p->bytes == 0,
        .arena = &part->arena,
    };
    if (item->read.offset >= item->read.limit ||
        (item->read.max_bytes == 0 && !item->read.first_whole))
        return;
    p->reading++;
    if (log_read_tail(log, &item->read, &item->spans)) {
        item_read(item);
        return;
    }
    op_init(&item->op, cold_done);
    log_read_cold(log, &item->read, &item->spans, &item->op);
}

static void part_read(struct scatter_part *part)
{
    struct fetch_part *p;

    arena_reset(&part->arena); /* of the pass before */
    p = arena_take(&part->arena, sizeof *p);
    part->state = p;
    p->fetch = part->scatter->state;
    p->reading = 1;
    for (uint32_t i = 0; i < part->count; i++)
        item_begin(part, part->items[i]);
    part_read_ended(part);
}

/* ---- on the partition's shard: watch, take back, release ------------------------------------- */

static void woken(struct io *io, struct io_message *m);

/* Something moved: tell the request's shard, once. By message also on the own shard, because this
 * is called from within the replica. */
static void watch_moved(struct replica_watch *w)
{
    struct fetch_item *item = container_of(w, struct fetch_item, watch);
    struct fetch_part *p = item->part->state;

    if (p->woken)
        return;
    p->woken = true;
    p->wake.run = woken;
    io_post(item->part->shard->io, item->part->scatter->home->index, &p->wake);
}

static void part_release(struct scatter_part *part)
{
    const struct fetch_part *p = part->state;

    for (uint32_t i = 0; i < part->count; i++)
        item_release(part->items[i]);
    if (p->woken) /* its message may be on the way, and lies in memory that the next pass reuses */
        scatter_part_done_after(part);
    else
        scatter_part_done(part);
}

/* ---- on the connection's shard --------------------------------------------------------------- */

static void read_joined(struct scatter *s);

static void reread(struct scatter *s)
{
    struct fetch *f = s->state;

    if (s->request->cancelled) {
        io_timer_clear(&f->timer);
        request_answer_none(s->request);
        return;
    }
    f->phase = FETCH_READING;
    f->woken = false;
    f->reading_last = f->last;
    scatter_again(s, part_read, read_joined);
}

static void take_back(struct fetch *f)
{
    f->phase = FETCH_CANCELLING;
    scatter_again(f->scatter, part_release, reread);
}

static void woken(struct io *io, struct io_message *m)
{
    struct fetch_part *p = container_of(m, struct fetch_part, wake);
    struct fetch *f = p->fetch;

    f->woken = true;
    if (f->phase == FETCH_WAITING)
        take_back(f);
}

static void time_is_up(struct io_timer *t)
{
    struct fetch *f = container_of(t, struct fetch, timer);

    f->last = true;
    if (f->phase == FETCH_WAITING)
        take_back(f);
}

void fetch_cancel(struct request *r)
{
    struct fetch *f = r->state;

    if (f == NULL)
        return;
    f->last = true;
    if (f->phase == FETCH_WAITING)
        take_back(f);
}

static void released(struct scatter *s)
{
    session_released(s->request);
}

/* The answer was sent: what it was sent from may go. */
static void fetch_sent(struct request *r)
{
    struct fetch *f = r->state;

    session_holds(r);
    f->phase = FETCH_RELEASING;
    scatter_again(f->scatter, part_release, released);
}

/* Parts read side by side, each with the whole limit: what is too much is left out of the answer.
 * The first partition with data stays whole (KIP-74). */
static uint64_t trim(struct fetch *f, struct fetch_item **sent, uint32_t *sent_count)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        struct fetch_item *item = f->items[i];
        uint32_t n = item->spans.total_bytes;
        item->answer->records = (struct bytes){(const uint8_t *)"", 0};
        if (n == 0 || (bytes > 0 && bytes + n > f->max_bytes))
            continue;
        bytes += n;
        item->answer->records = (struct bytes){NULL, (int32_t)n};
        sent[(*sent_count)++] = item;
    }
    return bytes;
}

static void answer(struct fetch *f)
{
    struct request *r = f->scatter->request;
    struct fetch_item **sent = arena_take_array(&r->arena, f->count, sizeof *sent);
    const struct log_spans **records = arena_take_array(&r->arena, f->count, sizeof *records);
    uint32_t n = 0;

    io_timer_clear(&f->timer);
    trim(f, sent, &n);
    for (uint32_t i = 0; i < n; i++) {
        records[i] = &sent[i]->spans;
        metrics_fetched(r->shard, sent[i]->topic, sent[i]->spans.total_bytes);
    }
    r->records = records;
    r->records_count = n;
    r->sent = fetch_sent;
    request_answer(r);
}

static void read_joined(struct scatter *s)
{
    struct fetch *f = s->state;
    const struct fetch_request *m = fetch_of(s->request);
    uint64_t bytes = 0;
    bool failed = f->failed_at_once;

    for (uint32_t i = 0; i < f->count; i++) {
        bytes += f->items[i]->spans.total_bytes;
        const struct fetch_response_responses_partitions *a = f->items[i]->answer;
        failed = failed || a->error_code != KERR_NONE || a->diverging_epoch.epoch >= 0;
    }
    if (s->request->cancelled || f->last || failed ||
        bytes >= (uint64_t)(m->min_bytes < 0 ? 0 : m->min_bytes)) {
        answer(f);
        return;
    }
    if (f->woken) {
        take_back(f);
        return;
    }
    f->phase = FETCH_WAITING;
    if (!io_timer_is_set(&f->timer))
        io_timer_set(s->home->io, &f->timer, f->deadline_ns, time_is_up);
}

/* ---- begin ----------------------------------------------------------------------------------- */

static void add_partition(struct fetch *f, const struct image_topic *topic, struct str name,
                          enum kerr error, const struct fetch_request_topics_partitions *asked,
                          struct fetch_response_responses_partitions *a)
{
    struct request *r = f->scatter->request;

    fetch_response_responses_partitions_init(a);
    a->partition_index = asked->partition;
    a->high_watermark = -1;
    a->records = (struct bytes){(const uint8_t *)"", 0};
    a->aborted_transactions_count = fetch_of(r)->isolation_level == READ_COMMITTED ? 0 : -1;
    if (error == KERR_NONE &&
        (asked->partition < 0 || asked->partition >= topic->partition_count))
        error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error != KERR_NONE) {
        a->error_code = (int16_t)error;
        f->failed_at_once = true;
        return;
    }
    struct fetch_item *item = arena_take(&r->arena, sizeof *item);
    item->asked = asked;
    item->answer = a;
    item->topic = name;
    item->topic_id = topic->id;
    f->items[f->count++] = item;
    scatter_add(f->scatter, shard_of(r->shard->broker, topic->id, asked->partition), item);
}

static void add_topic(struct fetch *f, const struct fetch_request_topics *asked,
                      struct fetch_response_responses *a)
{
    struct request *r = f->scatter->request;
    bool by_id = r->version >= 13;
    const struct image_topic *topic = by_id ? image_topic_by_id(r->shard->image, asked->topic_id)
                                            : image_topic_find(r->shard->image, asked->topic);
    struct str name = arena_str(&r->arena, topic == NULL ? asked->topic : topic->name);
    enum kerr error = KERR_NONE;

    if (topic == NULL)
        error = by_id ? KERR_UNKNOWN_TOPIC_ID : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!request_authorize(r, ACL_READ, RESOURCE_TOPIC, name))
        error = KERR_TOPIC_AUTHORIZATION_FAILED;
    fetch_response_responses_init(a);
    a->topic = asked->topic;
    a->topic_id = asked->topic_id;
    a->partitions_count = asked->partitions_count;
    a->partitions =
        arena_take_array(&r->arena, (size_t)asked->partitions_count, sizeof *a->partitions);
    for (int32_t i = 0; i < asked->partitions_count; i++)
        add_partition(f, topic, name, error, &asked->partitions[i], &a->partitions[i]);
}

static uint32_t partitions_asked(const struct fetch_request *m)
{
    uint32_t n = 0;

    for (int32_t i = 0; i < m->topics_count; i++)
        n += (uint32_t)m->topics[i].partitions_count;
    return n;
}

/* We gave no session id, so one that goes on with a session is mistaken: it starts over (KIP-227). */
static bool continues_session(const struct request *r)
{
    const struct fetch_request *m = fetch_of(r);

    return r->version >= 7 && m->session_epoch > 0;
}

void fetch_handle(struct request *r)
{
    const struct fetch_request *m = r->message;
    struct fetch_response *a = r->response;
    struct fetch *f = arena_take(&r->arena, sizeof *f);
    int64_t server_max = config_i64(r->shard->settings, BROKER_FETCH_MAX_BYTES);

    if (continues_session(r)) {
        a->error_code = KERR_FETCH_SESSION_ID_NOT_FOUND;
        request_answer(r);
        return;
    }
    f->scatter = scatter_new(r, part_read, read_joined);
    f->scatter->state = f;
    f->items = arena_take_array(&r->arena, partitions_asked(m), sizeof *f->items);
    f->max_bytes = (uint32_t)(m->max_bytes < server_max ? (m->max_bytes < 0 ? 0 : m->max_bytes)
                                                        : server_max);
    f->deadline_ns = io_now_ns(r->shard->io) + (int64_t)m->max_wait_ms * 1000000;
    r->state = f;
    a->responses_count = m->topics_count;
    a->responses = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->responses);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_topic(f, &m->topics[i], &a->responses[i]);
    f->last = f->reading_last = m->max_wait_ms <= 0 || f->count == 0 || f->failed_at_once;
    scatter_run(f->scatter);
}
