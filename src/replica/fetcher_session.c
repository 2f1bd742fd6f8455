/* What a Fetch says: all that is ready when a session begins, and then what has changed (KIP-227). */
#include "replica/fetcher.h"

#include <stdlib.h>

/* By topic ids: all that a follower ever asks. */
#define FETCH_VERSION_LOW 13
#define FIRST_VERSION_WITH_STATE 15

void session_break(struct fetcher *f, bool forgotten)
{
    f->session_epoch = 0;
    if (forgotten)
        f->session_id = 0;
    LIST_EACH (it, &f->all) {
        struct following *p = container_of(it, struct following, all);
        p->told = p->asked = false;
        if (p->replica == NULL)
            following_free(p);
#ifndef MUTANT_FETCHER_DROPS_PARTITIONS
        else if (p->state == FOLLOWING_READY)
            following_changed(p);
#endif
    }
}

/* Where none was made (the leader has no room for one), the next Fetch is a full one again. */
void session_go_on(struct fetcher *f, const struct fetch_response *a)
{
    if (a->session_id == 0 || (f->session_epoch > 0 && a->session_id != f->session_id)) {
        session_break(f, true);
        return;
    }
    f->session_id = a->session_id;
    f->session_epoch = f->session_epoch == INT32_MAX ? 1 : f->session_epoch + 1;
}

/* ---- a request ------------------------------------------------------------------------------- */

struct making {
    struct fetch_request *request;
    struct fetch_request_topics *topics;
    struct fetch_request_topics_partitions *partitions;
    struct fetch_request_forgotten_topics_data *forgotten;
    int32_t *forgotten_partitions;
};

static void ask(struct making *m, struct following *p)
{
    struct fetch_request *q = m->request;
    struct fetch_request_topics *t = q->topics_count == 0 ? NULL : &q->topics[q->topics_count - 1];
    struct fetch_request_topics_partitions *one = m->partitions++;
    const struct replica *r = p->replica;

#ifndef MUTANT_FETCHER_BEFORE_STABLE
    ASSERT(log_stable(r->log) == log_end(r->log)); /* F1 */
#endif
    fetch_request_topics_partitions_init(one);
    one->partition = p->partition;
    one->current_leader_epoch = p->leader_epoch;
    one->fetch_offset = log_end(r->log);
    one->last_fetched_epoch = log_latest_epoch(r->log);
    one->log_start_offset = log_start(r->log);
    one->partition_max_bytes = (int32_t)config_i64(r->set->broker, BROKER_REPLICA_FETCH_MAX_BYTES);
    p->told_start = one->log_start_offset;
    p->told = p->asked = true;
    if (t == NULL || !uuid_equal(t->topic_id, p->topic_id)) {
        t = &q->topics[q->topics_count++];
        fetch_request_topics_init(t);
        t->topic_id = p->topic_id;
        t->partitions = one;
    }
    t->partitions_count++;
}

static void forget(struct making *m, struct following *p)
{
    struct fetch_request *q = m->request;
    int32_t n = q->forgotten_topics_data_count;
    struct fetch_request_forgotten_topics_data *t = n == 0 ? NULL : &q->forgotten_topics_data[n - 1];
    int32_t *one = m->forgotten_partitions++;

#ifdef MUTANT_FETCHER_KEEPS_ASKING
    return;
#endif
    *one = p->partition;
    p->told = false;
    if (t == NULL || !uuid_equal(t->topic_id, p->topic_id)) {
        t = &q->forgotten_topics_data[q->forgotten_topics_data_count++];
        fetch_request_forgotten_topics_data_init(t);
        t->topic_id = p->topic_id;
        t->partitions = one;
    }
    t->partitions_count++;
}

