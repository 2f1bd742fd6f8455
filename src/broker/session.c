#include "broker/session.h"

#include <stdlib.h>

#include "broker/beats.h"
#include "broker/connections.h"
#include "broker/fetch_set.h"
#include "broker/memory.h"
#include "broker/metrics.h"
#include "broker/scatter.h"
#include "protocol/fetch.h"

/* Requests that a connection may have handed in and not answered. Clients pipeline five. */
#define IN_FLIGHT_MAX 64
/* Of Produce requests that overlap; one more may come in before reading stops. */
#define FRAME_BYTES_MAX (8ull << 20)
#define UNSENT_BYTES_MAX (64ull << 20)

struct session {
    struct list node; /* in shard->sessions */
    struct broker_shard *shard;
    const struct broker_listener *listener;
    struct conn *conn;
    struct io_address peer;
    struct principal principal;
    struct fetch_set *fetch; /* its fetch session (KIP-227) */
    struct beats beats;   /* it is a broker's, to this node as a controller */
    struct guest *guest;  /* its place among the connections of its address */
    struct list requests; /* not answered, in order */
    uint32_t unsent;      /* answered, and the answer has not left */
    uint64_t frame_bytes; /* of `requests` */
    bool beginning, paused, closed;
    bool follows; /* it is a broker that replicates partitions from here */
    struct list spare; /* requests for reuse */
};

const struct principal *session_principal(const struct session *s)
{
    return &s->principal;
}

struct str session_host(const struct session *s)
{
    return str_of(s->peer.host);
}

const struct broker_listener *session_listener(const struct session *s)
{
    return s->listener;
}

struct fetch_set **session_fetch(struct session *s)
{
    return &s->fetch;
}

struct beats *session_beats(struct session *s)
{
    return &s->beats;
}

/* ---- requests in order ----------------------------------------------------------------------- */

/* B4: only Produce overlaps with Produce. */
static bool may_begin(const struct session *s, const struct request *r)
{
    LIST_EACH(it, &s->requests) {
        const struct request *before = container_of(it, struct request, node);
        if (before == r)
            return true;
        if (before->key != API_PRODUCE || r->key != API_PRODUCE)
            return false;
    }
    UNREACHABLE("a request that is not in its session");
}

/* The first one that has not begun, or NULL. */
static struct request *next_request(const struct session *s)
{
    LIST_EACH(it, &s->requests) {
        struct request *r = container_of(it, struct request, node);
        if (!r->begun)
            return r;
    }
    return NULL;
}

static void begin(struct request *r);
static void tell_when_rested(struct broker_shard *shard);

static bool is_resting(const struct session *s)
{
    return s->shard->resting && s->listener->kind == LISTENER_BROKER && !s->follows;
}

/* A connection is not read while one of its requests waits for its turn, so that the memory of what
 * it has sent is bounded. */
static void pause_or_read(struct session *s)
{
    bool pause = is_resting(s) || next_request(s) != NULL || s->frame_bytes >= FRAME_BYTES_MAX;

    if (pause == s->paused || s->closed)
        return;
    s->paused = pause;
    conn_pause(s->conn, pause);
}

/* Begin what may begin. A handler that answers at once comes back here by session_answered: the
 * outer loop goes on, so that a long pipeline is no deep stack. */
static void begin_more(struct session *s)
{
    struct request *next;

    if (s->beginning)
        return;
    s->beginning = true;
    while (!is_resting(s) && conn_is_open(s->conn) && (next = next_request(s)) != NULL && may_begin(s, next))
        begin(next);
    s->beginning = false;
    pause_or_read(s);
}

