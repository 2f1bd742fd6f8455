/* One seed is one history. */
#define _GNU_SOURCE /* open_memstream */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

/* ---- a small cluster that is busy with everything ---------------------------------------- */

#define CLIENTS 3
#define SHARDS 4

/* A client: connects, writes a file, sends it, reads the answer, closes; again and again. */
struct client {
    struct io *io;
    struct flow flow;
    struct op end;
    struct io_file *file;
    struct io_socket *socket;
    struct io_message message;
    uint32_t rounds, ended;
    char path[32];
    uint8_t into[256];
    struct bytes piece;
    struct io_span spans[2];
    struct sim *sim;
};

/* A server: accepts one connection after another, sends back what comes. */
struct server {
    struct io *io;
    struct flow flow;
    struct op end;
    struct io_listener *listener;
    struct io_socket *socket;
    struct io_address address;
    uint8_t into[64];
    struct io_span span;
    bool ended;
};

static void end_done(struct op *op, int64_t result) {}

static void message_run(struct io *io, struct io_message *m)
{
    struct client *c = container_of(m, struct client, message);

    sim_note(c->sim, io_shard(io));
    m->run = NULL;
}

static void client_run(struct flow *f)
{
    static const struct io_address server = {.host = "server", .port = 9092};
    struct client *c = container_of(f, struct client, flow);

    FLOW_BEGIN(f);
    while (c->rounds < 12) {
        c->rounds++;
        c->file = NULL;
        c->socket = NULL;
        FLOW_TRY(f, "open", io_open(c->io, c->path, IO_WRITE | IO_CREATE, &c->file, &f->op));
        c->piece = (struct bytes){(const uint8_t *)c->path, 20};
        FLOW_TRY(f, "write", io_write(c->file, c->rounds * 1000, &c->piece, 1, &f->op));
        FLOW_TRY(f, "sync", io_sync(c->file, &f->op));
        FLOW_TRY(f, "connect", io_connect(c->io, &server, NULL, &c->socket, &f->op));
        c->spans[0] = (struct io_span){.p = (const uint8_t *)"head", .n = 4};
        c->spans[1] = (struct io_span){.file = c->file, .position = c->rounds * 1000, .n = 20};
        FLOW_TRY(f, "send", io_send(c->socket, c->spans, 2, &f->op));
        FLOW_TRY(f, "receive", io_recv(c->socket, c->into, sizeof(c->into), &f->op));
        if (c->message.run == NULL) {
            c->message.run = message_run;
            io_post(c->io, c->rounds % SHARDS, &c->message);
        }
    failed:
        if (c->socket != NULL)
            FLOW_WAIT(f, "close", io_socket_close(c->socket, &f->op));
        if (c->file != NULL)
            FLOW_WAIT(f, "close", io_close(c->file, &f->op));
        FLOW_WAIT(f, "yield", io_yield(c->io, &f->op));
    }
    FLOW_END(f);
    c->ended++;
    flow_done(f, 0);
}

static void server_run(struct flow *f)
{
    static const struct io_listen_options shared = {.shared = true};
    struct server *s = container_of(f, struct server, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "listen", io_listen(s->io, &s->address, &shared, &s->listener, NULL, &f->op));
    for (;;) {
        FLOW_WAIT(f, "accept", io_accept(s->listener, &s->socket, NULL, &f->op));
        if (f->result == -ECANCELED)
            break;
        if (f->result < 0)
            continue;
        do {
            FLOW_WAIT(f, "receive", io_recv(s->socket, s->into, sizeof(s->into), &f->op));
            if (f->result <= 0)
                break;
            s->span = (struct io_span){.p = s->into, .n = (uint32_t)f->result};
            FLOW_WAIT(f, "send", io_send(s->socket, &s->span, 1, &f->op));
        } while (f->result > 0);
        FLOW_WAIT(f, "close", io_socket_close(s->socket, &f->op));
    }
    FLOW_WAIT(f, "close", io_listener_close(s->listener, &f->op));
    FLOW_END(f);
failed:
    s->ended = true;
    flow_done(f, f->result);
}

