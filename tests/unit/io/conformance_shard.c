/* Several shards: a test runs on shard 0 and reaches the others by messages. */
#include "conformance.h"

#include <stdio.h>

/* A message that carries a question to a shard and its answer back to shard 0. */
struct errand {
    struct io_message message;                     /* first */
    void (*work)(struct errand *e, struct io *io); /* on the shard; ends with errand_answer */
    void *arg;
    bool over; /* read and written on shard 0 only */
};

static void errand_back(struct io *io, struct io_message *m)
{
    ASSERT(io_shard(io) == 0);
    container_of(m, struct errand, message)->over = true;
}

static void errand_answer(struct errand *e, struct io *io)
{
    e->message.run = errand_back;
    io_post(io, 0, &e->message);
}

static void errand_there(struct io *io, struct io_message *m)
{
    struct errand *e = container_of(m, struct errand, message);

    e->work(e, io);
}

static bool errand_is_over(void *arg)
{
    return ((struct errand *)arg)->over;
}

static void errand_start(struct trial *w, struct errand *e, uint32_t shard)
{
    e->over = false;
    e->message.run = errand_there;
    io_post(w->io, shard, &e->message);
    ASSERT(!e->over);
}

static void errand_wait(struct trial *w, struct errand *e)
{
    CHECK(trial_until(w, errand_is_over, e));
}

/* ---- posts ----------------------------------------------------------------------------- */

static void note_shard(struct errand *e, struct io *io)
{
    uint32_t *numbers = e->arg;

    numbers[0] = io_shard(io);
    numbers[1] = io_shard_count(io);
    errand_answer(e, io);
}

TEST(io_shard, messages_arrive_where_they_were_sent)
{
    struct trial w;
    uint32_t numbers[4][2];
    struct errand errands[4];

    trial_open(&w, 4);
    for (uint32_t i = 0; i < 4; i++) {
        errands[i] = (struct errand){.work = note_shard, .arg = numbers[i]};
        errand_start(&w, &errands[i], i);
    }
    for (uint32_t i = 0; i < 4; i++) {
        errand_wait(&w, &errands[i]);
        CHECK_EQ(numbers[i][0], i);
        CHECK_EQ(numbers[i][1], 4);
    }
    trial_close(&w);
}

/* A receiver asserts that the numbers of a sender's messages go up by one. */
#define POSTS 2000

struct parcel {
    struct io_message message; /* first */
    uint32_t *last;            /* of this sender and receiver; the receiver's */
    uint32_t number;
};

static void parcel_run(struct io *io, struct io_message *m)
{
    struct parcel *p = container_of(m, struct parcel, message);

    ASSERT(p->number == *p->last + 1);
    *p->last = p->number;
}

struct sender {
    struct parcel parcels[4][POSTS];
    uint32_t last[4]; /* [receiver]; each is the receiver's own until the fence */
};
static struct sender senders[4];

static void send_parcels(struct errand *e, struct io *io)
{
    struct sender *s = e->arg;

    for (uint32_t i = 0; i < POSTS; i++) {
        for (uint32_t to = 0; to < io_shard_count(io); to++) {
            s->parcels[to][i] =
                (struct parcel){.message.run = parcel_run, .last = &s->last[to], .number = i + 1};
            io_post(io, to, &s->parcels[to][i].message);
        }
    }
    errand_answer(e, io);
}

/* Sent after the parcels, over every way that they take: when it is back they have arrived. */
struct fence {
    struct io_message message; /* first */
    struct errand *errand;
    uint32_t *arrived; /* of the sender; on the sender's shard only */
    uint32_t from;
};

static void fence_back(struct io *io, struct io_message *m)
{
    struct fence *f = container_of(m, struct fence, message);

    if (++*f->arrived == io_shard_count(io))
        errand_answer(f->errand, io);
}

static void fence_there(struct io *io, struct io_message *m)
{
    struct fence *f = container_of(m, struct fence, message);

    f->message.run = fence_back;
    io_post(io, f->from, &f->message);
}

struct fences {
    struct fence fences[4];
    uint32_t arrived;
};

static void send_fences(struct errand *e, struct io *io)
{
    struct fences *f = e->arg;

    for (uint32_t to = 0; to < io_shard_count(io); to++) {
        f->fences[to] = (struct fence){
            .message.run = fence_there, .errand = e, .arrived = &f->arrived, .from = io_shard(io)};
        io_post(io, to, &f->fences[to].message);
    }
}

