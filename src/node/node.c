#include "node/internal.h"

#include <stdlib.h>

#include "protocol/allocate_producer_ids.h"

/* ---- the quorum speaks ----------------------------------------------------------------------- */

static void on_leader(void *ctx, int32_t leader_id, int32_t epoch)
{
    struct node *n = ctx;

    say(n->telemetry, LOG_INFO, "node", "node %d leads the quorum in epoch %d", leader_id, epoch);
    if (leader_id != n->options.node_id && n->controller != NULL &&
        controller_is_active(n->controller))
        controller_resign(n->controller);
}

static void on_claim(void *ctx, int32_t epoch)
{
    struct node *n = ctx;

    if (n->controller == NULL || n->quiet)
        return;
    controller_claim(n->controller, n->loaded, epoch, io_now_ms(n->io));
    node_wind(n);
}

static void on_caught_up(void *ctx, int64_t high_watermark)
{
    struct node *n = ctx;

    if (n->failed || n->quiet)
        return;
    if (n->controller != NULL)
        controller_committed(n->controller, high_watermark);
    loader_snapshot_when_due(n);
    publisher_advance(n);
    membership_advance(n);
    node_wind(n);
}

static int append_to_quorum(void *log, int32_t epoch, const struct bytes *framed, uint32_t count,
                            int64_t *last_offset)
{
    struct node *n = log;
    struct fail why = {0};
    int rc = quorum_append(n->quorum, epoch, framed, count, last_offset);

    /* Without its log a controller decides nothing, and would try again without end. */
    if (rc < 0 && rc != ERR_FENCED) {
        fail_set(&why, rc, "the metadata log cannot be written: %s", error_text(rc));
        node_fail(n, &why);
    }
    return rc;
}

/* ---- the controller's time ------------------------------------------------------------------- */

static void tick_fired(struct io_timer *t)
{
    node_wind(container_of(t, struct node, tick));
}

void node_wind(struct node *n)
{
    int64_t due_ms;

    if (n->controller == NULL || n->quiet || n->failed)
        return;
    due_ms = controller_tick(n->controller, io_now_ms(n->io));
    if (due_ms == INT64_MAX)
        io_timer_clear(&n->tick);
    else
        io_timer_set(n->io, &n->tick, due_ms * 1000000, tick_fired);
}

/* ---- trouble --------------------------------------------------------------------------------- */

void node_fail(struct node *n, const struct fail *why)
{
    struct op *op = n->starting;

    if (n->failed || n->quiet)
        return;
    n->failed = true;
    membership_fail(n);
    io_timer_clear(&n->tick);
    say(n->telemetry, LOG_ERROR, "node", "%s", why->text);
    publisher_answer_all(n);
    if (op == NULL) {
        n->options.fatal(n->options.ctx, why);
        return;
    }
    *n->fail = *why;
    if (n->opening) /* `opened` tells */
        return;
    n->starting = NULL;
    io_complete(n->io, op, why->error);
}

void node_give_up(struct node *n, const struct fail *why)
{
    node_fail(n, why);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void fill_quorum_open(struct node *n)
{
    const struct node_options *o = &n->options;
    const struct config *c = o->settings;

    n->quorum_open = (struct quorum_open){
        .io = n->io,
        .telemetry = n->telemetry,
        .dir = o->dirs[o->metadata_dir],
        .memory = o->memory,
        .cluster_id = o->cluster_id,
        .node_id = o->node_id,
        .directory_id = o->dirs[o->metadata_dir]->directory_id,
        .can_vote = o->is_controller,
        .election_timeout_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS),
        .fetch_timeout_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS),
        .snapshot_bytes = config_i64(c, BROKER_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS),
        .snapshot_interval_ms = config_i64(c, BROKER_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS),
        .retention_bytes = config_i64(c, BROKER_METADATA_MAX_RETENTION_BYTES),
        .retention_ms = config_i64(c, BROKER_METADATA_MAX_RETENTION_MS),
        .segment_bytes = (uint32_t)config_i64(c, BROKER_METADATA_LOG_SEGMENT_BYTES),
        .segment_ms = config_i64(c, BROKER_METADATA_LOG_SEGMENT_MS),
        .listener = {
            .committed = loader_committed,
            .snapshot = loader_snapshot,
            .leader = on_leader,
            .claim = on_claim,
            .caught_up = on_caught_up,
            .ctx = n,
        },
    };
}

