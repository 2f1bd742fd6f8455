/* peer_bench.h - peers against a node that does what a test says. */
#pragma once

#include "lab.h"

#include "protocol/protocol.h"

/* ---- the other node ------------------------------------------------------------------------- */

#define CONNECTIONS_MAX 64
#define ASKED_MAX 4096

struct node;

/* A request that has come. */
struct asked {
    struct request_header header;
    uint32_t number; /* the first four bytes of its body */
    uint32_t body_bytes;
};

struct line {
    struct node *node;
    struct io_socket *socket;
    struct op receive, send, close;
    struct text in, out;
    size_t parsed;
    struct text sent;
    struct io_span span;
    bool sending, receiving, ended, closing, closed, deaf;
    uint8_t bytes[16384];
};

struct node {
    struct lab *lab;
    struct io_socket *accepted;
    struct op accept;
    bool listening;
    struct line *lines[CONNECTIONS_MAX];
    uint32_t line_count;
    struct text asked;              /* "number " of each */
    uint32_t asked_count;
    struct asked last;
    char client_id[100];
    uint32_t silent_from;           /* requests from this count on are not answered */
    bool deaf;                      /* accepts, but reads nothing */
    /* Answer `a`, which came on `line`; NULL: line_echo. */
    void (*answer)(struct line *line, const struct asked *a);
    void *ctx;
};

void line_close(struct line *line);
void line_answer(struct line *line, const struct asked *a, int32_t correlation_id, uint32_t n);
void line_echo(struct line *line, const struct asked *a);
void line_send_more(struct line *line);
void line_receive(struct line *line);
void node_init(struct node *node, struct lab *lab);
void node_listen(struct node *node);
struct line *node_line(struct node *node);
void node_end(struct node *node);

/* ---- calls ---------------------------------------------------------------------------------- */

struct call {
    struct peer_call call;
    struct peer *peer;
    uint32_t number;
    bool done;
    int64_t result;
    int64_t done_ns;
    struct lab *lab;
    void (*then)(struct call *c);
    void *ctx;
    bool sending; /* the call into peer_send is under way */
    bool no_answer; /* none is due */
};

extern const struct peer_settings settings_usual;

struct world {
    struct lab lab;
    struct node node;
    struct peer *peer;
};

/* All but the sending. */
void call_init(struct call *c, struct lab *lab, struct peer *peer, uint32_t number);
void call_send(struct call *c, struct lab *lab, struct peer *peer, uint32_t number, uint32_t n);
struct peer *peer_of(struct lab *lab, const struct peer_settings *settings);
void peer_end(struct lab *lab, struct peer *p);
void world_open(struct world *w, const struct peer_settings *settings);
void world_end(struct world *w);
