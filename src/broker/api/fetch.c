/* Fetch (key 1): batches from where they lie, up to the high watermark or the last stable offset.
 *
 *   LOOKING ── joined ──► enough, or an error, or time is up? ──► answer, spans sent, then released
 *      ▲                     no │
 *      └── a mark moved ──── WAITING   every partition is watched, but those that a throttle holds back; one timer
 *
 * What is followed, and who remembers it from one Fetch to the next, is in broker/fetch_set.h.
 */
#include "broker/api/api.h"
#include "broker/fetch_set.h"
#include "broker/metrics.h"
#include "broker/session.h"
#include "broker/view.h"

enum fetch_phase { FETCH_LOOKING, FETCH_WAITING, FETCH_RELEASING };

struct fetch {
    struct fetch_pass pass;
    struct scatter *scatter;
    struct request *request;
    enum fetch_phase phase;
    bool woken;           /* something moved since the pass began */
    bool time_is_up;      /* the next pass is the last one */
    struct io_timer timer;
    int64_t deadline_ns;
    /* ---- of the answer */
    bool whole;           /* everything that is followed is told, not only what has changed */
    const struct log_spans **records;
    uint32_t records_count;
    uint64_t bytes;
    struct view_leaders named;
};

static const struct fetch_request *fetch_of(const struct request *r)
{
    return r->message;
}

/* ---- the answer ------------------------------------------------------------------------------- */

/* Parts read side by side, each with the whole limit: what is too much is left out of the answer, and comes with the
 * next one. The first partition with data stays whole (KIP-74). */
static bool has_room(const struct fetch *f, uint32_t bytes)
{
    return f->bytes == 0 || f->bytes + bytes <= f->pass.max_bytes;
}

static void answer_records(struct fetch *f, const struct fetch_result *result,
                           struct fetch_response_responses_partitions *a)
{
    struct request *r = f->request;
    uint32_t n = result->spans.total_bytes;

    if (result->aborted_count > 0) {
        a->aborted_transactions_count = (int32_t)result->aborted_count;
        a->aborted_transactions =
            arena_take_array(&r->arena, (size_t)result->aborted_count, sizeof *a->aborted_transactions);
        for (int64_t i = 0; i < result->aborted_count; i++) {
            fetch_response_responses_partitions_aborted_transactions_init(&a->aborted_transactions[i]);
            a->aborted_transactions[i].producer_id = result->aborted[i].producer_id;
            a->aborted_transactions[i].first_offset = result->aborted[i].first_offset;
        }
    }
    if (n == 0 || !has_room(f, n))
        return;
    f->bytes += n;
    a->records = (struct bytes){NULL, (int32_t)n};
    f->records[f->records_count++] = &result->spans;
    if (result->throttled)
        replicas_copied(r->shard->replicas, THROTTLE_LEADER, n);
    if (f->pass.set->reader < 0)
        metrics_fetched(r->shard, result->item->name, n);
    else
        metrics_replicated(r->shard, n);
}

/* Who asks the wrong one, or in an older epoch, hears who leads, and where (KIP-951). */
static void answer_leader(struct fetch *f, const struct fetch_item *item,
                          struct fetch_response_responses_partitions *a)
{
    if (f->request->version >= 16 &&
        (a->error_code == KERR_NOT_LEADER_OR_FOLLOWER || a->error_code == KERR_FENCED_LEADER_EPOCH))
        view_name_leader(f->request, &f->named, item->topic_id, item->partition, &a->current_leader.leader_id,
                         &a->current_leader.leader_epoch);
}

static void answer_item(struct fetch *f, struct fetch_item *item, struct fetch_response_responses_partitions *a)
{
    fetch_response_responses_partitions_init(a);
    a->partition_index = item->partition;
    a->records = (struct bytes){(const uint8_t *)"", 0};
    a->aborted_transactions_count = f->pass.isolation == READ_COMMITTED ? 0 : -1;
    a->high_watermark = -1;
    a->error_code = (int16_t)(item->refused != KERR_NONE ? item->refused : item->error);
    answer_leader(f, item, a);
    if (!item->doubtful && a->error_code != KERR_NONE) {
        item->doubtful = true;
        item->set->doubtful++;
    }
    if (item->refused != KERR_NONE)
        return;
    item->told_high_watermark = a->high_watermark = item->high_watermark;
    item->told_log_start = a->log_start_offset = item->log_start;
    a->last_stable_offset = item->last_stable_offset;
    a->preferred_read_replica = item->preferred;
    a->diverging_epoch.epoch = item->diverging.epoch;
    a->diverging_epoch.end_offset = item->diverging.end_offset;
    if (item->result != NULL)
        answer_records(f, item->result, a);
}