TEST(io_post, keeps_the_order_between_each_two_shards)
{
    struct trial w;
    struct errand errands[4];
    static struct fences fences[4];

    trial_open(&w, 4);
    for (uint32_t i = 0; i < 4; i++) {
        memset(senders[i].last, 0, sizeof(senders[i].last));
        errands[i] = (struct errand){.work = send_parcels, .arg = &senders[i]};
        errand_start(&w, &errands[i], i);
    }
    for (uint32_t i = 0; i < 4; i++)
        errand_wait(&w, &errands[i]);
    for (uint32_t i = 0; i < 4; i++) {
        fences[i] = (struct fences){.arrived = 0};
        errands[i] = (struct errand){.work = send_fences, .arg = &fences[i]};
        errand_start(&w, &errands[i], i);
    }
    for (uint32_t i = 0; i < 4; i++)
        errand_wait(&w, &errands[i]);
    for (uint32_t from = 0; from < 4; from++) {
        for (uint32_t to = 0; to < 4; to++)
            CHECK_EQ(senders[from].last[to], POSTS);
    }
    trial_close(&w);
}

/* Back and forth: each message must wake a shard that sleeps. */
struct ball {
    struct io_message message; /* first */
    uint32_t hits;             /* whoever holds the ball */
    uint32_t wanted;
    uint32_t at_home; /* hits, as shard 0 saw them */
};

static void ball_run(struct io *io, struct io_message *m)
{
    struct ball *b = container_of(m, struct ball, message);

    b->hits++;
    if (io_shard(io) == 0) {
        b->at_home = b->hits;
        if (b->hits >= b->wanted)
            return;
    }
    io_post(io, (io_shard(io) + 1) % io_shard_count(io), &b->message);
}

static bool ball_is_home(void *arg)
{
    struct ball *b = arg;

    return b->at_home >= b->wanted;
}

TEST(io_post, wakes_a_shard_that_sleeps)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct trial w;
        struct ball ball = {.message.run = ball_run, .wanted = 300 * shards};

        trial_open(&w, shards);
        io_post(w.io, shards - 1, &ball.message);
        CHECK_EQ(ball.at_home, 0);
        CHECK(trial_until(&w, ball_is_home, &ball));
        trial_close(&w);
    }
}

/* ---- operations of other shards -------------------------------------------------------- */

/* A flow that does a bit of everything on its shard. */
struct visit {
    struct errand errand; /* first */
    struct flow flow;
    struct op end;
    struct io *io;
    struct io_timer timer;
    struct io_file *file;
    struct bytes piece;
    char path[PATH_BYTES];
    char got[6];
    struct io_listener *listener;
    struct io_address address, bound;
    struct io_socket *client, *server;
    struct op accept;
    int64_t accepted;
    struct io_span spans[2];
    int64_t result;
};

static void visit_fire(struct io_timer *t)
{
    struct visit *v = container_of(t, struct visit, timer);

    io_complete(v->io, &v->flow.op, 0);
}

static void visit_accepted(struct op *op, int64_t result)
{
    container_of(op, struct visit, accept)->accepted = result;
}