void session_answered(struct request *r, struct answer *a)
{
    struct session *s = r->session;

    list_remove(&r->node);
    s->frame_bytes -= (uint64_t)r->frame.bytes.n;
    r->unsent = true;
    s->unsent++;
    conn_answer(&r->frame, a);
    begin_more(s);
    tell_when_rested(s->shard);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Read the header, find the API, read the body. False: the connection is of no use any more. */
static bool understand(struct request *r, const char **why)
{
    struct request_header header;
    int used = request_header_read(r->frame.bytes, &header);

    if (used < 0) {
        *why = "the request's header cannot be read";
        return false;
    }
    r->key = header.request_api_key;
    r->version = header.request_api_version;
    r->correlation_id = header.correlation_id;
    r->client_id = header.client_id;
    r->body = (struct bytes){r->frame.bytes.p + used, r->frame.bytes.n - used};
    r->api = broker_api_find(r->key, session_listener(r->session)->kind);
    if (r->api == NULL) {
        *why = "it asked for an API that is not served on this listener";
        return false;
    }
    request_prepare(r);
    if (!api_has_version(api_find(r->key), r->version)) {
        if (r->key == API_API_VERSIONS) { /* KIP-511: answered in version 0, whatever was asked */
            r->version = 0;
            r->unsupported_version = true;
            return true;
        }
        *why = "it asked for a version of an API that is not served";
        return false;
    }
    if (!request_decode(r)) {
        *why = "the request's body cannot be read";
        return false;
    }
    return true;
}

static bool is_of_follower(const struct request *r)
{
    const struct fetch_request *m = r->message;

    return r->key == API_FETCH && (r->version >= 15 ? m->replica_state.replica_id : m->replica_id) >= 0;
}

/* Only now it is decoded: what waits for its turn holds its frame and no more. */
static void begin(struct request *r)
{
    struct session *s = r->session;
    const char *why;

    r->begun = true;
    if (understand(r, &why)) {
        metrics_begun(r);
        s->follows = s->follows || is_of_follower(r);
        r->api->handle(r);
        return;
    }
    say(s->shard->telemetry, LOG_WARN, "broker",
        "closing the connection of %s: %s (api key %d, version %d, client id \"%.*s\")",
        s->peer.host, why, r->key, r->version, STR_ARG(r->client_id));
    request_drop(r, why);
}

static void session_frame(void *ctx, struct conn_frame *frame)
{
    struct session *s = ctx;
    struct request *r = container_of(frame, struct request, frame);

    if (frame->bytes.n >= 2)
        r->key = get_i16(frame->bytes.p); /* for the order; the rest when its turn has come */
    list_add_tail(&s->requests, &r->node);
    s->frame_bytes += (uint64_t)frame->bytes.n;
    if (s->closed)
        request_answer_none(r);
    else
        begin_more(s);
}

static struct conn_frame *session_take(void *ctx)
{
    struct session *s = ctx;
    struct list *node = list_take_head(&s->spare);
    struct request *r;

    if (node != NULL) {
        r = container_of(node, struct request, node);
    } else {
        r = calloc(1, sizeof *r);
        if (r == NULL)
            return NULL;
        arena_init(&r->arena, 0);
        r->arena.ledger = &s->shard->ledger;
    }
    struct arena arena = r->arena;
    *r = (struct request){.session = s, .shard = s->shard, .arena = arena, .key = -1};
    list_init(&r->scatters);
    return &r->frame;
}

static void session_give(void *ctx, struct conn_frame *frame)
{
    struct session *s = ctx;
    struct request *r = container_of(frame, struct request, frame);

    if (r->unsent) {
        s->unsent--;
        tell_when_rested(s->shard);
    }
    r->unsent = false;
    if (r->held) {
        r->given = true; /* session_released frees it; the session may be gone by then */
        return;
    }
    request_deinit(r);
    list_add_head(&s->spare, &r->node);
}

static void tell_when_all_closed(struct broker_shard *shard)
{
    if (shard->sessions_closed == NULL || shard->sessions_of[shard->closing] > 0 || shard->held_count > 0)
        return;
    struct op *op = shard->sessions_closed;
    shard->sessions_closed = NULL;
    io_complete(shard->io, op, 0);
}

void session_holds(struct request *r)
{
    r->held = true;
    r->shard->held_count++;
}

void session_released(struct request *r)
{
    struct broker_shard *shard = r->shard;

    r->held = false;
    if (r->given) {
        request_deinit(r);
        free(r);
    }
    shard_unhold(shard);
}

void shard_unhold(struct broker_shard *shard)
{
    shard->held_count--;
    tell_when_all_closed(shard);
}

static void session_closed(void *ctx, const char *why)
{
    struct session *s = ctx;

    s->closed = true;
    beats_end(s->shard, &s->beats);
    LIST_EACH(it, &s->requests) {
        struct request *r = container_of(it, struct request, node);
        r->cancelled = true;
        if (!r->begun)
            request_answer_none(r);
        else if (r->api->cancel != NULL)
            r->api->cancel(r);
    }
}

static void session_gone(void *ctx)
{
    struct session *s = ctx;
    struct broker_shard *shard = s->shard;

    ASSERT(list_empty(&s->requests));
    for (struct list *node; (node = list_take_head(&s->spare)) != NULL;) {
        struct request *r = container_of(node, struct request, node);
        arena_deinit(&r->arena);
        free(r);
    }
    fetch_session_end(s->fetch);
    guest_leave(s->guest);
    list_remove(&s->node);
    shard->sessions_of[s->listener->kind]--;
    free(s);
    metrics_session(shard, -1);
    listeners_accept_again(shard);
    tell_when_all_closed(shard);
}

static const struct conn_handler session_handler = {
    .take = session_take,
    .frame = session_frame,
    .give = session_give,
    .closed = session_closed,
    .gone = session_gone,
};

void session_close(struct session *s, const char *why)
{
    conn_close(s->conn, why);
}

/* ---- the end of all -------------------------------------------------------------------------- */

/* How long a stop waits for answers that are under way. */
#define REST_MS 1000

/* What ends by itself soon. A fetch, or who waits for a group, may take long, and loses nothing by asking again. */
static bool is_worth_waiting(const struct request *r)
{
    return r->begun && (r->key == API_PRODUCE || r->api->cancel == NULL);
}

static bool is_at_rest(const struct broker_shard *shard)
{
    LIST_EACH(it, &shard->sessions) {
        const struct session *s = container_of(it, struct session, node);
        if (!is_resting(s))
            continue;
        if (s->unsent > 0)
            return false;
        LIST_EACH(node, &s->requests) {
            if (is_worth_waiting(container_of(node, struct request, node)))
                return false;
        }
    }
    return true;
}

/* Clients have nothing to wait for here: at once they look for who leads next. */
static void rested(struct broker_shard *shard)
{
    struct op *op = shard->rested;

    shard->rested = NULL;
    io_timer_clear(&shard->rest_limit);
    LIST_EACH(it, &shard->sessions) {
        struct session *s = container_of(it, struct session, node);
        if (is_resting(s))
            session_close(s, "the broker stops");
    }
    io_complete(shard->io, op, 0);
}

static void tell_when_rested(struct broker_shard *shard)
{
    if (shard->rested != NULL && is_at_rest(shard))
        rested(shard);
}

static void rest_is_over(struct io_timer *t)
{
    rested(container_of(t, struct broker_shard, rest_limit));
}

void sessions_rest(struct broker_shard *shard, struct op *op)
{
    shard->resting = true;
    LIST_EACH(it, &shard->sessions)
        pause_or_read(container_of(it, struct session, node));
    shard->rested = op;
    io_timer_set(shard->io, &shard->rest_limit, io_now_ns(shard->io) + REST_MS * INT64_C(1000000), rest_is_over);
    tell_when_rested(shard);
}

void sessions_close(struct broker_shard *shard, uint8_t kind, struct op *op)
{
    shard->sessions_closed = op;
    shard->closing = kind;
    LIST_EACH(it, &shard->sessions) {
        struct session *s = container_of(it, struct session, node);
        if (s->listener->kind == kind)
            session_close(s, "the broker stops");
    }
    tell_when_all_closed(shard);
}

/* ---- a new connection ------------------------------------------------------------------------ */

/* Its address has been asked about; nothing was read before. */
static void session_admitted(struct guest *g)
{
    struct session *s = g->ctx;

    if (!g->admitted)
        conn_close(s->conn, "its address has max.connections.per.ip connections already");
    else if (conn_is_open(s->conn))
        conn_start(s->conn);
}

void session_open(struct broker_listener *l)
{
    struct broker_shard *shard = l->shard;
    struct session *s = calloc(1, sizeof *s);
    struct conn_limits limits = {
        .frame_bytes_max =
            (uint32_t)config_i64(shard->settings, BROKER_SOCKET_REQUEST_MAX_BYTES),
        .in_flight_max = IN_FLIGHT_MAX,
        .unsent_bytes_max = UNSENT_BYTES_MAX,
        .ledger = &shard->ledger,
        .memory_bytes_max = memory_request_max(shard->broker),
        .idle_ms = config_i64(shard->settings, BROKER_CONNECTIONS_MAX_IDLE_MS),
    };

    if (s != NULL)
        s->conn = conn_new(shard->io, shard->telemetry, l->accepted, &limits, &session_handler, s);
    if (s == NULL || s->conn == NULL) {
        /* Without memory for a connection there is none for anything: say so and stop. */
        free(s);
        UNREACHABLE("no memory for a connection");
    }
    s->shard = shard;
    s->listener = l;
    s->peer = l->peer;
    s->principal = principal_anonymous;
    list_init(&s->requests);
    list_init(&s->spare);
    list_add_tail(&shard->sessions, &s->node);
    shard->sessions_of[l->kind]++;
    metrics_session(shard, 1);
    s->guest = guest_arrive(shard, s->peer.host, session_admitted, s);
}