/* Empties the list of what has changed. */
static void tell_changes(struct fetcher *f)
{
    struct making m = {.request = &f->request};
    size_t count = 0;

    LIST_EACH (it, &f->changed)
        count++;
    m.request->topics = arena_take_array(&f->arena, count, sizeof *m.request->topics);
    m.partitions = arena_take_array(&f->arena, count, sizeof *m.partitions);
    m.request->forgotten_topics_data = arena_take_array(&f->arena, count, sizeof *m.request->forgotten_topics_data);
    m.forgotten_partitions = arena_take_array(&f->arena, count, sizeof *m.forgotten_partitions);
    ASSERT(m.request->topics != NULL && m.partitions != NULL && m.request->forgotten_topics_data != NULL &&
           m.forgotten_partitions != NULL);
    for (struct list *node; (node = list_take_head(&f->changed)) != NULL;) {
        struct following *p = container_of(node, struct following, changed);
        if (p->state == FOLLOWING_READY && p->replica != NULL)
            ask(&m, p);
        else if (p->told)
            forget(&m, p);
        if (p->replica == NULL)
            following_free(p);
    }
}

static int64_t own_epoch(const struct fetcher *f)
{
    const struct image *image = f->set->image;
    const struct image_broker *me = image == NULL ? NULL : image_broker_find(image, f->set->options.node_id);

    return me == NULL ? -1 : me->epoch;
}

/* How long the leader may wait with its answer: a partition whose wait is over before that, or which has found out where it
 * is to go on, is not to wait for the others'. Meanwhile the leader may delete what it would go on with. */
static int32_t wait_max_ms(struct fetcher *f)
{
    int64_t most_ms = config_i64(f->set->broker, BROKER_REPLICA_FETCH_WAIT_MAX_MS);
    int64_t left_ns = f->wake_ns - io_now_ns(fetcher_io(f));

    if (left_ns <= 0)
        f->wake_ns = INT64_MAX;
#ifndef MUTANT_FETCHER_AWAY_WAITS
    if (f->away > 0 && (left_ns <= 0 || left_ns > fetcher_backoff_ns(f, 1)))
        left_ns = fetcher_backoff_ns(f, 1);
#endif
    if (left_ns > 0 && left_ns / 1000000 < most_ms)
        most_ms = left_ns / 1000000 + 1;
    return (int32_t)most_ms;
}

/* The version is known, and it is about to leave. Once more where it did not, because the connection ended: then the
 * leader has heard nothing of it, and may have no session any more. */
static void prepare(struct client_call *call)
{
    struct fetcher *f = container_of(call, struct fetcher, call);
    const struct config *settings = f->set->broker;
    struct fetch_request *q = &f->request;
    int64_t epoch = own_epoch(f);
    bool again = f->prepared;

#ifndef MUTANT_FETCHER_KEEPS_SESSION
    again = again || epoch != f->broker_epoch; /* F6 */
#endif
    if (again)
        session_break(f, false);
    f->prepared = true;
    f->broker_epoch = epoch;
    arena_reset(&f->arena);
    fetch_request_init(q);
    if (call->version >= FIRST_VERSION_WITH_STATE) {
        q->replica_state.replica_id = f->set->options.node_id;
        q->replica_state.replica_epoch = epoch; /* KIP-903 */
    } else {
        q->replica_id = f->set->options.node_id;
    }
    q->max_wait_ms = wait_max_ms(f);
    q->min_bytes = (int32_t)config_i64(settings, BROKER_REPLICA_FETCH_MIN_BYTES);
    q->max_bytes = (int32_t)config_i64(settings, BROKER_REPLICA_FETCH_RESPONSE_MAX_BYTES);
    q->session_id = f->session_id;
    q->session_epoch = f->session_epoch;
    tell_changes(f);
}

void fetcher_send(struct fetcher *f)
{
    const struct metadata_version *v = fetcher_version(f);

    f->busy = true;
    f->prepared = f->renews = false;
    aside_begun(f->set);
    op_init(&f->call.op, fetcher_answered);
    f->call.target = (struct client_target){.kind = CLIENT_NODE, .node_id = f->leader};
    f->call.api_key = API_FETCH;
    f->call.version_low = FETCH_VERSION_LOW;
    f->call.version_high = v == NULL ? FETCH_VERSION_LOW : v->fetch_request;
    f->call.request = &f->request;
    f->call.prepare = prepare;
    f->call.timeout_ms = config_i64(f->set->broker, BROKER_REPLICA_SOCKET_TIMEOUT_MS);
    client_send(f->set->options.brokers, &f->call);
}
