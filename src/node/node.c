#include "node/internal.h"

#include <stdlib.h>

/* ---- the quorum speaks ----------------------------------------------------------------------- */

static void on_leader(void *ctx, int32_t leader_id, int32_t epoch)
{
    struct node *n = ctx;

    if (leader_id >= 0)
        say(n->telemetry, LOG_INFO, "node", "node %d leads the quorum in epoch %d", leader_id, epoch);
    if (leader_id != n->options.node_id && n->controller != NULL &&
        controller_is_active(n->controller))
        controller_resign(n->controller);
    ask_go_on(n);
}

static void on_claim(void *ctx, int32_t epoch)
{
    struct node *n = ctx;

    if (n->controller == NULL || n->failed || n->closing)
        return;
    controller_claim(n->controller, n->loaded, epoch, io_now_ms(n->io));
    gone_look(n);
    silence_begin(n);
    ask_go_on(n);
    node_wind_soon(n);
}

static void on_caught_up(void *ctx, int64_t high_watermark)
{
    struct node *n = ctx;

    if (n->failed || n->closing)
        return;
    n->caught_up = true;
    if (n->controller != NULL)
        controller_committed(n->controller, high_watermark);
    if (!n->quiet) {
        loader_snapshot_when_due(n);
        publisher_advance(n);
        membership_advance(n);
    }
    node_wind(n);
}

static void on_fetched(void *ctx, int32_t replica_id)
{
    struct node *n = ctx;

    if (n->controller != NULL)
        controller_broker_speaks(n->controller, replica_id, io_now_ms(n->io));
}

static int append_to_quorum(void *log, int32_t epoch, const struct bytes *framed, uint32_t count,
                            int64_t *last_offset)
{
    struct node *n = log;
    struct fail why = {0};
    int rc = quorum_append(n->quorum, epoch, framed, count, last_offset);

    /* Without its log a controller decides nothing, and would try again without end: it resigns, also where the node is
     * leaving and nobody is told any more. */
    if (rc < 0 && rc != ERR_FENCED) {
        fail_set(&why, rc, "the metadata log cannot be written: %s", error_text(rc));
        node_fail(n, &why);
        return ERR_FENCED;
    }
    return rc;
}

/* ---- the controller's time ------------------------------------------------------------------- */

/* A timer that was late by a good part of a session says that this process, or all of the machine, stood still. Brokers
 * were not heard meanwhile, whatever they said: they are not fenced for that. */
static void note_standstill(struct node *n, int64_t now_ms)
{
    int64_t late_ms = n->tick_due_ms == INT64_MAX ? 0 : now_ms - n->tick_due_ms;

#ifdef MUTANT_NODE_SESSIONS_END_ASLEEP
    return;
#endif
    if (late_ms > config_i64(n->options.settings, BROKER_BROKER_SESSION_TIMEOUT_MS) / 9)
        controller_stood_still(n->controller, late_ms);
}

static void tick_fired(struct io_timer *t)
{
    node_wind(container_of(t, struct node, tick));
}

void node_wind(struct node *n)
{
    int64_t now_ms = io_now_ms(n->io);

    if (n->controller == NULL)
        return;
    /* It decides nothing more; but one that has resigned still answers whom it refused. */
    if ((n->closing || n->failed) && controller_is_active(n->controller))
        return;
    note_standstill(n, now_ms);
    n->tick_due_ms = controller_tick(n->controller, now_ms);
    if (n->tick_due_ms == INT64_MAX)
        io_timer_clear(&n->tick);
    else
        io_timer_set(n->io, &n->tick, n->tick_due_ms * 1000000, tick_fired);
}

void node_wind_soon(struct node *n)
{
    if (n->controller == NULL)
        return;
    note_standstill(n, io_now_ms(n->io));
    n->tick_due_ms = io_now_ms(n->io);
    io_timer_set(n->io, &n->tick, io_now_ns(n->io), tick_fired);
}

/* ---- trouble --------------------------------------------------------------------------------- */

void node_fail(struct node *n, const struct fail *why)
{
    struct op *op = n->starting;

    if (n->failed || n->quiet)
        return;
    n->failed = true;
    membership_fail(n);
    say(n->telemetry, why->error == -ECANCELED ? LOG_INFO : LOG_ERROR, "node", "%s", why->text);
    ask_stop(n);
    publisher_answer_all(n);
    if (op == NULL) {
        n->options.fatal(n->options.ctx, why);
        return;
    }
    if (n->opening) { /* `opened` tells; until then the text is its own */
        n->gave_up = *why;
        return;
    }
    *n->fail = *why;
    n->starting = NULL;
    io_complete(n->io, op, why->error);
}

void node_give_up(struct node *n, const struct fail *why)
{
    node_fail(n, why);
}