/* controller.quorum.voters: the voters of a static quorum. */
static int fill_voters(struct node *n, struct quorum_voter *parsed)
{
    struct str text = config_str(n->options.settings, BROKER_CONTROLLER_QUORUM_VOTERS);
    struct raft_voters *v = &n->quorum_open.static_voters;
    struct str names = config_str(n->options.settings, BROKER_CONTROLLER_LISTENER_NAMES), name;
    int count = quorum_voters_parse(text, parsed, QUORUM_VOTERS_MAX, n->fail);

    if (count < 0)
        return count;
    if (count > RAFT_VOTERS_MAX)
        return fail_set(n->fail, ERR_LIMIT, "controller.quorum.voters names more than %d voters",
                        RAFT_VOTERS_MAX);
    if (!str_cut(&names, ',', &name))
        name = STR("CONTROLLER");
    for (int i = 0; i < count; i++) {
        struct raft_voter *voter = &v->voters[i];
        voter->id = parsed[i].id;
        voter->endpoint_count = 1;
        snprintf(voter->endpoints[0].name, sizeof voter->endpoints[0].name, "%.*s", STR_ARG(name));
        snprintf(voter->endpoints[0].host, sizeof voter->endpoints[0].host, "%s", parsed[i].host);
        voter->endpoints[0].port = parsed[i].port;
    }
    v->count = (uint32_t)count;
    return 0;
}

static int take_voters(struct node *n)
{
    struct quorum_voter *parsed = calloc(QUORUM_VOTERS_MAX, sizeof *parsed);

    ASSERT(parsed != NULL);
    int rc = fill_voters(n, parsed);
    free(parsed);
    return rc;
}

static void make_controller(struct node *n)
{
    const struct config *c = n->options.settings;
    struct controller_log log = {.append = append_to_quorum, .log = n};
    struct controller_settings settings = {
        .node_id = n->options.node_id,
        .cluster_id = n->options.cluster_id,
        .broker = c,
        .session_timeout_ms = config_i64(c, BROKER_BROKER_SESSION_TIMEOUT_MS),
        .idle_interval_ms = config_i64(c, BROKER_METADATA_MAX_IDLE_INTERVAL_MS),
        .bootstrap = {(const uint8_t *)n->bootstrap.p, (int32_t)n->bootstrap.n},
    };

    n->controller = controller_new(&settings, &log, io_prng(n->io));
}

static void start_run(struct flow *f)
{
    struct node *n = container_of(f, struct node, start);

    FLOW_BEGIN(f);
    n->state = BROKER_STARTING;
    n->options.state(n->options.ctx, n->state);
    if (n->options.is_controller) {
        FLOW_TRY(f, "read the bootstrap records",
                 quorum_bootstrap(n->io, n->options.dirs[n->options.metadata_dir]->path,
                                  &n->bootstrap, n->fail, &f->op));
        make_controller(n);
    }
    fill_quorum_open(n);
    f->result = take_voters(n);
    if (f->result < 0)
        goto failed;
    FLOW_TRY(f, "open the metadata log",
             quorum_open(&n->quorum_open, &n->quorum, n->fail, &f->op));
    FLOW_END(f);
    flow_done(f, 0); /* membership goes on from here, and completes node_start */
    return;
failed:
    flow_done(f, f->result);
}

static void opened(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, opened);
    struct op *starting = n->starting;

    n->opening = false;
    if (result >= 0 && !n->failed)
        return;
    n->failed = true;
    n->starting = NULL;
    if (n->fail->error == 0)
        fail_set(n->fail, (int)result, "cannot open the metadata log in %s: %s",
                 n->options.dirs[n->options.metadata_dir]->path, error_text((int)result));
    starting->done(starting, n->fail->error);
}

