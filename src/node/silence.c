/* Brokers that stand still: SIGSTOP, a machine without power, a cut. Nothing refuses, nothing ends, nothing comes.
 *
 *   Fetches of the metadata log ─► every 500 ms at least: a broker speaks
 *   neither those nor heartbeats for two thirds of millrace.broker.silence.ms ─► it is asked for its API versions
 *       any answer, also a connection that it ends ─► it speaks
 *       none by the end of millrace.broker.silence.ms ─► controller: fenced now
 *
 * A Fetch waits for the disk, so its absence alone says little: a disk may need a second. The question needs none, no
 * rights either, and the same loop answers it that serves clients. As in gone.c this is no proof, and need not be.
 *
 * A timer that was late says that this process, or all of the machine, stood still: then what was not heard counts for
 * nothing.
 */
#include "node/internal.h"

#include <stdlib.h>

#define QUESTIONS_MAX 64 /* at a time: a connection each */

/* ApiVersions 0, without a client's id: what any listener answers, before it knows who asks. */
static const uint8_t api_versions[] = {0, 0, 0, 10, 0, API_API_VERSIONS, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* One for each broker at most. */
struct question {
    struct list node; /* in silence.questions */
    struct node *node_of;
    struct flow flow;
    struct op over;
    struct controller_silent who;
    int64_t since_ms; /* it was not heard after that when it was asked */
    int64_t due_ns;
    struct io_address address;
    struct io_span span;
    struct bytes answer;
    struct io_socket *socket; /* NULL not connected */
    struct io_timer timer;
    bool waits;               /* for `timer` alone */
    bool time_up, late, stopped;
};

static int64_t limit_ms(const struct node *n)
{
    return config_i64(n->options.settings, BROKER_MILLRACE_BROKER_SILENCE_MS);
}

/* So long has a broker to answer. */
static int64_t answer_ms(const struct node *n)
{
    return limit_ms(n) / 3;
}

static bool is_late(struct node *n, int64_t due_ns)
{
#ifdef MUTANT_NODE_LATE_IS_SILENT
    return false;
#endif
    return io_now_ns(n->io) - due_ns > limit_ms(n) * INT64_C(1000000) / 9;
}

/* ---- a question ------------------------------------------------------------------------------------ */

static void end_wait(struct question *q)
{
    if (q->waits)
        io_complete(q->node_of->io, &q->flow.op, 0);
    else
        io_cancel(q->node_of->io, &q->flow.op);
    q->waits = false;
}

static void time_is_up(struct io_timer *t)
{
    struct question *q = container_of(t, struct question, timer);

    q->time_up = true;
    q->late = is_late(q->node_of, q->due_ns);
    end_wait(q);
}

static bool is_over(const struct question *q)
{
    return q->time_up || q->stopped;
}

/* Whether it is silent, the end of this wait says. */
static void tell(struct question *q)
{
    struct node *n = q->node_of;
    int64_t now_ms = io_now_ms(n->io);

    io_timer_clear(&q->timer);
    if (q->stopped || n->failed)
        return;
    if (!q->time_up || q->late) {
        controller_broker_speaks(n->controller, q->who.id, now_ms);
        return;
    }
    if (controller_broker_silent(n->controller, &q->who, q->since_ms, now_ms))
        node_wind(n);
}

static void question_run(struct flow *f)
{
    struct question *q = container_of(f, struct question, flow);
    struct io *io = q->node_of->io;

    FLOW_BEGIN(f);
    io_timer_set(io, &q->timer, q->due_ns, time_is_up);
    FLOW_WAIT(f, "connect", io_connect(io, &q->address, NULL, &q->socket, &f->op));
    if (f->result < 0) {
        q->socket = NULL;
        if (!is_over(q)) { /* nobody is there, or no way: gone.c hears of the former */
            q->waits = true;
            FLOW_WAIT(f, "wait for a heartbeat", (void)0);
        }
    } else if (!is_over(q)) {
        q->span = (struct io_span){.p = api_versions, .n = sizeof api_versions};
        FLOW_WAIT(f, "ask", io_send(q->socket, &q->span, 1, &f->op));
        if (!is_over(q) && f->result >= 0)
            FLOW_WAIT(f, "wait for an answer", io_recv_lend(q->socket, &q->answer, &f->op));
    }
    tell(q);
    if (q->socket != NULL)
        FLOW_WAIT(f, "close", io_socket_close(q->socket, &f->op));
    else
        FLOW_WAIT(f, "end", io_yield(io, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

static void question_over(struct op *op, int64_t result)
{
    struct question *q = container_of(op, struct question, over);
    struct silence *s = &q->node_of->silence;

    list_remove(&q->node);
    if (s->stopped != NULL && list_empty(&s->questions)) {
        io_complete(q->node_of->io, s->stopped, 0);
        s->stopped = NULL;
    }
    free(q);
}

static bool is_asked(const struct node *n, int32_t id)
{
    LIST_EACH(it, &n->silence.questions) {
        if (container_of(it, struct question, node)->who.id == id)
            return true;
    }
    return false;
}

static void ask(struct node *n, const struct controller_silent *who, int64_t since_ms)
{
    const struct image_endpoint *at =
        gone_listens_at(n, image_broker_find(controller_latest(n->controller), who->id));
    struct question *q;

    if (is_asked(n, who->id) || at == NULL || at->host.n >= IO_HOST_MAX)
        return;
    q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    *q = (struct question){.node_of = n,
                           .who = *who,
                           .since_ms = since_ms,
                           .due_ns = io_now_ns(n->io) + answer_ms(n) * 1000000,
                           .address.port = at->port};
    memcpy(q->address.host, at->host.p, (size_t)at->host.n);
    list_add_tail(&n->silence.questions, &q->node);
    op_init(&q->over, question_over);
    flow_start(&q->flow, question_run, &q->over);
}

/* ---- who is silent? ---------------------------------------------------------------------------- */

static void look(struct node *n, int64_t since_ms);

static void look_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, silence.look);
    int64_t now_ms = io_now_ms(n->io);

    if (n->failed || n->closing || !controller_is_active(n->controller))
        return; /* a controller that begins looks again */
    if (is_late(n, n->silence.due_ns))
        controller_silence_anew(n->controller, now_ms);
    look(n, now_ms - (limit_ms(n) - answer_ms(n)));
}

static void look(struct node *n, int64_t since_ms)
{
    struct controller_silent silent[QUESTIONS_MAX];
    int64_t first_ms, now_ms = io_now_ms(n->io), soonest_ms = now_ms + answer_ms(n) / 3 + 1;
    uint32_t count = controller_silent(n->controller, since_ms, silent, QUESTIONS_MAX, &first_ms);
    int64_t due_ms = first_ms == INT64_MAX ? now_ms : first_ms + limit_ms(n) - answer_ms(n);

    for (uint32_t i = 0; i < count; i++)
        ask(n, &silent[i], since_ms);
    n->silence.due_ns = (due_ms > soonest_ms ? due_ms : soonest_ms) * 1000000;
    io_timer_set(n->io, &n->silence.look, n->silence.due_ns, look_fired);
}

/* Who was silent for the last controller need not be so for as long once more: all are asked now. */
void silence_begin(struct node *n)
{
    if (limit_ms(n) > 0)
        look(n, io_now_ms(n->io));
}

void silence_stop(struct node *n, struct op *op)
{
    struct silence *s = &n->silence;

    io_timer_clear(&s->look);
    if (list_empty(&s->questions)) {
        io_yield(n->io, op);
        return;
    }
    s->stopped = op;
    LIST_EACH(it, &s->questions) {
        struct question *q = container_of(it, struct question, node);
        q->stopped = true;
        io_timer_clear(&q->timer);
        end_wait(q);
    }
}