/* An incremental answer tells of a partition only what is new (KIP-227). */
static bool has_news(const struct fetch_item *item)
{
    return item->refused != KERR_NONE || item->error != KERR_NONE || item->diverging.epoch >= 0 ||
           item->preferred >= 0 || item->told_high_watermark != item->high_watermark ||
           item->told_log_start != item->log_start ||
           (item->result != NULL && item->result->spans.total_bytes > 0);
}

/* The items that the answer is about, in its order. */
static uint32_t collect(struct fetch *f, struct fetch_item **out)
{
    struct fetch_set *set = f->pass.set;
    uint32_t n = 0;

    if (f->whole || set->refused > 0) {
        LIST_EACH(it, &set->items) {
            struct fetch_item *item = container_of(it, struct fetch_item, in_set);
            if (f->whole || item->refused != KERR_NONE)
                out[n++] = item;
        }
    }
    for (uint32_t i = 0; !f->whole && i < set->home->broker->shard_count; i++) {
        const struct fetch_part *p = f->scatter->parts[i].state;
        for (struct fetch_item *item = p == NULL ? NULL : p->seen; item != NULL; item = item->next_seen) {
            if (has_news(item))
                out[n++] = item;
        }
    }
    return n;
}

static bool same_topic(const struct fetch_item *a, const struct fetch_item *b)
{
    return a->set->by_id ? uuid_equal(a->topic_id, b->topic_id) : str_equal(a->name, b->name);
}

/* Items of one topic that follow each other are one topic of the answer. */
static void answer_items(struct fetch *f, struct fetch_item **items, uint32_t count)
{
    struct request *r = f->request;
    struct fetch_response *a = r->response;
    struct fetch_response_responses_partitions *partitions =
        arena_take_array(&r->arena, count, sizeof *partitions);
    struct fetch_response_responses *topic = NULL;

    a->responses = arena_take_array(&r->arena, count, sizeof *a->responses);
    a->responses_count = 0;
    f->records = arena_take_array(&r->arena, count, sizeof *f->records);
    for (uint32_t i = 0; i < count; i++) {
        if (topic == NULL || !same_topic(items[i], items[i - 1])) {
            topic = &a->responses[a->responses_count++];
            fetch_response_responses_init(topic);
            topic->topic = items[i]->name;
            topic->topic_id = items[i]->topic_id;
            topic->partitions = &partitions[i];
            topic->partitions_count = 0;
        }
        topic->partitions_count++;
        answer_item(f, items[i], &partitions[i]);
    }
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
    scatter_again(f->scatter, fetch_release, released);
}

static void answer(struct fetch *f)
{
    struct request *r = f->request;
    struct fetch_response *a = r->response;
    struct fetch_item **items = arena_take_array(&r->arena, f->pass.set->count, sizeof *items);

    io_timer_clear(&f->timer);
    f->phase = FETCH_RELEASING;
    answer_items(f, items, collect(f, items));
    VIEW_ANSWER_ENDPOINTS(fetch, r, &f->named);
    a->session_id = fetch_session_answered(f->pass.set);
    f->pass.set->pass = NULL;
    r->records = f->records;
    r->records_count = f->records_count;
    r->sent = fetch_sent;
    request_answer(r);
}

/* ---- look, wait, look again ------------------------------------------------------------------- */

static void looked(struct scatter *s);

static void look_again(struct fetch *f)
{
    f->phase = FETCH_LOOKING;
    f->woken = false;
    f->pass.first = false;
    f->pass.last = f->time_is_up;
    scatter_again(f->scatter, fetch_look, looked);
}

void fetch_woken(struct fetch_side *side)
{
    struct fetch_pass *pass = side->set->pass;

    side->received++;
    if (pass == NULL)
        return;
    struct fetch *f = container_of(pass, struct fetch, pass);
    f->woken = true;
    if (f->phase == FETCH_WAITING)
        look_again(f);
}

