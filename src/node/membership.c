/* The broker's states: it registers, is unfenced, lives by heartbeats, and leaves.
 *
 *   STARTING ─ registered, record seen ─► first image published: RECOVERY ─ seen to be unfenced ─► RUNNING
 *      RUNNING ─ node_leave ─► PENDING_CONTROLLED_SHUTDOWN
 *                              ─ the controller lets go, or time is up ─► SHUTTING_DOWN
 *
 * One call of the broker's is with the controller at a time.
 */
#include "node/internal.h"

/* How long a controlled shutdown may take before the broker stops without the controller's word; as
 * long as Kafka waits. */
#define LEAVE_MS_MAX 300000

static void set_state(struct node *n, enum broker_state state)
{
    n->state = state;
    n->options.state(n->options.ctx, state);
}

static void pulse_fired(struct io_timer *t)
{
    membership_advance(container_of(t, struct node, pulse));
}

void membership_pulse(struct node *n, int64_t ms)
{
    if (ms == 0 || n->failed || n->state == BROKER_SHUTTING_DOWN)
        io_timer_clear(&n->pulse);
    else
        io_timer_set(n->io, &n->pulse, io_now_ns(n->io) + ms * 1000000, pulse_fired);
}

void membership_begin(struct node *n)
{
    if (n->options.is_broker)
        register_limit(n);
}

/* ---- what is next ----------------------------------------------------------------------------------------------- */

/* It serves, and its clients can see that. */
static void run(struct node *n)
{
    struct op *op = n->starting;

    set_state(n, BROKER_RUNNING);
    n->starting = NULL;
    if (op != NULL)
        io_complete(n->io, op, 0);
}

static bool sees_itself_unfenced(const struct node *n)
{
    const struct image_broker *b =
        n->published == NULL ? NULL : image_broker_find(n->published, n->options.node_id);

    return b != NULL && b->epoch == n->broker_epoch && !b->fenced;
}

static bool sees_its_registration(const struct node *n)
{
    return image_offset(n->loaded) >= n->broker_epoch;
}

/* A controller that is no broker runs when its first image is shown: one that has all that was committed, and knows
 * the features. */
static void advance_controller(struct node *n)
{
    if (n->state != BROKER_STARTING || !n->caught_up || image_metadata_version(n->loaded) == 0)
        return;
    n->may_publish = true;
    publisher_advance(n);
    if (n->published != NULL)
        run(n);
}

/* It registered when the metadata knew no directories, and now it does (KIP-858): the controller is to know them,
 * too. */
static bool lacks_directories(const struct node *n)
{
    const struct image_broker *b = image_broker_find(n->loaded, n->options.node_id);

    return b != NULL && b->epoch == n->broker_epoch && b->directory_count == 0 && !n->amended &&
           image_metadata_version(n->loaded) >= METADATA_VERSION_DIRECTORIES;
}

static void advance_broker(struct node *n)
{
    if (register_again(n))
        return;
    /* The first image that the shards get has this registration in it. */
    if (n->state == BROKER_STARTING) {
        if (!n->caught_up || !sees_its_registration(n))
            return; /* its record is on its way */
        set_state(n, BROKER_RECOVERY);
        n->may_publish = true;
        publisher_advance(n);
    }
    if (n->state == BROKER_RECOVERY && sees_itself_unfenced(n))
        run(n);
    if (n->state == BROKER_RUNNING && lacks_directories(n)) {
        n->amended = true;
        register_broker(n);
        return;
    }
    if (n->state == BROKER_RECOVERY && n->published != NULL && !n->offered)
        io_timer_clear(&n->pulse); /* the logs are loaded: no longer wait to say so */
    if (!io_timer_is_set(&n->pulse))
        heartbeat_send(n);
}

void membership_advance(struct node *n)
{
    if (n->opening || n->failed || n->state == BROKER_SHUTTING_DOWN)
        return;
    register_controller_when_due(n);
    if (n->failed)
        return;
    if (!n->options.is_broker)
        advance_controller(n);
    else if (n->broker_epoch >= 0 && !n->calling)
        advance_broker(n);
    else if (!n->calling && !io_timer_is_set(&n->pulse))
        register_broker(n);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

void membership_rest(struct node *n)
{
    struct op *op = n->left;

    n->left = NULL;
    op->done(op, 0);
}

/* In a turn of its own, because the controller may be at work below membership_left. It goes on deciding for others,
 * as long as nobody here waits for it. */
static void rest(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, resting);

    n->quiet = true;
    io_timer_clear(&n->offline_limit);
    assign_stop(n);
    proposals_stop(n);
    controller_registration_stop(n);
    ask_stop(n);
    if (n->controller != NULL && (n->failed || ask_has_here(n)))
        controller_resign(n->controller);
    publisher_answer_all(n);
    if (n->publishing == NULL)
        membership_rest(n);
}

void membership_left(struct node *n)
{
    io_timer_clear(&n->pulse);
    io_timer_clear(&n->register_limit);
    io_timer_clear(&n->leave_limit);
    set_state(n, BROKER_SHUTTING_DOWN);
    op_init(&n->resting, rest);
    io_yield(n->io, &n->resting);
}

void membership_fail(struct node *n)
{
    io_timer_clear(&n->pulse);
    io_timer_clear(&n->register_limit);
    io_timer_clear(&n->offline_limit);
    assign_stop(n);
    controller_registration_stop(n);
    if (n->state == BROKER_PENDING_CONTROLLED_SHUTDOWN)
        membership_left(n);
}

static void leave_limit_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, leave_limit);

    say(n->telemetry, LOG_WARN, "node",
        "the controller did not let this broker go in time: it stops all the same");
    membership_left(n);
}

void node_leave(struct node *n, bool controlled, struct op *op)
{
    n->left = op;
    if (!controlled || n->failed || n->broker_epoch < 0) {
        membership_left(n);
        return;
    }
    set_state(n, BROKER_PENDING_CONTROLLED_SHUTDOWN);
    io_timer_clear(&n->pulse);
    io_timer_set(n->io, &n->leave_limit, io_now_ns(n->io) + LEAVE_MS_MAX * INT64_C(1000000),
                 leave_limit_fired);
    membership_advance(n);
}