static void server_start(struct server *s, struct sim_node *node, uint32_t shard)
{
    *s = (struct server){.io = sim_node_io(node, shard), .address = {.host = "", .port = 9092}};
    op_init(&s->end, end_done);
    flow_start(&s->flow, server_run, &s->end);
}

struct history {
    uint64_t hash, events;
    char *trace;
    size_t trace_bytes;
};

/* Servers on all shards of a node that is killed and cut in between; clients on another. */
static struct history play(uint64_t seed, bool traced)
{
    struct history h = {0};
    struct sim_options options = sim_options_swarm(seed);
    struct server servers[2][SHARDS];
    struct client clients[CLIENTS] = {{.rounds = 0}};
    struct sim *sim;
    struct sim_node *node, *other;

    options.trace = traced ? open_memstream(&h.trace, &h.trace_bytes) : NULL;
    sim = sim_new(seed, &options);
    node = sim_node_new(sim, "server");
    other = sim_node_new(sim, "client");
    sim_node_start(node, SHARDS);
    sim_node_start(other, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++)
        server_start(&servers[0][i], node, i);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        c->io = sim_node_io(other, i);
        c->sim = sim;
        snprintf(c->path, sizeof(c->path), "/client-%u-of-the-lab", i);
        op_init(&c->end, end_done);
        flow_start(&c->flow, client_run, &c->end);
    }
    sim_run_until(sim, 20 * MS);
    if (seed % 2 == 0)
        sim_node_power_cut(node);
    else
        sim_node_kill(node);
    sim_run_until(sim, 25 * MS);
    sim_node_start(node, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++)
        server_start(&servers[1][i], node, i);
    sim_net_cut(other, node);
    sim_run_until(sim, 40 * MS);
    sim_net_heal_all(sim);
    sim_net_reset(other, node); /* these clients know no timeouts */
    sim_calm(sim);
    sim_run_until(sim, 600 * SEC);
    for (uint32_t i = 0; i < CLIENTS; i++)
        CHECK_EQ(clients[i].ended, 1);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(servers[0][i].ended);
    h.hash = sim_hash(sim);
    h.events = sim_events(sim);
    sim_free(sim);
    if (traced)
        fclose(options.trace);
    return h;
}

TEST(determinism, one_seed_is_one_history)
{
    uint64_t events = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct history first = play(seed, false);
        struct history second = play(seed, false);
        CHECK_EQ(first.hash, second.hash);
        CHECK_EQ(first.events, second.events);
        events += first.events;
    }
    CHECK(events > 60 * 500);
}

TEST(determinism, traces_are_equal_to_the_letter_and_tell_seeds_apart)
{
    struct history first = play(5, true);
    struct history second = play(5, true);
    struct history other = play(6, true);

    CHECK(first.trace_bytes > 10000);
    CHECK_BYTES(first.trace, first.trace_bytes, second.trace, second.trace_bytes);
    CHECK(first.hash != other.hash);
    CHECK_EQ(first.hash, play(5, false).hash); /* to trace changes nothing */
    free(first.trace);
    free(second.trace);
    free(other.trace);
}

/* ---- the conformance suite over seeds ---------------------------------------------------- */

/* Run this program again, only the tests of io/io.h, with another seed. */
static int conformance_with(unsigned seed)
{
    int status = -1;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        char text[16];
        snprintf(text, sizeof(text), "%u", seed);
        setenv("MILLRACE_SIM_SEED", text, 1);
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        execl("/proc/self/exe", "unit_simulator", "io_*", (char *)NULL);
        _exit(127);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

TEST(conformance, holds_for_other_seeds)
{
    for (unsigned seed = 2; seed <= 25; seed++) {
        if (conformance_with(seed) != 0)
            check_fail(__FILE__, __LINE__, "MILLRACE_SIM_SEED=%u unit_simulator 'io_*' fails",
                       seed);
    }
}