static void visit_run(struct flow *f)
{
    struct visit *v = container_of(f, struct visit, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "sleep", io_timer_set(v->io, &v->timer, io_now_ns(v->io) + 1000000, visit_fire));
    FLOW_TRY(f, "open", io_open(v->io, v->path, IO_WRITE | IO_CREATE, &v->file, &f->op));
    FLOW_TRY(f, "write", io_write(v->file, 0, &v->piece, 1, &f->op));
    FLOW_TRY(f, "sync", io_sync(v->file, &f->op));
    FLOW_TRY(f, "listen", io_listen(v->io, &v->address, NULL, &v->listener, &v->bound, &f->op));
    op_init(&v->accept, visit_accepted);
    v->accepted = 1;
    io_accept(v->listener, &v->server, NULL, &v->accept);
    FLOW_TRY(f, "connect", io_connect(v->io, &v->bound, NULL, &v->client, &f->op));
    while (v->accepted == 1)
        FLOW_TRY(f, "accept", io_yield(v->io, &f->op));
    v->spans[0] = (struct io_span){.p = (const uint8_t *)"a", .n = 1};
    v->spans[1] = (struct io_span){.file = v->file, .position = 1, .n = 4};
    FLOW_TRY(f, "send", io_send(v->client, v->spans, 2, &f->op));
    FLOW_TRY(f, "recv", io_recv(v->server, v->got, 1, &f->op));
    FLOW_TRY(f, "close", io_socket_close(v->client, &f->op));
    FLOW_TRY(f, "close", io_socket_close(v->server, &f->op));
    FLOW_TRY(f, "close", io_listener_close(v->listener, &f->op));
    FLOW_TRY(f, "close", io_close(v->file, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

static void visit_end(struct op *op, int64_t result)
{
    struct visit *v = container_of(op, struct visit, end);

    v->result = result;
    errand_answer(&v->errand, v->io);
}

static void visit_start(struct errand *e, struct io *io)
{
    struct visit *v = container_of(e, struct visit, errand);

    v->io = io;
    op_init(&v->end, visit_end);
    flow_start(&v->flow, visit_run, &v->end);
}

TEST(io_shard, every_shard_has_the_whole_door)
{
    static struct visit visits[4];
    struct trial w;

    trial_open(&w, 4);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            char name[] = {(char)('a' + i), '\0'};
            visits[i] =
                (struct visit){.errand.work = visit_start, .piece = {(const uint8_t *)"hello", 5}};
            snprintf(visits[i].address.host, IO_HOST_MAX, "%s", w.world->host);
            strcpy(visits[i].path, path(&w, name));
            errand_start(&w, &visits[i].errand, i);
        }
        for (uint32_t i = 0; i < 4; i++) {
            errand_wait(&w, &visits[i].errand);
            CHECK_EQ(visits[i].result, 0);
            CHECK_TEXT(visits[i].got, "a");
        }
    }
    trial_close(&w);
}

/* ---- a connection between shards ------------------------------------------------------- */

/* Shard 1 listens and answers one question; shard 0 asks. */
struct answerer {
    struct errand errand; /* first */
    struct flow flow;
    struct op end;
    struct io *io;
    struct io_listener *listener;
    struct io_address address, bound;
    struct io_socket *socket;
    char got[4];
    struct io_span span;
    int64_t result;
};

static void answerer_run(struct flow *f)
{
    struct answerer *a = container_of(f, struct answerer, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "accept", io_accept(a->listener, &a->socket, NULL, &f->op));
    FLOW_TRY(f, "recv", io_recv(a->socket, a->got, 1, &f->op));
    a->span = (struct io_span){.p = (const uint8_t *)"answer", .n = 6};
    FLOW_TRY(f, "send", io_send(a->socket, &a->span, 1, &f->op));
    FLOW_TRY(f, "close", io_socket_close(a->socket, &f->op));
    FLOW_TRY(f, "close", io_listener_close(a->listener, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

static void answerer_end(struct op *op, int64_t result)
{
    struct answerer *a = container_of(op, struct answerer, end);

    a->result = result;
    errand_answer(&a->errand, a->io);
}

static void answerer_start(struct errand *e, struct io *io)
{
    struct answerer *a = container_of(e, struct answerer, errand);

    op_init(&a->end, answerer_end);
    flow_start(&a->flow, answerer_run, &a->end);
}

static void answerer_listening(struct op *op, int64_t result)
{
    struct answerer *a = container_of(op, struct answerer, end);

    a->result = result;
    errand_answer(&a->errand, a->io);
}

static void answerer_listen(struct errand *e, struct io *io)
{
    struct answerer *a = container_of(e, struct answerer, errand);

    a->io = io;
    op_init(&a->end, answerer_listening);
    io_listen(io, &a->address, NULL, &a->listener, &a->bound, &a->end);
}

TEST(io_shard, shards_connect_to_each_other)
{
    struct trial w;
    struct answerer a = {.errand.work = answerer_listen};
    struct io_socket *s;

    trial_open(&w, 2);
    snprintf(a.address.host, IO_HOST_MAX, "%s", w.world->host);
    errand_start(&w, &a.errand, 1);
    errand_wait(&w, &a.errand);
    CHECK_EQ(a.result, 0);

    a.errand.work = answerer_start;
    errand_start(&w, &a.errand, 1);
    CHECK_EQ(RUN(&w, io_connect(w.io, &a.bound, NULL, &s, op)), 0);
    send_text(&w, s, "?");
    expect_text(&w, s, "answer");
    errand_wait(&w, &a.errand);
    CHECK_EQ(a.result, 0);
    char got;
    CHECK_EQ(RUN(&w, io_recv(s, &got, 1, op)), 0);
    socket_close(&w, s);
    trial_close(&w);
}

/* ---- chance ---------------------------------------------------------------------------- */

static void draw(struct errand *e, struct io *io)
{
    *(uint64_t *)e->arg = prng_u64(io_prng(io));
    errand_answer(e, io);
}

TEST(io_shard, shards_draw_different_numbers)
{
    struct trial w;
    uint64_t draws[2] = {0};
    struct errand errands[2];

    trial_open(&w, 2);
    for (uint32_t i = 0; i < 2; i++) {
        errands[i] = (struct errand){.work = draw, .arg = &draws[i]};
        errand_start(&w, &errands[i], i);
        errand_wait(&w, &errands[i]);
    }
    CHECK(draws[0] != draws[1]);
    trial_close(&w);
}