/* ---- start ----------------------------------------------------------------------------------- */

static int16_t kraft_version(void *log)
{
    struct node *n = log;

    return quorum_voters(n->quorum)->kraft_version;
}

static enum kerr upgrade_quorum(void *log, int32_t epoch, bool validate_only)
{
    struct node *n = log;

    return quorum_upgrade(n->quorum, epoch, validate_only);
}

/* What the controller here has decided. */
static void on_news(void *ctx, const struct controller_news *news)
{
    struct node *n = ctx;
    enum log_level level = news->bad ? LOG_WARN : LOG_INFO;

    if (str_is_null(news->topic)) {
        say(n->telemetry, level, "controller", "%.*s", STR_ARG(news->words));
        return;
    }
    say(n->telemetry, news->loud ? level : LOG_DEBUG, "controller", "%.*s-%d %.*s", STR_ARG(news->topic),
        news->partition, STR_ARG(news->words));
    telemetry_cause(n->telemetry, news->topic, news->partition, io_wall_ms(n->io), "%.*s", STR_ARG(news->words));
}

static void make_controller(struct node *n)
{
    const struct config *c = n->options.settings;
    struct controller_log log = {append_to_quorum, kraft_version, upgrade_quorum, n};
    struct controller_settings settings = {
        .node_id = n->options.node_id,
        .cluster_id = n->options.cluster_id,
        .broker = c,
        .session_timeout_ms = config_i64(c, BROKER_BROKER_SESSION_TIMEOUT_MS),
        .idle_interval_ms = config_i64(c, BROKER_METADATA_MAX_IDLE_INTERVAL_MS),
        .bootstrap = {(const uint8_t *)n->bootstrap.p, (int32_t)n->bootstrap.n},
        .told = on_news,
        .told_ctx = n,
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
    f->result = quorum_settings(n, &n->quorum_open);
    if (f->result < 0)
        goto failed;
    n->quorum_open.listener = (struct quorum_listener){
        .committed = loader_committed,
        .snapshot = loader_snapshot,
        .leader = on_leader,
        .claim = on_claim,
        .caught_up = on_caught_up,
        .fetched = on_fetched,
        .ctx = n,
    };
    FLOW_TRY(f, "open the metadata log",
             quorum_open(&n->quorum_open, &n->quorum, n->fail, &f->op));
    if (n->options.open != NULL)
        n->options.open(n->options.ctx);
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
    if (result >= 0 && !n->failed) {
        membership_advance(n);
        return;
    }
    n->failed = true;
    n->starting = NULL;
    if (n->gave_up.error != 0)
        *n->fail = n->gave_up;
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
    n->incarnation = controller_incarnation(io_prng(n->io));
    list_init(&n->asks);
    list_init(&n->answered);
    assign_init(n);
    proposals_init(n);
    list_init(&n->watches);
    n->tick_due_ms = INT64_MAX;
    list_init(&n->silence.questions);
    remote_open(n);
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

/* ---- close ----------------------------------------------------------------------------------- */

static void node_free(struct node *n)
{
    if (n->edit != NULL)
        image_edit_abandon(n->edit);
    image_unref(n->loaded);
    image_unref(n->published);
    text_deinit(&n->bootstrap);
    assign_deinit(n);
    if (n->controller != NULL)
        controller_free(n->controller);
    free(n);
}

/* Until here the controller has decided for others, if it is the active one. */
static void end_asks(struct node *n)
{
    n->closing = true;
    if (n->controller != NULL)
        controller_resign(n->controller);
    node_wind_soon(n);
    ask_stop(n);
}

static void close_run(struct flow *f)
{
    struct node *n = container_of(f, struct node, close);

    FLOW_BEGIN(f);
    end_asks(n);
    FLOW_WAIT(f, "look for no broker any more", gone_stop(n, &f->op));
    FLOW_WAIT(f, "ask no broker any more", silence_stop(n, &f->op));
    FLOW_WAIT(f, "close the connections to controllers", remote_close(n, ASK_OWN, &f->op));
    FLOW_WAIT(f, "close the connections to controllers", remote_close(n, ASK_CLIENT, &f->op));
    if (n->quorum != NULL)
        FLOW_WAIT(f, "close the quorum", quorum_close(n->quorum, &f->op));
    n->closed_result = f->result;
    while (n->ask_count > 0)
        FLOW_WAIT(f, "answer who has asked", io_yield(n->io, &f->op));
    io_timer_clear(&n->tick);
    FLOW_END(f);
    struct op *parent = f->parent;
    int64_t result = n->closed_result;
    node_free(n);
    parent->done(parent, result);
}

void node_close(struct node *n, struct op *op)
{
    ASSERT(n->quiet && n->publishing == NULL && list_empty(&n->answered));
    flow_start(&n->close, close_run, op);
}