static void timer_fired(struct io_timer *t)
{
    struct fetch *f = container_of(t, struct fetch, timer);

    f->time_is_up = io_now_ns(f->scatter->home->io) >= f->deadline_ns;
    if (f->phase == FETCH_WAITING)
        look_again(f);
}

static void abandoned(struct scatter *s)
{
    request_answer_none(s->request);
}

/* Nobody is there any more to be answered. */
static void abandon(struct fetch *f)
{
    io_timer_clear(&f->timer);
    f->phase = FETCH_RELEASING;
    f->pass.set->pass = NULL;
    scatter_again(f->scatter, fetch_release, abandoned);
}

void fetch_cancel(struct request *r)
{
    struct fetch *f = r->state;

    if (f != NULL && f->phase == FETCH_WAITING)
        abandon(f);
}

/* Until its time is up, or until what a throttle holds back is to be looked at again. */
static void wait_for_more(struct fetch *f, int64_t held_ms)
{
    struct io *io = f->scatter->home->io;
    int64_t until_ns = f->deadline_ns;

    if (held_ms > 0 && io_now_ns(io) + held_ms * 1000000 < until_ns)
        until_ns = io_now_ns(io) + held_ms * 1000000;
    f->phase = FETCH_WAITING;
    io_timer_set(io, &f->timer, until_ns, timer_fired);
}

static void looked(struct scatter *s)
{
    struct fetch *f = container_of(s->state, struct fetch, pass);
    bool enough = f->pass.last || f->pass.set->refused > 0;
    uint64_t bytes = 0;
    int64_t held_ms = 0;

    fetch_set_left(f->pass.set);
    for (uint32_t i = 0; i < s->home->broker->shard_count; i++) {
        const struct fetch_part *p = s->parts[i].state;
        if (p == NULL)
            continue;
        bytes += p->bytes;
        enough = enough || p->failed || p->full;
        f->woken = f->woken || p->again;
        if (p->held_ms > 0 && (held_ms == 0 || p->held_ms < held_ms))
            held_ms = p->held_ms;
    }
    if (s->request->cancelled) {
        abandon(f);
        return;
    }
    if (enough || bytes >= f->pass.min_bytes) {
        answer(f);
        return;
    }
    if (f->woken || f->time_is_up) {
        look_again(f);
        return;
    }
    wait_for_more(f, held_ms);
}

/* ---- begin ------------------------------------------------------------------------------------ */

static uint64_t not_negative(int64_t n)
{
    return n < 0 ? 0 : (uint64_t)n;
}

void fetch_handle(struct request *r)
{
    const struct fetch_request *m = fetch_of(r);
    struct fetch_response *a = r->response;
    uint64_t server_max = (uint64_t)config_i64(r->shard->settings, BROKER_FETCH_MAX_BYTES);
    enum kerr error;
    struct fetch_set *set = fetch_session_find(r, &error);

    if (set == NULL) {
        a->error_code = (int16_t)error;
        request_answer(r);
        return;
    }
    struct fetch *f = arena_take(&r->arena, sizeof *f);
    uint64_t max_bytes = not_negative(m->max_bytes);
    f->request = r;
    f->whole = set->next_epoch == 0;
    f->deadline_ns = io_now_ns(r->shard->io) + (int64_t)m->max_wait_ms * 1000000;
    f->pass = (struct fetch_pass){
        .set = set,
        .min_bytes = not_negative(m->min_bytes),
        .max_bytes = max_bytes < server_max || set->reader >= 0 ? max_bytes : server_max,
        .isolation = set->reader >= 0 ? READ_UNCOMMITTED : m->isolation_level,
        .rack = m->rack_id,
        .may_follow = set->reader < 0 && m->rack_id.n > 0,
        .reader_epoch = r->version >= 15 ? m->replica_state.replica_epoch : -1,
        .first = true,
        .alone = set->arena != NULL,
    };
    f->scatter = scatter_new(r, fetch_look, looked);
    f->scatter->state = &f->pass;
    set->pass = &f->pass;
    r->state = f;
    fetch_set_update(set, r, f->scatter);
    f->pass.last = m->max_wait_ms <= 0 || set->count == 0 || set->refused > 0;
    scatter_run(f->scatter);
}