void node_start(const struct node_options *o, struct node **out, struct fail *f, struct op *op)
{
    struct node *n = calloc(1, sizeof *n);

    ASSERT(n != NULL);
    n->options = *o;
    n->io = o->io;
    n->telemetry = o->telemetry;
    n->fail = f;
    n->starting = op;
    n->broker_epoch = -1;
    n->loaded = image_empty();
    n->incarnation = uuid_random(io_prng(n->io));
    list_init(&n->answered);
    assign_init(n);
    *out = n;
    n->opening = true;
    op_init(&n->opened, opened);
    membership_begin(n);
    flow_start(&n->start, start_run, &n->opened);
}

const struct image *node_image(const struct node *n) { return n->published; }
struct controller *node_controller(struct node *n) { return n->controller; }
struct quorum *node_quorum(struct node *n) { return n->quorum; }
int64_t node_broker_epoch(const struct node *n) { return n->broker_epoch; }

/* ---- requests -------------------------------------------------------------------------------- */

static void forwarded_ready(struct controller_call *call, enum kerr error)
{
    struct answered *a = call->forwarder;

    publisher_answer(a->node_of, call, error);
}

static void refuse(struct op *op, int64_t result)
{
    struct answered *a = container_of(op, struct answered, refusal);
    struct node *n = a->node_of;

    n->forwarded--;
    a->ready(a->call, KERR_NOT_CONTROLLER);
    free(a);
}

void node_forward(struct node *n, struct controller_call *call)
{
    struct answered *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    a->node_of = n;
    a->call = call;
    a->ready = call->ready;
    n->forwarded++;
    if (n->controller == NULL || !controller_is_active(n->controller) || n->failed) {
        op_init(&a->refusal, refuse);
        io_yield(n->io, &a->refusal);
        return;
    }
    call->forwarder = a;
    call->ready = forwarded_ready;
    controller_handle(n->controller, call);
    node_wind(n);
}

/* ---- producer ids ---------------------------------------------------------------------------- */

struct allocation {
    struct node *node;
    struct arena arena;
    struct controller_call call;
    struct allocate_producer_ids_request request;
    struct allocate_producer_ids_response response;
    struct producer_id_block *out;
    struct op *op;
};

static void allocated(struct controller_call *call, enum kerr error)
{
    struct allocation *a = container_of(call, struct allocation, call);
    struct op *op = a->op;
    int64_t result = -EAGAIN; /* whoever asks may ask again */

    if (error == KERR_NONE && a->response.error_code == KERR_NONE) {
        a->out->first = a->response.producer_id_start;
        a->out->count = a->response.producer_id_len;
        result = 0;
    }
    arena_deinit(&a->arena);
    free(a);
    op->done(op, result);
}

void node_allocate_producer_ids(struct node *n, struct producer_id_block *out, struct op *op)
{
    struct allocation *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    a->node = n;
    a->out = out;
    a->op = op;
    arena_init(&a->arena, 0);
    allocate_producer_ids_request_init(&a->request);
    allocate_producer_ids_response_init(&a->response);
    a->request.broker_id = n->options.node_id;
    a->request.broker_epoch = n->broker_epoch;
    a->call = (struct controller_call){
        .api_key = API_ALLOCATE_PRODUCER_IDS,
        .api_version = allocate_producer_ids_request_message.high,
        .request = &a->request,
        .response = &a->response,
        .arena = &a->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
        .now_ms = io_now_ms(n->io),
        .wall_ms = io_wall_ms(n->io),
        .ready = allocated,
    };
    node_forward(n, &a->call);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void node_free(struct node *n)
{
    struct op *op = n->closing;
    int64_t result = n->closed_result;

    if (n->edit != NULL)
        image_edit_abandon(n->edit);
    image_unref(n->loaded);
    image_unref(n->published);
    text_deinit(&n->bootstrap);
    assign_deinit(n);
    if (n->controller != NULL)
        controller_free(n->controller);
    free(n);
    op->done(op, result);
}

static void quorum_closed(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, quorum_closed);

    n->closed_result = result;
    node_free(n);
}

void node_close(struct node *n, struct op *op)
{
    ASSERT(n->quiet && n->publishing == NULL && n->forwarded == 0);
    n->closing = op;
    op_init(&n->quorum_closed, quorum_closed);
    if (n->quorum == NULL)
        io_yield(n->io, &n->quorum_closed);
    else
        quorum_close(n->quorum, &n->quorum_closed);
}
